/*
 * Triples for composed retrieval, listed, and taken as a stream of lines: reference, text, target.
 * Lines are taken in batches: parsed, their texts encoded together, written in one transaction.
 * Result lines come in input order after the body has ended. A line that cannot be taken is one
 * failed line; what stops the whole stream becomes its last line.
 */
#include "server/api.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/feature.h"
#include "server/fields.h"
#include "server/json.h"
#include "server/ndjson.h"
#include "server/spool.h"

#define BATCH 256
#define TEXT_MAX 65536
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

struct line {
	uint64_t number;
	struct ist_triple triple; /* err says whether it is of use */
};

struct import {
	struct ist_request *rq;
	struct ist_collection *collection;
	struct ist_ndjson lines;
	struct ist_spool spool;
	struct ist_arena arena; /* of the batch */
	struct line batch[BATCH];
	size_t n;
	bool only_failed; /* ?results=failed */
	uint64_t created, unchanged, failed;
};

struct body {
	const char *reference, *text, *target;
};

static const struct ist_field fields[] = {
    {"reference", IST_FIELD_STRING, offsetof(struct body, reference), 1, 255, .required = true},
    {"text", IST_FIELD_STRING, offsetof(struct body, text), 1, TEXT_MAX, .required = true},
    {"target", IST_FIELD_STRING, offsetof(struct body, target), 1, 255, .required = true},
};

/* One line; its strings are copied into the batch's arena. */
static enum ist_code parse(struct import *im, const struct ist_str *text, struct ist_triple *ret,
			   struct ist_err *err)
{
	struct body body = {0};
	json_t *json = NULL;
	const char *reference;
	enum ist_code code = ist_json_parse(text->data, text->len, &json, err);

	if (!code)
		code = ist_fields_read(json, fields, IST_COUNT(fields), &body, err);
	reference = json_string_value(json_object_get(json, "reference"));
	if (reference != NULL) /* names the line, whether the rest of it can be taken or not */
		ret->reference = ist_arena_strdup(&im->arena, reference);
	if (!code) {
		ret->text = ist_arena_strdup(&im->arena, body.text);
		ret->target = ist_arena_strdup(&im->arena, body.target);
	}
	json_decref(json);
	return code;
}

/* ---- one batch ---- */

/* The features of the good lines' texts, all at once. */
static enum ist_code encode(struct import *im, struct ist_triple **good, size_t n,
			    struct ist_err *err)
{
	const struct ist_encoder_ref *encoder = ist_collection_encoder(im->collection, IST_TEXT);
	struct ist_str *texts = ist_arena_alloc(&im->arena, n, sizeof(*texts));
	float *features = ist_arena_alloc(&im->arena, n, encoder->dim * sizeof(*features));
	enum ist_code code;

	for (size_t i = 0; i < n; i++)
		texts[i] = (struct ist_str){good[i]->text, strlen(good[i]->text)};
	code = ist_feature_texts(im->rq->daemon, IST_TURN_INGEST, encoder, texts, n, features, err);
	for (size_t i = 0; i < n; i++)
		if (code)
			good[i]->err = *err;
		else
			good[i]->text_vector = features + i * encoder->dim;
	return code;
}

/* Encodes and writes the good ones of the batch, and gives each its result. */
static enum ist_code take(struct import *im, struct ist_triple **good, size_t n,
			  struct ist_err *err)
{
	struct ist_triple *sent = ist_arena_alloc(&im->arena, n, sizeof(*sent));
	enum ist_code code = encode(im, good, n, err);

	if (code) /* what the texts or the encoder lack fails the lines, not the stream */
		return ist_code_status(code) < 500 ? IST_OK : code;
	for (size_t i = 0; i < n; i++)
		sent[i] = *good[i];
	code = ist_triples_write(im->collection, sent, n, err);
	for (size_t i = 0; i < n && !code; i++)
		*good[i] = sent[i];
	return code;
}

