/*
 * "words": no encoder but the text itself, as codes of its first 32 words in their order, for
 * methods that learn to read. A code is a hash of the folded word, so no vocabulary has to be kept;
 * which codes there are is for a method to see. As points of a space, codes mean nothing.
 */
#include <string.h>

#include "core/encode/encoder_private.h"
#include "core/encode/text.h"

#define CODES ((uint64_t)1 << 24) /* whole numbers that a float holds exactly */

/* FNV-1a over code points with a final mix: 1 .. CODES - 1. */
static float code_of(struct ist_codepoints word)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t i = 0; i < word.len; i++)
		h = (h ^ (uint32_t)word.data[i]) * 0x100000001b3U;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
	h ^= h >> 33;
	return (float)(1 + h % (CODES - 1));
}

/* A text without a word still has a feature: one code for what it is. */
static enum ist_code encode_text(struct ist_str text, struct ist_arena *arena, float *ret,
				 struct ist_err *err)
{
	struct ist_codepoints codepoints, word;
	size_t at = 0, n = 0;
	enum ist_code code = ist_text_normalise(text, arena, &codepoints, err);

	if (code != IST_OK)
		return code;
	memset(ret, 0, IST_WORDS_MAX * sizeof(*ret));
	while (n < IST_WORDS_MAX && ist_text_word(codepoints, &at, &word))
		ret[n++] = code_of(word);
	if (n == 0)
		ret[0] = code_of(codepoints);
	return IST_OK;
}

static enum ist_code texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_str *texts, size_t n, float *ret, struct ist_err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum ist_code code;

		ist_arena_reset(&ws->arena);
		code = encode_text(texts[i], &ws->arena, ret + i * IST_WORDS_MAX, err);
		if (code != IST_OK)
			return n > 1 ? ist_wrap(err, "text %zu", i) : code;
	}
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_words = {
    .name = IST_WORDS_NAME,
    .title = "The first 32 words themselves, for methods that learn to read (dmim, gxn)",
    .dim = IST_WORDS_MAX,
    .texts = texts,
};
