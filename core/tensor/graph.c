/*
 * Graphs: nodes in an arena, in order of creation, which is an order in which each comes after its
 * inputs. Compiling lays out values, what operators keep, and gradients in the same arena; values
 * and gradients of weights are the group's slabs. Nothing is allocated after that.
 */
#include "core/tensor/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/memory.h"
#include "core/tensor/op.h"

struct ist_graph {
	struct ist_arena arena;
	ist_node *first, *last;
	const struct ist_weights *frozen[IST_MAX_FROZEN];
	size_t n_frozen;
	struct ist_err err; /* the first mistake */
};

struct ist_graph *ist_graph_create(void)
{
	return ist_alloc(1, sizeof(struct ist_graph));
}

void ist_graph_destroy(struct ist_graph *graph)
{
	if (graph == NULL)
		return;
	for (ist_node *node = graph->first; node != NULL; node = node->next)
		if (node->op != NULL && node->op->release != NULL)
			node->op->release(node);
	ist_arena_finish(&graph->arena);
	free(graph);
}

ist_node *ist_graph_fail(struct ist_graph *graph, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (graph->err.code == IST_OK)
		(void)ist_fail(&graph->err, IST_INTERNAL, "%s", text);
	return NULL;
}

/* Appends to both lists: forward walks them one way, backward the other. */
static ist_node *node_add(struct ist_graph *graph)
{
	ist_node *node = ist_arena_alloc(&graph->arena, 1, sizeof(*node));

	node->graph = graph;
	node->before = graph->last;
	if (graph->last != NULL)
		graph->last->next = node;
	else
		graph->first = node;
	graph->last = node;
	return node;
}

/* The name is copied: formulas make theirs up on the stack. */
static ist_node *leaf(struct ist_graph *graph, const char *name, int n_dims, const size_t *dim)
{
	ist_node *node = node_add(graph);

	node->name = ist_arena_strdup(&graph->arena, name);
	node->n_dims = n_dims;
	node->size = 1;
	for (int i = 0; i < n_dims; i++)
		node->size *= node->dim[i] = dim[i];
	return node;
}

ist_node *ist_input(struct ist_graph *graph, const char *name, size_t rows, size_t cols)
{
	return leaf(graph, name, 2, (size_t[]){rows, cols});
}

ist_node *ist_variable(struct ist_graph *graph, const char *name, size_t rows, size_t cols)
{
	ist_node *node = ist_input(graph, name, rows, cols);

	node->wants_gradient = true;
	return node;
}

ist_node *ist_input_shaped(struct ist_graph *graph, const char *name, int n_dims, const size_t *dim)
{
	return leaf(graph, name, n_dims, dim);
}

ist_node *ist_variable_shaped(struct ist_graph *graph, const char *name, int n_dims,
			      const size_t *dim)
{
	ist_node *node = leaf(graph, name, n_dims, dim);

	node->wants_gradient = true;
	return node;
}

ist_node *ist_ids(struct ist_graph *graph, const char *name, size_t rows)
{
	ist_node *node = leaf(graph, name, 1, &rows);

	node->ids = ist_arena_alloc(&graph->arena, rows, sizeof(*node->ids));
	return node;
}

void ist_graph_freeze(struct ist_graph *graph, const struct ist_weights *group)
{
	if (graph->n_frozen == IST_MAX_FROZEN)
		(void)ist_graph_fail(graph, "more than %d frozen groups", IST_MAX_FROZEN);
	else
		graph->frozen[graph->n_frozen++] = group;
}

static bool is_frozen(const struct ist_graph *graph, const struct ist_weights *group)
{
	for (size_t i = 0; i < graph->n_frozen; i++)
		if (graph->frozen[i] == group)
			return true;
	return false;
}

ist_node *ist_weight(struct ist_graph *graph, struct ist_weights *group, const char *name)
{
	struct ist_weight *weight = ist_weights_find(group, name);
	ist_node *node;

	if (weight == NULL)
		return ist_graph_fail(graph, "no weight %s in group %s", name, group->name);
	for (node = graph->first; node != NULL; node = node->next)
		if (node->weight == weight)
			return node;
	node = leaf(graph, weight->name, weight->n_dims, weight->dim);
	node->weight = weight;
	node->wants_gradient = !is_frozen(graph, group);
	return node;
}

/* "64x200"; nothing for a scalar. */
static int print_shape(char *to, size_t room, const ist_node *x)
{
	int len = 0;

	for (int i = 0; i < x->n_dims && (size_t)len < room; i++)
		len += snprintf(to + len, room - (size_t)len, "%s%zu", i > 0 ? "x" : "", x->dim[i]);
	return len;
}

