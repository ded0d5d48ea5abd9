/*
 * ACMR as a method on made-up pairs that share a class: what is learned, what the data decide,
 * rankings, files, checkpoints that go on with the same bits after a stop and after a kill, early
 * stopping, the adversary's sign.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/acmr.h"
#include "core/tensor/ops.h"

#define CLASSES 4
#define PAIRS 150
#define DIM_IMAGE 20
#define DIM_TEXT 12

struct world {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t label[PAIRS];
	uint8_t part[PAIRS];
};

/* Each class has a direction in either modality; the last fifth is held out, one has no label. */
static void world_init(struct world *w)
{
	const size_t dim[IST_N_MODALITIES] = {DIM_IMAGE, DIM_TEXT};
	struct ist_rng rng;

	memset(w, 0, sizeof(*w));
	ist_rng_init(&rng, 5, "world");
	w->pairs.n = PAIRS;
	w->pairs.n_classes = CLASSES;
	for (size_t i = 0; i < PAIRS; i++) {
		w->label[i] = (int32_t)(i % CLASSES);
		w->part[i] = i < PAIRS * 4 / 5 ? IST_TRAIN : IST_TEST;
	}
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		w->pairs.dim[m] = dim[m];
		w->x[m] = ist_alloc(PAIRS * dim[m], sizeof(float));
		for (size_t i = 0; i < PAIRS; i++)
			for (size_t j = 0; j < dim[m]; j++)
				w->x[m][i * dim[m] + j] =
				    (float)(ist_rng_normal(&rng) +
					    (j % CLASSES == (size_t)w->label[i] ? 2 : 0));
		w->pairs.x[m] = w->x[m];
	}
	w->label[3] = -1;
	w->pairs.label = w->label;
	w->pairs.part = w->part;
}

static void world_finish(struct world *w)
{
	free(w->x[IST_IMAGE]);
	free(w->x[IST_TEXT]);
}

static json_t *complete(const char *given)
{
	json_t *json = json_loads(given, 0, NULL), *params;
	struct ist_err err;

	assert_non_null(json);
	assert_ist_ok(ist_params_complete(ist_method_find("acmr"), json, &params, &err));
	json_decref(json);
	return params;
}

static struct ist_model *train(const struct world *w, const char *given,
			       const struct ist_train_hooks *hooks)
{
	json_t *params = complete(given);
	struct ist_model *model = NULL;
	struct ist_err err;

	assert_ist_ok(ist_acmr_train(&w->pairs, params, 7, hooks, &model, &err));
	json_decref(params);
	return model;
}

static float *embed(const struct ist_model *model, const struct world *w, enum ist_modality m)
{
	float *e = ist_alloc(PAIRS * model->dim[m], sizeof(*e));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, m, w->pairs.x[m], PAIRS, e, &err));
	return e;
}

static double distance(const float *a, const float *b, size_t dim)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		sum += pow((double)a[k] - (double)b[k], 2);
	return sqrt(sum);
}

/* The share of held-out images whose nearest held-out text is of their class. */
static double precision(const struct ist_model *model, const struct world *w)
{
	ist_autofree float *v = embed(model, w, IST_IMAGE), *t = embed(model, w, IST_TEXT);
	size_t dim = model->dim[IST_IMAGE], right = 0, n = 0;

	for (size_t i = PAIRS * 4 / 5; i < PAIRS; i++, n++) {
		size_t best = PAIRS * 4 / 5;

		for (size_t j = best; j < PAIRS; j++)
			if (distance(v + i * dim, t + j * dim, dim) <
			    distance(v + i * dim, t + best * dim, dim))
				best = j;
		right += w->label[best] == w->label[i];
	}
	return (double)right / (double)n;
}

static void assert_same_model(const struct ist_model *a, const struct ist_model *b,
			      const struct world *w)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *x = embed(a, w, (enum ist_modality)m);
		ist_autofree float *y = embed(b, w, (enum ist_modality)m);

		assert_int_equal(a->dim[m], b->dim[m]);
		assert_memory_equal(x, y, PAIRS * a->dim[m] * sizeof(*x));
	}
}

