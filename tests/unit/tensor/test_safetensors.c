/* Safetensors files: what was written comes back, every number type reads, hostile files do not. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/tensor/safetensors.h"

static char folder[] = "/tmp/isthmus-test-XXXXXX";

static int make_folder(void **state)
{
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	return ist_dir_remove(folder, NULL) != IST_OK;
}

static void test_round_trip(void **state)
{
	ist_autofree char *path = ist_format("%s/a.safetensors", folder);
	const float x[6] = {1, -2, 3.5f, INFINITY, 0, 1e-30f};
	const int64_t steps = 1234567890123;
	const double empty[1] = {0};
	const struct ist_safetensor t[] = {
	    {.name = "x.weight", .dtype = "F32", .n_dims = 2, .shape = {2, 3}, .data = x},
	    {.name = "steps", .dtype = "I64", .n_dims = 0, .data = &steps},
	    {.name = "empty", .dtype = "F64", .n_dims = 2, .shape = {0, 7}, .data = empty}};
	json_t *metadata = json_pack("{s:s}", "what", "a test \"quoted\"");
	struct ist_safetensors *file;
	struct ist_err err;
	int64_t got_steps;
	float got[6];

	assert_ist_ok(ist_safetensors_write(path, t, 3, metadata, &err));
	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	assert_int_equal(ist_safetensors_n(file), 3);
	assert_string_equal(ist_safetensors_metadata(file, "what"), "a test \"quoted\"");
	assert_null(ist_safetensors_metadata(file, "else"));
	assert_ist_ok(ist_safetensors_read_f32(file, "x.weight", 2, (size_t[]){2, 3}, got, &err));
	assert_memory_equal(got, x, sizeof(x));
	assert_ist_ok(ist_safetensors_read_i64(file, "steps", 0, NULL, &got_steps, &err));
	assert_true(got_steps == steps);
	assert_int_equal(ist_safetensor_count(ist_safetensors_find(file, "empty")), 0);
	assert_null(ist_safetensors_find(file, "x"));
	assert_int_equal((uintptr_t)ist_safetensors_find(file, "x.weight")->data % 64, 0);
	ist_safetensors_close(file);
	json_decref(metadata);
}

/* A file from its header's text and its data, parsed. */
static enum ist_code parse(const char *header, const void *data, size_t len,
			   struct ist_safetensors **ret, struct ist_err *err)
{
	static uint8_t file[8192];
	size_t n = strlen(header);

	memset(file, 0, 8);
	file[0] = (uint8_t)n;
	file[1] = (uint8_t)(n >> 8);
	memcpy(file + 8, header, n);
	memcpy(file + 8 + n, data, len);
	return ist_safetensors_parse(file, 8 + n + len, ret, err);
}

static void test_number_types(void **state)
{
	/* 1.5 and -2 in every type; whole types hold 1 and -2 or 254. */
	static const struct {
		const char *dtype;
		size_t size;
		uint8_t bytes[16];
		double want[2];
	} rows[] = {
	    {"F64", 8, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}, {1.5, -2}},
	    {"F32", 4, {0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0}, {1.5, -2}},
	    {"F16", 2, {0x00, 0x3e, 0x00, 0xc0}, {1.5, -2}},
	    {"F16", 2, {0x01, 0x00, 0xff, 0x7b}, {0x1p-24, 65504}},
	    {"BF16", 2, {0xc0, 0x3f, 0x00, 0xc0}, {1.5, -2}},
	    {"I64", 8, {1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255}, {1, -2}},
	    {"I32", 4, {1, 0, 0, 0, 0xfe, 255, 255, 255}, {1, -2}},
	    {"I16", 2, {1, 0, 0xfe, 255}, {1, -2}},
	    {"I8", 1, {1, 0xfe}, {1, -2}},
	    {"U8", 1, {1, 0xfe}, {1, 254}},
	    {"U16", 2, {1, 0, 0xfe, 0xff}, {1, 65534}},
	    {"U32", 4, {1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff}, {1, 4294967294.0}},
	    {"BOOL", 1, {1, 0}, {1, 0}},
	};

	for (size_t i = 0; i < IST_COUNT(rows); i++) {
		ist_autofree char *header =
		    ist_format("{\"x\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}",
			       rows[i].dtype, 2 * rows[i].size);
		struct ist_safetensors *file;
		struct ist_err err;
		double x[2];
		float f[2];

		assert_ist_ok(parse(header, rows[i].bytes, 2 * rows[i].size, &file, &err));
		assert_ist_ok(ist_safetensors_read_f64(file, "x", 1, (size_t[]){2}, x, &err));
		assert_ist_ok(ist_safetensors_read_f32(file, "x", 1, (size_t[]){2}, f, &err));
		for (int k = 0; k < 2; k++) {
			assert_true(x[k] == rows[i].want[k]);
			assert_true(f[k] == (float)rows[i].want[k]);
		}
		ist_safetensors_close(file);
	}
}

static void test_f16_ends(void **state)
{
	const uint8_t bytes[6] = {0x00, 0x7c, 0x00, 0xfc, 0x00, 0x7e}; /* inf, -inf, nan */
	struct ist_safetensors *file;
	struct ist_err err;
	double x[3];

	assert_ist_ok(parse("{\"x\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]}}",
			    bytes, 6, &file, &err));
	assert_ist_ok(ist_safetensors_read_f64(file, "x", 1, (size_t[]){3}, x, &err));
	assert_true(isinf(x[0]) && x[0] > 0);
	assert_true(isinf(x[1]) && x[1] < 0);
	assert_true(isnan(x[2]));
	ist_safetensors_close(file);
}

#define T(dtype, shape, from, to)                                                                  \
	"{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

