/* Losses by element: binary cross-entropy on logits, squared error of reconstructions. */
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool bce_shape(ist_node *y)
{
	return y->in[0]->ids == NULL && y->in[0]->size > 0 && ist_shape_scalar(y);
}

/* softplus(x) - target x, with the power of a negative number only. */
static void bce_forward(ist_node *y)
{
	const ist_node *x = y->in[0];
	double sum = 0;

	for (size_t i = 0; i < x->size; i++) {
		double v = (double)x->value[i];

		sum += (v > 0 ? v : 0) + log1p(exp(-fabs(v))) - y->arg[0] * v;
	}
	y->value[0] = (ist_real)(sum / (double)x->size);
}

/* dx = (sigmoid(x) - target) dy / N */
static void bce_backward(ist_node *y)
{
	const ist_node *x = y->in[0];
	ist_real *dx = ist_gradient(y->in[0]);
	double d = (double)y->gradient[0] / (double)x->size;

	for (size_t i = 0; i < x->size; i++)
		dx[i] += (ist_real)(d * (1 / (1 + exp(-(double)x->value[i])) - y->arg[0]));
}

const struct ist_op ist_op_bce = {
    .name = "bce",
    .shape = bce_shape,
    .forward = bce_forward,
    .backward = bce_backward,
};

ist_node *ist_bce(ist_node *x, double target)
{
	return ist_apply(&ist_op_bce, 1, &x, &target, 1);
}

static bool squared_error_shape(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	return ist_is_matrix(a) && ist_is_matrix(b) && a->dim[0] == b->dim[0] &&
	       a->dim[1] == b->dim[1] && a->dim[0] > 0 && ist_shape_scalar(y);
}

/* Rows are near or far as wholes: sums over columns, a mean over rows. */
static void squared_error_forward(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];
	size_t d = a->dim[1];
	double sum = 0;

	for (size_t i = 0; i < a->dim[0]; i++)
		sum += (double)ist_k_distance2(a->value + i * d, b->value + i * d, d);
	y->value[0] = (ist_real)(sum / (double)a->dim[0]);
}

/* da = 2 (a - b) dy / rows, db = -da */
static void squared_error_backward(ist_node *y)
{
	ist_node *a = y->in[0], *b = y->in[1];
	ist_real f = 2 * y->gradient[0] / (ist_real)a->dim[0];

	if (a->wants_gradient)
		ist_k_difference(ist_gradient(a), f, a->value, b->value, a->size);
	if (b->wants_gradient)
		ist_k_difference(ist_gradient(b), f, b->value, a->value, a->size);
}

const struct ist_op ist_op_squared_error = {
    .name = "squared_error",
    .shape = squared_error_shape,
    .forward = squared_error_forward,
    .backward = squared_error_backward,
};

ist_node *ist_squared_error(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_squared_error, 2, (ist_node *[]){a, b}, NULL, 0);
}
