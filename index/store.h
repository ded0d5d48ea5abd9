/*
 * The store: everything that a data folder holds, behind one door. Items in and out, features as a
 * stream, search, models, jobs. No SQL and no FAISS type is named above this header.
 *
 *   DIR/isthmus.db         SQLite, the truth          DIR/media/ab/abcdef…     originals by SHA-256
 *   DIR/models/m_3/        one trained model           DIR/generations/g_7/     index files (a
 * cache) DIR/backups/           before a migration          DIR/jobs/j_12/           checkpoints
 *
 * Threads: any thread may call anything; calls that write wait for the one writer thread, which
 * puts many callers' writes into one transaction, a savepoint each (group commit). A write is
 * acknowledged when it is durable and visible to the next search. Reads use a connection of the
 * calling thread's and hold no transaction beyond the call.
 */
#ifndef IST_INDEX_STORE_H
#define IST_INDEX_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/encode/geometry.h"
#include "core/methods/method.h"
#include "index/filter.h"
#include "index/generation.h"

struct ist_store;
struct ist_collection; /* a counted handle; a deleted collection answers IST_NOT_FOUND */

struct ist_store_options {
	/* For what happens in the background; may be called from any thread. */
	void (*event)(void *user, int level, const char *event, const char *text);
	void *user;
	size_t merge_at;       /* fresh vectors that start a merge; 0: the default rule */
	bool read_only_memory; /* tests: never start the maintenance thread */
};

/* ---- the store ---- */
/* Makes the folder if needed, takes its lock, migrates (after a backup), refuses a newer one.
 * Indexes load in the background: searches are exact until they are there. */
IST_CHECKED enum ist_code ist_store_open(const char *folder,
					 const struct ist_store_options *options,
					 struct ist_store **ret, struct ist_err *err);
/* Ends merges within 2 s, the writer after its last batch, checkpoints the WAL. NULL is fine. */
void ist_store_close(struct ist_store *store);
enum ist_store_state { IST_STORE_LOADING, IST_STORE_READY, IST_STORE_DAMAGED };
enum ist_store_state ist_store_state(const struct ist_store *store, const char **ret_reason);
struct ist_store_stats {
	uint64_t database_bytes, wal_bytes, media_bytes, commits, writes, merges;
	size_t queue; /* writes waiting */
};
void ist_store_stats(struct ist_store *store, struct ist_store_stats *ret);
const char *ist_store_folder(const struct ist_store *store);

/* ---- collections ---- */
struct ist_split {
	double validation, test;
	uint64_t seed;
	char field[128];    /* "" = hashed; else the metadata field that names the part */
	bool no_validation; /* {"field": …, "validation": 0} */
};
struct ist_encoder_ref {
	char name[128];
	size_t dim;
	enum ist_geometry geometry; /* the image encoder's: how pictures become its square */
};
struct ist_collection_info {
	char name[256];
	struct ist_encoder_ref encoder[IST_N_MODALITIES];
	struct ist_split split;
	int64_t items, images, texts, labelled, triples; /* items with an image; texts in all; … */
	int64_t embedded, skipped, failed;    /* items by what the active model made of them */
	char index_kind[32], index_state[16]; /* "hnsw"; "ready" | "merging" | "rebuilding" */
	size_t index_base, index_fresh;	      /* items */
	double index_recall;		      /* NAN if not measured */
	char active_model[32];
	int64_t created_us, updated_us;
};
/* Creates or finds. *ret_created says which; other encoders: IST_ENCODER_MISMATCH. A split that is
 * NULL keeps what is there (default 0.1, 0.2, seed 0). `same_space`: see ist_pairs. */
IST_CHECKED enum ist_code
ist_store_collection_put(struct ist_store *store, const char *name,
			 const struct ist_encoder_ref encoder[IST_N_MODALITIES],
			 const bool counts[IST_N_MODALITIES], bool same_space,
			 const struct ist_split *split, bool *ret_created,
			 struct ist_collection **ret, struct ist_err *err);
IST_CHECKED enum ist_code ist_store_collection_get(struct ist_store *store, const char *name,
						   struct ist_collection **ret,
						   struct ist_err *err);
void ist_collection_unref(struct ist_collection *c);
/* Of the collection's making, so never changing: asked by every query, costs nothing. */
const struct ist_encoder_ref *ist_collection_encoder(const struct ist_collection *c,
						     enum ist_modality m);
