/* A training step allocates nothing after the second. */
#include "tests/unit/test.h"

#include <omp.h>

#include "core/methods/acmr.h"
#include "tests/unit/allocations.h"

static size_t during_steps(struct ist_adversarial *acmr, int n)
{
	allocations_begin();
	for (int i = 0; i < n; i++)
		ist_adversarial_step(acmr);
	return allocations_end();
}

static void test_steps(void **state)
{
	struct ist_acmr_settings s = {.net = {.n_in = {1000, 300},
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
					      .beta2 = .999},
				      .lambda = 1,
				      .mu = 5};
	struct ist_adversarial *acmr;
	struct ist_err err;

	if (!ALLOCATIONS_COUNT)
		skip();
	omp_set_num_threads(2);
	assert_ist_ok(ist_acmr_create(&s, 0, &acmr, &err));
	assert_true(during_steps(acmr, 2) > 0); /* the counting works */
	assert_int_equal(during_steps(acmr, 20), 0);
	ist_adversarial_destroy(acmr);
}

TEST_MAIN(cmocka_unit_test(test_steps))
