/* Activations: element by element, gradients from the result. Long ones are shared out in chunks.
 */
#include "core/base/memory.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

#define CHUNK 8192

/* Any shape of numbers goes through. */
static bool same_shape(ist_node *y)
{
	return ist_shape_same(y, y->in[0]);
}

typedef void (*kernel_forward)(ist_real *y, const ist_real *x, size_t n);
typedef void (*kernel_backward)(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n);

/* Chunks are of a fixed length, and each number is computed by itself: threads change no bit. */
static void forward(ist_node *y, kernel_forward kernel)
{
	const ist_real *x = y->in[0]->value;

#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t at = 0; at < y->size; at += CHUNK)
		kernel(y->value + at, x + at, IST_MIN((size_t)CHUNK, y->size - at));
}

static void backward(ist_node *y, kernel_backward kernel)
{
	ist_real *dx = ist_gradient(y->in[0]);

#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t at = 0; at < y->size; at += CHUNK)
		kernel(dx + at, y->gradient + at, y->value + at,
		       IST_MIN((size_t)CHUNK, y->size - at));
}

/* y = tanh x; dx = dy (1 - y^2) */
static void tanh_forward(ist_node *y)
{
	forward(y, ist_k_tanh);
}

static void tanh_backward(ist_node *y)
{
	backward(y, ist_k_tanh_back);
}

const struct ist_op ist_op_tanh = {
    .name = "tanh",
    .shape = same_shape,
    .forward = tanh_forward,
    .backward = tanh_backward,
};

ist_node *ist_tanh(ist_node *x)
{
	return ist_apply(&ist_op_tanh, 1, &x, NULL, 0);
}

/* y = 1 / (1 + e^-x); dx = dy y (1 - y) */
static void sigmoid_forward(ist_node *y)
{
	forward(y, ist_k_sigmoid);
}

static void sigmoid_backward(ist_node *y)
{
	backward(y, ist_k_sigmoid_back);
}

const struct ist_op ist_op_sigmoid = {
    .name = "sigmoid",
    .shape = same_shape,
    .forward = sigmoid_forward,
    .backward = sigmoid_backward,
};

ist_node *ist_sigmoid(ist_node *x)
{
	return ist_apply(&ist_op_sigmoid, 1, &x, NULL, 0);
}

/* y = max(0, x); dx = dy where y > 0 */
static void relu_forward(ist_node *y)
{
	forward(y, ist_k_relu);
}

static void relu_backward(ist_node *y)
{
	backward(y, ist_k_relu_back);
}

const struct ist_op ist_op_relu = {
    .name = "relu",
    .shape = same_shape,
    .forward = relu_forward,
    .backward = relu_backward,
};

ist_node *ist_relu(ist_node *x)
{
	return ist_apply(&ist_op_relu, 1, &x, NULL, 0);
}

/* y = max(x, slope x); dx = dy where y > 0, slope dy elsewhere */
static void lrelu_forward(ist_node *y)
{
	const ist_real *x = y->in[0]->value;

#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t at = 0; at < y->size; at += CHUNK)
		ist_k_lrelu(y->value + at, (ist_real)y->arg[0], x + at,
			    IST_MIN((size_t)CHUNK, y->size - at));
}

static void lrelu_backward(ist_node *y)
{
	ist_real *dx = ist_gradient(y->in[0]);

#pragma omp parallel for schedule(static) if (y->size > IST_PARALLEL_MIN)
	for (size_t at = 0; at < y->size; at += CHUNK)
		ist_k_lrelu_back(dx + at, (ist_real)y->arg[0], y->gradient + at, y->value + at,
				 IST_MIN((size_t)CHUNK, y->size - at));
}

const struct ist_op ist_op_lrelu = {
    .name = "lrelu",
    .shape = same_shape,
    .forward = lrelu_forward,
    .backward = lrelu_backward,
};

ist_node *ist_lrelu(ist_node *x, double slope)
{
	return ist_apply(&ist_op_lrelu, 1, &x, &slope, 1);
}

/* y = |x|; dx = dy sign(x), which the result does not tell */
static void abs_forward(ist_node *y)
{
	forward(y, ist_k_abs);
}

static void abs_backward(ist_node *y)
{
	ist_k_abs_back(ist_gradient(y->in[0]), y->gradient, y->in[0]->value, y->size);
}

const struct ist_op ist_op_abs = {
    .name = "abs",
    .shape = same_shape,
    .forward = abs_forward,
    .backward = abs_backward,
};

ist_node *ist_abs(ist_node *x)
{
	return ist_apply(&ist_op_abs, 1, &x, NULL, 0);
}
