/*
 * PNG by libpng's simplified interface. Only for writing what a model drew: pictures that come from
 * elsewhere are read by the decoder program, in its sandbox. Any thread.
 */
#include "server/png.h"

#include <png.h>

enum ist_code ist_png_put(struct ist_buf *buf, const uint8_t *rgb, uint32_t width, uint32_t height,
			  struct ist_err *err)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			   .width = width,
			   .height = height,
			   .format = PNG_FORMAT_RGB};
	png_alloc_size_t len = PNG_IMAGE_PNG_SIZE_MAX(image);

	/* The most that it can take is reserved, so that it is compressed once. */
	ist_buf_reserve(buf, len);
	if (png_image_write_to_memory(&image, buf->data + buf->len, &len, 0, rgb, 0, NULL) == 0)
		return ist_fail(err, IST_INTERNAL, "making a PNG of %u x %u: %s", width, height,
				image.message);
	buf->len += len;
	return IST_OK;
}
