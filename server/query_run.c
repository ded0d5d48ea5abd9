/*
 * From what is asked to the answer. What can be searched is for the model to say: a model whose
 * two spaces are apart (identity over encoders that share none) answers within the query's own
 * modality only. The reply is written as text at once: metadata comes out of the store as JSON and
 * goes into it unread.
 */
#include "server/query_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "server/feature.h"
#include "server/item_json.h"
#include "server/json.h"
#include "server/metrics.h"
#include "server/vector_json.h"

const char *ist_space_name(const struct ist_model *model)
{
	return model->crosses ? "common" : "feature";
}

/* The answer where nothing can be reached says what would help. */
static enum ist_code no_model(struct ist_err *err, const struct ist_reader *reader,
			      const char *what)
{
	return ist_fail(err, IST_NO_MODEL,
			"the model %s cannot %s; train one on your own pairs with POST "
			"/v1/collections/{c}/trainings {\"method\": \"acmr\"}",
			reader->model, what);
}

/* ---- the embedding of what is asked ---- */

static const char *const encoder_names[] = {"the image encoder", "the text encoder"};

static enum ist_code check_dim(const char *space, size_t want, size_t got, struct ist_err *err)
{
	if (want == got)
		return IST_OK;
	return ist_fail_at(err, IST_DIM_MISMATCH, "/vector", "%s has %zu dimensions, got %zu",
			   space, want, got);
}

/* A feature of modality m goes through the model. */
static enum ist_code embed_feature(const struct ist_reader *reader, enum ist_modality m,
				   const float *feature, struct ist_arena *arena,
				   struct ist_embedded *ret, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	float *x = ist_arena_alloc(arena, model->dim[m], sizeof(*x));
	enum ist_code code = ist_model_embed(model, m, feature, 1, x, err);

	if (code)
		return code;
	ret->x = x;
	ret->dim = model->dim[m];
	ret->from = m;
	ret->feature = feature;
	return IST_OK;
}

/* ---- one way from each form of source; pointers are relative to the source ---- */

/* The feature of a text, (dim of the text encoder), in the arena. */
static enum ist_code text_feature(struct ist_worker *worker, struct ist_collection *c,
				  const char *text, struct ist_arena *arena, const float **ret,
				  struct ist_err *err)
{
	const struct ist_encoder_ref *encoder = ist_collection_encoder(c, IST_TEXT);
	struct ist_str str = {text, strlen(text)};
	float *feature = ist_arena_alloc(arena, encoder->dim, sizeof(*feature));
	enum ist_code code =
	    ist_feature_texts(worker->daemon, IST_TURN_QUERY, encoder, &str, 1, feature, err);

	if (code)
		return ist_err_in(err, "text");
	*ret = feature;
	return IST_OK;
}

static enum ist_code image_feature(struct ist_worker *worker, struct ist_collection *c,
				   const struct ist_str *image, struct ist_arena *arena,
				   const float **ret, struct ist_err *err)
{
	const struct ist_encoder_ref *encoder = ist_collection_encoder(c, IST_IMAGE);
	float *feature = ist_arena_alloc(arena, encoder->dim, sizeof(*feature));
	enum ist_code code =
	    ist_feature_query_image(worker->daemon, encoder, image->data, image->len, feature, err);

	if (code)
		return ist_err_in(err, "image");
	*ret = feature;
	return IST_OK;
}

/* The feature of a picture: a file's, or that of an item, which is then never a hit. */
static enum ist_code picture_feature(struct ist_worker *worker, struct ist_collection *c,
				     const struct ist_source *source, struct ist_arena *arena,
				     const float **ret, struct ist_err *err)
{
	struct ist_item item = {0};
	enum ist_code code;

	if (source->id == NULL)
		return image_feature(worker, c, &source->image, arena, ret, err);
	code = ist_item_get(c, source->id, true, arena, &item, err);
	if (!code && item.image_vector == NULL)
		code = ist_fail_at(err, IST_INVALID, "", "the item \"%.100s\" has no image",
				   source->id);
	if (code) {
		(void)ist_err_in(err, "id");
		return ist_err_in(err, "image");
	}
	*ret = item.image_vector;
	return IST_OK;
}

