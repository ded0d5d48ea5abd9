/*
 * linear: canonical correlation analysis with ridge, the floor under every learned method.
 *
 *   Cxx = X'X/n + r_x I,  Cyy = Y'Y/n + r_y I,  Cxy = X'Y/n       r = regularisation x mean
 * variance Cxx = Lx Lx',  Cyy = Ly Ly',  Lx^-1 Cxy Ly'^-1 = U S V' an image is S^power U' Lx^-1 x,
 * a text S^power V' Ly^-1 y, compared by cosine
 *
 * Defaults are those that did well on narrow (up to 256) and on wide features. To keep within a
 * time that a baseline may take, at most MAX_ROWS pairs are used, and a side wider than MAX_DIM is
 * folded first: every column is added, with a random sign, to one of MAX_DIM sums (the folding has
 * orthonormal columns, so ridge means the same after it).
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"

#define MAX_ROWS 20000
#define MAX_DIM 4096
#define BLOCK 256 /* rows between two polls */

static const struct ist_param params[] = {
    {.name = "dimension",
     .kind = IST_PARAM_INT,
     .def = 256,
     .min = 1,
     .max = 512,
     .help = "directions kept, at most as many as the narrower side has columns"},
    {.name = "regularisation",
     .kind = IST_PARAM_REAL,
     .def = 1,
     .min = 0.001,
     .max = 10000,
     .by_data = true,
     .help = "ridge on each side, in units of its mean variance; 1 for features up to 256 wide, "
	     "10 for wider ones"},
    {.name = "power",
     .kind = IST_PARAM_REAL,
     .def = 1,
     .min = 0,
     .max = 8,
     .help = "directions are weighted by their canonical correlation to this power"},
    IST_PARAM_SCALING("image"),
    IST_PARAM_SCALING("text"),
};

struct side {
	size_t dim_in, dim; /* of features; after folding */
	uint32_t *fold;	    /* (dim_in) the sum that a column goes to, NULL: not folded */
	float *sign;	    /* (dim_in) what it is multiplied with there */
	float *mean;	    /* (dim) */
	double *factor;	    /* (dim, dim) covariance, then its Cholesky factor */
};

struct cca {
	const struct ist_pairs *pairs;
	const struct ist_train_hooks *hooks;
	const json_t *params;
	uint32_t *rows;
	size_t n;
	struct ist_maps *maps;
	struct side side[IST_N_MODALITIES];
	double *cross; /* (dim image, dim text) */
};

static void cca_finish(struct cca *cca)
{
	free(cca->rows);
	free(cca->cross);
	ist_maps_unref(cca->maps);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		free(cca->side[m].fold);
		free(cca->side[m].sign);
		free(cca->side[m].mean);
		free(cca->side[m].factor);
	}
}

/* Columns that share a sum are divided by the root of their number, which is what makes the
 * folding orthonormal. */
static void start_folding(struct side *side, enum ist_modality m)
{
	ist_autofree uint32_t *count = ist_alloc(MAX_DIM, sizeof(*count));
	struct ist_rng rng;

	side->dim = IST_MIN(side->dim_in, (size_t)MAX_DIM);
	if (side->dim == side->dim_in)
		return;
	side->fold = ist_alloc_raw(side->dim_in, sizeof(*side->fold));
	side->sign = ist_alloc_raw(side->dim_in, sizeof(*side->sign));
	ist_rng_init(&rng, 0, ist_modality_name(m));
	for (size_t j = 0; j < side->dim_in; j++) {
		/* The first MAX_DIM columns are spread evenly, so that no sum is empty. */
		side->fold[j] = (uint32_t)(j < MAX_DIM ? j : ist_rng_below(&rng, MAX_DIM));
		side->sign[j] = ist_rng_below(&rng, 2) == 0 ? -1 : 1;
		count[side->fold[j]]++;
	}
	for (size_t j = 0; j < side->dim_in; j++)
		side->sign[j] /= sqrtf((float)count[side->fold[j]]);
}

/* Scaled (and folded) features of n training rows from `at`: ret (n, dim). */
static void read_rows(const struct cca *cca, enum ist_modality m, size_t at, size_t n, float *ret)
{
	const struct side *side = &cca->side[m];
	size_t dim_in = side->dim_in, dim = side->dim;
	ist_autofree float *x = ist_alloc_raw(n * dim_in, sizeof(float));

	for (size_t i = 0; i < n; i++)
		memcpy(x + i * dim_in, cca->pairs->x[m] + cca->rows[at + i] * dim_in,
		       dim_in * sizeof(float));
	ist_scaling_apply(&cca->maps->scaling[m], x, n, side->fold == NULL ? ret : x);
	if (side->fold == NULL)
		return;
	memset(ret, 0, n * dim * sizeof(float));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < dim_in; j++)
			ret[i * dim + side->fold[j]] += side->sign[j] * x[i * dim_in + j];
	}
}

