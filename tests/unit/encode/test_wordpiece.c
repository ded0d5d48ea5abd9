/*
 * WordPiece, step by step: what is dropped, what is set apart, accents and capitals by setting,
 * unknown words, the cut, marks typed by a user, and what a vocabulary must have.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/wordpiece.h"
#include "tests/unit/test.h"

#define N_IDS 100

static const char *const pieces[] = {
    "[PAD]", "[UNK]",	 "[CLS]",  "[SEP]", "a",	  "##b",  "##bc",   "cat",	"##s",
    "the",   "!",	 "$",	   "东",    "京",	  "cafe", "Cafe",   "é",	"##é",
    "i",     "##\u0307", "[",	   "]",	    "cls",	  "CLS",  "\u1112", "##\u1161", "##\u11ab",
    "한",    "ab",	 "\u0301", "e",	    "\U0002b820", "x",	  "##x",    "\u00df",
};

static struct ist_wordpiece *open_with(const struct ist_wordpiece_settings *settings)
{
	ist_auto(ist_buf_finish) struct ist_buf lines = {0};
	struct ist_wordpiece *wp = NULL;
	struct ist_err err;

	for (size_t i = 0; i < IST_COUNT(pieces); i++)
		ist_buf_printf(&lines, "%s\n", pieces[i]);
	assert_ist_ok(ist_wordpiece_parse((struct ist_str){lines.data, lines.len}, settings, N_IDS,
					  &wp, &err));
	return wp;
}

/* "[CLS] cat ##s [SEP]" */
static char *show(const int32_t *ids, size_t n)
{
	struct ist_buf text = {0};

	for (size_t i = 0; i < n; i++) {
		assert_in_range(ids[i], 0, IST_COUNT(pieces) - 1);
		ist_buf_printf(&text, "%s%s", i > 0 ? " " : "", pieces[ids[i]]);
	}
	return text.data;
}

static void check_at(const struct ist_wordpiece *wp, struct ist_str text, size_t max,
		     const char *wanted)
{
	struct ist_arena arena = {0};
	ist_autofree char *got = NULL;
	struct ist_err err;
	int32_t ids[64];
	size_t n;

	assert_ist_ok(ist_wordpiece_encode(wp, text, max, &arena, ids, &n, &err));
	got = show(ids, n);
	assert_string_equal(got, wanted);
	ist_arena_finish(&arena);
}

static void check(const struct ist_wordpiece *wp, const char *text, const char *wanted)
{
	ist_autofree char *whole =
	    ist_format("[CLS] %s%s[SEP]", wanted, *wanted != '\0' ? " " : "");

	check_at(wp, (struct ist_str){text, strlen(text)}, 64, whole);
}

static void test_uncased(void **state)
{
	static const struct {
		const char *text, *pieces;
	} cases[] = {
	    {"", ""},
	    {" \t\n\u3000\u2028", ""},
	    {"the cats", "the cat ##s"},
	    {"The  CATS!!", "the cat ##s ! !"},
	    {"abc ab abb", "[UNK] ab ab ##b"},
	    {"Café cafe\u0301 CAFÉ", "cafe cafe cafe"},
	    {"\u0301", ""},
	    {"\u0130", "i"},
	    {"a\u200b\u00ad\ufeff\a\ufffdb", "ab"},
	    {"a\u00a0b", "a [UNK]"},
	    {"东京cats东", "东 京 cat ##s 东"},
	    {"한", "\u1112 ##\u1161 ##\u11ab"},
	    {"$a$", "$ a $"},
	    {"a\u2014a", "a [UNK] a"},
	    {"a\u20aca", "[UNK]"},
	    {"[CLS]", "[ cls ]"},
	    {"\U0002b820\U0002b820", "[UNK]"},
	    {"ß", "ß"},
	    {"\U0001f438\U0001f34e a", "[UNK] a"},
	};
	struct ist_wordpiece *wp = open_with(&ist_wordpiece_defaults);

	for (size_t i = 0; i < IST_COUNT(cases); i++)
		check(wp, cases[i].text, cases[i].pieces);
	ist_wordpiece_close(wp);
}

