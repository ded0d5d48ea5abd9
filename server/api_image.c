/*
 * An item's picture: the original as it came (with ranges), or a smaller one. Smaller ones of the
 * usual sizes are kept in <data>/thumbs by hash and size; it is a cache and may be removed.
 */
#include "server/api.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/decoders.h"
#include "server/item_prepare.h"
#include "server/log.h"

#define SIZE_MIN 16
#define SIZE_MAX_ 2048
#define THUMB_BYTES_MAX ((size_t)64 << 20)

static const long kept_sizes[] = {64, 96, 128, 192, 256, 320, 384, 512, 640, 768, 1024};

/* Pictures come from anywhere: an SVG opened in a browser must not run scripts here. */
static void put_headers(struct ist_request *rq, struct ist_reply *re)
{
	ist_reply_header(rq, re, "Cache-Control", "private, no-cache");
	ist_reply_header(rq, re, "Content-Security-Policy",
			 "default-src 'none'; style-src "
			 "'unsafe-inline'; sandbox");
}

static bool is_kept(long size)
{
	for (size_t i = 0; i < IST_COUNT(kept_sizes); i++)
		if (kept_sizes[i] == size)
			return true;
	return false;
}

static const char *type_of(const struct ist_buf *buf)
{
	return buf->len > 3 && memcmp(buf->data, "\x89PNG", 4) == 0 ? "image/png" : "image/jpeg";
}

/* A cache that cannot be written is no reason to fail. */
static void keep(const char *folder, const char *path, const struct ist_buf *body)
{
	struct ist_err err;

	if (ist_dir_make(folder, &err) != IST_OK ||
	    ist_file_write(path, body->data, body->len, &err) != IST_OK)
		ist_log_event(NULL, IST_LOG_WARN, "thumbnail_not_kept", err.text);
}

static enum ist_code make_thumbnail(struct ist_request *rq, const char *sha256, long size,
				    struct ist_buf *ret, struct ist_err *err)
{
	const char *type;
	const void *data;
	size_t len;

	if (ist_media_read(rq->daemon->store, sha256, rq->arena, &data, &len, err) != IST_OK)
		return err->code;
	return ist_decoders_thumbnail(rq->daemon->decoders, data, len, (uint32_t)size, ret, &type,
				      err);
}

static enum ist_code reply_thumbnail(struct ist_request *rq, struct ist_reply *re,
				     const char *sha256, long size, struct ist_err *err)
{
	const char *data = rq->daemon->config.data;
	ist_autofree char *folder = ist_format("%s/thumbs/%.2s", data, sha256);
	ist_autofree char *path = ist_format("%s/%s_%ld", folder, sha256, size);
	enum ist_code code;

	put_headers(rq, re);
	if (ist_reply_etag(rq, re, ist_arena_format(rq->arena, "\"%s-%ld\"", sha256, size)))
		return IST_OK;
	if (!is_kept(size) || ist_file_read(path, THUMB_BYTES_MAX, &re->body, NULL) != IST_OK) {
		re->body.len = 0;
		code = make_thumbnail(rq, sha256, size, &re->body, err);
		if (code != IST_OK)
			return code;
		if (is_kept(size))
			keep(folder, path, &re->body);
	}
	re->content_type = type_of(&re->body);
	re->status = 200;
	return IST_OK;
}

static enum ist_code reply_original(struct ist_request *rq, struct ist_reply *re,
				    const struct ist_item *item, struct ist_err *err)
{
	put_headers(rq, re);
	if (ist_reply_etag(rq, re, ist_arena_format(rq->arena, "\"%s\"", item->image.sha256)))
		return IST_OK;
	if (ist_media_open(rq->daemon->store, item->image.sha256, &re->fd, &re->fd_bytes, err) !=
	    IST_OK)
		return err->code;
	re->content_type = item->image.type;
	re->status = 200;
	return IST_OK;
}

enum ist_code ist_api_get_image(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	struct ist_item item;
	enum ist_code code;
	long size;

	if (ist_request_query_int(rq, "size", 0, SIZE_MIN, SIZE_MAX_, &size, err) != IST_OK ||
	    ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	code = ist_item_get(c, rq->segment[1], false, rq->arena, &item, err);
	ist_collection_unref(c);
	if (code != IST_OK)
		return code;
	if (!item.has_image)
		return ist_fail(err, IST_NOT_FOUND, "item %s has no picture", rq->segment[1]);
	return size == 0 ? reply_original(rq, re, &item, err)
			 : reply_thumbnail(rq, re, item.image.sha256, size, err);
}
