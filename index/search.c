/*
 * Search: vectors from the generation, items from SQLite, one hit an item.
 *
 * Each round asks every target for its k nearest, merges them by key (similarity, or score across
 * targets), and reads the items of the best. k grows until limit + offset items are found, their
 * ties included, or nothing is left. A row that SQLite no longer has was replaced or deleted after
 * the watermark was taken; if that happened, the whole search is done again with the watermark of
 * now, so that an item under replacement is found in its old version or in its new one.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/filter_sql.h"
#include "index/items.h"
#include "index/live.h"

enum { TRIES = 3, TIE_LIMIT = 4096 };

/* ---- readers ---- */

/* The active model's generation is at hand; another one must be one of this collection. */
enum ist_code ist_reader_init(struct ist_reader *reader, struct ist_collection *c,
			      const char *model, struct ist_err *err)
{
	struct ist_reader r = {.collection = c};
	int64_t active, asked = -1;
	enum ist_code code = ist_live_get(c, &r.generation, &r.mark, &active, err);

	if (code != IST_OK)
		return code;
	if (model != NULL && model[0] != '\0' && (asked = ist_model_number(model)) != active) {
		struct ist_model_info info;
		ist_auto(ist_arena_finish) struct ist_arena arena = {0};

		ist_generation_unref(r.generation);
		if ((code = ist_models_get(c, model, &arena, &info, err)) != IST_OK ||
		    (code = ist_live_get_other(c, asked, &r.generation, &r.mark, err)) != IST_OK)
			return code;
		active = asked;
	}
	ist_model_id(active, r.model);
	r.collection = ist_collection_ref(c);
	*reader = r;
	return IST_OK;
}

void ist_reader_finish(struct ist_reader *reader)
{
	ist_generation_unref(reader->generation);
	ist_collection_unref(reader->collection);
	*reader = (struct ist_reader){0};
}

/* ---- one search ---- */

struct candidate {
	struct ist_generation_hit hit;
	enum ist_modality modality;
	double key; /* what it is ordered by */
	bool gone;
	const char *id; /* where it was needed to order ties */
};

struct query {
	const struct ist_reader *reader;
	const struct ist_search *search;
	const struct ist_model *model;
	struct ist_generation *generation;
	struct ist_watermark mark;
	struct ist_searcher *searcher;
	struct ist_db *db;
	const struct ist_rows *rows; /* of the filter; NULL: all */
	bool by_score;		     /* targets are compared by score, else standardised */
	size_t n_targets;
	struct ist_arena *arena;
	struct candidate *list;
	size_t n;
	bool exhausted; /* no target has more */
	size_t gone;
	struct ist_search_report report;
};

/* Similarities of two directions are not comparable as they are. */
static double key_of(const struct query *q, enum ist_modality m, double similarity)
{
	if (q->n_targets == 1)
		return similarity;
	return q->by_score ? ist_model_score(q->model, q->search->from, m, similarity)
			   : ist_model_standardise(q->model, q->search->from, m, similarity);
}

/* Scores compare across targets only if every target has them. */
static bool scores_compare(const struct query *q)
{
	bool all = q->search->by_score;

	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
		if (q->search->vector[m] != NULL)
			all &= !isnan(ist_model_score(q->model, q->search->from, m, 0));
	return all;
}

/* Compared as floats, as replies show them: the value that a hit was shown with lets it pass. */
static bool passes(const struct query *q, enum ist_modality m, double similarity)
{
	const struct ist_search *s = q->search;

	if (!isnan(s->min_similarity) && (float)similarity < (float)s->min_similarity)
		return false;
	return isnan(s->threshold) ||
	       (float)ist_model_score(q->model, s->from, m, similarity) >= (float)s->threshold;
}

static enum ist_code search_target(struct query *q, enum ist_modality m, size_t k,
				   struct ist_err *err)
{
	ist_autofree struct ist_generation_hit *hits = ist_alloc_raw(k, sizeof(*hits));
	size_t n = 0;
	enum ist_code code;

	code = ist_generation_search(
	    q->generation, q->mark, q->searcher, q->search->from, m, q->search->vector[m], k,
	    q->rows != NULL ? q->rows->rows : NULL, q->rows != NULL ? q->rows->n : 0,
	    q->search->exact, hits, &n, err);
	if (code != IST_OK)
		return code;
	q->report.candidates += n;
	for (size_t i = 0; i < n; i++) {
		struct candidate *to = &q->list[q->n];

		/* Best first: what follows passes as little. */
		if (!passes(q, m, hits[i].similarity))
			return IST_OK;
		*to = (struct candidate){.hit = hits[i], .modality = m};
		to->key = key_of(q, m, hits[i].similarity);
		q->n++;
	}
	if (n == k)
		q->exhausted = false;
	return IST_OK;
}

/* Best first; of one row its best, then images before texts. */
static int by_key(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	if (x->hit.row != y->hit.row)
		return x->hit.row < y->hit.row ? -1 : 1;
	return (int)x->modality - (int)y->modality;
}

