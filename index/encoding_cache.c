/*
 * One connection, which has the file for itself, so that its log's index lies in our own memory.
 * No call waits for the disk: a crash of the process loses nothing then, a crash of the machine may
 * leave pages of different times. Therefore each row carries a checksum over its key and all it
 * says, and one that does not hold, like anything that SQLite finds wrong, costs the whole file.
 */
#include "index/encoding_cache.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define VERSION 1
#define EVICTED_PART 8 /* an eighth of the rows goes at once */

enum statement { GET, PUT, BEGIN, COMMIT, ROLLBACK, PAGES, FREE_PAGES, EVICT, N_STATEMENTS };

static const char *const texts[N_STATEMENTS] = {
    [GET] = "SELECT sum, type, width, height, vector FROM encodings WHERE key = ?1",
    [PUT] = "INSERT OR IGNORE INTO encodings(key, sum, type, width, height, vector)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PAGES] = "PRAGMA page_count",
    [FREE_PAGES] = "PRAGMA freelist_count",
    [EVICT] = "DELETE FROM encodings WHERE id <= (SELECT min(id) + (max(id) - min(id)) / ?1"
	      " FROM encodings)",
};

/* Exclusive before WAL: then no other file holds the log's index. */
static const char setup[] =
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=4194304;"
    "CREATE TABLE IF NOT EXISTS encodings(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,"
    " sum INTEGER NOT NULL, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
    " vector BLOB)";

struct ist_encoding_cache {
	struct ist_encoding_cache_options options;
	char *path;
	pthread_mutex_t lock; /* guards all below */
	sqlite3 *sql;	      /* NULL: not open */
	sqlite3_stmt *statements[N_STATEMENTS];
	int64_t page_size;
	bool off; /* it could not be made or written: not tried again before the next start */
};

struct ist_encoding_cache *
ist_encoding_cache_create(const struct ist_encoding_cache_options *options)
{
	struct ist_encoding_cache *cache = ist_alloc(1, sizeof(*cache));

	cache->options = *options;
	cache->path = ist_strdup(options->path);
	cache->off = options->max_bytes == 0;
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

static void close_file(struct ist_encoding_cache *cache)
{
	for (size_t i = 0; i < N_STATEMENTS; i++) {
		sqlite3_finalize(cache->statements[i]);
		cache->statements[i] = NULL;
	}
	sqlite3_close(cache->sql);
	cache->sql = NULL;
}

void ist_encoding_cache_destroy(struct ist_encoding_cache *cache)
{
	if (cache == NULL)
		return;
	close_file(cache);
	pthread_mutex_destroy(&cache->lock);
	free(cache->path);
	free(cache);
}

/* ---- the file: called with the lock held ---- */

static void remove_file(const struct ist_encoding_cache *cache)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; i < IST_COUNT(suffixes); i++) {
		ist_autofree char *path = ist_format("%s%s", cache->path, suffixes[i]);

		unlink(path);
	}
}

/* Throws the file away. It begins anew with the next call, but where it could not be written: a
 * disk that is full needs its room for what matters. */
static void drop(struct ist_encoding_cache *cache, const char *why, bool off)
{
	close_file(cache);
	remove_file(cache);
	cache->off = off;
	if (cache->options.event != NULL)
		cache->options.event(cache->options.user, cache->options.level,
				     "encoding_cache_dropped", why);
}

/* What SQLite says was wrong. Damage is mended by a new file, nothing else is. */
static void failed(struct ist_encoding_cache *cache)
{
	int rc = sqlite3_errcode(cache->sql) & 0xff;
	char why[256];

	snprintf(why, sizeof(why), "%s", sqlite3_errmsg(cache->sql));
	drop(cache, why, rc != SQLITE_CORRUPT && rc != SQLITE_NOTADB);
}

static int64_t ask(struct ist_encoding_cache *cache, enum statement which)
{
	sqlite3_stmt *st = cache->statements[which];
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;

	sqlite3_reset(st);
	return n;
}

static bool prepare_all(struct ist_encoding_cache *cache)
{
	for (size_t i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(cache->sql, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &cache->statements[i], NULL) != SQLITE_OK)
			return false;
	return true;
}

