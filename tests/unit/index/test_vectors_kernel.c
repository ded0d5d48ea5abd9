/* Every kernel row against the plain loop, at widths around the lanes. */
#include "tests/unit/test.h"

#include <math.h>

#include "core/base/memory.h"
#include "index/vectors_kernel.h"
#include "tests/unit/index/vectors_sample.h"

static const size_t widths[] = {1, 3, 15, 16, 17, 31, 40, 64, 100, 256, 1000};

static void check(const struct ist_kernel *kernel, size_t dim)
{
	const struct ist_kernel *plain = &ist_kernels[ist_n_kernels - 1];
	ist_autofree float *x = sample_vectors(5, dim, IST_EUCLIDEAN, dim, "x");
	const float *four[4] = {x + dim, x + 2 * dim, x + 3 * dim, x + 4 * dim};
	float want[4], got[4], length[4];

	plain->inner(x, four, dim, want);
	kernel->inner(x, four, dim, got);
	plain->l2(x, (const float *[4]){four[0], four[1], four[2], four[3]}, dim, length);
	for (int i = 0; i < 4; i++)
		assert_true(fabsf(got[i] - want[i]) <= 1e-5f * (fabsf(length[i]) + 1));
	kernel->l2(x, four, dim, got);
	for (int i = 0; i < 4; i++)
		assert_true(fabsf(got[i] - length[i]) <= 1e-5f * fabsf(length[i]));
}

static void kernels_agree_with_the_plain_loop(void **state)
{
	for (size_t k = 0; k < ist_n_kernels; k++)
		for (size_t w = 0; w < IST_COUNT(widths) && ist_kernels[k].usable(); w++)
			check(&ist_kernels[k], widths[w]);
}

static void a_score_does_not_depend_on_its_neighbours(void **state)
{
	ist_autofree float *x = sample_vectors(5, 100, IST_EUCLIDEAN, 1, "x");
	const struct ist_kernel *kernel = ist_kernel_best();
	const float *alone[4] = {x + 300, x + 300, x + 300, x + 300};
	const float *among[4] = {x + 100, x + 200, x + 300, x + 400};
	float a[4], b[4];

	kernel->inner(x, alone, 100, a);
	kernel->inner(x, among, 100, b);
	assert_true(a[0] == b[2] && a[3] == b[2]);
	kernel->l2(x, alone, 100, a);
	kernel->l2(x, among, 100, b);
	assert_true(a[0] == b[2] && a[3] == b[2]);
}

static void the_best_kernel_is_usable(void **state)
{
	assert_true(ist_kernel_best()->usable());
	assert_string_equal(ist_kernels[ist_n_kernels - 1].name, "plain");
	assert_true(ist_kernels[ist_n_kernels - 1].usable());
}

TEST_MAIN(cmocka_unit_test(kernels_agree_with_the_plain_loop),
	  cmocka_unit_test(a_score_does_not_depend_on_its_neighbours),
	  cmocka_unit_test(the_best_kernel_is_usable))
