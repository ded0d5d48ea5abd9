/* caption: the sentences that a model writes about a picture. */
#include <stdio.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/cli/hits.h"
#include "server/cli/print.h"

static const struct ist_opt opts[] = {
    {"model", IST_OPT_TEXT, 'm', "MODEL", .help = "another model than the active one"},
    {"beam", IST_OPT_INT, 'b', "N", .min = 1, .max = 16,
     .help = "sentences that are followed at once (4; 1: always the likeliest word)"},
    {"id", IST_OPT_FLAG, 0, .help = "PICTURE is an item's id, even if a file is called so"},
};

/* A file of that name, else an item. */
static enum ist_code body_of(const struct ist_args *args, json_t **ret, struct ist_err *err)
{
	const char *word = ist_args_word(args, 1);
	json_t *picture = NULL;

	if (ist_args_flag(args, "id") || access(word, F_OK) != 0)
		picture = json_pack("{s:s}", "id", word);
	else if (ist_picture_json(word, &picture, err) != IST_OK)
		return err->code;
	if (picture == NULL)
		return ist_usage(err, "the name of the picture is not UTF-8");
	*ret = json_pack("{s:o, s:I}", "image", picture, "beam",
			 (json_int_t)ist_args_int(args, "beam", 4));
	return IST_OK;
}

static void print_captions(const struct ist_cli *cli, const json_t *captions)
{
	static const char *const heads[] = {">log probability", "text"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *one;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(captions, i, one)
	{
		ist_table_cell(&table, "%.3f",
			       json_number_value(json_object_get(one, "log_probability")));
		ist_table_cell(&table, "%s", json_string_value(json_object_get(one, "text")));
	}
	ist_table_print(&table, cli);
}

static enum ist_code run_caption(struct ist_cli *cli, const struct ist_args *args,
				 struct ist_err *err)
{
	json_t *body = NULL, *reply;
	enum ist_code code = body_of(args, &body, err);

	if (code == IST_OK) {
		code = ist_model_ask(cli, ist_args_word(args, 0), ist_args_text(args, "model"),
				     "caption", body, &reply, err);
		json_decref(body);
	}
	if (code != IST_OK)
		return code;
	if (cli->json)
		ist_print_json(reply);
	else
		print_captions(cli, json_object_get(reply, "captions"));
	json_decref(reply);
	return IST_OK;
}

const struct ist_command ist_cmd_caption = {
    .name = "caption",
    .words = "COLLECTION PICTURE",
    .min_words = 2,
    .max_words = 2,
    .summary = "Let a model write about a picture",
    .details = "PICTURE is a file, or the id of an item. Of the methods, gxn writes, where it was "
	       "trained with --param captions=true.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_caption,
};
