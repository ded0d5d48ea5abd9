/* Collections: made by PUT, listed, read, their split changed, removed. */
#include "server/api.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/encoders.h"
#include "server/feature.h"
#include "server/fields.h"
#include "server/json.h"
#include "server/rfc3339.h"
#include "server/split_json.h"

#define NAME_MAX_BYTES 64
#define DIM_MAX 16384
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

/* What stands in URLs, logs and file names everywhere: ASCII without surprises. */
static enum ist_code check_name(const char *name, struct ist_err *err)
{
	static const char *const plain =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (name[0] == '.' || strlen(name) > NAME_MAX_BYTES || name[strspn(name, plain)] != '\0')
		return ist_fail(
		    err, IST_INVALID,
		    "a collection's name has 1 to %d letters, digits, '.', '_' or '-', and "
		    "does not begin with '.'",
		    NAME_MAX_BYTES);
	return IST_OK;
}

static json_t *encoder_json(const struct ist_encoder_ref *ref)
{
	return json_pack("{s:s,s:I}", "name", ref->name, "dim", (json_int_t)ref->dim);
}

static json_t *counts_json(const struct ist_collection_info *info)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "items", (json_int_t)info->items,
			 "images", (json_int_t)info->images, "texts", (json_int_t)info->texts,
			 "labelled", (json_int_t)info->labelled, "triples",
			 (json_int_t)info->triples, "embedded", (json_int_t)info->embedded,
			 "skipped", (json_int_t)info->skipped, "failed", (json_int_t)info->failed);
}

static json_t *collection_json(const struct ist_collection_info *info)
{
	json_t *recall = isfinite(info->index_recall) ? json_real(info->index_recall) : json_null();

	return json_pack(
	    "{s:s,s:o,s:s,s:o,s:o,s:o,s:{s:s,s:I,s:I,s:s,s:o},s:s,s:o,s:o}", "name", info->name,
	    "image_encoder", encoder_json(&info->encoder[IST_IMAGE]), "geometry",
	    ist_geometry_name(info->encoder[IST_IMAGE].geometry), "text_encoder",
	    encoder_json(&info->encoder[IST_TEXT]), "split", ist_split_json(&info->split), "counts",
	    counts_json(info), "index", "kind", info->index_kind, "base",
	    (json_int_t)info->index_base, "fresh", (json_int_t)info->index_fresh, "state",
	    info->index_state, "recall", recall, "active_model", info->active_model, "created_at",
	    ist_rfc3339_json(info->created_us), "updated_at", ist_rfc3339_json(info->updated_us));
}

/* Takes the reference to c. */
static enum ist_code reply(struct ist_collection *c, int status, struct ist_reply *re,
			   struct ist_err *err)
{
	struct ist_collection_info info;
	enum ist_code code = ist_collection_info(c, &info, err);

	ist_collection_unref(c);
	if (code == IST_OK)
		ist_reply_json(re, status, collection_json(&info));
	return code;
}

struct collection_body {
	const json_t *encoder[IST_N_MODALITIES], *split;
	const char *geometry;
};

static const struct ist_field collection_fields[] = {
    {"image_encoder", IST_FIELD_ANY, offsetof(struct collection_body, encoder[IST_IMAGE])},
    {"text_encoder", IST_FIELD_ANY, offsetof(struct collection_body, encoder[IST_TEXT])},
    {"geometry", IST_FIELD_STRING, offsetof(struct collection_body, geometry), 1, 4},
    {"split", IST_FIELD_ANY, offsetof(struct collection_body, split)},
};
static const char *const encoder_members[IST_N_MODALITIES] = {"image_encoder", "text_encoder"};

/* "name", {"name"} or {"name", "dim"}: the name; and the width where it is given, else 0. */
static enum ist_code read_choice(const json_t *json, const char **ret_name, int64_t *ret_dim,
				 struct ist_err *err)
{
	struct choice {
		const char *name;
		int64_t dim;
	} choice = {0};
	static const struct ist_field fields[] = {
	    {"name", IST_FIELD_STRING, offsetof(struct choice, name), 1, 127, .required = true},
	    {"dim", IST_FIELD_INT, offsetof(struct choice, dim), 1, DIM_MAX},
	};

	if (json_is_string(json)) {
		if (json_string_length(json) < 1 || json_string_length(json) > 127)
			return ist_fail(err, IST_INVALID, "must be a name of 1 to 127 bytes");
		*ret_name = json_string_value(json);
		return IST_OK;
	}
	if (ist_fields_read(json, fields, IST_COUNT(fields), &choice, err) != IST_OK)
		return err->code;
	*ret_name = choice.name;
	*ret_dim = choice.dim;
	return IST_OK;
}

