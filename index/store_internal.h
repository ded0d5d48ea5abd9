/*
 * The store's insides, shared by the files of this folder and by nobody else.
 *
 * Who may touch what:
 *   writer thread      the database's contents; a collection's live generation (append, kill,
 *                      publish, swap); media files that no row names any more
 *   maintenance thread merges, removal of deleted collections and of files that no row names
 *   any thread         reads, with a connection of the pool; building generations aside
 */
#ifndef IST_INDEX_STORE_INTERNAL_H
#define IST_INDEX_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/db.h"
#include "index/media.h"
#include "index/store.h"
#include "index/writer.h"

struct ist_maintenance;
struct ist_field_ids;

struct ist_store {
	char *folder, *database;
	struct ist_store_options options;
	int lock_fd;
	bool was_unclean;
	struct ist_db_pool pool;
	struct ist_writer *writer;
	struct ist_field_ids *fields; /* the writer's: field ids by path */
	struct ist_pins pins;
	struct ist_maintenance *maintenance;
	_Atomic int state;
	char reason[256]; /* written once, before state becomes IST_STORE_DAMAGED */
	atomic_bool stopping;
	atomic_llong commits, writes, merges, next_generation, next_model;
	int wal_pages; /* the writer's */

	pthread_mutex_t lock; /* guards the list of collections and n_loaders */
	struct ist_collection **collections;
	size_t n_collections;
	size_t n_loaders; /* threads that catch models up */
	pthread_cond_t loaders_changed;
	/* Held from the saving of a folder (generation, model) to the commit of its row, and while
	 * folders without a row are removed. Never by the writer. */
	pthread_mutex_t files_lock;
};

/* The rows that vanished while a generation is built aside: replayed before it is adopted. */
struct ist_kill_log {
	struct ist_kill_log *next;
	int64_t *rows;
	size_t n, cap;
};

/* A generation made aside, and how far it got. */
struct ist_built {
	struct ist_generation *generation;
	int64_t last_row; /* all rows up to this one are in it */
	size_t n_failed;  /* items that could not be embedded */
	bool rebuilding;  /* its files were missing or damaged, or it should have a base */
	struct ist_kill_log *kills;
};

/* A model that is not active but was asked for; kept up to date at each use. */
struct ist_cached_model {
	enum { IST_CACHE_FREE, IST_CACHE_LOADING, IST_CACHE_HERE, IST_CACHE_FAILED } state;
	int64_t model;		/* 0: identity */
	struct ist_err err;	/* FAILED: told once */
	struct ist_built built; /* HERE */
	uint64_t version, used; /* of the collection at the latest catching up; a clock */
};

#define IST_CACHED_MODELS 4
#define IST_CACHED_FILTERS 8

struct ist_rows; /* filter_sql.h */

struct ist_collection {
	struct ist_store *store;
	atomic_int refs;
	int64_t id;
	char name[256];
	struct ist_encoder_ref encoder[IST_N_MODALITIES];
	bool counts[IST_N_MODALITIES], same_space;
	atomic_bool deleted;
	atomic_bool merging, want_load, want_merge, rebuilding;
	atomic_ullong version; /* counts published changes, before they become visible */
	atomic_ullong kills;   /* counts rows that went, after what replaces them is visible */

	/* Held while the live generation is loaded or another is built; never by the writer. */
	pthread_mutex_t build_lock;
	atomic_int activations; /* waiting for build_lock: a merge gives way */

	pthread_mutex_t cache_lock; /* guards cached; held while one of them is caught up */
	pthread_cond_t cache_changed;
	struct ist_cached_model cached[IST_CACHED_MODELS];
	uint64_t clock;

	pthread_mutex_t lock;		   /* guards all below; held for moments only */
	struct ist_generation *generation; /* NULL: not loaded yet */
	int64_t model;			   /* of the live generation; 0: identity */
	int64_t last_row;		   /* the last one in it; changed by the writer only */
	size_t n_failed;
	struct ist_kill_log *kill_logs;
	struct {
		char *key;
		uint64_t version, used;
		struct ist_rows *rows;
	} filters[IST_CACHED_FILTERS];
	uint64_t filter_clock;
};

void ist_store_event(struct ist_store *store, int level, const char *event, const char *format, ...)
    IST_PRINTF(4, 5);
enum { IST_EVENT_INFO, IST_EVENT_WARNING, IST_EVENT_ERROR };

/* IST_NOT_FOUND once it is deleted; else a connection of the pool. */
IST_CHECKED enum ist_code ist_collection_take(struct ist_collection *c, struct ist_db_lease *ret,
					      struct ist_err *err);
IST_CHECKED enum ist_code ist_collection_check(const struct ist_collection *c, struct ist_err *err);
struct ist_collection *ist_collection_ref(struct ist_collection *c);
void ist_collection_destroy(struct ist_collection *c); /* the store's: at its end */

/* "m_3" <-> 3, "identity" <-> 0; -1: no such form. */
int64_t ist_model_number(const char *id);
void ist_model_id(int64_t number, char ret[32]);
char *ist_generation_folder(const struct ist_store *store, int64_t id);
char *ist_model_folder(const struct ist_store *store, int64_t number);

/* Runs one operation on the writer. */
IST_CHECKED enum ist_code
ist_store_write(struct ist_store *store,
		enum ist_code (*run)(struct ist_store *, struct ist_db *, void *, struct ist_err *),
		void (*publish)(struct ist_store *, struct ist_db *, void *), void *user,
		size_t weight, struct ist_err *err);

#endif
