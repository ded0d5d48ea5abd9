/*
 * Antialiased resampling of 8-bit RGB in integer arithmetic: the same pixels give the same result
 * on every machine. Weights are 22-bit fixed point, the order of the passes is Pillow's, and each
 * rounds and clips as its do, so that networks trained behind it see what they know.
 */
#ifndef IST_CORE_ENCODE_RESAMPLE_H
#define IST_CORE_ENCODE_RESAMPLE_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/encode/geometry.h"

/* The largest size of the same shape whose longer side is `side`; never larger than the picture. */
void ist_fit(uint32_t width, uint32_t height, uint32_t side, uint32_t *ret_width,
	     uint32_t *ret_height);

/* A part of a resized canvas. All sides are at least 1, the picture lies inside the canvas and the
 * part inside what the canvas becomes. */
struct ist_window {
	uint32_t canvas_width, canvas_height;	/* white, with the picture on it */
	uint32_t left, top;			/* of the picture */
	uint32_t width, height;			/* what the canvas is resized to */
	uint32_t x, y, part_width, part_height; /* what is wanted of that */
};

/* ret: (part_height, part_width, 3). Scratch comes from `arena`; it depends on the part and on the
 * canvas's sides, not on its area. */
void ist_resample_window(const struct ist_pixels *from, const struct ist_window *window,
			 enum ist_resample_filter filter, uint8_t *ret, struct ist_arena *arena);

/* ret: (height, width, 3): the whole picture. */
void ist_resample(const struct ist_pixels *from, enum ist_resample_filter filter, uint32_t width,
		  uint32_t height, uint8_t *ret, struct ist_arena *arena);

#endif
