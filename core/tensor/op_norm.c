/*
 * Batch normalisation, over the rows of a matrix (N, C) or over rows and places of a map
 * (N, C, H, W): a channel is C's index in either. In training the statistics are the batch's;
 * running ones are the method's weights, moved by a call after the forward pass and not by the
 * operator, because one network may be run on several kinds of batches of which each has statistics
 * of its own. Sums are taken in doubles, in one order.
 */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

#define EPS 1e-5

/* Numbers of a channel that lie together. */
static size_t places_of(const ist_node *x)
{
	return x->n_dims == 4 ? x->dim[2] * x->dim[3] : 1;
}

static bool is_vector(const ist_node *x, size_t n)
{
	return x->ids == NULL && x->size == n;
}

static bool norm_shape(ist_node *y)
{
	const ist_node *x = y->in[0];

	if (x->ids != NULL || (x->n_dims != 2 && x->n_dims != 4) || x->dim[0] == 0)
		return false;
	for (int i = 1; i < y->n_in; i++)
		if (!is_vector(y->in[i], x->dim[1]))
			return false;
	return ist_shape_same(y, x);
}

/* The normalised numbers, then of each channel 1 / sd, mean and variance. */
static size_t norm_kept(const ist_node *y)
{
	return y->size + 3 * y->dim[1];
}

static ist_real *inverse_of(const ist_node *y)
{
	return y->kept + y->size;
}

/* ---- columns of a matrix: all channels side by side, a row at a time ---- */

static void matrix_statistics(const ist_node *y, ist_real *mean, ist_real *variance)
{
	const ist_node *x = y->in[0];
	size_t n = x->dim[0], c = x->dim[1];

	/* Blocks of columns keep the sums in registers and on the stack. */
	for (size_t from = 0; from < c; from += 64) {
		size_t cols = c - from < 64 ? c - from : 64;
		double sum[64] = {0}, squares[64] = {0};

		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < cols; j++)
				sum[j] += (double)x->value[i * c + from + j];
		for (size_t j = 0; j < cols; j++)
			sum[j] /= (double)n;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < cols; j++) {
				double d = (double)x->value[i * c + from + j] - sum[j];

				squares[j] += d * d;
			}
		for (size_t j = 0; j < cols; j++) {
			mean[from + j] = (ist_real)sum[j];
			variance[from + j] = (ist_real)(squares[j] / (double)n);
		}
	}
}

static void matrix_apply(ist_node *y, const ist_real *mean, const ist_real *inverse)
{
	const ist_real *gamma = y->in[1]->value, *beta = y->in[2]->value;
	size_t c = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *x = y->in[0]->value + i * c;
		ist_real *hat = y->kept + i * c, *to = y->value + i * c;

		for (size_t j = 0; j < c; j++) {
			hat[j] = (x[j] - mean[j]) * inverse[j];
			to[j] = gamma[j] * hat[j] + beta[j];
		}
	}
}

/* Sums of dy and of dy h over a channel, which all three gradients are made of. */
static void matrix_sums(const ist_node *y, size_t from, size_t cols, double *sum, double *along)
{
	size_t c = y->dim[1];

	memset(sum, 0, cols * sizeof(*sum));
	memset(along, 0, cols * sizeof(*along));
	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *dy = y->gradient + i * c + from, *hat = y->kept + i * c + from;

		for (size_t j = 0; j < cols; j++) {
			sum[j] += (double)dy[j];
			along[j] += (double)dy[j] * (double)hat[j];
		}
	}
}

