/*
 * Vectors on the wire: an array of finite numbers that are not all zero, or
 * {"base64": "<little-endian float32>"}. Errors carry pointers relative to the vector.
 */
#ifndef IST_SERVER_VECTOR_JSON_H
#define IST_SERVER_VECTOR_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"

#define IST_VECTOR_DIM_MAX 16384

/* Any width up to IST_VECTOR_DIM_MAX; the caller compares it with what it expects. *ret lives in
 * the arena. */
IST_CHECKED enum ist_code ist_vector_parse(const json_t *json, struct ist_arena *arena,
					   const float **ret, size_t *ret_dim, struct ist_err *err);
/* The same, and IST_DIM_MISMATCH unless it is `dim` wide; `whose` names the space in the text. */
IST_CHECKED enum ist_code ist_vector_parse_dim(const json_t *json, size_t dim, const char *whose,
					       struct ist_arena *arena, const float **ret,
					       struct ist_err *err);
/* Appends [0.5,-1] or {"base64":"…"}. Numbers have the shortest form that reads back the same. */
void ist_vector_put(struct ist_buf *buf, const float *x, size_t n, bool base64);

#endif
