/*
 * libarchive takes the stream apart; each file is written through to the disk under a spool folder.
 * Names are held to what hubs use (letters, digits, '.', '_', '-', one folder deep), so that no
 * member can reach anything else; a folder around all of it is taken off. Then the folder is opened
 * as an encoder, which checks every shape, type and number, and made to encode something.
 */
#include "server/encoder_upload.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define READ_BYTES ((size_t)256 << 10)
#define FILES_MAX 64
#define PATH_BYTES_MAX 200
#define DEPTH_MAX 3 /* the folder around it, one in it, the file */
#define TRIAL_SIDE 32

struct upload {
	const struct ist_upload_source *source;
	struct archive *archive;
	struct ist_err read_err; /* of the source: wins over what libarchive makes of it */
	char *spool;		 /* where it is unpacked */
	char *folder;		 /* in there, of the highest config.json */
	uint64_t bytes;
	size_t n_files;
	char buffer[READ_BYTES];
};

/* ---- unpacking ---- */

static la_ssize_t read_some(struct archive *a, void *user, const void **ret)
{
	struct upload *u = user;
	size_t n = 0;

	if (u->source->read(u->source->user, u->buffer, sizeof(u->buffer), &n, &u->read_err) !=
	    IST_OK) {
		archive_set_error(a, -1, "%s", u->read_err.text);
		return -1;
	}
	*ret = u->buffer;
	return (la_ssize_t)n;
}

static enum ist_code broken(struct upload *u, struct ist_err *err)
{
	if (u->read_err.code != IST_OK) {
		*err = u->read_err;
		return err->code;
	}
	return ist_fail(err, IST_INVALID, "the tar is broken: %s",
			archive_error_string(u->archive));
}

/* What a header promises is judged before it is written, what comes while it is. */
static enum ist_code too_large(struct upload *u, struct ist_err *err)
{
	return ist_fail(err, IST_BODY_TOO_LARGE, "the files may have %llu bytes together",
			(unsigned long long)u->source->limit);
}

static enum ist_code fill(FILE *file, void *user, struct ist_err *err)
{
	struct upload *u = user;
	const void *data;
	size_t n;
	la_int64_t at;
	int got;

	while ((got = archive_read_data_block(u->archive, &data, &n, &at)) == ARCHIVE_OK) {
		u->bytes += n;
		if (u->bytes > u->source->limit || (uint64_t)at > u->source->limit)
			return too_large(u, err);
		if (fseeko(file, at, SEEK_SET) != 0 || fwrite(data, 1, n, file) != n)
			return ist_fail_errno(err, "write");
	}
	return got == ARCHIVE_EOF ? IST_OK : broken(u, err);
}

/* "all-minilm-l6-v2/1_Pooling/config.json"; leading ./ and / are gone already. */
static enum ist_code check_path(const char *path, struct ist_err *err)
{
	static const char *const plain =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
	size_t depth = 1;

	for (const char *p = path; *p != '\0'; p++)
		depth += *p == '/';
	if (path[0] == '\0' || strlen(path) > PATH_BYTES_MAX || path[strspn(path, plain)] != '\0' ||
	    path[0] == '.' || strstr(path, "/.") != NULL || strstr(path, "//") != NULL ||
	    depth > DEPTH_MAX)
		return ist_fail(err, IST_INVALID,
				"member \"%.64s\": names have letters, digits, '.', '_' and '-', "
				"do not begin with '.', and are at most %d deep",
				path, DEPTH_MAX);
	return IST_OK;
}

/* Hidden files (a repository's own) are no part of an encoder. */
static bool is_hidden(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;

	return base[0] == '.' && strcmp(base, ".") != 0 && strcmp(base, "..") != 0;
}

static enum ist_code take_file(struct upload *u, const char *path, struct archive_entry *entry,
			       struct ist_err *err)
{
	ist_autofree char *to = ist_format("%s/%s", u->spool, path);
	const char *base = strrchr(to, '/') + 1;
	ist_autofree char *parent = ist_strndup(to, (size_t)(base - 1 - to));
	struct stat st;

	if (++u->n_files > FILES_MAX)
		return ist_fail(err, IST_INVALID, "an encoder has at most %d files", FILES_MAX);
	if (archive_entry_size_is_set(entry) &&
	    (uint64_t)archive_entry_size(entry) > u->source->limit - u->bytes)
		return too_large(u, err);
	if (stat(to, &st) == 0)
		return ist_fail(err, IST_INVALID, "member \"%.64s\" comes twice", path);
	if (ist_dir_make(parent, err) != IST_OK)
		return err->code;
	if (strcmp(base, "config.json") == 0 &&
	    (u->folder == NULL || strlen(u->folder) > strlen(parent))) {
		free(u->folder);
		u->folder = ist_strdup(parent);
	}
	return ist_file_write_with(to, fill, u, err);
}

static enum ist_code take_member(struct upload *u, struct archive_entry *entry, struct ist_err *err)
{
	const char *path = archive_entry_pathname(entry);

	if (path == NULL)
		return ist_fail(err, IST_INVALID, "a member without a name");
	while (strncmp(path, "./", 2) == 0 || path[0] == '/')
		path += path[0] == '/' ? 1 : 2;
	if (archive_entry_hardlink(entry) != NULL || archive_entry_filetype(entry) == AE_IFLNK)
		return ist_fail(err, IST_INVALID, "member \"%.64s\": links are not followed", path);
	if (archive_entry_filetype(entry) == AE_IFDIR || is_hidden(path))
		return IST_OK;
	if (archive_entry_filetype(entry) != AE_IFREG)
		return ist_fail(err, IST_INVALID, "member \"%.64s\" is not a file", path);
	if (check_path(path, err) != IST_OK)
		return err->code;
	return take_file(u, path, entry, err);
}

