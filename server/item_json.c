/*
 * Reading and writing items. What a client may send is a table for each object; what the server
 * sets itself (times, type and size of a picture) is accepted and ignored, so that what was read
 * can be written back.
 */
#include "server/item_json.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/fields.h"
#include "server/json.h"
#include "server/rfc3339.h"
#include "server/vector_json.h"

struct item_body {
	const char *id;
	const json_t *image, *texts, *label, *metadata, *vectors, *ignored;
};

#define AT(member) offsetof(struct item_body, member)

static const struct ist_field item_fields[] = {
    {"id", IST_FIELD_STRING, AT(id), 1, 255},	{"image", IST_FIELD_ANY, AT(image)},
    {"texts", IST_FIELD_ANY, AT(texts)},	{"label", IST_FIELD_ANY, AT(label)},
    {"metadata", IST_FIELD_ANY, AT(metadata)},	{"vectors", IST_FIELD_ANY, AT(vectors)},
    {"created_at", IST_FIELD_ANY, AT(ignored)}, {"updated_at", IST_FIELD_ANY, AT(ignored)},
};

struct image_body {
	const char *base64, *sha256;
	const json_t *ignored;
};

static const struct ist_field image_fields[] = {
    {"base64", IST_FIELD_STRING, offsetof(struct image_body, base64), 1, 1e9},
    {"sha256", IST_FIELD_STRING, offsetof(struct image_body, sha256), 64, 64},
    {"type", IST_FIELD_ANY, offsetof(struct image_body, ignored)},
    {"width", IST_FIELD_ANY, offsetof(struct image_body, ignored)},
    {"height", IST_FIELD_ANY, offsetof(struct image_body, ignored)},
    {"bytes", IST_FIELD_ANY, offsetof(struct image_body, ignored)},
};

struct vectors_body {
	const json_t *image, *texts;
};

static const struct ist_field vectors_fields[] = {
    {"image", IST_FIELD_ANY, offsetof(struct vectors_body, image)},
    {"texts", IST_FIELD_ANY, offsetof(struct vectors_body, texts)},
};

/* The hash is taken of the bytes; one that came along must agree, or something was mixed up. */
static enum ist_code read_image_bytes(const struct image_body *body, struct ist_arena *arena,
				      struct ist_item *item, struct ist_err *err)
{
	size_t len = strlen(body->base64), n;
	uint8_t *data = ist_arena_alloc(arena, ist_base64_bound(len), 1);
	char sha256[IST_SHA256_HEX];

	if (!ist_base64_decode(body->base64, len, data, &n) || n == 0) {
		ist_fail(err, IST_INVALID, "must be the bytes of a picture in base64");
		return ist_err_in(err, "base64");
	}
	ist_sha256_hex(data, n, sha256);
	if (body->sha256 != NULL && strcmp(body->sha256, sha256) != 0) {
		ist_fail(err, IST_INVALID, "is not the hash of the bytes in base64");
		return ist_err_in(err, "sha256");
	}
	item->image.data = data;
	item->image.bytes = n;
	memcpy(item->image.sha256, sha256, sizeof(sha256));
	return IST_OK;
}

/* Null is no picture. A hash without bytes names one that the server holds; whether it does is
 * found out when the item is prepared. */
static enum ist_code read_image(const json_t *json, struct ist_arena *arena,
				struct ist_item_given *given, struct ist_err *err)
{
	struct image_body body = {0};

	if (json_is_null(json))
		return IST_OK;
	if (ist_fields_read(json, image_fields, IST_COUNT(image_fields), &body, err) != IST_OK)
		return err->code;
	if (body.sha256 != NULL && strspn(body.sha256, "0123456789abcdef") != 64) {
		ist_fail(err, IST_INVALID, "must be 64 hexadecimal digits in lower case");
		return ist_err_in(err, "sha256");
	}
	if (body.base64 == NULL && body.sha256 == NULL)
		return ist_fail(err, IST_INVALID, "must have base64 or sha256");
	given->item.has_image = true;
	if (body.base64 != NULL)
		return read_image_bytes(&body, arena, &given->item, err);
	memcpy(given->item.image.sha256, body.sha256, IST_SHA256_HEX);
	given->image_by_hash = true;
	return IST_OK;
}

