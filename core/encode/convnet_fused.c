/*
 * Inverted residual blocks in one go. Layer by layer, a block's wide middle (six times the
 * channels) is written to memory and read back twice; here it never leaves the caches. A chunk of
 * 48 of its channels is expanded for a strip of rows, convolved depthwise and added into the
 * projection's sums before the next chunk begins, so that every weight is read once a strip. The
 * stem takes the place of the first block's expansion. The kernels (convnet_kernels.h) want
 * AVX-512; other CPUs and other networks go layer by layer.
 *
 * Threads share out strips where a block has several, else chunks, whose sums are then added up.
 * Activations are (places, vectors, 16).
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/convnet_kernels.h"
#include "core/encode/convnet_private.h"

#define LANES IST_CONV_LANES
#define CHUNK IST_CONV_VECTORS	/* vectors */
#define STRIP_BYTES (320 << 10) /* of a chunk's middle rows: a good part of a second-level cache   \
				 */

/* One product's weights: blocks of up to three vectors of outputs, each (inputs, vectors, 16). */
struct packed {
	float *weights, *bias;
	size_t inputs, vectors; /* of the weights: rows, and vectors of outputs */
};

struct block {
	const struct ist_conv_layer *expand, *depthwise, *project; /* expand: or the stem */
	bool stem;
	struct ist_conv_pads rows, columns; /* of the depthwise convolution */
	size_t in, middle, out;		    /* vectors */
	size_t width;			    /* of the padded middle */
	struct packed widen;
	float *taps, *taps_bias;      /* (middle, kernel, kernel, 16), (middle, 16) */
	float **narrow, *narrow_bias; /* a chunk's (out blocks, inputs, vectors, 16) */
	size_t last;		      /* layer that it ends with */
};

struct net {
	const struct ist_conv_layer *layers;
	size_t n_layers;
	struct block *blocks;
	size_t n;
	struct packed head;
	struct ist_conv_pads picture_rows, picture_columns;
	size_t picture_height, picture_width; /* padded */
};

/* How a block is cut for a number of threads. */
struct cut {
	size_t rows, n; /* of a strip; strips */
};

struct scratch { /* a thread's */
	float *middle, *convolved, *sums;
};

struct pass {
	const struct net *net;
	int threads;
	struct cut *cuts; /* one a block */
	float *memory;
	float *picture; /* (picture_height, picture_width, 3) */
	float *activations[2], *map, *mean;
	struct scratch *scratch; /* one a thread */
};

static size_t vectors_of(size_t channels)
{
	return (channels + LANES - 1) / LANES;
}

static size_t n_chunks(size_t vectors)
{
	return (vectors + CHUNK - 1) / CHUNK;
}

static size_t places_of(const struct ist_shape3 *s)
{
	return (size_t)s->height * s->width;
}

/* ---- which nets ---- */

static bool is_product(const struct ist_conv *c, bool clip)
{
	return !c->depthwise && c->kernel == 1 && c->stride == 1 && c->clip == clip;
}

static bool is_middle(const struct ist_conv *c)
{
	return c->depthwise && c->clip && !c->last && (c->kernel == 3 || c->kernel == 5) &&
	       c->stride <= 2;
}

/* It takes the place of the expansion that the first block does not have, and so cannot be added to
 * what that block gives. */
static bool is_stem(const struct ist_conv_layer *l)
{
	return !l[0].conv.depthwise && l[0].conv.clip && l[0].conv.in == 3 && !l[2].conv.adds;
}

/* A stem and a block without an expansion, blocks of three layers, a head. */
static bool takes(const struct ist_convnet *net)
{
	const struct ist_conv_layer *l = net->layers;

	if (!ist_conv_kernels_usable() || net->n < 4 || (net->n - 4) % 3 != 0 || !is_stem(l))
		return false;
	for (size_t i = 0; i + 1 < net->n; i += 3) {
		if (i > 0 && (!is_product(&l[i].conv, true) || l[i].conv.last))
			return false;
		if (!is_middle(&l[i + 1].conv) || !is_product(&l[i + 2].conv, false) ||
		    !l[i + 2].conv.last)
			return false;
	}
	return is_product(&l[net->n - 1].conv, true);
}

/* ---- making and loading ---- */

static void make_packed(struct packed *p, size_t inputs, size_t outputs)
{
	p->inputs = inputs;
	p->vectors = vectors_of(outputs);
	p->weights = ist_alloc_aligned(inputs * p->vectors * LANES, sizeof(float));
	p->bias = ist_alloc_aligned(p->vectors * LANES, sizeof(float));
}

