/* Sums, multiples and rearrangements. */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool add_shape(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];
	bool same = a->n_dims == b->n_dims;

	for (int i = 0; same && i < a->n_dims; i++)
		same = a->dim[i] == b->dim[i];
	return same && b->ids == NULL && ist_shape_same(y, a);
}

static void add_forward(ist_node *y)
{
	ist_k_add(y->value, y->in[0]->value, y->in[1]->value, y->size);
}

/* Both inputs get dy; one that is named twice gets it twice. */
static void add_backward(ist_node *y)
{
	for (int i = 0; i < 2; i++)
		if (y->in[i]->wants_gradient)
			ist_k_axpy(ist_gradient(y->in[i]), 1, y->gradient, y->size);
}

const struct ist_op ist_op_add = {
    .name = "add",
    .shape = add_shape,
    .forward = add_forward,
    .backward = add_backward,
};

ist_node *ist_add(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_add, 2, (ist_node *[]){a, b}, NULL, 0);
}

/* y = a * b, number by number */
static void mul_forward(ist_node *y)
{
	ist_k_multiply(y->value, y->in[0]->value, y->in[1]->value, y->size);
}

/* da = dy b, db = dy a */
static void mul_backward(ist_node *y)
{
	for (int i = 0; i < 2; i++)
		if (y->in[i]->wants_gradient)
			ist_k_multiply_add(ist_gradient(y->in[i]), y->gradient, y->in[1 - i]->value,
					   y->size);
}

const struct ist_op ist_op_mul = {
    .name = "mul",
    .shape = add_shape,
    .forward = mul_forward,
    .backward = mul_backward,
};

ist_node *ist_mul(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_mul, 2, (ist_node *[]){a, b}, NULL, 0);
}

/* y = s x with a learned s of one number */
static bool times_shape(ist_node *y)
{
	return y->in[1]->size == 1 && y->in[1]->ids == NULL && ist_shape_same(y, y->in[0]);
}

static void times_forward(ist_node *y)
{
	ist_k_scale(y->value, y->in[1]->value[0], y->in[0]->value, y->size);
}

/* dx = s dy, ds = <x, dy> */
static void times_backward(ist_node *y)
{
	ist_node *x = y->in[0], *s = y->in[1];

	if (x->wants_gradient)
		ist_k_axpy(ist_gradient(x), s->value[0], y->gradient, y->size);
	if (s->wants_gradient)
		ist_gradient(s)[0] += (ist_real)ist_k_dot(x->value, y->gradient, y->size);
}

const struct ist_op ist_op_times = {
    .name = "times",
    .shape = times_shape,
    .forward = times_forward,
    .backward = times_backward,
};

ist_node *ist_times(ist_node *x, ist_node *s)
{
	return ist_apply(&ist_op_times, 2, (ist_node *[]){x, s}, NULL, 0);
}

/* A factor of 0 takes a term out of training: nothing under it gets a gradient, not even zeros,
 * so its weights are left alone by the optimiser. */
static bool scale_shape(ist_node *y)
{
	y->wants_gradient &= y->arg[0] != 0;
	return ist_shape_same(y, y->in[0]);
}

static void scale_forward(ist_node *y)
{
	ist_k_scale(y->value, (ist_real)y->arg[0], y->in[0]->value, y->size);
}

static void scale_backward(ist_node *y)
{
	ist_k_axpy(ist_gradient(y->in[0]), (ist_real)y->arg[0], y->gradient, y->size);
}

const struct ist_op ist_op_scale = {
    .name = "scale",
    .shape = scale_shape,
    .forward = scale_forward,
    .backward = scale_backward,
};

ist_node *ist_scale(ist_node *x, double factor)
{
	return ist_apply(&ist_op_scale, 1, &x, &factor, 1);
}

static bool transpose_shape(ist_node *y)
{
	const ist_node *x = y->in[0];

	return ist_is_matrix(x) && ist_shape_matrix(y, x->dim[1], x->dim[0]);
}

/* Small matrices only (a batch against itself), hence no blocking. */
static void transpose_forward(ist_node *y)
{
	const ist_real *x = y->in[0]->value;

	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			y->value[i * y->dim[1] + j] = x[j * y->dim[0] + i];
}

static void transpose_backward(ist_node *y)
{
	ist_real *dx = ist_gradient(y->in[0]);

	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			dx[j * y->dim[0] + i] += y->gradient[i * y->dim[1] + j];
}

const struct ist_op ist_op_transpose = {
    .name = "transpose",
    .shape = transpose_shape,
    .forward = transpose_forward,
    .backward = transpose_backward,
};

ist_node *ist_transpose(ist_node *x)
{
	return ist_apply(&ist_op_transpose, 1, &x, NULL, 0);
}

/* The shape asked for stands in arg. */
static bool reshape_shape(ist_node *y)
{
	size_t size = 1;

	y->n_dims = (int)y->arg[0];
	for (int i = 0; i < y->n_dims; i++)
		size *= y->dim[i] = (size_t)y->arg[1 + i];
	return y->in[0]->ids == NULL && size == y->in[0]->size;
}

static void reshape_forward(ist_node *y)
{
	memcpy(y->value, y->in[0]->value, y->size * sizeof(*y->value));
}

static void reshape_backward(ist_node *y)
{
	ist_k_axpy(ist_gradient(y->in[0]), 1, y->gradient, y->size);
}

const struct ist_op ist_op_reshape = {
    .name = "reshape",
    .shape = reshape_shape,
    .forward = reshape_forward,
    .backward = reshape_backward,
};

ist_node *ist_reshape(ist_node *x, int n_dims, const size_t *dim)
{
	double arg[1 + IST_MAX_DIMS] = {n_dims};

	for (int i = 0; i < n_dims; i++)
		arg[1 + i] = (double)dim[i];
	return ist_apply(&ist_op_reshape, 1, &x, arg, 1 + n_dims);
}

static bool concat_shape(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	return ist_is_matrix(a) && ist_is_matrix(b) && a->dim[0] == b->dim[0] &&
	       ist_shape_matrix(y, a->dim[0], a->dim[1] + b->dim[1]);
}

static void concat_forward(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		ist_real *row = y->value + i * y->dim[1];

		memcpy(row, a->value + i * a->dim[1], a->dim[1] * sizeof(*row));
		memcpy(row + a->dim[1], b->value + i * b->dim[1], b->dim[1] * sizeof(*row));
	}
}

/* Each input gets its columns. */
static void concat_backward(ist_node *y)
{
	size_t first = 0;

	for (int k = 0; k < 2; first += y->in[k++]->dim[1]) {
		ist_node *x = y->in[k];
		ist_real *dx = x->wants_gradient ? ist_gradient(x) : NULL;

		for (size_t i = 0; i < y->dim[0] && dx != NULL; i++)
			ist_k_axpy(dx + i * x->dim[1], 1, y->gradient + i * y->dim[1] + first,
				   x->dim[1]);
	}
}

const struct ist_op ist_op_concat = {
    .name = "concat",
    .shape = concat_shape,
    .forward = concat_forward,
    .backward = concat_backward,
};

ist_node *ist_concat(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_concat, 2, (ist_node *[]){a, b}, NULL, 0);
}
