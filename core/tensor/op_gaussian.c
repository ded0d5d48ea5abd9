/*
 * Normal distributions given by mean mu and logarithm of the variance s = log sigma^2, number by
 * number: a sample by noise from outside (so that a step is a function of its random numbers), and
 * the divergence from the standard normal distribution.
 */
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static bool alike(const ist_node *a, const ist_node *b)
{
	return ist_is_matrix(a) && ist_is_matrix(b) && a->dim[0] == b->dim[0] &&
	       a->dim[1] == b->dim[1] && a->size > 0;
}

/* mu, s, eps (N, d) -> (N, d) */
static bool sample_shape(ist_node *y)
{
	const ist_node *mu = y->in[0], *s = y->in[1], *eps = y->in[2];

	return alike(mu, s) && alike(mu, eps) && ist_shape_same(y, mu);
}

static size_t sample_kept(const ist_node *y)
{
	return y->size; /* sigma eps */
}

/* y = mu + e^(s / 2) eps */
static void sample_forward(ist_node *y)
{
	const ist_node *mu = y->in[0], *s = y->in[1], *eps = y->in[2];

	for (size_t i = 0; i < y->size; i++) {
		y->kept[i] = ist_real_exp(s->value[i] / 2) * eps->value[i];
		y->value[i] = mu->value[i] + y->kept[i];
	}
}

/* dmu = dy, ds = dy sigma eps / 2, deps = dy sigma */
static void sample_backward(ist_node *y)
{
	ist_node *mu = y->in[0], *s = y->in[1], *eps = y->in[2];

	if (mu->wants_gradient)
		ist_k_axpy(ist_gradient(mu), 1, y->gradient, y->size);
	if (s->wants_gradient) {
		ist_real *ds = ist_gradient(s);

		for (size_t i = 0; i < y->size; i++)
			ds[i] += y->gradient[i] * y->kept[i] / 2;
	}
	if (eps->wants_gradient) {
		ist_real *deps = ist_gradient(eps);

		for (size_t i = 0; i < y->size; i++)
			deps[i] += y->gradient[i] * ist_real_exp(s->value[i] / 2);
	}
}

const struct ist_op ist_op_gaussian_sample = {
    .name = "gaussian_sample",
    .shape = sample_shape,
    .kept = sample_kept,
    .forward = sample_forward,
    .backward = sample_backward,
};

ist_node *ist_gaussian_sample(ist_node *mu, ist_node *log_variance, ist_node *eps)
{
	return ist_apply(&ist_op_gaussian_sample, 3, (ist_node *[]){mu, log_variance, eps}, NULL,
			 0);
}

static bool kl_shape(ist_node *y)
{
	return alike(y->in[0], y->in[1]) && ist_shape_scalar(y);
}

/* KL(N(mu, sigma) || N(0, 1)) = -1/2 (1 + s - mu^2 - e^s) of each number; their mean */
static void kl_forward(ist_node *y)
{
	const ist_node *mu = y->in[0], *s = y->in[1];
	double sum = 0;

	for (size_t i = 0; i < mu->size; i++) {
		double m = (double)mu->value[i], v = (double)s->value[i];

		sum -= (1 + v - m * m - exp(v)) / 2;
	}
	y->value[0] = (ist_real)(sum / (double)mu->size);
}

/* dmu = mu dy / size, ds = (e^s - 1) / 2 dy / size */
static void kl_backward(ist_node *y)
{
	ist_node *mu = y->in[0], *s = y->in[1];
	ist_real d = y->gradient[0] / (ist_real)mu->size;

	if (mu->wants_gradient)
		ist_k_axpy(ist_gradient(mu), d, mu->value, mu->size);
	if (s->wants_gradient) {
		ist_real *ds = ist_gradient(s);

		for (size_t i = 0; i < s->size; i++)
			ds[i] += d * (ist_real_exp(s->value[i]) - 1) / 2;
	}
}

const struct ist_op ist_op_kl_normal = {
    .name = "kl_normal",
    .shape = kl_shape,
    .forward = kl_forward,
    .backward = kl_backward,
};

ist_node *ist_kl_normal(ist_node *mu, ist_node *log_variance)
{
	return ist_apply(&ist_op_kl_normal, 2, (ist_node *[]){mu, log_variance}, NULL, 0);
}
