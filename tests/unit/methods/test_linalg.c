/* Dense algebra against plain loops, and against itself at other thread counts. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"
#include "tests/unit/test.h"

static double *random_matrix(size_t m, size_t n, const char *name)
{
	double *a = ist_alloc(m * n, sizeof(*a));
	struct ist_rng rng;

	ist_rng_init(&rng, 5, name);
	for (size_t i = 0; i < m * n; i++)
		a[i] = ist_rng_normal(&rng);
	return a;
}

static void product_is_the_plain_loop(void **state)
{
	size_t m = 300, n = 530, k = 40;
	ist_autofree double *a = random_matrix(k, m, "a"), *b = random_matrix(n, k, "b");
	ist_autofree double *c = ist_alloc(m * n, sizeof(*c));

	ist_gemm_f64(IST_TRANSPOSED, IST_TRANSPOSED, m, n, k, 2, a, b, 0, c);
	for (size_t i = 0; i < m; i += 7) {
		for (size_t j = 0; j < n; j += 11) {
			double sum = 0;

			for (size_t l = 0; l < k; l++)
				sum += 2 * a[l * m + i] * b[j * k + l];
			assert_true(fabs(c[i * n + j] - sum) < 1e-10);
		}
	}
}

/* a a' + I, which is positive definite. */
static double *definite(size_t n)
{
	ist_autofree double *a = random_matrix(n, n, "definite");
	double *c = ist_alloc(n * n, sizeof(*c));

	for (size_t i = 0; i < n; i++)
		c[i * n + i] = 1;
	ist_gemm_f64(IST_PLAIN, IST_TRANSPOSED, n, n, n, 1, a, a, 1, c);
	return c;
}

static void cholesky_gives_back_its_matrix(void **state)
{
	size_t n = 300;
	ist_autofree double *a = definite(n), *l = definite(n);
	ist_autofree double *b = random_matrix(n, 150, "b"), *x = random_matrix(n, 150, "b");
	struct ist_err err;

	assert_ist_ok(ist_cholesky(l, n, NULL, &err));
	assert_ist_ok(ist_solve_lower(l, n, IST_PLAIN, x, 150, NULL, &err));
	assert_ist_ok(ist_solve_lower(l, n, IST_TRANSPOSED, x, 150, NULL, &err));
	ist_gemm_f64(IST_PLAIN, IST_PLAIN, n, 150, n, 1, a, x, -1, b); /* a x - b */
	for (size_t i = 0; i < n * 150; i++)
		assert_true(fabs(b[i]) < 1e-7);
	ist_gemm_f64(IST_PLAIN, IST_TRANSPOSED, n, n, n, 1, l, l, -1, a);
	for (size_t i = 0; i < n * n; i++)
		assert_true(fabs(a[i]) < 1e-9);
}

static void indefinite_is_refused(void **state)
{
	double a[4] = {1, 2, 2, 1};
	struct ist_err err;

	assert_int_equal(ist_cholesky(a, 2, NULL, &err), IST_INTERNAL);
}

/* A matrix with the singular values 100, 50, 25, … has them found, on both ways to do it. */
static void check_svd(size_t m, size_t n, size_t k)
{
	ist_autofree double *a = ist_alloc(m * n, sizeof(*a)), *back = ist_alloc(m * n, sizeof(*a));
	ist_autofree double *u = random_matrix(m, 12, "u"), *v = random_matrix(n, 12, "v");
	ist_autofree double *s = ist_alloc(k, sizeof(*s));
	ist_autofree double *uk = ist_alloc(m * k, sizeof(*uk)),
			    *vk = ist_alloc(n * k, sizeof(*vk));
	struct ist_err err;
	double worst = 0;

	ist_gemm_f64(IST_PLAIN, IST_TRANSPOSED, m, n, 12, 1, u, v, 0, a);
	assert_ist_ok(ist_svd_leading(a, m, n, k, uk, s, vk, NULL, &err));
	for (size_t c = 0; c + 1 < k; c++)
		assert_true(s[c] >= s[c + 1]);
	for (size_t i = 0; i < m; i++) {
		for (size_t c = 0; c < k; c++)
			uk[i * k + c] *= s[c];
	}
	ist_gemm_f64(IST_PLAIN, IST_TRANSPOSED, m, n, k, 1, uk, vk, 0, back);
	for (size_t i = 0; i < m * n; i++)
		worst = fmax(worst, fabs(a[i] - back[i]));
	assert_true(worst < 1e-6); /* rank 12 <= k: nothing is left */
}

static void singular_vectors(void **state)
{
	check_svd(40, 30, 12);
	check_svd(30, 40, 20);
	check_svd(600, 700, 14);
}

static void threads_do_not_move_a_bit(void **state)
{
	size_t n = 600, k = 20;
	int threads = omp_get_max_threads();
	double *u[2], *l[2];
	struct ist_err err;

	for (int t = 0; t < 2; t++) {
		ist_autofree double *v = ist_alloc(n * k, sizeof(double));
		double s[20];

		omp_set_num_threads(t == 0 ? 1 : 3);
		l[t] = definite(n);
		u[t] = ist_alloc(n * k, sizeof(double));
		assert_ist_ok(ist_svd_leading(l[t], n, n, k, u[t], s, v, NULL, &err));
		assert_ist_ok(ist_cholesky(l[t], n, NULL, &err));
	}
	omp_set_num_threads(threads);
	assert_memory_equal(u[0], u[1], n * k * sizeof(double));
	assert_memory_equal(l[0], l[1], n * n * sizeof(double));
	for (int t = 0; t < 2; t++) {
		free(u[t]);
		free(l[t]);
	}
}

static bool always(void *user)
{
	return true;
}

static void stops_when_asked(void **state)
{
	const struct ist_train_hooks hooks = {.stop = always};
	ist_autofree double *a = definite(200);
	struct ist_err err;

	assert_int_equal(ist_cholesky(a, 200, &hooks, &err), IST_CANCELLED);
}

TEST_MAIN(cmocka_unit_test(product_is_the_plain_loop),
	  cmocka_unit_test(cholesky_gives_back_its_matrix), cmocka_unit_test(indefinite_is_refused),
	  cmocka_unit_test(singular_vectors), cmocka_unit_test(threads_do_not_move_a_bit),
	  cmocka_unit_test(stops_when_asked))
