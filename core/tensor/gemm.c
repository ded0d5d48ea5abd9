/*
 * Products in blocks. The longer side of the result is cut so that a block is worth a thread's
 * while; the cut depends on the shape alone. Every BLAS call is made as if there were one thread:
 * inside a parallel region OpenBLAS (its OpenMP build) keeps to the caller's, outside of one the
 * caller's own setting is lowered around the call.
 */
#include "core/tensor/gemm.h"

#include <cblas.h>
#include <omp.h>

#include "core/base/memory.h"

#define BLOCK_WORK (8.0 * 1024 * 1024) /* multiplications of a block, about */
#define BLOCKS_MAX 32
#define BLOCK_ALIGN 32 /* rows or columns: whole register tiles */

#ifdef IST_REAL_DOUBLE
/* One name for both number types. */
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

/* The arguments of ist_gemm, so that blocks can be handed round. */
struct product {
	bool transpose_a, transpose_b;
	size_t m, n, k;
	const ist_real *a, *b;
	ist_real beta;
	ist_real *c;
};

/* The block of c that begins at (row, col). */
static void block(const struct product *p, size_t row, size_t col, size_t rows, size_t cols)
{
	size_t lda = p->transpose_a ? p->m : p->k, ldb = p->transpose_b ? p->k : p->n;
	const ist_real *a = p->a + (p->transpose_a ? row : row * lda);
	const ist_real *b = p->b + (p->transpose_b ? col * ldb : col);

	GEMM(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
	     p->transpose_b ? CblasTrans : CblasNoTrans, (int)rows, (int)cols, (int)p->k, 1, a,
	     (int)lda, b, (int)ldb, p->beta, p->c + row * p->n + col, (int)p->n);
}

/* Columns where the result is wider than high (activations), rows where it is higher. */
static void nth_block(const struct product *p, size_t i, size_t step)
{
	size_t at = i * step;

	if (p->n >= p->m)
		block(p, 0, at, p->m, IST_MIN(step, p->n - at));
	else
		block(p, at, 0, IST_MIN(step, p->m - at), p->n);
}

void ist_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const ist_real *a,
	      const ist_real *b, ist_real beta, ist_real *c)
{
	struct product p = {transpose_a, transpose_b, m, n, k, a, b, beta, c};
	size_t longer = IST_MAX(m, n);
	double work = (double)m * (double)n * (double)k / BLOCK_WORK;
	size_t wanted = work < 1 ? 1 : work > BLOCKS_MAX ? BLOCKS_MAX : (size_t)work;
	size_t step = (longer / wanted + BLOCK_ALIGN) / BLOCK_ALIGN * BLOCK_ALIGN;
	size_t n_blocks = (longer + step - 1) / step;
	int threads = omp_get_max_threads();

	if (m == 0 || n == 0)
		return;
	if (n_blocks > 1 && threads > 1 && !omp_in_parallel()) {
#pragma omp parallel for schedule(dynamic, 1)
		for (size_t i = 0; i < n_blocks; i++)
			nth_block(&p, i, step);
		return;
	}
	/* Outside of a parallel region OpenBLAS would take the caller's threads by itself, and cut
	 * by their number. */
	omp_set_num_threads(1);
	for (size_t i = 0; i < n_blocks; i++)
		nth_block(&p, i, step);
	omp_set_num_threads(threads);
}

void ist_gemm_rows(const ist_real *dy, size_t width, size_t first, size_t rows, const ist_real *x,
		   size_t cols, size_t n, ist_real beta, ist_real *c)
{
	GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)cols, (int)n, 1, dy + first,
	     (int)width, x, (int)cols, beta, c, (int)cols);
}
