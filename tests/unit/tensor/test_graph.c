/* Formulas that do not fit, gradients over whole graphs, gradients kept in parts. */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/gemm.h"
#include "core/tensor/ops.h"

static struct ist_weights *theta_create(void)
{
	struct ist_weights *theta = ist_weights_create("theta");

	ist_weights_add_linear(theta, "imd", 512, 10);
	ist_weights_add_linear(theta, "small", 3, 2);
	ist_weights_allocate(theta, true);
	ist_weights_init(theta, 1);
	return theta;
}

/* Compiles a graph that must fail with exactly this text. */
static void expect_error(struct ist_graph *graph, const char *text)
{
	struct ist_err err;

	assert_int_equal(ist_graph_compile(graph, true, &err), IST_INTERNAL);
	assert_string_equal(err.text, text);
	ist_graph_destroy(graph);
}

static void test_bad_shape_names_the_weight(void **state)
{
	struct ist_weights *theta = theta_create();
	struct ist_graph *g = ist_graph_create();
	ist_node *x = ist_tanh(ist_input(g, "image", 64, 200));

	assert_null(ist_matmul(x, ist_weight(g, theta, "imd.weight")));
	expect_error(g, "matmul: 64x200 by 10x512 (imd.weight)");
	g = ist_graph_create();
	x = ist_tanh(ist_input(g, "image", 64, 200));
	assert_null(
	    ist_linear(x, ist_weight(g, theta, "imd.weight"), ist_weight(g, theta, "imd.bias")));
	expect_error(g, "linear: 64x200 by 10x512 by 10 (imd.weight, imd.bias)");
	ist_weights_destroy(theta);
}

static void test_null_passes_through_and_the_first_error_stays(void **state)
{
	struct ist_weights *theta = theta_create();
	struct ist_graph *g = ist_graph_create();
	ist_node *a = ist_input(g, "a", 2, 3), *b = ist_input(g, "b", 3, 2);
	ist_node *bad = ist_add(a, b);

	assert_null(bad);
	assert_null(ist_tanh(bad));
	assert_null(ist_relu(bad));
	assert_null(ist_add(a, bad));
	assert_null(ist_scale(bad, 2));
	assert_null(ist_transpose(bad));
	assert_null(ist_softmax(bad));
	assert_null(ist_unit(bad));
	assert_null(ist_grl(a, bad));
	assert_null(ist_detach(bad));
	assert_null(ist_distance(a, bad));
	assert_null(ist_cross_entropy(bad, ist_ids(g, "y", 2)));
	assert_null(ist_contrastive(bad, ist_ids(g, "y", 2), 1, 1, false));
	assert_null(ist_frobenius(bad));
	assert_null(ist_linear(a, bad, bad));
	assert_null(ist_matmul(a, a));
	expect_error(g, "add: 2x3 by 3x2 (a, b)");
	ist_weights_destroy(theta);
}

static void test_unknown_weight(void **state)
{
	struct ist_weights *theta = theta_create();
	struct ist_graph *g = ist_graph_create();

	assert_null(ist_weight(g, theta, "none.weight"));
	expect_error(g, "no weight none.weight in group theta");
	ist_weights_destroy(theta);
}

static void test_shapes_that_do_not_fit(void **state)
{
	struct ist_graph *g = ist_graph_create();
	ist_node *x = ist_input(g, "x", 4, 3), *y = ist_ids(g, "y", 5);

	assert_null(ist_cross_entropy(x, y));
	assert_null(ist_cross_entropy(x, x));
	assert_null(ist_contrastive(x, y, 1, 1, false));
	assert_null(ist_distance(x, ist_input(g, "z", 4, 2)));
	assert_null(ist_grl(x, x));
	assert_null(ist_tanh(y));
	assert_null(ist_linear(x, ist_input(g, "w", 2, 3), ist_input(g, "b", 1, 3)));
	expect_error(g, "cross_entropy: 4x3 by 5 (x, y)");
}

