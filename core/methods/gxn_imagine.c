/*
 * The game of imagination. D tells true pairs from true pictures under wrong texts and from what G
 * makes; G, and the reader of texts through t_c, learn to pass:
 *
 *   L_D = -log D(i, t_l) - beta_w log(1 - D(i, t_l')) - beta_f log(1 - D(G(z, t_c), t_l))
 *   L_G = -log D(G(z, t_c), t_l) + beta_s KL(N(mu, sigma) || N(0, 1))
 *
 * D's condition t_l is a constant in both. G runs once a step: its pictures serve D's update first,
 * then its own. A step follows from weights and batch alone.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"
#include "core/tensor/kernels.h"
#include "core/tensor/ops.h"

#define BETA1 .5
#define BETA2 .999
#define NOISE_NUMBERS ((size_t)1 << 16) /* normal ones, of which a picture takes a run */

/* ---- graphs ---- */

static ist_node *picture_input(struct ist_graph *graph, const char *name,
			       const struct ist_gxn_settings *s)
{
	if (s->generator == IST_GXN_PIXELS)
		return ist_input_shaped(graph, name, 4, (size_t[]){s->batch, 3, s->side, s->side});
	return ist_input(graph, name, s->batch, s->n_in[IST_IMAGE]);
}

static enum ist_code create_judges(struct ist_gxn_imagine *a, struct ist_err *err)
{
	struct ist_gxn_judges *j = &a->judges;
	const struct ist_gxn_settings *s = &a->s;
	struct ist_graph *g = j->graph = ist_graph_create();
	ist_node *seen;

	j->norms.training = true;
	j->real = picture_input(g, "real", s);
	j->fake = picture_input(g, "fake", s);
	j->t_l = ist_input(g, "t_l", s->batch, s->d);
	j->t_wrong = ist_input(g, "t_wrong", s->batch, s->d);
	seen = ist_gxn_look(&j->norms, g, a->critic, s, j->real);
	j->L_real =
	    ist_bce(ist_gxn_judge(&j->norms, g, a->critic, s, seen, j->t_l), 1 - s->smoothing);
	j->L_wrong = ist_bce(ist_gxn_judge(&j->norms, g, a->critic, s, seen, j->t_wrong), 0);
	seen = ist_gxn_look(&j->norms, g, a->critic, s, j->fake);
	j->L_fake = ist_bce(ist_gxn_judge(&j->norms, g, a->critic, s, seen, j->t_l), 0);
	j->L = ist_add(j->L_real,
		       ist_add(ist_scale(j->L_wrong, s->beta_w), ist_scale(j->L_fake, s->beta_f)));
	return ist_graph_compile(g, true, err);
}

/* D's weights are constants here, and so is the level that it compares with. Everything up to the
 * pictures comes first: the step runs that part before D's update and the rest after it. */
static enum ist_code create_dreams(struct ist_gxn_imagine *a, struct ist_err *err)
{
	struct ist_gxn_dreams *n = &a->dreams;
	const struct ist_gxn_settings *s = &a->s;
	struct ist_graph *g = n->graph = ist_graph_create();
	struct ist_norms of_D = {.training = true};
	struct ist_gxn_condition c;
	ist_node *seen, *t_c;

	n->norms.training = true;
	ist_graph_freeze(g, a->critic);
	n->text = ist_input(g, "text", s->batch, ist_gxn_width(s, IST_TEXT));
	n->z = ist_input(g, "z", s->batch, s->z);
	n->eps = ist_input(g, "eps", s->batch, s->condition);
	n->t_l = ist_gxn_text_grounded(g, a->theta, s, n->text);
	c = ist_gxn_condition(g, a->generator, a->generator->name, s, n->t_l);
	t_c = ist_gaussian_sample(c.mu, c.log_variance, n->eps);
	n->fake = ist_gxn_generate(&n->norms, g, a->generator, a->generator->name, s, n->z, t_c);
	if (a->noise != NULL)
		n->noise = picture_input(g, "noise", s);
	seen = ist_gxn_look(&of_D, g, a->critic, s,
			    a->noise != NULL ? ist_add(n->fake, n->noise) : n->fake);
	n->L_fool = ist_bce(ist_gxn_judge(&of_D, g, a->critic, s, seen, ist_detach(n->t_l)), 1);
	n->L_KL = ist_kl_normal(c.mu, c.log_variance);
	n->L = ist_add(n->L_fool, ist_scale(n->L_KL, s->beta_s));
	return ist_graph_compile(g, true, err);
}

static enum ist_code create_rest(struct ist_gxn_imagine *a, struct ist_err *err)
{
	struct ist_gxn_rest *r = &a->rest;
	const struct ist_gxn_settings *s = &a->s;

