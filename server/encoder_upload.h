/*
 * An encoder's folder as a tar stream: unpacked, checked as a whole and put in its place. Until the
 * last step nothing that runs has seen it, so whatever is wrong with it costs only its own request.
 */
#ifndef IST_SERVER_ENCODER_UPLOAD_H
#define IST_SERVER_ENCODER_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "server/encoders.h"

struct ist_upload_source {
	/* Bytes of the archive; *ret_n 0 at its end. */
	enum ist_code (*read)(void *user, void *data, size_t cap, size_t *ret_n,
			      struct ist_err *err);
	void *user;
	uint64_t limit; /* of all files together */
};

/*
 * Installs it as `name` (one that files may have), durably. *ret_created is false where the same
 * encoder stood there before. IST_BODY_TOO_LARGE; IST_INVALID: this is no tar or no
 * encoder, with the file, member or tensor that is wrong; IST_CONFLICT: another one has the name.
 */
IST_CHECKED enum ist_code ist_encoder_upload(struct ist_encoders *encoders, const char *name,
					     const struct ist_upload_source *source,
					     bool *ret_created, struct ist_err *err);

#endif
