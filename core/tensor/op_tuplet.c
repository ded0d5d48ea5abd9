/*
 * Losses of an anchor against one positive and several negatives that a sampler chose: positions
 * in the columns of a matrix of distances d (N, M), a row an anchor. pos (N) holds one position a
 * row, neg (N k) holds k; -1 stands for no negative. Both are means over the anchors.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool tuplet_shape(ist_node *y)
{
	const ist_node *d = y->in[0], *pos = y->in[1], *neg = y->in[2];

	y->wants_gradient = d->wants_gradient;
	return ist_is_matrix(d) && d->dim[0] > 0 && pos->ids != NULL && neg->ids != NULL &&
	       pos->dim[0] == d->dim[0] && neg->dim[0] >= d->dim[0] &&
	       neg->dim[0] % d->dim[0] == 0 && ist_shape_scalar(y);
}

static size_t n_negatives(const ist_node *y)
{
	return y->in[2]->dim[0] / y->in[0]->dim[0];
}

/* The loss's derivative by the distance of the positive and of each negative: (N, 1 + k). */
static size_t tuplet_kept(const ist_node *y)
{
	return y->in[0]->dim[0] * (1 + n_negatives(y));
}

/* log(1 + sum_c e^(z_c)) with z_c = (d+ - d_c) / tau, the largest power taken out;
 * q_c = e^(z_c) / (1 + sum e^z): by d+ the derivative is sum q / tau, by d_c it is -q_c / tau. */
static double tuplet_row(const ist_real *d, int32_t pos, const int32_t *neg, size_t k, double tau,
			 double share, ist_real *kept)
{
	double most = 0, total;

	for (size_t c = 0; c < k; c++)
		if (neg[c] >= 0)
			most = fmax(most, (double)(d[pos] - d[neg[c]]) / tau);
	total = exp(-most);
	for (size_t c = 0; c < k; c++)
		if (neg[c] >= 0)
			total += exp((double)(d[pos] - d[neg[c]]) / tau - most);
	kept[0] = 0;
	for (size_t c = 0; c < k; c++) {
		double q = neg[c] >= 0 ? exp((double)(d[pos] - d[neg[c]]) / tau - most) / total : 0;

		kept[1 + c] = (ist_real)(-share * q / tau);
		kept[0] += (ist_real)(share * q / tau);
	}
	return most + log(total);
}

static void tuplet_forward(ist_node *y)
{
	const ist_node *d = y->in[0];
	size_t n = d->dim[0], k = n_negatives(y);
	double loss = 0;

	for (size_t i = 0; i < n; i++)
		loss +=
		    tuplet_row(d->value + i * d->dim[1], y->in[1]->ids[i], y->in[2]->ids + i * k, k,
			       y->arg[0], 1 / (double)n, y->kept + i * (1 + k));
	y->value[0] = (ist_real)(loss / (double)n);
}

/* What is kept goes back to the places it came from. */
static void listed_backward(ist_node *y)
{
	ist_node *d = y->in[0];
	size_t k = n_negatives(y), m = d->dim[1];
	ist_real *dd = ist_gradient(d);

	for (size_t i = 0; i < d->dim[0]; i++) {
		const int32_t *neg = y->in[2]->ids + i * k;
		const ist_real *kept = y->kept + i * (1 + k);

		dd[i * m + (size_t)y->in[1]->ids[i]] += y->gradient[0] * kept[0];
		for (size_t c = 0; c < k; c++)
			if (neg[c] >= 0)
				dd[i * m + (size_t)neg[c]] += y->gradient[0] * kept[1 + c];
	}
}

const struct ist_op ist_op_tuplet = {
    .name = "tuplet",
    .shape = tuplet_shape,
    .kept = tuplet_kept,
    .forward = tuplet_forward,
    .backward = listed_backward,
};

ist_node *ist_tuplet(ist_node *d, ist_node *pos, ist_node *neg, double tau)
{
	return ist_apply(&ist_op_tuplet, 3, (ist_node *[]){d, pos, neg}, &tau, 1);
}

/* Places of the hinge's constants in arg. */
enum { LAMBDA, MU };

/* d+ + lambda mean_c max(0, mu - d_c) */
static double hinge_row(const ist_node *y, const ist_real *d, int32_t pos, const int32_t *neg,
			size_t k, double share, ist_real *kept)
{
	double push = 0, present = 0;

	for (size_t c = 0; c < k; c++)
		present += neg[c] >= 0;
	kept[0] = (ist_real)share;
	for (size_t c = 0; c < k; c++) {
		double room = neg[c] >= 0 ? y->arg[MU] - (double)d[neg[c]] : 0;

		push += fmax(0, room);
		kept[1 + c] = (ist_real)(room > 0 ? -share * y->arg[LAMBDA] / present : 0);
	}
	return (double)d[pos] + (present > 0 ? y->arg[LAMBDA] * push / present : 0);
}

static void hinge_forward(ist_node *y)
{
	const ist_node *d = y->in[0];
	size_t n = d->dim[0], k = n_negatives(y);
	double loss = 0;

	for (size_t i = 0; i < n; i++)
		loss += hinge_row(y, d->value + i * d->dim[1], y->in[1]->ids[i],
				  y->in[2]->ids + i * k, k, 1 / (double)n, y->kept + i * (1 + k));
	y->value[0] = (ist_real)(loss / (double)n);
}

const struct ist_op ist_op_tuplet_hinge = {
    .name = "tuplet_hinge",
    .shape = tuplet_shape,
    .kept = tuplet_kept,
    .forward = hinge_forward,
    .backward = listed_backward,
};

ist_node *ist_tuplet_hinge(ist_node *d, ist_node *pos, ist_node *neg, double lambda, double mu)
{
	return ist_apply(&ist_op_tuplet_hinge, 3, (ist_node *[]){d, pos, neg},
			 (double[]){lambda, mu}, 2);
}
