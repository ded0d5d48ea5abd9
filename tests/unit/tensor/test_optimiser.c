/*
 * Optimisers: each rule against its equations written out, clipping, who is left alone, threads,
 * and checkpoints that continue with the same bits.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/tensor/ops.h"
#include "core/tensor/optimiser.h"

#define STEPS 5
#define N 37

#ifdef IST_REAL_DOUBLE
#define TOLERANCE 1e-12
#else
#define TOLERANCE 2e-6
#endif

static struct ist_optimiser optimiser(const struct ist_optimiser_rule *rule)
{
	return (struct ist_optimiser){
	    .rule = rule, .lr = .01, .beta1 = .9, .beta2 = .99, .momentum = .8, .eps = 1e-8};
}

/* The rules, as the papers write them. */
static void expect(const struct ist_optimiser *o, int t, double g, double *w, double *m, double *v)
{
	if (o->decoupled)
		*w -= o->lr * o->weight_decay * *w;
	else
		g += o->weight_decay * *w;
	if (o->rule == &ist_optimiser_sgd) {
		*m = o->momentum * *m + g;
		*w -= o->lr * *m;
	} else if (o->rule == &ist_optimiser_adam) {
		*m = o->beta1 * *m + (1 - o->beta1) * g;
		*v = o->beta2 * *v + (1 - o->beta2) * g * g;
		*w -= o->lr * (*m / (1 - pow(o->beta1, t))) /
		      (sqrt(*v / (1 - pow(o->beta2, t))) + o->eps);
	} else {
		*v = o->beta2 * *v + (1 - o->beta2) * g * g;
		*w -= o->lr * g / (sqrt(*v) + o->eps);
	}
}

static void set_gradient(struct ist_weight *w, int t)
{
	ist_real *g;

	ist_weight_clear(w);
	g = ist_weight_dense(w);
	for (size_t i = 0; i < w->size; i++)
		g[i] = (ist_real)sin((double)i + 10.0 * t);
}

static struct ist_weights *group_create(const char *name, size_t rows, size_t cols)
{
	struct ist_weights *group = ist_weights_create(name);

	ist_weights_add(group, "w", 2, (size_t[]){rows, cols}, cols);
	ist_weights_allocate(group, true);
	ist_weights_init(group, 3);
	return group;
}

static void check_rule(const struct ist_optimiser_rule *rule, double weight_decay, bool decoupled)
{
	struct ist_weights *group = group_create("g", 1, N);
	struct ist_weight *w = group->weights[0];
	struct ist_optimiser o = optimiser(rule);
	double value[N], m[N] = {0}, v[N] = {0};

	o.weight_decay = weight_decay;
	o.decoupled = decoupled;
	for (size_t i = 0; i < N; i++)
		value[i] = (double)w->value[i];
	for (int t = 1; t <= STEPS; t++) {
		set_gradient(w, t);
		ist_optimiser_step(&o, &group, 1);
		for (size_t i = 0; i < N; i++) {
			expect(&o, t, (double)(ist_real)sin((double)i + 10.0 * t), &value[i], &m[i],
			       &v[i]);
			if (!(fabs((double)w->value[i] - value[i]) <= TOLERANCE))
				fail_msg("%s step %d [%zu]: %.12g, expected %.12g", rule->name, t,
					 i, (double)w->value[i], value[i]);
		}
	}
	assert_int_equal(w->steps, STEPS);
	ist_optimiser_finish(&o);
	ist_weights_destroy(group);
}

static void test_every_rule(void **state)
{
	size_t n = 0;

	for (; ist_optimiser_rules[n] != NULL; n++) {
		check_rule(ist_optimiser_rules[n], 0, false);
		check_rule(ist_optimiser_rules[n], .1, false);
		check_rule(ist_optimiser_rules[n], .1, true);
	}
	assert_int_equal(n, 3);
}

static void test_clipping_is_over_all_groups(void **state)
{
	struct ist_weights *groups[2] = {group_create("a", 1, 1), group_create("b", 1, 1)};
	struct ist_optimiser o = optimiser(&ist_optimiser_sgd);
	ist_real before[2];

	o.momentum = 0;
	o.lr = 1;
	for (int round = 0; round < 2; round++) {
		o.clip = round == 0 ? 1 : 10; /* the norm of (3, 4) is 5 */
		for (int k = 0; k < 2; k++) {
			struct ist_weight *w = groups[k]->weights[0];

			before[k] = w->value[0];
			ist_weight_clear(w);
			ist_weight_dense(w)[0] = (ist_real)(3 + k);
		}
		ist_optimiser_step(&o, groups, 2);
		for (int k = 0; k < 2; k++)
			assert_float_equal(before[k] - groups[k]->weights[0]->value[0],
					   (3 + k) / (round == 0 ? 5.0 : 1.0), 1e-5);
	}
	ist_optimiser_finish(&o);
	ist_weights_destroy(groups[0]);
	ist_weights_destroy(groups[1]);
}

