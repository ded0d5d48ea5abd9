/* render: pictures that a model draws of a text, as PNG files. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/base64.h"
#include "server/cli/hits.h"
#include "server/cli/print.h"

#define SEED_MAX 9007199254740991.0

static const struct ist_opt opts[] = {
    {"output", IST_OPT_FILE, 'o', "FILE", .help = "where to; of several: FILE-1, FILE-2, …"},
    {"count", IST_OPT_INT, 'n', "N", .min = 1, .max = 16, .help = "pictures (1)"},
    {"seed", IST_OPT_INT, 0, "N", .max = SEED_MAX, .help = "of the noise that they come from (0)"},
    {"model", IST_OPT_TEXT, 'm', "MODEL", .help = "another model than the active one"},
};

/* drawn.png is drawn-2.png where it is the second of several. */
static char *name_of(const char *file, size_t i, size_t n)
{
	const char *base = strrchr(file, '/'), *suffix;

	base = base != NULL ? base + 1 : file;
	suffix = strrchr(base, '.');
	if (suffix == NULL || suffix == base)
		suffix = base + strlen(base);
	return n == 1 ? ist_strdup(file)
		      : ist_format("%.*s-%zu%s", (int)(suffix - file), file, i + 1, suffix);
}

/* Durably and whole, or not at all. */
static enum ist_code write_picture(const struct ist_cli *cli, const json_t *image, const char *file,
				   struct ist_err *err)
{
	const char *text = json_string_value(json_object_get(image, "base64"));
	size_t len = text != NULL ? strlen(text) : 0, n;
	ist_autofree char *data = ist_alloc(ist_base64_bound(len) + 1, 1);

	if (text == NULL || !ist_base64_decode(text, len, data, &n))
		return ist_fail(err, IST_CORRUPT, "the server's reply holds no picture");
	if (ist_file_write(file, data, n, err) != IST_OK)
		return err->code;
	if (!cli->quiet)
		puts(file);
	return IST_OK;
}

static enum ist_code write_all(const struct ist_cli *cli, const json_t *images, const char *file,
			       struct ist_err *err)
{
	size_t n = json_array_size(images);
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < n && code == IST_OK; i++) {
		ist_autofree char *name = name_of(file, i, n);

		code = write_picture(cli, json_array_get(images, i), name, err);
	}
	return code;
}

/* Without a file there would be nothing to show but the server's JSON. */
static enum ist_code run_render(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	const char *file = ist_args_text(args, "output");
	json_t *body, *reply;
	enum ist_code code;

	if (file == NULL && !cli->json)
		return ist_usage(err, "where to? -o FILE");
	body = json_pack("{s:s, s:I, s:I}", "text", ist_args_word(args, 1), "count",
			 (json_int_t)ist_args_int(args, "count", 1), "seed",
			 (json_int_t)ist_args_int(args, "seed", 0));
	if (body == NULL)
		return ist_usage(err, "the text is not UTF-8");
	code = ist_model_ask(cli, ist_args_word(args, 0), ist_args_text(args, "model"), "render",
			     body, &reply, err);
	json_decref(body);
	if (code != IST_OK)
		return code;
	if (file != NULL)
		code = write_all(cli, json_object_get(reply, "images"), file, err);
	else
		ist_print_json(reply);
	json_decref(reply);
	return code;
}

const struct ist_command ist_cmd_render = {
    .name = "render",
    .words = "COLLECTION TEXT",
    .min_words = 2,
    .max_words = 2,
    .summary = "Let a model draw pictures of a text",
    .details =
	"They are written as PNG files; the same text, seed and count give the same "
	"pictures. With --json and no FILE the server's reply is printed. Of the methods, gxn "
	"draws, where it was trained with --param generator=pixels over the image encoder "
	"pixels.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_render,
};
