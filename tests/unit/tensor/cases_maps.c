/* Cases of what works on maps (N, C, H, W): convolutions, batch normalisation, places. */
#include <math.h>

#include "tests/unit/tensor/cases_parts.h"

/* Pictures, channels and maps of 6 x 5 for a size; a kernel (first, second, k, k). */
static ist_node *conv_input(struct ist_graph *g, struct sizes s)
{
	return ist_variable_shaped(g, "x", 4, (size_t[]){2 + s.n / 40, 1 + s.m / 8, 6, 5});
}

static ist_node *conv_kernel(struct ist_graph *g, struct sizes s, bool transposed, size_t k)
{
	size_t in = 1 + s.m / 8, out = 2 + s.k / 9;

	return ist_variable_shaped(g, "w", 4,
				   (size_t[]){transposed ? in : out, transposed ? out : in, k, k});
}

ist_node *conv_3_1_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_conv2d(conv_input(g, s), conv_kernel(g, s, false, 3),
			  matrix(g, "b", 1, 2 + s.k / 9), 1, 1);
}

ist_node *conv_4_2_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_conv2d(conv_input(g, s), conv_kernel(g, s, false, 4),
			  matrix(g, "b", 1, 2 + s.k / 9), 2, 1);
}

ist_node *conv_transpose_4_2_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_conv_transpose2d(conv_input(g, s), conv_kernel(g, s, true, 4),
				    matrix(g, "b", 1, 2 + s.k / 9), 2, 1);
}

ist_node *conv_transpose_3_1_0(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_conv_transpose2d(conv_input(g, s), conv_kernel(g, s, true, 3),
				    matrix(g, "b", 1, 2 + s.k / 9), 1, 0);
}

static double map_at(const ist_node *x, size_t n, size_t c, long i, long j)
{
	if (i < 0 || j < 0 || i >= (long)x->dim[2] || j >= (long)x->dim[3])
		return 0;
	return (double)
	    x->value[((n * x->dim[1] + c) * x->dim[2] + (size_t)i) * x->dim[3] + (size_t)j];
}

/* One number of a convolution's result. */
static double conv_at(const ist_node *y, size_t n, size_t o, long i, long j)
{
	const ist_node *x = y->in[0], *w = y->in[1];
	long stride = (long)y->arg[0], pad = (long)y->arg[1];
	double sum = (double)y->in[2]->value[o];

	for (size_t c = 0; c < x->dim[1]; c++)
		for (long k = 0; k < (long)w->dim[2]; k++)
			for (long l = 0; l < (long)w->dim[3]; l++)
				sum += map_at(w, o, c, k, l) *
				       map_at(x, n, c, i * stride + k - pad, j * stride + l - pad);
	return sum;
}

/* One of a transposed one's: each input is spread over a kernel's places. */
static double conv_transpose_at(const ist_node *y, size_t n, size_t o, long i, long j)
{
	const ist_node *x = y->in[0], *w = y->in[1];
	long stride = (long)y->arg[0], pad = (long)y->arg[1];
	double sum = (double)y->in[2]->value[o];

	for (size_t c = 0; c < x->dim[1]; c++)
		for (long r = 0; r < (long)x->dim[2]; r++)
			for (long q = 0; q < (long)x->dim[3]; q++)
				sum += map_at(x, n, c, r, q) *
				       map_at(w, c, o, i + pad - r * stride, j + pad - q * stride);
	return sum;
}

static void conv_all(const ist_node *y, double (*one)(const ist_node *, size_t, size_t, long, long),
		     double *ret)
{
	for (size_t n = 0; n < y->dim[0]; n++)
		for (size_t o = 0; o < y->dim[1]; o++)
			for (size_t i = 0; i < y->dim[2]; i++)
				for (size_t j = 0; j < y->dim[3]; j++)
					*ret++ = one(y, n, o, (long)i, (long)j);
}

void conv_ref(const ist_node *y, double *ret)
{
	conv_all(y, conv_at, ret);
}

void conv_transpose_ref(const ist_node *y, double *ret)
{
	conv_all(y, conv_transpose_at, ret);
}

