/* From collected bytes to what a handler wants: a JSON document or the parts of a form. */
#include <string.h>

#include "server/http_private.h"
#include "server/json.h"
#include "server/multipart.h"

enum ist_code ist_exchange_body(struct ist_exchange *x, struct ist_err *err)
{
	enum ist_body_kind kind = x->rq.route->body;

	x->rq.body = (struct ist_str){x->body.data, x->body.len};
	if (kind == IST_BODY_NONE || kind == IST_BODY_STREAM)
		return IST_OK;
	if (kind == IST_BODY_ITEM && strcmp(x->rq.content_type, "multipart/form-data") == 0)
		return ist_multipart_parse(ist_request_header(&x->rq, "Content-Type"), x->rq.body,
					   x->rq.arena, &x->rq.parts, &x->rq.n_parts, err);
	if (kind == IST_BODY_OPTIONAL_JSON && x->body.len == 0)
		return IST_OK;
	return ist_json_parse(x->body.data, x->body.len, &x->rq.json, err);
}
