/* export: all items of a collection as NDJSON, which an import takes back unchanged. */
#include <errno.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

static const struct ist_opt opts[] = {
    {"output", IST_OPT_FILE, 'o', "FILE", .help = "where to, instead of standard output"},
    {"no-images", IST_OPT_FLAG, 0, .help = "leave out the pictures"},
    {"filter", IST_OPT_TEXT, 'f', "FILTER", .help = "label=animals and year>=2020"},
};

struct sink {
	FILE *file;
	int error; /* errno of a write that failed */
	uint64_t lines;
	struct ist_progress progress;
};

static bool on_data(void *user, const char *data, size_t len)
{
	struct sink *sink = user;

	if (ist_interrupted())
		return false;
	if (fwrite(data, 1, len, sink->file) != len) {
		sink->error = errno;
		return false;
	}
	for (const char *p = data; (p = memchr(p, '\n', len - (size_t)(p - data))) != NULL; p++)
		sink->lines++;
	ist_progress_draw(&sink->progress, sink->lines, -1, "");
	return true;
}

static enum ist_code transfer(struct ist_cli *cli, const char *path, struct sink *sink,
			      struct ist_err *err)
{
	struct ist_http_call call = {.method = "GET", .path = path, .data = on_data, .user = sink};
	enum ist_code code;

	ist_interrupt_catch();
	ist_progress_init(&sink->progress, cli, "items");
	code = ist_http_call(&cli->http, &call, NULL, NULL, err);
	ist_progress_clear(&sink->progress);
	if (ist_interrupted())
		return ist_fail(err, IST_CANCELLED, "interrupted: the export is not whole");
	if (code == IST_OK && fflush(sink->file) != 0)
		sink->error = errno;
	if (sink->error != 0) {
		errno = sink->error;
		return ist_fail_errno(err, "writing the export");
	}
	return code;
}

static char *path_of(const struct ist_args *args)
{
	ist_autofree char *base =
	    ist_http_path("collections/%s/items:export", ist_args_word(args, 0));
	const char *filter = ist_args_text(args, "filter");
	struct ist_buf path = {0};

	ist_buf_printf(&path, "%s?images=%s", base,
		       ist_args_flag(args, "no-images") ? "false" : "true");
	if (filter != NULL) {
		ist_buf_puts(&path, "&filter=");
		ist_url_put(&path, filter);
	}
	return path.data;
}

static enum ist_code run_export(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	const char *file = ist_args_text(args, "output");
	struct sink sink = {.file = file != NULL ? fopen(file, "we") : stdout};
	ist_autofree char *path = path_of(args);
	enum ist_code code;

	if (sink.file == NULL)
		return ist_fail_errno(err, "%s", file);
	code = transfer(cli, path, &sink, err);
	if (file != NULL && fclose(sink.file) != 0 && code == IST_OK)
		code = ist_fail_errno(err, "%s", file);
	return code;
}

const struct ist_command ist_cmd_export = {
    .name = "export",
    .words = "COLLECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "Write all items of a collection as NDJSON",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_export,
};