IST_CHECKED enum ist_code ist_collection_info(struct ist_collection *c,
					      struct ist_collection_info *ret, struct ist_err *err);
IST_CHECKED enum ist_code ist_collection_set_split(struct ist_collection *c,
						   const struct ist_split *split,
						   struct ist_err *err);
IST_CHECKED enum ist_code ist_collection_delete(struct ist_collection *c, struct ist_err *err);
/* Names after `after` ("" = from the start) in byte order; an array of strings. */
IST_CHECKED enum ist_code ist_store_collection_names(struct ist_store *store, const char *after,
						     size_t limit, json_t **ret,
						     struct ist_err *err);

/* What filters can name, for the first IST_FACETS_MAX fields: an array of {"field", "items": that
 * say something there, "values": the `limit` most frequent as {"value", "count"}, "more": there are
 * others, "min", "max": of its numbers, null without}. */
#define IST_FACETS_MAX 100
IST_CHECKED enum ist_code ist_collection_facets(struct ist_collection *c, size_t limit,
						json_t **ret, struct ist_err *err);

/* ---- items ---- */
struct ist_item {
	const char *id;
	bool has_image;
	struct {
		char sha256[IST_SHA256_HEX];
		const char *type; /* "image/png" */
		uint32_t width, height;
		uint64_t bytes;
		const void *data; /* writing: the original, NULL if the store holds it already */
	} image;
	size_t n_texts;
	const char *const *texts;
	const char *label;    /* NULL: none */
	const char *metadata; /* a JSON object, compact, keys sorted; NULL: none */
	/* Features: (dim) of the picture, (n_texts, dim) of the texts. A vector may stand without a
	 * picture, and text vectors without texts (n_text_vectors of them). */
	const float *image_vector;
	const float *text_vectors;
	size_t n_text_vectors;
	bool given[IST_N_MODALITIES];	/* the client gave the vector: exported again */
	int64_t created_us, updated_us; /* reading only */
	int64_t row;			/* reading only */
};
#define IST_ITEM_FINGERPRINT IST_SHA256_SIZE
/* Over picture hash, texts, label, metadata and given vectors (of widths dim): what "unchanged"
 * compares. */
void ist_item_fingerprint(const struct ist_item *item, const size_t dim[IST_N_MODALITIES],
			  uint8_t ret[IST_ITEM_FINGERPRINT]);
/* Whether the collection already holds just this (so that it need not be encoded again). */
IST_CHECKED enum ist_code ist_item_unchanged(struct ist_collection *c, const struct ist_item *item,
					     bool *ret, struct ist_err *err);

enum ist_write_status { IST_CREATED, IST_UPDATED, IST_UNCHANGED, IST_DELETED, IST_FAILED };
struct ist_write {
	const struct ist_item *item; /* put: the whole item; NULL: delete `id` */
	const char *id;
	int64_t expect_row; /* > 0: IST_CONFLICT if the item is no longer this row */
	/* Results. */
	enum ist_write_status status;
	struct ist_err err; /* where FAILED */
};
/* All in one savepoint of one transaction, in order; the last of equal ids wins. Returns an error
 * only where nothing was written (disk full, damaged); single bad items are FAILED in place. */
IST_CHECKED enum ist_code ist_items_write(struct ist_collection *c, struct ist_write *writes,
					  size_t n, struct ist_err *err);
/* The item and all it names live in the arena. with_vectors: image_vector and text_vectors too. */
IST_CHECKED enum ist_code ist_item_get(struct ist_collection *c, const char *id, bool with_vectors,
				       struct ist_arena *arena, struct ist_item *ret,
				       struct ist_err *err);
/* Up to `limit` items after the id `after`, in byte order of id, that match (filter may be NULL).
 */
IST_CHECKED enum ist_code ist_items_list(struct ist_collection *c, const struct ist_filter *filter,
					 const char *after, size_t limit, bool with_vectors,
					 struct ist_arena *arena, struct ist_item **ret,
					 size_t *ret_n, struct ist_err *err);
IST_CHECKED enum ist_code ist_items_count(struct ist_collection *c, const struct ist_filter *filter,
					  int64_t *ret, struct ist_err *err);
