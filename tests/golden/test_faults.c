/*
 * Damaged folders of every architecture: each tensor in turn not finite, of another shape, of
 * another type, or missing; the weights cut or lengthened; settings out of range. Opening says what
 * is wrong by name, and gives back whatever it had taken.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "tests/unit/test.h"

#define WEIGHTS "model.safetensors"

static char folder[] = "/tmp/isthmus-faults-XXXXXX";
static const char *golden; /* the whole folder */

/* What a file may hold without being read: heads, counters. */
static const char *const unused[] = {"logit_scale", "_fc.", "num_batches_tracked", "pooler.",
				     "position_ids"};
static const char *const files[] = {"config.json",    "preprocessor_config.json",
				    "vocab.json",     "merges.txt",
				    "vocab.txt",      "tokenizer_config.json",
				    "tokenizer.json", "sentence_bert_config.json",
				    "modules.json",   WEIGHTS};

static void restore(const char *name)
{
	ist_autofree char *from = ist_format("%s/%s", golden, name);
	ist_autofree char *to = ist_format("%s/%s", folder, name);

	unlink(to);
	if (access(from, R_OK) == 0)
		assert_int_equal(symlink(from, to), 0);
}

static void put(const char *name, const void *data, size_t len)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	FILE *f;

	unlink(path);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static enum ist_code open_folder(struct ist_err *err)
{
	struct ist_encoder *encoder = NULL;
	enum ist_code code = ist_encoder_open("damaged", folder, &encoder, err);

	if (code == IST_OK)
		ist_encoder_close(encoder);
	return code;
}

static void must_fail(const char *what, const char *words)
{
	struct ist_err err = {0};
	enum ist_code code = open_folder(&err);

	if (code == IST_OK)
		fail_msg("%s: %s: opened", golden, what);
	if (strstr(err.text, words) == NULL)
		fail_msg("%s: %s: \"%s\" is not in: %s", golden, what, words, err.text);
}

static void test_whole(void **state)
{
	struct ist_err err = {0};

	assert_ist_ok(open_folder(&err));
}

/* ---- tensors ---- */

static void spoil_number(struct ist_safetensor *t)
{
	size_t count = ist_safetensor_count(t);
	float *x = ist_alloc(count, sizeof(*x));

	memcpy(x, t->data, count * sizeof(*x));
	x[count - 1] = NAN;
	t->data = x;
}

static void spoil_shape(struct ist_safetensor *t)
{
	t->shape[t->n_dims++] = 1;
}

static void spoil_type(struct ist_safetensor *t)
{
	t->dtype = "I32";
}

static void spoil_name(struct ist_safetensor *t)
{
	t->name = "another";
}

static const struct {
	void (*spoil)(struct ist_safetensor *t);
	const char *words;
} harms[] = {
    {spoil_number, "holds a number that is not finite"},
    {spoil_shape, ", wanted: ["},
    {spoil_type, "is I32, wanted: F32, F16 or BF16"},
    {spoil_name, "there is no tensor"},
};

static bool is_unused(const char *name)
{
	for (size_t i = 0; i < IST_COUNT(unused); i++)
		if (strstr(name, unused[i]) != NULL)
			return true;
	return false;
}

static void harm_tensor(struct ist_safetensor *t, size_t n, size_t i, size_t harm)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_safetensor good = t[i];
	struct ist_err err;

	harms[harm].spoil(&t[i]);
	unlink(path);
	assert_ist_ok(ist_safetensors_write(path, t, n, NULL, &err));
	if (t[i].data != good.data)
		free((void *)t[i].data);
	t[i] = good;
	if (is_unused(good.name)) {
		assert_ist_ok(open_folder(&err));
		return;
	}
	must_fail(good.name, harms[harm].words);
	must_fail(harms[harm].words, good.name);
}

static void test_tensors(void **state)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, golden);
	struct ist_safetensor t[512];
	struct ist_safetensors *file;
	struct ist_err err;
	size_t n;

	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	n = ist_safetensors_n(file);
	assert_in_range(n, 10, IST_COUNT(t));
	for (size_t i = 0; i < n; i++)
		t[i] = *ist_safetensors_at(file, i);
	for (size_t harm = 0; harm < IST_COUNT(harms); harm++)
		for (size_t i = 0; i < n; i++)
			if (strcmp(t[i].dtype, "F32") == 0)
				harm_tensor(t, n, i, harm);
	ist_safetensors_close(file);
	restore(WEIGHTS);
}

/* ---- files ---- */

static void test_lengths(void **state)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, golden);
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};
	struct ist_err err;

	assert_ist_ok(ist_file_read(path, 16 << 20, &buf, &err));
	for (size_t len = 0; len < buf.len; len += 1 + len / 2 + (buf.len - len) / 16) {
		put(WEIGHTS, buf.data, len);
		must_fail("cut", WEIGHTS);
	}
	put(WEIGHTS, buf.data, buf.len - 1);
	must_fail("a byte less", WEIGHTS);
	ist_buf_put(&buf, "\0\0\0\0", 4);
	put(WEIGHTS, buf.data, buf.len);
	must_fail("four bytes more", "4 bytes belong to no tensor");
	memset(buf.data, 0xff, 8);
	put(WEIGHTS, buf.data, buf.len);
	must_fail("a header of 2^64 bytes", "does not fit the file");
	restore(WEIGHTS);
}

/* Every number of config.json, wherever it stands: what opens may be another model, but opens. */
static size_t harm_numbers(json_t *config, json_t *value)
{
	static const json_int_t wrong[] = {0, -1, 7, 1 << 20, INT64_MAX};
	size_t n_refused = 0;

	if (!json_is_integer(value))
		return 0;
	for (size_t i = 0; i < IST_COUNT(wrong); i++) {
		json_int_t good = json_integer_value(value);
		struct ist_err err;
		char *text;

		json_integer_set(value, wrong[i]);
		text = json_dumps(config, 0);
		json_integer_set(value, good);
		put("config.json", text, strlen(text));
		free(text);
		n_refused += open_folder(&err) != IST_OK;
	}
	return n_refused;
}

static size_t harm_all(json_t *config, json_t *value)
{
	size_t n_refused = harm_numbers(config, value), i;
	const char *key;
	json_t *member;

	json_object_foreach(value, key, member) n_refused += harm_all(config, member);
	json_array_foreach(value, i, member) n_refused += harm_all(config, member);
	return n_refused;
}

static void test_settings(void **state)
{
	ist_autofree char *path = ist_format("%s/config.json", golden);
	json_t *config = json_load_file(path, 0, NULL);

	assert_non_null(config);
	assert_true(harm_all(config, config) > 10);
	json_decref(config);
	put("config.json", "{", 1);
	must_fail("half a config.json", "line 1");
	put("config.json", "[]", 2);
	must_fail("a list", "model_type");
	restore("config.json");
}

static int set_up(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	for (size_t i = 0; i < IST_COUNT(files); i++)
		restore(files[i]);
	return 0;
}

static int tear_down(void **state)
{
	return ist_dir_remove(folder, NULL) == IST_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_tensors),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_settings),
	};

	golden = argc > 1 ? argv[1] : "tests/golden/clip";
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
