/*
 * The stack of blocks: a team of threads goes through the same steps and shares each out (products
 * by outputs, attention by heads, norms by strips). A step reads what others wrote in the step
 * before, never what they write in this one. See transformer_private.h for the layout.
 */
#include "core/encode/transformer.h"

#include <math.h>

#include "core/encode/transformer_private.h"

#define STEPS 7 /* of a block */

/* What a run works on; (n_strips, …, 16) each. */
struct run {
	const struct ist_transformer *t;
	const size_t *starts;
	size_t n, rows, n_strips;
	float *rows_x;	/* the caller's (rows, width) */
	float *x;	/* width */
	float *normed;	/* width; what goes into a part where the norm comes before it */
	float *context; /* width; what attention gathers */
	float *part;	/* width; what is added to x */
	float *hidden;	/* 3 width or inner: query, key and value, or the mlp's */
	float *scratch; /* attention's, one a thread */
	size_t scratch_size;
};

/* x = norm(x + part), or where norms come before: x = x + part, normed = norm(x). Either may be
 * left out. */
static void add_norm(const struct run *r, struct ist_team *team, const float *part,
		     const struct ist_norm *norm)
{
	size_t width = r->t->width, step = width * IST_LANES;
	float *to = r->t->norm_before ? r->normed : r->x;

	for (size_t s; ist_team_next(team, r->n_strips, &s);)
		ist_norm_strip(norm, r->t->eps, width, r->x + s * step,
			       part != NULL ? part + s * step : NULL, to + s * step);
}

static void add(const struct run *r, struct ist_team *team, const float *part)
{
	size_t width = r->t->width;

	for (size_t s; ist_team_next(team, r->n_strips, &s);) {
		for (size_t j = s * width; j < (s + 1) * width; j++)
			*ist_lanes_at(r->x, j) += *ist_lanes_at(part, j);
	}
}

/* part = output(attention(query, key, value of x)) */
static void attention(const struct run *r, struct ist_team *team,
		      const struct ist_transformer_block *b, const float *x)
{
	const struct ist_transformer *t = r->t;
	const struct ist_linear joined[] = {b->query, b->key, b->value};
	float *scratch = r->scratch + team->rank * r->scratch_size;

	ist_linear_strips(team, joined, 3, t->width, t->width, IST_ACT_NONE, x, r->n_strips,
			  r->hidden);
	for (size_t head; ist_team_next(team, t->n_heads, &head);)
		ist_attention_head(t, head, r->starts, r->n, r->hidden, r->context, scratch);
	ist_linear_strips(team, &b->output, 1, t->width, t->width, IST_ACT_NONE, r->context,
			  r->n_strips, r->part);
}

/* part = down(act(up(x))) */
static void mlp(const struct run *r, struct ist_team *team, const struct ist_transformer_block *b,
		const float *x)
{
	const struct ist_transformer *t = r->t;

	ist_linear_strips(team, &b->up, 1, t->width, t->inner, t->activation, x, r->n_strips,
			  r->hidden);
	ist_linear_strips(team, &b->down, 1, t->inner, t->width, IST_ACT_NONE, r->hidden,
			  r->n_strips, r->part);
}

/* A part's sum is taken with the norm that comes next, whichever block that one belongs to. */
static void blocks_before(const struct run *r, struct ist_team *team)
{
	const struct ist_transformer_block *b = r->t->blocks;
	const float *part = NULL;

	for (size_t i = 0; i < r->t->n_blocks; i++) {
		add_norm(r, team, part, &b[i].attention_norm);
		attention(r, team, &b[i], r->normed);
		add_norm(r, team, r->part, &b[i].mlp_norm);
		mlp(r, team, &b[i], r->normed);
		part = r->part;
	}
	if (part != NULL)
		add(r, team, part);
}

static void blocks_after(const struct run *r, struct ist_team *team)
{
	const struct ist_transformer_block *b = r->t->blocks;

	for (size_t i = 0; i < r->t->n_blocks; i++) {
		attention(r, team, &b[i], r->x);
		add_norm(r, team, r->part, &b[i].attention_norm);
		mlp(r, team, &b[i], r->x);
		add_norm(r, team, r->part, &b[i].mlp_norm);
	}
}

static void run_team(void *user, struct ist_team *team)
{
	const struct run *r = user;

	ist_strips_from_rows(team, r->rows_x, r->rows, r->t->width, r->x);
	(r->t->norm_before ? blocks_before : blocks_after)(r, team);
	ist_strips_to_rows(team, r->x, r->rows, r->t->width, r->rows_x);
}

/* Scratch begins on a cache line of its own for every thread. */
static void allocate(struct run *r, size_t threads, struct ist_arena *arena)
{
	const struct ist_transformer *t = r->t;
	size_t n = r->n_strips * IST_LANES, longest = 0;

	for (size_t i = 0; i < r->n; i++)
		longest = IST_MAX(longest, r->starts[i + 1] - r->starts[i]);
	r->x = ist_arena_alloc(arena, n * t->width, sizeof(float));
	r->context = ist_arena_alloc(arena, n * t->width, sizeof(float));
	r->part = ist_arena_alloc(arena, n * t->width, sizeof(float));
	r->hidden = ist_arena_alloc(arena, n * IST_MAX(3 * t->width, t->inner), sizeof(float));
	if (t->norm_before)
		r->normed = ist_arena_alloc(arena, n * t->width, sizeof(float));
	r->scratch_size = ist_attention_scratch(t, longest);
	r->scratch = ist_arena_alloc(arena, threads * r->scratch_size, sizeof(float));
}

void ist_transformer_run(const struct ist_transformer *t, const size_t *starts, size_t n, float *x,
			 struct ist_arena *arena)
{
	struct run r = {.t = t, .starts = starts, .n = n, .rows = starts[n], .rows_x = x};
	size_t threads;
	double work;

	r.n_strips = ist_strips(r.rows);
	work = (double)r.rows * (double)(t->n_blocks * t->width * (4 * t->width + 2 * t->inner));
	threads = ist_team_size(work);
	allocate(&r, threads, arena);
	ist_team_run(threads, 2 + STEPS * t->n_blocks + 1, run_team, &r, arena);
}

IST_CLONES static float sum_of(const float *x, size_t n, float shift, bool square)
{
	ist_lanes sum = {0};
	float ret = 0;
	size_t j = 0;

	for (; j + IST_LANES <= n; j += IST_LANES) {
		ist_lanes v = *(const ist_lanes *)(x + j) - shift;

		if (square)
			v *= v;
		sum += v;
	}
	for (size_t i = 0; i < IST_LANES; i++)
		ret += sum[i];
	for (; j < n; j++)
		ret += square ? (x[j] - shift) * (x[j] - shift) : x[j] - shift;
	return ret;
}

void ist_norm_run(const struct ist_norm *norm, float eps, size_t rows, size_t width, float *x)
{
	for (size_t i = 0; i < rows; i++, x += width) {
		float mean = sum_of(x, width, 0, false) / (float)width;
		float rate = 1 / sqrtf(sum_of(x, width, mean, true) / (float)width + eps);

		for (size_t j = 0; j < width; j++)
			x[j] = (x[j] - mean) * rate * norm->weight[j] + norm->bias[j];
	}
}
