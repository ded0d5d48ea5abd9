/* collections: lists, shows, makes and removes them. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/encoder_choice.h"
#include "server/cli/print.h"

static const char *const actions[] = {"list", "show", "create", "delete", NULL};

static const struct ist_opt opts[] = {
    {"image-encoder", IST_OPT_TEXT, 0, "NAME[:DIM]", .help = "create: the encoder of pictures"},
    {"text-encoder", IST_OPT_TEXT, 0, "NAME[:DIM]", .help = "create: the encoder of texts"},
    {"geometry", IST_OPT_TEXT, 0, "auto|pad|crop",
     .help = "create: how pictures become the square that a network sees"},
    {"split", IST_OPT_TEXT, 0, "JSON",
     .help = "create: {\"validation\": 0.1, \"test\": 0.2} or {\"field\": \"part\"}"},
    {"yes", IST_OPT_FLAG, 'y', .help = "delete: with all that it holds, without a question"},
};

static const char *text(const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, name));

	return s != NULL ? s : "";
}

static json_int_t number(const json_t *json, const char *object, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(json, object), name));
}

static void print_collections(const struct ist_cli *cli, const json_t *collections)
{
	static const char *const heads[] = {"collection", ">items",    ">images",  ">texts",
					    ">labelled",  "images by", "texts by", "model"};
	static const char *const counts[] = {"items", "images", "texts", "labelled"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *c;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(collections, i, c)
	{
		ist_table_cell(&table, "%s", text(c, "name"));
		for (size_t k = 0; k < IST_COUNT(counts); k++)
			ist_table_cell(&table, "%" JSON_INTEGER_FORMAT,
				       number(c, "counts", counts[k]));
		ist_table_cell(&table, "%s", text(json_object_get(c, "image_encoder"), "name"));
		ist_table_cell(&table, "%s", text(json_object_get(c, "text_encoder"), "name"));
		ist_table_cell(&table, "%s", text(c, "active_model"));
	}
	ist_table_print(&table, cli);
}

static void print_collection(const struct ist_cli *cli, json_t *collection)
{
	const json_t *index = json_object_get(collection, "index");
	ist_autofree char *split =
	    json_dumps(json_object_get(collection, "split"), JSON_REAL_PRECISION(6));
	json_t *all = json_pack("[O]", collection);

	if (cli->json) {
		ist_print_json(collection);
	} else {
		print_collections(cli, all);
		printf("index: %s, %" JSON_INTEGER_FORMAT " in it and %" JSON_INTEGER_FORMAT
		       " fresh, %s\nsplit: %s\npictures: %s\n",
		       text(index, "kind"), json_integer_value(json_object_get(index, "base")),
		       json_integer_value(json_object_get(index, "fresh")), text(index, "state"),
		       split != NULL ? split : "", text(collection, "geometry"));
	}
	json_decref(all);
}

static enum ist_code list(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	json_t *all;

	if (ist_http_list(&cli->http, "/v1/collections", "collections", 0, &all, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(all);
	else
		print_collections(cli, all);
	json_decref(all);
	return IST_OK;
}

static enum ist_code show(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s", ist_args_word(args, 1));
	json_t *collection;

	if (ist_http_get(&cli->http, path, &collection, err) != IST_OK)
		return err->code;
	print_collection(cli, collection);
	json_decref(collection);
	return IST_OK;
}

static enum ist_code create(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s", ist_args_word(args, 1));
	const char *split = ist_args_text(args, "split");
	const char *geometry = ist_args_text(args, "geometry");
	json_t *body = json_object(), *collection, *json = NULL;
	enum ist_code code;

	ist_encoder_choice_add(body, "image_encoder", ist_args_text(args, "image-encoder"), 0);
	ist_encoder_choice_add(body, "text_encoder", ist_args_text(args, "text-encoder"), 0);
	if (geometry != NULL)
		json_object_set_new(body, "geometry", json_string(geometry));
	if (split != NULL)
		json = json_loads(split, 0, NULL);
	if (json != NULL)
		json_object_set_new(body, "split", json);
	if (split != NULL && json == NULL)
		code = ist_usage(err, "--split: must be JSON, got %s", split);
	else
		code = ist_http_json(&cli->http, "PUT", path, body, &collection, err);
	json_decref(body);
	if (code != IST_OK)
		return code;
	print_collection(cli, collection);
	json_decref(collection);
	return IST_OK;
}

static enum ist_code delete (struct ist_cli *cli, const struct ist_args *args,
			     struct ist_err *err) {
	ist_autofree char *path = ist_http_path("collections/%s", ist_args_word(args, 1));
	json_t * none;

	if (!ist_args_flag(args, "yes")) return ist_usage(
	    err, "\"%s\" and all its items and models would be gone: say --yes",
	    ist_args_word(args, 1));
	return ist_http_json(&cli->http, "DELETE", path, NULL, &none, err);
}

static const struct {
	const char *name;
	bool named; /* wants a collection */
	enum ist_code (*run)(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err);
} rows[] = {
    {"list", false, list},
    {"show", true, show},
    {"create", true, create},
    {"delete", true, delete},
};

static enum ist_code run_collections(struct ist_cli *cli, const struct ist_args *args,
				     struct ist_err *err)
{
	const char *action = ist_args_word(args, 0), *name = ist_args_word(args, 1);

	if (action == NULL)
		return list(cli, args, err);
	for (size_t i = 0; i < IST_COUNT(rows); i++) {
		if (strcmp(rows[i].name, action) != 0)
			continue;
		if (rows[i].named != (name != NULL))
			return ist_usage(err, "isthmus collections %s%s", action,
					 rows[i].named ? " NAME" : " takes no name");
		return rows[i].run(cli, args, err);
	}
	return ist_usage(err, "collections list, show, create or delete, not \"%s\"", action);
}

const struct ist_command ist_cmd_collections = {
    .name = "collections",
    .words = "[list|show|create|delete] [NAME]",
    .max_words = 2,
    .first = actions,
    .summary = "List, show, make or remove collections",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_collections,
};
