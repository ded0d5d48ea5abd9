/*
 * The soft triplet loss over a batch and its counterparts: each of the 2 N vectors is an anchor,
 * its counterpart is the positive, and what it is held against is listed by the caller, so that the
 * draw belongs to the sampler and not to the operator.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool soft_triplet_shape(ist_node *y)
{
	const ist_node *q = y->in[0], *t = y->in[1], *ids = y->in[2];

	y->wants_gradient = q->wants_gradient || t->wants_gradient;
	return ist_is_matrix(q) && ist_is_matrix(t) && q->dim[0] == t->dim[0] &&
	       q->dim[1] == t->dim[1] && ids->ids != NULL && ids->dim[0] % (2 * q->dim[0]) == 0 &&
	       ist_shape_scalar(y);
}

static size_t soft_triplet_kept(const ist_node *y)
{
	return y->in[2]->dim[0]; /* each term's derivative by d_ap - d_an */
}

/* Vector i of the stack [q; t]. */
static ist_real *at(const ist_node *y, size_t i, ist_real *q, ist_real *t)
{
	size_t n = y->in[0]->dim[0], dim = y->in[0]->dim[1];

	return i < n ? q + i * dim : t + (i - n) * dim;
}

static double distance2(const ist_node *y, size_t i, size_t k)
{
	ist_real *q = y->in[0]->value, *t = y->in[1]->value;

	return (double)ist_k_distance2(at(y, i, q, t), at(y, k, q, t), y->in[0]->dim[1]);
}

static size_t listed(const ist_node *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < ids->dim[0]; i++)
		n += ids->ids[i] >= 0;
	return IST_MAX(n, (size_t)1);
}

/* mean of log(1 + e^(d_ap - d_an)), d squared distances; ids below 0 are left out */
static void soft_triplet_forward(ist_node *y)
{
	const ist_node *ids = y->in[2];
	size_t n = 2 * y->in[0]->dim[0], each = ids->dim[0] / n;
	double sum = 0, terms = (double)listed(ids);

	for (size_t i = 0; i < n; i++) {
		double near = distance2(y, i, (i + n / 2) % n);

		for (size_t k = i * each; k < (i + 1) * each; k++) {
			double x;

			y->kept[k] = 0;
			if (ids->ids[k] < 0)
				continue;
			x = near - distance2(y, i, (size_t)ids->ids[k]);
			sum += fmax(x, 0) + log1p(exp(-fabs(x)));
			y->kept[k] = (ist_real)(1 / (1 + exp(-x)) / terms);
		}
	}
	y->value[0] = (ist_real)(sum / terms);
}

/* d|a - b|^2 by a and b, times f */
static void pull(ist_node *y, size_t i, size_t k, ist_real f)
{
	ist_node *q = y->in[0], *t = y->in[1];
	size_t n = q->dim[0], dim = q->dim[1];
	const ist_real *a = at(y, i, q->value, t->value), *b = at(y, k, q->value, t->value);

	if ((i < n ? q : t)->wants_gradient)
		ist_k_difference(at(y, i, q->wants_gradient ? ist_gradient(q) : NULL,
				    t->wants_gradient ? ist_gradient(t) : NULL),
				 2 * f, a, b, dim);
	if ((k < n ? q : t)->wants_gradient)
		ist_k_difference(at(y, k, q->wants_gradient ? ist_gradient(q) : NULL,
				    t->wants_gradient ? ist_gradient(t) : NULL),
				 2 * f, b, a, dim);
}

static void soft_triplet_backward(ist_node *y)
{
	const ist_node *ids = y->in[2];
	size_t n = 2 * y->in[0]->dim[0], each = ids->dim[0] / n;

	for (size_t i = 0; i < n; i++) {
		ist_real sum = 0;

		for (size_t k = i * each; k < (i + 1) * each; k++) {
			if (ids->ids[k] < 0)
				continue;
			sum += y->kept[k];
			pull(y, i, (size_t)ids->ids[k], -y->kept[k] * y->gradient[0]);
		}
		pull(y, i, (i + n / 2) % n, sum * y->gradient[0]);
	}
}

const struct ist_op ist_op_soft_triplet = {
    .name = "soft_triplet",
    .shape = soft_triplet_shape,
    .kept = soft_triplet_kept,
    .forward = soft_triplet_forward,
    .backward = soft_triplet_backward,
};

ist_node *ist_soft_triplet(ist_node *q, ist_node *t, ist_node *negatives)
{
	return ist_apply(&ist_op_soft_triplet, 3, (ist_node *[]){q, t, negatives}, NULL, 0);
}
