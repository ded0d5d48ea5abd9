/*
 * Filters to rows. Each comparison is a range of the facts' index, read by one of a few prepared
 * statements; the sets are combined here by merging sorted lists. A set may stand for all others
 * ("all rows but these"), so that NOT costs nothing until the very end.
 *
 * Meaning: a comparison holds for an item if one of the field's values is of the asked type and
 * compares so; a missing field or a value of another type never matches, for `ne` too.
 */
#include "index/filter_sql.h"

#include <math.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/memory.h"
#include "index/store_internal.h"

/* ---- sets of rows ---- */

bool ist_rows_has(const struct ist_rows *rows, int64_t row)
{
	size_t low = 0, high = rows->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rows->rows[mid] < row)
			low = mid + 1;
		else
			high = mid;
	}
	return low < rows->n && rows->rows[low] == row;
}

struct ist_rows *ist_rows_ref(struct ist_rows *rows)
{
	__atomic_fetch_add(&rows->refs, 1, __ATOMIC_RELAXED);
	return rows;
}

void ist_rows_unref(struct ist_rows *rows)
{
	if (rows == NULL || __atomic_sub_fetch(&rows->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(rows->rows);
	free(rows);
}

struct set {
	struct ist_rows *rows;
	bool others; /* all rows of the collection but these */
};

static struct set set_create(bool others)
{
	struct ist_rows *rows = ist_alloc(1, sizeof(*rows));

	rows->refs = 1;
	return (struct set){rows, others};
}

static void set_finish(struct set *set)
{
	ist_rows_unref(set->rows);
	set->rows = NULL;
}

static void rows_push(struct ist_rows *rows, int64_t row)
{
	if (rows->n == rows->cap) {
		rows->cap = rows->cap * 2 + 64;
		rows->rows = ist_resize(rows->rows, rows->cap, sizeof(*rows->rows));
	}
	rows->rows[rows->n++] = row;
}

/* Ascending, each once; byte by byte from the low end, only bytes that differ. Rows are > 0. */
static void rows_sort(struct ist_rows *rows)
{
	ist_autofree int64_t *other = NULL;
	int64_t differ = 0, *from = rows->rows, *to;
	bool sorted = true;
	size_t n = 0;

	for (size_t i = 1; i < rows->n; i++) {
		differ |= rows->rows[i] ^ rows->rows[0];
		sorted &= rows->rows[i - 1] < rows->rows[i];
	}
	if (sorted)
		return;
	other = to = ist_alloc_raw(rows->n, sizeof(*other));
	for (int shift = 0; shift < 64; shift += 8) {
		size_t count[257] = {0};
		int64_t *swap = from;

		if ((differ >> shift & 0xff) == 0)
			continue;
		for (size_t i = 0; i < rows->n; i++)
			count[(from[i] >> shift & 0xff) + 1]++;
		for (size_t b = 1; b < 257; b++)
			count[b] += count[b - 1];
		for (size_t i = 0; i < rows->n; i++)
			to[count[from[i] >> shift & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	for (size_t i = 0; i < rows->n; i++)
		if (n == 0 || from[i] != rows->rows[n - 1])
			rows->rows[n++] = from[i];
	rows->n = n;
}

/* The merge of two ascending lists, keeping what is in both, only in a, only in b as asked. */
static struct ist_rows *merge(const struct ist_rows *a, const struct ist_rows *b, bool both,
			      bool only_a, bool only_b)
{
	struct ist_rows *out = set_create(false).rows;
	size_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		if (j == b->n || (i < a->n && a->rows[i] < b->rows[j])) {
			if (only_a)
				rows_push(out, a->rows[i]);
			i++;
		} else if (i == a->n || b->rows[j] < a->rows[i]) {
			if (only_b)
				rows_push(out, b->rows[j]);
			j++;
		} else {
			if (both)
				rows_push(out, a->rows[i]);
			i++;
			j++;
		}
	}
	return out;
}

/* a := a AND b; OR is this under De Morgan. */
static void set_and(struct set *a, const struct set *b)
{
	struct set out = {.others = a->others && b->others};

	if (out.others)
		out.rows = merge(a->rows, b->rows, true, true, true);
	else
		out.rows = merge(a->rows, b->rows, !a->others && !b->others, b->others, a->others);
	set_finish(a);
	*a = out;
}

/* a OR b = NOT (NOT a AND NOT b); a complement is a flag. */
static void set_or(struct set *a, const struct set *b)
{
	struct set not_b = {b->rows, !b->others};

	a->others = !a->others;
	set_and(a, &not_b);
	a->others = !a->others;
}

/* ---- comparisons ---- */

/* A bound of a range; strings may carry a byte more than they show (prefixes). */
struct bound {
	enum { B_INTEGER, B_REAL, B_TEXT, B_BLOB } kind;
	int64_t integer;
	double real;
	const char *data;
	size_t len;
};
static const struct bound begin_of_numbers = {.kind = B_REAL, .real = -INFINITY};
static const struct bound begin_of_texts = {.kind = B_TEXT, .data = ""};
static const struct bound end_of_texts = {.kind = B_BLOB, .data = ""};

static void bind_bound(sqlite3_stmt *st, int at, const struct bound *b)
{
	switch (b->kind) {
	case B_INTEGER:
		sqlite3_bind_int64(st, at, b->integer);
		break;
	case B_REAL:
		sqlite3_bind_double(st, at, b->real);
		break;
	case B_TEXT:
		sqlite3_bind_text64(st, at, b->data, b->len, SQLITE_STATIC, SQLITE_UTF8);
		break;
	case B_BLOB:
		sqlite3_bind_blob64(st, at, b->data, b->len, SQLITE_STATIC);
		break;
	}
}

static struct bound bound_of(const json_t *value)
{
	if (json_is_integer(value))
		return (struct bound){.kind = B_INTEGER, .integer = json_integer_value(value)};
	if (json_is_real(value))
		return (struct bound){.kind = B_REAL, .real = json_real_value(value)};
	if (json_is_string(value))
		return (struct bound){.kind = B_TEXT,
				      .data = json_string_value(value),
				      .len = json_string_length(value)};
	return (struct bound){.kind = B_BLOB, .data = json_is_true(value) ? "\1" : "\0", .len = 1};
}

/* The statements of one source: over facts the first parameter is the field's id, over ids the
 * collection's. */
struct source {
	enum ist_sql all, eq, ge_lt, gt_lt, ge_le;
};
static const struct source facts = {IST_SQL_FACTS_ALL, IST_SQL_FACTS_EQ, IST_SQL_FACTS_GE_LT,
				    IST_SQL_FACTS_GT_LT, IST_SQL_FACTS_GE_LE};
static const struct source ids = {IST_SQL_IDS_ALL, IST_SQL_IDS_EQ, IST_SQL_IDS_GE_LT,
				  IST_SQL_IDS_GT_LT, IST_SQL_IDS_GE_LE};

struct query {
	struct ist_db *db;
	const struct source *source;
	int64_t key; /* field or collection */
	struct ist_rows *rows;
	struct ist_err *err;
};

/* Rows come in the order of values, not of rows: the caller sorts once at the end. */
static enum ist_code range(struct query *q, enum ist_sql which, const struct bound *low,
			   const struct bound *high)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code = ist_db_bind(q->db, which, &st, q->err, "i", q->key);
	bool more = true;

	if (code != IST_OK)
		return code;
	if (low != NULL)
		bind_bound(st, 2, low);
	if (high != NULL)
		bind_bound(st, 3, high);
	while ((code = ist_db_step(q->db, st, &more, q->err)) == IST_OK && more)
		rows_push(q->rows, sqlite3_column_int64(st, 0));
	return code;
}

/* From the least value of the same type. */
static enum ist_code less(struct query *q, const struct bound *b, bool or_equal)
{
	const struct bound *begin = b->kind == B_TEXT ? &begin_of_texts : &begin_of_numbers;

	return range(q, or_equal ? q->source->ge_le : q->source->ge_lt, begin, b);
}

/* Up to the end of the same type. */
static enum ist_code greater(struct query *q, const struct bound *b, bool or_equal)
{
	/* All numbers sort before the empty text, all texts before the empty blob. */
	const struct bound *end = b->kind == B_TEXT ? &end_of_texts : &begin_of_texts;

	return range(q, or_equal ? q->source->ge_lt : q->source->gt_lt, b, end);
}

static enum ist_code not_equal(struct query *q, const struct bound *b)
{
	struct bound other = *b;
	enum ist_code code;

	if (b->kind == B_BLOB) {
		other.data = b->data[0] ? "\0" : "\1";
		return range(q, q->source->eq, &other, NULL);
	}
	if ((code = less(q, b, false)) != IST_OK)
		return code;
	return greater(q, b, false);
}

/* Up to the prefix followed by a byte that no UTF-8 holds. */
static enum ist_code prefix(struct query *q, const struct bound *b)
{
	ist_autofree char *end = ist_alloc(b->len + 2, 1);
	struct bound high = {.kind = B_TEXT, .data = end, .len = b->len + 1};

	if (b->len > 0)
		memcpy(end, b->data, b->len);
	end[b->len] = '\xff';
	return range(q, q->source->ge_lt, b, &high);
}

static enum ist_code compare(struct query *q, enum ist_filter_op op, const json_t *value)
{
	struct bound b = bound_of(value);

	switch (op) {
	case IST_FILTER_EQ:
	case IST_FILTER_IN:
		return range(q, q->source->eq, &b, NULL);
	case IST_FILTER_NE:
		return not_equal(q, &b);
	case IST_FILTER_GT:
	case IST_FILTER_GTE:
		return greater(q, &b, op == IST_FILTER_GTE);
	case IST_FILTER_LT:
	case IST_FILTER_LTE:
		return less(q, &b, op == IST_FILTER_LTE);
	case IST_FILTER_PREFIX:
		return prefix(q, &b);
	default:
		return ist_fail(q->err, IST_INTERNAL, "no comparison: %d", op);
	}
}

/* A field that no item ever had has no id and no rows. */
static enum ist_code leaf(struct ist_db *db, const struct ist_collection *c,
			  const struct ist_filter *filter, struct set *ret, struct ist_err *err)
{
	bool by_id = strcmp(filter->field, "id") == 0;
	struct query q = {db, by_id ? &ids : &facts, c->id, NULL, err};
	struct set set = set_create(false);
	enum ist_code code = IST_OK;

	q.rows = set.rows;
	if (!by_id)
		code = ist_db_int(db, IST_SQL_FIELD_ID, 0, &q.key, err, "it", c->id, filter->field);
	if (code == IST_OK && q.key != 0 && filter->op == IST_FILTER_EXISTS)
		code = range(&q, q.source->all, NULL, NULL);
	for (size_t i = 0; code == IST_OK && q.key != 0 && i < filter->n; i++)
		code = compare(&q, filter->op, filter->values[i]);
	if (code != IST_OK) {
		set_finish(&set);
		return code;
	}
	rows_sort(set.rows);
	*ret = set;
	return IST_OK;
}

static enum ist_code evaluate(struct ist_db *db, const struct ist_collection *c,
			      const struct ist_filter *filter, struct set *ret, struct ist_err *err)
{
	bool any = filter->op == IST_FILTER_ANY;
	struct set set, child;
	enum ist_code code = IST_OK;

	if (filter->op == IST_FILTER_NOT) {
		if ((code = evaluate(db, c, filter->children[0], ret, err)) == IST_OK)
			ret->others = !ret->others;
		return code;
	}
	if (filter->op != IST_FILTER_ALL && !any)
		return leaf(db, c, filter, ret, err);
	set = set_create(!any);
	for (size_t i = 0; i < filter->n; i++) {
		if ((code = evaluate(db, c, filter->children[i], &child, err)) != IST_OK) {
			set_finish(&set);
			return code;
		}
		if (any)
			set_or(&set, &child);
		else
			set_and(&set, &child);
		set_finish(&child);
	}
	*ret = set;
	return IST_OK;
}

/* Only where a complement is left at the top: "all but these" needs them all. */
static enum ist_code all_rows(struct ist_db *db, const struct ist_collection *c, struct set *ret,
			      struct ist_err *err)
{
	struct set set = set_create(false);
	struct query q = {db, &ids, c->id, set.rows, err};
	enum ist_code code = range(&q, IST_SQL_ROWS_ALL, NULL, NULL);

	if (code != IST_OK)
		set_finish(&set);
	else
		*ret = set;
	return code;
}

enum ist_code ist_filter_rows(struct ist_db *db, const struct ist_collection *c,
			      const struct ist_filter *filter, struct ist_rows **ret,
			      struct ist_err *err)
{
	struct set set, all;
	enum ist_code code = evaluate(db, c, filter, &set, err);

	if (code == IST_OK && set.others) {
		if ((code = all_rows(db, c, &all, err)) == IST_OK) {
			set_and(&all, &set);
			set_finish(&set);
			set = all;
		} else {
			set_finish(&set);
		}
	}
	if (code == IST_OK)
		*ret = set.rows;
	return code;
}

/* ---- the latest results ---- */

/* Two filters of one key mean the same; that equal ones may differ in key costs a place only. */
static void key_of(const struct ist_filter *filter, struct ist_buf *key)
{
	ist_buf_printf(key, "%d %s(", filter->op, filter->field != NULL ? filter->field : "");
	for (size_t i = 0; i < filter->n; i++) {
		if (filter->children != NULL) {
			key_of(filter->children[i], key);
		} else {
			char *text = json_dumps(filter->values[i], JSON_ENCODE_ANY | JSON_COMPACT);

			ist_buf_puts(key, text != NULL ? text : "");
			free(text);
		}
		ist_buf_putc(key, ',');
	}
	ist_buf_putc(key, ')');
}

/* Good for one version of the collection: any write makes all of them old. */
static struct ist_rows *look_up(struct ist_collection *c, const char *key, uint64_t version)
{
	struct ist_rows *rows = NULL;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; rows == NULL && i < IST_CACHED_FILTERS; i++)
		if (c->filters[i].key != NULL && c->filters[i].version == version &&
		    strcmp(c->filters[i].key, key) == 0) {
			rows = ist_rows_ref(c->filters[i].rows);
			c->filters[i].used = ++c->filter_clock;
		}
	pthread_mutex_unlock(&c->lock);
	return rows;
}

static void remember(struct ist_collection *c, const char *key, uint64_t version,
		     struct ist_rows *rows)
{
	size_t oldest = 0;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 1; i < IST_CACHED_FILTERS; i++)
		if (c->filters[i].used < c->filters[oldest].used)
			oldest = i;
	free(c->filters[oldest].key);
	ist_rows_unref(c->filters[oldest].rows);
	c->filters[oldest].key = ist_strdup(key);
	c->filters[oldest].rows = ist_rows_ref(rows);
	c->filters[oldest].version = version;
	c->filters[oldest].used = ++c->filter_clock;
	pthread_mutex_unlock(&c->lock);
}

enum ist_code ist_filter_rows_cached(struct ist_db *db, struct ist_collection *c,
				     const struct ist_filter *filter, struct ist_rows **ret,
				     struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf key = {0};
	uint64_t version = c->version;
	enum ist_code code;

	key_of(filter, &key);
	if ((*ret = look_up(c, key.data, version)) != NULL)
		return IST_OK;
	if ((code = ist_filter_rows(db, c, filter, ret, err)) == IST_OK)
		remember(c, key.data, version, *ret);
	return code;
}
