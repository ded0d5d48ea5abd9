/*
 * The hnsw kind: a hierarchical navigable small world graph (Malkov & Yashunin, 2018). FAISS
 * builds, keeps and writes it; the walk over its links is ours, because FAISS 1.7.3 opens an OpenMP
 * region and allocates a visited table for each search, sizes its queue without regard to the
 * parameters, and walks a selector's graph with a fixed breadth. Its own search remains the
 * reference that the walk is tested against (ist_faiss_hnsw_search).
 *
 * The walk keeps the `ef` best allowed vectors and goes through forbidden ones; it gives up where
 * that costs more than scoring the allowed vectors one by one, and the exact scan answers.
 *
 * By order, the graph is built by distances, as within one modality, and the walk goes by the order
 * itself, so that what it gives is scored exactly and needs no second ranking. Collecting the ef
 * nearest by distance and ranking these takes as long; it finds fewer sentences (of 29,000 by a
 * GXN, asked by pictures, ef 64 found .93 of the ten best against .99, ef 128 .985 against .998)
 * and slightly more pictures (of 7,800, asked by sentences, .97 and .98 against .95 and .97).
 */
#include "index/vectors_kind.h"

#include <math.h>
#include <string.h>

#include <faiss/c_api/index_io_c.h>

#include "core/base/memory.h"

/* Measured on 50,000 x 256 (tests/bench/index): less of either costs more time a search than it
 * saves a build, more of either hardly helps a search. */
#define N_LINKS 16
#define EF_CONSTRUCTION 100
#define EF_DEFAULT 64
/* What a unit of ef costs a walk, in the floats of vectors.h, hardly depending on the width
 * (measured): tells where a scan of the allowed vectors is quicker. */
#define COST_PER_EF 6000

static enum ist_code hnsw_create(struct ist_vectors *v, struct ist_err *err)
{
	v->ef = EF_DEFAULT;
	return ist_faiss_hnsw_new((int)v->dim, N_LINKS, EF_CONSTRUCTION,
				  ist_metric_of(v->similarity), &v->index, err);
}

static void hnsw_destroy(struct ist_vectors *v)
{
	faiss_Index_free(v->index);
}

/* FAISS counts links in 32 bits. It adds with as many threads as the caller has set. */
static enum ist_code hnsw_add(struct ist_vectors *v, const float *x, size_t n, struct ist_err *err)
{
	if (v->n + n > INT32_MAX)
		return ist_fail(err, IST_INVALID, "hnsw holds at most %d vectors", INT32_MAX);
	if (faiss_Index_add(v->index, (int64_t)n, x) != 0)
		return ist_faiss_fail(err, "add to hnsw");
	return IST_OK;
}

/* ---- the heap: smallest key on top ---- */

