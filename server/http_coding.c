/* The fastest levels: replies are small and made while somebody waits. */
#include "server/http_coding.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/memory.h"

const char *const ist_coding_names[] = {"identity", "gzip", "zstd"};

/* Whether a member of Accept-Encoding is `name` and not refused by q=0. */
static bool takes(const char *member, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *q;

	if (len < n || strncasecmp(member, name, n) != 0)
		return false;
	if (len > n && strchr("; \t", member[n]) == NULL)
		return false;
	q = memmem(member, len, "q=", 2);
	return q == NULL || strtod(q + 2, NULL) > 0;
}

bool ist_coding_is_taken(const char *accept, const char *name)
{
	bool taken = false;

	while (accept != NULL && *accept != '\0' && !taken) {
		size_t len;

		accept += strspn(accept, " \t,");
		len = strcspn(accept, ",");
		taken = takes(accept, len, name);
		accept += len;
	}
	return taken;
}

enum ist_coding ist_coding_choose(const char *accept)
{
	if (ist_coding_is_taken(accept, "zstd"))
		return IST_CODING_ZSTD;
	return ist_coding_is_taken(accept, "gzip") || ist_coding_is_taken(accept, "*")
		   ? IST_CODING_GZIP
		   : IST_CODING_NONE;
}

static size_t gzip(const struct ist_buf *body, char *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)body->data,
		      .avail_in = (uInt)body->len,
		      .next_out = (Bytef *)out,
		      .avail_out = (uInt)cap};
	size_t n = 0;

	/* 16 asks for gzip's own frame; a small window and little memory suit small bodies. */
	if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, body->len < 65536 ? 5 : 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	if (deflate(&z, Z_FINISH) == Z_STREAM_END)
		n = z.total_out;
	deflateEnd(&z);
	return n;
}

static size_t zstd(const struct ist_buf *body, char *out, size_t cap)
{
	size_t n = ZSTD_compress(out, cap, body->data, body->len, 1);

	return ZSTD_isError(n) ? 0 : n;
}

/* The output has room for nine tenths of the input: a body that does not shrink stops early. */
bool ist_coding_apply(enum ist_coding coding, struct ist_buf *body)
{
	size_t cap = body->len - body->len / 10, n = 0;
	struct ist_buf out = {0};

	if (body->len == 0 || body->len > UINT32_MAX)
		return false;
	ist_buf_reserve(&out, cap);
	if (coding == IST_CODING_GZIP)
		n = gzip(body, out.data, cap);
	else if (coding == IST_CODING_ZSTD)
		n = zstd(body, out.data, cap);
	if (n == 0) {
		ist_buf_finish(&out);
		return false;
	}
	ist_buf_finish(body);
	out.len = n;
	out.data[n] = '\0';
	*body = out;
	return true;
}
