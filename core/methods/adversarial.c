/*
 * The network of the adversarial methods. The projectors play against the modality classifier
 * through gradient reversal, so that the minimax of ACMR (eqs 8 and 9) is one descent on
 * L_emb + L_adv. A weight of 0 takes a term out: with alpha and adversary 0 this is the label
 * predictor alone.
 */
#include "core/methods/adversarial.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "core/methods/layers.h"
#include "core/tensor/ops.h"

static const char *const projector[IST_N_MODALITIES] = {[IST_IMAGE] = "fV", [IST_TEXT] = "fT"};

/* Layers are numbered as in a list of layers and activations: 0, 2, 4. */
static void layer_name(char ret[32], const char *part, size_t i)
{
	snprintf(ret, 32, "%s.%zu", part, 2 * i);
}

/* Widths of a projector from input to code; returns the number of layers. A hidden layer of width 0
 * is not there. */
static size_t widths_of(const struct ist_adversarial_settings *s, enum ist_modality m,
			size_t ret[IST_HIDDEN + 2])
{
	size_t n = 0;

	ret[0] = s->n_in[m];
	for (size_t i = 0; i < IST_HIDDEN; i++)
		if (s->hidden[m][i] > 0)
			ret[++n] = s->hidden[m][i];
	ret[++n] = s->code;
	return n;
}

/* One group for both projectors and the label predictor: they move together, the modality
 * classifier on its own count. */
static struct ist_weights *theta_of(const void *settings, bool training)
{
	const struct ist_adversarial_settings *s = settings;
	struct ist_weights *theta = ist_weights_create("theta");
	size_t width[IST_HIDDEN + 2];
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
static ist_node *project(struct ist_graph *graph, struct ist_weights *theta, const void *settings,
			 enum ist_modality m, ist_node *x)
{
	const struct ist_adversarial_settings *s = settings;
	size_t width[IST_HIDDEN + 2], n = widths_of(s, m, width);
	char name[32];

