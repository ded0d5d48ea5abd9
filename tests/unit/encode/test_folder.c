/* Folders: members by table, weights of every dtype, shards, faults by name, the fingerprint. */
#include "core/encode/folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

#define WEIGHTS "model.safetensors"

static char folder[] = "/tmp/isthmus-folder-XXXXXX";

static void put(const char *name, const void *data, size_t len)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	struct ist_err err;

	assert_ist_ok(ist_file_write(path, data, len, &err));
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_weights(const char *name, const struct ist_safetensor *t, size_t n)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	struct ist_err err;

	assert_ist_ok(ist_safetensors_write(path, t, n, NULL, &err));
}

static void remove_file(const char *name)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);

	unlink(path);
}

static struct ist_folder *open_ok(void)
{
	struct ist_folder *f = NULL;
	struct ist_err err;

	assert_ist_ok(ist_folder_open(folder, &f, &err));
	return f;
}

/* ---- members ---- */

struct settings {
	size_t layers, act;
	double eps;
	bool bias;
};

static enum ist_code read_settings(const char *text, struct settings *ret, struct ist_err *err)
{
	static const char *const acts[] = {"gelu", "quick_gelu", NULL};
	static const struct ist_member members[] = {
	    {"layers", IST_MEMBER_SIZE, offsetof(struct settings, layers), 1, 48},
	    {"act", IST_MEMBER_CHOICE, offsetof(struct settings, act), .choices = acts},
	    {"eps", IST_MEMBER_REAL, offsetof(struct settings, eps), 0, 1, .optional = true},
	    {"bias", IST_MEMBER_BOOL, offsetof(struct settings, bias), .optional = true},
	};
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	enum ist_code code =
	    ist_members_read(json, "config.json", members, IST_COUNT(members), ret, err);

	json_decref(json);
	return code;
}

static void test_members(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
	    {"{\"act\": \"gelu\"}", "config.json: \"layers\" is missing"},
	    {"{\"layers\": null, \"act\": \"gelu\"}", "\"layers\" is missing"},
	    {"{\"layers\": 49}", "\"layers\" is 49, wanted: a whole number from 1 to 48"},
	    {"{\"layers\": -1}", "is -1"},
	    {"{\"layers\": 2.0}", "is 2.0, wanted: a whole number"},
	    {"{\"layers\": [2]}", "is a list"},
	    {"{\"layers\": 2, \"act\": \"relu\"}", "\"relu\", wanted: gelu, quick_gelu"},
	    {"{\"layers\": 2, \"act\": 3}", "\"act\" is 3"},
	    {"{\"layers\": 2, \"act\": \"gelu\", \"eps\": \"x\"}", "\"eps\" is \"x\", wanted"},
	    {"{\"layers\": 2, \"act\": \"gelu\", \"eps\": 2}", "\"eps\" is 2, wanted"},
	    {"{\"layers\": 2, \"act\": \"gelu\", \"bias\": 1}", "\"bias\" is 1, wanted: true"},
	    {"{\"layers\": 123456789012345678901234567890}", "config.json is missing"},
	    {"[]", "no object"},
	};
	struct settings s = {.eps = 0.5};
	struct ist_err err;

	assert_ist_ok(read_settings("{\"layers\": 12, \"act\": \"quick_gelu\"}", &s, &err));
	assert_true(s.layers == 12 && s.act == 1 && s.eps == 0.5 && !s.bias);
	assert_ist_ok(read_settings(
	    "{\"layers\": 48, \"act\": \"gelu\", \"eps\": 1e-5, \"bias\": true}", &s, &err));
	assert_true(s.layers == 48 && s.act == 0 && s.eps == 1e-5 && s.bias);
	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		assert_int_equal(read_settings(bad[i].text, &s, &err), IST_CORRUPT);
		if (strstr(err.text, bad[i].error) == NULL)
			fail_msg("%s: %s", bad[i].text, err.text);
	}
}

/* ---- weights ---- */

