/*
 * Ranking for composed queries. Ranks are counted, not sorted: one target a query is all that is
 * asked for. Ties go to the picture that comes first, as everywhere.
 */
#include "core/train/composed.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"
#include "core/methods/similarity.h"
#include "core/train/calibrate.h"

#define BLOCK 128
#define NONE UINT32_MAX
#define SEED 0
#define CALIBRATION_QUERIES 500

size_t ist_composed_count(const struct ist_pairs *pairs, enum ist_part part)
{
	const struct ist_triples *t = pairs->triples;
	size_t n = 0;

	for (size_t i = 0; t != NULL && i < t->n; i++)
		n += t->part[i] == part;
	return n;
}

/* The first `most` of a fixed random order, in ascending order. */
static size_t sample(uint32_t *list, size_t n, size_t most, const char *stream)
{
	ist_autofree uint32_t *order = NULL;
	ist_autofree uint8_t *taken = NULL;
	struct ist_rng rng;
	size_t kept = 0;

	if (n <= most)
		return n;
	order = ist_alloc(n, sizeof(*order));
	taken = ist_alloc(n, 1);
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	ist_rng_init(&rng, SEED, stream);
	ist_rng_permute(&rng, order, n);
	for (size_t i = 0; i < most; i++)
		taken[order[i]] = 1;
	for (size_t i = 0; i < n; i++)
		if (taken[i])
			list[kept++] = list[i];
	return kept;
}

/* Pictures of the part: the queries' targets first, then others while there is room. */
static size_t list_gallery(const struct ist_composed *c, enum ist_part part, uint32_t *place)
{
	const struct ist_triples *t = c->pairs->triples;
	size_t n = 0, room = IST_MAX_GALLERY;

	memset(place, 0xFF, t->n_images * sizeof(*place));
	for (size_t q = 0; q < c->n_queries; q++)
		if (place[t->target[c->query[q]]] == NONE) {
			place[t->target[c->query[q]]] = 0;
			room -= room > 0;
		}
	for (size_t i = 0; i < t->n_images; i++) {
		bool wanted = place[i] != NONE;

		if (!wanted && (t->image_part[i] != part || room == 0))
			continue;
		room -= !wanted;
		place[i] = (uint32_t)n;
		c->gallery[n++] = (uint32_t)i;
	}
	return n;
}

static void init(struct ist_composed *c, const struct ist_pairs *pairs, enum ist_part part,
		 size_t most)
{
	const struct ist_triples *t = pairs->triples;
	ist_autofree uint32_t *place = NULL;

	*c = (struct ist_composed){.pairs = pairs};
	if (t == NULL)
		return;
	c->query = ist_alloc(t->n + 1, sizeof(*c->query));
	c->gallery = ist_alloc(t->n_images + 1, sizeof(*c->gallery));
	for (size_t i = 0; i < t->n; i++)
		if (t->part[i] == part)
			c->query[c->n_queries++] = (uint32_t)i;
	c->n_queries = sample(c->query, c->n_queries, most, "composed queries");
	place = ist_alloc(t->n_images + 1, sizeof(*place));
	c->n_gallery = list_gallery(c, part, place);
	c->reference = ist_alloc(c->n_queries + 1, sizeof(*c->reference));
	c->target = ist_alloc(c->n_queries + 1, sizeof(*c->target));
	for (size_t q = 0; q < c->n_queries; q++) {
		c->reference[q] = place[t->reference[c->query[q]]];
		c->target[q] = place[t->target[c->query[q]]];
	}
}

void ist_composed_init(struct ist_composed *c, const struct ist_pairs *pairs, enum ist_part part)
{
	init(c, pairs, part, IST_MAX_QUERIES);
}

void ist_composed_finish(struct ist_composed *c)
{
	free(c->query);
	free(c->gallery);
	free(c->reference);
	free(c->target);
	*c = (struct ist_composed){0};
}

/* ---- figures ---- */

/* Queries of one reference picture are drawn together. */
static void figures_init(struct ist_figures *f, const struct ist_composed *c)
{
	const struct ist_triples *t = c->pairs->triples;

	*f = (struct ist_figures){.n = c->n_queries, .n_clusters = t->n_images};
	for (int i = 0; i <= IST_R_10; i++)
		f->value[i] = ist_alloc(f->n, sizeof(double));
	f->rank = ist_alloc(f->n, sizeof(uint32_t));
	f->cluster = ist_alloc(f->n, sizeof(uint32_t));
	for (size_t q = 0; q < f->n; q++)
		f->cluster[q] = t->reference[c->query[q]];
}

