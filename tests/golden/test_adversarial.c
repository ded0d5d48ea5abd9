/*
 * ACMR and MNS-GAN against an independent implementation's numbers (make_methods wrote the
 * fixtures): codes, posteriors, the gradient of every unweighted term, losses of three steps,
 * weights after one and three updates. Built twice: in double, the binding run, and in float.
 */
#include "tests/golden/golden.h"
#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "core/methods/acmr.h"
#include "core/methods/mnsgan.h"

#define BATCH 8
#define STEPS 3

static const char *folder;

struct bed {
	struct golden g;
	struct ist_adversarial *net;
};

static void read_hidden(const struct golden *g, const char *key, size_t ret[IST_HIDDEN])
{
	const struct ist_safetensor *t = ist_safetensors_find(g->file, key);

	assert_non_null(t);
	for (size_t i = 0; i < ist_safetensor_count(t); i++)
		ret[i] = (size_t)((const double *)t->data)[i];
}

static struct ist_adversarial_settings settings_of(const struct golden *g)
{
	struct ist_adversarial_settings s = {.n_in = {12, 7},
					     .n_classes = 5,
					     .batch = BATCH,
					     .code = (size_t)golden_hyper(g, "d"),
					     .classifier_hidden = (size_t)golden_hyper(g, "hd"),
					     .alpha = golden_hyper(g, "alpha"),
					     .beta = golden_hyper(g, "beta"),
					     .reg = golden_hyper(g, "reg"),
					     .adversary = golden_hyper(g, "adv"),
					     .k = (long)golden_hyper(g, "k"),
					     .lr = golden_hyper(g, "lr"),
					     .beta1 = .5,
					     .beta2 = .999};

	read_hidden(g, "hyper/hi", s.hidden[IST_IMAGE]);
	read_hidden(g, "hyper/ht", s.hidden[IST_TEXT]);
	return s;
}

static void create_acmr(struct bed *bed)
{
	const struct golden *g = &bed->g;
	struct ist_acmr_settings s = {.net = settings_of(g),
				      .lambda = golden_hyper(g, "lam"),
				      .mu = golden_hyper(g, "mu"),
				      .own_pair = golden_hyper(g, "own_pair") != 0};
	struct ist_err err;

	assert_ist_ok(ist_acmr_create(&s, 0, &bed->net, &err));
}

static void create_mnsgan(struct bed *bed)
{
	const struct golden *g = &bed->g;
	struct ist_mnsgan_settings s = {.net = settings_of(g),
					.hinge = golden_hyper(g, "form_b") != 0,
					.n_negatives = 3,
					.tau = golden_hyper(g, "tau"),
					.lambda = golden_hyper(g, "lam"),
					.mu = golden_hyper(g, "mu"),
					.eta = golden_hyper(g, "eta")};
	struct ist_err err;

	assert_ist_ok(ist_mnsgan_create(&s, 0, &bed->net, &err));
}

static void load(const struct bed *bed, size_t step)
{
	struct ist_adversarial *a = bed->net;

	golden_load(&bed->g, "in/image", step, STEPS, a->image);
	golden_load(&bed->g, "in/text", step, STEPS, a->text);
	golden_load(&bed->g, "in/y", step, STEPS, a->y);
	golden_load(&bed->g, "in/l", step, STEPS, a->l);
	if (a->neg != NULL) {
		golden_load(&bed->g, "in/pos", step, STEPS, a->pos);
		golden_load(&bed->g, "in/neg", step, STEPS, a->neg);
	}
}

static void test_forward(struct bed *bed)
{
	const struct ist_adversarial *a = bed->net;
	const struct {
		const char *name;
		const ist_node *node;
	} values[] = {{"fwd/v", a->v},	      {"fwd/t", a->t},	   {"fwd/post_v", a->p_v},
		      {"fwd/post_t", a->p_t}, {"fwd/D_v", a->D_v}, {"fwd/D_t", a->D_t}};

	load(bed, 0);
	ist_graph_forward(a->graph);
	for (size_t i = 0; i < IST_COUNT(values); i++)
		golden_compare(&bed->g, values[i].name, values[i].node->value,
			       values[i].node->size);
}

/* Weights that the fixture lists no gradient for must have none. */
static void compare_gradients(struct golden *g, const char *term, struct ist_weights *group)
{
	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];
		ist_autofree char *name = ist_format("grad_%s/%s", term, w->name);

		if (!golden_has(g, name)) {
			assert_false(w->has_gradient);
			continue;
		}
		ist_weight_settle(w);
		golden_compare(g, name, w->gradient, w->size);
	}
}

enum { N_TERMS = 5 };
static const char *const term_names[N_TERMS] = {"imd", "imi", "reg", "adv", "total"};

static ist_node *term(const struct ist_adversarial *a, size_t i)
{
	return ((ist_node *[N_TERMS]){a->L_imd, a->L_imi, a->L_reg, a->L_adv, a->L})[i];
}

static void test_gradients(struct bed *bed)
{
	for (size_t i = 0; i < N_TERMS; i++) {
		ist_graph_backward(term(bed->net, i));
		compare_gradients(&bed->g, term_names[i], bed->net->theta);
		compare_gradients(&bed->g, term_names[i], bed->net->theta_D);
	}
}

static void compare_weights(struct bed *bed, size_t after)
{
	struct ist_weights *groups[] = {bed->net->theta, bed->net->theta_D};

	for (size_t k = 0; k < IST_COUNT(groups); k++) {
		for (size_t i = 0; i < groups[k]->n; i++) {
			struct ist_weight *w = groups[k]->weights[i];
			ist_autofree char *name = ist_format("after%zu/%s", after, w->name);

			golden_compare(&bed->g, name, w->value, w->size);
		}
	}
}

static void compare_losses(struct bed *bed, size_t step)
{
	for (size_t i = 0; i < N_TERMS; i++) {
		ist_autofree char *name = ist_format("loss%zu/%s", step, term_names[i]);

		golden_compare(&bed->g, name, term(bed->net, i)->value, 1);
	}
}

static void run(const char *name, void (*create)(struct bed *))
{
	struct bed bed;
	struct ist_err err;

	golden_open(&bed.g, folder, name);
	create(&bed);
	assert_ist_ok(ist_weights_read(bed.net->theta, false, "init/", bed.g.file, &err));
	assert_ist_ok(ist_weights_read(bed.net->theta_D, false, "init/", bed.g.file, &err));
	test_forward(&bed);
	test_gradients(&bed);
	for (size_t step = 0; step < STEPS; step++) {
		load(&bed, step);
		ist_adversarial_step(bed.net);
		compare_losses(&bed, step);
		if (step != 1)
			compare_weights(&bed, step + 1);
	}
	assert_true(bed.g.checked > 2000);
	ist_adversarial_destroy(bed.net);
	golden_close(&bed.g);
}

static void test_acmr(void **state)
{
	(void)state;
	run("acmr", create_acmr);
}

static void test_acmr_pair_k4(void **state)
{
	(void)state;
	run("acmr_pair_k4", create_acmr);
}

static void test_mnsgan_form_a(void **state)
{
	(void)state;
	run("mnsgan_form_a", create_mnsgan);
}

static void test_mnsgan_form_b(void **state)
{
	(void)state;
	run("mnsgan_form_b", create_mnsgan);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_acmr), cmocka_unit_test(test_acmr_pair_k4),
	    cmocka_unit_test(test_mnsgan_form_a), cmocka_unit_test(test_mnsgan_form_b)};

	(void)argc;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
