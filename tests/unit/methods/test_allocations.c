/* A training step of any network allocates nothing after the second. */
#include "tests/unit/test.h"

#include <omp.h>

#include "core/base/memory.h"
#include "core/methods/acmr.h"
#include "core/methods/cmgan.h"
#include "core/methods/corrae.h"
#include "core/methods/dmim.h"
#include "core/methods/gxn.h"
#include "core/methods/mnsgan.h"
#include "tests/unit/allocations.h"

/* One step of a network whose inputs may hold anything. */
struct stepper {
	void *network;
	void (*step)(void *network);
};

static size_t during_steps(const struct stepper *s, int n)
{
	allocations_begin();
	for (int i = 0; i < n; i++)
		s->step(s->network);
	return allocations_end();
}

static void check(const struct stepper *s)
{
	omp_set_num_threads(2);
	assert_true(during_steps(s, 2) > 0); /* the counting works */
	assert_int_equal(during_steps(s, 20), 0);
}

static const struct ist_adversarial_settings adversarial = {.n_in = {1000, 300},
							    .hidden = {{200, 0}, {100, 50}},
							    .code = 40,
							    .n_classes = 10,
							    .classifier_hidden = 50,
							    .batch = 64,
							    .alpha = 1,
							    .beta = 1,
							    .reg = .1,
							    .adversary = 1,
							    .k = 2,
							    .lr = 1e-3,
							    .beta1 = .5,
							    .beta2 = .999};

static void step_adversarial(void *network)
{
	ist_adversarial_step(network);
}

static void test_acmr(void **state)
{
	struct ist_acmr_settings s = {.net = adversarial, .lambda = 1, .mu = 5};
	struct ist_adversarial *a;
	struct ist_err err;

	if (!ALLOCATIONS_COUNT)
		skip();
	assert_ist_ok(ist_acmr_create(&s, 0, &a, &err));
	check(&(struct stepper){a, step_adversarial});
	ist_adversarial_destroy(a);
}

/* With the drawing of its negatives. */
static void step_mnsgan(void *network)
{
	static const struct ist_mnsgan_draw how = {.nearest = true};
	static size_t batch;

	ist_mnsgan_draw(network, &how, 1, 0, batch++);
	ist_adversarial_step(network);
}

static void test_mnsgan(void **state)
{
	if (!ALLOCATIONS_COUNT)
		skip();
	for (int form = 0; form < 2; form++) {
		struct ist_mnsgan_settings s = {.net = adversarial,
						.hinge = form == 1,
						.n_negatives = 9,
						.tau = 1,
						.lambda = 1,
						.mu = 5,
						.eta = .5};
		struct ist_adversarial *a;
		struct ist_err err;

		assert_ist_ok(ist_mnsgan_create(&s, 0, &a, &err));
		for (size_t i = 0; i < s.net.batch; i++)
			a->y->ids[i] = (int32_t)(i % 10);
		check(&(struct stepper){a, step_mnsgan});
		ist_adversarial_destroy(a);
	}
}

static void step_cmgan(void *network)
{
	ist_cmgan_step(network);
}

static void test_cmgan(void **state)
{
	struct ist_cmgan_settings s = {.n_in = {1000, 300},
				       .code = 96,
				       .n_classes = 10,
				       .discriminator_hidden = 40,
				       .batch = 64,
				       .tied = true,
				       .inter = 1,
				       .intra = 1,
				       .cls = 1,
				       .reconstruction = .1,
				       .rounds = 2,
				       .lr = 1e-3,
				       .beta1 = .5,
				       .beta2 = .999,
				       .weight_decay = .01};
	struct ist_cmgan *c;
	struct ist_err err;

	if (!ALLOCATIONS_COUNT)
		skip();
	assert_ist_ok(ist_cmgan_create(&s, 0, &c, &err));
	check(&(struct stepper){c, step_cmgan});
	ist_cmgan_destroy(c);
}

static void step_corrae(void *network)
{
	ist_corrae_step(network);
}

