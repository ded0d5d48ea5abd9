/*
 * Connections. The writer's syncs at every commit (synchronous=FULL: what is acknowledged survives
 * power loss); the readers' are plain WAL readers. Checkpoints are the writer's own business
 * (writer.c), so the automatic ones are off.
 */
#include "index/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"

static const char *const texts[IST_N_SQL] = {
#define X(name, sql) [IST_SQL_##name] = sql,
    IST_STATEMENTS(X)
#undef X
};

/* What SQLite's codes are called here; others are IST_INTERNAL. */
static const struct {
	int sqlite;
	enum ist_code code;
} codes[] = {
    {SQLITE_FULL, IST_STORAGE_FULL}, {SQLITE_IOERR, IST_IO},	   {SQLITE_CANTOPEN, IST_IO},
    {SQLITE_CORRUPT, IST_CORRUPT},   {SQLITE_NOTADB, IST_CORRUPT}, {SQLITE_NOMEM, IST_NO_MEMORY},
    {SQLITE_BUSY, IST_UNAVAILABLE},  {SQLITE_READONLY, IST_IO},	   {SQLITE_TOOBIG, IST_INVALID},
};

/* A full disk shows as SQLITE_FULL or, out of a system call, as an I/O error with ENOSPC. */
static enum ist_code code_of(sqlite3 *sql)
{
	int rc = sql != NULL ? sqlite3_errcode(sql) : SQLITE_NOMEM, system;

	system = sql != NULL ? sqlite3_system_errno(sql) : 0;
	if ((rc & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT))
		return IST_STORAGE_FULL;
	for (size_t i = 0; i < IST_COUNT(codes); i++)
		if (codes[i].sqlite == (rc & 0xff))
			return codes[i].code;
	return IST_INTERNAL;
}

enum ist_code ist_db_fail(sqlite3 *sql, struct ist_err *err, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return ist_fail(err, code_of(sql), "%s: %s", what,
			sql != NULL ? sqlite3_errmsg(sql) : "out of memory");
}

/* A statement that is not reset keeps its read lock and lets the log grow. */
void ist_db_reset(sqlite3_stmt **st)
{
	if (*st != NULL)
		sqlite3_reset(*st);
}

void ist_db_finalize(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
}

enum ist_code ist_db_open(const char *path, bool writer, struct ist_db **ret, struct ist_err *err)
{
	static const char writer_setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
					   "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;"
					   "PRAGMA journal_size_limit=67108864";
	static const char reader_setup[] = "PRAGMA cache_size=-4096; PRAGMA query_only=1";
	struct ist_db *db = ist_alloc(1, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
	enum ist_code code = IST_OK;

	if (sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db->sql, 10000) != SQLITE_OK ||
	    sqlite3_exec(db->sql, writer ? writer_setup : reader_setup, NULL, NULL, NULL) !=
		SQLITE_OK) {
		code = ist_db_fail(db->sql, err, "open %s", path);
		ist_db_close(db);
		return code;
	}
	*ret = db;
	return IST_OK;
}

void ist_db_close(struct ist_db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < IST_N_SQL; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sql);
	free(db);
}

/* Nothing is copied: what is bound outlives the statement's use. */
static void bind_all(sqlite3_stmt *st, const char *format, va_list args)
{
	for (int at = 1; *format != '\0'; format++, at++) {
		if (*format == 'i') {
			sqlite3_bind_int64(st, at, va_arg(args, int64_t));
		} else if (*format == 'd') {
			sqlite3_bind_double(st, at, va_arg(args, double));
		} else if (*format == 't') {
			sqlite3_bind_text(st, at, va_arg(args, const char *), -1, SQLITE_STATIC);
		} else {
			const void *data = va_arg(args, const void *);

			sqlite3_bind_blob64(st, at, data, va_arg(args, size_t), SQLITE_STATIC);
		}
	}
}

/* Prepared at its first use on this connection, then kept. */
static sqlite3_stmt *bind_list(struct ist_db *db, enum ist_sql which, struct ist_err *err,
			       const char *format, va_list args)
{
	sqlite3_stmt **st = &db->statements[which];

	if (*st == NULL && sqlite3_prepare_v3(db->sql, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
					      st, NULL) != SQLITE_OK) {
		ist_db_fail(db->sql, err, "statement %d", which);
		return NULL;
	}
	sqlite3_reset(*st);
	bind_all(*st, format, args);
	return *st;
}

