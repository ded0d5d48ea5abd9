/*
 * What every trained network must do, method by method: learn something that crosses the
 * modalities, give the same bits on any number of threads, go on with the same bits after a stop
 * and after a kill, live in files, and keep the best of its epochs.
 */
#include "tests/unit/methods/world.h"
#include "tests/unit/test.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/methods/network.h"

/* A short run has 3 steps an epoch: 119 labelled pairs by 32. */
static const struct method_case {
	const char *name, *long_run, *short_run;
	double precision; /* at least, after the long run; chance is .25 */
	size_t steps;	  /* of the short run */
} cases[] = {
    {"acmr", "{\"epochs\": 40}", "{\"epochs\": 9, \"batch\": 32, \"k\": 2}", .9, 27},
    {"mnsgan", "{\"epochs\": 40}", "{\"epochs\": 9, \"batch\": 32, \"per_class\": 4}", .9, 27},
    {"mnsgan", "{\"epochs\": 40, \"form\": \"hinge\", \"pick\": \"nearest\"}",
     "{\"epochs\": 9, \"batch\": 32, \"form\": \"hinge\", \"negative_classes\": \"one\"}", .9, 27},
    {"cmgan", "{\"epochs\": 200, \"batch\": 32, \"code\": 32, \"discriminator_hidden\": 16}",
     "{\"epochs\": 9, \"batch\": 32, \"code\": 16, \"halve_every\": 4}", .8, 27},
    {"cmgan",
     "{\"epochs\": 200, \"batch\": 32, \"code\": 32, \"tied\": false, \"one_head\": true, "
     "\"wrong_condition\": \"own\"}",
     "{\"epochs\": 9, \"batch\": 32, \"code\": 16, \"tied\": false, \"one_head\": true, "
     "\"reconstruction\": 0.1}",
     .8, 27},
    {"corrae", "{\"epochs\": 300}", "{\"epochs\": 9, \"batch\": 32}", .7, 27},
    {"corrae", "{\"epochs\": 300, \"form\": \"full\", \"hidden\": 32}",
     "{\"epochs\": 9, \"batch\": 32, \"form\": \"cross\", \"hidden\": 8}", .7, 27},
    {"gxn", "{\"code\": 32}", "{\"epochs\": 9, \"batch\": 32, \"code\": 16}", .7, 27},
    {"gxn", "{\"code\": 32, \"violation\": \"image_over_text\", \"negatives\": \"hardest\"}",
     "{\"epochs\": 9, \"batch\": 32, \"code\": 16, \"violation\": \"image_over_text\", "
     "\"negatives\": \"hardest\"}",
     .55, 27},
    {"gxn", "{\"code\": 32, \"similarity\": \"cosine\"}",
     "{\"epochs\": 9, \"batch\": 32, \"code\": 16, \"similarity\": \"cosine\"}", .7, 27},
};

static void test_learns(void **state)
{
	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_model *model;
		struct world w;
		double precision;

		world_init(&w);
		model = world_train(&w, cases[i].name, cases[i].long_run, NULL);
		precision = world_precision(model, &w);
		if (!(precision >= cases[i].precision))
			fail_msg("%s %s: precision %.3f, expected %.2f", cases[i].name,
				 cases[i].long_run, precision, cases[i].precision);
		ist_model_unref(model);
		world_finish(&w);
	}
}

static void test_threads_change_no_bit(void **state)
{
	int before = omp_get_max_threads();

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_model *one, *three;
		struct world w;

		world_init(&w);
		omp_set_num_threads(1);
		one = world_train(&w, cases[i].name, cases[i].short_run, NULL);
		omp_set_num_threads(3);
		three = world_train(&w, cases[i].name, cases[i].short_run, NULL);
		world_assert_same(one, three, &w);
		ist_model_unref(one);
		ist_model_unref(three);
		world_finish(&w);
	}
	omp_set_num_threads(before);
}

