/*
 * TIFF by libtiff's RGBA interface, which covers grey, palette, RGB, CMYK, YCbCr and the usual
 * compressions at 1 to 16 bits. Its first page only. libtiff hands out alpha already multiplied in.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "server/decode/codec.h"

/* The file as libtiff reads it; mapped as a whole where libtiff asks for that. */
struct source {
	struct ist_decoding *picture;
	uint64_t at;
};

/* Both byte orders, classic and BigTIFF. Camera raw files look the same: their first page is a
 * preview, which is what one wants of them. */
static bool sniff(const uint8_t *data, size_t len)
{
	static const char heads[4][4] = {"II*\0", "MM\0*", "II+\0", "MM\0+"};

	for (size_t i = 0; len >= 8 && i < 4; i++) {
		if (memcmp(data, heads[i], 4) == 0)
			return true;
	}
	return false;
}

/* A seek may have gone anywhere: reading from beyond the end gives nothing. */
static tmsize_t on_read(thandle_t user, void *to, tmsize_t n)
{
	struct source *s = user;
	uint64_t left = s->at < s->picture->len ? s->picture->len - s->at : 0;
	size_t take = (uint64_t)n < left ? (size_t)n : (size_t)left;

	if (n <= 0)
		return 0;
	memcpy(to, s->picture->data + s->at, take);
	s->at += take;
	return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t user, void *from, tmsize_t n)
{
	return 0;
}

static toff_t on_seek(thandle_t user, toff_t offset, int whence)
{
	struct source *s = user;

	if (whence == SEEK_CUR)
		offset += s->at;
	else if (whence == SEEK_END)
		offset += s->picture->len;
	s->at = offset;
	return offset;
}

static int on_close(thandle_t user)
{
	return 0;
}

static toff_t on_size(thandle_t user)
{
	struct source *s = user;

	return s->picture->len;
}

static int on_map(thandle_t user, void **base, toff_t *size)
{
	struct source *s = user;

	*base = (void *)(uintptr_t)s->picture->data;
	*size = s->picture->len;
	return 1;
}

static void on_unmap(thandle_t user, void *base, toff_t size)
{
}

/* The first error is the cause; ist_decoding_fail keeps it. */
static void on_error(thandle_t user, const char *module, const char *format, va_list args)
{
	struct source *s = user;
	char text[120];

	if (s == NULL)
		return;
	vsnprintf(text, sizeof(text), format, args);
	ist_decoding_fail(s->picture, "TIFF: %s", text);
}

/* libtiff's pixels are 0xAABBGGRR, colours multiplied by alpha. */
static void put_pixels(struct ist_decoding *p, const uint32_t *abgr)
{
	uint8_t *to = p->rgb;

	for (size_t i = 0, n = (size_t)p->width * p->height; i < n; i++, to += 3) {
		uint32_t ground = 255 - TIFFGetA(abgr[i]);

		p->see_through |= ground > 0;
		for (int c = 0; c < 3; c++) {
			uint32_t v = (abgr[i] >> (8 * c) & 0xFF) + ground;

			to[c] = (uint8_t)(v > 255 ? 255 : v);
		}
	}
}

/* libtiff allocates by what strips and tiles claim; the process's memory limit bounds that. */
static bool decode_page(struct ist_decoding *p, TIFF *tiff)
{
	uint32_t width = 0, height = 0, *abgr;
	uint16_t orientation = ORIENTATION_TOPLEFT;
	char reason[1024] = "";
	bool good = false;

	TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
	TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
	TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
	if (!ist_decoding_size(p, width, height))
		return false;
	/* Says in words what the interface cannot do: floating point, strange sample counts. */
	if (!TIFFRGBAImageOK(tiff, reason))
		return ist_decoding_fail(p, "TIFF: %.120s", reason);
	abgr = ist_decoding_scratch(p, (size_t)width * height, sizeof(*abgr));
	if (abgr == NULL)
		return false;
	/* Asking for the file's own orientation leaves the rows as they are stored. */
	if (!TIFFReadRGBAImageOriented(tiff, width, height, abgr, orientation, 1))
		ist_decoding_fail(p, "TIFF: the file is damaged or ends early");
	else
		good = ist_decoding_alloc(p, width, height);
	if (good)
		put_pixels(p, abgr);
	p->orientation = orientation;
	free(abgr);
	return good;
}

static bool decode(struct ist_decoding *p)
{
	struct source source = {p, 0};
	TIFF *tiff;
	bool good;

	TIFFSetErrorHandler(NULL);
	TIFFSetWarningHandler(NULL);
	TIFFSetErrorHandlerExt(on_error);
	tiff = TIFFClientOpen("picture", "r", &source, on_read, on_write, on_seek, on_close,
			      on_size, on_map, on_unmap);
	if (tiff == NULL)
		return ist_decoding_fail(p, "TIFF: the file cannot be read");
	good = decode_page(p, tiff);
	TIFFClose(tiff);
	return good;
}

const struct ist_codec ist_codec_tiff = {"image/tiff", sniff, decode};