static enum ist_code by_text(struct ist_worker *worker, const struct ist_reader *reader,
			     const struct ist_source *source, struct ist_arena *arena,
			     struct ist_embedded *ret, struct ist_err *err)
{
	const float *feature = NULL;
	enum ist_code code =
	    text_feature(worker, reader->collection, source->text, arena, &feature, err);

	return code ? code : embed_feature(reader, IST_TEXT, feature, arena, ret, err);
}

static enum ist_code by_image(struct ist_worker *worker, const struct ist_reader *reader,
			      const struct ist_source *source, struct ist_arena *arena,
			      struct ist_embedded *ret, struct ist_err *err)
{
	const float *feature = NULL;
	enum ist_code code =
	    picture_feature(worker, reader->collection, source, arena, &feature, err);

	ret->id = source->id;
	return code ? code : embed_feature(reader, IST_IMAGE, feature, arena, ret, err);
}

/* Of an item: its picture's if it has one, else its first text's; or that of the modality that was
 * asked for, which *ret_m says. */
static enum ist_code item_feature(struct ist_collection *c, const struct ist_source *source,
				  struct ist_arena *arena, enum ist_modality *ret_m,
				  const float **ret, struct ist_err *err)
{
	struct ist_item item = {0};
	const float *feature[IST_N_MODALITIES];
	enum ist_modality m;
	enum ist_code code = ist_item_get(c, source->id, true, arena, &item, err);

	if (code)
		return ist_err_in(err, "id");
	feature[IST_IMAGE] = item.image_vector;
	feature[IST_TEXT] = item.n_text_vectors || item.n_texts ? item.text_vectors : NULL;
	m = source->space == IST_SPACE_UNSAID ? (feature[IST_IMAGE] != NULL ? IST_IMAGE : IST_TEXT)
					      : (enum ist_modality)source->space;
	if (feature[m] == NULL)
		return ist_fail_at(err, IST_INVALID, "/modality", "the item \"%.100s\" has no %s",
				   source->id, ist_modality_name(m));
	*ret_m = m;
	*ret = feature[m];
	return IST_OK;
}

static enum ist_code by_id(struct ist_worker *worker, const struct ist_reader *reader,
			   const struct ist_source *source, struct ist_arena *arena,
			   struct ist_embedded *ret, struct ist_err *err)
{
	const float *feature = NULL;
	enum ist_modality m = IST_IMAGE;
	enum ist_code code = item_feature(reader->collection, source, arena, &m, &feature, err);

	ret->id = source->id;
	return code ? code : embed_feature(reader, m, feature, arena, ret, err);
}

/* A feature goes through the model like the encoder's own; a ready embedding is taken as it is. */
static enum ist_code by_vector(struct ist_worker *worker, const struct ist_reader *reader,
			       const struct ist_source *source, struct ist_arena *arena,
			       struct ist_embedded *ret, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	enum ist_code code;

	if (source->space != IST_SPACE_COMMON) {
		enum ist_modality m = (enum ist_modality)source->space;

		code = check_dim(encoder_names[m], model->dim_in[m], source->dim, err);
		return code ? code : embed_feature(reader, m, source->vector, arena, ret, err);
	}
	if (!model->crosses)
		return no_model(err, reader, "take a vector of a common space, as it has none");
	code = check_dim("the common space", model->dim[IST_TEXT], source->dim, err);
	if (code)
		return code;
	ret->x = source->vector;
	ret->dim = source->dim;
	ret->from = IST_TEXT;
	ret->ready = true;
	return IST_OK;
}

/* Whether the model can is asked first, so that nobody pays for an encoding that leads nowhere. */
static enum ist_code by_compose(struct ist_worker *worker, const struct ist_reader *reader,
				const struct ist_source *source, struct ist_arena *arena,
				struct ist_embedded *ret, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	const float *image = NULL, *text = NULL;
	float *x;
	enum ist_code code;

	if (model->method->compose == NULL)
		return ist_fail_at(err, IST_NO_MODEL, "/compose",
				   "the model %s cannot compose; a method whose \"can\" holds "
				   "\"compose\" (see GET /v1/methods) has to be trained on triples "
				   "first",
				   reader->model);
	code = picture_feature(worker, reader->collection, source, arena, &image, err);
	if (!code)
		code = text_feature(worker, reader->collection, source->text, arena, &text, err);
	if (code)
		return ist_err_in(err, "compose");
	x = ist_arena_alloc(arena, model->dim[IST_IMAGE], sizeof(*x));
	code = ist_model_compose(model, image, text, 1, x, err);
	if (code)
		return code;
	*ret = (struct ist_embedded){.x = x,
				     .dim = model->dim[IST_IMAGE],
				     .from = IST_IMAGE,
				     .composed = true,
				     .id = source->id};
	return IST_OK;
}

