/*
 * Inverted residual blocks in one go. Layer by layer, a block's wide middle (six times the
 * channels) is written to memory and read back twice; here it never leaves the nearest caches. A
 * chunk of 48 of its channels is expanded row by row, convolved depthwise as soon as the rows of a
 * window are there, and added into the projection's sums; then the next chunk begins. The stem
 * takes the place of the first block's expansion. The kernels (convnet_kernels.h) want AVX-512;
 * other CPUs and other networks go layer by layer (convnet_onednn.c).
 *
 * A team (team.h) shares out strips of high blocks and the chunks of low ones, whose sums are then
 * added up.
 * Activations are (places, vectors, 16).
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/convnet_fused.h"
#include "core/encode/team.h"

#define LANES IST_CONV_LANES
#define CHUNK IST_CONV_CHUNK
#define GROUP_PLACES 56 /* that are projected together */
#define MIN_STRIP 14	/* rows */

/* How a block is cut for a number of threads. */
struct cut {
	size_t rows, n; /* of a strip; strips */
};

struct scratch { /* a thread's */
	float *middle, *convolved, *sums;
};

struct pass {
	const struct ist_conv_fused *net;
	int threads;
	struct cut *cuts; /* one a block */
	float *memory;
	float *picture; /* (picture_height, picture_width, 3) */
	float *activations[2], *map, *mean;
	struct scratch *scratch; /* one a thread */
	bool *used;		 /* (blocks, threads): a thread has sums of a block's chunks */
	struct ist_arena arena;	 /* of one run of a team */
};

/* ---- passes ---- */

static size_t chunk_width(const struct ist_conv_block *b)
{
	return IST_MIN((size_t)CHUNK, b->middle) * LANES;
}

static size_t middle_size(const struct ist_conv_block *b)
{
	return b->depthwise->conv.kernel * b->width * chunk_width(b);
}

/* Rows of the result that are projected at once. */
static size_t rows_together(const struct ist_conv_block *b)
{
	size_t columns = b->project->to.width;

	return (GROUP_PLACES + columns - 1) / columns;
}

/* High blocks become strips, at the cost of some rows at their seams that are expanded twice, two a
 * thread where they are high enough; low ones are shared out by their chunks. */
static struct cut cut_block(const struct ist_conv_block *b, size_t threads)
{
	size_t height = b->project->to.height, rows;
	size_t n = IST_MIN(height / MIN_STRIP, 2 * threads);

	if (threads == 1 || n < threads)
		n = 1;
	rows = (height + n - 1) / n;
	return (struct cut){rows, (height + rows - 1) / rows};
}

static size_t largest(size_t *of, size_t n)
{
	*of = IST_MAX(*of, n);
	return *of;
}

static void share_memory(struct pass *p, struct ist_conv_pieces *pieces)
{
	const struct ist_conv_fused *net = p->net;
	const struct ist_shape3 *last = &net->layers[net->n_layers - 1].to;
	size_t activation = 0, middle = 0, convolved = 0, sums = 0;

	for (size_t i = 0; i < net->n; i++) {
		const struct ist_conv_block *b = &net->blocks[i];
		size_t places = ist_conv_places(&b->project->to);

		largest(&activation, places * b->out * LANES);
		largest(&middle, middle_size(b));
		largest(&convolved, rows_together(b) * b->project->to.width * chunk_width(b));
		if (p->cuts[i].n == 1)
			largest(&sums, places * b->out * LANES);
	}
	p->picture = ist_conv_piece(pieces, net->picture_height * net->picture_width * 3);
	for (int i = 0; i < 2; i++)
		p->activations[i] = ist_conv_piece(pieces, activation);
	p->map = ist_conv_piece(pieces, ist_conv_places(last) * net->head_vectors * LANES);
	p->mean = ist_conv_piece(pieces, net->head_vectors * LANES);
	for (int t = 0; t < p->threads; t++)
		p->scratch[t] = (struct scratch){ist_conv_piece(pieces, middle),
						 ist_conv_piece(pieces, convolved),
						 ist_conv_piece(pieces, p->threads > 1 ? sums : 0)};
}

