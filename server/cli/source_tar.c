/*
 * A WebDataset tar: consecutive members with the same path up to the first dot of the base name are
 * one item, whose id is that path. A picture, a .txt, a .json and a .cls (its label) are taken;
 * members with other suffixes are passed over, links are not followed. Compressed ones are read,
 * too. It is cut into records here, since the server acknowledges a request and not a member.
 */
#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "server/cli/sidecar.h"
#include "server/cli/source.h"
#include "server/json.h"

#define MEMBER_BYTES_MAX ((size_t)32 << 20)

enum part { PART_IMAGE, PART_TEXT, PART_JSON, PART_CLASS, N_PARTS };

struct tar {
	const char *path;
	struct archive *archive;
	struct ist_sidecar_rules rules;
	double size;
	/* The item at hand. */
	char *key; /* NULL: none */
	struct ist_buf parts[N_PARTS];
	bool has[N_PARTS], at_end;
	struct ist_err err;
	json_t *seen; /* keys of the items before it, as those of an object */
};

static bool takes(const char *path, const struct ist_args *args)
{
	static const char *const suffixes[] = {".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz"};

	for (size_t i = 0; path != NULL && i < IST_COUNT(suffixes); i++)
		if (ist_ends_like(path, suffixes[i]))
			return true;
	return false;
}

static void drop_item(struct tar *t)
{
	free(t->key);
	t->key = NULL;
	t->err = (struct ist_err){0};
	for (int p = 0; p < N_PARTS; p++) {
		t->parts[p].len = 0;
		t->has[p] = false;
	}
}

static void close_tar(void *user)
{
	struct tar *t = user;

	if (t == NULL)
		return;
	drop_item(t);
	for (int p = 0; p < N_PARTS; p++)
		ist_buf_finish(&t->parts[p]);
	archive_read_free(t->archive);
	json_decref(t->seen);
	free(t);
}

static enum ist_code open_tar(const char *path, const struct ist_args *args, void **ret,
			      struct ist_err *err)
{
	struct tar *t = ist_alloc(1, sizeof(*t));
	struct stat st;

	t->path = path;
	t->rules.languages = ist_args_text(args, "languages");
	t->rules.each_line = ist_args_flag(args, "each-line");
	t->seen = json_object();
	t->archive = archive_read_new();
	archive_read_support_filter_all(t->archive);
	archive_read_support_format_tar(t->archive);
	if (stat(path, &st) == 0)
		t->size = (double)st.st_size;
	if (archive_read_open_filename(t->archive, path, 1 << 16) != ARCHIVE_OK) {
		ist_fail(err, IST_INVALID, "%s: %s", path, archive_error_string(t->archive));
		close_tar(t);
		return err->code;
	}
	*ret = t;
	return IST_OK;
}

/* ---- members ---- */

static bool part_of(const char *name, enum part *ret)
{
	static const struct {
		const char *suffix;
		enum part part;
	} suffixes[] = {{".txt", PART_TEXT},
			{".caption", PART_TEXT},
			{".json", PART_JSON},
			{".cls", PART_CLASS}};

	*ret = PART_IMAGE;
	if (ist_is_picture_name(name))
		return true;
	for (size_t i = 0; i < IST_COUNT(suffixes); i++)
		if (ist_ends_like(name, suffixes[i].suffix)) {
			*ret = suffixes[i].part;
			return true;
		}
	return false;
}

static enum ist_code read_member(struct tar *t, enum part part, const char *name,
				 struct archive_entry *entry, struct ist_err *err)
{
	struct ist_buf *buf = &t->parts[part];
	size_t limit = part == PART_IMAGE ? IST_PICTURE_BYTES_MAX : MEMBER_BYTES_MAX;
	int64_t size = archive_entry_size(entry);
	la_ssize_t n;

	if (t->has[part])
		return ist_fail(err, IST_INVALID, "two members give the same: %s", name);
	if (size < 0 || (uint64_t)size > limit)
		return ist_fail(err, IST_BODY_TOO_LARGE, "%s is over %zu MiB", name, limit >> 20);
	ist_buf_reserve(buf, (size_t)size);
	n = archive_read_data(t->archive, buf->data, (size_t)size);
	if (n != size)
		return ist_fail(err, IST_INVALID, "%s is cut", name);
	buf->len = (size_t)size;
	t->has[part] = true;
	return IST_OK;
}

