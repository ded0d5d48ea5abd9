/* The hashed split against values of SHA-256 worked out elsewhere, and its proportions. */
#include <stdio.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "tests/unit/test.h"

/* u = first 8 bytes of SHA-256("<seed>:<id>") / 2^64 */
static const struct {
	uint64_t seed;
	const char *id;
	double u;
} known[] = {
    {0, "seal", 0.4277160338922003},
    {7, "seal", 0.6398929499737163},
    {7, "animals/owl", 0.4182686059440219},
    {0, "", 0.7283713340583249},
    {UINT64_MAX, "\xc3\xa9", 0.05871177053181087},
};

static void known_values(void **state)
{
	for (size_t i = 0; i < IST_COUNT(known); i++) {
		double u = known[i].u, e = 1e-12;

		/* Just below and just above u, test and validation change hands. */
		assert_int_equal(ist_split_part(known[i].seed, known[i].id, 0, u + e), IST_TEST);
		assert_int_equal(ist_split_part(known[i].seed, known[i].id, 0, u - e), IST_TRAIN);
		assert_int_equal(ist_split_part(known[i].seed, known[i].id, 2 * e, u - e),
				 IST_VALIDATION);
		assert_int_equal(ist_split_part(known[i].seed, known[i].id, u + e, 0),
				 IST_VALIDATION);
	}
}

static void proportions(void **state)
{
	size_t count[IST_N_PARTS] = {0};

	for (int i = 0; i < 20000; i++) {
		char id[32];

		snprintf(id, sizeof(id), "item-%d", i);
		count[ist_split_part(3, id, 0.1, 0.2)]++;
	}
	assert_in_range(count[IST_TEST], 3800, 4200);
	assert_in_range(count[IST_VALIDATION], 1850, 2150);
}

static void all_or_nothing(void **state)
{
	assert_int_equal(ist_split_part(1, "x", 0, 1), IST_TEST);
	assert_int_equal(ist_split_part(1, "x", 1, 0), IST_VALIDATION);
	assert_int_equal(ist_split_part(1, "x", 0, 0), IST_TRAIN);
}

TEST_MAIN(cmocka_unit_test(known_values), cmocka_unit_test(proportions),
	  cmocka_unit_test(all_or_nothing))
