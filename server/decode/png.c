/*
 * PNG by libpng: every kind becomes 8-bit RGB or RGBA, interlaced or not, and alpha is laid on
 * white row by row. Chunks that say nothing about pixels are not even parsed.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "server/decode/codec.h"

/* Everything of one decode; libpng leaves by longjmp (see jpeg.c). */
struct session {
	struct ist_decoding *picture;
	size_t at; /* in the file */
	png_structp png;
	png_infop info;
	uint8_t *rgba;
};

static bool sniff(const uint8_t *data, size_t len)
{
	return len >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static void on_error(png_structp png, png_const_charp text)
{
	struct session *s = png_get_error_ptr(png);

	ist_decoding_fail(s->picture, "PNG: %.120s", text);
	png_longjmp(png, 1);
}

/* Warnings are about things that do not matter to the pixels. */
static void on_warning(png_structp png, png_const_charp text)
{
}

/* libpng checks every length against its own limits, not against the file's end. */
static void on_read(png_structp png, png_bytep to, size_t n)
{
	struct session *s = png_get_io_ptr(png);

	if (n > s->picture->len - s->at)
		png_error(png, "the file ends early");
	memcpy(to, s->picture->data + s->at, n);
	s->at += n;
}

/* Whatever it is, to 8-bit RGB with alpha where there is any; returns the channels of a row. */
static int set_transforms(struct session *s)
{
	int type = png_get_color_type(s->png, s->info);

	png_set_expand(s->png);
	png_set_scale_16(s->png);
	if ((type & PNG_COLOR_MASK_COLOR) == 0)
		png_set_gray_to_rgb(s->png);
	png_set_interlace_handling(s->png);
	png_read_update_info(s->png, s->info);
	return png_get_channels(s->png, s->info);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The eXIf chunk, wherever it stands; libpng would allocate whatever length the file claims. */
static void read_orientation(struct ist_decoding *p)
{
	size_t at = 8;

	while (at + 12 <= p->len) {
		size_t n = get32(p->data + at);

		if (n > p->len - at - 12)
			return;
		if (memcmp(p->data + at + 4, "eXIf", 4) == 0)
			p->orientation = ist_exif_orientation(p->data + at + 8, n);
		at += n + 12;
	}
}

/* Plain rows go straight into rgb. Alpha of an interlaced file needs the whole in between. */
static bool read_rows(struct session *s, int channels)
{
	struct ist_decoding *p = s->picture;
	bool interlaced = png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE;
	size_t stride = (size_t)p->width * (size_t)channels, rows = interlaced ? p->height : 1;
	int passes = interlaced ? 7 : 1;

	if (channels == 4) {
		s->rgba = ist_decoding_scratch(p, rows, stride);
		if (s->rgba == NULL)
			return false;
	}
	for (int pass = 0; pass < passes; pass++) {
		for (size_t y = 0; y < p->height; y++) {
			uint8_t *to = p->rgb + y * p->width * 3;
			uint8_t *row = channels == 4 ? s->rgba + y % rows * stride : to;

			png_read_row(s->png, row, NULL);
			if (channels == 4 && pass == passes - 1)
				ist_decoding_on_white(p, row, p->width, to);
		}
	}
	return true;
}

/* The order is libpng's: header, checks, transforms, rows, the rest. */
static bool run(struct session *s)
{
	struct ist_decoding *p = s->picture;
	int channels;

	png_set_read_fn(s->png, s, on_read);
	png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_keep_unknown_chunks(s->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_read_info(s->png, s->info);
	if (!ist_decoding_size(p, png_get_image_width(s->png, s->info),
			       png_get_image_height(s->png, s->info)))
		return false;
	channels = set_transforms(s);
	if (channels != 3 && channels != 4)
		return ist_decoding_fail(p, "PNG: unexpected channels");
	if (!ist_decoding_alloc(p, p->width, p->height) || !read_rows(s, channels))
		return false;
	/* A file that lost its end lost no pixels by that, yet it was cut: it is refused. */
	png_read_end(s->png, s->info);
	read_orientation(p);
	return true;
}

static bool decode(struct ist_decoding *p)
{
	struct session s = {.picture = p};
	volatile bool good = false;

	s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
	s.info = s.png != NULL ? png_create_info_struct(s.png) : NULL;
	if (s.info == NULL)
		ist_decoding_fail(p, "PNG: out of memory");
	else if (setjmp(png_jmpbuf(s.png)) == 0)
		good = run(&s);
	png_destroy_read_struct(&s.png, &s.info, NULL);
	free(s.rgba);
	return good;
}

const struct ist_codec ist_codec_png = {"image/png", sniff, decode};