/* Weight (o, k) of `outputs` by `inputs` is at o * inputs + at[k]; the first `skip` of them are
 * not taken. */
static void pack(float *to, size_t vectors, size_t rows, const float *weights, size_t inputs,
		 size_t outputs, size_t first)
{
	for (size_t v = 0; v < vectors; v += CHUNK) {
		size_t wide = IST_MIN((size_t)CHUNK, vectors - v) * LANES;

		for (size_t k = 0; k < rows; k++, to += wide) {
			for (size_t j = 0; j < wide && v * LANES + j < outputs; j++) {
				if (first + k < inputs)
					to[j] = weights[(v * LANES + j) * inputs + first + k];
			}
		}
	}
}

static void make_block(struct block *b, const struct ist_conv_layer *expand,
		       const struct ist_conv_layer *depthwise, bool stem)
{
	const struct ist_conv *c = &depthwise->conv;

	*b = (struct block){.expand = expand,
			    .depthwise = depthwise,
			    .project = depthwise + 1,
			    .stem = stem,
			    .rows = ist_conv_pads(depthwise->from.height, c),
			    .columns = ist_conv_pads(depthwise->from.width, c),
			    .in = vectors_of(expand->conv.in),
			    .middle = vectors_of(c->out),
			    .out = vectors_of(depthwise[1].conv.out)};
	b->width = b->columns.before + depthwise->from.width + b->columns.after;
	make_packed(&b->widen, (size_t)expand->conv.in * expand->conv.kernel * expand->conv.kernel,
		    c->out);
	b->taps = ist_alloc_aligned(b->middle * c->kernel * c->kernel * LANES, sizeof(float));
	b->taps_bias = ist_alloc_aligned(b->middle * LANES, sizeof(float));
	b->narrow = ist_alloc(n_chunks(b->middle), sizeof(*b->narrow));
	b->narrow_bias = ist_alloc_aligned(b->out * LANES, sizeof(float));
}

static enum ist_code compile(struct ist_convnet *whole, struct ist_err *err)
{
	const struct ist_conv_layer *l = whole->layers, *head = l + whole->n - 1;
	struct net *net = whole->state = ist_alloc(1, sizeof(*net));

	net->layers = l;
	net->n_layers = whole->n;
	net->n = 1 + (whole->n - 4) / 3;
	net->blocks = ist_alloc(net->n, sizeof(*net->blocks));
	make_block(&net->blocks[0], l, l + 1, true);
	net->blocks[0].last = 2;
	for (size_t i = 1; i < net->n; i++) {
		make_block(&net->blocks[i], l + 3 * i, l + 3 * i + 1, false);
		net->blocks[i].last = 3 * i + 2;
	}
	make_packed(&net->head, head->conv.in, head->conv.out);
	net->picture_rows = ist_conv_pads(l->from.height, &l->conv);
	net->picture_columns = ist_conv_pads(l->from.width, &l->conv);
	net->picture_height = net->picture_rows.before + l->from.height + net->picture_rows.after;
	net->picture_width =
	    net->picture_columns.before + l->from.width + net->picture_columns.after;
	return IST_OK;
}

/* A stem's window is read row by row, its colours last. */
static void load_stem(struct block *b, const float *weights)
{
	const struct ist_conv *c = &b->expand->conv;
	size_t area = (size_t)c->kernel * c->kernel;
	ist_autofree float *turned = ist_alloc(c->out * area * c->in, sizeof(*turned));

	for (size_t o = 0; o < c->out; o++)
		for (size_t i = 0; i < c->in; i++)
			for (size_t k = 0; k < area; k++)
				turned[(o * area + k) * c->in + i] =
				    weights[(o * c->in + i) * area + k];
	pack(b->widen.weights, b->widen.vectors, b->widen.inputs, turned, b->widen.inputs, c->out,
	     0);
}

static void load_taps(struct block *b, const float *weights)
{
	const struct ist_conv *c = &b->depthwise->conv;
	size_t area = (size_t)c->kernel * c->kernel;

	for (size_t o = 0; o < c->out; o++)
		for (size_t k = 0; k < area; k++)
			b->taps[(o / LANES * area + k) * LANES + o % LANES] = weights[o * area + k];
}

