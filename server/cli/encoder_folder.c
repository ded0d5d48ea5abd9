/*
 * The files of a folder and of the folders in it, without hidden ones. A tar is a header of 512
 * bytes before each file, whose bytes are filled up to a multiple of that, and two empty blocks at
 * the end; names are short and plain here, so the oldest form will do.
 */
#include "server/cli/encoder_folder.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/tensor/safetensors.h"

#define BLOCK 512
#define FILES_MAX 64
#define NAME_BYTES_MAX 99
#define CONFIG_BYTES_MAX ((size_t)1 << 20)

struct file {
	char *name; /* within the folder */
	uint64_t bytes;
};

struct ist_encoder_folder {
	char *path;
	struct file files[FILES_MAX];
	size_t n;
	/* Reading: file `at`, of which `done` bytes of header, content and filling have been given.
	 */
	size_t at;
	uint64_t done;
	FILE *open;
	char header[BLOCK];
};

/* ---- finding and checking ---- */

static enum ist_code add_file(struct ist_encoder_folder *f, const char *name, uint64_t bytes,
			      struct ist_err *err)
{
	if (f->n == FILES_MAX)
		return ist_fail(err, IST_INVALID, "%s: more than %d files are no encoder", f->path,
				FILES_MAX);
	if (strlen(name) > NAME_BYTES_MAX)
		return ist_fail(err, IST_INVALID, "%s/%s: the name is too long", f->path, name);
	f->files[f->n++] = (struct file){ist_strdup(name), bytes};
	return IST_OK;
}

