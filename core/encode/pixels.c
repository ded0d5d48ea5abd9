/*
 * "pixels" and "pixels64": no encoder but the picture itself, small: a square of 32 x 32 or 64 x 64
 * after padding with white, averaged, channel by channel. For methods that learn to see by
 * themselves; as a point of a space it compares pictures place by place.
 */
#include "core/encode/encoder_private.h"

#define WIDTH(side) (3 * (size_t)(side) * (side))

/* Never 0, so that a black picture has a feature too. */
static enum ist_code image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	size_t places = encoder->dim / 3;

	for (size_t c = 0; c < 3; c++)
		for (size_t k = 0; k < places; k++)
			ret[c * places + k] = (float)(pixels->rgb[k * 3 + c] + 1) / 256;
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_pixels = {
    .name = IST_PIXELS_NAME,
    .title = "The picture itself, 32 x 32, for methods that learn to see (dmim, gxn)",
    .dim = WIDTH(IST_PIXELS_SIDE),
    .frame = {.geometry = IST_GEOMETRY_PAD,
	      .filter = IST_FILTER_BOX,
	      .side = IST_PIXELS_SIDE,
	      .short_side = IST_PIXELS_SIDE},
    .image = image,
};

const struct ist_encoder_arch ist_encoder_pixels64 = {
    .name = IST_PIXELS64_NAME,
    .title = "The picture itself, 64 x 64, for methods that learn to see (dmim, gxn)",
    .dim = WIDTH(IST_PIXELS64_SIDE),
    .frame = {.geometry = IST_GEOMETRY_PAD,
	      .filter = IST_FILTER_BOX,
	      .side = IST_PIXELS64_SIDE,
	      .short_side = IST_PIXELS64_SIDE},
    .image = image,
};
