/*
 * Products. A weight's gradient dY'X is left as its two factors (weights.h); any other matrix gets
 * it multiplied out.
 */
#include <string.h>

#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

/* da += product: overwrites where nothing was added before, so nothing has to be zeroed. */
static ist_real product_target(ist_node *x, ist_real **ret)
{
	ist_real beta = x->weight != NULL || x->has_gradient ? 1 : 0;

	if (x->weight != NULL) {
		*ret = ist_weight_dense(x->weight);
	} else {
		x->has_gradient = true;
		*ret = x->gradient;
	}
	return beta;
}

static bool linear_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];

	return ist_is_matrix(x) && ist_is_matrix(w) && x->dim[1] == w->dim[1] &&
	       b->size == w->dim[0] && ist_shape_matrix(y, x->dim[0], w->dim[0]);
}

static void linear_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t n_out = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++)
		memcpy(y->value + i * n_out, b->value, n_out * sizeof(*y->value));
	ist_gemm(false, true, x->dim[0], n_out, x->dim[1], x->value, w->value, 1, y->value);
}

/* dX = dY W, dW = dY'X, db = column sums of dY */
static void linear_backward(ist_node *y)
{
	ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t n = x->dim[0], n_in = x->dim[1], n_out = y->dim[1];
	ist_real *d, beta;

	if (b->wants_gradient) {
		d = ist_gradient(b);
		for (size_t i = 0; i < n; i++)
			ist_k_axpy(d, 1, y->gradient + i * n_out, n_out);
	}
	if (w->weight != NULL) {
		ist_weight_add_product(w->weight, y->gradient, x->value, n);
	} else if (w->wants_gradient) {
		beta = product_target(w, &d);
		ist_gemm(true, false, n_out, n_in, n, y->gradient, x->value, beta, d);
	}
	if (x->wants_gradient) {
		beta = product_target(x, &d);
		ist_gemm(false, false, n, n_in, n_out, y->gradient, w->value, beta, d);
	}
}

const struct ist_op ist_op_linear = {
    .name = "linear",
    .shape = linear_shape,
    .forward = linear_forward,
    .backward = linear_backward,
};

ist_node *ist_linear(ist_node *x, ist_node *w, ist_node *b)
{
	return ist_apply(&ist_op_linear, 3, (ist_node *[]){x, w, b}, NULL, 0);
}

static bool matmul_shape(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	return ist_is_matrix(a) && ist_is_matrix(b) && a->dim[1] == b->dim[0] &&
	       ist_shape_matrix(y, a->dim[0], b->dim[1]);
}

static void matmul_forward(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	ist_gemm(false, false, y->dim[0], y->dim[1], a->dim[1], a->value, b->value, 0, y->value);
}

/* dA = dY B', dB = A'dY */
static void matmul_backward(ist_node *y)
{
	ist_node *a = y->in[0], *b = y->in[1];
	size_t m = y->dim[0], n = y->dim[1], k = a->dim[1];
	ist_real *d, beta;

	if (a->wants_gradient) {
		beta = product_target(a, &d);
		ist_gemm(false, true, m, k, n, y->gradient, b->value, beta, d);
	}
	if (b->wants_gradient) {
		beta = product_target(b, &d);
		ist_gemm(true, false, k, n, m, a->value, y->gradient, beta, d);
	}
}

const struct ist_op ist_op_matmul = {
    .name = "matmul",
    .shape = matmul_shape,
    .forward = matmul_forward,
    .backward = matmul_backward,
};

ist_node *ist_matmul(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_matmul, 2, (ist_node *[]){a, b}, NULL, 0);
}
