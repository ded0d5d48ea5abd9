/*
 * Words of their own, for methods that learn to read: a vocabulary of the codes that the encoder
 * "words" makes, and a vector for each. The vocabulary is no weight that moves: the training writes
 * it, and the model's file keeps it. Weights: text.vocabulary and text.words.
 */
#ifndef IST_CORE_METHODS_WORD_NETWORK_H
#define IST_CORE_METHODS_WORD_NETWORK_H

#include "core/methods/layers.h"

/* The words of the training texts. */
struct ist_vocabulary {
	ist_real *code;	   /* (n) ascending, each once */
	size_t n, longest; /* words of the longest text, at least 1 */
};

/* text (…, dim): codes of words, ending at the first that is not above 0; the listed rows. */
void ist_vocabulary_collect(struct ist_vocabulary *vocabulary, const float *text, size_t dim,
			    const uint32_t *rows, size_t n);
void ist_vocabulary_finish(struct ist_vocabulary *vocabulary);
/* After a checkpoint was read or the weights were started anew; nothing where theta has none. */
void ist_vocabulary_set(const struct ist_vocabulary *vocabulary, struct ist_weights *theta);

/* For n words, and one more vector for those that are none of them. */
void ist_word_declare(struct ist_weights *theta, size_t n, size_t width);
/* Codes (N, T) -> (T N, width), moment by moment. */
ist_node *ist_word_vectors(struct ist_graph *graph, struct ist_weights *theta, ist_node *codes);

#endif