static void load_narrow(struct block *b, const float *weights)
{
	const struct ist_conv *c = &b->project->conv;

	for (size_t i = 0; i < n_chunks(b->middle); i++) {
		size_t rows = IST_MIN((size_t)CHUNK, b->middle - i * CHUNK) * LANES;

		b->narrow[i] = ist_alloc_aligned(rows * b->out * LANES, sizeof(float));
		pack(b->narrow[i], b->out, rows, weights, c->in, c->out, i * CHUNK * LANES);
	}
}

static enum ist_code load(struct ist_convnet *whole, size_t i, const float *weights,
			  const float *bias, struct ist_err *err)
{
	struct net *net = whole->state;
	const struct ist_conv *c = &net->layers[i].conv;
	struct block *b = &net->blocks[IST_MIN(i / 3, net->n - 1)];
	float *to = b->narrow_bias;

	if (i + 1 == net->n_layers) {
		pack(net->head.weights, net->head.vectors, c->in, weights, c->in, c->out, 0);
		to = net->head.bias;
	} else if (c->depthwise) {
		load_taps(b, weights);
		to = b->taps_bias;
	} else if (i == 0) {
		load_stem(b, weights);
		to = b->widen.bias;
	} else if (c->clip) {
		pack(b->widen.weights, b->widen.vectors, c->in, weights, c->in, c->out, 0);
		to = b->widen.bias;
	} else {
		load_narrow(b, weights);
	}
	memcpy(to, bias, c->out * sizeof(*bias));
	return IST_OK;
}

static void finish(struct ist_convnet *whole)
{
	struct net *net = whole->state;

	if (net == NULL)
		return;
	for (size_t i = 0; i < net->n; i++) {
		struct block *b = &net->blocks[i];

		for (size_t c = 0; c < n_chunks(b->middle); c++)
			free(b->narrow[c]);
		free(b->narrow);
		free(b->narrow_bias);
		free(b->taps);
		free(b->taps_bias);
		free(b->widen.weights);
		free(b->widen.bias);
	}
	free(net->blocks);
	free(net->head.weights);
	free(net->head.bias);
	free(net);
}

/* ---- passes ---- */

/* Rows of the middle that `rows` rows of the result are made from. */
static size_t rows_read(const struct block *b, size_t rows)
{
	return (rows - 1) * b->depthwise->conv.stride + b->depthwise->conv.kernel;
}

static size_t chunk_width(const struct block *b)
{
	return IST_MIN((size_t)CHUNK, b->middle) * LANES;
}

static size_t middle_size(const struct block *b, size_t rows)
{
	return rows_read(b, rows) * b->width * chunk_width(b);
}

/* Strips as large as the cache allows, and equal. A block of one strip is shared out by its chunks
 * if they go round, else it becomes strips after all. */
static struct cut cut_block(const struct block *b, size_t threads)
{
	size_t height = b->project->to.height, n = 1;
	size_t chunks = n_chunks(b->middle);

	while (n < height && middle_size(b, (height + n - 1) / n) * sizeof(float) > STRIP_BYTES)
		n++;
	if (n > 1 || (chunks % threads != 0 && chunks < 4 * threads))
		n = IST_MIN((n + threads - 1) / threads * threads, height);
	return (struct cut){(height + n - 1) / n, n};
}

/* Pieces of one allocation, each beginning at a cache line; the first time they are only counted.
 */
struct pieces {
	float *memory;
	size_t n;
};

static float *piece(struct pieces *p, size_t n)
{
	float *start = p->memory != NULL ? p->memory + p->n : NULL;

	p->n += (n + LANES - 1) / LANES * LANES;
	return start;
}

static size_t largest(size_t *of, size_t n)
{
	*of = IST_MAX(*of, n);
	return *of;
}

static void share_memory(struct pass *p, struct pieces *pieces)
{
	const struct net *net = p->net;
	const struct ist_shape3 *last = &net->layers[net->n_layers - 1].to;
	size_t activation = 0, middle = 0, convolved = 0, sums = 0;

	for (size_t i = 0; i < net->n; i++) {
		const struct block *b = &net->blocks[i];
		size_t places = places_of(&b->project->to);

		largest(&activation, places * b->out * LANES);
		largest(&middle, middle_size(b, p->cuts[i].rows));
		largest(&convolved, p->cuts[i].rows * b->project->to.width * chunk_width(b));
		if (p->cuts[i].n == 1)
			largest(&sums, places * b->out * LANES);
	}
	p->picture = piece(pieces, net->picture_height * net->picture_width * 3);
	for (int i = 0; i < 2; i++)
		p->activations[i] = piece(pieces, activation);
	p->map = piece(pieces, places_of(last) * net->head.vectors * LANES);
	p->mean = piece(pieces, net->head.vectors * LANES);
	for (int t = 0; t < p->threads; t++)
		p->scratch[t] = (struct scratch){piece(pieces, middle), piece(pieces, convolved),
						 piece(pieces, t > 0 ? sums : 0)};
}