/* By filter or by ids (the other NULL); dry_run only counts. */
IST_CHECKED enum ist_code ist_items_delete(struct ist_collection *c,
					   const struct ist_filter *filter, const char *const *ids,
					   size_t n_ids, bool dry_run, int64_t *ret_matched,
					   int64_t *ret_deleted, struct ist_err *err);

/* ---- media ---- */
/* Whether an original is held, and how it looks (type, width, height, bytes; type in the arena). */
IST_CHECKED enum ist_code ist_media_find(struct ist_store *store, const char *sha256,
					 struct ist_arena *arena, struct ist_item *ret_image,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_media_open(struct ist_store *store, const char *sha256, int *ret_fd,
					 uint64_t *ret_bytes, struct ist_err *err);

/* ---- triples (composed retrieval) ---- */
struct ist_triple {
	const char *reference, *text, *target;
	const float *text_vector; /* (dim of the text encoder) */
	struct ist_err err;	  /* result: NOT_FOUND names the end that is missing */
	enum ist_write_status status;
	int64_t n; /* where it is listed: later ones have greater numbers */
};
IST_CHECKED enum ist_code ist_triples_write(struct ist_collection *c, struct ist_triple *triples,
					    size_t n, struct ist_err *err);
/* Up to `limit` with numbers above `after`, in the order of their coming; with `item`, those that
 * it is an end of. Strings live in the arena, and text_vector is NULL. */
IST_CHECKED enum ist_code ist_triples_list(struct ist_collection *c, const char *item,
					   int64_t after, size_t limit, struct ist_arena *arena,
					   struct ist_triple **ret, size_t *ret_n,
					   struct ist_err *err);

/* ---- search ---- */
/* What one query reads: a generation and a watermark, held until ist_reader_finish. */
struct ist_reader {
	struct ist_collection *collection;
	struct ist_generation *generation;
	struct ist_watermark mark;
	char model[32]; /* "m_3", "identity" */
};
/* model NULL or "": the active one. Another is caught up first: IST_MODEL_LOADING if that takes
 * over a second (it goes on in the background). */
IST_CHECKED enum ist_code ist_reader_init(struct ist_reader *reader, struct ist_collection *c,
					  const char *model, struct ist_err *err);
void ist_reader_finish(struct ist_reader *reader);

struct ist_search {
	const float *vector[IST_N_MODALITIES]; /* embedding to search each target with; NULL: not */
	int from;      /* the query's own modality, or IST_COMPOSED: direction, scores */
	bool by_score; /* several targets: order by score, or by standardised similarity */
	const struct ist_filter *filter;
	const char *exclude; /* an item id that is never a hit */
	size_t limit, offset;
	double threshold, min_similarity; /* NAN: none */
	bool exact, with_vectors;
};
struct ist_hit {
	struct ist_item item; /* without picture bytes; vectors only if asked */
	enum ist_modality modality;
	uint32_t ordinal;	  /* which text */
	double similarity, score; /* score NAN: none */
	const float *embedding;	  /* if with_vectors; `dim` of the model */
};
struct ist_search_report { /* for "explain" */
	const char *path;  /* "hnsw", "flat", "scan", … */
	size_t candidates, matched, rounds;
};
IST_CHECKED enum ist_code ist_reader_search(const struct ist_reader *reader, struct ist_searcher *s,
					    const struct ist_search *search,
					    struct ist_arena *arena, struct ist_hit **ret,
					    size_t *ret_n, struct ist_search_report *ret_report,
					    struct ist_err *err);

/* ---- models ---- */
struct ist_model_info {
	char id[32];
	char method[64];
	const char *params, *report; /* JSON texts in the arena; report "null" if none */
	size_t dim;
	uint64_t seed;
	bool active;
	int64_t created_us;
};
/* Takes a trained model: saves its folder durably, then its row. */
IST_CHECKED enum ist_code ist_models_add(struct ist_collection *c, const struct ist_model *model,
					 const json_t *report, char ret_id[32],
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_models_get(struct ist_collection *c, const char *id,
					 struct ist_arena *arena, struct ist_model_info *ret,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_models_list(struct ist_collection *c, const char *after, size_t limit,
					  struct ist_arena *arena, struct ist_model_info **ret,
					  size_t *ret_n, struct ist_err *err);
IST_CHECKED enum ist_code ist_models_set_report(struct ist_collection *c, const char *id,
						const json_t *report, struct ist_err *err);
IST_CHECKED enum ist_code ist_models_delete(struct ist_collection *c, const char *id,
					    struct ist_err *err);
IST_CHECKED enum ist_code ist_models_load(struct ist_collection *c, const char *id,
					  struct ist_model **ret, struct ist_err *err);
/* What the folder of a trained model takes on the disk; 0 for identity. */
IST_CHECKED enum ist_code ist_models_bytes(struct ist_collection *c, const char *id, uint64_t *ret,
					   struct ist_err *err);
/* Builds the index aside, catches up, swaps. Queries go on; progress and stop as in method.h. */
IST_CHECKED enum ist_code ist_models_activate(struct ist_collection *c, const char *id,
					      const struct ist_train_hooks *hooks,
					      struct ist_err *err);
/* Whether activating would have to build an index first (then the server makes it a job). */
bool ist_models_is_ready(struct ist_collection *c, const char *id);
/* What the latest activation replaced; IST_CONFLICT if there was none. */
IST_CHECKED enum ist_code ist_models_previous(struct ist_collection *c, char ret_id[32],
					      struct ist_err *err);

/* ---- training data ---- */
struct ist_training_set {
	struct ist_pairs pairs;	    /* everything it points at belongs to the set */
	struct ist_triples triples; /* what pairs.triples points at, where it does */
	size_t skipped;		    /* unlabelled pairs, where labels are needed */
	json_t *classes;	    /* array of label strings by class number */
	json_t *ids;		    /* array of item ids by pair */
	const void *texts;	    /* what pairs.text points into, mapped */
	size_t texts_bytes;
};
/* Beside the bits of enum ist_need: pairs.text too. */
#define IST_WITH_TEXTS (1U << 16)
/* What a set is loaded with for a method. */
static inline unsigned ist_training_needs(const struct ist_method *method)
{
	return method->needs | (method->reads_texts ? IST_WITH_TEXTS : 0);
}
/* All pairs (items with an image and a text feature; each further text a further pair) in order of
 * row, with their part under `split`. `needs` (enum ist_need): with labels, unlabelled pairs are
 * skipped; with triples, they come too, and every picture. Large matrices and the strings live in
 * unlinked, mapped files. The set must stay where it is while pairs.triples is in use. */
IST_CHECKED enum ist_code ist_training_set_load(struct ist_collection *c,
						const struct ist_split *split, unsigned needs,
						struct ist_training_set *ret, struct ist_err *err);
void ist_training_set_finish(struct ist_training_set *set);

/* ---- jobs: rows only; what a job does is the server's business ---- */
struct ist_job_row {
	char id[32];
	const char *kind, *collection, *state; /* collection NULL: none */
	const char *request;		       /* JSON: what was asked */
	const char *progress;		       /* JSON: progress, stage, eta_s, curves */
	const char *result, *error;	       /* JSON or NULL */
	const char *idempotency_key;	       /* NULL: none */
	int attempts;
	int64_t created_us, started_us, finished_us; /* 0: not yet */
};
IST_CHECKED enum ist_code ist_jobs_add(struct ist_store *store, struct ist_job_row *row,
				       struct ist_err *err); /* fills id and created_us */
/* Writes state, progress, result, error, attempts and times. From `expect_state` only. */
IST_CHECKED enum ist_code ist_jobs_update(struct ist_store *store, const struct ist_job_row *row,
					  const char *expect_state, struct ist_err *err);
IST_CHECKED enum ist_code ist_jobs_get(struct ist_store *store, const char *id,
				       struct ist_arena *arena, struct ist_job_row *ret,
				       struct ist_err *err);
IST_CHECKED enum ist_code ist_jobs_find_key(struct ist_store *store, const char *idempotency_key,
					    struct ist_arena *arena, struct ist_job_row *ret,
					    struct ist_err *err);
/* Newest first; `before` is a job id or ""; state and collection NULL: any. */
IST_CHECKED enum ist_code ist_jobs_list(struct ist_store *store, const char *before,
					const char *state, const char *collection, size_t limit,
					struct ist_arena *arena, struct ist_job_row **ret,
					size_t *ret_n, struct ist_err *err);

#endif
