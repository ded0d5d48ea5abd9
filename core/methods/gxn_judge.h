/*
 * What GXN's sentences are measured by: the texts of pairs as tokens, a picture's texts as its
 * references, CIDEr-D as a reward in training and as the figure on validation. Private to gxn_*.c
 * and tests.
 */
#ifndef IST_CORE_METHODS_GXN_JUDGE_H
#define IST_CORE_METHODS_GXN_JUDGE_H

#include "core/methods/cider.h"
#include "core/methods/dictionary.h"
#include "core/methods/gxn_decode.h"

/* Texts of pairs as tokens; (n) each. */
struct ist_gxn_texts {
	size_t n, pitch; /* the longest that may be, and its end */
	uint32_t *row;	 /* of the pairs */
	int64_t *item;	 /* equal where texts belong to one picture */
	int32_t *token;	 /* (n, pitch) */
	size_t *length;	 /* words; 0: none, nothing to learn or to compare with */
};

/* Of the listed rows; what is longer than `words` is cut. */
void ist_gxn_texts_init(struct ist_gxn_texts *texts, const struct ist_pairs *pairs,
			const uint32_t *rows, size_t n, const struct ist_dictionary *dictionary,
			size_t words);
void ist_gxn_texts_finish(struct ist_gxn_texts *texts);

/* Document frequencies, a document being a picture's texts; as a reward the end is a word. */
struct ist_cider *ist_gxn_cider(const struct ist_gxn_texts *texts, bool with_end);

/* Vectors of n-grams, in an arena. */
struct ist_gxn_references {
	struct ist_cider_text *text;
	struct ist_gxn_range {
		size_t first, n;
	} * of; /* of each text: all of its picture's */
};
void ist_gxn_references_init(struct ist_gxn_references *references, const struct ist_cider *cider,
			     const struct ist_gxn_texts *texts, bool with_end,
			     struct ist_arena *arena);
/* CIDEr-D of a sentence against the references of that text's picture. */
double ist_gxn_reward(const struct ist_cider *cider, const struct ist_gxn_references *references,
		      size_t text, const int32_t *token, size_t n, struct ist_arena *scratch);

/* Greedy sentences for pictures of the validation part. */
struct ist_gxn_judge;
IST_CHECKED enum ist_code ist_gxn_judge_create(const struct ist_gxn_settings *s,
					       struct ist_weights *theta,
					       const struct ist_pairs *pairs,
					       const struct ist_dictionary *dictionary,
					       const struct ist_gxn_texts *trained,
					       struct ist_gxn_judge **ret, struct ist_err *err);
/* Once the dictionary stands in theta. */
void ist_gxn_judge_start(struct ist_gxn_judge *judge, const struct ist_gxn_settings *s,
			 const struct ist_weights *theta);
void ist_gxn_judge_destroy(struct ist_gxn_judge *judge);
/* Their mean CIDEr-D; NAN where there are none. Features are scaled by the network's. */
double ist_gxn_judge_score(struct ist_gxn_judge *judge, const struct ist_network *network,
			   const struct ist_pairs *pairs);

#endif