/* Strings stay in the document; only the array of pointers is made. */
static enum ist_code read_texts(const json_t *json, struct ist_arena *arena, struct ist_item *item,
				struct ist_err *err)
{
	size_t n = json_array_size(json);
	const char **texts;

	if (json_is_null(json))
		return IST_OK;
	if (!json_is_array(json))
		return ist_fail(err, IST_INVALID, "must be an array of strings");
	if (n > IST_ITEM_TEXTS_MAX)
		return ist_fail(err, IST_INVALID, "must have at most %d texts, got %zu",
				IST_ITEM_TEXTS_MAX, n);
	texts = ist_arena_alloc(arena, n + 1, sizeof(*texts));
	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_array_get(json, i);
		size_t len = json_string_length(text);

		if (!json_is_string(text) || len < 1 || len > IST_ITEM_TEXT_BYTES_MAX) {
			ist_fail(err, IST_INVALID, "must be a string of 1 to %d bytes",
				 IST_ITEM_TEXT_BYTES_MAX);
			return ist_err_in_index(err, i);
		}
		texts[i] = json_string_value(text);
	}
	item->texts = texts;
	item->n_texts = n;
	return IST_OK;
}

static enum ist_code read_label(const json_t *json, struct ist_item *item, struct ist_err *err)
{
	size_t len = json_string_length(json);

	if (json_is_null(json))
		return IST_OK;
	if (!json_is_string(json) || len < 1 || len > 255)
		return ist_fail(err, IST_INVALID, "must be a string of 1 to 255 bytes, or null");
	item->label = json_string_value(json);
	return IST_OK;
}

/* Sorted and compact: the same metadata has the same text, which is what "unchanged" compares. */
enum ist_code ist_metadata_text(const json_t *metadata, struct ist_arena *arena, const char **ret,
				struct ist_err *err)
{
	struct ist_buf buf = {0};
	bool fits;

	ist_json_put(&buf, metadata, true);
	fits = buf.len <= IST_ITEM_METADATA_BYTES_MAX;
	if (fits)
		*ret = ist_arena_strdup(arena, buf.data);
	ist_buf_finish(&buf);
	return fits ? IST_OK
		    : ist_fail(err, IST_INVALID, "must have at most %d bytes as JSON",
			       IST_ITEM_METADATA_BYTES_MAX);
}

/* A patch is merged into what is there later, so it is kept as it came. */
static enum ist_code read_metadata(const json_t *json, bool patch, struct ist_arena *arena,
				   struct ist_item_given *given, struct ist_err *err)
{
	if (json_is_null(json))
		return IST_OK;
	if (!json_is_object(json))
		return ist_fail(err, IST_INVALID, "must be an object or null");
	given->metadata = json;
	return patch ? IST_OK : ist_metadata_text(json, arena, &given->item.metadata, err);
}

/* All rows are as wide as the text encoder, so they become one matrix. */
static enum ist_code read_text_vectors(const json_t *json, size_t dim, struct ist_arena *arena,
				       struct ist_item *item, struct ist_err *err)
{
	size_t n = json_array_size(json);
	float *rows;

	if (!json_is_array(json) || n < 1 || n > IST_ITEM_TEXTS_MAX)
		return ist_fail(err, IST_INVALID, "must be an array of 1 to %d vectors",
				IST_ITEM_TEXTS_MAX);
	rows = ist_arena_alloc(arena, n * dim, sizeof(*rows));
	for (size_t i = 0; i < n; i++) {
		const float *row;

		if (ist_vector_parse_dim(json_array_get(json, i), dim, "the text encoder", arena,
					 &row, err) != IST_OK)
			return ist_err_in_index(err, i);
		memcpy(rows + i * dim, row, dim * sizeof(*rows));
	}
	item->text_vectors = rows;
	item->n_text_vectors = n;
	item->given[IST_TEXT] = true;
	return IST_OK;
}

