/*
 * GXN's imagination against plain loops, in both number types: the discriminator's terms and their
 * weights, the conditioning augmentation, the running average; in double both losses' gradients
 * against central differences, with what is a constant held. What a wrong text costs with its
 * weight and without, two colours learned from two texts, and steps that allocate nothing.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"
#include "tests/unit/allocations.h"

#ifdef IST_REAL_DOUBLE
#define TOLERANCE 1e-10
#else
#define TOLERANCE 2e-4
#endif
#define H 1e-6
#define TOLERANCE_GRADIENT 2e-6
#define BATCH 5
#define SIDE 16

struct bed {
	struct ist_gxn_settings s;
	struct ist_weights *theta, *generator, *critic;
	struct ist_gxn_imagine *part;
	struct ist_optimiser encoders;
	struct ist_gxn_batch batch;
	ist_real *x[IST_N_MODALITIES];
	int32_t *item;
};

static struct ist_gxn_settings features(void)
{
	return (struct ist_gxn_settings){.n_in = {7, 5},
					 .d = 4,
					 .batch = BATCH,
					 .score = IST_ORDER,
					 .lr = 1e-3,
					 .generator = IST_GXN_FEATURE,
					 .z = 3,
					 .condition = 4,
					 .g = 1,
					 .f = 1,
					 .beta_f = .4,
					 .beta_w = .7,
					 .beta_s = 1.5,
					 .gan_lr = 1e-3,
					 .critic_lr = 1e-3,
					 .average = .9};
}

static struct ist_gxn_settings pixels(void)
{
	struct ist_gxn_settings s = features();

	s.n_in[IST_IMAGE] = (size_t)3 * SIDE * SIDE;
	s.side = SIDE;
	s.generator = IST_GXN_PIXELS;
	s.projection = true;
	s.f = 2;
	return s;
}

/* Pictures of the levels 0 .. 255 as the encoder has them; texts of small numbers. */
static void fill_batch(struct bed *bed)
{
	size_t n_image = bed->s.batch * bed->s.n_in[IST_IMAGE];
	size_t n_text = bed->s.batch * ist_gxn_width(&bed->s, IST_TEXT);

	for (size_t i = 0; i < n_image; i++)
		bed->x[IST_IMAGE][i] = (ist_real)((i * 37 + i / 7) % 256 + 1) / 256;
	for (size_t i = 0; i < n_text; i++)
		bed->x[IST_TEXT][i] =
		    (ist_real)(bed->s.gru ? 10 * (1 + i % 4) : cos((double)(i * i % 29)));
	for (size_t i = 0; i < bed->s.batch; i++)
		bed->item[i] = (int32_t)i;
}

static void bed_init(struct bed *bed, struct ist_gxn_settings s)
{
	struct ist_weight *vocabulary;
	struct ist_err err;

	*bed = (struct bed){.s = s,
			    .theta = ist_gxn_theta(&s, true),
			    .generator = ist_gxn_generator(&s),
			    .critic = ist_gxn_critic(&s),
			    .encoders = ist_gxn_encoders_optimiser(&s)};
	ist_weights_init(bed->theta, 3);
	ist_weights_init(bed->generator, 3);
	ist_weights_init(bed->critic, 3);
	vocabulary = ist_weights_find(bed->theta, "text.vocabulary");
	for (size_t i = 0; vocabulary != NULL && i < vocabulary->size; i++)
		vocabulary->value[i] = (ist_real)(10 * (i + 1));
	assert_ist_ok(
	    ist_gxn_imagine_create(&s, bed->theta, bed->generator, bed->critic, &bed->part, &err));
	bed->item = ist_alloc(s.batch, sizeof(*bed->item));
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		bed->x[m] =
		    ist_alloc(s.batch * ist_gxn_width(&s, (enum ist_modality)m), sizeof(**bed->x));
		bed->batch.x[m] = bed->x[m];
	}
	bed->batch.seed = 6;
	bed->batch.item = bed->item;
	fill_batch(bed);
}

static void bed_finish(struct bed *bed)
{
	ist_gxn_imagine_destroy(bed->part);
	ist_weights_destroy(bed->theta);
	ist_weights_destroy(bed->generator);
	ist_weights_destroy(bed->critic);
	ist_optimiser_finish(&bed->encoders);
	free(bed->x[IST_IMAGE]);
	free(bed->x[IST_TEXT]);
	free(bed->item);
}

static struct ist_gxn_imagine_terms bed_step(struct bed *bed)
{
	struct ist_gxn_imagine_terms terms;

