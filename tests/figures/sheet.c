/* Sheets of pictures, a light border around each, written by libpng's simple interface. */
#include "tests/figures/sheet.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "tests/figures/runs.h"

#define BORDER 2
#define PAPER 0xD0

static size_t cell(const struct sheet *s)
{
	return s->side * s->zoom + BORDER;
}

static size_t width_of(const struct sheet *s)
{
	return s->columns * cell(s) + BORDER;
}

static size_t height_of(const struct sheet *s)
{
	return s->rows * cell(s) + BORDER;
}

void sheet_init(struct sheet *s, size_t columns, size_t rows, size_t side, size_t zoom)
{
	*s = (struct sheet){.columns = columns, .rows = rows, .side = side, .zoom = zoom};
	s->rgb = ist_alloc(width_of(s) * height_of(s), 3);
	memset(s->rgb, PAPER, width_of(s) * height_of(s) * 3);
}

void sheet_put(struct sheet *s, size_t column, size_t row, const uint8_t *picture)
{
	for (size_t y = 0; y < s->side * s->zoom; y++) {
		for (size_t x = 0; x < s->side * s->zoom; x++) {
			size_t from = (y / s->zoom) * s->side + x / s->zoom;
			size_t to = (BORDER + row * cell(s) + y) * width_of(s) + BORDER +
				    column * cell(s) + x;

			memcpy(s->rgb + 3 * to, picture + 3 * from, 3);
		}
	}
}

void sheet_write(const struct sheet *s, const char *path)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			   .width = (png_uint_32)width_of(s),
			   .height = (png_uint_32)height_of(s),
			   .format = PNG_FORMAT_RGB};

	if (!png_image_write_to_file(&image, path, 0, s->rgb, 0, NULL))
		runs_die(path, image.message);
}

void sheet_finish(struct sheet *s)
{
	free(s->rgb);
	*s = (struct sheet){.columns = 0};
}