/* A width may be given, as it was read; another than the encoder's is a mistake. */
static enum ist_code resolve_installed(struct ist_encoders *encoders, enum ist_modality m,
				       const char *name, int64_t dim, struct ist_encoder_ref *ref,
				       bool *ret_counts, struct ist_err *err)
{
	const struct ist_encoder *encoder;
	enum ist_code code = ist_encoders_get(encoders, name, &encoder, err);

	if (code == IST_CORRUPT) /* it was named here, and is told why it cannot be had */
		code = err->code = IST_INVALID;
	if (code != IST_OK)
		return code;
	if (!ist_encoder_arch_takes(encoder->arch, m))
		code = ist_fail(err, IST_INVALID, "%s is an encoder of the other modality", name);
	else if (dim != 0 && (size_t)dim != encoder->dim)
		code = ist_fail(err, IST_INVALID, "%s is %zu wide, not %lld", name, encoder->dim,
				(long long)dim);
	ref->dim = encoder->dim;
	*ret_counts = encoder->arch->counts;
	return code;
}

/* External encoders are never opened: they only have a width. */
static enum ist_code resolve(struct ist_encoders *encoders, enum ist_modality m, const json_t *json,
			     struct ist_encoder_ref *ref, bool *ret_counts, struct ist_err *err)
{
	char best[IST_ENCODER_NAME];
	const char *name = best;
	int64_t dim = 0;

	if (json == NULL)
		ist_encoders_best(encoders, m, best);
	else if (read_choice(json, &name, &dim, err) != IST_OK)
		return err->code;
	snprintf(ref->name, sizeof(ref->name), "%s", name);
	*ret_counts = false;
	if (strcmp(name, IST_EXTERNAL) != 0)
		return resolve_installed(encoders, m, name, dim, ref, ret_counts, err);
	if (dim == 0) {
		ist_fail(err, IST_INVALID, "is needed for an external encoder");
		return ist_err_in(err, "dim");
	}
	ref->dim = (size_t)dim;
	return IST_OK;
}

/* Encoders that a body does not name are those that the collection has, or the best installed. */
static enum ist_code resolve_both(struct ist_request *rq, const struct collection_body *body,
				  struct ist_encoder_ref ref[IST_N_MODALITIES],
				  bool counts[IST_N_MODALITIES], bool *ret_same_space,
				  struct ist_err *err)
{
	enum ist_geometry geometry = IST_GEOMETRY_AUTO;
	struct ist_collection *c = NULL;
	enum ist_code code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err);

	if (code != IST_OK && code != IST_NOT_FOUND)
		return code;
	if (c != NULL)
		geometry = ist_collection_encoder(c, IST_IMAGE)->geometry;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		counts[m] = false;
		if (c != NULL && body->encoder[m] == NULL) {
			ref[m] = *ist_collection_encoder(c, (enum ist_modality)m);
			continue;
		}
		code = resolve(rq->daemon->encoders, (enum ist_modality)m, body->encoder[m],
			       &ref[m], &counts[m], err);
		if (code != IST_OK) {
			ist_collection_unref(c);
			ist_err_in(err, encoder_members[m]);
			return code;
		}
	}
	ist_collection_unref(c);
	if (body->geometry != NULL && !ist_geometry_find(body->geometry, &geometry))
		return ist_fail_at(err, IST_INVALID, "/geometry", "must be auto, pad or crop");
	ref[IST_IMAGE].geometry = geometry;
	*ret_same_space = strcmp(ref[IST_IMAGE].name, ref[IST_TEXT].name) == 0 &&
			  strcmp(ref[IST_IMAGE].name, IST_EXTERNAL) != 0;
	return IST_OK;
}

/* Absent: the store keeps what is there or takes its default. */
static enum ist_code read_split(const json_t *json, struct ist_split *split, struct ist_err *err)
{
	if (json == NULL)
		return IST_OK;
	if (ist_split_parse(json, &IST_SPLIT_DEFAULT, split, err) != IST_OK)
		return ist_err_in(err, "split");
	return IST_OK;
}

