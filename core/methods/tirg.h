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

/* The form over maps ("last conv"): x (N, c, h, w) and t (N, d) -> (N, c, h, w). */
void ist_tirg_declare_map(struct ist_weights *theta, size_t c, size_t d);
ist_node *ist_tirg_compose_map(struct ist_norms *norms, struct ist_graph *graph,
			       struct ist_weights *theta, ist_node *x, ist_node *t);

#endif