	ist_gxn_imagine_step(bed->part, &bed->batch, &bed->encoders, &terms);
	bed->batch.step++;
	return terms;
}

static void assert_near(double got, double want)
{
	if (!(fabs(got - want) <= TOLERANCE * (1 + fabs(want))))
		fail_msg("%.12g, expected %.12g", got, want);
}

/* ---- by plain loops ---- */

/* W x + b, where asked through a leaky ReLU. */
static void linear(const struct ist_weights *group, const char *name, const double *x, bool lrelu,
		   double *ret)
{
	ist_autofree char *weight = ist_format("%s.weight", name);
	ist_autofree char *bias = ist_format("%s.bias", name);
	const struct ist_weight *w = ist_weights_find(group, weight);
	const struct ist_weight *b = ist_weights_find(group, bias);

	for (size_t i = 0; i < w->rows; i++) {
		ret[i] = (double)b->value[i];
		for (size_t j = 0; j < w->cols; j++)
			ret[i] += (double)w->value[i * w->cols + j] * x[j];
		if (lrelu && ret[i] < 0)
			ret[i] *= .2;
	}
}

/* sqrt(d) t_l of row i. */
static void scaled_level(const struct bed *bed, const ist_node *t_l, size_t i, double *ret)
{
	for (size_t j = 0; j < bed->s.d; j++)
		ret[j] = sqrt((double)bed->s.d) * (double)t_l->value[i * bed->s.d + j];
}

/* D's logit of a feature beside a text, row i of both. */
static double logit(const struct bed *bed, const ist_node *x, const ist_node *t_l, size_t i)
{
	double in[64], joined[64], t[64], y[64], ret;
	size_t n = bed->s.n_in[IST_IMAGE], width = 16 * bed->s.f;

	for (size_t j = 0; j < n; j++)
		in[j] = (double)x->value[i * n + j];
	linear(bed->critic, "D.first", in, true, joined);
	scaled_level(bed, t_l, i, t);
	linear(bed->critic, "D.condition", t, true, joined + width);
	linear(bed->critic, "D.join", joined, true, y);
	linear(bed->critic, "D.last", y, false, &ret);
	return ret;
}

/* -target log sigmoid - (1 - target) log(1 - sigmoid), mean over the batch. */
static double cross_entropy(const struct bed *bed, const ist_node *x, const ist_node *t_l,
			    double target)
{
	double sum = 0;

	for (size_t i = 0; i < bed->s.batch; i++) {
		double p = 1 / (1 + exp(-logit(bed, x, t_l, i)));

		sum -= target * log(p) + (1 - target) * log(1 - p);
	}
	return sum / (double)bed->s.batch;
}

static void run_judges(struct bed *bed)
{
	bed_step(bed); /* fills the inputs */
	ist_graph_forward(bed->part->judges.graph);
}

static void test_terms_of_the_discriminator(void **state)
{
	struct ist_gxn_settings s = features();
	struct bed bed;

	for (int smooth = 0; smooth <= 1; smooth++) {
		const struct ist_gxn_judges *j;
		double real, wrong, fake;

		s.smoothing = smooth ? .1 : 0;
		bed_init(&bed, s);
		run_judges(&bed);
		j = &bed.part->judges;
		real = cross_entropy(&bed, j->real, j->t_l, 1 - s.smoothing);
		wrong = cross_entropy(&bed, j->real, j->t_wrong, 0);
		fake = cross_entropy(&bed, j->fake, j->t_l, 0);
		assert_near((double)j->L_real->value[0], real);
		assert_near((double)j->L_wrong->value[0], wrong);
		assert_near((double)j->L_fake->value[0], fake);
		assert_near((double)j->L->value[0], real + s.beta_w * wrong + s.beta_f * fake);
		bed_finish(&bed);
	}
}

/* Every row's wrong text is another item's of the batch. */
static void test_wrong_texts_are_of_other_items(void **state)
{
	struct ist_gxn_settings s = features();
	struct bed bed;

	s.batch = 12;
	bed_init(&bed, s);
	for (size_t i = 0; i < s.batch; i++)
		bed.item[i] = (int32_t)(i / 4 * 4);
	for (int step = 0; step < 20; step++) {
		const struct ist_gxn_judges *j = &bed.part->judges;

		bed_step(&bed);
		for (size_t i = 0; i < s.batch; i++) {
			size_t from = s.batch;

			for (size_t k = 0; k < s.batch; k++)
				if (memcmp(j->t_wrong->value + i * s.d, j->t_l->value + k * s.d,
					   s.d * sizeof(ist_real)) == 0)
					from = k;
			assert_true(from < s.batch && bed.item[from] != bed.item[i]);
		}
	}
	bed_finish(&bed);
}

