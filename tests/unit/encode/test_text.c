/* Normalisation and words in several scripts. */
#include "core/encode/text.h"

#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "tests/unit/test.h"

static void put_codepoints(struct ist_buf *buf, struct ist_codepoints c)
{
	for (size_t i = 0; i < c.len; i++) {
		utf8proc_uint8_t bytes[4];

		ist_buf_put(buf, bytes, (size_t)utf8proc_encode_char(c.data[i], bytes));
	}
}

/* "word|word|" of a text; with `bare`, "word=stripped|" where stripping changes it. */
static void check_words(const char *text, bool bare, const char *want)
{
	struct ist_arena arena = {0};
	struct ist_buf got = {0};
	struct ist_codepoints all, word;
	struct ist_err err;
	size_t at = 0;

	assert_ist_ok(ist_text_normalise((struct ist_str){text, strlen(text)}, &arena, &all, &err));
	while (ist_text_word(all, &at, &word)) {
		struct ist_codepoints stripped = ist_text_strip(word, &arena);

		put_codepoints(&got, word);
		if (bare && stripped.data != word.data) {
			ist_buf_putc(&got, '=');
			put_codepoints(&got, stripped);
		}
		ist_buf_putc(&got, '|');
	}
	assert_string_equal(got.len > 0 ? got.data : "", want);
	ist_buf_finish(&got);
	ist_arena_finish(&arena);
}

static void test_words(void **state)
{
	check_words("A seal, on the ICE!", false, "a|seal|on|the|ice|");
	check_words("", false, "");
	check_words(" ?! -- \t\n", false, "");
	check_words("route66 2004", false, "route66|2004|");
	check_words("Straße ﬁsh Ⅷ", false, "strasse|fish|viii|");
	check_words("海豹 ザ", false, "海|豹|ザ|");
	check_words("물개가 얼음", false, "물개가|얼음|");
	check_words("🦭❄x", false, "🦭|❄|x|");
	check_words("ΣΊΣΥΦΟΣ", false, "σίσυφοσ|");
	check_words("se\u200Bal s\u00ADeal", false, "seal|seal|");
}

static void test_strip(void **state)
{
	check_words("été", true, "été=ete|");
	check_words("e\u0301te\u0301", true, "été=ete|");
	check_words("Ελλάδα ёлка", true, "ελλάδα=ελλαδα|ёлка=елка|");
	check_words("물개 plain", true, "물개|plain|");
	/* Nothing but marks stays what it is: no word becomes empty. */
	check_words("\u0301\u0302", true, "\u0301\u0302|");
}

static void test_ill_formed(void **state)
{
	static const struct {
		const char *text;
		size_t len, at;
	} cases[] = {{"ab\xC0\xAF", 4, 2}, {"\xED\xA0\x80", 3, 0},     {"abc\xE2\x82", 5, 3},
		     {"\xFF", 1, 0},	   {"\xF4\x90\x80\x80", 4, 0}, {"a\x80", 2, 1}};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_arena arena = {0};
		struct ist_codepoints all;
		struct ist_err err;
		ist_autofree char *where = ist_format("byte %zu", cases[i].at);

		assert_int_equal(ist_text_normalise((struct ist_str){cases[i].text, cases[i].len},
						    &arena, &all, &err),
				 IST_INVALID);
		assert_non_null(strstr(err.text, where));
		ist_arena_finish(&arena);
	}
}

/* Code points that become eighteen, so that the first guess of room is too small. */
static void test_expansion(void **state)
{
	struct ist_arena arena = {0};
	struct ist_buf text = {0};
	struct ist_codepoints all;
	struct ist_err err;

	for (int i = 0; i < 300; i++)
		ist_buf_puts(&text, "\uFDFA");
	assert_ist_ok(
	    ist_text_normalise((struct ist_str){text.data, text.len}, &arena, &all, &err));
	assert_int_equal(all.len, 300 * 18);
	ist_buf_finish(&text);
	ist_arena_finish(&arena);
}

TEST_MAIN(cmocka_unit_test(test_words), cmocka_unit_test(test_strip),
	  cmocka_unit_test(test_ill_formed), cmocka_unit_test(test_expansion))