/* Each breaks one rule; 16 bytes of data follow. */
static const char *const hostile[] = {
    "",
    "[]",
    "{",
    "{\"x\":" T("F32", "[4]", "0", "16"),
    "{\"x\":1}",
    "{\"x\":null}",
    "{\"x\":{}}",
    "{\"x\":" T("F33", "[4]", "0", "16") "}",
    "{\"x\":{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,16]}}",
    "{\"x\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}",
    "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}",
    "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}",
    "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"more\":1}}",
    "{\"x\":" T("F32", "[-4]", "0", "16") "}",
    "{\"x\":" T("F32", "[4.0]", "0", "16") "}",
    "{\"x\":" T("F32", "[5]", "0", "16") "}",
    "{\"x\":" T("F32", "[4]", "0", "17") "}",
    "{\"x\":" T("F32", "[4]", "-16", "0") "}",
    "{\"x\":" T("F32", "[4]", "16", "0") "}",
    "{\"x\":" T("F32", "[4]", "16", "32") "}",
    "{\"x\":" T("F32", "[2]", "0", "8") "}",
    "{\"x\":" T("F32", "[2]", "8", "16") "}",
    "{\"x\":" T("F32", "[4611686018427387904,4]", "0", "0") "}",
    "{\"x\":" T("F32", "[0,4611686018427387904,9223372036854775807]", "0", "0") "}",
    "{\"x\":" T("F32", "[9223372036854775807,9223372036854775807]", "0", "16") "}",
    "{\"x\":" T("F32", "[1,1,1,1,1,1,1,1,4]", "0", "16") "}",
    "{\"x\":" T("F32", "[4]", "0", "16") ",\"y\":" T("F32", "[2]", "8", "16") "}",
    "{\"x\":" T("F32", "[4]", "0", "16") ",\"y\":" T("F32", "[4]", "0", "16") "}",
    "{\"x\":" T("F32", "[4]", "0", "16") ",\"x\":" T("F32", "[4]", "0", "16") "}",
    "{\"x\\u0000\":" T("F32", "[4]", "0", "16") "}",
    "{\"x\":" T("F32", "[4]", "0", "16") ",\"__metadata__\":[]}",
    "{\"x\":" T("F32", "[4]", "0", "16") ",\"__metadata__\":{\"a\":1}}",
    "{\"x\":" T("F32", "[4]", "0", "16") "} trailing",
};

static void test_hostile_headers(void **state)
{
	const uint8_t data[16] = {0};

	for (size_t i = 0; i < IST_COUNT(hostile); i++) {
		struct ist_safetensors *file = NULL;
		struct ist_err err = {0};

		if (parse(hostile[i], data, sizeof(data), &file, &err) != IST_CORRUPT)
			fail_msg("read: %s", hostile[i]);
		assert_null(file);
		assert_true(strlen(err.text) > 0);
	}
}

static void test_hostile_lengths(void **state)
{
	uint8_t bytes[64] = {0};
	struct ist_safetensors *file;

	for (size_t len = 0; len < 8; len++)
		assert_int_equal(ist_safetensors_parse(bytes, len, &file, NULL), IST_CORRUPT);
	for (int i = 0; i < 8; i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[i] = 0xff; /* a header longer than the file */
		assert_int_equal(ist_safetensors_parse(bytes, sizeof(bytes), &file, NULL),
				 IST_CORRUPT);
	}
}

static void test_every_truncation_fails(void **state)
{
	static uint8_t file[512];
	const char *header = "{\"x\":" T("F32", "[4]", "0", "16") "}";
	size_t n = strlen(header);
	struct ist_safetensors *ret;
	struct ist_err err;

	file[0] = (uint8_t)n;
	memcpy(file + 8, header, n);
	for (size_t len = 0; len < 8 + n + 16; len++)
		assert_int_equal(ist_safetensors_parse(file, len, &ret, NULL), IST_CORRUPT);
	assert_ist_ok(ist_safetensors_parse(file, 8 + n + 16, &ret, &err));
	ist_safetensors_close(ret);
}

static void test_reads_check_the_shape(void **state)
{
	const float data[4] = {1, 2, 3, 4};
	struct ist_safetensors *file;
	struct ist_err err;
	float x[4];

	assert_ist_ok(
	    parse("{\"x\":" T("F32", "[2,2]", "0", "16") "}", data, sizeof(data), &file, &err));
	assert_int_equal(ist_safetensors_read_f32(file, "y", 1, (size_t[]){4}, x, &err),
			 IST_CORRUPT);
	assert_string_equal(err.text, "there is no tensor y");
	assert_int_equal(ist_safetensors_read_f32(file, "x", 1, (size_t[]){4}, x, &err),
			 IST_CORRUPT);
	assert_string_equal(err.text, "tensor x has 2 dimensions, not 1");
	assert_int_equal(ist_safetensors_read_f32(file, "x", 2, (size_t[]){2, 3}, x, &err),
			 IST_CORRUPT);
	assert_string_equal(err.text, "tensor x: dimension 1 is 2, not 3");
	ist_safetensors_close(file);
}

static void test_missing_file(void **state)
{
	ist_autofree char *path = ist_format("%s/none", folder);
	struct ist_safetensors *file;
	struct ist_err err;

	assert_int_not_equal(ist_safetensors_open(path, &file, &err), IST_OK);
	assert_non_null(strstr(err.text, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
					   cmocka_unit_test(test_number_types),
					   cmocka_unit_test(test_f16_ends),
					   cmocka_unit_test(test_hostile_headers),
					   cmocka_unit_test(test_hostile_lengths),
					   cmocka_unit_test(test_every_truncation_fails),
					   cmocka_unit_test(test_reads_check_the_shape),
					   cmocka_unit_test(test_missing_file)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
