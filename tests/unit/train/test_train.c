/*
 * ist_train end to end on a toy collection: every trainable method gives a model and a complete
 * report; what cannot be trained is refused in clear words; a stop is heeded; seeds repeat.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

static const char *const metrics[] = {"map_all", "map_50", "r_1", "r_5", "r_10", "median_rank"};

static json_t *complete(const struct ist_method *method, json_t *given)
{
	json_t *params = NULL;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, given, &params, &err));
	json_decref(given);
	return params;
}

/* Every figure is there, inside its interval and its range; returns map_all's value. */
static double check_direction(const json_t *parent, const char *name)
{
	const json_t *direction = json_object_get(parent, name);

	for (size_t i = 0; i < IST_COUNT(metrics); i++) {
		const json_t *metric = json_object_get(direction, metrics[i]);
		double value = json_real_value(json_object_get(metric, "value"));
		double low = json_real_value(json_object_get(metric, "low"));
		double high = json_real_value(json_object_get(metric, "high"));

		if (!(low <= value && value <= high && low >= 0))
			fail_msg("%s %s: %g is not in %g to %g", name, metrics[i], value, low,
				 high);
	}
	return json_real_value(json_object_get(json_object_get(direction, "map_all"), "value"));
}

static double check_both(const json_t *parent)
{
	return (check_direction(parent, "image_to_text") +
		check_direction(parent, "text_to_image")) /
	       2;
}

static void check_report(const json_t *report, double at_least)
{
	const json_t *baselines = json_object_get(report, "baselines"), *baseline;
	const json_t *chance = json_object_get(report, "chance");
	const char *name;

	assert_true(check_both(report) > at_least);
	assert_true(fabs(check_both(chance) - 0.23) < 0.03); /* five equal classes */
	json_object_foreach((json_t *)baselines, name, baseline)
	{
		if (json_object_get(baseline, "skipped") == NULL)
			assert_true(check_both(baseline) > 0.3);
	}
	assert_non_null(json_object_get(baselines, "linear"));
	assert_non_null(json_object_get(baselines, "logistic"));
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(report, "split"), "test")), 90);
}

static void every_method_trains(void **state)
{
	struct toy toy;

	toy_init(&toy, 300, 5, true, 1);
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		const struct ist_method *method = ist_methods[i];
		struct ist_model *model = NULL;
		json_t *params, *report = NULL;
		struct ist_err err;

		if (!method->trains || (method->needs & ~(unsigned)IST_NEEDS_LABELS) != 0)
			continue;
		params = complete(method, NULL);
		assert_ist_ok(
		    ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err));
		check_report(report, 0.5);
		assert_non_null(json_object_get(model->data, "fingerprint"));
		assert_true(model->calibration[IST_TEXT][IST_IMAGE].fitted);
		json_decref(report);
		json_decref(params);
		ist_model_unref(model);
	}
	toy_finish(&toy);
}

/* The similarity that is left open is the one that is best on validation, and is written down. */
static void validation_chooses_the_similarity(void **state)
{
	const struct ist_method *method = ist_method_find("acmr");
	struct ist_model *model = NULL;
	json_t *params = complete(method, json_pack("{s:i}", "epochs", 5)), *report = NULL, *value;
	const char *name, *best = NULL;
	struct toy toy;
	struct ist_err err;
	double top = -1;

	toy_init(&toy, 300, 5, true, 1);
	assert_ist_ok(ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err));
	json_object_foreach(json_object_get(report, "validation"), name, value)
	{
		if (json_real_value(value) > top) {
			top = json_real_value(value);
			best = name;
		}
	}
	assert_string_equal(best, ist_param_choice(params, "similarity"));
	assert_string_equal(best, ist_param_choice(model->params, "similarity"));
	assert_int_equal(json_object_size(json_object_get(report, "similarities")), 3);
	assert_true(json_equal(
	    json_object_get(json_object_get(json_object_get(report, "similarities"), best),
			    "image_to_text"),
	    json_object_get(report, "image_to_text")));
	json_decref(report);
	json_decref(params);
	ist_model_unref(model);
	toy_finish(&toy);
}

