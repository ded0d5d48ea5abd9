/* Forms: what is read, and every way of being broken. */
#include <string.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "server/multipart.h"

#define TYPE "multipart/form-data; boundary=XX"
#define HEAD "Content-Disposition: form-data; name=\"item\"\r\n\r\n"

static enum ist_code parse(const char *type, const char *body, struct ist_arena *arena,
			   const struct ist_part_body **parts, size_t *n, struct ist_err *err)
{
	return ist_multipart_parse(type, (struct ist_str){body, strlen(body)}, arena, parts, n,
				   err);
}

static void reads_parts(void **state)
{
	struct ist_err err = {0};
	struct ist_arena arena = {0};
	const struct ist_part_body *parts;
	size_t n;
	const char body[] =
	    "preamble\r\n--XX\r\n"
	    "content-disposition: form-data; name=\"image\"; filename=\"a \\\"b\\\".png\"\r\n"
	    "Content-Type: Image/PNG; x=y\r\n\r\n"
	    "\x89PNG\r\n--X\r\n\r\n--XX \t\r\n" HEAD "{}\r\n--XX--\r\nepilogue";

	assert_ist_ok(parse(TYPE, body, &arena, &parts, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(parts[0].name, "image");
	assert_string_equal(parts[0].filename, "a \"b\".png");
	assert_string_equal(parts[0].type, "image/png");
	assert_int_equal(parts[0].body.len, 11);
	assert_string_equal(parts[1].name, "item");
	assert_memory_equal(parts[1].body.data, "{}", 2);
	assert_int_equal(parts[1].body.len, 2);
	ist_arena_finish(&arena);
}

static void reads_an_empty_part(void **state)
{
	struct ist_err err = {0};
	struct ist_arena arena = {0};
	const struct ist_part_body *parts;
	size_t n;

	assert_ist_ok(parse("multipart/form-data; charset=utf-8; boundary=\"XX\"",
			    "--XX\r\n" HEAD "\r\n--XX--", &arena, &parts, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(parts[0].body.len, 0);
	ist_arena_finish(&arena);
}

static void refuses_what_is_broken(void **state)
{
	static const struct {
		const char *type, *body;
	} cases[] = {
	    {"multipart/form-data", "--XX\r\n" HEAD "a\r\n--XX--"},
	    {"multipart/form-data; boundary=", "--XX\r\n" HEAD "a\r\n--XX--"},
	    {"multipart/form-data; boundary=\"XX", "--XX\r\n" HEAD "a\r\n--XX--"},
	    {"multipart/form-data; "
	     "boundary=0123456789012345678901234567890123456789012345678901234567890"
	     "1234567890",
	     "--XX\r\n" HEAD "a\r\n--XX--"},
	    {TYPE, ""},
	    {TYPE, "no boundary at all"},
	    {TYPE, "--XX"},
	    {TYPE, "--XX\r\n"},
	    {TYPE, "--XXY\r\n" HEAD "a\r\n--XX--"},
	    {TYPE, "--XX\r\n" HEAD "a"},
	    {TYPE, "--XX\r\n" HEAD "a\r\n--XX"},
	    {TYPE, "--XX\r\n" HEAD "a\r\n--XX\r\n"},
	    {TYPE, "--XX\r\n\r\na\r\n--XX--"},
	    {TYPE, "--XX\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\na\r\n--XX--"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data\r\n\r\na\r\n--XX--"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"\"\r\n\r\na\r\n--XX--"},
	    {TYPE, "--XX\r\nno colon\r\n\r\na\r\n--XX--"},
	    {TYPE, "--XX\r\n" HEAD "a\r\n--XX\r\n" HEAD "b\r\n--XX--"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		const struct ist_part_body *parts;
		size_t n;

		assert_int_equal(parse(cases[i].type, cases[i].body, &arena, &parts, &n, &err),
				 IST_BAD_REQUEST);
		assert_non_null(strstr(err.text, "multipart"));
		ist_arena_finish(&arena);
	}
}

/* Whatever is cut off or changed, nothing is read outside the body (the sanitizers watch). */
static void survives_every_cut_and_flip(void **state)
{
	static const char body[] =
	    "--XX\r\n" HEAD "{\"a\":1}\r\n--XX\r\nContent-Disposition: form-data; "
	    "name=image\r\nContent-Type: image/png\r\n\r\nabc\r\n--XX--\r\n";
	size_t len = sizeof(body) - 1;

	for (size_t i = 0; i <= len; i++) {
		struct ist_arena arena = {0};
		const struct ist_part_body *parts;
		char *copy = ist_alloc_raw(len, 1);
		struct ist_err err;
		size_t n;

		memcpy(copy, body, len);
		(void)!ist_multipart_parse(TYPE, (struct ist_str){copy, i}, &arena, &parts, &n,
					   &err);
		if (i < len)
			copy[i] ^= 0x55;
		(void)!ist_multipart_parse(TYPE, (struct ist_str){copy, len}, &arena, &parts, &n,
					   &err);
		free(copy);
		ist_arena_finish(&arena);
	}
}

TEST_MAIN(cmocka_unit_test(reads_parts), cmocka_unit_test(reads_an_empty_part),
	  cmocka_unit_test(refuses_what_is_broken), cmocka_unit_test(survives_every_cut_and_flip))
