/*
 * Originals: files named by their SHA-256, media/ab/abcdef…, durable before the row that names
 * them commits. A hash is pinned while somebody is about to name it, and a file is removed only
 * where no row and no pin is left.
 */
#ifndef IST_INDEX_MEDIA_H
#define IST_INDEX_MEDIA_H

#include <pthread.h>
#include <stdbool.h>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "index/db.h"

struct ist_store;

struct ist_pins {
	pthread_mutex_t lock; /* guards the list; held while a file is removed */
	struct ist_pin {
		uint8_t sha256[IST_SHA256_SIZE];
		size_t n;
	} * list;
	size_t n, cap;
};
void ist_pins_init(struct ist_pins *pins);
void ist_pins_finish(struct ist_pins *pins);
void ist_pins_add(struct ist_pins *pins, const uint8_t sha256[IST_SHA256_SIZE]);
void ist_pins_remove(struct ist_pins *pins, const uint8_t sha256[IST_SHA256_SIZE]);

char *ist_media_path(const struct ist_store *store, const char *sha256);
bool ist_media_parse(const char *hex, uint8_t ret[IST_SHA256_SIZE]);
/* Removes the file of a pinned-by-nobody hash that no row names. */
void ist_media_drop(struct ist_store *store, struct ist_db *db,
		    const uint8_t sha256[IST_SHA256_SIZE]);
/* Removes all such files: after an unclean stop. */
void ist_media_sweep(struct ist_store *store);

#endif
