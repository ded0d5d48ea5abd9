/*
 * Gated recurrent units over texts (op_recurrent.c says what a text is), and what is made of their
 * states. All gates' inputs come as one matrix, made by one product; the states' products are one a
 * moment, and end at the longest text of the batch.
 *
 *   r = sigma(x_r + U_r h), z = sigma(x_z + U_z h), n = tanh(x_n + r (U_n h)), h' = (1-z) n + z h
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

/* ---- states ---- */

/* x (T N, 3 H), u (3 H, H), codes (N, T) -> (T N, H) */
static bool gru_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *u = y->in[1], *codes = y->in[2];

	y->wants_gradient = x->wants_gradient || u->wants_gradient;
	return ist_is_matrix(x) && ist_is_matrix(u) && ist_is_matrix(codes) &&
	       u->dim[0] == 3 * u->dim[1] && x->dim[1] == u->dim[0] &&
	       x->dim[0] == codes->dim[0] * codes->dim[1] &&
	       ist_shape_matrix(y, x->dim[0], u->dim[1]);
}

/* Of every moment the gates (N, 3 H) and U_n h (N, H); the gradient of U h (N, 3 H); one moment's
 * products (N, 3 H) and what the moment before is told (N, H); the texts' lengths (N). */
struct memory {
	size_t n, h, t; /* texts, units, moments that any text has */
	bool reverse;
	ist_real *gates, *un, *du, *product, *dh, *length;
};

static size_t gru_kept(const ist_node *y)
{
	size_t n = y->in[2]->dim[0], h = y->dim[1];

	return y->dim[0] * h * 7 + n * h * 4 + n;
}

static struct memory memory_of(const ist_node *y)
{
	struct memory m = {.n = y->in[2]->dim[0], .h = y->dim[1], .reverse = y->arg[0] != 0};

	m.gates = y->kept;
	m.un = m.gates + 3 * y->size;
	m.du = m.un + y->size;
	m.product = m.du + 3 * y->size;
	m.dh = m.product + 3 * m.n * m.h;
	m.length = m.dh + m.n * m.h;
	return m;
}

/* Once the lengths are known. */
static void count_moments(struct memory *m)
{
	for (size_t i = 0; i < m->n; i++)
		m->t = IST_MAX(m->t, (size_t)m->length[i]);
}

static bool has_word(const struct memory *m, size_t i, size_t t)
{
	return (ist_real)t < m->length[i];
}

/* The k-th moment that is computed, and whether a state came before it, where it stands. */
static size_t moment(const struct memory *m, size_t k)
{
	return m->reverse ? m->t - 1 - k : k;
}

static const ist_real *state_before(const ist_node *y, const struct memory *m, size_t k)
{
	return k > 0 ? y->value + moment(m, k - 1) * m->n * m->h : NULL;
}

/* U h of all texts, or zeros at the beginning. */
static void state_product(const ist_node *y, const struct memory *m, size_t k)
{
	const ist_real *before = state_before(y, m, k);

	if (before == NULL)
		memset(m->product, 0, 3 * m->n * m->h * sizeof(*m->product));
	else
		ist_gemm(false, true, m->n, 3 * m->h, m->h, before, y->in[1]->value, 0, m->product);
}

/* A text's state behind its end is 0, so one that is read backwards begins with 0 at its last
 * word. */
static void gru_forward(ist_node *y)
{
	const ist_node *x = y->in[0];
	struct memory m = memory_of(y);
	size_t n = m.n, h = m.h;

	for (size_t i = 0; i < n; i++)
		m.length[i] = (ist_real)ist_text_length(y->in[2], i);
	count_moments(&m);
	memset(y->value, 0, y->size * sizeof(*y->value));
	for (size_t k = 0; k < m.t; k++) {
		size_t t = moment(&m, k);
		const ist_real *before = state_before(y, &m, k);

		state_product(y, &m, k);
		for (size_t i = 0; i < n; i++) {
			size_t row = t * n + i;

			if (has_word(&m, i, t))
				ist_k_gru(x->value + row * 3 * h, m.product + i * 3 * h,
					  before != NULL ? before + i * h : NULL,
					  m.gates + row * 3 * h, m.un + row * h, y->value + row * h,
					  h);
		}
	}
}

/* One moment: dh of every text is completed and becomes that of the moment before, but for its way
 * through U; dx is added to, du filled. */
static void moment_backward(const ist_node *y, const struct memory *m, size_t k, ist_real *dx)
{
	const ist_real *before = state_before(y, m, k);
	size_t t = moment(m, k), h = m->h;

	for (size_t i = 0; i < m->n; i++) {
		size_t row = t * m->n + i;
		ist_real *dh = m->dh + i * h, *du = m->du + row * 3 * h;

		if (!has_word(m, i, t)) {
			memset(dh, 0, h * sizeof(*dh));
			memset(du, 0, 3 * h * sizeof(*du));
			continue;
		}
		ist_k_add(dh, dh, y->gradient + row * h, h);
		ist_k_gru_back(dh, m->gates + row * 3 * h, m->un + row * h,
			       before != NULL ? before + i * h : NULL, du,
			       dx != NULL ? dx + row * 3 * h : m->product, h);
	}
}

