/*
 * Generations made aside, while the live one goes on: from files, or from the stored features.
 * The way is always the same: start to note the rows that go (kill log), take what is there, catch
 * up, and on the writer's thread take the last rows before the swap.
 */
#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/live.h"

void ist_built_init(struct ist_built *built, struct ist_collection *c)
{
	*built = (struct ist_built){.kills = ist_alloc(1, sizeof(*built->kills))};
	pthread_mutex_lock(&c->lock);
	built->kills->next = c->kill_logs;
	c->kill_logs = built->kills;
	pthread_mutex_unlock(&c->lock);
}

void ist_built_finish(struct ist_built *built, struct ist_collection *c)
{
	struct ist_kill_log **at = &c->kill_logs;

	ist_generation_unref(built->generation);
	if (built->kills != NULL) {
		pthread_mutex_lock(&c->lock);
		while (*at != built->kills)
			at = &(*at)->next;
		*at = built->kills->next;
		pthread_mutex_unlock(&c->lock);
		free(built->kills->rows);
		free(built->kills);
	}
	*built = (struct ist_built){0};
}

enum ist_code ist_live_model(struct ist_collection *c, int64_t model, struct ist_model **ret,
			     struct ist_err *err)
{
	size_t dim[] = {c->encoder[IST_IMAGE].dim, c->encoder[IST_TEXT].dim};
	ist_autofree char *folder = NULL;
	struct ist_model *loaded = NULL;
	enum ist_code code;

	if (model == 0) {
		*ret = ist_identity_create(dim, c->same_space);
		return IST_OK;
	}
	folder = ist_model_folder(c->store, model);
	if ((code = ist_model_load(folder, &loaded, err)) != IST_OK)
		return ist_wrap(err, "model m_%lld", (long long)model);
	if (memcmp(loaded->dim_in, dim, sizeof(dim)) != 0) {
		ist_model_unref(loaded);
		return ist_fail(err, IST_CORRUPT,
				"model m_%lld: its inputs are not the collection's",
				(long long)model);
	}
	*ret = loaded;
	return IST_OK;
}

/* ---- rows into a generation ---- */

/* Takes n embedded vectors of one modality. */
typedef enum ist_code take_fn(struct ist_generation *g, enum ist_modality m, const int64_t *rows,
			      const uint32_t *ordinals, const float *y, size_t n,
			      struct ist_err *err);

static enum ist_code take_fresh(struct ist_generation *g, enum ist_modality m, const int64_t *rows,
				const uint32_t *ordinals, const float *y, size_t n,
				struct ist_err *err)
{
	for (size_t i = 0; i < n; i++)
		ist_generation_append(g, m, rows[i], ordinals[i],
				      y + i * ist_generation_model(g)->dim[m]);
	return IST_OK;
}

/* One by one, because embedding them together failed: what fails again is left out. */
static enum ist_code take_each(struct ist_built *built, const struct ist_feature_block *block,
			       enum ist_modality m, take_fn *take, struct ist_err *err)
{
	struct ist_generation *g = built->generation;
	const struct ist_model *model = ist_generation_model(g);
	ist_autofree float *y = ist_alloc_aligned(model->dim[m], sizeof(float));
	int64_t failed = 0;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < block->n_vectors[m]; i++) {
		int64_t row = block->row_of[m][i];

		if (ist_model_embed(model, m, block->x[m] + i * model->dim_in[m], 1, y, NULL) ==
		    IST_OK) {
			code = take(g, m, &row, &block->ordinal[m][i], y, 1, err);
		} else if (failed != row) {
			built->n_failed++;
			failed = row;
		}
	}
	return code;
}

static enum ist_code take_block(struct ist_built *built, const struct ist_feature_block *block,
				take_fn *take, struct ist_err *err)
{
	struct ist_generation *g = built->generation;
	const struct ist_model *model = ist_generation_model(g);
	enum ist_code code = IST_OK;

	for (enum ist_modality m = 0; code == IST_OK && m < IST_N_MODALITIES; m++) {
		size_t n = block->n_vectors[m];
		ist_autofree float *y = NULL;

		if (n == 0)
			continue;
		y = ist_alloc_aligned(n * model->dim[m], sizeof(float));
		if (ist_model_embed(model, m, block->x[m], n, y, NULL) == IST_OK)
			code = take(g, m, block->row_of[m], block->ordinal[m], y, n, err);
		else
			code = take_each(built, block, m, take, err);
	}
	return code;
}