/* Every finite half, against the reader that goes number by number through double. */
static void check_halves(const char *dtype)
{
	uint16_t bits[65536];
	const float *x;
	double wanted[65536];
	struct ist_safetensor t = {
	    .name = "x", .dtype = dtype, .n_dims = 1, .shape = {65536}, .data = bits};
	struct ist_safetensors *file;
	struct ist_folder *f;
	struct ist_err err;
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	unsigned exponent = strcmp(dtype, "F16") == 0 ? 0x7c00 : 0x7f80;

	for (unsigned i = 0; i < 65536; i++)
		bits[i] = (uint16_t)((i & exponent) == exponent ? 0 : i);
	put_weights(WEIGHTS, &t, 1);
	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	assert_ist_ok(ist_safetensors_read_f64(file, "x", 1, t.shape, wanted, &err));
	ist_safetensors_close(file);
	f = open_ok();
	x = ist_folder_weight(f, IST_SHAPE(65536), "%s", "x");
	assert_non_null(x);
	for (unsigned i = 0; i < 65536; i++)
		assert_true((double)x[i] == wanted[i] && !!signbit(x[i]) == (bits[i] >= 0x8000));
	ist_folder_close(f);
}

static void test_halves(void **state)
{
	check_halves("F16");
	check_halves("BF16");
}

/* One byte more in the header moves every float off its alignment. */
static void test_unaligned(void **state)
{
	static const char header[] =
	    "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
	const float x[2] = {1.5f, -2};
	char file[256] = {0};
	struct ist_folder *f;
	const float *got;

	for (size_t pad = 0; pad < 4; pad++) {
		size_t len = strlen(header) + pad;

		file[0] = (char)len;
		memset(file + 8, ' ', len);
		memcpy(file + 8, header, strlen(header));
		memcpy(file + 8 + len, x, sizeof(x));
		put(WEIGHTS, file, 8 + len + sizeof(x));
		f = open_ok();
		got = ist_folder_weight(f, IST_SHAPE(2), "x");
		assert_non_null(got);
		assert_int_equal((uintptr_t)got % sizeof(float), 0);
		assert_memory_equal(got, x, sizeof(x));
		ist_folder_close(f);
	}
}

/* The first fault stays; later weights are not even looked for. */
static void test_faults(void **state)
{
	const float x[6] = {1, 2, 3, NAN, 5, 6};
	const uint16_t inf[2] = {0x3c00, 0xfc00};
	const int64_t ids[2] = {1, 2};
	const struct ist_safetensor t[] = {
	    {.name = "a.nan", .dtype = "F32", .n_dims = 2, .shape = {2, 3}, .data = x},
	    {.name = "a.inf", .dtype = "F16", .n_dims = 1, .shape = {2}, .data = inf},
	    {.name = "a.ids", .dtype = "I64", .n_dims = 1, .shape = {2}, .data = ids},
	    {.name = "a.good", .dtype = "F32", .n_dims = 1, .shape = {2}, .data = x}};
	const struct {
		const char *name;
		struct ist_shape shape;
		const char *error;
	} bad[] = {
	    {"nan", IST_SHAPE(2, 3), "tensor a.nan holds a number that is not finite"},
	    {"nan", IST_SHAPE(3, 2), "tensor a.nan has the shape [2, 3], wanted: [3, 2]"},
	    {"nan", IST_SHAPE(6), "tensor a.nan has the shape [2, 3], wanted: [6]"},
	    {"inf", IST_SHAPE(2), "tensor a.inf holds a number that is not finite"},
	    {"ids", IST_SHAPE(2), "tensor a.ids is I64, wanted: F32, F16 or BF16"},
	    {"none", IST_SHAPE(2), "there is no tensor a.none"},
	};
	struct ist_folder *f;
	struct ist_err err;

	put_weights(WEIGHTS, t, IST_COUNT(t));
	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		f = open_ok();
		assert_non_null(ist_folder_weight(f, IST_SHAPE(2), "a.good"));
		assert_int_equal(ist_folder_check(f, &err), IST_OK);
		assert_null(ist_folder_weight(f, bad[i].shape, "a.%s", bad[i].name));
		assert_null(ist_folder_weight(f, IST_SHAPE(2), "a.good"));
		assert_int_equal(ist_folder_check(f, &err), IST_CORRUPT);
		assert_string_equal(err.text, bad[i].error);
		ist_folder_close(f);
	}
}

