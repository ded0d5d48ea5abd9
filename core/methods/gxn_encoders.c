/*
 * GXN's encoders. A picture's two levels are two linear maps over its feature, or over the last map
 * of the small convolutional network. A text's are two linear maps over its feature; or, of words,
 * one over the sum of all states of a gated recurrent unit that reads both ways (the abstract
 * level), and one over the last state of another that reads forward (the grounded one).
 */
#include "core/methods/gxn.h"
#include "core/methods/image_network.h"
#include "core/methods/word_network.h"
#include "core/tensor/ops.h"

/* ---- declaring ---- */

static void declare_gru(struct ist_weights *theta, const struct ist_gxn_settings *s,
			const char *input, const char *state)
{
	size_t gates = 3 * s->hidden;

	ist_weights_add_linear(theta, input, s->word_width, gates);
	ist_weights_add(theta, state, 2, (size_t[]){gates, s->hidden}, s->hidden);
}

static void declare_reader(struct ist_weights *theta, const struct ist_gxn_settings *s)
{
	ist_word_declare(theta, s->vocabulary, s->word_width);
	declare_gru(theta, s, "text.forward", "text.forward.state");
	declare_gru(theta, s, "text.backward", "text.backward.state");
	declare_gru(theta, s, "text.grounded", "text.grounded.state");
}

/* Numbers under the map of a level. */
static size_t under(const struct ist_gxn_settings *s, enum ist_modality m, bool abstract)
{
	if (m == IST_IMAGE)
		return s->cnn ? ist_image_flat(s->side, s->channels) : s->n_in[m];
	if (!s->gru)
		return s->n_in[m];
	return abstract ? 2 * s->hidden : s->hidden;
}

void ist_gxn_declare_encoders(struct ist_weights *theta, const struct ist_gxn_settings *s)
{
	if (s->cnn)
		ist_image_declare(theta, s->channels);
	ist_weights_add_linear(theta, "image.h", under(s, IST_IMAGE, true), s->d);
	ist_weights_add_linear(theta, "image.l", under(s, IST_IMAGE, false), s->d);
	if (s->gru)
		declare_reader(theta, s);
	ist_weights_add_linear(theta, "text.h", under(s, IST_TEXT, true), s->d);
	ist_weights_add_linear(theta, "text.l", under(s, IST_TEXT, false), s->d);
}

size_t ist_gxn_mask_width(const struct ist_gxn_settings *s, enum ist_modality m)
{
	return under(s, m, true);
}

size_t ist_gxn_width(const struct ist_gxn_settings *s, enum ist_modality m)
{
	return m == IST_TEXT && s->gru ? s->words : s->n_in[m];
}

/* ---- formulas ---- */

static ist_node *masked(ist_node *x, ist_node *mask)
{
	return mask != NULL ? ist_mul(x, mask) : x;
}

/* v_h = unit(P_v^h x), v_l = unit(P_v^l x) */
struct ist_gxn_levels ist_gxn_image(struct ist_norms *norms, struct ist_graph *g,
				    struct ist_weights *theta, const struct ist_gxn_settings *s,
				    ist_node *features, ist_node *mask)
{
	ist_node *x = features;

	if (s->cnn)
		x = ist_image_rows(ist_image_maps(norms, g, theta, s->side, features).last);
	x = masked(x, mask);
	return (struct ist_gxn_levels){
	    .h = ist_unit(ist_layer_linear(g, theta, "image.h", x)),
	    .l = ist_unit(ist_layer_linear(g, theta, "image.l", x)),
	};
}

/* All states (T N, hidden). */
static ist_node *states(struct ist_graph *g, struct ist_weights *theta, const char *input,
			const char *state, ist_node *words, ist_node *codes, bool backward)
{
	return ist_gru(ist_layer_linear(g, theta, input, words), ist_weight(g, theta, state), codes,
		       backward);
}

/* t_l = unit(P_t^l of the last state) */
static ist_node *grounded(struct ist_graph *g, struct ist_weights *theta, ist_node *words,
			  ist_node *codes)
{
	ist_node *all =
	    states(g, theta, "text.grounded", "text.grounded.state", words, codes, false);

	return ist_unit(ist_layer_linear(g, theta, "text.l", ist_last_state(all, codes)));
}

/* t_h = unit(P_t^h of the sum of both directions' states), and t_l */
static struct ist_gxn_levels read_words(struct ist_graph *g, struct ist_weights *theta,
					ist_node *codes, ist_node *mask)
{
	ist_node *words = ist_word_vectors(g, theta, codes);
	ist_node *there =
	    states(g, theta, "text.forward", "text.forward.state", words, codes, false);
	ist_node *back =
	    states(g, theta, "text.backward", "text.backward.state", words, codes, true);
	ist_node *h = ist_concat(ist_sum_over_time(there, codes), ist_sum_over_time(back, codes));

	return (struct ist_gxn_levels){
	    .h = ist_unit(ist_layer_linear(g, theta, "text.h", masked(h, mask))),
	    .l = grounded(g, theta, words, codes),
	};
}

ist_node *ist_gxn_text_grounded(struct ist_graph *g, struct ist_weights *theta,
				const struct ist_gxn_settings *s, ist_node *features)
{
	if (s->gru)
		return grounded(g, theta, ist_word_vectors(g, theta, features), features);
	return ist_unit(ist_layer_linear(g, theta, "text.l", features));
}

struct ist_gxn_levels ist_gxn_text(struct ist_graph *g, struct ist_weights *theta,
				   const struct ist_gxn_settings *s, ist_node *features,
				   ist_node *mask)
{
	ist_node *x;

	if (s->gru)
		return read_words(g, theta, features, mask);
	x = masked(features, mask);
	return (struct ist_gxn_levels){
	    .h = ist_unit(ist_layer_linear(g, theta, "text.h", x)),
	    .l = ist_unit(ist_layer_linear(g, theta, "text.l", x)),
	};
}
