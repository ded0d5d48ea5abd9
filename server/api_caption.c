/*
 * Sentences that a model writes about a picture, the most probable first. The picture comes as a
 * file, as an item's or as its feature.
 */
#include <math.h>

#include "core/base/memory.h"
#include "server/api.h"
#include "server/daemon.h"
#include "server/model_ability.h"

#define BEAM_DEFAULT 4
#define BEAM_MAX 16

struct body {
	int64_t beam;
};

static const struct ist_field fields[] = {
    {"beam", IST_FIELD_INT, offsetof(struct body, beam), 1, BEAM_MAX},
};

/* Texts of a model are UTF-8 as its dictionary is. */
static json_t *captions_json(const struct ist_caption *captions, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:f}", "text", captions[i].text,
						"log_probability", captions[i].log_probability));
	return list;
}

/* JSON knows no number for what has no probability; a model that says so is damaged. */
static enum ist_code answer(struct ist_request *rq, struct ist_collection *c,
			    const struct ist_model *model, struct ist_reply *re,
			    struct ist_err *err)
{
	struct body body = {.beam = BEAM_DEFAULT};
	struct ist_caption captions[BEAM_MAX];
	struct ist_source source;
	const float *feature = NULL;
	size_t n = 0;
	enum ist_code code = ist_ability_parse(rq, fields, IST_COUNT(fields), &body, &source, err);

	if (!code)
		code =
		    ist_source_feature(rq->worker, c, &source, IST_IMAGE, rq->arena, &feature, err);
	if (!code)
		code = model->method->caption(model, feature, (size_t)body.beam, rq->arena,
					      captions, &n, err);
	for (size_t i = 0; i < n && !code; i++)
		if (!isfinite(captions[i].log_probability))
			code = ist_fail(err, IST_INTERNAL,
					"model %s wrote a sentence of no "
					"probability",
					rq->segment[1]);
	if (!code)
		ist_reply_json(re, 200, json_pack("{s:o}", "captions", captions_json(captions, n)));
	return code;
}

enum ist_code ist_api_caption_model(struct ist_request *rq, struct ist_reply *re,
				    struct ist_err *err)
{
	return ist_ability_reply(rq, re, IST_CAPTION, "caption", answer, err);
}
