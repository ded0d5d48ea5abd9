/*
 * "descriptor": a picture encoder without a model. The picture is brought to SIDE x SIDE, one that
 * stands on white being first cut out along its border, then described by blocks of non-negative
 * numbers, each of length 1, so that square root and z-score scalings both make sense of them:
 *
 *	colours    shares of soft-binned greys and hues (Oklab, which is perceptually even)
 *	layout     the mean colour of each of 4 x 4 cells
 *	edges      orientations of fine gradients over the whole, 2 x 2 and 4 x 4 cells
 *	contours   the same of the blurred picture, 4 x 4 cells: outlines rather than texture
 *	mask       how much of each of 8 x 8 cells is not background
 *
 * Where there is a background, only the foreground counts for colours and layout. Everything is
 * computed in one order, so the same pixels give the same bits.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/encoder_private.h"
#include "core/encode/resample.h"

#define SIDE 128
#define BLUR_SIDE 32
#define N_ANGLES 8
#define N_GREYS 6
#define N_HUES 11
#define N_LIGHTS 3
#define N_CHROMAS 2

#define N_COLOURS (N_GREYS + N_HUES * N_LIGHTS * N_CHROMAS)
#define LAYOUT_CELLS 4
#define N_LAYOUT (LAYOUT_CELLS * LAYOUT_CELLS * 5)
#define N_EDGES ((1 + 4 + 16) * N_ANGLES)
#define N_CONTOURS (16 * N_ANGLES)
#define MASK_CELLS 8
#define N_MASK (MASK_CELLS * MASK_CELLS)
#define DIM (N_COLOURS + N_LAYOUT + N_EDGES + N_CONTOURS + N_MASK)

#define GREY_CHROMA 0.04f /* below this a colour counts as grey, in Oklab */
#define FULL_CHROMA 0.2f

struct oklab {
	float l, a, b; /* l 0..1; a, b about -0.3..0.3 */
};

/* Everything the blocks read: (SIDE, SIDE) each. */
struct view {
	const uint8_t *rgb; /* (SIDE, SIDE, 3) */
	struct oklab *lab;
	float *mask; /* 1 foreground, 0 background */
};

#define N_ROOTS 4096

/* The encoder's state: what Oklab needs of powers, made when it is opened. */
struct tables {
	float linear[256];	 /* sRGB byte -> linear light */
	float root[N_ROOTS + 1]; /* cube root of k / N_ROOTS */
};

static enum ist_code open_tables(struct ist_encoder *encoder, struct ist_folder *folder,
				 struct ist_err *err)
{
	struct tables *t = ist_alloc(1, sizeof(*t));

	for (int v = 0; v < 256; v++) {
		double c = v / 255.0;

		t->linear[v] = (float)(c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
	}
	for (int k = 0; k <= N_ROOTS; k++)
		t->root[k] = (float)cbrt((double)k / N_ROOTS);
	encoder->state = t;
	return IST_OK;
}

static void close_tables(struct ist_encoder *encoder)
{
	free(encoder->state);
}

static float root(const struct tables *t, float x)
{
	int k = (int)(x * N_ROOTS + 0.5f);

	return t->root[k < 0 ? 0 : k > N_ROOTS ? N_ROOTS : k];
}

/* Ottosson's Oklab, from sRGB. */
static struct oklab to_oklab(const struct tables *t, const uint8_t *p)
{
	float r = t->linear[p[0]], g = t->linear[p[1]], b = t->linear[p[2]];
	float l = root(t, 0.4122214708f * r + 0.5363325363f * g + 0.0514459929f * b);
	float m = root(t, 0.2119034982f * r + 0.6806995451f * g + 0.1073969566f * b);
	float s = root(t, 0.0883024619f * r + 0.2817188376f * g + 0.6299787005f * b);

	return (struct oklab){
	    .l = 0.2104542553f * l + 0.7936177850f * m - 0.0040720468f * s,
	    .a = 1.9779984951f * l - 2.4285922050f * m + 0.4505937099f * s,
	    .b = 0.0259040371f * l + 0.7827717662f * m - 0.8086757660f * s,
	};
}

struct rect {
	uint32_t left, top, width, height;
};

/* The smallest rectangle that holds everything that is not white; the whole if all is. */
static struct rect bounds(const struct ist_pixels *p)
{
	uint32_t left = p->width, right = 0, top = p->height, bottom = 0;

	for (uint32_t y = 0; y < p->height; y++) {
		for (uint32_t x = 0; x < p->width; x++) {
			if (ist_is_white(p->rgb + ((size_t)y * p->width + x) * 3))
				continue;
			left = IST_MIN(left, x);
			right = IST_MAX(right, x + 1);
			top = IST_MIN(top, y);
			bottom = IST_MAX(bottom, y + 1);
		}
	}
	if (left >= right)
		return (struct rect){0, 0, p->width, p->height};
	return (struct rect){left, top, right - left, bottom - top};
}

/* The rectangle in the middle of a white square of its longer side. */
static struct ist_pixels cut_out(const struct ist_pixels *p, struct rect r, struct ist_arena *arena)
{
	size_t side = IST_MAX(r.width, r.height);
	size_t x0 = (side - r.width) / 2, y0 = (side - r.height) / 2;
	uint8_t *rgb = ist_arena_alloc(arena, side * side, 3);

