/* encoders: lists them, shows one, installs a folder, removes one. */
#include <inttypes.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/encoder_folder.h"
#include "server/cli/print.h"

static const char *const actions[] = {"list", "show", "add", "remove", NULL};

static const struct ist_opt opts[] = {
    {"name", IST_OPT_TEXT, 'n', "NAME", .help = "add: another name than the folder's own"},
};

static const char *text(const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, name));

	return s != NULL ? s : "";
}

static void put_list(struct ist_buf *buf, const json_t *list, const char *between)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	    ist_buf_printf(buf, "%s%s", i > 0 ? between : "", json_string_value(one));
}

static void list_cell(struct ist_table *table, const json_t *list)
{
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};

	put_list(&buf, list, ", ");
	ist_table_cell(table, "%s", buf.len > 0 ? buf.data : "-");
}

static void size_cell(struct ist_table *table, json_int_t bytes)
{
	if (bytes == 0)
		ist_table_cell(table, "-");
	else
		ist_table_cell(table, "%.1f MB", (double)bytes / 1e6);
}

static void print_encoders(const struct ist_cli *cli, const json_t *encoders)
{
	static const char *const heads[] = {"encoder", "of", ">dim", ">files", "used by", "title"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *e, *dim;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(encoders, i, e)
	{
		dim = json_object_get(e, "dim");
		ist_table_cell(&table, "%s", text(e, "name"));
		list_cell(&table, json_object_get(e, "modalities"));
		if (json_is_integer(dim))
			ist_table_cell(&table, "%" JSON_INTEGER_FORMAT, json_integer_value(dim));
		else
			ist_table_cell(&table, "-");
		size_cell(&table, json_integer_value(json_object_get(e, "bytes")));
		list_cell(&table, json_object_get(e, "collections"));
		if (text(e, "error")[0] != '\0')
			ist_table_cell(&table, "cannot be used: %s", text(e, "error"));
		else
			ist_table_cell(&table, "%s", text(e, "title"));
	}
	ist_table_print(&table, cli);
}

static void print_one(const struct ist_cli *cli, json_t *encoder)
{
	json_t *all = json_pack("[O]", encoder);

	if (cli->json)
		ist_print_json(encoder);
	else
		print_encoders(cli, all);
	if (!cli->json && text(encoder, "fingerprint")[0] != '\0')
		printf("architecture: %s, fingerprint: %s\n", text(encoder, "architecture"),
		       text(encoder, "fingerprint"));
	json_decref(all);
}

static enum ist_code list(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	json_t *reply;

	if (ist_http_get(&cli->http, "/v1/encoders", &reply, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(json_object_get(reply, "encoders"));
	else
		print_encoders(cli, json_object_get(reply, "encoders"));
	json_decref(reply);
	return IST_OK;
}

static enum ist_code show(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("encoders/%s", ist_args_word(args, 1));
	json_t *encoder;

	if (ist_http_get(&cli->http, path, &encoder, err) != IST_OK)
		return err->code;
	print_one(cli, encoder);
	json_decref(encoder);
	return IST_OK;
}

/* "all-minilm-l6-v2" of "models/all-minilm-l6-v2/" */
static char *name_of(const char *path)
{
	size_t end = strlen(path), start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		continue;
	return ist_strndup(path + start, end - start);
}

struct sending {
	const struct ist_cli *cli;
	struct ist_encoder_folder *folder;
	struct ist_progress progress;
	uint64_t done, bytes;
};

static size_t send_some(char *data, size_t size, size_t n, void *user)
{
	struct sending *s = user;
	size_t got =
	    ist_interrupted() ? SIZE_MAX : ist_encoder_folder_read(s->folder, data, size * n);

	if (got == SIZE_MAX)
		return CURL_READFUNC_ABORT;
	s->done += got;
	if (!s->cli->quiet)
		ist_progress_draw(&s->progress, s->done / 1000000,
				  (double)s->done / (double)s->bytes, NULL);
	return got;
}

static enum ist_code send_folder(struct ist_cli *cli, struct ist_encoder_folder *folder,
				 const char *name, struct ist_buf *ret, struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("encoders/%s", name);
	struct sending s = {
	    .cli = cli, .folder = folder, .bytes = ist_encoder_folder_bytes(folder)};
	struct ist_http_call call = {.method = "PUT",
				     .path = path,
				     .type = "application/x-tar",
				     .read = send_some,
				     .read_user = &s,
				     .len = s.bytes};
	enum ist_code code;

	ist_interrupt_catch();
	ist_progress_init(&s.progress, cli, "MB");
	code = ist_http_call(&cli->http, &call, ret, NULL, err);
	ist_progress_clear(&s.progress);
	return code;
}

static enum ist_code add(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	const char *path = ist_args_word(args, 1), *given = ist_args_text(args, "name");
	ist_autofree char *name = given != NULL ? ist_strdup(given) : name_of(path);
	ist_auto(ist_buf_finish) struct ist_buf reply = {0};
	struct ist_encoder_folder *folder;
	json_t *encoder;
	enum ist_code code;

	if (ist_encoder_folder_open(path, &folder, err) != IST_OK)
		return err->code;
	code = send_folder(cli, folder, name, &reply, err);
	ist_encoder_folder_close(folder);
	if (code != IST_OK)
		return code;
	encoder = json_loadb(reply.data, reply.len, 0, NULL);
	print_one(cli, encoder);
	json_decref(encoder);
	return IST_OK;
}

static enum ist_code remove_one(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("encoders/%s", ist_args_word(args, 1));
	json_t *none;

	return ist_http_json(&cli->http, "DELETE", path, NULL, &none, err);
}

static const struct {
	const char *name, *word; /* NULL: takes none */
	enum ist_code (*run)(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err);
} rows[] = {
    {"list", NULL, list},
    {"show", "NAME", show},
    {"add", "FOLDER", add},
    {"remove", "NAME", remove_one},
};

static enum ist_code run_encoders(struct ist_cli *cli, const struct ist_args *args,
				  struct ist_err *err)
{
	const char *action = ist_args_word(args, 0), *word = ist_args_word(args, 1);

	if (action == NULL)
		return list(cli, args, err);
	for (size_t i = 0; i < IST_COUNT(rows); i++) {
		if (strcmp(rows[i].name, action) != 0)
			continue;
		if ((rows[i].word != NULL) != (word != NULL))
			return ist_usage(err, "isthmus encoders %s %s", action,
					 rows[i].word != NULL ? rows[i].word : "takes no word");
		return rows[i].run(cli, args, err);
	}
	return ist_usage(err, "encoders list, show, add or remove, not \"%s\"", action);
}

const struct ist_command ist_cmd_encoders = {
    .name = "encoders",
    .words = "[list|show|add|remove] [NAME|FOLDER]",
    .max_words = 2,
    .first = actions,
    .summary = "List, show, install or remove encoders",
    .details = "add takes a folder in the layout of the model hubs: config.json, "
	       "model.safetensors, tokenizer files. The server checks all of it before it is "
	       "listed, and names the tensor that is wrong.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_encoders,
};