static void test_learns(void **state)
{
	struct world w;
	struct ist_model *model, *predictor;

	world_init(&w);
	model = train(&w, "{\"epochs\": 40}", NULL);
	assert_int_equal(model->similarity, IST_EUCLIDEAN);
	assert_int_equal(model->dim[IST_IMAGE], 40);
	assert_true(precision(model, &w) > .9);
	predictor = train(&w, "{\"epochs\": 40, \"adversary\": 0, \"triplet\": 0}", NULL);
	assert_true(precision(predictor, &w) > .5);
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
	one = train(&w, "{\"epochs\": 5}", NULL);
	omp_set_num_threads(3);
	three = train(&w, "{\"epochs\": 5}", NULL);
	assert_same_model(one, three, &w);
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
	model = train(&w, "{\"epochs\": 3}", NULL);
	assert_ist_ok(acmr->variant(model, "cosine", &cosine, &err));
	assert_ist_ok(acmr->variant(cosine, "posterior", &posterior, &err));
	assert_ist_ok(acmr->variant(posterior, "euclidean", &back, &err));
	assert_int_equal(cosine->similarity, IST_COSINE);
	assert_int_equal(posterior->similarity, IST_INNER);
	assert_string_equal(ist_param_choice(posterior->params, "similarity"), "posterior");
	assert_int_equal(posterior->dim[IST_TEXT], CLASSES);
	assert_same_model(model, back, &w);
	ist_model_unref(model); /* the variants live on */
	ist_model_unref(back);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *c = embed(cosine, &w, (enum ist_modality)m);
		ist_autofree float *p = embed(posterior, &w, (enum ist_modality)m);

		for (size_t i = 0; i < PAIRS; i++) {
			double squares = 0, sum = 0;

			for (size_t k = 0; k < cosine->dim[m]; k++)
				squares += pow((double)c[i * cosine->dim[m] + k], 2);
			for (size_t k = 0; k < CLASSES; k++)
				sum += (double)p[i * CLASSES + k];
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
	model = train(&w, "{\"epochs\": 2}", NULL);
	all = embed(model, &w, IST_TEXT);
	for (size_t i = 0; i < PAIRS; i += 13) {
		assert_ist_ok(
		    ist_model_embed(model, IST_TEXT, w.x[IST_TEXT] + i * DIM_TEXT, 1, one, &err));
		for (size_t k = 0; k < 40; k++)
			assert_float_equal(one[k], all[i * 40 + k], 1e-5);
	}
	assert_ist_ok(ist_model_embed(model, IST_TEXT, w.x[IST_TEXT], 0, one, &err));
	ist_model_unref(model);
	world_finish(&w);
}

static long decided(const char *given, size_t image, size_t text, size_t rows, const char *name)
{
	json_t *params = complete(given);
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
	for (size_t i = 5; i < PAIRS; i++)
		w.part[i] = IST_TEST;
	model = train(&w, "{\"epochs\": 4}", NULL);
	ist_model_unref(model);
	for (size_t i = 1; i < PAIRS; i++)
		w.label[i] = -1;
	params = complete("{}");
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
	json_t *params = complete("{\"lr\": 1, \"reg\": 10000, \"beta\": 10000, "
				  "\"input_scaling\": \"none\", \"epochs\": 3}");
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < PAIRS; i++)
		w.x[IST_IMAGE][i * DIM_IMAGE] = 3;
	model = train(&w, "{\"epochs\": 2}", NULL);
	ist_model_unref(model);
	model = NULL;
	for (size_t i = 0; i < PAIRS * DIM_TEXT; i++)
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
		struct ist_model *model = train(&w, given, NULL), *loaded = NULL;

		assert_ist_ok(ist_model_save(model, path, &err));
		assert_ist_ok(ist_model_load(path, &loaded, &err));
		assert_int_equal(loaded->similarity, model->similarity);
		assert_same_model(model, loaded, &w);
		ist_model_unref(model);
		ist_model_unref(loaded);
	}
	assert_ist_ok(ist_dir_remove(folder, &err));
	world_finish(&w);
}

