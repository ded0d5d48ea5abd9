/*
 * BERT against the transformers package: a small one under each pooling, its weights as float32,
 * float16 and bfloat16, named as older programs do, its tokeniser as vocab.txt and tokenizer.json;
 * the real one, where its weights are, on twenty texts. A text's feature is the same to the bit
 * whatever it is encoded with and on however many threads.
 *
 * usage: test GOLDEN-FOLDER WEIGHTS-FOLDER; the latter may be missing
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "core/encode/wordpiece.h"
#include "tests/unit/test.h"

#define TOLERANCE 1e-5
#define N_IDS 100000
#define WEIGHTS "model.safetensors"

static const char *golden, *weights;
static char folder[] = "/tmp/isthmus-bert-XXXXXX";

/* What the other implementation made of a list of texts. */
struct expected {
	struct ist_safetensors *file;
	json_t *texts;
	struct ist_str *list;
	size_t n;
};

static void expected_open(struct expected *e, const char *texts, const char *numbers)
{
	ist_autofree char *json = ist_format("%s/%s", golden, texts);
	ist_autofree char *tensors = ist_format("%s/%s", golden, numbers);
	json_error_t where;
	struct ist_err err;

	assert_ist_ok(ist_safetensors_open(tensors, &e->file, &err));
	e->texts = json_load_file(json, JSON_ALLOW_NUL, &where);
	assert_non_null(e->texts);
	e->n = json_array_size(e->texts);
	e->list = ist_alloc(e->n, sizeof(*e->list));
	for (size_t i = 0; i < e->n; i++) {
		const json_t *text = json_object_get(json_array_get(e->texts, i), "text");

		e->list[i] = (struct ist_str){json_string_value(text), json_string_length(text)};
	}
	assert_true(e->n >= 20);
}

static void expected_close(struct expected *e)
{
	free(e->list);
	json_decref(e->texts);
	ist_safetensors_close(e->file);
}

static struct expected small;

static void check_rows(const struct expected *e, const char *name, const float *x, size_t dim)
{
	const struct ist_safetensor *t = ist_safetensors_find(e->file, name);
	const float *wanted = t->data;

	assert_true(t->n_dims == 2 && t->shape[0] == e->n && t->shape[1] == dim);
	for (size_t i = 0; i < e->n * dim; i++) {
		if (!(fabs((double)x[i] - wanted[i]) <= TOLERANCE))
			fail_msg("%s: text %zu, column %zu: %.8g in place of %.8g", name, i / dim,
				 i % dim, (double)x[i], (double)wanted[i]);
	}
}

static void check_folder(const struct expected *e, const char *path, const char *name)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	ist_autofree float *x = NULL;
	struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(NULL, path, &encoder, &err));
	assert_string_equal(encoder->arch->name, "bert");
	x = ist_alloc(e->n * encoder->dim, sizeof(*x));
	assert_ist_ok(ist_encoder_texts(encoder, ws, e->list, e->n, x, &err));
	check_rows(e, name, x, encoder->dim);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void check_ids(const struct expected *e, const char *path, size_t max)
{
	struct ist_wordpiece *wp = NULL;
	struct ist_folder *f = NULL;
	struct ist_arena arena = {0};
	struct ist_err err;
	int32_t ids[256];
	size_t n;

	assert_ist_ok(ist_folder_open(path, &f, &err));
	assert_ist_ok(ist_wordpiece_open(f, false, N_IDS, &wp, &err));
	for (size_t i = 0; i < e->n; i++) {
		const json_t *wanted = json_object_get(json_array_get(e->texts, i), "ids");

		ist_arena_reset(&arena);
		assert_ist_ok(ist_wordpiece_encode(wp, e->list[i], max, &arena, ids, &n, &err));
		assert_int_equal(n, json_array_size(wanted));
		for (size_t j = 0; j < n; j++)
			assert_int_equal(ids[j], json_integer_value(json_array_get(wanted, j)));
	}
	ist_arena_finish(&arena);
	ist_wordpiece_close(wp);
	ist_folder_close(f);
}

/* ---- a folder to change ---- */

static void write_text(const char *name, const char *text)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	struct ist_err err;

	assert_ist_ok(ist_file_write(path, text, strlen(text), &err));
}

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

static int make_folder(void **state)
{
	static const char *const names[] = {"config.json",
					    WEIGHTS,
					    "vocab.txt",
					    "tokenizer_config.json",
					    "sentence_bert_config.json",
					    "1_Pooling/config.json"};
	ist_autofree char *pooling = ist_format("%s/1_Pooling", folder);
	struct ist_err err;

	assert_ist_ok(ist_dir_make(pooling, &err));
	for (size_t i = 0; i < IST_COUNT(names); i++)
		copy(names[i]);
	return 0;
}

static int remove_folder(void **state)
{
	struct ist_err err;

	assert_ist_ok(ist_dir_remove(folder, &err));
	return 0;
}

static json_t *read_json(const char *name)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	json_t *json = json_load_file(path, 0, NULL);

	assert_non_null(json);
	return json;
}

