/* Calibration: the logistic fit on known data, monotone, refused without both kinds; on a model. */
#include <math.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/train/calibrate.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

#define N 20000

static void near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.6f is not %.6f +- %.6f", got, expected, tolerance);
}

static void finds_the_curve_that_made_the_data(void **state)
{
	ist_autofree float *s = ist_alloc(N, sizeof(*s));
	ist_autofree bool *match = ist_alloc(N, sizeof(*match));
	double slope, offset;
	struct ist_rng rng;

	ist_rng_init(&rng, 1, "curve");
	for (size_t i = 0; i < N; i++) {
		s[i] = (float)(10 * ist_rng_uniform(&rng) - 20); /* distances, say */
		match[i] = ist_rng_uniform(&rng) < 1 / (1 + exp(-(1.5 * s[i] + 21)));
	}
	assert_true(ist_fit_logistic(s, match, N, &slope, &offset));
	near(slope, 1.5, 0.1);
	near(offset, 21, 1.5);
}

static void stays_finite_where_the_kinds_are_apart(void **state)
{
	const float s[6] = {0.1f, 0.2f, 0.3f, 0.7f, 0.8f, 0.9f};
	const bool match[6] = {false, false, false, true, true, true};
	double slope, offset;

	assert_true(ist_fit_logistic(s, match, 6, &slope, &offset));
	assert_true(isfinite(slope) && isfinite(offset) && slope > 0);
	assert_true(slope * 0.9 + offset > 0 && slope * 0.1 + offset < 0);
}

static void refuses_what_says_nothing(void **state)
{
	const float s[4] = {1, 2, 3, 4};
	const bool all[4] = {true, true, true, true}, none[4] = {false, false, false, false};
	const bool reversed[4] = {true, true, false, false};
	double slope = 7, offset = 7;

	assert_false(ist_fit_logistic(s, all, 4, &slope, &offset));
	assert_false(ist_fit_logistic(s, none, 4, &slope, &offset));
	assert_false(ist_fit_logistic(s, reversed, 4, &slope, &offset));
	assert_true(slope == 7);
}

static struct ist_model *train_linear(struct toy *toy)
{
	const struct ist_method *method = ist_method_find("linear");
	struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, NULL, &params, &err));
	assert_ist_ok(method->train(&toy->pairs, params, 0, NULL, &model, &err));
	json_decref(params);
	return model;
}

static void every_direction_of_a_model(void **state)
{
	struct toy toy;
	struct ist_model *model;
	struct ist_err err;

	toy_init(&toy, 300, 5, true, 0.5);
	model = train_linear(&toy);
	assert_ist_ok(ist_calibrate(model, &toy.pairs, NULL, &err));
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		for (int to = 0; to < IST_N_MODALITIES; to++) {
			double last = 0;

			assert_true(model->calibration[from][to].fitted);
			assert_true(model->calibration[from][to].sd > 0);
			for (double s = -1; s <= 1; s += 0.1) {
				double p = ist_model_score(model, (enum ist_modality)from,
							   (enum ist_modality)to, s);

				assert_true(p > last && p < 1);
				last = p;
			}
		}
	}
	ist_model_unref(model);
	toy_finish(&toy);
}

/* Without labels a modality has no matches within itself; across, the own pair is one. */
static void without_labels_or_validation(void **state)
{
	struct toy toy;
	struct ist_model *model;
	struct ist_err err;

	toy_init(&toy, 300, 5, true, 0.5);
	toy_unlabel(&toy);
	model = train_linear(&toy);
	assert_ist_ok(ist_calibrate(model, &toy.pairs, NULL, &err));
	assert_true(model->calibration[IST_IMAGE][IST_TEXT].fitted);
	assert_false(model->calibration[IST_IMAGE][IST_IMAGE].fitted);
	assert_true(isnan(ist_model_score(model, IST_TEXT, IST_TEXT, 0.5)));
	ist_model_unref(model);
	toy_finish(&toy);

	toy_init(&toy, 300, 5, false, 0.5);
	model = train_linear(&toy);
	assert_ist_ok(ist_calibrate(model, &toy.pairs, NULL, &err));
	assert_false(model->calibration[IST_IMAGE][IST_TEXT].fitted);
	assert_true(model->calibration[IST_IMAGE][IST_TEXT].sd < 1); /* of training pairs */
	near(ist_model_standardise(model, IST_IMAGE, IST_TEXT,
				   model->calibration[IST_IMAGE][IST_TEXT].mean),
	     0, 1e-12);
	ist_model_unref(model);
	toy_finish(&toy);
}

TEST_MAIN(cmocka_unit_test(finds_the_curve_that_made_the_data),
	  cmocka_unit_test(stays_finite_where_the_kinds_are_apart),
	  cmocka_unit_test(refuses_what_says_nothing), cmocka_unit_test(every_direction_of_a_model),
	  cmocka_unit_test(without_labels_or_validation))
