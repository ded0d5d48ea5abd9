/*
 * What composed retrieval learns from: every picture that has a part, and the triples between them.
 * A triple's part is that of its ends where both have the same one; others are never used, so that
 * no picture of the test part is seen in training, not even as a reference.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/memory.h"
#include "index/store_internal.h"
#include "index/training.h"

#define BLOCK 500 /* triples of one read */

enum ist_code ist_edits_init(struct ist_edits *e, struct ist_collection *c, struct ist_err *err)
{
	enum ist_code code;

	*e = (struct ist_edits){.collection = c};
	code = ist_matrix_open(&e->image, c->store, err);
	return code == IST_OK ? ist_matrix_open(&e->text, c->store, err) : code;
}

void ist_edits_finish(struct ist_edits *e)
{
	ist_matrix_close(&e->image);
	ist_matrix_close(&e->text);
	for (size_t i = 0; i < e->n_images; i++)
		free(e->picture[i].id);
	free(e->picture);
	free(e->reference);
	free(e->target);
}

enum ist_code ist_edits_add_picture(struct ist_edits *e, int64_t row, const char *id,
				    enum ist_part part, const float *x, struct ist_err *err)
{
	if (e->n_images == e->cap_images) {
		e->cap_images = e->cap_images * 2 + 256;
		e->picture = ist_resize(e->picture, e->cap_images, sizeof(*e->picture));
	}
	e->picture[e->n_images] = (struct ist_edits_picture){
	    .id = ist_strdup(id), .item = row, .row = (uint32_t)e->n_images, .part = (uint8_t)part};
	e->n_images++;
	e->n_validation += part == IST_VALIDATION;
	return ist_matrix_put(&e->image, x, e->collection->encoder[IST_IMAGE].dim, err);
}

static int by_id(const void *a, const void *b)
{
	const struct ist_edits_picture *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static int by_row(const void *a, const void *b)
{
	const struct ist_edits_picture *x = a, *y = b;

	return x->row < y->row ? -1 : x->row > y->row;
}

/* NULL: it has no picture, or no part. */
static const struct ist_edits_picture *find(const struct ist_edits *e, const char *id)
{
	const struct ist_edits_picture key = {.id = (char *)(uintptr_t)id};

	if (e->n_images == 0)
		return NULL;
	return bsearch(&key, e->picture, e->n_images, sizeof(key), by_id);
}

static enum ist_code add_triple(struct ist_edits *e, sqlite3_stmt *st, struct ist_err *err)
{
	size_t dim = e->collection->encoder[IST_TEXT].dim;
	const struct ist_edits_picture *reference = find(e, ist_db_text(st, 1));
	const struct ist_edits_picture *target = find(e, ist_db_text(st, 2));

	if (reference == NULL || target == NULL)
		return IST_OK;
	if ((size_t)sqlite3_column_bytes(st, 3) != dim * sizeof(float))
		return ist_fail(err, IST_CORRUPT, "the text of a triple has a vector of %d bytes",
				sqlite3_column_bytes(st, 3));
	if (e->n == e->cap) {
		e->cap = e->cap * 2 + 256;
		e->reference = ist_resize(e->reference, e->cap, sizeof(*e->reference));
		e->target = ist_resize(e->target, e->cap, sizeof(*e->target));
	}
	e->reference[e->n] = reference->row;
	e->target[e->n++] = target->row;
	return ist_matrix_put(&e->text, sqlite3_column_blob(st, 3), dim, err);
}

/* Pages by key, so that no read transaction stays open for long. */
enum ist_code ist_edits_read(struct ist_edits *e, struct ist_db *db, struct ist_err *err)
{
	int64_t after = 0;
	size_t got = BLOCK;
	enum ist_code code = IST_OK;

	qsort(e->picture, e->n_images, sizeof(*e->picture), by_id);
	while (code == IST_OK && got == BLOCK && !e->collection->store->stopping) {
		ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
		bool more = true;

		got = 0;
		code = ist_db_bind(db, IST_SQL_TRIPLES_AFTER, &st, err, "iii", e->collection->id,
				   after, (int64_t)BLOCK);
		while (code == IST_OK && (code = ist_db_step(db, st, &more, err)) == IST_OK &&
		       more) {
			after = sqlite3_column_int64(st, 0);
			code = add_triple(e, st, err);
			got++;
		}
	}
	qsort(e->picture, e->n_images, sizeof(*e->picture), by_row);
	return code;
}

static uint8_t *parts_of(const struct ist_edits *e)
{
	uint8_t *part = ist_alloc(e->n + 1, 1);

	for (size_t i = 0; i < e->n; i++) {
		uint8_t from = e->picture[e->reference[i]].part, to = e->picture[e->target[i]].part;

		part[i] = from == to ? from : IST_UNUSED;
	}
	return part;
}

enum ist_code ist_edits_hand_over(struct ist_edits *e, struct ist_training_set *set,
				  struct ist_err *err)
{
	struct ist_triples *t = &set->triples;
	uint8_t *image_part = ist_alloc(e->n_images + 1, 1);
	int64_t *item = ist_alloc(e->n_images + 1, sizeof(*item));
	const void *x;
	enum ist_code code;

	for (size_t i = 0; i < e->n_images; i++) {
		image_part[i] = e->picture[i].part;
		item[i] = e->picture[i].item;
	}
	*t = (struct ist_triples){.n = e->n, .n_images = e->n_images};
	t->image_part = image_part;
	t->item = item;
	t->part = parts_of(e);
	t->reference = ist_steal(&e->reference);
	t->target = ist_steal(&e->target);
	set->pairs.triples = t;
	code = ist_matrix_map(&e->image, &x, err);
	t->image = x;
	if (code == IST_OK)
		code = ist_matrix_map(&e->text, &x, err);
	t->text = code == IST_OK ? x : NULL;
	return code;
}

void ist_edits_release(struct ist_training_set *set)
{
	struct ist_triples *t = &set->triples;

	if (t->image != NULL)
		munmap((void *)(uintptr_t)t->image,
		       t->n_images * set->pairs.dim[IST_IMAGE] * sizeof(float));
	if (t->text != NULL)
		munmap((void *)(uintptr_t)t->text, t->n * set->pairs.dim[IST_TEXT] * sizeof(float));
	free((void *)(uintptr_t)t->image_part);
	free((void *)(uintptr_t)t->item);
	free((void *)(uintptr_t)t->part);
	free((void *)(uintptr_t)t->reference);
	free((void *)(uintptr_t)t->target);
}
