/*
 * From what a client sent to an item that can be written: the picture is looked at by a decoder,
 * and what came without a vector is encoded.
 */
#ifndef IST_SERVER_ITEM_PREPARE_H
#define IST_SERVER_ITEM_PREPARE_H

#include "server/daemon.h"
#include "server/item_json.h"

/* Features are made in the arena; given ones stay. Pointers of errors are relative to the item. */
IST_CHECKED enum ist_code ist_item_prepare(struct ist_worker *w, struct ist_collection *c,
					   struct ist_item_given *given, struct ist_arena *arena,
					   struct ist_err *err);
/* The original of a stored picture, in the arena. */
IST_CHECKED enum ist_code ist_media_read(struct ist_store *store, const char *sha256,
					 struct ist_arena *arena, const void **ret, size_t *ret_len,
					 struct ist_err *err);

#endif