/* Products of kernel and map, 16 kernel numbers a place of the wider map at most. */
double conv_flops(const struct sizes *s)
{
	return 2.0 * 9 * 30 * (double)(2 + s->n / 40) * (double)(1 + s->m / 8) *
	       (double)(2 + s->k / 9);
}

/* A map of m channels of 2 x 3 places. */
static ist_node *map_of(struct ist_graph *g, const char *name, struct sizes s)
{
	return ist_variable_shaped(g, name, 4, (size_t[]){s.n, s.m, 2, 3});
}

ist_node *batch_norm_matrix(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_batch_norm(matrix(g, "x", s.n, s.m), matrix(g, "gamma", 1, s.m),
			      ist_weight(g, theta, "b"));
}

ist_node *batch_norm_map(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_batch_norm(map_of(g, "x", s), ist_weight(g, theta, "b"),
			      matrix(g, "beta", 1, s.m));
}

/* Number k of channel j: the places of the first row, then of the next. */
static double of_channel(const ist_node *x, size_t j, size_t k)
{
	size_t places = x->size / (x->dim[0] * x->dim[1]);

	return (double)x->value[(k / places * x->dim[1] + j) * places + k % places];
}

static void channel_ref(const ist_node *y, size_t j, double mean, double variance, double *ret)
{
	size_t n = y->size / y->dim[1], places = n / y->dim[0];

	for (size_t k = 0; k < n; k++)
		ret[(k / places * y->dim[1] + j) * places + k % places] =
		    (double)y->in[1]->value[j] * (of_channel(y->in[0], j, k) - mean) /
			sqrt(variance + 1e-5) +
		    (double)y->in[2]->value[j];
}

void batch_norm_ref(const ist_node *y, double *ret)
{
	size_t n = y->size / y->dim[1];

	for (size_t j = 0; j < y->dim[1]; j++) {
		double mean = 0, variance = 0;

		for (size_t k = 0; k < n; k++)
			mean += of_channel(y->in[0], j, k) / (double)n;
		for (size_t k = 0; k < n; k++)
			variance += pow(of_channel(y->in[0], j, k) - mean, 2) / (double)n;
		channel_ref(y, j, mean, variance, ret);
	}
}

/* Statistics by squares, so that the variance is none below 0. */
ist_node *batch_norm_fixed_matrix(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *mean = ist_input(g, "mean", 1, s.m);

	return ist_batch_norm_fixed(matrix(g, "x", s.n, s.m), matrix(g, "gamma", 1, s.m),
				    ist_weight(g, theta, "b"), mean, ist_mul(mean, mean));
}

ist_node *batch_norm_fixed_map(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	ist_node *mean = ist_input(g, "mean", 1, s.m);

	return ist_batch_norm_fixed(map_of(g, "x", s), matrix(g, "gamma", 1, s.m),
				    ist_weight(g, theta, "b"), mean, ist_mul(mean, mean));
}

void batch_norm_fixed_ref(const ist_node *y, double *ret)
{
	for (size_t j = 0; j < y->dim[1]; j++)
		channel_ref(y, j, (double)y->in[3]->value[j], (double)y->in[4]->value[j], ret);
}

ist_node *spread_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_spread(map_of(g, "x", s), matrix(g, "t", s.n, 3));
}

void spread_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0], *t = y->in[1];

	for (size_t i = 0; i < y->size; i++) {
		size_t place = i % 6, c = i / 6 % y->dim[1], n = i / 6 / y->dim[1];

		ret[i] = c < x->dim[1] ? (double)x->value[(n * x->dim[1] + c) * 6 + place]
				       : at(t, n, c - x->dim[1]);
	}
}

ist_node *places_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_places(map_of(g, "x", s), ist_ids(g, "ids", 2 * s.n));
}

void places_ref(const ist_node *y, double *ret)
{
	const ist_node *x = y->in[0];

	for (size_t r = 0; r < y->dim[0]; r++)
		for (size_t c = 0; c < y->dim[1]; c++)
			ret[r * y->dim[1] + c] =
			    (double)
				x->value[(r / 2 * x->dim[1] + c) * 6 + (size_t)y->in[1]->ids[r]];
}
