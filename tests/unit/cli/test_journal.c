/* The journal of an import: what it keeps, a torn end, and its removal. */
#include "tests/unit/test.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "server/cli/journal.h"

static char folder[] = "/tmp/isthmus-journal-XXXXXX";

static void put(struct ist_journal *journal, const char *line)
{
	uint8_t hash[IST_LINE_HASH];

	ist_line_hash(line, strlen(line), hash);
	ist_journal_add(journal, hash, 1);
}

static bool has(const struct ist_journal *journal, const char *line)
{
	uint8_t hash[IST_LINE_HASH];

	ist_line_hash(line, strlen(line), hash);
	return ist_journal_has(journal, hash);
}

static void goes_on(void **state)
{
	struct ist_journal *journal = ist_journal_open("one");

	assert_false(has(journal, "a"));
	put(journal, "a");
	put(journal, "b");
	ist_journal_destroy(journal);
	journal = ist_journal_open("one");
	assert_true(has(journal, "a"));
	assert_true(has(journal, "b"));
	assert_false(has(journal, "c"));
	ist_journal_destroy(journal);
	journal = ist_journal_open("two");
	assert_false(has(journal, "a"));
	ist_journal_remove(journal);
	ist_journal_destroy(journal);
	journal = ist_journal_open("one");
	ist_journal_remove(journal);
	ist_journal_destroy(journal);
	journal = ist_journal_open("one");
	assert_false(has(journal, "a"));
	ist_journal_remove(journal);
	ist_journal_destroy(journal);
}

/* Half a hash at the end, as after a crash: it is dropped, and shifts nothing. */
static void torn(void **state)
{
	struct ist_journal *journal = ist_journal_open("torn");
	char pattern[128];
	glob_t found;
	FILE *file;

	put(journal, "a");
	ist_journal_destroy(journal);
	snprintf(pattern, sizeof(pattern), "%s/isthmus/import/*", folder);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	file = fopen(found.gl_pathv[0], "ab");
	assert_non_null(file);
	fputs("half", file);
	fclose(file);
	globfree(&found);
	journal = ist_journal_open("torn");
	assert_true(has(journal, "a"));
	put(journal, "b");
	ist_journal_destroy(journal);
	journal = ist_journal_open("torn");
	assert_true(has(journal, "a"));
	assert_true(has(journal, "b"));
	ist_journal_remove(journal);
	ist_journal_destroy(journal);
}

/* Without a place to write to nothing is kept, and nothing fails. */
static void nowhere(void **state)
{
	struct ist_journal *journal;

	setenv("XDG_CACHE_HOME", "/dev/null", 1);
	journal = ist_journal_open("one");
	put(journal, "a");
	assert_false(has(journal, "a"));
	ist_journal_remove(journal);
	ist_journal_destroy(journal);
	setenv("XDG_CACHE_HOME", folder, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(goes_on), cmocka_unit_test(torn),
					   cmocka_unit_test(nowhere)};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	setenv("XDG_CACHE_HOME", folder, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (ist_dir_remove(folder, NULL) != IST_OK)
		return 1;
	return failed;
}
