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
