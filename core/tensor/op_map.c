/* Operators on maps (N, C, H, W) beside convolutions: a vector spread over all places, and chosen
 * places taken out as rows. */
#include <string.h>

#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

/* x (N, C, H, W), t (N, D) -> (N, C + D, H, W) */
static bool spread_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *t = y->in[1];

	if (x->n_dims != 4 || x->ids != NULL || !ist_is_matrix(t) || t->dim[0] != x->dim[0])
		return false;
	(void)ist_shape_same(y, x);
	y->dim[1] = x->dim[1] + t->dim[1];
	return true;
}

static void spread_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *t = y->in[1];
	size_t places = x->dim[2] * x->dim[3], own = x->dim[1] * places;

	for (size_t i = 0; i < y->dim[0]; i++) {
		ist_real *to = y->value + i * y->dim[1] * places;

		memcpy(to, x->value + i * own, own * sizeof(*to));
		for (size_t k = 0; k < t->dim[1] * places; k++)
			to[own + k] = t->value[i * t->dim[1] + k / places];
	}
}

static void spread_backward(ist_node *y)
{
	ist_node *x = y->in[0], *t = y->in[1];
	size_t places = x->dim[2] * x->dim[3], own = x->dim[1] * places;

	for (size_t i = 0; i < y->dim[0]; i++) {
		const ist_real *dy = y->gradient + i * y->dim[1] * places;

		if (x->wants_gradient)
			ist_k_axpy(ist_gradient(x) + i * own, 1, dy, own);
		for (size_t k = 0; k < t->dim[1] && t->wants_gradient; k++)
			ist_gradient(t)[i * t->dim[1] + k] +=
			    (ist_real)ist_k_sum(dy + own + k * places, places);
	}
}

const struct ist_op ist_op_spread = {
    .name = "spread",
    .shape = spread_shape,
    .forward = spread_forward,
    .backward = spread_backward,
};

ist_node *ist_spread(ist_node *x, ist_node *t)
{
	return ist_apply(&ist_op_spread, 2, (ist_node *[]){x, t}, NULL, 0);
}

/* x (N, C, H, W), ids (N L): places 0 .. H W - 1 of each picture -> (N L, C) */
static bool places_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *ids = y->in[1];

	y->wants_gradient = x->wants_gradient;
	return x->n_dims == 4 && x->ids == NULL && ids->ids != NULL &&
	       ids->dim[0] % x->dim[0] == 0 && ist_shape_matrix(y, ids->dim[0], x->dim[1]);
}

/* Where number c of row r lies in the map. */
static size_t place_of(const ist_node *y, size_t r, size_t c)
{
	const ist_node *x = y->in[0], *ids = y->in[1];
	size_t each = ids->dim[0] / x->dim[0], places = x->dim[2] * x->dim[3];

	return (r / each * x->dim[1] + c) * places + (size_t)ids->ids[r];
}

static void places_forward(ist_node *y)
{
	for (size_t r = 0; r < y->dim[0]; r++)
		for (size_t c = 0; c < y->dim[1]; c++)
			y->value[r * y->dim[1] + c] = y->in[0]->value[place_of(y, r, c)];
}

static void places_backward(ist_node *y)
{
	ist_real *dx = ist_gradient(y->in[0]);

	for (size_t r = 0; r < y->dim[0]; r++)
		for (size_t c = 0; c < y->dim[1]; c++)
			dx[place_of(y, r, c)] += y->gradient[r * y->dim[1] + c];
}

const struct ist_op ist_op_places = {
    .name = "places",
    .shape = places_shape,
    .forward = places_forward,
    .backward = places_backward,
};

ist_node *ist_places(ist_node *x, ist_node *ids)
{
	return ist_apply(&ist_op_places, 2, (ist_node *[]){x, ids}, NULL, 0);
}
