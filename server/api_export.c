/*
 * Export: a page of items by key at a time, each turned into a line when the client has taken the
 * lines before it. No read transaction is held between pages, and what is in memory is bounded by
 * one item with its picture, or a page without pictures.
 */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/daemon.h"
#include "server/item_prepare.h"
#include "server/json.h"
#include "server/query_filter.h"

#define PAGE 64
#define CHUNK_BYTES ((size_t)256 << 10)

struct exporter {
	struct ist_store *store;
	struct ist_collection *collection;
	struct ist_filter *filter;
	size_t dim[IST_N_MODALITIES];
	bool images;
	char after[256];
	struct ist_arena arena, picture; /* of a page; of a picture */
	struct ist_item *items;
	size_t n, at;
	bool last;
};

static void finish(void *user)
{
	struct exporter *ex = user;

	ist_arena_finish(&ex->arena);
	ist_arena_finish(&ex->picture);
	ist_filter_destroy(ex->filter);
	ist_collection_unref(ex->collection);
	free(ex);
}

static enum ist_code next_page(struct exporter *ex, struct ist_err *err)
{
	ist_arena_reset(&ex->arena);
	ex->at = ex->n = 0;
	if (ist_items_list(ex->collection, ex->filter, ex->after, PAGE, true, &ex->arena,
			   &ex->items, &ex->n, err) != IST_OK)
		return err->code;
	ex->last = ex->n < PAGE;
	if (ex->n > 0)
		snprintf(ex->after, sizeof(ex->after), "%s", ex->items[ex->n - 1].id);
	return IST_OK;
}

static enum ist_code put_picture(struct exporter *ex, const struct ist_item *item,
				 struct ist_buf *out, struct ist_err *err)
{
	const void *data;
	size_t len;
	enum ist_code code;

	ist_arena_reset(&ex->picture);
	code = ist_media_read(ex->store, item->image.sha256, &ex->picture, &data, &len, err);
	if (code != IST_OK)
		return ist_wrap(err, "item %s", item->id);
	ist_buf_puts(out, ",\"image\":{\"base64\":\"");
	ist_base64_put(out, data, len);
	ist_buf_puts(out, "\"}");
	return IST_OK;
}

static enum ist_code put_line(struct exporter *ex, const struct ist_item *item, struct ist_buf *out,
			      struct ist_err *err)
{
	ist_buf_puts(out, "{\"id\":");
	ist_json_put_string(out, item->id, strlen(item->id));
	if (ex->images && item->has_image && put_picture(ex, item, out, err) != IST_OK)
		return err->code;
	ist_buf_putc(out, ',');
	ist_item_put_texts(out, item);
	ist_buf_putc(out, ',');
	ist_item_put_label(out, item);
	ist_buf_putc(out, ',');
	ist_item_put_metadata(out, item);
	ist_item_put_vectors(out, item, ex->dim);
	ist_buf_puts(out, "}\n");
	return IST_OK;
}

static enum ist_code next(void *user, struct ist_buf *out, struct ist_err *err)
{
	struct exporter *ex = user;

	while (out->len < CHUNK_BYTES) {
		if (ex->at == ex->n) {
			if (ex->last)
				return IST_OK;
			if (next_page(ex, err) != IST_OK)
				return err->code;
			continue;
		}
		if (put_line(ex, &ex->items[ex->at], out, err) != IST_OK)
			return err->code;
		ex->at++;
	}
	return IST_OK;
}

enum ist_code ist_api_export_items(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	const char *images = ist_request_query(rq, "images");
	struct ist_filter *filter = NULL;
	struct ist_collection *c;
	struct exporter *ex;

	if (images != NULL && strcmp(images, "true") != 0 && strcmp(images, "false") != 0)
		return ist_fail_at(err, IST_INVALID, "/images", "must be true or false");
	if (ist_query_filter(rq, &filter, err) != IST_OK)
		return err->code;
	if (ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK) {
		ist_filter_destroy(filter);
		return err->code;
	}
	ex = ist_alloc(1, sizeof(*ex));
	ex->store = rq->daemon->store;
	ex->collection = c;
	ex->filter = filter;
	ex->images = images == NULL || strcmp(images, "true") == 0;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ex->dim[m] = ist_collection_encoder(c, (enum ist_modality)m)->dim;
	re->next = next;
	re->next_finish = finish;
	re->next_user = ex;
	re->status = 200;
	re->content_type = "application/x-ndjson";
	return IST_OK;
}
