/* Losses: from rows to one number. */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool cross_entropy_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *ids = y->in[1];

	y->wants_gradient = x->wants_gradient;
	return ist_is_matrix(x) && ids->ids != NULL && ids->dim[0] == x->dim[0] &&
	       ist_shape_scalar(y);
}

static size_t cross_entropy_kept(const ist_node *y)
{
	return y->in[0]->size; /* the softmax */
}

/* Rows that have an id; 1 where none has, so that the mean of nothing is 0. */
static size_t counted(const ist_node *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < ids->dim[0]; i++)
		n += ids->ids[i] >= 0;
	return IST_MAX(n, (size_t)1);
}

/* -log p = log(sum e^(x - max)) - (x_id - max): no logarithm of a rounded 0. */
static void cross_entropy_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *ids = y->in[1];
	size_t n = x->dim[1];
	double sum = 0;

	for (size_t i = 0; i < x->dim[0]; i++) {
		const ist_real *row = x->value + i * n;
		ist_real *p = y->kept + i * n, max;
		double total;

		if (ids->ids[i] < 0)
			continue;
		max = ist_k_max(row, n);
		ist_k_exp(p, row, max, n);
		total = ist_k_sum(p, n);
		ist_k_scale(p, (ist_real)(1 / total), p, n);
		sum += log(total) - (double)(row[ids->ids[i]] - max);
	}
	y->value[0] = (ist_real)(sum / (double)counted(ids));
}

/* dx = (p - onehot) dy / rows */
static void cross_entropy_backward(ist_node *y)
{
	ist_node *x = y->in[0], *ids = y->in[1];
	size_t n = x->dim[1];
	ist_real *dx = ist_gradient(x), d = y->gradient[0] / (ist_real)counted(ids);

	for (size_t i = 0; i < x->dim[0]; i++) {
		if (ids->ids[i] < 0)
			continue;
		ist_k_axpy(dx + i * n, d, y->kept + i * n, n);
		dx[i * n + (size_t)ids->ids[i]] -= d;
	}
}

const struct ist_op ist_op_cross_entropy = {
    .name = "cross_entropy",
    .shape = cross_entropy_shape,
    .kept = cross_entropy_kept,
    .forward = cross_entropy_forward,
    .backward = cross_entropy_backward,
};

ist_node *ist_cross_entropy(ist_node *x, ist_node *ids)
{
	return ist_apply(&ist_op_cross_entropy, 2, (ist_node *[]){x, ids}, NULL, 0);
}

/* x (N, C), ids (N), w (N numbers, no gradient) -> sum_i w_i (-log softmax(x_i)[id_i]) */
static bool weighted_cross_entropy_shape(ist_node *y)
{
	const ist_node *w = y->in[2];

	return cross_entropy_shape(y) && w->ids == NULL && w->size == y->in[0]->dim[0];
}

/* The logarithm of each row's sum of powers, and room for one row's softmax: with a vocabulary for
 * a width, backward rather takes powers again than memory for all of them. */
static size_t weighted_cross_entropy_kept(const ist_node *y)
{
	return y->in[0]->dim[0] + y->in[0]->dim[1];
}

/* Rows that weigh nothing cost nothing: what stands behind the texts' ends is among them. */
static bool weighs(const ist_node *y, size_t i)
{
	return y->in[1]->ids[i] >= 0 && y->in[2]->value[i] != 0;
}

static void weighted_cross_entropy_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *ids = y->in[1], *w = y->in[2];
	size_t n = x->dim[1];
	ist_real *p = y->kept + x->dim[0];
	double sum = 0;

	for (size_t i = 0; i < x->dim[0]; i++) {
		const ist_real *row = x->value + i * n;
		ist_real max;

		if (!weighs(y, i))
			continue;
		max = ist_k_max(row, n);
		ist_k_exp(p, row, max, n);
		y->kept[i] = max + (ist_real)log(ist_k_sum(p, n));
		sum += (double)w->value[i] * (double)(y->kept[i] - row[ids->ids[i]]);
	}
	y->value[0] = (ist_real)sum;
}

/* dx_i = w_i (p_i - onehot) dy */
static void weighted_cross_entropy_backward(ist_node *y)
{
	ist_node *x = y->in[0];
	const ist_node *ids = y->in[1], *w = y->in[2];
	size_t n = x->dim[1];
	ist_real *dx = ist_gradient(x), *p = y->kept + x->dim[0];

	for (size_t i = 0; i < x->dim[0]; i++) {
		ist_real d = w->value[i] * y->gradient[0];

		if (!weighs(y, i))
			continue;
		ist_k_exp(p, x->value + i * n, y->kept[i], n);
		ist_k_axpy(dx + i * n, d, p, n);
		dx[i * n + (size_t)ids->ids[i]] -= d;
	}
}