static int64_t pragma(sqlite3 *sql, const char *text)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(sql, text, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* One of another version is as good as none, and so is one that is far over its bound: deleting
 * rows would not make the file shorter. False: SQLite's error stands in the connection. */
static bool open_file(struct ist_encoding_cache *cache, bool *ret_stale)
{
	char version[64];
	int64_t is;

	*ret_stale = false;
	if (sqlite3_open_v2(cache->path, &cache->sql,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return false;
	is = pragma(cache->sql, "PRAGMA user_version");
	snprintf(version, sizeof(version), "PRAGMA user_version=%d", VERSION);
	if (is < 0 || sqlite3_exec(cache->sql, setup, NULL, NULL, NULL) != SQLITE_OK ||
	    (is == 0 && sqlite3_exec(cache->sql, version, NULL, NULL, NULL) != SQLITE_OK))
		return false;
	*ret_stale = is != 0 && is != VERSION;
	if (!*ret_stale && !prepare_all(cache))
		return false;
	cache->page_size = pragma(cache->sql, "PRAGMA page_size");
	*ret_stale |= (uint64_t)(pragma(cache->sql, "PRAGMA page_count") * cache->page_size) / 2 >
		      cache->options.max_bytes;
	return true;
}

static bool make_folder(const struct ist_encoding_cache *cache, struct ist_err *err)
{
	ist_autofree char *folder = ist_strdup(cache->path);
	char *slash = strrchr(folder, '/');

	if (slash == NULL)
		return true;
	*slash = '\0';
	return ist_dir_make(folder, err) == IST_OK;
}

/* Twice at most: a file that cannot be used is thrown away once. */
static bool is_open(struct ist_encoding_cache *cache)
{
	struct ist_err err = {0};
	bool stale;

	if (cache->off || cache->sql != NULL)
		return !cache->off;
	if (!make_folder(cache, &err)) {
		drop(cache, err.text, true);
		return false;
	}
	for (int i = 0; i < 2 && !cache->off; i++) {
		if (!open_file(cache, &stale))
			failed(cache);
		else if (stale)
			drop(cache, "it is of another version, or over its size", false);
		else
			return true;
	}
	cache->off = true;
	return false;
}

/* ---- rows ---- */

/* Over everything that a row says, with its key. */
static int64_t checksum(const uint8_t *key, const char *type, uint32_t width, uint32_t height,
			const void *vector, size_t bytes)
{
	uint64_t sum = XXH3_64bits_withSeed(key, IST_SHA256_SIZE, ((uint64_t)width << 32) | height);

	sum = XXH3_64bits_withSeed(type, strlen(type), sum);
	return (int64_t)XXH3_64bits_withSeed(vector != NULL ? vector : "", bytes, sum);
}

/* False: the row is not what was written. One of another width is no answer either, but no harm. */
static bool take_row(sqlite3_stmt *st, struct ist_encoding *ret, bool *ret_fits)
{
	const char *type = (const char *)sqlite3_column_text(st, 1);
	uint32_t width = (uint32_t)sqlite3_column_int64(st, 2);
	uint32_t height = (uint32_t)sqlite3_column_int64(st, 3);
	const void *vector = sqlite3_column_blob(st, 4);
	size_t bytes = (size_t)sqlite3_column_bytes(st, 4);

	if (type == NULL || strlen(type) >= sizeof(ret->type) ||
	    sqlite3_column_int64(st, 0) != checksum(ret->key, type, width, height, vector, bytes))
		return false;
	*ret_fits = bytes == ret->dim * sizeof(*ret->vector);
	if (!*ret_fits)
		return true;
	snprintf(ret->type, sizeof(ret->type), "%s", type);
	ret->width = width;
	ret->height = height;
	if (bytes > 0)
		memcpy(ret->vector, vector, bytes);
	return true;
}

static bool get(struct ist_encoding_cache *cache, struct ist_encoding *ret)
{
	sqlite3_stmt *st;
	bool sound = true, fits = false;
	int rc;

	if (!is_open(cache))
		return false;
	st = cache->statements[GET];
	sqlite3_bind_blob(st, 1, ret->key, IST_SHA256_SIZE, SQLITE_STATIC);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		sound = take_row(st, ret, &fits);
	else if (rc != SQLITE_DONE)
		failed(cache);
	if (cache->sql != NULL)
		sqlite3_reset(st);
	if (!sound)
		drop(cache, "a checksum does not hold", false);
	return sound && fits;
}

bool ist_encoding_cache_get(struct ist_encoding_cache *cache, struct ist_encoding *ret)
{
	bool found;

	pthread_mutex_lock(&cache->lock);
	found = get(cache, ret);
	pthread_mutex_unlock(&cache->lock);
	return found;
}

static bool step(struct ist_encoding_cache *cache, enum statement which)
{
	sqlite3_stmt *st = cache->statements[which];
	bool ok = sqlite3_step(st) == SQLITE_DONE;

	return sqlite3_reset(st) == SQLITE_OK && ok;
}

static bool put_row(struct ist_encoding_cache *cache, const struct ist_encoding *e)
{
	sqlite3_stmt *st = cache->statements[PUT];
	size_t bytes = e->dim * sizeof(*e->vector);

	sqlite3_bind_blob(st, 1, e->key, IST_SHA256_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, checksum(e->key, e->type, e->width, e->height, e->vector, bytes));
	sqlite3_bind_text(st, 3, e->type, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, e->width);
	sqlite3_bind_int64(st, 5, e->height);
	sqlite3_bind_blob64(st, 6, e->vector, bytes, SQLITE_STATIC);
	return step(cache, PUT);
}

static uint64_t used_bytes(struct ist_encoding_cache *cache)
{
	return (uint64_t)((ask(cache, PAGES) - ask(cache, FREE_PAGES)) * cache->page_size);
}

/* Ids grow, so the least ones are the oldest. What they leave free is used before the file grows.
 */
static bool evict(struct ist_encoding_cache *cache)
{
	while (used_bytes(cache) > cache->options.max_bytes) {
		sqlite3_bind_int64(cache->statements[EVICT], 1, EVICTED_PART);
		if (!step(cache, EVICT))
			return false;
		if (sqlite3_changes(cache->sql) == 0)
			break;
	}
	return true;
}

void ist_encoding_cache_put(struct ist_encoding_cache *cache, const struct ist_encoding *list,
			    size_t n)
{
	bool ok;

	pthread_mutex_lock(&cache->lock);
	if (n > 0 && is_open(cache)) {
		ok = step(cache, BEGIN);
		for (size_t i = 0; ok && i < n; i++)
			ok = put_row(cache, &list[i]);
		ok = ok && evict(cache) && step(cache, COMMIT);
		if (!ok)
			failed(cache);
	}
	pthread_mutex_unlock(&cache->lock);
}

uint64_t ist_encoding_cache_bytes(struct ist_encoding_cache *cache)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&cache->lock);
	if (cache->sql != NULL)
		bytes = used_bytes(cache);
	pthread_mutex_unlock(&cache->lock);
	return bytes;
}
