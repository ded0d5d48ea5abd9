/* models: lists a collection's models, shows one, and says which answers. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/follow.h"
#include "server/cli/hits.h"
#include "server/cli/print.h"
#include "server/cli/report.h"

static const char *const parts[] = {"test", "validation", "train", NULL};

static const struct ist_opt opts[] = {
    {"activate", IST_OPT_FLAG, 'a', .help = "let queries use this model"},
    {"rollback", IST_OPT_FLAG, 0, .help = "undo the latest activation"},
    {"delete", IST_OPT_FLAG, 0, .help = "remove this model"},
    {"evaluate", IST_OPT_CHOICE, 0, "PART", parts,
     .help = "measure it anew on test, validation or train"},
};

static const char *text(const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, name));

	return s != NULL ? s : "";
}

static void put_figure(struct ist_table *table, const json_t *report, const char *direction)
{
	const char *relevant = json_string_value(json_object_get(report, "relevant"));
	bool labels = relevant == NULL || strcmp(relevant, "label") == 0;
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	ist_figure_put(
	    &buf, json_object_get(json_object_get(report, direction), labels ? "map_all" : "r_10"),
	    3);
	ist_table_cell(table, "%s%s", buf.data, labels || !json_is_object(report) ? "" : " R@10");
}

static void print_models(const struct ist_cli *cli, const json_t *models)
{
	static const char *const heads[] = {"",	       "model",		"method",	">dim",
					    "created", "image -> text", "text -> image"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *model;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(models, i, model)
	{
		const json_t *report = json_object_get(model, "report");

		ist_table_cell(&table, "%s",
			       json_is_true(json_object_get(model, "active")) ? "*" : "");
		ist_table_cell(&table, "%s", text(model, "id"));
		ist_table_cell(&table, "%s", text(model, "method"));
		ist_table_cell(&table, "%" JSON_INTEGER_FORMAT,
			       json_integer_value(json_object_get(model, "dim")));
		ist_table_cell(&table, "%.19s", text(model, "created_at"));
		put_figure(&table, report, "image_to_text");
		put_figure(&table, report, "text_to_image");
	}
	ist_table_print(&table, cli);
}

static void print_abilities(const json_t *can)
{
	const json_t *name;
	size_t i;

	json_array_foreach(can, i, name)
	{
		printf("%s%s", i > 0 ? ", " : "can: ", json_string_value(name));
	}
	puts(json_array_size(can) > 0 ? "" : "can: nothing that this version knows");
}

static void print_model(const struct ist_cli *cli, json_t *model)
{
	const json_t *report = json_object_get(model, "report");
	json_t *models = json_pack("[O]", model);
	ist_autofree char *params =
	    json_dumps(json_object_get(model, "params"), JSON_COMPACT | JSON_REAL_PRECISION(6));

	if (cli->json) {
		ist_print_json(model);
	} else {
		print_models(cli, models);
		print_abilities(json_object_get(model, "can"));
		printf("parameters: %s\n", params != NULL ? params : "{}");
		if (json_is_object(report))
			ist_report_print(cli, text(model, "method"), report);
	}
	json_decref(models);
}

static enum ist_code list(struct ist_cli *cli, const char *collection, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s/models", collection);
	json_t *models;

	if (ist_http_list(&cli->http, path, "models", 0, &models, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(models);
	else
		print_models(cli, models);
	json_decref(models);
	return IST_OK;
}

/* The answer is a model, or the job that builds its index first. */
static enum ist_code await_model(struct ist_cli *cli, json_t *reply, struct ist_err *err)
{
	enum ist_code code = IST_OK;
	json_t *job;

	if (json_object_get(reply, "state") == NULL) {
		print_model(cli, reply);
	} else if ((code = ist_follow_job(cli, text(reply, "id"), &job, err)) == IST_OK) {
		if (cli->json)
			ist_print_json(job);
		code = ist_job_outcome(job, err);
		if (code == IST_OK && !cli->json)
			printf("model %s is active\n",
			       text(json_object_get(job, "result"), "model"));
		json_decref(job);
	}
	json_decref(reply);
	return code;
}

static enum ist_code evaluate(struct ist_cli *cli, const char *collection, const char *model,
			      const char *part, struct ist_err *err)
{
	ist_autofree char *path =
	    ist_http_path("collections/%s/models/%s:evaluate", collection, model);
	json_t *body = json_pack("{s:s}", "split", part), *job, *ended;
	enum ist_code code = ist_http_json(&cli->http, "POST", path, body, &job, err);

	json_decref(body);
	if (code != IST_OK)
		return code;
	code = ist_follow_job(cli, text(job, "id"), &ended, err);
	json_decref(job);
	if (code != IST_OK)
		return code;
	code = ist_job_outcome(ended, err);
	if (cli->json)
		ist_print_json(ended);
	else if (code == IST_OK) {
		json_t *result = json_object_get(ended, "result");
		json_t *report = json_object_get(result, "report");

		ist_report_print(cli, model, report != NULL ? report : result);
	}
	json_decref(ended);
	return code;
}

static enum ist_code change(struct ist_cli *cli, const char *collection, const char *model,
			    const char *verb, struct ist_err *err)
{
	ist_autofree char *path = NULL;
	json_t *reply = NULL;

	if (model != NULL)
		path = ist_http_path("collections/%s/models/%s", collection, model);
	else
		path = ist_http_path("collections/%s/models", collection);
	if (strcmp(verb, "delete") == 0)
		return ist_http_json(&cli->http, "DELETE", path, NULL, &reply, err);
	{
		ist_autofree char *action = ist_format("%s:%s", path, verb);

		if (ist_http_json(&cli->http, "POST", action, NULL, &reply, err) != IST_OK)
			return err->code;
	}
	return await_model(cli, reply, err);
}

static enum ist_code show(struct ist_cli *cli, const char *collection, const char *id,
			  struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s/models/%s", collection, id);
	json_t *model;

	if (ist_http_get(&cli->http, path, &model, err) != IST_OK)
		return err->code;
	print_model(cli, model);
	json_decref(model);
	return IST_OK;
}

static enum ist_code run_models(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	static const char *const verbs[] = {"activate", "rollback", "delete"};
	const char *collection = ist_args_word(args, 0);
	ist_autofree char *model = NULL;
	const char *part = ist_args_text(args, "evaluate"), *verb = NULL;
	int n = part != NULL;

	for (size_t i = 0; i < IST_COUNT(verbs); i++)
		if (ist_args_flag(args, verbs[i])) {
			verb = verbs[i];
			n++;
		}
	if (ist_args_word(args, 1) != NULL &&
	    ist_model_resolve(cli, collection, ist_args_word(args, 1), &model, err) != IST_OK)
		return err->code;
	if (n > 1)
		return ist_usage(err, "one of --activate, --rollback, --delete and --evaluate");
	if (model == NULL && n > 0 && (verb == NULL || strcmp(verb, "rollback") != 0))
		return ist_usage(err, "which model? isthmus models %s MODEL --%s", collection,
				 verb != NULL ? verb : "evaluate");
	if (part != NULL)
		return evaluate(cli, collection, model, part, err);
	if (verb != NULL)
		return change(cli, collection, model, verb, err);
	return model != NULL ? show(cli, collection, model, err) : list(cli, collection, err);
}

const struct ist_command ist_cmd_models = {
    .name = "models",
    .words = "COLLECTION [MODEL]",
    .min_words = 1,
    .max_words = 2,
    .summary = "List models; show, activate, evaluate or delete one",
    .details = "MODEL is an id, or active for the one that answers queries.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_models,
};
