/*
 * Embeddings of texts, pictures and features under one model, as numbers or as base64. All inputs
 * of a request share one space: where a model's two spaces are apart, they must be of one modality.
 */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/jobs.h"
#include "server/json.h"
#include "server/query_run.h"
#include "server/vector_json.h"

#define INPUTS_MAX 100

struct body {
	const json_t *inputs;
	const char *model;
	int format;
};

static const char *const formats[] = {"array", "base64", NULL};
static const struct ist_field fields[] = {
    {"inputs", IST_FIELD_ARRAY, offsetof(struct body, inputs), 1, INPUTS_MAX, .required = true},
    {"model", IST_FIELD_STRING, offsetof(struct body, model), 1, 31},
    {"format", IST_FIELD_CHOICE, offsetof(struct body, format), .choices = formats},
};

/* One input, by the same parser and the same way as a query's source. */
static enum ist_code embed_input(struct ist_request *rq, const struct ist_reader *reader,
				 const json_t *json, struct ist_embedded *ret, struct ist_err *err)
{
	struct ist_source source;
	enum ist_code code = ist_source_parse(json, NULL, false, rq->arena, &source, err);

	return code ? code
		    : ist_source_embed(rq->worker, reader, &source, false, rq->arena, ret, err);
}

/* Numbers, or the base64 of little-endian float32 as a string. */
static void put_vector(struct ist_buf *buf, const struct ist_embedded *embedded, int format)
{
	if (strcmp(formats[format], "array") == 0) {
		ist_vector_put(buf, embedded->x, embedded->dim, false);
		return;
	}
	ist_buf_putc(buf, '"');
	ist_base64_put(buf, embedded->x, embedded->dim * sizeof(*embedded->x));
	ist_buf_putc(buf, '"');
}

/* Appends all vectors with commas between them. The first input decides the space where a model has
 * two of them. */
static enum ist_code put_vectors(struct ist_request *rq, const struct ist_reader *reader,
				 const struct body *body, struct ist_buf *buf, size_t *ret_dim,
				 struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	struct ist_embedded embedded, first = {0};

	for (size_t i = 0; i < json_array_size(body->inputs); i++) {
		enum ist_code code =
		    embed_input(rq, reader, json_array_get(body->inputs, i), &embedded, err);

		if (i == 0)
			first = embedded;
		if (!code && !model->crosses && embedded.from != first.from)
			code = ist_fail(err, IST_NO_MODEL,
					"under the model %s pictures and texts share no space: ask "
					"for them one by one, or train a model",
					reader->model);
		if (code) {
			code = ist_err_in_index(err, i);
			return ist_err_in(err, "inputs");
		}
		if (i)
			ist_buf_putc(buf, ',');
		put_vector(buf, &embedded, body->format);
	}
	*ret_dim = first.dim;
	return IST_OK;
}

/* The vectors are made first, into a buffer of their own: the width is known then, and an input
 * that fails leaves no half reply. */
static enum ist_code embed(struct ist_request *rq, const struct ist_reader *reader,
			   const struct body *body, struct ist_reply *re, struct ist_err *err)
{
	struct ist_buf vectors = {0};
	size_t dim = 0;
	enum ist_code code = put_vectors(rq, reader, body, &vectors, &dim, err);

	if (!code) {
		ist_buf_printf(&re->body, "{\"model\":\"%s\",\"space\":\"%s\",\"dim\":%zu,",
			       reader->model,
			       ist_space_name(ist_generation_model(reader->generation)), dim);
		ist_buf_puts(&re->body, "\"vectors\":[");
		ist_buf_put(&re->body, vectors.data, vectors.len);
		ist_buf_puts(&re->body, "]}");
		re->status = 200;
		re->content_type = "application/json";
	}
	ist_buf_finish(&vectors);
	return code;
}

enum ist_code ist_api_embed(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct body body = {0};
	struct ist_collection *c;
	struct ist_reader reader;
	enum ist_code code = ist_fields_read(rq->json, fields, IST_COUNT(fields), &body, err);

	if (code || (code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err)))
		return code;
	code = ist_reader_init(&reader, c, body.model, err);
	if (code == IST_NOT_FOUND && body.model != NULL)
		code = ist_err_in(err, "model");
	if (!code) {
		ist_jobs_query_begin(rq->daemon->jobs);
		code = embed(rq, &reader, &body, re, err);
		ist_jobs_query_end(rq->daemon->jobs);
		ist_reader_finish(&reader);
	}
	ist_collection_unref(c);
	return code;
}
