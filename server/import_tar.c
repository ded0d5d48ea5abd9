/*
 * libarchive takes the stream apart (tar formats only, no compression). An item is collected until
 * a member with another path comes. Directories are passed over; links and members of other kinds
 * are failed records of their own.
 */
#include "server/import_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/base/memory.h"
#include "server/json.h"

#define MEMBER_BYTES_MAX ((size_t)32 << 20)
#define READ_BYTES ((size_t)64 << 10)

enum member_kind { MEMBER_IMAGE, MEMBER_JSON, MEMBER_TEXT, N_MEMBER_KINDS };
static const struct {
	const char *suffix;
	enum member_kind kind;
} suffixes[] = {
    {"png", MEMBER_IMAGE}, {"jpg", MEMBER_IMAGE}, {"jpeg", MEMBER_IMAGE}, {"webp", MEMBER_IMAGE},
    {"gif", MEMBER_IMAGE}, {"tif", MEMBER_IMAGE}, {"tiff", MEMBER_IMAGE}, {"bmp", MEMBER_IMAGE},
    {"svg", MEMBER_IMAGE}, {"json", MEMBER_JSON}, {"txt", MEMBER_TEXT},
};

struct tar {
	const struct ist_tar_source *source;
	struct ist_import *import;
	struct archive *archive;
	struct ist_err read_err; /* of the source: wins over what libarchive makes of it */
	char buffer[READ_BYTES];
	/* The item at hand. */
	char *key, *first; /* NULL: none; path of its first member */
	struct ist_buf part[N_MEMBER_KINDS];
	bool has[N_MEMBER_KINDS];
	struct ist_err err;
};

/* libarchive has error texts of its own; the code that we need is kept beside. */
static la_ssize_t read_some(struct archive *a, void *user, const void **ret)
{
	struct tar *t = user;
	size_t n = 0;

	if (t->source->read(t->source->user, t->buffer, sizeof(t->buffer), &n, &t->read_err) !=
	    IST_OK) {
		archive_set_error(a, -1, "%s", t->read_err.text);
		return -1;
	}
	*ret = t->buffer;
	return (la_ssize_t)n;
}

/* ---- the item at hand ---- */

static void drop_item(struct tar *t)
{
	free(t->key);
	free(t->first);
	t->key = t->first = NULL;
	t->err = (struct ist_err){0};
	for (int k = 0; k < N_MEMBER_KINDS; k++) {
		t->part[k].len = 0;
		t->has[k] = false;
	}
}

/* A sidecar .txt is one text; the line break that editors put at its end is not part of it. */
static enum ist_code add_text(struct tar *t, json_t *json, struct ist_err *err)
{
	struct ist_buf *text = &t->part[MEMBER_TEXT];
	json_t *string;

	if (!t->has[MEMBER_TEXT])
		return IST_OK;
	while (text->len > 0 && isspace((unsigned char)text->data[text->len - 1]))
		text->len--;
	string = json_stringn(text->data != NULL ? text->data : "", text->len);
	if (string == NULL || memchr(json_string_value(string), 0, text->len) != NULL) {
		json_decref(string);
		return ist_fail(err, IST_INVALID, "the .txt is not UTF-8 without NUL");
	}
	if (json_object_get(json, "texts") != NULL) {
		json_decref(string);
		return ist_fail(err, IST_INVALID,
				"texts come from the .json or the .txt, not both");
	}
	json_object_set_new(json, "texts", json_pack("[o]", string));
	return IST_OK;
}

static enum ist_code read_json(struct tar *t, struct ist_import_record *r, struct ist_err *err)
{
	if (!t->has[MEMBER_JSON])
		r->json = json_object();
	else if (ist_json_parse(t->part[MEMBER_JSON].data, t->part[MEMBER_JSON].len, &r->json,
				err) != IST_OK)
		return err->code;
	if (!json_is_object(r->json))
		return ist_fail(err, IST_INVALID, "the .json must be an object");
	return add_text(t, r->json, err);
}

static enum ist_code read_item(struct tar *t, struct ist_import_record *r, struct ist_err *err)
{
	struct ist_arena *arena = &t->import->now->arena;
	struct ist_item_source source = {.id = r->id};
	struct ist_buf *picture = &t->part[MEMBER_IMAGE];

	if (t->err.code != IST_OK) {
		*err = t->err;
		return err->code;
	}
	if (read_json(t, r, err) != IST_OK)
		return err->code;
	if (t->has[MEMBER_IMAGE]) {
		char *copy = ist_arena_alloc(arena, picture->len + 1, 1);

		if (picture->len > 0)
			memcpy(copy, picture->data, picture->len);
		source.picture = (struct ist_str){copy, picture->len};
	}
	source.json = r->json;
	return ist_item_parse(&source, t->import->dim, arena, &r->given, err);
}

/* Result lines name the first member of an item, as it stood in the archive. */
static enum ist_code new_record(struct tar *t, const char *member, size_t bytes,
				struct ist_import_record **ret, struct ist_err *err)
{
	char *name;

	if (ist_import_add(t->import, bytes, ret, err) != IST_OK)
		return err->code;
	name = ist_arena_strdup(&t->import->now->arena, member);
	ist_utf8_repair(name);
	(*ret)->member = name;
	return IST_OK;
}

/* What went wrong with one member fails the item as a whole: half an item is none. */
static enum ist_code end_item(struct tar *t, struct ist_err *err)
{
	struct ist_import_record *r;
	size_t bytes = 0;

