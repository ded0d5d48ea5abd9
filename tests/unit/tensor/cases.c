/*
 * The cases. References are written for the eye, in double, with no thought for speed; they read
 * the inputs' values out of the node that they check.
 */
#include <math.h>

#include "core/base/memory.h"
#include "tests/unit/tensor/cases_parts.h"

#define L 0.7 /* the reversal's factor */
#define LAMBDA 1.5
#define MU 1.2
#define TAU .6

static ist_node *linear_plain(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_linear(matrix(g, "x", s.n, s.k), matrix(g, "w", s.m, s.k),
			  matrix(g, "b", 1, s.m));
}

static ist_node *linear_weight(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_linear(matrix(g, "x", s.n, s.k), ist_weight(g, theta, "w"),
			  ist_weight(g, theta, "b"));
}

static void linear_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];

	for (size_t i = 0; i < y->dim[0]; i++) {
		for (size_t j = 0; j < y->dim[1]; j++) {
			double sum = (double)b->value[j];

			for (size_t k = 0; k < x->dim[1]; k++)
				sum += at(x, i, k) * at(w, j, k);
			ret[i * y->dim[1] + j] = sum;
		}
	}
}

static ist_node *matmul_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_matmul(matrix(g, "a", s.n, s.k), matrix(g, "b", s.k, s.m));
}

static ist_node *matmul_weight(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_matmul(matrix(g, "a", s.n, s.m), ist_weight(g, theta, "w"));
}

static void matmul_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->dim[0]; i++) {
		for (size_t j = 0; j < y->dim[1]; j++) {
			double sum = 0;

			for (size_t k = 0; k < y->in[0]->dim[1]; k++)
				sum += at(y->in[0], i, k) * at(y->in[1], k, j);
			ret[i * y->dim[1] + j] = sum;
		}
	}
}

static double gemm_flops(const struct sizes *s)
{
	return 2.0 * (double)s->n * (double)s->m * (double)s->k;
}

#define UNARY(name)                                                                                \
	static ist_node *name##_build(struct ist_graph *g, struct ist_weights *theta,              \
				      struct sizes s)                                              \
	{                                                                                          \
		return ist_##name(matrix(g, "x", s.n, s.m));                                       \
	}
#define EACH(name, expression)                                                                     \
	UNARY(name)                                                                                \
	static void name##_ref(const ist_node *y, double *ret)                                     \
	{                                                                                          \
		for (size_t i = 0; i < y->size; i++) {                                             \
			double x = (double)y->in[0]->value[i];                                     \
                                                                                                   \
			ret[i] = expression;                                                       \
		}                                                                                  \
	}
EACH(tanh, tanh(x))
EACH(relu, x > 0 ? x : 0)
EACH(detach, x)
EACH(sigmoid, 1 / (1 + exp(-x)))

static double two_passes(const struct sizes *s)
{
	return 2.0 * sizeof(ist_real) * (double)s->n * (double)s->m;
}

static double map_passes(const struct sizes *s)
{
	return 6 * two_passes(s);
}

static double three_passes(const struct sizes *s)
{
	return 1.5 * two_passes(s);
}

static ist_node *add_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_add(matrix(g, "a", s.n, s.m), matrix(g, "b", s.n, s.m));
}

static ist_node *add_twice(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *x = matrix(g, "x", s.n, s.m);

	return ist_add(x, x);
}

static void add_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = (double)y->in[0]->value[i] + (double)y->in[1]->value[i];
}

static ist_node *mul_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_mul(matrix(g, "a", s.n, s.m), matrix(g, "b", s.n, s.m));
}

static ist_node *mul_square(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *x = matrix(g, "x", s.n, s.m);

	return ist_mul(x, x);
}

static void mul_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = (double)y->in[0]->value[i] * (double)y->in[1]->value[i];
}

static ist_node *times_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_times(matrix(g, "x", s.n, s.m), matrix(g, "s", 1, 1));
}

static void times_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = (double)y->in[0]->value[i] * (double)y->in[1]->value[0];
}