static void test_no_gradient_no_move(void **state)
{
	struct ist_weights *group = group_create("g", 3, 5);
	struct ist_weight *w = group->weights[0];
	struct ist_optimiser o = optimiser(&ist_optimiser_adam);
	ist_real value[15], moment[15];

	set_gradient(w, 1);
	ist_optimiser_step(&o, &group, 1);
	memcpy(value, w->value, sizeof(value));
	memcpy(moment, w->moment[0], sizeof(moment));
	ist_weight_clear(w);
	ist_optimiser_step(&o, &group, 1);
	assert_memory_equal(value, w->value, sizeof(value));
	assert_memory_equal(moment, w->moment[0], sizeof(moment));
	assert_int_equal(w->steps, 1);
	ist_optimiser_finish(&o);
	ist_weights_destroy(group);
}

/* An optimiser of some prefixes leaves the other weights alone, and out of its norm. */
static void test_moves_by_name(void **state)
{
	static const char *const names[] = {"image.w", "text.w", "caption.w"};
	struct ist_weights *group = ist_weights_create("g");
	struct ist_optimiser o = optimiser(&ist_optimiser_sgd);
	const double lr = o.lr = 1;
	size_t three = 3;

	o.weight_decay = o.momentum = 0;
	o.prefix[0] = "image.";
	o.prefix[1] = "text.";
	o.clip = sqrt(6) / 2;
	for (size_t i = 0; i < IST_COUNT(names); i++)
		ist_weights_add_normal(group, names[i], 1, &three, 1, 0);
	ist_weights_allocate(group, true);
	ist_weights_init(group, 1);
	for (size_t i = 0; i < group->n; i++)
		for (size_t k = 0; k < three; k++)
			ist_weight_dense(group->weights[i])[k] = 1;
	ist_optimiser_step(&o, &group, 1);
	for (size_t i = 0; i < group->n; i++) {
		assert_int_equal(group->weights[i]->steps, i < 2);
		assert_true(fabs((double)group->weights[i]->value[0] - (i < 2 ? 1 - lr / 2 : 1)) <
			    1e-6);
	}
	ist_optimiser_finish(&o);
	ist_weights_destroy(group);
}

/* A small network over a big weight, so that panels, blocks and threads all take part. */
struct net {
	struct ist_weights *theta;
	struct ist_graph *graph;
	ist_node *x, *y, *loss;
	struct ist_optimiser o;
};

static void net_init(struct net *net, const struct ist_optimiser_rule *rule)
{
	struct ist_err err;
	struct ist_rng rng;
	ist_node *w, *h;

	net->theta = ist_weights_create("theta");
	ist_weights_add_linear(net->theta, "one", 700, 130);
	ist_weights_add_linear(net->theta, "two", 130, 5);
	ist_weights_allocate(net->theta, true);
	ist_weights_init(net->theta, 9);
	net->graph = ist_graph_create();
	net->x = ist_input(net->graph, "x", 64, 700);
	net->y = ist_ids(net->graph, "y", 64);
	w = ist_weight(net->graph, net->theta, "one.weight");
	h = ist_tanh(ist_linear(net->x, w, ist_weight(net->graph, net->theta, "one.bias")));
	h = ist_linear(h, ist_weight(net->graph, net->theta, "two.weight"),
		       ist_weight(net->graph, net->theta, "two.bias"));
	net->loss = ist_add(ist_cross_entropy(h, net->y), ist_scale(ist_frobenius(w), .01));
	assert_ist_ok(ist_graph_compile(net->graph, true, &err));
	ist_rng_init(&rng, 4, "x");
	for (size_t i = 0; i < net->x->size; i++)
		net->x->value[i] = (ist_real)ist_rng_normal(&rng);
	for (size_t i = 0; i < 64; i++)
		net->y->ids[i] = (int32_t)(i % 5);
	net->o = optimiser(rule);
}

static void net_finish(struct net *net)
{
	ist_graph_destroy(net->graph);
	ist_weights_destroy(net->theta);
	ist_optimiser_finish(&net->o);
}