static void take(struct ist_figures *f, size_t q, uint32_t rank)
{
	f->rank[q] = rank;
	f->value[IST_MAP_ALL][q] = 1 / (double)(rank + 1);
	f->value[IST_MAP_50][q] = rank < 50 ? 1 / (double)(rank + 1) : 0;
	f->value[IST_R_1][q] = rank < 1;
	f->value[IST_R_5][q] = rank < 5;
	f->value[IST_R_10][q] = rank < 10;
}

/* How many others come before the target; NaN comes last. */
static uint32_t rank_of(const struct ist_composed *c, size_t q, const float *similarity)
{
	uint32_t target = c->target[q], rank = 0;
	float own = similarity[target];

	for (uint32_t g = 0; g < c->n_gallery; g++) {
		bool before = similarity[g] > own || (similarity[g] == own && g < target) ||
			      (isnan(own) && !isnan(similarity[g]));

		rank += before && g != target && g != c->reference[q];
	}
	return rank;
}

enum ist_code ist_composed_rank(const struct ist_composed *c, enum ist_similarity similarity,
				const float *query, const float *gallery, size_t dim,
				const struct ist_train_hooks *hooks, struct ist_figures *ret,
				struct ist_err *err)
{
	ist_autofree float *s = ist_alloc_raw(BLOCK * c->n_gallery + 1, sizeof(*s));
	enum ist_code code = IST_OK;

	figures_init(ret, c);
	for (size_t at = 0; at < c->n_queries && code == IST_OK; at += BLOCK) {
		size_t rows = IST_MIN(c->n_queries - at, (size_t)BLOCK);

		ist_similarities(similarity, IST_ALIKE, query + at * dim, rows, gallery,
				 c->n_gallery, dim, s);
#pragma omp parallel for schedule(static)
		for (size_t i = 0; i < rows; i++)
			take(ret, at + i, rank_of(c, at + i, s + i * c->n_gallery));
		code = ist_check_stop(hooks, err);
	}
	return code;
}

/* ---- models ---- */

/* Features of listed rows, side by side in memory. */
static void gather(const float *x, size_t dim, const uint32_t *rows, size_t n, float *ret)
{
	for (size_t i = 0; i < n; i++)
		memcpy(ret + i * dim, x + rows[i] * dim, dim * sizeof(*ret));
}

/* Embeddings of the gallery: (n_gallery, dim), in blocks, so that the poll comes often. */
static enum ist_code embed_gallery(const struct ist_composed *c, const struct ist_model *model,
				   const struct ist_train_hooks *hooks, float *ret,
				   struct ist_err *err)
{
	size_t n_in = model->dim_in[IST_IMAGE], dim = model->dim[IST_IMAGE];
	ist_autofree float *x = ist_alloc_raw(BLOCK * n_in, sizeof(*x));
	enum ist_code code = IST_OK;

	for (size_t at = 0; at < c->n_gallery && code == IST_OK; at += BLOCK) {
		size_t rows = IST_MIN(c->n_gallery - at, (size_t)BLOCK);

		gather(c->pairs->triples->image, n_in, c->gallery + at, rows, x);
		code = ist_model_embed(model, IST_IMAGE, x, rows, ret + at * dim, err);
		if (code == IST_OK)
			code = ist_check_stop(hooks, err);
	}
	return code;
}

/* A block of queries: (rows, dim). */
static enum ist_code embed_queries(const struct ist_composed *c, const struct ist_model *model,
				   size_t at, size_t rows, float *image, float *text, float *ret,
				   struct ist_err *err)
{
	const struct ist_triples *t = c->pairs->triples;
	ist_autofree uint32_t *reference = ist_alloc(rows, sizeof(*reference));

	for (size_t i = 0; i < rows; i++)
		reference[i] = t->reference[c->query[at + i]];
	gather(t->image, model->dim_in[IST_IMAGE], reference, rows, image);
	if (model->method->compose == NULL)
		return ist_model_embed_query(model, IST_IMAGE, IST_IMAGE, image, rows, ret, err);
	gather(t->text, model->dim_in[IST_TEXT], c->query + at, rows, text);
	return ist_model_compose(model, image, text, rows, ret, err);
}

