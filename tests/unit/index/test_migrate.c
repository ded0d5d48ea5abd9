/* Migrations: a new database, an older one with its backup, a newer one, a changed step, a crash.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/db.h"
#include "index/migrate.h"
#include "tests/unit/test.h"

static const struct ist_migration old[] = {
    {1, "one", "CREATE TABLE one (x INTEGER); INSERT INTO one VALUES (7);", "c1"},
    {0, NULL, NULL, NULL},
};
static const struct ist_migration present[] = {
    {1, "one", "CREATE TABLE one (x INTEGER); INSERT INTO one VALUES (7);", "c1"},
    {2, "two", "ALTER TABLE one ADD COLUMN y INTEGER DEFAULT 3;", "c2"},
    {0, NULL, NULL, NULL},
};
static const struct ist_migration changed[] = {
    {1, "one", "CREATE TABLE one (x TEXT);", "other"},
    {0, NULL, NULL, NULL},
};
static const struct ist_migration broken[] = {
    {1, "one", "CREATE TABLE one (x INTEGER); INSERT INTO one VALUES (7);", "c1"},
    {2, "two", "CREATE TABLE two (x INTEGER); INSERT INTO nowhere VALUES (1);", "c2"},
    {0, NULL, NULL, NULL},
};

struct place {
	char folder[64], database[96], backups[96];
	struct ist_db *db;
};

static void reopen(struct place *p)
{
	struct ist_err err = {0};

	ist_db_close(p->db);
	assert_ist_ok(ist_db_open(p->database, true, &p->db, &err));
}

static int setup(void **state)
{
	struct place *p = ist_alloc(1, sizeof(*p));

	snprintf(p->folder, sizeof(p->folder), "/tmp/ist-migrate-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->database, sizeof(p->database), "%s/a.db", p->folder);
	snprintf(p->backups, sizeof(p->backups), "%s/backups", p->folder);
	reopen(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct ist_err err = {0};

	ist_db_close(p->db);
	assert_ist_ok(ist_dir_remove(p->folder, &err));
	free(p);
	return 0;
}

static int64_t number(sqlite3 *sql, const char *query)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(sql, query, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static void test_new(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};

	assert_ist_ok(ist_migrate(p->db->sql, present, p->backups, &report, &err));
	assert_int_equal(report.from, 0);
	assert_int_equal(report.to, 2);
	assert_string_equal(report.backup, "");
	assert_int_equal(number(p->db->sql, "SELECT y FROM one"), 3);
	assert_ist_ok(ist_migrate(p->db->sql, present, p->backups, &report, &err));
	assert_int_equal(report.from, 2);
	assert_int_not_equal(access(p->backups, F_OK), 0);
}

static void test_older_is_backed_up(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};
	sqlite3 *copy = NULL;

	assert_ist_ok(ist_migrate(p->db->sql, old, p->backups, &report, &err));
	reopen(p);
	assert_ist_ok(ist_migrate(p->db->sql, present, p->backups, &report, &err));
	assert_int_equal(report.from, 1);
	assert_int_equal(number(p->db->sql, "SELECT x * 10 + y FROM one"), 73);
	assert_int_equal(sqlite3_open(report.backup, &copy), SQLITE_OK);
	assert_int_equal(number(copy, "SELECT x FROM one"), 7);
	assert_int_equal(number(copy, "SELECT max(number) FROM migrations"), 1);
	sqlite3_close(copy);
}

static void test_newer_is_refused(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};

	assert_ist_ok(ist_migrate(p->db->sql, present, p->backups, &report, &err));
	assert_int_equal(ist_migrate(p->db->sql, old, p->backups, &report, &err), IST_CONFLICT);
	assert_non_null(strstr(err.text, "schema 2"));
	assert_non_null(strstr(err.text, "newer isthmusd"));
}

static void test_changed_step_is_refused(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};

	assert_ist_ok(ist_migrate(p->db->sql, old, p->backups, &report, &err));
	assert_int_equal(ist_migrate(p->db->sql, changed, p->backups, &report, &err), IST_CORRUPT);
}

static void test_failed_step_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};

	assert_ist_ok(ist_migrate(p->db->sql, old, p->backups, &report, &err));
	assert_int_not_equal(ist_migrate(p->db->sql, broken, p->backups, &report, &err), IST_OK);
	assert_non_null(strstr(err.text, "schema step 2 (two)"));
	assert_int_equal(
	    number(p->db->sql, "SELECT count(*) FROM sqlite_master WHERE name = 'two'"), 0);
	assert_ist_ok(ist_migrate(p->db->sql, present, p->backups, &report, &err));
}

/* The embedded steps: numbered without gaps, and every statement of the program fits them. */
static void test_embedded(void **state)
{
	struct place *p = *state;
	struct ist_migrate_report report;
	struct ist_err err = {0};

	for (int i = 0; ist_migrations[i].number != 0; i++) {
		assert_int_equal(ist_migrations[i].number, i + 1);
		assert_int_equal(strlen(ist_migrations[i].checksum), 64);
	}
	assert_ist_ok(ist_migrate(p->db->sql, ist_migrations, p->backups, &report, &err));
	for (int i = 0; i < IST_N_SQL; i++) {
		sqlite3_stmt *st = NULL;

		assert_ist_ok(ist_db_bind(p->db, (enum ist_sql)i, &st, &err, ""));
		assert_non_null(st);
	}
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

TEST_MAIN(WITH_PLACE(test_new), WITH_PLACE(test_older_is_backed_up),
	  WITH_PLACE(test_newer_is_refused), WITH_PLACE(test_changed_step_is_refused),
	  WITH_PLACE(test_failed_step_leaves_nothing), WITH_PLACE(test_embedded))
