/*
 * ACMR as a method on made-up pairs that share a class: what is learned, what the data decide,
 * rankings, files, checkpoints that go on with the same bits after a stop and after a kill, early
 * stopping, the adversary's sign.
 */
#include "tests/unit/methods/world.h"
#include "tests/unit/test.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/acmr.h"
#include "core/tensor/ops.h"

static void test_learns(void **state)
{
	struct world w;
	struct ist_model *model, *predictor;

	world_init(&w);
	model = world_train(&w, "acmr", "{\"epochs\": 40}", NULL);
	assert_int_equal(model->similarity, IST_EUCLIDEAN);
	assert_int_equal(model->dim[IST_IMAGE], 40);
	assert_true(world_precision(model, &w) > .9);
	predictor =
	    world_train(&w, "acmr", "{\"epochs\": 40, \"adversary\": 0, \"triplet\": 0}", NULL);
	assert_true(world_precision(predictor, &w) > .5);
	ist_model_unref(model);
	ist_model_unref(predictor);
	world_finish(&w);
}

static void test_threads_and_seed_decide_the_bits(void **state)
{
	int before = omp_get_max_threads();
	struct ist_model *one, *three;
	struct world w;

	world_init(&w);
	omp_set_num_threads(1);
	one = world_train(&w, "acmr", "{\"epochs\": 5}", NULL);
	omp_set_num_threads(3);
	three = world_train(&w, "acmr", "{\"epochs\": 5}", NULL);
	world_assert_same(one, three, &w);
	omp_set_num_threads(before);
	ist_model_unref(one);
	ist_model_unref(three);
	world_finish(&w);
}

static void test_rankings(void **state)
{
	const struct ist_method *acmr = ist_method_find("acmr");
	struct ist_model *model, *cosine, *posterior, *back;
	struct ist_err err;
	struct world w;

	world_init(&w);
	model = world_train(&w, "acmr", "{\"epochs\": 3}", NULL);
	assert_ist_ok(acmr->variant(model, "cosine", &cosine, &err));
	assert_ist_ok(acmr->variant(cosine, "posterior", &posterior, &err));
	assert_ist_ok(acmr->variant(posterior, "euclidean", &back, &err));
	assert_int_equal(cosine->similarity, IST_COSINE);
	assert_int_equal(posterior->similarity, IST_INNER);
	assert_string_equal(ist_param_choice(posterior->params, "similarity"), "posterior");
	assert_int_equal(posterior->dim[IST_TEXT], WORLD_CLASSES);
	world_assert_same(model, back, &w);
	ist_model_unref(model); /* the variants live on */
	ist_model_unref(back);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *c = world_embed(cosine, &w, (enum ist_modality)m);
		ist_autofree float *p = world_embed(posterior, &w, (enum ist_modality)m);

		for (size_t i = 0; i < WORLD_PAIRS; i++) {
			double squares = 0, sum = 0;

			for (size_t k = 0; k < cosine->dim[m]; k++)
				squares += pow((double)c[i * cosine->dim[m] + k], 2);
			for (size_t k = 0; k < WORLD_CLASSES; k++)
				sum += (double)p[i * WORLD_CLASSES + k];
			assert_float_equal(squares, 1, 1e-5);
			assert_float_equal(sum, 1, 1e-5);
		}
	}
	ist_model_unref(cosine);
	ist_model_unref(posterior);
	world_finish(&w);
}

/* One row at a time gives what many at once give, but for the order of sums. */
static void test_single_rows(void **state)
{
	struct ist_model *model;
	struct ist_err err;
	struct world w;
	ist_autofree float *all = NULL;
	float one[40];

	world_init(&w);
	model = world_train(&w, "acmr", "{\"epochs\": 2}", NULL);
	all = world_embed(model, &w, IST_TEXT);
	for (size_t i = 0; i < WORLD_PAIRS; i += 13) {
		assert_ist_ok(
		    ist_model_embed(model, IST_TEXT, w.x[IST_TEXT] + i * WORLD_TEXT, 1, one, &err));
		for (size_t k = 0; k < 40; k++)
			assert_float_equal(one[k], all[i * 40 + k], 1e-5);
	}
	assert_ist_ok(ist_model_embed(model, IST_TEXT, w.x[IST_TEXT], 0, one, &err));
	ist_model_unref(model);
	world_finish(&w);
}

