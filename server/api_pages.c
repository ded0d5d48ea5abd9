/*
 * What is no API: the web page, the files that it names, and the contract. All are bytes in the
 * program. The page's files are packed when it is built; who takes neither coding gets them
 * unpacked.
 */
#include "server/api.h"

#include <string.h>
#include <zlib.h>

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "server/http_coding.h"
#include "server/openapi_bytes.h"
#include "server/ui.h"

/* Pictures that a visitor is about to add are shown from blobs of the page's own making. */
#define POLICY                                                                                     \
	"default-src 'self'; img-src 'self' blob:; base-uri 'none'; object-src 'none'; "           \
	"form-action 'none'; frame-ancestors 'none'"

static enum ist_code unpack(const struct ist_ui_file *file, struct ist_buf *body,
			    struct ist_err *err)
{
	z_stream z = {.next_in = (Bytef *)file->gzip.data, .avail_in = (uInt)file->gzip.len};
	int done;

	ist_buf_reserve(body, file->len + 1);
	z.next_out = (Bytef *)body->data;
	z.avail_out = (uInt)file->len;
	if (inflateInit2(&z, 15 + 16) != Z_OK) /* 16 asks for gzip's own frame */
		return ist_fail(err, IST_INTERNAL, "zlib does not start");
	done = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	if (done != Z_STREAM_END)
		return ist_fail(err, IST_INTERNAL, "%s is damaged", file->name);
	body->len = file->len;
	return IST_OK;
}

/* One of the page's files; `keep` says how long a browser may use it unasked. */
static enum ist_code put_file(struct ist_request *rq, struct ist_reply *re,
			      const struct ist_ui_file *file, const char *keep, struct ist_err *err)
{
	const char *accept = ist_request_header(rq, "Accept-Encoding");
	const struct {
		const char *name;
		const struct ist_ui_bytes *bytes;
	} packed[] = {{"br", &file->brotli}, {"gzip", &file->gzip}};
	enum ist_code code = IST_OK;

	re->content_type = file->type;
	ist_reply_header(rq, re, "Content-Security-Policy", POLICY);
	ist_reply_header(rq, re, "Referrer-Policy", "no-referrer");
	ist_reply_header(rq, re, "Cache-Control", "%s", keep);
	ist_reply_header(rq, re, "Vary", "Accept-Encoding");
	if (ist_reply_etag(rq, re, file->etag))
		return IST_OK;
	for (size_t i = 0; i < IST_COUNT(packed); i++)
		if (re->body.len == 0 && ist_coding_is_taken(accept, packed[i].name)) {
			ist_buf_put(&re->body, packed[i].bytes->data, packed[i].bytes->len);
			ist_reply_header(rq, re, "Content-Encoding", "%s", packed[i].name);
		}
	if (re->body.len == 0)
		code = unpack(file, &re->body, err);
	re->status = 200;
	return code;
}

enum ist_code ist_api_get_page(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	return put_file(rq, re, &ist_ui_files[0], "no-cache", err);
}

enum ist_code ist_api_get_docs(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	return ist_api_get_page(rq, re, err);
}

enum ist_code ist_api_get_ui_file(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	for (size_t i = 1; i < ist_n_ui_files; i++)
		if (strcmp(rq->segment[0], ist_ui_files[i].name) == 0)
			return put_file(rq, re, &ist_ui_files[i],
					"public, max-age=31536000, immutable", err);
	return ist_fail(err, IST_NOT_FOUND,
			"the page has no such file; was it loaded before an "
			"update of the server?");
}

enum ist_code ist_api_get_openapi(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	char hash[IST_SHA256_HEX];

	ist_sha256_hex(ist_openapi_bytes, ist_openapi_len, hash);
	re->content_type = "application/yaml";
	if (ist_reply_etag(rq, re, ist_arena_format(rq->arena, "W/\"%.16s\"", hash)))
		return IST_OK;
	ist_buf_put(&re->body, ist_openapi_bytes, ist_openapi_len);
	re->status = 200;
	return IST_OK;
}
