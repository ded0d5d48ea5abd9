/*
 * Collections: their rows, and the counted handles that hold their live state. The store keeps one
 * handle a collection for as long as it is open, so that all who ask share one. A deleted one
 * loses its name at once and its items bit by bit (maintenance.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/filter_sql.h"
#include "index/live.h"
#include "index/maintenance.h"

/* ---- handles ---- */

struct ist_collection *ist_collection_ref(struct ist_collection *c)
{
	c->refs++;
	return c;
}

void ist_collection_unref(struct ist_collection *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	ist_cache_clear(c);
	ist_generation_unref(c->generation);
	for (size_t i = 0; i < IST_CACHED_FILTERS; i++) {
		free(c->filters[i].key);
		ist_rows_unref(c->filters[i].rows);
	}
	pthread_cond_destroy(&c->cache_changed);
	pthread_mutex_destroy(&c->cache_lock);
	pthread_mutex_destroy(&c->build_lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

enum ist_code ist_collection_check(const struct ist_collection *c, struct ist_err *err)
{
	if (c->deleted)
		return ist_fail(err, IST_NOT_FOUND, "the collection %s was deleted", c->name);
	return IST_OK;
}

enum ist_code ist_collection_take(struct ist_collection *c, struct ist_db_lease *ret,
				  struct ist_err *err)
{
	enum ist_code code = ist_collection_check(c, err);

	return code != IST_OK ? code : ist_db_take(&c->store->pool, ret, err);
}

const struct ist_encoder_ref *ist_collection_encoder(const struct ist_collection *c,
						     enum ist_modality m)
{
	return &c->encoder[m];
}

/* The columns of COLLECTION_GET that never change. */
static struct ist_collection *make(struct ist_store *store, sqlite3_stmt *st)
{
	struct ist_collection *c = ist_alloc(1, sizeof(*c));

	c->store = store;
	c->refs = 1;
	c->id = sqlite3_column_int64(st, 0);
	snprintf(c->name, sizeof(c->name), "%s", ist_db_text(st, 1));
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		snprintf(c->encoder[m].name, sizeof(c->encoder[m].name), "%s",
			 ist_db_text(st, 2 + 3 * m));
		c->encoder[m].dim = (size_t)sqlite3_column_int64(st, 3 + 3 * m);
		c->counts[m] = sqlite3_column_int64(st, 4 + 3 * m) != 0;
	}
	c->same_space = sqlite3_column_int64(st, 8) != 0;
	/* One that a later program knows is this one's default. */
	ist_geometry_find(ist_db_text(st, 9), &c->encoder[IST_IMAGE].geometry);
	pthread_mutex_init(&c->build_lock, NULL);
	pthread_mutex_init(&c->cache_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cache_changed, NULL);
	return c;
}

/* With store->lock held. */
static struct ist_collection *look_up(struct ist_store *store, const char *name)
{
	for (size_t i = 0; i < store->n_collections; i++)
		if (!store->collections[i]->deleted &&
		    strcmp(store->collections[i]->name, name) == 0)
			return store->collections[i];
	return NULL;
}

/* Reads the row under store->lock, so that one row gets one handle. */
static enum ist_code load(struct ist_store *store, struct ist_db *db, const char *name,
			  struct ist_collection **ret, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code;
	bool row;

	code = ist_db_bind(db, IST_SQL_COLLECTION_GET, &st, err, "t", name);
	if (code != IST_OK || (code = ist_db_step(db, st, &row, err)) != IST_OK)
		return code;
	if (!row)
		return ist_fail(err, IST_NOT_FOUND, "no collection %s", name);
	*ret = make(store, st);
	store->collections =
	    ist_resize(store->collections, store->n_collections + 1, sizeof(*store->collections));
	store->collections[store->n_collections++] = *ret;
	return IST_OK;
}

enum ist_code ist_store_collection_get(struct ist_store *store, const char *name,
				       struct ist_collection **ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	struct ist_collection *c;
	enum ist_code code = IST_OK;

	pthread_mutex_lock(&store->lock);
	c = look_up(store, name);
	if (c == NULL && (code = ist_db_take(&store->pool, &lease, err)) == IST_OK)
		code = load(store, lease.db, name, &c, err);
	if (code == IST_OK)
		*ret = ist_collection_ref(c);
	pthread_mutex_unlock(&store->lock);
	return code;
}

/* ---- making ---- */

struct put_op {
	const char *name;
	const struct ist_encoder_ref *encoder;
	const bool *counts;
	bool same_space, created;
	const struct ist_split *split;
};

static enum ist_code add(struct ist_db *db, const struct put_op *op, struct ist_err *err)
{
	struct ist_split split =
	    op->split != NULL ? *op->split : (struct ist_split){.validation = 0.1, .test = 0.2};
	int64_t now = ist_db_now();

	return ist_db_run(db, IST_SQL_COLLECTION_ADD, err, "ttiitiiiddiitiit", op->name,
			  op->encoder[IST_IMAGE].name, (int64_t)op->encoder[IST_IMAGE].dim,
			  (int64_t)op->counts[IST_IMAGE], op->encoder[IST_TEXT].name,
			  (int64_t)op->encoder[IST_TEXT].dim, (int64_t)op->counts[IST_TEXT],
			  (int64_t)op->same_space, split.validation, split.test,
			  (int64_t)split.seed, (int64_t)split.no_validation, split.field, now, now,
			  ist_geometry_name(op->encoder[IST_IMAGE].geometry));
}

static enum ist_code set_split(struct ist_db *db, const char *name, const struct ist_split *split,
			       struct ist_err *err)
{
	return ist_db_run(db, IST_SQL_COLLECTION_SPLIT, err, "tddiiti", name, split->validation,
			  split->test, (int64_t)split->seed, (int64_t)split->no_validation,
			  split->field, ist_db_now());
}

/* Features of one encoder say nothing in the space of another. */
static enum ist_code check_encoders(const struct put_op *op, sqlite3_stmt *st, struct ist_err *err)
{
	const char *geometry = ist_geometry_name(op->encoder[IST_IMAGE].geometry);

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		const char *name = ist_db_text(st, 2 + 3 * m);
		size_t dim = (size_t)sqlite3_column_int64(st, 3 + 3 * m);

		if (strcmp(name, op->encoder[m].name) != 0 || dim != op->encoder[m].dim)
			return ist_fail(
			    err, IST_ENCODER_MISMATCH,
			    "the collection's %s encoder is %s with %zu dimensions, not %s "
			    "with %zu",
			    ist_modality_name((enum ist_modality)m), name, dim, op->encoder[m].name,
			    op->encoder[m].dim);
	}
	if (strcmp(ist_db_text(st, 9), geometry) != 0)
		return ist_fail(err, IST_ENCODER_MISMATCH,
				"the collection's geometry of pictures is %s, not %s",
				ist_db_text(st, 9), geometry);
	return IST_OK;
}