enum ist_code ist_source_embed(struct ist_worker *worker, const struct ist_reader *reader,
			       const struct ist_source *source, bool allow_common,
			       struct ist_arena *arena, struct ist_embedded *ret,
			       struct ist_err *err)
{
	static enum ist_code (*const ways[])(struct ist_worker *, const struct ist_reader *,
					     const struct ist_source *, struct ist_arena *,
					     struct ist_embedded *, struct ist_err *) = {
	    [IST_BY_TEXT] = by_text,	 [IST_BY_IMAGE] = by_image,	[IST_BY_ID] = by_id,
	    [IST_BY_VECTOR] = by_vector, [IST_BY_COMPOSE] = by_compose,
	};

	*ret = (struct ist_embedded){0};
	if (!allow_common && source->kind == IST_BY_VECTOR && source->space == IST_SPACE_COMMON)
		return ist_fail_at(err, IST_INVALID, "/modality",
				   "must be \"image\" or \"text\": a vector of the common space is "
				   "an embedding already");
	return ways[source->kind](worker, reader, source, arena, ret, err);
}

enum ist_code ist_source_feature(struct ist_worker *worker, struct ist_collection *c,
				 const struct ist_source *source, enum ist_modality m,
				 struct ist_arena *arena, const float **ret, struct ist_err *err)
{
	static const char *const members[] = {
	    [IST_BY_TEXT] = "/text",	   [IST_BY_IMAGE] = "/image",	  [IST_BY_ID] = "/modality",
	    [IST_BY_VECTOR] = "/modality", [IST_BY_COMPOSE] = "/compose",
	};
	const int given = source->kind == IST_BY_TEXT	 ? (int)IST_TEXT
			  : source->kind == IST_BY_IMAGE ? (int)IST_IMAGE
							 : source->space;
	struct ist_source item = *source;
	bool unsaid = source->kind == IST_BY_ID && source->space == IST_SPACE_UNSAID;
	enum ist_code code;

	if (source->kind == IST_BY_COMPOSE || (!unsaid && given != (int)m))
		return ist_fail_at(err, IST_INVALID, members[source->kind],
				   "this takes what stands for %s %s", m == IST_IMAGE ? "an" : "a",
				   ist_modality_name(m));
	switch (source->kind) {
	case IST_BY_TEXT:
		return text_feature(worker, c, source->text, arena, ret, err);
	case IST_BY_IMAGE:
		return picture_feature(worker, c, source, arena, ret, err);
	case IST_BY_ID:
		item.space = (int)m;
		return item_feature(c, &item, arena, &m, ret, err);
	case IST_BY_VECTOR:
	case IST_BY_COMPOSE: /* was refused */
		break;
	}
	code = check_dim(encoder_names[m], ist_collection_encoder(c, m)->dim, source->dim, err);
	*ret = source->vector;
	return code;
}

/* ---- what is searched ---- */

/* A composed query asks for pictures and nothing else. */
static enum ist_code choose_pictures(const struct ist_query *query, const struct ist_embedded *from,
				     struct ist_search *search, struct ist_err *err)
{
	if (query->target == IST_TARGET_TEXT)
		return ist_fail_at(
		    err, IST_INVALID, "/target",
		    "must be \"image\" or \"any\": a composed query asks for pictures");
	search->vector[IST_IMAGE] = from->x;
	search->from = IST_COMPOSED;
	return IST_OK;
}

/* What one target is searched with: the embedding, unless the method embeds queries in another way
 * than items. */
static enum ist_code target_vector(const struct ist_reader *reader, const struct ist_embedded *from,
				   enum ist_modality to, struct ist_arena *arena, const float **ret,
				   struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	float *x;

	*ret = from->x;
	if (model->method->embed_query == NULL || from->feature == NULL)
		return IST_OK;
	*ret = x = ist_arena_alloc(arena, model->dim[to], sizeof(*x));
	return ist_model_embed_query(model, from->from, to, from->feature, 1, x, err);
}

