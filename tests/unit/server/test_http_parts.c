/* The small pure parts of replies: ranges, entity tags, content codings, problem documents. */
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "server/http.h"
#include "server/http_coding.h"
#include "server/http_range.h"

static void ranges(void **state)
{
	static const struct {
		const char *header;
		enum ist_range range;
		uint64_t from, n;
	} cases[] = {
	    {NULL, IST_RANGE_WHOLE, 0, 0},
	    {"bytes=0-9", IST_RANGE_PART, 0, 10},
	    {"bytes=10-", IST_RANGE_PART, 10, 90},
	    {"bytes=-10", IST_RANGE_PART, 90, 10},
	    {"bytes=-1000", IST_RANGE_PART, 0, 100},
	    {"Bytes=99-200", IST_RANGE_PART, 99, 1},
	    {"bytes=100-", IST_RANGE_OUTSIDE, 0, 0},
	    {"bytes=-0", IST_RANGE_OUTSIDE, 0, 0},
	    {"bytes=9-0", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=0-1,3-4", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=-", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=x-1", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=0", IST_RANGE_WHOLE, 0, 0},
	    {"lines=0-1", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=99999999999999999999-", IST_RANGE_OUTSIDE, 0, 0},
	    {"bytes=99999999999999999999-5", IST_RANGE_WHOLE, 0, 0},
	    {"bytes=90-99999999999999999999", IST_RANGE_PART, 90, 10},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		uint64_t from = 0, n = 0;

		assert_int_equal(ist_range_parse(cases[i].header, 100, &from, &n), cases[i].range);
		assert_int_equal(from, cases[i].from);
		assert_int_equal(n, cases[i].n);
	}
}

static void entity_tags(void **state)
{
	assert_true(ist_etag_listed("\"a\"", "\"a\""));
	assert_true(ist_etag_listed("W/\"a\"", "\"a\""));
	assert_true(ist_etag_listed("\"b\" , W/\"a\"", "W/\"a\""));
	assert_true(ist_etag_listed("*", "\"a\""));
	assert_false(ist_etag_listed(NULL, "\"a\""));
	assert_false(ist_etag_listed("", "\"a\""));
	assert_false(ist_etag_listed("\"ab\"", "\"a\""));
	assert_false(ist_etag_listed("\"b\",\"c\"", "\"a\""));
}

static void codings_are_chosen(void **state)
{
	static const struct {
		const char *accept;
		enum ist_coding coding;
	} cases[] = {
	    {NULL, IST_CODING_NONE},	     {"", IST_CODING_NONE},
	    {"gzip", IST_CODING_GZIP},	     {"gzip, deflate, br", IST_CODING_GZIP},
	    {"gzip, zstd", IST_CODING_ZSTD}, {"deflate;q=1, GZIP;q=0.5", IST_CODING_GZIP},
	    {"gzip;q=0", IST_CODING_NONE},   {"zstd;q=0.0, gzip", IST_CODING_GZIP},
	    {"identity", IST_CODING_NONE},   {"*", IST_CODING_GZIP},
	    {"gzipped", IST_CODING_NONE},    {"*;q=0", IST_CODING_NONE},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++)
		assert_int_equal(ist_coding_choose(cases[i].accept), cases[i].coding);
}

static struct ist_buf sample(void)
{
	struct ist_buf buf = {0};

	for (int i = 0; i < 500; i++)
		ist_buf_printf(&buf, "{\"id\":\"item %d\",\"label\":\"animals\"}", i);
	return buf;
}

static void codings_come_back(void **state)
{
	struct ist_buf plain = sample(), gzip = sample(), zstd = sample();
	char *back = ist_alloc(plain.len, 1);
	z_stream z = {0};

	assert_true(ist_coding_apply(IST_CODING_GZIP, &gzip));
	assert_true(gzip.len < plain.len / 4);
	z.next_in = (Bytef *)gzip.data;
	z.avail_in = (uInt)gzip.len;
	z.next_out = (Bytef *)back;
	z.avail_out = (uInt)plain.len;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	assert_memory_equal(back, plain.data, plain.len);
	assert_true(ist_coding_apply(IST_CODING_ZSTD, &zstd));
	assert_int_equal(ZSTD_decompress(back, plain.len, zstd.data, zstd.len), plain.len);
	assert_memory_equal(back, plain.data, plain.len);
	free(back);
	ist_buf_finish(&plain);
	ist_buf_finish(&gzip);
	ist_buf_finish(&zstd);
}

static void what_does_not_shrink_stays(void **state)
{
	struct ist_buf buf = {0};
	uint32_t x = 1;

	for (int i = 0; i < 4000; i++) {
		x = x * 1664525u + 1013904223u;
		ist_buf_putc(&buf, (char)(x >> 24));
	}
	for (int c = IST_CODING_GZIP; c <= IST_CODING_ZSTD; c++) {
		assert_false(ist_coding_apply((enum ist_coding)c, &buf));
		assert_int_equal(buf.len, 4000);
	}
	ist_buf_finish(&buf);
}

static void problems_of_every_code(void **state)
{
	for (int c = 1; c < IST_N_CODES; c++) {
		struct ist_err err = {0};
		json_t *problem;

		ist_fail_at(&err, (enum ist_code)c, "/a/0", "cut inside \xc3");
		problem = ist_problem(&err, "/v1/x\xff", "id1");
		assert_non_null(problem);
		assert_string_equal(json_string_value(json_object_get(problem, "code")),
				    ist_code_name((enum ist_code)c));
		assert_int_equal(json_integer_value(json_object_get(problem, "status")),
				 ist_code_status((enum ist_code)c));
		assert_string_equal(json_string_value(json_object_get(problem, "detail")),
				    "cut inside ?");
		assert_string_equal(json_string_value(json_object_get(problem, "instance")),
				    "/v1/x?");
		assert_string_equal(
		    json_string_value(json_object_get(
			json_array_get(json_object_get(problem, "errors"), 0), "pointer")),
		    "/a/0");
		json_decref(problem);
	}
}

TEST_MAIN(cmocka_unit_test(ranges), cmocka_unit_test(entity_tags),
	  cmocka_unit_test(codings_are_chosen), cmocka_unit_test(codings_come_back),
	  cmocka_unit_test(what_does_not_shrink_stays), cmocka_unit_test(problems_of_every_code))
