/*
 * What an operator is made of. To add one: write its family's file (or a row in an existing one)
 * with shape rule, forward and backward on one screen; put the front function into ops.h, the row
 * into ops.c; give it a case in tests/unit/tensor/cases.c, which the table's test and the benchmark
 * both loop over (a row without a case fails the test).
 */
#ifndef IST_CORE_TENSOR_OP_H
#define IST_CORE_TENSOR_OP_H

#include "core/tensor/graph.h"

struct ist_op {
	const char *name;
	/* Sets y's shape from its inputs; false for inputs that do not fit. */
	bool (*shape)(ist_node *y);
	/* How many numbers forward keeps for backward; NULL: none. */
	size_t (*kept)(const ist_node *y);
	/* What a node needs beyond that, in y->state: made when the graph is compiled, after all
	 * values and gradients have their places, and released with it; both NULL: nothing. */
	enum ist_code (*prepare)(ist_node *y, bool training, struct ist_err *err);
	void (*release)(ist_node *y);
	void (*forward)(ist_node *y);
	/* Adds to the gradients of those inputs that want one (ist_gradient). */
	void (*backward)(ist_node *y);
};

/* One node of `op`; NULL where an input is NULL or the shapes do not fit. */
ist_node *ist_apply(const struct ist_op *op, int n_in, ist_node *const *in, const double *arg,
		    int n_args);

/* Where to add d(root)/d(x): zeroed at its first use in a backward pass. */
ist_real *ist_gradient(ist_node *x);

/* Shape helpers. */
bool ist_shape_matrix(ist_node *y, size_t rows, size_t cols);
bool ist_shape_scalar(ist_node *y);
bool ist_shape_same(ist_node *y, const ist_node *x);
bool ist_is_matrix(const ist_node *x);

/* Words of text i of codes (N, T): how many are above 0 before the first that is not. */
size_t ist_text_length(const ist_node *codes, size_t i);

/* Numbers below which sharing a loop out costs more than it saves. */
#define IST_PARALLEL_MIN 32768

#endif
