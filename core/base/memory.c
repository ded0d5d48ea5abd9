/* Checked allocation. Aborts with a line on stderr: see the header for why. */
#include "core/base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t product(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	return bytes != 0 ? bytes : 1;
}

static void *checked(void *p, size_t bytes)
{
	if (p == NULL) {
		fprintf(stderr, "isthmus: out of memory (%zu bytes)\n", bytes);
		abort();
	}
	return p;
}

void *ist_alloc(size_t n, size_t size)
{
	return checked(calloc(1, product(n, size)), product(n, size));
}

void *ist_alloc_raw(size_t n, size_t size)
{
	return checked(malloc(product(n, size)), product(n, size));
}

void *ist_resize(void *p, size_t n, size_t size)
{
	return checked(realloc(p, product(n, size)), product(n, size));
}

void *ist_alloc_aligned(size_t n, size_t size)
{
	size_t bytes = product(n, size);
	void *p = NULL;

	if (bytes > SIZE_MAX - 64 || posix_memalign(&p, 64, (bytes + 63) / 64 * 64) != 0)
		p = NULL;
	return memset(checked(p, bytes), 0, bytes);
}

char *ist_strndup(const char *s, size_t n)
{
	char *copy;

	if (s == NULL)
		return NULL;
	copy = ist_alloc_raw(n + 1, 1);
	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *ist_strdup(const char *s)
{
	return s != NULL ? ist_strndup(s, strlen(s)) : NULL;
}

char *ist_format(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return checked(n < 0 ? NULL : text, 0);
}