/* dU = sum over moments of du' h_before: moments follow each other, so it is one product. */
static void weight_backward(const ist_node *y, const struct memory *m)
{
	size_t each = m->n * m->h, steps = m->t - 1;
	const ist_real *du = m->reverse ? m->du : m->du + 3 * each;
	const ist_real *before = m->reverse ? y->value + each : y->value;

	ist_gemm(true, false, 3 * m->h, m->h, steps * m->n, du, before, 1, ist_gradient(y->in[1]));
}

static void gru_backward(ist_node *y)
{
	ist_node *x = y->in[0], *u = y->in[1];
	struct memory m = memory_of(y);
	ist_real *dx = x->wants_gradient ? ist_gradient(x) : NULL;

	count_moments(&m);
	memset(m.dh, 0, m.n * m.h * sizeof(*m.dh));
	for (size_t k = m.t; k-- > 0;) {
		moment_backward(y, &m, k, dx);
		if (k > 0)
			ist_gemm(false, false, m.n, m.h, 3 * m.h,
				 m.du + moment(&m, k) * 3 * m.n * m.h, u->value, 1, m.dh);
	}
	if (u->wants_gradient && m.t > 1)
		weight_backward(y, &m);
}

const struct ist_op ist_op_gru = {
    .name = "gru",
    .shape = gru_shape,
    .kept = gru_kept,
    .forward = gru_forward,
    .backward = gru_backward,
};

ist_node *ist_gru(ist_node *x, ist_node *u, ist_node *codes, bool reverse)
{
	return ist_apply(&ist_op_gru, 3, (ist_node *[]){x, u, codes}, (double[]){reverse ? 1 : 0},
			 1);
}

/* ---- what is made of them ---- */

/* h (T N, H), codes (N, T) -> (N, H) */
static bool over_time_shape(ist_node *y)
{
	const ist_node *h = y->in[0], *codes = y->in[1];

	y->wants_gradient = h->wants_gradient;
	return ist_is_matrix(h) && ist_is_matrix(codes) &&
	       h->dim[0] == codes->dim[0] * codes->dim[1] &&
	       ist_shape_matrix(y, codes->dim[0], h->dim[1]);
}

/* The state after the last word; of a text without words 0. */
static void last_forward(ist_node *y)
{
	const ist_node *h = y->in[0];
	size_t n = y->dim[0], width = y->dim[1];

	memset(y->value, 0, y->size * sizeof(*y->value));
	for (size_t i = 0; i < n; i++) {
		size_t length = ist_text_length(y->in[1], i);

		if (length > 0)
			memcpy(y->value + i * width, h->value + ((length - 1) * n + i) * width,
			       width * sizeof(*y->value));
	}
}

static void last_backward(ist_node *y)
{
	ist_real *d = ist_gradient(y->in[0]);
	size_t n = y->dim[0], width = y->dim[1];

	for (size_t i = 0; i < n; i++) {
		size_t length = ist_text_length(y->in[1], i);

		if (length > 0)
			ist_k_axpy(d + ((length - 1) * n + i) * width, 1, y->gradient + i * width,
				   width);
	}
}

const struct ist_op ist_op_last_state = {
    .name = "last_state",
    .shape = over_time_shape,
    .forward = last_forward,
    .backward = last_backward,
};

ist_node *ist_last_state(ist_node *h, ist_node *codes)
{
	return ist_apply(&ist_op_last_state, 2, (ist_node *[]){h, codes}, NULL, 0);
}

/* The sum of all states up to the last word. */
static void sum_forward(ist_node *y)
{
	const ist_node *h = y->in[0];
	size_t n = y->dim[0], width = y->dim[1];

	memset(y->value, 0, y->size * sizeof(*y->value));
	for (size_t i = 0; i < n; i++) {
		size_t length = ist_text_length(y->in[1], i);

		for (size_t t = 0; t < length; t++)
			ist_k_axpy(y->value + i * width, 1, h->value + (t * n + i) * width, width);
	}
}

static void sum_backward(ist_node *y)
{
	ist_real *d = ist_gradient(y->in[0]);
	size_t n = y->dim[0], width = y->dim[1];

	for (size_t i = 0; i < n; i++) {
		size_t length = ist_text_length(y->in[1], i);

		for (size_t t = 0; t < length; t++)
			ist_k_axpy(d + (t * n + i) * width, 1, y->gradient + i * width, width);
	}
}

const struct ist_op ist_op_sum_over_time = {
    .name = "sum_over_time",
    .shape = over_time_shape,
    .forward = sum_forward,
    .backward = sum_backward,
};

ist_node *ist_sum_over_time(ist_node *h, ist_node *codes)
{
	return ist_apply(&ist_op_sum_over_time, 2, (ist_node *[]){h, codes}, NULL, 0);
}
