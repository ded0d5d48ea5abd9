/*
 * Corr-AE's network: two auto-encoders, f and f^ of images, g and g^ of texts, coupled at the code.
 *
 *   L = (1 - alpha) L_rec + alpha L_corr,   L_corr = |f(v) - g(t)|^2
 *   own:   L_rec = |v - f^(f(v))|^2 + |t - g^(g(t))|^2
 *   cross: L_rec = |t - g^(f(v))|^2 + |v - f^(g(t))|^2
 *   full:  both
 *
 * Each squared error is a mean over its dimensions, so that alpha means the same whatever the
 * widths of features and code are.
 */
#include <stdio.h>

#include "core/base/memory.h"
#include "core/methods/corrae.h"
#include "core/methods/layers.h"
#include "core/tensor/ops.h"

static const char *const encoder[IST_N_MODALITIES] = {[IST_IMAGE] = "f", [IST_TEXT] = "g"};
static const char *const decoder[IST_N_MODALITIES] = {[IST_IMAGE] = "f_hat", [IST_TEXT] = "g_hat"};

/* Layers "<part>.0" and, with a hidden one, "<part>.2". */
static void add_stack(struct ist_weights *theta, const char *part, size_t n_in, size_t hidden,
		      size_t n_out)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.0", part);
	ist_weights_add_linear(theta, name, n_in, hidden > 0 ? hidden : n_out);
	snprintf(name, sizeof(name), "%s.2", part);
	if (hidden > 0)
		ist_weights_add_linear(theta, name, hidden, n_out);
}

static struct ist_weights *theta_of(const void *settings, bool training)
{
	const struct ist_corrae_settings *s = settings;
	struct ist_weights *theta = ist_weights_create("theta");

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		add_stack(theta, encoder[m], s->n_in[m], s->hidden, s->code);
		add_stack(theta, decoder[m], s->code, s->hidden, s->n_in[m]);
	}
	ist_weights_allocate(theta, training);
	return theta;
}

/* Logistic between the layers; the last one is left to the caller. */
static ist_node *stack(struct ist_graph *graph, struct ist_weights *theta, const char *part,
		       size_t hidden, ist_node *x)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.0", part);
	x = ist_layer_linear(graph, theta, name, x);
	snprintf(name, sizeof(name), "%s.2", part);
	return hidden > 0 ? ist_layer_linear(graph, theta, name, ist_sigmoid(x)) : x;
}

static ist_node *encode(struct ist_graph *graph, struct ist_weights *theta, const void *settings,
			enum ist_modality m, ist_node *x)
{
	const struct ist_corrae_settings *s = settings;

	return ist_sigmoid(stack(graph, theta, encoder[m], s->hidden, x));
}

ist_node *ist_corrae_decode(struct ist_graph *graph, struct ist_weights *theta,
			    const void *settings, enum ist_modality m, ist_node *code)
{
	const struct ist_corrae_settings *s = settings;

	return stack(graph, theta, decoder[m], s->hidden, code);
}

const struct ist_network_kind ist_corrae_kind = {
    .settings_size = sizeof(struct ist_corrae_settings),
    .settings = ist_corrae_settings,
    .theta = theta_of,
    .code = encode,
};

/* |a - b|^2 by dimension */
static ist_node *error(ist_node *a, ist_node *b)
{
	return a == NULL ? NULL : ist_scale(ist_squared_error(a, b), 1 / (double)a->dim[1]);
}

/* Of both features, each from the code of modality m or of the other one. */
static ist_node *reconstruction(struct ist_corrae *a, ist_node *const code[IST_N_MODALITIES],
				bool cross)
{
	ist_node *e[IST_N_MODALITIES];

	for (int m = 0; m < IST_N_MODALITIES; m++)
		e[m] = error(a->x[m],
			     ist_corrae_decode(a->graph, a->theta, &a->s, m, code[cross ? !m : m]));
	return ist_add(e[IST_IMAGE], e[IST_TEXT]);
}

static void formulas(struct ist_corrae *a)
{
	ist_node *code[IST_N_MODALITIES];

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		a->x[m] = ist_input(a->graph, ist_modality_name(m), a->s.batch, a->s.n_in[m]);
		code[m] = encode(a->graph, a->theta, &a->s, m, a->x[m]);
	}
	a->L_corr = error(code[IST_IMAGE], code[IST_TEXT]);
	a->L_rec = reconstruction(a, code, a->s.form == IST_CORRAE_CROSS);
	if (a->s.form == IST_CORRAE_FULL)
		a->L_rec = ist_add(a->L_rec, reconstruction(a, code, true));
	a->L = ist_add(ist_scale(a->L_rec, 1 - a->s.alpha), ist_scale(a->L_corr, a->s.alpha));
}

enum ist_code ist_corrae_create(const struct ist_corrae_settings *s, uint64_t seed,
				struct ist_corrae **ret, struct ist_err *err)
{
	struct ist_corrae *a = ist_alloc(1, sizeof(*a));
	enum ist_code code;

	a->s = *s;
	a->theta = theta_of(s, true);
	ist_weights_init(a->theta, seed);
	a->optimiser = (struct ist_optimiser){.rule = &ist_optimiser_adam,
					      .lr = s->lr,
					      .beta1 = s->beta1,
					      .beta2 = s->beta2,
					      .eps = 1e-8,
					      .weight_decay = s->weight_decay};
	a->graph = ist_graph_create();
	formulas(a);
	code = ist_graph_compile(a->graph, true, err);
	if (code != IST_OK) {
		ist_corrae_destroy(a);
		return code;
	}
	*ret = a;
	return IST_OK;
}

void ist_corrae_destroy(struct ist_corrae *a)
{
	if (a == NULL)
		return;
	ist_graph_destroy(a->graph);
	ist_weights_destroy(a->theta);
	ist_optimiser_finish(&a->optimiser);
	free(a);
}

void ist_corrae_step(struct ist_corrae *a)
{
	ist_graph_forward(a->graph);
	ist_graph_backward(a->L);
	ist_optimiser_step(&a->optimiser, &a->theta, 1);
}
