/*
 * The background thread. It sleeps until something is wanted; it is niced, and everything long in
 * it asks whether the store is stopping.
 */
#include "index/maintenance.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/items.h"
#include "index/live.h"

enum { NICE = 10, BUILD_THREADS_MAX = 4 };

struct ist_maintenance {
	struct ist_store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what is below */
	pthread_cond_t wanted;
	bool something, clean, stop;
};

/* In a store without the thread (tests) wishes are noted and nothing comes of them. */
static void wake(struct ist_store *store, bool clean)
{
	struct ist_maintenance *m = store->maintenance;

	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	m->something = true;
	m->clean |= clean;
	pthread_cond_signal(&m->wanted);
	pthread_mutex_unlock(&m->lock);
}

void ist_maintenance_want_load(struct ist_collection *c)
{
	if (!c->want_load) {
		c->want_load = true;
		wake(c->store, false);
	}
}

void ist_maintenance_want_merge(struct ist_collection *c)
{
	if (!c->want_merge) {
		c->want_merge = true;
		wake(c->store, false);
	}
}

void ist_maintenance_want_clean(struct ist_store *store)
{
	wake(store, true);
}

/* ---- deleted collections ---- */

struct purge {
	int64_t collection; /* 0: none is left */
	struct ist_released released;
};

/* Fields go last: removing items needs their ids. */
static enum ist_code purge_rest(struct ist_db *db, int64_t collection, struct ist_err *err)
{
	static const enum ist_sql all[] = {IST_SQL_DROPPED_FIELDS,	IST_SQL_DROPPED_TRIPLES,
					   IST_SQL_DROPPED_MODELS,	IST_SQL_DROPPED_GENERATIONS,
					   IST_SQL_DROPPED_ACTIVATIONS, IST_SQL_DROPPED_COLLECTION};
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < IST_COUNT(all); i++)
		code = ist_db_run(db, all[i], err, "i", collection);
	return code;
}

/* Some rows of a deleted collection, or what is left when it has none. */
static enum ist_code run_purge(struct ist_store *store, struct ist_db *db, void *user,
			       struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	struct purge *purge = user;
	struct ist_counts counts = {0};
	int64_t rows[500];
	size_t n = 0;
	bool more = true;
	enum ist_code code;

	purge->released.n = 0;
	code = ist_db_int(db, IST_SQL_DROPPED_NEXT, 0, &purge->collection, err, "");
	if (code != IST_OK || purge->collection == 0)
		return code;
	code = ist_db_bind(db, IST_SQL_ROWS_FIRST, &st, err, "i", purge->collection);
	while (code == IST_OK && n < IST_COUNT(rows) &&
	       (code = ist_db_step(db, st, &more, err)) == IST_OK && more)
		rows[n++] = sqlite3_column_int64(st, 0);
	ist_db_reset(&st);
	for (size_t i = 0; code == IST_OK && i < n; i++)
		code = ist_item_remove(store, db, purge->collection, rows[i], false, &counts,
				       &purge->released, err);
	if (code == IST_OK)
		code = ist_released_settle(db, &purge->released, err);
	if (code == IST_OK && n == 0)
		code = purge_rest(db, purge->collection, err);
	return code;
}

static void publish_purge(struct ist_store *store, struct ist_db *db, void *user)
{
	struct purge *purge = user;

	ist_released_drop(store, db, &purge->released);
}

void ist_maintenance_purge(struct ist_store *store)
{
	struct purge purge = {0};
	struct ist_err err = {0};
	enum ist_code code;

	do {
		code = ist_store_write(store, run_purge, publish_purge, &purge, 500, &err);
	} while (code == IST_OK && purge.collection != 0 && !store->stopping);
	if (code != IST_OK)
		ist_store_event(store, IST_EVENT_WARNING, "purge_failed", "%s", err.text);
	ist_released_finish(&purge.released);
}

/* ---- folders without a row ---- */

/* Only folders of our own form are touched: g_7, m_3. */
static void clean_folder(struct ist_store *store, struct ist_db *db, const char *name, char letter,
			 enum ist_sql known)
{
	ist_autofree char *path = ist_format("%s/%s", store->folder, name);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		int64_t number, there = 1;
		ist_autofree char *folder = ist_format("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != letter ||
		    sscanf(entry->d_name + 1, "_%" SCNd64, &number) != 1 ||
		    ist_db_int(db, known, 0, &there, NULL, "i", number) != IST_OK || there != 0)
			continue;
		if (ist_dir_remove(folder, NULL) != IST_OK)
			ist_store_event(store, IST_EVENT_WARNING, "clean_failed", "%s", folder);
	}
	if (dir != NULL)
		closedir(dir);
}

