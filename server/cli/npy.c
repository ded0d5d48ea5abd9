/*
 * The format: "\x93NUMPY", major, minor, the length of the header (2 bytes, from version 2 on 4),
 * a header that is the text of a Python dictionary with the keys descr, fortran_order and shape,
 * then the elements. The header is read by hand, and only in the form that NumPy writes; nothing is
 * believed that the length of the file does not bear out.
 */
#include "server/cli/npy.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/json.h"

#define MAGIC "\x93NUMPY"
#define HEADER_MAX 65536

/* ---- the header ---- */

struct header {
	const char *p, *end;
	char descr[16];
	bool fortran, has_descr, has_order, has_shape;
	size_t n_dims, shape[2];
};

static void skip_space(struct header *h)
{
	while (h->p < h->end && (*h->p == ' ' || *h->p == '\n'))
		h->p++;
}

static bool accept(struct header *h, char c)
{
	skip_space(h);
	if (h->p == h->end || *h->p != c)
		return false;
	h->p++;
	return true;
}

static bool accept_word(struct header *h, const char *word)
{
	size_t n = strlen(word);

	skip_space(h);
	if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0)
		return false;
	h->p += n;
	return true;
}

static bool read_quoted(struct header *h, char *ret, size_t cap)
{
	char quote;
	size_t n = 0;

	skip_space(h);
	if (h->p == h->end || (*h->p != '\'' && *h->p != '"'))
		return false;
	for (quote = *h->p++; h->p < h->end && *h->p != quote; h->p++) {
		if (n + 1 == cap || *h->p == '\\')
			return false;
		ret[n++] = *h->p;
	}
	ret[n] = '\0';
	return accept(h, quote);
}

static bool read_size(struct header *h, size_t *ret)
{
	size_t n = 0;
	const char *begin;

	skip_space(h);
	for (begin = h->p; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (size_t)(*h->p - '0'), &n))
			return false;
	*ret = n;
	return h->p > begin;
}

/* "(538,)" or "(538, 1280)". */
static bool read_shape(struct header *h)
{
	if (!accept(h, '('))
		return false;
	for (h->n_dims = 0; !accept(h, ')'); h->n_dims++) {
		if (h->n_dims == 2 || !read_size(h, &h->shape[h->n_dims]))
			return false;
		if (!accept(h, ',') && (h->n_dims == 0 || h->p == h->end || *h->p != ')'))
			return false;
	}
	return h->n_dims > 0;
}

static bool read_member(struct header *h, const char *key)
{
	if (strcmp(key, "descr") == 0)
		return h->has_descr = read_quoted(h, h->descr, sizeof(h->descr));
	if (strcmp(key, "shape") == 0)
		return h->has_shape = read_shape(h);
	if (strcmp(key, "fortran_order") != 0)
		return false;
	h->fortran = accept_word(h, "True");
	return h->has_order = h->fortran || accept_word(h, "False");
}

static bool read_header(struct header *h)
{
	char key[32];

	if (!accept(h, '{'))
		return false;
	while (!accept(h, '}')) {
		if (!read_quoted(h, key, sizeof(key)) || !accept(h, ':') || !read_member(h, key))
			return false;
		if (!accept(h, ',') && (h->p == h->end || *h->p != '}'))
			return false;
	}
	skip_space(h);
	return h->p == h->end && h->has_descr && h->has_shape && h->has_order;
}

/* "<f4": the order of bytes, the kind, the size (of U: in characters of four bytes). */
static enum ist_code read_descr(struct ist_npy *npy, const char *descr, struct ist_err *err)
{
	static const char *const plain[] = {"f2", "f4", "f8", "i1", "i2", "i4",
					    "i8", "u1", "u2", "u4", "u8", "b1"};
	char *end;
	unsigned long n;

	if (strchr("<>|=", descr[0]) == NULL || descr[0] == '\0' || descr[1] == '\0')
		return ist_fail(err, IST_INVALID, "unknown type \"%s\"", descr);
	npy->big = descr[0] == '>';
	npy->kind = descr[1];
	n = strtoul(descr + 2, &end, 10);
	for (size_t i = 0; i < IST_COUNT(plain); i++)
		if (strcmp(descr + 1, plain[i]) == 0) {
			npy->size = n;
			return IST_OK;
		}
	if ((npy->kind != 'S' && npy->kind != 'U') || n == 0 || n > 65536 || *end != '\0')
		return ist_fail(err, IST_INVALID,
				"type \"%s\" is neither numbers of fixed size nor text", descr);
	npy->size = npy->kind == 'U' ? n * 4 : n;
	return IST_OK;
}

static uint32_t little(const uint8_t *p, size_t n)
{
	uint32_t x = 0;

	while (n-- > 0)
		x = x << 8 | p[n];
	return x;
}

static enum ist_code check(struct ist_npy *npy, const struct header *h, size_t len,
			   struct ist_err *err)
{
	size_t n;

	npy->n_dims = h->n_dims;
	memcpy(npy->shape, h->shape, sizeof(npy->shape));
	npy->rows = h->shape[0];
	npy->columns = h->n_dims == 2 ? h->shape[1] : 1;
	if (h->fortran && h->n_dims == 2)
		return ist_fail(err, IST_INVALID,
				"is in Fortran order: write numpy.ascontiguousarray(x)");
	if (__builtin_mul_overflow(npy->rows, npy->columns, &n) ||
	    __builtin_mul_overflow(n, npy->size, &n) || n != len)
		return ist_fail(err, IST_INVALID,
				"has %zu bytes of elements where its header says %zu x %zu of %zu",
				len, npy->rows, npy->columns, npy->size);
	return IST_OK;
}

