/* The table of operators. A test loops over it. */
#include "core/tensor/ops.h"

const struct ist_op *const ist_ops[] = {
    &ist_op_linear,	   &ist_op_matmul,	 &ist_op_tanh,
    &ist_op_relu,	   &ist_op_add,		 &ist_op_scale,
    &ist_op_transpose,	   &ist_op_softmax,	 &ist_op_unit,
    &ist_op_grl,	   &ist_op_detach,	 &ist_op_distance,
    &ist_op_cross_entropy, &ist_op_contrastive,	 &ist_op_frobenius,
    &ist_op_sigmoid,	   &ist_op_mul,		 &ist_op_times,
    &ist_op_layer_norm,	   &ist_op_jsd,		 &ist_op_info_nce,
    &ist_op_soft_triplet,  &ist_op_batch_norm,	 &ist_op_batch_norm_fixed,
    &ist_op_reshape,	   &ist_op_lrelu,	 &ist_op_concat,
    &ist_op_distance2,	   &ist_op_bce,		 &ist_op_squared_error,
    &ist_op_tuplet,	   &ist_op_tuplet_hinge, NULL,
};