	r->graph = ist_graph_create();
	r->norms.training = true;
	r->text = ist_input(r->graph, "text", s->batch, ist_gxn_width(s, IST_TEXT));
	r->z = ist_input(r->graph, "z", s->batch, s->z);
	(void)ist_gxn_draw(&r->norms, r->graph, a->theta, s, r->text, r->z);
	return ist_graph_compile(r->graph, false, err);
}

/* "generator.x" is kept as "render.x". */
static void find_kept(struct ist_gxn_imagine *a)
{
	a->kept = ist_alloc(a->generator->n, sizeof(*a->kept));
	for (size_t i = 0; i < a->generator->n; i++) {
		const char *layer = strchr(a->generator->weights[i]->name, '.');
		ist_autofree char *name = ist_format("render%s", layer);

		a->kept[i] = ist_weights_find(a->theta, name);
	}
}

static struct ist_optimiser adam(double lr)
{
	return (struct ist_optimiser){
	    .rule = &ist_optimiser_adam, .lr = lr, .beta1 = BETA1, .beta2 = BETA2, .eps = 1e-8};
}

/* A table, because a step needs hundreds of thousands; where a picture's run begins is drawn. */
static void create_noise(struct ist_gxn_imagine *a)
{
	struct ist_rng rng;

	if (a->s.generator != IST_GXN_PIXELS || a->s.noise == 0)
		return;
	a->noise = ist_alloc(NOISE_NUMBERS, sizeof(*a->noise));
	ist_rng_init(&rng, 0, "noise on pictures");
	for (size_t i = 0; i < NOISE_NUMBERS; i++)
		a->noise[i] = (ist_real)ist_rng_normal(&rng);
}

enum ist_code ist_gxn_imagine_create(const struct ist_gxn_settings *s, struct ist_weights *theta,
				     struct ist_weights *generator, struct ist_weights *critic,
				     struct ist_gxn_imagine **ret, struct ist_err *err)
{
	struct ist_gxn_imagine *a = ist_alloc(1, sizeof(*a));
	enum ist_code code;

	a->s = *s;
	a->theta = theta;
	a->generator = generator;
	a->critic = critic;
	a->optimiser_G = adam(s->gan_lr);
	a->optimiser_D = adam(s->critic_lr);
	find_kept(a);
	create_noise(a);
	code = create_judges(a, err);
	if (code == IST_OK)
		code = create_dreams(a, err);
	if (code == IST_OK)
		code = create_rest(a, err);
	if (code != IST_OK) {
		ist_gxn_imagine_destroy(a);
		return ist_wrap(err, "imagination");
	}
	*ret = a;
	return IST_OK;
}

void ist_gxn_imagine_destroy(struct ist_gxn_imagine *a)
{
	if (a == NULL)
		return;
	ist_graph_destroy(a->judges.graph);
	ist_graph_destroy(a->dreams.graph);
	ist_graph_destroy(a->rest.graph);
	ist_optimiser_finish(&a->optimiser_G);
	ist_optimiser_finish(&a->optimiser_D);
	free(a->kept);
	free(a->noise);
	free(a);
}

/* ---- a step's data ---- */

/* (level + 1) / 256 -> -1 .. 1 of level 0 .. 255; features as they are. */
static void feed_real(struct ist_gxn_imagine *a, const ist_real *x)
{
	ist_node *real = a->judges.real;

	if (a->s.generator != IST_GXN_PIXELS) {
		memcpy(real->value, x, real->size * sizeof(*x));
		return;
	}
	for (size_t i = 0; i < real->size; i++)
		real->value[i] = (256 * x[i] - 1) * (ist_real)(2. / 255) - 1;
}

static void draw_noise(const struct ist_gxn_batch *batch, const char *name, ist_node *ret)
{
	struct ist_rng rng;

	ist_gxn_rng(batch, name, &rng);
	for (size_t i = 0; i < ret->size; i++)
		ret->value[i] = (ist_real)ist_rng_normal(&rng);
}

/* Noise of this stage of the training on every picture of a batch. */
static void add_noise(const struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch,
		      const char *name, ist_node *pictures)
{
	size_t each = pictures->size / a->s.batch;
	ist_real sd = (ist_real)(a->s.noise * (batch->scst ? 0 : 1 - batch->phase));
	struct ist_rng rng;

	if (a->noise == NULL)
		return;
	ist_gxn_rng(batch, name, &rng);
	for (size_t i = 0; i < a->s.batch; i++) {
		size_t at = (size_t)ist_rng_below(&rng, NOISE_NUMBERS);

		for (size_t k = 0; k < each; k++)
			pictures->value[i * each + k] += sd * a->noise[(at + k) % NOISE_NUMBERS];
	}
}

