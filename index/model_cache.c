/*
 * Models that are not active but asked for. A few generations are kept beside the live one; each
 * is caught up when it is asked for again, by the thread that asks. The first time one is loaded
 * by a thread of its own, for which a query waits a second at most.
 */
#include <time.h>

#include "core/base/memory.h"
#include "index/live.h"

static struct ist_cached_model *find(struct ist_collection *c, int64_t model)
{
	for (size_t i = 0; i < IST_CACHED_MODELS; i++)
		if (c->cached[i].state != IST_CACHE_FREE && c->cached[i].model == model)
			return &c->cached[i];
	return NULL;
}

static void empty(struct ist_collection *c, struct ist_cached_model *slot)
{
	ist_built_finish(&slot->built, c);
	*slot = (struct ist_cached_model){0};
}

/* A free slot, or the least recently used one that nobody is loading; NULL: all are loading. */
static struct ist_cached_model *make_room(struct ist_collection *c)
{
	struct ist_cached_model *oldest = NULL;

	for (size_t i = 0; i < IST_CACHED_MODELS; i++) {
		struct ist_cached_model *slot = &c->cached[i];

		if (slot->state == IST_CACHE_FREE)
			return slot;
		if (slot->state != IST_CACHE_LOADING &&
		    (oldest == NULL || slot->used < oldest->used))
			oldest = slot;
	}
	if (oldest != NULL)
		empty(c, oldest);
	return oldest;
}

/* ---- loading ---- */

struct loader {
	struct ist_collection *collection;
	int64_t model;
};

/* The slot may have been given away meanwhile: then what was loaded is let go. */
static void *loader_main(void *arg)
{
	struct loader *loader = arg;
	struct ist_collection *c = loader->collection;
	struct ist_store *store = c->store;
	struct ist_cached_model *slot;
	struct ist_err err = {0};
	struct ist_built built;
	uint64_t version = c->version;
	enum ist_code code;

	ist_threads_use(1);
	ist_built_init(&built, c);
	code = ist_built_load(&built, c, loader->model, &err);
	pthread_mutex_lock(&c->cache_lock);
	if ((slot = find(c, loader->model)) != NULL && slot->state == IST_CACHE_LOADING) {
		slot->state = code == IST_OK ? IST_CACHE_HERE : IST_CACHE_FAILED;
		slot->err = err;
		slot->version = version;
		if (code == IST_OK) {
			slot->built = built;
			built = (struct ist_built){0};
		}
	}
	pthread_cond_broadcast(&c->cache_changed);
	pthread_mutex_unlock(&c->cache_lock);
	ist_built_finish(&built, c);
	ist_collection_unref(c);
	free(loader);
	pthread_mutex_lock(&store->lock);
	store->n_loaders--;
	pthread_cond_broadcast(&store->loaders_changed);
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

static enum ist_code start_loader(struct ist_collection *c, int64_t model, struct ist_err *err)
{
	struct loader *loader = ist_alloc(1, sizeof(*loader));
	pthread_attr_t detached;
	pthread_t thread;
	int rc;

	*loader = (struct loader){ist_collection_ref(c), model};
	pthread_mutex_lock(&c->store->lock);
	c->store->n_loaders++;
	pthread_mutex_unlock(&c->store->lock);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &detached, loader_main, loader);
	pthread_attr_destroy(&detached);
	if (rc == 0)
		return IST_OK;
	pthread_mutex_lock(&c->store->lock);
	c->store->n_loaders--;
	pthread_mutex_unlock(&c->store->lock);
	ist_collection_unref(c);
	free(loader);
	return ist_fail(err, IST_TOO_BUSY, "no thread to load a model with");
}

/* With cache_lock held; a slot that is there in some state, or an error. */
static enum ist_code want(struct ist_collection *c, int64_t model, struct ist_err *err)
{
	struct ist_cached_model *slot = find(c, model);
	enum ist_code code;

	if (slot != NULL)
		return IST_OK;
	if (c->store->stopping)
		return ist_fail(err, IST_UNAVAILABLE, "the store is closing");
	if ((slot = make_room(c)) == NULL)
		return ist_fail(err, IST_MODEL_LOADING, "other models are being loaded");
	if ((code = start_loader(c, model, err)) == IST_OK) {
		slot->state = IST_CACHE_LOADING;
		slot->model = model;
	}
	return code;
}

