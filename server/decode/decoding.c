/*
 * What all codecs share: the limits, memory, alpha, orientation, scaling, and the one function that
 * answers a request.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/resample.h"
#include "server/decode/codec.h"

#define MAX_SIDE 0xFFFFFF /* keeps every product of two sides far from 64 bits */

/* In the order of how often they are met; SVG is chosen by the kind of child, not by sniffing. */
static const struct ist_codec *const codecs[] = {
    &ist_codec_jpeg, &ist_codec_png,  &ist_codec_webp,
    &ist_codec_gif,  &ist_codec_tiff, &ist_codec_bmp,
};

const struct ist_codec *ist_codec_find(const uint8_t *data, size_t len, bool svg)
{
	if (svg)
		return ist_codec_svg.sniff(data, len) ? &ist_codec_svg : NULL;
	for (size_t i = 0; i < IST_COUNT(codecs); i++) {
		if (codecs[i]->sniff(data, len))
			return codecs[i];
	}
	return NULL;
}

bool ist_decoding_fail(struct ist_decoding *p, const char *format, ...)
{
	va_list args;

	if (p->status != IST_DECODE_OK)
		return false;
	p->status = IST_DECODE_BROKEN;
	va_start(args, format);
	vsnprintf(p->error, sizeof(p->error), format, args);
	va_end(args);
	return false;
}

bool ist_decoding_size(struct ist_decoding *p, uint64_t width, uint64_t height)
{
	if (width == 0 || height == 0)
		return ist_decoding_fail(p, "the picture is empty");
	if (width > MAX_SIDE || height > MAX_SIDE || width * height > p->max_pixels) {
		ist_decoding_fail(p, "%llu x %llu pixels are more than the %llu allowed",
				  (unsigned long long)width, (unsigned long long)height,
				  (unsigned long long)p->max_pixels);
		p->status = IST_DECODE_TOO_LARGE;
		return false;
	}
	p->width = (uint32_t)width;
	p->height = (uint32_t)height;
	return true;
}

/* Zeroed, so that a codec that skips a part of a damaged picture shows nothing of the one before.
 */
void *ist_decoding_scratch(struct ist_decoding *p, size_t n, size_t size)
{
	void *memory = calloc(n > 0 ? n : 1, size);

	if (memory == NULL)
		ist_decoding_fail(p, "decoding needs too much memory");
	return memory;
}

bool ist_decoding_alloc(struct ist_decoding *p, uint32_t width, uint32_t height)
{
	p->rgb = ist_decoding_scratch(p, (size_t)width * height, 3);
	p->rgb_width = width;
	p->rgb_height = height;
	return p->rgb != NULL;
}

void ist_decoding_finish(struct ist_decoding *p)
{
	free(p->rgb);
	p->rgb = NULL;
}

void ist_decoding_on_white(struct ist_decoding *p, const uint8_t *rgba, size_t n, uint8_t *rgb)
{
	uint8_t all = 255;

	for (size_t i = 0; i < n; i++, rgba += 4, rgb += 3) {
		all &= rgba[3];
		for (int c = 0; c < 3; c++)
			rgb[c] = ist_on_white(rgba[c], rgba[3]);
	}
	p->see_through |= all != 255;
}

/* Where the upright pixel (x, y) is stored: start + x * dx + y * dy, in pixels. */
struct walk {
	ptrdiff_t start, dx, dy;
};

/* EXIF's eight: 1 to 4 keep the sides, 5 to 8 exchange them. w and h are those stored. */
static struct walk walk_of(uint32_t orientation, ptrdiff_t w, ptrdiff_t h)
{
	switch (orientation) {
	case 2: /* mirrored */
		return (struct walk){w - 1, -1, w};
	case 3: /* upside down */
		return (struct walk){w * h - 1, -1, -w};
	case 4:
		return (struct walk){(h - 1) * w, 1, -w};
	case 5: /* transposed */
		return (struct walk){0, w, 1};
	case 6: /* turn right */
		return (struct walk){(h - 1) * w, -w, 1};
	case 7:
		return (struct walk){w * h - 1, -w, -1};
	case 8: /* turn left */
		return (struct walk){w - 1, w, -1};
	default:
		return (struct walk){0, 1, w};
	}
}

static void swap_sides(uint32_t *width, uint32_t *height)
{
	uint32_t w = *width;

	*width = *height;
	*height = w;
}

