/*
 * CIDEr-D (Vedantam, Zitnick, Parikh, CVPR 2015): how well a sentence agrees with reference
 * sentences, by cosine of n-grams' tf-idf vectors, n = 1 .. 4, the candidate's numbers clipped to
 * the reference's and each length apart punished by a Gaussian of sigma 6; times 10. A metric of
 * captions, and the reward of self-critical training.
 *
 * Texts are runs of tokens, 0 .. 65534, of which an end token may be one.
 */
#ifndef IST_CORE_METHODS_CIDER_H
#define IST_CORE_METHODS_CIDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"

#define IST_CIDER_GRAMS 4

struct ist_cider; /* document frequencies; immutable, for any number of threads */

/* Of n references, token[i] (length[i]); a document is the references with equal ids. */
struct ist_cider *ist_cider_create(const int32_t *const *token, const size_t *length,
				   const int64_t *document, size_t n);
void ist_cider_destroy(struct ist_cider *cider);

/* A text as vectors of n-grams. An n-gram is one number, its tokens + 1 in 16 bits each. */
struct ist_cider_text {
	size_t n_tokens, n;
	const uint64_t *gram; /* (n) ascending, each once */
	const double *weight; /* (n) count times idf */
	double norm[IST_CIDER_GRAMS];
};
/* Lives in the arena. */
struct ist_cider_text ist_cider_text(const struct ist_cider *cider, const int32_t *token, size_t n,
				     struct ist_arena *arena);
/* 0 .. 10; 0 without references. */
double ist_cider_score(const struct ist_cider_text *candidate,
		       const struct ist_cider_text *references, size_t n);

#endif