static double alike(const ist_node *t_l, size_t i, const ist_real *t)
{
	size_t d = t_l->dim[1];
	double sum = 0;

	for (size_t j = 0; j < d; j++)
		sum += (double)t_l->value[i * d + j] * (double)t[j];
	return sum;
}

/* Of very many draws the most alike is the most alike of the batch. */
static void test_wrong_texts_can_be_the_most_alike(void **state)
{
	struct ist_gxn_settings s = features();
	const struct ist_gxn_judges *j;
	struct bed bed;

	s.batch = 12;
	s.wrong_draws = 500;
	bed_init(&bed, s);
	bed_step(&bed);
	j = &bed.part->judges;
	for (size_t i = 0; i < s.batch; i++)
		for (size_t k = 0; k < s.batch; k++)
			assert_true(k == i ||
				    alike(j->t_l, i, j->t_l->value + k * s.d) <=
					alike(j->t_l, i, j->t_wrong->value + i * s.d) + 1e-6);
	bed_finish(&bed);
}

/* mu, s = L lrelu(L sqrt(d) t_l), and KL = (mu^2 + sigma^2 - 1 - log sigma^2) / 2, their mean; D
 * sees pictures in -1 .. 1. */
static void test_condition_and_inputs(void **state)
{
	struct bed bed;
	const struct ist_gxn_dreams *n;
	double kl = 0;
	struct ist_gxn_imagine_terms terms;

	bed_init(&bed, pixels());
	n = &bed.part->dreams;
	bed_step(&bed);
	ist_graph_forward(n->graph);
	for (size_t i = 0; i < BATCH; i++) {
		double t[8], phi[8], mu[8], v[8];

		scaled_level(&bed, n->t_l, i, t);
		linear(bed.generator, "generator.phi", t, true, phi);
		linear(bed.generator, "generator.mu", phi, false, mu);
		linear(bed.generator, "generator.sigma", phi, false, v);
		for (size_t j = 0; j < bed.s.condition; j++) {
			kl += (mu[j] * mu[j] + exp(v[j]) - 1 - v[j]) / 2;
			assert_near((double)n->L_KL->in[0]->value[i * bed.s.condition + j], mu[j]);
		}
	}
	assert_near((double)n->L_KL->value[0], kl / (double)(BATCH * bed.s.condition));
	assert_near((double)n->L->value[0],
		    (double)n->L_fool->value[0] + bed.s.beta_s * (double)n->L_KL->value[0]);
	terms = bed_step(&bed);
	assert_near(terms.L_G, (double)n->L_fool->value[0]);
	for (size_t i = 0; i < bed.part->judges.real->size; i++) {
		double level = 256 * (double)bed.x[IST_IMAGE][i] - 1;

		assert_near((double)bed.part->judges.real->value[i], level / 127.5 - 1);
		assert_true(fabs((double)n->fake->value[i]) <= 1);
	}
	bed_finish(&bed);
}

/* Its spread on the pictures that D and G see, which fades with the training. */
static double noise_seen(struct bed *bed, double phase)
{
	const struct ist_gxn_imagine *a = bed->part;
	double real = 0, drawn = 0;

	bed->batch.phase = phase;
	bed_step(bed);
	for (size_t i = 0; i < a->judges.real->size; i++) {
		double level = 256 * (double)bed->x[IST_IMAGE][i] - 1;

		real += pow((double)a->judges.real->value[i] - (level / 127.5 - 1), 2);
		drawn += pow((double)a->dreams.noise->value[i], 2);
	}
	assert_true(fabs(real - drawn) <= .1 * drawn + 1e-6);
	return sqrt(drawn / (double)a->judges.real->size);
}

static void test_noise_on_pictures_fades(void **state)
{
	struct ist_gxn_settings s = pixels();
	struct bed bed;

	s.noise = .3;
	bed_init(&bed, s);
	assert_true(fabs(noise_seen(&bed, 0) - .3) < .02);
	assert_true(fabs(noise_seen(&bed, .5) - .15) < .01);
	assert_true(noise_seen(&bed, 1) == 0);
	bed_finish(&bed);
}

