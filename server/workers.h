/*
 * A bounded queue of tasks and the threads that work on them. Threads are started when there is
 * work and none is idle, up to a number, and stay. A task lives in its owner's memory.
 */
#ifndef IST_SERVER_WORKERS_H
#define IST_SERVER_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

struct ist_worker;
struct ist_daemon;
struct ist_workers;

struct ist_task {
	struct ist_task *next;
	void (*run)(struct ist_task *task, struct ist_worker *worker);
};

/* `queue`: tasks that may wait while all threads are busy. `nice`: as in nice(2), 0 to 19; threads
 * of a higher one let the others go first. */
struct ist_workers *ist_workers_create(struct ist_daemon *daemon, const char *name,
				       size_t n_threads, size_t queue, int nice);
/* False: the queue is full. `always` lets in what continues work already let in, and is refused
 * only where no thread could be started. */
bool ist_workers_submit(struct ist_workers *pool, struct ist_task *task, bool always);
size_t ist_workers_max(const struct ist_workers *pool); /* threads that there may be */
/* Tasks that wait, and threads at work. */
void ist_workers_stats(struct ist_workers *pool, size_t *ret_waiting, size_t *ret_busy);
/* Runs what waits, then ends the threads. NULL is fine. */
void ist_workers_destroy(struct ist_workers *pool);

#endif
