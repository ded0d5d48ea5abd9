/*
 * A small CLIP against the transformers package: token ids, both towers, both rules for the place
 * where a text is read; its weights as float32, float16, bfloat16 and in two shards; its
 * tokeniser as vocab.json and as tokenizer.json.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/encode/bpe.h"
#include "core/encode/encoder.h"
#include "tests/unit/test.h"

#define TOLERANCE 1e-5
#define WEIGHTS "model.safetensors"

static const char *golden; /* tests/golden/clip */
static char folder[] = "/tmp/isthmus-clip-XXXXXX";
static struct ist_safetensors *expected;
static json_t *texts;
static size_t n_texts;

static void copy(const char *name)
{
	ist_autofree char *from = ist_format("%s/%s", golden, name);
	ist_autofree char *to = ist_format("%s/%s", folder, name);
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};
	struct ist_err err;

	assert_ist_ok(ist_file_read(from, 1 << 20, &buf, &err));
	assert_ist_ok(ist_file_write(to, buf.data, buf.len, &err));
}

static void remove_file(const char *name)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);

	assert_int_equal(remove(path), 0);
}

static struct ist_str text_at(size_t i)
{
	const json_t *text = json_object_get(json_array_get(texts, i), "text");

	return (struct ist_str){json_string_value(text), json_string_length(text)};
}

/* The rows' largest difference from those of the other implementation. */
static void check_rows(const char *name, const float *x, size_t n, size_t dim)
{
	const struct ist_safetensor *t = ist_safetensors_find(expected, name);
	const float *wanted = t->data;
	double worst = 0;

	assert_true(t->n_dims == 2 && t->shape[0] == n && t->shape[1] == dim);
	for (size_t i = 0; i < n * dim; i++)
		worst = fmax(worst, fabs((double)x[i] - wanted[i]));
	if (!(worst <= TOLERANCE))
		fail_msg("%s: differs by %g", name, worst);
}

static void check_texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			const char *name)
{
	ist_autofree struct ist_str *list = ist_alloc(n_texts, sizeof(*list));
	ist_autofree float *x = ist_alloc(n_texts * encoder->dim, sizeof(*x));
	struct ist_err err;

	for (size_t i = 0; i < n_texts; i++)
		list[i] = text_at(i);
	assert_ist_ok(ist_encoder_texts(encoder, ws, list, n_texts, x, &err));
	check_rows(name, x, n_texts, encoder->dim);
}

static void check_images(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws)
{
	size_t n = ist_safetensors_find(expected, "images")->shape[0];
	ist_autofree float *x = ist_alloc(n * encoder->dim, sizeof(*x));
	struct ist_err err;

	for (size_t i = 0; i < n; i++) {
		ist_autofree char *name = ist_format("picture.%zu", i);
		const struct ist_safetensor *t = ist_safetensors_find(expected, name);
		struct ist_pixels pixels = {(uint32_t)t->shape[1], (uint32_t)t->shape[0], t->data};

		assert_ist_ok(ist_encoder_image(encoder, ws, &pixels, x + i * encoder->dim, &err));
	}
	check_rows("images", x, n, encoder->dim);
}

static void check_folder(const char *rule)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(NULL, folder, &encoder, &err));
	assert_string_equal(encoder->arch->name, "clip");
	check_texts(encoder, ws, rule);
	check_images(encoder, ws);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void test_as_it_is(void **state)
{
	check_folder("texts");
}

static void check_ids(void)
{
	struct ist_folder *f = NULL;
	struct ist_bpe *bpe = NULL;
	struct ist_arena arena = {0};
	struct ist_err err;
	int32_t ids[20];
	size_t n;

	assert_ist_ok(ist_folder_open(folder, &f, &err));
	assert_ist_ok(ist_bpe_open(f, 1000, &bpe, &err));
	for (size_t i = 0; i < n_texts; i++) {
		const json_t *wanted = json_object_get(json_array_get(texts, i), "ids");

		assert_ist_ok(ist_bpe_encode(bpe, text_at(i), 20, &arena, ids, &n, &err));
		assert_int_equal(n, json_array_size(wanted));
		for (size_t j = 0; j < n; j++)
			assert_int_equal(ids[j], json_integer_value(json_array_get(wanted, j)));
	}
	ist_arena_finish(&arena);
	ist_bpe_close(bpe);
	ist_folder_close(f);
}

