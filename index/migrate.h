/*
 * The database's schema, a step a file of migrations/, embedded at build time. The table
 * `migrations` says which were applied, each with the checksum of its text.
 */
#ifndef IST_INDEX_MIGRATE_H
#define IST_INDEX_MIGRATE_H

#include <sqlite3.h>

#include "core/base/error.h"

struct ist_migration {
	int number;	  /* 1, 2, … without gaps */
	const char *name; /* of the file, without number and ending */
	const char *sql;
	const char *checksum; /* SHA-256 of the text, hexadecimal */
};
extern const struct ist_migration ist_migrations[]; /* ends with number 0 */

struct ist_migrate_report {
	int from, to;	  /* schema before and after; equal: nothing was done */
	char backup[512]; /* path of the backup, "" if none was needed */
};
/*
 * Brings the database to the last step of `list`, all in one transaction. One that holds an older
 * schema is first copied whole into `backups`. IST_CONFLICT: it is newer than this program;
 * IST_CORRUPT: a step was applied with another text than ours.
 */
IST_CHECKED enum ist_code ist_migrate(sqlite3 *db, const struct ist_migration *list,
				      const char *backups, struct ist_migrate_report *ret,
				      struct ist_err *err);

#endif
