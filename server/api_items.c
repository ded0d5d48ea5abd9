/* Single items: written by PUT (JSON or a form), read, patched, removed; lists; removal by filter.
 */
#include "server/api.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/item_prepare.h"
#include "server/json.h"
#include "server/query_filter.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define PATCH_TRIES 10
#define DELETE_IDS_MAX 10000

static enum ist_code find(struct ist_request *rq, struct ist_collection **ret, size_t dim[2],
			  struct ist_err *err)
{
	enum ist_code code = ist_store_collection_get(rq->daemon->store, rq->segment[0], ret, err);

	for (int m = 0; code == IST_OK && m < IST_N_MODALITIES; m++)
		dim[m] = ist_collection_encoder(*ret, (enum ist_modality)m)->dim;
	return code;
}

/* A query parameter that is true or false. */
static enum ist_code query_bool(struct ist_request *rq, const char *name, bool def, bool *ret,
				struct ist_err *err)
{
	const char *text = ist_request_query(rq, name);

	*ret = text != NULL ? strcmp(text, "true") == 0 : def;
	if (text == NULL || *ret || strcmp(text, "false") == 0)
		return IST_OK;
	ist_fail(err, IST_INVALID, "must be true or false");
	return ist_err_in(err, name);
}

static enum ist_code reply_item(struct ist_request *rq, struct ist_collection *c,
				const size_t dim[2], int status, bool with_vectors,
				struct ist_reply *re, struct ist_err *err)
{
	struct ist_item item;
	const char *etag;

	if (ist_item_get(c, rq->segment[1], with_vectors, rq->arena, &item, err) != IST_OK)
		return err->code;
	re->content_type = "application/json";
	/* A row is never used again and every write makes a new one. */
	etag = ist_arena_format(rq->arena, "W/\"%lld%s\"", (long long)item.row,
				with_vectors ? "v" : "");
	if (strcmp(rq->method, "GET") == 0 && ist_reply_etag(rq, re, etag))
		return IST_OK;
	ist_item_put(&re->body, &item, dim, with_vectors);
	ist_buf_putc(&re->body, '\n');
	re->status = status;
	return IST_OK;
}

enum ist_code ist_api_get_item(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	size_t dim[2];
	enum ist_code code;
	bool vectors;

	if (query_bool(rq, "vectors", true, &vectors, err) != IST_OK ||
	    find(rq, &c, dim, err) != IST_OK)
		return err->code;
	code = reply_item(rq, c, dim, 200, vectors, re, err);
	ist_collection_unref(c);
	return code;
}

/* ---- PUT ---- */

/* The parts of a form: `item` (JSON) and `image` (a file), at least one of them. */
static enum ist_code read_form(struct ist_request *rq, struct ist_item_source *source,
			       struct ist_err *err)
{
	for (size_t i = 0; i < rq->n_parts; i++) {
		const struct ist_part_body *part = &rq->parts[i];

		if (strcmp(part->name, "image") == 0) {
			source->picture = part->body;
		} else if (strcmp(part->name, "item") == 0) {
			if (ist_json_parse(part->body.data, part->body.len, &rq->json, err) !=
			    IST_OK)
				return ist_wrap(err, "part item");
		} else {
			return ist_fail(err, IST_INVALID,
					"the parts of the form are item and image, not %.64s",
					part->name);
		}
	}
	return IST_OK;
}

/* The store fails single items in place; for a request with one item that is the request's failure.
 */
static enum ist_code write_one(struct ist_collection *c, struct ist_write *write,
			       struct ist_err *err)
{
	if (ist_items_write(c, write, 1, err) != IST_OK)
		return err->code;
	if (write->status == IST_FAILED) {
		*err = write->err;
		return write->err.code;
	}
	return IST_OK;
}

