/*
 * Reading a stored tensor as float, double or int64, whatever number type it was stored in. The
 * half types widen exactly; a 64-bit number read as float is rounded to the nearest.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/safetensors.h"

/* memcpy: the format does not promise alignment. */
#define LOADER(name, type)                                                                         \
	static double load_##name(const uint8_t *p)                                                \
	{                                                                                          \
		type x;                                                                            \
                                                                                                   \
		memcpy(&x, p, sizeof(x));                                                          \
		return (double)x;                                                                  \
	}
LOADER(f64, double)
LOADER(f32, float)
LOADER(i64, int64_t)
LOADER(i32, int32_t)
LOADER(i16, int16_t)
LOADER(i8, int8_t)
LOADER(u64, uint64_t)
LOADER(u32, uint32_t)
LOADER(u16, uint16_t)
LOADER(u8, uint8_t)

/* The upper half of a float. */
static double load_bf16(const uint8_t *p)
{
	uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
	float x;

	memcpy(&x, &bits, sizeof(x));
	return (double)x;
}

/* Sign, five bits of exponent (bias 15), ten of fraction; below them the subnormal numbers. */
static double load_f16(const uint8_t *p)
{
	unsigned bits = (unsigned)p[0] | (unsigned)p[1] << 8;
	int exponent = (int)(bits >> 10 & 31);
	double fraction = (double)(bits & 1023), magnitude;

	if (exponent == 31)
		magnitude = fraction != 0 ? NAN : INFINITY;
	else if (exponent == 0)
		magnitude = ldexp(fraction, -24);
	else
		magnitude = ldexp(fraction + 1024, exponent - 25);
	return bits & 0x8000 ? -magnitude : magnitude;
}

static const struct {
	const char *dtype;
	double (*load)(const uint8_t *p);
} loaders[] = {
    {"F64", load_f64}, {"F32", load_f32}, {"F16", load_f16}, {"BF16", load_bf16}, {"I64", load_i64},
    {"I32", load_i32}, {"I16", load_i16}, {"I8", load_i8},   {"U64", load_u64},	  {"U32", load_u32},
    {"U16", load_u16}, {"U8", load_u8},	  {"BOOL", load_u8},
};

/* The errors name what is stored and what was wanted, for whoever has the file at hand. */
static enum ist_code find_shaped(const struct ist_safetensors *file, const char *name,
				 size_t n_dims, const size_t *shape,
				 const struct ist_safetensor **ret, struct ist_err *err)
{
	const struct ist_safetensor *t = ist_safetensors_find(file, name);

	if (t == NULL)
		return ist_fail(err, IST_CORRUPT, "there is no tensor %s", name);
	if (t->n_dims != n_dims)
		return ist_fail(err, IST_CORRUPT, "tensor %s has %zu dimensions, not %zu", name,
				t->n_dims, n_dims);
	for (size_t i = 0; i < n_dims; i++)
		if (t->shape[i] != shape[i])
			return ist_fail(err, IST_CORRUPT,
					"tensor %s: dimension %zu is %zu, not %zu", name, i,
					t->shape[i], shape[i]);
	*ret = t;
	return IST_OK;
}

/* The same type is copied; any other goes through double, which holds all but big int64 exactly. */
static enum ist_code convert(const struct ist_safetensor *t, const char *dtype, void *ret,
			     void (*store)(void *ret, size_t i, double x), struct ist_err *err)
{
	size_t size = ist_safetensor_size(t->dtype);

	if (strcmp(t->dtype, dtype) == 0) {
		if (ist_safetensor_count(t) > 0)
			memcpy(ret, t->data, ist_safetensor_count(t) * size);
		return IST_OK;
	}
	for (size_t k = 0; k < IST_COUNT(loaders); k++) {
		if (strcmp(loaders[k].dtype, t->dtype) != 0)
			continue;
		for (size_t i = 0; i < ist_safetensor_count(t); i++)
			store(ret, i, loaders[k].load((const uint8_t *)t->data + i * size));
		return IST_OK;
	}
	return ist_fail(err, IST_CORRUPT, "tensor %s: %s cannot be read as %s", t->name, t->dtype,
			dtype);
}

static enum ist_code read_as(const struct ist_safetensors *file, const char *name, size_t n_dims,
			     const size_t *shape, const char *dtype, void *ret,
			     void (*store)(void *ret, size_t i, double x), struct ist_err *err)
{
	const struct ist_safetensor *t = NULL;
	enum ist_code code = find_shaped(file, name, n_dims, shape, &t, err);

	return code == IST_OK ? convert(t, dtype, ret, store, err) : code;
}

static void store_f32(void *ret, size_t i, double x)
{
	((float *)ret)[i] = (float)x;
}

static void store_f64(void *ret, size_t i, double x)
{
	((double *)ret)[i] = x;
}

/* Out of range or not a number: the nearest end, or 0. */
static void store_i64(void *ret, size_t i, double x)
{
	int64_t v = isnan(x) ? 0 : x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;

	((int64_t *)ret)[i] = v;
}

/* Whole models come as halves: without a call an element, so that the compiler can vectorise.
 * A half's bits moved into a float's place are short of 112 in the exponent; the product makes
 * that good, and subnormal halves normal. */
static void floats_f16(const uint8_t *data, size_t n, float *ret)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t half;
		uint32_t bits, sign;
		float x;

		memcpy(&half, data + 2 * i, sizeof(half));
		sign = (uint32_t)(half & 0x8000) << 16;
		bits = (uint32_t)(half & 0x7fff) << 13;
		memcpy(&x, &bits, sizeof(x));
		x *= 0x1p112f;
		memcpy(&bits, &x, sizeof(bits));
		bits |= sign | ((half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0);
		memcpy(&ret[i], &bits, sizeof(bits));
	}
}

static void floats_bf16(const uint8_t *data, size_t n, float *ret)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t half;
		uint32_t bits;

		memcpy(&half, data + 2 * i, sizeof(half));
		bits = (uint32_t)half << 16;
		memcpy(&ret[i], &bits, sizeof(bits));
	}
}

enum ist_code ist_safetensor_floats(const struct ist_safetensor *t, float *ret, struct ist_err *err)
{
	if (strcmp(t->dtype, "F16") == 0)
		floats_f16(t->data, ist_safetensor_count(t), ret);
	else if (strcmp(t->dtype, "BF16") == 0)
		floats_bf16(t->data, ist_safetensor_count(t), ret);
	else
		return convert(t, "F32", ret, store_f32, err);
	return IST_OK;
}

enum ist_code ist_safetensors_read_f32(const struct ist_safetensors *file, const char *name,
				       size_t n_dims, const size_t *shape, float *ret,
				       struct ist_err *err)
{
	return read_as(file, name, n_dims, shape, "F32", ret, store_f32, err);
}

enum ist_code ist_safetensors_read_f64(const struct ist_safetensors *file, const char *name,
				       size_t n_dims, const size_t *shape, double *ret,
				       struct ist_err *err)
{
	return read_as(file, name, n_dims, shape, "F64", ret, store_f64, err);
}

enum ist_code ist_safetensors_read_i64(const struct ist_safetensors *file, const char *name,
				       size_t n_dims, const size_t *shape, int64_t *ret,
				       struct ist_err *err)
{
	return read_as(file, name, n_dims, shape, "I64", ret, store_i64, err);
}
