/*
 * Samplers: which rows make up which batch. A batch is a pure function of (seed, epoch, number),
 * so a training that resumes draws the batches it would have drawn. The last, incomplete batch of
 * an epoch is dropped; where there are fewer rows than a batch holds, all of them are one batch.
 */
#ifndef IST_CORE_METHODS_SAMPLERS_H
#define IST_CORE_METHODS_SAMPLERS_H

#include <stddef.h>
#include <stdint.h>

struct ist_sampler;

struct ist_sampler_kind {
	const char *name;
	/* Fills order (n) with the rows' positions, in the order of this epoch's batches. */
	void (*epoch)(struct ist_sampler *sampler, uint64_t epoch);
};
/* Every row once an epoch, shuffled. */
extern const struct ist_sampler_kind ist_sampler_plain;
/* As many rows an epoch, classes in turn (shuffled each time round), rows within a class in turn:
 * every batch holds all classes as evenly as it can, rare classes repeat. With per_class above 1 a
 * class gives that many rows when its turn comes, or all it has: batches of K classes by P rows. */
extern const struct ist_sampler_kind ist_sampler_balanced;

struct ist_sampler {
	const struct ist_sampler_kind *kind;
	size_t n, batch, n_batches; /* rows; rows a batch; batches an epoch */
	uint64_t seed;
	size_t per_class;      /* balanced: rows a turn; 1 unless changed after init */
	uint32_t *rows;	       /* (n) as given; balanced: by class */
	uint32_t *order;       /* (n) rows in this epoch's order */
	size_t n_classes;      /* balanced: classes that have rows */
	size_t *class_start;   /* (n_classes + 1) into by_class */
	uint32_t *by_class;    /* (n) this epoch's order within each class */
	size_t *class_turn;    /* (n_classes) scratch */
	uint32_t *class_order; /* (n_classes) scratch */
};

/* rows (n > 0) are copied; label is indexed by row and may be NULL for plain. */
void ist_sampler_init(struct ist_sampler *sampler, const struct ist_sampler_kind *kind,
		      const uint32_t *rows, size_t n, const int32_t *label, size_t batch,
		      uint64_t seed);
void ist_sampler_finish(struct ist_sampler *sampler);
void ist_sampler_start(struct ist_sampler *sampler, uint64_t epoch); /* allocates nothing */
/* Of a balanced sampler with two classes or more, without an epoch: for every slot of a batch two
 * different classes, each choice as likely, and a row of the first and one of the second. Both
 * arrays (batch). */
void ist_sampler_mismatched(const struct ist_sampler *sampler, uint64_t epoch, uint64_t number,
			    uint32_t *ret_rows, uint32_t *ret_wrong);
/* The rows of a batch of the epoch last started: (batch). */
const uint32_t *ist_sampler_batch(const struct ist_sampler *sampler, size_t number);

#endif