/* What the collection holds just so is neither decoded nor encoded nor written. */
static enum ist_code put(struct ist_request *rq, struct ist_collection *c, const size_t dim[2],
			 int *ret_status, struct ist_err *err)
{
	struct ist_item_source source = {.id = rq->segment[1]};
	struct ist_item_given given;
	struct ist_write write = {.item = &given.item, .id = rq->segment[1]};
	bool unchanged;

	if (rq->json == NULL && read_form(rq, &source, err) != IST_OK)
		return err->code;
	source.json = rq->json;
	*ret_status = 200;
	if (ist_item_parse(&source, dim, rq->arena, &given, err) != IST_OK ||
	    ist_item_unchanged(c, &given.item, &unchanged, err) != IST_OK)
		return err->code;
	if (unchanged)
		return IST_OK;
	if (ist_item_prepare(rq->daemon, c, &given, rq->arena, err) != IST_OK ||
	    write_one(c, &write, err) != IST_OK)
		return err->code;
	if (write.status == IST_CREATED)
		*ret_status = 201;
	return IST_OK;
}

/* The answer is read back from the store, so that it shows what others will see. */
enum ist_code ist_api_put_item(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	size_t dim[2];
	enum ist_code code;
	int status;

	if (find(rq, &c, dim, err) != IST_OK)
		return err->code;
	code = put(rq, c, dim, &status, err);
	if (code == IST_OK)
		code = reply_item(rq, c, dim, status, false, re, err);
	ist_collection_unref(c);
	return code;
}

/* ---- PATCH ---- */

static bool same_texts(const struct ist_item *a, const struct ist_item *b)
{
	bool same = a->n_texts == b->n_texts;

	for (size_t i = 0; same && i < a->n_texts; i++)
		same = strcmp(a->texts[i], b->texts[i]) == 0;
	return same;
}

/* Replaces picture and texts; what changed loses its vector. */
static void patch_media(struct ist_item_given *new, const struct ist_item_given *patch)
{
	struct ist_item *item = &new->item;
	const struct ist_item *p = &patch->item;

	if (patch->members & IST_ITEM_IMAGE) {
		bool same = item->has_image && p->has_image &&
			    strcmp(item->image.sha256, p->image.sha256) == 0;

		item->has_image = p->has_image;
		item->image = p->image;
		new->image_by_hash = patch->image_by_hash;
		if (!same) {
			item->image_vector = NULL;
			item->given[IST_IMAGE] = false;
		}
	}
	if ((patch->members & IST_ITEM_TEXTS) && !same_texts(item, p)) {
		item->texts = p->texts;
		item->n_texts = p->n_texts;
		item->text_vectors = NULL;
		item->n_text_vectors = 0;
		item->given[IST_TEXT] = false;
	}
}

/* Given vectors are replaced whole; features that we made ourselves stay. */
static void patch_vectors(struct ist_item *item, const struct ist_item *p)
{
	if (item->given[IST_IMAGE] || p->given[IST_IMAGE]) {
		item->image_vector = p->image_vector;
		item->given[IST_IMAGE] = p->given[IST_IMAGE];
	}
	if (item->given[IST_TEXT] || p->given[IST_TEXT]) {
		item->text_vectors = p->text_vectors;
		item->n_text_vectors = p->n_text_vectors;
		item->given[IST_TEXT] = p->given[IST_TEXT];
	}
}

/* Null removes all of it; an object is merged into what is there, or into nothing. */
static enum ist_code patch_metadata(struct ist_item *item, const json_t *patch,
				    struct ist_arena *arena, struct ist_err *err)
{
	json_t *old = NULL, *merged;
	enum ist_code code;

	if (patch == NULL) {
		item->metadata = NULL;
		return IST_OK;
	}
	if (item->metadata != NULL &&
	    ist_json_parse(item->metadata, strlen(item->metadata), &old, err) != IST_OK)
		return ist_wrap(err, "stored metadata");
	merged = ist_json_merge(old, patch);
	code = ist_metadata_text(merged, arena, &item->metadata, err);
	json_decref(merged);
	json_decref(old);
	return code == IST_OK ? IST_OK : ist_err_in(err, "metadata");
}

