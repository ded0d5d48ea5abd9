/* CIDEr-D against the numbers of its definition written out elsewhere (make_cider). */
#include "tests/unit/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/cider.h"

#define MOST_LINES 1000
#define MOST_TOKENS 64

static const char *folder;

struct line {
	bool candidate;
	int64_t document;
	double score;
	int32_t token[MOST_TOKENS];
	size_t n;
};

static struct line lines[MOST_LINES];
static size_t n_lines;

static void read_line(char *text, struct line *ret)
{
	char *rest;

	ret->candidate = strncmp(text, "candidate", 9) == 0;
	ret->document = strtol(strchr(text, ' '), &rest, 10);
	if (ret->candidate)
		ret->score = strtod(rest, &rest);
	for (ret->n = 0; ret->n < MOST_TOKENS && *rest == ' '; ret->n++)
		ret->token[ret->n] = (int32_t)strtol(rest, &rest, 10);
}

static void read_lines(void)
{
	ist_autofree char *path = ist_format("%s/cider.golden", folder);
	FILE *file = fopen(path, "r");
	char text[1024];

	assert_non_null(file);
	while (fgets(text, sizeof(text), file) != NULL && n_lines < MOST_LINES)
		read_line(text, &lines[n_lines++]);
	fclose(file);
}

static struct ist_cider *learn(void)
{
	static const int32_t *token[MOST_LINES];
	static size_t length[MOST_LINES];
	static int64_t document[MOST_LINES];
	size_t n = 0;

	for (size_t i = 0; i < n_lines; i++) {
		if (lines[i].candidate)
			continue;
		token[n] = lines[i].token;
		length[n] = lines[i].n;
		document[n++] = lines[i].document;
	}
	return ist_cider_create(token, length, document, n);
}

static double score(const struct ist_cider *cider, const struct line *candidate,
		    struct ist_arena *arena)
{
	struct ist_cider_text c, references[16];
	size_t n = 0;

	ist_arena_reset(arena);
	c = ist_cider_text(cider, candidate->token, candidate->n, arena);
	for (size_t i = 0; i < n_lines; i++)
		if (!lines[i].candidate && lines[i].document == candidate->document)
			references[n++] = ist_cider_text(cider, lines[i].token, lines[i].n, arena);
	return ist_cider_score(&c, references, n);
}

static void test_scores(void **state)
{
	struct ist_arena arena = {0};
	struct ist_cider *cider;
	size_t checked = 0;

	read_lines();
	cider = learn();
	for (size_t i = 0; i < n_lines; i++) {
		double got, want = lines[i].score;

		if (!lines[i].candidate)
			continue;
		got = score(cider, &lines[i], &arena);
		if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))))
			fail_msg("line %zu: %.15g, expected %.15g", i + 1, got, want);
		checked++;
	}
	assert_int_equal(checked, 241);
	assert_true(ist_cider_score(&(struct ist_cider_text){0}, NULL, 0) == 0);
	ist_cider_destroy(cider);
	ist_arena_finish(&arena);
}

/* One document tells nothing about what is rare: all weights are 0, and so is every score. */
static void test_one_document(void **state)
{
	const int32_t words[] = {5, 6, 7};
	struct ist_arena arena = {0};
	struct ist_cider *cider =
	    ist_cider_create((const int32_t *[]){words}, (size_t[]){3}, (int64_t[]){1}, 1);
	struct ist_cider_text text = ist_cider_text(cider, words, 3, &arena);

	assert_int_equal(text.n, 6);
	assert_true(ist_cider_score(&text, &text, 1) == 0);
	ist_cider_destroy(cider);
	ist_arena_finish(&arena);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scores),
	    cmocka_unit_test(test_one_document),
	};

	folder = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
