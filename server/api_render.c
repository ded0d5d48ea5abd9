/*
 * Pictures that a model draws of a text, as PNG: several in a JSON reply, or one as the reply where
 * the client asks for that type. The same text, seed and count give the same pictures.
 */
#include "core/base/memory.h"
#include "server/api.h"
#include "server/base64.h"
#include "server/daemon.h"
#include "server/http_coding.h"
#include "server/model_ability.h"
#include "server/png.h"

#define COUNT_MAX 16
#define SEED_MAX 9007199254740991.0
#define PNG_TYPE "image/png"

struct body {
	int64_t seed, count;
};

static const struct ist_field fields[] = {
    {"seed", IST_FIELD_INT, offsetof(struct body, seed), 0, SEED_MAX},
    {"count", IST_FIELD_INT, offsetof(struct body, count), 1, COUNT_MAX},
};

/* Who takes both gets JSON. */
static bool wants_picture(const struct ist_request *rq)
{
	const char *accept = ist_request_header(rq, "Accept");

	return ist_coding_is_taken(accept, PNG_TYPE) &&
	       !ist_coding_is_taken(accept, "application/json");
}

/* The pictures (count, side, side, 3), in the arena. */
static enum ist_code draw(struct ist_request *rq, struct ist_collection *c,
			  const struct ist_model *model, const struct ist_source *source,
			  const struct body *body, uint32_t *ret_side, const uint8_t **ret,
			  struct ist_err *err)
{
	const float *feature = NULL;
	size_t side = model->method->render_side(model);
	uint8_t *rgb;
	enum ist_code code =
	    ist_source_feature(rq->worker, c, source, IST_TEXT, rq->arena, &feature, err);

	if (code)
		return code;
	rgb = ist_arena_alloc(rq->arena, (size_t)body->count * side * side, 3);
	code = model->method->render(model, feature, (uint64_t)body->seed, (size_t)body->count, rgb,
				     err);
	*ret_side = (uint32_t)side;
	*ret = rgb;
	return code;
}

/* Written as text at once: base64 is most of it. */
static enum ist_code put_pictures(struct ist_buf *to, const uint8_t *rgb, uint32_t side,
				  size_t count, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	ist_buf_puts(to, "{\"images\":[");
	for (size_t i = 0; i < count && !code; i++) {
		ist_auto(ist_buf_finish) struct ist_buf png = {0};

		code = ist_png_put(&png, rgb + i * 3 * side * side, side, side, err);
		ist_buf_printf(to, "%s{\"type\":\"" PNG_TYPE "\",\"base64\":\"", i > 0 ? "," : "");
		ist_base64_put(to, png.data, png.len);
		ist_buf_puts(to, "\"}");
	}
	ist_buf_puts(to, "]}");
	return code;
}

/* What is wrong with the request is found before anything is drawn. */
static enum ist_code answer(struct ist_request *rq, struct ist_collection *c,
			    const struct ist_model *model, struct ist_reply *re,
			    struct ist_err *err)
{
	struct body body = {.count = 1};
	bool picture = wants_picture(rq);
	struct ist_source source;
	const uint8_t *rgb = NULL;
	uint32_t side = 0;
	enum ist_code code = ist_ability_parse(rq, fields, IST_COUNT(fields), &body, &source, err);

	if (!code && picture && body.count != 1)
		code = ist_fail_at(err, IST_INVALID, "/count",
				   "must be 1 where the reply is the picture itself");
	if (!code)
		code = draw(rq, c, model, &source, &body, &side, &rgb, err);
	if (!code)
		code = picture ? ist_png_put(&re->body, rgb, side, side, err)
			       : put_pictures(&re->body, rgb, side, (size_t)body.count, err);
	if (code)
		return code;
	ist_reply_header(rq, re, "Vary", "Accept");
	re->content_type = picture ? PNG_TYPE : "application/json";
	re->status = 200;
	return IST_OK;
}

enum ist_code ist_api_render_model(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	return ist_ability_reply(rq, re, IST_RENDER, "render", answer, err);
}