/* Idempotent: the same body again finds the collection; other encoders are refused by the store. */
enum ist_code ist_api_put_collection(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_encoder_ref ref[IST_N_MODALITIES] = {0};
	struct collection_body body = {0};
	bool counts[IST_N_MODALITIES], same_space = false, created;
	struct ist_collection *c;
	struct ist_split split;
	enum ist_code code;

	if (check_name(rq->segment[0], err) != IST_OK)
		return err->code;
	if (rq->json != NULL && ist_fields_read(rq->json, collection_fields,
						IST_COUNT(collection_fields), &body, err) != IST_OK)
		return err->code;
	if (read_split(body.split, &split, err) != IST_OK)
		return err->code;
	ist_encoders_lock_use(rq->daemon->encoders);
	code = resolve_both(rq, &body, ref, counts, &same_space, err);
	if (code == IST_OK)
		code = ist_store_collection_put(rq->daemon->store, rq->segment[0], ref, counts,
						same_space, body.split != NULL ? &split : NULL,
						&created, &c, err);
	ist_encoders_unlock_use(rq->daemon->encoders);
	if (code != IST_OK)
		return code;
	return reply(c, created ? 201 : 200, re, err);
}

enum ist_code ist_api_get_collection(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_collection *c;

	if (ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	return reply(c, 200, re, err);
}

/* Members of the split that are absent stay; changing it never touches an item. */
enum ist_code ist_api_patch_collection(struct ist_request *rq, struct ist_reply *re,
				       struct ist_err *err)
{
	static const struct ist_field fields[] = {{"split", IST_FIELD_ANY, 0}};
	struct ist_collection_info info;
	const json_t *json = NULL;
	struct ist_collection *c;
	enum ist_code code;

	if (ist_fields_read(rq->json, fields, IST_COUNT(fields), &json, err) != IST_OK ||
	    ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	code = ist_collection_info(c, &info, err);
	if (code == IST_OK && json != NULL) {
		code = ist_split_parse(json, &info.split, &info.split, err);
		if (code != IST_OK)
			ist_err_in(err, "split");
		else
			code = ist_collection_set_split(c, &info.split, err);
	}
	if (code == IST_OK)
		return reply(c, 200, re, err);
	ist_collection_unref(c);
	return code;
}

enum ist_code ist_api_delete_collection(struct ist_request *rq, struct ist_reply *re,
					struct ist_err *err)
{
	struct ist_collection *c;
	enum ist_code code;

	if (ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	code = ist_collection_delete(c, err);
	ist_collection_unref(c);
	if (code == IST_OK)
		ist_reply_empty(re, 204);
	return code;
}

/* One that is removed meanwhile is left out. */
static enum ist_code append(struct ist_store *store, const char *name, json_t *list,
			    struct ist_err *err)
{
	struct ist_collection_info info;
	struct ist_collection *c;
	enum ist_code code = ist_store_collection_get(store, name, &c, err);

	if (code == IST_OK) {
		code = ist_collection_info(c, &info, err);
		ist_collection_unref(c);
	}
	if (code == IST_OK)
		json_array_append_new(list, collection_json(&info));
	return code == IST_NOT_FOUND ? IST_OK : code;
}

/* The cursor is the last name of the page before; names are not secret and sort bytewise. */
enum ist_code ist_api_list_collections(struct ist_request *rq, struct ist_reply *re,
				       struct ist_err *err)
{
	const char *after = ist_request_query(rq, "cursor");
	json_t *names = NULL, *list, *next = NULL;
	enum ist_code code = IST_OK;
	long limit;
	size_t n;

	if (ist_request_query_int(rq, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &limit, err) != IST_OK ||
	    ist_store_collection_names(rq->daemon->store, after != NULL ? after : "",
				       (size_t)limit + 1, &names, err) != IST_OK)
		return err->code;
	list = json_array();
	n = IST_MIN(json_array_size(names), (size_t)limit);
	for (size_t i = 0; i < n && code == IST_OK; i++)
		code = append(rq->daemon->store, json_string_value(json_array_get(names, i)), list,
			      err);
	if (json_array_size(names) > n)
		next = json_incref(json_array_get(names, n - 1));
	json_decref(names);
	if (code != IST_OK) {
		json_decref(list);
		json_decref(next);
		return code;
	}
	ist_reply_json(
	    re, 200,
	    json_pack("{s:o,s:o}", "collections", list, "next", next != NULL ? next : json_null()));
	return IST_OK;
}

/* What a page of filters is made of. */
enum ist_code ist_api_get_facets(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	json_t *facets = NULL;
	long limit;
	enum ist_code code =
	    ist_request_query_int(rq, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &limit, err);

	if (code || (code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err)))
		return code;
	code = ist_collection_facets(c, (size_t)limit, &facets, err);
	ist_collection_unref(c);
	if (!code)
		ist_reply_json(re, 200, json_pack("{s:o}", "facets", facets));
	return code;
}
