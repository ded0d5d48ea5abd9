/*
 * How a picture is brought into the shape that an encoder wants. Networks see a square: a cut-out
 * (a drawing, an icon, a product on white) is padded with white to a square, a photo is cropped to
 * its middle; which of the two can be said or seen by looking at the picture.
 *
 * The decoder's processes do this where the full picture and its transparency are at hand, so that
 * only the finished square travels; a library's caller with full pixels gets the same by the same
 * code. Results equal Pillow's bit for bit (resample.h).
 */
#ifndef IST_CORE_ENCODE_GEOMETRY_H
#define IST_CORE_ENCODE_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"

#define IST_WHITE 247 /* at least this in all channels is white ground */

/* A decoded picture: 8-bit RGB, rows packed, alpha already laid on white, orientation applied. */
struct ist_pixels {
	uint32_t width, height;
	const uint8_t *rgb; /* (height, width, 3) */
	bool see_through;   /* some of it was transparent */
	bool framed;	    /* it is the encoder's square already */
};

enum ist_resample_filter { IST_FILTER_BOX, IST_FILTER_BILINEAR, IST_FILTER_BICUBIC, IST_N_FILTERS };

enum ist_geometry {
	IST_GEOMETRY_AUTO, /* pad what was transparent somewhere or stands on white, else crop */
	IST_GEOMETRY_PAD,  /* white around it makes it a square, which is resized */
	IST_GEOMETRY_CROP, /* resized by its shorter side, then the middle is cut out */
	IST_N_GEOMETRIES,
	/* No square: the encoder looks at the shape as well and takes any size. No one's choice. */
	IST_GEOMETRY_WHOLE = IST_N_GEOMETRIES
};

const char *ist_geometry_name(enum ist_geometry geometry); /* "auto", "pad", "crop" */
/* false: no geometry that can be chosen has that name. */
bool ist_geometry_find(const char *name, enum ist_geometry *ret);

/* What an encoder wants of a picture. */
struct ist_frame {
	enum ist_geometry geometry;
	enum ist_resample_filter filter;
	/* Of the square; of a WHOLE picture the longer side at most, 0: full size is wanted. */
	uint32_t side;
	uint32_t short_side; /* CROP: what the shorter side becomes first; at least `side` */
};

/* The frame with another geometry, where the encoder wants a square at all. */
struct ist_frame ist_frame_with(const struct ist_frame *frame, enum ist_geometry geometry);

/* JPEG's ringing around a cut-out reaches a few levels below 255. */
static inline bool ist_is_white(const uint8_t rgb[3])
{
	return rgb[0] >= IST_WHITE && rgb[1] >= IST_WHITE && rgb[2] >= IST_WHITE;
}

/* Whether most of the rim is white: a cut-out, a drawing, an icon. */
bool ist_pixels_on_white(const struct ist_pixels *pixels);

/* ret: (side, side, 3) of a frame that is not WHOLE. Scratch comes from `arena`. */
void ist_frame_apply(const struct ist_frame *frame, const struct ist_pixels *from, uint8_t *ret,
		     struct ist_arena *arena);

#endif
