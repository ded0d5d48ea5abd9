/*
 * Items on the wire and struct ist_item: reading what a client sends, and writing items and the
 * members of hits. What is read lives in the arena or borrows from the JSON document, which must
 * outlive it.
 */
#ifndef IST_SERVER_ITEM_JSON_H
#define IST_SERVER_ITEM_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "index/store.h"

#define IST_ITEM_TEXTS_MAX 100
#define IST_ITEM_TEXT_BYTES_MAX 65536
#define IST_ITEM_METADATA_BYTES_MAX (1 << 20)

/* Vectors that were cut out of a line before it was parsed (vector_scan.h); NULL: none. */
struct ist_cut_vectors {
	const float *image;
	size_t image_dim;
	const float *texts; /* (n_texts, texts_dim) */
	size_t n_texts, texts_dim;
};

/* Which members the document has, null counting as present. */
enum ist_item_member {
	IST_ITEM_IMAGE = 1,
	IST_ITEM_TEXTS = 2,
	IST_ITEM_LABEL = 4,
	IST_ITEM_METADATA = 8,
	IST_ITEM_VECTORS = 16,
};

struct ist_item_given {
	struct ist_item item;	/* image.data and image.bytes from base64; features where given */
	unsigned members;	/* enum ist_item_member */
	const json_t *metadata; /* as it came, for merging; NULL: none or null */
	bool image_by_hash;	/* {"sha256"} without bytes: the store must hold it */
};

struct ist_item_source {
	const json_t *json; /* NULL: a form that has only a picture */
	const char *id; /* NULL: the document must hold "id" (imports); else it may hold the same */
	struct ist_str picture; /* a part of a form, or a member of an archive */
	const struct ist_cut_vectors *cut;
	bool patch; /* it need not be a whole item, and metadata is left as it came */
};
/* `dim` are the widths of the collection's encoders. */
IST_CHECKED enum ist_code ist_item_parse(const struct ist_item_source *source,
					 const size_t dim[IST_N_MODALITIES],
					 struct ist_arena *arena, struct ist_item_given *ret,
					 struct ist_err *err);
/* What a whole item must be: something to be found by, vectors that fit the texts. */
IST_CHECKED enum ist_code ist_item_check(const struct ist_item *item, struct ist_err *err);
/* The merge of RFC 7396: a new object without the members that `patch` sets to null. */
json_t *ist_json_merge(const json_t *target, const json_t *patch);
/* The compact, sorted text that struct ist_item holds; in the arena. IST_INVALID if too long. */
IST_CHECKED enum ist_code ist_metadata_text(const json_t *metadata, struct ist_arena *arena,
					    const char **ret, struct ist_err *err);

/* Appends {"id": …, "image": …, "texts", "label", "metadata"[, "vectors"], "created_at",
 * "updated_at"}; vectors: those that the client gave, if the item was read with vectors. */
void ist_item_put(struct ist_buf *buf, const struct ist_item *item,
		  const size_t dim[IST_N_MODALITIES], bool with_vectors);
/* ,"vectors":{…} with those that the client gave; nothing where there are none. */
void ist_item_put_vectors(struct ist_buf *buf, const struct ist_item *item,
			  const size_t dim[IST_N_MODALITIES]);
/* Single members with their name, for hits: "texts":[…] and so on; null where there is none. */
void ist_item_put_image(struct ist_buf *buf, const struct ist_item *item);
void ist_item_put_texts(struct ist_buf *buf, const struct ist_item *item);
void ist_item_put_label(struct ist_buf *buf, const struct ist_item *item);
void ist_item_put_metadata(struct ist_buf *buf, const struct ist_item *item);

#endif
