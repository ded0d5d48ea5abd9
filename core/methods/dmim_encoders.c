/*
 * DMIM's encoders. Over stored features both are a linear map. Pixels are seen by a small
 * convolutional network (image_network.h), whose last map is flattened into a linear map and whose
 * early one serves the local term; words are read by a long short-term memory over vectors of their
 * own (word_network.h).
 */
#include "core/methods/dmim.h"
#include "core/methods/word_network.h"
#include "core/tensor/ops.h"

static void declare_lstm(struct ist_weights *theta, const struct ist_dmim_settings *s)
{
	size_t gates = 4 * s->d;

	ist_word_declare(theta, s->vocabulary, s->d);
	ist_weights_add(theta, "text.input.weight", 2, (size_t[]){gates, s->d}, s->d);
	ist_weights_add(theta, "text.input.bias", 1, &gates, s->d);
	ist_weights_add(theta, "text.state.weight", 2, (size_t[]){gates, s->d}, s->d);
	ist_weights_add_linear(theta, "text", s->d, s->d);
}

void ist_dmim_declare_encoders(struct ist_weights *theta, const struct ist_dmim_settings *s)
{
	if (s->cnn)
		ist_image_declare(theta, s->channels);
	ist_weights_add_linear(theta, "image",
			       s->cnn ? ist_image_flat(s->side, s->channels) : s->n_in[IST_IMAGE],
			       s->d);
	if (s->lstm)
		declare_lstm(theta, s);
	else
		ist_weights_add_linear(theta, "text", s->n_in[IST_TEXT], s->d);
}

ist_node *ist_dmim_flatten(struct ist_graph *g, struct ist_weights *theta, ist_node *map)
{
	return ist_layer_linear(g, theta, "image", ist_image_rows(map));
}

struct ist_dmim_picture ist_dmim_image(struct ist_norms *norms, struct ist_graph *g,
				       struct ist_weights *theta, const struct ist_dmim_settings *s,
				       ist_node *features)
{
	struct ist_dmim_picture p = {0};
	struct ist_image_maps maps;

	if (!s->cnn) {
		p.x = ist_layer_linear(g, theta, "image", features);
		return p;
	}
	maps = ist_image_maps(norms, g, theta, s->side, features);
	p.local = maps.early;
	p.map = maps.last;
	p.x = ist_dmim_flatten(g, theta, p.map);
	return p;
}

ist_node *ist_dmim_text(struct ist_graph *g, struct ist_weights *theta,
			const struct ist_dmim_settings *s, ist_node *features)
{
	ist_node *words;

	if (!s->lstm)
		return ist_layer_linear(g, theta, "text", features);
	words = ist_word_vectors(g, theta, features);
	return ist_layer_linear(g, theta, "text",
				ist_lstm(ist_layer_linear(g, theta, "text.input", words),
					 ist_weight(g, theta, "text.state.weight"), features));
}

ist_node *ist_dmim_compose(struct ist_norms *norms, struct ist_graph *g, struct ist_weights *theta,
			   const struct ist_dmim_settings *s,
			   const struct ist_dmim_picture *picture, ist_node *t)
{
	if (s->map)
		return ist_dmim_flatten(g, theta,
					ist_tirg_compose_map(norms, g, theta, picture->map, t));
	return ist_tirg_compose(norms, g, theta, s->composition, picture->x, t);
}