enum ist_code ist_npy_read(struct ist_npy *npy, const void *data, size_t len, struct ist_err *err)
{
	const uint8_t *bytes = data;
	struct header h = {0};
	size_t at, n;

	*npy = (struct ist_npy){.map = npy->map};
	if (len < 12 || memcmp(bytes, MAGIC, 6) != 0)
		return ist_fail(err, IST_INVALID, "is no .npy file");
	if (bytes[6] < 1 || bytes[6] > 3)
		return ist_fail(err, IST_INVALID, "is .npy of version %d, unknown here", bytes[6]);
	at = bytes[6] == 1 ? 10 : 12;
	n = little(bytes + 8, at - 8);
	if (n > HEADER_MAX || n > len - at)
		return ist_fail(err, IST_INVALID, "its header is cut");
	h.p = (const char *)bytes + at;
	h.end = h.p + n;
	if (!read_header(&h))
		return ist_fail(err, IST_INVALID,
				"its header is not that of an array of one or two dimensions");
	if (read_descr(npy, h.descr, err) != IST_OK)
		return err->code;
	npy->data = bytes + at + n;
	return check(npy, &h, len - at - n, err);
}

enum ist_code ist_npy_open(struct ist_npy *npy, const char *path, struct ist_err *err)
{
	*npy = (struct ist_npy){0};
	if (ist_map_open(&npy->map, path, err) != IST_OK)
		return err->code;
	if (ist_npy_read(npy, npy->map.data, npy->map.len, err) == IST_OK)
		return IST_OK;
	ist_npy_finish(npy);
	return ist_wrap(err, "%s", path);
}

void ist_npy_finish(struct ist_npy *npy)
{
	ist_map_finish(&npy->map);
	*npy = (struct ist_npy){0};
}

/* ---- elements ---- */

/* The bits of an element of at most eight bytes. */
static uint64_t bits(const struct ist_npy *npy, const uint8_t *p)
{
	uint64_t x = 0;

	for (size_t i = 0; i < npy->size; i++)
		x = x << 8 | p[npy->big ? i : npy->size - 1 - i];
	return x;
}

static double half(uint64_t x)
{
	int exponent = (int)(x >> 10 & 31);
	double fraction = (double)(x & 1023) / 1024, value;

	if (exponent == 31)
		value = fraction > 0 ? NAN : INFINITY;
	else if (exponent == 0)
		value = ldexp(fraction, -14);
	else
		value = ldexp(1 + fraction, exponent - 15);
	return x >> 15 != 0 ? -value : value;
}

static float real(const struct ist_npy *npy, const uint8_t *p)
{
	uint64_t x = bits(npy, p);
	uint32_t x32 = (uint32_t)x;
	double wide;
	float narrow;

	if (npy->size == 2)
		return (float)half(x);
	if (npy->size == 4) {
		memcpy(&narrow, &x32, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, &x, sizeof(wide));
	return (float)wide;
}

void ist_npy_row_f32(const struct ist_npy *npy, size_t i, float *ret)
{
	const uint8_t *row = npy->data + i * npy->columns * npy->size;

	for (size_t c = 0; c < npy->columns; c++)
		ret[c] = real(npy, row + c * npy->size);
}

static void put_utf8(struct ist_buf *ret, uint32_t c)
{
	if (c < 0x80) {
		ist_buf_putc(ret, (char)c);
	} else if (c < 0x800) {
		ist_buf_putc(ret, (char)(0xc0 | c >> 6));
		ist_buf_putc(ret, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		ist_buf_putc(ret, (char)(0xe0 | c >> 12));
		ist_buf_putc(ret, (char)(0x80 | (c >> 6 & 63)));
		ist_buf_putc(ret, (char)(0x80 | (c & 63)));
	} else {
		ist_buf_putc(ret, (char)(0xf0 | c >> 18));
		ist_buf_putc(ret, (char)(0x80 | (c >> 12 & 63)));
		ist_buf_putc(ret, (char)(0x80 | (c >> 6 & 63)));
		ist_buf_putc(ret, (char)(0x80 | (c & 63)));
	}
}

/* Four bytes a character, zeros behind the last one. */
static enum ist_code put_wide(const struct ist_npy *npy, const uint8_t *p, struct ist_buf *ret,
			      struct ist_err *err)
{
	struct ist_npy one = {.size = 4, .big = npy->big};

	for (size_t k = 0; k < npy->size / 4; k++) {
		uint32_t c = (uint32_t)bits(&one, p + k * 4);

		if (c == 0)
			break;
		if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return ist_fail(err, IST_INVALID, "is not Unicode");
		put_utf8(ret, c);
	}
	return IST_OK;
}

enum ist_code ist_npy_text(const struct ist_npy *npy, size_t i, struct ist_buf *ret,
			   struct ist_err *err)
{
	const uint8_t *p = npy->data + i * npy->size;
	unsigned shift = 64 - 8 * (unsigned)IST_MIN(npy->size, 8);

	ret->len = 0;
	ist_buf_puts(ret, "");
	if (npy->kind == 'U')
		return put_wide(npy, p, ret, err);
	if (npy->kind == 'S') {
		ist_buf_put(ret, p, strnlen((const char *)p, npy->size));
		if (!ist_utf8_is_valid(ret->data, ret->len))
			return ist_fail(err, IST_INVALID, "is not UTF-8");
		return IST_OK;
	}
	if (npy->kind == 'f')
		return ist_fail(err, IST_INVALID, "is neither a whole number nor text");
	if (npy->kind == 'i') /* moves the sign up and back */
		ist_buf_printf(ret, "%" PRId64, (int64_t)(bits(npy, p) << shift) >> (int)shift);
	else
		ist_buf_printf(ret, "%" PRIu64, bits(npy, p));
	return IST_OK;
}
