/* Operators that only change what gradients do: reversal (Ganin and Lempitsky, 2015), detach. */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

static void copy_forward(ist_node *y)
{
	memcpy(y->value, y->in[0]->value, y->size * sizeof(*y->value));
}

/* l is an input of one number, because it moves during training while the graph stays. */
static bool grl_shape(ist_node *y)
{
	y->wants_gradient = y->in[0]->wants_gradient;
	return y->in[1]->size == 1 && y->in[1]->ids == NULL && ist_shape_same(y, y->in[0]);
}

/* y = x; dx = -l dy */
static void grl_backward(ist_node *y)
{
	ist_k_axpy(ist_gradient(y->in[0]), -y->in[1]->value[0], y->gradient, y->size);
}

const struct ist_op ist_op_grl = {
    .name = "grl",
    .shape = grl_shape,
    .forward = copy_forward,
    .backward = grl_backward,
};

ist_node *ist_grl(ist_node *x, ist_node *l)
{
	return ist_apply(&ist_op_grl, 2, (ist_node *[]){x, l}, NULL, 0);
}

static bool detach_shape(ist_node *y)
{
	y->wants_gradient = false;
	return ist_shape_same(y, y->in[0]);
}

/* Never reached: a detached node wants no gradient. The table has no holes. */
static void detach_backward(ist_node *y)
{
	(void)y;
}

const struct ist_op ist_op_detach = {
    .name = "detach",
    .shape = detach_shape,
    .forward = copy_forward,
    .backward = detach_backward,
};

ist_node *ist_detach(ist_node *x)
{
	return ist_apply(&ist_op_detach, 1, &x, NULL, 0);
}
