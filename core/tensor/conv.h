/*
 * How convolutions are computed: by oneDNN where numbers are floats (conv_onednn.c), by plain loops
 * where they are doubles (conv_loops.c). Both serve the operators of op_conv.c.
 *
 * x (N, C, H, W), y (N, O, H', W'), b (O); w (O, C, K, L) of a convolution, (C, O, K, L) of a
 * transposed one, as PyTorch has them.
 */
#ifndef IST_CORE_TENSOR_CONV_H
#define IST_CORE_TENSOR_CONV_H

#include "core/tensor/op.h"

enum { IST_CONV_STRIDE, IST_CONV_PAD }; /* places in arg */

/* Whatever a node needs beyond its own memory; y->state. */
IST_CHECKED enum ist_code ist_conv_prepare(ist_node *y, bool transposed, bool training,
					   struct ist_err *err);
void ist_conv_release(ist_node *y);
void ist_conv_forward(ist_node *y, bool transposed);
void ist_conv_backward(ist_node *y, bool transposed);

#endif
