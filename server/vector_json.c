/*
 * Vectors on the wire, in and out. What comes in is finite, not all zero and at most
 * IST_VECTOR_DIM_MAX wide before anything else looks at it. Numbers beyond float32's range are
 * refused rather than turned into infinities.
 */
#include "server/vector_json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "float32 goes over the wire as it is");

/* The widths that are taken. */
static enum ist_code bad_width(struct ist_err *err, size_t n)
{
	return ist_fail_at(err, IST_INVALID, "", "must have 1 to %d numbers, got %zu",
			   IST_VECTOR_DIM_MAX, n);
}

/* The number at place i of an array. */
static enum ist_code bad_element(struct ist_err *err, size_t i)
{
	char pointer[32];

	snprintf(pointer, sizeof(pointer), "/%zu", i);
	return ist_fail_at(err, IST_INVALID, pointer, "must be a finite number (float32)");
}

/* [0.5, -1, …] */
static enum ist_code parse_array(const json_t *json, struct ist_arena *arena, float **ret,
				 size_t *ret_n, struct ist_err *err)
{
	size_t n = json_array_size(json);
	float *x;

	if (n < 1 || n > IST_VECTOR_DIM_MAX)
		return bad_width(err, n);
	x = ist_arena_alloc(arena, n, sizeof(*x));
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(json, i);
		double number = json_number_value(value);

		if (!json_is_number(value) || !(fabs(number) <= (double)FLT_MAX))
			return bad_element(err, i);
		x[i] = (float)number;
	}
	*ret = x;
	*ret_n = n;
	return IST_OK;
}

/* {"base64": "…"}: bounded by its length before anything is allocated. */
static enum ist_code parse_base64(const json_t *json, struct ist_arena *arena, float **ret,
				  size_t *ret_n, struct ist_err *err)
{
	const json_t *text = json_object_get(json, "base64");
	size_t len, n_bytes;
	float *x;

	if (!json_is_string(text) || json_object_size(json) != 1)
		return ist_fail_at(err, IST_INVALID, "",
				   "must be an array of numbers or {\"base64\": \"…\"}");
	len = json_string_length(text);
	if (len > (size_t)IST_VECTOR_DIM_MAX * 6)
		return bad_width(err, len / 6);
	x = ist_arena_alloc(arena, ist_base64_bound(len), 1);
	if (!ist_base64_decode(json_string_value(text), len, x, &n_bytes))
		return ist_fail_at(err, IST_INVALID, "/base64", "is not base64");
	if (n_bytes % sizeof(float))
		return ist_fail_at(err, IST_INVALID, "/base64",
				   "must hold 4 bytes a number, got %zu bytes", n_bytes);
	if (n_bytes == 0 || n_bytes / sizeof(float) > IST_VECTOR_DIM_MAX)
		return bad_width(err, n_bytes / sizeof(float));
	for (size_t i = 0; i < n_bytes / sizeof(float); i++)
		if (!isfinite(x[i]))
			return ist_fail_at(err, IST_INVALID, "/base64", "number %zu is not finite",
					   i);
	*ret = x;
	*ret_n = n_bytes / sizeof(float);
	return IST_OK;
}

enum ist_code ist_vector_parse(const json_t *json, struct ist_arena *arena, const float **ret,
			       size_t *ret_dim, struct ist_err *err)
{
	bool is_array = json_is_array(json);
	float *x = NULL;
	size_t n = 0;
	enum ist_code code = is_array ? parse_array(json, arena, &x, &n, err)
				      : parse_base64(json, arena, &x, &n, err);

	if (code)
		return code;
	for (size_t i = 0; i < n; i++)
		if (x[i] != 0) {
			*ret = x;
			*ret_dim = n;
			return IST_OK;
		}
	return ist_fail_at(err, IST_INVALID, "", "must not be all zero");
}

enum ist_code ist_vector_parse_dim(const json_t *json, size_t dim, const char *whose,
				   struct ist_arena *arena, const float **ret, struct ist_err *err)
{
	const float *x;
	size_t n;
	enum ist_code code = ist_vector_parse(json, arena, &x, &n, err);

	if (code)
		return code;
	if (n != dim)
		return ist_fail_at(err, IST_DIM_MISMATCH, "", "%s has %zu dimensions, got %zu",
				   whose, dim, n);
	*ret = x;
	return IST_OK;
}

void ist_vector_put(struct ist_buf *buf, const float *x, size_t n, bool base64)
{
	char number[32];

	if (base64) {
		ist_buf_puts(buf, "{\"base64\":\"");
		ist_base64_put(buf, x, n * sizeof(*x));
		ist_buf_puts(buf, "\"}");
		return;
	}
	ist_buf_reserve(buf, n * 12 + 2);
	ist_buf_putc(buf, '[');
	for (size_t i = 0; i < n; i++) {
		int digits = 6;

		/* Most numbers need 8 or 9 digits, but what was sent as 0.25 comes back so. */
		do
			snprintf(number, sizeof(number), "%.*g", digits, (double)x[i]);
		while (strtof(number, NULL) != x[i] && ++digits <= 9);
		if (i)
			ist_buf_putc(buf, ',');
		ist_buf_puts(buf, number);
	}
	ist_buf_putc(buf, ']');
}