/* The same vocabulary and merges in one file, merges as texts and as pairs. */
static void test_tokenizer_json(void **state)
{
	ist_autofree char *vocab = ist_format("%s/vocab.json", folder);
	ist_autofree char *merges = ist_format("%s/merges.txt", folder);
	ist_autofree char *path = ist_format("%s/tokenizer.json", folder);
	ist_auto(ist_buf_finish) struct ist_buf lines = {0};
	json_t *json, *list = json_array();
	struct ist_err err;

	check_ids();
	assert_ist_ok(ist_file_read(merges, 1 << 20, &lines, &err));
	for (char *save = NULL, *line = strtok_r(lines.data, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *blank = strchr(line, ' ');

		if (line[0] == '#')
			continue;
		json_array_append_new(
		    list, json_array_size(list) % 2
			      ? json_string(line)
			      : json_pack("[s%,s]", line, (int)(blank - line), blank + 1));
	}
	json = json_pack("{s:{s:s,s:s,s:o,s:o}}", "model", "type", "BPE", "end_of_word_suffix",
			 "</w>", "vocab", json_load_file(vocab, 0, NULL), "merges", list);
	assert_int_equal(json_dump_file(json, path, 0), 0);
	json_decref(json);
	remove_file("vocab.json");
	remove_file("merges.txt");
	check_ids();
	remove_file("tokenizer.json");
	copy("vocab.json");
	copy("merges.txt");
}

static void set_eos(json_int_t eos)
{
	ist_autofree char *path = ist_format("%s/config.json", folder);
	json_t *config = json_load_file(path, 0, NULL);

	json_object_set_new(json_object_get(config, "text_config"), "eos_token_id",
			    json_integer(eos));
	assert_int_equal(json_dump_file(config, path, 0), 0);
	json_decref(config);
}

static void test_old_rule(void **state)
{
	set_eos(2);
	check_folder("texts_old_rule");
	copy("config.json");
}

/* Exact by choice of the weights: what does not survive the way back is a failure here. */
static uint16_t to_half(float x, bool bf16)
{
	uint32_t bits;
	int exponent;
	double fraction = frexp(fabs((double)x), &exponent);

	memcpy(&bits, &x, sizeof(bits));
	if (bf16) {
		assert_int_equal(bits & 0xffff, 0);
		return (uint16_t)(bits >> 16);
	}
	if (x == 0)
		return (uint16_t)(bits >> 16 & 0x8000);
	assert_true(exponent > -14 && exponent <= 16 && fraction * 2048 == floor(fraction * 2048));
	return (uint16_t)((bits >> 16 & 0x8000) | (uint32_t)(exponent + 14) << 10 |
			  ((uint32_t)(fraction * 2048) & 1023));
}

/* Writes tensors first, first + step, … of the golden weights in another dtype. */
static void write_as(const char *name, const char *dtype, size_t first, size_t step)
{
	ist_autofree char *from = ist_format("%s/" WEIGHTS, golden);
	ist_autofree char *to = ist_format("%s/%s", folder, name);
	struct ist_safetensors *file;
	struct ist_safetensor t[256];
	struct ist_err err;
	size_t n = 0;

	assert_ist_ok(ist_safetensors_open(from, &file, &err));
	assert_true(ist_safetensors_n(file) <= IST_COUNT(t));
	for (size_t i = first; i < ist_safetensors_n(file); i += step, n++) {
		const float *x = ist_safetensors_at(file, i)->data;
		size_t count = ist_safetensor_count(ist_safetensors_at(file, i));
		uint16_t *half = ist_alloc(count, sizeof(*half));

		t[n] = *ist_safetensors_at(file, i);
		for (size_t k = 0; k < count && dtype != NULL; k++)
			half[k] = to_half(x[k], strcmp(dtype, "BF16") == 0);
		if (dtype != NULL) {
			t[n].dtype = dtype;
			t[n].data = half;
		} else {
			free(half);
		}
	}
	assert_ist_ok(ist_safetensors_write(to, t, n, NULL, &err));
	for (size_t i = 0; dtype != NULL && i < n; i++)
		free((void *)t[i].data);
	ist_safetensors_close(file);
}

static void test_halves(void **state)
{
	write_as(WEIGHTS, "F16", 0, 1);
	check_folder("texts");
	write_as(WEIGHTS, "BF16", 0, 1);
	check_folder("texts");
	copy(WEIGHTS);
}

static void test_shards(void **state)
{
	static const char *const names[] = {"m-1.safetensors", "m-2.safetensors"};
	ist_autofree char *from = ist_format("%s/" WEIGHTS, golden);
	ist_autofree char *path = ist_format("%s/" WEIGHTS ".index.json", folder);
	json_t *map = json_object(), *index = json_pack("{s:o}", "weight_map", map);
	struct ist_safetensors *file;
	struct ist_err err;

	assert_ist_ok(ist_safetensors_open(from, &file, &err));
	for (size_t i = 0; i < ist_safetensors_n(file); i++)
		json_object_set_new(map, ist_safetensors_at(file, i)->name,
				    json_string(names[i % 2]));
	ist_safetensors_close(file);
	assert_int_equal(json_dump_file(index, path, 0), 0);
	json_decref(index);
	write_as(names[0], NULL, 0, 2);
	write_as(names[1], "BF16", 1, 2);
	remove_file(WEIGHTS);
	check_folder("texts");
	remove_file(WEIGHTS ".index.json");
	copy(WEIGHTS);
}

/* One text at a time, without a batch around it. */
static void test_alone(void **state)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder = NULL;
	ist_autofree float *x = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(NULL, folder, &encoder, &err));
	x = ist_alloc(n_texts * encoder->dim, sizeof(*x));
	for (size_t i = 0; i < n_texts; i++) {
		struct ist_str text = text_at(i);

		assert_ist_ok(ist_encoder_texts(encoder, ws, &text, 1, x + i * encoder->dim, &err));
	}
	check_rows("texts", x, n_texts, encoder->dim);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static int set_up(void **state)
{
	static const char *const files[] = {"config.json", "preprocessor_config.json", "vocab.json",
					    "merges.txt", WEIGHTS};
	ist_autofree char *path = ist_format("%s/expected.safetensors", golden);
	ist_autofree char *list = ist_format("%s/texts.json", golden);

	if (mkdtemp(folder) == NULL || ist_safetensors_open(path, &expected, NULL) != IST_OK)
		return -1;
	texts = json_load_file(list, JSON_ALLOW_NUL, NULL);
	n_texts = json_array_size(texts);
	for (size_t i = 0; i < IST_COUNT(files); i++)
		copy(files[i]);
	return n_texts > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	ist_safetensors_close(expected);
	json_decref(texts);
	return ist_dir_remove(folder, NULL) == IST_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_it_is), cmocka_unit_test(test_tokenizer_json),
	    cmocka_unit_test(test_old_rule), cmocka_unit_test(test_halves),
	    cmocka_unit_test(test_shards),   cmocka_unit_test(test_alone),
	};

	golden = argc > 1 ? argv[1] : "tests/golden/clip";
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