static int by_row(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->hit.row != y->hit.row)
		return x->hit.row < y->hit.row ? -1 : 1;
	return by_key(a, b);
}

/* Of an item that came in two modalities, the better. */
static void one_a_row(struct query *q)
{
	size_t n = 0;

	if (q->n_targets > 1) {
		qsort(q->list, q->n, sizeof(*q->list), by_row);
		for (size_t i = 0; i < q->n; i++)
			if (n == 0 || q->list[i].hit.row != q->list[n - 1].hit.row)
				q->list[n++] = q->list[i];
		q->n = n;
	}
	qsort(q->list, q->n, sizeof(*q->list), by_key);
}

/* From the start each round: a larger k may also bring a better text of the same row. */
static enum ist_code search_all(struct query *q, size_t k, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	free(q->list);
	q->list = ist_alloc_raw(k * q->n_targets, sizeof(*q->list));
	q->n = 0;
	q->exhausted = true;
	q->report.rounds++;
	for (enum ist_modality m = 0; code == IST_OK && m < IST_N_MODALITIES; m++)
		if (q->search->vector[m] != NULL)
			code = search_target(q, m, k, err);
	if (code == IST_OK)
		one_a_row(q);
	return code;
}

/* ---- ids and ties ---- */

/* Only where ids decide: ties and pages that are skipped. */
static enum ist_code read_id(struct query *q, struct candidate *c, struct ist_err *err)
{
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	enum ist_code code;
	bool row;

	if (c->id != NULL || c->gone)
		return IST_OK;
	code = ist_db_bind(q->db, IST_SQL_ITEM_ID, &st, err, "i", c->hit.row);
	if (code != IST_OK || (code = ist_db_step(q->db, st, &row, err)) != IST_OK)
		return code;
	if (row)
		c->id = ist_arena_strdup(q->arena, ist_db_text(st, 0));
	c->gone = !row;
	q->gone += !row;
	return IST_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->gone || y->gone)
		return (int)x->gone - (int)y->gone;
	return strcmp(x->id, y->id);
}

/* Candidates of equal key, from the one at `at`, in the order of their ids. */
static enum ist_code order_ties(struct query *q, size_t at, size_t *ret_end, struct ist_err *err)
{
	size_t end = at + 1;
	enum ist_code code = IST_OK;

	while (end < q->n && q->list[end].key == q->list[at].key)
		end++;
	*ret_end = end;
	if (end - at < 2)
		return IST_OK;
	for (size_t i = at; code == IST_OK && i < end; i++)
		code = read_id(q, &q->list[i], err);
	if (code == IST_OK)
		qsort(q->list + at, end - at, sizeof(*q->list), by_id);
	return code;
}

static bool is_excluded(const struct query *q, const struct ist_item *item)
{
	return q->search->exclude != NULL && strcmp(q->search->exclude, item->id) == 0;
}

/* ---- hits ---- */

static void fill_hit(struct query *q, const struct candidate *c, struct ist_hit *hit)
{
	double similarity = c->hit.similarity;
	const float *embedding;
	size_t dim = q->model->dim[c->modality];
	float *copy;

	hit->modality = c->modality;
	hit->ordinal = c->hit.ordinal;
	hit->similarity = similarity;
	hit->score = ist_model_score(q->model, q->search->from, c->modality, similarity);
	hit->embedding = NULL;
	if (!q->search->with_vectors)
		return;
	embedding =
	    ist_generation_vector(q->generation, q->mark, c->modality, c->hit.row, c->hit.ordinal);
	if (embedding == NULL)
		return;
	copy = ist_arena_alloc(q->arena, dim, sizeof(*copy));
	memcpy(copy, embedding, dim * sizeof(*copy));
	hit->embedding = copy;
}

/* Reads the hits of the window; *ret_n of them, and whether enough candidates were there. */
static enum ist_code read_hits(struct query *q, struct ist_hit *ret, size_t *ret_n,
			       bool *ret_enough, struct ist_err *err)
{
	const struct ist_search *s = q->search;
	size_t skipped = 0, n = 0, tied_until = 0;
	enum ist_code code = IST_OK;

	for (size_t i = 0; code == IST_OK && i < q->n && n < s->limit; i++) {
		struct candidate *c = &q->list[i];
		struct ist_hit *hit = &ret[n];
		bool found = true;

		if (i >= tied_until && (code = order_ties(q, i, &tied_until, err)) != IST_OK)
			break;
		/* The tie may go on in what was not asked for yet. */
		if (tied_until == q->n && !q->exhausted && q->n < TIE_LIMIT + s->limit + s->offset)
			break;
		if (skipped < s->offset) {
			if ((code = read_id(q, c, err)) == IST_OK && !c->gone)
				skipped += s->exclude == NULL || strcmp(s->exclude, c->id) != 0;
			continue;
		}
		if (!c->gone)
			code = ist_item_read(q->db, c->hit.row, s->with_vectors, q->arena,
					     &hit->item, &found, err);
		q->gone += !found;
		if (code != IST_OK || c->gone || !found || is_excluded(q, &hit->item))
			continue;
		fill_hit(q, c, hit);
		n++;
	}
	*ret_n = n;
	*ret_enough = n == s->limit;
	return code;
}

