/*
 * Training sets: all pairs of a collection with their parts. The features go to one unlinked file
 * a modality, which is mapped: they may be larger than memory, and the system may take the pages
 * back. Rows written after the start are not read, so that one training sees one state but for
 * items that are deleted or replaced meanwhile.
 */
#include <string.h>
#include <sys/mman.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "index/items.h"
#include "index/store_internal.h"
#include "index/training.h"

/* ---- the set under way ---- */

struct build {
	struct ist_collection *collection;
	const struct ist_split *split;
	unsigned needs; /* enum ist_need, IST_WITH_TEXTS */
	struct ist_matrix_file spool[IST_N_MODALITIES];
	struct ist_texts_file texts; /* where they are read */
	struct ist_edits edits;	     /* where triples are needed */
	size_t n, cap;
	int64_t *item;
	uint8_t *part;
	char **labels; /* of each pair, NULL: none */
	json_t *ids;
	size_t skipped, n_validation;
};

static void build_finish(struct build *b)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_matrix_close(&b->spool[m]);
	ist_texts_close(&b->texts);
	ist_edits_finish(&b->edits);
	for (size_t i = 0; b->labels != NULL && i < b->n; i++)
		free(b->labels[i]);
	free(b->labels);
	free(b->item);
	free(b->part);
	json_decref(b->ids);
}

/* The member of nested objects that a dotted name says. */
static const char *metadata_text(json_t *metadata, const char *field)
{
	ist_autofree char *names = ist_strdup(field);
	char *rest = names, *name;
	json_t *at = json_object_get(metadata, field);

	if (at != NULL)
		return json_string_value(at);
	at = metadata;
	while (at != NULL && (name = strsep(&rest, ".")) != NULL)
		at = json_object_get(at, name);
	return json_string_value(at);
}

static enum ist_part part_by_field(const struct ist_split *split, const char *metadata)
{
	static const char *const names[] = {"train", "validation", "test"};
	json_t *tree = metadata != NULL ? json_loads(metadata, JSON_ALLOW_NUL, NULL) : NULL;
	const char *said = tree != NULL ? metadata_text(tree, split->field) : NULL;
	enum ist_part part = IST_UNUSED;

	for (size_t i = 0; said != NULL && i < IST_COUNT(names); i++)
		if (strcmp(said, names[i]) == 0)
			part = (enum ist_part)i;
	json_decref(tree);
	return part;
}

/* The hash is the id's alone: an item never moves when others come. */
static enum ist_part part_of(const struct ist_split *split, const char *id, const char *metadata)
{
	if (split->field[0] != '\0')
		return part_by_field(split, metadata);
	return ist_split_part(split->seed, id, split->validation, split->test);
}

static void push_pair(struct build *b, int64_t row, const char *id, const char *label,
		      enum ist_part part)
{
	if (b->n == b->cap) {
		b->cap = b->cap * 2 + 256;
		b->item = ist_resize(b->item, b->cap, sizeof(*b->item));
		b->part = ist_resize(b->part, b->cap, sizeof(*b->part));
		b->labels = ist_resize(b->labels, b->cap, sizeof(*b->labels));
	}
	b->item[b->n] = row;
	b->part[b->n] = (uint8_t)part;
	b->labels[b->n] = ist_strdup(label);
	b->n_validation += part == IST_VALIDATION;
	json_array_append_new(b->ids, json_string_nocheck(id));
	b->n++;
}

/* The strings of an item's n pairs; vectors may have come without them. */
static enum ist_code add_texts(struct build *b, struct ist_db *db, int64_t row, size_t n,
			       struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	bool more = true;
	enum ist_code code = ist_db_bind(db, IST_SQL_TEXTS_GET, &st, err, "i", row);

	for (size_t i = 0; code == IST_OK && i < n; i++) {
		if (more)
			code = ist_db_step(db, st, &more, err);
		if (code == IST_OK)
			code = ist_texts_put(&b->texts, more ? ist_db_text(st, 0) : NULL, err);
	}
	return code;
}

/* The pairs of one item: its picture's feature x with each of its n texts' features y. */
static enum ist_code add_pairs(struct build *b, struct ist_db *db, sqlite3_stmt *st, int64_t row,
			       enum ist_part part, const float *x, const float *y, size_t n,
			       struct ist_err *err)
{
	const struct ist_encoder_ref *encoder = b->collection->encoder;
	enum ist_code code = IST_OK;

