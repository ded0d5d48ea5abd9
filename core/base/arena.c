/*
 * A list of blocks, each at least twice as large as the one before. Reset goes back to the first
 * and keeps all, so a loop with a stable need allocates nothing after its first turns.
 */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN 64
#define FIRST_BLOCK 4096

struct ist_arena_block {
	struct ist_arena_block *next;
	size_t used, cap;
	_Alignas(ALIGN) uint8_t data[];
};

void ist_arena_finish(struct ist_arena *arena)
{
	struct ist_arena_block *next;

	for (struct ist_arena_block *b = arena->first; b != NULL; b = next) {
		next = b->next;
		UNPOISON(b->data, b->cap);
		free(b);
	}
	*arena = (struct ist_arena){0};
}

void ist_arena_reset(struct ist_arena *arena)
{
	for (struct ist_arena_block *b = arena->first; b != NULL; b = b->next) {
		b->used = 0;
		POISON(b->data, b->cap);
	}
	arena->now = arena->first;
}

static struct ist_arena_block *block_create(size_t cap)
{
	struct ist_arena_block *b = ist_alloc_aligned(1, sizeof(*b) + cap);

	b->cap = cap;
	POISON(b->data, b->cap);
	return b;
}

/* The next block that has room; new ones go behind the present one. */
static struct ist_arena_block *block_with(struct ist_arena *arena, size_t bytes)
{
	struct ist_arena_block *b = arena->now;
	size_t cap;

	while (b != NULL && b->cap - b->used < bytes && b->next != NULL)
		b = b->next;
	if (b == NULL || b->cap - b->used < bytes) {
		cap = b == NULL ? FIRST_BLOCK : b->cap * 2;
		struct ist_arena_block *more = block_create(IST_MAX(cap, bytes));

		if (b == NULL)
			arena->first = more;
		else
			b->next = more;
		b = more;
	}
	arena->now = b;
	return b;
}

void *ist_arena_alloc(struct ist_arena *arena, size_t n, size_t size)
{
	struct ist_arena_block *b;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 4)
		return ist_alloc(SIZE_MAX, 2); /* says so and aborts */
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	b = block_with(arena, bytes);
	p = b->data + b->used;
	b->used += bytes;
	UNPOISON(p, bytes);
	return memset(p, 0, bytes);
}

char *ist_arena_strdup(struct ist_arena *arena, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(ist_arena_alloc(arena, n, 1), s, n);
}

char *ist_arena_format(struct ist_arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	text = ist_arena_alloc(arena, (size_t)(n < 0 ? 0 : n) + 1, 1);
	if (n > 0)
		vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}