	for (size_t i = 0; i < n; i++) {
		layer_name(name, projector[m], i);
		x = ist_tanh(ist_layer_linear(graph, theta, name, x));
	}
	return x;
}

/* One label predictor for the codes of both modalities. */
static ist_node *label(struct ist_graph *graph, struct ist_weights *theta, const void *settings,
		       enum ist_modality m, ist_node *code)
{
	(void)settings;
	(void)m;
	return ist_layer_linear(graph, theta, "cls", code);
}

/* D(c; theta_D): logits of text (0) and image (1). */
static ist_node *modality(struct ist_graph *graph, struct ist_weights *theta_D, ist_node *code)
{
	return ist_layer_linear(graph, theta_D, "D.2",
				ist_relu(ist_layer_linear(graph, theta_D, "D.0", code)));
}

/* sum over layers of |W_v|_F + |W_t|_F; biases and heads are left alone. */
static ist_node *regularisation(struct ist_graph *graph, struct ist_weights *theta,
				const struct ist_adversarial_settings *s)
{
	size_t width[IST_HIDDEN + 2];
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

/* The equations of ACMR's section 3, in its order; `structure` gives L_imi (eqs 4 to 6). */
static void formulas(struct ist_adversarial *a, ist_structure *structure, const void *settings)
{
	const struct ist_adversarial_settings *s = &a->s;
	struct ist_graph *g = a->graph;
	ist_node *is_image = ist_layer_constant_ids(g, "image=1", s->batch, 1);
	ist_node *is_text = ist_layer_constant_ids(g, "text=0", s->batch, 0);
	ist_node *p_v, *p_t;

	a->image = ist_input(g, "image", s->batch, s->n_in[IST_IMAGE]);
	a->text = ist_input(g, "text", s->batch, s->n_in[IST_TEXT]);
	a->y = ist_ids(g, "y", s->batch);
	a->l = ist_input(g, "l", 1, 1);

	a->v = project(g, a->theta, s, IST_IMAGE, a->image);
	a->t = project(g, a->theta, s, IST_TEXT, a->text);

	/* L_imd: the label of either code (eq. 3) */
	p_v = label(g, a->theta, s, IST_IMAGE, a->v);
	p_t = label(g, a->theta, s, IST_TEXT, a->t);
	a->L_imd = ist_add(ist_cross_entropy(p_v, a->y), ist_cross_entropy(p_t, a->y));
	a->p_v = ist_softmax(p_v);
	a->p_t = ist_softmax(p_t);

	a->L_imi = structure(a, settings);

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
enum ist_code ist_adversarial_create(const struct ist_adversarial_settings *s,
				     ist_structure *structure, const void *settings, uint64_t seed,
				     struct ist_adversarial **ret, struct ist_err *err)
{
	struct ist_adversarial *a = ist_alloc(1, sizeof(*a));
	enum ist_code code;

	a->s = *s;
	a->theta = theta_of(s, true);
	a->theta_D = ist_weights_create("theta_D");
	ist_weights_add_linear(a->theta_D, "D.0", s->code, s->classifier_hidden);
	ist_weights_add_linear(a->theta_D, "D.2", s->classifier_hidden, 2);
	ist_weights_allocate(a->theta_D, true);
	ist_weights_init(a->theta, seed);
	ist_weights_init(a->theta_D, seed);
	a->optimiser = (struct ist_optimiser){.rule = &ist_optimiser_adam,
					      .lr = s->lr,
					      .beta1 = s->beta1,
					      .beta2 = s->beta2,
					      .eps = 1e-8};
	a->graph = ist_graph_create();
	formulas(a, structure, settings);
	code = ist_graph_compile(a->graph, true, err);
	if (code != IST_OK) {
		ist_adversarial_destroy(a);
		return code;
	}
	*ret = a;
	return IST_OK;
}

void ist_adversarial_destroy(struct ist_adversarial *a)
{
	if (a == NULL)
		return;
	ist_graph_destroy(a->graph);
	ist_weights_destroy(a->theta);
	ist_weights_destroy(a->theta_D);
	ist_optimiser_finish(&a->optimiser);
	free(a);
}

void ist_adversarial_step(struct ist_adversarial *a)
{
	struct ist_weights *groups[] = {a->theta, a->theta_D};

	/* Algorithm 1: k updates of the projectors, the modality classifier moves in the first. */
	for (long i = 0; i < a->s.k; i++) {
		ist_graph_forward(a->graph);
		ist_graph_backward(a->L);
		ist_optimiser_step(&a->optimiser, groups, i == 0 ? 2 : 1);
	}
}

/* ---- trained models ---- */

void ist_adversarial_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES],
			      size_t n_classes, struct ist_adversarial_settings *ret)
{
	*ret = (struct ist_adversarial_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .hidden = {[IST_IMAGE] = {(size_t)ist_param_int(p, "image_hidden_1"),
				      (size_t)ist_param_int(p, "image_hidden_2")},
		       [IST_TEXT] = {(size_t)ist_param_int(p, "text_hidden_1"),
				     (size_t)ist_param_int(p, "text_hidden_2")}},
	    .code = (size_t)ist_param_int(p, "code"),
	    .n_classes = n_classes,
	    .classifier_hidden = (size_t)ist_param_int(p, "classifier_hidden"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .alpha = ist_param_real(p, "alpha"),
	    .beta = ist_param_real(p, "beta"),
	    .reg = ist_param_real(p, "reg"),
	    .adversary = ist_param_real(p, "adversary"),
	    .k = ist_param_int(p, "k"),
	    .lr = ist_param_real(p, "lr"),
	    .beta1 = ist_param_real(p, "beta1"),
	    .beta2 = ist_param_real(p, "beta2"),
	};
}

static void settings_of(const json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
			void *ret)
{
	ist_adversarial_settings(params, n_in, n_classes, ret);
}

const struct ist_network_kind ist_adversarial_kind = {
    .settings_size = sizeof(struct ist_adversarial_settings),
    .settings = settings_of,
    .theta = theta_of,
    .code = project,
    .label = label,
    .heads = {"cls.bias"},
};