	if ((b->needs & IST_NEEDS_LABELS) != 0 && ist_db_text(st, 1) == NULL) {
		b->skipped += n;
		return IST_OK;
	}
	for (size_t i = 0; code == IST_OK && i < n; i++) {
		push_pair(b, row, ist_db_text(st, 0), ist_db_text(st, 1), part);
		code = ist_matrix_put(&b->spool[IST_IMAGE], x, encoder[IST_IMAGE].dim, err);
	}
	if (code == IST_OK)
		code = ist_matrix_put(&b->spool[IST_TEXT], y, n * encoder[IST_TEXT].dim, err);
	if (code == IST_OK && (b->needs & IST_WITH_TEXTS) != 0)
		code = add_texts(b, db, row, n, err);
	return code;
}

/* One item with a picture's feature x and n (or no) texts' features y. */
static enum ist_code add_item(struct build *b, struct ist_db *db, int64_t row, const float *x,
			      const float *y, size_t n, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_part part;
	enum ist_code code;
	bool found;

	code = ist_db_bind(db, IST_SQL_ITEM_LABELS, &st, err, "i", row);
	if (code != IST_OK || (code = ist_db_step(db, st, &found, err)) != IST_OK || !found)
		return code;
	part = part_of(b->split, ist_db_text(st, 0), ist_db_text(st, 2));
	if (part == IST_UNUSED)
		return IST_OK;
	if ((b->needs & IST_NEEDS_TRIPLES) != 0)
		code = ist_edits_add_picture(&b->edits, row, ist_db_text(st, 0), part, x, err);
	return code == IST_OK && n > 0 ? add_pairs(b, db, st, row, part, x, y, n, err) : code;
}

/* The rows of a block that take part: with both modalities, or with a picture where triples count.
 * Both lists are in the order of rows. */
static enum ist_code add_block(struct build *b, struct ist_db *db,
			       const struct ist_feature_block *block, struct ist_err *err)
{
	const struct ist_encoder_ref *encoder = b->collection->encoder;
	bool pictures = (b->needs & IST_NEEDS_TRIPLES) != 0;
	size_t image = 0, text = 0;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < block->n; i++) {
		bool has_image = image < block->n_vectors[IST_IMAGE] &&
				 block->row_of[IST_IMAGE][image] == block->rows[i];

		if (has_image && (block->n_texts[i] > 0 || pictures))
			code = add_item(b, db, block->rows[i],
					block->x[IST_IMAGE] + image * encoder[IST_IMAGE].dim,
					block->x[IST_TEXT] + text * encoder[IST_TEXT].dim,
					block->n_texts[i], err);
		image += has_image;
		text += block->n_texts[i];
	}
	return code;
}

static enum ist_code read_all(struct build *b, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_feature_block_finish) struct ist_feature_block block = {0};
	struct ist_collection *c = b->collection;
	int64_t after = 0, upto = 0;
	enum ist_code code;

	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_int(lease.db, IST_SQL_ROWS_LAST, 0, &upto, err, "i", c->id)) != IST_OK)
		return code;
	do {
		code = ist_feature_block_read(&block, lease.db, c, after, upto, err);
		if (code == IST_OK)
			code = add_block(b, lease.db, &block, err);
		if (block.n > 0)
			after = block.rows[block.n - 1];
	} while (code == IST_OK && block.n > 0 && !c->store->stopping);
	if (code == IST_OK && (b->needs & IST_NEEDS_TRIPLES) != 0)
		code = ist_edits_read(&b->edits, lease.db, err);
	return code;
}

/* Where the field names no validation part, a tenth of train is held back by the hash. */
static uint8_t held_back(const struct ist_split *split, const char *id, uint8_t part)
{
	return part == IST_TRAIN && ist_split_part(split->seed, id, 0.1, 0) == IST_VALIDATION
		   ? IST_VALIDATION
		   : part;
}

static void hold_back(struct build *b)
{
	const struct ist_split *split = b->split;
	struct ist_edits *e = &b->edits;

	if (split->field[0] == '\0' || split->no_validation || b->n_validation > 0 ||
	    e->n_validation > 0)
		return;
	for (size_t i = 0; i < b->n; i++)
		b->part[i] =
		    held_back(split, json_string_value(json_array_get(b->ids, i)), b->part[i]);
	for (size_t i = 0; i < e->n_images; i++)
		e->picture[i].part = held_back(split, e->picture[i].id, e->picture[i].part);
}

