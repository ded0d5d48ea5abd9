/* What cases of one file share with those of another. */
#ifndef IST_TESTS_UNIT_TENSOR_CASES_TEXTS_H
#define IST_TESTS_UNIT_TENSOR_CASES_TEXTS_H

#include "tests/unit/tensor/cases.h"

static inline double at(const ist_node *x, size_t i, size_t j)
{
	return (double)x->value[i * x->dim[1] + j];
}

static inline ist_node *matrix(struct ist_graph *g, const char *name, size_t rows, size_t cols)
{
	return ist_variable(g, name, rows, cols);
}

ist_node *words_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void words_ref(const ist_node *y, double *ret);
ist_node *lstm_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void lstm_ref(const ist_node *y, double *ret);
double lstm_flops(const struct sizes *s);
ist_node *gru_forward_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *gru_reverse_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void gru_ref(const ist_node *y, double *ret);
double gru_flops(const struct sizes *s);
ist_node *last_state_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *sum_over_time_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void over_time_ref(const ist_node *y, double *ret);

#endif
