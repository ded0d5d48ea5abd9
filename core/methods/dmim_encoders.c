/*
 * DMIM's encoders. Over stored features both are a linear map. Pixels are seen by a small
 * convolutional network of four layers (3x3, stride 2, batch normalisation, ReLU), whose last map
 * is flattened into a linear map and whose second serves the local term; words are read by a long
 * short-term memory over vectors of their own.
 */
#include <stdio.h>

#include "core/methods/dmim.h"
#include "core/tensor/ops.h"

#define NAME 32
#define KERNEL 3

size_t ist_dmim_channels(const struct ist_dmim_settings *s, size_t layers)
{
	return layers == 0 ? 3 : s->channels << (layers - 1);
}

/* Numbers of the last map of a picture. */
static size_t flat(const struct ist_dmim_settings *s)
{
	size_t side = s->side >> IST_DMIM_LAYERS;

	return ist_dmim_channels(s, IST_DMIM_LAYERS) * side * side;
}

static void declare_cnn(struct ist_weights *theta, const struct ist_dmim_settings *s)
{
	char name[NAME];

	for (size_t i = 0; i < IST_DMIM_LAYERS; i++) {
		snprintf(name, sizeof(name), "image.conv%zu", i + 1);
		ist_layer_add_conv(theta, name, ist_dmim_channels(s, i),
				   ist_dmim_channels(s, i + 1), KERNEL);
		snprintf(name, sizeof(name), "image.norm%zu", i + 1);
		ist_layer_add_batch_norm(theta, name, ist_dmim_channels(s, i + 1));
	}
	ist_weights_add_linear(theta, "image", flat(s), s->d);
}

/* The vocabulary is no weight that moves: the training writes it, and the model's file keeps it. */
static void declare_lstm(struct ist_weights *theta, const struct ist_dmim_settings *s)
{
	size_t gates = 4 * s->d;

	ist_weights_add_normal(theta, "text.vocabulary", 1, &s->vocabulary, 0, 0);
	ist_weights_add_normal(theta, "text.words", 2, (size_t[]){s->vocabulary + 1, s->d}, 0, 1);
	ist_weights_add(theta, "text.input.weight", 2, (size_t[]){gates, s->d}, s->d);
	ist_weights_add(theta, "text.input.bias", 1, &gates, s->d);
	ist_weights_add(theta, "text.state.weight", 2, (size_t[]){gates, s->d}, s->d);
	ist_weights_add_linear(theta, "text", s->d, s->d);
}

void ist_dmim_declare_encoders(struct ist_weights *theta, const struct ist_dmim_settings *s)
{
	if (s->cnn)
		declare_cnn(theta, s);
	else
		ist_weights_add_linear(theta, "image", s->n_in[IST_IMAGE], s->d);
	if (s->lstm)
		declare_lstm(theta, s);
	else
		ist_weights_add_linear(theta, "text", s->n_in[IST_TEXT], s->d);
}

ist_node *ist_dmim_flatten(struct ist_graph *g, struct ist_weights *theta, ist_node *map)
{
	if (map == NULL)
		return NULL;
	return ist_layer_linear(
	    g, theta, "image",
	    ist_reshape(map, 2, (size_t[]){map->dim[0], map->size / map->dim[0]}));
}

struct ist_dmim_picture ist_dmim_image(struct ist_norms *norms, struct ist_graph *g,
				       struct ist_weights *theta, const struct ist_dmim_settings *s,
				       ist_node *features)
{
	struct ist_dmim_picture p = {0};
	char name[NAME];

	if (!s->cnn) {
		p.x = ist_layer_linear(g, theta, "image", features);
		return p;
	}
	p.map = ist_reshape(features, 4, (size_t[]){features->dim[0], 3, s->side, s->side});
	for (size_t i = 1; i <= IST_DMIM_LAYERS; i++) {
		snprintf(name, sizeof(name), "image.conv%zu", i);
		p.map = ist_layer_conv(g, theta, name, p.map, 2, KERNEL / 2);
		snprintf(name, sizeof(name), "image.norm%zu", i);
		p.map = ist_relu(ist_layer_batch_norm(norms, g, theta, name, p.map));
		if (i == IST_DMIM_LOCAL_AFTER)
			p.local = p.map;
	}
	p.x = ist_dmim_flatten(g, theta, p.map);
	return p;
}

ist_node *ist_dmim_text(struct ist_graph *g, struct ist_weights *theta,
			const struct ist_dmim_settings *s, ist_node *features)
{
	ist_node *words;

	if (!s->lstm)
		return ist_layer_linear(g, theta, "text", features);
	words = ist_words(features, ist_weight(g, theta, "text.vocabulary"),
			  ist_weight(g, theta, "text.words"));
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
