/*
 * Base64 by two tables. Decoding is strict: one spelling for each run of bytes (the unused bits of
 * the last character must be zero), so that equal vectors and pictures have equal texts.
 */
#include "server/base64.h"

#include <stdint.h>

static const char alphabet[64] __attribute__((nonstring)) =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of a character plus one; 0 for what is none. */
static const uint8_t values[256] = {
    ['A'] = 1,	['B'] = 2,  ['C'] = 3,	['D'] = 4,  ['E'] = 5,	['F'] = 6,  ['G'] = 7,	['H'] = 8,
    ['I'] = 9,	['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

bool ist_base64_decode(const char *text, size_t len, void *ret, size_t *ret_len)
{
	const unsigned char *in = (const unsigned char *)text;
	uint8_t *out = ret;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	if (len % 4 == 0)
		for (int pad = 0; pad < 2 && len && in[len - 1] == '='; pad++)
			len--;
	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!values[in[i]])
			return false;
		bits = bits << 6 | (values[in[i]] - 1u);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*out++ = (uint8_t)(bits >> n_bits);
			bits &= (1u << n_bits) - 1;
		}
	}
	if (bits)
		return false;
	*ret_len = (size_t)(out - (uint8_t *)ret);
	return true;
}

void ist_base64_put(struct ist_buf *buf, const void *data, size_t len)
{
	const uint8_t *in = data;

	ist_buf_reserve(buf, (len + 2) / 3 * 4);
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
				(left > 2 ? (uint32_t)in[i + 2] : 0);
		char quad[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
				left > 1 ? alphabet[bits >> 6 & 63] : '=',
				left > 2 ? alphabet[bits & 63] : '='};

		ist_buf_put(buf, quad, sizeof(quad));
	}
}
