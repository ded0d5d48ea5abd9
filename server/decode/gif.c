/*
 * GIF by giflib: the first picture only, read line by line, on a white canvas of the file's size.
 */
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "server/decode/codec.h"

/* The file as giflib reads it. */
struct source {
	const uint8_t *data;
	size_t len, at;
};

static bool sniff(const uint8_t *data, size_t len)
{
	return len >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

/* Short at the end, which giflib takes for an error where it wanted more. */
static int on_read(GifFileType *gif, GifByteType *to, int n)
{
	struct source *s = gif->UserData;
	size_t left = s->len - s->at, take = (size_t)n < left ? (size_t)n : left;

	memcpy(to, s->data + s->at, take);
	s->at += take;
	return (int)take;
}

/* Skips an extension; a graphics control block tells which colour is transparent. */
static bool read_extension(GifFileType *gif, int *transparent)
{
	GifByteType *block;
	GraphicsControlBlock control;
	int function;

	if (DGifGetExtension(gif, &function, &block) == GIF_ERROR)
		return false;
	if (block != NULL && function == GRAPHICS_EXT_FUNC_CODE &&
	    DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
		*transparent = control.TransparentColor;
	while (block != NULL) {
		if (DGifGetExtensionNext(gif, &block) == GIF_ERROR)
			return false;
	}
	return true;
}

/* Up to the first picture. */
static bool find_picture(GifFileType *gif, int *transparent)
{
	GifRecordType record;

	for (;;) {
		if (DGifGetRecordType(gif, &record) == GIF_ERROR || record == TERMINATE_RECORD_TYPE)
			return false;
		if (record == IMAGE_DESC_RECORD_TYPE)
			return DGifGetImageDesc(gif) == GIF_OK;
		if (record == EXTENSION_RECORD_TYPE && !read_extension(gif, transparent))
			return false;
	}
}

/* Transparent pixels stay white; what lies outside the canvas is left out, since nothing in the
 * format makes a picture's place fit its canvas. */
static void put_line(struct ist_decoding *p, const GifFileType *gif, size_t y,
		     const GifByteType *line, int transparent)
{
	const ColorMapObject *map =
	    gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
	size_t left = (size_t)gif->Image.Left, top = (size_t)gif->Image.Top;

	for (size_t x = 0; y + top < p->height && x < (size_t)gif->Image.Width; x++) {
		uint8_t *to = p->rgb + ((y + top) * p->width + x + left) * 3;

		p->see_through |= line[x] == transparent;
		if (x + left >= p->width || line[x] == transparent || line[x] >= map->ColorCount)
			continue;
		to[0] = map->Colors[line[x]].Red;
		to[1] = map->Colors[line[x]].Green;
		to[2] = map->Colors[line[x]].Blue;
	}
}

/* Interlaced pictures come in four passes; the tables are where each starts and its step. */
static bool read_lines(struct ist_decoding *p, GifFileType *gif, GifByteType *line, int transparent)
{
	static const struct {
		size_t first, step;
	} plain[] = {{0, 1}}, interlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
	size_t n = gif->Image.Interlace ? 4 : 1;

	for (size_t pass = 0; pass < n; pass++) {
		size_t first = gif->Image.Interlace ? interlaced[pass].first : plain[pass].first;
		size_t step = gif->Image.Interlace ? interlaced[pass].step : plain[pass].step;

		for (size_t y = first; y < (size_t)gif->Image.Height; y += step) {
			if (DGifGetLine(gif, line, gif->Image.Width) == GIF_ERROR)
				return ist_decoding_fail(p,
							 "GIF: the file is damaged or ends early");
			put_line(p, gif, y, line, transparent);
		}
	}
	return true;
}

/* The sizes are checked before anything is allocated: the canvas by its pixels, and the picture's
 * own width by the format, which has 16 bits for it. */
static bool decode_first(struct ist_decoding *p, GifFileType *gif)
{
	int transparent = NO_TRANSPARENT_COLOR;
	GifByteType *line;
	bool good;

	/* Some files leave the canvas 0: it is then as large as its first picture. */
	if (!find_picture(gif, &transparent))
		return ist_decoding_fail(p, "GIF: there is no picture in it");
	if (gif->SWidth == 0 || gif->SHeight == 0) {
		gif->SWidth = gif->Image.Left + gif->Image.Width;
		gif->SHeight = gif->Image.Top + gif->Image.Height;
	}
	if (!ist_decoding_size(p, (uint64_t)gif->SWidth, (uint64_t)gif->SHeight))
		return false;
	if (gif->Image.Width <= 0 || gif->Image.Height <= 0)
		return ist_decoding_fail(p, "GIF: the picture is empty");
	if (gif->Image.ColorMap == NULL && gif->SColorMap == NULL)
		return ist_decoding_fail(p, "GIF: there are no colours in it");
	line = ist_decoding_scratch(p, (size_t)gif->Image.Width, 1);
	good = line != NULL && ist_decoding_alloc(p, p->width, p->height);
	if (good) {
		memset(p->rgb, 255, (size_t)p->width * p->height * 3);
		good = read_lines(p, gif, line, transparent);
	}
	free(line);
	return good;
}

static bool decode(struct ist_decoding *p)
{
	struct source source = {p->data, p->len, 0};
	int error = 0;
	GifFileType *gif = DGifOpen(&source, on_read, &error);
	bool good;

	if (gif == NULL)
		return ist_decoding_fail(p, "GIF: %s", GifErrorString(error));
	good = decode_first(p, gif);
	DGifCloseFile(gif, &error);
	return good;
}

const struct ist_codec ist_codec_gif = {"image/gif", sniff, decode};
