/*
 * Antialiased resampling of 8-bit RGB in integer arithmetic: the same pixels give the same result
 * on every machine. Weights are 22-bit fixed point, the horizontal pass comes first, and each pass
 * rounds and clips (as Pillow does, so that networks trained behind it see what they know).
 */
#ifndef IST_CORE_ENCODE_RESAMPLE_H
#define IST_CORE_ENCODE_RESAMPLE_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/encode/encoder.h"

enum ist_filter { IST_FILTER_BOX, IST_FILTER_BILINEAR, IST_FILTER_BICUBIC, IST_N_FILTERS };

/* The largest size of the same shape whose longer side is `side`; never larger than the picture. */
void ist_fit(uint32_t width, uint32_t height, uint32_t side, uint32_t *ret_width,
	     uint32_t *ret_height);

/* ret: (height, width, 3). All four sides are at least 1. Scratch comes from `arena`. */
void ist_resample(const struct ist_pixels *from, enum ist_filter filter, uint32_t width,
		  uint32_t height, uint8_t *ret, struct ist_arena *arena);

#endif
