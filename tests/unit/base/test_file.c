/* Durable files in a temporary folder: whole or not there, batches undone, maps, folders. */
#include "core/base/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "tests/unit/test.h"

static int make_folder(void **state)
{
	char *folder = ist_strdup("/tmp/ist-file-XXXXXX");

	*state = mkdtemp(folder);
	return *state == NULL;
}

static int remove_folder(void **state)
{
	enum ist_code code = ist_dir_remove(*state, NULL);

	free(*state);
	return code != IST_OK;
}

static void written_is_read(void **state)
{
	ist_autofree char *path = ist_format("%s/a", (char *)*state);
	struct ist_err err = {0};
	struct ist_buf buf = {0};

	assert_ist_ok(ist_file_write(path, "old", 3, &err));
	assert_ist_ok(ist_file_write(path, "new!", 4, &err));
	assert_ist_ok(ist_file_read(path, 100, &buf, &err));
	assert_string_equal(buf.data, "new!");
	assert_int_equal(ist_file_read(path, 3, &buf, &err), IST_INVALID);
	ist_buf_finish(&buf);
	assert_int_equal(ist_file_read("/nowhere/at/all", 3, &buf, &err), IST_NOT_FOUND);
}

static enum ist_code half(FILE *f, void *user, struct ist_err *err)
{
	fputs("half", f);
	return ist_fail(err, IST_CANCELLED, "stopped");
}

static void a_failed_write_leaves_the_old(void **state)
{
	ist_autofree char *path = ist_format("%s/b", (char *)*state);
	struct ist_err err = {0};
	struct ist_buf buf = {0};

	assert_ist_ok(ist_file_write(path, "old", 3, &err));
	assert_int_equal(ist_file_write_with(path, half, NULL, &err), IST_CANCELLED);
	assert_ist_ok(ist_file_read(path, 100, &buf, &err));
	assert_string_equal(buf.data, "old");
	ist_buf_finish(&buf);
}

static void a_batch_appears_at_once_or_never(void **state)
{
	struct ist_file_batch *batch = ist_file_batch_create();
	struct ist_err err = {0};
	char path[300][64];

	for (int i = 0; i < 300; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/f%d", (char *)*state, i);
		assert_ist_ok(ist_file_batch_add(batch, path[i], "x", 1, &err));
		assert_int_not_equal(access(path[i], F_OK), 0);
	}
	ist_file_batch_destroy(batch);
	for (int i = 0; i < 300; i++)
		assert_int_not_equal(access(path[i], F_OK), 0);
	batch = ist_file_batch_create();
	for (int i = 0; i < 300; i++)
		assert_ist_ok(ist_file_batch_add(batch, path[i], "x", 1, &err));
	assert_ist_ok(ist_file_batch_commit(batch, &err));
	ist_file_batch_destroy(batch);
	for (int i = 0; i < 300; i++)
		assert_int_equal(access(path[i], F_OK), 0);
}

/* The third file cannot be renamed over a folder: the first two go again, what was there stays. */
static void a_failed_commit_is_undone(void **state)
{
	ist_autofree char *old = ist_format("%s/old", (char *)*state);
	ist_autofree char *fresh = ist_format("%s/fresh", (char *)*state);
	ist_autofree char *folder = ist_format("%s/folder", (char *)*state);
	struct ist_file_batch *batch = ist_file_batch_create();
	struct ist_err err = {0};

	assert_ist_ok(ist_dir_make(folder, &err));
	assert_ist_ok(ist_file_write(old, "old", 3, &err));
	assert_ist_ok(ist_file_batch_add(batch, old, "old", 3, &err));
	assert_ist_ok(ist_file_batch_add(batch, fresh, "x", 1, &err));
	assert_ist_ok(ist_file_batch_add(batch, folder, "x", 1, &err));
	assert_int_equal(ist_file_batch_commit(batch, &err), IST_IO);
	ist_file_batch_destroy(batch);
	assert_int_equal(access(old, F_OK), 0);
	assert_int_not_equal(access(fresh, F_OK), 0);
}

static void maps(void **state)
{
	ist_autofree char *path = ist_format("%s/m", (char *)*state);
	struct ist_map map;
	struct ist_err err = {0};

	assert_ist_ok(ist_file_write(path, "mapped", 6, &err));
	assert_ist_ok(ist_map_open(&map, path, &err));
	assert_int_equal(map.len, 6);
	assert_memory_equal(map.data, "mapped", 6);
	ist_map_finish(&map);
	assert_int_equal(ist_map_open(&map, *state, &err), IST_INVALID);
	assert_ist_ok(ist_file_write(path, "", 0, &err));
	assert_ist_ok(ist_map_open(&map, path, &err));
	assert_int_equal(map.len, 0);
	ist_map_finish(&map);
}

static void folders(void **state)
{
	ist_autofree char *top = ist_format("%s/x", (char *)*state);
	ist_autofree char *deep = ist_format("%s/x/y/z", (char *)*state);
	ist_autofree char *file = ist_format("%s/x/y/z/f", (char *)*state);
	ist_autofree char *under_file = ist_format("%s/x/y/z/f/g", (char *)*state);
	struct ist_err err = {0};

	assert_ist_ok(ist_dir_make(deep, &err));
	assert_ist_ok(ist_dir_make(deep, &err));
	assert_ist_ok(ist_file_write(file, "x", 1, &err));
	assert_int_equal(ist_dir_make(under_file, &err), IST_IO);
	assert_ist_ok(ist_dir_remove(top, &err));
	assert_ist_ok(ist_dir_remove(top, &err));
	assert_int_not_equal(access(top, F_OK), 0);
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
TEST_MAIN(WITH_FOLDER(written_is_read), WITH_FOLDER(a_failed_write_leaves_the_old),
	  WITH_FOLDER(a_batch_appears_at_once_or_never), WITH_FOLDER(a_failed_commit_is_undone),
	  WITH_FOLDER(maps), WITH_FOLDER(folders))