static enum ist_code embed_all(const struct ist_composed *c, const struct ist_model *model,
			       const struct ist_train_hooks *hooks, float *ret, struct ist_err *err)
{
	size_t dim = model->dim[IST_IMAGE];
	ist_autofree float *image = ist_alloc_raw(BLOCK * model->dim_in[IST_IMAGE], sizeof(*image));
	ist_autofree float *text = ist_alloc_raw(BLOCK * model->dim_in[IST_TEXT], sizeof(*text));
	enum ist_code code = IST_OK;

	for (size_t at = 0; at < c->n_queries && code == IST_OK; at += BLOCK) {
		size_t rows = IST_MIN(c->n_queries - at, (size_t)BLOCK);

		code = embed_queries(c, model, at, rows, image, text, ret + at * dim, err);
		if (code == IST_OK)
			code = ist_check_stop(hooks, err);
	}
	return code;
}

enum ist_code ist_composed_measure(const struct ist_composed *c, const struct ist_model *model,
				   const struct ist_train_hooks *hooks, struct ist_figures *ret,
				   struct ist_err *err)
{
	size_t dim = model->dim[IST_IMAGE];
	ist_autofree float *query = ist_alloc_raw(c->n_queries * dim + 1, sizeof(*query));
	ist_autofree float *gallery = ist_alloc_raw(c->n_gallery * dim + 1, sizeof(*gallery));
	enum ist_code code = embed_all(c, model, hooks, query, err);

	if (code == IST_OK)
		code = embed_gallery(c, model, hooks, gallery, err);
	if (code == IST_OK)
		code =
		    ist_composed_rank(c, model->similarity, query, gallery, dim, hooks, ret, err);
	return code;
}

enum ist_code ist_composed_figure(const struct ist_composed *c, const struct ist_model *model,
				  const struct ist_train_hooks *hooks, double *ret,
				  struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	double mean[IST_N_METRICS];
	ist_autofree uint32_t *order = NULL;
	enum ist_code code = ist_composed_measure(c, model, hooks, &figures, err);

	if (code != IST_OK)
		return code;
	order = ist_figures_order(&figures);
	ist_figures_mean(&figures, order, NULL, mean);
	*ret = mean[IST_MAP_ALL];
	return IST_OK;
}

/* ---- the report ---- */

/* One random ranker's figures: its ranks are even over the others. */
static enum ist_code chance(const struct ist_composed *c, const struct ist_train_hooks *hooks,
			    json_t **ret, struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	struct ist_rng rng;

	figures_init(&figures, c);
	ist_rng_init(&rng, SEED, "random composed rankings");
	for (size_t q = 0; q < c->n_queries; q++) {
		size_t others = c->n_gallery - (c->reference[q] != NONE);

		take(&figures, q, (uint32_t)ist_rng_below(&rng, IST_MAX(others, (size_t)1)));
	}
	return ist_figures_json(&figures, hooks, ret, err);
}

enum ist_code ist_composed_report(const struct ist_composed *c, const struct ist_model *model,
				  const struct ist_train_hooks *hooks, json_t **ret,
				  struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	json_t *report = NULL, *by_chance = NULL;
	enum ist_code code = ist_composed_measure(c, model, hooks, &figures, err);

	if (code == IST_OK)
		code = ist_figures_json(&figures, hooks, &report, err);
	if (code == IST_OK)
		code = chance(c, hooks, &by_chance, err);
	if (code != IST_OK) {
		json_decref(report);
		return code;
	}
	json_object_set_new(report, "relevant", json_string("target"));
	json_object_set_new(report, "queries", json_integer((json_int_t)c->n_queries));
	json_object_set_new(report, "gallery", json_integer((json_int_t)c->n_gallery));
	json_object_set_new(report, "chance", by_chance);
	*ret = report;
	return IST_OK;
}

static enum ist_code add_pairs(const struct ist_model *model, const struct ist_pairs *pairs,
			       enum ist_part part, const struct ist_train_hooks *hooks,
			       json_t *into, struct ist_err *err)
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	enum ist_code code;

	ist_trials_init(&trials, pairs, part);
	if (trials.direction[IST_IMAGE].n_queries < 2)
		return IST_OK;
	code = ist_report_trials(&trials, hooks, into, err);
	return code == IST_OK ? ist_report_model(&trials, model, hooks, into, err) : code;
}