/* ---- checkpoints ---- */

struct stopper {
	int asked, stop_at, kill_at;
};

static bool stop(void *user)
{
	struct stopper *s = user;

	s->asked++;
	if (s->asked == s->kill_at)
		kill(getpid(), SIGKILL);
	return s->asked == s->stop_at;
}

#define GIVEN "{\"epochs\": 9, \"batch\": 32, \"k\": 2}"

/* Runs until the stop; the checkpoint it leaves is somewhere within an epoch. */
static void run_stopped(const struct world *w, const char *folder, int after)
{
	struct stopper s = {.stop_at = after};
	struct ist_train_hooks hooks = {.user = &s, .stop = stop, .checkpoint_dir = folder};
	json_t *params = complete(GIVEN);
	struct ist_model *model = NULL;
	struct ist_err err;

	assert_int_equal(ist_acmr_train(&w->pairs, params, 7, &hooks, &model, &err), IST_CANCELLED);
	assert_null(model);
	assert_int_equal(s.asked, after);
	json_decref(params);
}

/* Runs in a child that kills itself after some steps. */
static void run_killed(const struct world *w, const char *folder, int after)
{
	struct stopper s = {.kill_at = after};
	struct ist_train_hooks hooks = {.user = &s, .stop = stop, .checkpoint_dir = folder};
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		json_t *params = complete(GIVEN);
		struct ist_model *model;

		omp_set_num_threads(1); /* the pool's threads stayed with the parent */
		(void)!ist_acmr_train(&w->pairs, params, 7, &hooks, &model, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_resumed_bit_for_bit(void **state)
{
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	struct stopper s = {0};
	struct ist_train_hooks hooks = {.user = &s, .stop = stop};
	struct ist_model *straight, *resumed;
	struct ist_err err;
	struct world w;

	world_init(&w);
	assert_non_null(mkdtemp(folder));
	straight = train(&w, GIVEN, NULL);
	run_stopped(&w, folder, 5);
	run_killed(&w, folder, 6);
	run_stopped(&w, folder, 8);
	hooks.checkpoint_dir = folder;
	resumed = train(&w, GIVEN, &hooks);
	assert_same_model(straight, resumed, &w);
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
	run_stopped(&w, folder, 5);
	straight = train(&w, "{\"epochs\": 2}", NULL);
	again = train(&w, "{\"epochs\": 2}", &hooks); /* other parameters: not its checkpoint */
	assert_same_model(straight, again, &w);
	ist_model_unref(again);
	ist_model_unref(straight);

	assert_ist_ok(ist_file_read(path, 1 << 24, &bytes, &err));
	assert_ist_ok(ist_file_write(path, bytes.data, bytes.len / 2, &err));
	straight = train(&w, GIVEN, NULL);
	again = train(&w, GIVEN, &hooks);
	assert_same_model(straight, again, &w);
	ist_model_unref(again);
	ist_model_unref(straight);
	assert_ist_ok(ist_dir_remove(folder, &err));
	world_finish(&w);
}

/* ---- early stopping ---- */

struct judge {
	int asked, best_at;
	float best[PAIRS * 40];
	const struct world *w;
};

/* Best at one epoch, worse ever after. */
static double judge(void *user, const struct ist_model *model)
{
	struct judge *j = user;

	if (++j->asked == j->best_at) {
		ist_autofree float *e = embed(model, j->w, IST_IMAGE);

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
	model = train(&w, "{\"epochs\": 50, \"patience\": 3}", &hooks);
	assert_int_equal(j.asked, 4 + 3);
	e = embed(model, &w, IST_IMAGE);
	assert_memory_equal(e, j.best, sizeof(j.best));
	ist_model_unref(model);
	j.asked = 0;
	model = train(&w, "{\"epochs\": 9}", &hooks);
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