/* Find and make in one transaction: two that make it at once make one. */
static enum ist_code run_put(struct ist_store *store, struct ist_db *db, void *user,
			     struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	struct put_op *op = user;
	enum ist_code code;
	bool row;

	code = ist_db_bind(db, IST_SQL_COLLECTION_GET, &st, err, "t", op->name);
	if (code != IST_OK || (code = ist_db_step(db, st, &row, err)) != IST_OK)
		return code;
	op->created = !row;
	if (!row)
		return add(db, op, err);
	if ((code = check_encoders(op, st, err)) != IST_OK || op->split == NULL)
		return code;
	sqlite3_reset(st);
	return set_split(db, op->name, op->split, err);
}

enum ist_code ist_store_collection_put(struct ist_store *store, const char *name,
				       const struct ist_encoder_ref encoder[IST_N_MODALITIES],
				       const bool counts[IST_N_MODALITIES], bool same_space,
				       const struct ist_split *split, bool *ret_created,
				       struct ist_collection **ret, struct ist_err *err)
{
	struct put_op op = {name, encoder, counts, same_space, false, split};
	enum ist_code code;

	if (strlen(name) < 1 || strlen(name) > 255)
		return ist_fail(err, IST_INVALID, "a collection's name has 1 to 255 bytes");
	if (encoder[IST_IMAGE].dim == 0 || encoder[IST_TEXT].dim == 0)
		return ist_fail(err, IST_INVALID, "an encoder has at least one dimension");
	if ((code = ist_store_write(store, run_put, NULL, &op, 0, err)) != IST_OK ||
	    (code = ist_store_collection_get(store, name, ret, err)) != IST_OK)
		return code;
	*ret_created = op.created;
	return IST_OK;
}

