/* What cases of one file share with those of another. */
#ifndef IST_TESTS_UNIT_TENSOR_CASES_PARTS_H
#define IST_TESTS_UNIT_TENSOR_CASES_PARTS_H

#include "tests/unit/tensor/cases.h"

static inline double at(const ist_node *x, size_t i, size_t j)
{
	return (double)x->value[i * x->dim[1] + j];
}

static inline ist_node *matrix(struct ist_graph *g, const char *name, size_t rows, size_t cols)
{
	return ist_variable(g, name, rows, cols);
}

/* cases_texts.c */
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

/* cases_maps.c */
ist_node *conv_3_1_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *conv_4_2_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *conv_transpose_4_2_1(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *conv_transpose_3_1_0(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void conv_ref(const ist_node *y, double *ret);
void conv_transpose_ref(const ist_node *y, double *ret);
double conv_flops(const struct sizes *s);
ist_node *batch_norm_matrix(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *batch_norm_map(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void batch_norm_ref(const ist_node *y, double *ret);
ist_node *batch_norm_fixed_matrix(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
ist_node *batch_norm_fixed_map(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void batch_norm_fixed_ref(const ist_node *y, double *ret);
ist_node *spread_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void spread_ref(const ist_node *y, double *ret);
ist_node *places_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s);
void places_ref(const ist_node *y, double *ret);

#endif