static ist_node *layer_norm_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_layer_norm(matrix(g, "x", s.n, s.m), matrix(g, "gamma", 1, s.m),
			      ist_weight(g, theta, "b"));
}

static void layer_norm_ref(const ist_node *y, double *ret)
{
	size_t n = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		double mean = 0, variance = 0;

		for (size_t j = 0; j < n; j++)
			mean += at(y->in[0], i, j) / (double)n;
		for (size_t j = 0; j < n; j++)
			variance += pow(at(y->in[0], i, j) - mean, 2) / (double)n;
		for (size_t j = 0; j < n; j++)
			ret[i * n + j] = (double)y->in[1]->value[j] * (at(y->in[0], i, j) - mean) /
					     sqrt(variance + 1e-5) +
					 (double)y->in[2]->value[j];
	}
}

static ist_node *scale_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_scale(matrix(g, "x", s.n, s.m), -2.5);
}

static ist_node *scale_zero(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_scale(matrix(g, "x", s.n, s.m), 0);
}

static void scale_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = y->arg[0] * (double)y->in[0]->value[i];
}

UNARY(transpose)
static void transpose_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] = at(y->in[0], j, i);
}

UNARY(softmax)
static void softmax_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->dim[0]; i++) {
		double sum = 0;

		for (size_t j = 0; j < y->dim[1]; j++)
			sum += exp(at(y->in[0], i, j));
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] = exp(at(y->in[0], i, j)) / sum;
	}
}

UNARY(unit)
static void unit_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->dim[0]; i++) {
		double sum = 0;

		for (size_t j = 0; j < y->dim[1]; j++)
			sum += at(y->in[0], i, j) * at(y->in[0], i, j);
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] = at(y->in[0], i, j) / sqrt(sum);
	}
}

static ist_node *grl_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_grl(matrix(g, "x", s.n, s.m), ist_input(g, "l", 1, 1));
}

static void grl_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = (double)y->in[0]->value[i];
}

static ist_node *distance_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_distance(matrix(g, "a", s.n, s.k), matrix(g, "b", s.m, s.k));
}

static ist_node *distance_to_self(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *x = matrix(g, "x", s.n, s.k);

	return ist_distance(x, x);
}

static void distance_ref(const ist_node *y, double *ret)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		for (size_t j = 0; j < y->dim[1]; j++) {
			double sum = 1e-12;

			for (size_t k = 0; k < a->dim[1]; k++)
				sum += pow(at(a, i, k) - at(b, j, k), 2);
			ret[i * y->dim[1] + j] = sqrt(sum);
		}
	}
}

static double distance_flops(const struct sizes *s)
{
	return 3.0 * (double)s->n * (double)s->m * (double)s->k;
}

static double self_flops(const struct sizes *s)
{
	return 3.0 * (double)s->n * (double)s->n * (double)s->k;
}

static ist_node *cross_entropy_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_cross_entropy(matrix(g, "x", s.n, s.m), ist_ids(g, "y", s.n));
}

static void cross_entropy_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0], *ids = y->in[1];
	double total = 0, counted = 0;

	for (size_t i = 0; i < x->dim[0]; i++) {
		double sum = 0;

		if (ids->ids[i] < 0)
			continue;
		for (size_t j = 0; j < x->dim[1]; j++)
			sum += exp(at(x, i, j));
		total += log(sum) - at(x, i, (size_t)ids->ids[i]);
		counted++;
	}
	ret[0] = total / counted;
}

static ist_node *contrastive_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_contrastive(matrix(g, "d", s.n, s.n), ist_ids(g, "y", s.n), LAMBDA, MU, false);
}

static ist_node *contrastive_pair(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_contrastive(matrix(g, "d", s.n, s.n), ist_ids(g, "y", s.n), LAMBDA, MU, true);
}

