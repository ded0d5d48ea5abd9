/*
 * Products. A weight's gradient dY'X is left as its two factors (weights.h); any other matrix gets
 * it multiplied out. Big weights against a batch go through panels (panel.h), the rest to OpenBLAS.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"
#include "core/tensor/panel.h"

#define PANEL_WEIGHT_MIN (64 * 1024) /* numbers of a weight below which packing does not pay */
#define BLOCK_ROWS 48		     /* of a weight: a thread's portion, whole tiles */

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

/* y_ij = sum_k x_ik w_jk + b_j */
static bool linear_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];

	return ist_is_matrix(x) && ist_is_matrix(w) && x->dim[1] == w->dim[1] &&
	       b->size == w->dim[0] && ist_shape_matrix(y, x->dim[0], w->dim[0]);
}

/* Whether the batch fills panels well enough, and the weight is worth it. */
static bool in_panels(const ist_node *y)
{
	size_t n = y->dim[0];

	return 4 * n >= 3 * ist_panel_round(n) && y->in[1]->size >= PANEL_WEIGHT_MIN &&
	       ist_panels_usable();
}

/* Forward: x in panels, y turned. Backward: the same room for x in other panels, dy turned. */
static size_t linear_kept(const ist_node *y)
{
	size_t n = ist_panel_round(y->dim[0]);

	return in_panels(y) ? n * (ist_panel_round(y->in[0]->dim[1]) + y->dim[1]) : 0;
}

/* The second part of what is kept: y or dy, turned. */
static ist_real *kept_turned(const ist_node *y)
{
	return y->kept + ist_panel_round(y->dim[0]) * ist_panel_round(y->in[0]->dim[1]);
}

/* Rows of the weight against panels of the batch: y' (O, N), then turned back. */
static void forward_in_panels(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t n = x->dim[0], n_in = x->dim[1], n_out = y->dim[1], pitch = ist_panel_round(n);
	size_t n_blocks = (n_out + BLOCK_ROWS - 1) / BLOCK_ROWS;
	ist_real *turned = kept_turned(y);

	ist_panel_pack_turned(x->value, n, n_in, y->kept);
#pragma omp parallel for schedule(dynamic, 1) if (n_blocks > 1)
	for (size_t block = 0; block < n_blocks; block++) {
		size_t first = block * BLOCK_ROWS,
		       rows = IST_MIN((size_t)BLOCK_ROWS, n_out - first);

		for (size_t p = 0; p < pitch; p += IST_PANEL)
			ist_panel_multiply(w->value + first * n_in, n_in, rows, y->kept + p * n_in,
					   n_in, false, turned + first * pitch + p, pitch,
					   IST_PANEL);
	}
	ist_turn(turned, n_out, pitch, n_out, n, y->value);
	for (size_t i = 0; i < n; i++)
		ist_k_axpy(y->value + i * n_out, 1, b->value, n_out);
}

static void linear_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t n_out = y->dim[1];

	if (in_panels(y)) {
		forward_in_panels(y);
		return;
	}
	for (size_t i = 0; i < y->dim[0]; i++)
		memcpy(y->value + i * n_out, b->value, n_out * sizeof(*y->value));
	ist_gemm(false, true, x->dim[0], n_out, x->dim[1], x->value, w->value, 1, y->value);
}

/* dW = dY'X stays two factors: in panels where forward was, as they are otherwise. */
static void weight_gradient(ist_node *y)
{
	const ist_node *x = y->in[0];
	struct ist_product p = {.dy = y->gradient, .x = x->value, .n = x->dim[0]};

	if (in_panels(y)) {
		p = (struct ist_product){
		    .dy = kept_turned(y), .x = y->kept, .n = x->dim[0], .panels = true};
		ist_panel_pack(x->value, p.n, x->dim[1], y->kept);
		ist_turn(y->gradient, p.n, y->dim[1], p.n, y->dim[1], kept_turned(y));
	}
	ist_weight_add_product(y->in[1]->weight, &p);
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
	if (w->weight != NULL && w->wants_gradient) {
		weight_gradient(y);
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
    .kept = linear_kept,
    .forward = linear_forward,
    .backward = linear_backward,
};

ist_node *ist_linear(ist_node *x, ist_node *w, ist_node *b)
{
	return ist_apply(&ist_op_linear, 3, (ist_node *[]){x, w, b}, NULL, 0);
}

/* y_ij = sum_k a_ik b_kj */
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