/* All rows after built->last_row up to `upto`, in blocks. */
static enum ist_code take_rows(struct ist_built *built, struct ist_db *db, struct ist_collection *c,
			       int64_t upto, take_fn *take, const struct ist_train_hooks *hooks,
			       struct ist_err *err)
{
	ist_auto(ist_feature_block_finish) struct ist_feature_block block = {0};
	int64_t from = built->last_row;
	enum ist_code code = IST_OK;

	for (;;) {
		code = ist_feature_block_read(&block, db, c, built->last_row, upto, err);
		if (code != IST_OK || block.n == 0)
			break;
		if ((code = take_block(built, &block, take, err)) != IST_OK)
			break;
		built->last_row = block.rows[block.n - 1];
		if (c->store->stopping ||
		    (hooks != NULL && hooks->stop != NULL && hooks->stop(hooks->user)))
			return ist_fail(err, IST_CANCELLED, "stopped");
		if (hooks != NULL && hooks->progress != NULL && upto > from && upto != INT64_MAX)
			hooks->progress(hooks->user,
					0.5 * (double)(built->last_row - from) /
					    (double)(upto - from),
					"embedding");
	}
	return code;
}

/* The log is taken whole and emptied: the next catching up starts after it. */
static int64_t *take_kills(struct ist_built *built, struct ist_collection *c, size_t *ret_n)
{
	struct ist_kill_log *log = built->kills;
	int64_t *rows;

	pthread_mutex_lock(&c->lock);
	rows = ist_steal(&log->rows);
	*ret_n = log->n;
	log->n = log->cap = 0;
	pthread_mutex_unlock(&c->lock);
	return rows;
}

/* The log is taken before the rows are read: what replaces its rows is then among them, and a row
 * that goes meanwhile stays until the next time, when a reader finds it gone and tries again. Other
 * readers may be in this generation with an older watermark: deaths are counted for them too. */
enum ist_code ist_built_catch_up(struct ist_built *built, struct ist_db *db,
				 struct ist_collection *c, struct ist_err *err)
{
	size_t n;
	ist_autofree int64_t *killed = take_kills(built, c, &n);
	enum ist_code code = take_rows(built, db, c, INT64_MAX, take_fresh, NULL, err);

	ist_generation_publish(built->generation);
	if (n > 0)
		c->kills++;
	for (size_t i = 0; i < n; i++)
		ist_generation_kill(built->generation, killed[i]);
	return code;
}

/* ---- from files ---- */

static enum ist_code live_rows(struct ist_db *db, int64_t collection, int64_t upto, int64_t **ret,
			       size_t *ret_n, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	int64_t *rows = NULL;
	size_t n = 0, cap = 0;
	bool more = true;
	enum ist_code code;

	code = ist_db_bind(db, IST_SQL_ROWS_UPTO, &st, err, "ii", collection, upto);
	while (code == IST_OK && (code = ist_db_step(db, st, &more, err)) == IST_OK && more) {
		if (n == cap) {
			cap = cap * 2 + 1024;
			rows = ist_resize(rows, cap, sizeof(*rows));
		}
		rows[n++] = sqlite3_column_int64(st, 0);
	}
	if (code != IST_OK) {
		free(rows);
		return code;
	}
	*ret = rows;
	*ret_n = n;
	return IST_OK;
}

/* The number and the last row of the newest saved base of a model; number 0: none. */
static enum ist_code newest(struct ist_db *db, struct ist_collection *c, int64_t model,
			    int64_t *ret_id, struct ist_err *err)
{
	return ist_db_int(db, IST_SQL_GENERATION_NEWEST, 0, ret_id, err, "ii", c->id, model);
}

/* Files cover rows <= base_row, some of which have gone since. */
static enum ist_code load_files(struct ist_built *built, struct ist_db *db,
				struct ist_collection *c, struct ist_model *model, int64_t id,
				struct ist_err *err)
{
	ist_autofree char *folder = ist_generation_folder(c->store, id);
	ist_autofree int64_t *live = NULL;
	struct ist_generation_info info;
	size_t n;
	enum ist_code code;

	if ((code = ist_generation_load(model, folder, &built->generation, err)) != IST_OK)
		return code;
	ist_generation_info(built->generation, &info);
	if ((code = live_rows(db, c->id, info.base_row, &live, &n, err)) != IST_OK)
		return code;
	ist_generation_keep_only(built->generation, live, n);
	built->last_row = info.base_row;
	return IST_OK;
}