static long decided(const char *given, size_t image, size_t text, size_t rows, const char *name)
{
	json_t *params = world_params("acmr", given);
	double x;

	ist_acmr_decide(params, (size_t[]){image, text}, rows);
	x = ist_param_real(params, name);
	json_decref(params);
	return lround(1000 * x);
}

static void test_what_the_data_decide(void **state)
{
	assert_int_equal(decided("{}", 128, 10, 2173, "image_hidden_1"), 100000);
	assert_int_equal(decided("{}", 128, 10, 2173, "code"), 40000);
	assert_int_equal(decided("{}", 128, 10, 2173, "alpha"), 3000);
	assert_int_equal(decided("{}", 128, 10, 2173, "epochs"), 80000);
	assert_int_equal(decided("{}", 1280, 384, 5000, "image_hidden_1"), 0);
	assert_int_equal(decided("{}", 1280, 384, 5000, "code"), 100000);
	assert_int_equal(decided("{}", 100, 384, 5000, "mu"), 10000);
	assert_int_equal(decided("{}", 100, 384, 5000, "reg"), 30);
	assert_int_equal(decided("{}", 1280, 384, 5000, "epochs"), 60000);
	/* few pairs: more epochs, so that there are 600 steps */
	assert_int_equal(decided("{}", 1280, 384, 430, "epochs"), 100000);
	assert_int_equal(decided("{}", 1280, 384, 5, "epochs"), 600000);
	assert_int_equal(decided("{\"epochs\": 7}", 1280, 384, 430, "epochs"), 7000);
	assert_int_equal(decided("{\"preset\": \"paper\"}", 100, 10, 430, "epochs"), 50000);
	assert_int_equal(decided("{\"preset\": \"paper\"}", 100, 10, 430, "image_hidden_1"),
			 2000000);
	assert_int_equal(decided("{\"preset\": \"paper\"}", 100, 10, 430, "k"), 4000);
	assert_int_equal(decided("{\"preset\": \"paper\", \"k\": 2}", 100, 10, 430, "k"), 2000);
	assert_int_equal(decided("{\"preset\": \"demo\"}", 100, 10, 430, "image_hidden_2"), 100000);
	assert_int_equal(decided("{\"preset\": \"demo\"}", 100, 10, 430, "text_hidden_1"), 40000);
}

static void test_fewer_pairs_than_a_batch(void **state)
{
	struct ist_model *model = NULL;
	struct ist_err err;
	json_t *params;
	struct world w;

	world_init(&w);
	for (size_t i = 5; i < WORLD_PAIRS; i++)
		w.part[i] = IST_TEST;
	model = world_train(&w, "acmr", "{\"epochs\": 4}", NULL);
	ist_model_unref(model);
	for (size_t i = 1; i < WORLD_PAIRS; i++)
		w.label[i] = -1;
	params = world_params("acmr", "{}");
	model = NULL;
	assert_int_equal(ist_acmr_train(&w.pairs, params, 7, NULL, &model, &err),
			 IST_NOT_ENOUGH_DATA);
	assert_null(model);
	json_decref(params);
	world_finish(&w);
}

/* A column that never varies, and a training that leaves the range of numbers. */
static void test_bad_numbers(void **state)
{
	struct ist_model *model = NULL;
	struct ist_err err;
	json_t *params = world_params("acmr", "{\"lr\": 1, \"reg\": 10000, \"beta\": 10000, "
					      "\"input_scaling\": \"none\", \"epochs\": 3}");
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < WORLD_PAIRS; i++)
		w.x[IST_IMAGE][i * WORLD_IMAGE] = 3;
	model = world_train(&w, "acmr", "{\"epochs\": 2}", NULL);
	ist_model_unref(model);
	model = NULL;
	for (size_t i = 0; i < WORLD_PAIRS * WORLD_TEXT; i++)
		w.x[IST_TEXT][i] *= 3e38f;
	assert_int_equal(ist_acmr_train(&w.pairs, params, 7, NULL, &model, &err), IST_INVALID);
	assert_null(model);
	json_decref(params);
	world_finish(&w);
}

