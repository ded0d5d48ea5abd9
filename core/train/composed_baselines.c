/*
 * Baselines of composed queries, in the space of scaled picture features: the reference picture
 * alone, the text alone through a ridge regression to the target's feature, the sum of both, and a
 * ridge regression on picture and text side by side. All are ranked by cosine; the ridge is chosen
 * on validation from a short list. Rows and columns are bounded, so that a baseline costs seconds.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/linalg.h"
#include "core/methods/maps.h"
#include "core/methods/scaling.h"
#include "core/train/composed.h"

#define MAX_ROWS 8000 /* triples that a regression learns from */
#define MAX_DIM 4096  /* columns of its input */

static const double ridges[] = {.001, .01, .1, 1, 10}; /* in units of the mean variance */

/* What a regression reads and everything is compared in. */
struct space {
	const struct ist_triples *t;
	size_t dim[IST_N_MODALITIES];
	struct ist_scaling scaling[IST_N_MODALITIES];
	uint32_t *rows; /* training triples */
	size_t n;
	const struct ist_train_hooks *hooks;
};

static void space_finish(struct space *s)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_finish(&s->scaling[m]);
	free(s->rows);
}

static bool some_negative(const struct space *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t j = 0; j < s->dim[IST_IMAGE]; j++)
			if (s->t->image[s->t->target[s->rows[i]] * s->dim[IST_IMAGE] + j] < 0)
				return true;
	return false;
}

static void space_init(struct space *s, const struct ist_pairs *pairs,
		       const struct ist_train_hooks *hooks)
{
	const struct ist_triples *t = pairs->triples;
	ist_autofree uint32_t *targets = NULL;
	size_t n = ist_composed_count(pairs, IST_TRAIN), stride = n / MAX_ROWS + 1, at = 0;

	*s = (struct space){.t = t, .hooks = hooks};
	memcpy(s->dim, pairs->dim, sizeof(s->dim));
	s->rows = ist_alloc(n + 1, sizeof(*s->rows));
	for (size_t i = 0; i < t->n; i++)
		if (t->part[i] == IST_TRAIN && at++ % stride == 0)
			s->rows[s->n++] = (uint32_t)i;
	targets = ist_alloc(s->n + 1, sizeof(*targets));
	for (size_t i = 0; i < s->n; i++)
		targets[i] = t->target[s->rows[i]];
	ist_scaling_fit(&s->scaling[IST_IMAGE], some_negative(s) ? "unit" : "sqrt_l2", t->image,
			s->dim[IST_IMAGE], targets, s->n);
	ist_scaling_fit(&s->scaling[IST_TEXT], "unit", t->text, s->dim[IST_TEXT], s->rows, s->n);
	ist_scaling_equalise(&s->scaling[IST_IMAGE], t->image, targets, s->n);
	ist_scaling_equalise(&s->scaling[IST_TEXT], t->text, s->rows, s->n);
}

/* Scaled pictures (n, dim) of listed rows. */
static float *pictures(const struct space *s, const uint32_t *of, const uint32_t *rows, size_t n)
{
	size_t dim = s->dim[IST_IMAGE];
	float *x = ist_alloc_raw(n * dim + 1, sizeof(*x));

	for (size_t i = 0; i < n; i++)
		ist_scaling_apply(&s->scaling[IST_IMAGE],
				  s->t->image + (of != NULL ? of[rows[i]] : rows[i]) * dim, 1,
				  x + i * dim);
	return x;
}

/* Inputs of the regression: [picture, text, 1] or [text, 1]. */
static size_t input_dim(const struct space *s, bool both)
{
	return (both ? s->dim[IST_IMAGE] : 0) + s->dim[IST_TEXT] + 1;
}

static float *inputs(const struct space *s, bool both, const uint32_t *triple, size_t n)
{
	size_t dim = input_dim(s, both), from = both ? s->dim[IST_IMAGE] : 0;
	float *z = ist_alloc_raw(n * dim + 1, sizeof(*z));

	for (size_t i = 0; i < n; i++) {
		float *row = z + i * dim;

		if (both)
			ist_scaling_apply(&s->scaling[IST_IMAGE],
					  s->t->image + s->t->reference[triple[i]] * from, 1, row);
		ist_scaling_apply(&s->scaling[IST_TEXT], s->t->text + triple[i] * s->dim[IST_TEXT],
				  1, row + from);
		row[dim - 1] = 1;
	}
	return z;
}

/* ---- ridge regression ---- */

