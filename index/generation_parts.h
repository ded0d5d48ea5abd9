/*
 * The two parts of a generation, private to index/generation*.c and their tests. Parts know one
 * modality; the generation puts two of each together.
 *
 *   base   built once, then immutable but for its live bits and their count
 *   fresh  append-only; the writer fills memory that readers do not look at until `published`
 *          (release, acquire) covers it. Segment t holds FRESH_UNIT << t vectors, so that nothing
 *          ever moves and a table of a few pointers is enough.
 *
 * Live bits are the writer's to clear, atomically, at any time.
 */
#ifndef IST_INDEX_GENERATION_PARTS_H
#define IST_INDEX_GENERATION_PARTS_H

#include "index/generation.h"
#include "index/vectors_kind.h"

#define FRESH_UNIT 256
#define FRESH_SEGMENTS 40

struct ist_base {
	size_t dim, n;
	enum ist_similarity similarity;
	int64_t *rows;		   /* (n) ascending */
	uint32_t *ordinals;	   /* (n) ascending within a row */
	uint64_t *live;		   /* (n) bits; words are atomic */
	size_t n_dead;		   /* atomic */
	size_t n_rows;		   /* distinct */
	struct ist_vectors *index; /* NULL while building and where n is 0 */
	float *pending;		   /* (n - what the index holds, dim) while building */
	size_t cap;
	double recall;	   /* NAN: not measured */
	size_t refused_at; /* vectors, when the structure that the size asks for did not suit */
};

struct ist_segment {
	float *x;
	int64_t *rows;
	uint32_t *ordinals;
	uint64_t *live;
};

struct ist_fresh {
	size_t dim;
	struct ist_segment segments[FRESH_SEGMENTS];
	size_t n;	  /* writer only */
	size_t published; /* atomic */
	size_t n_dead;	  /* atomic */
	size_t n_rows;	  /* atomic; distinct */
	bool unordered;	  /* atomic; a row came after a greater one */
	bool repeated;	  /* atomic; a row has several vectors */
};

struct ist_generation {
	int refs; /* atomic */
	struct ist_model *model;
	int64_t base_row;
	struct ist_base base[IST_N_MODALITIES];
	struct ist_fresh fresh[IST_N_MODALITIES];
	size_t base_items, fresh_items; /* atomic; live ones */
	size_t taken[IST_N_MODALITIES]; /* of a merge: how far it saw the old fresh part */
};

/* Distinct live rows of both bases. */
size_t ist_generation_count_items(const struct ist_generation *g);

/* ---- base ---- */
void ist_base_init(struct ist_base *base, size_t dim, enum ist_similarity similarity);
void ist_base_finish(struct ist_base *base);
IST_CHECKED enum ist_code ist_base_add(struct ist_base *base, const int64_t *rows,
				       const uint32_t *ordinals, const float *x, size_t n,
				       struct ist_err *err);
/* Puts what is pending into the index (made if need be; kind NULL: by size), in blocks. */
struct ist_stop {
	bool (*ask)(void *user);
	void *user;
};
const struct ist_vector_kind *ist_base_kind(const struct ist_base *base, size_t n);
bool ist_stop_asked(const struct ist_stop *stop);
IST_CHECKED enum ist_code ist_base_build(struct ist_base *base, const struct ist_vector_kind *kind,
					 const struct ist_stop *stop, struct ist_err *err);
/* Tunes and measures on queries (n, dim) of ours, each in its direction; a kind that stays far
 * below the wanted recall is replaced by the exact one, if the caller did not ask for it. */
IST_CHECKED enum ist_code ist_base_tune(struct ist_base *base, const float *queries,
					const enum ist_direction *directions, size_t n,
					bool may_replace, const struct ist_stop *stop,
					struct ist_err *err);
/* The first position in ascending rows that is not below `row`; n if all are. */
size_t ist_rows_lower(const int64_t *rows, size_t n, int64_t row);
size_t ist_base_kill(struct ist_base *base, int64_t row); /* vectors that died now */
const float *ist_base_at(const struct ist_base *base, size_t position);
/* Counts rows and sets all bits; for whoever fills rows and index directly. */
void ist_base_set_live(struct ist_base *base);
IST_CHECKED enum ist_code ist_ids_save(const struct ist_base *base, const char *path,
				       uint64_t *ret_checksum, struct ist_err *err);
IST_CHECKED enum ist_code ist_ids_load(struct ist_base *base, const char *path,
				       uint64_t *ret_checksum, struct ist_err *err);

/* ---- fresh ---- */
struct ist_fresh_place {
	const struct ist_segment *segment;
	size_t offset;
};
static inline struct ist_fresh_place ist_fresh_at(const struct ist_fresh *fresh, size_t position)
{
	size_t unit = position / FRESH_UNIT + 1;
	int t = 63 - __builtin_clzll(unit);

	return (struct ist_fresh_place){&fresh->segments[t],
					position - FRESH_UNIT * (((size_t)1 << t) - 1)};
}
static inline int64_t ist_fresh_row(const struct ist_fresh *fresh, size_t position)
{
	struct ist_fresh_place at = ist_fresh_at(fresh, position);

	return at.segment->rows[at.offset];
}
static inline bool ist_fresh_is_live(const struct ist_fresh *fresh, size_t position)
{
	struct ist_fresh_place at = ist_fresh_at(fresh, position);

	return ist_bit(at.segment->live, at.offset);
}

void ist_fresh_finish(struct ist_fresh *fresh);
void ist_fresh_append(struct ist_fresh *fresh, int64_t row, uint32_t ordinal, const float *x);
void ist_fresh_publish(struct ist_fresh *fresh);
size_t ist_fresh_published(const struct ist_fresh *fresh);
/* First position of n with row >= `row`; only where rows are in order. */
size_t ist_fresh_lower(const struct ist_fresh *fresh, size_t n, int64_t row);
bool ist_fresh_is_ordered(const struct ist_fresh *fresh);
bool ist_fresh_has(const struct ist_fresh *fresh, int64_t row); /* writer only */
size_t ist_fresh_kill(struct ist_fresh *fresh, int64_t row);
size_t ist_fresh_bytes(const struct ist_fresh *fresh);

#endif
