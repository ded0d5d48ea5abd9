/*
 * Similarities of many queries with many items. A block of items that stays in the cache is scored
 * for all queries before the next: violations of an order are three operations a number where a
 * product has one, and the rest is waiting for memory.
 */
#include "core/methods/similarity.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/methods/linalg.h"

#define BLOCK_FLOATS 16384 /* of items at a time: 64 kB */

enum ist_direction ist_direction_of(int from, enum ist_modality to)
{
	if (from == IST_TEXT && to == IST_IMAGE)
		return IST_TEXT_TO_IMAGE;
	return from == IST_IMAGE && to == IST_TEXT ? IST_IMAGE_TO_TEXT : IST_ALIKE;
}

enum ist_score_kind ist_similarity_score(enum ist_similarity similarity,
					 enum ist_direction direction)
{
	static const enum ist_score_kind kinds[IST_N_SIMILARITIES][IST_N_DIRECTIONS] = {
	    [IST_COSINE] = {IST_SCORE_INNER, IST_SCORE_INNER, IST_SCORE_INNER},
	    [IST_EUCLIDEAN] = {IST_SCORE_L2, IST_SCORE_L2, IST_SCORE_L2},
	    [IST_INNER] = {IST_SCORE_INNER, IST_SCORE_INNER, IST_SCORE_INNER},
	    [IST_ORDER] = {[IST_ALIKE] = IST_SCORE_L2,
			   [IST_TEXT_TO_IMAGE] = IST_SCORE_OVER,
			   [IST_IMAGE_TO_TEXT] = IST_SCORE_UNDER},
	};

	return kinds[similarity][direction];
}

/* The root does not change the order, so it is taken of results only. */
float ist_similarity_of_score(enum ist_similarity similarity, float score)
{
	return similarity == IST_EUCLIDEAN ? -sqrtf(-score) : score;
}

/* In a fixed order of summation: the same bits on every call. */
static float square_norm(const float *x, size_t dim)
{
	float sum = 0;

	for (size_t i = 0; i < dim; i++)
		sum += x[i] * x[i];
	return sum;
}

/* Inner products (n, m) to minus squared distances. */
static void to_distances(const float *a, size_t n, const float *b, size_t m, size_t dim, float *ret)
{
	ist_autofree float *norm = ist_alloc_raw(m, sizeof(*norm));

	for (size_t j = 0; j < m; j++)
		norm[j] = square_norm(b + j * dim, dim);
	for (size_t i = 0; i < n; i++) {
		float own = square_norm(a + i * dim, dim), *row = ret + i * m;

		for (size_t j = 0; j < m; j++)
			row[j] = -fmaxf(0, own + norm[j] - 2 * row[j]);
	}
}

/* One query with m items of a block. */
static void score_block(ist_score *score, const float *query, const float *b, size_t m, size_t dim,
			float *ret)
{
	for (size_t j = 0; j < m; j += 4) {
		size_t four = IST_MIN(m - j, (size_t)4);
		const float *x[4];
		float s[4];

		for (size_t i = 0; i < 4; i++)
			x[i] = b + (j + (i < four ? i : 0)) * dim;
		score(query, x, dim, s);
		for (size_t i = 0; i < four; i++)
			ret[j + i] = s[i];
	}
}

static void score_all(ist_score *score, const float *a, size_t n, const float *b, size_t m,
		      size_t dim, float *ret)
{
	size_t block = IST_MAX(BLOCK_FLOATS / dim, (size_t)4);

#pragma omp parallel for schedule(static)
	for (size_t j = 0; j < m; j += block) {
		for (size_t i = 0; i < n; i++)
			score_block(score, a + i * dim, b + j * dim, IST_MIN(m - j, block), dim,
				    ret + i * m + j);
	}
}

void ist_similarities(enum ist_similarity similarity, enum ist_direction direction, const float *a,
		      size_t n, const float *b, size_t m, size_t dim, float *ret)
{
	enum ist_score_kind kind = ist_similarity_score(similarity, direction);

	if (kind != IST_SCORE_INNER && kind != IST_SCORE_L2) {
		score_all(ist_score_kernel_best()->score[kind], a, n, b, m, dim, ret);
		return;
	}
	ist_gemm_f32(IST_PLAIN, IST_TRANSPOSED, n, m, dim, 1, a, b, 0, ret);
	if (kind == IST_SCORE_L2)
		to_distances(a, n, b, m, dim, ret);
	if (similarity == IST_EUCLIDEAN) {
		for (size_t i = 0; i < n * m; i++)
			ret[i] = ist_similarity_of_score(similarity, ret[i]);
	}
}
