/*
 * Pictures are decoded by child processes (isthmus-decode), so that a hostile file costs one
 * request its 422 and nothing else. Each child holds one socketpair and one sealed memfd and
 * nothing else (Landlock, seccomp, limits). Children start with the first picture, are replaced
 * now and then, and a file that killed one is refused for an hour.
 * Any thread may call; a call takes a free child or waits for one.
 */
#ifndef IST_SERVER_DECODERS_H
#define IST_SERVER_DECODERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/encode/encoder.h"

struct ist_decoders;
enum { IST_DECODERS_INFO, IST_DECODERS_WARNING };
struct ist_decoders_options {
	const char *program; /* path of isthmus-decode */
	size_t n;	     /* children at most */
	uint64_t max_pixels; /* width x height of a picture */
	uint32_t timeout_ms; /* for one picture */
	/* What happened to a child; `level` is IST_DECODERS_…; any thread. May be NULL. */
	void (*event)(void *user, int level, const char *event, const char *text);
	void *user;
};
struct ist_decoders *ist_decoders_create(const struct ist_decoders_options *options);
void ist_decoders_destroy(struct ist_decoders *d);

struct ist_decoded {
	char type[32];		  /* "image/png", by content */
	uint32_t width, height;	  /* of the original, orientation applied */
	struct ist_pixels pixels; /* in the frame; owns rgb */
	uint8_t *owned;
};
/* IST_IMAGE_UNDECODABLE, IST_IMAGE_TOO_LARGE, IST_UNAVAILABLE. The decoder makes the frame's square
 * where it wants one. */
IST_CHECKED enum ist_code ist_decoders_decode(struct ist_decoders *d, const void *data, size_t len,
					      const struct ist_frame *frame,
					      struct ist_decoded *ret, struct ist_err *err);
void ist_decoded_finish(struct ist_decoded *decoded);
/* A JPEG (or PNG if it has few colours) of at most `side` pixels on the longer side. */
IST_CHECKED enum ist_code ist_decoders_thumbnail(struct ist_decoders *d, const void *data,
						 size_t len, uint32_t side, struct ist_buf *ret,
						 const char **ret_type, struct ist_err *err);

#endif
