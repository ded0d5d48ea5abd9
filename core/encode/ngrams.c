/*
 * "ngrams": a text encoder without a model. Words, pairs of neighbouring words, and the runs of 3
 * to 5 characters inside each word (with marks at its borders) are hashed into columns and counted;
 * a column is 1 + log(count). Accented words count as written and without their accents, so that
 * "elephant" finds "éléphant", yet the exact spelling weighs more.
 *
 * Words and characters have columns of their own: a text has ten times more of the latter, which
 * would otherwise drown the words in collisions. Rare and frequent are told apart later, by idf
 * over the collection (see `counts`). The hash is part of the stored features' meaning: changing it
 * is changing the encoder's name.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/encoder_private.h"
#include "core/encode/text.h"

#define DIM 1024
#define N_WORD_COLUMNS 384
#define SHORTEST 3
#define LONGEST 5
#define BORDER 0x2423 /* stands before and behind a word; never part of one */

enum kind { WORD = 1, PAIR, CHARACTERS, EMPTY };

/* FNV-1a over code points, with a final mix: FNV alone is weak in its low bits. */
static uint64_t hash(uint64_t h, const int32_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint32_t)data[i]) * 0x100000001b3U;
	return h;
}

static uint64_t hash_start(enum kind kind)
{
	int32_t seed = kind;

	return hash(0xcbf29ce484222325U, &seed, 1);
}

static size_t column(uint64_t h, enum kind kind)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53U;
	h ^= h >> 33;
	return kind == CHARACTERS ? N_WORD_COLUMNS + h % (DIM - N_WORD_COLUMNS)
				  : h % N_WORD_COLUMNS;
}

static void count(float *x, uint64_t h, enum kind kind)
{
	x[column(h, kind)] += 1;
}

/* The borders are counted as characters of the word, so that "cat" begins and ends somewhere and a
 * single ideograph still makes one run of three. The hash is carried on from length to length. */
static void count_characters(float *x, struct ist_codepoints word)
{
	size_t n = word.len + 2;

	for (size_t i = 0; i + SHORTEST <= n; i++) {
		uint64_t h = hash_start(CHARACTERS);

		for (size_t j = i; j < n && j < i + LONGEST; j++) {
			int32_t c = j == 0 || j == n - 1 ? BORDER : word.data[j - 1];

			h = hash(h, &c, 1);
			if (j + 1 >= i + SHORTEST)
				count(x, h, CHARACTERS);
		}
	}
}

/* One form of a word after one form of the word before it (`last.len` 0: the first). */
static void count_word(float *x, struct ist_codepoints last, struct ist_codepoints word)
{
	static const int32_t between = BORDER;
	uint64_t h;

	count(x, hash(hash_start(WORD), word.data, word.len), WORD);
	count_characters(x, word);
	if (last.len == 0)
		return;
	h = hash(hash_start(PAIR), last.data, last.len);
	h = hash(h, &between, 1);
	count(x, hash(h, word.data, word.len), PAIR);
}

/* A text without a word ("", "?!") still has a feature: one column for what it is. */
static void count_rest(float *x, struct ist_codepoints text)
{
	count(x, hash(hash_start(EMPTY), text.data, text.len), EMPTY);
}

/* x: (DIM). Pairs are formed within one form: written with written, bare with bare. */
static enum ist_code encode_text(struct ist_str text, struct ist_arena *arena, float *x,
				 struct ist_err *err)
{
	struct ist_codepoints codepoints, word, bare, last = {0}, last_bare = {0};
	enum ist_code code = ist_text_normalise(text, arena, &codepoints, err);
	size_t at = 0;

	if (code != IST_OK)
		return code;
	memset(x, 0, DIM * sizeof(*x));
	while (ist_text_word(codepoints, &at, &word)) {
		bare = ist_text_strip(word, arena);
		count_word(x, last, word);
		if (bare.data != word.data)
			count_word(x, last_bare, bare);
		last = word;
		last_bare = bare;
	}
	if (last.len == 0)
		count_rest(x, codepoints);
	for (size_t j = 0; j < DIM; j++)
		x[j] = x[j] > 0 ? 1 + logf(x[j]) : 0;
	return IST_OK;
}

static enum ist_code texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_str *texts, size_t n, float *ret, struct ist_err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum ist_code code;

		ist_arena_reset(&ws->arena);
		code = encode_text(texts[i], &ws->arena, ret + i * DIM, err);
		if (code != IST_OK)
			return n > 1 ? ist_wrap(err, "text %zu", i) : code;
	}
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_ngrams = {
    .name = "ngrams",
    .title = "Hashed words, word pairs and character 3-5-grams, any language",
    .counts = true,
    .dim = DIM,
    .texts = texts,
};