/* What a triple's write came to, as the words of a result line. */
static const char *status_name(struct import *im, const struct ist_triple *triple)
{
	if (triple->err.code) {
		im->failed++;
		return "failed";
	}
	if (triple->status == IST_UNCHANGED) {
		im->unchanged++;
		return "unchanged";
	}
	im->created++;
	return "created";
}

/* The pointer says which member of the line is meant. */
static void put_detail(struct ist_buf *out, const struct ist_err *err)
{
	char detail[sizeof(err->text) + sizeof(err->pointer) + 2];

	snprintf(detail, sizeof(detail), "%s%s%s", err->pointer,
		 err->pointer[0] != '\0' ? ": " : "", err->text);
	ist_json_put_string(out, detail, strlen(detail));
}

/* One result line, counted for the summary whether it is shown or not. */
static void put_line(struct import *im, const struct line *line, struct ist_buf *out)
{
	const struct ist_err *err = &line->triple.err;
	const char *status = status_name(im, &line->triple);

	if (im->only_failed && !err->code)
		return;
	ist_buf_printf(out, "{\"line\":%" PRIu64 ",\"id\":", line->number);
	if (line->triple.reference != NULL)
		ist_json_put_string(out, line->triple.reference, strlen(line->triple.reference));
	else
		ist_buf_puts(out, "null");
	ist_buf_printf(out, ",\"status\":\"%s\"", status);
	if (err->code) {
		ist_buf_printf(out, ",\"code\":\"%s\",\"detail\":", ist_code_name(err->code));
		put_detail(out, err);
	}
	ist_buf_puts(out, "}\n");
}

/* Writes the batch and its result lines. An error is one that the stream cannot survive. */
static enum ist_code flush(struct import *im, struct ist_err *err)
{
	struct ist_triple *good[BATCH];
	struct ist_buf out = {0};
	size_t n = 0;
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < im->n; i++)
		if (!im->batch[i].triple.err.code)
			good[n++] = &im->batch[i].triple;
	if (n > 0)
		code = take(im, good, n, err);
	for (size_t i = 0; i < im->n && !code; i++)
		put_line(im, &im->batch[i], &out);
	if (!code)
		code = ist_spool_put(&im->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	ist_arena_reset(&im->arena);
	im->n = 0;
	return code;
}

/* ---- the stream ---- */

/* Reads to the end of the body. A batch is written when it is full, or when the next line is not
 * there yet: a client that sends slowly has its lines written while it waits. */
static enum ist_code read_lines(struct import *im, struct ist_err *err)
{
	struct ist_str text;
	enum ist_code code;

	for (;;) {
		struct line *line = &im->batch[im->n];

		code = ist_ndjson_next(&im->lines, &text, err);
		if (code || text.data == NULL)
			break;
		*line = (struct line){.number = im->lines.line};
		/* The line's own error: parse leaves it there for the result. */
		if (parse(im, &text, &line->triple, &line->triple.err) == IST_OK)
			line->triple.err.code = IST_OK;
		im->n++;
		if ((im->n == BATCH || !ist_ndjson_ready(&im->lines)) && (code = flush(im, err)))
			return code;
	}
	if (im->n > 0) {
		struct ist_err late = {0};
		enum ist_code flushed = flush(im, &late);

		if (!code && flushed) {
			*err = late;
			code = flushed;
		}
	}
	return code;
}

/* The last line: the summary, or the problem that ended the stream. */
static enum ist_code put_end(struct import *im, enum ist_code code, const struct ist_err *problem,
			     struct ist_err *err)
{
	struct ist_buf out = {0};
	json_t *json;

