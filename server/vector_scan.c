/*
 * A number is a mantissa of up to 19 digits and a power of ten. Where the power is within 10^27
 * both are exact in the 64 bits of a long double's mantissa, so one multiplication or division
 * rounds once, and the float is the one that strtod and a cast would give but for a chance of
 * about 1 in 2^35.
 */
#include "server/vector_scan.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/vector_json.h"

#define DIGITS_MAX 19
#define POWER_MAX 27

struct cursor {
	const char *at, *end;
};

static const long double powers[POWER_MAX + 1] = {1e0L,	 1e1L,	1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
						  1e7L,	 1e8L,	1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
						  1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
						  1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r'))
		c->at++;
}

static bool take(struct cursor *c, char what)
{
	skip_space(c);
	if (c->at == c->end || *c->at != what)
		return false;
	c->at++;
	return true;
}

static bool is_digit(const struct cursor *c)
{
	return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* Digits into the mantissa; their number. */
static int digits(struct cursor *c, uint64_t *mantissa)
{
	const char *from = c->at;

	while (is_digit(c))
		*mantissa = *mantissa * 10 + (uint64_t)(*c->at++ - '0');
	return (int)IST_MIN(c->at - from, 1000);
}

static bool exponent(struct cursor *c, int *power)
{
	uint64_t n = 0;
	bool minus = false;
	int count;

	c->at++;
	if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
		minus = *c->at++ == '-';
	count = digits(c, &n);
	if (count == 0 || count > 4)
		return false;
	*power += minus ? -(int)n : (int)n;
	return true;
}

/* JSON's grammar of numbers; false also for those that need more care than this. */
static bool number(struct cursor *c, float *ret)
{
	uint64_t mantissa = 0;
	int n, fraction, power = 0;
	bool minus, zero;
	long double x;

	skip_space(c);
	minus = c->at < c->end && *c->at == '-';
	c->at += minus;
	zero = c->at < c->end && *c->at == '0';
	n = digits(c, &mantissa);
	if (n == 0 || (zero && n > 1))
		return false;
	if (c->at < c->end && *c->at == '.') {
		c->at++;
		fraction = digits(c, &mantissa);
		if (fraction == 0)
			return false;
		n += fraction - (zero ? 1 : 0);
		power = -fraction;
	}
	if (c->at < c->end && (*c->at == 'e' || *c->at == 'E') && !exponent(c, &power))
		return false;
	if (n > DIGITS_MAX || power > POWER_MAX || power < -POWER_MAX)
		return false;
	x = power < 0 ? (long double)mantissa / powers[-power]
		      : (long double)mantissa * powers[power];
	*ret = (float)(minus ? -x : x);
	return isfinite(*ret);
}

static void push(struct ist_vector_scan *scan, float x)
{
	if (scan->n == scan->cap) {
		scan->cap = scan->cap == 0 ? 1024 : scan->cap * 2;
		scan->numbers = ist_resize(scan->numbers, scan->cap, sizeof(float));
	}
	scan->numbers[scan->n++] = x;
}

/* [1, 2.5, …], not all zero. */
static bool vector(struct ist_vector_scan *scan, struct cursor *c, size_t *ret_dim)
{
	size_t from = scan->n;
	bool zero = true;
	float x;

	if (!take(c, '['))
		return false;
	do {
		if (!number(c, &x) || scan->n - from >= IST_VECTOR_DIM_MAX)
			return false;
		zero &= x == 0;
		push(scan, x);
	} while (take(c, ','));
	*ret_dim = scan->n - from;
	return take(c, ']') && !zero;
}

/* The numbers gather in one buffer, whose size is not known before the end. */
static const float *keep(struct ist_vector_scan *scan, size_t from, struct ist_arena *arena)
{
	size_t n = scan->n - from;
	float *copy = ist_arena_alloc(arena, n, sizeof(*copy));

	memcpy(copy, scan->numbers + from, n * sizeof(*copy));
	scan->n = from;
	return copy;
}

static bool rows(struct ist_vector_scan *scan, struct cursor *c, struct ist_arena *arena,
		 struct ist_cut_vectors *ret)
{
	size_t from = scan->n, dim;

	if (ret->texts != NULL || !take(c, '['))
		return false;
	do {
		if (!vector(scan, c, &dim) || ret->n_texts == IST_ITEM_TEXTS_MAX ||
		    (ret->n_texts > 0 && dim != ret->texts_dim))
			return false;
		ret->texts_dim = dim;
		ret->n_texts++;
	} while (take(c, ','));
	ret->texts = keep(scan, from, arena);
	return take(c, ']');
}

/* A string without escapes; its bytes between the quotes. */
static bool plain_string(struct cursor *c, struct ist_str *ret)
{
	const char *end;

	if (!take(c, '"'))
		return false;
	end = memchr(c->at, '"', (size_t)(c->end - c->at));
	if (end == NULL || memchr(c->at, '\\', (size_t)(end - c->at)) != NULL)
		return false;
	*ret = (struct ist_str){c->at, (size_t)(end - c->at)};
	c->at = end + 1;
	return true;
}

static bool is(struct ist_str s, const char *what)
{
	return s.len == strlen(what) && memcmp(s.data, what, s.len) == 0;
}

static bool vectors(struct ist_vector_scan *scan, struct cursor *c, struct ist_arena *arena,
		    struct ist_cut_vectors *ret)
{
	struct ist_str name;

	if (!take(c, '{'))
		return false;
	do {
		if (!plain_string(c, &name) || !take(c, ':'))
			return false;
		if (is(name, "image") && ret->image == NULL) {
			if (!vector(scan, c, &ret->image_dim))
				return false;
			ret->image = keep(scan, 0, arena);
		} else if (!is(name, "texts") || !rows(scan, c, arena, ret)) {
			return false;
		}
	} while (take(c, ','));
	return take(c, '}');
}

/* Past one value of any kind; its inside is checked by the parser later. */
static bool skip_value(struct cursor *c)
{
	size_t depth = 0;
	bool quoted = false;

	for (; c->at < c->end; c->at++) {
		char ch = *c->at;

		if (quoted) {
			if (ch == '\\')
				c->at++;
			else if (ch == '"')
				quoted = false;
		} else if (ch == '"') {
			quoted = true;
		} else if (ch == '[' || ch == '{') {
			depth++;
		} else if (depth == 0 && (ch == ',' || ch == '}')) {
			return true;
		} else if (ch == ']' || ch == '}') {
			if (depth == 0)
				return false;
			depth--;
		}
	}
	return false;
}

void ist_vector_scan_finish(struct ist_vector_scan *scan)
{
	ist_buf_finish(&scan->rest);
	free(scan->numbers);
	*scan = (struct ist_vector_scan){0};
}

/* Members before "vectors" are passed over by their brackets, the ones after it are not looked at:
 * the parser sees both in what is left, with null in the place of what was cut. */
bool ist_vector_scan_cut(struct ist_vector_scan *scan, struct ist_str line, struct ist_arena *arena,
			 struct ist_cut_vectors *ret)
{
	struct cursor c = {line.data, line.data + line.len};
	struct ist_str name;
	const char *from;

	*ret = (struct ist_cut_vectors){0};
	scan->n = 0;
	if (!take(&c, '{'))
		return false;
	for (;;) {
		if (!plain_string(&c, &name) || !take(&c, ':'))
			return false;
		skip_space(&c);
		from = c.at;
		if (is(name, "vectors"))
			break;
		if (!skip_value(&c) || !take(&c, ','))
			return false;
	}
	if (!vectors(scan, &c, arena, ret))
		return false;
	scan->rest.len = 0;
	ist_buf_put(&scan->rest, line.data, (size_t)(from - line.data));
	ist_buf_puts(&scan->rest, "null");
	ist_buf_put(&scan->rest, c.at, (size_t)(c.end - c.at));
	return true;
}