/* The picture's padding is zero once and for all. */
static enum ist_code start(struct ist_convnet_pass *pass, struct ist_err *err)
{
	struct pass *p = pass->state = ist_alloc(1, sizeof(*p));
	struct pieces pieces = {0};

	p->net = pass->net->state;
	p->threads = pass->threads;
	p->cuts = ist_alloc(p->net->n, sizeof(*p->cuts));
	p->scratch = ist_alloc((size_t)p->threads, sizeof(*p->scratch));
	for (size_t i = 0; i < p->net->n; i++)
		p->cuts[i] = cut_block(&p->net->blocks[i], (size_t)p->threads);
	share_memory(p, &pieces);
	p->memory = pieces.memory = ist_alloc_aligned(pieces.n, sizeof(float));
	pieces.n = 0;
	share_memory(p, &pieces);
	return IST_OK;
}

static void stop(struct ist_convnet_pass *pass)
{
	struct pass *p = pass->state;

	free(p->memory);
	free(p->scratch);
	free(p->cuts);
	free(p);
}

static float *picture_row(const struct pass *p, size_t y)
{
	const struct net *net = p->net;

	return p->picture +
	       ((y + net->picture_rows.before) * net->picture_width + net->picture_columns.before) *
		   3;
}

static void put(struct ist_convnet_pass *pass, const float *chw)
{
	struct pass *p = pass->state;
	const struct ist_shape3 *s = &p->net->layers[0].from;

	for (size_t y = 0; y < s->height; y++) {
		float *to = picture_row(p, y);

		for (size_t x = 0; x < s->width; x++)
			for (size_t c = 0; c < 3; c++)
				*to++ = chw[(c * s->height + y) * s->width + x];
	}
}

static void put_bytes(struct ist_convnet_pass *pass, const uint8_t *hwc)
{
	struct pass *p = pass->state;
	const struct ist_shape3 *s = &p->net->layers[0].from;
	size_t n = (size_t)s->width * 3;

	for (size_t y = 0; y < s->height; y++, hwc += n) {
		float *to = picture_row(p, y);

		for (size_t i = 0; i < n; i++)
			to[i] = ist_conv_byte(hwc[i]);
	}
}

/* ---- blocks ---- */

/* One strip of a block, by one thread. */
struct strip {
	const struct pass *pass;
	const struct block *block;
	const struct scratch *scratch;
	const float *from; /* the block's input; NULL: it is the picture */
	float *sums;	   /* of the block's result: all rows */
	size_t first, n;   /* rows of it */
	size_t thread, threads;
};

/* The window of the stem's place (x, y), or the place's channels. */
static struct ist_conv_product product_at(const struct strip *s, size_t y)
{
	const struct block *b = s->block;
	const struct ist_conv *c = &b->expand->conv;
	size_t row = s->pass->net->picture_width * 3;

	if (b->stem)
		return (struct ist_conv_product){.from = s->pass->picture + y * c->stride * row,
						 .step = (size_t)c->stride * 3,
						 .n_runs = c->kernel,
						 .run_step = row,
						 .run = (size_t)c->kernel * 3};
	return (struct ist_conv_product){
	    .from = s->from + y * b->expand->from.width * b->in * LANES,
	    .step = b->in * LANES,
	    .n_runs = 1,
	    .run = c->in,
	};
}

/* Row y of the middle, of `wide` vectors from vector v on, between the columns of padding. */
static void expand_row(const struct strip *s, size_t y, size_t v, size_t wide, float *row)
{
	const struct block *b = s->block;
	struct ist_conv_product p = product_at(s, y);
	size_t left = b->columns.before * wide * LANES, right = b->columns.after * wide * LANES;

	memset(row, 0, left * sizeof(*row));
	p.weights = b->widen.weights + v * LANES * b->widen.inputs;
	p.bias = b->widen.bias + v * LANES;
	p.clip = true;
	p.to = row + left;
	p.to_step = wide * LANES;
	ist_conv_product(&p, b->depthwise->from.width, (unsigned)wide);
	memset(row + b->width * wide * LANES - right, 0, right * sizeof(*row));
}

