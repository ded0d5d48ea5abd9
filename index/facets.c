/*
 * What a collection's filters could ask: each field with its most frequent values, and the range
 * of its numbers. Read from the facts; a value that no item says any more has none.
 */
#include <math.h>

#include "core/base/memory.h"
#include "index/store_internal.h"

/* A fact's value as it stood in the item; see bind_value in facts.c. */
static json_t *value_json(sqlite3_stmt *st)
{
	switch (sqlite3_column_type(st, 0)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(st, 0));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(st, 0));
	case SQLITE_TEXT:
		return json_stringn_nocheck((const char *)sqlite3_column_text(st, 0),
					    (size_t)sqlite3_column_bytes(st, 0));
	default:
		return json_boolean(*(const char *)sqlite3_column_blob(st, 0) != 0);
	}
}

/* The least or the greatest number of a field; null where there is none. */
static enum ist_code read_end(struct ist_db *db, enum ist_sql which, int64_t field, json_t **ret,
			      struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	bool more = false;
	enum ist_code code = ist_db_bind(db, which, &st, err, "i", field);

	if (code == IST_OK)
		code = ist_db_step(db, st, &more, err);
	if (code == IST_OK)
		*ret = more ? value_json(st) : json_null();
	return code;
}

/* One more than was asked for says that there are more. */
static enum ist_code read_values(struct ist_db *db, int64_t field, size_t limit, json_t *into,
				 struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	json_t *values = json_array();
	size_t n = 0;
	bool more = true;
	enum ist_code code =
	    ist_db_bind(db, IST_SQL_FACET_VALUES, &st, err, "ii", field, (int64_t)limit + 1);

	while (code == IST_OK && (code = ist_db_step(db, st, &more, err)) == IST_OK && more)
		if (n++ < limit)
			json_array_append_new(
			    values, json_pack("{s:o,s:I}", "value", value_json(st), "count",
					      (json_int_t)sqlite3_column_int64(st, 1)));
	json_object_set_new(into, "values", values);
	json_object_set_new(into, "more", json_boolean(n > limit));
	return code;
}

/* `into` gets its members one after the other; a field that nobody uses stays empty. */
static enum ist_code read_facet(struct ist_db *db, int64_t field, const char *path, size_t limit,
				json_t *into, struct ist_err *err)
{
	static const struct {
		const char *name;
		enum ist_sql sql;
	} ends[] = {{"min", IST_SQL_FACET_LEAST}, {"max", IST_SQL_FACET_MOST}};
	int64_t items;
	enum ist_code code = ist_db_int(db, IST_SQL_FACET_ITEMS, 0, &items, err, "i", field);

	if (code != IST_OK || items == 0)
		return code;
	json_object_set_new(into, "field", json_string_nocheck(path));
	json_object_set_new(into, "items", json_integer(items));
	code = read_values(db, field, limit, into, err);
	for (size_t i = 0; code == IST_OK && i < IST_COUNT(ends); i++) {
		json_t *end = NULL;

		code = read_end(db, ends[i].sql, field, &end, err);
		if (code == IST_OK)
			json_object_set_new(into, ends[i].name, end);
	}
	return code;
}

static enum ist_code read_fields(struct ist_db *db, int64_t collection, size_t limit, json_t *into,
				 struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	bool more = true;
	enum ist_code code =
	    ist_db_bind(db, IST_SQL_FIELDS_OF, &st, err, "ii", collection, (int64_t)IST_FACETS_MAX);

	while (code == IST_OK && (code = ist_db_step(db, st, &more, err)) == IST_OK && more) {
		json_t *facet = json_object();

		code = read_facet(db, sqlite3_column_int64(st, 0), ist_db_text(st, 1), limit, facet,
				  err);
		if (code == IST_OK && json_object_size(facet) > 0)
			json_array_append(into, facet);
		json_decref(facet);
	}
	return code;
}

enum ist_code ist_collection_facets(struct ist_collection *c, size_t limit, json_t **ret,
				    struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_read_end) struct ist_db_read read = {0};
	json_t *list = json_array();
	enum ist_code code = ist_collection_check(c, err);

	if (code == IST_OK)
		code = ist_db_take(&c->store->pool, &lease, err);
	if (code == IST_OK)
		code = ist_db_read_begin(lease.db, &read, err);
	if (code == IST_OK)
		code = read_fields(lease.db, c->id, limit, list, err);
	if (code == IST_OK)
		*ret = list;
	else
		json_decref(list);
	return code;
}
