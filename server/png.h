/* Pictures that the program made itself, as PNG files. */
#ifndef IST_SERVER_PNG_H
#define IST_SERVER_PNG_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

/* Appends a file; rgb (height, width, 3), 8 bits a channel. */
IST_CHECKED enum ist_code ist_png_put(struct ist_buf *buf, const uint8_t *rgb, uint32_t width,
				      uint32_t height, struct ist_err *err);

#endif
