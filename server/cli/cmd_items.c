/* items: lists, shows and removes single ones. export: all of them as NDJSON. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

static const char *const actions[] = {"list", "get", "delete", NULL};

static const struct ist_opt opts[] = {
    {"filter", IST_OPT_TEXT, 'f', "FILTER", .help = "list: label=animals and year>=2020"},
    {"limit", IST_OPT_INT, 'n', "N", .min = 1, .max = 1e9, .help = "list: so many at most (20)"},
};

static const char *text(const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, name));

	return s != NULL ? s : "";
}

static void print_items(const struct ist_cli *cli, const json_t *items)
{
	static const char *const heads[] = {"id", "image", "label", "text"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *item;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(items, i, item)
	{
		const json_t *image = json_object_get(item, "image");
		const char *first =
		    json_string_value(json_array_get(json_object_get(item, "texts"), 0));

		ist_table_cell(&table, "%s", text(item, "id"));
		if (json_is_object(image))
			ist_table_cell(&table, "%" JSON_INTEGER_FORMAT "x%" JSON_INTEGER_FORMAT,
				       json_integer_value(json_object_get(image, "width")),
				       json_integer_value(json_object_get(image, "height")));
		else
			ist_table_cell(&table, "%s", "");
		ist_table_cell(&table, "%s", text(item, "label"));
		ist_table_cell(&table, "%s", first != NULL ? first : "");
	}
	ist_table_print(&table, cli);
}

static enum ist_code list(struct ist_cli *cli, const struct ist_args *args, const char *collection,
			  struct ist_err *err)
{
	ist_autofree char *base = ist_http_path("collections/%s/items", collection);
	struct ist_buf path ist_auto(ist_buf_finish) = {0};
	const char *filter = ist_args_text(args, "filter");
	json_t *items;

	ist_buf_puts(&path, base);
	if (filter != NULL) {
		ist_buf_puts(&path, "?filter=");
		ist_url_put(&path, filter);
	}
	if (ist_http_list(&cli->http, path.data, "items", (size_t)ist_args_int(args, "limit", 20),
			  &items, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(items);
	else
		print_items(cli, items);
	json_decref(items);
	return IST_OK;
}

static enum ist_code get(struct ist_cli *cli, const char *path, struct ist_err *err)
{
	json_t *item;

	if (ist_http_get(&cli->http, path, &item, err) != IST_OK)
		return err->code;
	ist_print_json(item);
	json_decref(item);
	return IST_OK;
}

static enum ist_code run_items(struct ist_cli *cli, const struct ist_args *args,
			       struct ist_err *err)
{
	const char *action = ist_args_word(args, 0), *collection = ist_args_word(args, 1);
	const char *id = ist_args_word(args, 2);
	ist_autofree char *path = NULL;
	json_t *none;

	if (strcmp(action, "list") == 0 && id == NULL)
		return list(cli, args, collection, err);
	if (strcmp(action, "get") != 0 && strcmp(action, "delete") != 0)
		return ist_usage(err, "items list COLLECTION, or items get|delete COLLECTION ID");
	if (id == NULL)
		return ist_usage(err, "which item? isthmus items %s %s ID", action, collection);
	path = ist_http_path("collections/%s/items/%s", collection, id);
	if (strcmp(action, "get") == 0)
		return get(cli, path, err);
	return ist_http_json(&cli->http, "DELETE", path, NULL, &none, err);
}

const struct ist_command ist_cmd_items = {
    .name = "items",
    .words = "list|get|delete COLLECTION [ID]",
    .min_words = 2,
    .max_words = 3,
    .first = actions,
    .summary = "List items; show or remove one",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_items,
};
