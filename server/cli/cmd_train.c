/* train: starts a training, shows it while it runs, and what it reached. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/follow.h"
#include "server/cli/print.h"
#include "server/cli/report.h"

static const char *const activations[] = {"always", "never", "if_better", NULL};

static const char *const repeated[] = {"method", "params", "seed"};

static const struct ist_opt opts[] = {
    {"like", IST_OPT_TEXT, 0, "MODEL",
     .help = "repeat the training of a model: its method, parameters, split and seed"},
    {"method", IST_OPT_TEXT, 'm', "NAME", .help = "what to train (acmr); see isthmus methods"},
    {"param", IST_OPT_TEXT, 'p', "NAME=VALUE", .many = true,
     .help = "a parameter of the method; see isthmus methods NAME"},
    {"seed", IST_OPT_INT, 0, "N", .max = 9007199254740991.0,
     .help = "of all random numbers (0): the same seed, the same model"},
    {"split", IST_OPT_TEXT, 0, "JSON", .help = "another split than the collection's"},
    {"activate", IST_OPT_CHOICE, 'a', "WHEN", activations,
     .help = "always, never, if_better (if_better): let queries use the model"},
    {"detach", IST_OPT_FLAG, 'd', .help = "print the job and do not wait for it"},
};

/* NAME=VALUE: a number or true, false, null is that; all else is text. */
static enum ist_code add_param(json_t *params, const char *given, struct ist_err *err)
{
	const char *equals = strchr(given, '=');
	ist_autofree char *name = NULL;
	json_t *value;

	if (equals == NULL || equals == given)
		return ist_usage(err, "--param: must be NAME=VALUE, got \"%s\"", given);
	name = ist_strndup(given, (size_t)(equals - given));
	value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
	if (value == NULL)
		value = json_string(equals + 1);
	if (value == NULL || json_object_set_new(params, name, value) != 0)
		return ist_usage(err, "--param %s: is not UTF-8", name);
	return IST_OK;
}

static enum ist_code make_request(const struct ist_args *args, json_t *body, struct ist_err *err)
{
	const char *method = ist_args_text(args, "method");
	const char *activate = ist_args_text(args, "activate");
	const char *split = ist_args_text(args, "split"), *param;
	json_t *params = json_object(), *json;

	json_object_set_new(body, "method", json_string(method != NULL ? method : "acmr"));
	json_object_set_new(body, "params", params);
	for (size_t i = 0; (param = ist_args_nth(args, "param", i)) != NULL; i++)
		if (add_param(params, param, err) != IST_OK)
			return err->code;
	json_object_set_new(body, "seed", json_integer(ist_args_int(args, "seed", 0)));
	if (activate != NULL)
		json_object_set_new(body, "activate", json_string(activate));
	if (split == NULL)
		return IST_OK;
	json = json_loads(split, 0, NULL);
	if (json == NULL)
		return ist_usage(err, "--split: must be JSON, {\"test\": 0.2}, got %s", split);
	json_object_set_new(body, "split", json);
	return IST_OK;
}

/* The request that would make a model again: its method, parameters, split and seed. */
static enum ist_code like_request(struct ist_cli *cli, const struct ist_args *args, json_t *body,
				  struct ist_err *err)
{
	const char *activate = ist_args_text(args, "activate"), *id = ist_args_text(args, "like");
	ist_autofree char *path =
	    ist_http_path("collections/%s/models/%s", ist_args_word(args, 0), id);
	const json_t *split;
	json_t *model;

	if (ist_args_text(args, "method") != NULL || ist_args_text(args, "split") != NULL ||
	    ist_args_text(args, "param") != NULL || ist_args_text(args, "seed") != NULL)
		return ist_usage(err, "--like repeats all of them: leave out --method, --param, "
				      "--split and --seed");
	if (ist_http_get(&cli->http, path, &model, err) != IST_OK)
		return err->code;
	split = json_object_get(json_object_get(json_object_get(model, "report"), "split"),
				"definition");
	for (size_t i = 0; i < IST_COUNT(repeated); i++)
		json_object_set(body, repeated[i], json_object_get(model, repeated[i]));
	if (activate != NULL)
		json_object_set_new(body, "activate", json_string(activate));
	if (split != NULL)
		json_object_set(body, "split", (json_t *)split);
	json_decref(model);
	return split != NULL ? IST_OK : ist_fail(err, IST_INVALID, "model %s was not trained", id);
}

/* ---- what it reached ---- */

static enum ist_code print_model(struct ist_cli *cli, const char *collection, const json_t *result,
				 struct ist_err *err)
{
	const char *id = json_string_value(json_object_get(result, "model"));
	const char *reason = json_string_value(json_object_get(result, "reason"));
	bool activated = json_is_true(json_object_get(result, "activated"));
	ist_autofree char *path = NULL;
	json_t *model;

	if (id == NULL)
		return IST_OK;
	path = ist_http_path("collections/%s/models/%s", collection, id);
	if (ist_http_get(&cli->http, path, &model, err) != IST_OK)
		return err->code;
	printf("%sModel %s%s, %s%s%s\n", ist_color(cli->color_out, IST_BOLD), id,
	       ist_color(cli->color_out, IST_PLAIN),
	       activated ? "active from now on" : "not activated", reason != NULL ? ": " : "",
	       reason != NULL ? reason : "");
	if (json_is_object(json_object_get(model, "report")))
		ist_report_print(cli, json_string_value(json_object_get(model, "method")),
				 json_object_get(model, "report"));
	json_decref(model);
	return IST_OK;
}

static enum ist_code finish(struct ist_cli *cli, const char *collection, const json_t *job,
			    struct ist_err *err)
{
	if (cli->json)
		ist_print_json(job);
	if (ist_job_outcome(job, err) != IST_OK)
		return err->code;
	if (!cli->json)
		return print_model(cli, collection, json_object_get(job, "result"), err);
	return IST_OK;
}

static enum ist_code run_train(struct ist_cli *cli, const struct ist_args *args,
			       struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s/trainings", ist_args_word(args, 0));
	json_t *body = json_object(), *ended = NULL;
	enum ist_code code = ist_args_text(args, "like") != NULL
				 ? like_request(cli, args, body, err)
				 : make_request(args, body, err);

	if (code == IST_OK)
		code = ist_start_job(cli, path, body, ist_args_flag(args, "detach"), &ended, err);
	if (code == IST_OK && ended != NULL)
		code = finish(cli, ist_args_word(args, 0), ended, err);
	json_decref(body);
	json_decref(ended);
	return code;
}

const struct ist_command ist_cmd_train = {
    .name = "train",
    .words = "COLLECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "Train a model on a collection's pairs and show what it reached",
    .details =
	"Progress and curves are drawn while it runs; Ctrl-C ends the watching, not the job. At "
	"the "
	"end stand the figures on the held-out pairs, each with its 95 % interval, beside the "
	"baselines and chance.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_train,
};
