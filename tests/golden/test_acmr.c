/*
 * ACMR against an independent implementation's numbers (make_acmr wrote the fixtures): codes,
 * posteriors, the gradient of every unweighted term, losses of three steps, weights after one and
 * three updates. Built twice: in double, the binding run, and in float.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/acmr.h"

#ifdef IST_REAL_DOUBLE
#define ABSOLUTE 1e-9
#define RELATIVE 1e-9
#else
#define ABSOLUTE 1e-5
#define RELATIVE 1e-4
#endif

#define BATCH 8
#define STEPS 3

static const char *folder;

struct golden {
	struct ist_safetensors *file;
	struct ist_adversarial *acmr;
	size_t checked;
};

static const double *numbers(const struct golden *g, const char *name, size_t count)
{
	const struct ist_safetensor *t = ist_safetensors_find(g->file, name);

	if (t == NULL || ist_safetensor_count(t) != count)
		fail_msg("%s is not in the fixture with %zu numbers", name, count);
	return t->data;
}

static double hyper(const struct golden *g, const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "hyper/%s", name);
	return numbers(g, key, 1)[0];
}

static void compare(struct golden *g, const char *name, const ist_real *x, size_t n)
{
	const double *want = numbers(g, name, n);

	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)x[i] - want[i]) <= ABSOLUTE + RELATIVE * fabs(want[i])))
			fail_msg("%s[%zu]: %.12g, expected %.12g", name, i, (double)x[i], want[i]);
	g->checked += n;
}

static void read_hidden(const struct golden *g, const char *key, size_t ret[IST_HIDDEN])
{
	const struct ist_safetensor *t = ist_safetensors_find(g->file, key);

	assert_non_null(t);
	for (size_t i = 0; i < ist_safetensor_count(t); i++)
		ret[i] = (size_t)((const double *)t->data)[i];
}

static void open_golden(struct golden *g, const char *name)
{
	ist_autofree char *path = ist_format("%s/%s.golden", folder, name);
	struct ist_err err;
	struct ist_acmr_settings s = {.net = {.n_in = {12, 7}, .n_classes = 5, .batch = BATCH}};

	*g = (struct golden){0};
	assert_ist_ok(ist_safetensors_open(path, &g->file, &err));
	read_hidden(g, "hyper/hi", s.net.hidden[IST_IMAGE]);
	read_hidden(g, "hyper/ht", s.net.hidden[IST_TEXT]);
	s.net.code = (size_t)hyper(g, "d");
	s.net.classifier_hidden = (size_t)hyper(g, "hd");
	s.net.alpha = hyper(g, "alpha");
	s.net.beta = hyper(g, "beta");
	s.lambda = hyper(g, "lam");
	s.mu = hyper(g, "mu");
	s.net.reg = hyper(g, "reg");
	s.net.adversary = hyper(g, "adv");
	s.own_pair = hyper(g, "own_pair") != 0;
	s.net.k = (long)hyper(g, "k");
	s.net.lr = hyper(g, "lr");
	s.net.beta1 = .5;
	s.net.beta2 = .999;
	assert_ist_ok(ist_acmr_create(&s, 0, &g->acmr, &err));
	assert_ist_ok(ist_weights_read(g->acmr->theta, false, "init/", g->file, &err));
	assert_ist_ok(ist_weights_read(g->acmr->theta_D, false, "init/", g->file, &err));
}

static void close_golden(struct golden *g)
{
	ist_adversarial_destroy(g->acmr);
	ist_safetensors_close(g->file);
}

static void load(const struct golden *g, size_t step)
{
	struct ist_adversarial *a = g->acmr;
	const struct ist_safetensor *y = ist_safetensors_find(g->file, "in/y");

	for (size_t i = 0; i < a->image->size; i++)
		a->image->value[i] = (ist_real)numbers(
		    g, "in/image", STEPS * a->image->size)[step * a->image->size + i];
	for (size_t i = 0; i < a->text->size; i++)
		a->text->value[i] = (ist_real)numbers(
		    g, "in/text", STEPS * a->text->size)[step * a->text->size + i];
	for (size_t i = 0; i < BATCH; i++)
		a->y->ids[i] = (int32_t)((const double *)y->data)[step * BATCH + i];
	a->l->value[0] = (ist_real)numbers(g, "in/l", STEPS)[step];
}

static void test_forward(struct golden *g)
{
	struct ist_adversarial *a = g->acmr;
	const struct {
		const char *name;
		const ist_node *node;
	} values[] = {{"fwd/v", a->v},	      {"fwd/t", a->t},	   {"fwd/post_v", a->p_v},
		      {"fwd/post_t", a->p_t}, {"fwd/D_v", a->D_v}, {"fwd/D_t", a->D_t}};

	load(g, 0);
	ist_graph_forward(a->graph);
	for (size_t i = 0; i < IST_COUNT(values); i++)
		compare(g, values[i].name, values[i].node->value, values[i].node->size);
}

/* Weights that the fixture lists no gradient for must have none. */
static void compare_gradients(struct golden *g, const char *term, struct ist_weights *group)
{
	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];
		ist_autofree char *name = ist_format("grad_%s/%s", term, w->name);

		if (ist_safetensors_find(g->file, name) == NULL) {
			assert_false(w->has_gradient);
			continue;
		}
		ist_weight_settle(w);
		compare(g, name, w->gradient, w->size);
	}
}

