/*
 * Durable files. The temporary's name carries the process and a counter, so that two writers of one
 * path never meet; the last rename wins. After a crash only whole files and temporaries
 * (".tmp-*", removed by whoever owns the folder) are there.
 */
#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/sync.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static char *folder_of(const char *path)
{
	ist_autofree char *copy = ist_strdup(path);

	return ist_strdup(dirname(copy));
}

static char *temporary_for(const char *path)
{
	static atomic_uint counter;
	ist_autofree char *folder = folder_of(path);

	return ist_format("%s/.tmp-%ld-%u", folder, (long)getpid(), atomic_fetch_add(&counter, 1));
}

static enum ist_code write_all(int fd, const char *path, const void *data, size_t len,
			       struct ist_err *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ist_fail_errno(err, "write %s", path);
		p += n;
		len -= (size_t)n;
	}
	return IST_OK;
}

static enum ist_code sync_fd(int fd, const char *path, struct ist_err *err)
{
	if (fsync(fd) != 0)
		return ist_fail_errno(err, "fsync %s", path);
	return IST_OK;
}

enum ist_code ist_dir_sync(const char *path, struct ist_err *err)
{
	ist_auto(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ist_fail_errno(err, "open folder %s", path);
	return sync_fd(fd, path, err);
}

static enum ist_code publish(const char *temporary, const char *path, struct ist_err *err)
{
	if (rename(temporary, path) != 0)
		return ist_fail_errno(err, "rename to %s", path);
	return IST_OK;
}

struct blob {
	const void *data;
	size_t len;
};

static enum ist_code put_blob(FILE *f, void *user, struct ist_err *err)
{
	const struct blob *blob = user;

	if (blob->len != 0 && fwrite(blob->data, 1, blob->len, f) != blob->len)
		return ist_fail_errno(err, "write");
	return IST_OK;
}

enum ist_code ist_file_write(const char *path, const void *data, size_t len, struct ist_err *err)
{
	struct blob blob = {data, len};

