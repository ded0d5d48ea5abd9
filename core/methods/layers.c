/* Layers by name. Names are the weights' in a model's file, so they are part of its format. */
#include "core/methods/layers.h"

#include <stdio.h>

#include "core/tensor/ops.h"

#define NAME 64

ist_node *ist_layer_linear(struct ist_graph *graph, struct ist_weights *group, const char *name,
			   ist_node *x)
{
	char weight[NAME], bias[NAME];

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	return ist_linear(x, ist_weight(graph, group, weight), ist_weight(graph, group, bias));
}

ist_node *ist_layer_constant_ids(struct ist_graph *graph, const char *name, size_t n, int32_t id)
{
	ist_node *ids = ist_ids(graph, name, n);

	for (size_t i = 0; i < n; i++)
		ids->ids[i] = id;
	return ids;
}
