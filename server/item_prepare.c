/*
 * Preparing is the costly part of a write: nothing here waits for the writer. What concerns a
 * picture comes in three steps (plan, make, use), so that an import can plan and use on the thread
 * that owns its memory and make on many.
 */
#include "server/item_prepare.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/json.h"

enum ist_code ist_media_read(struct ist_store *store, const char *sha256, struct ist_arena *arena,
			     const void **ret, size_t *ret_len, struct ist_err *err)
{
	uint64_t bytes;
	size_t got = 0;
	ssize_t n = 1;
	char *data;
	int fd;

	if (ist_media_open(store, sha256, &fd, &bytes, err) != IST_OK)
		return err->code;
	data = ist_arena_alloc(arena, bytes + 1, 1);
	while (got < bytes && n > 0) {
		n = read(fd, data + got, bytes - got);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			got += (size_t)n;
	}
	close(fd);
	if (got < bytes)
		return ist_fail(err, IST_CORRUPT, "media %s is cut short", sha256);
	*ret = data;
	*ret_len = got;
	return IST_OK;
}

/* A picture that the server holds: what it is, and its bytes only if it must be encoded. */
static enum ist_code make_held(struct ist_daemon *daemon, struct ist_picture_plan *plan,
			       struct ist_err *err)
{
	const struct ist_item *item = &plan->given->item;
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	const void *data;
	size_t len;

	if (ist_media_read(daemon->store, item->image.sha256, &arena, &data, &len, err) != IST_OK)
		return err->code;
	return ist_feature_make_image(daemon, IST_TURN_INGEST, plan->encoder, plan->geometry, data,
				      len, &plan->made, err);
}

enum ist_code ist_picture_plan(struct ist_daemon *daemon, struct ist_collection *c,
			       struct ist_item_given *given, struct ist_arena *arena,
			       struct ist_picture_plan *ret, struct ist_err *err)
{
	const struct ist_encoder_ref *ref = ist_collection_encoder(c, IST_IMAGE);
	struct ist_item *item = &given->item;
	struct ist_item held;

	*ret = (struct ist_picture_plan){.given = given, .geometry = ref->geometry};
	if (given->image_by_hash) {
		if (ist_media_find(daemon->store, item->image.sha256, arena, &held, err) !=
		    IST_OK) {
			ist_err_in(err, "sha256");
			return ist_err_in(err, "image");
		}
		item->image = held.image;
		ret->known = item->image_vector != NULL;
	}
	if (item->image_vector == NULL) {
		if (ist_feature_encoder(daemon, ref, "picture", &ret->encoder, err) != IST_OK)
			return ist_err_in(err, "image");
		ret->made.vector = ist_arena_alloc(arena, ref->dim, sizeof(float));
		ret->made.dim = ref->dim;
	}
	if (!ret->known)
		ret->known = ist_feature_find_image(daemon, ret->encoder, ret->geometry,
						    item->image.sha256, &ret->made);
	return IST_OK;
}

enum ist_code ist_picture_make(struct ist_daemon *daemon, struct ist_picture_plan *plan,
			       struct ist_err *err)
{
	const struct ist_item *item = &plan->given->item;
	enum ist_code code;

	if (plan->known)
		return IST_OK;
	if (plan->given->image_by_hash)
		code = make_held(daemon, plan, err);
	else
		code =
		    ist_feature_make_image(daemon, IST_TURN_INGEST, plan->encoder, plan->geometry,
					   item->image.data, item->image.bytes, &plan->made, err);
	return code == IST_OK ? IST_OK : ist_err_in(err, "image");
}

void ist_picture_use(struct ist_picture_plan *plan)
{
	struct ist_item *item = &plan->given->item;

	if (!plan->given->image_by_hash) {
		item->image.type = plan->made.type;
		item->image.width = plan->made.width;
		item->image.height = plan->made.height;
	}
	if (plan->made.vector != NULL)
		item->image_vector = plan->made.vector;
}

static enum ist_code prepare_image(struct ist_daemon *daemon, struct ist_collection *c,
				   struct ist_item_given *given, struct ist_arena *arena,
				   struct ist_err *err)
{
	struct ist_picture_plan *plan = ist_arena_alloc(arena, 1, sizeof(*plan));

	if (ist_picture_plan(daemon, c, given, arena, plan, err) != IST_OK ||
	    ist_picture_make(daemon, plan, err) != IST_OK)
		return err->code;
	if (!plan->known)
		ist_feature_keep(daemon, &plan->made, 1);
	ist_picture_use(plan);
	return IST_OK;
}

enum ist_code ist_texts_prepare(struct ist_daemon *daemon, struct ist_collection *c,
				struct ist_item *item, struct ist_arena *arena, struct ist_err *err)
{
	const struct ist_encoder_ref *ref = ist_collection_encoder(c, IST_TEXT);
	struct ist_str *texts = ist_arena_alloc(arena, item->n_texts, sizeof(*texts));
	float *features = ist_arena_alloc(arena, item->n_texts * ref->dim, sizeof(*features));

	for (size_t i = 0; i < item->n_texts; i++)
		texts[i] = (struct ist_str){item->texts[i], strlen(item->texts[i])};
	if (ist_feature_texts(daemon, IST_TURN_INGEST, ref, texts, item->n_texts, features, err) !=
	    IST_OK)
		return ist_err_in(err, "texts");
	item->text_vectors = features;
	item->n_text_vectors = item->n_texts;
	return IST_OK;
}

enum ist_code ist_item_prepare(struct ist_daemon *daemon, struct ist_collection *c,
			       struct ist_item_given *given, struct ist_arena *arena,
			       struct ist_err *err)
{
	if (given->item.has_image && prepare_image(daemon, c, given, arena, err) != IST_OK)
		return err->code;
	if (ist_item_wants_texts(&given->item))
		return ist_texts_prepare(daemon, c, &given->item, arena, err);
	return IST_OK;
}
