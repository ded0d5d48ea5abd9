/*
 * A small picture for a web page: PNG with a palette where there are at most 256 colours (icons,
 * drawings: sharper and smaller), JPEG otherwise.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "server/decode/codec.h"

#define QUALITY 85
#define N_SLOTS 1024 /* a power of two, at least four times the colours */

/* Colours in the order they were met, and a hash table from colour to place with open addressing.
 * Counting ends at the 257th colour, so a photo costs a few rows of it. */
struct palette {
	uint32_t n;
	png_color colours[256];
	struct {
		uint32_t key; /* 0xRRGGBB + 1; 0: free */
		uint8_t index;
	} slots[N_SLOTS];
};

/* The palette index of a colour, or -1 when the palette is full. */
static int index_of(struct palette *palette, const uint8_t *p)
{
	uint32_t key = ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) + 1;
	uint32_t at = key * 2654435761u >> 22;

	while (palette->slots[at].key != 0 && palette->slots[at].key != key)
		at = (at + 1) % N_SLOTS;
	if (palette->slots[at].key == key)
		return palette->slots[at].index;
	if (palette->n == 256)
		return -1;
	palette->slots[at].key = key;
	palette->slots[at].index = (uint8_t)palette->n;
	palette->colours[palette->n] = (png_color){p[0], p[1], p[2]};
	return (int)palette->n++;
}

/* Fills indices (height, width); false with more than 256 colours. */
static bool index_all(const struct ist_decoding *p, struct palette *palette, uint8_t *indices)
{
	for (size_t i = 0, n = (size_t)p->rgb_width * p->rgb_height; i < n; i++) {
		int index = index_of(palette, p->rgb + i * 3);

		if (index < 0)
			return false;
		indices[i] = (uint8_t)index;
	}
	return true;
}

/* Where a thumbnail is written: the shared memory, which must not be overrun. */
struct sink {
	struct ist_decoding *picture;
	uint8_t *out;
	size_t len, size;
};

static void on_png_error(png_structp png, png_const_charp text)
{
	struct sink *sink = png_get_error_ptr(png);

	ist_decoding_fail(sink->picture, "thumbnail: %.120s", text);
	png_longjmp(png, 1);
}

/* libpng writes piece by piece; running out of room is an error like any other. */
static void on_png_write(png_structp png, png_bytep data, size_t n)
{
	struct sink *sink = png_get_io_ptr(png);

	if (n > sink->size - sink->len)
		png_error(png, "no room");
	memcpy(sink->out + sink->len, data, n);
	sink->len += n;
}

static void on_png_flush(png_structp png)
{
}

/* The length, or 0 where on_png_error jumped back. */
static size_t write_png(struct sink *sink, const struct palette *palette, const uint8_t *indices)
{
	const struct ist_decoding *p = sink->picture;
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, sink, on_png_error, NULL);
	png_infop info = png != NULL ? png_create_info_struct(png) : NULL;

	if (info != NULL && setjmp(png_jmpbuf(png)) == 0) {
		png_set_write_fn(png, sink, on_png_write, on_png_flush);
		png_set_IHDR(png, info, p->rgb_width, p->rgb_height, 8, PNG_COLOR_TYPE_PALETTE,
			     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
			     PNG_FILTER_TYPE_DEFAULT);
		png_set_PLTE(png, info, palette->colours, (int)palette->n);
		png_write_info(png, info);
		for (size_t y = 0; y < p->rgb_height; y++)
			png_write_row(png, indices + y * p->rgb_width);
		png_write_end(png, info);
	}
	png_destroy_write_struct(&png, &info);
	return p->status == IST_DECODE_OK ? sink->len : 0;
}

/* As in jpeg.c: what must be freed is not in locals. */
struct jpeg_session {
	struct jpeg_error_mgr errors; /* first: libjpeg hands this back */
	struct jpeg_compress_struct jpeg;
	struct ist_decoding *picture;
	unsigned char *data;
	unsigned long len;
	jmp_buf out;
};

static void on_jpeg_error(j_common_ptr jpeg)
{
	struct jpeg_session *s = (struct jpeg_session *)jpeg->err;

	ist_decoding_fail(s->picture, "thumbnail: JPEG failed");
	longjmp(s->out, 1);
}

static void compress(struct jpeg_session *s)
{
	struct jpeg_compress_struct *jpeg = &s->jpeg;

	jpeg_create_compress(jpeg);
	jpeg_mem_dest(jpeg, &s->data, &s->len);
	jpeg->image_width = s->picture->rgb_width;
	jpeg->image_height = s->picture->rgb_height;
	jpeg->input_components = 3;
	jpeg->in_color_space = JCS_RGB;
	jpeg_set_defaults(jpeg);
	jpeg_set_quality(jpeg, QUALITY, TRUE);
	jpeg->optimize_coding = TRUE; /* a tenth smaller, for a millisecond once */
	jpeg_start_compress(jpeg, TRUE);
	while (jpeg->next_scanline < jpeg->image_height) {
		uint8_t *row =
		    s->picture->rgb + (size_t)jpeg->next_scanline * jpeg->image_width * 3;

		jpeg_write_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_compress(jpeg);
}

/* libjpeg grows its own buffer; it is copied once its length is known. */
static size_t write_jpeg(struct sink *sink)
{
	struct jpeg_session s = {.picture = sink->picture};

	s.jpeg.err = jpeg_std_error(&s.errors);
	s.errors.error_exit = on_jpeg_error;
	if (setjmp(s.out) == 0)
		compress(&s);
	jpeg_destroy_compress(&s.jpeg);
	if (s.picture->status == IST_DECODE_OK && s.len <= sink->size) {
		memcpy(sink->out, s.data, s.len);
		sink->len = s.len;
	} else {
		ist_decoding_fail(s.picture, "thumbnail: no room");
	}
	free(s.data);
	return sink->len;
}

size_t ist_thumbnail(struct ist_decoding *p, uint8_t *out, size_t out_size, const char **ret_type)
{
	struct sink sink = {p, out, 0, out_size};
	struct palette *palette = ist_decoding_scratch(p, 1, sizeof(*palette));
	uint8_t *indices = ist_decoding_scratch(p, (size_t)p->rgb_width * p->rgb_height, 1);
	size_t len = 0;

	if (palette != NULL && indices != NULL) {
		bool few = index_all(p, palette, indices);

		*ret_type = few ? "image/png" : "image/jpeg";
		len = few ? write_png(&sink, palette, indices) : write_jpeg(&sink);
	}
	free(palette);
	free(indices);
	return len;
}