static enum ist_code read_vectors(const json_t *json, const size_t dim[IST_N_MODALITIES],
				  struct ist_arena *arena, struct ist_item *item,
				  struct ist_err *err)
{
	struct vectors_body body = {0};

	if (json_is_null(json))
		return IST_OK;
	if (ist_fields_read(json, vectors_fields, IST_COUNT(vectors_fields), &body, err) != IST_OK)
		return err->code;
	if (body.image != NULL && !json_is_null(body.image)) {
		if (ist_vector_parse_dim(body.image, dim[IST_IMAGE], "the image encoder", arena,
					 &item->image_vector, err) != IST_OK)
			return ist_err_in(err, "image");
		item->given[IST_IMAGE] = true;
	}
	if (body.texts != NULL && !json_is_null(body.texts) &&
	    read_text_vectors(body.texts, dim[IST_TEXT], arena, item, err) != IST_OK)
		return ist_err_in(err, "texts");
	return IST_OK;
}

/* The scanner took any width; here it is compared with the collection's. */
static enum ist_code use_cut(const struct ist_cut_vectors *cut, const size_t dim[IST_N_MODALITIES],
			     struct ist_item *item, struct ist_err *err)
{
	if (cut->image != NULL && cut->image_dim != dim[IST_IMAGE]) {
		ist_fail(err, IST_DIM_MISMATCH,
			 "must have %zu numbers (the image encoder), got %zu", dim[IST_IMAGE],
			 cut->image_dim);
		return ist_err_in(err, "image");
	}
	if (cut->texts != NULL && cut->texts_dim != dim[IST_TEXT]) {
		ist_fail(err, IST_DIM_MISMATCH, "must have %zu numbers (the text encoder), got %zu",
			 dim[IST_TEXT], cut->texts_dim);
		ist_err_in_index(err, 0);
		return ist_err_in(err, "texts");
	}
	item->image_vector = cut->image;
	item->given[IST_IMAGE] = cut->image != NULL;
	item->text_vectors = cut->texts;
	item->n_text_vectors = cut->n_texts;
	item->given[IST_TEXT] = cut->texts != NULL;
	return IST_OK;
}

/* The id of the path wins. A document that was read elsewhere and is written here under another id
 * is more likely a mistake than a wish. */
static enum ist_code check_id(const struct item_body *body, const char *id, struct ist_item *item,
			      struct ist_err *err)
{
	if (id != NULL && body->id != NULL && strcmp(id, body->id) != 0)
		ist_fail(err, IST_INVALID, "must be the id in the path, or absent");
	else if (id == NULL && body->id == NULL)
		ist_fail(err, IST_INVALID, "is required");
	else if (id == NULL && !ist_name_is_valid(body->id, strlen(body->id)))
		ist_fail(err, IST_INVALID,
			 "must be 1 to 255 bytes of UTF-8 without control characters, not . or ..");
	else {
		item->id = id != NULL ? id : body->id;
		return IST_OK;
	}
	return ist_err_in(err, "id");
}

enum ist_code ist_item_check(const struct ist_item *item, struct ist_err *err)
{
	if (!item->has_image && item->n_texts == 0 && item->image_vector == NULL &&
	    item->text_vectors == NULL)
		return ist_fail(err, IST_INVALID, "an item has an image, a text or a vector");
	if (item->text_vectors != NULL && item->n_texts > 0 &&
	    item->n_texts != item->n_text_vectors)
		return ist_fail_at(err, IST_INVALID, "/vectors/texts",
				   "must have a row for each of the %zu texts, got %zu",
				   item->n_texts, item->n_text_vectors);
	return IST_OK;
}

