/*
 * The live generation: embedding for it at write time, publication by the writer, and the way to
 * it for readers. Invariant: the live generation holds every committed row up to last_row and no
 * later one; the writer alone moves last_row, so that a generation adopted in the middle of a
 * batch does not take the rest of that batch twice.
 */
#include "index/live.h"

#include <string.h>

#include "core/base/memory.h"
#include "index/maintenance.h"

/* ---- embedding on the caller's thread ---- */

/* The features of modality m of an item. */
static const float *features_of(const struct ist_item *item, enum ist_modality m, size_t *ret_n)
{
	const float *x = m == IST_IMAGE ? item->image_vector : item->text_vectors;

	*ret_n = x == NULL ? 0 : m == IST_IMAGE ? 1 : item->n_text_vectors;
	return x;
}

/* One bad vector in a batch must not cost its neighbours their embedding. */
static void embed_each(const struct ist_model *model, enum ist_modality m,
		       const struct ist_write *writes, size_t n, struct ist_embedded *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t count;
		const float *x;

		if (writes[i].item == NULL)
			continue;
		x = features_of(writes[i].item, m, &count);
		if (count > 0 &&
		    ist_model_embed(model, m, x, count, e->x[m] + e->at[m][i] * model->dim[m],
				    NULL) != IST_OK)
			e->failed[i] = true;
	}
}

/* All features of one modality in one product; one by one where that fails. */
static void embed_modality(const struct ist_model *model, enum ist_modality m,
			   const struct ist_write *writes, size_t n, struct ist_embedded *e)
{
	size_t dim = model->dim_in[m], total = 0, count;
	ist_autofree float *x = NULL;

	e->at[m] = ist_alloc(n, sizeof(*e->at[m]));
	for (size_t i = 0; i < n; i++) {
		e->at[m][i] = total;
		if (writes[i].item != NULL && features_of(writes[i].item, m, &count) != NULL)
			total += count;
	}
	if (total == 0)
		return;
	x = ist_alloc_aligned(total * dim, sizeof(float));
	for (size_t i = 0; i < n; i++) {
		const float *from;

		if (writes[i].item != NULL &&
		    (from = features_of(writes[i].item, m, &count)) != NULL)
			memcpy(x + e->at[m][i] * dim, from, count * dim * sizeof(float));
	}
	e->x[m] = ist_alloc_aligned(total * model->dim[m], sizeof(float));
	if (ist_model_embed(model, m, x, total, e->x[m], NULL) != IST_OK)
		embed_each(model, m, writes, n, e);
}

/* The reference keeps the model alive, and tells the writer by which model it was. */
void ist_live_embed(struct ist_collection *c, const struct ist_write *writes, size_t n,
		    struct ist_embedded *ret)
{
	*ret = (struct ist_embedded){0};
	pthread_mutex_lock(&c->lock);
	if (c->generation != NULL)
		ret->generation = ist_generation_ref(c->generation);
	pthread_mutex_unlock(&c->lock);
	if (ret->generation == NULL) {
		ist_maintenance_want_load(c);
		return;
	}
	ret->failed = ist_alloc(n, sizeof(*ret->failed));
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
		embed_modality(ist_generation_model(ret->generation), m, writes, n, ret);
}

void ist_embedded_finish(struct ist_embedded *e)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		free(e->x[m]);
		free(e->at[m]);
	}
	free(e->failed);
	ist_generation_unref(e->generation);
	*e = (struct ist_embedded){0};
}

/* ---- publication ---- */

void ist_live_begin(struct ist_collection *c, struct ist_live_change *change)
{
	*change = (struct ist_live_change){.collection = c};
	/* Before anything becomes visible: who reads the new count also reads the commit. */
	c->version++;
	pthread_mutex_lock(&c->lock);
	if (c->generation != NULL)
		change->generation = ist_generation_ref(c->generation);
	change->last_row = c->last_row;
	pthread_mutex_unlock(&c->lock);
}

/* The model changed between the embedding and the commit: once more, here. */
static bool append_again(struct ist_generation *g, enum ist_modality m, int64_t row, const float *x,
			 size_t n)
{
	const struct ist_model *model = ist_generation_model(g);
	ist_autofree float *y = ist_alloc_aligned(n * model->dim[m], sizeof(float));

	if (ist_model_embed(model, m, x, n, y, NULL) != IST_OK)
		return false;
	for (size_t i = 0; i < n; i++)
		ist_generation_append(g, m, row, (uint32_t)i, y + i * model->dim[m]);
	return true;
}

