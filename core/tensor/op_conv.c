/*
 * Convolutions of maps (N, C, H, W) and their transposes, which are a convolution's gradient by its
 * input put to use as an operator.
 */
#include "core/tensor/conv.h"
#include "core/tensor/ops.h"

static bool set_shape(ist_node *y, size_t channels, size_t height, size_t width)
{
	y->n_dims = 4;
	y->dim[0] = y->in[0]->dim[0];
	y->dim[1] = channels;
	y->dim[2] = height;
	y->dim[3] = width;
	return true;
}

static bool is_map(const ist_node *x)
{
	return x->n_dims == 4 && x->ids == NULL && x->size > 0;
}

/* H' = (H + 2 p - K) / s + 1 */
static bool conv_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t stride = (size_t)y->arg[IST_CONV_STRIDE], pad = (size_t)y->arg[IST_CONV_PAD];

	if (!is_map(x) || !is_map(w) || stride == 0 || w->dim[1] != x->dim[1] ||
	    b->size != w->dim[0] || x->dim[2] + 2 * pad < w->dim[2] ||
	    x->dim[3] + 2 * pad < w->dim[3])
		return false;
	return set_shape(y, w->dim[0], (x->dim[2] + 2 * pad - w->dim[2]) / stride + 1,
			 (x->dim[3] + 2 * pad - w->dim[3]) / stride + 1);
}

static enum ist_code conv_prepare(ist_node *y, bool training, struct ist_err *err)
{
	return ist_conv_prepare(y, false, training, err);
}

static void conv_forward(ist_node *y)
{
	ist_conv_forward(y, false);
}

static void conv_backward(ist_node *y)
{
	ist_conv_backward(y, false);
}

const struct ist_op ist_op_conv2d = {
    .name = "conv2d",
    .shape = conv_shape,
    .prepare = conv_prepare,
    .release = ist_conv_release,
    .forward = conv_forward,
    .backward = conv_backward,
};

ist_node *ist_conv2d(ist_node *x, ist_node *w, ist_node *b, size_t stride, size_t pad)
{
	return ist_apply(&ist_op_conv2d, 3, (ist_node *[]){x, w, b},
			 (double[]){(double)stride, (double)pad}, 2);
}

/* H' = (H - 1) s - 2 p + K */
static bool transpose_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *w = y->in[1], *b = y->in[2];
	size_t stride = (size_t)y->arg[IST_CONV_STRIDE], pad = (size_t)y->arg[IST_CONV_PAD];

	if (!is_map(x) || !is_map(w) || stride == 0 || w->dim[0] != x->dim[1] ||
	    b->size != w->dim[1] || (x->dim[2] - 1) * stride + w->dim[2] <= 2 * pad ||
	    (x->dim[3] - 1) * stride + w->dim[3] <= 2 * pad)
		return false;
	return set_shape(y, w->dim[1], (x->dim[2] - 1) * stride + w->dim[2] - 2 * pad,
			 (x->dim[3] - 1) * stride + w->dim[3] - 2 * pad);
}

static enum ist_code transpose_prepare(ist_node *y, bool training, struct ist_err *err)
{
	return ist_conv_prepare(y, true, training, err);
}

static void transpose_forward(ist_node *y)
{
	ist_conv_forward(y, true);
}

static void transpose_backward(ist_node *y)
{
	ist_conv_backward(y, true);
}

const struct ist_op ist_op_conv_transpose2d = {
    .name = "conv_transpose2d",
    .shape = transpose_shape,
    .prepare = transpose_prepare,
    .release = ist_conv_release,
    .forward = transpose_forward,
    .backward = transpose_backward,
};

ist_node *ist_conv_transpose2d(ist_node *x, ist_node *w, ist_node *b, size_t stride, size_t pad)
{
	return ist_apply(&ist_op_conv_transpose2d, 3, (ist_node *[]){x, w, b},
			 (double[]){(double)stride, (double)pad}, 2);
}
