/*
 * Group commit. SQLITE_FULL or an I/O error inside a batch rolls the whole transaction back,
 * savepoints too: then each member is tried alone once, so that nobody is acknowledged from a
 * failed batch and nobody fails for a neighbour's fault. Checkpoints run here, between batches.
 */
#include "index/writer.h"

#include <string.h>

#include "core/base/memory.h"
#include "index/items.h"
#include "index/store_internal.h"
#include "index/vectors.h"

enum {
	BATCH_WEIGHT = 2000,	 /* items in one transaction, about */
	CHECKPOINT_PAGES = 8192, /* of the WAL: 32 MB */
};

struct ist_writer {
	struct ist_store *store;
	struct ist_db *db;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below, and every operation's own part */
	pthread_cond_t work, published_changed;
	struct ist_op *first, *last;
	size_t n_queued;
	uint64_t committing, published; /* batches */
	bool stopping;
	pthread_rwlock_t gate; /* written from a commit to its publication; read by who holds */
};

/* Whether the error took the transaction with it, or may have. */
static bool is_batch_error(const struct ist_writer *w, enum ist_code code)
{
	return sqlite3_get_autocommit(w->db->sql) || code == IST_STORAGE_FULL || code == IST_IO ||
	       code == IST_NO_MEMORY || code == IST_CORRUPT;
}

static void rollback(struct ist_writer *w)
{
	if (!sqlite3_get_autocommit(w->db->sql))
		sqlite3_exec(w->db->sql, "ROLLBACK", NULL, NULL, NULL);
	ist_field_ids_forget(w->store->fields);
}

/* What rolls back one member must not forget the field ids of the others: all are looked up
 * again. */
static enum ist_code run_in_savepoint(struct ist_writer *w, struct ist_op *op)
{
	enum ist_code code = ist_db_run(w->db, IST_SQL_SAVEPOINT, &op->err, "");

	if (code != IST_OK)
		return code;
	op->err = (struct ist_err){0};
	code = op->run(w->store, w->db, op->user, &op->err);
	if (code == IST_OK)
		return ist_db_run(w->db, IST_SQL_RELEASE, &op->err, "");
	if (is_batch_error(w, code))
		return code;
	ist_field_ids_forget(w->store->fields);
	if (ist_db_run(w->db, IST_SQL_ROLLBACK_TO, NULL, "") != IST_OK ||
	    ist_db_run(w->db, IST_SQL_RELEASE, NULL, "") != IST_OK)
		return ist_db_fail(w->db->sql, &op->err, "rolling back one write");
	return code;
}

/* Runs and commits the list, and leaves the gate closed for its publication. False: nothing of it
 * was written, for the batch's own sake. */
static bool commit_batch(struct ist_writer *w, struct ist_op *list)
{
	struct ist_err err = {0};
	enum ist_code code = ist_db_run(w->db, IST_SQL_BEGIN, &err, "");
	bool any = false;

	for (struct ist_op *op = list; code == IST_OK && op != NULL; op = op->next) {
		op->code = op->run != NULL ? run_in_savepoint(w, op) : IST_OK;
		any |= op->code == IST_OK && op->run != NULL;
		if (op->code != IST_OK && is_batch_error(w, op->code)) {
			code = op->code;
			err = op->err;
		}
	}
	pthread_rwlock_wrlock(&w->gate);
	pthread_mutex_lock(&w->lock);
	w->committing++;
	pthread_mutex_unlock(&w->lock);
	if (code == IST_OK)
		code = ist_db_run(w->db, IST_SQL_COMMIT, &err, "");
	if (code == IST_OK) {
		w->store->commits += any;
		return true;
	}
	rollback(w);
	pthread_rwlock_unlock(&w->gate);
	for (struct ist_op *op = list; op != NULL; op = op->next) {
		op->code = code;
		op->err = err;
	}
	return false;
}

static void settle(struct ist_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->published = w->committing;
	pthread_cond_broadcast(&w->published_changed);
	pthread_mutex_unlock(&w->lock);
}

/* With the gate closed; opens it. */
static void publish(struct ist_writer *w, struct ist_op *list)
{
	for (struct ist_op *op = list; op != NULL; op = op->next)
		if (op->code == IST_OK && op->publish != NULL)
			op->publish(w->store, w->db, op->user);
	settle(w);
	pthread_rwlock_unlock(&w->gate);
}

/* Results first, then `finished`: the operation lives on its caller's stack. */
static void wake(struct ist_writer *w, struct ist_op *list)
{
	pthread_mutex_lock(&w->lock);
	while (list != NULL) {
		struct ist_op *op = list;

		list = op->next; /* the caller's memory: gone once it is woken */
		op->finished = true;
		pthread_cond_signal(&op->done);
	}
	pthread_mutex_unlock(&w->lock);
}

static bool writes(const struct ist_op *list)
{
	for (; list != NULL; list = list->next)
		if (list->run != NULL)
			return true;
	return false;
}

/* A damaged database takes no more writes; what only publishes goes on. */
static void refuse(struct ist_op *op, const struct ist_store *store)
{
	op->code = op->run == NULL ? IST_OK
				   : ist_fail(&op->err, IST_UNAVAILABLE,
					      "the database is damaged: %s", store->reason);
}

