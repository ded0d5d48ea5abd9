/*
 * Writing items. On the caller's thread: what can be checked, the fingerprint, the facts, the
 * embeddings by the active model, the picture's file (durable). On the writer's: rows only. Then,
 * published: the new vectors in the live generation, and after them the old ones dead, so that a
 * search finds an item in one of its versions at every moment.
 */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/items.h"
#include "index/live.h"
#include "index/store_internal.h"

struct prepared {
	bool bad; /* failed before it came to the writer */
	uint8_t fingerprint[IST_ITEM_FINGERPRINT];
	struct ist_facts facts;
	uint8_t picture[IST_SHA256_SIZE];
	bool pinned;
	int64_t old_row, row; /* results; 0: none */
};

struct item_op {
	struct ist_collection *collection;
	struct ist_write *writes;
	struct prepared *prepared;
	size_t n;
	struct ist_embedded embedded; /* of all puts, by the model that was active */
	struct ist_counts counts;
	struct ist_released released;
};

/* ---- before the transaction ---- */

/* Tag and length before each part: no two items say the same bytes. */
static void hash_part(struct ist_buf *buf, char tag, const void *data, size_t len)
{
	uint64_t size = len;

	ist_buf_putc(buf, tag);
	ist_buf_put(buf, &size, sizeof(size));
	ist_buf_put(buf, data, len);
}

void ist_item_fingerprint(const struct ist_item *item, const size_t dim[IST_N_MODALITIES],
			  uint8_t ret[IST_ITEM_FINGERPRINT])
{
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};

	if (item->has_image)
		hash_part(&buf, 'i', item->image.sha256, IST_SHA256_HEX - 1);
	for (size_t i = 0; i < item->n_texts; i++)
		hash_part(&buf, 't', item->texts[i], strlen(item->texts[i]));
	if (item->label != NULL)
		hash_part(&buf, 'l', item->label, strlen(item->label));
	if (item->metadata != NULL)
		hash_part(&buf, 'm', item->metadata, strlen(item->metadata));
	if (item->given[IST_IMAGE] && item->image_vector != NULL)
		hash_part(&buf, 'v', item->image_vector, dim[IST_IMAGE] * sizeof(float));
	if (item->given[IST_TEXT] && item->text_vectors != NULL)
		hash_part(&buf, 'w', item->text_vectors,
			  item->n_text_vectors * dim[IST_TEXT] * sizeof(float));
	ist_sha256(buf.data, buf.len, ret);
}

static bool all_finite(const float *x, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] * 0.0f; /* 0, or NAN where x is not finite */
	return sum == 0.0f;
}

static enum ist_code check_vectors(const struct ist_collection *c, const struct ist_item *item,
				   struct ist_err *err)
{
	if (item->image_vector != NULL &&
	    !all_finite(item->image_vector, c->encoder[IST_IMAGE].dim))
		return ist_fail_at(err, IST_INVALID, "/vectors/image", "a number is not finite");
	if (item->text_vectors != NULL &&
	    !all_finite(item->text_vectors, item->n_text_vectors * c->encoder[IST_TEXT].dim))
		return ist_fail_at(err, IST_INVALID, "/vectors/texts", "a number is not finite");
	return IST_OK;
}

/* All that can be said without the database. */
static enum ist_code check_item(const struct ist_collection *c, const struct ist_item *item,
				uint8_t picture[IST_SHA256_SIZE], struct ist_err *err)
{
	size_t len = item->id != NULL ? strlen(item->id) : 0;

	if (len < 1 || len > 255)
		return ist_fail_at(err, IST_INVALID, "/id", "an id has 1 to 255 bytes");
	if (!ist_item_has(item, IST_IMAGE) && !ist_item_has(item, IST_TEXT))
		return ist_fail(err, IST_INVALID, "an item has an image, a text or a vector");
	if ((item->n_text_vectors > 0) != (item->text_vectors != NULL))
		return ist_fail_at(err, IST_INVALID, "/vectors/texts", "vectors without a count");
	if (item->n_texts > 0 && item->n_text_vectors > 0 && item->n_texts != item->n_text_vectors)
		return ist_fail_at(err, IST_INVALID, "/vectors/texts", "%zu vectors for %zu texts",
				   item->n_text_vectors, item->n_texts);
	if (item->has_image && !ist_media_parse(item->image.sha256, picture))
		return ist_fail_at(err, IST_INVALID, "/image/sha256",
				   "not a SHA-256 in lower-case hexadecimal");
	return check_vectors(c, item, err);
}

