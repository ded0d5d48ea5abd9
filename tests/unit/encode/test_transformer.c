/*
 * The transformer's parts against plain loops in double: products at every shape that the tiles
 * treat differently and with every width of registers, activations, norms, attention of sequences
 * that lie across strips, and whole blocks in both orders of the norms.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/encode/transformer_private.h"
#include "tests/unit/test.h"

#define TOLERANCE 2e-6

static float *random_numbers(struct ist_rng *rng, size_t n, double spread)
{
	float *x = ist_alloc(n, sizeof(*x));

	for (size_t i = 0; i < n; i++)
		x[i] = (float)(spread * (2 * ist_rng_uniform(rng) - 1));
	return x;
}

static void check_close(const char *what, double x, double wanted, double scale)
{
	if (!(fabs(x - wanted) <= TOLERANCE * scale))
		fail_msg("%s: %.9g in place of %.9g", what, x, wanted);
}

/* ---- activations ---- */

static double act_reference(enum ist_activation act, double x)
{
	switch (act) {
	case IST_ACT_GELU:
		return x / 2 * erfc(-x / sqrt(2));
	case IST_ACT_GELU_TANH:
		return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + .044715 * x * x * x)));
	case IST_ACT_QUICK_GELU:
		return x / (1 + exp(-1.702 * x));
	case IST_ACT_RELU:
		return x > 0 ? x : 0;
	default:
		return x;
	}
}

static void test_activations(void **state)
{
	for (enum ist_activation act = IST_ACT_NONE; act < IST_N_ACTS; act++) {
		for (int i = -20000; i <= 20000; i++) {
			float x = (float)i * 1e-3f, y[17] = {0};

			y[i & 15] = x;
			ist_activation_run(act, y, 17);
			if (!(fabs(y[i & 15] - act_reference(act, x)) <=
			      2e-7 * fmax(1, fabs((double)x))))
				fail_msg("activation %d of %g: %.9g in place of %.9g", (int)act,
					 (double)x, (double)y[i & 15], act_reference(act, x));
		}
	}
}

static void test_far_activations(void **state)
{
	static const float far[] = {-1e30f, -1000, -90, 90, 1000, 1e30f};

	for (enum ist_activation act = IST_ACT_GELU; act < IST_N_ACTS; act++) {
		for (size_t i = 0; i < IST_COUNT(far); i++) {
			float y = far[i];

			ist_activation_run(act, &y, 1);
			check_close("far", y, far[i] > 0 ? far[i] : 0, fmax(1, fabs((double)y)));
		}
	}
}

static void test_names(void **state)
{
	enum ist_activation act = IST_ACT_NONE;

	assert_true(ist_activation_find("gelu", &act) && act == IST_ACT_GELU);
	assert_true(ist_activation_find("quick_gelu", &act) && act == IST_ACT_QUICK_GELU);
	assert_false(ist_activation_find("swish", &act));
}

/* ---- products ---- */

static void check_product(struct ist_rng *rng, size_t rows, size_t in, size_t out, bool bias)
{
	struct ist_arena arena = {0};
	ist_autofree float *x = random_numbers(rng, rows * in, 1);
	ist_autofree float *w = random_numbers(rng, out * in, 1);
	ist_autofree float *b = random_numbers(rng, out, 1);
	ist_autofree float *y = ist_alloc(rows * out, sizeof(*y));
	struct ist_linear linear = {w, bias ? b : NULL};

	ist_linear_run(&linear, in, out, IST_ACT_RELU, x, rows, y, &arena);
	for (size_t i = 0; i < rows * out; i++) {
		double sum = bias ? b[i % out] : 0;

		for (size_t l = 0; l < in; l++)
			sum += (double)x[i / out * in + l] * w[i % out * in + l];
		check_close("product", y[i], sum > 0 ? sum : 0, sqrt((double)in));
	}
	ist_arena_finish(&arena);
}