/* ---- classes ---- */

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Classes in the byte order of their labels; each pair's number. */
static json_t *number_labels(const struct build *b, int32_t *ret, size_t *ret_n)
{
	ist_autofree char **sorted = ist_alloc(b->n, sizeof(*sorted));
	json_t *classes = json_array();
	size_t n = 0, n_classes = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->labels[i] != NULL)
			sorted[n++] = b->labels[i];
	qsort(sorted, n, sizeof(*sorted), by_bytes);
	for (size_t i = 0; i < n; i++)
		if (n_classes == 0 || strcmp(sorted[i], sorted[n_classes - 1]) != 0) {
			sorted[n_classes++] = sorted[i];
			json_array_append_new(classes, json_string_nocheck(sorted[i]));
		}
	for (size_t i = 0; i < b->n; i++) {
		char **at = NULL;

		if (b->labels[i] != NULL)
			at = bsearch(&b->labels[i], sorted, n_classes, sizeof(*sorted), by_bytes);
		ret[i] = at != NULL ? (int32_t)(at - sorted) : -1;
	}
	*ret_n = n_classes;
	return classes;
}

static enum ist_code hand_over(struct build *b, struct ist_training_set *ret, struct ist_err *err)
{
	const struct ist_collection *c = b->collection;
	struct ist_training_set set = {.skipped = b->skipped};
	int32_t *label = ist_alloc(b->n, sizeof(*label));
	const void *x;
	enum ist_code code = IST_OK;

	set.classes = number_labels(b, label, &set.pairs.n_classes);
	set.pairs.label = label;
	set.pairs.n = b->n;
	set.pairs.same_space = c->same_space;
	for (int m = 0; code == IST_OK && m < IST_N_MODALITIES; m++) {
		set.pairs.dim[m] = c->encoder[m].dim;
		set.pairs.counts[m] = c->counts[m];
		set.pairs.form[m] = ist_form_of(c->encoder[m].name);
		code = ist_matrix_map(&b->spool[m], &x, err);
		set.pairs.x[m] = x;
	}
	if (code == IST_OK && (b->needs & IST_WITH_TEXTS) != 0)
		code = ist_texts_hand_over(&b->texts, &set, err);
	set.pairs.item = ist_steal(&b->item);
	set.pairs.part = ist_steal(&b->part);
	set.ids = ist_steal(&b->ids);
	*ret = set;
	if (code == IST_OK && (b->needs & IST_NEEDS_TRIPLES) != 0)
		code = ist_edits_hand_over(&b->edits, ret, err);
	if (code != IST_OK)
		ist_training_set_finish(ret);
	return code;
}

enum ist_code ist_training_set_load(struct ist_collection *c, const struct ist_split *split,
				    unsigned needs, struct ist_training_set *ret,
				    struct ist_err *err)
{
	struct build b = {.collection = c, .split = split, .needs = needs};
	enum ist_code code = IST_OK;

	b.ids = json_array();
	for (int m = 0; code == IST_OK && m < IST_N_MODALITIES; m++)
		code = ist_matrix_open(&b.spool[m], c->store, err);
	if (code == IST_OK && (needs & IST_WITH_TEXTS) != 0)
		code = ist_matrix_open(&b.texts.file, c->store, err);
	if (code == IST_OK && (needs & IST_NEEDS_TRIPLES) != 0)
		code = ist_edits_init(&b.edits, c, err);
	if (code == IST_OK)
		code = read_all(&b, err);
	if (code == IST_OK) {
		hold_back(&b);
		code = hand_over(&b, ret, err);
	}
	build_finish(&b);
	return code == IST_OK ? code : ist_wrap(err, "training set of %s", c->name);
}

void ist_training_set_finish(struct ist_training_set *set)
{
	const struct ist_pairs *pairs = &set->pairs;

	for (int m = 0; m < IST_N_MODALITIES; m++)
		if (pairs->x[m] != NULL)
			munmap((void *)(uintptr_t)pairs->x[m],
			       pairs->n * pairs->dim[m] * sizeof(float));
	ist_texts_release(set);
	ist_edits_release(set);
	free((void *)(uintptr_t)pairs->label);
	free((void *)(uintptr_t)pairs->item);
	free((void *)(uintptr_t)pairs->part);
	json_decref(set->classes);
	json_decref(set->ids);
	*set = (struct ist_training_set){0};
}