static enum ist_code unpack(struct upload *u, struct ist_err *err)
{
	struct archive_entry *entry;
	int got;

	archive_read_support_format_tar(u->archive);
	if (archive_read_open(u->archive, u, NULL, read_some, NULL) != ARCHIVE_OK)
		return broken(u, err);
	while ((got = archive_read_next_header(u->archive, &entry)) != ARCHIVE_EOF) {
		if (got == ARCHIVE_RETRY)
			continue;
		if (got < ARCHIVE_WARN)
			return broken(u, err);
		if (take_member(u, entry, err) != IST_OK)
			return err->code;
	}
	return u->n_files > 0 ? IST_OK : ist_fail(err, IST_INVALID, "the tar holds no file");
}

/* ---- checking ---- */

/* A feature of something, in each modality that it takes: finite and not all zero, or an error. */
static enum ist_code try_out(const struct ist_encoder *encoder, struct ist_err *err)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	ist_autofree float *feature = ist_alloc(encoder->dim, sizeof(float));
	uint8_t rgb[TRIAL_SIDE * TRIAL_SIDE * 3];
	struct ist_pixels pixels = {TRIAL_SIDE, TRIAL_SIDE, rgb};
	struct ist_str text = {"a picture of a boat", 19};
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < sizeof(rgb); i++)
		rgb[i] = (uint8_t)(i * 7);
	if (encoder->arch->image != NULL)
		code = ist_encoder_image(encoder, ws, &pixels, feature, err);
	if (code == IST_OK && encoder->arch->texts != NULL)
		code = ist_encoder_texts(encoder, ws, &text, 1, feature, err);
	ist_encoder_workspace_destroy(ws);
	return code;
}

/* The client did not choose where we unpacked it: "FOLDER/config.json" becomes "config.json". */
static void forget_folder(struct ist_err *err, const char *folder)
{
	size_t n = strlen(folder);
	char *at;

	while ((at = strstr(err->text, folder)) != NULL) {
		size_t skip = n + (at[n] == '/');

		memmove(at, at + skip, strlen(at + skip) + 1);
	}
}

/* What is wrong with a client's files is the client's mistake; the machine's troubles stay. */
static enum ist_code check(const char *name, const char *folder, struct ist_encoder **ret,
			   struct ist_err *err)
{
	enum ist_code code = ist_encoder_open(name, folder, ret, err);

	if (code == IST_OK) {
		code = try_out(*ret, err);
		if (code == IST_OK)
			return IST_OK;
		ist_encoder_close(*ret);
		*ret = NULL;
	}
	forget_folder(err, folder);
	if (code != IST_NO_MEMORY && code != IST_STORAGE_FULL && code != IST_CANCELLED)
		code = err->code = IST_INVALID;
	return code;
}

/* ---- installing ---- */

/* The same encoder again changes nothing; another of its name is refused. */
static enum ist_code compare(struct ist_encoders *encoders, const char *name,
			     const struct ist_encoder *new, bool *ret_same, struct ist_err *err)
{
	const struct ist_encoder *old;
	enum ist_code code = ist_encoders_get(encoders, name, &old, err);

	*ret_same = false;
	if (code == IST_INVALID) /* there is none */
		return IST_OK;
	if (code == IST_OK)
		*ret_same = memcmp(old->fingerprint, new->fingerprint, IST_FINGERPRINT) == 0;
	if (*ret_same)
		return IST_OK;
	return ist_fail(err, IST_CONFLICT, "there is another encoder %s; remove it first", name);
}

static enum ist_code publish(struct upload *u, struct ist_encoders *encoders, const char *name,
			     bool *ret_created, struct ist_err *err)
{
	struct ist_encoder *encoder = NULL;
	bool same = false;
	enum ist_code code;

	if (u->folder == NULL)
		return ist_fail(err, IST_INVALID, "there is no config.json in the tar");
	code = check(name, u->folder, &encoder, err);
	if (code == IST_OK)
		code = ist_dir_sync(u->folder, err);
	if (code != IST_OK) {
		ist_encoder_close(encoder);
		return code;
	}
	ist_encoders_lock_use(encoders);
	code = compare(encoders, name, encoder, &same, err);
	ist_encoder_close(encoder);
	if (code == IST_OK && !same)
		code = ist_encoders_install(encoders, name, u->folder, err);
	ist_encoders_unlock_use(encoders);
	*ret_created = !same;
	return code;
}

enum ist_code ist_encoder_upload(struct ist_encoders *encoders, const char *name,
				 const struct ist_upload_source *source, bool *ret_created,
				 struct ist_err *err)
{
	struct upload *u = ist_alloc(1, sizeof(*u));
	enum ist_code code;

	u->source = source;
	code = ist_encoders_spool(encoders, &u->spool, err);
	if (code == IST_OK) {
		u->archive = archive_read_new();
		code = unpack(u, err);
		archive_read_free(u->archive);
		if (code == IST_OK)
			code = publish(u, encoders, name, ret_created, err);
		/* What cannot be removed now is at the next start. */
		if (ist_dir_remove(u->spool, NULL) != IST_OK)
			errno = 0;
	}
	free(u->spool);
	free(u->folder);
	free(u);
	return code;
}
