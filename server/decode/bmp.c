/*
 * BMP, all of it that is met: OS/2 and Windows headers, 1 to 32 bits, bit fields, run lengths,
 * bottom-up and top-down. Small enough to read here rather than through a library.
 */
#include <string.h>

#include "server/decode/codec.h"

#define FILE_HEADER 14
#define RGB_BITS 24

enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, FIELDS = 3, ALPHA_FIELDS = 6 };

struct bmp {
	struct ist_decoding *picture;
	uint32_t bits, compression, n_colours;
	bool top_down;
	size_t palette, palette_step; /* where it starts; bytes of an entry */
	size_t pixels;		      /* where they start */
	uint32_t masks[4];	      /* red, green, blue, alpha */
};

/* "BM" alone begins many a text: the reserved bytes and the header's size are looked at too. */
static bool sniff(const uint8_t *data, size_t len)
{
	return len >= FILE_HEADER + 12 && data[0] == 'B' && data[1] == 'M' && data[6] == 0 &&
	       data[7] == 0 && data[15] == 0 && data[16] == 0 && data[17] == 0;
}

/* Little-endian numbers; what lies behind the end of the file reads as 0. */
static uint32_t get16(const struct bmp *b, size_t at)
{
	const uint8_t *p = b->picture->data + at;

	return at + 2 <= b->picture->len ? (uint32_t)(p[0] | p[1] << 8) : 0;
}

static uint32_t get32(const struct bmp *b, size_t at)
{
	return get16(b, at) | get16(b, at + 2) << 16;
}

static bool is_one_of(uint32_t v, const uint32_t *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (all[i] == v)
			return true;
	}
	return false;
}

/* Which depth goes with which compression. */
static bool check_kind(const struct bmp *b)
{
	static const struct {
		uint32_t compression, n, bits[6];
	} kinds[] = {{PLAIN, 6, {1, 4, 8, 16, 24, 32}},
		     {RLE8, 1, {8}},
		     {RLE4, 1, {4}},
		     {FIELDS, 2, {16, 32}},
		     {ALPHA_FIELDS, 2, {16, 32}}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].compression == b->compression &&
		    is_one_of(b->bits, kinds[i].bits, kinds[i].n))
			return true;
	}
	return ist_decoding_fail(b->picture, "BMP: %u bits with compression %u are not known",
				 b->bits, b->compression);
}

/* Where the file gives none: 5 bits a colour of 16, 8 bits of 32. */
static void read_masks(struct bmp *b, uint32_t header)
{
	static const uint32_t usual16[4] = {0x7C00, 0x3E0, 0x1F, 0};
	static const uint32_t usual32[4] = {0xFF0000, 0xFF00, 0xFF, 0};

	memcpy(b->masks, b->bits == 16 ? usual16 : usual32, sizeof(b->masks));
	if (b->compression != FIELDS && b->compression != ALPHA_FIELDS)
		return;
	for (size_t i = 0; i < 3; i++)
		b->masks[i] = get32(b, FILE_HEADER + 40 + i * 4);
	b->masks[3] =
	    header >= 56 || b->compression == ALPHA_FIELDS ? get32(b, FILE_HEADER + 52) : 0;
}

/* Windows grew the header four times; all that matters here is in the first 56 bytes of any. */
static bool read_header(struct bmp *b)
{
	uint32_t header = get32(b, FILE_HEADER);
	bool old = header == 12;
	int64_t width = old ? (int64_t)get16(b, 18) : (int32_t)get32(b, 18);
	int64_t height = old ? (int64_t)get16(b, 20) : (int32_t)get32(b, 22);

	if (header < 12 || header > 1024 || (!old && header < 16))
		return ist_decoding_fail(b->picture, "BMP: a header of %u bytes is not known",
					 header);
	b->bits = old ? get16(b, 24) : get16(b, 28);
	b->compression = header >= 20 ? get32(b, 30) : PLAIN;
	b->n_colours = header >= 36 ? get32(b, 46) : 0;
	b->palette = FILE_HEADER + (size_t)header;
	b->palette_step = old ? 3 : 4;
	b->pixels = get32(b, 10);
	b->top_down = height < 0;
	if (width < 0)
		return ist_decoding_fail(b->picture, "BMP: a negative width");
	if (!ist_decoding_size(b->picture, (uint64_t)width,
			       (uint64_t)(height < 0 ? -height : height)) ||
	    !check_kind(b))
		return false;
	if (b->n_colours == 0 || b->n_colours > 256)
		b->n_colours = b->bits <= 8 ? 1u << b->bits : 0;
	read_masks(b, header);
	if (b->pixels < b->palette || b->pixels >= b->picture->len)
		return ist_decoding_fail(b->picture, "BMP: the file ends early");
	return true;
}

/* Where row y (as stored) goes. */
static uint8_t *row_of(const struct bmp *b, uint32_t y)
{
	const struct ist_decoding *p = b->picture;

	return p->rgb + (size_t)(b->top_down ? y : p->height - 1 - y) * p->width * 3;
}

/* Entries that the palette or the file does not have stay black. */
static void put_index(const struct bmp *b, uint32_t index, uint8_t *to)
{
	size_t at = b->palette + index * b->palette_step;

	if (index >= b->n_colours || at + 3 > b->picture->len)
		return;
	to[0] = b->picture->data[at + 2];
	to[1] = b->picture->data[at + 1];
	to[2] = b->picture->data[at];
}

