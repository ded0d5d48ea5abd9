/* query: the items nearest to a text, a picture or another item. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/hits.h"
#include "server/cli/print.h"

static const char *const targets[] = {"image", "text", "any", NULL};
static const char *const modalities[] = {"image", "text", NULL};

static const struct ist_opt opts[] = {
    {"text", IST_OPT_TEXT, 't', "WORDS", .help = "what to look for"},
    {"image", IST_OPT_FILE, 'i', "FILE", .help = "a picture to look with"},
    {"id", IST_OPT_TEXT, 0, "ID", .help = "an item to look with"},
    {"compose", IST_OPT_TEXT, 'c', "WORDS",
     .help = "what to change about --image or --id: find such a picture"},
    {"modality", IST_OPT_CHOICE, 0, "SIDE", modalities, .help = "which side of that item"},
    {"target", IST_OPT_CHOICE, 0, "SIDE", targets, .help = "image, text, any (any): what to find"},
    {"limit", IST_OPT_INT, 'n', "N", .min = 1, .max = 1000, .help = "hits at most (10)"},
    {"filter", IST_OPT_TEXT, 'f', "FILTER", .help = "label=animals and year>=2020"},
    {"threshold", IST_OPT_REAL, 0, "P", .max = 1, .help = "least score"},
    {"min-similarity", IST_OPT_REAL, 0, "X", .min = -1e300, .max = 1e300,
     .help = "least similarity"},
    {"model", IST_OPT_TEXT, 0, "MODEL", .help = "another than the active one"},
    {"exact", IST_OPT_FLAG, 0, .help = "compare with all, not through the index"},
};

/* ---- the request ---- */

static const struct {
	const char *option, *parameter;
} passed[] = {
    {"text", "text"},
    {"id", "id"},
    {"modality", "modality"},
    {"target", "target"},
    {"limit", "limit"},
    {"filter", "filter"},
    {"model", "model"},
    {"threshold", "threshold"},
    {"min-similarity", "min_similarity"},
};

/* By text and id: all of it stands in the address, filters in their short form. */
static char *get_path(const struct ist_args *args)
{
	struct ist_buf path = {0};
	ist_autofree char *base = ist_http_path("collections/%s/query", ist_args_word(args, 0));
	char between = '?';

	ist_buf_puts(&path, base);
	for (size_t i = 0; i < IST_COUNT(passed); i++) {
		const char *value = ist_args_text(args, passed[i].option);

		if (value == NULL)
			continue;
		ist_buf_printf(&path, "%c%s=", between, passed[i].parameter);
		ist_url_put(&path, value);
		between = '&';
	}
	if (ist_args_flag(args, "exact"))
		ist_buf_printf(&path, "%cexact=true", between);
	return path.data;
}

/* A body has its filter in JSON; the short form is the server's to read, and stands in addresses.
 */
static enum ist_code add_options(const struct ist_args *args, json_t *body, struct ist_err *err)
{
	static const char *const texts[] = {"target", "model"};
	static const char *const numbers[][2] = {{"threshold", "threshold"},
						 {"min-similarity", "min_similarity"}};
	const char *filter = ist_args_text(args, "filter"), *value;
	json_t *json;

	for (size_t i = 0; i < IST_COUNT(texts); i++)
		if ((value = ist_args_text(args, texts[i])) != NULL)
			json_object_set_new(body, texts[i], json_string(value));
	for (size_t i = 0; i < IST_COUNT(numbers); i++)
		if ((value = ist_args_text(args, numbers[i][0])) != NULL)
			json_object_set_new(body, numbers[i][1], json_real(strtod(value, NULL)));
	if (ist_args_text(args, "compose") != NULL && ist_args_text(args, "modality") != NULL)
		return ist_usage(err, "--modality does not go with --compose");
	json_object_set_new(body, "limit", json_integer(ist_args_int(args, "limit", 10)));
	if (ist_args_flag(args, "exact"))
		json_object_set_new(body, "exact", json_true());
	if (filter == NULL)
		return IST_OK;
	json = json_loads(filter, 0, NULL);
	if (json == NULL)
		return ist_usage(err, "--filter: with --image or --compose it must be JSON, "
				      "{\"eq\": {\"label\": \"animals\"}}");
	json_object_set_new(body, "filter", json);
	return IST_OK;
}