struct normal {
	size_t dim, dim_out;
	float *zz;    /* (dim, dim) Z'Z */
	double *zy;   /* (dim, dim_out) Z'Y */
	double scale; /* mean of the diagonal of Z'Z */
};

static void normal_finish(struct normal *e)
{
	free(e->zz);
	free(e->zy);
}

static enum ist_code normal_init(struct normal *e, const struct space *s, bool both,
				 struct ist_err *err)
{
	ist_autofree float *z = inputs(s, both, s->rows, s->n);
	ist_autofree float *y = pictures(s, s->t->target, s->rows, s->n), *zy = NULL;
	enum ist_code code;

	*e = (struct normal){.dim = input_dim(s, both), .dim_out = s->dim[IST_IMAGE]};
	e->zz = ist_alloc_raw(e->dim * e->dim, sizeof(*e->zz));
	e->zy = ist_alloc_raw(e->dim * e->dim_out, sizeof(*e->zy));
	zy = ist_alloc_raw(e->dim * e->dim_out, sizeof(*zy));
	ist_gemm_f32(IST_TRANSPOSED, IST_PLAIN, e->dim, e->dim, s->n, 1, z, z, 0, e->zz);
	code = ist_check_stop(s->hooks, err);
	if (code != IST_OK)
		return code;
	ist_gemm_f32(IST_TRANSPOSED, IST_PLAIN, e->dim, e->dim_out, s->n, 1, z, y, 0, zy);
	for (size_t i = 0; i < e->dim * e->dim_out; i++)
		e->zy[i] = zy[i];
	for (size_t i = 0; i < e->dim; i++)
		e->scale += (double)e->zz[i * e->dim + i] / (double)e->dim;
	return ist_check_stop(s->hooks, err);
}

/* W (dim, dim_out) of (Z'Z + ridge scale I) W = Z'Y */
static enum ist_code solve(const struct normal *e, double ridge, const struct space *s, float **ret,
			   struct ist_err *err)
{
	size_t n = e->dim * e->dim_out;
	ist_autofree double *a = ist_alloc_raw(e->dim * e->dim, sizeof(*a));
	ist_autofree double *w = ist_alloc_raw(n, sizeof(*w));
	enum ist_code code;

	for (size_t i = 0; i < e->dim * e->dim; i++)
		a[i] = e->zz[i];
	for (size_t i = 0; i < e->dim; i++)
		a[i * e->dim + i] += ridge * e->scale;
	memcpy(w, e->zy, n * sizeof(*w));
	code = ist_cholesky(a, e->dim, s->hooks, err);
	if (code == IST_OK)
		code = ist_solve_lower(a, e->dim, IST_PLAIN, w, e->dim_out, s->hooks, err);
	if (code == IST_OK)
		code = ist_solve_lower(a, e->dim, IST_TRANSPOSED, w, e->dim_out, s->hooks, err);
	if (code != IST_OK)
		return code;
	*ret = ist_alloc_raw(n, sizeof(**ret));
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (float)w[i];
	return IST_OK;
}

/* ---- ranking ---- */

/* Figures of queries in the space, which is compared by cosine. Queries are changed. */
static enum ist_code rank(const struct space *s, const struct ist_composed *c, float *query,
			  struct ist_figures *ret, struct ist_err *err)
{
	size_t dim = s->dim[IST_IMAGE];
	ist_autofree float *gallery = pictures(s, NULL, c->gallery, c->n_gallery);

	ist_unit_rows(query, c->n_queries, dim);
	ist_unit_rows(gallery, c->n_gallery, dim);
	return ist_composed_rank(c, IST_COSINE, query, gallery, dim, s->hooks, ret, err);
}

static double figure(const struct ist_figures *f)
{
	double sum = 0;

	for (size_t q = 0; q < f->n; q++)
		sum += f->value[IST_MAP_ALL][q];
	return f->n > 0 ? sum / (double)f->n : 0;
}

/* What a regression says to a trial's queries: (n_queries, dim of pictures). */
static float *predict(const struct space *s, const struct ist_composed *c, bool both,
		      const float *w)
{
	ist_autofree float *z = inputs(s, both, c->query, c->n_queries);
	float *y = ist_alloc_raw(c->n_queries * s->dim[IST_IMAGE] + 1, sizeof(*y));

	ist_gemm_f32(IST_PLAIN, IST_PLAIN, c->n_queries, s->dim[IST_IMAGE], input_dim(s, both), 1,
		     z, w, 0, y);
	return y;
}

