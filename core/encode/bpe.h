/*
 * Byte-level byte-pair encoding as CLIP uses it. A text is brought to NFC, white space to single
 * spaces, lower case; split into contractions, runs of letters, single digits and runs of the
 * rest; each word's UTF-8 bytes, the last of them marked as the word's end, are merged pair by
 * pair in the order of the merge list.
 *
 * "<|endoftext|>" and its kin in a text are plain text. A tokeniser is immutable and shared.
 */
#ifndef IST_CORE_ENCODE_BPE_H
#define IST_CORE_ENCODE_BPE_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/encode/folder.h"

struct ist_bpe;

/* From vocab.json and merges.txt, or tokenizer.json where those are not. Every id is below
 * `n_ids`, the rows of the embedding table that they choose from. */
IST_CHECKED enum ist_code ist_bpe_open(struct ist_folder *folder, size_t n_ids,
				       struct ist_bpe **ret, struct ist_err *err);
/* The same from the texts of vocab.json and merges.txt. */
IST_CHECKED enum ist_code ist_bpe_parse(struct ist_str vocabulary, struct ist_str merges,
					size_t n_ids, struct ist_bpe **ret, struct ist_err *err);
void ist_bpe_close(struct ist_bpe *bpe);

/* Start, pieces, end: ret has room for `max` ids (at least 2), what is too much is cut off before
 * the end. Scratch comes from `arena`. IST_INVALID where the text is not UTF-8. */
IST_CHECKED enum ist_code ist_bpe_encode(const struct ist_bpe *bpe, struct ist_str text, size_t max,
					 struct ist_arena *arena, int32_t *ret, size_t *ret_n,
					 struct ist_err *err);

#endif