/* Sets search->vector for every target that is asked for and can be reached. */
static enum ist_code choose_targets(const struct ist_reader *reader, const struct ist_query *query,
				    const struct ist_embedded *from, struct ist_arena *arena,
				    struct ist_search *search, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	size_t n = 0;

	if (from->composed)
		return choose_pictures(query, from, search, err);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		bool asked = query->target == IST_TARGET_ANY || query->target == m;
		bool reached = model->crosses || (int)from->from == m;

		if (asked && !reached && query->target != IST_TARGET_ANY) {
			char what[64];

			snprintf(what, sizeof(what), "reach an %s from %s %s",
				 m == IST_IMAGE ? "image" : "item's text",
				 from->from == IST_IMAGE ? "an" : "a",
				 ist_modality_name(from->from));
			return no_model(err, reader, what);
		}
		if (asked && reached) {
			enum ist_code code = target_vector(reader, from, (enum ist_modality)m,
							   arena, &search->vector[m], err);

			if (code)
				return code;
			n++;
		}
	}
	search->by_score = n > 1;
	/* A ready embedding speaks for neither side: it is taken to come from the other one, by
	 * which it is scored, too. */
	search->from = from->ready && query->target != IST_TARGET_ANY
			   ? (int)ist_modality_other((enum ist_modality)query->target)
			   : (int)from->from;
	return IST_OK;
}

/* For people: "image", "text", "composed". */
static const char *side_name(int side)
{
	return side == IST_COMPOSED ? "composed" : ist_modality_name((enum ist_modality)side);
}

/* A threshold is on the score, so every target that is searched must have one. */
static enum ist_code check_threshold(const struct ist_reader *reader, const struct ist_query *query,
				     const struct ist_search *search, struct ist_err *err)
{
	const struct ist_model *model = ist_generation_model(reader->generation);

	for (int m = 0; m < IST_N_MODALITIES && !isnan(query->threshold); m++)
		if (search->vector[m] != NULL && !model->calibration[search->from][m].fitted)
			return ist_fail_at(err, IST_INVALID, "/threshold",
					   "the model %s has no score from %s to %s; use "
					   "\"min_similarity\"",
					   reader->model, side_name(search->from),
					   ist_modality_name((enum ist_modality)m));
	return IST_OK;
}

/* ---- the reply ---- */

/* A measured number: 9 digits hold a float; null for what is none. */
static void put_number(struct ist_buf *buf, double x)
{
	if (isfinite(x))
		ist_buf_printf(buf, "%.9g", (double)(float)x);
	else
		ist_buf_puts(buf, "null");
}

/* One hit. Members that were not asked for are left out, not null. */
static void put_hit(struct ist_buf *buf, const struct ist_hit *hit, unsigned returns,
		    const struct ist_model *model)
{
	ist_buf_puts(buf, "{\"id\":");
	ist_json_put_string(buf, hit->item.id, strlen(hit->item.id));
	ist_buf_printf(buf, ",\"modality\":\"%s\",\"text\":", ist_modality_name(hit->modality));
	if (hit->modality == IST_TEXT)
		ist_buf_printf(buf, "%" PRIu32, hit->ordinal);
	else
		ist_buf_puts(buf, "null");
	ist_buf_puts(buf, ",\"similarity\":");
	put_number(buf, hit->similarity);
	ist_buf_puts(buf, ",\"score\":");
	put_number(buf, hit->score);
	if (returns & IST_RETURN_IMAGE) {
		ist_buf_putc(buf, ',');
		ist_item_put_image(buf, &hit->item);
	}
	if (returns & IST_RETURN_TEXTS) {
		ist_buf_putc(buf, ',');
		ist_item_put_texts(buf, &hit->item);
	}
	if (returns & IST_RETURN_LABEL) {
		ist_buf_putc(buf, ',');
		ist_item_put_label(buf, &hit->item);
	}
	if (returns & IST_RETURN_METADATA) {
		ist_buf_putc(buf, ',');
		ist_item_put_metadata(buf, &hit->item);
	}
	if (returns & IST_RETURN_VECTOR) {
		ist_buf_puts(buf, ",\"vector\":");
		if (hit->embedding != NULL)
			ist_vector_put(buf, hit->embedding, model->dim[hit->modality], false);
		else
			ist_buf_puts(buf, "null");
	}
	ist_buf_putc(buf, '}');
}