static bool file_is_there(const char *path, uint64_t bytes)
{
	struct stat info;

	return stat(path, &info) == 0 && (uint64_t)info.st_size == bytes;
}

/* Queues the picture's file unless it is there; pinned first, so that it stays. */
static enum ist_code prepare_picture(struct ist_store *store, const struct ist_item *item,
				     struct prepared *p, struct ist_file_batch **batch,
				     struct ist_err *err)
{
	ist_autofree char *path = NULL, *folder = NULL;
	enum ist_code code;

	if (!item->has_image)
		return IST_OK;
	ist_pins_add(&store->pins, p->picture);
	p->pinned = true;
	path = ist_media_path(store, item->image.sha256);
	if (item->image.data == NULL || file_is_there(path, item->image.bytes))
		return IST_OK;
	folder = ist_format("%s/media/%.2s", store->folder, item->image.sha256);
	if ((code = ist_dir_make(folder, err)) != IST_OK)
		return code;
	if (*batch == NULL)
		*batch = ist_file_batch_create();
	return ist_file_batch_add(*batch, path, item->image.data, item->image.bytes, err);
}

static void fail_write(struct ist_write *write, struct prepared *p)
{
	write->status = IST_FAILED;
	p->bad = true;
}

/* Errors of the disk fail the whole call, errors of an item fail that item. */
static enum ist_code prepare(struct item_op *op, struct ist_err *err)
{
	struct ist_collection *c = op->collection;
	struct ist_file_batch *batch = NULL;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < op->n; i++) {
		struct ist_write *write = &op->writes[i];
		struct prepared *p = &op->prepared[i];
		size_t dim[] = {c->encoder[IST_IMAGE].dim, c->encoder[IST_TEXT].dim};

		write->err = (struct ist_err){0};
		if (write->item == NULL)
			continue;
		if (check_item(c, write->item, p->picture, &write->err) != IST_OK ||
		    ist_facts_init(&p->facts, write->item, &write->err) != IST_OK) {
			fail_write(write, p);
			continue;
		}
		ist_item_fingerprint(write->item, dim, p->fingerprint);
		code = prepare_picture(c->store, write->item, p, &batch, err);
	}
	if (code == IST_OK && batch != NULL)
		code = ist_file_batch_commit(batch, err);
	ist_file_batch_destroy(batch);
	return code;
}

/* Unpins after the commit or its failure: by then the rows decide. */
static void op_finish(struct item_op *op)
{
	for (size_t i = 0; i < op->n; i++) {
		ist_facts_finish(&op->prepared[i].facts);
		if (op->prepared[i].pinned)
			ist_pins_remove(&op->collection->store->pins, op->prepared[i].picture);
	}
	ist_embedded_finish(&op->embedded);
	ist_released_finish(&op->released);
	free(op->prepared);
}

/* ---- inside the transaction ---- */

/* What one item adds to, or takes from, its collection's counts. */
static void count(struct ist_counts *counts, const struct ist_item *item, int sign)
{
	size_t texts = IST_MAX(item->n_texts, item->n_text_vectors);

	counts->items += sign;
	counts->images += sign * ist_item_has(item, IST_IMAGE);
	counts->texts += sign * (int64_t)texts;
	counts->labelled += sign * (item->label != NULL);
	counts->featureless += sign * (item->image_vector == NULL && item->n_text_vectors == 0);
}

enum ist_code ist_counts_apply(struct ist_db *db, int64_t collection, const struct ist_counts *d,
			       struct ist_err *err)
{
	return ist_db_run(db, IST_SQL_COLLECTION_COUNT, err, "iiiiiiii", collection, d->items,
			  d->images, d->texts, d->labelled, d->triples, d->featureless,
			  ist_db_now());
}

static void release_picture(struct ist_released *released, const uint8_t *sha256)
{
	if (released->n == released->cap) {
		released->cap = released->cap * 2 + 16;
		released->list = ist_resize(released->list, released->cap, sizeof(*released->list));
	}
	memcpy(released->list[released->n++], sha256, IST_SHA256_SIZE);
}

void ist_released_finish(struct ist_released *released)
{
	free(released->list);
	*released = (struct ist_released){0};
}

