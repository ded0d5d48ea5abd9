/*
 * The words that a decoder can say: those of the training texts, the most frequent first. A text is
 * a row of tokens that ends with IST_TOKEN_END. Words are what ist_text_word says after folding, so
 * sentences come out in small letters and without punctuation.
 *
 * A model keeps its dictionary as a weight that does not move: a row a word, its UTF-8 bytes as
 * numbers, 0 behind its end.
 */
#ifndef IST_CORE_METHODS_DICTIONARY_H
#define IST_CORE_METHODS_DICTIONARY_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/tensor/real.h"

enum { IST_TOKEN_END, IST_TOKEN_UNKNOWN, IST_TOKEN_WORDS };

#define IST_DICTIONARY_BYTES 32	  /* of a word; longer ones are unknown */
#define IST_DICTIONARY_MOST 60000 /* words, so that a token takes 16 bits */

struct ist_dictionary {
	size_t n; /* word i is token IST_TOKEN_WORDS + i */
	char (*word)[IST_DICTIONARY_BYTES + 1];
	uint32_t *slots; /* words by hash: 0 or 1 + place; a power of two of them */
	size_t n_slots;
};

/* Of the texts that are not NULL, at most `most` words; equally frequent ones by their bytes. A
 * text that is not UTF-8 has no words. */
void ist_dictionary_init(struct ist_dictionary *dictionary, const char *const *text, size_t n,
			 size_t most);
void ist_dictionary_finish(struct ist_dictionary *dictionary);
int32_t ist_dictionary_find(const struct ist_dictionary *dictionary, const char *word, size_t len);
/* The first `most` words of a text, then IST_TOKEN_END: ret (most + 1). Returns the number of words
 * (0 of NULL). The arena is scratch and is reset. */
size_t ist_dictionary_tokens(const struct ist_dictionary *dictionary, const char *text, size_t most,
			     struct ist_arena *arena, int32_t *ret);
/* As a weight (rows, IST_DICTIONARY_BYTES), rows >= n: what is past the last word is 0. */
void ist_dictionary_store(const struct ist_dictionary *dictionary, size_t rows, ist_real *ret);

/* Of such a weight: rows that hold a word. */
size_t ist_dictionary_stored(const ist_real *words, size_t rows);
/* The sentence of tokens up to the first that is no word, with spaces in between; in `arena`. */
char *ist_dictionary_text(const ist_real *words, const int32_t *tokens, struct ist_arena *arena);

#endif
