/* Normalisation by utf8proc into buffers of an arena; words by general category. */
#include "core/encode/text.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"

static const int forms[] = {
    [IST_TEXT_PLAIN] = UTF8PROC_STABLE,
    [IST_TEXT_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
    [IST_TEXT_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
    [IST_TEXT_FOLDED] = UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE,
};
#define MAX_DECOMPOSITION 32 /* code points that one can become; Unicode's longest is 18 */

static enum ist_code utf8_fail(struct ist_str text, struct ist_err *err)
{
	size_t at = 0;
	utf8proc_int32_t c;

	while (at < text.len) {
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.data + at,
						      (utf8proc_ssize_t)(text.len - at), &c);

		if (n < 0)
			break;
		at += (size_t)n;
	}
	return ist_fail(err, IST_INVALID, "the text is not UTF-8 at byte %zu", at);
}

enum ist_code ist_text_form(struct ist_str text, enum ist_text_form form, struct ist_arena *arena,
			    struct ist_codepoints *ret, struct ist_err *err)
{
	const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text.data;
	utf8proc_ssize_t room = (utf8proc_ssize_t)text.len + 16, n = 0;
	utf8proc_int32_t *buffer = NULL;

	*ret = (struct ist_codepoints){0};
	if (text.len == 0)
		return IST_OK;
	/* Usually the first turn is enough; a text full of ligatures needs a second. */
	do {
		room = IST_MAX(room, n);
		buffer = ist_arena_alloc(arena, (size_t)room + 1, sizeof(*buffer));
		n = utf8proc_decompose(bytes, (utf8proc_ssize_t)text.len, buffer, room,
				       forms[form]);
	} while (n > room);
	if (n == UTF8PROC_ERROR_INVALIDUTF8)
		return utf8_fail(text, err);
	if (n >= 0)
		n = utf8proc_normalize_utf32(buffer, n, forms[form]);
	if (n < 0)
		return ist_fail(err, IST_INVALID, "the text: %s", utf8proc_errmsg(n));
	*ret = (struct ist_codepoints){buffer, (size_t)n};
	return IST_OK;
}

enum ist_code ist_text_normalise(struct ist_str text, struct ist_arena *arena,
				 struct ist_codepoints *ret, struct ist_err *err)
{
	return ist_text_form(text, IST_TEXT_FOLDED, arena, ret, err);
}

/* Scripts written without spaces whose characters carry meaning one by one. */
static bool ideographic(int32_t c)
{
	static const struct {
		int32_t first, last;
	} ranges[] = {
	    {0x2E80, 0x2FDF},	/* CJK and Kangxi radicals */
	    {0x3005, 0x3007},	/* iteration marks */
	    {0x3021, 0x3029},	/* Hangzhou numerals */
	    {0x3041, 0x30FF},	/* Hiragana, Katakana */
	    {0x3105, 0x312F},	/* Bopomofo */
	    {0x31A0, 0x31BF},	/* Bopomofo */
	    {0x31F0, 0x31FF},	/* Katakana */
	    {0x3400, 0x4DBF},	/* Han */
	    {0x4E00, 0x9FFF},	/* Han */
	    {0xF900, 0xFAFF},	/* Han */
	    {0x1B000, 0x1B16F}, /* Kana */
	    {0x20000, 0x3FFFF}, /* Han */
	};

	for (size_t i = 0; i < IST_COUNT(ranges) && c >= ranges[i].first; i++) {
		if (c <= ranges[i].last)
			return true;
	}
	return false;
}

enum kind { SEPARATOR, PART, ALONE };

static enum kind kind_of(int32_t c)
{
	if (c < 0x80 && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
		return PART;
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return ideographic(c) ? ALONE : PART;
	case UTF8PROC_CATEGORY_SC:
	case UTF8PROC_CATEGORY_SO:
		return ALONE;
	default:
		return SEPARATOR;
	}
}

bool ist_text_word(struct ist_codepoints text, size_t *at, struct ist_codepoints *ret)
{
	size_t start = *at;
	enum kind kind = SEPARATOR;

	while (start < text.len && (kind = kind_of(text.data[start])) == SEPARATOR)
		start++;
	*at = start;
	if (start == text.len)
		return false;
	do
		(*at)++;
	while (kind == PART && *at < text.len && kind_of(text.data[*at]) == PART);
	*ret = (struct ist_codepoints){text.data + start, *at - start};
	return true;
}

/* Whether stripping can do anything: plain ASCII words are most words. */
static bool plain(struct ist_codepoints word)
{
	for (size_t i = 0; i < word.len; i++) {
		if (word.data[i] >= 0x80)
			return false;
	}
	return true;
}

struct ist_codepoints ist_text_strip(struct ist_codepoints word, struct ist_arena *arena)
{
	size_t room = word.len * 4 + MAX_DECOMPOSITION, n = 0;
	int32_t *out;
	utf8proc_ssize_t len;
	int boundary = 0;

	if (plain(word))
		return word;
	out = ist_arena_alloc(arena, room + 1, sizeof(*out));
	for (size_t i = 0; i < word.len; i++) {
		utf8proc_int32_t parts[MAX_DECOMPOSITION];
		utf8proc_ssize_t k = utf8proc_decompose_char(word.data[i], parts, MAX_DECOMPOSITION,
							     UTF8PROC_DECOMPOSE, &boundary);

		for (utf8proc_ssize_t j = 0; j < k && j < MAX_DECOMPOSITION && n < room; j++) {
			if (utf8proc_category(parts[j]) != UTF8PROC_CATEGORY_MN)
				out[n++] = parts[j];
		}
	}
	len = utf8proc_normalize_utf32(out, (utf8proc_ssize_t)n, UTF8PROC_COMPOSE);
	if (len <= 0 ||
	    ((size_t)len == word.len && memcmp(out, word.data, word.len * sizeof(*out)) == 0))
		return word;
	return (struct ist_codepoints){out, (size_t)len};
}
