/*
 * The decoder program's inside. A codec turns bytes into a picture; everything after that
 * (orientation, scaling, thumbnails) is common. Codecs are rows of ist_codecs, chosen by content.
 *
 * This runs in a process that may die at any byte: memory is plain malloc with checks, an error is
 * a text, and nothing is shared between pictures.
 */
#ifndef IST_SERVER_DECODE_CODEC_H
#define IST_SERVER_DECODE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/decode/protocol.h"

/* One picture on its way. A codec fills width, height, rgb and, where the file says so, the rest.
 */
struct ist_decoding {
	const uint8_t *data; /* the file */
	size_t len;
	struct ist_frame frame; /* wanted */
	uint64_t max_pixels;

	uint32_t width, height;		/* as stored, before orientation */
	uint32_t orientation;		/* EXIF's 1..8; 0 or 1: as it is */
	uint32_t rgb_width, rgb_height; /* of rgb: smaller where the codec scaled already */
	uint8_t *rgb;			/* (rgb_height, rgb_width, 3), malloc */
	bool see_through;		/* some of it was transparent */

	enum ist_decode_status status;
	char error[160];
};

struct ist_codec {
	const char *type; /* "image/png" */
	bool (*sniff)(const uint8_t *data, size_t len);
	bool (*decode)(struct ist_decoding *p); /* false: p->status and p->error are set */
};
extern const struct ist_codec ist_codec_jpeg, ist_codec_png, ist_codec_webp, ist_codec_gif,
    ist_codec_tiff, ist_codec_bmp, ist_codec_svg;
const struct ist_codec *ist_codec_find(const uint8_t *data, size_t len, bool svg);

/* false, for `return ist_decoding_fail(p, "…")`. The first error stays. */
bool ist_decoding_fail(struct ist_decoding *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets width and height after checking them; a codec calls it before it decodes anything. */
bool ist_decoding_size(struct ist_decoding *p, uint64_t width, uint64_t height);
/* Allocates rgb. */
bool ist_decoding_alloc(struct ist_decoding *p, uint32_t width, uint32_t height);
/* n bytes that the codec needs besides; NULL with the error set. */
void *ist_decoding_scratch(struct ist_decoding *p, size_t n, size_t size);
void ist_decoding_finish(struct ist_decoding *p);

/* What a codec that can decode to less than full size should still give: on the longer side, and on
 * the shorter one. 0: all there is. A square is made from twice its size at least, so that its last
 * step remains the resampler's. */
struct ist_decoding_least {
	uint32_t longer, shorter;
};
struct ist_decoding_least ist_decoding_least(const struct ist_decoding *p);

/* Turns rgb upright; makes it what the frame wants. */
bool ist_decoding_orient(struct ist_decoding *p);
bool ist_decoding_fit(struct ist_decoding *p);

/* v laid on white with opacity a. */
static inline uint8_t ist_on_white(uint32_t v, uint32_t a)
{
	return (uint8_t)((v * a + 255 * (255 - a) + 127) / 255);
}
/* n pixels of RGBA on white, and whether one of them is not opaque. */
void ist_decoding_on_white(struct ist_decoding *p, const uint8_t *rgba, size_t n, uint8_t *rgb);

/* The orientation in a TIFF structure (EXIF's body); 1 where there is none or it is broken. */
uint32_t ist_exif_orientation(const uint8_t *data, size_t len);

/* Decodes and encodes what `request` asks for into `out`. Fills the whole answer. */
void ist_decode(const struct ist_decode_request *request, const uint8_t *data, bool svg,
		uint64_t max_pixels, uint8_t *out, size_t out_size,
		struct ist_decode_answer *answer);
/* A JPEG or PNG of p->rgb into out; its length, or 0 with the error set. */
size_t ist_thumbnail(struct ist_decoding *p, uint8_t *out, size_t out_size, const char **ret_type);

/* Loads what SVG needs; false where it is not installed. Must happen before the sandbox closes. */
bool ist_svg_load(void);

#endif