static void test_cased(void **state)
{
	struct ist_wordpiece_settings s = ist_wordpiece_defaults;
	struct ist_wordpiece *wp;

	s.lower = s.strip_accents = s.split_cjk = false;
	wp = open_with(&s);
	check(wp, "Cafe cafe The", "Cafe cafe [UNK]");
	check(wp, "é e\u0301 é", "é [UNK] é");
	check(wp, "[CLS]", "[ CLS ]");
	check(wp, "东京 东", "[UNK] 东");
	check(wp, "한", "한");
	ist_wordpiece_close(wp);
}

/* Capitals go and accents stay: the dotted capital I is two characters then. */
static void test_lower_only(void **state)
{
	struct ist_wordpiece_settings s = ist_wordpiece_defaults;
	struct ist_wordpiece *wp;

	s.strip_accents = false;
	wp = open_with(&s);
	check(wp, "\u0130 É", "i ##\u0307 é");
	ist_wordpiece_close(wp);
	s.strip_accents = true;
	s.lower = false;
	wp = open_with(&s);
	check(wp, "Café Cafe", "Cafe Cafe");
	ist_wordpiece_close(wp);
}

static void test_long_words(void **state)
{
	struct ist_wordpiece *wp = open_with(&ist_wordpiece_defaults);
	char text[102];

	memset(text, 'x', sizeof(text));
	check_at(wp, (struct ist_str){text, 101}, 64, "[CLS] [UNK] [SEP]");
	check_at(wp, (struct ist_str){text, 100}, 4, "[CLS] x ##x [SEP]");
	ist_wordpiece_close(wp);
}

static void test_cut(void **state)
{
	static const struct ist_str text = {"the cats the cats", 17};
	struct ist_wordpiece *wp = open_with(&ist_wordpiece_defaults);

	check_at(wp, text, 2, "[CLS] [SEP]");
	check_at(wp, text, 4, "[CLS] the cat [SEP]");
	check_at(wp, text, 5, "[CLS] the cat ##s [SEP]");
	check_at(wp, text, 64, "[CLS] the cat ##s the cat ##s [SEP]");
	check_at(wp, (struct ist_str){"a\0b", 3}, 64, "[CLS] ab [SEP]");
	ist_wordpiece_close(wp);
}

static void test_not_utf8(void **state)
{
	static const char *const bad[] = {"a\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					  "\xc0\x80"};
	struct ist_wordpiece *wp = open_with(&ist_wordpiece_defaults);
	struct ist_arena arena = {0};
	struct ist_err err;
	int32_t ids[8];
	size_t n;

	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		struct ist_str text = {bad[i], strlen(bad[i])};

		assert_int_equal(ist_wordpiece_encode(wp, text, 8, &arena, ids, &n, &err),
				 IST_INVALID);
		assert_non_null(strstr(err.text, "UTF-8"));
	}
	ist_arena_finish(&arena);
	ist_wordpiece_close(wp);
}

static void test_vocabularies(void **state)
{
	static const struct {
		const char *text;
		size_t n_ids;
		const char *says; /* NULL: it opens */
	} cases[] = {
	    {"[CLS]\n[SEP]\n[UNK]\n", 3, NULL},
	    {"[CLS]\r\n[SEP]\r\n[UNK]", 3, NULL},
	    {"[CLS]\n\n[SEP]\n[UNK]\n\n", 4, NULL},
	    {"[CLS]\n[UNK]\n", 3, "[SEP]"},
	    {"", 3, "[CLS]"},
	    {"[CLS]\n[SEP]\n[UNK]\nx\n", 3, "\"x\""},
	    {"[CLS]\n[SEP]\n[UNK]\n##x\n", 3, "\"##x\""},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_str text = {cases[i].text, strlen(cases[i].text)};
		struct ist_wordpiece *wp = NULL;
		struct ist_err err = {0};
		enum ist_code code =
		    ist_wordpiece_parse(text, &ist_wordpiece_defaults, cases[i].n_ids, &wp, &err);

		assert_int_equal(code, cases[i].says == NULL ? IST_OK : IST_CORRUPT);
		if (cases[i].says != NULL && strstr(err.text, cases[i].says) == NULL)
			fail_msg("\"%s\" does not say %s", err.text, cases[i].says);
		ist_wordpiece_close(wp);
	}
}

TEST_MAIN(cmocka_unit_test(test_uncased), cmocka_unit_test(test_cased),
	  cmocka_unit_test(test_lower_only), cmocka_unit_test(test_long_words),
	  cmocka_unit_test(test_cut), cmocka_unit_test(test_not_utf8),
	  cmocka_unit_test(test_vocabularies))