/* Damaged files are no error: all is embedded again, searched exactly, and merged later. */
enum ist_code ist_built_load(struct ist_built *built, struct ist_collection *c, int64_t model,
			     struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *loaded = NULL;
	struct ist_err why = {0};
	int64_t id = 0;
	enum ist_code code;

	if ((code = ist_live_model(c, model, &loaded, err)) != IST_OK ||
	    (code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = newest(lease.db, c, model, &id, err)) != IST_OK)
		return code;
	if (id != 0 && load_files(built, lease.db, c, loaded, id, &why) != IST_OK) {
		ist_store_event(c->store, IST_EVENT_WARNING, "index_rebuilding",
				"collection %s, generation g_%lld: %s", c->name, (long long)id,
				why.text);
		ist_generation_unref(built->generation);
		built->generation = NULL;
		built->rebuilding = true;
	}
	if (built->generation == NULL)
		built->generation = ist_generation_create(loaded);
	return ist_built_catch_up(built, lease.db, c, err);
}

/* ---- from features ---- */

enum ist_code ist_generation_store(struct ist_store *store, const struct ist_generation *g,
				   int64_t *ret_id, struct ist_err *err)
{
	int64_t id = store->next_generation++;
	ist_autofree char *folder = ist_generation_folder(store, id);
	enum ist_code code = ist_generation_save(g, folder, err);

	if (code == IST_OK)
		*ret_id = id;
	else if (ist_dir_remove(folder, NULL) != IST_OK)
		return code; /* the sweep at the next start takes it */
	return code;
}

enum ist_code ist_generation_record(struct ist_db *db, int64_t collection, int64_t model,
				    int64_t id, const struct ist_generation *g, struct ist_err *err)
{
	struct ist_generation_info info;
	enum ist_code code;

	ist_generation_info(g, &info);
	code = ist_db_run(db, IST_SQL_GENERATIONS_REMOVE, err, "ii", collection, model);
	if (code != IST_OK)
		return code;
	return ist_db_run(db, IST_SQL_GENERATION_ADD, err, "iiiitidi", id, collection, model,
			  info.base_row, info.kind != NULL ? info.kind : "flat",
			  (int64_t)info.base_items, info.recall, ist_db_now());
}

struct stopper {
	struct ist_store *store;
	const struct ist_train_hooks *hooks;
};

static bool must_stop(void *user)
{
	const struct stopper *s = user;

	if (s->hooks != NULL && s->hooks->progress != NULL)
		s->hooks->progress(s->hooks->user, 0.6, "indexing");
	return s->store->stopping ||
	       (s->hooks != NULL && s->hooks->stop != NULL && s->hooks->stop(s->hooks->user));
}

/* Rows that come while the index is built are caught up after it, before the writer is
 * troubled. */
enum ist_code ist_built_make(struct ist_built *built, struct ist_collection *c, int64_t model,
			     const struct ist_train_hooks *hooks, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *loaded = NULL;
	struct stopper stopper = {c->store, hooks};
	int64_t upto = 0;
	enum ist_code code;

	if ((code = ist_live_model(c, model, &loaded, err)) != IST_OK ||
	    (code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_int(lease.db, IST_SQL_ROWS_LAST, 0, &upto, err, "i", c->id)) != IST_OK)
		return code;
	built->generation = ist_generation_create(loaded);
	code = take_rows(built, lease.db, c, upto, ist_generation_base_add, hooks, err);
	if (code != IST_OK)
		return code;
	built->last_row = upto;
	code = ist_generation_base_finish(built->generation, upto, NULL, must_stop, &stopper, err);
	if (code == IST_OK)
		code = ist_built_catch_up(built, lease.db, c, err);
	return code;
}

/* ---- the swap ---- */

/* A failure here leaves rows out until the next start; it is reported, the swap goes on. */
void ist_built_adopt(struct ist_built *built, struct ist_db *db, struct ist_collection *c,
		     int64_t model, struct ist_built *ret_old)
{
	struct ist_err err = {0};

	if (ist_built_catch_up(built, db, c, &err) != IST_OK)
		ist_store_event(c->store, IST_EVENT_ERROR, "catch_up_failed", "collection %s: %s",
				c->name, err.text);
	pthread_mutex_lock(&c->lock);
	ret_old->generation = c->generation;
	ret_old->last_row = c->last_row;
	ret_old->n_failed = c->n_failed;
	c->generation = ist_steal(&built->generation);
	c->model = model;
	c->last_row = built->last_row;
	c->n_failed = built->n_failed;
	/* The old one misses what goes from now on: it inherits this log. */
	ret_old->kills = ist_steal(&built->kills);
	pthread_mutex_unlock(&c->lock);
}
