/*
 * Dense products whose result does not depend on the number of threads: C is cut into tiles of
 * fixed size, each made by one thread's call of BLAS. All matrices are row-major and packed.
 * Factorisations poll `stop` between blocks (IST_CANCELLED), so that none holds a training up.
 */
#ifndef IST_CORE_METHODS_LINALG_H
#define IST_CORE_METHODS_LINALG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/methods/method.h"

/* Whether whoever started the training wants it to end; hooks may be NULL. */
static inline bool ist_stopped(const struct ist_train_hooks *hooks)
{
	return hooks != NULL && hooks->stop != NULL && hooks->stop(hooks->user);
}
IST_CHECKED enum ist_code ist_check_stop(const struct ist_train_hooks *hooks, struct ist_err *err);

enum ist_trans { IST_PLAIN, IST_TRANSPOSED };

/* C (m, n) = alpha op(A) op(B) + beta C, op(A) (m, k), op(B) (k, n). */
void ist_gemm_f32(enum ist_trans ta, enum ist_trans tb, size_t m, size_t n, size_t k, float alpha,
		  const float *a, const float *b, float beta, float *c);
void ist_gemm_f64(enum ist_trans ta, enum ist_trans tb, size_t m, size_t n, size_t k, double alpha,
		  const double *a, const double *b, double beta, double *c);

/* a (n, n) symmetric positive definite -> its lower triangle L, a = L L'; the rest is zeroed. */
IST_CHECKED enum ist_code ist_cholesky(double *a, size_t n, const struct ist_train_hooks *hooks,
				       struct ist_err *err);
/* b (n, m) -> L^-1 b, or L'^-1 b. */
IST_CHECKED enum ist_code ist_solve_lower(const double *l, size_t n, enum ist_trans t, double *b,
					  size_t m, const struct ist_train_hooks *hooks,
					  struct ist_err *err);
/* The k leading singular triplets of a (m, n), k <= min(m, n): u (m, k), s (k) descending,
 * v (n, k). Exact (LAPACK) for small matrices, block subspace iteration for large ones. */
IST_CHECKED enum ist_code ist_svd_leading(const double *a, size_t m, size_t n, size_t k, double *u,
					  double *s, double *v, const struct ist_train_hooks *hooks,
					  struct ist_err *err);

#endif
