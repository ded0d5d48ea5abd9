/*
 * A collection's live state: the generation that searches read, loaded at its first use, kept up
 * to date by the writer, replaced by merges and activations. Models that are not active but asked
 * for are kept beside it, a few at a time.
 */
#ifndef IST_INDEX_LIVE_H
#define IST_INDEX_LIVE_H

#include "index/items.h"
#include "index/store_internal.h"

/* ---- embedding at write time, on the caller's thread ---- */
/* Embeddings of the items of some writes, by the model of `generation` (a reference; NULL: nothing
 * is loaded, then nothing is embedded and the load will do it). */
struct ist_embedded {
	struct ist_generation *generation;
	float *x[IST_N_MODALITIES];
	size_t *at[IST_N_MODALITIES]; /* (n) where a write's vectors begin */
	bool *failed;		      /* (n) */
};
void ist_live_embed(struct ist_collection *c, const struct ist_write *writes, size_t n,
		    struct ist_embedded *ret);
void ist_embedded_finish(struct ist_embedded *e);

/* ---- publication, on the writer's thread: begin, add, publish, kill, end ---- */
struct ist_live_change {
	struct ist_collection *collection;
	struct ist_generation *generation; /* NULL: not loaded */
	int64_t last_row;
	size_t n_failed;
};
void ist_live_begin(struct ist_collection *c, struct ist_live_change *change);
void ist_live_add(struct ist_live_change *change, int64_t row, const struct ist_item *item,
		  const struct ist_embedded *embedded, size_t i);
void ist_live_publish(struct ist_live_change *change);
void ist_live_kill(struct ist_live_change *change, int64_t row);
void ist_live_end(struct ist_live_change *change);

/* ---- generations made aside ---- */
/* Starts to note the rows that go from now on. */
void ist_built_init(struct ist_built *built, struct ist_collection *c);
void ist_built_finish(struct ist_built *built, struct ist_collection *c);
/* Appends the rows after built->last_row, publishes them, and kills those that went. */
IST_CHECKED enum ist_code ist_built_catch_up(struct ist_built *built, struct ist_db *db,
					     struct ist_collection *c, struct ist_err *err);
/* From the files of the newest generation of the model, or without them; then caught up. */
IST_CHECKED enum ist_code ist_built_load(struct ist_built *built, struct ist_collection *c,
					 int64_t model, struct ist_err *err);
/* From the stored features, with a base over all that is there. */
IST_CHECKED enum ist_code ist_built_make(struct ist_built *built, struct ist_collection *c,
					 int64_t model, const struct ist_train_hooks *hooks,
					 struct ist_err *err);
/* On the writer: the last rows, then the swap. The old generation goes to *ret_old. */
void ist_built_adopt(struct ist_built *built, struct ist_db *db, struct ist_collection *c,
		     int64_t model, struct ist_built *ret_old);
/* Saves a base under a new number; with files_lock, which is kept until its row is committed. */
IST_CHECKED enum ist_code ist_generation_store(struct ist_store *store,
					       const struct ist_generation *g, int64_t *ret_id,
					       struct ist_err *err);
/* Inside a transaction: the row of a saved generation, in place of the model's older ones. */
IST_CHECKED enum ist_code ist_generation_record(struct ist_db *db, int64_t collection,
						int64_t model, int64_t id,
						const struct ist_generation *g,
						struct ist_err *err);

/* The live generation, loaded if it was not. A reference, with the watermark of now. */
IST_CHECKED enum ist_code ist_live_get(struct ist_collection *c, struct ist_generation **ret,
				       struct ist_watermark *ret_mark, int64_t *ret_model,
				       struct ist_err *err);
/* The same for a model that is not active; IST_MODEL_LOADING after a second. */
IST_CHECKED enum ist_code ist_live_get_other(struct ist_collection *c, int64_t model,
					     struct ist_generation **ret,
					     struct ist_watermark *ret_mark, struct ist_err *err);
/* Whether a model's generation is at hand, with a base that is worth activating. */
bool ist_cache_has(struct ist_collection *c, int64_t model);
/* Takes one out of the cache (false: none), or puts one in. */
bool ist_cache_take(struct ist_collection *c, int64_t model, struct ist_built *ret);
void ist_cache_put(struct ist_collection *c, int64_t model, struct ist_built *built);
void ist_cache_clear(struct ist_collection *c);
/* Whether so much is fresh that it should be merged before use as the active one. */
bool ist_built_is_fresh(const struct ist_store *store, const struct ist_generation *g);

/* One merge, if the rule or `always` asks for one. */
IST_CHECKED enum ist_code ist_live_merge(struct ist_collection *c, bool always,
					 struct ist_err *err);
bool ist_live_wants_merge(struct ist_collection *c);

/* The model by number; 0: the collection's identity. */
IST_CHECKED enum ist_code ist_live_model(struct ist_collection *c, int64_t model,
					 struct ist_model **ret, struct ist_err *err);

#endif
