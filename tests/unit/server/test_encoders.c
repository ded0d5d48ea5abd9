/* The registry: built-ins, the search path, broken folders, installing and removing, opening from
 * threads.
 */
#include "server/encoders.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/isthmus-encoders-XXXXXX";

/* Found, described as open, let go again. */
static void check_opens(struct ist_encoders *e, const char *name)
{
	struct ist_encoder_info info;
	const struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoders_get(e, name, &encoder, &err));
	assert_string_equal(encoder->name, name);
	assert_ist_ok(ist_encoders_info(e, name, false, &info, &err));
	assert_true(info.open && info.error[0] == '\0');
	assert_int_equal(info.dim, encoder->dim);
	assert_int_equal(strlen(info.fingerprint), 2 * IST_FINGERPRINT);
}

static void check_best(struct ist_encoders *e, const char *image, const char *text)
{
	char name[IST_ENCODER_NAME];

	ist_encoders_best(e, IST_IMAGE, name);
	assert_string_equal(name, image);
	ist_encoders_best(e, IST_TEXT, name);
	assert_string_equal(name, text);
}

static size_t count_builtins(void)
{
	size_t n = 0;

	for (size_t i = 0; ist_encoder_archs[i] != NULL; i++)
		n += !ist_encoder_archs[i]->needs_folder;
	return n;
}

static void test_builtins(void **state)
{
	static const char *const path[] = {"/nowhere/either", NULL};
	struct ist_encoders *e = ist_encoders_create("/nowhere/at/all", path);
	ist_autofree struct ist_encoder_info *list = NULL;
	const struct ist_encoder *encoder = NULL;
	struct ist_err err;

	check_best(e, "descriptor", "ngrams");
	assert_int_equal(ist_encoders_get(e, "bert", &encoder, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "installed: descriptor, "));
	assert_non_null(strstr(err.text, ", external"));
	assert_int_equal(ist_encoders_get(e, "external", &encoder, &err), IST_INVALID);
	assert_int_equal(ist_encoders_list(e, &list), count_builtins());
	for (size_t i = 0; i < count_builtins(); i++) {
		assert_true(list[i].builtin && !list[i].own && list[i].error[0] == '\0');
		assert_int_equal(ist_encoders_remove(e, list[i].name, &err), IST_CONFLICT);
		check_opens(e, list[i].name);
	}
	assert_int_equal(ist_encoders_remove(e, "bert", &err), IST_NOT_FOUND);
	ist_encoders_destroy(e);
	ist_encoders_destroy(NULL);
}

/* FOLDER/part/name with a config.json of that model_type, and no weights. */
static void make_broken(const char *part, const char *name, const char *type)
{
	ist_autofree char *parent = ist_format("%s/%s/%s", folder, part, name);
	ist_autofree char *path = ist_format("%s/config.json", parent);
	ist_autofree char *text = ist_format("{\"model_type\": \"%s\"}", type);
	struct ist_err err;

	assert_ist_ok(ist_dir_make(parent, &err));
	assert_ist_ok(ist_file_write(path, text, strlen(text), &err));
}

/* The first of a name in the path stays, a broken one is listed last, and a folder does not take a
 * built-in's name. */
static void test_path(void **state)
{
	ist_autofree char *own = ist_format("%s/own", folder);
	ist_autofree char *other = ist_format("%s/other", folder);
	const char *const path[] = {other, NULL};
	ist_autofree struct ist_encoder_info *list = NULL;
	const struct ist_encoder *encoder = NULL;
	size_t n = count_builtins();
	struct ist_encoders *e;
	struct ist_err err;

	make_broken("own", "twice", "mine");
	make_broken("other", "twice", "theirs");
	make_broken("other", "mystery", "mystery");
	make_broken("other", "ngrams", "mystery");
	make_broken("other", "external", "mystery");
	e = ist_encoders_create(own, path);
	assert_int_equal(ist_encoders_list(e, &list), n + 2);
	assert_string_equal(list[n].name, "twice");
	assert_non_null(strstr(list[n].error, "\"mine\""));
	assert_true(list[n].own);
	assert_int_equal(list[n].bytes, strlen("{\"model_type\": \"mine\"}"));
	assert_string_equal(list[n + 1].name, "mystery");
	assert_false(list[n + 1].own);
	assert_int_equal(ist_encoders_get(e, "mystery", &encoder, &err), IST_CORRUPT);
	assert_non_null(strstr(err.text, "model_type"));
	assert_int_equal(ist_encoders_remove(e, "mystery", &err), IST_CONFLICT);
	check_opens(e, "ngrams");
	check_best(e, "descriptor", "ngrams");
	ist_encoders_destroy(e);
}

/* Installed by a rename from the spool, listed at once and after a restart, removed for good. What
 * a cut upload leaves is gone with the next start. */
static void test_install(void **state)
{
	ist_autofree char *own = ist_format("%s/new", folder), *spool = NULL, *left = NULL;
	struct ist_encoders *e = ist_encoders_create(own, NULL);
	struct ist_encoder_info info;
	struct ist_err err;

	assert_ist_ok(ist_encoders_spool(e, &left, &err));
	make_broken("new", "spooled", "mystery");
	spool = ist_format("%s/spooled", own);
	assert_ist_ok(ist_encoders_install(e, "fresh", spool, &err));
	assert_ist_ok(ist_encoders_info(e, "fresh", true, &info, &err));
	assert_true(info.own && strstr(info.error, "mystery") != NULL);
	assert_int_equal(ist_encoders_install(e, "fresh", left, &err), IST_CONFLICT);
	assert_int_equal(ist_encoders_install(e, "ngrams", left, &err), IST_CONFLICT);
	ist_encoders_destroy(e);

	e = ist_encoders_create(own, NULL);
	assert_int_equal(access(left, F_OK), -1);
	assert_ist_ok(ist_encoders_remove(e, "fresh", &err));
	assert_int_equal(ist_encoders_info(e, "fresh", true, &info, &err), IST_NOT_FOUND);
	ist_encoders_destroy(e);
	e = ist_encoders_create(own, NULL);
	assert_int_equal(ist_encoders_info(e, "fresh", true, &info, &err), IST_NOT_FOUND);
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
	struct ist_encoders *e = ist_encoders_create(NULL, NULL);
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
	    cmocka_unit_test(test_path),
	    cmocka_unit_test(test_install),
	    cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
