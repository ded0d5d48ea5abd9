/*
 * Filters over the catalog: the ascending rows of a collection that match, found through the index
 * over facts. Results are counted and immutable, so that the latest ones can be kept.
 */
#ifndef IST_INDEX_FILTER_SQL_H
#define IST_INDEX_FILTER_SQL_H

#include "index/db.h"
#include "index/filter.h"

struct ist_collection;

struct ist_rows {
	size_t n, cap;
	int64_t *rows; /* ascending, each once */
	int refs;      /* atomic */
};
bool ist_rows_has(const struct ist_rows *rows, int64_t row);
struct ist_rows *ist_rows_ref(struct ist_rows *rows);
void ist_rows_unref(struct ist_rows *rows);
static inline void ist_rows_unref_ptr(struct ist_rows **rows)
{
	ist_rows_unref(*rows);
}

IST_CHECKED enum ist_code ist_filter_rows(struct ist_db *db, const struct ist_collection *c,
					  const struct ist_filter *filter, struct ist_rows **ret,
					  struct ist_err *err);
/* The same, from the latest few if nothing changed since. */
IST_CHECKED enum ist_code ist_filter_rows_cached(struct ist_db *db, struct ist_collection *c,
						 const struct ist_filter *filter,
						 struct ist_rows **ret, struct ist_err *err);

#endif
