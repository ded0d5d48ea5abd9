/* The registry: built-ins, folders good and bad, the best of each modality, opening from threads.
 */
#include "server/encoders.h"

#include <pthread.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/isthmus-encoders-XXXXXX";

static void test_builtins(void **state)
{
	struct ist_encoders *e = ist_encoders_create("/nowhere/at/all");
	const struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_string_equal(ist_encoders_best(e, IST_IMAGE), "descriptor");
	assert_string_equal(ist_encoders_best(e, IST_TEXT), "ngrams");
	assert_ist_ok(ist_encoders_get(e, "ngrams", &encoder, &err));
	assert_string_equal(encoder->name, "ngrams");
	assert_int_equal(ist_encoders_get(e, "bert", &encoder, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "descriptor, ngrams, external"));
	assert_int_equal(ist_encoders_get(e, "external", &encoder, &err), IST_INVALID);
	for (size_t i = 0; i < ist_encoders_count(e); i++) {
		struct ist_encoder_info info;

		ist_encoders_info(e, i, &info);
		assert_true(info.builtin && info.error == NULL);
		assert_ist_ok(ist_encoders_get(e, info.name, &encoder, &err));
		assert_int_equal(encoder->dim, info.dim);
	}
	ist_encoders_destroy(e);
	ist_encoders_destroy(NULL);
}

static void test_folders(void **state)
{
	struct ist_encoders *e;
	struct ist_encoder_info info;
	const struct ist_encoder *encoder = NULL;
	ist_autofree char *path = ist_format("%s/mystery/config.json", folder);
	ist_autofree char *parent = ist_format("%s/mystery", folder);
	ist_autofree char *twin = ist_format("%s/ngrams", folder);
	struct ist_err err;

	assert_ist_ok(ist_dir_make(parent, &err));
	assert_ist_ok(ist_dir_make(twin, &err));
	assert_ist_ok(ist_file_write(path, "{\"model_type\": \"mystery\"}", 25, &err));
	e = ist_encoders_create(folder);
	assert_int_equal(ist_encoders_count(e), 3);
	ist_encoders_info(e, 2, &info); /* broken ones come last */
	assert_string_equal(info.name, "mystery");
	assert_non_null(strstr(info.error, "model_type"));
	assert_int_equal(ist_encoders_get(e, "mystery", &encoder, &err), IST_CORRUPT);
	assert_non_null(strstr(err.text, "mystery"));
	/* A folder does not take a built-in's name. */
	assert_ist_ok(ist_encoders_get(e, "ngrams", &encoder, &err));
	assert_string_equal(ist_encoders_best(e, IST_TEXT), "ngrams");
	ist_encoders_destroy(e);
}

static void *get_one(void *user)
{
	const struct ist_encoder *encoder = NULL;

	if (ist_encoders_get(user, "descriptor", &encoder, NULL) != IST_OK)
		return NULL;
	return (void *)encoder;
}

static void test_shared(void **state)
{
	struct ist_encoders *e = ist_encoders_create(NULL);
	pthread_t threads[8];
	void *first = get_one(e), *got;

	assert_non_null(first);
	for (size_t i = 0; i < IST_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_one, e), 0);
	for (size_t i = 0; i < IST_COUNT(threads); i++) {
		pthread_join(threads[i], &got);
		assert_ptr_equal(got, first);
	}
	ist_encoders_destroy(e);
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
	    cmocka_unit_test(test_builtins),
	    cmocka_unit_test(test_folders),
	    cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
