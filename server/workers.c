/*
 * One mutex guards everything here. Each thread owns a struct ist_worker with its searcher, made
 * when the thread starts; it grows to its largest use and then allocates nothing.
 */
#include "server/workers.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "core/base/memory.h"
#include "server/daemon.h"

#define STACK_SIZE (1 << 20)

struct ist_workers {
	struct ist_daemon *daemon;
	char name[16];
	int nice;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	struct ist_task *first, **last;
	size_t n_waiting, n_idle, n_threads, max_threads, max_waiting;
	size_t n_inside; /* waiting or worked on */
	bool stop;
	pthread_t threads[];
};

struct ist_workers *ist_workers_create(struct ist_daemon *daemon, const char *name,
				       size_t n_threads, size_t queue, int nice)
{
	struct ist_workers *pool =
	    ist_alloc(1, sizeof(*pool) + n_threads * sizeof(pool->threads[0]));

	pool->daemon = daemon;
	pool->nice = nice;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->last = &pool->first;
	pool->max_threads = n_threads;
	pool->max_waiting = queue;
	return pool;
}

static struct ist_task *take(struct ist_workers *pool, bool worked)
{
	struct ist_task *task;

	pthread_mutex_lock(&pool->lock);
	pool->n_inside -= worked;
	pool->n_idle++;
	while (pool->first == NULL && !pool->stop)
		pthread_cond_wait(&pool->wake, &pool->lock);
	pool->n_idle--;
	task = pool->first;
	if (task != NULL) {
		pool->first = task->next;
		if (pool->first == NULL)
			pool->last = &pool->first;
		pool->n_waiting--;
	}
	pthread_mutex_unlock(&pool->lock);
	return task;
}

static void *work(void *arg)
{
	struct ist_workers *pool = arg;
	struct ist_worker worker = {.daemon = pool->daemon};
	struct ist_task *task;

	pthread_setname_np(pthread_self(), pool->name);
	if (pool->nice > 0) /* of this thread alone, as Linux has it */
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + pool->nice);
	ist_threads_use(1);
	worker.searcher = ist_searcher_create();
	for (task = take(pool, false); task != NULL; task = take(pool, true))
		task->run(task, &worker);
	ist_searcher_destroy(worker.searcher);
	return NULL;
}

/* Called with the lock held. That no thread can be started is bearable while there is one. */
static void start_thread(struct ist_workers *pool)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (pthread_create(&pool->threads[pool->n_threads], &attr, work, pool) == 0)
		pool->n_threads++;
	pthread_attr_destroy(&attr);
}

/* A queue that is full says so at once: waiting here would stop the HTTP thread. */
bool ist_workers_submit(struct ist_workers *pool, struct ist_task *task, bool always)
{
	bool taken;

	task->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->n_waiting >= pool->n_idle && pool->n_threads < pool->max_threads && !pool->stop)
		start_thread(pool);
	taken = pool->n_threads > 0 &&
		(always || (!pool->stop && pool->n_inside < pool->max_threads + pool->max_waiting));
	if (taken) {
		*pool->last = task;
		pool->last = &task->next;
		pool->n_waiting++;
		pool->n_inside++;
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

size_t ist_workers_max(const struct ist_workers *pool)
{
	return pool->max_threads;
}

void ist_workers_stats(struct ist_workers *pool, size_t *ret_waiting, size_t *ret_busy)
{
	pthread_mutex_lock(&pool->lock);
	*ret_waiting = pool->n_waiting;
	*ret_busy = pool->n_inside - pool->n_waiting;
	pthread_mutex_unlock(&pool->lock);
}

/* Tasks that wait are still run: each holds a request that somebody waits for. */
void ist_workers_destroy(struct ist_workers *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
