/* The registry, the decoders and the encoders put together; see feature.h. */
#include "server/feature.h"

#include <stdio.h>
#include <string.h>

#include "server/decoders.h"
#include "server/encoders.h"
#include "server/metrics.h"

static enum ist_code find(struct ist_worker *w, const struct ist_encoder_ref *ref, const char *what,
			  const struct ist_encoder **ret, struct ist_err *err)
{
	if (strcmp(ref->name, IST_EXTERNAL) == 0)
		return ist_fail(
		    err, IST_VECTOR_REQUIRED,
		    "the collection's encoder is external: a %s must come with its vector", what);
	if (ist_encoders_get(w->daemon->encoders, ref->name, ret, err) != IST_OK)
		return ist_wrap(err, "encoder %s", ref->name);
	if ((*ret)->dim != ref->dim)
		return ist_fail(err, IST_CORRUPT,
				"encoder %s is %zu wide, but the collection was made with %zu",
				ref->name, (*ret)->dim, ref->dim);
	return IST_OK;
}

enum ist_code ist_feature_texts(struct ist_worker *w, const struct ist_encoder_ref *ref,
				const struct ist_str *texts, size_t n, float *ret,
				struct ist_err *err)
{
	const struct ist_encoder *encoder;

	if (n == 0)
		return IST_OK;
	if (find(w, ref, "text", &encoder, err) != IST_OK)
		return err->code;
	return ist_encoder_texts(encoder, w->workspace, texts, n, ret, err);
}

enum ist_code ist_feature_image(struct ist_worker *w, const struct ist_encoder_ref *ref,
				const void *data, size_t len, float *ret,
				struct ist_picture *ret_picture, struct ist_err *err)
{
	const struct ist_encoder *encoder = NULL;
	/* To learn what a picture is, a small one will do. */
	static const struct ist_frame glance = {.geometry = IST_GEOMETRY_WHOLE, .side = 16};
	struct ist_decoded decoded = {0};
	enum ist_code code;

	if (ret != NULL && find(w, ref, "picture", &encoder, err) != IST_OK)
		return err->code;
	code = ist_decoders_decode(w->daemon->decoders, data, len,
				   encoder != NULL ? &encoder->frame : &glance, &decoded, err);
	ist_metrics_count(code == IST_OK ? IST_COUNT_DECODED : IST_COUNT_DECODE_FAILED, 1);
	if (code != IST_OK)
		return code;
	if (ret_picture != NULL) {
		snprintf(ret_picture->type, sizeof(ret_picture->type), "%s", decoded.type);
		ret_picture->width = decoded.width;
		ret_picture->height = decoded.height;
	}
	if (ret != NULL)
		code = ist_encoder_image(encoder, w->workspace, &decoded.pixels, ret, err);
	ist_decoded_finish(&decoded);
	return code;
}
