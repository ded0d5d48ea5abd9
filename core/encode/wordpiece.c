/*
 * Encoding: a pass over the text's characters that cleans it and sets ideographs apart, the
 * canonical decomposition where accents go, then words and their pieces. The order of the steps is
 * part of what the ids are: accents go before capitals, so the dotted capital I loses its dot.
 */
#include "core/encode/wordpiece.h"

#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "core/encode/text.h"
#include "core/encode/wordpiece_private.h"

#define UTF8_MAX 4 /* bytes of a character */

/* What is split off as words of their own. 2B820 to 2B91F, also ideographs, were left out by those
 * who trained with this list. */
static bool is_ideograph(int32_t c)
{
	static const struct {
		int32_t first, last;
	} ranges[] = {
	    {0x3400, 0x4DBF},	{0x4E00, 0x9FFF},   {0xF900, 0xFAFF},	{0x20000, 0x2A6DF},
	    {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
	};

	for (size_t i = 0; i < IST_COUNT(ranges) && c >= ranges[i].first; i++) {
		if (c <= ranges[i].last)
			return true;
	}
	return false;
}

static bool is_space(int32_t c)
{
	if (c == '\t' || c == '\n' || c == '\r' || c == ' ')
		return true;
	switch (c < 0x80 ? UTF8PROC_CATEGORY_CN : utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return true;
	default:
		return false;
	}
}

/* Vanishes without a trace; white space does not count here. Unassigned characters stay. */
static bool is_control(int32_t c)
{
	if (c == 0 || c == 0xFFFD)
		return true;
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
		return true;
	default:
		return false;
	}
}

/* In ASCII also the symbols ($ + < = > ^ ` | ~), beyond it not. */
static bool is_punctuation(int32_t c)
{
	if (c < 0x80)
		return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
		       (c >= 123 && c <= 126);
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return true;
	default:
		return false;
	}
}

/* ---- the text's characters ---- */

/* A growing run of UTF-8 whose room is known beforehand. */
struct out {
	char *data;
	size_t len;
	bool ascii;
};

static void put(struct out *out, int32_t c)
{
	out->len += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out->data + out->len);
	out->ascii = out->ascii && c < 0x80;
}

/* Room for three times the bytes: an ideograph of three bytes becomes five. */
static enum ist_code clean(const struct ist_wordpiece *wp, struct ist_str text,
			   struct ist_arena *arena, struct out *ret, struct ist_err *err)
{
	*ret = (struct out){ist_arena_alloc(arena, text.len * 3 + UTF8_MAX, 1), 0, true};
	for (size_t at = 0; at < text.len;) {
		int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.data + at,
						      (utf8proc_ssize_t)(text.len - at), &c);

		if (n <= 0)
			return ist_fail(err, IST_INVALID, "the text is not UTF-8 at byte %zu", at);
		at += (size_t)n;
		if (is_space(c)) {
			put(ret, ' ');
		} else if (wp->settings.split_cjk && is_ideograph(c)) {
			put(ret, ' ');
			put(ret, c);
			put(ret, ' ');
		} else if (!is_control(c)) {
			put(ret, c);
		}
	}
	return IST_OK;
}

/* The one character whose small form is two where accents stay. */
#define DOTTED_I 0x130

static void put_small(struct out *out, int32_t c)
{
	if (c == DOTTED_I) {
		put(out, 'i');
		put(out, 0x307);
	} else {
		put(out, utf8proc_tolower(c));
	}
}

/* Accents, then capitals; `text` is clean. */
static enum ist_code fold(const struct ist_wordpiece *wp, struct out text, struct ist_arena *arena,
			  struct out *ret, struct ist_err *err)
{
	bool strip = wp->settings.strip_accents && !text.ascii;
	struct ist_codepoints all = {0};
	enum ist_code code;