/* The version is read before the rows: what comes in between is taken twice at most, never
 * missed. */
static enum ist_code catch_up(struct ist_collection *c, struct ist_cached_model *slot,
			      struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	uint64_t version = c->version;
	enum ist_code code;

	slot->used = ++c->clock;
	if (slot->version == version)
		return IST_OK;
	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_built_catch_up(&slot->built, lease.db, c, err)) != IST_OK)
		return code;
	slot->version = version;
	return IST_OK;
}

static enum ist_code take(struct ist_collection *c, struct ist_cached_model *slot,
			  struct ist_generation **ret, struct ist_watermark *ret_mark,
			  struct ist_err *err)
{
	enum ist_code code;

	if (slot->state == IST_CACHE_FAILED) {
		code = slot->err.code;
		if (err != NULL)
			*err = slot->err;
		empty(c, slot);
		return code;
	}
	if ((code = catch_up(c, slot, err)) != IST_OK)
		return code;
	*ret = ist_generation_ref(slot->built.generation);
	*ret_mark = ist_generation_watermark(slot->built.generation);
	return IST_OK;
}

enum ist_code ist_live_get_other(struct ist_collection *c, int64_t model,
				 struct ist_generation **ret, struct ist_watermark *ret_mark,
				 struct ist_err *err)
{
	struct ist_cached_model *slot = NULL;
	struct timespec until;
	enum ist_code code;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&c->cache_lock);
	code = want(c, model, err);
	while (code == IST_OK && rc == 0 && (slot = find(c, model)) != NULL &&
	       slot->state == IST_CACHE_LOADING)
		rc = pthread_cond_timedwait(&c->cache_changed, &c->cache_lock, &until);
	if (code == IST_OK) {
		slot = find(c, model);
		if (slot == NULL || slot->state == IST_CACHE_LOADING)
			code = ist_fail(err, IST_MODEL_LOADING, "the model is being loaded");
		else
			code = take(c, slot, ret, ret_mark, err);
	}
	pthread_mutex_unlock(&c->cache_lock);
	return code;
}

/* ---- the cache, for activations ---- */

bool ist_cache_has(struct ist_collection *c, int64_t model)
{
	struct ist_cached_model *slot;
	bool has;

	pthread_mutex_lock(&c->cache_lock);
	slot = find(c, model);
	has = slot != NULL && slot->state == IST_CACHE_HERE &&
	      !ist_built_is_fresh(c->store, slot->built.generation);
	pthread_mutex_unlock(&c->cache_lock);
	return has;
}

bool ist_cache_take(struct ist_collection *c, int64_t model, struct ist_built *ret)
{
	struct ist_cached_model *slot;
	bool has;

	pthread_mutex_lock(&c->cache_lock);
	slot = find(c, model);
	has = slot != NULL && slot->state == IST_CACHE_HERE;
	if (has) {
		*ret = slot->built;
		*slot = (struct ist_cached_model){0};
	}
	pthread_mutex_unlock(&c->cache_lock);
	return has;
}

/* What finds no room is let go: it can be loaded again. */
void ist_cache_put(struct ist_collection *c, int64_t model, struct ist_built *built)
{
	struct ist_cached_model *slot;

	pthread_mutex_lock(&c->cache_lock);
	if (find(c, model) == NULL && (slot = make_room(c)) != NULL && !c->deleted) {
		*slot = (struct ist_cached_model){
		    .state = IST_CACHE_HERE, .model = model, .built = *built, .used = ++c->clock};
		*built = (struct ist_built){0};
	}
	pthread_mutex_unlock(&c->cache_lock);
	ist_built_finish(built, c);
}

void ist_cache_clear(struct ist_collection *c)
{
	pthread_mutex_lock(&c->cache_lock);
	for (size_t i = 0; i < IST_CACHED_MODELS; i++)
		if (c->cached[i].state != IST_CACHE_LOADING)
			empty(c, &c->cached[i]);
	pthread_mutex_unlock(&c->cache_lock);
}