struct split_op {
	struct ist_collection *collection;
	const struct ist_split *split;
};

static enum ist_code run_split(struct ist_store *store, struct ist_db *db, void *user,
			       struct ist_err *err)
{
	const struct split_op *op = user;
	enum ist_code code = ist_collection_check(op->collection, err);

	return code != IST_OK ? code : set_split(db, op->collection->name, op->split, err);
}

enum ist_code ist_collection_set_split(struct ist_collection *c, const struct ist_split *split,
				       struct ist_err *err)
{
	struct split_op op = {c, split};

	return ist_store_write(c->store, run_split, NULL, &op, 0, err);
}

/* ---- deleting ---- */

static enum ist_code run_delete(struct ist_store *store, struct ist_db *db, void *user,
				struct ist_err *err)
{
	struct ist_collection *c = user;
	enum ist_code code = ist_collection_check(c, err);

	return code != IST_OK ? code : ist_db_run(db, IST_SQL_COLLECTION_DROP, err, "i", c->id);
}

/* Readers under way keep their generation; nobody gets it any more. */
static void publish_delete(struct ist_store *store, struct ist_db *db, void *user)
{
	struct ist_collection *c = user;
	struct ist_generation *old;

	c->deleted = true;
	pthread_mutex_lock(&c->lock);
	old = c->generation;
	c->generation = NULL;
	pthread_mutex_unlock(&c->lock);
	ist_generation_unref(old);
}

/* Out of the store's list; who still holds it may ask it, and hears that it is gone. */
static void let_go(struct ist_collection *c)
{
	struct ist_store *store = c->store;
	size_t at = 0;

	pthread_mutex_lock(&store->lock);
	while (at < store->n_collections && store->collections[at] != c)
		at++;
	if (at < store->n_collections) {
		store->collections[at] = store->collections[--store->n_collections];
		ist_collection_unref(c);
	}
	pthread_mutex_unlock(&store->lock);
}

enum ist_code ist_collection_delete(struct ist_collection *c, struct ist_err *err)
{
	enum ist_code code = ist_store_write(c->store, run_delete, publish_delete, c, 0, err);

	if (code != IST_OK)
		return code;
	ist_cache_clear(c);
	let_go(c);
	ist_maintenance_want_clean(c->store);
	return IST_OK;
}

/* ---- what there is ---- */

enum ist_code ist_store_collection_names(struct ist_store *store, const char *after, size_t limit,
					 json_t **ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	json_t *names;
	bool row = true;
	enum ist_code code = ist_db_take(&store->pool, &lease, err);

	if (code != IST_OK)
		return code;
	names = json_array();
	code = ist_db_bind(lease.db, IST_SQL_COLLECTION_NAMES, &st, err, "ti",
			   after != NULL ? after : "", (int64_t)limit);
	while (code == IST_OK && (code = ist_db_step(lease.db, st, &row, err)) == IST_OK && row)
		json_array_append_new(names, json_string_nocheck(ist_db_text(st, 0)));
	if (code != IST_OK)
		json_decref(names);
	else
		*ret = names;
	return code;
}

