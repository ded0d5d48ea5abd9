/* Every kernel row against the plain loops, at widths around the lanes; and those by hand. */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/blas/score.h"

static const size_t widths[] = {1, 3, 15, 16, 17, 31, 40, 64, 100, 256, 1000};

static float *vectors(size_t n, size_t dim, uint64_t seed)
{
	float *x = ist_alloc_raw(n * dim, sizeof(*x));
	struct ist_rng rng;

	ist_rng_init(&rng, seed, "x");
	for (size_t i = 0; i < n * dim; i++)
		x[i] = (float)ist_rng_normal(&rng);
	return x;
}

static void check(const struct ist_score_kernel *kernel, size_t dim)
{
	const struct ist_score_kernel *plain = &ist_score_kernels[ist_n_score_kernels - 1];
	ist_autofree float *x = vectors(5, dim, dim);
	const float *four[4] = {x + dim, x + 2 * dim, x + 3 * dim, x + 4 * dim};
	float want[4], got[4], length[4];

	plain->score[IST_SCORE_L2](x, four, dim, length);
	for (int kind = 0; kind < IST_N_SCORES; kind++) {
		plain->score[kind](x, four, dim, want);
		kernel->score[kind](x, four, dim, got);
		for (int i = 0; i < 4; i++)
			assert_true(fabsf(got[i] - want[i]) <= 1e-5f * (fabsf(length[i]) + 1));
	}
}

static void kernels_agree_with_the_plain_loops(void **state)
{
	for (size_t k = 0; k < ist_n_score_kernels; k++)
		for (size_t w = 0; w < IST_COUNT(widths) && ist_score_kernels[k].usable(); w++)
			check(&ist_score_kernels[k], widths[w]);
}

/* Quarters, so that every row gives the very numbers, wherever in the vector they stand. */
static void by_hand(void **state)
{
	static const float want[IST_N_SCORES] = {
	    [IST_SCORE_INNER] = 0.75f,
	    [IST_SCORE_L2] = -(4 + 0.25f + 0.0625f),
	    [IST_SCORE_OVER] = -(4 + 0.0625f),
	    [IST_SCORE_UNDER] = -0.25f,
	};
	float q[40] = {0}, x[40] = {0}, got[4];

	for (size_t at = 0; at + 4 <= 40; at++) {
		memset(q, 0, sizeof(q));
		memset(x, 0, sizeof(x));
		memcpy(q + at, (float[]){2, 0.5f, 0.25f, 0.5f}, 4 * sizeof(*q));
		memcpy(x + at, (float[]){0, 1, 0, 0.5f}, 4 * sizeof(*x));
		for (size_t k = 0; k < ist_n_score_kernels; k++) {
			for (int kind = 0; kind < IST_N_SCORES; kind++) {
				if (!ist_score_kernels[k].usable())
					continue;
				ist_score_kernels[k].score[kind](q, (const float *[4]){x, x, x, x},
								 40, got);
				assert_true(got[0] == want[kind] && got[3] == want[kind]);
			}
		}
	}
}

/* A vector that is broken must not look like one without violations. */
static void what_is_no_number_stays_none(void **state)
{
	for (size_t at = 0; at < 31; at++) {
		float q[31] = {0}, x[31] = {0}, got[4];

		x[at] = NAN;
		for (size_t k = 0; k < ist_n_score_kernels; k++) {
			for (int kind = 0; kind < IST_N_SCORES; kind++) {
				if (!ist_score_kernels[k].usable())
					continue;
				ist_score_kernels[k].score[kind](q, (const float *[4]){x, q, x, q},
								 31, got);
				assert_true(isnan(got[0]) && isnan(got[2]));
				assert_true(got[1] == 0 && got[3] == 0);
			}
		}
	}
}

static void a_score_does_not_depend_on_its_neighbours(void **state)
{
	ist_autofree float *x = vectors(5, 100, 1);
	const float *alone[4] = {x + 300, x + 300, x + 300, x + 300};
	const float *among[4] = {x + 100, x + 200, x + 300, x + 400};
	float a[4], b[4];

	for (int kind = 0; kind < IST_N_SCORES; kind++) {
		ist_score *score = ist_score_kernel_best()->score[kind];

		score(x, alone, 100, a);
		score(x, among, 100, b);
		assert_true(a[0] == b[2] && a[3] == b[2]);
	}
}

static void the_best_kernel_is_usable(void **state)
{
	assert_true(ist_score_kernel_best()->usable());
	assert_string_equal(ist_score_kernels[ist_n_score_kernels - 1].name, "plain");
	assert_true(ist_score_kernels[ist_n_score_kernels - 1].usable());
}

TEST_MAIN(cmocka_unit_test(kernels_agree_with_the_plain_loops), cmocka_unit_test(by_hand),
	  cmocka_unit_test(what_is_no_number_stays_none),
	  cmocka_unit_test(a_score_does_not_depend_on_its_neighbours),
	  cmocka_unit_test(the_best_kernel_is_usable))
