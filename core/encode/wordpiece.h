/*
 * WordPiece as BERT uses it. A text is cleaned of control characters, ideographs are set apart;
 * accents and capitals go where the folder says so; words are split at white space and punctuation;
 * each is cut into the longest pieces of the vocabulary from the left on, or is unknown as a whole.
 *
 * "[CLS]" and its kin in a text are plain text. A tokeniser is immutable and shared.
 */
#ifndef IST_CORE_ENCODE_WORDPIECE_H
#define IST_CORE_ENCODE_WORDPIECE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/encode/folder.h"

struct ist_wordpiece;

/* What the folder's files may change; ist_wordpiece_defaults is BERT's uncased setting. */
struct ist_wordpiece_settings {
	bool lower;
	bool strip_accents;
	bool split_cjk;	 /* each ideograph is a word */
	size_t word_max; /* characters; longer words are unknown */
	char first[64], last[64], unknown[64];
};
extern const struct ist_wordpiece_settings ist_wordpiece_defaults;

/* From vocab.txt and tokenizer_config.json, or tokenizer.json where there is no vocab.txt. Every id
 * is below `n_ids`, the rows of the embedding table that they choose from. With `lower` capitals go
 * whatever these files say. */
IST_CHECKED enum ist_code ist_wordpiece_open(struct ist_folder *folder, bool lower, size_t n_ids,
					     struct ist_wordpiece **ret, struct ist_err *err);
/* The same from the text of a vocab.txt: a piece a line, its id the line's number from 0. */
IST_CHECKED enum ist_code ist_wordpiece_parse(struct ist_str vocabulary,
					      const struct ist_wordpiece_settings *settings,
					      size_t n_ids, struct ist_wordpiece **ret,
					      struct ist_err *err);
void ist_wordpiece_close(struct ist_wordpiece *wp);

/* First mark, pieces, last mark: ret has room for `max` ids (at least 2), what is too much is cut
 * off before the last. Scratch comes from `arena`. IST_INVALID where the text is not UTF-8. */
IST_CHECKED enum ist_code ist_wordpiece_encode(const struct ist_wordpiece *wp, struct ist_str text,
					       size_t max, struct ist_arena *arena, int32_t *ret,
					       size_t *ret_n, struct ist_err *err);

#endif
