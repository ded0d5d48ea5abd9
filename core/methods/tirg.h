/*
 * TIRG's composition (Vo et al., Composing Text and Image for Image Retrieval, CVPR 2019): a text
 * changes a picture's feature by a gate and a residual. DMIM is built on it.
 */
#ifndef IST_CORE_METHODS_TIRG_H
#define IST_CORE_METHODS_TIRG_H

#include "core/methods/layers.h"

enum ist_composition {
	IST_COMPOSE_TIRG,
	IST_COMPOSE_CONCAT, /* the paper's baseline: two layers over [x; t], no gate */
};

/* Declares its weights for features of d dimensions; before the group is allocated. */
void ist_tirg_declare(struct ist_weights *theta, enum ist_composition composition, size_t d);
/* f (N, d) from x (N, d) and t (N, d). */
ist_node *ist_tirg_compose(struct ist_norms *norms, struct ist_graph *graph,
			   struct ist_weights *theta, enum ist_composition composition, ist_node *x,
			   ist_node *t);

#endif
