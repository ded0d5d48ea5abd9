/*
 * Pictures to try the server with, where they are installed: Tux Paint's stamps, or another folder
 * that the configuration names. They come in the format of an import, so that whoever asked sends
 * them on into a collection; nothing is stored here.
 */
#include "server/api.h"

#include "core/base/memory.h"
#include "server/cli/picture_folder.h"
#include "server/daemon.h"

#define CHUNK_BYTES ((size_t)256 << 10)

/* Mirrored twins are left out: one could be trained on and the other tested with. */
static const char *const exclude[] = {"symbols/*", "*_mirror.*", "*_flip.*"};
static const struct ist_picture_rules rules = {
    .exclude = exclude, .n_exclude = IST_COUNT(exclude), .label_levels = 2, .topic = "topic"};

enum ist_code ist_api_get_demo(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_picture_folder *folder = NULL;
	enum ist_code code = ist_picture_folder_open(rq->daemon->config.demo, &rules, &folder, err);
	size_t n = code == IST_OK ? ist_picture_folder_count(folder) : 0;

	ist_picture_folder_close(folder);
	if (err != NULL)
		*err = (struct ist_err){0};
	ist_reply_json(re, 200,
		       json_pack("{s:b, s:s, s:s, s:I}", "available", n > 0, "title",
				 "Tux Paint's stamps", "collection", "stamps", "items",
				 (json_int_t)n));
	return IST_OK;
}

static void finish(void *user)
{
	ist_picture_folder_close(user);
}

/* A picture that cannot be read is left out. */
static enum ist_code next(void *user, struct ist_buf *out, struct ist_err *err)
{
	bool more = true;

	while (more && out->len < CHUNK_BYTES) {
		struct ist_record record ist_auto(ist_record_finish) = {0};
		enum ist_code code = ist_picture_folder_next(user, &record, &more, err);

		if (code)
			return code;
		if (more && record.err.code == IST_OK) {
			ist_buf_put(out, record.line.data, record.line.len);
			ist_buf_putc(out, '\n');
		}
	}
	return IST_OK;
}

enum ist_code ist_api_get_demo_items(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_picture_folder *folder;
	struct ist_err why = {0};

	if (ist_picture_folder_open(rq->daemon->config.demo, &rules, &folder, &why) != IST_OK)
		return ist_fail(err, IST_NOT_FOUND, "no demo data are installed: %s", why.text);
	re->next = next;
	re->next_finish = finish;
	re->next_user = folder;
	re->status = 200;
	re->content_type = "application/x-ndjson";
	return IST_OK;
}