void ist_released_drop(struct ist_store *store, struct ist_db *db, struct ist_released *released)
{
	for (size_t i = 0; i < released->n; i++)
		ist_media_drop(store, db, released->list[i]);
}

/* At the end of an operation, when what replaces an item is written: a picture that the new version
 * still has must not lose its row in between. */
enum ist_code ist_released_settle(struct ist_db *db, const struct ist_released *released,
				  struct ist_err *err)
{
	size_t size = IST_SHA256_SIZE;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < released->n; i++) {
		int64_t used;

		code = ist_db_int(db, IST_SQL_PICTURE_IS_USED, 0, &used, err, "b",
				  released->list[i], size);
		if (code == IST_OK && used == 0)
			code =
			    ist_db_run(db, IST_SQL_MEDIA_REMOVE, err, "b", released->list[i], size);
	}
	return code;
}

enum ist_code ist_item_remove(struct ist_store *store, struct ist_db *db, int64_t collection,
			      int64_t row, bool for_good, struct ist_counts *counts,
			      struct ist_released *released, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_auto(ist_facts_finish) struct ist_facts facts = {0};
	struct ist_item item;
	uint8_t picture[IST_SHA256_SIZE];
	enum ist_code code;
	bool found;

	code = ist_item_read(db, row, false, &arena, &item, &found, err);
	if (code != IST_OK || !found)
		return code;
	count(counts, &item, -1);
	if ((code = ist_facts_init(&facts, &item, err)) != IST_OK ||
	    (code = ist_facts_apply(store, db, collection, row, &facts, false, err)) != IST_OK ||
	    (code = ist_db_run(db, IST_SQL_TEXTS_REMOVE, err, "i", row)) != IST_OK ||
	    (code = ist_db_run(db, IST_SQL_FEATURES_REMOVE, err, "i", row)) != IST_OK ||
	    (code = ist_db_run(db, IST_SQL_ITEM_REMOVE, err, "i", row)) != IST_OK)
		return code;
	if (for_good) {
		code = ist_db_run(db, IST_SQL_TRIPLES_REMOVE, err, "it", collection, item.id);
		counts->triples -= sqlite3_changes(db->sql);
	}
	if (item.has_image && ist_media_parse(item.image.sha256, picture))
		release_picture(released, picture);
	return code;
}

static enum ist_code add_media(struct ist_db *db, const struct ist_item *item,
			       const struct prepared *p, struct ist_err *err)
{
	size_t size = IST_SHA256_SIZE;
	int64_t known;
	enum ist_code code;

	if (!item->has_image)
		return IST_OK;
	code = ist_db_int(db, IST_SQL_MEDIA_EXISTS, 0, &known, err, "b", p->picture, size);
	if (code != IST_OK || known != 0)
		return code;
	if (item->image.data == NULL)
		return ist_fail_at(err, IST_NOT_FOUND, "/image/sha256", "no picture %s",
				   item->image.sha256);
	return ist_db_run(db, IST_SQL_MEDIA_ADD, err, "btiiii", p->picture, size, item->image.type,
			  (int64_t)item->image.width, (int64_t)item->image.height,
			  (int64_t)item->image.bytes, ist_db_now());
}

static enum ist_code add_texts(struct ist_db *db, const struct ist_item *item, int64_t row,
			       struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < item->n_texts; i++)
		code =
		    ist_db_run(db, IST_SQL_TEXT_ADD, err, "iit", row, (int64_t)i, item->texts[i]);
	return code;
}

static enum ist_code add_features(const struct ist_collection *c, struct ist_db *db,
				  const struct ist_item *item, int64_t row, struct ist_err *err)
{
	const float *texts = item->n_text_vectors > 0 ? item->text_vectors : NULL;

	if (item->image_vector == NULL && texts == NULL)
		return IST_OK;
	return ist_db_run(db, IST_SQL_FEATURES_ADD, err, "ibb", row, item->image_vector,
			  c->encoder[IST_IMAGE].dim * sizeof(float), texts,
			  item->n_text_vectors * c->encoder[IST_TEXT].dim * sizeof(float));
}

/* created_us is the item's, not the row's: a replacement keeps it. */
static enum ist_code add_item(struct item_op *op, struct ist_db *db, const struct ist_item *item,
			      struct prepared *p, int64_t created_us, struct ist_err *err)
{
	struct ist_collection *c = op->collection;
	int64_t now = ist_db_now();
	int64_t given = item->given[IST_IMAGE] | item->given[IST_TEXT] << 1;
	enum ist_code code;

