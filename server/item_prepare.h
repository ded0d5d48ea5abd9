/*
 * From what a client sent to an item that can be written: the picture is looked at by a decoder,
 * and what came without a vector is encoded.
 */
#ifndef IST_SERVER_ITEM_PREPARE_H
#define IST_SERVER_ITEM_PREPARE_H

#include "server/daemon.h"
#include "server/feature.h"
#include "server/item_json.h"

/* Features are made in the arena; given ones stay. Pointers of errors are relative to the item. */
IST_CHECKED enum ist_code ist_item_prepare(struct ist_daemon *daemon, struct ist_collection *c,
					   struct ist_item_given *given, struct ist_arena *arena,
					   struct ist_err *err);

/* Pictures are always looked at, also those that come with a vector: type and size are taken from
 * them, and what cannot be decoded must not be stored. */
struct ist_picture_plan {
	struct ist_item_given *given;
	const struct ist_encoder *encoder; /* NULL: the vector is given */
	enum ist_geometry geometry;	   /* the collection's */
	struct ist_encoding made;
	bool known; /* `made` was remembered, or the store knows all that is wanted */
};
/* Finds out what must be made. ret must live as long as the item, and its memory is the arena's. */
IST_CHECKED enum ist_code ist_picture_plan(struct ist_daemon *daemon, struct ist_collection *c,
					   struct ist_item_given *given, struct ist_arena *arena,
					   struct ist_picture_plan *ret, struct ist_err *err);
/* Any thread; touches nothing but the plan. Nothing to do where it is known. */
IST_CHECKED enum ist_code ist_picture_make(struct ist_daemon *daemon, struct ist_picture_plan *plan,
					   struct ist_err *err);
/* Gives the item what was made. */
void ist_picture_use(struct ist_picture_plan *plan);

/* Whether the item has texts that must be encoded; and encoding all of them at once. */
static inline bool ist_item_wants_texts(const struct ist_item *item)
{
	return item->n_texts > 0 && item->text_vectors == NULL;
}
IST_CHECKED enum ist_code ist_texts_prepare(struct ist_daemon *daemon, struct ist_collection *c,
					    struct ist_item *item, struct ist_arena *arena,
					    struct ist_err *err);

/* The original of a stored picture, in the arena. */
IST_CHECKED enum ist_code ist_media_read(struct ist_store *store, const char *sha256,
					 struct ist_arena *arena, const void **ret, size_t *ret_len,
					 struct ist_err *err);

#endif