	if (t->key == NULL)
		return IST_OK;
	for (int k = 0; k < N_MEMBER_KINDS; k++)
		bytes += t->part[k].len;
	if (new_record(t, t->first, bytes, &r, err) != IST_OK)
		return err->code;
	if (ist_name_is_valid(t->key, strlen(t->key)))
		r->id = ist_arena_strdup(&t->import->now->arena, t->key);
	else
		ist_fail(&r->err, IST_INVALID, "the path is no valid id");
	if (r->id != NULL)
		r->err.code = read_item(t, r, &r->err);
	drop_item(t);
	return ist_import_ready(t->import, r, err);
}

/* ---- members ---- */

static enum ist_code fail_member(struct tar *t, const char *path, const char *why,
				 struct ist_err *err)
{
	struct ist_import_record *r;

	if (end_item(t, err) != IST_OK || new_record(t, path, 0, &r, err) != IST_OK)
		return err->code;
	ist_fail(&r->err, IST_INVALID, "%s", why);
	return IST_OK;
}

/* A broken archive ends the stream. What its reader said first (the client left, the daemon stops)
 * is the true reason where there is one. */
static enum ist_code broken(struct tar *t, struct ist_err *err)
{
	if (t->read_err.code != IST_OK) {
		*err = t->read_err;
		return err->code;
	}
	return ist_fail(err, IST_BAD_REQUEST, "the tar is broken: %s",
			archive_error_string(t->archive));
}

/* The member's bytes; a long one fails its item, and is passed over by the next header. */
static enum ist_code read_member(struct tar *t, enum member_kind kind, struct ist_err *err)
{
	struct ist_buf *part = &t->part[kind];

	if (t->has[kind])
		ist_fail(&t->err, IST_INVALID, "two members are the same kind of thing");
	t->has[kind] = true;
	part->len = 0;
	for (;;) {
		la_ssize_t n;

		ist_buf_reserve(part, READ_BYTES);
		n = archive_read_data(t->archive, part->data + part->len, READ_BYTES);
		if (n < 0)
			return broken(t, err);
		if (n == 0)
			break;
		part->len += (size_t)n;
		if (part->len > MEMBER_BYTES_MAX) {
			ist_fail(&t->err, IST_BODY_TOO_LARGE, "a member is longer than %zu bytes",
				 MEMBER_BYTES_MAX);
			break;
		}
	}
	part->data[part->len] = '\0';
	return IST_OK;
}

static bool find_kind(const char *suffix, enum member_kind *ret)
{
	for (size_t i = 0; i < IST_COUNT(suffixes); i++)
		if (strcasecmp(suffixes[i].suffix, suffix) == 0) {
			*ret = suffixes[i].kind;
			return true;
		}
	return false;
}

/* Everything up to the first dot of the base name is the id, everything after it the kind, as
 * WebDataset has it; the folder belongs to the id. */
static enum ist_code take_file(struct tar *t, const char *path, struct ist_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	const char *dot = strchr(base, '.'), *last = strrchr(base, '.');
	enum member_kind kind;
	size_t n = dot != NULL ? (size_t)(dot - path) : 0;

	if (dot == NULL || dot == base || !find_kind(last + 1, &kind))
		return fail_member(t, path, "neither a picture, nor .json or .txt", err);
	if (t->key == NULL || strlen(t->key) != n || strncmp(t->key, path, n) != 0) {
		if (end_item(t, err) != IST_OK)
			return err->code;
		t->key = ist_strndup(path, n);
		t->first = ist_strdup(path);
	}
	return read_member(t, kind, err);
}

/* Names are UTF-8 or refused later as ids; leading ./ and / say nothing. */
static enum ist_code take_member(struct tar *t, struct archive_entry *entry, struct ist_err *err)
{
	const char *path = archive_entry_pathname_utf8(entry);

	if (path == NULL)
		path = archive_entry_pathname(entry);
	if (path == NULL)
		return fail_member(t, "?", "a member without a name", err);
	while (strncmp(path, "./", 2) == 0 || path[0] == '/')
		path += path[0] == '/' ? 1 : 2;
	if (archive_entry_hardlink(entry) != NULL || archive_entry_filetype(entry) == AE_IFLNK)
		return fail_member(t, path, "links are not followed", err);
	if (archive_entry_filetype(entry) == AE_IFDIR)
		return IST_OK;
	if (archive_entry_filetype(entry) != AE_IFREG)
		return fail_member(t, path, "not a file", err);
	return take_file(t, path, err);
}

static enum ist_code read_all(struct tar *t, struct ist_err *err)
{
	struct archive_entry *entry;

	archive_read_support_format_tar(t->archive);
	if (archive_read_open(t->archive, t, NULL, read_some, NULL) != ARCHIVE_OK)
		return broken(t, err);
	for (;;) {
		int got = archive_read_next_header(t->archive, &entry);

		if (got == ARCHIVE_EOF)
			return end_item(t, err);
		if (got == ARCHIVE_RETRY)
			continue;
		if (got < ARCHIVE_WARN)
			return broken(t, err);
		if (take_member(t, entry, err) != IST_OK)
			return err->code;
	}
}

enum ist_code ist_import_tar(const struct ist_tar_source *source, struct ist_import *im,
			     struct ist_err *err)
{
	struct tar *t = ist_alloc(1, sizeof(*t));
	enum ist_code code;

	t->source = source;
	t->import = im;
	t->archive = archive_read_new();
	code = read_all(t, err);
	archive_read_free(t->archive);
	drop_item(t);
	for (int k = 0; k < N_MEMBER_KINDS; k++)
		ist_buf_finish(&t->part[k]);
	free(t);
	return code;
}