	return ist_file_write_with(path, put_blob, &blob, err);
}

static enum ist_code fill_and_sync(const char *temporary,
				   enum ist_code (*fill)(FILE *, void *, struct ist_err *),
				   void *user, struct ist_err *err)
{
	FILE *f = fopen(temporary, "wxe");
	enum ist_code code;

	if (f == NULL)
		return ist_fail_errno(err, "create %s", temporary);
	code = fill(f, user, err);
	if (code == IST_OK && fflush(f) != 0)
		code = ist_fail_errno(err, "write %s", temporary);
	if (code == IST_OK)
		code = sync_fd(fileno(f), temporary, err);
	if (fclose(f) != 0 && code == IST_OK)
		code = ist_fail_errno(err, "close %s", temporary);
	return code;
}

enum ist_code ist_file_write_with(const char *path,
				  enum ist_code (*fill)(FILE *f, void *user, struct ist_err *err),
				  void *user, struct ist_err *err)
{
	ist_autofree char *temporary = temporary_for(path);
	ist_autofree char *folder = folder_of(path);
	enum ist_code code = fill_and_sync(temporary, fill, user, err);

	if (code == IST_OK)
		code = publish(temporary, path, err);
	if (code != IST_OK) {
		unlink(temporary);
		return code;
	}
	return ist_dir_sync(folder, err);
}

enum ist_code ist_file_read(const char *path, size_t limit, struct ist_buf *buf,
			    struct ist_err *err)
{
	ist_auto(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = buf->len;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? ist_fail(err, IST_NOT_FOUND, "no file %s", path)
				       : ist_fail_errno(err, "open %s", path);
	for (;;) {
		ist_buf_reserve(buf, 65536);
		n = read(fd, buf->data + buf->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ist_fail_errno(err, "read %s", path);
		buf->len += (size_t)n;
		buf->data[buf->len] = '\0';
		if (n == 0)
			return IST_OK;
		if (buf->len - start > limit)
			return ist_fail(err, IST_INVALID, "%s is over %zu bytes", path, limit);
	}
}

enum ist_code ist_dir_make(const char *path, struct ist_err *err)
{
	ist_autofree char *copy = ist_strdup(path);

	for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(copy, 0750) != 0 && errno != EEXIST)
			return ist_fail_errno(err, "make folder %s", copy);
		if (slash == NULL)
			break;
		*slash = '/';
	}
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return ist_fail(err, IST_IO, "%s is not a folder", path);
	return IST_OK;
}

static enum ist_code remove_entry(const char *folder, const struct dirent *entry,
				  struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", folder, entry->d_name);
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? IST_OK : ist_fail_errno(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return ist_dir_remove(path, err);
	if (unlink(path) != 0 && errno != ENOENT)
		return ist_fail_errno(err, "remove %s", path);
	return IST_OK;
}

enum ist_code ist_dir_remove(const char *path, struct ist_err *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	enum ist_code code = IST_OK;

	if (dir == NULL)
		return errno == ENOENT ? IST_OK : ist_fail_errno(err, "open folder %s", path);
	while (code == IST_OK && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = remove_entry(path, entry, err);
	}
	closedir(dir);
	if (code == IST_OK && rmdir(path) != 0 && errno != ENOENT)
		code = ist_fail_errno(err, "remove folder %s", path);
	return code;
}

/* ---- the batch form ---- */

struct batch_file {
	char *temporary, *path;
	int fd;	      /* open until it is synced */
	bool visible; /* renamed by this batch, and not there before */
};

struct ist_file_batch {
	struct batch_file *files;
	size_t n, cap;
};

/* Open descriptors at most; a larger batch syncs its earlier files before it goes on. */
#define BATCH_OPEN 256

struct ist_file_batch *ist_file_batch_create(void)
{
	return ist_alloc(1, sizeof(struct ist_file_batch));
}

static enum ist_code sync_open(struct ist_file_batch *batch, struct ist_err *err)
{
	ist_autofree int *fds = ist_alloc(batch->n + 1, sizeof(*fds));
	ist_autofree size_t *of = ist_alloc(batch->n + 1, sizeof(*of));
	size_t n = 0, failed;

	for (size_t i = 0; i < batch->n; i++)
		if (batch->files[i].fd >= 0) {
			fds[n] = batch->files[i].fd;
			of[n++] = i;
		}
	failed = ist_sync_all(fds, n);
	if (failed < n)
		return ist_fail_errno(err, "fsync %s", batch->files[of[failed]].temporary);
	for (size_t i = 0; i < n; i++)
		close_fd(&batch->files[of[i]].fd);
	return IST_OK;
}

enum ist_code ist_file_batch_add(struct ist_file_batch *batch, const char *path, const void *data,
				 size_t len, struct ist_err *err)
{
	struct batch_file *file;
	enum ist_code code;

	if (batch->n % BATCH_OPEN == BATCH_OPEN - 1) {
		code = sync_open(batch, err);
		if (code != IST_OK)
			return code;
	}
	if (batch->n == batch->cap) {
		batch->cap = batch->cap != 0 ? batch->cap * 2 : 16;
		batch->files = ist_resize(batch->files, batch->cap, sizeof(*batch->files));
	}
	file = &batch->files[batch->n++];
	*file = (struct batch_file){temporary_for(path), ist_strdup(path), -1, false};
	file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (file->fd < 0)
		return ist_fail_errno(err, "create %s", file->temporary);
	return write_all(file->fd, file->temporary, data, len, err);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folders of all files, each once; returns how many. */
static size_t list_folders(const struct ist_file_batch *batch, char **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < batch->n; i++)
		ret[i] = folder_of(batch->files[i].path);
	qsort(ret, batch->n, sizeof(*ret), compare_paths);
	for (size_t i = 0; i < batch->n; i++)
		if (n > 0 && strcmp(ret[n - 1], ret[i]) == 0)
			free(ret[i]);
		else
			ret[n++] = ret[i];
	return n;
}

static enum ist_code sync_some(char *const *folders, size_t n, struct ist_err *err)
{
	int fds[BATCH_OPEN];
	enum ist_code code = IST_OK;
	size_t opened = 0, failed;

	while (opened < n && code == IST_OK) {
		fds[opened] = open(folders[opened], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[opened] < 0)
			code = ist_fail_errno(err, "open folder %s", folders[opened]);
		else
			opened++;
	}
	failed = code == IST_OK ? ist_sync_all(fds, n) : n;
	if (failed < n)
		code = ist_fail_errno(err, "fsync %s", folders[failed]);
	while (opened > 0)
		close(fds[--opened]);
	return code;
}

static enum ist_code sync_folders(const struct ist_file_batch *batch, struct ist_err *err)
{
	ist_autofree char **folders = ist_alloc(batch->n + 1, sizeof(*folders));
	size_t n = list_folders(batch, folders);
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < n && code == IST_OK; i += BATCH_OPEN)
		code = sync_some(folders + i, IST_MIN(n - i, BATCH_OPEN), err);
	for (size_t i = 0; i < n; i++)
		free(folders[i]);
	return code;
}

enum ist_code ist_file_batch_commit(struct ist_file_batch *batch, struct ist_err *err)
{
	enum ist_code code = sync_open(batch, err);

	for (size_t i = 0; i < batch->n && code == IST_OK; i++) {
		struct batch_file *file = &batch->files[i];
		bool there = access(file->path, F_OK) == 0;

		code = publish(file->temporary, file->path, err);
		file->visible = code == IST_OK && !there;
	}
	if (code == IST_OK)
		code = sync_folders(batch, err);
	if (code == IST_OK) /* from here on the files are the caller's */
		for (size_t i = 0; i < batch->n; i++)
			batch->files[i].visible = false;
	return code;
}

void ist_file_batch_destroy(struct ist_file_batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->n; i++) {
		struct batch_file *file = &batch->files[i];

		close_fd(&file->fd);
		unlink(file->visible ? file->path : file->temporary);
		free(file->temporary);
		free(file->path);
	}
	free(batch->files);
	free(batch);
}

/* ---- mapping ---- */

enum ist_code ist_map_open(struct ist_map *map, const char *path, struct ist_err *err)
{
	ist_auto(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0)
		return errno == ENOENT ? ist_fail(err, IST_NOT_FOUND, "no file %s", path)
				       : ist_fail_errno(err, "open %s", path);
	if (fstat(fd, &st) != 0)
		return ist_fail_errno(err, "stat %s", path);
	*map = (struct ist_map){NULL, 0};
	if (!S_ISREG(st.st_mode))
		return ist_fail(err, IST_INVALID, "%s is not a file", path);
	if (st.st_size == 0)
		return IST_OK;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return ist_fail_errno(err, "map %s", path);
	*map = (struct ist_map){p, (size_t)st.st_size};
	return IST_OK;
}

void ist_map_finish(struct ist_map *map)
{
	if (map->data != NULL)
		munmap((void *)map->data, map->len);
	*map = (struct ist_map){0};
}