enum ist_code ist_db_bind(struct ist_db *db, enum ist_sql which, sqlite3_stmt **ret,
			  struct ist_err *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	*ret = bind_list(db, which, err, format, args);
	va_end(args);
	return *ret != NULL ? IST_OK : code_of(db->sql);
}

enum ist_code ist_db_step(struct ist_db *db, sqlite3_stmt *st, bool *ret_row, struct ist_err *err)
{
	int rc = sqlite3_step(st);
	enum ist_code code = IST_OK;

	*ret_row = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW)
		return IST_OK;
	if (rc != SQLITE_DONE)
		code = ist_db_fail(db->sql, err, "database");
	sqlite3_reset(st);
	return code;
}

enum ist_code ist_db_run(struct ist_db *db, enum ist_sql which, struct ist_err *err,
			 const char *format, ...)
{
	enum ist_code code = IST_OK;
	bool row = true;
	sqlite3_stmt *st;
	va_list args;

	va_start(args, format);
	st = bind_list(db, which, err, format, args);
	va_end(args);
	if (st == NULL)
		return code_of(db->sql);
	while (code == IST_OK && row)
		code = ist_db_step(db, st, &row, err);
	return code;
}

enum ist_code ist_db_int(struct ist_db *db, enum ist_sql which, int64_t none, int64_t *ret,
			 struct ist_err *err, const char *format, ...)
{
	enum ist_code code;
	sqlite3_stmt *st;
	va_list args;
	bool row;

	va_start(args, format);
	st = bind_list(db, which, err, format, args);
	va_end(args);
	if (st == NULL)
		return code_of(db->sql);
	if ((code = ist_db_step(db, st, &row, err)) != IST_OK)
		return code;
	*ret = none;
	if (row && sqlite3_column_type(st, 0) != SQLITE_NULL)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return IST_OK;
}

enum ist_code ist_db_read_begin(struct ist_db *db, struct ist_db_read *ret, struct ist_err *err)
{
	enum ist_code code = ist_db_run(db, IST_SQL_READ_BEGIN, err, "");

	ret->db = code == IST_OK ? db : NULL;
	return code;
}

/* A COMMIT that fails (it has nothing to write) must still not leave a transaction open. */
void ist_db_read_end(struct ist_db_read *read)
{
	if (read->db != NULL && ist_db_run(read->db, IST_SQL_COMMIT, NULL, "") != IST_OK)
		sqlite3_exec(read->db->sql, "ROLLBACK", NULL, NULL, NULL);
	read->db = NULL;
}

void ist_db_pool_init(struct ist_db_pool *pool, const char *path)
{
	*pool = (struct ist_db_pool){.path = path};
	pthread_mutex_init(&pool->lock, NULL);
}

void ist_db_pool_finish(struct ist_db_pool *pool)
{
	while (pool->free != NULL) {
		struct ist_db *db = pool->free;

		pool->free = db->next;
		ist_db_close(db);
	}
	pthread_mutex_destroy(&pool->lock);
}

/* As many connections come to be as threads read at once. */
enum ist_code ist_db_take(struct ist_db_pool *pool, struct ist_db_lease *ret, struct ist_err *err)
{
	struct ist_db *db;
	enum ist_code code;

	pthread_mutex_lock(&pool->lock);
	if ((db = pool->free) != NULL)
		pool->free = db->next;
	pthread_mutex_unlock(&pool->lock);
	if (db == NULL && (code = ist_db_open(pool->path, false, &db, err)) != IST_OK)
		return code;
	*ret = (struct ist_db_lease){.pool = pool, .db = db};
	return IST_OK;
}

void ist_db_give(struct ist_db_lease *lease)
{
	if (lease->db == NULL)
		return;
	pthread_mutex_lock(&lease->pool->lock);
	lease->db->next = lease->pool->free;
	lease->pool->free = lease->db;
	pthread_mutex_unlock(&lease->pool->lock);
	lease->db = NULL;
}

int64_t ist_db_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