	memset(rgb, 255, side * side * 3);
	for (size_t y = 0; y < r.height; y++)
		memcpy(rgb + ((y + y0) * side + x0) * 3,
		       p->rgb + ((y + r.top) * p->width + r.left) * 3, (size_t)r.width * 3);
	return (struct ist_pixels){(uint32_t)side, (uint32_t)side, rgb};
}

/* A copy in the arena at another size. */
static struct ist_pixels scaled(const struct ist_pixels *p, uint32_t width, uint32_t height,
				struct ist_arena *arena)
{
	uint8_t *rgb = ist_arena_alloc(arena, (size_t)width * height, 3);

	ist_resample(p, IST_FILTER_BILINEAR, width, height, rgb, arena);
	return (struct ist_pixels){width, height, rgb};
}

static struct view make_view(const struct tables *t, const struct ist_pixels *pixels,
			     struct ist_arena *arena)
{
	struct ist_pixels p = *pixels;
	bool white;
	struct view v;
	uint32_t width, height;

	/* The cut must not cost more than the rest: large pictures are halved and halved first. */
	ist_fit(p.width, p.height, 2 * SIDE, &width, &height);
	if (width != p.width || height != p.height)
		p = scaled(&p, width, height, arena);
	white = ist_pixels_on_white(&p);
	if (white)
		p = cut_out(&p, bounds(&p), arena);
	p = scaled(&p, SIDE, SIDE, arena);
	v.rgb = p.rgb;
	v.lab = ist_arena_alloc(arena, SIDE * SIDE, sizeof(*v.lab));
	v.mask = ist_arena_alloc(arena, SIDE * SIDE, sizeof(*v.mask));
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		v.lab[i] = to_oklab(t, p.rgb + i * 3);
		v.mask[i] = white && ist_is_white(p.rgb + i * 3) ? 0 : 1;
	}
	return v;
}

/* Adds w to the two bins that x (in bins) lies between; the ends keep what is outside. */
static void put_soft(float *bins, int n, float x, float w)
{
	int k;
	float part;

	x = x < 0 ? 0 : x > (float)(n - 1) ? (float)(n - 1) : x;
	k = (int)x;
	part = x - (float)k;
	bins[k] += w * (1 - part);
	if (k + 1 < n)
		bins[k + 1] += w * part;
}

/* The same on a circle of n bins; turn is 0..1. */
static void put_round(float *bins, int n, float turn, float w)
{
	float x = turn * (float)n;
	int k = (int)x;
	float part = x - (float)k;

	bins[k % n] += w * (1 - part);
	bins[(k + 1) % n] += w * part;
}

/* The angle of (x, y) in turns, 0..1: accurate to a thousandth, which a soft bin forgives. */
static float turn_of(float y, float x)
{
	float ax = fabsf(x), ay = fabsf(y), q, t;

	if (ax + ay == 0)
		return 0;
	q = ax > ay ? ay / ax : ax / ay;
	t = q * (0.25f + 0.0435f * (1 - q)) * 0.5f; /* atan(q) in turns */
	t = ax > ay ? t : 0.25f - t;
	t = x < 0 ? 0.5f - t : t;
	t = y < 0 ? 1 - t : t;
	return t >= 1 ? 0 : t;
}

/* One colour: a share of grey by lightness, the rest by hue, lightness and chroma. */
static void put_colour(float *bins, struct oklab c, float w)
{
	float chroma = sqrtf(c.a * c.a + c.b * c.b);
	float grey = chroma >= 2 * GREY_CHROMA ? 0 : 1 - chroma / (2 * GREY_CHROMA);
	float hues[N_LIGHTS * N_CHROMAS] = {0};
	float light[N_LIGHTS] = {0};

	put_soft(bins, N_GREYS, c.l * (N_GREYS - 1), w * grey);
	put_soft(light, N_LIGHTS, (c.l - 0.3f) / 0.6f * (N_LIGHTS - 1), w * (1 - grey));
	for (int l = 0; l < N_LIGHTS; l++)
		put_soft(hues + l * N_CHROMAS, N_CHROMAS,
			 (chroma - GREY_CHROMA) / (FULL_CHROMA - GREY_CHROMA), light[l]);
	for (int k = 0; k < N_LIGHTS * N_CHROMAS; k++) {
		if (hues[k] > 0)
			put_round(bins + N_GREYS + k * N_HUES, N_HUES, turn_of(c.b, c.a), hues[k]);
	}
}

/* (N_COLOURS): shares of the foreground's pixels. */
static void block_colours(const struct view *v, struct ist_arena *arena, float *x)
{
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		if (v->mask[i] > 0)
			put_colour(x, v->lab[i], v->mask[i]);
	}
	/* A picture that is nothing but ground has the ground's colour. */
	for (size_t j = 0; j < N_COLOURS; j++) {
		if (x[j] > 0)
			return;
	}
	put_colour(x, v->lab[0], 1);
}