/* The result must be a whole item again: a patch may not take away the last thing it is found by.
 */
static enum ist_code apply(struct ist_item_given *new, const struct ist_item_given *patch,
			   struct ist_arena *arena, struct ist_err *err)
{
	new->image_by_hash = new->item.has_image;
	patch_media(new, patch);
	if (patch->members & IST_ITEM_LABEL)
		new->item.label = patch->item.label;
	if (patch->members & IST_ITEM_VECTORS)
		patch_vectors(&new->item, &patch->item);
	if ((patch->members & IST_ITEM_METADATA) &&
	    patch_metadata(&new->item, patch->metadata, arena, err) != IST_OK)
		return err->code;
	return ist_item_check(&new->item, err);
}

/* Reads, merges and writes on the condition that the item is still the one that was read. */
static enum ist_code patch_once(struct ist_request *rq, struct ist_collection *c,
				const struct ist_item_given *patch, struct ist_err *err)
{
	struct ist_item_given new = {0};
	struct ist_write write = {.item = &new.item, .id = rq->segment[1]};

	if (ist_item_get(c, rq->segment[1], true, rq->arena, &new.item, err) != IST_OK)
		return err->code;
	write.expect_row = new.item.row;
	if (apply(&new, patch, rq->arena, err) != IST_OK ||
	    ist_item_prepare(rq->daemon, c, &new, rq->arena, err) != IST_OK)
		return err->code;
	return write_one(c, &write, err);
}

enum ist_code ist_api_patch_item(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_item_source source = {.json = rq->json, .id = rq->segment[1], .patch = true};
	struct ist_item_given patch;
	struct ist_collection *c;
	size_t dim[2];
	enum ist_code code;

	if (find(rq, &c, dim, err) != IST_OK)
		return err->code;
	code = ist_item_parse(&source, dim, rq->arena, &patch, err);
	for (int i = 0; code == IST_OK && i < PATCH_TRIES; i++) {
		code = patch_once(rq, c, &patch, err);
		if (code != IST_CONFLICT || i + 1 == PATCH_TRIES)
			break;
		code = IST_OK; /* somebody wrote it meanwhile: merge into what is there now */
	}
	if (code == IST_OK)
		code = reply_item(rq, c, dim, 200, false, re, err);
	ist_collection_unref(c);
	return code;
}

/* ---- DELETE ---- */

enum ist_code ist_api_delete_item(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_write write = {.id = rq->segment[1]};
	struct ist_collection *c;
	size_t dim[2];
	enum ist_code code;

	if (find(rq, &c, dim, err) != IST_OK)
		return err->code;
	code = write_one(c, &write, err);
	ist_collection_unref(c);
	if (code == IST_OK)
		ist_reply_empty(re, 204);
	return code;
}

struct delete_body {
	const json_t *filter, *ids;
	bool dry_run;
};

static enum ist_code read_ids(const json_t *json, struct ist_arena *arena, const char ***ret,
			      struct ist_err *err)
{
	const char **ids = ist_arena_alloc(arena, json_array_size(json) + 1, sizeof(*ids));

	for (size_t i = 0; i < json_array_size(json); i++) {
		const json_t *id = json_array_get(json, i);

		if (!json_is_string(id) ||
		    !ist_name_is_valid(json_string_value(id), json_string_length(id))) {
			ist_fail(err, IST_INVALID, "must be an id");
			ist_err_in_index(err, i);
			return ist_err_in(err, "ids");
		}
		ids[i] = json_string_value(id);
	}
	*ret = ids;
	return IST_OK;
}

/* A filter that matches everything is refused, so that a forgotten condition does not empty a
 * collection. */