static void test_corrae(void **state)
{
	struct ist_corrae_settings s = {.n_in = {1000, 300},
					.hidden = 70,
					.code = 40,
					.batch = 64,
					.form = IST_CORRAE_FULL,
					.alpha = .5,
					.lr = 1e-3,
					.beta1 = .9,
					.beta2 = .999};
	struct ist_corrae *a;
	struct ist_err err;

	if (!ALLOCATIONS_COUNT)
		skip();
	assert_ist_ok(ist_corrae_create(&s, 0, &a, &err));
	check(&(struct stepper){a, step_corrae});
	ist_corrae_destroy(a);
}

static void step_dmim(void *network)
{
	ist_dmim_step(network, 1e-4);
}

static void check_dmim(struct ist_dmim_settings s)
{
	struct ist_dmim *a;
	struct ist_err err;

	s.lambda_text = s.lambda_local = .05;
	s.critic = 24;
	s.locations = 4;
	s.critic_pace = 1;
	s.side = IST_PIXELS_SIDE;
	assert_ist_ok(ist_dmim_create(&s, 0, &a, &err));
	check(&(struct stepper){a, step_dmim});
	ist_dmim_destroy(a);
}

/* Over features, and from pixels and words. */
static void test_dmim(void **state)
{
	if (!ALLOCATIONS_COUNT)
		skip();
	check_dmim((struct ist_dmim_settings){.n_in = {1000, 300}, .d = 64, .batch = 32});
	check_dmim((struct ist_dmim_settings){
	    .n_in = {3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE, IST_WORDS_MAX},
	    .d = 32,
	    .batch = 16,
	    .cnn = true,
	    .lstm = true,
	    .channels = 4,
	    .words = 6,
	    .vocabulary = 10});
}

/* A step of the ranking loss, with its dropout. */
struct ranking {
	struct ist_gxn_ranking *part;
	struct ist_optimiser encoders;
	struct ist_gxn_batch batch;
};

static void step_gxn(void *network)
{
	struct ranking *r = network;

	r->batch.step++;
	ist_gxn_ranking_step(r->part, &r->batch, r->batch.step % 2 == 0, false, &r->encoders);
}

static void check_gxn(struct ist_gxn_settings s)
{
	static int32_t item[64];
	struct ranking r = {.encoders = ist_gxn_encoders_optimiser(&s)};
	struct ist_weights *theta = ist_gxn_theta(&s, true);
	struct ist_err err;

	ist_weights_init(theta, 1);
	assert_ist_ok(ist_gxn_ranking_create(&s, theta, &r.part, &err));
	for (size_t i = 0; i < s.batch; i++)
		item[i] = (int32_t)i;
	r.batch.item = item;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_real *x = ist_alloc(r.part->x[m]->size, sizeof(*x));

		for (size_t i = 0; i < r.part->x[m]->size; i++)
			x[i] = (ist_real)(1 + i % 7);
		r.batch.x[m] = x;
	}
	check(&(struct stepper){&r, step_gxn});
	free((void *)r.batch.x[IST_IMAGE]);
	free((void *)r.batch.x[IST_TEXT]);
	ist_gxn_ranking_destroy(r.part);
	ist_weights_destroy(theta);
	ist_optimiser_finish(&r.encoders);
}

static void test_gxn(void **state)
{
	struct ist_gxn_settings s = {.n_in = {1000, 300},
				     .d = 64,
				     .batch = 32,
				     .score = IST_ORDER,
				     .hardest = true,
				     .lambda = .5,
				     .margin = .2,
				     .dropout = .5,
				     .lr = 1e-3};

	if (!ALLOCATIONS_COUNT)
		skip();
	check_gxn(s);
	s.n_in[IST_IMAGE] = 3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE;
	s.side = IST_PIXELS_SIDE;
	s.cnn = s.gru = true;
	s.channels = 4;
	s.words = s.n_in[IST_TEXT] = 6;
	s.vocabulary = 10;
	s.hidden = 8;
	s.word_width = 12;
	check_gxn(s);
}

TEST_MAIN(cmocka_unit_test(test_acmr), cmocka_unit_test(test_mnsgan), cmocka_unit_test(test_cmgan),
	  cmocka_unit_test(test_corrae), cmocka_unit_test(test_dmim), cmocka_unit_test(test_gxn))
