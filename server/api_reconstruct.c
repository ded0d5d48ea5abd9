/*
 * The feature that a model calls up from a text, a picture, an item or a vector, and what is stored
 * nearest to it. Across the modalities that is imagination: the picture's feature that a text
 * stands for. The neighbours are found in the model's own space, where the imagined feature is
 * embedded like any other of its modality.
 */
#include "server/api.h"

#include <math.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/jobs.h"
#include "server/model_ability.h"
#include "server/query_run.h"
#include "server/vector_json.h"

#define LIMIT_DEFAULT 10
#define LIMIT_MAX 100
#define RETURNS (IST_RETURN_TEXTS | IST_RETURN_LABEL | IST_RETURN_METADATA)

struct body {
	int target; /* enum ist_modality; -1: the one that was not given */
	int64_t limit;
};

static const char *const targets[] = {"image", "text", NULL};
static const struct ist_field fields[] = {
    {"target", IST_FIELD_CHOICE, offsetof(struct body, target), .choices = targets},
    {"limit", IST_FIELD_INT, offsetof(struct body, limit), 0, LIMIT_MAX},
};

/* The imagined feature, in the arena. */
static enum ist_code imagine(struct ist_request *rq, const struct ist_reader *reader,
			     const struct ist_source *source, struct body *body, const float **ret,
			     struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	struct ist_embedded from;
	float *x;
	enum ist_code code =
	    ist_source_embed(rq->worker, reader, source, false, rq->arena, &from, err);

	if (code)
		return code;
	if (body->target < 0)
		body->target = ist_modality_other(from.from);
	x = ist_arena_alloc(rq->arena, model->dim_in[body->target], sizeof(*x));
	code = model->method->reconstruct(model, from.from, (enum ist_modality)body->target,
					  from.feature, 1, x, err);
	*ret = x;
	return code;
}

/* What is stored nearest to a feature of modality m. */
static enum ist_code neighbours(struct ist_request *rq, const struct ist_reader *reader,
				enum ist_modality m, const float *feature, size_t limit,
				struct ist_hit **ret, size_t *ret_n, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	float *x = ist_arena_alloc(rq->arena, model->dim[m], sizeof(*x));
	struct ist_search search = {
	    .from = m, .limit = limit, .threshold = NAN, .min_similarity = NAN};
	struct ist_search_report report;
	enum ist_code code = ist_model_embed(model, m, feature, 1, x, err);

	*ret_n = 0;
	search.vector[m] = x;
	if (code || limit == 0)
		return code;
	return ist_reader_search(reader, rq->worker->searcher, &search, rq->arena, ret, ret_n,
				 &report, err);
}

static enum ist_code answer(struct ist_request *rq, const struct ist_reader *reader,
			    struct ist_reply *re, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	struct body body = {.target = -1, .limit = LIMIT_DEFAULT};
	struct ist_source source;
	const float *feature = NULL;
	struct ist_hit *hits = NULL;
	enum ist_modality m;
	size_t n = 0;
	enum ist_code code = ist_ability_parse(rq, fields, IST_COUNT(fields), &body, &source, err);

	if (!code)
		code = imagine(rq, reader, &source, &body, &feature, err);
	m = (enum ist_modality)body.target;
	if (!code)
		code = neighbours(rq, reader, m, feature, (size_t)body.limit, &hits, &n, err);
	if (code)
		return code;
	ist_buf_printf(&re->body,
		       "{\"model\":\"%s\",\"modality\":\"%s\",\"vector\":", reader->model,
		       ist_modality_name(m));
	ist_vector_put(&re->body, feature, model->dim_in[m], false);
	ist_buf_puts(&re->body, ",\"nearest\":");
	ist_hits_put(&re->body, hits, n, RETURNS, model);
	ist_buf_putc(&re->body, '}');
	re->status = 200;
	re->content_type = "application/json";
	return IST_OK;
}

enum ist_code ist_api_reconstruct_model(struct ist_request *rq, struct ist_reply *re,
					struct ist_err *err)
{
	struct ist_collection *c = NULL;
	struct ist_model_info model;
	struct ist_reader reader;
	enum ist_code code = ist_ability_model(rq, IST_RECONSTRUCT, "reconstruct", &c, &model, err);

	if (code)
		return code;
	code = ist_reader_init(&reader, c, model.id, err);
	if (!code) {
		ist_jobs_query_begin(rq->daemon->jobs);
		code = answer(rq, &reader, re, err);
		ist_jobs_query_end(rq->daemon->jobs);
		ist_reader_finish(&reader);
	}
	ist_collection_unref(c);
	return code;
}
