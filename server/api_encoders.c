/* Encoders: listed, read, installed by PUT of a tar of their folder, removed. */
#include "server/api.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/encoder_json.h"
#include "server/encoder_upload.h"
#include "server/encoder_use.h"
#include "server/encoders.h"

#define NAME_MAX_BYTES 64
#define TAR_OVERHEAD ((uint64_t)1 << 20) /* headers and padding of the few files there may be */

json_t *ist_encoder_modalities(const struct ist_encoder_info *info)
{
	json_t *list = json_array();

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		if (info->takes[m])
			json_array_append_new(list,
					      json_string(ist_modality_name((enum ist_modality)m)));
	}
	return list;
}

static json_t *or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

/* Steals nothing; `use` is that of all encoders. */
static json_t *encoder_json(const struct ist_encoder_info *info, const json_t *use)
{
	json_t *users = json_object_get(use, info->name);
	json_t *row =
	    json_pack("{s:s,s:s,s:o,s:o,s:o,s:b,s:b,s:b,s:I,s:o,s:O}", "name", info->name, "title",
		      info->title[0] != '\0' ? info->title : info->name, "architecture",
		      or_null(info->architecture), "modalities", ist_encoder_modalities(info),
		      "dim", info->dim > 0 ? json_integer((json_int_t)info->dim) : json_null(),
		      "builtin", info->builtin, "removable", info->own, "loaded", info->open,
		      "bytes", (json_int_t)info->bytes, "fingerprint", or_null(info->fingerprint),
		      "collections", users != NULL ? users : json_null());

	if (users == NULL)
		json_object_set_new(row, "collections", json_array());
	if (info->error[0] != '\0')
		json_object_set_new(row, "error", json_string(info->error));
	return row;
}

static enum ist_code reply_one(struct ist_request *rq, const char *name, int status,
			       struct ist_reply *re, struct ist_err *err)
{
	struct ist_encoder_info info;
	json_t *use = NULL;

	if (ist_encoders_info(rq->daemon->encoders, name, true, &info, err) != IST_OK ||
	    ist_encoder_use(rq->daemon->store, &use, err) != IST_OK)
		return err->code;
	ist_reply_json(re, status, encoder_json(&info, use));
	json_decref(use);
	return IST_OK;
}

/* What only opening tells is null here until somebody has opened it: a list must not load all. */
enum ist_code ist_api_list_encoders(struct ist_request *rq, struct ist_reply *re,
				    struct ist_err *err)
{
	ist_autofree struct ist_encoder_info *infos = NULL;
	json_t *use = NULL, *list;
	size_t n;

	if (ist_encoder_use(rq->daemon->store, &use, err) != IST_OK)
		return err->code;
	n = ist_encoders_list(rq->daemon->encoders, &infos);
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, encoder_json(&infos[i], use));
	json_decref(use);
	ist_reply_json(re, 200, json_pack("{s:o}", "encoders", list));
	return IST_OK;
}

enum ist_code ist_api_get_encoder(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	return reply_one(rq, rq->segment[0], 200, re, err);
}

static enum ist_code read_body(void *user, void *data, size_t cap, size_t *ret_n,
			       struct ist_err *err)
{
	return ist_request_read(user, data, cap, ret_n, err);
}

/* It becomes a folder's name and stands in URLs: ASCII without surprises. */
static enum ist_code check_name(const char *name, struct ist_err *err)
{
	static const char *const plain =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (name[0] == '.' || strlen(name) > NAME_MAX_BYTES || name[strspn(name, plain)] != '\0' ||
	    strcmp(name, "external") == 0)
		return ist_fail(err, IST_INVALID,
				"an encoder's name has 1 to %d letters, digits, '.', '_' or '-', "
				"does not begin with '.', and is not \"external\"",
				NAME_MAX_BYTES);
	return IST_OK;
}

/* What can be refused is refused before the body is read. */
static enum ist_code check_upload(struct ist_request *rq, uint64_t limit, struct ist_err *err)
{
	const char *length = ist_request_header(rq, "Content-Length");

	if (check_name(rq->segment[0], err) != IST_OK)
		return err->code;
	if (strcmp(rq->content_type, "application/x-tar") != 0)
		return ist_fail(err, IST_UNSUPPORTED_TYPE,
				"the body must be application/x-tar, not %.64s",
				rq->content_type[0] != '\0' ? rq->content_type : "untyped");
	if (length != NULL && strtoull(length, NULL, 10) > limit + TAR_OVERHEAD)
		return ist_fail(err, IST_BODY_TOO_LARGE, "an encoder may have %llu bytes here",
				(unsigned long long)limit);
	return IST_OK;
}

enum ist_code ist_api_put_encoder(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_upload_source source = {
	    .read = read_body, .user = rq, .limit = (uint64_t)rq->daemon->config.max_encoder};
	bool created = false;

	if (check_upload(rq, source.limit, err) != IST_OK ||
	    ist_encoder_upload(rq->daemon->encoders, rq->segment[0], &source, &created, err) !=
		IST_OK)
		return err->code;
	return reply_one(rq, rq->segment[0], created ? 201 : 200, re, err);
}

/* Names the first that uses it, since somebody will ask. */
static enum ist_code check_unused(struct ist_store *store, const char *name, struct ist_err *err)
{
	json_t *use = NULL, *users;
	enum ist_code code = ist_encoder_use(store, &use, err);

	if (code != IST_OK)
		return code;
	users = json_object_get(use, name);
	if (json_array_size(users) > 0)
		code =
		    ist_fail(err, IST_CONFLICT, "%s is used by %zu of the collections (%s)", name,
			     json_array_size(users), json_string_value(json_array_get(users, 0)));
	json_decref(use);
	return code;
}

enum ist_code ist_api_delete_encoder(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_encoders *encoders = rq->daemon->encoders;
	enum ist_code code;

	ist_encoders_lock_use(encoders);
	code = check_unused(rq->daemon->store, rq->segment[0], err);
	if (code == IST_OK)
		code = ist_encoders_remove(encoders, rq->segment[0], err);
	ist_encoders_unlock_use(encoders);
	if (code == IST_OK)
		ist_reply_empty(re, 204);
	return code;
}
