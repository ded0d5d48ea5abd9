/* Errors: the table is whole, texts are wrapped outward and cut, errno is told apart. */
#include "core/base/error.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/test.h"

static void table_is_whole(void **state)
{
	for (int i = 0; i < IST_N_CODES; i++) {
		enum ist_code code = (enum ist_code)i;

		assert_non_null(ist_code_name(code));
		assert_true(strlen(ist_code_title(code)) > 1);
		assert_in_range(ist_code_status(code), 200, 599);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ist_code_name(code),
						ist_code_name((enum ist_code)j));
	}
}

static void wraps_outward(void **state)
{
	struct ist_err err = {0};

	assert_int_equal(ist_fail(&err, IST_CORRUPT, "byte %d", 7), IST_CORRUPT);
	assert_int_equal(ist_wrap(&err, "model %s", "m_3"), IST_CORRUPT);
	assert_string_equal(err.text, "model m_3: byte 7");
}

static void pointers_nest(void **state)
{
	struct ist_err err = {0};

	assert_int_equal(ist_fail_at(&err, IST_INVALID, "/limit", "too large"), IST_INVALID);
	ist_err_under(&err, "/query");
	assert_string_equal(err.pointer, "/query/limit");
}

static void long_texts_are_cut(void **state)
{
	struct ist_err err = {0};
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)ist_fail_at(&err, IST_INVALID, text, "%s", text);
	ist_err_under(&err, text);
	(void)ist_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(strlen(err.pointer), sizeof(err.pointer) - 1);
}

static void a_full_disk_is_told_apart(void **state)
{
	struct ist_err err = {0};

	errno = ENOSPC;
	assert_int_equal(ist_fail_errno(&err, "write x"), IST_STORAGE_FULL);
	errno = EACCES;
	assert_int_equal(ist_fail_errno(&err, "write x"), IST_IO);
	assert_string_equal(err.text, "write x: Permission denied");
}

static void no_error_wanted(void **state)
{
	assert_int_equal(ist_fail(NULL, IST_IO, "x"), IST_IO);
	assert_int_equal(ist_fail_at(NULL, IST_INVALID, "/x", "x"), IST_INVALID);
	ist_err_under(NULL, "/x");
}

TEST_MAIN(cmocka_unit_test(table_is_whole), cmocka_unit_test(wraps_outward),
	  cmocka_unit_test(pointers_nest), cmocka_unit_test(long_texts_are_cut),
	  cmocka_unit_test(a_full_disk_is_told_apart), cmocka_unit_test(no_error_wanted))
