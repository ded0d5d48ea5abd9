/*
 * Order between all rows of two matrices: how far one row exceeds another, and the ranking loss
 * over the scores of a batch's texts and pictures. The rows' differences are never a matrix of
 * their own: a few rows share one reading of the other side, as in the distances.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

#define ROWS 8 /* that share one reading of the other matrix */

/* y_ij = sum_k max(0, t_ik - v_jk)^2 */
static bool order_shape(ist_node *y)
{
	const ist_node *t = y->in[0], *v = y->in[1];

	return ist_is_matrix(t) && ist_is_matrix(v) && t->dim[1] == v->dim[1] &&
	       ist_shape_matrix(y, t->dim[0], v->dim[0]);
}

static void order_forward(ist_node *y)
{
	const ist_real *t = y->in[0]->value, *v = y->in[1]->value;
	size_t n = y->dim[0], m = y->dim[1], d = y->in[0]->dim[1];

#pragma omp parallel for schedule(static) if (n * m * d > 8 * IST_PARALLEL_MIN)
	for (size_t first = 0; first < n; first += ROWS)
		for (size_t j = 0; j < m; j++)
			for (size_t i = first; i < IST_MIN(first + ROWS, n); i++)
				y->value[i * m + j] = ist_k_excess2(t + i * d, v + j * d, d);
}

/* dt_i += sum_j 2 dy_ij max(0, t_i - v_j) */
static void order_backward_t(const ist_node *y, ist_real *dt)
{
	const ist_real *t = y->in[0]->value, *v = y->in[1]->value;
	size_t n = y->dim[0], m = y->dim[1], d = y->in[0]->dim[1];

#pragma omp parallel for schedule(static) if (n * m * d > 8 * IST_PARALLEL_MIN)
	for (size_t first = 0; first < n; first += ROWS)
		for (size_t j = 0; j < m; j++)
			for (size_t i = first; i < IST_MIN(first + ROWS, n); i++)
				if (y->gradient[i * m + j] != 0)
					ist_k_excess(dt + i * d, 2 * y->gradient[i * m + j],
						     t + i * d, v + j * d, d);
}

/* dv_j -= sum_i 2 dy_ij max(0, t_i - v_j): threads share out the rows of v and write apart. */
static void order_backward_v(const ist_node *y, ist_real *dv)
{
	const ist_real *t = y->in[0]->value, *v = y->in[1]->value;
	size_t n = y->dim[0], m = y->dim[1], d = y->in[0]->dim[1];

#pragma omp parallel for schedule(static) if (n * m * d > 8 * IST_PARALLEL_MIN)
	for (size_t first = 0; first < m; first += ROWS)
		for (size_t i = 0; i < n; i++)
			for (size_t j = first; j < IST_MIN(first + ROWS, m); j++)
				if (y->gradient[i * m + j] != 0)
					ist_k_excess(dv + j * d, -2 * y->gradient[i * m + j],
						     t + i * d, v + j * d, d);
}

static void order_backward(ist_node *y)
{
	if (y->in[0]->wants_gradient)
		order_backward_t(y, ist_gradient(y->in[0]));
	if (y->in[1]->wants_gradient)
		order_backward_v(y, ist_gradient(y->in[1]));
}

const struct ist_op ist_op_order = {
    .name = "order",
    .shape = order_shape,
    .forward = order_forward,
    .backward = order_backward,
};

ist_node *ist_order(ist_node *t, ist_node *v)
{
	return ist_apply(&ist_op_order, 2, (ist_node *[]){t, v}, NULL, 0);
}

/* ---- ranking ---- */

/* sum over i and j of other ids: [alpha - s_ii + s_ij]+ + [alpha - s_ii + s_ji]+ */
static bool ranking_shape(ist_node *y)
{
	const ist_node *s = y->in[0], *ids = y->in[1];

	y->wants_gradient = s->wants_gradient;
	return ist_is_matrix(s) && s->dim[0] == s->dim[1] && ids->ids != NULL &&
	       ids->dim[0] == s->dim[0] && ist_shape_scalar(y);
}

/* The loss by every score. */
static size_t ranking_kept(const ist_node *y)
{
	return y->in[0]->size;
}

/* What item i's row (step 1) or column (step n) costs, its own score at the diagonal; the gradient
 * goes to d. */
static double cost_of(const ist_node *y, size_t i, size_t start, size_t step)
{
	const ist_node *s = y->in[0];
	const int32_t *id = y->in[1]->ids;
	bool hardest = y->arg[1] != 0;
	size_t n = s->dim[0], worst = i;
	double sum = 0, most = 0, own = (double)s->value[i * n + i];

	for (size_t j = 0; j < n; j++) {
		double cost = y->arg[0] - own + (double)s->value[start + j * step];

		if (id[j] == id[i] || cost <= most)
			continue;
		if (hardest) {
			most = cost;
			worst = j;
			continue;
		}
		sum += cost;
		y->kept[start + j * step] += 1;
		y->kept[i * n + i] -= 1;
	}
	if (worst != i) {
		y->kept[start + worst * step] += 1;
		y->kept[i * n + i] -= 1;
	}
	return sum + most;
}

static void ranking_forward(ist_node *y)
{
	size_t n = y->in[0]->dim[0];
	double sum = 0;

	memset(y->kept, 0, n * n * sizeof(*y->kept));
	for (size_t i = 0; i < n; i++)
		sum += cost_of(y, i, i * n, 1) + cost_of(y, i, i, n);
	y->value[0] = (ist_real)sum;
}

static void ranking_backward(ist_node *y)
{
	ist_k_axpy(ist_gradient(y->in[0]), y->gradient[0], y->kept, y->in[0]->size);
}

const struct ist_op ist_op_ranking = {
    .name = "ranking",
    .shape = ranking_shape,
    .kept = ranking_kept,
    .forward = ranking_forward,
    .backward = ranking_backward,
};

ist_node *ist_ranking(ist_node *s, ist_node *ids, double margin, bool hardest)
{
	return ist_apply(&ist_op_ranking, 2, (ist_node *[]){s, ids},
			 (double[]){margin, hardest ? 1 : 0}, 2);
}
