/*
 * Result lines of a streamed import, written to an unnamed file while the body is read: no answer
 * can be sent before the body has ended, and memory stays bounded however long it is.
 */
#ifndef IST_SERVER_SPOOL_H
#define IST_SERVER_SPOOL_H

#include "server/http.h"

struct ist_spool {
	int fd;
	uint64_t bytes; /* in the file */
	struct ist_buf buf;
};

/* A file without a name in `folder`; it is gone with its descriptor. */
IST_CHECKED enum ist_code ist_spool_init(struct ist_spool *spool, const char *folder,
					 struct ist_err *err);
void ist_spool_finish(struct ist_spool *spool);
IST_CHECKED enum ist_code ist_spool_put(struct ist_spool *spool, const void *data, size_t len,
					struct ist_err *err);
/* The spool becomes the reply's body (200): the descriptor, or the bytes where they are few, are
 * the reply's from then on. */
IST_CHECKED enum ist_code ist_spool_reply(struct ist_spool *spool, struct ist_reply *re,
					  const char *content_type, struct ist_err *err);

#endif