/* A row of another item; the next row where the batch has none. */
static size_t draw_other(const struct ist_gxn_batch *batch, size_t n, size_t i, struct ist_rng *rng)
{
	size_t from = (size_t)ist_rng_below(rng, n);

	for (size_t k = 0; k < n; k++)
		if (batch->item[(from + k) % n] != batch->item[i])
			return (from + k) % n;
	return (i + 1) % n;
}

/* The most alike of some: what differs in everything teaches little. */
static size_t draw_wrong(const struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch,
			 size_t i, struct ist_rng *rng)
{
	const ist_real *t_l = a->dreams.t_l->value;
	size_t n = a->s.batch, d = a->s.d, best = draw_other(batch, n, i, rng);
	double alike = ist_k_dot(t_l + i * d, t_l + best * d, d);

	for (size_t k = 1; k < a->s.wrong_draws; k++) {
		size_t other = draw_other(batch, n, i, rng);
		double to_other = ist_k_dot(t_l + i * d, t_l + other * d, d);

		if (to_other > alike) {
			best = other;
			alike = to_other;
		}
	}
	return best;
}

static void feed_levels(struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch)
{
	struct ist_gxn_judges *j = &a->judges;
	size_t n = a->s.batch, d = a->s.d;
	const ist_real *t_l = a->dreams.t_l->value;
	struct ist_rng rng;

	ist_gxn_rng(batch, "wrong texts", &rng);
	memcpy(j->t_l->value, t_l, n * d * sizeof(*t_l));
	for (size_t i = 0; i < n; i++)
		memcpy(j->t_wrong->value + i * d, t_l + draw_wrong(a, batch, i, &rng) * d,
		       d * sizeof(*t_l));
}

/* ---- the step ---- */

static void step_D(struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch)
{
	struct ist_gxn_judges *j = &a->judges;

	feed_real(a, batch->x[IST_IMAGE]);
	feed_levels(a, batch);
	memcpy(j->fake->value, a->dreams.fake->value, j->fake->size * sizeof(*j->fake->value));
	add_noise(a, batch, "noise on real pictures", j->real);
	add_noise(a, batch, "noise on fake pictures", j->fake);
	ist_graph_forward(j->graph);
	ist_graph_backward(j->L);
	ist_optimiser_step(&a->optimiser_D, &a->critic, 1);
}

/* render.* <- average render.* + (1 - average) generator.*, the share growing from 0 so that the
 * first steps are forgotten soon. Statistics of batch normalisation are averaged with the rest. */
static void follow(struct ist_gxn_imagine *a)
{
	double t = (double)a->generator->weights[0]->steps;
	ist_real share = (ist_real)(1 - IST_MIN(a->s.average, (t - 1) / (t + 9)));

	for (size_t i = 0; i < a->generator->n; i++) {
		const struct ist_weight *live = a->generator->weights[i];

		for (size_t k = 0; k < live->size; k++)
			a->kept[i]->value[k] =
			    (1 - share) * a->kept[i]->value[k] + share * live->value[k];
		a->kept[i]->squares_known = false;
	}
}

static void step_G(struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch,
		   struct ist_optimiser *encoders)
{
	struct ist_gxn_dreams *n = &a->dreams;

	if (n->noise != NULL) {
		memset(n->noise->value, 0, n->noise->size * sizeof(*n->noise->value));
		add_noise(a, batch, "noise on drawn pictures", n->noise);
	}
	ist_graph_forward_part(n->graph, n->fake, NULL);
	ist_norms_track(&n->norms);
	ist_weights_clear(a->theta);
	ist_graph_backward(n->L);
	ist_optimiser_step(&a->optimiser_G, &a->generator, 1);
	ist_optimiser_step(encoders, &a->theta, 1);
	follow(a);
}

void ist_gxn_imagine_step(struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch,
			  struct ist_optimiser *encoders, struct ist_gxn_imagine_terms *ret)
{
	struct ist_gxn_dreams *n = &a->dreams;

	memcpy(n->text->value, batch->x[IST_TEXT], n->text->size * sizeof(*n->text->value));
	draw_noise(batch, "z", n->z);
	draw_noise(batch, "condition", n->eps);
	ist_graph_forward_part(n->graph, NULL, n->fake);
	step_D(a, batch);
	step_G(a, batch, encoders);
	*ret = (struct ist_gxn_imagine_terms){.L_D = (double)a->judges.L->value[0],
					      .L_G = (double)n->L_fool->value[0],
					      .L_KL = (double)n->L_KL->value[0]};
}

void ist_gxn_imagine_settle(struct ist_gxn_imagine *a, const struct ist_gxn_batch *batch,
			    double momentum)
{
	struct ist_gxn_rest *r = &a->rest;

	memcpy(r->text->value, batch->x[IST_TEXT], r->text->size * sizeof(*r->text->value));
	draw_noise(batch, "settling", r->z);
	ist_graph_forward(r->graph);
	ist_norms_move(&r->norms, momentum);
}
