/*
 * Memory that cannot fail quietly, and locals that release themselves.
 *
 * ist_alloc and its kin abort when the machine has no memory left: everything that a client sizes
 * is bounded by a table before it is allocated, so running out is not an input error.
 */
#ifndef IST_CORE_BASE_MEMORY_H
#define IST_CORE_BASE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

void *ist_alloc(size_t n, size_t size);	    /* zeroed; n * size checked for overflow */
void *ist_alloc_raw(size_t n, size_t size); /* not zeroed */
void *ist_resize(void *p, size_t n, size_t size);
void *ist_alloc_aligned(size_t n, size_t size); /* 64-byte aligned, zeroed; released by free() */
char *ist_strdup(const char *s);		/* NULL stays NULL */
char *ist_strndup(const char *s, size_t n);
char *ist_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void ist_free_ptr(void *p)
{
	free(*(void **)p);
}
/* `ist_autofree char *path = ist_format(…);` is freed when it leaves its scope. */
#define ist_autofree __attribute__((cleanup(ist_free_ptr)))
#define ist_auto(ender) __attribute__((cleanup(ender)))
/* Hands a self-releasing local to the caller: `*ret = ist_steal(&thing);` */
#define ist_steal(p)                                                                               \
	__extension__({                                                                            \
		__typeof__(*(p)) stolen_ = *(p);                                                   \
		*(p) = NULL;                                                                       \
		stolen_;                                                                           \
	})

#define IST_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define IST_MIN(a, b) ((a) < (b) ? (a) : (b))
#define IST_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
