/* A case or more for every operator: how to build it, and what it must give by plain loops. */
#ifndef IST_TESTS_UNIT_TENSOR_CASES_H
#define IST_TESTS_UNIT_TENSOR_CASES_H

#include "core/tensor/op.h"
#include "core/tensor/ops.h"

/* Rows, columns, inner width of a case's tensors. */
struct sizes {
	size_t n, m, k;
};

struct op_case {
	const struct ist_op *op;
	const char *what;
	/* theta holds "w" (m, k) and "b" (m). Inputs are variables, filled by whoever runs it. */
	ist_node *(*build)(struct ist_graph *graph, struct ist_weights *theta, struct sizes s);
	void (*reference)(const ist_node *y, double *ret);
	double factor; /* of the true derivative that comes back: 1 but for grl */
	double (*flops)(const struct sizes *s); /* forward; NULL: counted in bytes */
	double (*bytes)(const struct sizes *s);
};
extern const struct op_case op_cases[];
extern const size_t n_op_cases;

#endif
