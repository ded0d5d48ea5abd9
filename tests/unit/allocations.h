/*
 * Counting allocations: the C library's allocator is replaced by one that counts and passes on, so
 * what OpenMP allocates is counted too. What libraries take inside a call is not: OpenBLAS's
 * AVX-512 kernels borrow a buffer for each small product, oneDNN copies a primitive's arguments
 * into C++ containers at each execution, whoever calls them. One file of a program includes this.
 */
#ifndef IST_TESTS_UNIT_ALLOCATIONS_H
#define IST_TESTS_UNIT_ALLOCATIONS_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ALLOCATIONS_COUNT 0 /* the sanitizer's allocator is in the way */
static size_t allocations;
static bool counting;
#else
#define ALLOCATIONS_COUNT 1
static size_t allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool counting; /* only during steps: the loader itself allocates before dladdr works */

static bool is_library(const char *file)
{
	static const char *const names[] = {"openblas", "libdnnl", "libstdc++"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(file, names[i]) != NULL)
			return true;
	return false;
}

static void count(const void *caller)
{
	Dl_info info;

	if (!__atomic_load_n(&counting, __ATOMIC_RELAXED))
		return;
	if (dladdr(caller, &info) == 0 || !is_library(info.dli_fname))
		__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	count(__builtin_return_address(0));
	*ret = __libc_memalign(alignment, size);
	return *ret != NULL ? 0 : ENOMEM;
}
#endif

static inline void allocations_begin(void)
{
	__atomic_store_n(&allocations, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&counting, true, __ATOMIC_RELAXED);
}

/* Their number since the beginning. */
static inline size_t allocations_end(void)
{
	__atomic_store_n(&counting, false, __ATOMIC_RELAXED);
	return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

#endif
