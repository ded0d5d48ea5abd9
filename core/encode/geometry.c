/*
 * Frames are windows of a resized canvas: padding is a canvas that is larger than the picture,
 * cropping a window that is smaller than the result. Neither is ever made as a whole, so that a
 * long thin picture costs its own pixels and not the square around it.
 */
#include "core/encode/geometry.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/encode/resample.h"

#define MIN_WHITE_RIM 0.6 /* share of the rim that makes a picture a cut-out on white */

static const char *const names[IST_N_GEOMETRIES] = {
    [IST_GEOMETRY_AUTO] = "auto",
    [IST_GEOMETRY_PAD] = "pad",
    [IST_GEOMETRY_CROP] = "crop",
};

const char *ist_geometry_name(enum ist_geometry geometry)
{
	return geometry < IST_N_GEOMETRIES ? names[geometry] : "whole";
}

bool ist_geometry_find(const char *name, enum ist_geometry *ret)
{
	for (size_t i = 0; i < IST_N_GEOMETRIES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum ist_geometry)i;
			return true;
		}
	}
	return false;
}

struct ist_frame ist_frame_with(const struct ist_frame *frame, enum ist_geometry geometry)
{
	struct ist_frame with = *frame;

	if (frame->geometry != IST_GEOMETRY_WHOLE)
		with.geometry = geometry;
	return with;
}

bool ist_pixels_on_white(const struct ist_pixels *p)
{
	size_t white = 0, all = 0, last = p->height - 1;

	for (size_t x = 0; x < p->width; x++, all += 2) {
		white += ist_is_white(p->rgb + x * 3);
		white += ist_is_white(p->rgb + (last * p->width + x) * 3);
	}
	for (size_t y = 0; y < p->height; y++, all += 2) {
		white += ist_is_white(p->rgb + y * p->width * 3);
		white += ist_is_white(p->rgb + (y * p->width + p->width - 1) * 3);
	}
	return (double)white >= MIN_WHITE_RIM * (double)all;
}

static struct ist_window padded(const struct ist_frame *frame, const struct ist_pixels *p)
{
	uint32_t side = IST_MAX(p->width, p->height);

	return (struct ist_window){
	    .canvas_width = side,
	    .canvas_height = side,
	    .left = (side - p->width) / 2,
	    .top = (side - p->height) / 2,
	    .width = frame->side,
	    .height = frame->side,
	    .part_width = frame->side,
	    .part_height = frame->side,
	};
}

/* The longer side is rounded down, as is half of what is cut off. */
static struct ist_window cropped(const struct ist_frame *frame, const struct ist_pixels *p)
{
	uint32_t shorter = IST_MIN(p->width, p->height);
	uint32_t width = (uint32_t)((uint64_t)p->width * frame->short_side / shorter);
	uint32_t height = (uint32_t)((uint64_t)p->height * frame->short_side / shorter);

	return (struct ist_window){
	    .canvas_width = p->width,
	    .canvas_height = p->height,
	    .width = width,
	    .height = height,
	    .x = (width - frame->side) / 2,
	    .y = (height - frame->side) / 2,
	    .part_width = frame->side,
	    .part_height = frame->side,
	};
}

void ist_frame_apply(const struct ist_frame *frame, const struct ist_pixels *from, uint8_t *ret,
		     struct ist_arena *arena)
{
	bool pad = frame->geometry == IST_GEOMETRY_PAD;
	struct ist_window window;

	if (frame->geometry == IST_GEOMETRY_AUTO)
		pad = from->see_through || ist_pixels_on_white(from);
	window = pad ? padded(frame, from) : cropped(frame, from);
	ist_resample_window(from, &window, frame->filter, ret, arena);
}
