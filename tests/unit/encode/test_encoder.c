/* The table of architectures, opening by name and by folder, and the common checks. */
#include "core/encode/encoder.h"

#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/isthmus-encoder-XXXXXX";

static void test_table(void **state)
{
	bool seen[IST_N_MODALITIES] = {false};

	for (const struct ist_encoder_arch *const *a = ist_encoder_archs; *a != NULL; a++) {
		assert_non_null((*a)->name);
		assert_non_null((*a)->title);
		assert_true(((*a)->image != NULL) == ist_encoder_arch_takes(*a, IST_IMAGE));
		assert_true(((*a)->texts != NULL) == ist_encoder_arch_takes(*a, IST_TEXT));
		assert_true((*a)->image != NULL || (*a)->texts != NULL);
		if (!(*a)->needs_folder) {
			assert_true((*a)->dim > 0);
			seen[(*a)->image != NULL ? IST_IMAGE : IST_TEXT] = true;
		}
	}
	/* The program is never without an encoder of each kind. */
	assert_true(seen[IST_IMAGE] && seen[IST_TEXT]);
}

static void test_open(void **state)
{
	struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open("descriptor", NULL, &encoder, &err));
	assert_string_equal(encoder->name, "descriptor");
	ist_encoder_close(encoder);
	assert_int_equal(ist_encoder_open("no-such", NULL, &encoder, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "no-such"));
	ist_encoder_close(NULL);
}

static void test_wrong_modality(void **state)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder = NULL;
	struct ist_pixels pixels = {1, 1, (const uint8_t *)"abc"};
	struct ist_str text = {"a", 1};
	float x[2048];
	struct ist_err err;

	assert_ist_ok(ist_encoder_open("ngrams", NULL, &encoder, &err));
	assert_int_equal(ist_encoder_image(encoder, ws, &pixels, x, &err), IST_INVALID);
	ist_encoder_close(encoder);
	assert_ist_ok(ist_encoder_open("descriptor", NULL, &encoder, &err));
	assert_int_equal(ist_encoder_texts(encoder, ws, &text, 1, x, &err), IST_INVALID);
	pixels.width = 0;
	assert_int_equal(ist_encoder_image(encoder, ws, &pixels, x, &err), IST_INVALID);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void write_config(const char *text)
{
	ist_autofree char *path = ist_format("%s/config.json", folder);
	struct ist_err err;

	assert_ist_ok(ist_file_write(path, text, strlen(text), &err));
}

static void test_folder(void **state)
{
	struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_int_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_IO);
	assert_non_null(strstr(err.text, "config.json"));
	write_config("{\"model_type\": ");
	assert_int_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_CORRUPT);
	assert_non_null(strstr(err.text, "line 1"));
	write_config("{\"hidden_size\": 384}");
	assert_int_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_CORRUPT);
	assert_non_null(strstr(err.text, "model_type"));
	write_config("{\"model_type\": \"unheard-of\"}");
	assert_int_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "unheard-of"));
	/* A built-in one is not read from a folder. */
	write_config("{\"model_type\": \"ngrams\"}");
	assert_int_equal(ist_encoder_open(NULL, folder, &encoder, &err), IST_INVALID);
}

static int make_folder(void **state)
{
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
	return ist_dir_remove(folder, NULL) == IST_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_wrong_modality),
	    cmocka_unit_test(test_folder),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