/* A weight used three times in two places of a formula: one node, the sum of the gradients. */
static void test_sharing(void **state)
{
	struct ist_weights *theta = theta_create();
	struct ist_weight *w = ist_weights_find(theta, "small.weight");
	struct ist_graph *g = ist_graph_create();
	ist_node *x = ist_input(g, "x", 1, 3), *z = ist_input(g, "z", 1, 3);
	ist_node *weight = ist_weight(g, theta, "small.weight");
	ist_node *bias = ist_weight(g, theta, "small.bias");
	ist_node *sum, *ones = ist_input(g, "ones", 2, 1), *root;
	struct ist_err err;

	assert_ptr_equal(weight, ist_weight(g, theta, "small.weight"));
	sum = ist_add(ist_linear(x, weight, bias), ist_linear(z, weight, bias));
	root = ist_add(ist_matmul(sum, ones), ist_matmul(ist_linear(x, weight, bias), ones));
	assert_ist_ok(ist_graph_compile(g, true, &err));
	for (size_t i = 0; i < 3; i++) {
		x->value[i] = (ist_real)(i + 1);
		z->value[i] = (ist_real)10;
	}
	ones->value[0] = ones->value[1] = 1;
	ist_graph_forward(g);
	for (int again = 0; again < 2; again++) {
		ist_graph_backward(root);
		assert_int_equal(w->n_products, 3);
		ist_weight_settle(w);
		for (size_t i = 0; i < 6; i++)
			assert_float_equal(w->gradient[i], 2 * (i % 3 + 1) + 10, 1e-5);
		assert_float_equal(ist_weights_find(theta, "small.bias")->gradient[0], 3, 1e-6);
	}
	ist_graph_destroy(g);
	ist_weights_destroy(theta);
}

/* The rest of a graph reads what was fed after its first part. */
static void test_parts(void **state)
{
	struct ist_graph *g = ist_graph_create();
	ist_node *x = ist_input(g, "x", 1, 2), *z = ist_input(g, "z", 1, 2);
	ist_node *y = ist_scale(x, 3), *sum = ist_add(y, z);
	struct ist_err err;

	assert_ist_ok(ist_graph_compile(g, false, &err));
	x->value[0] = x->value[1] = 2;
	ist_graph_forward_part(g, NULL, y);
	assert_float_equal(y->value[1], 6, 0);
	assert_float_equal(sum->value[1], 0, 0);
	x->value[1] = 100; /* too late */
	z->value[0] = z->value[1] = y->value[1] + 1;
	ist_graph_forward_part(g, y, NULL);
	assert_float_equal(sum->value[0], 13, 0);
	assert_float_equal(sum->value[1], 13, 0);
	ist_graph_destroy(g);
}

/* More products than a weight keeps: the early ones are multiplied out. */
static void test_many_products(void **state)
{
	struct ist_weights *theta = theta_create();
	struct ist_weight *w = ist_weights_find(theta, "small.weight");
	const ist_real dy[2] = {1, 2}, x[3] = {3, 4, 5};

	ist_weight_clear(w);
	for (int i = 0; i < 3 * IST_MAX_PRODUCTS; i++)
		ist_weight_add_product(w, &(struct ist_product){.dy = dy, .x = x, .n = 1});
	ist_weight_settle(w);
	for (size_t i = 0; i < 6; i++)
		assert_float_equal(w->gradient[i], 3 * IST_MAX_PRODUCTS * dy[i / 3] * x[i % 3],
				   1e-4);
	ist_weights_destroy(theta);
}

static void test_gemm_all_ways(void **state)
{
	const ist_real a[6] = {1, 2, 3, 4, 5, 6}, at[6] = {1, 4, 2, 5, 3, 6};
	const ist_real b[6] = {1, 0, 2, 1, 0, 3}, bt[6] = {1, 2, 0, 0, 1, 3};
	const ist_real want[4] = {5, 11, 14, 23};

	for (int way = 0; way < 4; way++) {
		ist_real c[4] = {1, 1, 1, 1};

		ist_gemm(way & 1, way & 2, 2, 2, 3, way & 1 ? at : a, way & 2 ? bt : b, 2, c);
		for (int i = 0; i < 4; i++)
			assert_float_equal(c[i], want[i] + 2, 1e-6);
	}
}

TEST_MAIN(cmocka_unit_test(test_bad_shape_names_the_weight),
	  cmocka_unit_test(test_null_passes_through_and_the_first_error_stays),
	  cmocka_unit_test(test_unknown_weight), cmocka_unit_test(test_shapes_that_do_not_fit),
	  cmocka_unit_test(test_sharing), cmocka_unit_test(test_parts),
	  cmocka_unit_test(test_many_products), cmocka_unit_test(test_gemm_all_ways))
