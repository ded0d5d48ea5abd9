/*
 * CM-GANs' own: what is tied, what each game does on small data, wrong pairs, reconstruction within
 * and across the modalities.
 */
#include "tests/unit/methods/world.h"
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/cmgan.h"
#include "core/methods/samplers.h"

#define CODE 32

static const struct ist_cmgan_settings small = {.n_in = {WORLD_IMAGE, WORLD_TEXT},
						.code = CODE,
						.n_classes = WORLD_CLASSES,
						.discriminator_hidden = 16,
						.batch = 8,
						.tied = true,
						.inter = 1,
						.intra = 1,
						.cls = 1,
						.rounds = 5,
						.lr = 1e-3,
						.beta1 = .5,
						.beta2 = .999};

static size_t count(const struct ist_weights *group)
{
	size_t n = 0;

	for (size_t i = 0; i < group->n; i++)
		n += group->weights[i]->size;
	return n;
}

/* A second block has d x d weights, d biases, and d each of gamma and beta. */
static void test_tie(void **state)
{
	struct ist_cmgan_settings untied = small;
	struct ist_weights *one, *two;

	untied.tied = false;
	one = ist_cmgan_theta_G(&small, false);
	two = ist_cmgan_theta_G(&untied, false);
	assert_int_equal(count(two) - count(one), CODE * CODE + CODE + 2 * CODE);
	assert_non_null(ist_weights_find(one, "E2.lin.weight"));
	assert_null(ist_weights_find(one, "E2.I.lin.weight"));
	assert_non_null(ist_weights_find(two, "E2.T.lin.weight"));
	ist_weights_destroy(one);
	ist_weights_destroy(two);
}

/* The discriminators' step leaves the generators alone, and theirs leave the discriminators. */
static void test_who_moves(void **state)
{
	struct ist_cmgan_settings s = small;
	struct ist_cmgan *c;
	struct ist_err err;
	ist_real *g, *d;
	size_t bytes_g, bytes_d;

	s.rounds = 0;
	assert_ist_ok(ist_cmgan_create(&s, 1, &c, &err));
	for (size_t i = 0; i < s.batch; i++) {
		c->judges.y->ids[i] = (int32_t)(i % WORLD_CLASSES);
		for (int m = 0; m < IST_N_MODALITIES; m++)
			for (size_t j = 0; j < s.n_in[m]; j++) {
				c->judges.x[m]->value[i * s.n_in[m] + j] =
				    (ist_real)sin((double)(i * j));
				c->judges.wrong[m]->value[i * s.n_in[m] + j] =
				    (ist_real)cos((double)(i + j));
			}
	}
	bytes_g = c->theta_G->size * sizeof(*g);
	bytes_d = c->theta_D->size * sizeof(*d);
	g = ist_alloc(1, bytes_g);
	d = ist_alloc(1, bytes_d);
	memcpy(g, c->theta_G->moment[0], bytes_g);
	ist_cmgan_step(c);
	assert_memory_equal(g, c->theta_G->moment[0], bytes_g); /* no update: no moments */
	memcpy(d, c->theta_D->moment[0], bytes_d);
	c->s.rounds = 2;
	ist_cmgan_step(c);
	assert_int_equal(ist_weights_find(c->theta_D, "D.I.weight")->steps, 2);
	/* the tied block is stepped by both generators */
	assert_int_equal(ist_weights_find(c->theta_G, "E1.I.lin.weight")->steps, 2);
	assert_int_equal(ist_weights_find(c->theta_G, "E2.lin.weight")->steps, 4);
	free(g);
	free(d);
	ist_cmgan_destroy(c);
}

#define BASE "\"epochs\": 200, \"batch\": 32, \"code\": 32, \"discriminator_hidden\": 16"

static double precision(const char *given)
{
	struct ist_model *model;
	struct world w;
	double x;

	world_init(&w);
	model = world_train(&w, "cmgan", given, NULL);
	x = world_precision(model, &w);
	ist_model_unref(model);
	world_finish(&w);
	return x;
}

/* Without the game between them, untied encoders have no reason to agree on what a code means:
 * classes lie apart in either modality, but not in the same places. */
static void test_the_inter_game_aligns(void **state)
{
	double with = precision("{" BASE ", \"tied\": false}");
	double without = precision("{" BASE ", \"tied\": false, \"inter\": 0}");

	if (!(with >= .8 && without <= .6))
		fail_msg("precision %.3f with the game, %.3f without", with, without);
}

/* Without class heads nothing tells the codes to keep the class. */
static void test_the_class_heads_keep_classes_apart(void **state)
{
	double without = precision("{" BASE ", \"cls\": 0}");

	if (!(without <= .6))
		fail_msg("precision %.3f without class heads", without);
}

