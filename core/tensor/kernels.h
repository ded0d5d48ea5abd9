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
void ist_k_abs(ist_real *y, const ist_real *x, size_t n);
void ist_k_abs_back(ist_real *dx, const ist_real *dy, const ist_real *x, size_t n);
ist_real ist_k_max(const ist_real *x, size_t n);
double ist_k_sum(const ist_real *x, size_t n);
double ist_k_dot(const ist_real *a, const ist_real *b, size_t n);
ist_real ist_k_distance2(const ist_real *a, const ist_real *b, size_t n); /* |a - b|^2 */
double ist_k_squares(const ist_real *x, double mean, size_t n);		  /* sum of (x - mean)^2 */
/* A run of one channel in batch normalisation: hat = (x - mean) inverse, y = gamma hat + beta; and
 * dx += factor (dy - mean - hat slope). */
void ist_k_normalise(ist_real *hat, ist_real *y, const ist_real *x, ist_real mean, ist_real inverse,
		     ist_real gamma, ist_real beta, size_t n);
void ist_k_normalise_back(ist_real *dx, const ist_real *dy, const ist_real *hat, ist_real factor,
			  ist_real mean, ist_real slope, size_t n);
/* da += f (a - b) */
void ist_k_difference(ist_real *da, ist_real f, const ist_real *a, const ist_real *b, size_t n);
/* Sum of max(0, a - b)^2; d += f max(0, a - b) */
ist_real ist_k_excess2(const ist_real *a, const ist_real *b, size_t n);
void ist_k_excess(ist_real *d, ist_real f, const ist_real *a, const ist_real *b, size_t n);

/* A gated recurrent unit's cell of h units (op_gru.c): x and p (3 h) are W x + b and U h of the
 * gates r, z, n, `before` the state, NULL for 0. Leaves the gates (3 h), U_n h (h) and the next
 * state. */
void ist_k_gru(const ist_real *x, const ist_real *p, const ist_real *before, ist_real *gate,
	       ist_real *un, ist_real *state, size_t h);
/* dh of the state becomes that of `before` but for its way through U; du (3 h) is what U h gets, dx
 * (3 h) is added to. */
void ist_k_gru_back(ist_real *dh, const ist_real *gate, const ist_real *un, const ist_real *before,
		    ist_real *du, ist_real *dx, size_t h);

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
