/*
 * The one writer. Callers hand it operations and wait; it puts many into one transaction, a
 * savepoint each, commits, publishes what was committed, and then wakes the callers.
 */
#ifndef IST_INDEX_WRITER_H
#define IST_INDEX_WRITER_H

#include <pthread.h>
#include <stdbool.h>

#include "core/base/error.h"
#include "index/db.h"

struct ist_store;
struct ist_writer;

struct ist_op {
	/* Inside the savepoint; NULL: nothing to write. An error rolls back this operation alone.
	 * May be called a second time (after a rollback of the whole batch), so it sets all its
	 * results itself. */
	enum ist_code (*run)(struct ist_store *store, struct ist_db *db, void *user,
			     struct ist_err *err);
	/* After the commit, once, on the writer thread, in order; NULL: nothing to publish. */
	void (*publish)(struct ist_store *store, struct ist_db *db, void *user);
	void *user;
	size_t weight; /* items, so that a batch stays short */

	/* The writer's own. */
	struct ist_op *next;
	enum ist_code code;
	struct ist_err err;
	pthread_cond_t done;
	bool finished;
};

IST_CHECKED enum ist_code ist_writer_create(struct ist_store *store, struct ist_db *db,
					    struct ist_writer **ret, struct ist_err *err);
/* Finishes what is queued, then ends the thread and closes its connection. */
void ist_writer_destroy(struct ist_writer *writer);
/* Returns when the operation is durable and published, or has failed. */
IST_CHECKED enum ist_code ist_writer_do(struct ist_writer *writer, struct ist_op *op,
					struct ist_err *err);
/* Waits until all that is committed by now is published too. */
void ist_writer_settle(struct ist_writer *writer);
/* Between these two nothing is committed or published; for moments only, and not from inside an
 * operation. */
void ist_writer_hold(struct ist_writer *writer);
void ist_writer_go_on(struct ist_writer *writer);
size_t ist_writer_queue(struct ist_writer *writer);

#endif
