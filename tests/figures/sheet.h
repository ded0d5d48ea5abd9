/* Many small pictures on one PNG. */
#ifndef IST_TESTS_FIGURES_SHEET_H
#define IST_TESTS_FIGURES_SHEET_H

#include <stddef.h>
#include <stdint.h>

struct sheet {
	size_t columns, rows, side, zoom; /* of cells; of a picture; pixels a pixel */
	uint8_t *rgb;
};

void sheet_init(struct sheet *sheet, size_t columns, size_t rows, size_t side, size_t zoom);
/* A picture (side, side, 3) into a cell. */
void sheet_put(struct sheet *sheet, size_t column, size_t row, const uint8_t *picture);
/* A failure ends the program. */
void sheet_write(const struct sheet *sheet, const char *path);
void sheet_finish(struct sheet *sheet);

#endif