static void contrastive_ref(const ist_node *y, double *ret)
{
	const ist_node *d = y->in[0];
	const int32_t *id = y->in[1]->ids;
	size_t n = d->dim[0];
	bool own_pair = y->arg[2] != 0;

	ret[0] = 0;
	for (size_t i = 0; i < n; i++) {
		double pull = 0, push = 0, positives = 0, negatives = 0;

		for (size_t j = 0; j < n; j++) {
			if (own_pair ? i == j : id[i] == id[j]) {
				pull += at(d, i, j);
				positives++;
			}
			if (id[i] != id[j]) {
				push += fmax(0, MU - at(d, i, j));
				negatives++;
			}
		}
		ret[0] += (pull / positives + (negatives > 0 ? LAMBDA * push / negatives : 0)) /
			  (double)n;
	}
}

static ist_node *reshape_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_reshape(matrix(g, "x", s.n, 2 * s.m), 2, (size_t[]){2 * s.n, s.m});
}

static void reshape_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = (double)y->in[0]->value[i];
}

/* Scores with L = 1, and with 3 locations an item. */
static ist_node *jsd_global(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_jsd(matrix(g, "u", s.n, s.n));
}

static ist_node *jsd_local(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_jsd(matrix(g, "u", s.n, 3 * s.n));
}

static double softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static void jsd_ref(const ist_node *y, double *ret)
{
	const ist_node *u = y->in[0];
	size_t n = u->dim[0], l = u->dim[1] / n;
	double positive = 0, negative = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n * l; k++)
			*(k / l == i ? &positive : &negative) +=
			    k / l == i ? log(2) - softplus(-at(u, i, k))
				       : softplus(at(u, i, k)) - log(2);
	ret[0] = negative / (double)(n * (n - 1) * l) - positive / (double)(n * l);
}

static ist_node *info_nce_global(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_info_nce(matrix(g, "u", s.n, s.n));
}

static ist_node *info_nce_local(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_info_nce(matrix(g, "u", s.n, 3 * s.n));
}

static void info_nce_ref(const ist_node *y, double *ret)
{
	const ist_node *u = y->in[0];
	size_t n = u->dim[0], l = u->dim[1] / n;

	ret[0] = 0;
	for (size_t i = 0; i < n; i++) {
		double others = 0;

		for (size_t k = 0; k < n * l; k++)
			others += k / l == i ? 0 : exp(at(u, i, k));
		for (size_t k = i * l; k < (i + 1) * l; k++)
			ret[0] += (log(exp(at(u, i, k)) + others) - at(u, i, k)) / (double)(n * l);
	}
}

static ist_node *soft_triplet_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_soft_triplet(matrix(g, "q", s.n, s.k), matrix(g, "t", s.n, s.k),
				ist_ids(g, "negatives", 2 * s.n * 3));
}

static double stacked2(const ist_node *y, size_t i, size_t k)
{
	const ist_node *q = y->in[0], *t = y->in[1];
	size_t n = q->dim[0];
	double sum = 0;

	for (size_t j = 0; j < q->dim[1]; j++)
		sum += pow((i < n ? at(q, i, j) : at(t, i - n, j)) -
			       (k < n ? at(q, k, j) : at(t, k - n, j)),
			   2);
	return sum;
}

static void soft_triplet_ref(const ist_node *y, double *ret)
{
	const int32_t *ids = y->in[2]->ids;
	size_t n = 2 * y->in[0]->dim[0];

	ret[0] = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 3; k++)
			ret[0] += softplus(stacked2(y, i, (i + n / 2) % n) -
					   stacked2(y, i, (size_t)ids[i * 3 + k])) /
				  (double)(3 * n);
}

static double square_pass(const struct sizes *s)
{
	return 2.0 * sizeof(ist_real) * (double)s->n * (double)s->n;
}

UNARY(frobenius)
static ist_node *frobenius_weight(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_frobenius(ist_weight(g, theta, "w"));
}

static void frobenius_ref(const ist_node *y, double *ret)
{
	double sum = 0;

	for (size_t i = 0; i < y->in[0]->size; i++)
		sum += (double)y->in[0]->value[i] * (double)y->in[0]->value[i];
	ret[0] = sqrt(sum);
}

