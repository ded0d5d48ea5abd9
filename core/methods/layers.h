/* Layers by name: the pieces that encoder stacks and adversaries are built of. */
#ifndef IST_CORE_METHODS_LAYERS_H
#define IST_CORE_METHODS_LAYERS_H

#include "core/tensor/graph.h"

/* x W' + b with <name>.weight and <name>.bias of the group (ist_weights_add_linear). */
ist_node *ist_layer_linear(struct ist_graph *graph, struct ist_weights *group, const char *name,
			   ist_node *x);

/*
 * A block of an encoder stack or of an adversary: linear, batch normalisation, leaky relu .2.
 * Declared as <name>.lin.*, <name>.gamma (N(1, .02)) and <name>.beta (0); running statistics
 * <name>.mean<site> and <name>.var<site> apart, because one block may be used in several places.
 */
void ist_layer_add_block(struct ist_weights *group, const char *name, size_t n_in, size_t n_out);
void ist_layer_add_statistics(struct ist_weights *group, const char *name, const char *site,
			      size_t n_out);

/* Where a training forward leaves the statistics of its batch, and where they are to run. */
struct ist_norm {
	const ist_node *y;
	struct ist_weight *mean, *variance;
};

/* By the statistics of the batch; by the running ones. */
ist_node *ist_layer_block(struct ist_graph *graph, struct ist_weights *group, const char *name,
			  const char *site, ist_node *x, struct ist_norm *ret);
ist_node *ist_layer_block_fixed(struct ist_graph *graph, struct ist_weights *group,
				const char *name, const char *site, ist_node *x);
/* Moves the running statistics by those of the last forward, with momentum .1. */
void ist_norm_track(const struct ist_norm *norm);

/* The same id for every row of a batch, such as the sides of a modality game. */
ist_node *ist_layer_constant_ids(struct ist_graph *graph, const char *name, size_t n, int32_t id);

/* A convolution by name: <name>.weight (n_out, n_in, side, side) and <name>.bias. */
void ist_layer_add_conv(struct ist_weights *group, const char *name, size_t n_in, size_t n_out,
			size_t side);
ist_node *ist_layer_conv(struct ist_graph *graph, struct ist_weights *group, const char *name,
			 ist_node *x, size_t stride, size_t pad);

/*
 * Batch normalisation by name: <name>.weight, .bias, .running_mean, .running_var. In training each
 * use takes its own batch's statistics and is noted down; ist_norms_track, after the forward pass
 * of a step, moves the running ones by .1. Elsewhere those are used.
 */
#define IST_MAX_NORMS 24

struct ist_norms {
	bool training;
	size_t n;
	struct {
		const ist_node *y;
		struct ist_weight *mean, *variance;
	} use[IST_MAX_NORMS];
};

void ist_layer_add_batch_norm(struct ist_weights *group, const char *name, size_t n);
ist_node *ist_layer_batch_norm(struct ist_norms *norms, struct ist_graph *graph,
			       struct ist_weights *group, const char *name, ist_node *x);
void ist_norms_track(const struct ist_norms *norms);
/* By that momentum: with 1 / k at the k-th of several passes they become their mean. */
void ist_norms_move(const struct ist_norms *norms, double momentum);

#endif