/* Features of modality `to` that the held-out ones of `from` call up; freed by the caller. */
static float *reconstruct(const struct ist_model *model, const struct world *w,
			  enum ist_modality from, enum ist_modality to)
{
	float *r = ist_alloc(WORLD_PAIRS * w->pairs.dim[to], sizeof(*r));
	struct ist_err err;

	assert_ist_ok(
	    model->method->reconstruct(model, from, to, w->x[from], WORLD_PAIRS, r, &err));
	return r;
}

/* Squared error of held-out reconstructions over the features' squares. */
static double unexplained(const struct ist_model *model, const struct world *w, enum ist_modality m)
{
	ist_autofree float *r = reconstruct(model, w, m, m);
	double error = 0, squares = 0;

	for (size_t i = WORLD_PAIRS * 4 / 5 * w->pairs.dim[m]; i < WORLD_PAIRS * w->pairs.dim[m];
	     i++) {
		error += pow((double)w->x[m][i] - (double)r[i], 2);
		squares += pow((double)w->x[m][i], 2);
	}
	return error / squares;
}

/* A class's direction: 2 on every column whose number is the class's, modulo their number. */
static int32_t class_of(const float *x, size_t dim)
{
	double sum[WORLD_CLASSES] = {0};
	int32_t best = 0;

	for (size_t j = 0; j < dim; j++)
		sum[j % WORLD_CLASSES] += (double)x[j];
	for (int32_t c = 1; c < WORLD_CLASSES; c++)
		if (sum[c] > sum[best])
			best = c;
	return best;
}

/* The share of held-out items whose reconstruction shows their class. */
static double shown(const struct ist_model *model, const struct world *w, enum ist_modality from,
		    enum ist_modality to)
{
	ist_autofree float *r = reconstruct(model, w, from, to);
	double right = 0, n = 0;

	for (size_t i = WORLD_PAIRS * 4 / 5; i < WORLD_PAIRS; i++, n++)
		right += class_of(r + i * w->pairs.dim[to], w->pairs.dim[to]) == w->label[i];
	return right / n;
}

/* Within a modality features come back, far better with the squared error; across them what both
 * share is called up, and that is the class. */
static void test_reconstruction(void **state)
{
	struct ist_model *with, *without;
	struct world w;

	world_init(&w);
	with = world_train(&w, "cmgan", "{" BASE ", \"reconstruction\": 0.1}", NULL);
	without = world_train(&w, "cmgan", "{" BASE "}", NULL);
	assert_true(world_precision(with, &w) > .8);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		assert_true(unexplained(with, &w, m) < .65);
		assert_true(unexplained(with, &w, m) < .7 * unexplained(without, &w, m));
		assert_true(shown(with, &w, m, m) > .8);
		assert_true(shown(with, &w, m, !m) > .7);
	}
	ist_model_unref(with);
	ist_model_unref(without);
	world_finish(&w);
}

/* Slots: classes each as likely, the wrong document always of another one; a pure function. */
static void test_mismatched_slots(void **state)
{
	enum { N = 40, BATCH = 64, ROUNDS = 100 };
	uint32_t rows[N], a[BATCH], b[BATCH], a2[BATCH], b2[BATCH];
	int32_t label[N];
	size_t seen[3] = {0};
	struct ist_sampler sampler;

	for (uint32_t i = 0; i < N; i++) {
		rows[i] = i;
		label[i] = i == 0 ? 0 : i < 5 ? 1 : 2; /* 1, 4 and 35 documents */
	}
	ist_sampler_init(&sampler, &ist_sampler_balanced, rows, N, label, BATCH, 3);
	sampler.batch = BATCH;
	for (uint64_t k = 0; k < ROUNDS; k++) {
		ist_sampler_mismatched(&sampler, 1, k, a, b);
		for (size_t i = 0; i < BATCH; i++) {
			assert_true(label[a[i]] != label[b[i]]);
			seen[label[a[i]]]++;
		}
	}
	for (size_t c = 0; c < 3; c++)
		assert_true(fabs((double)seen[c] / (ROUNDS * BATCH) - 1 / 3.) < .03);
	ist_sampler_mismatched(&sampler, 1, ROUNDS - 1, a2, b2);
	assert_memory_equal(a, a2, sizeof(a));
	assert_memory_equal(b, b2, sizeof(b));
	ist_sampler_mismatched(&sampler, 2, ROUNDS - 1, a2, b2);
	assert_memory_not_equal(a, a2, sizeof(a));
	ist_sampler_finish(&sampler);
}

TEST_MAIN(cmocka_unit_test(test_tie), cmocka_unit_test(test_who_moves),
	  cmocka_unit_test(test_mismatched_slots), cmocka_unit_test(test_the_inter_game_aligns),
	  cmocka_unit_test(test_the_class_heads_keep_classes_apart),
	  cmocka_unit_test(test_reconstruction))
