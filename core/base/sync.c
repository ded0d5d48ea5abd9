/* See sync.h. The threads take descriptors from one counter; the caller is one of them. */
#include "core/base/sync.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/memory.h"

#define THREADS 8 /* with the caller */
#define STACK ((size_t)64 << 10)

struct crew {
	const int *fds;
	size_t n;
	atomic_size_t next, failed; /* failed: n if none has */
	atomic_int error;
};

static void *work(void *user)
{
	struct crew *crew = user;
	size_t i;

	while ((i = atomic_fetch_add(&crew->next, 1)) < crew->n)
		if (fsync(crew->fds[i]) != 0) {
			atomic_store(&crew->error, errno);
			atomic_store(&crew->failed, i);
		}
	return NULL;
}

size_t ist_sync_all(const int *fds, size_t n)
{
	struct crew crew = {.fds = fds, .n = n, .failed = n};
	size_t n_more = n < 2 ? 0 : IST_MIN(n, THREADS) - 1, started = 0;
	pthread_t threads[THREADS];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, IST_MAX(STACK, (size_t)PTHREAD_STACK_MIN));
	while (started < n_more && pthread_create(&threads[started], &attr, work, &crew) == 0)
		started++;
	pthread_attr_destroy(&attr);
	work(&crew);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (crew.failed < n)
		errno = crew.error;
	return crew.failed;
}
