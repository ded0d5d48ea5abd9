/*
 * Facts: an item's label, its modalities and its metadata, flattened to (path, value) for the
 * index that filters read. Objects open a path, arrays do not: an array says each of its elements
 * under its own path. What the facts of an item are depends on the item alone, so an old row's are
 * found again from its stored metadata, and no index by row is needed to remove them.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/items.h"
#include "index/store_internal.h"

static struct ist_fact *push(struct ist_facts *facts, const char *path, enum ist_fact_kind kind)
{
	if (facts->n == facts->cap) {
		facts->cap = facts->cap * 2 + 16;
		facts->list = ist_resize(facts->list, facts->cap, sizeof(*facts->list));
	}
	facts->list[facts->n] = (struct ist_fact){.path = path, .kind = kind};
	return &facts->list[facts->n++];
}

static void push_text(struct ist_facts *facts, const char *path, const char *text, size_t len)
{
	push(facts, path, IST_FACT_TEXT)->value.text = (struct ist_str){text, len};
}

static enum ist_code flatten(struct ist_facts *facts, const char *path, const json_t *value,
			     int depth, struct ist_err *err);

/* Members go under their parent's path, a dot between. */
static enum ist_code flatten_object(struct ist_facts *facts, const char *path, const json_t *value,
				    int depth, struct ist_err *err)
{
	enum ist_code code = IST_OK;
	const char *key;
	json_t *member;

	json_object_foreach((json_t *)value, key, member)
	{
		code = flatten(facts, ist_arena_format(&facts->paths, "%s.%s", path, key), member,
			       depth + 1, err);
		if (code != IST_OK)
			break;
	}
	return code;
}

/* Elements stay under the array's own path: one that matches is enough. */
static enum ist_code flatten_array(struct ist_facts *facts, const char *path, const json_t *value,
				   int depth, struct ist_err *err)
{
	enum ist_code code = IST_OK;
	json_t *element;
	size_t i;

	json_array_foreach(value, i, element)
	{
		if ((code = flatten(facts, path, element, depth + 1, err)) != IST_OK)
			break;
	}
	return code;
}

static enum ist_code flatten(struct ist_facts *facts, const char *path, const json_t *value,
			     int depth, struct ist_err *err)
{
	if (depth > IST_METADATA_DEPTH)
		return ist_fail(err, IST_INVALID, "metadata is nested over %d deep",
				IST_METADATA_DEPTH);
	if (facts->n >= IST_FACTS_MAX)
		return ist_fail(err, IST_INVALID, "metadata has over %d values", IST_FACTS_MAX);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		push(facts, path, IST_FACT_THERE);
		return flatten_object(facts, path, value, depth, err);
	case JSON_ARRAY:
		push(facts, path, IST_FACT_THERE);
		return flatten_array(facts, path, value, depth, err);
	case JSON_STRING:
		push_text(facts, path, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		push(facts, path, IST_FACT_INT)->value.integer = json_integer_value(value);
		break;
	case JSON_REAL:
		push(facts, path, IST_FACT_REAL)->value.real = json_real_value(value);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		push(facts, path, IST_FACT_BOOL)->value.integer = json_is_true(value);
		break;
	case JSON_NULL: /* a null is as good as missing */
		break;
	}
	return IST_OK;
}

bool ist_item_has(const struct ist_item *item, enum ist_modality m)
{
	return m == IST_IMAGE ? item->has_image || item->image_vector != NULL
			      : item->n_texts > 0 || item->n_text_vectors > 0;
}

enum ist_code ist_facts_init(struct ist_facts *facts, const struct ist_item *item,
			     struct ist_err *err)
{
	enum ist_code code = IST_OK;
	json_error_t why;

	*facts = (struct ist_facts){0};
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
		if (ist_item_has(item, m))
			push_text(facts, "has", ist_modality_name(m), strlen(ist_modality_name(m)));
	if (item->label != NULL)
		push_text(facts, "label", item->label, strlen(item->label));
	if (item->metadata == NULL)
		return IST_OK;
	facts->metadata = json_loads(item->metadata, JSON_ALLOW_NUL, &why);
	if (!json_is_object(facts->metadata))
		code = ist_fail_at(err, IST_INVALID, "/metadata", "not a JSON object");
	else
		code = flatten_object(facts, "metadata", facts->metadata, 0, err);
	if (code != IST_OK)
		ist_facts_finish(facts);
	return code;
}