static void test_gradients(struct golden *g)
{
	struct ist_adversarial *a = g->acmr;
	const struct {
		const char *name;
		ist_node *loss;
	} terms[] = {{"imd", a->L_imd},
		     {"imi", a->L_imi},
		     {"reg", a->L_reg},
		     {"adv", a->L_adv},
		     {"total", a->L}};

	for (size_t i = 0; i < IST_COUNT(terms); i++) {
		ist_graph_backward(terms[i].loss);
		compare_gradients(g, terms[i].name, a->theta);
		compare_gradients(g, terms[i].name, a->theta_D);
	}
}

static void compare_weights(struct golden *g, size_t after)
{
	struct ist_weights *groups[] = {g->acmr->theta, g->acmr->theta_D};

	for (size_t k = 0; k < IST_COUNT(groups); k++) {
		for (size_t i = 0; i < groups[k]->n; i++) {
			struct ist_weight *w = groups[k]->weights[i];
			ist_autofree char *name = ist_format("after%zu/%s", after, w->name);

			compare(g, name, w->value, w->size);
		}
	}
}

static void compare_losses(struct golden *g, size_t step)
{
	struct ist_adversarial *a = g->acmr;
	const struct {
		const char *name;
		const ist_node *loss;
	} terms[] = {{"imd", a->L_imd},
		     {"imi", a->L_imi},
		     {"reg", a->L_reg},
		     {"adv", a->L_adv},
		     {"total", a->L}};

	for (size_t i = 0; i < IST_COUNT(terms); i++) {
		ist_autofree char *name = ist_format("loss%zu/%s", step, terms[i].name);

		compare(g, name, terms[i].loss->value, 1);
	}
}

static void run(const char *name)
{
	struct golden g;

	open_golden(&g, name);
	test_forward(&g);
	test_gradients(&g);
	for (size_t step = 0; step < STEPS; step++) {
		load(&g, step);
		ist_adversarial_step(g.acmr);
		compare_losses(&g, step);
		if (step != 1)
			compare_weights(&g, step + 1);
	}
	assert_true(g.checked > 2000);
	close_golden(&g);
}

static void test_acmr(void **state)
{
	(void)state;
	run("acmr");
}

static void test_acmr_pair_k4(void **state)
{
	(void)state;
	run("acmr_pair_k4");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_acmr),
					   cmocka_unit_test(test_acmr_pair_k4)};

	(void)argc;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