void ist_hits_put(struct ist_buf *buf, const struct ist_hit *hits, size_t n, unsigned returns,
		  const struct ist_model *model)
{
	ist_buf_putc(buf, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			ist_buf_putc(buf, ',');
		put_hit(buf, &hits[i], returns, model);
	}
	ist_buf_putc(buf, ']');
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* How the search went, for who wonders why: not part of what stays the same over versions. */
static void put_explain(struct ist_buf *buf, const struct ist_reader *reader,
			const struct ist_search *search, const struct ist_search_report *report)
{
	struct ist_generation_info info;

	ist_generation_info(reader->generation, &info);
	ist_buf_printf(
	    buf,
	    ",\"explain\":{\"from\":\"%s\",\"path\":\"%s\",\"candidates\":%zu,\"matched\":%zu,"
	    "\"rounds\":%zu,\"index\":{\"kind\":\"%s\",\"base\":%zu,\"fresh\":%zu,"
	    "\"dead\":%zu}}",
	    side_name(search->from), report->path != NULL ? report->path : "none",
	    report->candidates, report->matched, report->rounds,
	    info.kind != NULL ? info.kind : "flat", info.base, info.fresh, info.dead);
}

static void put_reply(struct ist_buf *buf, const struct ist_reader *reader,
		      const struct ist_query *query, const struct ist_search *search,
		      const struct ist_hit *hits, size_t n, const struct ist_search_report *report,
		      double since_ms)
{
	const struct ist_model *model = ist_generation_model(reader->generation);
	bool first = true;

	ist_buf_puts(buf, "{\"hits\":");
	ist_hits_put(buf, hits, n, query->returns, model);
	ist_buf_puts(buf, ",\"searched\":[");
	for (int m = 0; m < IST_N_MODALITIES; m++)
		if (search->vector[m] != NULL) {
			ist_buf_printf(buf, "%s\"%s\"", first ? "" : ",",
				       ist_modality_name((enum ist_modality)m));
			first = false;
		}
	ist_buf_printf(buf, "],\"model\":\"%s\",\"space\":\"%s\"", reader->model,
		       ist_space_name(model));
	if (query->explain)
		put_explain(buf, reader, search, report);
	ist_buf_printf(buf, ",\"took_ms\":%.3f}", now_ms() - since_ms);
}

/* From source to reply under one reader. */
static enum ist_code answer(struct ist_worker *worker, const struct ist_reader *reader,
			    const struct ist_query *query, double since_ms, struct ist_arena *arena,
			    struct ist_buf *ret, struct ist_err *err)
{
	struct ist_search search = {.filter = query->filter,
				    .limit = (size_t)query->limit,
				    .offset = (size_t)query->offset,
				    .threshold = query->threshold,
				    .min_similarity = query->min_similarity,
				    .exact = query->exact,
				    .with_vectors = (query->returns & IST_RETURN_VECTOR) != 0};
	struct ist_search_report report = {0};
	struct ist_embedded from;
	struct ist_hit *hits = NULL;
	size_t n = 0;
	enum ist_code code =
	    ist_source_embed(worker, reader, &query->source, true, arena, &from, err);

	if (code)
		return ist_err_in(err, "query");
	search.exclude = from.id;
	if ((code = choose_targets(reader, query, &from, arena, &search, err)) ||
	    (code = check_threshold(reader, query, &search, err)))
		return code;
	code = ist_reader_search(reader, worker->searcher, &search, arena, &hits, &n, &report, err);
	if (code)
		return code;
	ist_metrics_count(IST_COUNT_QUERIES, 1);
	put_reply(ret, reader, query, &search, hits, n, &report, since_ms);
	return IST_OK;
}

enum ist_code ist_query_answer(struct ist_worker *worker, struct ist_collection *c,
			       const struct ist_query *query, struct ist_arena *arena,
			       struct ist_buf *ret, struct ist_err *err)
{
	double since_ms = now_ms();
	struct ist_reader reader;
	enum ist_code code = ist_reader_init(&reader, c, query->model, err);

	if (code)
		return code == IST_NOT_FOUND && query->model != NULL ? ist_err_in(err, "model")
								     : code;
	code = answer(worker, &reader, query, since_ms, arena, ret, err);
	ist_reader_finish(&reader);
	return code;
}
