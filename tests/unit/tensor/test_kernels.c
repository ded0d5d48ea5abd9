/* The vectorised functions against libm, over their whole range and at its ends. */
#include "tests/unit/test.h"

#include <float.h>
#include <math.h>

#include "core/base/memory.h"
#include "core/tensor/kernels.h"

#ifdef IST_REAL_DOUBLE
#define RELATIVE 1e-15
#else
#define RELATIVE 3e-7
#endif
#define N 200001

static void compare(const char *name, double from, double to,
		    void (*kernel)(ist_real *, const ist_real *, size_t), double (*libm)(double))
{
	ist_autofree ist_real *x = ist_alloc(N, sizeof(*x)), *y = ist_alloc(N, sizeof(*y));

	for (size_t i = 0; i < N; i++)
		x[i] = (ist_real)(from + (to - from) * (double)i / (N - 1));
	kernel(y, x, N);
	for (size_t i = 0; i < N; i++) {
		double want = libm((double)x[i]);

		if (!(fabs((double)y[i] - want) <= RELATIVE * fabs(want)))
			fail_msg("%s(%.9g): %.9g, expected %.9g", name, (double)x[i], (double)y[i],
				 want);
	}
}

static void exp_of(ist_real *y, const ist_real *x, size_t n)
{
	ist_k_exp(y, x, 0, n);
}

static void test_tanh(void **state)
{
	compare("tanh", -12, 12, ist_k_tanh, tanh);
	compare("tanh", -1e-3, 1e-3, ist_k_tanh, tanh);
}

static void test_exp(void **state)
{
	compare("exp", -86, 0, exp_of, exp);
	compare("exp", 0, 80, exp_of, exp);
}

static void test_ends(void **state)
{
	const ist_real x[4] = {-INFINITY, INFINITY, -1000, 1000};
	ist_real y[4];

	ist_k_tanh(y, x, 4);
	for (int i = 0; i < 4; i++)
		assert_true(y[i] == (i % 2 == 0 ? -1 : 1));
	ist_k_exp(y, x, 0, 1);
	assert_true(y[0] == 0);
	ist_k_exp(y, x + 2, 0, 1);
	assert_true(y[0] >= 0 && y[0] < 1e-30);
}

static void test_nan_stays_visible(void **state)
{
	ist_real x = NAN, y = 0;

	ist_k_tanh(&y, &x, 1);
	assert_true(isnan(y));
	ist_k_exp(&y, &x, 0, 1);
	assert_true(isnan(y));
}

static void test_sums(void **state)
{
	ist_real a[1003], b[1003];
	double sum = 0, dot = 0, distance = 0;

	for (int i = 0; i < 1003; i++) {
		a[i] = (ist_real)sin(i);
		b[i] = (ist_real)cos(3 * i);
		sum += (double)a[i];
		dot += (double)a[i] * (double)b[i];
		distance += pow((double)a[i] - (double)b[i], 2);
	}
	assert_true(fabs(ist_k_sum(a, 1003) - sum) < 1e-12);
	assert_true(fabs(ist_k_dot(a, b, 1003) - dot) < 1e-12);
	assert_true(fabs((double)ist_k_distance2(a, b, 1003) - distance) < 1e-3);
	assert_true(ist_k_max(a, 1003) <= 1 && (double)ist_k_max(a, 1003) > .999);
}

TEST_MAIN(cmocka_unit_test(test_tanh), cmocka_unit_test(test_exp), cmocka_unit_test(test_ends),
	  cmocka_unit_test(test_nan_stays_visible), cmocka_unit_test(test_sums))
