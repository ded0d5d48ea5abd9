/* Base64 (RFC 4648, the standard alphabet). Padding may be left out; white space is refused. */
#ifndef IST_SERVER_BASE64_H
#define IST_SERVER_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"

/* Bytes that `len` characters decode to at most. */
static inline size_t ist_base64_bound(size_t len)
{
	return len / 4 * 3 + 3;
}

/* ret holds ist_base64_bound(len) bytes. False if it is not base64. */
bool ist_base64_decode(const char *text, size_t len, void *ret, size_t *ret_len);
/* Appends the padded form. */
void ist_base64_put(struct ist_buf *buf, const void *data, size_t len);

#endif