static double one_pass(const struct sizes *s)
{
	return two_passes(s) / 2;
}

static double weight_pass(const struct sizes *s)
{
	return (double)sizeof(ist_real) * (double)s->m * (double)s->k;
}

static ist_node *lrelu_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_lrelu(matrix(g, "x", s.n, s.m), .2);
}

static void lrelu_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->size; i++)
		ret[i] = fmax((double)y->in[0]->value[i], .2 * (double)y->in[0]->value[i]);
}

static ist_node *concat_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_concat(matrix(g, "a", s.n, s.m), matrix(g, "b", s.n, s.k));
}

static void concat_ref(const ist_node *y, double *ret)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] =
			    j < a->dim[1] ? at(a, i, j) : at(b, i, j - a->dim[1]);
}

static ist_node *distance2_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_distance2(matrix(g, "a", s.n, s.k), matrix(g, "b", s.m, s.k));
}

static void distance2_ref(const ist_node *y, double *ret)
{
	distance_ref(y, ret);
	for (size_t i = 0; i < y->size; i++)
		ret[i] = ret[i] * ret[i] - 1e-12;
}

static ist_node *bce_real(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_bce(matrix(g, "x", s.n, s.m), 1);
}

static ist_node *bce_fake(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_bce(matrix(g, "x", s.n, s.m), 0);
}

static void bce_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0];

	ret[0] = 0;
	for (size_t i = 0; i < x->size; i++) {
		double p = 1 / (1 + exp(-(double)x->value[i]));

		ret[0] -= log(y->arg[0] > 0 ? p : 1 - p) / (double)x->size;
	}
}

static ist_node *squared_error_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_squared_error(matrix(g, "a", s.n, s.m), matrix(g, "b", s.n, s.m));
}

static void squared_error_ref(const ist_node *y, double *ret)
{
	const ist_node *a = y->in[0], *b = y->in[1];

	ret[0] = 0;
	for (size_t i = 0; i < a->size; i++)
		ret[0] += pow((double)a->value[i] - (double)b->value[i], 2) / (double)a->dim[0];
}

static ist_node *tuplet_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_tuplet(matrix(g, "d", s.n, s.m), ist_ids(g, "pos", s.n),
			  ist_ids(g, "neg", 4 * s.n), TAU);
}

static void tuplet_ref(const ist_node *y, double *ret)
{
	const ist_node *d = y->in[0], *pos = y->in[1], *neg = y->in[2];

	ret[0] = 0;
	for (size_t i = 0; i < d->dim[0]; i++) {
		double sum = 1, near = at(d, i, (size_t)pos->ids[i]);

		for (size_t c = 4 * i; c < 4 * i + 4; c++)
			if (neg->ids[c] >= 0)
				sum += exp((near - at(d, i, (size_t)neg->ids[c])) / TAU);
		ret[0] += log(sum) / (double)d->dim[0];
	}
}

static ist_node *tuplet_hinge_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_tuplet_hinge(matrix(g, "d", s.n, s.m), ist_ids(g, "pos", s.n),
				ist_ids(g, "neg", 4 * s.n), LAMBDA, MU);
}

static void tuplet_hinge_ref(const ist_node *y, double *ret)
{
	const ist_node *d = y->in[0], *pos = y->in[1], *neg = y->in[2];

	ret[0] = 0;
	for (size_t i = 0; i < d->dim[0]; i++) {
		double push = 0, n = 0;

		for (size_t c = 4 * i; c < 4 * i + 4; c++) {
			n += neg->ids[c] >= 0;
			if (neg->ids[c] >= 0)
				push += fmax(0, MU - at(d, i, (size_t)neg->ids[c]));
		}
		ret[0] += (at(d, i, (size_t)pos->ids[i]) + (n > 0 ? LAMBDA * push / n : 0)) /
			  (double)d->dim[0];
	}
}

static ist_node *lookup_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_lookup(matrix(g, "table", s.m, s.k), ist_ids(g, "ids", s.n));
}

