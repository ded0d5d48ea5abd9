/* Any bytes as a text: normalisation, words, and the n-gram encoder with what it promises. */
#include <math.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "core/encode/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_words(struct ist_str text)
{
	struct ist_arena arena = {0};
	struct ist_codepoints all, word, bare;
	size_t at = 0, last = 0;

	if (ist_text_normalise(text, &arena, &all, NULL) == IST_OK) {
		while (ist_text_word(all, &at, &word)) {
			bare = ist_text_strip(word, &arena);
			if (at <= last || at > all.len || word.len == 0 || bare.len == 0)
				abort();
			last = at;
		}
	}
	ist_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ist_encoder *encoder = NULL;
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_str text = {(const char *)data, len};
	float *x;

	check_words(text);
	if (ist_encoder_open("ngrams", NULL, &encoder, NULL) != IST_OK)
		abort();
	x = ist_alloc(encoder->dim, sizeof(*x));
	/* The call itself checks for finite and not all zero, and says IST_INTERNAL. */
	if (ist_encoder_texts(encoder, ws, &text, 1, x, NULL) == IST_INTERNAL)
		abort();
	for (size_t j = 0; j < encoder->dim; j++) {
		if (!(x[j] >= 0))
			abort();
	}
	free(x);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
	return 0;
}
