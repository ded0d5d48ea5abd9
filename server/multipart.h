/* multipart/form-data (RFC 7578) in memory. Parts point into the body. */
#ifndef IST_SERVER_MULTIPART_H
#define IST_SERVER_MULTIPART_H

#include "core/base/arena.h"
#include "core/base/error.h"
#include "server/http.h"

#define IST_PARTS_MAX 16

/* `type` is the whole Content-Type header with its boundary. IST_BAD_REQUEST says what is wrong. */
IST_CHECKED enum ist_code ist_multipart_parse(const char *type, struct ist_str body,
					      struct ist_arena *arena,
					      const struct ist_part_body **ret, size_t *ret_n,
					      struct ist_err *err);

#endif