/* dx = gamma / sd (dy - mean dy - h mean(dy h)); with given statistics gamma / sd dy. */
static void matrix_input(ist_node *y, size_t from, size_t cols, const double *sum,
			 const double *along, bool fixed, ist_real *dx)
{
	const ist_real *gamma = y->in[1]->value, *inverse = inverse_of(y);
	size_t n = y->dim[0], c = y->dim[1];
	ist_real mean[64], slope[64], factor[64];

	for (size_t j = 0; j < cols; j++) {
		mean[j] = fixed ? 0 : (ist_real)(sum[j] / (double)n);
		slope[j] = fixed ? 0 : (ist_real)(along[j] / (double)n);
		factor[j] = gamma[from + j] * inverse[from + j];
	}
	for (size_t i = 0; i < n; i++) {
		const ist_real *dy = y->gradient + i * c + from, *hat = y->kept + i * c + from;
		ist_real *d = dx + i * c + from;

		for (size_t j = 0; j < cols; j++)
			d[j] += factor[j] * (dy[j] - mean[j] - hat[j] * slope[j]);
	}
}

static void add_vectors(ist_node *y, size_t from, size_t cols, const double *sum,
			const double *along)
{
	ist_node *gamma = y->in[1], *beta = y->in[2];

	for (size_t j = 0; j < cols && gamma->wants_gradient; j++)
		ist_gradient(gamma)[from + j] += (ist_real)along[j];
	for (size_t j = 0; j < cols && beta->wants_gradient; j++)
		ist_gradient(beta)[from + j] += (ist_real)sum[j];
}

static void matrix_backward(ist_node *y, bool fixed)
{
	ist_real *dx = y->in[0]->wants_gradient ? ist_gradient(y->in[0]) : NULL;
	size_t c = y->dim[1];

	for (size_t from = 0; from < c; from += 64) {
		size_t cols = c - from < 64 ? c - from : 64;
		double sum[64], along[64];

		matrix_sums(y, from, cols, sum, along);
		if (dx != NULL)
			matrix_input(y, from, cols, sum, along, fixed, dx);
		add_vectors(y, from, cols, sum, along);
	}
}

/* ---- channels of a map: a plane at a time ---- */

static void map_statistics(const ist_node *y, size_t j, ist_real *mean, ist_real *variance)
{
	const ist_node *x = y->in[0];
	size_t n = x->dim[0], c = x->dim[1], places = places_of(x);
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += ist_k_sum(x->value + (i * c + j) * places, places);
	sum /= (double)(n * places);
	for (size_t i = 0; i < n; i++)
		squares += ist_k_squares(x->value + (i * c + j) * places, sum, places);
	mean[j] = (ist_real)sum;
	variance[j] = (ist_real)(squares / (double)(n * places));
}

static void map_apply(ist_node *y, size_t j, ist_real mean, ist_real inverse)
{
	size_t c = y->dim[1], places = places_of(y);
	ist_real gamma = y->in[1]->value[j], beta = y->in[2]->value[j];

	for (size_t i = 0; i < y->dim[0]; i++) {
		size_t at = (i * c + j) * places;

		ist_k_normalise(y->kept + at, y->value + at, y->in[0]->value + at, mean, inverse,
				gamma, beta, places);
	}
}

static void map_backward(ist_node *y, size_t j, bool fixed, ist_real *dx)
{
	size_t n = y->dim[0], c = y->dim[1], places = places_of(y);
	double sum = 0, along = 0;
	ist_real factor = y->in[1]->value[j] * inverse_of(y)[j], mean, slope;

	for (size_t i = 0; i < n; i++) {
		size_t at = (i * c + j) * places;

		sum += ist_k_sum(y->gradient + at, places);
		along += ist_k_dot(y->gradient + at, y->kept + at, places);
	}
	mean = fixed ? 0 : (ist_real)(sum / (double)(n * places));
	slope = fixed ? 0 : (ist_real)(along / (double)(n * places));
	for (size_t i = 0; i < n && dx != NULL; i++) {
		size_t at = (i * c + j) * places;

		ist_k_normalise_back(dx + at, y->gradient + at, y->kept + at, factor, mean, slope,
				     places);
	}
	if (y->in[1]->wants_gradient)
		ist_gradient(y->in[1])[j] += (ist_real)along;
	if (y->in[2]->wants_gradient)
		ist_gradient(y->in[2])[j] += (ist_real)sum;
}

