/*
 * How a model's similarity scores two embeddings. Order asks of a text and a picture whether the
 * picture holds all that the text says, so whoever scores has to say which of the two is which.
 */
#ifndef IST_CORE_METHODS_SIMILARITY_H
#define IST_CORE_METHODS_SIMILARITY_H

#include "core/blas/score.h"
#include "core/methods/method.h"

/* Who asks whom. */
enum ist_direction {
	IST_ALIKE, /* one of a modality asks for others of it */
	IST_TEXT_TO_IMAGE,
	IST_IMAGE_TO_TEXT,
	IST_N_DIRECTIONS
};
/* `from`: a modality, or IST_COMPOSED, whose embeddings are a picture's. */
enum ist_direction ist_direction_of(int from, enum ist_modality to);

/* The score that ranks: the same order as the similarity, cheaper. */
enum ist_score_kind ist_similarity_score(enum ist_similarity similarity,
					 enum ist_direction direction);
/* What such a score is as a similarity. */
float ist_similarity_of_score(enum ist_similarity similarity, float score);

/* Of queries a (n, dim) with b (m, dim): ret (n, m). Distances and inner products come from a
 * matrix product, |a - b|^2 = |a|^2 + |b|^2 - 2 a'b clamped at 0; violations of an order are no
 * product and are summed by the kernels of search. The same bits for any number of threads. */
void ist_similarities(enum ist_similarity similarity, enum ist_direction direction, const float *a,
		      size_t n, const float *b, size_t m, size_t dim, float *ret);

#endif