static void test_saved_and_loaded(void **state)
{
	static const char *const scalings[] = {"zscore", "sqrt_l2", "unit", "none"};
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	struct ist_err err;
	struct world w;

	world_init(&w);
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < IST_COUNT(scalings); i++) {
		ist_autofree char *path = ist_format("%s/%s", folder, scalings[i]);
		ist_autofree char *given =
		    ist_format("{\"epochs\": 2, \"similarity\": \"%s\", \"input_scaling\": \"%s\"}",
			       i % 2 == 0 ? "posterior" : "cosine", scalings[i]);
		struct ist_model *model = world_train(&w, "acmr", given, NULL), *loaded = NULL;

		assert_ist_ok(ist_model_save(model, path, &err));
		assert_ist_ok(ist_model_load(path, &loaded, &err));
		assert_int_equal(loaded->similarity, model->similarity);
		world_assert_same(model, loaded, &w);
		ist_model_unref(model);
		ist_model_unref(loaded);
	}
	assert_ist_ok(ist_dir_remove(folder, &err));
	world_finish(&w);
}

/* ---- checkpoints ---- */

#define GIVEN "{\"epochs\": 9, \"batch\": 32, \"k\": 2}"

static void test_resumed_bit_for_bit(void **state)
{
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	struct world_stopper s = {0};
	struct ist_train_hooks hooks = {.user = &s, .stop = world_stop};
	struct ist_model *straight, *resumed;
	struct ist_err err;
	struct world w;

	world_init(&w);
	assert_non_null(mkdtemp(folder));
	straight = world_train(&w, "acmr", GIVEN, NULL);
	world_run_stopped(&w, "acmr", GIVEN, folder, 5);
	world_run_killed(&w, "acmr", GIVEN, folder, 6);
	world_run_stopped(&w, "acmr", GIVEN, folder, 8);
	hooks.checkpoint_dir = folder;
	resumed = world_train(&w, "acmr", GIVEN, &hooks);
	world_assert_same(straight, resumed, &w);
	/* 9 epochs of 3 batches; 4 and 7 steps were done before */
	assert_int_equal(s.asked, 27 - 4 - 7);
	ist_model_unref(straight);
	ist_model_unref(resumed);
	assert_ist_ok(ist_dir_remove(folder, &err));
	world_finish(&w);
}

static void test_foreign_and_damaged_checkpoints_are_left(void **state)
{
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	ist_autofree char *path = NULL;
	ist_auto(ist_buf_finish) struct ist_buf bytes = {0};
	struct ist_train_hooks hooks = {.checkpoint_dir = folder};
	struct ist_model *straight, *again;
	struct ist_err err;
	struct world w;

	world_init(&w);
	assert_non_null(mkdtemp(folder));
	path = ist_format("%s/acmr.safetensors", folder);
	world_run_stopped(&w, "acmr", GIVEN, folder, 5);
	straight = world_train(&w, "acmr", "{\"epochs\": 2}", NULL);
	again = world_train(&w, "acmr", "{\"epochs\": 2}",
			    &hooks); /* other parameters: not its checkpoint */
	world_assert_same(straight, again, &w);
	ist_model_unref(again);
	ist_model_unref(straight);

	assert_ist_ok(ist_file_read(path, 1 << 24, &bytes, &err));
	assert_ist_ok(ist_file_write(path, bytes.data, bytes.len / 2, &err));
	straight = world_train(&w, "acmr", GIVEN, NULL);
	again = world_train(&w, "acmr", GIVEN, &hooks);
	world_assert_same(straight, again, &w);
	ist_model_unref(again);
	ist_model_unref(straight);
	assert_ist_ok(ist_dir_remove(folder, &err));
	world_finish(&w);
}

