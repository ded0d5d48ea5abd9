/*
 * The loops that vectorise: one pass over plain arrays, on the calling thread, compiled for several
 * levels of the CPU with the best one chosen when the program starts. Arrays do not overlap unless
 * they are equal.
 */
#ifndef IST_CORE_TENSOR_KERNELS_H
#define IST_CORE_TENSOR_KERNELS_H

#include <stddef.h>

#include "core/tensor/real.h"

void ist_k_tanh(ist_real *y, const ist_real *x, size_t n);
void ist_k_tanh_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n);
void ist_k_relu(ist_real *y, const ist_real *x, size_t n);
void ist_k_relu_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n);
void ist_k_sigmoid(ist_real *y, const ist_real *x, size_t n);
void ist_k_sigmoid_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n);
/* x where x > 0, slope x elsewhere; backward from the result. */
void ist_k_lrelu(ist_real *y, ist_real slope, const ist_real *x, size_t n);
void ist_k_lrelu_back(ist_real *dx, ist_real slope, const ist_real *dy, const ist_real *y,
		      size_t n);
void ist_k_exp(ist_real *y, const ist_real *x, ist_real shift, size_t n); /* exp(x - shift) */
void ist_k_add(ist_real *y, const ist_real *a, const ist_real *b, size_t n);
void ist_k_multiply(ist_real *y, const ist_real *a, const ist_real *b, size_t n);     /* y = a b */
void ist_k_multiply_add(ist_real *y, const ist_real *a, const ist_real *b, size_t n); /* y += a b */
void ist_k_axpy(ist_real *y, ist_real a, const ist_real *x, size_t n);		      /* y += a x */
void ist_k_scale(ist_real *y, ist_real a, const ist_real *x, size_t n);		      /* y = a x */
ist_real ist_k_max(const ist_real *x, size_t n);
double ist_k_sum(const ist_real *x, size_t n);
double ist_k_dot(const ist_real *a, const ist_real *b, size_t n);
ist_real ist_k_distance2(const ist_real *a, const ist_real *b, size_t n); /* |a - b|^2 */
/* da += f (a - b) */
void ist_k_difference(ist_real *da, ist_real f, const ist_real *a, const ist_real *b, size_t n);

/* The optimisers' rules (optimiser.c says what the numbers are). */
struct ist_rates {
	ist_real rate, beta1, beta2, root, eps, momentum;
	ist_real scale, decay; /* the gradient is scale * g + decay * w */
};
void ist_k_sgd(const struct ist_rates *r, ist_real *w, const ist_real *g, ist_real *m, ist_real *v,
	       size_t n);
void ist_k_adam(const struct ist_rates *r, ist_real *w, const ist_real *g, ist_real *m, ist_real *v,
		size_t n);
void ist_k_rmsprop(const struct ist_rates *r, ist_real *w, const ist_real *g, ist_real *m,
		   ist_real *v, size_t n);

#endif