	if (!strip && !wp->settings.lower) {
		*ret = text;
		return IST_OK;
	}
	code = ist_text_form((struct ist_str){text.data, text.len},
			     strip ? IST_TEXT_NFD : IST_TEXT_PLAIN, arena, &all, err);
	if (code != IST_OK)
		return code;
	*ret = (struct out){ist_arena_alloc(arena, all.len * UTF8_MAX + UTF8_MAX, 1), 0, true};
	for (size_t i = 0; i < all.len; i++) {
		if (strip && utf8proc_category(all.data[i]) == UTF8PROC_CATEGORY_MN)
			continue;
		if (wp->settings.lower)
			put_small(ret, all.data[i]);
		else
			put(ret, all.data[i]);
	}
	return IST_OK;
}

/* ---- words ---- */

/* The text's next character, which is known to be well-formed. */
static int32_t character(struct out text, size_t at, size_t *ret_len)
{
	int32_t c = 0;
	utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.data + at,
					      (utf8proc_ssize_t)(text.len - at), &c);

	*ret_len = n > 0 ? (size_t)n : 1;
	return c;
}

struct word {
	const char *data;
	size_t len;
	size_t n; /* characters */
};

/* The next word from *at on, which moves behind it; false at the end. */
static bool next_word(struct out text, size_t *at, struct word *ret)
{
	size_t len;

	*ret = (struct word){0};
	for (; *at < text.len; *at += len) {
		int32_t c = character(text, *at, &len);
		bool space = is_space(c), alone = !space && is_punctuation(c);

		if (ret->n > 0 && (space || alone))
			return true;
		if (space)
			continue;
		if (ret->n == 0)
			ret->data = text.data + *at;
		ret->len += len;
		ret->n++;
		if (alone) {
			*at += len;
			return true;
		}
	}
	return ret->n > 0;
}

static bool inside_character(struct word word, size_t at)
{
	return at < word.len && ((uint8_t)word.data[at] & 0xC0) == 0x80;
}

/* The longest piece that begins at `at`; NULL: none does. */
static const struct ist_wordpiece_slot *longest_piece(const struct ist_wordpiece *wp,
						      struct word word, size_t at)
{
	const struct ist_wordpiece_slot *best = NULL;
	size_t end = at + IST_MIN(wp->longest, word.len - at);
	uint32_t hash = IST_WORDPIECE_HASH(at > 0);

	for (size_t i = at; i < end; i++) {
		const struct ist_wordpiece_slot *s;

		hash = ist_wordpiece_hash(hash, word.data[i]);
		if (inside_character(word, i + 1))
			continue;
		s = ist_wordpiece_slot(wp, hash, at > 0, word.data + at, i + 1 - at);
		if (s->len > 0)
			best = s;
	}
	return best;
}

/* The word's pieces, or the unknown one: up to `room` of them; `scratch` has room for as many as
 * the word has characters. */
static size_t cut_word(const struct ist_wordpiece *wp, struct word word, size_t room,
		       int32_t *scratch, int32_t *ret)
{
	size_t n = 0;

	if (word.n > wp->settings.word_max)
		goto unknown;
	for (size_t at = 0; at < word.len;) {
		const struct ist_wordpiece_slot *s = longest_piece(wp, word, at);

		if (s == NULL)
			goto unknown;
		scratch[n++] = s->id;
		at += s->len;
	}
	n = IST_MIN(n, room);
	memcpy(ret, scratch, n * sizeof(*ret));
	return n;
unknown:
	*ret = wp->unknown;
	return 1;
}

enum ist_code ist_wordpiece_encode(const struct ist_wordpiece *wp, struct ist_str text, size_t max,
				   struct ist_arena *arena, int32_t *ret, size_t *ret_n,
				   struct ist_err *err)
{
	int32_t *scratch = ist_arena_alloc(arena, wp->settings.word_max + 1, sizeof(*scratch));
	struct out cleaned, folded;
	struct word word;
	size_t n = 0, at = 0;
	enum ist_code code = clean(wp, text, arena, &cleaned, err);

	if (code == IST_OK)
		code = fold(wp, cleaned, arena, &folded, err);
	if (code != IST_OK)
		return code;
	ret[n++] = wp->first;
	while (n < max - 1 && next_word(folded, &at, &word))
		n += cut_word(wp, word, max - 1 - n, scratch, ret + n);
	ret[n++] = wp->last;
	*ret_n = n;
	return IST_OK;
}