static void nothing_is_chosen_without_validation(void **state)
{
	const struct ist_method *method = ist_method_find("acmr");
	struct ist_model *model = NULL;
	json_t *params = complete(method, NULL), *report = NULL;
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 200, 5, false, 1);
	assert_int_equal(ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err),
			 IST_INVALID);
	assert_string_equal(err.pointer, "/similarity");
	json_object_set_new(params, "similarity", json_string("cosine"));
	json_object_set_new(params, "patience", json_integer(3));
	assert_int_equal(ist_train_check_params(method, params, false, &err), IST_INVALID);
	assert_string_equal(err.pointer, "/patience");
	assert_ist_ok(ist_train_check_params(method, params, true, &err));
	json_object_set_new(params, "patience", json_integer(0));
	json_object_set_new(params, "epochs", json_integer(2));
	assert_ist_ok(ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err));
	assert_true(json_is_null(json_object_get(report, "validation")));
	json_decref(report);
	json_decref(params);
	ist_model_unref(model);
	toy_finish(&toy);
}

static void pairs_without_labels(void **state)
{
	const struct ist_method *method = ist_method_find("linear");
	struct ist_model *model = NULL;
	json_t *params = complete(method, NULL), *report = NULL, *baselines;
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 300, 5, true, 0.5);
	toy_unlabel(&toy);
	assert_ist_ok(ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err));
	assert_string_equal(json_string_value(json_object_get(report, "relevant")), "item");
	assert_true(check_both(report) > 0.2);
	assert_true(fabs(check_both(json_object_get(report, "chance")) - 0.056) < 0.01);
	baselines = json_object_get(report, "baselines");
	assert_non_null(json_object_get(json_object_get(baselines, "logistic"), "skipped"));
	assert_int_equal(ist_train_check(ist_method_find("logistic"), &toy.pairs, &err),
			 IST_NOT_ENOUGH_DATA);
	json_decref(report);
	json_decref(params);
	ist_model_unref(model);
	toy_finish(&toy);
}

static void too_little_is_refused(void **state)
{
	const struct ist_method *method = ist_method_find("acmr");
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 300, 5, true, 1);
	assert_ist_ok(ist_train_check(method, &toy.pairs, &err));
	for (size_t i = 0; i < toy.pairs.n; i++)
		toy.part[i] = toy.part[i] == IST_TEST ? IST_UNUSED : toy.part[i];
	assert_int_equal(ist_train_check(method, &toy.pairs, &err), IST_NOT_ENOUGH_DATA);
	assert_non_null(strstr(err.text, "held out"));
	for (size_t i = 0; i < toy.pairs.n; i++)
		toy.label[i] = 3;
	assert_int_equal(ist_train_check(method, &toy.pairs, &err), IST_NOT_ENOUGH_DATA);
	assert_non_null(strstr(err.text, "labels"));
	for (size_t i = 0; i < toy.pairs.n; i++)
		toy.part[i] = IST_TEST;
	assert_int_equal(ist_train_check(method, &toy.pairs, &err), IST_NOT_ENOUGH_DATA);
	assert_non_null(strstr(err.text, "to train on"));
	toy_finish(&toy);
}

/* ---- hooks ---- */

struct watch {
	double last;
	bool forward;
	size_t calls, polls, stop_at;
};

static void watch_progress(void *user, double fraction, const char *stage)
{
	struct watch *watch = user;

	watch->forward = watch->forward && fraction >= watch->last && fraction <= 1 && stage;
	watch->last = fraction;
	watch->calls++;
}

static bool watch_stop(void *user)
{
	struct watch *watch = user;

	return ++watch->polls == watch->stop_at;
}

static void progress_goes_forward_to_the_end(void **state)
{
	struct watch watch = {.forward = true};
	const struct ist_train_hooks hooks = {
	    .user = &watch, .progress = watch_progress, .stop = watch_stop};
	const struct ist_method *method = ist_method_find("acmr");
	struct ist_model *model = NULL;
	json_t *params = complete(method, json_pack("{s:i}", "epochs", 3)), *report = NULL;
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 200, 5, true, 1);
	assert_ist_ok(ist_train(method, &toy.pairs, params, 1, &hooks, &model, &report, &err));
	assert_true(watch.forward);
	assert_true(watch.last == 1 && watch.calls > 5);
	json_decref(report);
	json_decref(params);
	ist_model_unref(model);
	toy_finish(&toy);
}