	if ((code = add_media(db, item, p, err)) != IST_OK)
		return code;
	code =
	    ist_db_run(db, IST_SQL_ITEM_ADD, err, "itbbttiiiiii", c->id, item->id, p->fingerprint,
		       sizeof(p->fingerprint), item->has_image ? p->picture : NULL,
		       (size_t)IST_SHA256_SIZE, item->label, item->metadata, (int64_t)item->n_texts,
		       (int64_t)(item->image_vector != NULL), (int64_t)item->n_text_vectors, given,
		       created_us > 0 ? created_us : now, now);
	if (code != IST_OK)
		return code;
	p->row = sqlite3_last_insert_rowid(db->sql);
	count(&op->counts, item, 1);
	if ((code = add_texts(db, item, p->row, err)) == IST_OK &&
	    (code = add_features(c, db, item, p->row, err)) == IST_OK)
		code = ist_facts_apply(c->store, db, c->id, p->row, &p->facts, true, err);
	return code;
}

/* What is there under the id; row 0: nothing. */
struct present {
	int64_t row, created_us;
	uint8_t fingerprint[IST_ITEM_FINGERPRINT];
};

static enum ist_code find_present(struct ist_db *db, int64_t collection, const char *id,
				  struct present *ret, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code;
	bool row;

	*ret = (struct present){0};
	code = ist_db_bind(db, IST_SQL_ITEM_PRESENT, &st, err, "it", collection, id);
	if (code != IST_OK || (code = ist_db_step(db, st, &row, err)) != IST_OK || !row)
		return code;
	ret->row = sqlite3_column_int64(st, 0);
	ret->created_us = sqlite3_column_int64(st, 2);
	if (sqlite3_column_bytes(st, 1) == IST_ITEM_FINGERPRINT)
		memcpy(ret->fingerprint, sqlite3_column_blob(st, 1), IST_ITEM_FINGERPRINT);
	return IST_OK;
}

static enum ist_code delete_present(struct item_op *op, struct ist_db *db, struct ist_write *write,
				    const struct present *there, struct ist_err *err)
{
	struct ist_collection *c = op->collection;
	enum ist_code code;

	if (there->row == 0)
		return ist_fail(err, IST_NOT_FOUND, "no item %s", write->id);
	code =
	    ist_item_remove(c->store, db, c->id, there->row, true, &op->counts, &op->released, err);
	write->status = IST_DELETED;
	return code;
}

/* Removed first, because ids are unique; one transaction makes it one step. */
static enum ist_code put_present(struct item_op *op, struct ist_db *db, struct ist_write *write,
				 struct prepared *p, const struct present *there,
				 struct ist_err *err)
{
	struct ist_collection *c = op->collection;
	enum ist_code code = IST_OK;

	if (there->row != 0 &&
	    memcmp(there->fingerprint, p->fingerprint, IST_ITEM_FINGERPRINT) == 0) {
		write->status = IST_UNCHANGED;
		return IST_OK;
	}
	if (there->row != 0)
		code = ist_item_remove(c->store, db, c->id, there->row, false, &op->counts,
				       &op->released, err);
	if (code == IST_OK)
		code = add_item(op, db, write->item, p, there->created_us, err);
	write->status = there->row != 0 ? IST_UPDATED : IST_CREATED;
	return code;
}

/* Runs again if the batch was rolled back, so results are set here from nothing. */
static enum ist_code write_one(struct item_op *op, struct ist_db *db, size_t i, struct ist_err *err)
{
	struct ist_write *write = &op->writes[i];
	struct prepared *p = &op->prepared[i];
	const char *id = write->item != NULL ? write->item->id : write->id;
	struct present there;
	enum ist_code code;

	p->row = p->old_row = 0;
	if ((code = find_present(db, op->collection->id, id, &there, err)) != IST_OK)
		return code;
	if (write->expect_row > 0 && write->expect_row != there.row)
		return ist_fail(err, IST_CONFLICT, "the item %s was changed meanwhile", id);
	if (write->item == NULL)
		code = delete_present(op, db, write, &there, err);
	else
		code = put_present(op, db, write, p, &there, err);
	if (code == IST_OK && write->status != IST_UNCHANGED)
		p->old_row = there.row;
	return code;
}