/* One more than needed shows whether the last place is tied. */
static enum ist_code search_until(struct query *q, struct ist_hit *ret, size_t *ret_n,
				  struct ist_err *err)
{
	const struct ist_search *s = q->search;
	size_t k = s->limit + s->offset + (s->exclude != NULL) + 1;
	bool enough = false;
	enum ist_code code;

	if (q->rows != NULL)
		k = IST_MIN(k, q->rows->n + 1);
	for (;;) {
		if ((code = search_all(q, k, err)) != IST_OK ||
		    (code = read_hits(q, ret, ret_n, &enough, err)) != IST_OK)
			return code;
		if (enough || q->exhausted)
			return IST_OK;
		k *= 2;
	}
}

/* ---- the whole ---- */

/* A generation of the reader's model that has what is published now: after a merge the one that
 * took the old one's place; after another model became active the cached one, caught up. */
static void refresh(struct query *q)
{
	struct ist_collection *c = q->reader->collection;
	int64_t model = ist_model_number(q->reader->model);
	struct ist_generation *fresh = NULL;
	struct ist_watermark mark;

	pthread_mutex_lock(&c->lock);
	if (c->generation != NULL && c->model == model)
		fresh = ist_generation_ref(c->generation);
	pthread_mutex_unlock(&c->lock);
	if (fresh == NULL && ist_live_get_other(c, model, &fresh, &mark, NULL) != IST_OK)
		return;
	ist_generation_unref(q->generation);
	q->generation = fresh;
	q->model = ist_generation_model(fresh);
}

/* One try, in one read transaction: filter and items are of one state. */
static enum ist_code try_once(struct query *q, struct ist_hit *ret, size_t *ret_n,
			      struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_read_end) struct ist_db_read read = {0};
	ist_auto(ist_rows_unref_ptr) struct ist_rows *rows = NULL;
	struct ist_collection *c = q->reader->collection;
	enum ist_code code;

	q->gone = 0;
	if ((code = ist_collection_take(c, &lease, err)) != IST_OK ||
	    (code = ist_db_read_begin(lease.db, &read, err)) != IST_OK)
		return code;
	q->db = lease.db;
	if (!ist_filter_is_empty(q->search->filter) &&
	    (code = ist_filter_rows_cached(lease.db, c, q->search->filter, &rows, err)) != IST_OK)
		return code;
	q->rows = rows;
	q->report.matched = rows != NULL ? rows->n : 0;
	if (rows == NULL || rows->n > 0)
		code = search_until(q, ret, ret_n, err);
	else
		*ret_n = 0;
	q->rows = NULL;
	return code;
}

static const char *path_of(const struct query *q)
{
	struct ist_generation_info info;

	if (q->search->exact)
		return "exact";
	ist_generation_info(q->generation, &info);
	return info.kind != NULL && info.base > 0 ? info.kind : "flat";
}

/* Again while something changed in between; the last time with the writer held, so that nothing
 * can. */
static enum ist_code try_until_still(struct query *q, struct ist_hit *ret, size_t *ret_n,
				     struct ist_err *err)
{
	struct ist_collection *c = q->reader->collection;
	enum ist_code code;
	uint64_t kills;

	for (int tries = 1; tries < TRIES; tries++) {
		/* Counted before the watermark is taken: what dies later is noticed. */
		kills = c->kills;
		q->mark = ist_generation_watermark(q->generation);
		code = try_once(q, ret, ret_n, err);
		if (code != IST_OK || (q->gone == 0 && kills == c->kills))
			return code;
		ist_writer_settle(c->store->writer);
		refresh(q);
	}
	ist_writer_hold(c->store->writer);
	refresh(q);
	q->mark = ist_generation_watermark(q->generation);
	code = try_once(q, ret, ret_n, err);
	ist_writer_go_on(c->store->writer);
	return code;
}

enum ist_code ist_reader_search(const struct ist_reader *reader, struct ist_searcher *s,
				const struct ist_search *search, struct ist_arena *arena,
				struct ist_hit **ret, size_t *ret_n,
				struct ist_search_report *ret_report, struct ist_err *err)
{
	struct query q = {.reader = reader,
			  .search = search,
			  .model = ist_generation_model(reader->generation),
			  .generation = ist_generation_ref(reader->generation),
			  .searcher = s,
			  .arena = arena};
	struct ist_hit *hits = ist_arena_alloc(arena, search->limit, sizeof(*hits));
	size_t n = 0;
	enum ist_code code;

	for (int m = 0; m < IST_N_MODALITIES; m++)
		q.n_targets += search->vector[m] != NULL;
	q.by_score = q.n_targets > 1 && scores_compare(&q);
	code = try_until_still(&q, hits, &n, err);
	q.report.path = path_of(&q);
	free(q.list);
	ist_generation_unref(q.generation);
	if (code != IST_OK)
		return code;
	*ret = hits;
	*ret_n = n;
	if (ret_report != NULL)
		*ret_report = q.report;
	return IST_OK;
}