static ist_node *lookup_weight(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_lookup(ist_weight(g, theta, "w"), ist_ids(g, "ids", s.n));
}

static void lookup_ref(const ist_node *y, double *ret)
{
	const int32_t *ids = y->in[1]->ids;

	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] = ids[i] >= 0 ? at(y->in[0], (size_t)ids[i], j) : 0;
}

static ist_node *repeat_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_repeat(matrix(g, "x", s.n, s.m), 3);
}

static void repeat_ref(const ist_node *y, double *ret)
{
	for (size_t i = 0; i < y->dim[0]; i++)
		for (size_t j = 0; j < y->dim[1]; j++)
			ret[i * y->dim[1] + j] = at(y->in[0], i % y->in[0]->dim[0], j);
}

static ist_node *weighted_cross_entropy_build(struct ist_graph *g, struct ist_weights *theta,
					      struct sizes s)
{
	return ist_weighted_cross_entropy(matrix(g, "x", s.n, s.m), ist_ids(g, "y", s.n),
					  ist_input(g, "w", s.n, 1));
}

static void weighted_cross_entropy_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0], *ids = y->in[1], *w = y->in[2];

	ret[0] = 0;
	for (size_t i = 0; i < x->dim[0]; i++) {
		double sum = 0;

		if (ids->ids[i] < 0)
			continue;
		for (size_t j = 0; j < x->dim[1]; j++)
			sum += exp(at(x, i, j));
		ret[0] += (double)w->value[i] * (log(sum) - at(x, i, (size_t)ids->ids[i]));
	}
}

static ist_node *gaussian_sample_build(struct ist_graph *g, struct ist_weights *theta,
				       struct sizes s)
{
	return ist_gaussian_sample(matrix(g, "mu", s.n, s.m), matrix(g, "log_variance", s.n, s.m),
				   matrix(g, "eps", s.n, s.m));
}

static void gaussian_sample_ref(const ist_node *y, double *ret)
{
	const ist_node *mu = y->in[0], *s = y->in[1], *eps = y->in[2];

	for (size_t i = 0; i < y->size; i++)
		ret[i] =
		    (double)mu->value[i] + sqrt(exp((double)s->value[i])) * (double)eps->value[i];
}

static ist_node *kl_normal_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_kl_normal(matrix(g, "mu", s.n, s.m), matrix(g, "log_variance", s.n, s.m));
}

static void kl_normal_ref(const ist_node *y, double *ret)
{
	const ist_node *mu = y->in[0], *s = y->in[1];

	ret[0] = 0;
	for (size_t i = 0; i < mu->size; i++) {
		double m = (double)mu->value[i], variance = exp((double)s->value[i]);

		ret[0] += (m * m + variance - 1 - log(variance)) / (2.0 * (double)mu->size);
	}
}

EACH(abs, fabs(x))

static ist_node *order_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_order(matrix(g, "t", s.n, s.k), matrix(g, "v", s.m, s.k));
}

static ist_node *order_to_self(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *x = matrix(g, "x", s.n, s.k);

	return ist_order(x, x);
}

static void order_ref(const ist_node *y, double *ret)
{
	const ist_node *t = y->in[0], *v = y->in[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		for (size_t j = 0; j < y->dim[1]; j++) {
			double sum = 0;

			for (size_t k = 0; k < t->dim[1]; k++)
				sum += pow(fmax(0, at(t, i, k) - at(v, j, k)), 2);
			ret[i * y->dim[1] + j] = sum;
		}
	}
}

static ist_node *ranking_sum(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_ranking(matrix(g, "s", s.n, s.n), ist_ids(g, "y", s.n), MU, false);
}

static ist_node *ranking_hardest(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_ranking(matrix(g, "s", s.n, s.n), ist_ids(g, "y", s.n), MU, true);
}

