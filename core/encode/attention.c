/*
 * softmax(q k^T / sqrt d) v over strips. A vector is 16 queries; scores are rows of keys below each
 * other, so the softmax goes down them. Queries, keys and values are read where they lie: a strip's
 * lanes that belong to other sequences are worked on too and masked out of the result, which costs
 * less than copying.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/encode/exp_inline.h"
#include "core/encode/transformer_private.h"

#define ROWS 8 /* keys or features whose sums stay in registers */

typedef int32_t mask_lanes __attribute__((vector_size(IST_LANES * sizeof(int32_t)), may_alias));

/* the head's result before its division (d, 16), scores (n, 16) */
size_t ist_attention_scratch(const struct ist_transformer *t, size_t longest)
{
	return (t->width / t->n_heads + longest) * IST_LANES;
}

/* ret[i] (16) += sum over l < k of a[i * row + l * step] b[l] (16), for `rows` <= ROWS. */
static inline __attribute__((always_inline)) void multiply_rows(size_t rows, const float *a,
								size_t row, size_t step,
								const float *b, size_t k,
								float *ret)
{
	ist_lanes sum[ROWS];

	for (size_t i = 0; i < rows; i++)
		sum[i] = *ist_lanes_at(ret, i);
	for (size_t l = 0; l < k; l++) {
		ist_lanes x = *ist_lanes_at(b, l);

		for (size_t i = 0; i < rows; i++)
			sum[i] += a[i * row + l * step] * x;
	}
	for (size_t i = 0; i < rows; i++)
		*ist_lanes_at(ret, i) = sum[i];
}

/* Whole tiles have their number of rows at compile time. */
IST_CLONES static void multiply(size_t rows, const float *a, size_t row, size_t step,
				const float *b, size_t k, float *ret)
{
	for (; rows >= ROWS; rows -= ROWS, a += ROWS * row, ret += ROWS * IST_LANES)
		multiply_rows(ROWS, a, row, step, b, k, ret);
	for (; rows > 0; rows--, a += row, ret += IST_LANES)
		multiply_rows(1, a, row, step, b, k, ret);
}

/* What the calls below share: one head, one sequence, one strip of its queries. */
struct look {
	const float *query; /* (d, 16) */
	const float *key;   /* the head's rows of the first strip; (d, 16) every `pitch` floats */
	const float *value;
	size_t pitch;
	size_t d;
	size_t start, n; /* the sequence's first token, and how many of its keys are looked at */
	float *scores;	 /* (n, 16) */
};

/* Calls of multiply for the runs of keys that lie in one strip each. */
static void score(const struct look *k)
{
	memset(k->scores, 0, k->n * IST_LANES * sizeof(float));
	for (size_t j = 0, run; j < k->n; j += run) {
		size_t lane = (k->start + j) % IST_LANES, strip = (k->start + j) / IST_LANES;

		run = IST_MIN(IST_LANES - lane, k->n - j);
		multiply(run, k->key + strip * k->pitch + lane, 1, IST_LANES, k->query, k->d,
			 k->scores + j * IST_LANES);
	}
}

static void weigh(const struct look *k, float *ret)
{
	memset(ret, 0, k->d * IST_LANES * sizeof(float));
	for (size_t j = 0, run; j < k->n; j += run) {
		size_t lane = (k->start + j) % IST_LANES, strip = (k->start + j) / IST_LANES;

		run = IST_MIN(IST_LANES - lane, k->n - j);
		multiply(k->d, k->value + strip * k->pitch + lane, IST_LANES, 1,
			 k->scores + j * IST_LANES, run, ret);
	}
}

/* A query sees no key after itself: `first` is the query's number in its sequence at lane 0. */
static void hide(const struct look *k, ptrdiff_t first)
{
	for (size_t j = first > 0 ? (size_t)first : 0; j < k->n; j++) {
		for (ptrdiff_t i = 0; i < IST_LANES && first + i < (ptrdiff_t)j; i++)
			k->scores[j * IST_LANES + (size_t)i] = -FLT_MAX;
	}
}

/* Scores become weights that are not yet divided by their sum, which is ret (16). */
IST_CLONES static void exponents(float *s, size_t n, float scale, float *ret)
{
	ist_lanes top = *ist_lanes_at(s, 0), sum = {0};

	for (size_t j = 1; j < n; j++) {
		ist_lanes x = *ist_lanes_at(s, j);
		mask_lanes over = x > top;

		top = (ist_lanes)(((mask_lanes)x & over) | ((mask_lanes)top & ~over));
	}
	for (size_t j = 0; j < n; j++) {
		for (size_t i = 0; i < IST_LANES; i++)
			s[j * IST_LANES + i] =
			    ist_exp_inline((s[j * IST_LANES + i] - top[i]) * scale);
		sum += *ist_lanes_at(s, j);
	}
	*(ist_lanes *)ret = sum;
}

/* ret (d, 16) = part / sum in lanes `from` to `to`, as it was in the others. */
IST_CLONES static void finish(const float *part, const float *sum, size_t d, size_t from, size_t to,
			      float *ret)
{
	mask_lanes mine;
	ist_lanes rate;

	for (size_t i = 0; i < IST_LANES; i++) {
		mine[i] = i >= from && i < to ? -1 : 0;
		rate[i] = 1 / sum[i];
	}
	for (size_t j = 0; j < d; j++) {
		mask_lanes x = (mask_lanes)(*ist_lanes_at(part, j) * rate);
		mask_lanes old = (mask_lanes)*ist_lanes_at(ret, j);

		*ist_lanes_at(ret, j) = (ist_lanes)((x & mine) | (old & ~mine));
	}
}

/* Lanes `from` to `to` of one strip of queries. */
static void attend(const struct look *k, bool causal, size_t from, size_t to, size_t strip,
		   float *part, float *ret)
{
	_Alignas(64) float sum[IST_LANES];

	score(k);
	if (causal)
		hide(k, (ptrdiff_t)(strip * IST_LANES) - (ptrdiff_t)k->start);
	exponents(k->scores, k->n, 1 / sqrtf((float)k->d), sum);
	weigh(k, part);
	finish(part, sum, k->d, from, to, ret);
}

void ist_attention_head(const struct ist_transformer *t, size_t head, const size_t *starts,
			size_t n, const float *qkv, float *ret, float *scratch)
{
	size_t d = t->width / t->n_heads, pitch = 3 * t->width * IST_LANES;
	size_t part = t->width * IST_LANES;
	const float *query = qkv + head * d * IST_LANES;
	float *to = ret + head * d * IST_LANES;

	for (size_t i = 0; i < n; i++) {
		struct look k = {.key = query + part,
				 .value = query + 2 * part,
				 .pitch = pitch,
				 .d = d,
				 .start = starts[i],
				 .scores = scratch + d * IST_LANES};

		for (size_t at = starts[i], end; at < starts[i + 1]; at = end) {
			size_t strip = at / IST_LANES;

			end = IST_MIN((strip + 1) * IST_LANES, starts[i + 1]);
			k.n = (t->causal ? end : starts[i + 1]) - starts[i];
			k.query = query + strip * pitch;
			attend(&k, t->causal, at % IST_LANES, end - strip * IST_LANES, strip,
			       scratch, to + strip * part);
		}
	}
}
