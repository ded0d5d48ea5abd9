/* info: what the server is and can do. completion and manual: what this program says of itself. */
#include <inttypes.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

/* "image, text" */
static void print_modalities(struct ist_table *table, const json_t *modalities)
{
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	const json_t *m;
	size_t i;

	json_array_foreach(modalities, i, m)
	    ist_buf_printf(&text, "%s%s", i > 0 ? ", " : "", json_string_value(m));
	ist_table_cell(table, "%s", text.len > 0 ? text.data : "-");
}

static void print_encoders(const struct ist_cli *cli, const json_t *info)
{
	static const char *const heads[] = {"encoder", "of", ">dim", "title"};
	const json_t *encoders = json_object_get(info, "encoders"), *e;
	struct ist_table table ist_auto(ist_table_finish);
	const char *title;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(encoders, i, e)
	{
		title = json_string_value(json_object_get(e, "title"));
		ist_table_cell(&table, "%s", json_string_value(json_object_get(e, "name")));
		print_modalities(&table, json_object_get(e, "modalities"));
		ist_table_cell(&table, "%" JSON_INTEGER_FORMAT,
			       json_integer_value(json_object_get(e, "dim")));
		ist_table_cell(&table, "%s", title != NULL ? title : "");
	}
	ist_table_print(&table, cli);
}

static void print_info(const struct ist_cli *cli, const json_t *info)
{
	const json_t *blas = json_object_get(info, "blas"), *method;
	const json_t *memory = json_object_get(json_object_get(info, "memory"), "resident_bytes");
	size_t i;

	printf("isthmusd %s at %s\n", json_string_value(json_object_get(info, "version")),
	       cli->http.base);
	printf("matrix products: %s kernel, %.0f GFLOP/s\n",
	       json_string_value(json_object_get(blas, "kernel")),
	       json_number_value(json_object_get(blas, "gflops")));
	if (json_is_integer(memory))
		printf("memory: %" JSON_INTEGER_FORMAT " MiB\n", json_integer_value(memory) >> 20);
	printf("methods:");
	json_array_foreach(json_object_get(info, "methods"), i, method)
	    printf(" %s", json_string_value(method));
	printf("\n\n");
	print_encoders(cli, info);
}

static enum ist_code run_info(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	json_t *info;

	if (ist_http_get(&cli->http, "/v1/info", &info, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(info);
	else
		print_info(cli, info);
	json_decref(info);
	return IST_OK;
}

const struct ist_command ist_cmd_info = {
    .name = "info",
    .words = "",
    .summary = "Show what the server is and can do",
    .run = run_info,
};

static const char *const shells[] = {"bash", NULL};

static enum ist_code run_completion(struct ist_cli *cli, const struct ist_args *args,
				    struct ist_err *err)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	if (strcmp(ist_args_word(args, 0), "bash") != 0)
		return ist_usage(err, "completion is there for bash only");
	ist_completion_put(&buf);
	fwrite(buf.data, 1, buf.len, stdout);
	return IST_OK;
}

const struct ist_command ist_cmd_completion = {
    .name = "completion",
    .words = "bash",
    .min_words = 1,
    .max_words = 1,
    .first = shells,
    .summary = "Print the completion of command lines: source <(isthmus completion bash)",
    .run = run_completion,
};

static enum ist_code run_manual(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	ist_manual_put(&buf);
	fwrite(buf.data, 1, buf.len, stdout);
	return IST_OK;
}

const struct ist_command ist_cmd_manual = {
    .name = "manual",
    .words = "",
    .summary = "Print the manual page: isthmus manual | man -l -",
    .run = run_manual,
};
