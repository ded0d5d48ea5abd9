/*
 * Lower bounds on mutual information, as losses over the scores u (N, N L) of a critic: row i is
 * item i's global vector, column j L + l item j's location l. What belongs together lies on the
 * block diagonal, everything else is a negative. Loss and derivative are made in one pass, so
 * backward is a multiple of what is kept.
 */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool scores_shape(ist_node *y)
{
	const ist_node *u = y->in[0];

	y->wants_gradient = u->wants_gradient;
	return ist_is_matrix(u) && u->dim[0] > 0 && u->dim[1] % u->dim[0] == 0 &&
	       ist_shape_scalar(y);
}

static size_t scores_kept(const ist_node *y)
{
	return y->in[0]->size; /* the loss's derivative by each score */
}

static void scores_backward(ist_node *y)
{
	ist_k_axpy(ist_gradient(y->in[0]), y->gradient[0], y->kept, y->in[0]->size);
}

#define CHUNK 256 /* factors of at least 1/2 whose product a double holds */

/* sum of softplus(sign u) over n scores whose sigmoid is p: softplus(u) = max(0, u) - log s(|u|),
 * and a logarithm of a product is cheaper than a sum of logarithms. */
static double softplus_sum(const ist_real *u, const ist_real *p, size_t n, ist_real sign)
{
	double sum = 0;

	for (size_t at = 0; at < n; at += CHUNK) {
		double product = 1;

		for (size_t k = at; k < n && k < at + CHUNK; k++) {
			ist_real v = sign * u[k];

			sum += v > 0 ? (double)v : 0;
			product *= (double)(p[k] > (ist_real)0.5 ? p[k] : 1 - p[k]);
		}
		sum -= log(product);
	}
	return sum;
}

/* L = mean over negatives of softplus(u) + mean over positives of softplus(-u) - 2 log 2;
 * du = s(u) / negatives, -s(-u) / positives (Deep InfoMax's form of Jensen and Shannon's). */
static void jsd_forward(ist_node *y)
{
	const ist_node *u = y->in[0];
	size_t n = u->dim[0], row = u->dim[1], l = row / n;
	double n_positive = (double)(n * l), n_negative = (double)(n * (n - 1) * l);
	double positive = 0, negative = 0;

	ist_k_sigmoid(y->kept, u->value, u->size);
	for (size_t i = 0; i < n; i++) {
		const ist_real *score = u->value + i * row;
		ist_real *p = y->kept + i * row;
		size_t from = i * l, to = from + l;

		positive += softplus_sum(score + from, p + from, l, -1);
		negative +=
		    softplus_sum(score, p, from, 1) + softplus_sum(score + to, p + to, row - to, 1);
		for (size_t k = 0; k < row; k++)
			p[k] = k >= from && k < to ? (p[k] - 1) / (ist_real)n_positive
						   : p[k] / (ist_real)n_negative;
	}
	y->value[0] = (ist_real)(positive / n_positive - 2 * log(2) +
				 (n > 1 ? negative / n_negative : log(2)));
}

const struct ist_op ist_op_jsd = {
    .name = "jsd",
    .shape = scores_shape,
    .kept = scores_kept,
    .forward = jsd_forward,
    .backward = scores_backward,
};

ist_node *ist_jsd(ist_node *u)
{
	return ist_apply(&ist_op_jsd, 1, &u, NULL, 0);
}

/* One row of InfoNCE: for each own location l, -u_l + log(e^u_l + sum over the others' e^u). */
static double info_nce_row(const ist_real *u, size_t n, size_t from, size_t l, ist_real scale,
			   ist_real *d)
{
	ist_real max = ist_k_max(u, n);
	double others, loss = 0, weight = 0;

	ist_k_exp(d, u, max, n);
	others = ist_k_sum(d, from) + ist_k_sum(d + from + l, n - from - l);
	for (size_t k = from; k < from + l; k++) {
		double z = (double)d[k] + others;

		loss += log(z) - (double)(u[k] - max);
		weight += 1 / z;
		d[k] = (ist_real)((double)d[k] / z - 1) * scale;
	}
	ist_k_scale(d, (ist_real)weight * scale, d, from);
	ist_k_scale(d + from + l, (ist_real)weight * scale, d + from + l, n - from - l);
	return loss;
}

static void info_nce_forward(ist_node *y)
{
	const ist_node *u = y->in[0];
	size_t n = u->dim[0], row = u->dim[1], l = row / n;
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += info_nce_row(u->value + i * row, row, i * l, l,
				    (ist_real)(1 / (double)(n * l)), y->kept + i * row);
	y->value[0] = (ist_real)(sum / (double)(n * l));
}

const struct ist_op ist_op_info_nce = {
    .name = "info_nce",
    .shape = scores_shape,
    .kept = scores_kept,
    .forward = info_nce_forward,
    .backward = scores_backward,
};

ist_node *ist_info_nce(ist_node *u)
{
	return ist_apply(&ist_op_info_nce, 1, &u, NULL, 0);
}