/* "linear: 64x200 by 512x10 by 512 (fV.2.weight, fV.2.bias)" */
static ist_node *fail_shape(const ist_node *y)
{
	char shapes[128] = "", names[128] = "";
	int at = 0, at_names = 0;

	for (int i = 0; i < y->n_in; i++) {
		char shape[64] = "scalar";

		print_shape(shape, sizeof(shape), y->in[i]);
		at += snprintf(shapes + at, sizeof(shapes) - (size_t)at, "%s%s",
			       i > 0 ? " by " : "", shape);
		at = IST_MIN(at, (int)sizeof(shapes) - 1);
		if (y->in[i]->name == NULL)
			continue;
		at_names += snprintf(names + at_names, sizeof(names) - (size_t)at_names, "%s%s",
				     at_names > 0 ? ", " : " (", y->in[i]->name);
		at_names = IST_MIN(at_names, (int)sizeof(names) - 1);
	}
	return ist_graph_fail(y->graph, "%s: %s%s%s", y->op->name, shapes, names,
			      at_names > 0 ? ")" : "");
}

ist_node *ist_apply(const struct ist_op *op, int n_in, ist_node *const *in, const double *arg,
		    int n_args)
{
	ist_node *y;

	for (int i = 0; i < n_in; i++)
		if (in[i] == NULL)
			return NULL;
	/* The node joins the list before its shape is known to fit: a graph with a mistake is never
	 * run, and the failure wants to print its inputs. */
	y = node_add(in[0]->graph);
	y->op = op;
	y->n_in = n_in;
	for (int i = 0; i < n_in; i++) {
		y->in[i] = in[i];
		y->wants_gradient |= in[i]->wants_gradient;
	}
	for (int i = 0; i < n_args; i++)
		y->arg[i] = arg[i];
	if (!op->shape(y))
		return fail_shape(y);
	y->size = 1;
	for (int i = 0; i < y->n_dims; i++)
		y->size *= y->dim[i];
	return y;
}

bool ist_shape_matrix(ist_node *y, size_t rows, size_t cols)
{
	y->n_dims = 2;
	y->dim[0] = rows;
	y->dim[1] = cols;
	return true;
}

bool ist_shape_scalar(ist_node *y)
{
	y->n_dims = 0;
	return true;
}

bool ist_shape_same(ist_node *y, const ist_node *x)
{
	y->n_dims = x->n_dims;
	memcpy(y->dim, x->dim, sizeof(y->dim));
	return x->ids == NULL;
}

/* Class ids have one dimension and no values: no operator on numbers takes them. */
bool ist_is_matrix(const ist_node *x)
{
	return x->n_dims == 2 && x->ids == NULL;
}

/* A weight's node lives in its group's slabs, so graphs of several batch sizes can share one
 * group, and a model's graphs cost no copy of its weights. */
static void lay_out(ist_node *node, bool training)
{
	struct ist_arena *arena = &node->graph->arena;

	if (node->weight != NULL) {
		node->value = node->weight->value;
		return;
	}
	if (node->ids == NULL)
		node->value = ist_arena_alloc(arena, node->size, sizeof(ist_real));
	if (node->op != NULL && node->op->kept != NULL)
		node->kept = ist_arena_alloc(arena, node->op->kept(node), sizeof(ist_real));
	if (training && node->wants_gradient)
		node->gradient = ist_arena_alloc(arena, node->size, sizeof(ist_real));
}

enum ist_code ist_graph_compile(struct ist_graph *graph, bool training, struct ist_err *err)
{
	if (graph->err.code != IST_OK)
		return ist_fail(err, graph->err.code, "%s", graph->err.text);
	for (ist_node *node = graph->first; node != NULL; node = node->next)
		lay_out(node, training);
	for (ist_node *node = graph->first; node != NULL; node = node->next) {
		enum ist_code code = IST_OK;

		if (node->op != NULL && node->op->prepare != NULL)
			code = node->op->prepare(node, training, err);
		if (code != IST_OK)
			return ist_wrap(err, "%s", node->op->name);
	}
	return IST_OK;
}

void ist_graph_forward_part(struct ist_graph *graph, const ist_node *after, const ist_node *last)
{
	ist_node *node = after != NULL ? after->next : graph->first;
	const ist_node *end = last != NULL ? last->next : NULL;

	for (; node != end; node = node->next)
		if (node->op != NULL)
			node->op->forward(node);
}

void ist_graph_forward(struct ist_graph *graph)
{
	ist_graph_forward_part(graph, NULL, NULL);
}

ist_real *ist_gradient(ist_node *x)
{
	if (x->weight != NULL)
		return ist_weight_dense(x->weight);
	if (!x->has_gradient)
		memset(x->gradient, 0, x->size * sizeof(*x->gradient));
	x->has_gradient = true;
	return x->gradient;
}

void ist_graph_backward(ist_node *root)
{
	struct ist_graph *graph = root->graph;

	for (ist_node *node = graph->first; node != NULL; node = node->next) {
		node->has_gradient = false;
		if (node->weight != NULL && node->wants_gradient)
			ist_weight_clear(node->weight);
	}
	if (!root->wants_gradient)
		return;
	/* Only nodes that a gradient has reached are asked to pass it on, so a term with weight 0
	 * costs nothing here. */
	ist_gradient(root)[0] = 1;
	for (ist_node *node = graph->last; node != NULL; node = node->before)
		if (node->op != NULL && node->has_gradient)
			node->op->backward(node);
}