	if (code) {
		json = ist_problem(problem, im->rq->path_raw, im->rq->id);
		ist_buf_puts(&out, "{\"error\":");
		ist_json_put(&out, json, false);
		ist_buf_puts(&out, "}\n");
		json_decref(json);
	} else {
		ist_buf_printf(&out,
			       "{\"summary\":{\"created\":%" PRIu64 ",\"updated\":0,"
			       "\"unchanged\":%" PRIu64 ",\"failed\":%" PRIu64 "}}\n",
			       im->created, im->unchanged, im->failed);
	}
	code = ist_spool_put(&im->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	return code;
}

/* Once reading has begun the answer is 200, whatever happens: what failed is told by its lines. */
static enum ist_code import(struct import *im, struct ist_reply *re, struct ist_err *err)
{
	struct ist_err problem = {0};
	enum ist_code code = read_lines(im, &problem);

	if (code == IST_CANCELLED) { /* nobody is there to be answered */
		*err = problem;
		return code;
	}
	code = put_end(im, code, &problem, err);
	return code ? code : ist_spool_reply(&im->spool, re, "application/x-ndjson", err);
}

enum ist_code ist_api_import_triples(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	const char *results = ist_request_query(rq, "results");
	struct import *im;
	enum ist_code code;

	if (results != NULL && strcmp(results, "failed") != 0 && strcmp(results, "all") != 0)
		return ist_fail_at(err, IST_INVALID, "/results", "must be \"failed\" or \"all\"");
	if (strcmp(rq->content_type, "application/x-ndjson") != 0)
		return ist_fail(err, IST_UNSUPPORTED_TYPE,
				"triples come as application/x-ndjson, not as \"%.64s\"",
				rq->content_type);
	im = ist_alloc(1, sizeof(*im));
	im->rq = rq;
	im->spool.fd = -1;
	im->only_failed = results != NULL && strcmp(results, "failed") == 0;
	ist_ndjson_init(&im->lines, rq);
	code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &im->collection, err);
	if (!code)
		code = ist_spool_init(&im->spool, ist_store_folder(rq->daemon->store), err);
	if (!code)
		code = import(im, re, err);
	ist_collection_unref(im->collection);
	ist_ndjson_finish(&im->lines);
	ist_spool_finish(&im->spool);
	ist_arena_finish(&im->arena);
	free(im);
	return code;
}

/* ---- lists ---- */

static void put_list(struct ist_buf *out, const struct ist_triple *list, size_t n, size_t limit)
{
	ist_buf_puts(out, "{\"triples\":[");
	for (size_t i = 0; i < IST_MIN(n, limit); i++) {
		ist_buf_puts(out, i > 0 ? ",{\"reference\":" : "{\"reference\":");
		ist_json_put_string(out, list[i].reference, strlen(list[i].reference));
		ist_buf_puts(out, ",\"text\":");
		ist_json_put_string(out, list[i].text, strlen(list[i].text));
		ist_buf_puts(out, ",\"target\":");
		ist_json_put_string(out, list[i].target, strlen(list[i].target));
		ist_buf_putc(out, '}');
	}
	if (n > limit)
		ist_buf_printf(out, "],\"next\":\"%" PRId64 "\"}\n", list[limit - 1].n);
	else
		ist_buf_puts(out, "],\"next\":null}\n");
}

enum ist_code ist_api_list_triples(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	const char *item = ist_request_query(rq, "item");
	struct ist_collection *c;
	struct ist_triple *list;
	long limit, after;
	size_t n;
	enum ist_code code;

	if (ist_request_query_int(rq, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &limit, err) != IST_OK ||
	    ist_request_query_int(rq, "cursor", 0, 0, LONG_MAX, &after, err) != IST_OK)
		return err->code;
	if (item != NULL && !ist_name_is_valid(item, strlen(item)))
		return ist_fail_at(err, IST_INVALID, "/item", "is no id that an item can have");
	if (ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	code = ist_triples_list(c, item, after, (size_t)limit + 1, rq->arena, &list, &n, err);
	ist_collection_unref(c);
	if (code != IST_OK)
		return code;
	put_list(&re->body, list, n, (size_t)limit);
	re->status = 200;
	re->content_type = "application/json";
	return IST_OK;
}