static void net_step(struct net *net, int n)
{
	for (int i = 0; i < n; i++) {
		ist_graph_forward(net->graph);
		ist_graph_backward(net->loss);
		ist_optimiser_step(&net->o, &net->theta, 1);
	}
}

static void assert_same_bits(const struct net *a, const struct net *b)
{
	size_t bytes = a->theta->size * sizeof(ist_real);

	assert_memory_equal(a->theta->value, b->theta->value, bytes);
	assert_memory_equal(a->theta->moment[0], b->theta->moment[0], bytes);
	assert_memory_equal(a->theta->moment[1], b->theta->moment[1], bytes);
}

static void test_training_learns(void **state)
{
	for (size_t k = 0; ist_optimiser_rules[k] != NULL; k++) {
		struct net net;
		ist_real first;

		net_init(&net, ist_optimiser_rules[k]);
		net.o.lr = ist_optimiser_rules[k] == &ist_optimiser_sgd ? .05 : .002;
		net_step(&net, 1);
		first = net.loss->value[0];
		net_step(&net, 30);
		assert_true(net.loss->value[0] < first / 2);
		net_finish(&net);
	}
}

static void test_threads_change_no_bit(void **state)
{
	int before = omp_get_max_threads();
	struct net one, three;

	omp_set_num_threads(1);
	net_init(&one, &ist_optimiser_adam);
	net_step(&one, 10);
	omp_set_num_threads(3);
	net_init(&three, &ist_optimiser_adam);
	net_step(&three, 10);
	assert_same_bits(&one, &three);
	net_finish(&one);
	net_finish(&three);
	omp_set_num_threads(before);
}

/* Gradients left in parts and gradients multiplied out first come to the same update. */
static void test_parts_equal_the_whole(void **state)
{
	struct net parts, whole;

	net_init(&parts, &ist_optimiser_sgd);
	net_init(&whole, &ist_optimiser_sgd);
	for (int i = 0; i < 5; i++) {
		net_step(&parts, 1);
		ist_graph_forward(whole.graph);
		ist_graph_backward(whole.loss);
		for (size_t k = 0; k < whole.theta->n; k++)
			ist_weight_settle(whole.theta->weights[k]);
		ist_optimiser_step(&whole.o, &whole.theta, 1);
	}
	for (size_t i = 0; i < parts.theta->size; i++)
		assert_float_equal(parts.theta->value[i], whole.theta->value[i], 1e-5);
	net_finish(&parts);
	net_finish(&whole);
}

static void test_checkpoint_goes_on_bit_for_bit(void **state)
{
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	struct net straight, stopped, resumed;
	ist_auto(ist_names_finish) struct ist_names names = {0};
	struct ist_safetensor t[64];
	struct ist_safetensors *file;
	ist_autofree char *path = NULL;
	struct ist_err err;
	size_t n;

	assert_non_null(mkdtemp(folder));
	path = ist_format("%s/checkpoint.safetensors", folder);
	net_init(&straight, &ist_optimiser_adam);
	net_step(&straight, 12);
	net_init(&stopped, &ist_optimiser_adam);
	net_step(&stopped, 5);
	assert_true(ist_weights_n_tensors(stopped.theta, true) <= IST_COUNT(t));
	n = ist_weights_tensors(stopped.theta, true, "p.", &names, t);
	assert_int_equal(n, ist_weights_n_tensors(stopped.theta, true));
	assert_ist_ok(ist_safetensors_write(path, t, n, NULL, &err));

	net_init(&resumed, &ist_optimiser_adam);
	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	assert_ist_ok(ist_weights_read(resumed.theta, true, "p.", file, &err));
	assert_int_equal(ist_weights_read(resumed.theta, true, "q.", file, NULL), IST_CORRUPT);
	ist_safetensors_close(file);
	net_step(&resumed, 7);
	assert_same_bits(&straight, &resumed);
	net_finish(&straight);
	net_finish(&stopped);
	net_finish(&resumed);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

TEST_MAIN(cmocka_unit_test(test_every_rule), cmocka_unit_test(test_clipping_is_over_all_groups),
	  cmocka_unit_test(test_no_gradient_no_move), cmocka_unit_test(test_moves_by_name),
	  cmocka_unit_test(test_training_learns), cmocka_unit_test(test_threads_change_no_bit),
	  cmocka_unit_test(test_parts_equal_the_whole),
	  cmocka_unit_test(test_checkpoint_goes_on_bit_for_bit))
