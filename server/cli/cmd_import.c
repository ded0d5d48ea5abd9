/* import: pictures, texts and vectors from files into a collection. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/encoder_choice.h"
#include "server/cli/print.h"
#include "server/cli/upload.h"

static const struct ist_opt opts[] = {
    {"collection", IST_OPT_TEXT, 'c', "NAME", .help = "where to; made if it is not there"},
    {"exclude", IST_OPT_TEXT, 0, "GLOB", .many = true,
     .help = "leave out pictures whose path matches; * matches a slash too"},
    {"label-levels", IST_OPT_INT, 0, "N", .max = 64,
     .help = "so many folders make the label (1; 0: no label)"},
    {"topic", IST_OPT_TEXT, 0, "FIELD",
     .help = "metadata field that gets the first folder (topic; '': none)"},
    {"languages", IST_OPT_TEXT, 0, "LIST",
     .help = "en,de: which of the translations in a .txt become texts (its first line)"},
    {"each-line", IST_OPT_FLAG, 0, .help = "each line of a .txt is a text of its own"},
    {"column", IST_OPT_TEXT, 0, "MEMBER=NAME", .many = true,
     .help = "CSV: the column that holds id, image, text or label"},
    {"delimiter", IST_OPT_TEXT, 0, "CHARACTER", .help = "CSV: between two fields (a comma)"},
    {"image-vectors", IST_OPT_FILE, 0, "X.npy", .help = "a row of image features an item"},
    {"text-vectors", IST_OPT_FILE, 0, "Y.npy", .help = "a row of text features an item"},
    {"labels", IST_OPT_FILE, 0, "L.npy", .help = "a label an item: .npy, or a file of lines"},
    {"ids", IST_OPT_FILE, 0, "FILE", .help = "an id an item: .npy, or a file of lines"},
    {"meta", IST_OPT_FILE, 0, "M.ndjson",
     .help = "an object an item: id, texts, label, anything else is metadata"},
    {"image-encoder", IST_OPT_TEXT, 0, "NAME[:DIM]", .help = "of a collection that is made"},
    {"text-encoder", IST_OPT_TEXT, 0, "NAME[:DIM]", .help = "of a collection that is made"},
    {"restart", IST_OPT_FLAG, 0, .help = "send all, even what an import that was cut has sent"},
    {"retries", IST_OPT_INT, 0, "N", .max = 100,
     .help = "how often a request that fails is sent again (5)"},
};

/* ---- the collection ---- */

/* Makes the collection if it is not there, or if encoders are named that it must have. */
static enum ist_code open_collection(struct ist_cli *cli, const struct ist_args *args,
				     const size_t widths[2], json_t **ret, struct ist_err *err)
{
	ist_autofree char *path =
	    ist_http_path("collections/%s", ist_args_text(args, "collection"));
	const char *image = ist_args_text(args, "image-encoder");
	const char *text = ist_args_text(args, "text-encoder");
	enum ist_code code;
	json_t *body;

	if (image == NULL && text == NULL) {
		code = ist_http_get(&cli->http, path, ret, err);
		if (code != IST_NOT_FOUND)
			return code;
	}
	body = json_object();
	ist_encoder_choice_add(body, "image_encoder", image, widths[0]);
	ist_encoder_choice_add(body, "text_encoder", text, widths[1]);
	code = ist_http_json(&cli->http, "PUT", path, body, ret, err);
	json_decref(body);
	return code;
}

/* ---- the import ---- */

struct import {
	struct ist_cli *cli;
	const struct ist_source_kind *kind;
	void *source;
	struct ist_journal *journal;
	struct ist_upload *upload;
	struct ist_progress progress;
};

static void import_finish(struct import *im)
{
	ist_upload_destroy(im->upload);
	ist_journal_destroy(im->journal);
	if (im->kind != NULL)
		im->kind->close(im->source);
}

static void draw(struct import *im)
{
	ist_autofree char *failed = NULL;
	uint64_t n = ist_upload_counts(im->upload)->failed;

	failed = n > 0 ? ist_format("  %" PRIu64 " failed", n) : ist_strdup("");
	im->progress.skipped = ist_upload_counts(im->upload)->skipped;
	ist_progress_draw(&im->progress, ist_upload_done(im->upload), im->kind->share(im->source),
			  failed);
}

static enum ist_code send_all(struct import *im, struct ist_err *err)
{
	bool more = true;

	while (!ist_interrupted()) {
		struct ist_record record = {0};

		if (im->kind->next(im->source, &record, &more, err) != IST_OK) {
			ist_record_finish(&record);
			if (!ist_interrupted())
				return err->code;
			break;
		}
		if (!more)
			return IST_OK;
		if (ist_upload_add(im->upload, &record, err) != IST_OK)
			return err->code;
		draw(im);
	}
	return ist_fail(err, IST_CANCELLED, "interrupted");
}

/* Whatever ended the reading: the answers to what is in flight are waited for. */
static enum ist_code transfer(struct import *im, struct ist_err *err)
{
	enum ist_code code = send_all(im, err);
	struct ist_err later = {0};

	if (ist_upload_finish(im->upload, &later) != IST_OK && code == IST_OK) {
		*err = later;
		code = later.code;
	}
	ist_progress_clear(&im->progress);
	if (code == IST_OK && ist_interrupted())
		code = ist_fail(err, IST_CANCELLED, "interrupted");
	if (code == IST_OK)
		ist_journal_remove(im->journal);
	return code;
}

/* ---- what came of it ---- */

