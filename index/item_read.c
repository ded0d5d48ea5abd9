/*
 * Reading items: single ones into an arena, pages in the order of ids, and blocks of features in
 * the order of rows. Nothing here keeps a transaction beyond the call.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/filter_sql.h"
#include "index/items.h"
#include "index/store_internal.h"

static char *copy_text(struct ist_arena *arena, sqlite3_stmt *st, int column)
{
	const char *text = ist_db_text(st, column);

	return text != NULL ? ist_arena_strdup(arena, text) : NULL;
}

/* The columns of ITEM_GET. */
static void read_columns(sqlite3_stmt *st, struct ist_arena *arena, struct ist_item *ret)
{
	int64_t given = sqlite3_column_int64(st, 8);

	*ret = (struct ist_item){
	    .row = sqlite3_column_int64(st, 0),
	    .id = copy_text(arena, st, 1),
	    .label = copy_text(arena, st, 3),
	    .metadata = copy_text(arena, st, 4),
	    .n_texts = (size_t)sqlite3_column_int64(st, 5),
	    .n_text_vectors = (size_t)sqlite3_column_int64(st, 7),
	    .given = {(given & 1) != 0, (given & 2) != 0},
	    .created_us = sqlite3_column_int64(st, 9),
	    .updated_us = sqlite3_column_int64(st, 10),
	};
	if (sqlite3_column_bytes(st, 2) != IST_SHA256_SIZE)
		return;
	ret->has_image = true;
	ist_hex(sqlite3_column_blob(st, 2), IST_SHA256_SIZE, ret->image.sha256);
	ret->image.type = copy_text(arena, st, 11);
	ret->image.width = (uint32_t)sqlite3_column_int64(st, 12);
	ret->image.height = (uint32_t)sqlite3_column_int64(st, 13);
	ret->image.bytes = (uint64_t)sqlite3_column_int64(st, 14);
}

/* Texts lie together, in their order: one range of the tree. */
static enum ist_code read_texts(struct ist_db *db, struct ist_arena *arena, struct ist_item *item,
				struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	const char **texts;
	size_t n = 0;
	bool more = true;
	enum ist_code code;

	if (item->n_texts == 0)
		return IST_OK;
	texts = ist_arena_alloc(arena, item->n_texts, sizeof(*texts));
	code = ist_db_bind(db, IST_SQL_TEXTS_GET, &st, err, "i", item->row);
	while (code == IST_OK && n < item->n_texts &&
	       (code = ist_db_step(db, st, &more, err)) == IST_OK && more)
		texts[n++] = copy_text(arena, st, 0);
	item->texts = texts;
	item->n_texts = n;
	return code;
}

static const float *copy_vector(struct ist_arena *arena, sqlite3_stmt *st, int column)
{
	int bytes = sqlite3_column_bytes(st, column);
	void *copy;

	if (bytes <= 0)
		return NULL;
	copy = ist_arena_alloc(arena, (size_t)bytes, 1);
	return memcpy(copy, sqlite3_column_blob(st, column), (size_t)bytes);
}

static enum ist_code read_vectors(struct ist_db *db, struct ist_arena *arena, struct ist_item *item,
				  struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code;
	bool row;

	code = ist_db_bind(db, IST_SQL_FEATURES_GET, &st, err, "i", item->row);
	if (code != IST_OK || (code = ist_db_step(db, st, &row, err)) != IST_OK || !row)
		return code;
	item->image_vector = copy_vector(arena, st, 0);
	item->text_vectors = copy_vector(arena, st, 1);
	return IST_OK;
}

/* Without the vectors: a hint that there are some, so that counts and filters see them. */
static const float there[1];

enum ist_code ist_item_read(struct ist_db *db, int64_t row, bool with_vectors,
			    struct ist_arena *arena, struct ist_item *ret, bool *ret_found,
			    struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	bool has_image_vector;
	enum ist_code code;

	code = ist_db_bind(db, IST_SQL_ITEM_GET, &st, err, "i", row);
	if (code != IST_OK || (code = ist_db_step(db, st, ret_found, err)) != IST_OK || !*ret_found)
		return code;
	read_columns(st, arena, ret);
	has_image_vector = sqlite3_column_int64(st, 6) != 0;
	sqlite3_reset(st);
	if (with_vectors) {
		if ((code = read_vectors(db, arena, ret, err)) != IST_OK)
			return code;
	} else if (has_image_vector) {
		ret->image_vector = there;
	}
	return read_texts(db, arena, ret, err);
}

/* What readers get shows no vector that they did not ask for. */
static void hide_hint(struct ist_item *item)
{
	if (item->image_vector == there)
		item->image_vector = NULL;
}

enum ist_code ist_item_get(struct ist_collection *c, const char *id, bool with_vectors,
			   struct ist_arena *arena, struct ist_item *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_read_end) struct ist_db_read read = {0};
	enum ist_code code;
	bool found = false;
	int64_t row;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_read_begin(lease.db, &read, err)) != IST_OK ||
	    (code = ist_db_int(lease.db, IST_SQL_ITEM_ROW, 0, &row, err, "it", c->id, id)) !=
		IST_OK)
		return code;
	if (row != 0)
		code = ist_item_read(lease.db, row, with_vectors, arena, ret, &found, err);
	if (code == IST_OK && !found)
		code = ist_fail(err, IST_NOT_FOUND, "no item %s", id);
	if (code == IST_OK)
		hide_hint(ret);
	return code;
}

/* ---- pages ---- */

