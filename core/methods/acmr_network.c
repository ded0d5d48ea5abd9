/*
 * ACMR's network: two projectors into the common space, a label predictor on the codes, and a
 * modality classifier that the projectors play against through gradient reversal, so that the
 * paper's minimax (eqs 8 and 9) is one descent on L_emb + L_adv. A weight of 0 takes a term out:
 * with alpha and adversary 0 this is the label predictor alone.
 *
 * L_imi is a mean over anchors of means over positives and negatives, not the paper's sum, so that
 * alpha and lambda mean the same whatever the batch and its classes.
 */
#include <stdio.h>

#include "core/base/memory.h"
#include "core/methods/acmr.h"
#include "core/tensor/ops.h"

static const char *const projector[IST_N_MODALITIES] = {[IST_IMAGE] = "fV", [IST_TEXT] = "fT"};

/* Layers are numbered as in a list of layers and activations: 0, 2, 4. */
static void layer_name(char ret[32], const char *part, size_t i)
{
	snprintf(ret, 32, "%s.%zu", part, 2 * i);
}

/* x W' + b with the weights of that name. */
static ist_node *linear(struct ist_graph *graph, struct ist_weights *theta, const char *name,
			ist_node *x)
{
	char weight[48], bias[48];

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	return ist_linear(x, ist_weight(graph, theta, weight), ist_weight(graph, theta, bias));
}

/* Widths of a projector from input to code; returns the number of layers. */
/* A hidden layer of width 0 is not there. */
static size_t widths_of(const struct ist_acmr_settings *s, enum ist_modality m,
			size_t ret[IST_ACMR_HIDDEN + 2])
{
	size_t n = 0;

	ret[0] = s->n_in[m];
	for (size_t i = 0; i < IST_ACMR_HIDDEN; i++)
		if (s->hidden[m][i] > 0)
			ret[++n] = s->hidden[m][i];
	ret[++n] = s->code;
	return n;
}

/* One group for both projectors and the label predictor: they move together, the modality
 * classifier on its own count. */
struct ist_weights *ist_acmr_theta(const struct ist_acmr_settings *s, bool training)
{
	struct ist_weights *theta = ist_weights_create("theta");
	size_t width[IST_ACMR_HIDDEN + 2];
	char name[32];

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		size_t n = widths_of(s, (enum ist_modality)m, width);

		for (size_t i = 0; i < n; i++) {
			layer_name(name, projector[m], i);
			ist_weights_add_linear(theta, name, width[i], width[i + 1]);
		}
	}
	ist_weights_add_linear(theta, "cls", s->code, s->n_classes);
	ist_weights_allocate(theta, training);
	return theta;
}

/* f(x; theta): tanh after every layer. */
ist_node *ist_acmr_project(struct ist_graph *graph, struct ist_weights *theta,
			   const struct ist_acmr_settings *s, enum ist_modality m, ist_node *x)
{
	size_t width[IST_ACMR_HIDDEN + 2], n = widths_of(s, m, width);
	char name[32];

	for (size_t i = 0; i < n; i++) {
		layer_name(name, projector[m], i);
		x = ist_tanh(linear(graph, theta, name, x));
	}
	return x;
}

ist_node *ist_acmr_label(struct ist_graph *graph, struct ist_weights *theta, ist_node *code)
{
	return linear(graph, theta, "cls", code);
}

/* D(c; theta_D): logits of text (0) and image (1). */
static ist_node *modality(struct ist_graph *graph, struct ist_weights *theta_D, ist_node *code)
{
	return linear(graph, theta_D, "D.2", ist_relu(linear(graph, theta_D, "D.0", code)));
}

/* sum over layers of |W_v|_F + |W_t|_F; biases and heads are left alone. */
static ist_node *regularisation(struct ist_graph *graph, struct ist_weights *theta,
				const struct ist_acmr_settings *s)
{
	size_t width[IST_ACMR_HIDDEN + 2];
	ist_node *sum = NULL;
	char layer[32], name[48];

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		size_t n = widths_of(s, (enum ist_modality)m, width);

		for (size_t i = 0; i < n; i++) {
			ist_node *norm;

			layer_name(layer, projector[m], i);
			snprintf(name, sizeof(name), "%s.weight", layer);
			norm = ist_frobenius(ist_weight(graph, theta, name));
			sum = sum == NULL ? norm : ist_add(sum, norm);
		}
	}
	return sum;
}

/* The classes of the modality game, the same for every item. */
static ist_node *all_of(struct ist_graph *graph, const char *name, size_t n, int32_t id)
{
	ist_node *ids = ist_ids(graph, name, n);

	for (size_t i = 0; i < n; i++)
		ids->ids[i] = id;
	return ids;
}

