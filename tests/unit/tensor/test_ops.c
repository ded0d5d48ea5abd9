/*
 * Every operator of the table, by its cases: forward against plain loops at a small and a large
 * size; the same bits from one thread and from several; in the double build, the gradient against
 * central differences.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/unit/tensor/cases.h"

#ifdef IST_REAL_DOUBLE
#define TOLERANCE 1e-11
#else
#define TOLERANCE 2e-5
#endif
#define H 1e-5
#define TOLERANCE_GRADIENT 1e-7
#define L 0.7

static const struct sizes small = {7, 5, 6}, large = {259, 137, 151};

struct bed {
	struct ist_weights *theta;
	struct ist_graph *graph;
	ist_node *y, *root;
};

static void fill(ist_real *x, size_t n, struct ist_rng *rng)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (ist_real)(4 * ist_rng_uniform(rng) - 2);
}

static void fill_leaves(const struct bed *bed, struct ist_rng *rng)
{
	for (int i = 0; i < bed->y->n_in; i++) {
		ist_node *x = bed->y->in[i];

		if (x->ids != NULL) {
			for (size_t k = 0; k < x->dim[0]; k++)
				x->ids[k] = (int32_t)ist_rng_below(rng, 3);
			if (bed->y->op == &ist_op_cross_entropy ||
			    bed->y->op == &ist_op_weighted_cross_entropy ||
			    bed->y->op == &ist_op_lookup ||
			    (i == 2 && bed->y->op != &ist_op_soft_triplet))
				x->ids[1] = -1;
		} else {
			fill(x->value, x->size, rng);
		}
		if (x->size == 1 && x->ids == NULL)
			x->value[0] = (ist_real)L;
	}
	ist_weights_touch(bed->theta);
}

/* A map as a matrix, a row a picture. */
static ist_node *flat(ist_node *y)
{
	if (y == NULL || y->n_dims != 4)
		return y;
	return ist_reshape(y, 2, (size_t[]){y->dim[0], y->size / y->dim[0]});
}

/* The input that holds texts' codes, of the operators that take any. */
static ist_node *codes_in(const ist_node *y)
{
	if (y->op == &ist_op_words)
		return y->in[0];
	if (y->op == &ist_op_last_state || y->op == &ist_op_sum_over_time)
		return y->in[1];
	return y->op == &ist_op_lstm || y->op == &ist_op_gru ? y->in[2] : NULL;
}

/* Codes in the vocabulary, one that is not, and texts of every length. */
static void fill_words(const struct bed *bed)
{
	const struct ist_op *op = bed->y->op;
	ist_node *codes = codes_in(bed->y);

	if (codes == NULL)
		return;
	for (size_t i = 0; i < codes->size; i++) {
		size_t text = i / codes->dim[1], t = i % codes->dim[1];

		codes->value[i] =
		    (ist_real)(t < text % (codes->dim[1] + 1) ? 10 * ((i * 7) % 6) + 10 : 0);
	}
	for (size_t i = 0; op == &ist_op_words && i < bed->y->in[1]->size; i++)
		bed->y->in[1]->value[i] = (ist_real)(10 * (i + 1));
}

/* The root is r' y c for random r and c where y is a matrix: one number that weighs them all. */
static void bed_init(struct bed *bed, const struct op_case *c, struct sizes s)
{
	struct ist_rng rng;
	ist_node *r = NULL, *col = NULL;
	struct ist_err err;

	ist_rng_init(&rng, 1, c->what);
	bed->theta = ist_weights_create("theta");
	ist_weights_add(bed->theta, "w", 2, (size_t[]){s.m, s.k}, s.k);
	ist_weights_add(bed->theta, "b", 1, &s.m, s.k);
	ist_weights_allocate(bed->theta, true);
	bed->graph = ist_graph_create();
	bed->y = c->build(bed->graph, bed->theta, s);
	bed->root = flat(bed->y);
	if (bed->root != NULL && bed->root->n_dims == 2) {
		r = ist_input(bed->graph, "r", 1, bed->root->dim[0]);
		col = ist_input(bed->graph, "c", bed->root->dim[1], 1);
		bed->root = ist_matmul(ist_matmul(r, bed->root), col);
	}
	assert_ist_ok(ist_graph_compile(bed->graph, true, &err));
	fill_leaves(bed, &rng);
	fill_words(bed);
	if (r != NULL) {
		fill(r->value, r->size, &rng);
		fill(col->value, col->size, &rng);
	}
}

static void bed_finish(struct bed *bed)
{
	ist_graph_destroy(bed->graph);
	ist_weights_destroy(bed->theta);
}

