/*
 * Result lines, spooled: a small buffer in front of an unnamed file in the data folder, so that a
 * disk that is full is the same disk that the items are on, and is told as such.
 */
#include "server/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/memory.h"

#define FLUSH_AT ((size_t)1 << 16)

enum ist_code ist_spool_init(struct ist_spool *spool, const char *folder, struct ist_err *err)
{
	*spool = (struct ist_spool){.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
	if (spool->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		/* A file system without unnamed files: named, and unlinked at once. */
		ist_autofree char *path = ist_format("%s/spool-XXXXXX", folder);

		spool->fd = mkostemp(path, O_CLOEXEC);
		if (spool->fd >= 0)
			unlink(path);
	}
	return spool->fd < 0 ? ist_fail_errno(err, "spool in %s", folder) : IST_OK;
}

void ist_spool_finish(struct ist_spool *spool)
{
	if (spool->fd >= 0)
		close(spool->fd);
	spool->fd = -1;
	ist_buf_finish(&spool->buf);
}

/* Writes the buffer out, however often the system takes only a part. */
static enum ist_code flush(struct ist_spool *spool, struct ist_err *err)
{
	size_t done = 0;

	while (done < spool->buf.len) {
		ssize_t n = write(spool->fd, spool->buf.data + done, spool->buf.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ist_fail_errno(err, "writing result lines");
		done += (size_t)n;
	}
	spool->bytes += spool->buf.len;
	spool->buf.len = 0;
	return IST_OK;
}

enum ist_code ist_spool_put(struct ist_spool *spool, const void *data, size_t len,
			    struct ist_err *err)
{
	ist_buf_put(&spool->buf, data, len);
	return spool->buf.len < FLUSH_AT ? IST_OK : flush(spool, err);
}

enum ist_code ist_spool_reply(struct ist_spool *spool, struct ist_reply *re,
			      const char *content_type, struct ist_err *err)
{
	re->status = 200;
	re->content_type = content_type;
	if (spool->bytes == 0) { /* it never came to writing: a full disk is no matter */
		re->body = spool->buf;
		spool->buf = (struct ist_buf){0};
		return IST_OK;
	}
	if (flush(spool, err) != IST_OK)
		return err->code;
	if (lseek(spool->fd, 0, SEEK_SET) < 0)
		return ist_fail_errno(err, "reading result lines");
	re->fd = spool->fd;
	re->fd_bytes = spool->bytes;
	spool->fd = -1;
	return IST_OK;
}
