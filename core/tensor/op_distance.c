/*
 * Distances between all rows of two matrices. By direct differences: |a|^2 + |b|^2 - 2ab goes below
 * zero in float between near pairs, and pairs are what training makes near.
 */
#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

#define ROWS 8		      /* that share one reading of the other matrix */
#define EPS ((ist_real)1e-12) /* keeps the root's gradient finite at 0 */

static bool distance_shape(ist_node *y)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	return ist_is_matrix(a) && ist_is_matrix(b) && a->dim[1] == b->dim[1] &&
	       ist_shape_matrix(y, a->dim[0], b->dim[0]);
}

static void distance2_forward(ist_node *y)
{
	const ist_real *a = y->in[0]->value, *b = y->in[1]->value;
	size_t n = y->dim[0], m = y->dim[1], d = y->in[0]->dim[1];

#pragma omp parallel for schedule(static) if (n * m * d > 8 * IST_PARALLEL_MIN)
	for (size_t first = 0; first < n; first += ROWS)
		for (size_t j = 0; j < m; j++)
			for (size_t i = first; i < IST_MIN(first + ROWS, n); i++)
				y->value[i * m + j] = ist_k_distance2(a + i * d, b + j * d, d);
}

static void distance_forward(ist_node *y)
{
	distance2_forward(y);
	for (size_t i = 0; i < y->size; i++)
		y->value[i] = ist_real_sqrt(y->value[i] + EPS);
}

/* dy f, where dy / dx = f (x - z): 1 / y of a distance, 2 of a squared one. */
static ist_real factor(const ist_node *y, size_t at)
{
	return y->op == &ist_op_distance2 ? 2 * y->gradient[at] : y->gradient[at] / y->value[at];
}

/* dx_i += sum over j of factor_ij (x_i - z_j): the row's own gradient, so that threads that share
 * out the rows write apart. `row` and `col` are the steps of dy and y. */
static void add_gradient(ist_real *dx, const ist_real *x, size_t n, const ist_real *z, size_t m,
			 size_t d, const ist_node *y, size_t row, size_t col)
{
#pragma omp parallel for schedule(static) if (n * m * d > 8 * IST_PARALLEL_MIN)
	for (size_t first = 0; first < n; first += ROWS) {
		for (size_t j = 0; j < m; j++) {
			for (size_t i = first; i < IST_MIN(first + ROWS, n); i++) {
				size_t at = i * row + j * col;

				if (y->gradient[at] != 0)
					ist_k_difference(dx + i * d, factor(y, at), x + i * d,
							 z + j * d, d);
			}
		}
	}
}

/* Once for either side. */
static void distance_backward(ist_node *y)
{
	ist_node *a = y->in[0], *b = y->in[1];
	size_t n = y->dim[0], m = y->dim[1], d = a->dim[1];

	if (a->wants_gradient)
		add_gradient(ist_gradient(a), a->value, n, b->value, m, d, y, m, 1);
	if (b->wants_gradient)
		add_gradient(ist_gradient(b), b->value, m, a->value, n, d, y, 1, m);
}

const struct ist_op ist_op_distance = {
    .name = "distance",
    .shape = distance_shape,
    .forward = distance_forward,
    .backward = distance_backward,
};

ist_node *ist_distance(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_distance, 2, (ist_node *[]){a, b}, NULL, 0);
}

const struct ist_op ist_op_distance2 = {
    .name = "distance2",
    .shape = distance_shape,
    .forward = distance2_forward,
    .backward = distance_backward,
};

ist_node *ist_distance2(ist_node *a, ist_node *b)
{
	return ist_apply(&ist_op_distance2, 2, (ist_node *[]){a, b}, NULL, 0);
}