static void heap_push(struct ist_heap *heap, float key, int32_t position)
{
	size_t i = heap->n++;

	if (heap->n > heap->cap) {
		heap->cap = IST_MAX(heap->n * 2, 256);
		heap->node = ist_resize(heap->node, heap->cap, sizeof(*heap->node));
	}
	while (i > 0 && key < heap->node[(i - 1) / 2].key) {
		heap->node[i] = heap->node[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->node[i] = (struct ist_heap_node){key, position};
}

/* Puts `last` where the top was taken away. */
static void heap_settle(struct ist_heap *heap, struct ist_heap_node last)
{
	size_t i = 0, child;

	while ((child = 2 * i + 1) < heap->n) {
		if (child + 1 < heap->n && heap->node[child + 1].key < heap->node[child].key)
			child++;
		if (last.key <= heap->node[child].key)
			break;
		heap->node[i] = heap->node[child];
		i = child;
	}
	heap->node[i] = last;
}

static struct ist_heap_node heap_pop(struct ist_heap *heap)
{
	struct ist_heap_node top = heap->node[0];

	heap->n--;
	if (heap->n > 0)
		heap_settle(heap, heap->node[heap->n]);
	return top;
}

/* ---- the walk ---- */

/* One search. `budget` bounds the vectors it may score before a scan is the better way. */
struct walk {
	const struct ist_vectors *v;
	struct ist_searcher *s;
	const float *query;
	ist_score *score;
	const uint64_t *allowed; /* NULL: all */
	size_t ef, n_scored, budget;
};

static const float *vector_at(const struct ist_vectors *v, int32_t position)
{
	return v->x + (size_t)position * v->dim;
}

/* Scores n positions (n, at most four). */
static void score_four(struct walk *walk, const int32_t *position, size_t n, float ret[4])
{
	const float *x[4];

	for (size_t i = 0; i < 4; i++)
		x[i] = vector_at(walk->v, position[i < n ? i : 0]);
	walk->score(walk->query, x, walk->v->dim, ret);
	walk->n_scored += n;
}

static const int32_t *links_of(const struct ist_vectors *v, int32_t position, int level,
			       size_t *ret_n)
{
	const struct ist_faiss_graph *g = &v->graph;
	const int32_t *links = g->links + g->offsets[position] + g->level_at[level];
	size_t n = (size_t)(g->level_at[level + 1] - g->level_at[level]), used = 0;

	while (used < n && links[used] >= 0)
		used++;
	*ret_n = used;
	return links;
}

/* On the upper levels: to the nearest of the links, until none is nearer. */
static int32_t descend(struct walk *walk, float *ret_score)
{
	int32_t at = walk->v->graph.entry;
	float best[4], score[4];
	bool moved;

	score_four(walk, &at, 1, best);
	for (int level = walk->v->graph.top; level > 0; level--) {
		do {
			size_t n;
			const int32_t *links = links_of(walk->v, at, level, &n);

			moved = false;
			for (size_t i = 0; i < n; i += 4) {
				size_t four = IST_MIN(n - i, 4);

				score_four(walk, links + i, four, score);
				for (size_t j = 0; j < four; j++) {
					if (score[j] > best[0]) {
						best[0] = score[j];
						at = links[i + j];
						moved = true;
					}
				}
			}
		} while (moved);
	}
	*ret_score = best[0];
	return at;
}

/* A vector that has just been scored. It is worth going on from if it is nearer than the worst of
 * the best, or while there are too few of those; whether it may be found is another question. */
static void meet(struct walk *walk, int32_t position, float score)
{
	struct ist_heap *found = &walk->s->found;

	if (found->n == walk->ef && !(score > found->node[0].key))
		return;
	heap_push(&walk->s->candidates, -score, position);
	if (walk->allowed != NULL && !ist_bit(walk->allowed, (size_t)position))
		return;
	if (found->n < walk->ef)
		heap_push(found, score, position);
	else
		heap_settle(found, (struct ist_heap_node){score, position});
}

/* Scores the neighbours that were not seen yet. They lie anywhere in memory, so the next four are
 * being fetched while four are scored. */
static void expand(struct walk *walk, int32_t position)
{
	struct ist_searcher *s = walk->s;
	int32_t fresh[64 + 4];
	size_t n_links, n = 0;
	const int32_t *links = links_of(walk->v, position, 0, &n_links);
	float score[4];

	for (size_t i = 0; i < n_links && n < 64; i++) {
		if (s->visited[links[i]] == s->mark)
			continue;
		s->visited[links[i]] = s->mark;
		fresh[n++] = links[i];
	}
	for (size_t i = 0; i < IST_MIN(n, 4); i++)
		ist_prefetch(vector_at(walk->v, fresh[i]), walk->v->dim);
	for (size_t i = 0; i < n; i += 4) {
		size_t four = IST_MIN(n - i, 4);

		for (size_t j = i + 4; j < IST_MIN(n, i + 8); j++)
			ist_prefetch(vector_at(walk->v, fresh[j]), walk->v->dim);
		score_four(walk, fresh + i, four, score);
		for (size_t j = 0; j < four; j++)
			meet(walk, fresh[i + j], score[j]);
	}
}

/* Forgetting what was visited costs one addition; only every 255th search clears the table. */
static void start(struct walk *walk)
{
	struct ist_searcher *s = walk->s;

	if (s->n_visited < walk->v->n) {
		free(s->visited);
		s->n_visited = walk->v->n;
		s->visited = ist_alloc(s->n_visited, 1);
		s->mark = 0;
	}
	if (++s->mark == 0) {
		memset(s->visited, 0, s->n_visited);
		s->mark = 1;
	}
	s->candidates.n = s->found.n = 0;
}

/* False where the budget ran out first. */
static bool walk_graph(struct walk *walk)
{
	struct ist_heap *candidates = &walk->s->candidates, *found = &walk->s->found;
	float score;
	int32_t at;

	start(walk);
	at = descend(walk, &score);
	walk->s->visited[at] = walk->s->mark;
	meet(walk, at, score);
	while (candidates->n > 0) {
		struct ist_heap_node next = heap_pop(candidates);

		if (found->n == walk->ef && -next.key < found->node[0].key)
			break;
		if (walk->n_scored > walk->budget)
			return false;
		expand(walk, next.position);
	}
	return true;
}

/* The heap gives the worst first, so the hits are filled in from the end. */
static size_t take_best(struct walk *walk, size_t k, struct ist_vector_hit *ret)
{
	struct ist_heap *found = &walk->s->found;
	size_t n;

	while (found->n > k)
		heap_pop(found);
	n = found->n;
	for (size_t i = n; i > 0; i--) {
		struct ist_heap_node node = heap_pop(found);

		ret[i - 1].position = node.position;
		ret[i - 1].similarity = ist_similarity_of_score(walk->v->similarity, node.key);
	}
	return n;
}

/* A walk costs about ef / density, a scan n_allowed vectors. */
static bool scan_is_quicker(const struct ist_vectors *v, size_t ef, size_t n_allowed)
{
	double density = (double)n_allowed / (double)v->n;
	double scan = (double)n_allowed * (double)(v->dim + IST_VECTOR_COST);

	return density * scan < (double)ef * COST_PER_EF;
}

/* Three ways to answer: a scan where few are allowed, the walk, and a scan after all where the walk
 * ran out of budget or, in a graph with islands, out of links. */
static enum ist_code hnsw_search(const struct ist_vectors *v, struct ist_searcher *s,
				 const float *query, enum ist_direction direction, size_t k,
				 size_t ef, const struct ist_bitset *allowed,
				 struct ist_vector_hit *ret, size_t *ret_n, struct ist_err *err)
{
	size_t n_allowed = allowed != NULL ? allowed->n_set : v->n;
	struct walk walk = {
	    .v = v,
	    .s = s,
	    .query = query,
	    .score = ist_score_for(v->similarity, direction),
	    .allowed = allowed != NULL ? allowed->words : NULL,
	    .ef = IST_MAX(ef != 0 ? ef : v->ef, k),
	    .budget = allowed != NULL ? n_allowed : SIZE_MAX,
	};
	size_t n;

	if (scan_is_quicker(v, walk.ef, n_allowed) || !walk_graph(&walk))
		return ist_vectors_scan(v, query, direction, k, NULL, 0, allowed, ret, ret_n, err);
	n = take_best(&walk, k, ret);
	if (n < IST_MIN(k, n_allowed))
		return ist_vectors_scan(v, query, direction, k, NULL, 0, allowed, ret, ret_n, err);
	*ret_n = n;
	return IST_OK;
}

bool ist_vectors_prefers_scan(const struct ist_vectors *v, size_t k, size_t n_allowed)
{
	return v->kind->exact || v->n == 0 || n_allowed == 0 ||
	       scan_is_quicker(v, IST_MAX(k, v->ef), n_allowed);
}

static enum ist_code hnsw_write(const struct ist_vectors *v, FILE *f, struct ist_err *err)
{
	if (faiss_write_index(v->index, f) != 0)
		return ist_faiss_fail(err, "write hnsw");
	return IST_OK;
}

/* The checksum speaks against damage only; the graph's check is what keeps the walk within bounds.
 */
static enum ist_code hnsw_read(struct ist_vectors *v, FILE *f, struct ist_err *err)
{
	if (faiss_read_index(f, 0, &v->index) != 0)
		return ist_faiss_fail(err, "read hnsw");
	if (!ist_faiss_is_hnsw(v->index) || !ist_faiss_graph_is_sound(v->index))
		return ist_fail(err, IST_CORRUPT, "not a sound hnsw index");
	return ist_vectors_check_read(v, err);
}

static enum ist_code hnsw_clone(struct ist_vectors *v, const struct ist_vectors *from, size_t n,
				struct ist_err *err)
{
	return ist_faiss_clone(from->index, n, &v->index, err);
}

const struct ist_vector_kind ist_vectors_hnsw = {
    .name = "hnsw",
    .exact = false,
    /* Where a scan takes half a millisecond, by whatever score: one by order is as quick. Both ways
     * take as long at a sixth of that (bench-vectors order), which no graph is worth. */
    .from = 3000000,
    .create = hnsw_create,
    .destroy = hnsw_destroy,
    .add = hnsw_add,
    .search = hnsw_search,
    .write = hnsw_write,
    .read = hnsw_read,
    .clone = hnsw_clone,
};
