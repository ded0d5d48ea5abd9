/*
 * softmax(q k^T / sqrt d) v for one head of one sequence. Keys are turned (d, n), so that a vector
 * is 16 keys and no sum runs across a register; values are copied side by side. Six queries at a
 * time share what is read of both: twelve of AVX2's 16 registers hold sums.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/transformer_private.h"
#include "core/tensor/kernels.h"

#define LANES 16
#define QUERIES 6

/* Unaligned by type: queries and values lie in rows of any width. */
typedef float lanes
    __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static size_t round_lanes(size_t n)
{
	return (n + LANES - 1) / LANES * LANES;
}

/* keys (d, n), values (n, d), scores (QUERIES, n), sums (QUERIES, d), all rounded up to lanes */
size_t ist_attention_scratch(const struct ist_transformer *t, size_t longest)
{
	size_t d = t->width / t->n_heads, n = round_lanes(longest);

	return d * n + n * round_lanes(d) + QUERIES * (n + round_lanes(d));
}

/* ret (QUERIES, width) = the rows of a times b (k, width), its first k rows; width in whole lanes
 */
IST_CLONES static void multiply(const float *const a[QUERIES], const float *b, size_t k,
				size_t width, size_t pitch, float *ret)
{
	for (size_t j = 0; j < width; j += LANES) {
		lanes sum[QUERIES] = {{0}};

		for (size_t l = 0; l < k; l++) {
			lanes x = *(const lanes *)(b + l * pitch + j);

			for (int i = 0; i < QUERIES; i++)
				sum[i] += a[i][l] * x;
		}
		for (int i = 0; i < QUERIES; i++)
			*(lanes *)(ret + (size_t)i * pitch + j) = sum[i];
	}
}

/* Scores of the first n keys become weights; the rest up to `room` have none. */
static void softmax(float *s, size_t n, size_t room, float scale)
{
	float top;

	ist_k_scale(s, scale, s, n);
	top = ist_k_max(s, n);
	ist_k_exp(s, s, top, n);
	ist_k_scale(s, (float)(1 / ist_k_sum(s, n)), s, n);
	memset(s + n, 0, (room - n) * sizeof(*s));
}

static void pack(const float *k, const float *v, size_t pitch, size_t n, size_t d, float *keys,
		 float *values)
{
	size_t n_round = round_lanes(n), d_round = round_lanes(d);

	memset(keys, 0, d * n_round * sizeof(*keys));
	memset(values, 0, n * d_round * sizeof(*values));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < d; j++)
			keys[j * n_round + i] = k[i * pitch + j];
		memcpy(values + i * d_round, v + i * pitch, d * sizeof(*values));
	}
}

void ist_attention_head(const struct ist_transformer *t, size_t head, const float *qkv, size_t n,
			float *ret, float *scratch)
{
	size_t d = t->width / t->n_heads, n_round = round_lanes(n), d_round = round_lanes(d);
	size_t pitch = 3 * t->width;
	const float *q = qkv + head * d;
	float *keys = scratch, *values = keys + d * n_round;
	float *scores = values + n_round * d_round, *sums = scores + QUERIES * n_round;
	float scale = 1 / sqrtf((float)d);

	pack(q + t->width, q + 2 * t->width, pitch, n, d, keys, values);
	for (size_t at = 0; at < n; at += QUERIES) {
		size_t rows = IST_MIN((size_t)QUERIES, n - at);
		size_t seen = t->causal ? at + rows : n; /* keys that any of these looks at */
		const float *a[QUERIES], *p[QUERIES];

		/* Past the end the last query is worked on again. */
		for (size_t i = 0; i < QUERIES; i++) {
			a[i] = q + (at + IST_MIN(i, rows - 1)) * pitch;
			p[i] = scores + IST_MIN(i, rows - 1) * n_round;
		}
		multiply(a, keys, d, round_lanes(seen), n_round, scores);
		for (size_t i = 0; i < rows; i++)
			softmax(scores + i * n_round, t->causal ? at + i + 1 : n, round_lanes(seen),
				scale);
		multiply(p, values, seen, d_round, d_round, sums);
		for (size_t i = 0; i < rows; i++)
			memcpy(ret + (at + i) * t->width + head * d, sums + i * d_round,
			       d * sizeof(*ret));
	}
}