void ist_facts_finish(struct ist_facts *facts)
{
	free(facts->list);
	json_decref(facts->metadata);
	ist_arena_finish(&facts->paths);
	*facts = (struct ist_facts){0};
}

/* The storage class is the type: see the table in the first migration. */
static void bind_value(sqlite3_stmt *st, int at, const struct ist_fact *fact)
{
	switch (fact->kind) {
	case IST_FACT_INT:
		sqlite3_bind_int64(st, at, fact->value.integer);
		break;
	case IST_FACT_REAL:
		sqlite3_bind_double(st, at, fact->value.real);
		break;
	case IST_FACT_TEXT:
		sqlite3_bind_text64(st, at, fact->value.text.data, fact->value.text.len,
				    SQLITE_STATIC, SQLITE_UTF8);
		break;
	case IST_FACT_BOOL:
		sqlite3_bind_blob(st, at, fact->value.integer ? "\1" : "\0", 1, SQLITE_STATIC);
		break;
	case IST_FACT_THERE:
		sqlite3_bind_blob(st, at, "", 0, SQLITE_STATIC);
		break;
	}
}

/* Duplicates (an array that says a value twice) are one fact. */
enum ist_code ist_facts_apply(struct ist_store *store, struct ist_db *db, int64_t collection,
			      int64_t row, const struct ist_facts *facts, bool add,
			      struct ist_err *err)
{
	enum ist_sql which = add ? IST_SQL_FACT_ADD : IST_SQL_FACT_REMOVE;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < facts->n; i++) {
		sqlite3_stmt *st = NULL;
		int64_t field = 0;
		bool more;

		code = ist_field_ids_get(store->fields, db, collection, facts->list[i].path, &field,
					 err);
		if (code == IST_OK)
			code = ist_db_bind(db, which, &st, err, "ii", field, row);
		if (code != IST_OK)
			break;
		bind_value(st, 3, &facts->list[i]);
		code = ist_db_step(db, st, &more, err);
	}
	return code;
}

/* ---- field ids ---- */

enum { FIELDS_REMEMBERED = 4096 }; /* a power of two; twice as many slots */

struct ist_field_ids {
	struct field {
		char *path; /* NULL: free */
		int64_t collection, id;
	} slots[2 * FIELDS_REMEMBERED];
	size_t n;
};

struct ist_field_ids *ist_field_ids_create(void)
{
	return ist_alloc(1, sizeof(struct ist_field_ids));
}

/* Cheaper than knowing which ids a rollback took back: they are looked up again. */
void ist_field_ids_forget(struct ist_field_ids *fields)
{
	for (size_t i = 0; fields->n > 0 && i < IST_COUNT(fields->slots); i++) {
		free(fields->slots[i].path);
		fields->slots[i].path = NULL;
	}
	fields->n = 0;
}

void ist_field_ids_destroy(struct ist_field_ids *fields)
{
	if (fields == NULL)
		return;
	ist_field_ids_forget(fields);
	free(fields);
}

/* Open addressing; half of the slots stay free. */
static struct field *slot_of(struct ist_field_ids *fields, int64_t collection, const char *path)
{
	uint64_t hash = 1469598103934665603u ^ (uint64_t)collection;
	size_t at;

	for (const char *p = path; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	at = hash % IST_COUNT(fields->slots);
	while (fields->slots[at].path != NULL && (fields->slots[at].collection != collection ||
						  strcmp(fields->slots[at].path, path) != 0))
		at = (at + 1) % IST_COUNT(fields->slots);
	return &fields->slots[at];
}

enum ist_code ist_field_ids_get(struct ist_field_ids *fields, struct ist_db *db, int64_t collection,
				const char *path, int64_t *ret, struct ist_err *err)
{
	struct field *slot = slot_of(fields, collection, path);
	enum ist_code code;
	int64_t id;

	if (slot->path != NULL) {
		*ret = slot->id;
		return IST_OK;
	}
	code = ist_db_int(db, IST_SQL_FIELD_ID, 0, &id, err, "it", collection, path);
	if (code == IST_OK && id == 0) {
		code = ist_db_run(db, IST_SQL_FIELD_ADD, err, "it", collection, path);
		id = sqlite3_last_insert_rowid(db->sql);
	}
	if (code != IST_OK)
		return code;
	if (fields->n == FIELDS_REMEMBERED) {
		ist_field_ids_forget(fields);
		slot = slot_of(fields, collection, path);
	}
	*slot = (struct field){.path = ist_strdup(path), .collection = collection, .id = id};
	fields->n++;
	*ret = id;
	return IST_OK;
}