/* The bits under a mask, stretched to 0..255. */
static uint32_t field(uint32_t v, uint32_t mask)
{
	uint32_t shift, top;

	if (mask == 0)
		return 0;
	shift = (uint32_t)__builtin_ctz(mask);
	top = mask >> shift;
	return (uint32_t)(((uint64_t)((v & mask) >> shift) * 255 + top / 2) / top);
}

/* A mask is any run of bits: 565 and 555 are only the usual ones. */
static void put_fields(const struct bmp *b, uint32_t v, uint8_t *to)
{
	uint32_t a = b->masks[3] != 0 ? field(v, b->masks[3]) : 255;

	for (int c = 0; c < 3; c++)
		to[c] = ist_on_white(field(v, b->masks[c]), a);
}

/* The caller has checked that the row is in the file. */
static void put_row(const struct bmp *b, const uint8_t *from, uint8_t *to)
{
	size_t at = (size_t)(from - b->picture->data);

	for (uint32_t x = 0; x < b->picture->width; x++, to += 3) {
		if (b->bits <= 8) {
			uint32_t shift = 8 - b->bits - x * b->bits % 8;

			put_index(b, from[(size_t)x * b->bits / 8] >> shift & ((1u << b->bits) - 1),
				  to);
		} else if (b->bits == RGB_BITS) {
			to[0] = from[(size_t)x * 3 + 2];
			to[1] = from[(size_t)x * 3 + 1];
			to[2] = from[(size_t)x * 3];
		} else if (b->bits == 16) {
			put_fields(b, get16(b, at + (size_t)x * 2), to);
		} else {
			put_fields(b, get32(b, at + (size_t)x * 4), to);
		}
	}
}

static bool read_plain(struct bmp *b)
{
	struct ist_decoding *p = b->picture;
	size_t stride = ((size_t)p->width * b->bits + 31) / 32 * 4;
	size_t last = ((size_t)p->width * b->bits + 7) / 8; /* its padding may be missing */

	if (stride * (p->height - 1) + last > p->len - b->pixels)
		return ist_decoding_fail(p, "BMP: the file ends early");
	for (uint32_t y = 0; y < p->height; y++)
		put_row(b, p->data + b->pixels + y * stride, row_of(b, y));
	return true;
}

/* A place in a run-length picture; what the runs skip has colour 0. */
struct pen {
	uint32_t x, y;
};

/* One pixel at the pen, if that is inside; the pen moves on in any case. */
static void put_run(const struct bmp *b, struct pen *pen, uint32_t index)
{
	if (pen->x < b->picture->width && pen->y < b->picture->height)
		put_index(b, index, row_of(b, pen->y) + (size_t)pen->x * 3);
	pen->x++;
}

/* Pixel i of those packed at `at`: one a byte, or two a byte in RLE4. */
static uint32_t index_at(const struct bmp *b, size_t at, uint32_t i)
{
	const uint8_t *data = b->picture->data;

	if (b->compression == RLE8)
		return data[at + i];
	return i % 2 == 0 ? data[at + i / 2] >> 4 : data[at + i / 2] & 15;
}

/* n pixels as they are, padded to two bytes; the bytes that they took, 0 if they are not there. */
static size_t put_literal(const struct bmp *b, struct pen *pen, size_t at, uint32_t n)
{
	size_t bytes = b->compression == RLE8 ? n : (n + 1) / 2;

	if (at + bytes > b->picture->len)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		put_run(b, pen, index_at(b, at, i));
	return bytes + bytes % 2;
}

/* One pair of bytes and what follows it: where the next one starts, 0 at the end of the file. */
static size_t step_run(const struct bmp *b, struct pen *pen, size_t at)
{
	const struct ist_decoding *p = b->picture;
	uint32_t n, v;
	size_t taken;

	if (at + 2 > p->len)
		return 0;
	n = p->data[at];
	v = p->data[at + 1];
	if (n > 0) { /* n pixels that take turns in one byte, or are all that byte */
		for (uint32_t i = 0; i < n; i++)
			put_run(b, pen, index_at(b, at + 1, b->compression == RLE8 ? 0 : i % 2));
		return at + 2;
	}
	if (v > 2) {
		taken = put_literal(b, pen, at + 2, v);
		return taken > 0 ? at + 2 + taken : 0;
	}
	if (v == 0) { /* end of the row */
		*pen = (struct pen){0, pen->y + 1};
	} else if (v == 1) { /* end of the picture */
		pen->y = p->height;
	} else { /* move */
		if (at + 4 > p->len)
			return 0;
		pen->x += p->data[at + 2];
		pen->y += p->data[at + 3];
	}
	return at + (v == 2 ? 4 : 2);
}

/* Runs may end early or jump: what they never reach has the palette's first colour. */
static bool read_runs(struct bmp *b)
{
	const struct ist_decoding *p = b->picture;
	struct pen pen = {0};
	size_t at = b->pixels;

	for (size_t i = 0; i < (size_t)p->width * p->height; i++)
		put_index(b, 0, p->rgb + i * 3);
	while (at != 0 && pen.y < p->height)
		at = step_run(b, &pen, at);
	return at != 0 || ist_decoding_fail(b->picture, "BMP: the file ends early");
}

static bool decode(struct ist_decoding *p)
{
	struct bmp b = {.picture = p};

	if (!read_header(&b) || !ist_decoding_alloc(p, p->width, p->height))
		return false;
	return b.compression == RLE8 || b.compression == RLE4 ? read_runs(&b) : read_plain(&b);
}

const struct ist_codec ist_codec_bmp = {"image/bmp", sniff, decode};