/* Writes rows in order and reads across: the other way round would be as many cache misses. */
bool ist_decoding_orient(struct ist_decoding *p)
{
	struct walk walk = walk_of(p->orientation, p->rgb_width, p->rgb_height);
	uint8_t *upright, *to;

	if (p->orientation < 2 || p->orientation > 8)
		return true;
	upright = to = ist_decoding_scratch(p, (size_t)p->rgb_width * p->rgb_height, 3);
	if (upright == NULL)
		return false;
	if (p->orientation >= 5) {
		swap_sides(&p->rgb_width, &p->rgb_height);
		swap_sides(&p->width, &p->height);
	}
	for (ptrdiff_t y = 0; y < (ptrdiff_t)p->rgb_height; y++) {
		const uint8_t *row = p->rgb + (walk.start + y * walk.dy) * 3;

		for (ptrdiff_t x = 0; x < (ptrdiff_t)p->rgb_width; x++, to += 3)
			memcpy(to, row + x * walk.dx * 3, 3);
	}
	free(p->rgb);
	p->rgb = upright;
	p->orientation = 1;
	return true;
}

struct ist_decoding_least ist_decoding_least(const struct ist_decoding *p)
{
	const struct ist_frame *f = &p->frame;
	struct ist_decoding_least least = {2 * f->side, 0};

	if (f->geometry == IST_GEOMETRY_WHOLE)
		return (struct ist_decoding_least){f->side, 0};
	if (f->geometry != IST_GEOMETRY_PAD)
		least.shorter = 2 * f->short_side;
	return least;
}

/* The result takes the place of rgb. */
static void replace(struct ist_decoding *p, uint8_t *rgb, uint32_t width, uint32_t height)
{
	free(p->rgb);
	p->rgb = rgb;
	p->rgb_width = width;
	p->rgb_height = height;
}

/* From the original's size, so that a codec that scaled on its own ends at the same. */
bool ist_decoding_fit(struct ist_decoding *p)
{
	struct ist_pixels from = {p->rgb_width, p->rgb_height, p->rgb,
				  .see_through = p->see_through};
	bool whole = p->frame.geometry == IST_GEOMETRY_WHOLE;
	uint32_t width = p->frame.side, height = p->frame.side;
	struct ist_arena arena = {0};
	uint8_t *fitted;

	if (whole)
		ist_fit(p->width, p->height, p->frame.side, &width, &height);
	if (whole && width == p->rgb_width && height == p->rgb_height)
		return true;
	fitted = ist_decoding_scratch(p, (size_t)width * height, 3);
	if (fitted == NULL)
		return false;
	if (whole)
		ist_resample(&from, IST_FILTER_BILINEAR, width, height, fitted, &arena);
	else
		ist_frame_apply(&p->frame, &from, fitted, &arena);
	ist_arena_finish(&arena);
	replace(p, fitted, width, height);
	return true;
}

/* A whole picture is scaled first and turned when it is small. A square is made last: rounding in
 * its offsets would show which way the picture lay. */
static bool decode_upright(struct ist_decoding *p, const struct ist_codec *codec)
{
	if (!codec->decode(p))
		return false;
	if (p->frame.geometry == IST_GEOMETRY_WHOLE)
		return ist_decoding_fit(p) && ist_decoding_orient(p);
	return ist_decoding_orient(p) && ist_decoding_fit(p);
}

/* Puts the result into the shared memory and its measures into the answer. */
static void answer_pixels(struct ist_decoding *p, uint32_t want, uint8_t *out, size_t out_size,
			  struct ist_decode_answer *answer)
{
	const char *type = "";

	answer->len = (uint64_t)p->rgb_width * p->rgb_height * 3;
	if (want == IST_DECODE_THUMBNAIL)
		answer->len = ist_thumbnail(p, out, out_size, &type);
	else if (answer->len <= out_size)
		memcpy(out, p->rgb, answer->len);
	else
		ist_decoding_fail(p, "the picture does not fit the shared memory");
	snprintf(answer->out_type, sizeof(answer->out_type), "%s", type);
	answer->width = p->width;
	answer->height = p->height;
	answer->out_width = p->rgb_width;
	answer->out_height = p->rgb_height;
}

void ist_decode(const struct ist_decode_request *request, const uint8_t *data, bool svg,
		uint64_t max_pixels, uint8_t *out, size_t out_size,
		struct ist_decode_answer *answer)
{
	const struct ist_codec *codec = ist_codec_find(data, request->len, svg);
	struct ist_decoding p = {
	    .data = data, .len = request->len, .frame = request->frame, .max_pixels = max_pixels};

	/* The whole struct is set: it goes to the daemon with every byte of padding. */
	*answer = (struct ist_decode_answer){.magic = IST_DECODE_MAGIC};
	if (codec == NULL)
		ist_decoding_fail(&p, "not a picture in a known format (JPEG, PNG, WebP, GIF, "
				      "TIFF, BMP, SVG)");
	else if (decode_upright(&p, codec))
		answer_pixels(&p, request->want, out, out_size, answer);
	if (codec != NULL)
		snprintf(answer->type, sizeof(answer->type), "%s", codec->type);
	answer->status = p.status;
	snprintf(answer->text, sizeof(answer->text), "%s", p.error);
	ist_decoding_finish(&p);
}