/* For patches: what is absent stays, what is null goes. */
static unsigned members_of(const struct item_body *body, const struct ist_cut_vectors *cut)
{
	return (body->image != NULL ? IST_ITEM_IMAGE : 0u) |
	       (body->texts != NULL ? IST_ITEM_TEXTS : 0u) |
	       (body->label != NULL ? IST_ITEM_LABEL : 0u) |
	       (body->metadata != NULL ? IST_ITEM_METADATA : 0u) |
	       (body->vectors != NULL || cut != NULL ? IST_ITEM_VECTORS : 0u);
}

static enum ist_code read_members(const struct item_body *body,
				  const struct ist_item_source *source,
				  const size_t dim[IST_N_MODALITIES], struct ist_arena *arena,
				  struct ist_item_given *ret, struct ist_err *err)
{
	if (body->image != NULL && read_image(body->image, arena, ret, err) != IST_OK)
		return ist_err_in(err, "image");
	if (body->texts != NULL && read_texts(body->texts, arena, &ret->item, err) != IST_OK)
		return ist_err_in(err, "texts");
	if (body->label != NULL && read_label(body->label, &ret->item, err) != IST_OK)
		return ist_err_in(err, "label");
	if (body->metadata != NULL &&
	    read_metadata(body->metadata, source->patch, arena, ret, err) != IST_OK)
		return ist_err_in(err, "metadata");
	if (source->cut != NULL)
		return use_cut(source->cut, dim, &ret->item, err) == IST_OK
			   ? IST_OK
			   : ist_err_in(err, "vectors");
	if (body->vectors != NULL &&
	    read_vectors(body->vectors, dim, arena, &ret->item, err) != IST_OK)
		return ist_err_in(err, "vectors");
	return IST_OK;
}

/* A picture that came beside the document. */
static enum ist_code use_picture(const struct ist_item_source *source, const struct item_body *body,
				 struct ist_item_given *ret, struct ist_err *err)
{
	struct ist_item *item = &ret->item;

	if (source->picture.data == NULL)
		return IST_OK;
	if (body->image != NULL && !json_is_null(body->image))
		return ist_fail_at(err, IST_INVALID, "/image",
				   "the picture comes on its own: this must be absent");
	if (source->picture.len == 0)
		return ist_fail_at(err, IST_INVALID, "/image", "the picture is empty");
	item->has_image = true;
	item->image.data = source->picture.data;
	item->image.bytes = source->picture.len;
	ist_sha256_hex(source->picture.data, source->picture.len, item->image.sha256);
	ret->members |= IST_ITEM_IMAGE;
	return IST_OK;
}

enum ist_code ist_item_parse(const struct ist_item_source *source,
			     const size_t dim[IST_N_MODALITIES], struct ist_arena *arena,
			     struct ist_item_given *ret, struct ist_err *err)
{
	struct item_body body = {0};

	*ret = (struct ist_item_given){0};
	if (source->json != NULL && ist_fields_read(source->json, item_fields,
						    IST_COUNT(item_fields), &body, err) != IST_OK)
		return err->code;
	if (check_id(&body, source->id, &ret->item, err) != IST_OK)
		return err->code;
	ret->members = members_of(&body, source->cut);
	if (read_members(&body, source, dim, arena, ret, err) != IST_OK ||
	    use_picture(source, &body, ret, err) != IST_OK)
		return err->code;
	return source->patch ? IST_OK : ist_item_check(&ret->item, err);
}

/* Only objects merge; arrays and plain values are replaced whole, as the RFC has it. */
json_t *ist_json_merge(const json_t *target, const json_t *patch)
{
	json_t *merged;
	const char *name;
	json_t *v;

	if (!json_is_object(patch))
		return json_deep_copy(patch);
	merged = json_is_object(target) ? json_copy((json_t *)target) : json_object();
	json_object_foreach((json_t *)patch, name, v)
	{
		if (json_is_null(v))
			json_object_del(merged, name);
		else
			json_object_set_new(merged, name,
					    ist_json_merge(json_object_get(merged, name), v));
	}
	return merged;
}