/* The equations of the paper's section 3, in its order. */
static void formulas(struct ist_acmr *a)
{
	const struct ist_acmr_settings *s = &a->s;
	struct ist_graph *g = a->graph;
	ist_node *is_image = all_of(g, "image=1", s->batch, 1);
	ist_node *is_text = all_of(g, "text=0", s->batch, 0);
	ist_node *l2, *p_v, *p_t;

	a->image = ist_input(g, "image", s->batch, s->n_in[IST_IMAGE]);
	a->text = ist_input(g, "text", s->batch, s->n_in[IST_TEXT]);
	a->y = ist_ids(g, "y", s->batch);
	a->l = ist_input(g, "l", 1, 1);

	a->v = ist_acmr_project(g, a->theta, s, IST_IMAGE, a->image);
	a->t = ist_acmr_project(g, a->theta, s, IST_TEXT, a->text);

	/* L_imd: the label of either code (eq. 3) */
	p_v = ist_acmr_label(g, a->theta, a->v);
	p_t = ist_acmr_label(g, a->theta, a->t);
	a->L_imd = ist_add(ist_cross_entropy(p_v, a->y), ist_cross_entropy(p_t, a->y));
	a->p_v = ist_softmax(p_v);
	a->p_t = ist_softmax(p_t);

	/* L_imi: like items near, others at least mu away, from both sides (eqs 4 to 6) */
	l2 = ist_distance(a->v, a->t);
	a->L_imi = ist_add(ist_contrastive(l2, a->y, s->lambda, s->mu, s->own_pair),
			   ist_contrastive(ist_transpose(l2), a->y, s->lambda, s->mu, s->own_pair));

	/* L_reg (eq. 7) */
	a->L_reg = regularisation(g, a->theta, s);

	/* L_adv: which modality is it? (eq. 1), reversed on its way into the projectors */
	a->D_v = modality(g, a->theta_D, ist_grl(a->v, a->l));
	a->D_t = modality(g, a->theta_D, ist_grl(a->t, a->l));
	a->L_adv = ist_add(ist_cross_entropy(a->D_v, is_image), ist_cross_entropy(a->D_t, is_text));

	/* L_emb + L_adv = alpha L_imi + beta L_imd + L_reg + L_adv (eq. 8) */
	a->L = ist_add(ist_add(ist_scale(a->L_imi, s->alpha), ist_scale(a->L_imd, s->beta)),
		       ist_add(ist_scale(a->L_reg, s->reg), ist_scale(a->L_adv, s->adversary)));
}

/* Everything a step touches is allocated here. */
enum ist_code ist_acmr_create(const struct ist_acmr_settings *s, uint64_t seed,
			      struct ist_acmr **ret, struct ist_err *err)
{
	struct ist_acmr *a = ist_alloc(1, sizeof(*a));
	enum ist_code code;

	a->s = *s;
	a->theta = ist_acmr_theta(s, true);
	a->theta_D = ist_weights_create("theta_D");
	ist_weights_add_linear(a->theta_D, "D.0", s->code, s->classifier_hidden);
	ist_weights_add_linear(a->theta_D, "D.2", s->classifier_hidden, 2);
	ist_weights_allocate(a->theta_D, true);
	ist_weights_init_uniform(a->theta, seed);
	ist_weights_init_uniform(a->theta_D, seed);
	a->optimiser = (struct ist_optimiser){.rule = &ist_optimiser_adam,
					      .lr = s->lr,
					      .beta1 = s->beta1,
					      .beta2 = s->beta2,
					      .eps = 1e-8};
	a->graph = ist_graph_create();
	formulas(a);
	code = ist_graph_compile(a->graph, true, err);
	if (code != IST_OK) {
		ist_acmr_destroy(a);
		return code;
	}
	*ret = a;
	return IST_OK;
}

void ist_acmr_destroy(struct ist_acmr *a)
{
	if (a == NULL)
		return;
	ist_graph_destroy(a->graph);
	ist_weights_destroy(a->theta);
	ist_weights_destroy(a->theta_D);
	ist_optimiser_finish(&a->optimiser);
	free(a);
}

void ist_acmr_step(struct ist_acmr *a)
{
	struct ist_weights *groups[] = {a->theta, a->theta_D};

	/* Algorithm 1: k updates of the projectors, the modality classifier moves in the first. */
	for (long i = 0; i < a->s.k; i++) {
		ist_graph_forward(a->graph);
		ist_graph_backward(a->L);
		ist_optimiser_step(&a->optimiser, groups, i == 0 ? 2 : 1);
	}
}