static void test_products(void **state)
{
	static const int widths[] = {512, 256, 0};
	static const size_t rows[] = {1, 15, 16, 17, 33, 48, 49, 80}, ins[] = {1, 15, 16, 33, 100};
	static const size_t outs[] = {1, 5, 8, 14, 48, 49, 97};
	int threads = omp_get_max_threads();
	struct ist_rng rng;

	ist_rng_init(&rng, 1, "test");
	for (size_t k = 0; k < IST_COUNT(widths); k++) {
		if (!ist_linear_limit(widths[k]))
			continue;
		for (size_t i = 0; i < IST_COUNT(rows) * IST_COUNT(ins) * IST_COUNT(outs); i++) {
			omp_set_num_threads(1 + (int)(i % 3));
			check_product(&rng, rows[i % IST_COUNT(rows)],
				      ins[i / IST_COUNT(rows) % IST_COUNT(ins)],
				      outs[i / IST_COUNT(rows) / IST_COUNT(ins)], i % 2 == 0);
		}
	}
	ist_linear_limit(512);
	for (int team = 1; team <= 3; team++) {
		omp_set_num_threads(team);
		check_product(&rng, 80, 300, 301, true); /* large enough to be shared out */
	}
	omp_set_num_threads(threads);
}

/* ---- the whole against plain loops ---- */

struct model {
	struct ist_transformer t;
	struct ist_transformer_block *blocks;
	float **owned;
	size_t n_owned;
};

static const float *weight(struct model *m, struct ist_rng *rng, size_t n, double spread)
{
	m->owned[m->n_owned] = random_numbers(rng, n, spread);
	return m->owned[m->n_owned++];
}

static struct ist_linear linear_of(struct model *m, struct ist_rng *rng, size_t out, size_t in)
{
	const float *w = weight(m, rng, out * in, 2 / sqrt((double)in));

	return (struct ist_linear){w, weight(m, rng, out, .5)};
}

static struct ist_norm norm_of(struct model *m, struct ist_rng *rng, size_t n)
{
	const float *w = weight(m, rng, n, 2);

	return (struct ist_norm){w, weight(m, rng, n, .5)};
}

static void model_init(struct model *m, const struct ist_transformer *shape, uint64_t seed)
{
	size_t width = shape->width;
	struct ist_rng rng;

	ist_rng_init(&rng, seed, "test");
	*m = (struct model){.t = *shape};
	m->blocks = ist_alloc(shape->n_blocks, sizeof(*m->blocks));
	m->owned = ist_alloc(shape->n_blocks * 16, sizeof(*m->owned));
	m->t.blocks = m->blocks;
	for (size_t i = 0; i < shape->n_blocks; i++) {
		struct ist_transformer_block *b = &m->blocks[i];

		b->attention_norm = norm_of(m, &rng, width);
		b->query = linear_of(m, &rng, width, width);
		b->key = linear_of(m, &rng, width, width);
		b->value = linear_of(m, &rng, width, width);
		b->output = linear_of(m, &rng, width, width);
		b->mlp_norm = norm_of(m, &rng, width);
		b->up = linear_of(m, &rng, shape->inner, width);
		b->down = linear_of(m, &rng, width, shape->inner);
	}
}

static void model_finish(struct model *m)
{
	for (size_t i = 0; i < m->n_owned; i++)
		free(m->owned[i]);
	free(m->owned);
	free(m->blocks);
}

static double *linear_reference(const struct ist_linear *l, const double *x, size_t n, size_t in,
				size_t out)
{
	double *y = ist_alloc(n * out, sizeof(*y));

	for (size_t i = 0; i < n * out; i++) {
		y[i] = l->bias[i % out];
		for (size_t k = 0; k < in; k++)
			y[i] += x[i / out * in + k] * l->weight[i % out * in + k];
	}
	return y;
}

static void norm_reference(const struct ist_norm *norm, double eps, size_t n, size_t width,
			   double *x)
{
	for (size_t i = 0; i < n; i++, x += width) {
		double mean = 0, variance = 0;

		for (size_t j = 0; j < width; j++)
			mean += x[j] / (double)width;
		for (size_t j = 0; j < width; j++)
			variance += (x[j] - mean) * (x[j] - mean) / (double)width;
		for (size_t j = 0; j < width; j++)
			x[j] =
			    (x[j] - mean) / sqrt(variance + eps) * norm->weight[j] + norm->bias[j];
	}
}