/* {"compose": {"image": the picture or {"id"}, "text"}} */
static json_t *composed(const struct ist_args *args, json_t *picture)
{
	if (picture == NULL)
		picture = json_pack("{s:s}", "id", ist_args_text(args, "id"));
	return json_pack("{s:{s:o, s:s}}", "compose", "image", picture, "text",
			 ist_args_text(args, "compose"));
}

static enum ist_code add_query(const struct ist_args *args, json_t *body, struct ist_err *err)
{
	static const char *const members[] = {"text", "id", "modality"};
	const char *file = ist_args_text(args, "image"), *value;
	json_t *query, *picture = NULL;

	if (file != NULL && ist_picture_json(file, &picture, err) != IST_OK)
		return err->code;
	if (ist_args_text(args, "compose") != NULL) {
		query = composed(args, picture);
	} else {
		query = json_object();
		for (size_t i = 0; i < IST_COUNT(members); i++)
			if ((value = ist_args_text(args, members[i])) != NULL)
				json_object_set_new(query, members[i], json_string(value));
		if (picture != NULL)
			json_object_set_new(query, "image", picture);
	}
	json_object_set_new(body, "query", query);
	return IST_OK;
}

static enum ist_code by_post(struct ist_cli *cli, const struct ist_args *args, json_t **ret,
			     struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s/query", ist_args_word(args, 0));
	json_t *body = json_object();
	enum ist_code code = add_query(args, body, err);

	if (code == IST_OK)
		code = add_options(args, body, err);
	if (code == IST_OK)
		code = ist_http_json(&cli->http, "POST", path, body, ret, err);
	json_decref(body);
	return code;
}

/* ---- the answer ---- */

static void print_reply(const struct ist_cli *cli, const json_t *reply)
{
	const json_t *hits = json_object_get(reply, "hits");

	ist_hits_print(cli, hits);
	if (!cli->quiet && cli->tty_out)
		printf("%s%zu hits by %s in %.1f ms%s\n", ist_color(cli->color_out, IST_DIM),
		       json_array_size(hits), json_string_value(json_object_get(reply, "model")),
		       json_number_value(json_object_get(reply, "took_ms")),
		       ist_color(cli->color_out, IST_PLAIN));
}

static enum ist_code run_query(struct ist_cli *cli, const struct ist_args *args,
			       struct ist_err *err)
{
	const char *image = ist_args_text(args, "image"), *filter = ist_args_text(args, "filter");
	const char *change = ist_args_text(args, "compose");
	int n = (image != NULL) + (ist_args_text(args, "text") != NULL) +
		(ist_args_text(args, "id") != NULL);
	ist_autofree char *path = get_path(args);
	enum ist_code code;
	json_t *reply;

	if (n != 1)
		return ist_usage(err, "query with one of --text, --image and --id");
	if (change != NULL && ist_args_text(args, "text") != NULL)
		return ist_usage(err, "--compose goes with --image or --id, not with --text");
	code = image != NULL || change != NULL || (filter != NULL && filter[0] == '{')
		   ? by_post(cli, args, &reply, err)
		   : ist_http_get(&cli->http, path, &reply, err);
	if (code != IST_OK)
		return code;
	if (cli->json)
		ist_print_json(reply);
	else
		print_reply(cli, reply);
	json_decref(reply);
	return IST_OK;
}

const struct ist_command ist_cmd_query = {
    .name = "query",
    .words = "COLLECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "Find the items nearest to a text, a picture or an item",
    .details = "The score is the probability of a true match, as the model's validation says; the "
	       "similarity is the model's own measure, greater is nearer.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_query,
};