static void alone(struct ist_writer *w, struct ist_op *list)
{
	for (struct ist_op *op = list, *next; op != NULL; op = next) {
		next = op->next;
		op->next = NULL;
		if (commit_batch(w, op))
			publish(w, op);
		op->next = next;
	}
	settle(w); /* what was rolled back counts as published */
}

static void do_batch(struct ist_writer *w, struct ist_op *list)
{
	if (w->store->state == IST_STORE_DAMAGED) {
		for (struct ist_op *op = list; op != NULL; op = op->next)
			refuse(op, w->store);
		pthread_rwlock_wrlock(&w->gate);
		publish(w, list);
	} else if (!writes(list)) {
		pthread_rwlock_wrlock(&w->gate);
		publish(w, list);
	} else if (commit_batch(w, list)) {
		publish(w, list);
	} else {
		alone(w, list);
	}
	wake(w, list);
}

/* A passive checkpoint never waits for readers; a big one is worth its fsync. */
static void checkpoint(struct ist_writer *w)
{
	int pages = 0;

	if (w->store->wal_pages < CHECKPOINT_PAGES)
		return;
	sqlite3_wal_checkpoint_v2(w->db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
	w->store->wal_pages = 0;
}

/* Takes operations from the queue until they weigh enough. */
static struct ist_op *take_batch(struct ist_writer *w)
{
	struct ist_op *list = w->first, *end = list;
	size_t weight = list->weight;

	w->n_queued--;
	while (end->next != NULL && weight + end->next->weight <= BATCH_WEIGHT) {
		end = end->next;
		weight += end->weight;
		w->n_queued--;
	}
	w->first = end->next;
	if (w->first == NULL)
		w->last = NULL;
	end->next = NULL;
	return list;
}

static void *writer_main(void *arg)
{
	struct ist_writer *w = arg;

	ist_threads_use(1);
	for (;;) {
		struct ist_op *list = NULL;

		pthread_mutex_lock(&w->lock);
		while (w->first == NULL && !w->stopping)
			pthread_cond_wait(&w->work, &w->lock);
		if (w->first != NULL)
			list = take_batch(w);
		pthread_mutex_unlock(&w->lock);
		if (list == NULL)
			return NULL;
		do_batch(w, list);
		checkpoint(w);
	}
}

/* SQLite tells after every commit how long the log is. */
static int count_pages(void *user, sqlite3 *sql, const char *name, int pages)
{
	struct ist_store *store = user;

	store->wal_pages = pages;
	return SQLITE_OK;
}

enum ist_code ist_writer_create(struct ist_store *store, struct ist_db *db, struct ist_writer **ret,
				struct ist_err *err)
{
	struct ist_writer *w = ist_alloc(1, sizeof(*w));
	pthread_rwlockattr_t writer_first;

	/* Else a stream of readers could hold the writer for ever. */
	pthread_rwlockattr_init(&writer_first);
	pthread_rwlockattr_setkind_np(&writer_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&w->gate, &writer_first);
	pthread_rwlockattr_destroy(&writer_first);
	w->store = store;
	w->db = db;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->published_changed, NULL);
	sqlite3_wal_hook(db->sql, count_pages, store);
	if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
		free(w);
		return ist_fail_errno(err, "starting the writer thread");
	}
	*ret = w;
	return IST_OK;
}

/* What is queued is still written: its callers wait for it. */
void ist_writer_destroy(struct ist_writer *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	ist_db_close(w->db);
	pthread_rwlock_destroy(&w->gate);
	pthread_cond_destroy(&w->published_changed);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum ist_code ist_writer_do(struct ist_writer *w, struct ist_op *op, struct ist_err *err)
{
	op->next = NULL;
	op->finished = false;
	op->code = IST_OK;
	op->err = (struct ist_err){0};
	pthread_cond_init(&op->done, NULL);
	pthread_mutex_lock(&w->lock);
	if (w->stopping) {
		op->code = ist_fail(&op->err, IST_UNAVAILABLE, "the store is closing");
	} else {
		*(w->last != NULL ? &w->last->next : &w->first) = op;
		w->last = op;
		w->n_queued++;
		pthread_cond_signal(&w->work);
		while (!op->finished)
			pthread_cond_wait(&op->done, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&op->done);
	if (op->code != IST_OK && err != NULL)
		*err = op->err;
	return op->code;
}

void ist_writer_settle(struct ist_writer *w)
{
	uint64_t until;

	pthread_mutex_lock(&w->lock);
	until = w->committing;
	while (w->published < until)
		pthread_cond_wait(&w->published_changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void ist_writer_hold(struct ist_writer *w)
{
	pthread_rwlock_rdlock(&w->gate);
}

void ist_writer_go_on(struct ist_writer *w)
{
	pthread_rwlock_unlock(&w->gate);
}

size_t ist_writer_queue(struct ist_writer *w)
{
	size_t n;

	pthread_mutex_lock(&w->lock);
	n = w->n_queued;
	pthread_mutex_unlock(&w->lock);
	return n;
}
