/*
 * Models' rows and folders. A folder is complete and durable before its row is written; a folder
 * without a row is nobody's and is removed. "identity" has no row: every collection has it.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/live.h"
#include "index/maintenance.h"

/* Only the one spelling that we print: "m_03" is no model. */
int64_t ist_model_number(const char *id)
{
	char check[32];
	int64_t number;

	if (strcmp(id, "identity") == 0)
		return 0;
	if (sscanf(id, "m_%" SCNd64, &number) != 1 || number < 1)
		return -1;
	snprintf(check, sizeof(check), "m_%" PRId64, number);
	return strcmp(check, id) == 0 ? number : -1;
}

void ist_model_id(int64_t number, char ret[32])
{
	if (number == 0)
		snprintf(ret, 32, "identity");
	else
		snprintf(ret, 32, "m_%" PRId64, number);
}

char *ist_model_folder(const struct ist_store *store, int64_t number)
{
	return ist_format("%s/models/m_%" PRId64, store->folder, number);
}

char *ist_generation_folder(const struct ist_store *store, int64_t id)
{
	return ist_format("%s/generations/g_%" PRId64, store->folder, id);
}

static enum ist_code unknown(const char *id, struct ist_err *err)
{
	return ist_fail(err, IST_NOT_FOUND, "no model %s", id);
}

/* ---- adding ---- */

struct add_op {
	struct ist_collection *collection;
	const struct ist_model *model;
	const char *params, *report;
	int64_t number;
};

static enum ist_code run_add(struct ist_store *store, struct ist_db *db, void *user,
			     struct ist_err *err)
{
	struct add_op *op = user;
	enum ist_code code = ist_collection_check(op->collection, err);

	if (code != IST_OK)
		return code;
	return ist_db_run(db, IST_SQL_MODEL_ADD, err, "iitttiii", op->number, op->collection->id,
			  op->model->method->name, op->params, op->report,
			  (int64_t)op->model->dim[IST_IMAGE], (int64_t)op->model->seed,
			  ist_db_now());
}

/* The number is taken before the folder is written; a number without a model is no harm. */
enum ist_code ist_models_add(struct ist_collection *c, const struct ist_model *model,
			     const json_t *report, char ret_id[32], struct ist_err *err)
{
	struct ist_store *store = c->store;
	struct add_op op = {.collection = c, .model = model, .number = store->next_model++};
	ist_autofree char *folder = ist_model_folder(store, op.number);
	ist_autofree char *params = json_dumps(model->params, JSON_COMPACT | JSON_SORT_KEYS);
	ist_autofree char *text = report != NULL ? json_dumps(report, JSON_COMPACT) : NULL;
	enum ist_code code;

	op.params = params != NULL ? params : "{}";
	op.report = text != NULL ? text : "null";
	pthread_mutex_lock(&store->files_lock);
	code = ist_model_save(model, folder, err);
	if (code == IST_OK)
		code = ist_store_write(store, run_add, NULL, &op, 0, err);
	if (code != IST_OK && ist_dir_remove(folder, NULL) != IST_OK)
		ist_maintenance_want_clean(store);
	pthread_mutex_unlock(&store->files_lock);
	if (code == IST_OK)
		ist_model_id(op.number, ret_id);
	return code;
}

/* ---- reading ---- */

static void read_row(sqlite3_stmt *st, int64_t active, struct ist_arena *arena,
		     struct ist_model_info *ret)
{
	int64_t number = sqlite3_column_int64(st, 0);

	*ret = (struct ist_model_info){
	    .params = ist_arena_strdup(arena, ist_db_text(st, 2)),
	    .report = ist_arena_strdup(arena, ist_db_text(st, 3)),
	    .dim = (size_t)sqlite3_column_int64(st, 4),
	    .seed = (uint64_t)sqlite3_column_int64(st, 5),
	    .created_us = sqlite3_column_int64(st, 6),
	    .active = number == active,
	};
	ist_model_id(number, ret->id);
	snprintf(ret->method, sizeof(ret->method), "%s", ist_db_text(st, 1));
}

