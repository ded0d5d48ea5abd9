/*
 * Opening what is there: databases of earlier schemas (tests/fixtures/databases, one a schema, made
 * by the program of that time with `sqlite3 isthmus.db .dump`), newer ones, unclean stops, damage.
 */
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

/* An empty folder in the fixture's place, with a database made from the text of a dump. */
static void replace_database(struct fixture *f, const char *sql)
{
	ist_autofree char *path = ist_format("%s/isthmus.db", f->folder);
	struct ist_err err = {0};
	sqlite3 *db = NULL;
	char *why = NULL;

	fixture_close(f);
	assert_ist_ok(ist_dir_remove(f->folder, &err));
	assert_ist_ok(ist_dir_make(f->folder, &err));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void replace_by_dump(struct fixture *f, const char *name)
{
	ist_auto(ist_buf_finish) struct ist_buf sql = {0};
	ist_autofree char *path = ist_format("%s/%s", FIXTURES, name);
	struct ist_err err = {0};

	assert_ist_ok(ist_file_read(path, 1 << 20, &sql, &err));
	replace_database(f, sql.data);
}

static void test_schema_1(void **state)
{
	struct fixture *f = *state;
	struct ist_collection_info info;
	struct ist_job_row job;
	struct ist_item item;
	struct ist_err err = {0};

	replace_by_dump(f, "schema-1.sql");
	fixture_open(f);
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.items, 4);
	assert_int_equal(info.labelled, 3);
	assert_int_equal(info.triples, 1);
	assert_ist_ok(ist_item_get(f->c, "picture", true, &f->arena, &item, &err));
	assert_true(item.has_image);
	assert_string_equal(item.image.type, "image/png");
	assert_int_equal(item.image.bytes, 11);
	assert_ist_ok(ist_item_get(f->c, "owl", true, &f->arena, &item, &err));
	assert_string_equal(item.metadata, "{\"wild\":true,\"year\":1998.5}");
	assert_string_equal(fixture_search(f, 3, 1, NULL), "owl");
	assert_string_equal(fixture_search(f, 4, 1, "label=tools"), "hämmer");
	assert_string_equal(fixture_search(f, 1, 9, "tags=ice and year>2000"), "seal");
	assert_int_equal(
	    fixture_put(f, "seal", 1, "animals", "{\"tags\":[\"sea\",\"ice\"],\"year\":2004}"),
	    IST_UNCHANGED);
	assert_int_equal(fixture_put(f, "new", 9, NULL, NULL), IST_CREATED);
	assert_ist_ok(ist_jobs_find_key(f->store, "once", &f->arena, &job, &err));
	assert_string_equal(job.state, "done");
}

static void test_newer_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};

	replace_database(f,
			 "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
			 " checksum TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT;"
			 "INSERT INTO migrations VALUES (900, 'later', 'x', 1);");
	assert_int_equal(ist_store_open(f->folder, NULL, &f->store, &err), IST_CONFLICT);
	assert_non_null(strstr(err.text, "schema 900"));
	assert_non_null(strstr(err.text, f->folder));
}

static void test_no_database(void **state)
{
	struct fixture *f = *state;
	ist_autofree char *path = ist_format("%s/isthmus.db", f->folder);
	struct ist_err err = {0};

	fixture_close(f);
	assert_ist_ok(ist_file_write(path, "this is not a database, but text text text", 40, &err));
	assert_int_equal(ist_store_open(f->folder, NULL, &f->store, &err), IST_CORRUPT);
}

/* The lock file tells a clean stop from an unclean one. */
static void test_lock_file(void **state)
{
	struct fixture *f = *state;
	ist_autofree char *path = ist_format("%s/lock", f->folder);
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	assert_true(info.st_size > 0);
	fixture_close(f);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_size, 0);
	fixture_open(f);
}

/* Overwrites pages in the middle of the database. */
static void damage(const char *path)
{
	static const char junk[4096] = "junk";
	struct stat info;
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &info), 0);
	for (off_t at = info.st_size / 4 / 4096 * 4096; at < info.st_size; at += 8 * 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
}

/* After an unclean stop the background check finds the damage; writes are refused then. */
static void test_damage_is_found(void **state)
{
	struct fixture *f = *state;
	ist_autofree char *database = ist_format("%s/isthmus.db", f->folder);
	ist_autofree char *lock = ist_format("%s/lock", f->folder);
	struct fixture_item item;
	struct ist_write write = {.item = &item.item};
	struct ist_err err = {0};
	const char *reason = "";

	fixture_put_many(f, 0, 300);
	fixture_close(f);
	damage(database);
	assert_ist_ok(ist_file_write(lock, "running\n", 8, &err));
	f->options.read_only_memory = false;
	assert_ist_ok(ist_store_open(f->folder, &f->options, &f->store, &err));
	while (ist_store_state(f->store, &reason) != IST_STORE_DAMAGED)
		sched_yield();
	assert_non_null(strstr(reason, "quick_check"));
	if (ist_store_collection_get(f->store, "c", &f->c, &err) != IST_OK)
		return;
	fixture_make(&item, "x", 1);
	assert_int_equal(ist_items_write(f->c, &write, 1, &err), IST_UNAVAILABLE);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

TEST_MAIN(WITH_STORE(test_schema_1), WITH_STORE(test_newer_is_refused),
	  WITH_STORE(test_no_database), WITH_STORE(test_lock_file),
	  WITH_STORE(test_damage_is_found))