/* What is the item's own fault fails the item; it is checked before anything of it is written,
 * but for a missing picture, which is why that one needs its own savepoint. */
static bool is_own_fault(enum ist_code code)
{
	return code == IST_NOT_FOUND || code == IST_CONFLICT || code == IST_INVALID;
}

static enum ist_code write_guarded(struct item_op *op, struct ist_db *db, size_t i,
				   struct ist_err *err)
{
	struct ist_write *write = &op->writes[i];
	struct ist_counts counts = op->counts;
	bool guard =
	    write->item != NULL && write->item->has_image && write->item->image.data == NULL;
	enum ist_code code = IST_OK;

	if (guard)
		code = ist_db_run(db, IST_SQL_SAVEPOINT, err, "");
	if (code == IST_OK)
		code = write_one(op, db, i, &write->err);
	if (code != IST_OK && !is_own_fault(code)) {
		if (err != NULL)
			*err = write->err;
		return code;
	}
	if (code != IST_OK) {
		write->status = IST_FAILED;
		op->counts = counts;
		op->prepared[i].row = op->prepared[i].old_row = 0;
		code = guard ? ist_db_run(db, IST_SQL_ROLLBACK_TO, err, "") : IST_OK;
		ist_field_ids_forget(op->collection->store->fields);
	}
	return guard && code == IST_OK ? ist_db_run(db, IST_SQL_RELEASE, err, "") : code;
}

static enum ist_code run_items(struct ist_store *store, struct ist_db *db, void *user,
			       struct ist_err *err)
{
	struct item_op *op = user;
	enum ist_code code = ist_collection_check(op->collection, err);
	bool changed = false;

	op->counts = (struct ist_counts){0};
	op->released.n = 0;
	for (size_t i = 0; code == IST_OK && i < op->n; i++) {
		if (op->prepared[i].bad)
			continue;
		op->writes[i].err = (struct ist_err){0};
		code = write_guarded(op, db, i, err);
		changed |= op->prepared[i].row != 0 || op->prepared[i].old_row != 0;
	}
	if (code == IST_OK)
		code = ist_released_settle(db, &op->released, err);
	if (code == IST_OK && changed)
		code = ist_counts_apply(db, op->collection->id, &op->counts, err);
	return code;
}

/* ---- after the commit ---- */

static void publish_items(struct ist_store *store, struct ist_db *db, void *user)
{
	struct item_op *op = user;
	struct ist_live_change change;

	ist_live_begin(op->collection, &change);
	for (size_t i = 0; i < op->n; i++)
		if (op->prepared[i].row != 0)
			ist_live_add(&change, op->prepared[i].row, op->writes[i].item,
				     &op->embedded, i);
	ist_live_publish(&change);
	for (size_t i = 0; i < op->n; i++)
		if (op->prepared[i].old_row != 0)
			ist_live_kill(&change, op->prepared[i].old_row);
	ist_live_end(&change);
	ist_released_drop(store, db, &op->released);
	store->writes += (long long)op->n;
}

/* ---- the doors ---- */

enum ist_code ist_items_write(struct ist_collection *c, struct ist_write *writes, size_t n,
			      struct ist_err *err)
{
	struct item_op op = {.collection = c, .writes = writes, .n = n};
	enum ist_code code = ist_collection_check(c, err);

	if (code != IST_OK || n == 0)
		return code;
	op.prepared = ist_alloc(n, sizeof(*op.prepared));
	code = prepare(&op, err);
	if (code == IST_OK) {
		ist_live_embed(c, writes, n, &op.embedded);
		code = ist_store_write(c->store, run_items, publish_items, &op, n, err);
	}
	op_finish(&op);
	return code;
}

enum ist_code ist_item_unchanged(struct ist_collection *c, const struct ist_item *item, bool *ret,
				 struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	size_t dim[] = {c->encoder[IST_IMAGE].dim, c->encoder[IST_TEXT].dim};
	uint8_t mine[IST_ITEM_FINGERPRINT];
	struct present there;
	enum ist_code code;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = find_present(lease.db, c->id, item->id, &there, err)) != IST_OK)
		return code;
	ist_item_fingerprint(item, dim, mine);
	*ret = there.row != 0 && memcmp(mine, there.fingerprint, sizeof(mine)) == 0;
	return IST_OK;
}
