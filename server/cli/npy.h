/* Matrices of NumPy's .npy files, read strictly: what is not as the format says is refused. */
#ifndef IST_SERVER_CLI_NPY_H
#define IST_SERVER_CLI_NPY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/file.h"

/* One or two dimensions, in C order: float16/32/64, integers, fixed-width text (S and U). */
struct ist_npy {
	struct ist_map map;
	const uint8_t *data;
	char kind;   /* 'f', 'i', 'u', 'b', 'S', 'U' */
	bool big;    /* big-endian */
	size_t size; /* bytes of an element */
	size_t n_dims, shape[2];
	size_t rows, columns; /* of one dimension: rows, and 1 */
};

IST_CHECKED enum ist_code ist_npy_open(struct ist_npy *npy, const char *path, struct ist_err *err);
/* The same of bytes in memory, which must outlive it. */
IST_CHECKED enum ist_code ist_npy_read(struct ist_npy *npy, const void *data, size_t len,
				       struct ist_err *err);
void ist_npy_finish(struct ist_npy *npy);

/* Row i as little-endian float32, (columns); the matrix is of kind 'f'. */
void ist_npy_row_f32(const struct ist_npy *npy, size_t i, float *ret);
/* Element i of one dimension as text: a number in decimal, a text in UTF-8. IST_INVALID for what
 * is none. */
IST_CHECKED enum ist_code ist_npy_text(const struct ist_npy *npy, size_t i, struct ist_buf *ret,
				       struct ist_err *err);

#endif