static void write_json(const char *name, json_t *json)
{
	ist_autofree char *text = json_dumps(json, 0);

	write_text(name, text);
	json_decref(json);
}

/* ---- the small one ---- */

static void test_as_it_is(void **state)
{
	check_folder(&small, folder, "mean_tokens");
	check_ids(&small, folder, 32);
}

static void test_poolings(void **state)
{
	static const char *const modes[] = {"cls_token", "max_tokens", "mean_tokens"};

	for (size_t i = 0; i < IST_COUNT(modes); i++) {
		ist_autofree char *text = ist_format("{\"pooling_mode_%s\": true}", modes[i]);

		write_text("1_Pooling/config.json", text);
		check_folder(&small, folder, modes[i]);
	}
	remove_file("1_Pooling/config.json");
	check_folder(&small, folder, "mean_tokens");
}

/* The numbers are such that all three types hold them exactly. */
static void convert(const struct ist_safetensor *from, const char *dtype, void *to)
{
	const float *x = from->data;

	for (size_t i = 0; i < ist_safetensor_count(from); i++) {
		uint32_t bits;

		memcpy(&bits, &x[i], sizeof(bits));
		if (strcmp(dtype, "F32") == 0)
			((float *)to)[i] = x[i];
		else if (strcmp(dtype, "BF16") == 0)
			((uint16_t *)to)[i] = (uint16_t)(bits >> 16);
		else if (x[i] == 0)
			((uint16_t *)to)[i] = 0;
		else
			((uint16_t *)to)[i] =
			    (uint16_t)((bits >> 16 & 0x8000) | (((bits >> 23 & 0xFF) - 112) << 10) |
				       (bits >> 13 & 0x3FF));
	}
}

/* A norm's name in files of older programs; the rest of the name stays. */
static char *old_name(const char *name)
{
	static const char *const pairs[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
					       {"LayerNorm.bias", "LayerNorm.beta"}};

	for (size_t i = 0; i < 2; i++) {
		const char *at = strstr(name, pairs[i][0]);

		if (at != NULL)
			return ist_format("bert.%.*s%s", (int)(at - name), name, pairs[i][1]);
	}
	return ist_format("bert.%s", name);
}

static void rewrite_weights(const char *dtype, bool old)
{
	ist_autofree char *from = ist_format("%s/%s", golden, WEIGHTS);
	ist_autofree char *to = ist_format("%s/%s", folder, WEIGHTS);
	struct ist_safetensors *file = NULL;
	struct ist_safetensor *list;
	struct ist_arena arena = {0};
	struct ist_err err;
	size_t n;

	assert_ist_ok(ist_safetensors_open(from, &file, &err));
	n = ist_safetensors_n(file);
	list = ist_arena_alloc(&arena, n, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		const struct ist_safetensor *t = ist_safetensors_at(file, i);
		void *data = ist_arena_alloc(&arena, ist_safetensor_count(t), sizeof(float));
		ist_autofree char *name = old ? old_name(t->name) : ist_strdup(t->name);

		convert(t, dtype, data);
		list[i] = *t;
		list[i].name = ist_arena_strdup(&arena, name);
		list[i].dtype = dtype;
		list[i].data = data;
	}
	assert_ist_ok(ist_safetensors_write(to, list, n, NULL, &err));
	ist_arena_finish(&arena);
	ist_safetensors_close(file);
}

static void test_number_types(void **state)
{
	rewrite_weights("F16", false);
	check_folder(&small, folder, "mean_tokens");
	rewrite_weights("BF16", false);
	check_folder(&small, folder, "mean_tokens");
}

static void test_old_names(void **state)
{
	rewrite_weights("F32", true);
	check_folder(&small, folder, "mean_tokens");
}

