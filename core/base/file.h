/*
 * Files that must survive: written to a temporary in the same folder, flushed, fsynced, renamed,
 * and the folder fsynced. A reader sees the old file or the new one, never a part.
 * The batch form writes many, syncs all, then syncs each folder once.
 * Any thread may call anything here; a batch belongs to one thread.
 */
#ifndef IST_CORE_BASE_FILE_H
#define IST_CORE_BASE_FILE_H

#include <stdio.h>

#include "core/base/buf.h"
#include "core/base/error.h"

IST_CHECKED enum ist_code ist_file_write(const char *path, const void *data, size_t len,
					 struct ist_err *err);
/* Fills the file through `fill`, for writers that want a FILE (FAISS). */
IST_CHECKED enum ist_code ist_file_write_with(const char *path,
					      enum ist_code (*fill)(FILE *f, void *user,
								    struct ist_err *err),
					      void *user, struct ist_err *err);
/* Reads a whole file of at most `limit` bytes into buf (appended). */
IST_CHECKED enum ist_code ist_file_read(const char *path, size_t limit, struct ist_buf *buf,
					struct ist_err *err);
IST_CHECKED enum ist_code ist_dir_make(const char *path, struct ist_err *err);	 /* with parents */
IST_CHECKED enum ist_code ist_dir_remove(const char *path, struct ist_err *err); /* with contents */
IST_CHECKED enum ist_code ist_dir_sync(const char *path, struct ist_err *err);

struct ist_file_batch;
struct ist_file_batch *ist_file_batch_create(void);
/* Queues one file; bytes are written at once, but not yet synced or visible. */
IST_CHECKED enum ist_code ist_file_batch_add(struct ist_file_batch *batch, const char *path,
					     const void *data, size_t len, struct ist_err *err);
/* Makes all of them durable and visible. On failure none that was not there before remains. */
IST_CHECKED enum ist_code ist_file_batch_commit(struct ist_file_batch *batch, struct ist_err *err);
void ist_file_batch_destroy(struct ist_file_batch *batch); /* undoes what was not committed */

/* A file mapped read-only; shared between all who map it. */
struct ist_map {
	const void *data;
	size_t len;
};
IST_CHECKED enum ist_code ist_map_open(struct ist_map *map, const char *path, struct ist_err *err);
void ist_map_finish(struct ist_map *map);

#endif