static void read_counts(sqlite3_stmt *st, struct ist_collection_info *ret)
{
	ret->split.validation = sqlite3_column_double(st, 0);
	ret->split.test = sqlite3_column_double(st, 1);
	ret->split.seed = (uint64_t)sqlite3_column_int64(st, 2);
	snprintf(ret->split.field, sizeof(ret->split.field), "%s", ist_db_text(st, 3));
	ret->split.no_validation = sqlite3_column_int64(st, 4) != 0;
	ist_model_id(sqlite3_column_int64(st, 5), ret->active_model);
	ret->items = sqlite3_column_int64(st, 6);
	ret->images = sqlite3_column_int64(st, 7);
	ret->texts = sqlite3_column_int64(st, 8);
	ret->labelled = sqlite3_column_int64(st, 9);
	ret->triples = sqlite3_column_int64(st, 10);
	ret->skipped = sqlite3_column_int64(st, 11);
	ret->created_us = sqlite3_column_int64(st, 12);
	ret->updated_us = sqlite3_column_int64(st, 13);
}

/* Of a generation that is not loaded: what its row says. */
static enum ist_code read_saved_index(struct ist_collection *c, struct ist_db *db,
				      struct ist_collection_info *ret, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code;
	bool row;

	code = ist_db_bind(db, IST_SQL_GENERATION_INFO, &st, err, "i", c->id);
	if (code != IST_OK || (code = ist_db_step(db, st, &row, err)) != IST_OK)
		return code;
	ret->index_base = row ? (size_t)sqlite3_column_int64(st, 1) : 0;
	ret->index_base = IST_MIN(ret->index_base, (size_t)ret->items);
	if (row)
		snprintf(ret->index_kind, sizeof(ret->index_kind), "%s", ist_db_text(st, 0));
	if (row && sqlite3_column_type(st, 2) != SQLITE_NULL)
		ret->index_recall = sqlite3_column_double(st, 2);
	ret->index_fresh = (size_t)ret->items - ret->index_base;
	return IST_OK;
}

static bool read_live_index(struct ist_collection *c, struct ist_collection_info *ret)
{
	struct ist_generation_info info;
	bool there;

	pthread_mutex_lock(&c->lock);
	if ((there = c->generation != NULL)) {
		ist_generation_info(c->generation, &info);
		ret->failed = (int64_t)c->n_failed;
	}
	pthread_mutex_unlock(&c->lock);
	if (!there)
		return false;
	ret->index_base = info.base_items;
	ret->index_fresh = info.fresh_items;
	ret->index_recall = info.recall;
	if (info.kind != NULL && info.base > 0)
		snprintf(ret->index_kind, sizeof(ret->index_kind), "%s", info.kind);
	return true;
}

enum ist_code ist_collection_info(struct ist_collection *c, struct ist_collection_info *ret,
				  struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	struct ist_collection_info info = {.index_kind = "flat", .index_recall = NAN};
	enum ist_code code;
	bool row;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_bind(lease.db, IST_SQL_COLLECTION_INFO, &st, err, "i", c->id)) !=
		IST_OK ||
	    (code = ist_db_step(lease.db, st, &row, err)) != IST_OK)
		return code;
	if (!row)
		return ist_fail(err, IST_NOT_FOUND, "the collection %s was deleted", c->name);
	snprintf(info.name, sizeof(info.name), "%s", c->name);
	memcpy(info.encoder, c->encoder, sizeof(info.encoder));
	read_counts(st, &info);
	sqlite3_reset(st);
	if (!read_live_index(c, &info) &&
	    (code = read_saved_index(c, lease.db, &info, err)) != IST_OK)
		return code;
	info.failed = IST_MIN(info.failed, info.items - info.skipped);
	info.embedded = info.items - info.skipped - info.failed;
	snprintf(info.index_state, sizeof(info.index_state), "%s",
		 c->rebuilding ? "rebuilding"
		 : c->merging  ? "merging"
			       : "ready");
	*ret = info;
	return IST_OK;
}