/* The first step is kept whole; with 0 each one is. */
static void test_running_average(void **state)
{
	struct ist_gxn_settings s = features();
	struct bed bed;

	for (int at_once = 0; at_once <= 1; at_once++) {
		const struct ist_weight *live, *kept;
		ist_real before;
		double share;

		s.average = at_once ? 0 : .9;
		bed_init(&bed, s);
		live = ist_weights_find(bed.generator, "generator.first.weight");
		kept = ist_weights_find(bed.theta, "render.first.weight");
		bed_step(&bed);
		assert_memory_equal(live->value, kept->value, live->size * sizeof(*live->value));
		before = kept->value[1];
		bed_step(&bed);
		share = at_once ? 1 : 1 - 1. / 11;
		assert_near((double)kept->value[1],
			    (1 - share) * (double)before + share * (double)live->value[1]);
		bed_finish(&bed);
	}
}

/* The kept generator's statistics become those of its own pictures. */
static void test_settled_statistics(void **state)
{
	struct bed bed;
	const struct ist_weight *mean;
	const ist_node *x;
	double sum = 0;

	bed_init(&bed, features());
	bed_step(&bed);
	ist_gxn_imagine_settle(bed.part, &bed.batch, 1);
	mean = ist_weights_find(bed.theta, "render.norm1.running_mean");
	assert_ptr_equal(bed.part->rest.norms.use[1].mean, mean);
	x = bed.part->rest.norms.use[1].y->in[0];
	for (size_t i = 0; i < BATCH; i++)
		sum += (double)x->value[i * x->dim[1] + 2] / BATCH;
	assert_near((double)mean->value[2], sum);
	bed_finish(&bed);
}

#ifdef IST_REAL_DOUBLE
/* ---- gradients ---- */

typedef double loss(struct bed *bed);

static double loss_of_D(struct bed *bed)
{
	ist_graph_forward(bed->part->judges.graph);
	return bed->part->judges.L->value[0];
}

static ist_real level_held[64];

/* What D compares with is held, as its gradient is. */
static double loss_of_G(struct bed *bed)
{
	const struct ist_gxn_dreams *n = &bed->part->dreams;

	ist_graph_forward_part(n->graph, NULL, n->fake);
	memcpy(n->t_l->value, level_held, n->t_l->size * sizeof(ist_real));
	ist_graph_forward_part(n->graph, n->fake, NULL);
	return n->L->value[0];
}

static size_t check_group(struct bed *bed, struct ist_weights *group, loss *L)
{
	size_t reached = 0;

	for (size_t k = 0; k < group->n; k++) {
		struct ist_weight *w = group->weights[k];

		if (w->has_gradient)
			ist_weight_settle(w);
		for (size_t i = 0; w->has_gradient && i < w->size; i += w->size / 30 + 1) {
			double was = w->value[i], got = w->gradient[i], up, down;

			w->value[i] = was + H;
			up = L(bed);
			w->value[i] = was - H;
			down = L(bed);
			w->value[i] = was;
			if (!(fabs(got - (up - down) / (2 * H)) <=
			      TOLERANCE_GRADIENT * (1 + fabs(got))))
				fail_msg("dL / d%s[%zu]: %.12g, expected %.12g", w->name, i, got,
					 (up - down) / (2 * H));
		}
		reached += w->has_gradient;
	}
	return reached;
}

/* The terms' sum weighs in the gradient as it does in the value, D's own weights get none of L_G's,
 * and of the texts' encoders only the grounded level is reached. */
static void check_gradients(struct ist_gxn_settings s)
{
	struct bed bed;
	const struct ist_gxn_dreams *n;

	bed_init(&bed, s);
	bed_step(&bed);
	n = &bed.part->dreams;
	ist_weights_clear(bed.critic);
	loss_of_D(&bed);
	ist_graph_backward(bed.part->judges.L);
	assert_true(check_group(&bed, bed.critic, loss_of_D) > 6);
	ist_weights_clear(bed.critic);
	ist_weights_clear(bed.generator);
	ist_weights_clear(bed.theta);
	ist_graph_forward(n->graph);
	memcpy(level_held, n->t_l->value, n->t_l->size * sizeof(ist_real));
	ist_graph_backward(n->L);
	assert_true(check_group(&bed, bed.generator, loss_of_G) > 6);
	assert_true(check_group(&bed, bed.theta, loss_of_G) > 1);
	assert_true(ist_weights_find(bed.theta, "text.l.weight")->has_gradient);
	assert_false(ist_weights_find(bed.theta, "text.h.weight")->has_gradient);
	assert_false(ist_weights_find(bed.critic, "D.last.weight")->has_gradient);
	bed_finish(&bed);
}

