/* The convolutional network over pixels. */
#include "core/methods/image_network.h"

#include <stdio.h>

#include "core/tensor/ops.h"

#define NAME 32
#define KERNEL 3

const char *const ist_image_networks[] = {"linear", "cnn", NULL};

size_t ist_image_channels(size_t channels, size_t layers)
{
	return layers == 0 ? 3 : channels << (layers - 1);
}

size_t ist_image_flat(size_t side, size_t channels)
{
	size_t last = side >> IST_IMAGE_LAYERS;

	return ist_image_channels(channels, IST_IMAGE_LAYERS) * last * last;
}

void ist_image_declare(struct ist_weights *theta, size_t channels)
{
	char name[NAME];

	for (size_t i = 0; i < IST_IMAGE_LAYERS; i++) {
		size_t n_out = ist_image_channels(channels, i + 1);

		snprintf(name, sizeof(name), "image.conv%zu", i + 1);
		ist_layer_add_conv(theta, name, ist_image_channels(channels, i), n_out, KERNEL);
		snprintf(name, sizeof(name), "image.norm%zu", i + 1);
		ist_layer_add_batch_norm(theta, name, n_out);
	}
}

struct ist_image_maps ist_image_maps(struct ist_norms *norms, struct ist_graph *g,
				     struct ist_weights *theta, size_t side, ist_node *pixels)
{
	struct ist_image_maps maps = {0};
	char name[NAME];

	maps.last = ist_reshape(pixels, 4, (size_t[]){pixels->dim[0], 3, side, side});
	for (size_t i = 1; i <= IST_IMAGE_LAYERS; i++) {
		snprintf(name, sizeof(name), "image.conv%zu", i);
		maps.last = ist_layer_conv(g, theta, name, maps.last, 2, KERNEL / 2);
		snprintf(name, sizeof(name), "image.norm%zu", i);
		maps.last = ist_relu(ist_layer_batch_norm(norms, g, theta, name, maps.last));
		if (i == IST_IMAGE_EARLY)
			maps.early = maps.last;
	}
	return maps;
}

ist_node *ist_image_rows(ist_node *map)
{
	if (map == NULL)
		return NULL;
	return ist_reshape(map, 2, (size_t[]){map->dim[0], map->size / map->dim[0]});
}
