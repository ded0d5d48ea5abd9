/*
 * The baselines on data with known answers: CCA finds the correlations that were put in and is
 * not moved by how the inputs are scaled; logistic regression separates what can be separated and
 * is at a minimum of its loss.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/maps.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

static struct ist_model *train(const struct ist_pairs *pairs, const char *name, json_t *given)
{
	const struct ist_method *method = ist_method_find(name);
	struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, given, &params, &err));
	assert_ist_ok(method->train(pairs, params, 0, NULL, &model, &err));
	json_decref(params);
	json_decref(given);
	return model;
}

/* x = (a, b, noise), y = (noise, 0.6 a + 0.8 e, e2): correlations 0.6 in one direction only. */
static void cca_finds_the_correlation(void **state)
{
	size_t n = 6000;
	struct toy toy = {.pairs = {.n = n, .dim = {3, 3}}};
	struct ist_model *model;
	ist_autofree float *u = ist_alloc(3 * n, sizeof(*u)), *v = ist_alloc(3 * n, sizeof(*v));
	double xy = 0, xx = 0, yy = 0;
	struct ist_rng rng;
	struct ist_err err;

	toy.label = ist_alloc(n, sizeof(*toy.label));
	toy.item = ist_alloc(n, sizeof(*toy.item));
	toy.part = ist_alloc(n, 1); /* all train */
	ist_rng_init(&rng, 1, "cca");
	for (int m = 0; m < IST_N_MODALITIES; m++)
		toy.pairs.x[m] = toy.x[m] = ist_alloc(3 * n, sizeof(float));
	for (size_t i = 0; i < n; i++) {
		double a = ist_rng_normal(&rng);

		for (size_t j = 0; j < 3; j++) {
			toy.x[IST_IMAGE][i * 3 + j] = (float)(7 * ist_rng_normal(&rng) + 100);
			toy.x[IST_TEXT][i * 3 + j] = (float)ist_rng_normal(&rng);
		}
		toy.x[IST_IMAGE][i * 3] = (float)(50 * a - 3);
		toy.x[IST_TEXT][i * 3 + 1] = (float)(0.6 * a + 0.8 * ist_rng_normal(&rng)) * 0.01f;
	}
	toy.pairs.label = toy.label;
	toy.pairs.item = toy.item;
	toy.pairs.part = toy.part;
	model = train(
	    &toy.pairs, "linear",
	    json_pack("{s:i, s:f, s:i}", "dimension", 1, "regularisation", 0.001, "power", 1));
	assert_int_equal(model->dim[IST_TEXT], 1);
	ist_maps_apply(model->state, IST_IMAGE, 1, toy.x[IST_IMAGE], n, u);
	ist_maps_apply(model->state, IST_TEXT, 1, toy.x[IST_TEXT], n, v);
	for (size_t i = 0; i < n; i++) {
		xy += (double)u[i] * v[i];
		xx += (double)u[i] * u[i];
		yy += (double)v[i] * v[i];
	}
	assert_true(fabs(xy / sqrt(xx * yy) - 0.6) < 0.03);
	assert_true(fabs(sqrt(xx / (double)n) - 0.6) < 0.03); /* unit variance x sigma^1 */
	assert_ist_ok(ist_model_embed(model, IST_IMAGE, toy.x[IST_IMAGE], 1, u, &err));
	assert_true(fabsf(u[0]) == 1);
	ist_model_unref(model);
	toy_finish(&toy);
}

/* How often the nearest text of an image is of its class. */
static double class_hits(const struct ist_model *model, const struct toy *toy)
{
	size_t n = toy->pairs.n, dim = model->dim[IST_IMAGE], hits = 0, tried = 0;
	ist_autofree float *u = ist_alloc(n * dim, sizeof(*u)), *v = ist_alloc(n * dim, sizeof(*v));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, IST_IMAGE, toy->x[IST_IMAGE], n, u, &err));
	assert_ist_ok(ist_model_embed(model, IST_TEXT, toy->x[IST_TEXT], n, v, &err));
	for (size_t i = 0; i < n; i++) {
		double best = -INFINITY;
		size_t at = 0;

		if (toy->part[i] != IST_TEST)
			continue;
		for (size_t j = 0; j < n; j++) {
			double s = 0;

			for (size_t k = 0; k < dim && toy->part[j] == IST_TEST; k++)
				s += (double)u[i * dim + k] * v[j * dim + k];
			if (toy->part[j] == IST_TEST && s > best) {
				best = s;
				at = j;
			}
		}
		hits += toy->label[i] == toy->label[at];
		tried++;
	}
	return (double)hits / (double)tried;
}

