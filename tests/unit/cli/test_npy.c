/* .npy files: each type that is taken, and every way in which a file may be wrong. */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "server/cli/npy.h"

#define MAGIC "\x93NUMPY"

/* A file of version 1 with this header and these elements. */
static struct ist_buf file_of(const char *header, const void *data, size_t len)
{
	struct ist_buf buf = {0};
	size_t n = strlen(header);

	ist_buf_put(&buf, MAGIC "\x01\x00", 8);
	ist_buf_putc(&buf, (char)(n & 255));
	ist_buf_putc(&buf, (char)(n >> 8));
	ist_buf_puts(&buf, header);
	ist_buf_put(&buf, data, len);
	return buf;
}

static char *header_of(const char *descr, const char *order, const char *shape)
{
	static char text[256];

	snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }   \n",
		 descr, order, shape);
	return text;
}

static void real_types(void **state)
{
	static const float want[] = {1, -2.5F};
	static const struct {
		const char *descr, *bytes;
		size_t size;
	} cases[] = {
	    {"<f4", "\x00\x00\x80\x3f\x00\x00\x20\xc0", 4},
	    {">f4", "\x3f\x80\x00\x00\xc0\x20\x00\x00", 4},
	    {"<f2", "\x00\x3c\x00\xc1", 2},
	    {">f2", "\x3c\x00\xc1\x00", 2},
	    {"<f8", "\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x04\xc0", 8},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_buf file = file_of(header_of(cases[i].descr, "False", "(1, 2)"),
					      cases[i].bytes, 2 * cases[i].size);
		struct ist_err err = {0};
		struct ist_npy npy = {0};
		float row[2];

		assert_ist_ok(ist_npy_read(&npy, file.data, file.len, &err));
		assert_int_equal(npy.rows, 1);
		assert_int_equal(npy.columns, 2);
		ist_npy_row_f32(&npy, 0, row);
		assert_memory_equal(row, want, sizeof(row));
		ist_buf_finish(&file);
	}
}

static void halves(void **state)
{
	/* The least subnormal, the greatest, infinity, not a number. */
	struct ist_buf file =
	    file_of(header_of("<f2", "False", "(4, 1)"), "\x01\x00\xff\x7b\x00\xfc\x01\x7e", 8);
	struct ist_npy npy = {0};
	struct ist_err err = {0};
	float x[4];

	assert_ist_ok(ist_npy_read(&npy, file.data, file.len, &err));
	for (size_t i = 0; i < 4; i++)
		ist_npy_row_f32(&npy, i, &x[i]);
	assert_true(x[0] == ldexpf(1, -24));
	assert_true(x[1] == 65504);
	assert_true(isinf(x[2]) && x[2] < 0);
	assert_true(isnan(x[3]));
	ist_buf_finish(&file);
}

static void expect_texts(const char *descr, const char *bytes, size_t size, const char *first,
			 const char *second)
{
	struct ist_buf file = file_of(header_of(descr, "False", "(2,)"), bytes, 2 * size);
	struct ist_buf text = {0};
	struct ist_err err = {0};
	struct ist_npy npy = {0};

	assert_ist_ok(ist_npy_read(&npy, file.data, file.len, &err));
	assert_int_equal(npy.columns, 1);
	assert_ist_ok(ist_npy_text(&npy, 0, &text, &err));
	assert_string_equal(text.data, first);
	assert_ist_ok(ist_npy_text(&npy, 1, &text, &err));
	assert_string_equal(text.data, second);
	ist_buf_finish(&text);
	ist_buf_finish(&file);
}

