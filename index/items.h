/*
 * Items in the catalog: what is prepared on the caller's thread, what the writer does inside a
 * transaction, and how rows are read.
 */
#ifndef IST_INDEX_ITEMS_H
#define IST_INDEX_ITEMS_H

#include "core/base/buf.h"
#include "index/db.h"
#include "index/store.h"

/* ---- facts: what filters see of an item ---- */
enum ist_fact_kind { IST_FACT_INT, IST_FACT_REAL, IST_FACT_TEXT, IST_FACT_BOOL, IST_FACT_THERE };
struct ist_fact {
	const char *path; /* "label", "has", "metadata.a.b" */
	enum ist_fact_kind kind;
	union {
		int64_t integer; /* INT, BOOL */
		double real;
		struct ist_str text;
	} value;
};
struct ist_facts {
	struct ist_fact *list;
	size_t n, cap;
	json_t *metadata; /* owns the texts */
	struct ist_arena paths;
};
#define IST_FACTS_MAX 2000
#define IST_METADATA_DEPTH 32
/* Label, modalities and metadata of an item, flattened. IST_INVALID: metadata that is no object,
 * too deep, or of too many values. */
IST_CHECKED enum ist_code ist_facts_init(struct ist_facts *facts, const struct ist_item *item,
					 struct ist_err *err);
void ist_facts_finish(struct ist_facts *facts);
/* Writes or removes the facts of a row; on the writer. */
IST_CHECKED enum ist_code ist_facts_apply(struct ist_store *store, struct ist_db *db,
					  int64_t collection, int64_t row,
					  const struct ist_facts *facts, bool add,
					  struct ist_err *err);

/* Field ids by (collection, path), remembered by the writer. Forgotten when something that may
 * have made one was rolled back. */
struct ist_field_ids;
struct ist_field_ids *ist_field_ids_create(void);
void ist_field_ids_destroy(struct ist_field_ids *fields);
void ist_field_ids_forget(struct ist_field_ids *fields);
IST_CHECKED enum ist_code ist_field_ids_get(struct ist_field_ids *fields, struct ist_db *db,
					    int64_t collection, const char *path, int64_t *ret,
					    struct ist_err *err);

/* ---- changes inside a transaction ---- */
/* What a transaction changed of a collection's counts. */
struct ist_counts {
	int64_t items, images, texts, labelled, triples, featureless;
};
IST_CHECKED enum ist_code ist_counts_apply(struct ist_db *db, int64_t collection,
					   const struct ist_counts *delta, struct ist_err *err);
bool ist_item_has(const struct ist_item *item, enum ist_modality m);

/* Pictures that an item no longer has. If it was the last one: settle removes their rows at the end
 * of the operation, drop their files after the commit. */
struct ist_released {
	uint8_t (*list)[IST_SHA256_SIZE];
	size_t n, cap;
};
IST_CHECKED enum ist_code
ist_released_settle(struct ist_db *db, const struct ist_released *released, struct ist_err *err);
void ist_released_finish(struct ist_released *released);
void ist_released_drop(struct ist_store *store, struct ist_db *db, struct ist_released *released);

/* Removes one row of items with all that hangs on it; its triples only if the item goes for good
 * and is not replaced. */
IST_CHECKED enum ist_code ist_item_remove(struct ist_store *store, struct ist_db *db,
					  int64_t collection, int64_t row, bool for_good,
					  struct ist_counts *counts, struct ist_released *released,
					  struct ist_err *err);

/* ---- reading ---- */
/* The item of a row, into the arena; *ret_found false if it is gone. */
IST_CHECKED enum ist_code ist_item_read(struct ist_db *db, int64_t row, bool with_vectors,
					struct ist_arena *arena, struct ist_item *ret,
					bool *ret_found, struct ist_err *err);

/* Rows with features, in order, for replays, builds and training sets. */
struct ist_feature_block {
	size_t n; /* rows */
	size_t cap[IST_N_MODALITIES], cap_rows;
	int64_t *rows;	 /* (n) */
	size_t *n_texts; /* (n) text vectors of the row */
	size_t n_vectors[IST_N_MODALITIES];
	int64_t *row_of[IST_N_MODALITIES];   /* (n_vectors[m]) */
	uint32_t *ordinal[IST_N_MODALITIES]; /* (n_vectors[m]) */
	float *x[IST_N_MODALITIES];	     /* (n_vectors[m], dim[m]) */
};
/* The next rows > after and <= upto of the collection; n = 0 at the end. */
IST_CHECKED enum ist_code ist_feature_block_read(struct ist_feature_block *block, struct ist_db *db,
						 const struct ist_collection *c, int64_t after,
						 int64_t upto, struct ist_err *err);
void ist_feature_block_finish(struct ist_feature_block *block);

#endif