/* The row of identity, which is not stored. Its width is the picture side's. */
static enum ist_code read_identity(struct ist_collection *c, struct ist_db *db, int64_t active,
				   struct ist_model_info *ret, struct ist_err *err)
{
	int64_t created;
	enum ist_code code;

	code = ist_db_int(db, IST_SQL_COLLECTION_CREATED, 0, &created, err, "i", c->id);
	if (code != IST_OK)
		return code;
	*ret = (struct ist_model_info){.id = "identity",
				       .method = "identity",
				       .params = "{}",
				       .report = "null",
				       .dim = c->encoder[IST_IMAGE].dim,
				       .active = active == 0,
				       .created_us = created};
	return IST_OK;
}

static enum ist_code get(struct ist_collection *c, struct ist_db *db, int64_t number,
			 struct ist_arena *arena, struct ist_model_info *ret, bool *ret_found,
			 struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	int64_t active;
	enum ist_code code;

	*ret_found = true;
	code = ist_db_int(db, IST_SQL_COLLECTION_MODEL, 0, &active, err, "i", c->id);
	if (code != IST_OK)
		return code;
	if (number == 0)
		return read_identity(c, db, active, ret, err);
	code = ist_db_bind(db, IST_SQL_MODEL_GET, &st, err, "ii", c->id, number);
	if (code != IST_OK || (code = ist_db_step(db, st, ret_found, err)) != IST_OK)
		return code;
	if (*ret_found)
		read_row(st, active, arena, ret);
	return IST_OK;
}

enum ist_code ist_models_get(struct ist_collection *c, const char *id, struct ist_arena *arena,
			     struct ist_model_info *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	int64_t number = ist_model_number(id);
	enum ist_code code = ist_collection_take(c, &lease, err);
	bool found = false;

	if (code == IST_OK && number >= 0)
		code = get(c, lease.db, number, arena, ret, &found, err);
	if (code == IST_OK && !found)
		code = unknown(id, err);
	return code;
}

enum ist_code ist_models_list(struct ist_collection *c, const char *after, size_t limit,
			      struct ist_arena *arena, struct ist_model_info **ret, size_t *ret_n,
			      struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	int64_t from = after == NULL || after[0] == '\0' ? -1 : ist_model_number(after), active;
	struct ist_model_info *list;
	size_t n = 0;
	bool row = true;
	enum ist_code code = ist_collection_take(c, &lease, err);

	if (code != IST_OK)
		return code;
	if (from < 0 && after != NULL && after[0] != '\0')
		return ist_fail(err, IST_INVALID, "not a model's id: %s", after);
	list = ist_arena_alloc(arena, limit, sizeof(*list));
	code = ist_db_int(lease.db, IST_SQL_COLLECTION_MODEL, 0, &active, err, "i", c->id);
	if (code == IST_OK && from < 0 && limit > 0)
		code = read_identity(c, lease.db, active, &list[n++], err);
	if (code == IST_OK)
		code = ist_db_bind(lease.db, IST_SQL_MODELS_LIST, &st, err, "iii", c->id,
				   from < 0 ? (int64_t)0 : from, (int64_t)(limit - n));
	while (code == IST_OK && n < limit &&
	       (code = ist_db_step(lease.db, st, &row, err)) == IST_OK && row)
		read_row(st, active, arena, &list[n++]);
	*ret = list;
	*ret_n = n;
	return code;
}

/* ---- changing ---- */

struct report_op {
	struct ist_collection *collection;
	int64_t number;
	const char *report;
};

static enum ist_code run_report(struct ist_store *store, struct ist_db *db, void *user,
				struct ist_err *err)
{
	const struct report_op *op = user;
	enum ist_code code;

	code = ist_db_run(db, IST_SQL_MODEL_SET_REPORT, err, "iit", op->collection->id, op->number,
			  op->report);
	if (code == IST_OK && sqlite3_changes(db->sql) == 0)
		code = ist_fail(err, IST_NOT_FOUND, "no such model");
	return code;
}

enum ist_code ist_models_set_report(struct ist_collection *c, const char *id, const json_t *report,
				    struct ist_err *err)
{
	ist_autofree char *text = json_dumps(report, JSON_COMPACT | JSON_ENCODE_ANY);
	struct report_op op = {c, ist_model_number(id), text != NULL ? text : "null"};