/* The ridge that does best on validation; the middle one where nothing was held back. */
static enum ist_code fit(const struct space *s, const struct ist_composed *validation, bool both,
			 float **ret, double *ret_ridge, struct ist_err *err)
{
	ist_auto(normal_finish) struct normal e = {0};
	enum ist_code code = normal_init(&e, s, both, err);
	double best = -1;

	if (code == IST_OK && validation->n_queries == 0) {
		*ret_ridge = ridges[IST_COUNT(ridges) / 2];
		return solve(&e, *ret_ridge, s, ret, err);
	}
	for (size_t i = 0; i < IST_COUNT(ridges) && code == IST_OK; i++) {
		ist_auto(ist_figures_finish) struct ist_figures figures = {0};
		ist_autofree float *w = NULL, *query = NULL;

		code = solve(&e, ridges[i], s, &w, err);
		if (code != IST_OK)
			break;
		query = predict(s, validation, both, w);
		code = rank(s, validation, query, &figures, err);
		if (code != IST_OK || figure(&figures) <= best)
			continue;
		best = figure(&figures);
		*ret_ridge = ridges[i];
		free(*ret);
		*ret = ist_steal(&w);
	}
	return code;
}

/* ---- the table ---- */

static enum ist_code add_row(const struct space *s, const struct ist_composed *test,
			     const char *name, float *query, json_t *table, struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	json_t *row = NULL;
	enum ist_code code = rank(s, test, query, &figures, err);

	if (code == IST_OK)
		code = ist_figures_json(&figures, s->hooks, &row, err);
	if (code == IST_OK)
		json_object_set_new(table, name, row);
	return code;
}

static float *references(const struct space *s, const struct ist_composed *c)
{
	return pictures(s, s->t->reference, c->query, c->n_queries);
}

/* Both sides of the sum have unit length, so that neither drowns the other. */
static float *sums(const struct space *s, const struct ist_composed *c, const float *text)
{
	size_t n = c->n_queries * s->dim[IST_IMAGE];
	float *sum = references(s, c);
	ist_autofree float *unit = ist_alloc_raw(n + 1, sizeof(*unit));

	memcpy(unit, text, n * sizeof(*unit));
	ist_unit_rows(unit, c->n_queries, s->dim[IST_IMAGE]);
	ist_unit_rows(sum, c->n_queries, s->dim[IST_IMAGE]);
	for (size_t i = 0; i < n; i++)
		sum[i] += unit[i];
	return sum;
}

static enum ist_code add_text_and_sum(const struct space *s, const struct ist_composed *validation,
				      const struct ist_composed *test, json_t *table,
				      struct ist_err *err)
{
	ist_autofree float *w = NULL, *text = NULL, *sum = NULL;
	double ridge;
	enum ist_code code = fit(s, validation, false, &w, &ridge, err);

	if (code != IST_OK)
		return code;
	text = predict(s, test, false, w);
	sum = sums(s, test, text);
	code = add_row(s, test, "text", text, table, err);
	return code == IST_OK ? add_row(s, test, "sum", sum, table, err) : code;
}

static enum ist_code add_linear(const struct space *s, const struct ist_composed *validation,
				const struct ist_composed *test, json_t *table, struct ist_err *err)
{
	ist_autofree float *w = NULL, *query = NULL;
	double ridge;
	enum ist_code code;

	if (input_dim(s, true) > MAX_DIM) {
		json_object_set_new(table, "linear",
				    json_pack("{s:s}", "skipped", "the features are too wide"));
		return IST_OK;
	}
	code = fit(s, validation, true, &w, &ridge, err);
	if (code != IST_OK)
		return code;
	query = predict(s, test, true, w);
	code = add_row(s, test, "linear", query, table, err);
	if (code == IST_OK)
		json_object_set_new(json_object_get(table, "linear"), "params",
				    json_pack("{s:f}", "regularisation", ridge));
	return code;
}

enum ist_code ist_composed_baselines(const struct ist_composed *validation,
				     const struct ist_composed *test,
				     const struct ist_train_hooks *hooks, json_t **ret,
				     struct ist_err *err)
{
	ist_auto(space_finish) struct space s = {0};
	ist_autofree float *alone = NULL;
	json_t *table = json_object();
	enum ist_code code;

	space_init(&s, test->pairs, hooks);
	alone = references(&s, test);
	code = add_row(&s, test, "image", alone, table, err);
	if (code == IST_OK)
		code = add_text_and_sum(&s, validation, test, table, err);
	if (code == IST_OK)
		code = add_linear(&s, validation, test, table, err);
	if (code != IST_OK) {
		json_decref(table);
		return code;
	}
	*ret = table;
	return IST_OK;
}
