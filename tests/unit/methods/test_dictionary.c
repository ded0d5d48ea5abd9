/*
 * Dictionaries of texts: which words, in which order, texts as tokens and back, and the form in
 * which a model keeps them.
 */
#include "tests/unit/test.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/methods/dictionary.h"

static const char *const texts[] = {"A red circle.",   "a RED triangle, large!",	NULL,
				    "one blue circle", "ein großer Kreis \xe5\x9c\x86", "a"};
#define N_TEXTS IST_COUNT(texts)

static void assert_word(const struct ist_dictionary *d, const char *word, int32_t token)
{
	assert_int_equal(ist_dictionary_find(d, word, strlen(word)), token);
}

static void test_frequent_words_come_first(void **state)
{
	struct ist_dictionary d;

	ist_dictionary_init(&d, texts, N_TEXTS, 100);
	assert_int_equal(d.n, 11);
	assert_word(&d, "a", IST_TOKEN_WORDS);
	assert_word(&d, "circle", IST_TOKEN_WORDS + 1);
	assert_word(&d, "red", IST_TOKEN_WORDS + 2);
	assert_word(&d, "blue", IST_TOKEN_WORDS + 3);
	assert_word(&d, "grosser", IST_TOKEN_WORDS + 5);
	assert_word(&d, "green", IST_TOKEN_UNKNOWN);
	assert_word(&d, "", IST_TOKEN_UNKNOWN);
	ist_dictionary_finish(&d);
}

static void test_it_takes_no_more_than_asked(void **state)
{
	struct ist_dictionary d;

	ist_dictionary_init(&d, texts, N_TEXTS, 2);
	assert_int_equal(d.n, 2);
	assert_word(&d, "circle", IST_TOKEN_WORDS + 1);
	assert_word(&d, "red", IST_TOKEN_UNKNOWN);
	ist_dictionary_finish(&d);
	ist_dictionary_init(&d, texts, 0, 100);
	assert_int_equal(d.n, 0);
	assert_word(&d, "a", IST_TOKEN_UNKNOWN);
	ist_dictionary_finish(&d);
}

static void test_texts_as_tokens_and_back(void **state)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_real words[20 * IST_DICTIONARY_BYTES];
	struct ist_dictionary d;
	int32_t t[9];

	ist_dictionary_init(&d, texts, N_TEXTS, 100);
	assert_int_equal(ist_dictionary_tokens(&d, "A blue, green circle", 8, &arena, t), 4);
	assert_int_equal(t[2], IST_TOKEN_UNKNOWN);
	assert_int_equal(t[4], IST_TOKEN_END);
	t[2] = ist_dictionary_find(&d, "\xe5\x9c\x86", 3);
	ist_dictionary_store(&d, 20, words);
	assert_int_equal(ist_dictionary_stored(words, 20), d.n);
	assert_string_equal(ist_dictionary_text(words, t, &arena), "a blue \xe5\x9c\x86 circle");
	t[0] = IST_TOKEN_END;
	assert_string_equal(ist_dictionary_text(words, t, &arena), "");
	assert_int_equal(ist_dictionary_tokens(&d, "a red a red a red", 3, &arena, t), 3);
	assert_int_equal(t[3], IST_TOKEN_END);
	assert_int_equal(ist_dictionary_tokens(&d, NULL, 3, &arena, t), 0);
	assert_int_equal(ist_dictionary_tokens(&d, "\xff\xfe", 3, &arena, t), 0);
	ist_dictionary_finish(&d);
}

/* Longer than a row of the weight, in bytes: not cut, but unknown. */
static void test_long_words_are_unknown(void **state)
{
	static const char *const longs[] = {"abcdefghijklmnopqrstuvwxyzabcdefg",
					    "abcdefghijklmnopqrstuvwxyzabcdef"};
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_real words[IST_DICTIONARY_BYTES];
	struct ist_dictionary d;
	int32_t t[3];

	ist_dictionary_init(&d, longs, 2, 100);
	assert_int_equal(d.n, 1);
	assert_int_equal(ist_dictionary_tokens(&d, longs[0], 2, &arena, t), 1);
	assert_int_equal(t[0], IST_TOKEN_UNKNOWN);
	assert_int_equal(ist_dictionary_tokens(&d, longs[1], 2, &arena, t), 1);
	ist_dictionary_store(&d, 1, words);
	assert_string_equal(ist_dictionary_text(words, t, &arena), longs[1]);
	ist_dictionary_finish(&d);
}

/* Enough words that the table grows several times; all have one frequency, so bytes decide. */
static void test_many_words(void **state)
{
	enum { N = 5000 };
	ist_autofree char **many = ist_alloc(N, sizeof(*many));
	struct ist_dictionary d;

	for (size_t i = 0; i < N; i++)
		many[i] = ist_format("w%04zu", N - 1 - i);
	ist_dictionary_init(&d, (const char *const *)many, N, 1000);
	assert_int_equal(d.n, 1000);
	assert_word(&d, "w0000", IST_TOKEN_WORDS);
	assert_word(&d, "w0999", IST_TOKEN_WORDS + 999);
	assert_word(&d, "w1000", IST_TOKEN_UNKNOWN);
	ist_dictionary_finish(&d);
	for (size_t i = 0; i < N; i++)
		free(many[i]);
}

TEST_MAIN(cmocka_unit_test(test_frequent_words_come_first),
	  cmocka_unit_test(test_it_takes_no_more_than_asked),
	  cmocka_unit_test(test_texts_as_tokens_and_back),
	  cmocka_unit_test(test_long_words_are_unknown), cmocka_unit_test(test_many_words))
