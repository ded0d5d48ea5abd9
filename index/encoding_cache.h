/*
 * What encoders made, kept by content, so that media that come again cost no decoding and no
 * encoding. A cache and no truth: a SQLite file of its own that may be deleted at any time, is
 * written without waiting for the disk, and is thrown away when it is damaged. Full, it forgets the
 * oldest. Nothing here fails: what is not found is made again.
 *
 * The file is opened by the first call. Any thread may call; a call holds a lock for its time.
 */
#ifndef IST_INDEX_ENCODING_CACHE_H
#define IST_INDEX_ENCODING_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/hash.h"

struct ist_encoding_cache;

struct ist_encoding_cache_options {
	const char *path;   /* of the file; its folder is made */
	uint64_t max_bytes; /* of the file, about; 0: nothing is kept */
	/* "encoding_cache_dropped" and why; any thread, the lock is held. May be NULL. */
	void (*event)(void *user, int level, const char *event, const char *text);
	void *user;
	int level; /* what `event` is given */
};

struct ist_encoding {
	uint8_t key[IST_SHA256_SIZE]; /* of the content and of whatever the result depends on */
	char type[32];		      /* of a picture, "image/png"; "" for a text */
	uint32_t width, height;	      /* of a picture */
	float *vector;		      /* (dim); NULL: only what the picture is */
	size_t dim;
};

struct ist_encoding_cache *
ist_encoding_cache_create(const struct ist_encoding_cache_options *options);
void ist_encoding_cache_destroy(struct ist_encoding_cache *cache); /* NULL is fine */

/* Looks for ret->key. ret->dim and ret->vector say what is wanted; the vector is copied there. */
bool ist_encoding_cache_get(struct ist_encoding_cache *cache, struct ist_encoding *ret);
/* All in one transaction. Keys that are there already stay as they are. */
void ist_encoding_cache_put(struct ist_encoding_cache *cache, const struct ist_encoding *list,
			    size_t n);
/* Of the file, without what is free in it; 0 if it was not opened yet. */
uint64_t ist_encoding_cache_bytes(struct ist_encoding_cache *cache);

#endif
