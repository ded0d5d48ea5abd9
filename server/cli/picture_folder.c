/*
 * A folder of pictures as records. The id of one is its path below the folder; the caption stands
 * beside it in NAME.txt (or NAME.png.txt), more in NAME.json; the folders that it lies in are its
 * label and its topic. Only names are held in memory, sorted, so that each run has the same order.
 */
#include "server/cli/picture_folder.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define SIDECAR_BYTES_MAX ((size_t)32 << 20)

struct ist_picture_folder {
	char *root;
	char **paths; /* below root, sorted */
	size_t n_paths, cap, at;
	const struct ist_picture_rules *rules;
};

/* ---- the names ---- */

/* `*` matches a slash too: "symbols/" and a star leaves out all that lies below it. */
static bool is_excluded(const struct ist_picture_folder *f, const char *path)
{
	for (size_t i = 0; i < f->rules->n_exclude; i++)
		if (fnmatch(f->rules->exclude[i], path, 0) == 0)
			return true;
	return false;
}

static void add_path(struct ist_picture_folder *f, const char *path)
{
	if (f->n_paths == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 256;
		f->paths = ist_resize(f->paths, f->cap, sizeof(*f->paths));
	}
	f->paths[f->n_paths++] = ist_strdup(path);
}

static enum ist_code visit(struct ist_picture_folder *f, FTS *fts, FTSENT *entry,
			   struct ist_err *err)
{
	const char *path = entry->fts_path + strlen(f->root);

	path += strspn(path, "/");
	switch (entry->fts_info) {
	case FTS_D:
		if (entry->fts_level > 0 && (entry->fts_name[0] == '.' || is_excluded(f, path)))
			fts_set(fts, entry, FTS_SKIP);
		return IST_OK;
	case FTS_F:
		if (entry->fts_name[0] != '.' && ist_is_picture_name(path) && !is_excluded(f, path))
			add_path(f, path);
		return IST_OK;
	case FTS_DNR:
	case FTS_ERR:
		errno = entry->fts_errno;
		return ist_fail_errno(err, "%s", entry->fts_path);
	default:
		return IST_OK;
	}
}

static enum ist_code walk(struct ist_picture_folder *f, struct ist_err *err)
{
	char *roots[] = {f->root, NULL};
	FTS *fts = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	enum ist_code code = IST_OK;

	if (fts == NULL)
		return ist_fail_errno(err, "%s", f->root);
	while (code == IST_OK && (entry = fts_read(fts)) != NULL)
		code = visit(f, fts, entry, err);
	fts_close(fts);
	return code;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void ist_picture_folder_close(struct ist_picture_folder *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n_paths; i++)
		free(f->paths[i]);
	free(f->paths);
	free(f->root);
	free(f);
}

enum ist_code ist_picture_folder_open(const char *path, const struct ist_picture_rules *rules,
				      struct ist_picture_folder **ret, struct ist_err *err)
{
	struct ist_picture_folder *f = ist_alloc(1, sizeof(*f));
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	f->root = ist_strndup(path, len);
	f->rules = rules;
	if (walk(f, err) != IST_OK) {
		ist_picture_folder_close(f);
		return err->code;
	}
	if (f->n_paths == 0) {
		ist_picture_folder_close(f);
		return ist_fail(err, IST_NOT_FOUND, "%s: no picture in this folder", path);
	}
	qsort(f->paths, f->n_paths, sizeof(*f->paths), by_name);
	*ret = f;
	return IST_OK;
}

size_t ist_picture_folder_count(const struct ist_picture_folder *f)
{
	return f->n_paths;
}

/* ---- one picture ---- */

/* animals/birds/cartoon/owl.png: the label at two levels is "animals/birds". */
static void add_folders(const struct ist_picture_folder *f, const char *path, json_t *item)
{
	const char *slash = strchr(path, '/'), *end = NULL;

	if (slash == NULL)
		return;
	if (*f->rules->topic != '\0')
		json_object_set_new(item, "metadata",
				    json_pack("{s:o}", f->rules->topic,
					      json_stringn(path, (size_t)(slash - path))));
	for (int64_t i = 0; slash != NULL && i < f->rules->label_levels; i++) {
		end = slash;
		slash = strchr(slash + 1, '/');
	}
	if (end != NULL)
		json_object_set_new(item, "label", json_stringn(path, (size_t)(end - path)));
}

/* Reads NAME.txt or NAME.png.txt; *ret_found false where neither is. */
static enum ist_code read_sidecar(const struct ist_picture_folder *f, const char *path,
				  const char *suffix, struct ist_buf *buf, bool *ret_found,
				  struct ist_err *err)
{
	size_t stem = (size_t)(strrchr(path, '.') - path);
	ist_autofree char *names[2];
	ist_autofree char *second = NULL;

	names[0] = ist_format("%s/%.*s%s", f->root, (int)stem, path, suffix);
	names[1] = second = ist_format("%s/%s%s", f->root, path, suffix);
	*ret_found = false;
	for (int i = 0; i < 2; i++)
		if (access(names[i], F_OK) == 0) {
			*ret_found = true;
			return ist_file_read(names[i], SIDECAR_BYTES_MAX, buf, err);
		}
	return IST_OK;
}

static enum ist_code add_sidecars(const struct ist_picture_folder *f, const char *path,
				  json_t *item, struct ist_err *err)
{
	struct ist_buf text ist_auto(ist_buf_finish) = {0}, json ist_auto(ist_buf_finish) = {0};
	bool found;

	if (read_sidecar(f, path, ".txt", &text, &found, err) != IST_OK)
		return err->code;
	if (found && ist_sidecar_text(&text, &f->rules->sidecar, item, err) != IST_OK)
		return ist_wrap(err, "its .txt");
	if (read_sidecar(f, path, ".json", &json, &found, err) != IST_OK)
		return err->code;
	if (found && ist_sidecar_json(&json, item, err) != IST_OK)
		return ist_wrap(err, "its .json");
	return IST_OK;
}

static enum ist_code read_picture(const struct ist_picture_folder *f, const char *path,
				  struct ist_record *record, json_t *item, struct ist_err *err)
{
	struct ist_buf picture ist_auto(ist_buf_finish) = {0};
	const char *id;

	add_folders(f, path, item);
	if (add_sidecars(f, path, item, err) != IST_OK ||
	    ist_file_read(record->origin, IST_PICTURE_BYTES_MAX, &picture, err) != IST_OK)
		return err->code;
	if (picture.len == 0)
		return ist_fail(err, IST_IMAGE_UNDECODABLE, "the file is empty");
	id = json_string_value(json_object_get(item, "id"));
	if (id != NULL)
		record->id = ist_strdup(id);
	json_object_del(item, "id");
	json_object_del(item, "image");
	ist_record_make(record, record->id != NULL ? record->id : path, &picture, item);
	return IST_OK;
}

enum ist_code ist_picture_folder_next(struct ist_picture_folder *f, struct ist_record *record,
				      bool *ret_more, struct ist_err *err)
{
	const char *path;
	json_t *item;

	*ret_more = f->at < f->n_paths;
	if (!*ret_more)
		return IST_OK;
	path = f->paths[f->at++];
	item = json_object();
	record->origin = ist_format("%s/%s", f->root, path);
	if (read_picture(f, path, record, item, &record->err) != IST_OK && record->id == NULL)
		record->id = ist_strdup(path);
	json_decref(item);
	return IST_OK;
}

double ist_picture_folder_share(const struct ist_picture_folder *f)
{
	return (double)f->at / (double)f->n_paths;
}
