/*
 * Graphs of tensors. A formula is built once from leaves (inputs, class ids, weights) and operators
 * (ops.h); compiling gives every node its memory; then forward and backward run as often as wanted
 * and allocate nothing.
 *
 * Formulas carry no checks: an operator handed NULL returns NULL, a bad shape is recorded in the
 * graph ("linear: 64x200 by 512x10 (fV.2.weight)") and returned by ist_graph_compile.
 *
 * Shapes are row-major, rows first. A graph belongs to one thread; operators share their loops out
 * to as many OpenMP threads as that thread's setting allows, and no result depends on how many.
 */
#ifndef IST_CORE_TENSOR_GRAPH_H
#define IST_CORE_TENSOR_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/tensor/real.h"
#include "core/tensor/weights.h"

#define IST_MAX_INPUTS 5
#define IST_MAX_FROZEN 4 /* groups */
#define IST_MAX_ARGS 6

struct ist_graph;
struct ist_op;

typedef struct ist_node ist_node;
struct ist_node {
	const struct ist_op *op; /* NULL: a leaf */
	struct ist_graph *graph;
	const char *name; /* of a leaf */
	ist_node *in[IST_MAX_INPUTS];
	int n_in;
	int n_dims;
	size_t dim[IST_MAX_DIMS];
	size_t size; /* product of dim */
	ist_real *value;
	ist_real *gradient;	   /* d(root)/d(value); NULL where nobody wants it */
	ist_real *kept;		   /* what forward leaves for backward */
	int32_t *ids;		   /* a leaf of class ids: (dim[0]) */
	struct ist_weight *weight; /* a leaf that is a weight */
	double arg[IST_MAX_ARGS];  /* the operator's constants */
	void *state;		   /* what its prepare made */
	bool wants_gradient, has_gradient;
	ist_node *next, *before; /* in order of creation */
};

struct ist_graph *ist_graph_create(void);
void ist_graph_destroy(struct ist_graph *graph);

/* Leaves. Inputs are (rows, cols), filled by the caller through node->value (ids: node->ids,
 * (rows)) between compile and forward. A weight's node is the same one however often it is named.
 */
ist_node *ist_input(struct ist_graph *graph, const char *name, size_t rows, size_t cols);
ist_node *ist_ids(struct ist_graph *graph, const char *name, size_t rows);
ist_node *ist_weight(struct ist_graph *graph, struct ist_weights *group, const char *name);
/* From now on the weights of a group are constants of this graph: they get no gradient, and none is
 * computed for them. */
void ist_graph_freeze(struct ist_graph *graph, const struct ist_weights *group);
/* An input whose gradient is wanted too. */
ist_node *ist_variable(struct ist_graph *graph, const char *name, size_t rows, size_t cols);
/* The same two of any shape, such as the pictures of a batch (N, C, H, W). */
ist_node *ist_input_shaped(struct ist_graph *graph, const char *name, int n_dims,
			   const size_t *dim);
ist_node *ist_variable_shaped(struct ist_graph *graph, const char *name, int n_dims,
			      const size_t *dim);

/* Memory for all nodes, or the first mistake of the formulas. Without `training` there are no
 * gradients, and backward must not be called. */
IST_CHECKED enum ist_code ist_graph_compile(struct ist_graph *graph, bool training,
					    struct ist_err *err);
void ist_graph_forward(struct ist_graph *graph);
/* A part of that: the nodes made after `after` (NULL: from the first on) up to `last` (NULL: to the
 * end), where what is fed to the rest follows from the first part's values. */
void ist_graph_forward_part(struct ist_graph *graph, const ist_node *after, const ist_node *last);
/* Gradients of the scalar `root` by everything under it. What earlier calls left is forgotten. */
void ist_graph_backward(ist_node *root);

/* Records a mistake (the first one stays) and returns NULL. */
ist_node *ist_graph_fail(struct ist_graph *graph, const char *format, ...) IST_PRINTF(2, 3);

#endif
