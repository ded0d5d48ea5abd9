/*
 * CM-GANs against an independent implementation's numbers (make_methods wrote the fixtures): codes,
 * reconstructions, posteriors, every loss and its gradient, the losses of three iterations, weights
 * and running statistics after one and three, and what the trained encoders give. Built twice: in
 * double, the binding run, and in float.
 *
 * A bias before a normalisation has a true gradient of 0 and Adam amplifies the rounding of that:
 * in float it is not compared after a step, nor are running means, nor what encoders that use them
 * give.
 */
#include "tests/golden/golden.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/cmgan.h"
#include "core/tensor/ops.h"

#define BATCH 8
#define STEPS 3

static const char *folder;
static const char letter[IST_N_MODALITIES] = {[IST_IMAGE] = 'I', [IST_TEXT] = 'T'};

struct bed {
	struct golden g;
	struct ist_cmgan *c;
};

/* The fixture has both second blocks under two names, and every second block both sites. */
static void fixture_name(const struct bed *bed, const char *name, char ret[64])
{
	bool shared = bed->c->s.tied && strncmp(name, "E2.", 3) == 0;
	bool statistic = strstr(name, ".mean") != NULL || strstr(name, ".var") != NULL;

	if (shared)
		snprintf(ret, 64, "E2.I.%s", name + 3);
	else if (statistic && strncmp(name, "E2.", 3) == 0)
		snprintf(ret, 64, "%s_%c", name, name[3]);
	else
		snprintf(ret, 64, "%s", name);
}

static void read_group(const struct bed *bed, const char *prefix, struct ist_weights *group)
{
	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];
		char name[64], key[96];
		const double *x;

		fixture_name(bed, w->name, name);
		snprintf(key, sizeof(key), "%s/%s", prefix, name);
		x = golden_numbers(&bed->g, key, w->size);
		for (size_t k = 0; k < w->size; k++)
			w->value[k] = (ist_real)x[k];
	}
	ist_weights_touch(group);
}

static void load(const struct bed *bed, size_t step)
{
	struct ist_cmgan_judges *j = &bed->c->judges;

	golden_load(&bed->g, "in/image", step, STEPS, j->x[IST_IMAGE]);
	golden_load(&bed->g, "in/text", step, STEPS, j->x[IST_TEXT]);
	golden_load(&bed->g, "in/wrong_image", step, STEPS, j->wrong[IST_IMAGE]);
	golden_load(&bed->g, "in/wrong_text", step, STEPS, j->wrong[IST_TEXT]);
	golden_load(&bed->g, "in/y", step, STEPS, j->y);
	ist_cmgan_share(bed->c);
}

static void compare_node(struct bed *bed, const char *format, int m, const ist_node *x)
{
	char name[64];

	snprintf(name, sizeof(name), format, letter[m]);
	golden_compare(&bed->g, name, x->value, x->size);
}

static void compare_loss(struct bed *bed, const char *when, const char *what, int m,
			 const char *part, const ist_node *loss, double factor)
{
	ist_autofree char *name = ist_format("%s/%s%c%s", when, what, letter[m], part);
	ist_real x = (ist_real)(factor * (double)loss->value[0]);

	golden_compare(&bed->g, name, &x, 1);
}

/* The fixture's reconstruction term carries its weight. */
static void compare_generator(struct bed *bed, const char *when, int m)
{
	const struct ist_cmgan_generator *n = &bed->c->generator[m];

	compare_loss(bed, when, "G_", m, ".cls", n->L_cls, 1);
	compare_loss(bed, when, "G_", m, ".dc", n->L_inter, 1);
	compare_loss(bed, when, "G_", m, ".d", n->L_intra, 1);
	if (bed->c->s.reconstruction > 0)
		compare_loss(bed, when, "G_", m, ".rec", n->L_rec, bed->c->s.reconstruction);
}

/* Gradients that the fixture does not list must be absent; those of unlisted parts of a loss's own
 * group are. */
static void compare_gradients(struct bed *bed, struct ist_weights *group, const char *loss)
{
	size_t found = 0;

	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];
		char name[64], key[96];

		fixture_name(bed, w->name, name);
		snprintf(key, sizeof(key), "grad_%s/%s", loss, name);
		if (!golden_has(&bed->g, key)) {
			assert_false(w->has_gradient);
			continue;
		}
		ist_weight_settle(w);
		golden_compare(&bed->g, key, w->gradient, w->size);
		found++;
	}
	assert_true(found > 0);
}

static void check_gradient(struct bed *bed, struct ist_weights *group, ist_node *loss,
			   const char *format, int m)
{
	char name[32];

	snprintf(name, sizeof(name), format, letter[m]);
	ist_weights_clear(group);
	ist_graph_backward(loss);
	compare_gradients(bed, group, name);
}

static void test_discriminators(struct bed *bed)
{
	struct ist_cmgan_judges *j = &bed->c->judges;

	ist_graph_forward(j->graph);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		compare_node(bed, "fwd/s_%c", m, j->s[m]);
		compare_node(bed, "fwd/r_%c", m, j->r[m]);
		compare_loss(bed, "loss_at_init", "D_", m, "", j->L_D[m], 1);
		compare_loss(bed, "loss_at_init", "DC_", m, "", j->L_DC[m], 1);
		check_gradient(bed, bed->c->theta_D, j->L_D[m], "D_%c", m);
		check_gradient(bed, bed->c->theta_D, j->L_DC[m], "DC_%c", m);
	}
}

