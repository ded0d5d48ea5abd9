/*
 * Deleting many: by filter or by ids, in one transaction, so that a failure deletes none. The
 * filter is evaluated inside the transaction: what it deletes is what matches at that moment.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/filter_sql.h"
#include "index/items.h"
#include "index/live.h"
#include "index/store_internal.h"

struct delete_op {
	struct ist_collection *collection;
	const struct ist_filter *filter;
	const char *const *ids;
	size_t n_ids;
	struct ist_rows *rows; /* what was deleted */
	struct ist_released released;
};

/* The rows of the ids that are there, each once. */
static enum ist_code rows_of_ids(struct ist_db *db, const struct ist_collection *c,
				 const char *const *ids, size_t n, struct ist_rows **ret,
				 struct ist_err *err)
{
	json_t *values = json_array();
	struct ist_filter filter = {.op = IST_FILTER_IN, .field = (char *)"id", .n = n};
	enum ist_code code;

	filter.values = ist_alloc(n, sizeof(*filter.values));
	for (size_t i = 0; i < n; i++) {
		filter.values[i] = json_string_nocheck(ids[i]);
		json_array_append_new(values, filter.values[i]);
	}
	code = ist_filter_rows(db, c, &filter, ret, err);
	free(filter.values);
	json_decref(values);
	return code;
}

static enum ist_code matching(struct ist_db *db, struct delete_op *op, struct ist_err *err)
{
	ist_rows_unref(op->rows);
	op->rows = NULL;
	if (op->filter != NULL)
		return ist_filter_rows(db, op->collection, op->filter, &op->rows, err);
	return rows_of_ids(db, op->collection, op->ids, op->n_ids, &op->rows, err);
}

static enum ist_code run_delete(struct ist_store *store, struct ist_db *db, void *user,
				struct ist_err *err)
{
	struct delete_op *op = user;
	struct ist_counts counts = {0};
	enum ist_code code = ist_collection_check(op->collection, err);

	op->released.n = 0;
	if (code == IST_OK)
		code = matching(db, op, err);
	for (size_t i = 0; code == IST_OK && i < op->rows->n; i++)
		code = ist_item_remove(store, db, op->collection->id, op->rows->rows[i], true,
				       &counts, &op->released, err);
	if (code == IST_OK)
		code = ist_released_settle(db, &op->released, err);
	if (code == IST_OK && op->rows->n > 0)
		code = ist_counts_apply(db, op->collection->id, &counts, err);
	return code;
}

static void publish_delete(struct ist_store *store, struct ist_db *db, void *user)
{
	struct delete_op *op = user;
	struct ist_live_change change;

	ist_live_begin(op->collection, &change);
	for (size_t i = 0; i < op->rows->n; i++)
		ist_live_kill(&change, op->rows->rows[i]);
	ist_live_end(&change);
	ist_released_drop(store, db, &op->released);
	store->writes += (long long)op->rows->n;
}

static enum ist_code count_only(struct delete_op *op, int64_t *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_read_end) struct ist_db_read read = {0};
	enum ist_code code;

	if ((code = ist_collection_take(op->collection, &lease, err)) == IST_OK &&
	    (code = ist_db_read_begin(lease.db, &read, err)) == IST_OK &&
	    (code = matching(lease.db, op, err)) == IST_OK)
		*ret = (int64_t)op->rows->n;
	return code;
}

enum ist_code ist_items_delete(struct ist_collection *c, const struct ist_filter *filter,
			       const char *const *ids, size_t n_ids, bool dry_run,
			       int64_t *ret_matched, int64_t *ret_deleted, struct ist_err *err)
{
	struct delete_op op = {c, filter, ids, n_ids, NULL, {0}};
	int64_t matched = 0;
	enum ist_code code;

	if (dry_run)
		code = count_only(&op, &matched, err);
	else
		code = ist_store_write(c->store, run_delete, publish_delete, &op, 1000, err);
	if (code == IST_OK) {
		*ret_matched = dry_run ? matched : (int64_t)op.rows->n;
		*ret_deleted = dry_run ? 0 : *ret_matched;
	}
	ist_rows_unref(op.rows);
	ist_released_finish(&op.released);
	return code;
}
