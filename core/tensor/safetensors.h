/*
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header
 * {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {text: text}}, then the bytes.
 *
 * A file is a guest: every size, offset, overlap and name is checked before a byte of it is used,
 * and what breaks a rule is IST_CORRUPT with the tensor's name. An open file is immutable; any
 * number of threads may read it.
 */
#ifndef IST_CORE_TENSOR_SAFETENSORS_H
#define IST_CORE_TENSOR_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define IST_SAFETENSOR_DIMS 8

struct ist_safetensor {
	const char *name;
	const char *dtype; /* "F32", "F64", "F16", "BF16", "I64", … */
	size_t n_dims;	   /* 0: a scalar */
	size_t shape[IST_SAFETENSOR_DIMS];
	const void *data; /* little-endian, row-major; in a file not always aligned */
};

/* Elements of a tensor; its shape has been checked against overflow. */
size_t ist_safetensor_count(const struct ist_safetensor *t);
/* Bytes an element takes, 0 for a dtype that this reader does not know. */
size_t ist_safetensor_size(const char *dtype);

/* A tensor of any number type as floats; IST_CORRUPT where its dtype is none. */
IST_CHECKED enum ist_code ist_safetensor_floats(const struct ist_safetensor *t, float *ret,
						struct ist_err *err);

struct ist_safetensors;

/* Maps and checks a file. The tensors' data point into the map and live until close. */
IST_CHECKED enum ist_code ist_safetensors_open(const char *path, struct ist_safetensors **ret,
					       struct ist_err *err);
/* The same over bytes that the caller keeps alive. */
IST_CHECKED enum ist_code ist_safetensors_parse(const void *data, size_t len,
						struct ist_safetensors **ret, struct ist_err *err);
void ist_safetensors_close(struct ist_safetensors *file);

size_t ist_safetensors_n(const struct ist_safetensors *file);
const struct ist_safetensor *ist_safetensors_at(const struct ist_safetensors *file, size_t i);
/* NULL: there is none of that name. */
const struct ist_safetensor *ist_safetensors_find(const struct ist_safetensors *file,
						  const char *name);
/* The text under a key of "__metadata__", NULL where there is none. */
const char *ist_safetensors_metadata(const struct ist_safetensors *file, const char *key);

/* Converts a tensor of any number type; IST_CORRUPT where it is absent or of another shape. */
IST_CHECKED enum ist_code ist_safetensors_read_f32(const struct ist_safetensors *file,
						   const char *name, size_t n_dims,
						   const size_t *shape, float *ret,
						   struct ist_err *err);
IST_CHECKED enum ist_code ist_safetensors_read_f64(const struct ist_safetensors *file,
						   const char *name, size_t n_dims,
						   const size_t *shape, double *ret,
						   struct ist_err *err);
IST_CHECKED enum ist_code ist_safetensors_read_i64(const struct ist_safetensors *file,
						   const char *name, size_t n_dims,
						   const size_t *shape, int64_t *ret,
						   struct ist_err *err);

/* Writes tensors and metadata (an object of texts, or NULL) durably; data is copied as it is. */
IST_CHECKED enum ist_code ist_safetensors_write(const char *path, const struct ist_safetensor *t,
						size_t n, const json_t *metadata,
						struct ist_err *err);

#endif