/* The picture's padding is zero once and for all. */
static enum ist_code start(struct ist_convnet_pass *pass, struct ist_err *err)
{
	struct pass *p = pass->state = ist_alloc(1, sizeof(*p));
	struct ist_conv_pieces pieces = {0};

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

	ist_arena_finish(&p->arena);
	free(p->memory);
	free(p->scratch);
	free(p->cuts);
	free(p);
}

static float *picture_row(const struct pass *p, size_t y)
{
	const struct ist_conv_fused *net = p->net;

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

		ist_conv_bytes(hwc, n, to);
	}
}

/* ---- blocks ---- */

/* One strip of a block, by one thread. */
struct strip {
	const struct pass *pass;
	const struct ist_conv_block *block;
	const struct scratch *scratch;
	const float *from; /* the block's input; NULL: it is the picture */
	float *sums;	   /* of the block's result: all rows */
	size_t first, n;   /* rows of it */
	struct ist_conv_feed feed;
};

/* The window of the stem's place (x, y), or the place's channels. */
static struct ist_conv_product product_at(const struct strip *s, size_t y)
{
	const struct ist_conv_block *b = s->block;
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

/* Row y of a chunk of the middle, between the columns of padding. */
static void expand_row(struct strip *s, const struct ist_conv_chunk *c, size_t y, float *row)
{
	const struct ist_conv_block *b = s->block;
	size_t left = b->columns.before * c->wide * LANES;
	size_t right = b->columns.after * c->wide * LANES;
	struct ist_conv_product p = product_at(s, y);

	memset(row, 0, left * sizeof(*row));
	p.weights = c->widen;
	p.bias = c->widen_bias;
	p.clip = true;
	p.to = row + left;
	p.to_step = c->wide * LANES;
	p.feed = &s->feed;
	ist_conv_product(&p, b->depthwise->from.width, (unsigned)c->wide);
	memset(row + b->width * c->wide * LANES - right, 0, right * sizeof(*row));
}

/* Where row i of the strip's middle lies: only as many are kept as a window reads. */
static float *middle_row(const struct strip *s, const struct ist_conv_chunk *c, size_t i)
{
	size_t row = i % s->block->depthwise->conv.kernel;

	return s->scratch->middle + row * s->block->width * c->wide * LANES;
}

/* Row i of the strip's middle; those outside the picture are zero. */
static void expand(struct strip *s, const struct ist_conv_chunk *c, size_t i)
{
	const struct ist_conv_block *b = s->block;
	ptrdiff_t y = (ptrdiff_t)(s->first * b->depthwise->conv.stride + i) - b->rows.before;
	float *row = middle_row(s, c, i);

	if (y < 0 || y >= b->depthwise->from.height)
		memset(row, 0, b->width * c->wide * LANES * sizeof(*row));
	else
		expand_row(s, c, (size_t)y, row);
}

/* Row y of the strip's result, into place `at` of the group. */
static void convolve(const struct strip *s, const struct ist_conv_chunk *chunk, size_t y, size_t at)
{
	const struct ist_conv_block *b = s->block;
	const struct ist_conv *c = &b->depthwise->conv;
	size_t columns = b->depthwise->to.width, step = chunk->wide * LANES;

	for (size_t j = 0; j < chunk->wide; j++) {
		struct ist_conv_depthwise d = {
		    .step = step,
		    .weights = chunk->taps + j * c->kernel * c->kernel * LANES,
		    .bias = chunk->taps_bias + j * LANES,
		    .to = s->scratch->convolved + at * columns * step + j * LANES,
		    .to_step = step,
		};

		for (size_t k = 0; k < c->kernel; k++)
			d.rows[k] = middle_row(s, chunk, y * c->stride + k) + j * LANES;
		ist_conv_depthwise(&d, columns, c->kernel, c->stride);
	}
}

/* n rows of the group, the first of which is row y of the strip. */
static void project(struct strip *s, const struct ist_conv_chunk *c, size_t y, size_t n)
{
	const struct ist_conv_block *b = s->block;
	size_t columns = b->depthwise->to.width, inputs = c->wide * LANES;

	for (size_t v = 0; v < b->out; v += CHUNK) {
		const struct ist_conv_product p = {
		    .from = s->scratch->convolved,
		    .step = inputs,
		    .n_runs = 1,
		    .run = inputs,
		    .weights = c->narrow + v * LANES * inputs,
		    .to = s->sums + ((s->first + y) * columns * b->out + v) * LANES,
		    .to_step = b->out * LANES,
		    .feed = &s->feed,
		};

		ist_conv_product(&p, n * columns, (unsigned)IST_MIN((size_t)CHUNK, b->out - v));
	}
}

/* Rows of the middle are made as they are wanted and are used while they are in the nearest cache;
 * the projection takes enough rows at once for its weights to be worth reading. */
static void run_chunk(struct strip *s, const struct ist_conv_chunk *c)
{
	const struct ist_conv *conv = &s->block->depthwise->conv;
	size_t made = 0, group = rows_together(s->block);

	s->feed = c->follow;
	for (size_t y = 0; y < s->n; y++) {
		while (made < y * conv->stride + conv->kernel)
			expand(s, c, made++);
		convolve(s, c, y, y % group);
		if ((y + 1) % group == 0 || y + 1 == s->n)
			project(s, c, y - y % group, y % group + 1);
	}
}

/* The sums begin with the bias, and with the block's input where that is added. */
static void start_sums(const struct strip *s)
{
	const struct ist_conv_block *b = s->block;
	size_t columns = b->project->to.width, at = s->first * columns * b->out * LANES;

	ist_conv_start(b->bias, b->project->conv.adds ? s->from + at : NULL, s->n * columns, b->out,
		       s->sums + at);
}

/* A high block: strips are its pieces. */
static void run_strips(struct strip *s, struct ist_team *team, const struct cut *cut)
{
	size_t height = s->block->project->to.height;

	for (size_t i; ist_team_next(team, cut->n, &i);) {
		s->first = i * cut->rows;
		s->n = IST_MIN(cut->rows, height - s->first);
		start_sums(s);
		for (size_t c = 0; c < s->block->n_chunks; c++)
			run_chunk(s, &s->block->chunks[c]);
	}
}

/* Part i of n of what the team's members have summed up, onto what the sums begin with. */
static void add_sums(const struct strip *s, const bool *used, size_t i, size_t n)
{
	const struct ist_conv_block *b = s->block;
	size_t places = ist_conv_places(&b->project->to);
	size_t from = places * i / n, to = places * (i + 1) / n, at = from * b->out * LANES;

	ist_conv_start(b->bias, b->project->conv.adds ? s->from + at : NULL, to - from, b->out,
		       s->sums + at);
	for (size_t t = 0; t < (size_t)s->pass->threads; t++) {
		if (used[t])
			ist_conv_add(s->pass->scratch[t].sums + at, (to - from) * b->out,
				     s->sums + at);
	}
}

/* A low block: chunks are its pieces, and whoever takes one has sums of its own. */
static void run_shares(struct strip *s, struct ist_team *team, bool *used)
{
	float *result = s->sums;
	size_t size = ist_conv_places(&s->block->project->to) * s->block->out * LANES;

	s->n = s->block->project->to.height;
	s->sums = s->scratch->sums;
	for (size_t c; ist_team_next(team, s->block->n_chunks, &c);) {
		if (!used[team->rank])
			memset(s->sums, 0, size * sizeof(*s->sums));
		used[team->rank] = true;
		run_chunk(s, &s->block->chunks[c]);
	}
	s->sums = result;
	for (size_t i; ist_team_next(team, team->size, &i);)
		add_sums(s, used, i, team->size);
}

/* Alone there is nothing to share. */
static void run_alone(struct strip *s)
{
	s->n = s->block->project->to.height;
	start_sums(s);
	for (size_t c = 0; c < s->block->n_chunks; c++)
		run_chunk(s, &s->block->chunks[c]);
}

static void run_head(const struct pass *p, struct ist_team *team, const float *from)
{
	const struct ist_conv_fused *net = p->net;
	const struct ist_conv_layer *l = &net->layers[net->n_layers - 1];

	for (size_t i; ist_team_next(team, net->n_head, &i);) {
		const struct ist_conv_chunk *c = &net->head[i];
		struct ist_conv_feed feed = c->follow;
		const struct ist_conv_product product = {
		    .from = from,
		    .step = ist_conv_vectors(l->conv.in) * LANES,
		    .n_runs = 1,
		    .run = l->conv.in,
		    .weights = c->widen,
		    .bias = c->widen_bias,
		    .clip = true,
		    .to = p->map + i * CHUNK * LANES,
		    .to_step = net->head_vectors * LANES,
		    .feed = &feed,
		};

		ist_conv_product(&product, ist_conv_places(&l->to), (unsigned)c->wide);
	}
}

/* ---- running ---- */

struct run {
	const struct pass *pass;
	ist_convnet_see see;
	void *user;
};

/* (places, vectors, 16) -> (channels, places) */
static void show(const struct run *r, const struct ist_conv_layer *l, const float *x, size_t i)
{
	size_t places = ist_conv_places(&l->to), step = ist_conv_vectors(l->to.channels) * LANES;
	ist_autofree float *chw = ist_alloc(places * l->to.channels, sizeof(*chw));

	for (size_t c = 0; c < l->to.channels; c++)
		for (size_t k = 0; k < places; k++)
			chw[c * places + k] = x[k * step + c];
	r->see(r->user, i, chw);
}

#define STEPS 3 /* of a block at most: its pieces, adding up, showing */

static void run_team(void *user, struct ist_team *team)
{
	const struct run *r = user;
	const struct pass *p = r->pass;
	const float *from = NULL;

	for (size_t i = 0; i < p->net->n; i++) {
		const struct ist_conv_block *b = &p->net->blocks[i];
		float *to = p->activations[i % 2];
		struct strip s = {.pass = p,
				  .block = b,
				  .scratch = &p->scratch[team->rank],
				  .from = from,
				  .sums = to};

		if (team->size == 1)
			run_alone(&s);
		else if (p->cuts[i].n > 1)
			run_strips(&s, team, &p->cuts[i]);
		else
			run_shares(&s, team, p->used + i * (size_t)p->threads);
		for (size_t k; r->see != NULL && ist_team_next(team, 1, &k);)
			show(r, b->project, to, b->last);
		from = to;
	}
	run_head(p, team, from);
}

static enum ist_code forward(struct ist_convnet_pass *pass, ist_convnet_see see, void *user,
			     struct ist_err *err)
{
	struct pass *p = pass->state;
	const struct ist_conv_fused *net = p->net;
	const struct ist_conv_layer *last = &net->layers[net->n_layers - 1];
	struct run run = {p, see, user};

	ist_arena_reset(&p->arena);
	p->used = ist_arena_alloc(&p->arena, net->n * (size_t)p->threads, sizeof(*p->used));
	ist_team_run((size_t)p->threads, STEPS * net->n + 1, run_team, &run, &p->arena);
	ist_conv_mean(p->map, ist_conv_places(&last->to), net->head_vectors, p->mean);
	if (see != NULL)
		show(&run, last, p->map, net->n_layers - 1);
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

	for (size_t i = 0; i < ist_conv_places(last); i++)
		memcpy(ret + i * last->channels, p->map + i * p->net->head_vectors * LANES,
		       last->channels * sizeof(*ret));
	return IST_OK;
}

const struct ist_convnet_kind ist_convnet_fused = {
    .name = "fused",
    .takes = ist_conv_fused_takes,
    .compile = ist_conv_fused_compile,
    .load = ist_conv_fused_load,
    .finish = ist_conv_fused_finish,
    .start = start,
    .stop = stop,
    .put = put,
    .put_bytes = put_bytes,
    .forward = forward,
    .pooled = pooled,
    .map = map,
};