/* All vectors of a row, or none that could be embedded. */
static bool append(struct ist_generation *g, enum ist_modality m, int64_t row,
		   const struct ist_item *item, const struct ist_embedded *e, size_t i)
{
	size_t n, dim = ist_generation_model(g)->dim[m];
	const float *x = features_of(item, m, &n);

	if (n == 0)
		return true;
	if (e->generation == NULL || ist_generation_model(e->generation) != ist_generation_model(g))
		return append_again(g, m, row, x, n);
	if (e->failed[i])
		return false;
	for (size_t j = 0; j < n; j++)
		ist_generation_append(g, m, row, (uint32_t)j, e->x[m] + (e->at[m][i] + j) * dim);
	return true;
}

void ist_live_add(struct ist_live_change *change, int64_t row, const struct ist_item *item,
		  const struct ist_embedded *embedded, size_t i)
{
	bool good = true;

	if (change->generation == NULL || row <= change->last_row)
		return;
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
		good &= append(change->generation, m, row, item, embedded, i);
	change->n_failed += !good;
	change->last_row = row;
}

void ist_live_publish(struct ist_live_change *change)
{
	struct ist_collection *c = change->collection;

	if (change->generation == NULL)
		return;
	ist_generation_publish(change->generation);
	pthread_mutex_lock(&c->lock);
	c->last_row = change->last_row;
	c->n_failed += change->n_failed;
	pthread_mutex_unlock(&c->lock);
}

static void note_kill(struct ist_kill_log *log, int64_t row)
{
	if (log->n == log->cap) {
		log->cap = log->cap * 2 + 64;
		log->rows = ist_resize(log->rows, log->cap, sizeof(*log->rows));
	}
	log->rows[log->n++] = row;
}

/* Counted before the row dies: a reader that misses it sees the count changed. */
void ist_live_kill(struct ist_live_change *change, int64_t row)
{
	struct ist_collection *c = change->collection;

	c->kills++;
	if (change->generation != NULL)
		ist_generation_kill(change->generation, row);
	pthread_mutex_lock(&c->lock);
	for (struct ist_kill_log *log = c->kill_logs; log != NULL; log = log->next)
		note_kill(log, row);
	pthread_mutex_unlock(&c->lock);
}

void ist_live_end(struct ist_live_change *change)
{
	ist_generation_unref(change->generation);
	change->generation = NULL;
	if (ist_live_wants_merge(change->collection))
		ist_maintenance_want_merge(change->collection);
}

/* ---- loading ---- */

struct adopt {
	struct ist_collection *collection;
	struct ist_built *built;
	int64_t model;
	struct ist_built old;
};

static void publish_adopt(struct ist_store *store, struct ist_db *db, void *user)
{
	struct adopt *adopt = user;

	ist_built_adopt(adopt->built, db, adopt->collection, adopt->model, &adopt->old);
}

static enum ist_code active_model(struct ist_collection *c, int64_t *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	enum ist_code code = ist_collection_take(c, &lease, err);

	if (code != IST_OK)
		return code;
	return ist_db_int(lease.db, IST_SQL_COLLECTION_MODEL, 0, ret, err, "i", c->id);
}

/* With build_lock held. */
static enum ist_code load(struct ist_collection *c, struct ist_err *err)
{
	struct ist_built built;
	struct adopt adopt = {.collection = c, .built = &built};
	enum ist_code code;

	ist_built_init(&built, c);
	if ((code = active_model(c, &adopt.model, err)) == IST_OK &&
	    (code = ist_built_load(&built, c, adopt.model, err)) == IST_OK) {
		c->rebuilding = built.rebuilding;
		code = ist_store_write(c->store, NULL, publish_adopt, &adopt, 0, err);
	}
	ist_built_finish(&built, c);
	ist_built_finish(&adopt.old, c);
	if (code == IST_OK && (c->rebuilding || ist_live_wants_merge(c)))
		ist_maintenance_want_merge(c);
	return code;
}

/* Pointer and watermark under one lock: of one generation. */
static bool take_live(struct ist_collection *c, struct ist_generation **ret,
		      struct ist_watermark *ret_mark, int64_t *ret_model)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = c->generation != NULL;
	if (there) {
		*ret = ist_generation_ref(c->generation);
		*ret_mark = ist_generation_watermark(c->generation);
		*ret_model = c->model;
	}
	pthread_mutex_unlock(&c->lock);
	return there;
}

/* The first to come loads, the others wait for it: faster than scanning SQLite would be. */
enum ist_code ist_live_get(struct ist_collection *c, struct ist_generation **ret,
			   struct ist_watermark *ret_mark, int64_t *ret_model, struct ist_err *err)
{
	enum ist_code code = ist_collection_check(c, err);