/* ---- items ---- */

static void add_class(struct tar *t, json_t *item)
{
	struct ist_buf *text = &t->parts[PART_CLASS];
	json_t *label;

	while (text->len > 0 && isspace((unsigned char)text->data[text->len - 1]))
		text->len--;
	label = text->len > 0 ? json_stringn(text->data, text->len) : NULL;
	if (label != NULL)
		json_object_set_new(item, "label", label);
}

static enum ist_code read_item(struct tar *t, struct ist_record *record, json_t *item,
			       struct ist_err *err)
{
	const char *id;

	if (t->err.code != IST_OK) {
		*err = t->err;
		return err->code;
	}
	add_class(t, item);
	if (t->has[PART_TEXT] &&
	    ist_sidecar_text(&t->parts[PART_TEXT], &t->rules, item, err) != IST_OK)
		return ist_wrap(err, "its .txt");
	if (t->has[PART_JSON] && ist_sidecar_json(&t->parts[PART_JSON], item, err) != IST_OK)
		return ist_wrap(err, "its .json");
	id = json_string_value(json_object_get(item, "id"));
	record->id = ist_strdup(id != NULL ? id : t->key);
	json_object_del(item, "id");
	if (t->has[PART_IMAGE])
		json_object_del(item, "image");
	ist_record_make(record, record->id, t->has[PART_IMAGE] ? &t->parts[PART_IMAGE] : NULL,
			item);
	return IST_OK;
}

static void give_item(struct tar *t, struct ist_record *record)
{
	json_t *item = json_object();

	record->origin = ist_format("%s: %s", t->path, t->key);
	if (read_item(t, record, item, &record->err) != IST_OK && record->id == NULL)
		record->id = ist_strdup(t->key);
	json_decref(item);
	drop_item(t);
}

/* "./a/b.c/seal.front.png": the length of "a/b.c/seal", counted behind the "./". */
static size_t key_length(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;

	return (size_t)(base - name) + strcspn(base, ".");
}

/* A second item of the same path would replace the first: a picture by its caption, most likely. */
static void begin_item(struct tar *t, const char *name, size_t n)
{
	t->key = ist_strndup(name, n);
	if (json_object_get(t->seen, t->key) != NULL)
		ist_fail(&t->err, IST_CONFLICT,
			 "its members do not follow each other: make the tar with --sort=name");
	else
		json_object_set_new(t->seen, t->key, json_true());
}

/* Puts a member to the item at hand; gives that one first where this belongs to the next. */
static bool take_member(struct tar *t, struct archive_entry *entry, struct ist_record *record)
{
	const char *name = archive_entry_pathname(entry);
	enum part part;
	size_t n;
	bool given = false;

	if (name == NULL || archive_entry_filetype(entry) != AE_IFREG || !part_of(name, &part))
		return false;
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	n = key_length(name);
	if (t->key != NULL && (strlen(t->key) != n || strncmp(t->key, name, n) != 0)) {
		give_item(t, record);
		given = true;
	}
	if (t->key == NULL)
		begin_item(t, name, n);
	/* The first thing that is wrong with an item is what its record says. */
	if (t->err.code == IST_OK && read_member(t, part, name, entry, &t->err) != IST_OK)
		t->has[part] = false;
	return given;
}

static enum ist_code next(void *user, struct ist_record *record, bool *ret_more,
			  struct ist_err *err)
{
	struct tar *t = user;
	struct archive_entry *entry;
	int result;

	*ret_more = true;
	while (!t->at_end) {
		result = archive_read_next_header(t->archive, &entry);
		if (result == ARCHIVE_EOF)
			t->at_end = true;
		else if (result < ARCHIVE_WARN)
			return ist_fail(err, IST_INVALID, "%s: %s", t->path,
					archive_error_string(t->archive));
		else if (take_member(t, entry, record))
			return IST_OK;
	}
	*ret_more = t->key != NULL;
	if (t->key != NULL)
		give_item(t, record);
	return IST_OK;
}

static double share(const void *user)
{
	const struct tar *t = user;

	return t->size > 0 ? (double)archive_filter_bytes(t->archive, -1) / t->size : -1;
}

const struct ist_source_kind ist_source_tar = {
    .name = "tar",
    .takes = takes,
    .open = open_tar,
    .next = next,
    .share = share,
    .close = close_tar,
};
