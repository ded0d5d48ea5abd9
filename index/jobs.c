/* Jobs' rows. What a job does is the server's business; here it is kept that there is one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/store_internal.h"

/* Only the one spelling that we print. */
static int64_t job_number(const char *id)
{
	char check[32];
	int64_t number;

	if (sscanf(id, "j_%" SCNd64, &number) != 1 || number < 1)
		return -1;
	snprintf(check, sizeof(check), "j_%" PRId64, number);
	return strcmp(check, id) == 0 ? number : -1;
}

struct add_op {
	struct ist_job_row *row;
	int64_t number, now;
};

/* The key is looked up inside the transaction: of two at once one is refused. */
static enum ist_code run_add(struct ist_store *store, struct ist_db *db, void *user,
			     struct ist_err *err)
{
	struct add_op *op = user;
	const struct ist_job_row *row = op->row;
	int64_t known = 0;
	enum ist_code code = IST_OK;

	if (row->idempotency_key != NULL)
		code =
		    ist_db_int(db, IST_SQL_JOB_BY_KEY, 0, &known, err, "t", row->idempotency_key);
	if (code == IST_OK && known != 0)
		code = ist_fail(err, IST_CONFLICT, "a job with this idempotency key exists");
	if (code != IST_OK)
		return code;
	op->now = ist_db_now();
	code = ist_db_run(db, IST_SQL_JOB_ADD, err, "ttttttttiiii", row->kind, row->collection,
			  row->state, row->request, row->progress != NULL ? row->progress : "{}",
			  row->result, row->error, row->idempotency_key, (int64_t)row->attempts,
			  op->now, row->started_us, row->finished_us);
	op->number = sqlite3_last_insert_rowid(db->sql);
	return code;
}

enum ist_code ist_jobs_add(struct ist_store *store, struct ist_job_row *row, struct ist_err *err)
{
	struct add_op op = {.row = row};
	enum ist_code code = ist_store_write(store, run_add, NULL, &op, 0, err);

	if (code != IST_OK)
		return code;
	snprintf(row->id, sizeof(row->id), "j_%" PRId64, op.number);
	row->created_us = op.now;
	return IST_OK;
}

struct update_op {
	const struct ist_job_row *row;
	const char *expect_state;
	int64_t number;
};

/* From the expected state only: of two that end a job one is told so. */
static enum ist_code run_update(struct ist_store *store, struct ist_db *db, void *user,
				struct ist_err *err)
{
	const struct update_op *op = user;
	const struct ist_job_row *row = op->row;
	int64_t there;
	enum ist_code code;

	code = ist_db_run(db, IST_SQL_JOB_UPDATE, err, "itttttiii", op->number, op->expect_state,
			  row->state, row->progress, row->result, row->error,
			  (int64_t)row->attempts, row->started_us, row->finished_us);
	if (code != IST_OK || sqlite3_changes(db->sql) > 0)
		return code;
	if ((code = ist_db_int(db, IST_SQL_JOB_EXISTS, 0, &there, err, "i", op->number)) != IST_OK)
		return code;
	if (there == 0)
		return ist_fail(err, IST_NOT_FOUND, "no job %s", row->id);
	return ist_fail(err, IST_CONFLICT, "the job %s is no longer %s", row->id, op->expect_state);
}

enum ist_code ist_jobs_update(struct ist_store *store, const struct ist_job_row *row,
			      const char *expect_state, struct ist_err *err)
{
	struct update_op op = {row, expect_state, job_number(row->id)};

	if (op.number < 0)
		return ist_fail(err, IST_NOT_FOUND, "no job %s", row->id);
	return ist_store_write(store, run_update, NULL, &op, 0, err);
}

/* ---- reading ---- */

static const char *copy(struct ist_arena *arena, sqlite3_stmt *st, int column)
{
	const char *text = ist_db_text(st, column);

	return text != NULL ? ist_arena_strdup(arena, text) : NULL;
}

static void read_row(sqlite3_stmt *st, struct ist_arena *arena, struct ist_job_row *ret)
{
	*ret = (struct ist_job_row){
	    .kind = copy(arena, st, 1),
	    .collection = copy(arena, st, 2),
	    .state = copy(arena, st, 3),
	    .request = copy(arena, st, 4),
	    .progress = copy(arena, st, 5),
	    .result = copy(arena, st, 6),
	    .error = copy(arena, st, 7),
	    .idempotency_key = copy(arena, st, 8),
	    .attempts = (int)sqlite3_column_int64(st, 9),
	    .created_us = sqlite3_column_int64(st, 10),
	    .started_us = sqlite3_column_int64(st, 11),
	    .finished_us = sqlite3_column_int64(st, 12),
	};
	snprintf(ret->id, sizeof(ret->id), "j_%lld", (long long)sqlite3_column_int64(st, 0));
}

static enum ist_code get(struct ist_db *db, int64_t number, struct ist_arena *arena,
			 struct ist_job_row *ret, bool *ret_found, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code = ist_db_bind(db, IST_SQL_JOB_GET, &st, err, "i", number);

	if (code == IST_OK)
		code = ist_db_step(db, st, ret_found, err);
	if (code == IST_OK && *ret_found)
		read_row(st, arena, ret);
	return code;
}

enum ist_code ist_jobs_get(struct ist_store *store, const char *id, struct ist_arena *arena,
			   struct ist_job_row *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	enum ist_code code = ist_db_take(&store->pool, &lease, err);
	bool found = false;

	if (code == IST_OK)
		code = get(lease.db, job_number(id), arena, ret, &found, err);
	if (code == IST_OK && !found)
		code = ist_fail(err, IST_NOT_FOUND, "no job %s", id);
	return code;
}

enum ist_code ist_jobs_find_key(struct ist_store *store, const char *idempotency_key,
				struct ist_arena *arena, struct ist_job_row *ret,
				struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	enum ist_code code = ist_db_take(&store->pool, &lease, err);
	bool found = false;
	int64_t number = 0;

	if (code == IST_OK)
		code =
		    ist_db_int(lease.db, IST_SQL_JOB_BY_KEY, 0, &number, err, "t", idempotency_key);
	if (code == IST_OK)
		code = get(lease.db, number, arena, ret, &found, err);
	if (code == IST_OK && !found)
		code = ist_fail(err, IST_NOT_FOUND, "no job of this idempotency key");
	return code;
}

enum ist_code ist_jobs_list(struct ist_store *store, const char *before, const char *state,
			    const char *collection, size_t limit, struct ist_arena *arena,
			    struct ist_job_row **ret, size_t *ret_n, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	int64_t from = INT64_MAX;
	struct ist_job_row *rows;
	size_t n = 0;
	bool more = true;
	enum ist_code code = ist_db_take(&store->pool, &lease, err);

	if (code != IST_OK)
		return code;
	if (before != NULL && before[0] != '\0' && (from = job_number(before)) < 0)
		return ist_fail(err, IST_INVALID, "not a job's id: %s", before);
	rows = ist_arena_alloc(arena, limit, sizeof(*rows));
	code = ist_db_bind(lease.db, IST_SQL_JOBS_LIST, &st, err, "itti", from, state, collection,
			   (int64_t)limit);
	while (code == IST_OK && n < limit &&
	       (code = ist_db_step(lease.db, st, &more, err)) == IST_OK && more)
		read_row(st, arena, &rows[n++]);
	*ret = rows;
	*ret_n = n;
	return code;
}