static enum ist_code read_filter(const json_t *json, struct ist_filter **ret, struct ist_err *err)
{
	if (ist_filter_parse_json(json, ret, err) != IST_OK)
		return ist_err_in(err, "filter");
	if (!ist_filter_is_empty(*ret))
		return IST_OK;
	ist_filter_destroy(*ret);
	*ret = NULL;
	return ist_fail_at(
	    err, IST_INVALID, "/filter",
	    "an empty filter would remove everything: remove the collection instead");
}

/* With dry_run nothing is removed and only counted. */
enum ist_code ist_api_delete_items(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	static const struct ist_field fields[] = {
	    {"filter", IST_FIELD_OBJECT, offsetof(struct delete_body, filter)},
	    {"ids", IST_FIELD_ARRAY, offsetof(struct delete_body, ids), 1, DELETE_IDS_MAX},
	    {"dry_run", IST_FIELD_BOOL, offsetof(struct delete_body, dry_run)},
	};
	struct delete_body body = {0};
	struct ist_filter *filter = NULL;
	struct ist_collection *c = NULL;
	const char **ids = NULL;
	int64_t matched, deleted;
	size_t dim[2];
	enum ist_code code;

	if (ist_fields_read(rq->json, fields, IST_COUNT(fields), &body, err) != IST_OK)
		return err->code;
	if ((body.filter != NULL) == (body.ids != NULL))
		return ist_fail(err, IST_INVALID, "either filter or ids must be given");
	code = find(rq, &c, dim, err);
	if (code == IST_OK && body.ids != NULL)
		code = read_ids(body.ids, rq->arena, &ids, err);
	if (code == IST_OK && body.filter != NULL)
		code = read_filter(body.filter, &filter, err);
	if (code == IST_OK)
		code = ist_items_delete(c, filter, ids, json_array_size(body.ids), body.dry_run,
					&matched, &deleted, err);
	ist_filter_destroy(filter);
	ist_collection_unref(c);
	if (code == IST_OK)
		ist_reply_json(re, 200,
			       json_pack("{s:I,s:I}", "matched", (json_int_t)matched, "deleted",
					 (json_int_t)deleted));
	return code;
}

/* ---- lists ---- */

static void put_list(struct ist_buf *buf, const struct ist_item *items, size_t n, size_t limit,
		     const size_t dim[2], bool vectors)
{
	size_t shown = IST_MIN(n, limit);

	ist_buf_puts(buf, "{\"items\":[");
	for (size_t i = 0; i < shown; i++) {
		if (i > 0)
			ist_buf_putc(buf, ',');
		ist_item_put(buf, &items[i], dim, vectors);
	}
	ist_buf_puts(buf, "],\"next\":");
	if (n > limit)
		ist_json_put_string(buf, items[limit - 1].id, strlen(items[limit - 1].id));
	else
		ist_buf_puts(buf, "null");
	ist_buf_puts(buf, "}\n");
}

enum ist_code ist_api_list_items(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	const char *after = ist_request_query(rq, "cursor");
	struct ist_filter *filter = NULL;
	struct ist_collection *c;
	struct ist_item *items;
	size_t dim[2], n;
	bool vectors;
	long limit;
	enum ist_code code;

	if (ist_request_query_int(rq, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &limit, err) != IST_OK ||
	    query_bool(rq, "vectors", false, &vectors, err) != IST_OK ||
	    ist_query_filter(rq, &filter, err) != IST_OK)
		return err->code;
	code = find(rq, &c, dim, err);
	if (code == IST_OK) {
		code = ist_items_list(c, filter, after != NULL ? after : "", (size_t)limit + 1,
				      vectors, rq->arena, &items, &n, err);
		ist_collection_unref(c);
	}
	ist_filter_destroy(filter);
	if (code != IST_OK)
		return code;
	put_list(&re->body, items, n, (size_t)limit, dim, vectors);
	re->status = 200;
	re->content_type = "application/json";
	return IST_OK;
}
