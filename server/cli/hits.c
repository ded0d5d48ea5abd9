/* A picture in a request, the model that is meant, hits in a reply. */
#include "server/cli/hits.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/base64.h"
#include "server/cli/print.h"

#define PICTURE_BYTES_MAX ((size_t)45 << 20)

enum ist_code ist_picture_json(const char *file, json_t **ret, struct ist_err *err)
{
	struct ist_buf picture ist_auto(ist_buf_finish) = {0};
	struct ist_buf text ist_auto(ist_buf_finish) = {0};

	if (ist_file_read(file, PICTURE_BYTES_MAX, &picture, err) != IST_OK)
		return err->code;
	ist_base64_put(&text, picture.data, picture.len);
	*ret = json_pack("{s:s}", "base64", text.data != NULL ? text.data : "");
	return IST_OK;
}

enum ist_code ist_model_resolve(struct ist_cli *cli, const char *collection, const char *model,
				char **ret, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("collections/%s", collection);
	const char *active;
	json_t *json;

	if (model != NULL && strcmp(model, "active") != 0) {
		*ret = ist_strdup(model);
		return IST_OK;
	}
	if (ist_http_get(&cli->http, path, &json, err) != IST_OK)
		return err->code;
	active = json_string_value(json_object_get(json, "active_model"));
	*ret = ist_strdup(active != NULL ? active : "");
	json_decref(json);
	return IST_OK;
}

enum ist_code ist_model_ask(struct ist_cli *cli, const char *collection, const char *model,
			    const char *verb, const json_t *body, json_t **ret, struct ist_err *err)
{
	ist_autofree char *id = NULL, *base = NULL, *path = NULL;
	enum ist_code code = ist_model_resolve(cli, collection, model, &id, err);

	if (code != IST_OK)
		return code;
	base = ist_http_path("collections/%s/models/%s", collection, id);
	path = ist_format("%s:%s", base, verb);
	return ist_http_json(&cli->http, "POST", path, body, ret, err);
}

static void put_number(struct ist_table *table, const json_t *number)
{
	if (json_is_number(number))
		ist_table_cell(table, "%.3f", json_number_value(number));
	else
		ist_table_cell(table, "-");
}

/* The text that was hit, or the item's first one. */
static const char *text_of(const json_t *hit)
{
	json_int_t i = json_integer_value(json_object_get(hit, "text"));
	const char *text =
	    json_string_value(json_array_get(json_object_get(hit, "texts"), (size_t)i));

	return text != NULL ? text : "";
}

void ist_hits_print(const struct ist_cli *cli, const json_t *hits)
{
	static const char *const heads[] = {">score", ">similarity", "found",
					    "id",     "label",	     "text"};
	const json_t *hit;
	struct ist_table table ist_auto(ist_table_finish);
	const char *label;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(hits, i, hit)
	{
		label = json_string_value(json_object_get(hit, "label"));
		put_number(&table, json_object_get(hit, "score"));
		put_number(&table, json_object_get(hit, "similarity"));
		ist_table_cell(&table, "%s", json_string_value(json_object_get(hit, "modality")));
		ist_table_cell(&table, "%s", json_string_value(json_object_get(hit, "id")));
		ist_table_cell(&table, "%s", label != NULL ? label : "");
		ist_table_cell(&table, "%s", text_of(hit));
	}
	ist_table_print(&table, cli);
}
