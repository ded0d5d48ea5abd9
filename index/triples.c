/*
 * Triples for composed retrieval: a reference item, a modifying text with its feature, a target
 * item. They name items by id, so that replacing an item keeps its triples.
 */
#include "core/base/memory.h"
#include "index/items.h"
#include "index/store_internal.h"

struct triples_op {
	struct ist_collection *collection;
	struct ist_triple *triples;
	size_t n;
};

static enum ist_code check_end(struct ist_db *db, int64_t collection, const char *end,
			       const char *id, struct ist_err *err)
{
	int64_t row;
	enum ist_code code = ist_db_int(db, IST_SQL_ITEM_ROW, 0, &row, err, "it", collection, id);

	if (code == IST_OK && row == 0)
		code = ist_fail(err, IST_NOT_FOUND, "no item %s (the %s)", id, end);
	return code;
}

static enum ist_code write_one(const struct triples_op *op, struct ist_db *db, struct ist_triple *t,
			       struct ist_err *err)
{
	const struct ist_collection *c = op->collection;
	enum ist_code code;

	if ((code = check_end(db, c->id, "reference", t->reference, err)) != IST_OK ||
	    (code = check_end(db, c->id, "target", t->target, err)) != IST_OK)
		return code;
	code = ist_db_run(db, IST_SQL_TRIPLE_ADD, err, "itttb", c->id, t->reference, t->target,
			  t->text, t->text_vector, c->encoder[IST_TEXT].dim * sizeof(float));
	t->status = sqlite3_changes(db->sql) > 0 ? IST_CREATED : IST_UNCHANGED;
	return code;
}

static enum ist_code run_triples(struct ist_store *store, struct ist_db *db, void *user,
				 struct ist_err *err)
{
	struct triples_op *op = user;
	struct ist_counts counts = {0};
	enum ist_code code = ist_collection_check(op->collection, err);

	for (size_t i = 0; code == IST_OK && i < op->n; i++) {
		struct ist_triple *t = &op->triples[i];

		t->err = (struct ist_err){0};
		code = write_one(op, db, t, &t->err);
		if (code == IST_NOT_FOUND) {
			t->status = IST_FAILED;
			code = IST_OK;
		} else if (code != IST_OK && err != NULL) {
			*err = t->err;
		}
		counts.triples += code == IST_OK && t->status == IST_CREATED;
	}
	if (code == IST_OK && counts.triples > 0)
		code = ist_counts_apply(db, op->collection->id, &counts, err);
	return code;
}

enum ist_code ist_triples_write(struct ist_collection *c, struct ist_triple *triples, size_t n,
				struct ist_err *err)
{
	struct triples_op op = {c, triples, n};

	return ist_store_write(c->store, run_triples, NULL, &op, n, err);
}

enum ist_code ist_triples_list(struct ist_collection *c, const char *item, int64_t after,
			       size_t limit, struct ist_arena *arena, struct ist_triple **ret,
			       size_t *ret_n, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	struct ist_triple *list = ist_arena_alloc(arena, limit, sizeof(*list));
	size_t n = 0;
	bool more = true;
	enum ist_code code = ist_collection_take(c, &lease, err);

	if (code == IST_OK && item != NULL)
		code = ist_db_bind(lease.db, IST_SQL_TRIPLES_OF_ITEM, &st, err, "iiit", c->id,
				   after, (int64_t)limit, item);
	else if (code == IST_OK)
		code = ist_db_bind(lease.db, IST_SQL_TRIPLES_LIST, &st, err, "iii", c->id, after,
				   (int64_t)limit);
	while (code == IST_OK && n < limit &&
	       (code = ist_db_step(lease.db, st, &more, err)) == IST_OK && more)
		list[n++] = (struct ist_triple){
		    .n = sqlite3_column_int64(st, 0),
		    .reference = ist_arena_strdup(arena, ist_db_text(st, 1)),
		    .target = ist_arena_strdup(arena, ist_db_text(st, 2)),
		    .text = ist_arena_strdup(arena, ist_db_text(st, 3)),
		};
	*ret = list;
	*ret_n = n;
	return code;
}