/* One query of one head: ret (d). */
static void look_reference(const double *q, const double *k, const double *v, size_t n,
			   size_t width, size_t d, double *ret)
{
	ist_autofree double *s = ist_alloc(n, sizeof(*s));
	double sum = 0;

	memset(ret, 0, d * sizeof(*ret));
	for (size_t j = 0; j < n; j++) {
		for (size_t l = 0; l < d; l++)
			s[j] += q[l] * k[j * width + l];
		s[j] = exp(s[j] / sqrt((double)d));
		sum += s[j];
	}
	for (size_t j = 0; j < n; j++)
		for (size_t l = 0; l < d; l++)
			ret[l] += s[j] / sum * v[j * width + l];
}

static double *attention_reference(const struct ist_transformer *t,
				   const struct ist_transformer_block *b, const double *x, size_t n)
{
	size_t width = t->width, d = width / t->n_heads;
	ist_autofree double *q = linear_reference(&b->query, x, n, width, width);
	ist_autofree double *k = linear_reference(&b->key, x, n, width, width);
	ist_autofree double *v = linear_reference(&b->value, x, n, width, width);
	ist_autofree double *y = ist_alloc(n * width, sizeof(*y));

	for (size_t i = 0; i < n; i++)
		for (size_t h = 0; h < width; h += d)
			look_reference(q + i * width + h, k + h, v + h, t->causal ? i + 1 : n,
				       width, d, y + i * width + h);
	return linear_reference(&b->output, y, n, width, width);
}

static double *mlp_reference(const struct ist_transformer *t, const struct ist_transformer_block *b,
			     const double *x, size_t n)
{
	ist_autofree double *y = linear_reference(&b->up, x, n, t->width, t->inner);

	for (size_t i = 0; i < n * t->inner; i++)
		y[i] = act_reference(t->activation, y[i]);
	return linear_reference(&b->down, y, n, t->inner, t->width);
}

typedef double *(*part)(const struct ist_transformer *t, const struct ist_transformer_block *b,
			const double *x, size_t n);

static void residual_reference(const struct ist_transformer *t,
			       const struct ist_transformer_block *b, const struct ist_norm *norm,
			       part run, double *x, size_t n)
{
	size_t size = n * t->width;
	ist_autofree double *from = ist_alloc(size, sizeof(*from)), *y = NULL;

	memcpy(from, x, size * sizeof(*x));
	if (t->norm_before)
		norm_reference(norm, t->eps, n, t->width, from);
	y = run(t, b, from, n);
	for (size_t i = 0; i < size; i++)
		x[i] += y[i];
	if (!t->norm_before)
		norm_reference(norm, t->eps, n, t->width, x);
}

/* Each sequence alone. */
static void run_reference(const struct ist_transformer *t, const float *x, size_t n, double *ret)
{
	for (size_t i = 0; i < n * t->width; i++)
		ret[i] = x[i];
	for (size_t i = 0; i < t->n_blocks; i++) {
		const struct ist_transformer_block *b = &t->blocks[i];

		residual_reference(t, b, &b->attention_norm, attention_reference, ret, n);
		residual_reference(t, b, &b->mlp_norm, mlp_reference, ret, n);
	}
}

static void check_run(const struct model *m, const size_t *starts, size_t n, const float *x,
		      const float *y)
{
	size_t width = m->t.width;

	for (size_t i = 0; i < n; i++) {
		size_t rows = starts[i + 1] - starts[i], at = starts[i] * width;
		ist_autofree double *wanted = ist_alloc(rows * width + 1, sizeof(*wanted));

		run_reference(&m->t, x + at, rows, wanted);
		for (size_t j = 0; j < rows * width; j++)
			check_close("block", y[at + j], wanted[j], 20);
	}
}

