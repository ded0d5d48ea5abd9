/* Operators on each row by itself. */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool rows_shape(ist_node *y)
{
	return ist_is_matrix(y->in[0]) && ist_shape_same(y, y->in[0]);
}

/* p_j = e^(x_j - max x) / sum: the shift keeps the powers in range. */
static void softmax_forward(ist_node *y)
{
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0] && n > 0; i++) {
		const ist_real *x = y->in[0]->value + i * n;
		ist_real *p = y->value + i * n;

		ist_k_exp(p, x, ist_k_max(x, n), n);
		ist_k_scale(p, (ist_real)(1 / ist_k_sum(p, n)), p, n);
	}
}

/* dx = p (dy - <p, dy>) */
static void softmax_backward(ist_node *y)
{
	ist_real *dx = ist_gradient(y->in[0]);
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *p = y->value + i * n, *dy = y->gradient + i * n;
		ist_real mean = (ist_real)ist_k_dot(p, dy, n);

		for (size_t j = 0; j < n; j++)
			dx[i * n + j] += p[j] * (dy[j] - mean);
	}
}

const struct ist_op ist_op_softmax = {
    .name = "softmax",
    .shape = rows_shape,
    .forward = softmax_forward,
    .backward = softmax_backward,
};

ist_node *ist_softmax(ist_node *x)
{
	return ist_apply(&ist_op_softmax, 1, &x, NULL, 0);
}

static size_t unit_kept(const ist_node *y)
{
	return y->dim[0]; /* 1 / length of each row */
}

/* y = x / |x|; the reciprocal is kept, 0 for a row of zeros. */
static void unit_forward(ist_node *y)
{
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *x = y->in[0]->value + i * n;
		double squares = ist_k_dot(x, x, n);

		y->kept[i] = (ist_real)(squares > 0 ? 1 / sqrt(squares) : 0);
		ist_k_scale(y->value + i * n, y->kept[i], x, n);
	}
}

/* dx = (dy - y <y, dy>) / |x| */
static void unit_backward(ist_node *y)
{
	ist_real *dx = ist_gradient(y->in[0]);
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *u = y->value + i * n, *dy = y->gradient + i * n;
		ist_real along = (ist_real)ist_k_dot(u, dy, n);

		ist_k_axpy(dx + i * n, y->kept[i], dy, n);
		ist_k_axpy(dx + i * n, -y->kept[i] * along, u, n);
	}
}

const struct ist_op ist_op_unit = {
    .name = "unit",
    .shape = rows_shape,
    .kept = unit_kept,
    .forward = unit_forward,
    .backward = unit_backward,
};

ist_node *ist_unit(ist_node *x)
{
	return ist_apply(&ist_op_unit, 1, &x, NULL, 0);
}

static bool layer_norm_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *gamma = y->in[1], *beta = y->in[2];

	return rows_shape(y) && gamma->size == x->dim[1] && beta->size == x->dim[1];
}

/* (x - mean) / sd of every number, then 1 / sd of each row. */
static size_t layer_norm_kept(const ist_node *y)
{
	return y->size + y->dim[0];
}

#define LAYER_NORM_EPS 1e-5

/* y = gamma (x - mean) / sqrt(variance + eps) + beta, a row at a time */
static void layer_norm_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *gamma = y->in[1], *beta = y->in[2];
	size_t n = y->dim[1];
	ist_real *inverse = y->kept + y->size;

	for (size_t i = 0; i < y->dim[0]; i++) {
		ist_real *hat = y->kept + i * n, *to = y->value + i * n;
		ist_real mean = (ist_real)(ist_k_sum(x->value + i * n, n) / (double)n);

		for (size_t j = 0; j < n; j++)
			hat[j] = x->value[i * n + j] - mean;
		inverse[i] =
		    (ist_real)(1 / sqrt(ist_k_dot(hat, hat, n) / (double)n + LAYER_NORM_EPS));
		for (size_t j = 0; j < n; j++) {
			hat[j] *= inverse[i];
			to[j] = gamma->value[j] * hat[j] + beta->value[j];
		}
	}
}

/* With h the normalised row and g = gamma dy: dx = (g - mean g - h mean(g h)) / sd */
static void layer_norm_input(ist_node *y, ist_real *dx)
{
	const ist_real *gamma = y->in[1]->value;
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *dy = y->gradient + i * n, *hat = y->kept + i * n;
		ist_real inverse = y->kept[y->size + i], mean, along;
		double sum = ist_k_dot(gamma, dy, n), products = 0;

		for (size_t j = 0; j < n; j++)
			products += (double)(gamma[j] * dy[j]) * (double)hat[j];
		mean = (ist_real)(sum / (double)n);
		along = (ist_real)(products / (double)n);
		for (size_t j = 0; j < n; j++)
			dx[i * n + j] += inverse * (gamma[j] * dy[j] - mean - hat[j] * along);
	}
}

static void layer_norm_backward(ist_node *y)
{
	ist_node *x = y->in[0], *gamma = y->in[1], *beta = y->in[2];
	size_t n = y->dim[1];

	if (x->wants_gradient)
		layer_norm_input(y, ist_gradient(x));
	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *dy = y->gradient + i * n;

		if (gamma->wants_gradient)
			ist_k_multiply_add(ist_gradient(gamma), dy, y->kept + i * n, n);
		if (beta->wants_gradient)
			ist_k_axpy(ist_gradient(beta), 1, dy, n);
	}
}

const struct ist_op ist_op_layer_norm = {
    .name = "layer_norm",
    .shape = layer_norm_shape,
    .kept = layer_norm_kept,
    .forward = layer_norm_forward,
    .backward = layer_norm_backward,
};

ist_node *ist_layer_norm(ist_node *x, ist_node *gamma, ist_node *beta)
{
	return ist_apply(&ist_op_layer_norm, 3, (ist_node *[]){x, gamma, beta}, NULL, 0);
}
