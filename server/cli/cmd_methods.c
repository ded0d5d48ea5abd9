/* methods: what can be trained, and the parameters of one. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

static const char *text(const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, name));

	return s != NULL ? s : "";
}

static void print_methods(const struct ist_cli *cli, const json_t *methods)
{
	static const char *const heads[] = {"method", "needs", "title"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *m, *need;
	size_t i, k;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(methods, i, m)
	{
		struct ist_buf needs ist_auto(ist_buf_finish) = {0};

		ist_buf_puts(&needs, "");
		json_array_foreach(json_object_get(m, "needs"), k, need)
		    ist_buf_printf(&needs, "%s%s", k > 0 ? ", " : "", json_string_value(need));
		ist_table_cell(&table, "%s", text(m, "name"));
		ist_table_cell(&table, "%s", needs.data);
		ist_table_cell(&table, "%s", text(m, "title"));
	}
	ist_table_print(&table, cli);
}

/* "1 to 512", "zscore, unit", or nothing. */
static char *range_of(const json_t *param)
{
	const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
	const json_t *choices = json_object_get(param, "choices"), *choice;
	struct ist_buf buf = {0};
	size_t i;

	ist_buf_puts(&buf, "");
	if (json_is_number(min) && json_is_number(max))
		ist_buf_printf(&buf, "%.10g to %.10g", json_number_value(min),
			       json_number_value(max));
	json_array_foreach(choices, i, choice)
	    ist_buf_printf(&buf, "%s%s", i > 0 ? ", " : "", json_string_value(choice));
	return buf.data;
}

static void print_params(const struct ist_cli *cli, const json_t *method)
{
	static const char *const heads[] = {"parameter", "type", "default", "allowed", "meaning"};
	const json_t *param;
	struct ist_table table ist_auto(ist_table_finish);
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(json_object_get(method, "params"), i, param)
	{
		ist_autofree char *range = range_of(param);
		ist_autofree char *otherwise = json_dumps(json_object_get(param, "default"),
							  JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

		ist_table_cell(&table, "%s", text(param, "name"));
		ist_table_cell(&table, "%s", text(param, "type"));
		ist_table_cell(&table, "%s", otherwise != NULL ? otherwise : "");
		ist_table_cell(&table, "%s", range);
		ist_table_cell(&table, "%s", text(param, "help"));
	}
	ist_table_print(&table, cli);
}

static void print_method(const struct ist_cli *cli, const json_t *method)
{
	const json_t *paper = json_object_get(method, "paper");

	if (cli->json) {
		ist_print_json(method);
		return;
	}
	printf("%s: %s\n", text(method, "name"), text(method, "title"));
	if (json_is_object(paper))
		printf("%s: %s. %s %" JSON_INTEGER_FORMAT "\n", text(paper, "authors"),
		       text(paper, "title"), text(paper, "venue"),
		       json_integer_value(json_object_get(paper, "year")));
	print_params(cli, method);
}

static const json_t *find(const json_t *methods, const char *name)
{
	const json_t *method;
	size_t i;

	json_array_foreach(methods, i,
			   method) if (strcmp(text(method, "name"), name) == 0) return method;
	return NULL;
}

static enum ist_code run_methods(struct ist_cli *cli, const struct ist_args *args,
				 struct ist_err *err)
{
	const char *name = ist_args_word(args, 0);
	enum ist_code code = IST_OK;
	const json_t *methods, *method;
	json_t *reply;

	if (ist_http_get(&cli->http, "/v1/methods", &reply, err) != IST_OK)
		return err->code;
	methods = json_object_get(reply, "methods");
	method = name != NULL ? find(methods, name) : NULL;
	if (name != NULL && method == NULL)
		code = ist_fail(err, IST_NOT_FOUND, "no method %s; see isthmus methods", name);
	else if (method != NULL)
		print_method(cli, method);
	else if (cli->json)
		ist_print_json(methods);
	else
		print_methods(cli, methods);
	json_decref(reply);
	return code;
}

const struct ist_command ist_cmd_methods = {
    .name = "methods",
    .words = "[METHOD]",
    .max_words = 1,
    .summary = "List the methods, or the parameters of one",
    .run = run_methods,
};