/* ---- writing ---- */

void ist_item_put_image(struct ist_buf *buf, const struct ist_item *item)
{
	if (!item->has_image) {
		ist_buf_puts(buf, "\"image\":null");
		return;
	}
	ist_buf_printf(buf,
		       "\"image\":{\"type\":\"%s\",\"width\":%u,\"height\":%u,\"bytes\":%llu,"
		       "\"sha256\":\"%s\"}",
		       item->image.type, item->image.width, item->image.height,
		       (unsigned long long)item->image.bytes, item->image.sha256);
}

void ist_item_put_texts(struct ist_buf *buf, const struct ist_item *item)
{
	ist_buf_puts(buf, "\"texts\":[");
	for (size_t i = 0; i < item->n_texts; i++) {
		if (i > 0)
			ist_buf_putc(buf, ',');
		ist_json_put_string(buf, item->texts[i], strlen(item->texts[i]));
	}
	ist_buf_putc(buf, ']');
}

void ist_item_put_label(struct ist_buf *buf, const struct ist_item *item)
{
	ist_buf_puts(buf, "\"label\":");
	if (item->label != NULL)
		ist_json_put_string(buf, item->label, strlen(item->label));
	else
		ist_buf_puts(buf, "null");
}

void ist_item_put_metadata(struct ist_buf *buf, const struct ist_item *item)
{
	ist_buf_puts(buf, "\"metadata\":");
	ist_buf_puts(buf, item->metadata != NULL ? item->metadata : "null");
}

void ist_item_put_vectors(struct ist_buf *buf, const struct ist_item *item,
			  const size_t dim[IST_N_MODALITIES])
{
	bool image = item->given[IST_IMAGE] && item->image_vector != NULL;
	bool texts = item->given[IST_TEXT] && item->text_vectors != NULL;

	if (!image && !texts)
		return;
	ist_buf_puts(buf, ",\"vectors\":{");
	if (image) {
		ist_buf_puts(buf, "\"image\":");
		ist_vector_put(buf, item->image_vector, dim[IST_IMAGE], false);
	}
	if (texts) {
		ist_buf_puts(buf, image ? ",\"texts\":[" : "\"texts\":[");
		for (size_t i = 0; i < item->n_text_vectors; i++) {
			if (i > 0)
				ist_buf_putc(buf, ',');
			ist_vector_put(buf, item->text_vectors + i * dim[IST_TEXT], dim[IST_TEXT],
				       false);
		}
		ist_buf_putc(buf, ']');
	}
	ist_buf_putc(buf, '}');
}

/* Written straight into the buffer: a page of a list makes no JSON values. */
void ist_item_put(struct ist_buf *buf, const struct ist_item *item,
		  const size_t dim[IST_N_MODALITIES], bool with_vectors)
{
	char created[IST_RFC3339_SIZE], updated[IST_RFC3339_SIZE];

	ist_buf_puts(buf, "{\"id\":");
	ist_json_put_string(buf, item->id, strlen(item->id));
	ist_buf_putc(buf, ',');
	ist_item_put_image(buf, item);
	ist_buf_putc(buf, ',');
	ist_item_put_texts(buf, item);
	ist_buf_putc(buf, ',');
	ist_item_put_label(buf, item);
	ist_buf_putc(buf, ',');
	ist_item_put_metadata(buf, item);
	if (with_vectors)
		ist_item_put_vectors(buf, item, dim);
	ist_rfc3339(item->created_us, created);
	ist_rfc3339(item->updated_us, updated);
	ist_buf_printf(buf, ",\"created_at\":\"%s\",\"updated_at\":\"%s\"}", created, updated);
}