/* ---- both ---- */

static void set_inverse(ist_node *y, const ist_real *variance)
{
	for (size_t j = 0; j < y->dim[1]; j++)
		inverse_of(y)[j] = (ist_real)(1 / sqrt((double)variance[j] + EPS));
}

static void apply(ist_node *y, const ist_real *mean)
{
	if (y->n_dims == 2) {
		matrix_apply(y, mean, inverse_of(y));
		return;
	}
#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t j = 0; j < y->dim[1]; j++)
		map_apply(y, j, mean[j], inverse_of(y)[j]);
}

static void norm_forward(ist_node *y)
{
	size_t c = y->dim[1];
	ist_real *mean = inverse_of(y) + c, *variance = mean + c;

	if (y->n_dims == 2) {
		matrix_statistics(y, mean, variance);
	} else {
#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
		for (size_t j = 0; j < c; j++)
			map_statistics(y, j, mean, variance);
	}
	set_inverse(y, variance);
	apply(y, mean);
}

static void backward(ist_node *y, bool fixed)
{
	ist_real *dx = y->in[0]->wants_gradient ? ist_gradient(y->in[0]) : NULL;

	if (y->n_dims == 2) {
		matrix_backward(y, fixed);
		return;
	}
	/* Whoever asks first for a gradient zeroes it: that must not be two threads. */
	for (int i = 1; i < 3; i++)
		if (y->in[i]->wants_gradient)
			(void)ist_gradient(y->in[i]);
#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t j = 0; j < y->dim[1]; j++)
		map_backward(y, j, fixed, dx);
}

static void norm_backward(ist_node *y)
{
	backward(y, false);
}

const struct ist_op ist_op_batch_norm = {
    .name = "batch_norm",
    .shape = norm_shape,
    .kept = norm_kept,
    .forward = norm_forward,
    .backward = norm_backward,
};

ist_node *ist_batch_norm(ist_node *x, ist_node *gamma, ist_node *beta)
{
	return ist_apply(&ist_op_batch_norm, 3, (ist_node *[]){x, gamma, beta}, NULL, 0);
}

/* The statistics are inputs that nobody differentiates by. */
static bool fixed_shape(ist_node *y)
{
	y->wants_gradient = false;
	for (int i = 0; i < 3; i++)
		y->wants_gradient |= y->in[i]->wants_gradient;
	return norm_shape(y);
}

static void fixed_forward(ist_node *y)
{
	set_inverse(y, y->in[4]->value);
	apply(y, y->in[3]->value);
}

static void fixed_backward(ist_node *y)
{
	backward(y, true);
}

const struct ist_op ist_op_batch_norm_fixed = {
    .name = "batch_norm_fixed",
    .shape = fixed_shape,
    .kept = norm_kept,
    .forward = fixed_forward,
    .backward = fixed_backward,
};

ist_node *ist_batch_norm_fixed(ist_node *x, ist_node *gamma, ist_node *beta, ist_node *mean,
			       ist_node *variance)
{
	return ist_apply(&ist_op_batch_norm_fixed, 5,
			 (ist_node *[]){x, gamma, beta, mean, variance}, NULL, 0);
}

/* The running variance is the unbiased one, as everywhere. */
void ist_batch_norm_track(const ist_node *y, struct ist_weight *mean, struct ist_weight *variance,
			  double momentum)
{
	size_t c = y->dim[1], n = y->size / c;
	const ist_real *batch_mean = inverse_of(y) + c, *batch_variance = batch_mean + c;
	double unbiased = n > 1 ? (double)n / (double)(n - 1) : 1;

	for (size_t j = 0; j < c; j++) {
		mean->value[j] +=
		    (ist_real)(momentum * ((double)batch_mean[j] - (double)mean->value[j]));
		variance->value[j] += (ist_real)(momentum * (unbiased * (double)batch_variance[j] -
							     (double)variance->value[j]));
	}
	mean->squares_known = variance->squares_known = false;
}
