/*
 * A small convolutional network over pixels, for methods that learn to see: four layers (3x3,
 * stride 2, batch normalisation, ReLU), each with twice the channels of the one before. Its weights
 * are image.conv1.*, image.norm1.* and on.
 */
#ifndef IST_CORE_METHODS_IMAGE_NETWORK_H
#define IST_CORE_METHODS_IMAGE_NETWORK_H

#include "core/methods/defaults.h"
#include "core/methods/layers.h"

#define IST_IMAGE_LAYERS 4 /* each halves the sides */
#define IST_IMAGE_EARLY 2  /* the layer whose map is given out too */

/* Rows of a method's parameters. */
extern const char *const ist_image_networks[]; /* "linear", "cnn" */
#define IST_PARAM_IMAGE_NETWORK                                                                    \
	IST_CHOICE_BY_DATA("image_network", ist_image_networks,                                    \
			   "Over pictures' features; cnn: four convolutions over what the "        \
			   "encoder \"pixels\" makes, and the default there")
#define IST_PARAM_CHANNELS                                                                         \
	IST_INT("channels", 16, 1, 256,                                                            \
		"Of the cnn's first layer; each further one has twice as many")

struct ist_image_maps {
	ist_node *early, *last; /* (N, C, H, W) after IST_IMAGE_EARLY layers, and all */
};

/* Channels of the map after that many layers, of pictures of three channels. */
size_t ist_image_channels(size_t channels, size_t layers);
/* Numbers of the last map of a picture. */
size_t ist_image_flat(size_t side, size_t channels);
void ist_image_declare(struct ist_weights *theta, size_t channels);
/* Of pixels (N, 3 side side). */
struct ist_image_maps ist_image_maps(struct ist_norms *norms, struct ist_graph *graph,
				     struct ist_weights *theta, size_t side, ist_node *pixels);
/* A map's pictures as rows; NULL of NULL. */
ist_node *ist_image_rows(ist_node *map);

#endif