/* ---- early stopping ---- */

struct judge {
	int asked, best_at;
	float best[WORLD_PAIRS * 40];
	const struct world *w;
};

/* Best at one epoch, worse ever after. */
static double judge(void *user, const struct ist_model *model)
{
	struct judge *j = user;

	if (++j->asked == j->best_at) {
		ist_autofree float *e = world_embed(model, j->w, IST_IMAGE);

		memcpy(j->best, e, sizeof(j->best));
	}
	return -fabs((double)(j->asked - j->best_at));
}

static void test_patience_keeps_the_best(void **state)
{
	struct world w;
	struct judge j = {.best_at = 4, .w = &w};
	struct ist_train_hooks hooks = {.user = &j, .validate = judge};
	ist_autofree float *e = NULL;
	struct ist_model *model;

	world_init(&w);
	model = world_train(&w, "acmr", "{\"epochs\": 50, \"patience\": 3}", &hooks);
	assert_int_equal(j.asked, 4 + 3);
	e = world_embed(model, &w, IST_IMAGE);
	assert_memory_equal(e, j.best, sizeof(j.best));
	ist_model_unref(model);
	j.asked = 0;
	model = world_train(&w, "acmr", "{\"epochs\": 9}", &hooks);
	assert_int_equal(j.asked, 0); /* off unless asked for */
	ist_model_unref(model);
	world_finish(&w);
}

/* ---- the adversary ---- */

/* Accuracy of the modality classifier after 2,000 steps of L_adv alone on two clouds of points, for
 * a factor of the reversal: -1 lets the projectors help it. */
static double modality_accuracy(double l)
{
	struct ist_acmr_settings s = {.net = {.n_in = {6, 6},
					      .code = 4,
					      .n_classes = 2,
					      .classifier_hidden = 8,
					      .batch = 64,
					      .adversary = 1,
					      .k = 1,
					      .lr = 2e-3,
					      .beta1 = .5,
					      .beta2 = .999}};
	struct ist_adversarial *a;
	struct ist_err err;
	struct ist_rng rng;
	size_t right = 0;

	assert_ist_ok(ist_acmr_create(&s, 3, &a, &err));
	ist_rng_init(&rng, 2, "clouds");
	a->l->value[0] = (ist_real)l;
	for (int step = 0; step < 2000; step++) {
		for (size_t i = 0; i < a->image->size; i++) {
			a->image->value[i] = (ist_real)(ist_rng_normal(&rng) + .7);
			a->text->value[i] = (ist_real)(ist_rng_normal(&rng) - .7);
		}
		ist_adversarial_step(a);
		for (size_t i = 0; i < s.net.batch && step >= 1900; i++) {
			right += a->D_v->value[2 * i + 1] > a->D_v->value[2 * i];
			right += a->D_t->value[2 * i + 1] < a->D_t->value[2 * i];
		}
	}
	ist_adversarial_destroy(a);
	return (double)right / (100 * 2 * 64);
}

static void test_reversal_confuses_the_modality_classifier(void **state)
{
	assert_true(modality_accuracy(-1) > .93);
	assert_true(modality_accuracy(1) < .65);
}

TEST_MAIN(cmocka_unit_test(test_resumed_bit_for_bit), cmocka_unit_test(test_learns),
	  cmocka_unit_test(test_threads_and_seed_decide_the_bits), cmocka_unit_test(test_rankings),
	  cmocka_unit_test(test_single_rows), cmocka_unit_test(test_what_the_data_decide),
	  cmocka_unit_test(test_fewer_pairs_than_a_batch), cmocka_unit_test(test_bad_numbers),
	  cmocka_unit_test(test_saved_and_loaded),
	  cmocka_unit_test(test_foreign_and_damaged_checkpoints_are_left),
	  cmocka_unit_test(test_patience_keeps_the_best),
	  cmocka_unit_test(test_reversal_confuses_the_modality_classifier))