void ist_maintenance_clean_files(struct ist_store *store)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};

	if (ist_db_take(&store->pool, &lease, NULL) != IST_OK)
		return;
	pthread_mutex_lock(&store->files_lock);
	clean_folder(store, lease.db, "generations", 'g', IST_SQL_GENERATION_IS_KNOWN);
	clean_folder(store, lease.db, "models", 'm', IST_SQL_MODEL_IS_KNOWN);
	pthread_mutex_unlock(&store->files_lock);
}

/* ---- the check after an unclean stop ---- */

static int stop_check(void *user)
{
	const struct ist_store *store = user;

	return store->stopping;
}

enum ist_code ist_maintenance_check(struct ist_store *store, struct ist_err *err)
{
	ist_auto(ist_db_finalize) sqlite3_stmt *st = NULL;
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	const char *text = NULL;
	enum ist_code code = ist_db_take(&store->pool, &lease, err);
	int rc;

	if (code != IST_OK)
		return code;
	sqlite3_progress_handler(lease.db->sql, 10000, stop_check, store);
	rc = sqlite3_prepare_v2(lease.db->sql, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		text = ist_db_text(st, 0);
	if (text != NULL && strcmp(text, "ok") != 0)
		code = ist_fail(err, IST_CORRUPT, "quick_check: %s", text);
	else if (text == NULL && !store->stopping)
		code = ist_db_fail(lease.db->sql, err, "quick_check");
	sqlite3_progress_handler(lease.db->sql, 0, NULL, NULL);
	return code;
}

/* An I/O error is not damage: it is reported and writes go on. */
static void check(struct ist_store *store)
{
	struct ist_err err = {0};
	enum ist_code code = ist_maintenance_check(store, &err);

	if (code == IST_OK)
		return;
	ist_store_event(store, IST_EVENT_ERROR, "check_failed", "%s", err.text);
	if (code == IST_CORRUPT) {
		snprintf(store->reason, sizeof(store->reason), "%.255s", err.text);
		store->state = IST_STORE_DAMAGED;
	}
}

/* ---- the thread ---- */

/* The next collection that wants something, with a reference; NULL: none. */
static struct ist_collection *next_wanting(struct ist_store *store)
{
	struct ist_collection *found = NULL;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; found == NULL && i < store->n_collections; i++) {
		struct ist_collection *c = store->collections[i];

		if (!c->deleted && (c->want_load || c->want_merge))
			found = ist_collection_ref(c);
	}
	pthread_mutex_unlock(&store->lock);
	return found;
}

/* A load is a merge that finds nothing to do. */
static void serve(struct ist_collection *c)
{
	struct ist_err err = {0};
	bool merge = c->want_merge;
	enum ist_code code;

	c->want_load = c->want_merge = false;
	code = ist_live_merge(c, false, &err);
	if (code != IST_OK && code != IST_CANCELLED && code != IST_NOT_FOUND)
		ist_store_event(c->store, IST_EVENT_WARNING, merge ? "merge_failed" : "load_failed",
				"%s", err.text);
}

/* Sleeps until something is wanted; false: the end. */
static bool wait_for_work(struct ist_maintenance *m, bool *ret_clean)
{
	pthread_mutex_lock(&m->lock);
	while (!m->something && !m->stop)
		pthread_cond_wait(&m->wanted, &m->lock);
	m->something = false;
	*ret_clean = m->clean;
	m->clean = false;
	pthread_mutex_unlock(&m->lock);
	return !m->store->stopping;
}

static void *maintenance_main(void *arg)
{
	struct ist_maintenance *m = arg;
	struct ist_store *store = m->store;
	struct ist_collection *c;
	bool clean;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	ist_threads_use((int)IST_MAX(1, IST_MIN(sysconf(_SC_NPROCESSORS_ONLN), BUILD_THREADS_MAX)));
	if (store->was_unclean) {
		check(store);
		ist_media_sweep(store);
	}
	while (wait_for_work(m, &clean)) {
		while (!store->stopping && (c = next_wanting(store)) != NULL) {
			serve(c);
			ist_collection_unref(c);
		}
		if (clean && !store->stopping) {
			ist_maintenance_purge(store);
			ist_maintenance_clean_files(store);
		}
	}
	return NULL;
}

enum ist_code ist_maintenance_create(struct ist_store *store, struct ist_maintenance **ret,
				     struct ist_err *err)
{
	struct ist_maintenance *m = ist_alloc(1, sizeof(*m));

	m->store = store;
	m->something = m->clean = true; /* what the last run left behind */
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->wanted, NULL);
	*ret = m;
	if (pthread_create(&m->thread, NULL, maintenance_main, m) == 0)
		return IST_OK;
	*ret = NULL;
	free(m);
	return ist_fail_errno(err, "starting the maintenance thread");
}

void ist_maintenance_destroy(struct ist_maintenance *m)
{
	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->wanted);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
	m->store->maintenance = NULL;
	pthread_cond_destroy(&m->wanted);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