/* All rows of the middle that the strip needs; those outside the picture are zero. */
static void expand(const struct strip *s, size_t v, size_t wide)
{
	const struct block *b = s->block;
	ptrdiff_t height = b->depthwise->from.height;
	ptrdiff_t y = (ptrdiff_t)(s->first * b->depthwise->conv.stride) - b->rows.before;
	size_t stride = b->width * wide * LANES;
	float *row = s->scratch->middle;

	for (size_t i = 0; i < rows_read(b, s->n); i++, y++, row += stride) {
		if (y < 0 || y >= height)
			memset(row, 0, stride * sizeof(*row));
		else
			expand_row(s, (size_t)y, v, wide, row);
	}
}

static void convolve(const struct strip *s, size_t v, size_t wide)
{
	const struct block *b = s->block;
	const struct ist_conv *c = &b->depthwise->conv;
	size_t columns = b->depthwise->to.width, row = b->width * wide * LANES;

	for (size_t y = 0; y < s->n; y++) {
		for (size_t j = 0; j < wide; j++) {
			const struct ist_conv_depthwise d = {
			    .from = s->scratch->middle + y * c->stride * row + j * LANES,
			    .row_step = row,
			    .step = wide * LANES,
			    .weights = b->taps + (v + j) * c->kernel * c->kernel * LANES,
			    .bias = b->taps_bias + (v + j) * LANES,
			    .to = s->scratch->convolved + (y * columns * wide + j) * LANES,
			    .to_step = wide * LANES,
			};

			ist_conv_depthwise(&d, columns, c->kernel, c->stride);
		}
	}
}

static void project(const struct strip *s, size_t chunk, size_t wide)
{
	const struct block *b = s->block;
	size_t columns = b->depthwise->to.width, inputs = wide * LANES;

	for (size_t v = 0; v < b->out; v += CHUNK) {
		const struct ist_conv_product p = {
		    .from = s->scratch->convolved,
		    .step = inputs,
		    .n_runs = 1,
		    .run = inputs,
		    .weights = b->narrow[chunk] + v * LANES * inputs,
		    .to = s->sums + (s->first * columns * b->out + v) * LANES,
		    .to_step = b->out * LANES,
		};

		ist_conv_product(&p, s->n * columns, (unsigned)IST_MIN((size_t)CHUNK, b->out - v));
	}
}

static void run_chunks(const struct strip *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t v = i * CHUNK, wide = IST_MIN((size_t)CHUNK, s->block->middle - v);

		expand(s, v, wide);
		convolve(s, v, wide);
		project(s, i, wide);
	}
}

/* The sums begin with the bias, and with the block's input where that is added. */
static void start_sums(const struct strip *s)
{
	const struct block *b = s->block;
	size_t columns = b->project->to.width, at = s->first * columns * b->out * LANES;

	ist_conv_start(b->narrow_bias, b->project->conv.adds ? s->from + at : NULL, s->n * columns,
		       b->out, s->sums + at);
}

static void run_strips(struct strip *s, const struct cut *cut)
{
	size_t height = s->block->project->to.height;

	for (size_t i = s->thread; i < cut->n; i += s->threads) {
		s->first = i * cut->rows;
		if (s->first >= height)
			return;
		s->n = IST_MIN(cut->rows, height - s->first);
		start_sums(s);
		run_chunks(s, 0, n_chunks(s->block->middle));
	}
}

/* A barrier of our own region; alone there is none, and it would be the caller's. */
static void meet(size_t threads)
{
	if (threads > 1) {
#pragma omp barrier
	}
}

/* Where a thread's part of n begins. */
static size_t part_of(size_t n, size_t thread, size_t threads)
{
	return n * thread / threads;
}

/* All rows at once; the first thread has the bias and the result, the others add to it. */
static void run_shares(struct strip *s)
{
	size_t thread = s->thread, threads = s->threads, n = n_chunks(s->block->middle);
	float *result = s->sums;
	size_t vectors = places_of(&s->block->project->to) * s->block->out;
	size_t from = part_of(vectors, thread, threads), to = part_of(vectors, thread + 1, threads);

	s->n = s->block->project->to.height;
	if (thread == 0) {
		start_sums(s);
	} else {
		s->sums = s->scratch->sums;
		memset(s->sums, 0, vectors * LANES * sizeof(*s->sums));
	}
	run_chunks(s, part_of(n, thread, threads), part_of(n, thread + 1, threads));
	meet(threads);
	for (size_t t = 1; t < threads; t++)
		ist_conv_add(s->pass->scratch[t].sums + from * LANES, to - from,
			     result + from * LANES);
}

