/*
 * Text as code points, normalised for matching: compatibility forms unified (NFKC), case folded,
 * ignorable characters dropped; then split into words in a way that works without a dictionary.
 */
#ifndef IST_CORE_ENCODE_TEXT_H
#define IST_CORE_ENCODE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_codepoints {
	const int32_t *data;
	size_t len;
};

enum ist_text_form {
	IST_TEXT_PLAIN, /* as it is */
	IST_TEXT_NFC,
	IST_TEXT_NFD,
	IST_TEXT_FOLDED, /* NFKC, case folded, without what is ignorable */
};

/* IST_INVALID at the first ill-formed byte. The result lives in `arena`. */
IST_CHECKED enum ist_code ist_text_form(struct ist_str text, enum ist_text_form form,
					struct ist_arena *arena, struct ist_codepoints *ret,
					struct ist_err *err);
/* The same for IST_TEXT_FOLDED. */
IST_CHECKED enum ist_code ist_text_normalise(struct ist_str text, struct ist_arena *arena,
					     struct ist_codepoints *ret, struct ist_err *err);

/*
 * The next word of `text` from *at on, which moves behind it; false at the end. A word is a run of
 * letters, marks and digits; a Han or Kana character, or a symbol such as an emoji, is
 * one by itself; punctuation and white space only separate.
 */
bool ist_text_word(struct ist_codepoints text, size_t *at, struct ist_codepoints *ret);

/* The word without its non-spacing marks ("été" -> "ete"), recomposed. ret has the word's length
 * or less, and is the word itself where nothing changes. Scratch comes from `arena`. */
struct ist_codepoints ist_text_strip(struct ist_codepoints word, struct ist_arena *arena);

#endif
