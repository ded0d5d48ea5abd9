/* Cases of what reads texts: words' vectors, recurrent units, and what is made of their states. */
#include <math.h>

#include "tests/unit/tensor/cases_parts.h"

/* Texts of up to 4 words. */
static ist_node *codes_of(struct ist_graph *g, struct sizes s)
{
	return ist_input(g, "codes", s.n, 4);
}

ist_node *words_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_words(codes_of(g, s), ist_input(g, "vocabulary", 1, 5),
			 matrix(g, "table", 6, s.m));
}

void words_ref(const ist_node *y, double *ret)
{
	const ist_node *codes = y->in[0], *vocabulary = y->in[1], *table = y->in[2];
	size_t n = codes->dim[0], row;

	for (size_t i = 0; i < y->size; i++)
		ret[i] = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t t = 0; t < codes->dim[1] && at(codes, i, t) > 0; t++) {
			for (row = 0; row < vocabulary->size; row++)
				if (at(codes, i, t) == (double)vocabulary->value[row])
					break;
			for (size_t j = 0; j < y->dim[1]; j++)
				ret[(t * n + i) * y->dim[1] + j] = at(table, row, j);
		}
}

ist_node *lstm_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	size_t h = 1 + s.m / 4;

	return ist_lstm(matrix(g, "x", 4 * s.n, 4 * h), matrix(g, "u", 4 * h, h), codes_of(g, s));
}

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

/* One text: the states of one moment after another. */
static void lstm_text(const ist_node *y, size_t i, double *state, double *cell)
{
	const ist_node *x = y->in[0], *u = y->in[1], *codes = y->in[2];
	size_t n = codes->dim[0], h = y->dim[1];
	double gate[4], next[64];

	for (size_t t = 0; t < codes->dim[1] && at(codes, i, t) > 0; t++) {
		for (size_t k = 0; k < h; k++) {
			for (size_t q = 0; q < 4; q++) {
				gate[q] = at(x, t * n + i, q * h + k);
				for (size_t j = 0; j < h; j++)
					gate[q] += at(u, q * h + k, j) * state[j];
			}
			cell[k] = logistic(gate[1]) * cell[k] + logistic(gate[0]) * tanh(gate[2]);
			next[k] = logistic(gate[3]) * tanh(cell[k]);
		}
		for (size_t k = 0; k < h; k++)
			state[k] = next[k];
	}
}

void lstm_ref(const ist_node *y, double *ret)
{
	size_t h = y->dim[1];

	for (size_t i = 0; i < y->dim[0]; i++) {
		double cell[64] = {0};

		for (size_t k = 0; k < h; k++)
			ret[i * h + k] = 0;
		lstm_text(y, i, ret + i * h, cell);
	}
}

double lstm_flops(const struct sizes *s)
{
	double h = 1 + (double)(s->m / 4);

	return 2.0 * 4 * (double)s->n * 4 * h * h;
}

static ist_node *gru_of(struct ist_graph *g, struct sizes s, bool reverse)
{
	size_t h = 1 + s.m / 4;

	return ist_gru(matrix(g, "x", 4 * s.n, 3 * h), matrix(g, "u", 3 * h, h), codes_of(g, s),
		       reverse);
}

ist_node *gru_forward_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return gru_of(g, s, false);
}

ist_node *gru_reverse_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return gru_of(g, s, true);
}

/* U h of gate q, unit k. */
static double state_product(const ist_node *u, size_t q, size_t k, const double *state)
{
	double sum = 0;

	for (size_t j = 0; j < u->dim[1]; j++)
		sum += at(u, q * u->dim[1] + k, j) * state[j];
	return sum;
}

/* One text's word at row `row`: state becomes the next. */
static void gru_word(const ist_node *y, size_t row, double *state)
{
	const ist_node *x = y->in[0], *u = y->in[1];
	size_t h = y->dim[1];
	double next[64];

	for (size_t k = 0; k < h; k++) {
		double r = logistic(at(x, row, k) + state_product(u, 0, k, state));
		double z = logistic(at(x, row, h + k) + state_product(u, 1, k, state));
		double n = tanh(at(x, row, 2 * h + k) + r * state_product(u, 2, k, state));

		next[k] = (1 - z) * n + z * state[k];
	}
	for (size_t k = 0; k < h; k++)
		state[k] = next[k];
}

void gru_ref(const ist_node *y, double *ret)
{
	const ist_node *codes = y->in[2];
	size_t n = codes->dim[0], h = y->dim[1], words;

	for (size_t i = 0; i < y->size; i++)
		ret[i] = 0;
	for (size_t i = 0; i < n; i++) {
		double state[64] = {0};

		for (words = 0; words < codes->dim[1] && at(codes, i, words) > 0;)
			words++;
		for (size_t t = 0; t < words; t++) {
			size_t row = (y->arg[0] != 0 ? words - 1 - t : t) * n + i;

			gru_word(y, row, state);
			for (size_t k = 0; k < h; k++)
				ret[row * h + k] = state[k];
		}
	}
}

double gru_flops(const struct sizes *s)
{
	return .75 * lstm_flops(s);
}

ist_node *last_state_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_last_state(matrix(g, "h", 4 * s.n, s.m), codes_of(g, s));
}

ist_node *sum_over_time_build(struct ist_graph *g, struct ist_weights *theta, struct sizes s)
{
	return ist_sum_over_time(matrix(g, "h", 4 * s.n, s.m), codes_of(g, s));
}

void over_time_ref(const ist_node *y, double *ret)
{
	const ist_node *codes = y->in[1];
	size_t n = y->dim[0];

	for (size_t i = 0; i < y->size; i++)
		ret[i] = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t t = 0; t < codes->dim[1] && at(codes, i, t) > 0; t++)
			for (size_t j = 0; j < y->dim[1]; j++)
				ret[i * y->dim[1] + j] =
				    at(y->in[0], t * n + i, j) +
				    (y->op == &ist_op_last_state ? 0 : ret[i * y->dim[1] + j]);
}
