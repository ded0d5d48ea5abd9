/*
 * Dictionaries: words counted in an open hash table, then kept in the order of their frequency. All
 * texts are folded and split by core/encode/text.h.
 */
#include "core/methods/dictionary.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/text.h"

#define UTF8_MOST 4 /* bytes of a code point */

/* FNV-1a with a final mix: the low bits choose the slot. */
static uint64_t hash(const char *word, size_t len)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)word[i]) * 1099511628211u;
	return h ^ h >> 32;
}

static bool is_word(const char *stored, const char *word, size_t len)
{
	return strncmp(stored, word, len) == 0 && stored[len] == '\0';
}

/* The word's slot, or the empty one where it belongs. */
static uint32_t *slot_of(const struct ist_dictionary *d, const char *word, size_t len)
{
	size_t at = hash(word, len) & (d->n_slots - 1);

	while (d->slots[at] != 0 && !is_word(d->word[d->slots[at] - 1], word, len))
		at = (at + 1) & (d->n_slots - 1);
	return &d->slots[at];
}

/* At most half full. */
static void make_slots(struct ist_dictionary *d, size_t words)
{
	free(d->slots);
	for (d->n_slots = 64; d->n_slots < 2 * words;)
		d->n_slots *= 2;
	d->slots = ist_alloc(d->n_slots, sizeof(*d->slots));
	for (size_t i = 0; i < d->n; i++)
		*slot_of(d, d->word[i], strlen(d->word[i])) = (uint32_t)i + 1;
}

/* ---- words of a text ---- */

static size_t put_utf8(int32_t c, char *ret)
{
	uint32_t u = (uint32_t)c;
	size_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};

	for (size_t i = n; i-- > 1; u >>= 6)
		ret[i] = (char)(0x80 | (u & 0x3F));
	ret[0] = (char)(lead[n] | u);
	return n;
}

/* Bytes of a word; 0 where it is too long. */
static size_t spell(struct ist_codepoints word, char ret[IST_DICTIONARY_BYTES + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < word.len; i++) {
		char bytes[UTF8_MOST];
		size_t k = put_utf8(word.data[i], bytes);

		if (n + k > IST_DICTIONARY_BYTES)
			return 0;
		memcpy(ret + n, bytes, k);
		n += k;
	}
	ret[n] = '\0';
	return n;
}

/* A text that cannot be read is one without words: whoever stored it has checked it. */
static struct ist_codepoints fold(const char *text, struct ist_arena *arena)
{
	struct ist_codepoints ret = {0};

	ist_arena_reset(arena);
	if (text != NULL &&
	    ist_text_normalise((struct ist_str){text, strlen(text)}, arena, &ret, NULL) != IST_OK)
		ret.len = 0;
	return ret;
}

/* ---- making one ---- */

struct counted {
	size_t count;
	char word[IST_DICTIONARY_BYTES + 1];
};

static int by_frequency(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->word, y->word);
}

static void count_word(struct ist_dictionary *d, size_t **count, const char *word, size_t len)
{
	uint32_t *slot = slot_of(d, word, len);

	if (*slot == 0) {
		if ((d->n & (d->n - 1)) == 0) { /* a power of two is full */
			d->word = ist_resize(d->word, 2 * d->n + 1, sizeof(*d->word));
			*count = ist_resize(*count, 2 * d->n + 1, sizeof(**count));
		}
		memcpy(d->word[d->n], word, len + 1);
		(*count)[d->n] = 0;
		*slot = (uint32_t)++d->n;
		if (2 * d->n > d->n_slots)
			make_slots(d, 2 * d->n);
		slot = slot_of(d, word, len);
	}
	(*count)[*slot - 1]++;
}

/* The `most` most frequent words in their order, and their slots anew. */
static void keep_frequent(struct ist_dictionary *d, const size_t *count, size_t most)
{
	struct counted *all = ist_alloc(d->n + 1, sizeof(*all));

	for (size_t i = 0; i < d->n; i++) {
		all[i].count = count[i];
		memcpy(all[i].word, d->word[i], sizeof(all[i].word));
	}
	qsort(all, d->n, sizeof(*all), by_frequency);
	d->n = IST_MIN(d->n, IST_MIN(most, (size_t)IST_DICTIONARY_MOST));
	for (size_t i = 0; i < d->n; i++)
		memcpy(d->word[i], all[i].word, sizeof(all[i].word));
	make_slots(d, d->n);
	free(all);
}

void ist_dictionary_init(struct ist_dictionary *d, const char *const *text, size_t n, size_t most)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_autofree size_t *count = NULL;

	*d = (struct ist_dictionary){0};
	make_slots(d, 0);
	for (size_t i = 0; i < n; i++) {
		struct ist_codepoints all = fold(text[i], &arena), word;
		char bytes[IST_DICTIONARY_BYTES + 1];
		size_t at = 0, len;

		while (ist_text_word(all, &at, &word))
			if ((len = spell(word, bytes)) > 0)
				count_word(d, &count, bytes, len);
	}
	keep_frequent(d, count, most);
}

void ist_dictionary_finish(struct ist_dictionary *d)
{
	free(d->word);
	free(d->slots);
	*d = (struct ist_dictionary){0};
}

int32_t ist_dictionary_find(const struct ist_dictionary *d, const char *word, size_t len)
{
	uint32_t slot = len > 0 && len <= IST_DICTIONARY_BYTES ? *slot_of(d, word, len) : 0;

	return slot == 0 ? IST_TOKEN_UNKNOWN : (int32_t)(IST_TOKEN_WORDS + slot - 1);
}

size_t ist_dictionary_tokens(const struct ist_dictionary *d, const char *text, size_t most,
			     struct ist_arena *arena, int32_t *ret)
{
	struct ist_codepoints all = fold(text, arena), word;
	char bytes[IST_DICTIONARY_BYTES + 1];
	size_t at = 0, n = 0;

	while (n < most && ist_text_word(all, &at, &word))
		ret[n++] = ist_dictionary_find(d, bytes, spell(word, bytes));
	ret[n] = IST_TOKEN_END;
	return n;
}

/* ---- as a weight ---- */

void ist_dictionary_store(const struct ist_dictionary *d, size_t rows, ist_real *ret)
{
	memset(ret, 0, rows * IST_DICTIONARY_BYTES * sizeof(*ret));
	for (size_t i = 0; i < d->n; i++)
		for (size_t k = 0; d->word[i][k] != '\0'; k++)
			ret[i * IST_DICTIONARY_BYTES + k] = (ist_real)(uint8_t)d->word[i][k];
}

size_t ist_dictionary_stored(const ist_real *words, size_t rows)
{
	size_t n = 0;

	while (n < rows && words[n * IST_DICTIONARY_BYTES] > 0)
		n++;
	return n;
}

char *ist_dictionary_text(const ist_real *words, const int32_t *tokens, struct ist_arena *arena)
{
	size_t n = 0, len = 0;
	char *text;

	while (tokens[n] >= IST_TOKEN_WORDS)
		n++;
	text = ist_arena_alloc(arena, n * (IST_DICTIONARY_BYTES + 1) + 1, 1);
	for (size_t i = 0; i < n; i++) {
		const ist_real *row =
		    words + (size_t)(tokens[i] - IST_TOKEN_WORDS) * IST_DICTIONARY_BYTES;

		if (i > 0)
			text[len++] = ' ';
		for (size_t k = 0; k < IST_DICTIONARY_BYTES && row[k] > 0 && row[k] < 256; k++)
			text[len++] = (char)(uint8_t)row[k];
	}
	return text;
}
