/* The clock that only goes forward. */
#ifndef IST_CORE_BASE_CLOCK_H
#define IST_CORE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since some fixed moment; any thread. */
static inline int64_t ist_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