static void subtract_mean(const struct side *side, float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < side->dim; j++)
			x[i * side->dim + j] -= side->mean[j];
	}
}

/* Most scalings leave a mean of 0 behind, but `none` does not, and covariances want it gone. */
static enum ist_code fit_mean(struct cca *cca, enum ist_modality m, struct ist_err *err)
{
	struct side *side = &cca->side[m];
	ist_autofree float *x = ist_alloc_raw(BLOCK * side->dim, sizeof(float));
	ist_autofree double *sum = ist_alloc(side->dim, sizeof(double));
	enum ist_code code = IST_OK;

	for (size_t at = 0; at < cca->n && code == IST_OK; at += BLOCK) {
		size_t n = IST_MIN(cca->n - at, (size_t)BLOCK);

		read_rows(cca, m, at, n, x);
		for (size_t i = 0; i < n; i++) {
			for (size_t j = 0; j < side->dim; j++)
				sum[j] += x[i * side->dim + j];
		}
		code = ist_check_stop(cca->hooks, err);
	}
	side->mean = ist_alloc(side->dim, sizeof(*side->mean));
	for (size_t j = 0; j < side->dim; j++)
		side->mean[j] = (float)(sum[j] / (double)cca->n);
	return code;
}

/* ret (da, db) += a' b / n over all rows; the products of a block are float, their sum double. */
static enum ist_code covariance(struct cca *cca, enum ist_modality a, enum ist_modality b,
				double *ret, struct ist_err *err)
{
	const struct side *sa = &cca->side[a], *sb = &cca->side[b];
	ist_autofree float *x = ist_alloc_raw(BLOCK * sa->dim, sizeof(float));
	ist_autofree float *y = ist_alloc_raw(BLOCK * sb->dim, sizeof(float));
	ist_autofree float *block = ist_alloc_raw(sa->dim * sb->dim, sizeof(float));
	enum ist_code code = IST_OK;

	for (size_t at = 0; at < cca->n && code == IST_OK; at += BLOCK) {
		size_t n = IST_MIN(cca->n - at, (size_t)BLOCK);

		read_rows(cca, a, at, n, x);
		read_rows(cca, b, at, n, y);
		subtract_mean(sa, x, n);
		subtract_mean(sb, y, n);
		ist_gemm_f32(IST_TRANSPOSED, IST_PLAIN, sa->dim, sb->dim, n, 1, x, y, 0, block);
		for (size_t i = 0; i < sa->dim * sb->dim; i++)
			ret[i] += (double)block[i] / (double)cca->n;
		code = ist_check_stop(cca->hooks, err);
	}
	return code;
}

/* The ridge is in units of the mean variance, so that it means the same for any unit of the
 * features. */
static enum ist_code factor_side(struct cca *cca, enum ist_modality m, struct ist_err *err)
{
	struct side *side = &cca->side[m];
	double ridge = 0;
	enum ist_code code;

	code = fit_mean(cca, m, err);
	if (code != IST_OK)
		return code;
	side->factor = ist_alloc(side->dim * side->dim, sizeof(*side->factor));
	code = covariance(cca, m, m, side->factor, err);
	for (size_t j = 0; j < side->dim; j++)
		ridge += side->factor[j * side->dim + j] / (double)side->dim;
	ridge *= ist_param_real(cca->params, "regularisation");
	for (size_t j = 0; j < side->dim; j++)
		side->factor[j * side->dim + j] += fmax(ridge, 1e-12);
	if (code == IST_OK)
		code = ist_cholesky(side->factor, side->dim, cca->hooks, err);
	return code;
}

static double *transposed(const double *a, size_t m, size_t n)
{
	double *t = ist_alloc_raw(m * n, sizeof(*t));

	for (size_t i = 0; i < m; i++) {
		for (size_t j = 0; j < n; j++)
			t[j * m + i] = a[i * n + j];
	}
	return t;
}

/* cross <- Lx^-1 Cxy Ly'^-1. */
static enum ist_code whiten(struct cca *cca, struct ist_err *err)
{
	const struct side *x = &cca->side[IST_IMAGE], *y = &cca->side[IST_TEXT];
	ist_autofree double *t = NULL;
	enum ist_code code;

	cca->cross = ist_alloc(x->dim * y->dim, sizeof(double));
	code = covariance(cca, IST_IMAGE, IST_TEXT, cca->cross, err);
	if (code == IST_OK)
		code = ist_solve_lower(x->factor, x->dim, IST_PLAIN, cca->cross, y->dim, cca->hooks,
				       err);
	if (code != IST_OK)
		return code;
	t = transposed(cca->cross, x->dim, y->dim);
	code = ist_solve_lower(y->factor, y->dim, IST_PLAIN, t, x->dim, cca->hooks, err);
	free(cca->cross);
	cca->cross = transposed(t, y->dim, x->dim);
	return code;
}

