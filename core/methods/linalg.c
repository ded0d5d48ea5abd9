/*
 * Tiled products, a blocked Cholesky factorisation, triangular solves and leading singular
 * vectors. OpenBLAS splits a product by the number of threads it has, which moves the rounding; the
 * tiles here are fixed and each is one thread's, so a seed gives the same model on any machine of
 * a kind. LAPACK is called for small problems only: it cannot be interrupted.
 */
#include "core/methods/linalg.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"

#define TILE_ROWS 256
#define TILE_COLUMNS 512
#define BLOCK 128      /* of the factorisations */
#define SMALL 512      /* matrices up to this go to LAPACK whole */
#define OVERSAMPLE 16  /* further columns of the subspace */
#define MAX_ROUNDS 20  /* of subspace iteration */
#define TOLERANCE 1e-9 /* relative gain in what is caught that ends it */

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda,
		    double *s, double *u, const int *ldu, double *vt, const int *ldvt, double *work,
		    const int *lwork, int *iwork, int *info);

enum ist_code ist_check_stop(const struct ist_train_hooks *hooks, struct ist_err *err)
{
	return ist_stopped(hooks) ? ist_fail(err, IST_CANCELLED, "cancelled") : IST_OK;
}

/* One body for both widths: tile (i, j) of C from a row panel of op(A) and a column panel of
 * op(B). */
#define GEMM(name, type, call)                                                                     \
	void name(enum ist_trans ta, enum ist_trans tb, size_t m, size_t n, size_t k, type alpha,  \
		  const type *a, const type *b, type beta, type *c)                                \
	{                                                                                          \
		size_t down = (m + TILE_ROWS - 1) / TILE_ROWS;                                     \
		size_t across = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;                             \
                                                                                                   \
		_Pragma("omp parallel for schedule(dynamic)") for (size_t tile = 0;                \
								   tile < down * across; tile++)   \
		{                                                                                  \
			size_t i = tile / across * TILE_ROWS, j = tile % across * TILE_COLUMNS;    \
			size_t lda = ta == IST_PLAIN ? k : m, ldb = tb == IST_PLAIN ? n : k;       \
                                                                                                   \
			call(CblasRowMajor, ta == IST_PLAIN ? CblasNoTrans : CblasTrans,           \
			     tb == IST_PLAIN ? CblasNoTrans : CblasTrans,                          \
			     (blasint)IST_MIN(m - i, (size_t)TILE_ROWS),                           \
			     (blasint)IST_MIN(n - j, (size_t)TILE_COLUMNS), (blasint)k, alpha,     \
			     a + (ta == IST_PLAIN ? i * k : i), (blasint)lda,                      \
			     b + (tb == IST_PLAIN ? j : j * k), (blasint)ldb, beta, c + i * n + j, \
			     (blasint)n);                                                          \
		}                                                                                  \
	}

GEMM(ist_gemm_f32, float, cblas_sgemm)
GEMM(ist_gemm_f64, double, cblas_dgemm)

/* LAPACK on one thread: how it splits its work would move the rounding. */
static int single_thread(void)
{
	int threads = omp_get_max_threads();

	omp_set_num_threads(1);
	return threads;
}

/* Factors the diagonal block at `at`; row-major lower is column-major upper. */
static enum ist_code factor_block(double *a, size_t n, size_t at, size_t size, struct ist_err *err)
{
	int order = (int)size, lda = (int)n, info = 0, threads = single_thread();

	dpotrf_("U", &order, a + at * n + at, &lda, &info);
	omp_set_num_threads(threads);
	return info == 0 ? IST_OK
			 : ist_fail(err, IST_INTERNAL, "cholesky: not positive definite at %zu",
				    at + (size_t)IST_MAX(info, 0));
}

/* x (rows, n) <- x l'^-1, a strip of rows a thread; lda and ldx are the distances of rows. */
static void solve_right(const double *l, size_t lda, size_t n, double *x, size_t ldx, size_t rows)
{
	size_t strips = (rows + BLOCK - 1) / BLOCK;

#pragma omp parallel for schedule(dynamic)
	for (size_t s = 0; s < strips; s++) {
		size_t i = s * BLOCK;

		cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
			    (blasint)IST_MIN(rows - i, (size_t)BLOCK), (blasint)n, 1, l,
			    (blasint)lda, x + i * ldx, (blasint)ldx);
	}
}

/* Below the diagonal block: A21 <- A21 L11'^-1, then A22 <- A22 - A21 A21' on and below the
 * diagonal. */
