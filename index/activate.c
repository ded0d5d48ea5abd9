/*
 * Activation: a generation of the new model is built aside from the stored features while queries
 * and writes go on; its files are durable before one transaction names it and makes the model the
 * active one; then the pointer is swapped on the writer's thread, after the last rows. What was
 * active goes to the cache, so that a rollback is at hand.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/live.h"
#include "index/maintenance.h"

enum { QUICK_ITEMS = 2000 }; /* so few are embedded and indexed in a moment */

struct activation {
	struct ist_collection *collection;
	int64_t model, replaced;
	bool made;	    /* anew, so that its files must be saved */
	int64_t generation; /* number of the saved files; 0: they were there */
	struct ist_built built, old;
};

static enum ist_code run_activation(struct ist_store *store, struct ist_db *db, void *user,
				    struct ist_err *err)
{
	struct activation *a = user;
	int64_t collection = a->collection->id, there = 1;
	enum ist_code code = ist_collection_check(a->collection, err);

	if (code == IST_OK && a->model != 0)
		code = ist_db_int(db, IST_SQL_MODEL_EXISTS, 0, &there, err, "ii", collection,
				  a->model);
	if (code == IST_OK && there == 0)
		code = ist_fail(err, IST_NOT_FOUND, "no model m_%lld", (long long)a->model);
	if (code == IST_OK)
		code =
		    ist_db_int(db, IST_SQL_COLLECTION_MODEL, 0, &a->replaced, err, "i", collection);
	if (code == IST_OK && a->generation != 0)
		code = ist_generation_record(db, collection, a->model, a->generation,
					     a->built.generation, err);
	if (code == IST_OK)
		code = ist_db_run(db, IST_SQL_COLLECTION_ACTIVATE, err, "iii", collection, a->model,
				  ist_db_now());
	if (code == IST_OK)
		code = ist_db_run(db, IST_SQL_ACTIVATION_ADD, err, "iiii", collection, a->model,
				  a->replaced, ist_db_now());
	/* Files of the two latest models stay: a rollback after a restart finds them. */
	if (code == IST_OK)
		code = ist_db_run(db, IST_SQL_GENERATIONS_KEEP, err, "iii", collection, a->model,
				  a->replaced);
	return code;
}

static void publish_activation(struct ist_store *store, struct ist_db *db, void *user)
{
	struct activation *a = user;

	a->collection->version++;
	ist_built_adopt(&a->built, db, a->collection, a->model, &a->old);
	/* At once: readers that still hold it find it there to be caught up. */
	ist_cache_put(a->collection, a->replaced, &a->old);
	a->collection->rebuilding = false;
}

/* From the cache or from files, if that leaves little to add; else false. */
static bool reuse(struct activation *a)
{
	struct ist_collection *c = a->collection;
	struct ist_generation_info info;

	if (!ist_cache_take(c, a->model, &a->built)) {
		ist_built_init(&a->built, c);
		if (ist_built_load(&a->built, c, a->model, NULL) != IST_OK)
			goto no;
	}
	ist_generation_info(a->built.generation, &info);
	if (!a->built.rebuilding && !ist_built_is_fresh(c->store, a->built.generation) &&
	    info.base > 0)
		return true;
no:
	ist_built_finish(&a->built, c);
	return false;
}

static enum ist_code prepare(struct activation *a, const struct ist_train_hooks *hooks,
			     struct ist_err *err)
{
	struct ist_collection *c = a->collection;
	enum ist_code code;

	if (reuse(a))
		return IST_OK;
	ist_built_init(&a->built, c);
	code = ist_built_make(&a->built, c, a->model, hooks, err);
	a->made = code == IST_OK;
	return code;
}

static enum ist_code commit(struct activation *a, struct ist_err *err)
{
	struct ist_store *store = a->collection->store;
	enum ist_code code = IST_OK;

	pthread_mutex_lock(&store->files_lock);
	if (a->made)
		code = ist_generation_store(store, a->built.generation, &a->generation, err);
	if (code == IST_OK)
		code = ist_store_write(store, run_activation, publish_activation, a, 0, err);
	pthread_mutex_unlock(&store->files_lock);
	ist_maintenance_want_clean(store);
	return code;
}

static enum ist_code activate(struct activation *a, const struct ist_train_hooks *hooks,
			      struct ist_err *err)
{
	struct ist_collection *c = a->collection;
	enum ist_code code;

	if (c->model == a->model)
		return IST_OK;
	code = prepare(a, hooks, err);
	if (code == IST_OK)
		code = commit(a, err);
	ist_built_finish(&a->built, c);
	return code;
}

enum ist_code ist_models_activate(struct ist_collection *c, const char *id,
				  const struct ist_train_hooks *hooks, struct ist_err *err)
{
	struct activation a = {.collection = c, .model = ist_model_number(id)};
	struct ist_generation *live;
	struct ist_watermark mark;
	int64_t model;
	enum ist_code code;

	if (a.model < 0)
		return ist_fail(err, IST_NOT_FOUND, "no model %s", id);
	/* Loaded first: what is replaced must be whole before it goes to the cache. */
	if ((code = ist_live_get(c, &live, &mark, &model, err)) != IST_OK)
		return code;
	ist_generation_unref(live);
	c->activations++;
	pthread_mutex_lock(&c->build_lock);
	c->activations--;
	code = activate(&a, hooks, err);
	pthread_mutex_unlock(&c->build_lock);
	return code == IST_OK ? code : ist_wrap(err, "activating %s", id);
}

bool ist_models_is_ready(struct ist_collection *c, const char *id)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	int64_t model = ist_model_number(id), saved = 0, items = INT64_MAX;

	if (model < 0 || ist_cache_has(c, model))
		return true;
	if (ist_collection_take(c, &lease, NULL) != IST_OK ||
	    ist_db_int(lease.db, IST_SQL_COLLECTION_ITEMS, 0, &items, NULL, "i", c->id) != IST_OK ||
	    ist_db_int(lease.db, IST_SQL_GENERATION_NEWEST, 0, &saved, NULL, "ii", c->id, model) !=
		IST_OK)
		return true;
	return items <= QUICK_ITEMS || saved != 0;
}
