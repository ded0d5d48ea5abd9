/*
 * A connection to the database with its prepared statements, and the pool that threads take their
 * connections from. Every statement that the store runs is a row of statements.h and is prepared
 * once a connection, at its first use. A connection belongs to one thread at a time.
 */
#ifndef IST_INDEX_DB_H
#define IST_INDEX_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "index/statements.h"

enum ist_sql {
#define X(name, sql) IST_SQL_##name,
	IST_STATEMENTS(X)
#undef X
	    IST_N_SQL
};

struct ist_db {
	sqlite3 *sql;
	sqlite3_stmt *statements[IST_N_SQL];
	struct ist_db *next; /* in the pool */
};

IST_CHECKED enum ist_code ist_db_open(const char *path, bool writer, struct ist_db **ret,
				      struct ist_err *err);
void ist_db_close(struct ist_db *db);

/*
 * Binds and hands out a statement. The format has a letter a parameter:
 *   i int64_t    d double    t const char * (NULL is NULL)    b const void *, size_t (NULL is NULL)
 * What is bound must live until the statement is reset.
 */
IST_CHECKED enum ist_code ist_db_bind(struct ist_db *db, enum ist_sql which, sqlite3_stmt **ret,
				      struct ist_err *err, const char *format, ...);
/* *ret_row says whether there is a row; at the end the statement is reset. */
IST_CHECKED enum ist_code ist_db_step(struct ist_db *db, sqlite3_stmt *st, bool *ret_row,
				      struct ist_err *err);
/* Binds, runs to the end, resets. */
IST_CHECKED enum ist_code ist_db_run(struct ist_db *db, enum ist_sql which, struct ist_err *err,
				     const char *format, ...);
/* The first column of the first row; `none` if there is no row or it is NULL. */
IST_CHECKED enum ist_code ist_db_int(struct ist_db *db, enum ist_sql which, int64_t none,
				     int64_t *ret, struct ist_err *err, const char *format, ...);

/* SQLite's present error as ours: a full disk is IST_STORAGE_FULL, and so on. */
enum ist_code ist_db_fail(sqlite3 *sql, struct ist_err *err, const char *format, ...)
    IST_PRINTF(3, 4);

/* For ist_auto: a statement that is reset, or finalized, when it leaves its scope. */
void ist_db_reset(sqlite3_stmt **st);
void ist_db_finalize(sqlite3_stmt **st);

/* A read transaction: several statements that see one state. Ends when it leaves its scope. */
struct ist_db_read {
	struct ist_db *db;
};
IST_CHECKED enum ist_code ist_db_read_begin(struct ist_db *db, struct ist_db_read *ret,
					    struct ist_err *err);
void ist_db_read_end(struct ist_db_read *read);

/* Readers' connections. Any thread takes one for a call and gives it back. */
struct ist_db_pool {
	pthread_mutex_t lock; /* guards free */
	struct ist_db *free;
	const char *path;
};
void ist_db_pool_init(struct ist_db_pool *pool, const char *path);
void ist_db_pool_finish(struct ist_db_pool *pool);
struct ist_db_lease {
	struct ist_db_pool *pool;
	struct ist_db *db;
};
IST_CHECKED enum ist_code ist_db_take(struct ist_db_pool *pool, struct ist_db_lease *ret,
				      struct ist_err *err);
void ist_db_give(struct ist_db_lease *lease); /* for ist_auto */

int64_t ist_db_now(void); /* microseconds since 1970 */

/* A text column copied out; NULL stays NULL. */
static inline const char *ist_db_text(sqlite3_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st, column);
}

#endif