static void run_head(const struct pass *p, const float *from, size_t thread, size_t threads)
{
	const struct net *net = p->net;
	const struct ist_conv_layer *l = &net->layers[net->n_layers - 1];
	size_t n = n_chunks(net->head.vectors);
	size_t places = places_of(&l->to), step = vectors_of(l->conv.in) * LANES;

	for (size_t i = part_of(n, thread, threads); i < part_of(n, thread + 1, threads); i++) {
		size_t v = i * CHUNK;
		const struct ist_conv_product product = {
		    .from = from,
		    .step = step,
		    .n_runs = 1,
		    .run = l->conv.in,
		    .weights = net->head.weights + v * LANES * net->head.inputs,
		    .bias = net->head.bias + v * LANES,
		    .clip = true,
		    .to = p->map + v * LANES,
		    .to_step = net->head.vectors * LANES,
		};

		ist_conv_product(&product, places,
				 (unsigned)IST_MIN((size_t)CHUNK, net->head.vectors - v));
	}
}

/* ---- running ---- */

/* (places, vectors, 16) -> (channels, places) */
static void show(const struct ist_conv_layer *l, const float *x, size_t i, ist_convnet_see see,
		 void *user)
{
	size_t places = places_of(&l->to), step = vectors_of(l->to.channels) * LANES;
	ist_autofree float *chw = ist_alloc(places * l->to.channels, sizeof(*chw));

	for (size_t c = 0; c < l->to.channels; c++)
		for (size_t k = 0; k < places; k++)
			chw[c * places + k] = x[k * step + c];
	see(user, i, chw);
}

/* One thread's part; threads meet after every block. There may be fewer than the pass has room for:
 * OpenMP does not promise any number. */
static void run_thread(const struct pass *p, size_t thread, size_t threads, ist_convnet_see see,
		       void *user)
{
	const struct net *net = p->net;
	const float *from = NULL;

	for (size_t i = 0; i < net->n; i++) {
		float *to = p->activations[i % 2];
		struct strip s = {.pass = p,
				  .block = &net->blocks[i],
				  .scratch = &p->scratch[thread],
				  .from = from,
				  .sums = to,
				  .thread = thread,
				  .threads = threads};

		if (p->cuts[i].n > 1)
			run_strips(&s, &p->cuts[i]);
		else
			run_shares(&s);
		meet(threads);
		if (see != NULL && thread == 0)
			show(net->blocks[i].project, to, net->blocks[i].last, see, user);
		from = to;
	}
	run_head(p, from, thread, threads);
}

static enum ist_code forward(struct ist_convnet_pass *pass, ist_convnet_see see, void *user,
			     struct ist_err *err)
{
	struct pass *p = pass->state;
	const struct net *net = p->net;
	const struct ist_conv_layer *last = &net->layers[net->n_layers - 1];

	if (p->threads == 1) {
		run_thread(p, 0, 1, see, user);
	} else {
#pragma omp parallel num_threads(p->threads)
		run_thread(p, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads(), see,
			   user);
	}
	ist_conv_mean(p->map, places_of(&last->to), net->head.vectors, p->mean);
	if (see != NULL)
		show(last, p->map, net->n_layers - 1, see, user);
	return IST_OK;
}

static void pooled(const struct ist_convnet_pass *pass, float *ret)
{
	const struct pass *p = pass->state;

	memcpy(ret, p->mean, p->net->layers[p->net->n_layers - 1].to.channels * sizeof(*ret));
}

static enum ist_code map(const struct ist_convnet_pass *pass, float *ret, struct ist_err *err)
{
	const struct pass *p = pass->state;
	const struct ist_shape3 *last = &p->net->layers[p->net->n_layers - 1].to;

	for (size_t i = 0; i < places_of(last); i++)
		memcpy(ret + i * last->channels, p->map + i * p->net->head.vectors * LANES,
		       last->channels * sizeof(*ret));
	return IST_OK;
}

const struct ist_convnet_kind ist_convnet_fused = {
    .name = "fused",
    .takes = takes,
    .compile = compile,
    .load = load,
    .finish = finish,
    .start = start,
    .stop = stop,
    .put = put,
    .put_bytes = put_bytes,
    .forward = forward,
    .pooled = pooled,
    .map = map,
};