/* `inside` is "" or a folder's name with a slash; folders in folders are passed over. */
static enum ist_code find_files(struct ist_encoder_folder *f, const char *inside,
				struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", f->path, inside);
	DIR *dir = opendir(path);
	enum ist_code code = IST_OK;
	struct stat st;

	if (dir == NULL)
		return ist_fail_errno(err, "%s", path);
	for (struct dirent *d = readdir(dir); d != NULL && code == IST_OK; d = readdir(dir)) {
		ist_autofree char *name = ist_format("%s%s", inside, d->d_name);
		ist_autofree char *whole = ist_format("%s/%s", f->path, name);
		ist_autofree char *deeper = ist_format("%s/", name);

		if (d->d_name[0] == '.' || stat(whole, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && inside[0] == '\0')
			code = find_files(f, deeper, err);
		else if (S_ISREG(st.st_mode))
			code = add_file(f, name, (uint64_t)st.st_size, err);
	}
	closedir(dir);
	return code;
}

static enum ist_code check_config(const struct ist_encoder_folder *f, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/config.json", f->path);
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	json_error_t where;
	json_t *config;
	enum ist_code code = IST_OK;

	if (ist_file_read(path, CONFIG_BYTES_MAX, &text, err) != IST_OK)
		return ist_wrap(err, "no encoder's folder");
	config = json_loadb(text.len > 0 ? text.data : "", text.len, 0, &where);
	if (config == NULL)
		return ist_fail(err, IST_INVALID, "%s: line %d: %s", path, where.line, where.text);
	if (!json_is_string(json_object_get(config, "model_type")))
		code = ist_fail(err, IST_INVALID, "%s: \"model_type\" is missing", path);
	json_decref(config);
	return code;
}

static enum ist_code check_weights(const struct ist_encoder_folder *f, struct ist_err *err)
{
	static const char suffix[] = ".safetensors";
	size_t n_weights = 0;

	for (size_t i = 0; i < f->n; i++) {
		ist_autofree char *path = ist_format("%s/%s", f->path, f->files[i].name);
		size_t len = strlen(path);
		struct ist_safetensors *tensors;

		if (len < sizeof(suffix) || strcmp(path + len + 1 - sizeof(suffix), suffix) != 0)
			continue;
		if (ist_safetensors_open(path, &tensors, err) != IST_OK)
			return err->code;
		ist_safetensors_close(tensors);
		n_weights++;
	}
	return n_weights > 0
		   ? IST_OK
		   : ist_fail(err, IST_INVALID, "%s: there is no model.safetensors", f->path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

enum ist_code ist_encoder_folder_open(const char *path, struct ist_encoder_folder **ret,
				      struct ist_err *err)
{
	struct ist_encoder_folder *f = ist_alloc(1, sizeof(*f));
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	f->path = ist_strndup(path, len);
	if (check_config(f, err) != IST_OK || find_files(f, "", err) != IST_OK ||
	    check_weights(f, err) != IST_OK) {
		ist_encoder_folder_close(f);
		return err->code;
	}
	qsort(f->files, f->n, sizeof(*f->files), by_name);
	*ret = f;
	return IST_OK;
}

void ist_encoder_folder_close(struct ist_encoder_folder *f)
{
	if (f == NULL)
		return;
	if (f->open != NULL)
		fclose(f->open);
	for (size_t i = 0; i < f->n; i++)
		free(f->files[i].name);
	free(f->path);
	free(f);
}

/* ---- the stream ---- */

static uint64_t filled(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

uint64_t ist_encoder_folder_bytes(const struct ist_encoder_folder *f)
{
	uint64_t sum = 2 * BLOCK;

	for (size_t i = 0; i < f->n; i++)
		sum += BLOCK + filled(f->files[i].bytes);
	return sum;
}

/* Sizes from 8 GiB on do not fit 11 octal digits: they are written in binary, as GNU tar does. */
static void put_size(char *at, uint64_t bytes)
{
	if (bytes < (uint64_t)1 << 33) {
		snprintf(at, 12, "%011llo", (unsigned long long)bytes);
		return;
	}
	at[0] = (char)0x80;
	for (int i = 11; i > 0; i--, bytes >>= 8)
		at[i] = (char)(bytes & 0xff);
}

static void make_header(struct ist_encoder_folder *f)
{
	const struct file *file = &f->files[f->at];
	char *h = f->header;
	unsigned sum = 0;

	memset(h, 0, BLOCK);
	snprintf(h, 100, "%s", file->name);
	memcpy(h + 100, "0000644", 7);
	memcpy(h + 108, "0000000", 7);
	memcpy(h + 116, "0000000", 7);
	put_size(h + 124, file->bytes);
	memcpy(h + 136, "00000000000", 11);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
}

static bool begin_file(struct ist_encoder_folder *f)
{
	ist_autofree char *path = ist_format("%s/%s", f->path, f->files[f->at].name);

	make_header(f);
	f->open = fopen(path, "rb");
	return f->open != NULL;
}

/* Header, content and filling of one file, as much as there is room for. */
static size_t read_file(struct ist_encoder_folder *f, char *data, size_t cap)
{
	const struct file *file = &f->files[f->at];
	uint64_t end = BLOCK + filled(file->bytes), left;
	size_t n;

	if (f->done == 0 && !begin_file(f))
		return SIZE_MAX;
	if (f->done < BLOCK) {
		n = IST_MIN(cap, BLOCK - f->done);
		memcpy(data, f->header + f->done, n);
	} else if (f->done < BLOCK + file->bytes) {
		left = BLOCK + file->bytes - f->done;
		n = IST_MIN(cap, left);
		if (fread(data, 1, n, f->open) != n)
			return SIZE_MAX;
	} else {
		n = IST_MIN(cap, end - f->done);
		memset(data, 0, n);
	}
	f->done += n;
	if (f->done == end) {
		fclose(f->open);
		f->open = NULL;
		f->at++;
		f->done = 0;
	}
	return n;
}

size_t ist_encoder_folder_read(struct ist_encoder_folder *f, char *data, size_t cap)
{
	size_t got = 0, n;

	while (got < cap && f->at < f->n) {
		n = read_file(f, data + got, cap - got);
		if (n == SIZE_MAX)
			return SIZE_MAX;
		got += n;
	}
	if (got < cap && f->done < 2 * BLOCK) {
		n = IST_MIN(cap - got, 2 * BLOCK - f->done);
		memset(data + got, 0, n);
		f->done += n;
		got += n;
	}
	return got;
}