static void check_forward(const struct op_case *c, struct sizes s)
{
	struct bed bed;
	double *want;

	bed_init(&bed, c, s);
	want = ist_alloc(bed.y->size, sizeof(*want));
	ist_graph_forward(bed.graph);
	c->reference(bed.y, want);
	for (size_t i = 0; i < bed.y->size; i++) {
		double got = (double)bed.y->value[i];

		if (!(fabs(got - want[i]) <= TOLERANCE * (1 + fabs(want[i]))))
			fail_msg("%s (%s)[%zu]: %.12g, expected %.12g", c->op->name, c->what, i,
				 got, want[i]);
	}
	free(want);
	bed_finish(&bed);
}

static void test_forward(void **state)
{
	for (size_t i = 0; i < n_op_cases; i++) {
		check_forward(&op_cases[i], small);
		check_forward(&op_cases[i], large);
	}
}

static void test_every_operator_has_a_case(void **state)
{
	for (size_t k = 0; ist_ops[k] != NULL; k++) {
		bool found = false;

		for (size_t i = 0; i < n_op_cases; i++)
			found |= op_cases[i].op == ist_ops[k];
		if (!found)
			fail_msg("%s has no case", ist_ops[k]->name);
		assert_non_null(ist_ops[k]->shape);
		assert_non_null(ist_ops[k]->forward);
		assert_non_null(ist_ops[k]->backward);
	}
}

/* Values and gradients of one run, in one buffer. */
static ist_real *results(const struct op_case *c, int threads, size_t *ret_n)
{
	struct bed bed;
	ist_real *all;
	size_t n = 0;

	omp_set_num_threads(threads);
	bed_init(&bed, c, large);
	ist_graph_forward(bed.graph);
	ist_graph_backward(bed.root);
	all = ist_alloc(24 * large.n * large.n, sizeof(*all));
	memcpy(all, bed.y->value, bed.y->size * sizeof(*all));
	n = bed.y->size;
	for (int i = 0; i < bed.y->n_in; i++) {
		ist_node *x = bed.y->in[i];

		if (x->weight != NULL)
			ist_weight_settle(x->weight);
		if (x->weight != NULL || x->has_gradient) {
			memcpy(all + n, x->weight != NULL ? x->weight->gradient : x->gradient,
			       x->size * sizeof(*all));
			n += x->size;
		}
	}
	bed_finish(&bed);
	*ret_n = n;
	return all;
}

static void test_threads_change_no_bit(void **state)
{
	int before = omp_get_max_threads();

	for (size_t i = 0; i < n_op_cases; i++) {
		size_t n, m;
		ist_autofree ist_real *one = results(&op_cases[i], 1, &n);
		ist_autofree ist_real *three = results(&op_cases[i], 3, &m);

		assert_int_equal(n, m);
		if (memcmp(one, three, n * sizeof(*one)) != 0)
			fail_msg("%s (%s) depends on the threads", op_cases[i].op->name,
				 op_cases[i].what);
	}
	omp_set_num_threads(before);
}

#ifdef IST_REAL_DOUBLE
static double root_at(const struct bed *bed, ist_real *x, double value)
{
	*x = value;
	ist_weights_touch(bed->theta);
	ist_graph_forward(bed->graph);
	return bed->root->value[0];
}

static void check_input(const struct op_case *c, const struct bed *bed, ist_node *x,
			const ist_real *gradient)
{
	for (size_t i = 0; i < x->size; i++) {
		double was = x->value[i];
		double up = root_at(bed, &x->value[i], was + H);
		double down = root_at(bed, &x->value[i], was - H);
		double want = c->factor * (up - down) / (2 * H);

		root_at(bed, &x->value[i], was);
		if (!(fabs(gradient[i] - want) <= TOLERANCE_GRADIENT * (1 + fabs(want))))
			fail_msg("%s (%s) d%s[%zu]: %.12g, expected %.12g", c->op->name, c->what,
				 x->name, i, gradient[i], want);
	}
}

static void check_gradient(const struct op_case *c)
{
	struct bed bed;
	size_t checked = 0;

	bed_init(&bed, c, small);
	ist_graph_forward(bed.graph);
	ist_graph_backward(bed.root);
	for (int i = 0; i < bed.y->n_in; i++) {
		ist_node *x = bed.y->in[i];

		if (x->weight != NULL) {
			ist_weight_settle(x->weight);
			check_input(c, &bed, x, x->weight->gradient);
			checked++;
		} else if (x->has_gradient) {
			check_input(c, &bed, x, x->gradient);
			checked++;
		}
	}
	if ((checked > 0) != (c->factor != 0))
		fail_msg("%s (%s): %zu inputs got a gradient", c->op->name, c->what, checked);
	bed_finish(&bed);
}

static void test_gradients(void **state)
{
	for (size_t i = 0; i < n_op_cases; i++)
		check_gradient(&op_cases[i]);
}

#else
/* Differences in float say nothing. */
static void test_gradients(void **state)
{
	skip();
}
#endif

TEST_MAIN(cmocka_unit_test(test_every_operator_has_a_case), cmocka_unit_test(test_forward),
	  cmocka_unit_test(test_threads_change_no_bit), cmocka_unit_test(test_gradients))
