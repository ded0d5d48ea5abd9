/*
 * Texts as sequences: the words' vectors, and a long short-term memory over them. A text is a row
 * of codes, one a word, that ends at the first code which is not above 0. Rows of a sequence are
 * ordered by time first, so that all texts' words of one moment are one matrix.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/ops.h"

size_t ist_text_length(const ist_node *codes, size_t i)
{
	const ist_real *row = codes->value + i * codes->dim[1];
	size_t n = 0;

	while (n < codes->dim[1] && row[n] > 0)
		n++;
	return n;
}

/* ---- words ---- */

/* codes (N, T), vocabulary (V) ascending, table (V + 1, E) -> (T N, E) */
static bool words_shape(ist_node *y)
{
	const ist_node *codes = y->in[0], *vocabulary = y->in[1], *table = y->in[2];

	y->wants_gradient = table->wants_gradient;
	return ist_is_matrix(codes) && ist_is_matrix(table) && vocabulary->ids == NULL &&
	       table->dim[0] == vocabulary->size + 1 &&
	       ist_shape_matrix(y, codes->dim[0] * codes->dim[1], table->dim[1]);
}

/* Each row's place in the table, the last one for a word that is not in the vocabulary; -1 behind a
 * text's end. Whole numbers of this size are exact in either number type. */
static size_t words_kept(const ist_node *y)
{
	return y->dim[0];
}

static ist_real place_of(const ist_node *vocabulary, ist_real code)
{
	size_t low = 0, high = vocabulary->size;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (vocabulary->value[middle] < code)
			low = middle + 1;
		else
			high = middle;
	}
	return (ist_real)(low < vocabulary->size && vocabulary->value[low] == code
			      ? low
			      : vocabulary->size);
}

static void words_forward(ist_node *y)
{
	const ist_node *codes = y->in[0], *vocabulary = y->in[1], *table = y->in[2];
	size_t n = codes->dim[0], width = y->dim[1];

	memset(y->value, 0, y->size * sizeof(*y->value));
	for (size_t row = 0; row < y->dim[0]; row++)
		y->kept[row] = -1;
	for (size_t i = 0; i < n; i++) {
		size_t length = ist_text_length(codes, i);

		for (size_t t = 0; t < length; t++) {
			size_t row = t * n + i;

			y->kept[row] = place_of(vocabulary, codes->value[i * codes->dim[1] + t]);
			memcpy(y->value + row * width, table->value + (size_t)y->kept[row] * width,
			       width * sizeof(*y->value));
		}
	}
}

static void words_backward(ist_node *y)
{
	ist_real *d = ist_gradient(y->in[2]);
	size_t width = y->dim[1];

	for (size_t row = 0; row < y->dim[0]; row++)
		if (y->kept[row] >= 0)
			ist_k_axpy(d + (size_t)y->kept[row] * width, 1, y->gradient + row * width,
				   width);
}

const struct ist_op ist_op_words = {
    .name = "words",
    .shape = words_shape,
    .kept = words_kept,
    .forward = words_forward,
    .backward = words_backward,
};

ist_node *ist_words(ist_node *codes, ist_node *vocabulary, ist_node *table)
{
	return ist_apply(&ist_op_words, 3, (ist_node *[]){codes, vocabulary, table}, NULL, 0);
}

/* ---- LSTM ---- */

/* x (T N, 4 H): W x + b of the gates i, f, g, o; u (4 H, H); codes (N, T) -> (N, H) */
static bool lstm_shape(ist_node *y)
{
	const ist_node *x = y->in[0], *u = y->in[1], *codes = y->in[2];

	y->wants_gradient = x->wants_gradient || u->wants_gradient;
	return ist_is_matrix(x) && ist_is_matrix(u) && ist_is_matrix(codes) &&
	       u->dim[0] == 4 * u->dim[1] && x->dim[1] == u->dim[0] &&
	       x->dim[0] == codes->dim[0] * codes->dim[1] &&
	       ist_shape_matrix(y, codes->dim[0], u->dim[1]);
}

/* Of every moment the gates (N, 4 H), cells (N, H), and states (N, H), each with one moment of
 * zeros in front; then what backward carries: dh, dc (N, H), dgates (N, 4 H). */
struct memory {
	size_t n, h, t;
	ist_real *gates, *cells, *states, *dh, *dc, *dgates;
};

static size_t lstm_kept(const ist_node *y)
{
	size_t n = y->dim[0], h = y->dim[1], t = y->in[2]->dim[1];

	return n * h * (4 * t + 2 * (t + 1) + 2 + 4);
}

static struct memory memory_of(const ist_node *y)
{
	struct memory m = {.n = y->dim[0], .h = y->dim[1], .t = y->in[2]->dim[1]};
	size_t each = m.n * m.h;

	m.gates = y->kept;
	m.cells = m.gates + 4 * each * m.t;
	m.states = m.cells + each * (m.t + 1);
	m.dh = m.states + each * (m.t + 1);
	m.dc = m.dh + each;
	m.dgates = m.dc + each;
	return m;
}

