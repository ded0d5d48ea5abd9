/*
 * Plain and class-balanced batches. Each epoch draws from a stream of its own, so that no state
 * but the epoch's number has to be saved. One thread at a time.
 */
#include "core/methods/samplers.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"

static void start_rng(const struct ist_sampler *sampler, uint64_t epoch, struct ist_rng *ret)
{
	ist_rng_init(ret, sampler->seed, "batches");
	ret->stream ^= (epoch + 1) * 0x9E3779B97F4A7C15u;
}

/* Starts from the rows as given: an epoch never depends on the one before it. */
static void plain_epoch(struct ist_sampler *sampler, uint64_t epoch)
{
	struct ist_rng rng;

	start_rng(sampler, epoch, &rng);
	memcpy(sampler->order, sampler->rows, sampler->n * sizeof(*sampler->rows));
	ist_rng_permute(&rng, sampler->order, sampler->n);
}

/* The next rows of a class whose turn it is, from `at` on; returns how many. */
static size_t take_turn(struct ist_sampler *sampler, size_t c, size_t at)
{
	size_t start = sampler->class_start[c], size = sampler->class_start[c + 1] - start;
	size_t n = IST_MIN(IST_MIN(sampler->per_class, size), sampler->n - at);

	for (size_t i = 0; i < n; i++)
		sampler->order[at + i] = sampler->by_class[start + sampler->class_turn[c]++ % size];
	return n;
}

/* Rounds over all classes, in another order each, until the epoch is full. */
static void deal(struct ist_sampler *sampler, struct ist_rng *rng)
{
	for (size_t at = 0, turn = 0; at < sampler->n; turn++) {
		size_t k = turn % sampler->n_classes;

		if (k == 0)
			ist_rng_permute(rng, sampler->class_order, sampler->n_classes);
		at += take_turn(sampler, sampler->class_order[k], at);
	}
}

/* A class that runs out of rows starts over within the epoch; a large one is cut short. */
static void balanced_epoch(struct ist_sampler *sampler, uint64_t epoch)
{
	struct ist_rng rng;

	start_rng(sampler, epoch, &rng);
	memcpy(sampler->by_class, sampler->rows, sampler->n * sizeof(*sampler->rows));
	for (size_t c = 0; c < sampler->n_classes; c++) {
		size_t start = sampler->class_start[c];

		ist_rng_permute(&rng, sampler->by_class + start,
				sampler->class_start[c + 1] - start);
		sampler->class_turn[c] = 0;
		sampler->class_order[c] = (uint32_t)c;
	}
	deal(sampler, &rng);
}

const struct ist_sampler_kind ist_sampler_plain = {.name = "plain", .epoch = plain_epoch};
const struct ist_sampler_kind ist_sampler_balanced = {.name = "balanced", .epoch = balanced_epoch};

/* Counting sort of the rows by class (unlabelled: one more class); classes without rows get no
 * place in class_start. */
static void sort_by_class(struct ist_sampler *sampler, const uint32_t *rows, const int32_t *label)
{
	size_t n_classes = 0;
	ist_autofree size_t *start = NULL;

	for (size_t i = 0; i < sampler->n; i++)
		n_classes = IST_MAX(n_classes, (size_t)(label[rows[i]] + 2));
	start = ist_alloc(n_classes + 1, sizeof(*start));
	sampler->class_start = ist_alloc(n_classes + 1, sizeof(*sampler->class_start));
	for (size_t i = 0; i < sampler->n; i++)
		start[label[rows[i]] + 2]++;
	for (size_t c = 0; c < n_classes; c++) {
		if (start[c + 1] > 0)
			sampler->class_start[++sampler->n_classes] = start[c] + start[c + 1];
		start[c + 1] += start[c];
	}
	for (size_t i = 0; i < sampler->n; i++)
		sampler->rows[start[label[rows[i]] + 1]++] = rows[i];
}

void ist_sampler_init(struct ist_sampler *sampler, const struct ist_sampler_kind *kind,
		      const uint32_t *rows, size_t n, const int32_t *label, size_t batch,
		      uint64_t seed)
{
	*sampler = (struct ist_sampler){.kind = kind, .n = n, .seed = seed, .per_class = 1};
	sampler->batch = IST_MIN(batch, n);
	sampler->n_batches = n / sampler->batch;
	sampler->rows = ist_alloc_raw(n, sizeof(*rows));
	memcpy(sampler->rows, rows, n * sizeof(*rows));
	sampler->order = ist_alloc(n, sizeof(*sampler->order));
	if (kind == &ist_sampler_plain)
		return;
	sampler->by_class = ist_alloc(n, sizeof(*sampler->by_class));
	sort_by_class(sampler, rows, label);
	sampler->class_turn = ist_alloc(sampler->n_classes, sizeof(*sampler->class_turn));
	sampler->class_order = ist_alloc(sampler->n_classes, sizeof(*sampler->class_order));
}

void ist_sampler_finish(struct ist_sampler *sampler)
{
	free(sampler->rows);
	free(sampler->order);
	free(sampler->class_start);
	free(sampler->by_class);
	free(sampler->class_turn);
	free(sampler->class_order);
	*sampler = (struct ist_sampler){0};
}

void ist_sampler_start(struct ist_sampler *sampler, uint64_t epoch)
{
	sampler->kind->epoch(sampler, epoch);
}

const uint32_t *ist_sampler_batch(const struct ist_sampler *sampler, size_t number)
{
	return sampler->order + number * sampler->batch;
}

static uint32_t draw_row(const struct ist_sampler *sampler, size_t c, struct ist_rng *rng)
{
	size_t start = sampler->class_start[c], size = sampler->class_start[c + 1] - start;

	return sampler->rows[start + ist_rng_below(rng, size)];
}

void ist_sampler_mismatched(const struct ist_sampler *sampler, uint64_t epoch, uint64_t number,
			    uint32_t *ret_rows, uint32_t *ret_wrong)
{
	struct ist_rng rng;

	start_rng(sampler, epoch, &rng);
	rng.stream ^= (number + 1) * 0xC2B2AE3D27D4EB4Fu;
	for (size_t i = 0; i < sampler->batch; i++) {
		size_t a = ist_rng_below(&rng, sampler->n_classes);
		size_t b = ist_rng_below(&rng, sampler->n_classes - 1);

		ret_rows[i] = draw_row(sampler, a, &rng);
		ret_wrong[i] = draw_row(sampler, b < a ? b : b + 1, &rng);
	}
}