	if (code != IST_OK || take_live(c, ret, ret_mark, ret_model))
		return code;
	pthread_mutex_lock(&c->build_lock);
	/* Somebody else may have loaded it while we waited. */
	while (code == IST_OK && !take_live(c, ret, ret_mark, ret_model))
		code = load(c, err);
	pthread_mutex_unlock(&c->build_lock);
	return code;
}

/* ---- merges ---- */

enum { MERGE_FROM = 2000 }; /* fresh vectors; below it a scan of them costs next to nothing */

bool ist_built_is_fresh(const struct ist_store *store, const struct ist_generation *g)
{
	size_t at = store->options.merge_at;
	struct ist_generation_info info;

	ist_generation_info(g, &info);
	if (at == 0)
		at = IST_MAX((size_t)MERGE_FROM, info.base / 10);
	return info.fresh > at || (info.dead > at / 2 && info.dead > (info.base + info.fresh) / 5);
}

bool ist_live_wants_merge(struct ist_collection *c)
{
	bool wants;

	pthread_mutex_lock(&c->lock);
	wants = c->generation != NULL && ist_built_is_fresh(c->store, c->generation);
	pthread_mutex_unlock(&c->lock);
	return wants;
}

struct merge {
	struct ist_collection *collection;
	struct ist_generation *old, *merged;
	int64_t model, id;
};

/* The generation pointer is the writer's own: it may read it without the lock. */
static enum ist_code run_merge(struct ist_store *store, struct ist_db *db, void *user,
			       struct ist_err *err)
{
	struct merge *m = user;
	enum ist_code code = ist_collection_check(m->collection, err);

	if (code == IST_OK && m->collection->generation != m->old)
		code = ist_fail(err, IST_CANCELLED, "another model became active");
	if (code == IST_OK)
		code =
		    ist_generation_record(db, m->collection->id, m->model, m->id, m->merged, err);
	return code;
}

static void publish_merge(struct ist_store *store, struct ist_db *db, void *user)
{
	struct merge *m = user;
	struct ist_collection *c = m->collection;
	struct ist_generation *old = NULL;

	/* An activation earlier in this very batch: the files stay good, the pointer is theirs. */
	if (c->generation != m->old)
		return;
	ist_generation_carry(m->merged, m->old);
	pthread_mutex_lock(&c->lock);
	old = c->generation;
	c->generation = ist_generation_ref(m->merged);
	pthread_mutex_unlock(&c->lock);
	ist_generation_unref(old);
	c->rebuilding = false;
	store->merges++;
}

static bool must_stop(void *user)
{
	struct ist_collection *c = user;

	return c->store->stopping || c->deleted || c->activations > 0;
}

static enum ist_code merge(struct merge *m, int64_t last_row, struct ist_err *err)
{
	struct ist_collection *c = m->collection;
	struct ist_store *store = c->store;
	enum ist_code code;

	code = ist_generation_merge(m->old, last_row, must_stop, c, &m->merged, err);
	if (code != IST_OK)
		return code;
	pthread_mutex_lock(&store->files_lock);
	code = ist_generation_store(store, m->merged, &m->id, err);
	if (code == IST_OK)
		code = ist_store_write(store, run_merge, publish_merge, m, 0, err);
	pthread_mutex_unlock(&store->files_lock);
	ist_maintenance_want_clean(store);
	return code;
}

enum ist_code ist_live_merge(struct ist_collection *c, bool always, struct ist_err *err)
{
	struct merge m = {.collection = c};
	struct ist_watermark mark;
	int64_t last_row;
	enum ist_code code = ist_live_get(c, &m.old, &mark, &m.model, err);

	if (code != IST_OK)
		return code;
	pthread_mutex_lock(&c->build_lock);
	pthread_mutex_lock(&c->lock);
	last_row = c->last_row;
	if (c->generation != m.old) {
		ist_generation_unref(m.old);
		m.old = ist_generation_ref(c->generation);
		m.model = c->model;
	}
	pthread_mutex_unlock(&c->lock);
	if (always || c->rebuilding || ist_live_wants_merge(c)) {
		c->merging = true;
		code = merge(&m, last_row, err);
		c->merging = false;
	}
	pthread_mutex_unlock(&c->build_lock);
	ist_generation_unref(m.merged);
	ist_generation_unref(m.old);
	return code == IST_OK ? code : ist_wrap(err, "merge of %s", c->name);
}
