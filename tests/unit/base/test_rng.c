/* Random numbers: Philox against the published vectors, and the distributions made from it. */
#include "core/base/rng.h"

#include <math.h>

#include "core/base/memory.h"
#include "tests/unit/test.h"

/* Random123's known answer for a zero counter and key. */
static void known_answer(void **state)
{
	const uint32_t want[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
	struct ist_rng rng = {0};

	for (int i = 0; i < 4; i++)
		assert_int_equal(ist_rng_u32(&rng), want[i]);
}

static void streams_and_seeds_differ_and_repeat(void **state)
{
	struct ist_rng a, b, c, again;

	ist_rng_init(&a, 7, "batches");
	ist_rng_init(&b, 7, "weights");
	ist_rng_init(&c, 8, "batches");
	again = a;
	for (int i = 0; i < 100; i++) {
		uint32_t x = ist_rng_u32(&a);

		assert_int_equal(x, ist_rng_u32(&again));
		assert_int_not_equal(x, ist_rng_u32(&b));
		assert_int_not_equal(x, ist_rng_u32(&c));
	}
}

static void moments(void **state)
{
	struct ist_rng rng;
	double sum = 0, square = 0, uniform = 0;
	const int n = 200000;

	ist_rng_init(&rng, 1, "moments");
	for (int i = 0; i < n; i++) {
		double x = ist_rng_normal(&rng), u = ist_rng_uniform(&rng);

		assert_true(u >= 0 && u < 1);
		sum += x;
		square += x * x;
		uniform += u;
	}
	assert_true(fabs(sum / n) < 0.01);
	assert_true(fabs(square / n - 1) < 0.02);
	assert_true(fabs(uniform / n - 0.5) < 0.005);
}

static void below_is_even(void **state)
{
	struct ist_rng rng;
	int count[5] = {0};

	ist_rng_init(&rng, 3, "below");
	for (int i = 0; i < 50000; i++)
		count[ist_rng_below(&rng, 5)]++;
	for (int i = 0; i < 5; i++)
		assert_in_range(count[i], 9600, 10400);
}

static void permutation_holds_each_once(void **state)
{
	struct ist_rng rng;
	uint32_t a[1000];
	char seen[1000] = {0};

	for (uint32_t i = 0; i < 1000; i++)
		a[i] = i;
	ist_rng_init(&rng, 3, "permute");
	ist_rng_permute(&rng, a, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(seen[a[i]]++, 0);
	assert_false(a[0] == 0 && a[1] == 1 && a[2] == 2);
}

TEST_MAIN(cmocka_unit_test(known_answer), cmocka_unit_test(streams_and_seeds_differ_and_repeat),
	  cmocka_unit_test(moments), cmocka_unit_test(below_is_even),
	  cmocka_unit_test(permutation_holds_each_once))