enum ist_code ist_composed_evaluate(const struct ist_model *model, const struct ist_pairs *pairs,
				    enum ist_part part, const struct ist_train_hooks *hooks,
				    json_t **ret_report, struct ist_err *err)
{
	ist_auto(ist_composed_finish) struct ist_composed c = {0};
	json_t *figures = NULL, *report;
	enum ist_code code;

	ist_composed_init(&c, pairs, part);
	if (c.n_queries < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu triples to measure on, at least 2 are needed", c.n_queries);
	code = ist_composed_report(&c, model, hooks, &figures, err);
	if (code != IST_OK)
		return code;
	report = json_pack("{s:o}", "composed", figures);
	code = model->crosses ? add_pairs(model, pairs, part, hooks, report, err) : IST_OK;
	if (code != IST_OK) {
		json_decref(report);
		return code;
	}
	*ret_report = report;
	return IST_OK;
}

/* ---- calibration ---- */

/* Similarities of queries with every picture but their references; which is the target. */
static void collect(const struct ist_composed *c, enum ist_similarity similarity,
		    const float *query, const float *gallery, size_t dim, float *s, bool *match,
		    size_t *ret_n)
{
	ist_autofree float *row = ist_alloc_raw(c->n_gallery + 1, sizeof(*row));

	*ret_n = 0;
	for (size_t q = 0; q < c->n_queries; q++) {
		ist_similarities(similarity, IST_ALIKE, query + q * dim, 1, gallery, c->n_gallery,
				 dim, row);
		for (uint32_t g = 0; g < c->n_gallery; g++) {
			if (g == c->reference[q])
				continue;
			s[*ret_n] = row[g];
			match[(*ret_n)++] = g == c->target[q];
		}
	}
}

static void spread(const float *s, const bool *match, size_t n, struct ist_calibration *ret)
{
	double sum = 0, squares = 0, count = 0;

	for (size_t i = 0; i < n; i++) {
		if (match[i])
			continue;
		sum += s[i];
		squares += (double)s[i] * s[i];
		count++;
	}
	if (count < 2)
		return;
	ret->mean = sum / count;
	ret->sd = sqrt(fmax(squares / count - ret->mean * ret->mean, 0));
	if (!(ret->sd > 0))
		ret->sd = 1;
}

/* The probability is that of a picture drawn from the part's gallery. */
enum ist_code ist_composed_calibrate(struct ist_model *model, const struct ist_pairs *pairs,
				     const struct ist_train_hooks *hooks, struct ist_err *err)
{
	bool held_back = ist_composed_count(pairs, IST_VALIDATION) > 0;
	struct ist_calibration *to = &model->calibration[IST_COMPOSED][IST_IMAGE];
	ist_auto(ist_composed_finish) struct ist_composed c = {0};
	size_t dim = model->dim[IST_IMAGE], n;
	ist_autofree float *query = NULL, *gallery = NULL, *s = NULL;
	ist_autofree bool *match = NULL;
	enum ist_code code;

	if (pairs->triples == NULL || model->method->compose == NULL)
		return IST_OK;
	init(&c, pairs, held_back ? IST_VALIDATION : IST_TRAIN, CALIBRATION_QUERIES);
	query = ist_alloc_raw(c.n_queries * dim + 1, sizeof(*query));
	gallery = ist_alloc_raw(c.n_gallery * dim + 1, sizeof(*gallery));
	code = embed_all(&c, model, hooks, query, err);
	if (code == IST_OK)
		code = embed_gallery(&c, model, hooks, gallery, err);
	if (code != IST_OK)
		return code;
	s = ist_alloc_raw(c.n_queries * c.n_gallery + 1, sizeof(*s));
	match = ist_alloc_raw(c.n_queries * c.n_gallery + 1, sizeof(*match));
	collect(&c, model->similarity, query, gallery, dim, s, match, &n);
	spread(s, match, n, to);
	to->fitted = held_back && ist_fit_logistic(s, match, n, &to->slope, &to->offset);
	return ist_check_stop(hooks, err);
}