/* Wherever the stop falls, nothing is left behind and the code says so. */
static void a_stop_is_heeded_everywhere(void **state)
{
	const struct ist_method *method = ist_method_find("linear");
	struct watch watch = {.stop_at = 0, .forward = true};
	struct ist_train_hooks hooks = {.user = &watch, .stop = watch_stop};
	struct toy toy;
	size_t total;

	toy_init(&toy, 100, 3, true, 1);
	for (size_t round = 0; round < 12; round++) {
		struct ist_model *model = NULL;
		json_t *params = complete(method, NULL), *report = NULL;
		struct ist_err err;

		if (round == 0) { /* how many polls there are */
			assert_ist_ok(ist_train(method, &toy.pairs, params, 1, &hooks, &model,
						&report, &err));
			total = watch.polls;
			assert_true(total > 20);
		} else {
			watch.polls = 0;
			watch.stop_at = 1 + (round - 1) * (total - 1) / 10;
			assert_int_equal(
			    ist_train(method, &toy.pairs, params, 1, &hooks, &model, &report, &err),
			    IST_CANCELLED);
			assert_null(model);
		}
		json_decref(report);
		json_decref(params);
		ist_model_unref(model);
	}
	toy_finish(&toy);
}

/* ---- the same again ---- */

static char *train_to_text(const struct ist_method *method, struct toy *toy, float *ret_embedding)
{
	struct ist_model *model = NULL;
	json_t *params = complete(method, NULL), *report = NULL;
	struct ist_err err;
	char *text;

	if (json_object_get(params, "epochs") != NULL)
		json_object_set_new(params, "epochs", json_integer(4));
	assert_ist_ok(ist_train(method, &toy->pairs, params, 5, NULL, &model, &report, &err));
	assert_ist_ok(
	    ist_model_embed(model, IST_IMAGE, toy->pairs.x[IST_IMAGE], 1, ret_embedding, &err));
	json_object_del(report, "training_s"); /* the only member that may differ */
	text = json_dumps(report, JSON_SORT_KEYS);
	json_decref(report);
	json_decref(params);
	ist_model_unref(model);
	return text;
}

static void seeds_repeat_at_any_thread_count(void **state)
{
	int threads = omp_get_max_threads();
	struct toy toy;

	toy_init(&toy, 300, 5, true, 1);
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		float embedding[2][1024] = {{0}};
		char *report[2];

		if (!ist_methods[i]->trains ||
		    (ist_methods[i]->needs & ~(unsigned)IST_NEEDS_LABELS) != 0)
			continue;
		for (int t = 0; t < 2; t++) {
			omp_set_num_threads(t + 1);
			report[t] = train_to_text(ist_methods[i], &toy, embedding[t]);
		}
		assert_string_equal(report[0], report[1]);
		assert_memory_equal(embedding[0], embedding[1], sizeof(embedding[0]));
		free(report[0]);
		free(report[1]);
	}
	omp_set_num_threads(threads);
	toy_finish(&toy);
}

static void evaluate_gives_the_report_s_figures(void **state)
{
	const struct ist_method *method = ist_method_find("logistic");
	struct ist_model *model = NULL, *identity;
	json_t *params = complete(method, NULL), *report = NULL, *again = NULL;
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 300, 5, true, 1);
	assert_ist_ok(ist_train(method, &toy.pairs, params, 1, NULL, &model, &report, &err));
	assert_ist_ok(ist_evaluate(model, &toy.pairs, IST_TEST, NULL, &again, &err));
	assert_true(json_equal(json_object_get(report, "text_to_image"),
			       json_object_get(again, "text_to_image")));
	assert_int_equal(ist_evaluate(model, &toy.pairs, IST_UNUSED, NULL, &again, &err),
			 IST_NOT_ENOUGH_DATA);
	identity = ist_identity_create(toy.pairs.dim, false);
	assert_int_equal(ist_evaluate(identity, &toy.pairs, IST_TEST, NULL, &again, &err),
			 IST_NO_MODEL);
	ist_model_unref(identity);
	json_decref(report);
	json_decref(again);
	json_decref(params);
	ist_model_unref(model);
	toy_finish(&toy);
}

TEST_MAIN(cmocka_unit_test(every_method_trains),
	  cmocka_unit_test(validation_chooses_the_similarity),
	  cmocka_unit_test(nothing_is_chosen_without_validation),
	  cmocka_unit_test(pairs_without_labels), cmocka_unit_test(too_little_is_refused),
	  cmocka_unit_test(progress_goes_forward_to_the_end),
	  cmocka_unit_test(a_stop_is_heeded_everywhere),
	  cmocka_unit_test(seeds_repeat_at_any_thread_count),
	  cmocka_unit_test(evaluate_gives_the_report_s_figures))
