/*
 * Preparing is the costly part of a write and belongs to the worker's thread: nothing here waits
 * for the writer.
 */
#include "server/item_prepare.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/feature.h"
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
static enum ist_code prepare_held(struct ist_worker *w, const struct ist_encoder_ref *ref,
				  struct ist_item *item, float *feature, struct ist_arena *arena,
				  struct ist_err *err)
{
	struct ist_item held;
	const void *data;
	size_t len;

	if (ist_media_find(w->daemon->store, item->image.sha256, arena, &held, err) != IST_OK)
		return ist_err_in(err, "sha256");
	item->image = held.image;
	if (feature == NULL)
		return IST_OK;
	if (ist_media_read(w->daemon->store, item->image.sha256, arena, &data, &len, err) != IST_OK)
		return err->code;
	return ist_feature_image(w, ref, data, len, feature, NULL, err);
}

static enum ist_code prepare_new(struct ist_worker *w, const struct ist_encoder_ref *ref,
				 struct ist_item *item, float *feature, struct ist_arena *arena,
				 struct ist_err *err)
{
	struct ist_picture picture;

	if (ist_feature_image(w, ref, item->image.data, item->image.bytes, feature, &picture,
			      err) != IST_OK)
		return err->code;
	item->image.type = ist_arena_strdup(arena, picture.type);
	item->image.width = picture.width;
	item->image.height = picture.height;
	return IST_OK;
}

static enum ist_code prepare_image(struct ist_worker *w, struct ist_collection *c,
				   struct ist_item_given *given, struct ist_arena *arena,
				   struct ist_err *err)
{
	const struct ist_encoder_ref *ref = ist_collection_encoder(c, IST_IMAGE);
	struct ist_item *item = &given->item;
	float *feature = NULL;
	enum ist_code code;

	if (item->image_vector == NULL)
		feature = ist_arena_alloc(arena, ref->dim, sizeof(*feature));
	code =
	    (given->image_by_hash ? prepare_held : prepare_new)(w, ref, item, feature, arena, err);
	if (code != IST_OK)
		return ist_err_in(err, "image");
	if (feature != NULL)
		item->image_vector = feature;
	return IST_OK;
}

static enum ist_code prepare_texts(struct ist_worker *w, struct ist_collection *c,
				   struct ist_item *item, struct ist_arena *arena,
				   struct ist_err *err)
{
	const struct ist_encoder_ref *ref = ist_collection_encoder(c, IST_TEXT);
	struct ist_str *texts = ist_arena_alloc(arena, item->n_texts, sizeof(*texts));
	float *features = ist_arena_alloc(arena, item->n_texts * ref->dim, sizeof(*features));

	for (size_t i = 0; i < item->n_texts; i++)
		texts[i] = (struct ist_str){item->texts[i], strlen(item->texts[i])};
	if (ist_feature_texts(w, ref, texts, item->n_texts, features, err) != IST_OK)
		return ist_err_in(err, "texts");
	item->text_vectors = features;
	item->n_text_vectors = item->n_texts;
	return IST_OK;
}

enum ist_code ist_item_prepare(struct ist_worker *w, struct ist_collection *c,
			       struct ist_item_given *given, struct ist_arena *arena,
			       struct ist_err *err)
{
	if (given->item.has_image && prepare_image(w, c, given, arena, err) != IST_OK)
		return err->code;
	if (given->item.n_texts > 0 && given->item.text_vectors == NULL)
		return prepare_texts(w, c, &given->item, arena, err);
	return IST_OK;
}