const struct ist_op ist_op_weighted_cross_entropy = {
    .name = "weighted_cross_entropy",
    .shape = weighted_cross_entropy_shape,
    .kept = weighted_cross_entropy_kept,
    .forward = weighted_cross_entropy_forward,
    .backward = weighted_cross_entropy_backward,
};

ist_node *ist_weighted_cross_entropy(ist_node *x, ist_node *ids, ist_node *w)
{
	return ist_apply(&ist_op_weighted_cross_entropy, 3, (ist_node *[]){x, ids, w}, NULL, 0);
}

/* Places of the constants in arg. */
enum { LAMBDA, MU, OWN_PAIR };

static bool contrastive_shape(ist_node *y)
{
	const ist_node *d = y->in[0], *ids = y->in[1];

	y->wants_gradient = d->wants_gradient;
	return ist_is_matrix(d) && d->dim[0] == d->dim[1] && ids->ids != NULL &&
	       ids->dim[0] == d->dim[0] && ist_shape_scalar(y);
}

static size_t contrastive_kept(const ist_node *y)
{
	return y->in[0]->size; /* the loss's derivative by each distance */
}

/* Loss and derivative in one pass: the derivative by a distance is a constant that depends only on
 * which side of mu it lies, so backward is a multiple of what is kept. */
static void contrastive_forward(ist_node *y)
{
	const ist_real *d = y->in[0]->value;
	const int32_t *id = y->in[1]->ids;
	size_t n = y->in[0]->dim[0];
	ist_real mu = (ist_real)y->arg[MU];
	double loss = 0;

	memset(y->kept, 0, n * n * sizeof(*y->kept));
	for (size_t i = 0; i < n; i++) {
		size_t positives = 0, negatives = 0;
		double pull = 0, push = 0;

		for (size_t j = 0; j < n; j++) {
			positives += y->arg[OWN_PAIR] != 0 ? i == j : id[i] == id[j];
			negatives += id[i] != id[j];
		}
		for (size_t j = 0; j < n; j++) {
			size_t at = i * n + j;

			if (id[i] != id[j] && d[at] < mu) {
				push += (double)(mu - d[at]);
				y->kept[at] = (ist_real)(-y->arg[LAMBDA] / (double)(negatives * n));
			} else if (id[i] == id[j] && (i == j || y->arg[OWN_PAIR] == 0)) {
				pull += (double)d[at];
				y->kept[at] = (ist_real)(1 / (double)(positives * n));
			}
		}
		loss += pull / (double)positives;
		loss += negatives > 0 ? y->arg[LAMBDA] * push / (double)negatives : 0;
	}
	y->value[0] = (ist_real)(loss / (double)n);
}

static void contrastive_backward(ist_node *y)
{
	ist_node *d = y->in[0];

	ist_k_axpy(ist_gradient(d), y->gradient[0], y->kept, d->size);
}

const struct ist_op ist_op_contrastive = {
    .name = "contrastive",
    .shape = contrastive_shape,
    .kept = contrastive_kept,
    .forward = contrastive_forward,
    .backward = contrastive_backward,
};

ist_node *ist_contrastive(ist_node *d, ist_node *ids, double lambda, double mu, bool own_pair)
{
	return ist_apply(&ist_op_contrastive, 2, (ist_node *[]){d, ids},
			 (double[]){lambda, mu, own_pair ? 1 : 0}, 3);
}

static bool frobenius_shape(ist_node *y)
{
	return y->in[0]->ids == NULL && ist_shape_scalar(y);
}

/* A weight's norm is known from its last update and costs no pass over it. */
static void frobenius_forward(ist_node *y)
{
	const ist_node *w = y->in[0];

	y->value[0] = (ist_real)sqrt(w->weight != NULL ? ist_weight_squares(w->weight)
						       : ist_k_dot(w->value, w->value, w->size));
}

/* dw = dy w / |w|: for a weight just the factor, which the optimiser applies in its own pass. */
static void frobenius_backward(ist_node *y)
{
	ist_node *w = y->in[0];
	ist_real factor = y->value[0] > 0 ? y->gradient[0] / y->value[0] : 0;

	if (w->weight != NULL) {
		w->weight->decay += (double)factor;
		w->weight->has_gradient = true;
	} else {
		ist_k_axpy(ist_gradient(w), factor, w->value, w->size);
	}
}

const struct ist_op ist_op_frobenius = {
    .name = "frobenius",
    .shape = frobenius_shape,
    .forward = frobenius_forward,
    .backward = frobenius_backward,
};

ist_node *ist_frobenius(ist_node *w)
{
	return ist_apply(&ist_op_frobenius, 1, &w, NULL, 0);
}
