/*
 * Migrations. The steps run in one transaction: after a crash the database is at its old version
 * or at the new one. The backup is made with SQLite's own backup call, synced, and only then may
 * the schema change.
 */
#include "index/migrate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/db.h"

static enum ist_code run(sqlite3 *db, const char *sql, struct ist_err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return ist_db_fail(db, err, "migration");
	return IST_OK;
}

static int last_of(const struct ist_migration *list)
{
	int last = 0;

	for (; list->number != 0; list++)
		last = list->number;
	return last;
}

/* The steps that were applied must be a prefix of ours, text by text. */
static enum ist_code check_applied(sqlite3 *db, const struct ist_migration *list, int *ret_from,
				   struct ist_err *err)
{
	ist_auto(ist_db_finalize) sqlite3_stmt *st = NULL;
	int last = last_of(list), from = 0, rc;

	if (sqlite3_prepare_v2(db, "SELECT number, checksum FROM migrations ORDER BY number", -1,
			       &st, NULL) != SQLITE_OK)
		return ist_db_fail(db, err, "reading the schema version");
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *checksum = (const char *)sqlite3_column_text(st, 1);

		from = sqlite3_column_int(st, 0);
		if (from > last)
			continue;
		if (from < 1 || strcmp(checksum, list[from - 1].checksum) != 0)
			return ist_fail(err, IST_CORRUPT,
					"step %d of the database's schema differs from this "
					"program's",
					from);
	}
	if (rc != SQLITE_DONE)
		return ist_db_fail(db, err, "reading the schema version");
	if (from > last)
		return ist_fail(err, IST_CONFLICT,
				"the database has schema %d, this program knows up to %d: use a "
				"newer isthmusd, or another data folder",
				from, last);
	*ret_from = from;
	return IST_OK;
}

static enum ist_code copy_to(sqlite3 *db, const char *path, struct ist_err *err)
{
	sqlite3 *copy = NULL;
	sqlite3_backup *backup;
	enum ist_code code = IST_OK;

	if (sqlite3_open(path, &copy) != SQLITE_OK ||
	    (backup = sqlite3_backup_init(copy, "main", db, "main")) == NULL) {
		code = ist_db_fail(copy, err, "backup %s", path);
	} else {
		sqlite3_backup_step(backup, -1);
		if (sqlite3_backup_finish(backup) != SQLITE_OK)
			code = ist_db_fail(copy, err, "backup %s", path);
	}
	sqlite3_close(copy);
	return code;
}

/* Written beside its name and renamed, so that a half-made backup never looks like one. */
static enum ist_code backup(sqlite3 *db, const char *folder, int from, char *ret, size_t size,
			    struct ist_err *err)
{
	ist_autofree char *part = ist_format("%s/schema-%d.db.part", folder, from);
	enum ist_code code;
	int fd;

	snprintf(ret, size, "%s/schema-%d.db", folder, from);
	if ((code = ist_dir_make(folder, err)) != IST_OK)
		return code;
	unlink(part);
	if ((code = copy_to(db, part, err)) != IST_OK)
		return code;
	fd = open(part, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0 || rename(part, ret) != 0)
		code = ist_fail_errno(err, "backup %s", ret);
	if (fd >= 0)
		close(fd);
	return code != IST_OK ? code : ist_dir_sync(folder, err);
}

static enum ist_code record(sqlite3 *db, const struct ist_migration *m, struct ist_err *err)
{
	ist_auto(ist_db_finalize) sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, "INSERT INTO migrations VALUES (?1, ?2, ?3, ?4)", -1, &st,
			       NULL) != SQLITE_OK)
		return ist_db_fail(db, err, "migration %d", m->number);
	sqlite3_bind_int(st, 1, m->number);
	sqlite3_bind_text(st, 2, m->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, m->checksum, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, ist_db_now());
	if (sqlite3_step(st) != SQLITE_DONE)
		return ist_db_fail(db, err, "migration %d", m->number);
	return IST_OK;
}

static enum ist_code apply(sqlite3 *db, const struct ist_migration *list, int from,
			   struct ist_err *err)
{
	enum ist_code code = run(db, "BEGIN IMMEDIATE", err);

	for (const struct ist_migration *m = list + from; code == IST_OK && m->number != 0; m++) {
		code = run(db, m->sql, err);
		if (code == IST_OK)
			code = record(db, m, err);
		if (code != IST_OK)
			ist_wrap(err, "schema step %d (%s)", m->number, m->name);
	}
	if (code == IST_OK)
		code = run(db, "COMMIT", err);
	if (code != IST_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return code;
}

enum ist_code ist_migrate(sqlite3 *db, const struct ist_migration *list, const char *backups,
			  struct ist_migrate_report *ret, struct ist_err *err)
{
	struct ist_migrate_report report = {.to = last_of(list)};
	enum ist_code code;

	code =
	    run(db,
		"CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, "
		"name TEXT NOT NULL, checksum TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT",
		err);
	if (code == IST_OK)
		code = check_applied(db, list, &report.from, err);
	if (code == IST_OK && report.from > 0 && report.from < report.to)
		code = backup(db, backups, report.from, report.backup, sizeof(report.backup), err);
	if (code == IST_OK && report.from < report.to)
		code = apply(db, list, report.from, err);
	if (code == IST_OK)
		*ret = report;
	return code;
}