static void update_below(double *a, size_t n, size_t at, size_t size)
{
	size_t from = at + size, strips = (n - from + BLOCK - 1) / BLOCK;

	solve_right(a + at * n + at, n, size, a + from * n + at, n, n - from);
#pragma omp parallel for schedule(dynamic)
	for (size_t s = 0; s < strips; s++) {
		size_t i = from + s * BLOCK, rows = IST_MIN(n - i, (size_t)BLOCK);

		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows,
			    (blasint)(i + rows - from), (blasint)size, -1, a + i * n + at,
			    (blasint)n, a + from * n + at, (blasint)n, 1, a + i * n + from,
			    (blasint)n);
	}
}

/* Right-looking, block column by block column; a poll after each. */
enum ist_code ist_cholesky(double *a, size_t n, const struct ist_train_hooks *hooks,
			   struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (size_t at = 0; at < n && code == IST_OK; at += BLOCK) {
		size_t size = IST_MIN(n - at, (size_t)BLOCK);

		code = factor_block(a, n, at, size, err);
		if (code == IST_OK)
			update_below(a, n, at, size);
		if (code == IST_OK)
			code = ist_check_stop(hooks, err);
	}
	for (size_t i = 0; i < n; i++)
		memset(a + i * n + i + 1, 0, (n - i - 1) * sizeof(*a));
	return code;
}

enum ist_code ist_solve_lower(const double *l, size_t n, enum ist_trans t, double *b, size_t m,
			      const struct ist_train_hooks *hooks, struct ist_err *err)
{
	size_t strips = (m + BLOCK - 1) / BLOCK, step = (size_t)omp_get_max_threads();
	enum ist_code code = IST_OK;

	/* A strip of columns a thread at a time, so that the poll comes often. */
	for (size_t at = 0; at < strips && code == IST_OK; at += step) {
		size_t end = IST_MIN(at + step, strips);

#pragma omp parallel for schedule(dynamic)
		for (size_t s = at; s < end; s++) {
			size_t j = s * BLOCK;

			cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower,
				    t == IST_PLAIN ? CblasNoTrans : CblasTrans, CblasNonUnit,
				    (blasint)n, (blasint)IST_MIN(m - j, (size_t)BLOCK), 1, l,
				    (blasint)n, b + j, (blasint)m);
		}
		code = ist_check_stop(hooks, err);
	}
	return code;
}

/* The whole decomposition of a small matrix; row-major a is LAPACK's a', so u and v change places.
 * The signs are fixed: the largest component of every u is positive. */
static enum ist_code svd_small(const double *a, size_t m, size_t n, size_t k, double *u, double *s,
			       double *v, struct ist_err *err)
{
	int rows = (int)n, columns = (int)m, least = IST_MIN(rows, columns), lwork = -1, info = 0;
	ist_autofree double *copy = ist_alloc_raw(m * n, sizeof(double));
	ist_autofree double *left = ist_alloc_raw(n * (size_t)least, sizeof(double));
	ist_autofree double *right = ist_alloc_raw((size_t)least * m, sizeof(double));
	ist_autofree double *values = ist_alloc_raw((size_t)least, sizeof(double));
	ist_autofree int *iwork = ist_alloc_raw(8 * (size_t)least, sizeof(int));
	ist_autofree double *work = NULL;
	int threads = single_thread();
	double size = 0;

	memcpy(copy, a, m * n * sizeof(double));
	dgesdd_("S", &rows, &columns, copy, &rows, values, left, &rows, right, &least, &size,
		&lwork, iwork, &info);
	lwork = (int)size;
	work = ist_alloc_raw((size_t)lwork, sizeof(double));
	dgesdd_("S", &rows, &columns, copy, &rows, values, left, &rows, right, &least, work, &lwork,
		iwork, &info);
	omp_set_num_threads(threads);
	if (info != 0)
		return ist_fail(err, IST_INTERNAL, "svd: no convergence (%d)", info);
	for (size_t c = 0; c < k; c++) {
		double largest = 0, sign;

		for (size_t i = 0; i < m; i++) {
			double x = right[i * (size_t)least + c];

			largest = fabs(x) > fabs(largest) ? x : largest;
		}
		sign = largest < 0 ? -1 : 1;
		s[c] = values[c];
		for (size_t i = 0; i < m; i++)
			u[i * k + c] = sign * right[i * (size_t)least + c];
		for (size_t i = 0; i < n; i++)
			v[i * k + c] = sign * left[c * n + i];
	}
	return IST_OK;
}

/* Makes the columns of y (n, k) orthonormal: y <- y L'^-1 with y' y = L L', twice for accuracy. A
 * trace of the identity keeps columns that the data do not reach from breaking the factor. */
static enum ist_code orthonormal(double *y, size_t n, size_t k, const struct ist_train_hooks *hooks,
				 struct ist_err *err)
{
	ist_autofree double *gram = ist_alloc_raw(k * k, sizeof(double));
	enum ist_code code = IST_OK;

