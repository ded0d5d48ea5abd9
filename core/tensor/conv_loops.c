/*
 * Convolutions by plain loops, for the double build: what tests compare with finite differences. A
 * transposed convolution is the same walk with the roles of input and output exchanged.
 */
#include "core/tensor/conv.h"

enum ist_code ist_conv_prepare(ist_node *y, bool transposed, bool training, struct ist_err *err)
{
	return IST_OK;
}

void ist_conv_release(ist_node *y)
{
}

/* The pairs that a weight joins: place i of the wide map with place o of the narrow one, i = o s +
 * k - p. The wide map is a convolution's input and a transposed one's output. */
struct walk {
	const ist_node *wide, *narrow, *w;
	size_t n, c, o, k, l; /* picture, wide channel, narrow channel, kernel row and column */
	size_t at_wide, at_narrow, at_w;
};

typedef void (*visitor)(ist_node *y, const struct walk *walk);

static bool place(size_t narrow, size_t k, double stride, double pad, size_t n, size_t *ret)
{
	double i = (double)narrow * stride + (double)k - pad;

	*ret = (size_t)i;
	return i >= 0 && i < (double)n;
}

static void walk_kernel(ist_node *y, struct walk *a, size_t row, size_t column, visitor visit)
{
	double stride = y->arg[IST_CONV_STRIDE], pad = y->arg[IST_CONV_PAD];
	const size_t *wide = a->wide->dim, *narrow = a->narrow->dim, *w = a->w->dim;
	size_t i, j;

	for (a->k = 0; a->k < w[2]; a->k++)
		for (a->l = 0; a->l < w[3]; a->l++) {
			if (!place(row, a->k, stride, pad, wide[2], &i) ||
			    !place(column, a->l, stride, pad, wide[3], &j))
				continue;
			a->at_wide = ((a->n * wide[1] + a->c) * wide[2] + i) * wide[3] + j;
			a->at_narrow =
			    ((a->n * narrow[1] + a->o) * narrow[2] + row) * narrow[3] + column;
			a->at_w = ((a->o * w[1] + a->c) * w[2] + a->k) * w[3] + a->l;
			visit(y, a);
		}
}

/* Either way a weight's first index is the narrow map's channel, its second the wide one's. */
static void walk(ist_node *y, bool transposed, visitor visit)
{
	struct walk a = {
	    .wide = transposed ? y : y->in[0], .narrow = transposed ? y->in[0] : y, .w = y->in[1]};

	for (a.n = 0; a.n < y->dim[0]; a.n++)
		for (a.o = 0; a.o < a.narrow->dim[1]; a.o++)
			for (a.c = 0; a.c < a.wide->dim[1]; a.c++)
				for (size_t row = 0; row < a.narrow->dim[2]; row++)
					for (size_t column = 0; column < a.narrow->dim[3]; column++)
						walk_kernel(y, &a, row, column, visit);
}

static void add_product(ist_node *y, const struct walk *a)
{
	if (a->wide == y)
		y->value[a->at_wide] += y->in[0]->value[a->at_narrow] * a->w->value[a->at_w];
	else
		y->value[a->at_narrow] += y->in[0]->value[a->at_wide] * a->w->value[a->at_w];
}

void ist_conv_forward(ist_node *y, bool transposed)
{
	size_t places = y->dim[2] * y->dim[3];

	for (size_t i = 0; i < y->size; i++)
		y->value[i] = y->in[2]->value[i / places % y->dim[1]];
	walk(y, transposed, add_product);
}

static void add_input(ist_node *y, const struct walk *a)
{
	ist_real *dx = ist_gradient(y->in[0]);

	if (a->wide == y)
		dx[a->at_narrow] += y->gradient[a->at_wide] * a->w->value[a->at_w];
	else
		dx[a->at_wide] += y->gradient[a->at_narrow] * a->w->value[a->at_w];
}

static void add_weight(ist_node *y, const struct walk *a)
{
	ist_real *dw = ist_gradient(y->in[1]);

	if (a->wide == y)
		dw[a->at_w] += y->gradient[a->at_wide] * y->in[0]->value[a->at_narrow];
	else
		dw[a->at_w] += y->gradient[a->at_narrow] * y->in[0]->value[a->at_wide];
}

void ist_conv_backward(ist_node *y, bool transposed)
{
	size_t places = y->dim[2] * y->dim[3];

	if (y->in[0]->wants_gradient)
		walk(y, transposed, add_input);
	if (y->in[1]->wants_gradient)
		walk(y, transposed, add_weight);
	for (size_t i = 0; i < y->size && y->in[2]->wants_gradient; i++)
		ist_gradient(y->in[2])[i / places % y->dim[1]] += y->gradient[i];
}
