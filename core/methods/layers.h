/* Layers by name: the pieces that encoder stacks and adversaries are built of. */
#ifndef IST_CORE_METHODS_LAYERS_H
#define IST_CORE_METHODS_LAYERS_H

#include "core/tensor/graph.h"

/* x W' + b with <name>.weight and <name>.bias of the group (ist_weights_add_linear). */
ist_node *ist_layer_linear(struct ist_graph *graph, struct ist_weights *group, const char *name,
			   ist_node *x);

/* The same id for every row of a batch, such as the sides of a modality game. */
ist_node *ist_layer_constant_ids(struct ist_graph *graph, const char *name, size_t n, int32_t id);

#endif