/* The rows of the next page, by id; those that the filter lets through. */
static enum ist_code page_rows(struct ist_db *db, const struct ist_collection *c,
			       const struct ist_rows *rows, const char *after, size_t limit,
			       int64_t *ret, size_t *ret_n, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	size_t n = 0;
	bool more = true;
	enum ist_code code;

	code =
	    ist_db_bind(db, IST_SQL_ITEMS_AFTER, &st, err, "it", c->id, after != NULL ? after : "");
	while (code == IST_OK && n < limit && (code = ist_db_step(db, st, &more, err)) == IST_OK &&
	       more) {
		int64_t row = sqlite3_column_int64(st, 0);

		if (rows == NULL || ist_rows_has(rows, row))
			ret[n++] = row;
	}
	*ret_n = n;
	return code;
}

enum ist_code ist_items_list(struct ist_collection *c, const struct ist_filter *filter,
			     const char *after, size_t limit, bool with_vectors,
			     struct ist_arena *arena, struct ist_item **ret, size_t *ret_n,
			     struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_read_end) struct ist_db_read read = {0};
	ist_auto(ist_rows_unref_ptr) struct ist_rows *rows = NULL;
	ist_autofree int64_t *page = ist_alloc_raw(limit, sizeof(*page));
	struct ist_item *items = ist_arena_alloc(arena, limit, sizeof(*items));
	size_t n = 0;
	enum ist_code code;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_read_begin(lease.db, &read, err)) != IST_OK)
		return code;
	if (filter != NULL)
		code = ist_filter_rows(lease.db, c, filter, &rows, err);
	if (code == IST_OK)
		code = page_rows(lease.db, c, rows, after, limit, page, &n, err);
	for (size_t i = 0; code == IST_OK && i < n; i++) {
		bool found;

		code =
		    ist_item_read(lease.db, page[i], with_vectors, arena, &items[i], &found, err);
		hide_hint(&items[i]);
	}
	*ret = items;
	*ret_n = n;
	return code;
}

/* Without a filter the counter of the collection answers. */
enum ist_code ist_items_count(struct ist_collection *c, const struct ist_filter *filter,
			      int64_t *ret, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_rows_unref_ptr) struct ist_rows *rows = NULL;
	enum ist_code code;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK)
		return code;
	if (filter == NULL || ist_filter_is_empty(filter))
		return ist_db_int(lease.db, IST_SQL_COLLECTION_ITEMS, 0, ret, err, "i", c->id);
	if ((code = ist_filter_rows(lease.db, c, filter, &rows, err)) == IST_OK)
		*ret = (int64_t)rows->n;
	return code;
}

/* ---- blocks of features ---- */

enum { BLOCK_ROWS = 512, BLOCK_BYTES = 8 << 20 };

void ist_feature_block_finish(struct ist_feature_block *block)
{
	free(block->rows);
	free(block->n_texts);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		free(block->row_of[m]);
		free(block->ordinal[m]);
		free(block->x[m]);
	}
	*block = (struct ist_feature_block){0};
}

/* Grows by doubling; a block of the next round uses the same memory. */
static void block_add(struct ist_feature_block *block, enum ist_modality m, size_t dim, int64_t row,
		      const void *data, size_t bytes)
{
	size_t n = bytes / (dim * sizeof(float)), at = block->n_vectors[m];

	if (at + n > block->cap[m]) {
		block->cap[m] = IST_MAX(block->cap[m] * 2, at + n + 64);
		block->row_of[m] = ist_resize(block->row_of[m], block->cap[m], sizeof(int64_t));
		block->ordinal[m] = ist_resize(block->ordinal[m], block->cap[m], sizeof(uint32_t));
		block->x[m] = ist_resize(block->x[m], block->cap[m] * dim, sizeof(float));
	}
	memcpy(block->x[m] + at * dim, data, n * dim * sizeof(float));
	for (size_t i = 0; i < n; i++) {
		block->row_of[m][at + i] = row;
		block->ordinal[m][at + i] = (uint32_t)i;
	}
	block->n_vectors[m] += n;
}

enum ist_code ist_feature_block_read(struct ist_feature_block *block, struct ist_db *db,
				     const struct ist_collection *c, int64_t after, int64_t upto,
				     struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	size_t bytes = 0;
	bool more = true;
	enum ist_code code;

	if (block->rows == NULL) {
		block->rows = ist_alloc(BLOCK_ROWS, sizeof(*block->rows));
		block->n_texts = ist_alloc(BLOCK_ROWS, sizeof(*block->n_texts));
	}
	block->n = block->n_vectors[IST_IMAGE] = block->n_vectors[IST_TEXT] = 0;
	code = ist_db_bind(db, IST_SQL_FEATURES_AFTER, &st, err, "iii", c->id, after, upto);
	while (code == IST_OK && block->n < BLOCK_ROWS && bytes < BLOCK_BYTES &&
	       (code = ist_db_step(db, st, &more, err)) == IST_OK && more) {
		int64_t row = sqlite3_column_int64(st, 0);

		for (int m = 0; m < IST_N_MODALITIES; m++) {
			size_t size = (size_t)sqlite3_column_bytes(st, 1 + m);

			if (size > 0)
				block_add(block, m, c->encoder[m].dim, row,
					  sqlite3_column_blob(st, 1 + m), size);
			bytes += size;
		}
		block->n_texts[block->n] = (size_t)sqlite3_column_bytes(st, 2) /
					   (c->encoder[IST_TEXT].dim * sizeof(float));
		block->rows[block->n++] = row;
	}
	return code;
}