	for (int pass = 0; pass < 3 && code == IST_OK; pass++) {
		double trace = 0;

		ist_gemm_f64(IST_TRANSPOSED, IST_PLAIN, k, k, n, 1, y, y, 0, gram);
		for (size_t i = 0; i < k; i++)
			trace += gram[i * k + i];
		for (size_t i = 0; i < k; i++)
			gram[i * k + i] += (pass == 0 ? 1e-12 : 1e-15) * trace + 1e-300;
		code = ist_cholesky(gram, k, hooks, err);
		if (code == IST_OK)
			solve_right(gram, k, k, y, k, n);
	}
	return code;
}

/* One round: y = a w, then w = a' y, both with orthonormal columns; core (width, width) = y' a w,
 * which holds what the subspaces catch of a. */
static enum ist_code subspace_round(const double *a, size_t m, size_t n, size_t width, double *y,
				    double *w, double *core, const struct ist_train_hooks *hooks,
				    struct ist_err *err)
{
	ist_autofree double *image = ist_alloc_raw(n * width, sizeof(double));
	enum ist_code code;

	ist_gemm_f64(IST_PLAIN, IST_PLAIN, m, width, n, 1, a, w, 0, y);
	code = orthonormal(y, m, width, hooks, err);
	if (code != IST_OK)
		return code;
	ist_gemm_f64(IST_TRANSPOSED, IST_PLAIN, n, width, m, 1, a, y, 0, image);
	memcpy(w, image, n * width * sizeof(double));
	code = orthonormal(w, n, width, hooks, err);
	if (code == IST_OK)
		ist_gemm_f64(IST_TRANSPOSED, IST_PLAIN, width, width, n, 1, image, w, 0, core);
	return code;
}

/* x (n, width) times the first k columns of turn (width, width): ret (n, k). */
static void turn_columns(const double *x, size_t n, const double *turn, size_t width, size_t k,
			 double *ret)
{
	ist_autofree double *turned = ist_alloc_raw(n * width, sizeof(double));

	ist_gemm_f64(IST_PLAIN, IST_PLAIN, n, width, width, 1, x, turn, 0, turned);
	for (size_t i = 0; i < n; i++)
		memcpy(ret + i * k, turned + i * width, k * sizeof(double));
}

/* The share of a that the subspaces hold; it grows from round to round. */
static double sum_of_squares(const double *a, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * a[i];
	return sum;
}

/* Ends when a round catches nothing more. Close singular values near the k-th may still be mixed
 * then, which costs a baseline nothing. */
static enum ist_code svd_iterated(const double *a, size_t m, size_t n, size_t k, double *u,
				  double *s, double *v, const struct ist_train_hooks *hooks,
				  struct ist_err *err)
{
	size_t width = IST_MIN(k + OVERSAMPLE, IST_MIN(m, n));
	ist_autofree double *y = ist_alloc_raw(m * width, sizeof(double));
	ist_autofree double *w = ist_alloc_raw(n * width, sizeof(double));
	ist_autofree double *core = ist_alloc_raw(width * width, sizeof(double));
	ist_autofree double *left = ist_alloc_raw(width * width, sizeof(double));
	ist_autofree double *right = ist_alloc_raw(width * width, sizeof(double));
	ist_autofree double *values = ist_alloc_raw(width, sizeof(double));
	double caught = 0, before = -1;
	enum ist_code code = IST_OK;
	struct ist_rng rng;

	ist_rng_init(&rng, 0, "singular vectors");
	for (size_t i = 0; i < n * width; i++)
		w[i] = ist_rng_normal(&rng);
	for (int round = 0; round < MAX_ROUNDS && code == IST_OK; round++) {
		code = subspace_round(a, m, n, width, y, w, core, hooks, err);
		caught = sum_of_squares(core, width * width);
		if (caught - before <= TOLERANCE * caught)
			break;
		before = caught;
	}
	if (code == IST_OK)
		code = svd_small(core, width, width, width, left, values, right, err);
	if (code != IST_OK)
		return code;
	turn_columns(y, m, left, width, k, u);
	turn_columns(w, n, right, width, k, v);
	memcpy(s, values, k * sizeof(*s));
	return ist_check_stop(hooks, err);
}

enum ist_code ist_svd_leading(const double *a, size_t m, size_t n, size_t k, double *u, double *s,
			      double *v, const struct ist_train_hooks *hooks, struct ist_err *err)
{
	if (IST_MIN(m, n) <= SMALL)
		return svd_small(a, m, n, k, u, s, v, err);
	return svd_iterated(a, m, n, k, u, s, v, hooks, err);
}