static void labels(void **state)
{
	expect_texts("|i1", "\xff\x07", 1, "-1", "7");
	expect_texts("|u1", "\xff\x07", 1, "255", "7");
	expect_texts("<i2", "\xfe\xff\x00\x01", 2, "-2", "256");
	expect_texts(">i4", "\xff\xff\xff\xfd\x00\x00\x00\x05", 4, "-3", "5");
	expect_texts("<i8", "\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00", 8,
		     "-1", "1");
	expect_texts("<u8", "\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00", 8,
		     "18446744073709551615", "1");
	expect_texts("|b1", "\x00\x01", 1, "0", "1");
	expect_texts("|S3", "owlab\0", 3, "owl", "ab");
	expect_texts("<U2",
		     "a\0\0\0\xe9\x00\0\0"
		     "\x00\xf4\x01\0\x00\x00\0\0",
		     8, "a\xc3\xa9", "\xf0\x9f\x90\x80");
	expect_texts(">U1", "\0\0\x20\xac\0\0\0z", 4, "\xe2\x82\xac", "z");
}

static void what_is_no_text(void **state)
{
	static const struct {
		const char *descr, *bytes;
		size_t size;
	} cases[] = {{"|S2", "\xe9\xe9", 2}, {"<U1", "\x00\xd8\0\0", 4}, {"<f4", "\0\0\0\0", 4}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_buf file = file_of(header_of(cases[i].descr, "False", "(1,)"),
					      cases[i].bytes, cases[i].size);
		struct ist_buf text = {0};
		struct ist_err err = {0};
		struct ist_npy npy = {0};

		assert_ist_ok(ist_npy_read(&npy, file.data, file.len, &err));
		assert_int_equal(ist_npy_text(&npy, 0, &text, &err), IST_INVALID);
		ist_buf_finish(&text);
		ist_buf_finish(&file);
	}
}

/* Eight bytes of elements follow each. */
static void broken_headers(void **state)
{
	static const char *const headers[] = {
	    "",
	    "{}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
	    "{'descr': '<f4', 'fortran_order': False}",
	    "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 1)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
	    "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}",
	    "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 2)}",
	    "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
	    "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
	    "{'descr': '', 'fortran_order': False, 'shape': (1,)}",
	    "{'descr': '|S0', 'fortran_order': False, 'shape': (1,)}",
	    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
	    "{'descr': '<f4', 'other': 1, 'fortran_order': False, 'shape': (2,)}",
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct ist_buf file = file_of(headers[i], "12345678", 8);
		struct ist_err err = {0};
		struct ist_npy npy = {0};

		if (ist_npy_read(&npy, file.data, file.len, &err) != IST_INVALID)
			fail_msg("taken: %s", headers[i]);
		ist_buf_finish(&file);
	}
}

/* Every beginning of a good file is refused, and none is read beyond its end. */
static void cut_files(void **state)
{
	struct ist_buf file = file_of(header_of("<f4", "False", "(2, 1)"), "12345678", 8);

	for (size_t n = 0; n < file.len; n++) {
		char *copy = malloc(n + 1);
		struct ist_npy npy = {0};

		memcpy(copy, file.data, n);
		assert_int_equal(ist_npy_read(&npy, copy, n, NULL), IST_INVALID);
		free(copy);
	}
	file.data[6] = 9;
	assert_int_equal(ist_npy_read(&(struct ist_npy){0}, file.data, file.len, NULL),
			 IST_INVALID);
	ist_buf_finish(&file);
}

/* From version 2 on the length of the header has four bytes. */
static void version_two(void **state)
{
	const char *header = header_of("<f4", "False", "(2, 1)");
	struct ist_buf file = {0};
	struct ist_err err = {0};
	struct ist_npy npy = {0};

	ist_buf_put(&file, MAGIC "\x02\x00", 8);
	ist_buf_putc(&file, (char)strlen(header));
	ist_buf_put(&file, "\0\0\0", 3);
	ist_buf_puts(&file, header);
	ist_buf_put(&file, "12345678", 8);
	assert_ist_ok(ist_npy_read(&npy, file.data, file.len, &err));
	assert_int_equal(npy.rows, 2);
	ist_buf_finish(&file);
}

TEST_MAIN(cmocka_unit_test(real_types), cmocka_unit_test(halves), cmocka_unit_test(labels),
	  cmocka_unit_test(what_is_no_text), cmocka_unit_test(broken_headers),
	  cmocka_unit_test(cut_files), cmocka_unit_test(version_two))