/* The vocabulary of vocab.txt as the model of a tokenizer.json. */
static void test_tokenizer_json(void **state)
{
	ist_autofree char *path = ist_format("%s/vocab.txt", folder);
	ist_auto(ist_buf_finish) struct ist_buf lines = {0};
	json_t *vocabulary = json_object();
	struct ist_err err;
	json_int_t id = 0;

	assert_ist_ok(ist_file_read(path, 1 << 20, &lines, &err));
	for (char *save = NULL, *line = strtok_r(lines.data, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		json_object_set_new(vocabulary, line, json_integer(id++));
	write_json("tokenizer.json",
		   json_pack("{s:{s:s,s:b,s:n,s:b}, s:{s:s,s:s,s:s,s:i,s:o}}", "normalizer", "type",
			     "BertNormalizer", "lowercase", 1, "strip_accents",
			     "handle_chinese_chars", 1, "model", "type", "WordPiece", "unk_token",
			     "[UNK]", "continuing_subword_prefix", "##", "max_input_chars_per_word",
			     100, "vocab", vocabulary));
	remove_file("vocab.txt");
	remove_file("tokenizer_config.json");
	check_ids(&small, folder, 32);
	check_folder(&small, folder, "mean_tokens");
}

/* One text, all texts, some threads: the same bits. */
static void check_company(const struct expected *e, const char *path)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder = NULL;
	ist_autofree float *together = NULL, *alone = NULL;
	int threads = omp_get_max_threads();
	struct ist_err err;
	size_t dim;

	assert_ist_ok(ist_encoder_open(NULL, path, &encoder, &err));
	dim = encoder->dim;
	together = ist_alloc(e->n * dim, sizeof(*together));
	alone = ist_alloc(e->n * dim, sizeof(*alone));
	omp_set_num_threads(1);
	for (size_t i = 0; i < e->n; i++)
		assert_ist_ok(
		    ist_encoder_texts(encoder, ws, &e->list[i], 1, alone + i * dim, &err));
	for (int n = 1; n <= 3; n++) {
		omp_set_num_threads(n);
		assert_ist_ok(ist_encoder_texts(encoder, ws, e->list, e->n, together, &err));
		assert_memory_equal(together, alone, e->n * dim * sizeof(float));
	}
	omp_set_num_threads(threads);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void test_company(void **state)
{
	check_company(&small, golden);
}

/* ---- what is wrong is named ---- */

static void check_refused(const char *part)
{
	struct ist_encoder *encoder = NULL;
	struct ist_err err = {0};

	assert_int_not_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_OK);
	if (strstr(err.text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void test_wrong_config(void **state)
{
	static const struct {
		const char *member;
		int value;
		const char *says;
	} wrong[] = {
	    {"hidden_size", 32, "num_attention_heads"},
	    {"hidden_size", 48, "word_embeddings"},
	    {"num_hidden_layers", 3, "encoder.layer.2"},
	    {"intermediate_size", 41, "intermediate"},
	    {"vocab_size", 5, "embedding"},
	    {"max_position_embeddings", 41, "position"},
	    {"num_hidden_layers", 0, "num_hidden_layers"},
	};

	for (size_t i = 0; i < IST_COUNT(wrong); i++) {
		copy("config.json");
		json_t *config = read_json("config.json");

		json_object_set_new(config, wrong[i].member, json_integer(wrong[i].value));
		write_json("config.json", config);
		check_refused(wrong[i].says);
	}
}

static void set_config(const char *member, const char *value)
{
	json_t *config = read_json("config.json");

	json_object_set_new(config, member, json_string(value));
	write_json("config.json", config);
}

static void test_unsupported(void **state)
{
	set_config("hidden_act", "swish");
	check_refused("hidden_act");
	copy("config.json");
	set_config("position_embedding_type", "relative_key");
	check_refused("position_embedding_type");
	copy("config.json");
	write_text("1_Pooling/config.json", "{\"pooling_mode_lasttoken\": true}");
	check_refused("pooling_mode_lasttoken");
	write_text("1_Pooling/config.json",
		   "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": true}");
	check_refused("2 are on");
	copy("1_Pooling/config.json");
	write_text("modules.json", "[{\"type\": \"sentence_transformers.models.Dense\"}]");
	check_refused("models.Dense");
	write_text("modules.json", "[{\"type\": \"sentence_transformers.models.Transformer\"}, "
				   "{\"type\": \"sentence_transformers.models.Pooling\"}, "
				   "{\"type\": \"sentence_transformers.models.Normalize\"}]");
	check_folder(&small, folder, "mean_tokens");
}

static void test_wrong_vocabulary(void **state)
{
	ist_auto(ist_buf_finish) struct ist_buf lines = {0};

	remove_file("vocab.txt");
	check_refused("neither vocab.txt nor tokenizer.json");
	write_text("tokenizer.json", "{\"model\": {\"type\": \"BPE\"}}");
	check_refused("WordPiece");
	write_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n");
	check_refused("[SEP]");
	for (size_t i = 0; i < 1000; i++)
		ist_buf_printf(&lines, "piece%zu\n", i);
	ist_buf_puts(&lines, "[CLS]\n[SEP]\n[UNK]\n");
	write_text("vocab.txt", lines.data);
	check_refused("embedding table");
}

/* ---- the real one ---- */

static void test_real(void **state)
{
	ist_autofree char *file = ist_format("%s/" WEIGHTS, weights);
	struct expected real;

	if (access(file, R_OK) != 0) {
		print_message("no %s: the real weights are not tested\n", file);
		skip();
	}
	expected_open(&real, "real.json", "real.safetensors");
	check_ids(&real, weights, 256);
	check_folder(&real, weights, "real");
	check_company(&real, weights);
	expected_close(&real);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    WITH_FOLDER(test_as_it_is),	      WITH_FOLDER(test_poolings),
	    WITH_FOLDER(test_number_types),   WITH_FOLDER(test_old_names),
	    WITH_FOLDER(test_tokenizer_json), WITH_FOLDER(test_wrong_config),
	    WITH_FOLDER(test_unsupported),    WITH_FOLDER(test_wrong_vocabulary),
	    cmocka_unit_test(test_company),   cmocka_unit_test(test_real),
	};
	int failed;

	if (argc != 3 || mkdtemp(folder) == NULL)
		return 2;
	golden = argv[1];
	weights = argv[2];
	expected_open(&small, "texts.json", "expected.safetensors");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	expected_close(&small);
	return failed;
}
