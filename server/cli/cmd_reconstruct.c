/* reconstruct: what a model imagines, and the items nearest to that. */
#include "core/base/memory.h"
#include "server/cli/hits.h"
#include "server/cli/print.h"

static const char *const sides[] = {"image", "text", NULL};

static const struct ist_opt opts[] = {
    {"text", IST_OPT_TEXT, 't', "WORDS", .help = "imagine from these words"},
    {"image", IST_OPT_FILE, 'i', "FILE", .help = "imagine from a picture"},
    {"id", IST_OPT_TEXT, 0, "ID", .help = "imagine from an item"},
    {"modality", IST_OPT_CHOICE, 0, "SIDE", sides, .help = "which side of that item"},
    {"target", IST_OPT_CHOICE, 0, "SIDE", sides,
     .help = "image, text: what to imagine (the other)"},
    {"limit", IST_OPT_INT, 'n', "N", .max = 100, .help = "neighbours at most (10)"},
};

static enum ist_code body_of(const struct ist_args *args, json_t **ret, struct ist_err *err)
{
	static const char *const members[] = {"text", "id", "modality", "target"};
	const char *file = ist_args_text(args, "image"), *value;
	json_t *body = json_object(), *picture;

	json_object_set_new(body, "limit", json_integer(ist_args_int(args, "limit", 10)));
	for (size_t i = 0; i < IST_COUNT(members); i++)
		if ((value = ist_args_text(args, members[i])) != NULL)
			json_object_set_new(body, members[i], json_string(value));
	*ret = body;
	if (file == NULL)
		return IST_OK;
	if (ist_picture_json(file, &picture, err) != IST_OK)
		return err->code;
	json_object_set_new(body, "image", picture);
	return IST_OK;
}

static enum ist_code run_reconstruct(struct ist_cli *cli, const struct ist_args *args,
				     struct ist_err *err)
{
	int n = (ist_args_text(args, "image") != NULL) + (ist_args_text(args, "text") != NULL) +
		(ist_args_text(args, "id") != NULL);
	json_t *body, *reply;
	enum ist_code code;

	if (n != 1)
		return ist_usage(err, "imagine from one of --text, --image and --id");
	code = body_of(args, &body, err);
	if (code == IST_OK)
		code = ist_model_ask(cli, ist_args_word(args, 0), ist_args_word(args, 1),
				     "reconstruct", body, &reply, err);
	json_decref(body);
	if (code != IST_OK)
		return code;
	if (cli->json)
		ist_print_json(reply);
	else
		ist_hits_print(cli, json_object_get(reply, "nearest"));
	json_decref(reply);
	return IST_OK;
}

const struct ist_command ist_cmd_reconstruct = {
    .name = "reconstruct",
    .words = "COLLECTION MODEL",
    .min_words = 2,
    .max_words = 2,
    .summary = "Show what a model imagines",
    .details = "A model whose method can (cmgan, corrae) makes the feature that a text, a picture "
	       "or an item calls up, by default of the other side. The items nearest to it are "
	       "listed; with --json the feature is there too.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_reconstruct,
};