static void test_generators(struct bed *bed)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		struct ist_cmgan_generator *n = &bed->c->generator[m];

		ist_graph_forward(n->graph);
		compare_generator(bed, "loss_at_init", m);
		check_gradient(bed, bed->c->theta_G, n->L_cls, "G_%c.cls", m);
		check_gradient(bed, bed->c->theta_G, n->L_inter, "G_%c.dc", m);
		check_gradient(bed, bed->c->theta_G, n->L_intra, "G_%c.d", m);
		check_gradient(bed, bed->c->theta_G, n->L, "G_%c", m);
		ist_weights_clear(bed->c->theta_G);
	}
}

#ifdef IST_REAL_DOUBLE
static bool is_compared(const char *name)
{
	(void)name;
	return true;
}
#else
static bool is_compared(const char *name)
{
	return strstr(name, ".lin.bias") == NULL && strstr(name, ".mean") == NULL;
}
#endif

static void compare_weights(struct bed *bed, size_t after)
{
	struct ist_weights *groups[] = {bed->c->theta_G, bed->c->theta_D};

	for (size_t k = 0; k < IST_COUNT(groups); k++) {
		for (size_t i = 0; i < groups[k]->n; i++) {
			const struct ist_weight *w = groups[k]->weights[i];
			char name[64], key[96];

			if (!is_compared(w->name))
				continue;
			fixture_name(bed, w->name, name);
			snprintf(key, sizeof(key), "after%zu/%s", after, name);
			golden_compare(&bed->g, key, w->value, w->size);
		}
	}
}

/* The discriminators' values are of before their update, the generators' of the last round. */
static void compare_losses(struct bed *bed, size_t step)
{
	ist_autofree char *when = ist_format("loss%zu", step);
	struct ist_cmgan_judges *j = &bed->c->judges;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		compare_loss(bed, when, "D_", m, "", j->L_D[m], 1);
		compare_loss(bed, when, "D_C", m, "", j->L_DC[m], 1);
		compare_generator(bed, when, m);
	}
}

/* The trained encoders with their running statistics, on batch 0. */
static void test_encoders(struct bed *bed)
{
	struct ist_graph *graph = ist_graph_create();
	struct ist_weights *theta = bed->c->theta_G;
	ist_node *x[IST_N_MODALITIES], *s[IST_N_MODALITIES], *p[IST_N_MODALITIES];
	struct ist_err err;

	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++) {
		x[m] = ist_input(graph, "x", BATCH, bed->c->s.n_in[m]);
		s[m] = ist_cmgan_encode(graph, theta, &bed->c->s, m, x[m]);
		p[m] = ist_softmax(ist_cmgan_classify(graph, theta, &bed->c->s, m, s[m]));
	}
	assert_ist_ok(ist_graph_compile(graph, false, &err));
	golden_load(&bed->g, "in/image", 0, STEPS, x[IST_IMAGE]);
	golden_load(&bed->g, "in/text", 0, STEPS, x[IST_TEXT]);
	ist_graph_forward(graph);
	golden_compare(&bed->g, "eval/v", s[IST_IMAGE]->value, s[IST_IMAGE]->size);
	golden_compare(&bed->g, "eval/t", s[IST_TEXT]->value, s[IST_TEXT]->size);
	golden_compare(&bed->g, "eval/post_v", p[IST_IMAGE]->value, p[IST_IMAGE]->size);
	golden_compare(&bed->g, "eval/post_t", p[IST_TEXT]->value, p[IST_TEXT]->size);
	ist_graph_destroy(graph);
}

static void create(struct bed *bed, const char *name)
{
	const struct golden *g = &bed->g;
	struct ist_cmgan_settings s = {.n_in = {12, 7}, .n_classes = 5, .batch = BATCH};
	struct ist_err err;

	golden_open(&bed->g, folder, name);
	s.code = (size_t)golden_hyper(g, "d");
	s.discriminator_hidden = (size_t)golden_hyper(g, "dc");
	s.tied = golden_hyper(g, "tied") != 0;
	s.wrong_own = golden_hyper(g, "wrong_own") != 0;
	s.inter = golden_hyper(g, "adv_c");
	s.intra = golden_hyper(g, "adv_r");
	s.cls = golden_hyper(g, "cls");
	s.reconstruction = golden_hyper(g, "rec");
	s.rounds = (long)golden_hyper(g, "n_g");
	s.lr = golden_hyper(g, "lr");
	s.weight_decay = golden_hyper(g, "wd");
	s.beta1 = .5;
	s.beta2 = .999;
	assert_ist_ok(ist_cmgan_create(&s, 0, &bed->c, &err));
	read_group(bed, "init", bed->c->theta_G);
	read_group(bed, "init", bed->c->theta_D);
}

static void run(const char *name)
{
	struct bed bed;

	create(&bed, name);
	load(&bed, 0);
	test_discriminators(&bed);
	test_generators(&bed);
	for (size_t step = 0; step < STEPS; step++) {
		load(&bed, step);
		ist_cmgan_step(bed.c);
		compare_losses(&bed, step);
		if (step != 1)
			compare_weights(&bed, step + 1);
	}
	if (is_compared("E1.I.mean"))
		test_encoders(&bed);
	assert_true(bed.g.checked > 3000);
	ist_cmgan_destroy(bed.c);
	golden_close(&bed.g);
}

static void test_cmgan(void **state)
{
	(void)state;
	run("cmgan");
}

static void test_cmgan_untied_own_rec(void **state)
{
	(void)state;
	run("cmgan_untied_own_rec");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cmgan),
					   cmocka_unit_test(test_cmgan_untied_own_rec)};

	(void)argc;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
