/*
 * Matrix products on OpenBLAS. The result is cut into blocks by its shape alone and each block is
 * one single-threaded call, so that no bit depends on the number of threads.
 */
#ifndef IST_CORE_TENSOR_GEMM_H
#define IST_CORE_TENSOR_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/tensor/real.h"

/* c (m, n) = op(a) op(b) + beta c, op(a) (m, k), op(b) (k, n); all packed row-major. */
void ist_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const ist_real *a,
	      const ist_real *b, ist_real beta, ist_real *c);

/* One block of rows of dY'X on the calling thread alone: c (rows, cols) = beta c +
 * dy[:, first .. first + rows]' x, with dy (n, width), x (n, cols). */
void ist_gemm_rows(const ist_real *dy, size_t width, size_t first, size_t rows, const ist_real *x,
		   size_t cols, size_t n, ist_real beta, ist_real *c);

#endif