static void test_shards(void **state)
{
	const float x[2] = {1, 2};
	const struct ist_safetensor a = {
	    .name = "a", .dtype = "F32", .n_dims = 1, .shape = {2}, .data = x};
	const struct ist_safetensor b = {
	    .name = "b", .dtype = "F32", .n_dims = 1, .shape = {1}, .data = x};
	static const struct {
		const char *index, *error;
	} bad[] = {
	    {"{\"weight_map\": {\"a\": \"../s1.safetensors\"}}", "tensor a has no good file"},
	    {"{\"weight_map\": {\"a\": 7}}", "tensor a has no good file"},
	    {"{\"weight_map\": {\"a\": \"s1.bin\"}}", "tensor a has no good file"},
	    {"{\"weight_map\": {\"a\": \"s3.safetensors\"}}", "s3.safetensors"},
	    {"{\"weight_map\": {}}", "\"weight_map\" is missing"},
	    {"[1]", "is not a JSON object"},
	};
	struct ist_folder *f;
	struct ist_err err;

	remove_file(WEIGHTS);
	put_weights("s1.safetensors", &a, 1);
	put_weights("s2.safetensors", &b, 1);
	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		put_text(WEIGHTS ".index.json", bad[i].index);
		assert_int_not_equal(ist_folder_open(folder, &f, &err), IST_OK);
		if (strstr(err.text, bad[i].error) == NULL)
			fail_msg("%s: %s", bad[i].index, err.text);
	}
	put_text(WEIGHTS ".index.json", "{\"weight_map\": {\"a\": \"s1.safetensors\", "
					"\"b\": \"s2.safetensors\"}}");
	f = open_ok();
	assert_non_null(ist_folder_weight(f, IST_SHAPE(2), "a"));
	assert_non_null(ist_folder_weight(f, IST_SHAPE(1), "b"));
	assert_null(ist_folder_find(f, "c"));
	ist_folder_close(f);
	remove_file(WEIGHTS ".index.json");
	assert_int_equal(ist_folder_open(folder, &f, &err), IST_NOT_FOUND);
	assert_non_null(strstr(err.text, WEIGHTS));
}

/* ---- memory ---- */

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t size = 0, pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", &size, &pages), 2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Hashed and checked whole, 48 MB leave next to nothing behind. */
static void test_not_resident(void **state)
{
	const size_t n = 12 << 20;
	ist_autofree float *x = ist_alloc(n, sizeof(*x));
	struct ist_safetensor t = {
	    .name = "x", .dtype = "F32", .n_dims = 1, .shape = {n}, .data = x};
	struct ist_folder *f;
	size_t before;

	put_weights(WEIGHTS, &t, 1);
	before = resident();
	f = open_ok();
	assert_non_null(ist_folder_weight(f, IST_SHAPE(n), "x"));
	assert_true(resident() < before + (4 << 20));
	ist_folder_drop_weights(f);
	assert_null(ist_folder_find(f, "x"));
	ist_folder_close(f);
}

/* ---- fingerprint ---- */

static void print_of(const char *extra, uint8_t ret[IST_FINGERPRINT])
{
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	struct ist_folder *f = open_ok();

	if (extra != NULL)
		(void)!ist_folder_read(f, extra, 1 << 20, &text, NULL);
	ist_folder_fingerprint(f, ret);
	ist_folder_close(f);
}

/* Each differs from all before it; the last is the first again. */
static void test_fingerprint(void **state)
{
	const float x[2] = {1, 2}, y[2] = {1, 3};
	struct ist_safetensor t = {
	    .name = "x", .dtype = "F32", .n_dims = 1, .shape = {2}, .data = x};
	uint8_t prints[6][IST_FINGERPRINT];

	remove_file("vocab.txt");
	put_weights(WEIGHTS, &t, 1);
	print_of(NULL, prints[0]);
	print_of("vocab.txt", prints[1]);
	put_text("vocab.txt", "a");
	print_of("vocab.txt", prints[2]);
	put_text("config.json", "{\"model_type\": \"other\"}");
	print_of(NULL, prints[3]);
	t.data = y;
	put_weights(WEIGHTS, &t, 1);
	put_text("config.json", "{\"model_type\": \"test\"}");
	print_of(NULL, prints[4]);
	t.data = x;
	put_weights(WEIGHTS, &t, 1);
	print_of(NULL, prints[5]);
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(prints[i], prints[j], IST_FINGERPRINT);
	assert_memory_equal(prints[0], prints[5], IST_FINGERPRINT);
}

static int make_folder(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	put_text("config.json", "{\"model_type\": \"test\"}");
	return 0;
}

static int remove_folder(void **state)
{
	return ist_dir_remove(folder, NULL) == IST_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_members),	cmocka_unit_test(test_halves),
	    cmocka_unit_test(test_unaligned),	cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_shards),	cmocka_unit_test(test_not_resident),
	    cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