static void ranking_ref(const ist_node *y, double *ret)
{
	const ist_node *s = y->in[0];
	const int32_t *id = y->in[1]->ids;
	bool hardest = y->arg[1] != 0;
	size_t n = s->dim[0];

	ret[0] = 0;
	for (size_t i = 0; i < n; i++) {
		double row = 0, col = 0;

		for (size_t j = 0; j < n; j++) {
			double a = fmax(0, MU - at(s, i, i) + at(s, i, j));
			double b = fmax(0, MU - at(s, i, i) + at(s, j, i));

			if (id[i] == id[j])
				continue;
			row = hardest ? fmax(row, a) : row + a;
			col = hardest ? fmax(col, b) : col + b;
		}
		ret[0] += row + col;
	}
}

#define CASE(op_, what_, build_, ref_, factor_, flops_, bytes_)                                    \
	{                                                                                          \
		.op = &ist_op_##op_, .what = what_, .build = build_, .reference = ref_,            \
		.factor = factor_, .flops = flops_, .bytes = bytes_                                \
	}

const struct op_case op_cases[] = {
    CASE(linear, "plain", linear_plain, linear_ref, 1, gemm_flops, NULL),
    CASE(linear, "weight", linear_weight, linear_ref, 1, gemm_flops, NULL),
    CASE(matmul, "plain", matmul_build, matmul_ref, 1, gemm_flops, NULL),
    CASE(matmul, "weight", matmul_weight, matmul_ref, 1, gemm_flops, NULL),
    CASE(tanh, "plain", tanh_build, tanh_ref, 1, NULL, two_passes),
    CASE(relu, "plain", relu_build, relu_ref, 1, NULL, two_passes),
    CASE(add, "plain", add_build, add_ref, 1, NULL, three_passes),
    CASE(add, "one input twice", add_twice, add_ref, 1, NULL, two_passes),
    CASE(scale, "plain", scale_build, scale_ref, 1, NULL, two_passes),
    CASE(scale, "by zero", scale_zero, scale_ref, 0, NULL, two_passes),
    CASE(transpose, "plain", transpose_build, transpose_ref, 1, NULL, two_passes),
    CASE(softmax, "plain", softmax_build, softmax_ref, 1, NULL, two_passes),
    CASE(unit, "plain", unit_build, unit_ref, 1, NULL, two_passes),
    CASE(grl, "plain", grl_build, grl_ref, -L, NULL, two_passes),
    CASE(detach, "plain", detach_build, detach_ref, 0, NULL, two_passes),
    CASE(distance, "plain", distance_build, distance_ref, 1, distance_flops, NULL),
    CASE(distance, "to itself", distance_to_self, distance_ref, 1, self_flops, NULL),
    CASE(cross_entropy, "plain", cross_entropy_build, cross_entropy_ref, 1, NULL, two_passes),
    CASE(contrastive, "class", contrastive_build, contrastive_ref, 1, NULL, square_pass),
    CASE(contrastive, "own pair", contrastive_pair, contrastive_ref, 1, NULL, square_pass),
    CASE(sigmoid, "plain", sigmoid_build, sigmoid_ref, 1, NULL, two_passes),
    CASE(mul, "plain", mul_build, mul_ref, 1, NULL, three_passes),
    CASE(mul, "a square", mul_square, mul_ref, 1, NULL, two_passes),
    CASE(times, "plain", times_build, times_ref, 1, NULL, two_passes),
    CASE(layer_norm, "plain", layer_norm_build, layer_norm_ref, 1, NULL, two_passes),
    CASE(conv2d, "3x3", conv_3_1_1, conv_ref, 1, conv_flops, NULL),
    CASE(conv2d, "4x4, stride 2", conv_4_2_1, conv_ref, 1, conv_flops, NULL),
    CASE(conv_transpose2d, "4x4, stride 2", conv_transpose_4_2_1, conv_transpose_ref, 1, conv_flops,
	 NULL),
    CASE(conv_transpose2d, "3x3", conv_transpose_3_1_0, conv_transpose_ref, 1, conv_flops, NULL),
    CASE(words, "plain", words_build, words_ref, 1, NULL, two_passes),
    CASE(lstm, "plain", lstm_build, lstm_ref, 1, lstm_flops, NULL),
    CASE(spread, "plain", spread_build, spread_ref, 1, NULL, map_passes),
    CASE(places, "plain", places_build, places_ref, 1, NULL, two_passes),
    CASE(reshape, "plain", reshape_build, reshape_ref, 1, NULL, two_passes),
    CASE(batch_norm, "matrix", batch_norm_matrix, batch_norm_ref, 1, NULL, two_passes),
    CASE(batch_norm, "map", batch_norm_map, batch_norm_ref, 1, NULL, map_passes),
    CASE(batch_norm_fixed, "matrix", batch_norm_fixed_matrix, batch_norm_fixed_ref, 1, NULL,
	 two_passes),
    CASE(batch_norm_fixed, "map", batch_norm_fixed_map, batch_norm_fixed_ref, 1, NULL, map_passes),
    CASE(jsd, "global", jsd_global, jsd_ref, 1, NULL, square_pass),
    CASE(jsd, "three locations", jsd_local, jsd_ref, 1, NULL, square_pass),
    CASE(info_nce, "global", info_nce_global, info_nce_ref, 1, NULL, square_pass),
    CASE(info_nce, "three locations", info_nce_local, info_nce_ref, 1, NULL, square_pass),
    CASE(soft_triplet, "plain", soft_triplet_build, soft_triplet_ref, 1, distance_flops, NULL),
    CASE(frobenius, "plain", frobenius_build, frobenius_ref, 1, NULL, one_pass),
    CASE(frobenius, "weight", frobenius_weight, frobenius_ref, 1, NULL, weight_pass),
    CASE(lrelu, "plain", lrelu_build, lrelu_ref, 1, NULL, two_passes),
    CASE(concat, "plain", concat_build, concat_ref, 1, NULL, two_passes),
    CASE(distance2, "plain", distance2_build, distance2_ref, 1, distance_flops, NULL),
    CASE(bce, "real", bce_real, bce_ref, 1, NULL, one_pass),
    CASE(bce, "fake", bce_fake, bce_ref, 1, NULL, one_pass),
    CASE(squared_error, "plain", squared_error_build, squared_error_ref, 1, NULL, two_passes),
    CASE(tuplet, "plain", tuplet_build, tuplet_ref, 1, NULL, one_pass),
    CASE(tuplet_hinge, "plain", tuplet_hinge_build, tuplet_hinge_ref, 1, NULL, one_pass),
    CASE(lookup, "plain", lookup_build, lookup_ref, 1, NULL, two_passes),
    CASE(lookup, "weight", lookup_weight, lookup_ref, 1, NULL, two_passes),
    CASE(repeat, "three times", repeat_build, repeat_ref, 1, NULL, three_passes),
    CASE(weighted_cross_entropy, "plain", weighted_cross_entropy_build, weighted_cross_entropy_ref,
	 1, NULL, two_passes),
    CASE(gaussian_sample, "plain", gaussian_sample_build, gaussian_sample_ref, 1, NULL, two_passes),
    CASE(kl_normal, "plain", kl_normal_build, kl_normal_ref, 1, NULL, two_passes),
    CASE(abs, "plain", abs_build, abs_ref, 1, NULL, two_passes),
    CASE(order, "plain", order_build, order_ref, 1, distance_flops, NULL),
    CASE(order, "to itself", order_to_self, order_ref, 1, self_flops, NULL),
    CASE(ranking, "sum", ranking_sum, ranking_ref, 1, NULL, square_pass),
    CASE(ranking, "hardest", ranking_hardest, ranking_ref, 1, NULL, square_pass),
    CASE(gru, "forward", gru_forward_build, gru_ref, 1, gru_flops, NULL),
    CASE(gru, "reverse", gru_reverse_build, gru_ref, 1, gru_flops, NULL),
    CASE(last_state, "plain", last_state_build, over_time_ref, 1, NULL, two_passes),
    CASE(sum_over_time, "plain", sum_over_time_build, over_time_ref, 1, NULL, map_passes),
};
const size_t n_op_cases = IST_COUNT(op_cases);
