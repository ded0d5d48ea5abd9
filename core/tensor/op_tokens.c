/*
 * What a network that writes texts reads: rows of a table by their ids, and a matrix said again at
 * every moment. Rows of a sequence are ordered by time first, as in op_recurrent.c.
 */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

/* table (V, E), ids (M) -> (M, E); a row of zeros for an id below 0 */
static bool lookup_shape(ist_node *y)
{
	const ist_node *table = y->in[0], *ids = y->in[1];

	y->wants_gradient = table->wants_gradient;
	return ist_is_matrix(table) && ids->ids != NULL &&
	       ist_shape_matrix(y, ids->dim[0], table->dim[1]);
}

static void lookup_forward(ist_node *y)
{
	const ist_real *table = y->in[0]->value;
	const int32_t *ids = y->in[1]->ids;
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		if (ids[i] >= 0)
			memcpy(y->value + i * n, table + (size_t)ids[i] * n, n * sizeof(*table));
		else
			memset(y->value + i * n, 0, n * sizeof(*table));
	}
}

static void lookup_backward(ist_node *y)
{
	ist_real *d = ist_gradient(y->in[0]);
	const int32_t *ids = y->in[1]->ids;
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++)
		if (ids[i] >= 0)
			ist_k_axpy(d + (size_t)ids[i] * n, 1, y->gradient + i * n, n);
}

const struct ist_op ist_op_lookup = {
    .name = "lookup",
    .shape = lookup_shape,
    .forward = lookup_forward,
    .backward = lookup_backward,
};

ist_node *ist_lookup(ist_node *table, ist_node *ids)
{
	return ist_apply(&ist_op_lookup, 2, (ist_node *[]){table, ids}, NULL, 0);
}

/* x (N, E) -> (times N, E): x, and x again below it */
static bool repeat_shape(ist_node *y)
{
	const ist_node *x = y->in[0];

	return ist_is_matrix(x) && y->arg[0] >= 1 &&
	       ist_shape_matrix(y, (size_t)y->arg[0] * x->dim[0], x->dim[1]);
}

static void repeat_forward(ist_node *y)
{
	const ist_node *x = y->in[0];

	for (size_t at = 0; at < y->size; at += x->size)
		memcpy(y->value + at, x->value, x->size * sizeof(*x->value));
}

static void repeat_backward(ist_node *y)
{
	ist_node *x = y->in[0];
	ist_real *d = ist_gradient(x);

	for (size_t at = 0; at < y->size; at += x->size)
		ist_k_axpy(d, 1, y->gradient + at, x->size);
}

const struct ist_op ist_op_repeat = {
    .name = "repeat",
    .shape = repeat_shape,
    .forward = repeat_forward,
    .backward = repeat_backward,
};

ist_node *ist_repeat(ist_node *x, size_t times)
{
	return ist_apply(&ist_op_repeat, 1, &x, (double[]){(double)times}, 1);
}