static const struct ist_transformer shapes[] = {
    {2, 24, 3, 40, IST_ACT_GELU, false, false, 1e-12f, NULL},
    {2, 24, 3, 40, IST_ACT_QUICK_GELU, true, true, 1e-5f, NULL},
    {3, 32, 2, 64, IST_ACT_GELU_TANH, true, false, 1e-5f, NULL},
    {1, 5, 1, 7, IST_ACT_RELU, false, true, 1e-5f, NULL},
    {0, 8, 2, 8, IST_ACT_NONE, true, false, 1e-5f, NULL},
    /* large enough to be shared out */
    {2, 96, 6, 192, IST_ACT_GELU, false, false, 1e-12f, NULL},
    {2, 96, 4, 192, IST_ACT_QUICK_GELU, true, true, 1e-5f, NULL},
};
/* Across strips, within one, of one token, longer than a few strips. */
static const size_t lengths[] = {8, 1, 17, 5, 16, 70, 2, 3};

static void test_blocks(void **state)
{
	int threads = omp_get_max_threads();
	size_t starts[IST_COUNT(lengths) + 1] = {0}, n = IST_COUNT(lengths);

	for (size_t i = 0; i < n; i++)
		starts[i + 1] = starts[i] + lengths[i];
	for (size_t k = 0; k < IST_COUNT(shapes); k++) {
		struct ist_arena arena = {0};
		struct ist_rng rng;
		struct model m;

		model_init(&m, &shapes[k], 7 + k);
		ist_rng_init(&rng, k, "test");
		for (int team = 1; team <= 3; team++) {
			size_t size = starts[n] * m.t.width;
			ist_autofree float *x = random_numbers(&rng, size, 2);
			ist_autofree float *y = ist_alloc(size, sizeof(*y));

			memcpy(y, x, size * sizeof(*x));
			omp_set_num_threads(team);
			ist_transformer_run(&m.t, starts, n, y, &arena);
			check_run(&m, starts, n, x, y);
			ist_arena_reset(&arena);
		}
		ist_arena_finish(&arena);
		model_finish(&m);
	}
	omp_set_num_threads(threads);
}

/* Inside of somebody else's parallel region each caller works alone. */
static void test_within_a_region(void **state)
{
	size_t starts[] = {0, 9};
	struct ist_rng rng;
	struct model m;
	float *x[2], *from;

	model_init(&m, &shapes[0], 3);
	ist_rng_init(&rng, 4, "test");
	from = random_numbers(&rng, 9 * m.t.width, 1);
#pragma omp parallel for num_threads(2)
	for (int i = 0; i < 2; i++) {
		struct ist_arena arena = {0};

		x[i] = ist_alloc(9 * m.t.width, sizeof(float));
		memcpy(x[i], from, 9 * m.t.width * sizeof(float));
		ist_transformer_run(&m.t, starts, 1, x[i], &arena);
		ist_arena_finish(&arena);
	}
	for (int i = 0; i < 2; i++) {
		check_run(&m, starts, 1, from, x[i]);
		free(x[i]);
	}
	free(from);
	model_finish(&m);
}

static void test_norm_rows(void **state)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 2, "test");
	for (size_t width = 1; width < 70; width += 3) {
		ist_autofree float *x = random_numbers(&rng, 5 * width, 3);
		ist_autofree float *w = random_numbers(&rng, width, 1);
		ist_autofree float *b = random_numbers(&rng, width, 1);
		ist_autofree double *wanted = ist_alloc(5 * width, sizeof(*wanted));
		struct ist_norm norm = {w, b};

		for (size_t i = 0; i < 5 * width; i++)
			wanted[i] = x[i];
		norm_reference(&norm, 1e-5, 5, width, wanted);
		ist_norm_run(&norm, 1e-5f, 5, width, x);
		for (size_t i = 0; i < 5 * width; i++)
			check_close("norm", x[i], wanted[i], 4);
	}
}

TEST_MAIN(cmocka_unit_test(test_activations), cmocka_unit_test(test_far_activations),
	  cmocka_unit_test(test_names), cmocka_unit_test(test_products),
	  cmocka_unit_test(test_blocks), cmocka_unit_test(test_within_a_region),
	  cmocka_unit_test(test_norm_rows))
