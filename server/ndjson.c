/* Lines of a streamed body. What was given out is dropped only when more has to be read, so that a
 * body of many short lines is moved seldom. */
#include "server/ndjson.h"

#include <string.h>

#include "core/base/memory.h"

#define READ_BYTES ((size_t)1 << 16)

/* The request's body as the source of lines. */
static enum ist_code read_request(void *user, void *data, size_t cap, size_t *ret_n,
				  struct ist_err *err)
{
	return ist_request_read(user, data, cap, ret_n, err);
}

void ist_ndjson_init(struct ist_ndjson *nd, struct ist_request *rq)
{
	*nd = (struct ist_ndjson){.read = read_request, .user = rq};
}

void ist_ndjson_finish(struct ist_ndjson *nd)
{
	ist_buf_finish(&nd->buf);
}

/* Where the line at hand ends; NULL if its end is not there yet. */
static const char *line_end(struct ist_ndjson *nd)
{
	const char *end;

	nd->scanned = IST_MAX(nd->scanned, nd->at);
	if (nd->scanned == nd->buf.len)
		return NULL;
	end = memchr(nd->buf.data + nd->scanned, '\n', nd->buf.len - nd->scanned);
	if (end == NULL)
		nd->scanned = nd->buf.len;
	return end;
}

bool ist_ndjson_ready(struct ist_ndjson *nd)
{
	return line_end(nd) != NULL;
}

/* Reads one more piece; blocks until the client sends. */
static enum ist_code fill(struct ist_ndjson *nd, struct ist_err *err)
{
	size_t n = 0;
	enum ist_code code;

	ist_buf_drop(&nd->buf, nd->at);
	nd->scanned -= IST_MIN(nd->scanned, nd->at);
	nd->at = 0;
	if (nd->buf.len > IST_NDJSON_LINE_MAX)
		return ist_fail(err, IST_BODY_TOO_LARGE, "line %llu is longer than %zu bytes",
				(unsigned long long)nd->line + 1, IST_NDJSON_LINE_MAX);
	ist_buf_reserve(&nd->buf, READ_BYTES);
	code = nd->read(nd->user, nd->buf.data + nd->buf.len, READ_BYTES, &n, err);
	if (code)
		return code;
	nd->buf.len += n;
	nd->buf.data[nd->buf.len] = '\0';
	nd->ended = n == 0;
	return IST_OK;
}

/* Nothing but what people call an empty line, a Windows one included. */
static bool is_blank(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
			return false;
	return true;
}

enum ist_code ist_ndjson_next(struct ist_ndjson *nd, struct ist_str *ret, struct ist_err *err)
{
	for (;;) {
		const char *end = line_end(nd);
		struct ist_str line;

		if (end == NULL && !nd->ended) {
			enum ist_code code = fill(nd, err);

			if (code)
				return code;
			continue;
		}
		if (end == NULL && nd->at == nd->buf.len) {
			*ret = (struct ist_str){NULL, 0};
			return IST_OK;
		}
		if (end == NULL) /* the last line need not end */
			end = nd->buf.data + nd->buf.len;
		line =
		    (struct ist_str){nd->buf.data + nd->at, (size_t)(end - nd->buf.data) - nd->at};
		nd->at = IST_MIN(nd->at + line.len + 1, nd->buf.len);
		nd->line++;
		if (!is_blank(line.data, line.len)) {
			*ret = line;
			return IST_OK;
		}
	}
}