	if (op.number <= 0)
		return unknown(id, err);
	return ist_store_write(c->store, run_report, NULL, &op, 0, err);
}

struct delete_op {
	struct ist_collection *collection;
	int64_t number;
};

/* Checked inside the transaction: it may have become active a moment ago. */
static enum ist_code run_delete(struct ist_store *store, struct ist_db *db, void *user,
				struct ist_err *err)
{
	const struct delete_op *op = user;
	int64_t collection = op->collection->id, active;
	enum ist_code code = ist_collection_check(op->collection, err);

	if (code == IST_OK)
		code = ist_db_int(db, IST_SQL_COLLECTION_MODEL, 0, &active, err, "i", collection);
	if (code == IST_OK && active == op->number)
		code = ist_fail(err, IST_CONFLICT, "m_%" PRId64 " is the active model", active);
	if (code == IST_OK)
		code = ist_db_run(db, IST_SQL_MODEL_REMOVE, err, "ii", collection, op->number);
	if (code == IST_OK && sqlite3_changes(db->sql) == 0)
		code = ist_fail(err, IST_NOT_FOUND, "no model m_%" PRId64, op->number);
	if (code == IST_OK)
		code =
		    ist_db_run(db, IST_SQL_GENERATIONS_REMOVE, err, "ii", collection, op->number);
	return code;
}

enum ist_code ist_models_delete(struct ist_collection *c, const char *id, struct ist_err *err)
{
	struct delete_op op = {c, ist_model_number(id)};
	struct ist_built cached = {0};
	enum ist_code code;

	if (op.number == 0)
		return ist_fail(err, IST_CONFLICT, "identity stays with its collection");
	if (op.number < 0)
		return unknown(id, err);
	if ((code = ist_store_write(c->store, run_delete, NULL, &op, 0, err)) != IST_OK)
		return code;
	if (ist_cache_take(c, op.number, &cached))
		ist_built_finish(&cached, c);
	ist_maintenance_want_clean(c->store);
	return IST_OK;
}

enum ist_code ist_models_load(struct ist_collection *c, const char *id, struct ist_model **ret,
			      struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	int64_t number = ist_model_number(id), there = number == 0;
	enum ist_code code = ist_collection_take(c, &lease, err);

	if (code == IST_OK && number > 0)
		code =
		    ist_db_int(lease.db, IST_SQL_MODEL_EXISTS, 0, &there, err, "ii", c->id, number);
	if (code != IST_OK)
		return code;
	return there ? ist_live_model(c, number, ret, err) : unknown(id, err);
}

enum ist_code ist_models_bytes(struct ist_collection *c, const char *id, uint64_t *ret,
			       struct ist_err *err)
{
	int64_t number = ist_model_number(id);
	ist_autofree char *folder = ist_model_folder(c->store, number);
	const struct dirent *entry;
	struct stat st;
	DIR *dir;

	*ret = 0;
	if (number <= 0)
		return number == 0 ? IST_OK : unknown(id, err);
	dir = opendir(folder);
	if (dir == NULL)
		return unknown(id, err);
	while ((entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			*ret += (uint64_t)st.st_size;
	}
	closedir(dir);
	return IST_OK;
}

enum ist_code ist_models_previous(struct ist_collection *c, char ret_id[32], struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	int64_t replaced, there = 1;
	enum ist_code code = ist_collection_take(c, &lease, err);

	if (code == IST_OK)
		code =
		    ist_db_int(lease.db, IST_SQL_ACTIVATION_LATEST, -1, &replaced, err, "i", c->id);
	if (code != IST_OK)
		return code;
	if (replaced < 0)
		return ist_fail(err, IST_CONFLICT, "no model was activated yet");
	if (replaced > 0)
		code = ist_db_int(lease.db, IST_SQL_MODEL_EXISTS, 0, &there, err, "ii", c->id,
				  replaced);
	if (code == IST_OK && there == 0)
		return ist_fail(err, IST_CONFLICT,
				"m_%" PRId64 ", which was active before, is deleted", replaced);
	if (code == IST_OK)
		ist_model_id(replaced, ret_id);
	return code;
}
