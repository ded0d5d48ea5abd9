/*
 * Arenas: memory released all at once at the end of a lifetime (request, graph, step). Blocks are
 * kept over a reset, so that a loop that resets its arena stops allocating. What is not handed out
 * is poisoned under the address sanitizer. One thread at a time.
 */
#ifndef IST_CORE_BASE_ARENA_H
#define IST_CORE_BASE_ARENA_H

#include <stddef.h>

struct ist_arena {
	struct ist_arena_block *first, *now;
};

void ist_arena_finish(struct ist_arena *arena);
void ist_arena_reset(struct ist_arena *arena);
void *ist_arena_alloc(struct ist_arena *arena, size_t n, size_t size); /* zeroed, 64-byte aligned */
char *ist_arena_strdup(struct ist_arena *arena, const char *s);
char *ist_arena_format(struct ist_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