static void list_failures(const struct import *im)
{
	const json_t *failures = ist_upload_failures(im->upload), *failure;
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};
	size_t i;

	json_array_foreach(failures, i, failure)
	{
		ist_autofree char *line =
		    ist_format("%s: %s (%s)", json_string_value(json_object_get(failure, "origin")),
			       json_string_value(json_object_get(failure, "detail")),
			       json_string_value(json_object_get(failure, "code")));

		ist_buf_puts(&buf, ist_color(im->cli->color_err, IST_RED));
		ist_buf_puts(&buf, "failed");
		ist_buf_puts(&buf, ist_color(im->cli->color_err, IST_PLAIN));
		ist_buf_puts(&buf, "  ");
		ist_text_put(&buf, line, 0);
		ist_buf_putc(&buf, '\n');
	}
	if (buf.len > 0)
		fwrite(buf.data, 1, buf.len, stderr);
}

static void print_summary(const struct import *im)
{
	const struct ist_upload_counts *c = ist_upload_counts(im->upload);
	double seconds = (double)(ist_clock_ms() - im->progress.begin_ms) / 1000;

	if (im->cli->json) {
		json_t *json =
		    json_pack("{s:I, s:I, s:I, s:I, s:I, s:O}", "created", (json_int_t)c->created,
			      "updated", (json_int_t)c->updated, "unchanged",
			      (json_int_t)c->unchanged, "skipped", (json_int_t)c->skipped, "failed",
			      (json_int_t)c->failed, "failures", ist_upload_failures(im->upload));

		ist_print_json(json);
		json_decref(json);
		return;
	}
	list_failures(im);
	if (im->cli->quiet)
		return;
	printf("%" PRIu64 " items: %" PRIu64 " created, %" PRIu64 " updated, %" PRIu64 " unchanged",
	       ist_upload_done(im->upload), c->created, c->updated, c->unchanged);
	if (c->skipped > 0)
		printf(", %" PRIu64 " sent before", c->skipped);
	printf(", %" PRIu64 " failed; %.1f s\n", c->failed, seconds);
}

static enum ist_code report(const struct import *im, enum ist_code code, struct ist_err *err)
{
	uint64_t failed = ist_upload_counts(im->upload)->failed;

	print_summary(im);
	fflush(stdout);
	if (code == IST_OK && failed > 0)
		return ist_fail(err, IST_INVALID, "%" PRIu64 " of %" PRIu64 " records failed",
				failed, ist_upload_done(im->upload));
	if (code != IST_OK && ist_upload_done(im->upload) > failed) {
		struct ist_err why = *err;

		return ist_fail(err, code,
				"%.300s; %" PRIu64
				" items are safe, the same command goes on from there",
				why.text, ist_upload_done(im->upload) - failed);
	}
	return code;
}

/* One import is told from another by where it goes and whence it comes; the moment at which the
 * collection was made tells it from one of the same name, whatever address the server has now. */
static struct ist_journal *open_journal(const struct ist_args *args, const char *source,
					const json_t *collection)
{
	ist_autofree char *real = source != NULL ? realpath(source, NULL) : NULL;
	const char *vectors = ist_args_text(args, "image-vectors");
	ist_autofree char *key =
	    ist_format("%s\n%s\n%s\n%s", ist_args_text(args, "collection"),
		       json_string_value(json_object_get(collection, "created_at")),
		       real != NULL ? real : "-", vectors != NULL ? vectors : "");
	struct ist_journal *journal = ist_journal_open(key);

	if (ist_args_flag(args, "restart")) {
		ist_journal_remove(journal);
		ist_journal_destroy(journal);
		journal = ist_journal_open(key);
	}
	return journal;
}

static enum ist_code run_import(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	struct import im ist_auto(import_finish) = {.cli = cli};
	const char *path = ist_args_word(args, 0), *name = ist_args_text(args, "collection");
	const struct ist_source_kind *kind;
	size_t widths[2] = {0};
	json_t *collection;

	if (name == NULL)
		return ist_usage(err, "import where to? Name it with --collection NAME");
	if (path != NULL && (ist_args_text(args, "image-vectors") != NULL ||
			     ist_args_text(args, "text-vectors") != NULL))
		return ist_usage(err, "vectors stand for a source: leave out \"%s\"", path);
	if (ist_source_kind_of(path, args, &kind, err) != IST_OK ||
	    kind->open(path, args, &im.source, err) != IST_OK)
		return err->code;
	im.kind = kind;
	if (kind->widths != NULL)
		kind->widths(im.source, widths);
	if (open_collection(cli, args, widths, &collection, err) != IST_OK)
		return err->code;
	im.journal = open_journal(args, path, collection);
	json_decref(collection);
	im.upload = ist_upload_create(&cli->http, name, (unsigned)ist_args_int(args, "retries", 5),
				      im.journal);
	ist_progress_init(&im.progress, cli, "items");
	ist_interrupt_catch();
	return report(&im, transfer(&im, err), err);
}

const struct ist_command ist_cmd_import = {
    .name = "import",
    .words = "SOURCE --collection NAME",
    .max_words = 1,
    .summary = "Bring pictures, texts and vectors into a collection",
    .details =
	"SOURCE is a folder of pictures, each with its caption beside it in NAME.txt and more of "
	"it "
	"in NAME.json, the folders that it lies in giving label and topic; a .csv or .tsv with the "
	"columns id, image (a path), text and label, all others being metadata; a WebDataset .tar; "
	"NDJSON (.ndjson, .jsonl, or - for standard input); or none, with --image-vectors and "
	"--text-vectors from an encoder of your own.\n\n"
	"Items are sent in requests of at most 1,000 items or 32 MiB, two in flight. An import "
	"that "
	"was cut goes on when the same command is given again. Records that failed are listed at "
	"the end, and make it end with 1.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_import,
};