static void both_generalise_on_toy_data(void **state)
{
	struct toy toy;
	struct ist_model *linear, *posterior, *cosine;

	toy_init(&toy, 300, 5, true, 0.5);
	linear = train(&toy.pairs, "linear", NULL);
	posterior = train(&toy.pairs, "logistic", NULL);
	cosine = train(&toy.pairs, "logistic", json_pack("{s:s}", "similarity", "cosine"));
	assert_true(class_hits(linear, &toy) > 0.9);
	assert_true(class_hits(posterior, &toy) > 0.9);
	assert_true(class_hits(cosine, &toy) > 0.9);
	assert_int_equal(posterior->similarity, IST_INNER);
	ist_model_unref(linear);
	ist_model_unref(posterior);
	ist_model_unref(cosine);
	toy_finish(&toy);
}

/* Two separable classes: every training row is told apart, probabilities sum to 1. */
static void logistic_separates(void **state)
{
	struct toy toy;
	struct ist_model *model;
	struct ist_err err;
	float p[2 * 200];

	toy_init(&toy, 200, 2, true, 0.1);
	model = train(&toy.pairs, "logistic", json_pack("{s:f}", "regularisation", 0.0001));
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		assert_ist_ok(ist_model_embed(model, (enum ist_modality)m, toy.x[m], 200, p, &err));
		for (size_t i = 0; i < 200; i++) {
			assert_true(fabsf(p[2 * i] + p[2 * i + 1] - 1) < 1e-5f);
			if (toy.part[i] == IST_TRAIN)
				assert_true(p[2 * i + (size_t)toy.label[i]] > 0.9f);
		}
	}
	ist_model_unref(model);
	toy_finish(&toy);
}

/* At the minimum the gradient is 0: (P - Y)' X / n = -2 ridge W, whose bias part is the mean of
 * P - Y. */
static void logistic_is_at_its_minimum(void **state)
{
	struct toy toy;
	struct ist_model *model;
	const struct ist_maps *maps;
	ist_autofree float *scaled = NULL, *p = NULL;
	double worst = 0, n = 0, ridge = 0.05;
	size_t dim, classes = 3;
	struct ist_err err;

	toy_init(&toy, 150, 3, false, 2);
	model = train(&toy.pairs, "logistic", json_pack("{s:f}", "regularisation", ridge));
	maps = model->state;
	dim = model->dim_in[IST_TEXT];
	scaled = ist_alloc(150 * dim, sizeof(float));
	p = ist_alloc(150 * classes, sizeof(float));
	ist_scaling_apply(&maps->scaling[IST_TEXT], toy.x[IST_TEXT], 150, scaled);
	assert_ist_ok(ist_model_embed(model, IST_TEXT, toy.x[IST_TEXT], 150, p, &err));
	for (size_t i = 0; i < 150; i++)
		n += toy.part[i] == IST_TRAIN;
	for (size_t j = 0; j <= dim; j++) {
		for (size_t c = 0; c < classes; c++) {
			double g =
			    j < dim ? 2 * ridge * maps->weight[IST_TEXT][j * classes + c] : 0;

			for (size_t i = 0; i < 150; i++) {
				double y = toy.label[i] == (int32_t)c;

				if (toy.part[i] == IST_TRAIN)
					g += (p[i * classes + c] - y) *
					     (j < dim ? scaled[i * dim + j] : 1) / n;
			}
			worst = fmax(worst, fabs(g));
		}
	}
	assert_true(worst < 2e-5);
	ist_model_unref(model);
	toy_finish(&toy);
}

/* Wider than the cap: the folded side still serves. */
static void very_wide_features_are_folded(void **state)
{
	size_t n = 80, wide = 5000;
	struct toy toy;
	struct ist_model *model;
	float *x;

	toy_init(&toy, n, 2, true, 0.2);
	x = ist_alloc(n * wide, sizeof(*x));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < wide; j++)
			x[i * wide + j] = toy.x[IST_TEXT][i * 16 + j % 16];
	}
	free(toy.x[IST_TEXT]);
	toy.pairs.x[IST_TEXT] = toy.x[IST_TEXT] = x;
	toy.pairs.dim[IST_TEXT] = wide;
	model = train(&toy.pairs, "linear", NULL);
	assert_int_equal(model->dim_in[IST_TEXT], wide);
	assert_true(class_hits(model, &toy) > 0.9);
	ist_model_unref(model);
	toy_finish(&toy);
}

static void settings_by_the_data_are_written_down(void **state)
{
	struct toy toy;
	struct ist_model *linear, *logistic;

	toy_init(&toy, 60, 2, true, 0.2);
	linear = train(&toy.pairs, "linear", NULL);
	logistic = train(&toy.pairs, "logistic", NULL);
	assert_true(ist_param_real(linear->params, "regularisation") == 1);
	assert_true(ist_param_real(logistic->params, "regularisation") == 0.02);
	ist_model_unref(linear);
	ist_model_unref(logistic);
	toy_finish(&toy);
}

TEST_MAIN(cmocka_unit_test(cca_finds_the_correlation),
	  cmocka_unit_test(both_generalise_on_toy_data), cmocka_unit_test(logistic_separates),
	  cmocka_unit_test(logistic_is_at_its_minimum),
	  cmocka_unit_test(very_wide_features_are_folded),
	  cmocka_unit_test(settings_by_the_data_are_written_down))
