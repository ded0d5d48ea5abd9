/*
 * A generation: what queries read. One model, an immutable base (for each modality an index and
 * its id map) covering the store's rows <= base_row, and an append-only fresh part after it that
 * is searched exactly; rows that are gone are marked dead in both.
 *
 * A vector is known by (row, ordinal): the store's row of its item, and which text (0 for images).
 * Rows are AUTOINCREMENT ids that are never reused and an update makes a new row, so the row is
 * also the order of writing; that is why no second sequence number is kept.
 *
 * Threads: one writer appends, marks dead and publishes; any number of readers search. A reader
 * takes one reference and one watermark and sees no row beyond it. The last to let go frees it.
 */
#ifndef IST_INDEX_GENERATION_H
#define IST_INDEX_GENERATION_H

#include "core/methods/method.h"
#include "index/vectors.h"

struct ist_generation;

struct ist_generation_hit {
	int64_t row;
	uint32_t ordinal;
	float similarity;
};

struct ist_watermark {
	size_t fresh[IST_N_MODALITIES]; /* published vectors of the fresh part */
};

struct ist_generation_info {
	const char *kind;	  /* of the larger base */
	size_t base, fresh, dead; /* vectors, all modalities; dead: still in base or fresh */
	size_t base_items, fresh_items;
	double recall; /* of the base against exact search, NAN if not measured */
	int64_t base_row;
	size_t bytes;
};

/* One empty generation of a model (a reference is taken). */
struct ist_generation *ist_generation_create(struct ist_model *model);
struct ist_generation *ist_generation_ref(struct ist_generation *g);
void ist_generation_unref(struct ist_generation *g);
struct ist_model *ist_generation_model(const struct ist_generation *g); /* borrowed */
void ist_generation_info(const struct ist_generation *g, struct ist_generation_info *ret);

/* Base building, before the generation is shared: embeddings (n, dim[m]) in ascending (row,
 * ordinal). finish picks the kind (NULL: by size), adds in blocks, tunes and measures recall;
 * `stop` is asked between blocks. */
IST_CHECKED enum ist_code ist_generation_base_add(struct ist_generation *g, enum ist_modality m,
						  const int64_t *rows, const uint32_t *ordinals,
						  const float *embeddings, size_t n,
						  struct ist_err *err);
IST_CHECKED enum ist_code ist_generation_base_finish(struct ist_generation *g, int64_t base_row,
						     const struct ist_vector_kind *kind,
						     bool (*stop)(void *), void *user,
						     struct ist_err *err);
/* A merge: a new generation whose base is the live part of old's base and of its published fresh
 * part up to base_row. Reuses the old base where the kind allows (clone, then add) and few rows are
 * dead. The writer may go on with `old` meanwhile; carry brings what it did. */
IST_CHECKED enum ist_code ist_generation_merge(const struct ist_generation *old, int64_t base_row,
					       bool (*stop)(void *), void *user,
					       struct ist_generation **ret, struct ist_err *err);
/* Writer only, before `merged` (ist_generation_merge of `old`) is shared: appends what of old's
 * fresh part the merge did not take, kills what has died in old, and publishes. Quick. */
void ist_generation_carry(struct ist_generation *merged, const struct ist_generation *old);
/* Files of a base: <folder>/{image,text}.index, ids and manifest.json, checksummed. */
IST_CHECKED enum ist_code ist_generation_save(const struct ist_generation *g, const char *folder,
					      struct ist_err *err);
IST_CHECKED enum ist_code ist_generation_load(struct ist_model *model, const char *folder,
					      struct ist_generation **ret, struct ist_err *err);

/* Writer only. Appended vectors are invisible until publish. */
void ist_generation_append(struct ist_generation *g, enum ist_modality m, int64_t row,
			   uint32_t ordinal, const float *embedding);
void ist_generation_kill(struct ist_generation *g, int64_t row);
void ist_generation_publish(struct ist_generation *g);
/* Marks dead every base row that is not in the ascending list of live rows (after loading). */
void ist_generation_keep_only(struct ist_generation *g, const int64_t *live, size_t n);

/* Readers. */
struct ist_watermark ist_generation_watermark(const struct ist_generation *g);
/* The k nearest vectors of modality m to a query of `from` (a modality, or IST_COMPOSED), best
 * first, at most one per row (its best). `rows` (ascending) limits the search to these rows; NULL:
 * all. exact: no approximate search. Fewer than k are returned only if no more exist. */
IST_CHECKED enum ist_code ist_generation_search(const struct ist_generation *g,
						struct ist_watermark mark, struct ist_searcher *s,
						int from, enum ist_modality m, const float *query,
						size_t k, const int64_t *rows, size_t n_rows,
						bool exact, struct ist_generation_hit *ret,
						size_t *ret_n, struct ist_err *err);
/* The stored embedding of a row, for "more like this" and "return": ["vector"]; NULL if unknown.
 * A dead row is answered as long as it is here: its reader found it alive. */
const float *ist_generation_vector(const struct ist_generation *g, struct ist_watermark mark,
				   enum ist_modality m, int64_t row, uint32_t ordinal);

#endif