/* Stopped, killed and stopped again, each at a step of its own, then left to finish. */
static void test_resumed_bit_for_bit(void **state)
{
	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		const struct method_case *c = &cases[i];
		char folder[] = "/tmp/isthmus-test-XXXXXX";
		struct world_stopper s = {0};
		struct ist_train_hooks hooks = {.user = &s, .stop = world_stop};
		struct ist_model *straight, *resumed;
		struct ist_err err;
		struct world w;

		world_init(&w);
		assert_non_null(mkdtemp(folder));
		straight = world_train(&w, c->name, c->short_run, NULL);
		world_run_stopped(&w, c->name, c->short_run, folder, 5);
		world_run_killed(&w, c->name, c->short_run, folder, 6);
		world_run_stopped(&w, c->name, c->short_run, folder, 8);
		hooks.checkpoint_dir = folder;
		resumed = world_train(&w, c->name, c->short_run, &hooks);
		world_assert_same(straight, resumed, &w);
		assert_int_equal(s.asked, c->steps - 4 - 7);
		ist_model_unref(straight);
		ist_model_unref(resumed);
		assert_ist_ok(ist_dir_remove(folder, &err));
		world_finish(&w);
	}
}

static void test_saved_and_loaded(void **state)
{
	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		char folder[] = "/tmp/isthmus-test-XXXXXX";
		struct ist_model *model, *loaded = NULL;
		struct ist_err err;
		struct world w;

		world_init(&w);
		assert_non_null(mkdtemp(folder));
		model = world_train(&w, cases[i].name, cases[i].short_run, NULL);
		assert_ist_ok(ist_model_save(model, folder, &err));
		assert_ist_ok(ist_model_load(folder, &loaded, &err));
		assert_int_equal(loaded->similarity, model->similarity);
		world_assert_same(model, loaded, &w);
		ist_model_unref(model);
		ist_model_unref(loaded);
		assert_ist_ok(ist_dir_remove(folder, &err));
		world_finish(&w);
	}
}

/* Better every epoch up to the third, worse ever after. */
static double judge(void *user, const struct ist_model *model)
{
	int *asked = user;

	assert_true(model->crosses);
	++*asked;
	return *asked <= 3 ? *asked : -*asked;
}

static void test_patience(void **state)
{
	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		int asked = 0;
		struct ist_train_hooks hooks = {.user = &asked, .validate = judge};
		struct ist_model *best, *three;
		json_t *params = world_params(cases[i].name, cases[i].short_run);
		struct ist_err err;
		struct world w;

		world_init(&w);
		json_object_set_new(params, "patience", json_integer(2));
		assert_ist_ok(ist_method_find(cases[i].name)
				  ->train(&w.pairs, params, WORLD_SEED, &hooks, &best, &err));
		assert_int_equal(asked, 3 + 2);
		assert_int_equal(ist_param_int(best->params, "epochs"), 9);
		/* it is not the last epoch's: without judgement the run is longer */
		three = world_train(&w, cases[i].name, cases[i].short_run, NULL);
		assert_memory_not_equal(((struct ist_network *)three->state)->theta->value,
					((struct ist_network *)best->state)->theta->value,
					64 * sizeof(ist_real));
		ist_model_unref(best);
		ist_model_unref(three);
		json_decref(params);
		world_finish(&w);
	}
}

/* Pairs that are too few, and labels that are missing. */
static void test_too_little(void **state)
{
	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		const struct ist_method *method = ist_method_find(cases[i].name);
		json_t *params = world_params(cases[i].name, cases[i].short_run);
		struct ist_model *model = NULL;
		struct ist_err err;
		struct world w;

		world_init(&w);
		for (size_t k = 1; k < WORLD_PAIRS; k++)
			w.part[k] = IST_TEST;
		assert_int_equal(method->train(&w.pairs, params, 1, NULL, &model, &err),
				 IST_NOT_ENOUGH_DATA);
		assert_null(model);
		json_decref(params);
		world_finish(&w);
	}
}

TEST_MAIN(cmocka_unit_test(test_resumed_bit_for_bit), cmocka_unit_test(test_learns),
	  cmocka_unit_test(test_threads_change_no_bit), cmocka_unit_test(test_saved_and_loaded),
	  cmocka_unit_test(test_patience), cmocka_unit_test(test_too_little))