/* The map of a side from its directions (dim, k), which are overwritten. */
static enum ist_code make_map(struct cca *cca, enum ist_modality m, double *directions,
			      const double *s, size_t k, struct ist_err *err)
{
	const struct side *side = &cca->side[m];
	double power = ist_param_real(cca->params, "power");
	float *weight, *bias;
	enum ist_code code;

	code = ist_solve_lower(side->factor, side->dim, IST_TRANSPOSED, directions, k, cca->hooks,
			       err);
	weight = cca->maps->weight[m] = ist_alloc(side->dim_in * k, sizeof(*weight));
	bias = cca->maps->bias[m] = ist_alloc(k, sizeof(*bias));
	for (size_t c = 0; c < k; c++) {
		double scale = pow(fmax(s[c], 0), power), shift = 0;

		for (size_t j = 0; j < side->dim; j++)
			shift += side->mean[j] * directions[j * k + c];
		bias[c] = (float)(-scale * shift);
		for (size_t j = 0; j < side->dim_in; j++) {
			size_t from = side->fold != NULL ? side->fold[j] : j;
			double sign = side->fold != NULL ? side->sign[j] : 1;

			weight[j * k + c] = (float)(scale * sign * directions[from * k + c]);
		}
	}
	return code;
}

/* The equations of the head, in their order. */
static enum ist_code fit(struct cca *cca, size_t k, struct ist_err *err)
{
	const struct side *x = &cca->side[IST_IMAGE], *y = &cca->side[IST_TEXT];
	ist_autofree double *u = ist_alloc(x->dim * k, sizeof(double));
	ist_autofree double *v = ist_alloc(y->dim * k, sizeof(double));
	ist_autofree double *s = ist_alloc(k, sizeof(double));
	enum ist_code code = IST_OK;

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = factor_side(cca, m, err);
	if (code == IST_OK)
		code = whiten(cca, err);
	if (code == IST_OK)
		code = ist_svd_leading(cca->cross, x->dim, y->dim, k, u, s, v, cca->hooks, err);
	if (code == IST_OK)
		code = make_map(cca, IST_IMAGE, u, s, k, err);
	if (code == IST_OK)
		code = make_map(cca, IST_TEXT, v, s, k, err);
	return code;
}

/* Rows, scalings and folding are decided before anything is summed up. */
static void start(struct cca *cca, uint64_t seed)
{
	cca->rows = ist_training_rows(cca->pairs, false, MAX_ROWS, seed, &cca->n);
	cca->maps = ist_maps_create();
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		cca->side[m].dim_in = cca->pairs->dim[m];
		start_folding(&cca->side[m], m);
		ist_scaling_fit(&cca->maps->scaling[m],
				ist_param_choice(cca->params, ist_scaling_param(m)),
				cca->pairs->x[m], cca->pairs->dim[m], cca->rows, cca->n);
	}
}

static enum ist_code train(const struct ist_pairs *pairs, json_t *params_, uint64_t seed,
			   const struct ist_train_hooks *hooks, struct ist_model **ret,
			   struct ist_err *err)
{
	ist_auto(cca_finish) struct cca cca = {.pairs = pairs, .hooks = hooks, .params = params_};
	size_t widest = IST_MAX(pairs->dim[IST_IMAGE], pairs->dim[IST_TEXT]);
	size_t k = (size_t)ist_param_int(params_, "dimension");
	struct ist_model *model;
	enum ist_code code;

	if (ist_param_is_null(params_, "regularisation"))
		json_object_set_new(params_, "regularisation",
				    json_real(widest > IST_WIDE ? 10 : 1));
	start(&cca, seed);
	if (cca.n < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA, "%zu pairs to learn from, 2 are needed",
				cca.n);
	k = IST_MIN(k, IST_MIN(cca.side[IST_IMAGE].dim, cca.side[IST_TEXT].dim));
	code = fit(&cca, k, err);
	if (code != IST_OK)
		return code;
	model = ist_model_create(&ist_method_linear);
	model->params = json_deep_copy(params_);
	model->similarity = IST_COSINE;
	model->crosses = true;
	model->seed = seed;
	model->state = ist_steal(&cca.maps);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		model->dim_in[m] = pairs->dim[m];
		model->dim[m] = k;
	}
	*ret = model;
	return IST_OK;
}

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	ist_maps_apply(model->state, m, model->dim[m], x, n, ret);
	ist_unit_rows(ret, n, model->dim[m]);
	return IST_OK;
}

static const struct ist_tuning tune[] = {
    {"regularisation", {0.3, 3, 30}, 3},
    {"power", {0, 2, 4}, 3},
};

const struct ist_method ist_method_linear = {
    .name = "linear",
    .title = "Canonical correlation analysis with ridge",
    .about = "The simplest that could do: linear maps of both sides that agree most. "
	     "Fast; needs pairs only.",
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = train,
    .load = ist_maps_load,
    .save = ist_maps_save,
    .destroy = ist_maps_destroy,
    .embed = embed,
};