/* Lightness and the four directions of colour, summed over the foreground of each cell. */
static void block_layout(const struct view *v, struct ist_arena *arena, float *x)
{
	const size_t cell = SIDE / LAYOUT_CELLS;

	for (size_t i = 0; i < SIDE * SIDE; i++) {
		struct oklab c = v->lab[i];
		size_t at = (i / SIDE / cell * LAYOUT_CELLS + i % SIDE / cell) * 5;
		float w = v->mask[i] / (float)(cell * cell);

		x[at] += w * c.l;
		x[at + 1] += w * 3 * IST_MAX(c.a, 0);
		x[at + 2] += w * 3 * IST_MAX(-c.a, 0);
		x[at + 3] += w * 3 * IST_MAX(c.b, 0);
		x[at + 4] += w * 3 * IST_MAX(-c.b, 0);
	}
}

/* Gradients of a (side, side) plane into 4 x 4 cells of N_ANGLES unsigned orientations. */
static void orientations(const float *plane, size_t side, float *x)
{
	float cell = (float)side / 4;

	for (size_t r = 1; r + 1 < side; r++) {
		for (size_t c = 1; c + 1 < side; c++) {
			const float *p = plane + r * side + c;
			float dx = p[1] - p[-1], dy = p[side] - p[-(ptrdiff_t)side];
			float size = sqrtf(dx * dx + dy * dy);
			size_t at = (size_t)((float)r / cell) * 4 + (size_t)((float)c / cell);
			float turn = turn_of(dy, dx) * 2;

			if (size > 0)
				put_round(x + at * N_ANGLES, N_ANGLES, turn >= 1 ? turn - 1 : turn,
					  size);
		}
	}
}

/* (1 + 4 + 16, N_ANGLES): fine cells first, summed up into quarters and the whole, weighted so that
 * each level has about the same length. */
static void block_edges(const struct view *v, struct ist_arena *arena, float *x)
{
	float *plane = ist_arena_alloc(arena, SIDE * SIDE, sizeof(*plane));
	float *whole = x, *quarters = x + N_ANGLES, *cells = x + 5 * N_ANGLES;

	for (size_t i = 0; i < SIDE * SIDE; i++)
		plane[i] = v->lab[i].l;
	orientations(plane, SIDE, cells);
	for (size_t i = 0; i < 16 * N_ANGLES; i++) {
		size_t cell = i / N_ANGLES, angle = i % N_ANGLES;
		size_t quarter = cell / 8 * 2 + cell % 4 / 2;

		quarters[quarter * N_ANGLES + angle] += cells[i] / 2;
		whole[angle] += cells[i] / 4;
	}
}

/* (16, N_ANGLES) of a plane of BLUR_SIDE: sums of 4 x 4 pixels, whose scale the norm takes away. */
static void block_contours(const struct view *v, struct ist_arena *arena, float *x)
{
	const size_t step = SIDE / BLUR_SIDE;
	float *plane = ist_arena_alloc(arena, BLUR_SIDE * BLUR_SIDE, sizeof(*plane));

	for (size_t i = 0; i < SIDE * SIDE; i++)
		plane[i / SIDE / step * BLUR_SIDE + i % SIDE / step] += v->lab[i].l;
	orientations(plane, BLUR_SIDE, x);
}

/* (MASK_CELLS, MASK_CELLS): all equal for a photo, which has no ground. */
static void block_mask(const struct view *v, struct ist_arena *arena, float *x)
{
	const size_t cell = SIDE / MASK_CELLS;

	for (size_t i = 0; i < SIDE * SIDE; i++)
		x[i / SIDE / cell * MASK_CELLS + i % SIDE / cell] += v->mask[i];
}

static const struct {
	size_t n;
	void (*fill)(const struct view *v, struct ist_arena *arena, float *x);
} blocks[] = {
    {N_COLOURS, block_colours},	  {N_LAYOUT, block_layout}, {N_EDGES, block_edges},
    {N_CONTOURS, block_contours}, {N_MASK, block_mask},
};

/* Length 1; a block that is empty (no edge in a plain picture) stays zero. */
static void normalise(float *x, size_t n)
{
	double sum = 0;

	for (size_t j = 0; j < n; j++)
		sum += (double)x[j] * x[j];
	for (size_t j = 0; j < n && sum > 0; j++)
		x[j] = (float)(x[j] / sqrt(sum));
}

static enum ist_code image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	struct view v;

	v = make_view(encoder->state, pixels, &ws->arena);
	memset(ret, 0, DIM * sizeof(*ret));
	for (size_t b = 0; b < IST_COUNT(blocks); b++) {
		blocks[b].fill(&v, &ws->arena, ret);
		normalise(ret, blocks[b].n);
		ret += blocks[b].n;
	}
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_descriptor = {
    .name = "descriptor",
    .title = "Colours, layout, edges, contours and outline of a picture",
    .dim = DIM,
    .frame = {.geometry = IST_GEOMETRY_WHOLE, .side = 2 * SIDE},
    .open = open_tables,
    .close = close_tables,
    .image = image,
};