static void test_gradients(void **state)
{
	struct ist_gxn_settings s = pixels();

	check_gradients(features());
	check_gradients(s);
	s.projection = false;
	s.noise = .2;
	s.gru = true;
	s.words = s.n_in[IST_TEXT] = 3;
	s.vocabulary = 3;
	s.hidden = 3;
	s.word_width = 4;
	check_gradients(s);
}
#else
static void test_gradients(void **state)
{
	skip(); /* differences of floats say little */
}
#endif

/* ---- what is learned ---- */

/* Rows are one of two kinds: a picture all bright or all dark, and its text. */
static void two_kinds(struct bed *bed)
{
	size_t n = bed->s.n_in[IST_IMAGE], width = bed->s.n_in[IST_TEXT];

	for (size_t i = 0; i < bed->s.batch; i++) {
		for (size_t k = 0; k < n; k++)
			bed->x[IST_IMAGE][i * n + k] = (ist_real)(i % 2 == 0 ? .9 : .1);
		for (size_t k = 0; k < width; k++)
			bed->x[IST_TEXT][i * width + k] = k % 2 == i % 2 ? 1 : 0;
		bed->item[i] = (int32_t)(i % 2);
	}
}

/* How sure D becomes that a true feature beside a wrong text is no pair. */
static double punished(double beta_w)
{
	struct ist_gxn_settings s = features();
	struct bed bed;
	double wrong;

	s.batch = 8;
	s.beta_w = beta_w;
	s.beta_f = 0;
	s.gan_lr = s.critic_lr = 3e-3;
	bed_init(&bed, s);
	two_kinds(&bed);
	for (int i = 0; i < 300; i++)
		bed_step(&bed);
	wrong = (double)bed.part->judges.L_wrong->value[0];
	bed_finish(&bed);
	return wrong;
}

static void test_without_its_weight_a_wrong_text_costs_nothing(void **state)
{
	assert_true(punished(.5) < .4);
	assert_true(punished(0) > .9);
}

/* Of what the model would draw for both kinds: mean brightness of a text's pictures. */
static void brightness(struct bed *bed, double ret[2])
{
	const struct ist_gxn_dreams *n = &bed->part->dreams;
	size_t each = n->fake->size / bed->s.batch;

	ret[0] = ret[1] = 0;
	for (size_t i = 0; i < n->fake->size; i++)
		ret[i / each % 2] += 2 * (double)n->fake->value[i] / (double)n->fake->size;
}

static void test_two_colours_are_learned(void **state)
{
	struct ist_gxn_settings s = pixels();
	struct bed bed;
	double seen[2];

	s.batch = 16;
	s.g = s.f = 4;
	s.beta_s = .2;
	s.gan_lr = s.critic_lr = 1e-3;
	bed_init(&bed, s);
	two_kinds(&bed);
	for (int i = 0; i < 400; i++)
		bed_step(&bed);
	brightness(&bed, seen);
	if (!(seen[0] > .3 && seen[1] < -.3))
		fail_msg("bright %.3f, dark %.3f; wanted near .8 and -.8", seen[0], seen[1]);
	bed_finish(&bed);
}

static void check_allocations(struct ist_gxn_settings s)
{
	struct bed bed;

	bed_init(&bed, s);
	allocations_begin();
	bed_step(&bed);
	bed_step(&bed);
	assert_true(allocations_end() > 0);
	allocations_begin();
	for (int i = 0; i < 20; i++)
		bed_step(&bed);
	assert_int_equal(allocations_end(), 0);
	bed_finish(&bed);
}

static void test_steps_allocate_nothing(void **state)
{
	if (!ALLOCATIONS_COUNT)
		skip();
	check_allocations(features());
	check_allocations(pixels());
}

TEST_MAIN(cmocka_unit_test(test_terms_of_the_discriminator),
	  cmocka_unit_test(test_wrong_texts_are_of_other_items),
	  cmocka_unit_test(test_wrong_texts_can_be_the_most_alike),
	  cmocka_unit_test(test_condition_and_inputs),
	  cmocka_unit_test(test_noise_on_pictures_fades), cmocka_unit_test(test_running_average),
	  cmocka_unit_test(test_settled_statistics), cmocka_unit_test(test_gradients),
	  cmocka_unit_test(test_without_its_weight_a_wrong_text_costs_nothing),
	  cmocka_unit_test(test_two_colours_are_learned),
	  cmocka_unit_test(test_steps_allocate_nothing))