/* c = f c + i g, h = o tanh(c) for one text at one moment; its gates are activated in place. */
static void cell_forward(ist_real *gate, const ist_real *c_before, ist_real *c, ist_real *state,
			 size_t h)
{
	const ist_real *i = gate, *f = gate + h, *g = gate + 2 * h, *o = gate + 3 * h;

	ist_k_sigmoid(gate, gate, 2 * h);
	ist_k_tanh(gate + 2 * h, gate + 2 * h, h);
	ist_k_sigmoid(gate + 3 * h, gate + 3 * h, h);
	for (size_t k = 0; k < h; k++)
		c[k] = f[k] * c_before[k] + i[k] * g[k];
	ist_k_tanh(state, c, h);
	ist_k_multiply(state, state, o, h);
}

/* A text that has ended keeps its state. */
static void lstm_forward(ist_node *y)
{
	const ist_node *x = y->in[0], *u = y->in[1], *codes = y->in[2];
	struct memory m = memory_of(y);
	size_t n = m.n, h = m.h, each = n * h;

	memset(m.cells, 0, each * sizeof(*m.cells));
	memset(m.states, 0, each * sizeof(*m.states));
	for (size_t t = 0; t < m.t; t++) {
		ist_real *gates = m.gates + 4 * each * t, *before = m.states + each * t;

		memcpy(gates, x->value + 4 * each * t, 4 * each * sizeof(*gates));
		ist_gemm(false, true, n, 4 * h, h, before, u->value, 1, gates);
		memcpy(m.cells + each * (t + 1), m.cells + each * t, each * sizeof(*m.cells));
		memcpy(before + each, before, each * sizeof(*before));
		for (size_t i = 0; i < n; i++)
			if (t < ist_text_length(codes, i))
				cell_forward(gates + i * 4 * h, m.cells + each * t + i * h,
					     m.cells + each * (t + 1) + i * h,
					     before + each + i * h, h);
	}
	memcpy(y->value, m.states + each * m.t, each * sizeof(*y->value));
}

/* dgates of one text at one moment from dh and dc, which become those of the moment before but for
 * dh's way through u. */
static void cell_backward(const ist_real *gate, const ist_real *c_before, const ist_real *c,
			  ist_real *dh, ist_real *dc, ist_real *d, size_t h)
{
	const ist_real *i = gate, *f = gate + h, *g = gate + 2 * h, *o = gate + 3 * h;

	for (size_t k = 0; k < h; k++) {
		ist_real u = (ist_real)tanh((double)c[k]);

		d[3 * h + k] = dh[k] * u * o[k] * (1 - o[k]);
		dc[k] += dh[k] * o[k] * (1 - u * u);
		d[k] = dc[k] * g[k] * i[k] * (1 - i[k]);
		d[h + k] = dc[k] * c_before[k] * f[k] * (1 - f[k]);
		d[2 * h + k] = dc[k] * i[k] * (1 - g[k] * g[k]);
		dc[k] *= f[k];
		dh[k] = 0;
	}
}

/* Backwards in time; a text's gradient waits in dh until the moment at which it ended. */
static void lstm_backward(ist_node *y)
{
	ist_node *x = y->in[0], *u = y->in[1], *codes = y->in[2];
	struct memory m = memory_of(y);
	size_t n = m.n, h = m.h, each = n * h;

	memcpy(m.dh, y->gradient, each * sizeof(*m.dh));
	memset(m.dc, 0, each * sizeof(*m.dc));
	for (size_t t = m.t; t-- > 0;) {
		memset(m.dgates, 0, 4 * each * sizeof(*m.dgates));
		for (size_t i = 0; i < n; i++)
			if (t < ist_text_length(codes, i))
				cell_backward(m.gates + 4 * each * t + i * 4 * h,
					      m.cells + each * t + i * h,
					      m.cells + each * (t + 1) + i * h, m.dh + i * h,
					      m.dc + i * h, m.dgates + i * 4 * h, h);
		if (x->wants_gradient)
			ist_k_axpy(ist_gradient(x) + 4 * each * t, 1, m.dgates, 4 * each);
		if (u->wants_gradient)
			ist_gemm(true, false, 4 * h, h, n, m.dgates, m.states + each * t, 1,
				 ist_gradient(u));
		ist_gemm(false, false, n, h, 4 * h, m.dgates, u->value, 1, m.dh);
	}
}

const struct ist_op ist_op_lstm = {
    .name = "lstm",
    .shape = lstm_shape,
    .kept = lstm_kept,
    .forward = lstm_forward,
    .backward = lstm_backward,
};

ist_node *ist_lstm(ist_node *x, ist_node *u, ist_node *codes)
{
	return ist_apply(&ist_op_lstm, 3, (ist_node *[]){x, u, codes}, NULL, 0);
}
