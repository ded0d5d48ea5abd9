/*
 * The writer lays a stream of its own over the file: what goes through it is hashed on the way, so
 * that FAISS can write megabytes without a second copy or a second pass.
 */
#include "index/checked_file.h"

#include <string.h>

#include <xxhash.h>

#define BUFFER_SIZE (1 << 18)

struct writing {
	FILE *below;
	XXH3_state_t *hash;
	enum ist_code (*fill)(FILE *f, void *user, struct ist_err *err);
	void *user;
	uint64_t checksum;
};

/* Hashed only if it was written: a failed write is not repeated. */
static ssize_t write_hashed(void *cookie, const char *data, size_t n)
{
	struct writing *w = cookie;

	if (fwrite(data, 1, n, w->below) != n)
		return 0; /* stdio takes it for the error that errno tells */
	XXH3_64bits_update(w->hash, data, n);
	return (ssize_t)n;
}

/* FAISS does not report every failed write, the stream does. */
static enum ist_code fill_stream(FILE *f, struct writing *w, struct ist_err *err)
{
	enum ist_code code = w->fill(f, w->user, err);

	if (code == IST_OK && (ferror(f) || fflush(f) != 0))
		code = ist_fail_errno(err, "write");
	return code;
}

static enum ist_code fill_checked(FILE *below, void *user, struct ist_err *err)
{
	struct writing *w = user;
	FILE *f = fopencookie(w, "w", (cookie_io_functions_t){.write = write_hashed});
	enum ist_code code;

	if (f == NULL)
		return ist_fail_errno(err, "open a stream");
	w->below = below;
	setvbuf(f, NULL, _IOFBF, BUFFER_SIZE);
	code = fill_stream(f, w, err);
	if (fclose(f) != 0 && code == IST_OK)
		code = ist_fail_errno(err, "write");
	if (code != IST_OK)
		return code;
	w->checksum = XXH3_64bits_digest(w->hash);
	if (fwrite(&w->checksum, sizeof(w->checksum), 1, below) != 1)
		return ist_fail_errno(err, "write");
	return IST_OK;
}

enum ist_code ist_checked_write(const char *path,
				enum ist_code (*fill)(FILE *f, void *user, struct ist_err *err),
				void *user, uint64_t *ret_checksum, struct ist_err *err)
{
	struct writing w = {.hash = XXH3_createState(), .fill = fill, .user = user};
	enum ist_code code;

	if (w.hash == NULL)
		return ist_fail(err, IST_NO_MEMORY, "no memory for a checksum");
	XXH3_64bits_reset(w.hash);
	code = ist_file_write_with(path, fill_checked, &w, err);
	XXH3_freeState(w.hash);
	if (code == IST_OK && ret_checksum != NULL)
		*ret_checksum = w.checksum;
	return code;
}

/* A file too short to hold a checksum is damaged like any other. */
enum ist_code ist_checked_open(const char *path, struct ist_checked *ret, struct ist_err *err)
{
	struct ist_checked file = {0};
	enum ist_code code = ist_map_open(&file.map, path, err);

	if (code != IST_OK)
		return code;
	if (file.map.len >= sizeof(file.checksum)) {
		file.data = file.map.data;
		file.len = file.map.len - sizeof(file.checksum);
		memcpy(&file.checksum, (const char *)file.data + file.len, sizeof(file.checksum));
		if (XXH3_64bits(file.data, file.len) == file.checksum) {
			*ret = file;
			return IST_OK;
		}
	}
	ist_map_finish(&file.map);
	return ist_fail(err, IST_CORRUPT, "%s is damaged: its checksum does not hold", path);
}

void ist_checked_finish(struct ist_checked *file)
{
	ist_map_finish(&file->map);
	*file = (struct ist_checked){0};
}
