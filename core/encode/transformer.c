/* The stack of blocks; see transformer.h. */
#include "core/encode/transformer.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/transformer_private.h"
#include "core/tensor/kernels.h"

static void norm_row(const struct ist_norm *norm, float eps, size_t width, float *x)
{
	float mean = 0, variance = 0, rate;

	for (size_t j = 0; j < width; j++)
		mean += x[j];
	mean /= (float)width;
	for (size_t j = 0; j < width; j++)
		variance += (x[j] - mean) * (x[j] - mean);
	rate = 1 / sqrtf(variance / (float)width + eps);
	for (size_t j = 0; j < width; j++)
		x[j] = (x[j] - mean) * rate * norm->weight[j] + norm->bias[j];
}

void ist_norm_run(const struct ist_norm *norm, float eps, size_t rows, size_t width, float *x)
{
	for (size_t i = 0; i < rows; i++)
		norm_row(norm, eps, width, x + i * width);
}

/* What a run works on. */
struct run {
	const struct ist_transformer *t;
	const size_t *starts;
	size_t n, rows;
	float *x;	/* (rows, width) */
	float *normed;	/* (rows, width) */
	float *hidden;	/* (rows, 3 width or inner) */
	float *part;	/* (rows, width) */
	float *scratch; /* one a thread */
	size_t scratch_size;
	struct ist_arena *arena;
};

static void attention(struct run *r, const struct ist_transformer_block *b, const float *x)
{
	const struct ist_transformer *t = r->t;
	const struct ist_linear *parts[] = {&b->query, &b->key, &b->value};

	for (size_t i = 0; i < 3; i++) {
		ist_linear_run(parts[i], t->width, t->width, IST_ACT_NONE, x, r->rows, r->part,
			       r->arena);
		for (size_t k = 0; k < r->rows; k++)
			memcpy(r->hidden + (k * 3 + i) * t->width, r->part + k * t->width,
			       t->width * sizeof(float));
	}
#pragma omp parallel for schedule(dynamic, 1)
	for (size_t i = 0; i < r->n * t->n_heads; i++) {
		size_t s = i / t->n_heads, start = r->starts[s];

		ist_attention_head(t, i % t->n_heads, r->hidden + start * 3 * t->width,
				   r->starts[s + 1] - start, r->normed + start * t->width,
				   r->scratch + (size_t)omp_get_thread_num() * r->scratch_size);
	}
	ist_linear_run(&b->output, t->width, t->width, IST_ACT_NONE, r->normed, r->rows, r->part,
		       r->arena);
}

static void mlp(struct run *r, const struct ist_transformer_block *b, const float *x)
{
	const struct ist_transformer *t = r->t;

	ist_linear_run(&b->up, t->width, t->inner, t->activation, x, r->rows, r->hidden, r->arena);
	ist_linear_run(&b->down, t->inner, t->width, IST_ACT_NONE, r->hidden, r->rows, r->part,
		       r->arena);
}

/* x + part(x), with its norm before or after. */
static void
residual(struct run *r, const struct ist_transformer_block *b, const struct ist_norm *norm,
	 void (*part)(struct run *r, const struct ist_transformer_block *b, const float *x))
{
	const struct ist_transformer *t = r->t;
	size_t size = r->rows * t->width;
	const float *x = r->x;

	if (t->norm_before) {
		memcpy(r->normed, r->x, size * sizeof(float));
		ist_norm_run(norm, t->eps, r->rows, t->width, r->normed);
		x = r->normed;
	}
	part(r, b, x);
	ist_k_add(r->x, r->x, r->part, size);
	if (!t->norm_before)
		ist_norm_run(norm, t->eps, r->rows, t->width, r->x);
}

void ist_transformer_run(const struct ist_transformer *t, const size_t *starts, size_t n, float *x,
			 struct ist_arena *arena)
{
	size_t rows = starts[n], longest = 0;
	struct run r = {.t = t, .starts = starts, .n = n, .rows = rows, .x = x, .arena = arena};

	for (size_t i = 0; i < n; i++)
		longest = IST_MAX(longest, starts[i + 1] - starts[i]);
	r.normed = ist_arena_alloc(arena, rows * t->width, sizeof(float));
	r.part = ist_arena_alloc(arena, rows * t->width, sizeof(float));
	r.hidden = ist_arena_alloc(arena, rows * IST_MAX(3 * t->width, t->inner), sizeof(float));
	r.scratch_size = ist_attention_scratch(t, longest);
	r.scratch =
	    ist_arena_alloc(arena, (size_t)omp_get_max_threads() * r.scratch_size, sizeof(float));
	for (size_t i = 0; i < t->n_blocks; i++) {
		residual(&r, &t->blocks[i], &t->blocks[i].attention_norm, attention);
		residual(&r, &t->blocks[i], &t->blocks[i].mlp_norm, mlp);
	}
}
