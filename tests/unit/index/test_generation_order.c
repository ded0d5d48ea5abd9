/*
 * Generations under a similarity that is not symmetric: texts ask for pictures, pictures for texts,
 * and either for more of its own, by graph and by scan, with deaths, filters, fresh vectors, merges
 * and files; and data that a graph built by distances cannot answer an order from.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/generation_parts.h"
#include "tests/unit/index/generation_model.h"
#include "tests/unit/index/vectors_sample.h"

#define DIM 48
#define N_BASE 8000
#define N_ALL 8600
#define K 10
#define N_QUERIES 12

/* Row r has the picture image + (r - 1) * DIM and a text likewise. */
struct world {
	struct ist_model *model;
	struct ist_generation *g;
	struct ist_searcher *s;
	float *x[IST_N_MODALITIES], *queries[IST_N_MODALITIES];
	struct naive list[IST_N_MODALITIES];
	int64_t n_rows;
};

static void append(struct world *w, int64_t row)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		naive_append(&w->list[m], row, 0, w->x[m] + (row - 1) * DIM);
	w->n_rows = row;
}

/* A graph, though so few would be scanned. */
static void world_init(struct world *w)
{
	struct ist_err err;

	ist_threads_use(2);
	*w = (struct world){.model = sample_model(DIM, DIM, IST_ORDER), .s = ist_searcher_create()};
	w->g = ist_generation_create(w->model);
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++) {
		w->x[m] = sample_side(N_ALL, DIM, IST_ORDER, m, 5, "base");
		w->queries[m] = sample_side(N_QUERIES, DIM, IST_ORDER, m, 5, "queries");
		w->list[m] = (struct naive){.dim = DIM, .similarity = IST_ORDER, .side = m};
	}
	for (int64_t row = 1; row <= N_BASE; row++) {
		append(w, row);
		for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
			assert_ist_ok(ist_generation_base_add(w->g, m, &row, &(uint32_t){0},
							      w->x[m] + (row - 1) * DIM, 1, &err));
	}
	assert_ist_ok(
	    ist_generation_base_finish(w->g, N_BASE, &ist_vectors_hnsw, NULL, NULL, &err));
	for (int m = 0; m < IST_N_MODALITIES; m++)
		naive_publish(&w->list[m]);
	ist_threads_use(1);
}

static void world_finish(struct world *w)
{
	ist_generation_unref(w->g);
	ist_model_unref(w->model);
	ist_searcher_destroy(w->s);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		free(w->x[m]);
		free(w->queries[m]);
		naive_finish(&w->list[m]);
	}
}

/* Every direction, exactly and by the graph, against the plain list. */
static void compare(struct world *w, const int64_t *rows, size_t n_rows)
{
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		for (int to = 0; to < IST_N_MODALITIES; to++) {
			for (size_t q = 0; q < N_QUERIES; q++) {
				const float *query = w->queries[from] + q * DIM;

				naive_compare(&w->list[to], w->g, w->s, from, query, K, rows,
					      n_rows, q % 2 ? 1 : 0.8);
			}
		}
	}
}

static void kill_every(struct world *w, int64_t n)
{
	for (int64_t row = n; row <= w->n_rows; row += n) {
		ist_generation_kill(w->g, row);
		for (int m = 0; m < IST_N_MODALITIES; m++)
			naive_kill(&w->list[m], row);
	}
}

static void append_fresh(struct world *w)
{
	for (int64_t row = N_BASE + 1; row <= N_ALL; row++) {
		append(w, row);
		for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
			ist_generation_append(w->g, m, row, 0, w->x[m] + (row - 1) * DIM);
	}
	ist_generation_publish(w->g);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		naive_publish(&w->list[m]);
}

static void compare_filtered(struct world *w)
{
	static const int64_t every[] = {2, 20, 500};
	ist_autofree int64_t *rows = ist_alloc(N_ALL, sizeof(*rows));

	for (size_t e = 0; e < IST_COUNT(every); e++) {
		size_t n = 0;

		for (int64_t row = every[e]; row <= w->n_rows; row += every[e])
			rows[n++] = row;
		compare(w, rows, n);
	}
}

/* The share of the K nearest that the graph finds, over all queries of a direction. */
static double recall(struct world *w, int from, enum ist_modality to)
{
	struct ist_generation_hit want[K], got[K];
	size_t n, right = 0;
	struct ist_err err;

	for (size_t q = 0; q < N_QUERIES; q++) {
		const float *query = w->queries[from] + q * DIM;

		assert_int_equal(naive_search(&w->list[to], from, query, K, NULL, 0, want), K);
		assert_ist_ok(ist_generation_search(w->g, ist_generation_watermark(w->g), w->s,
						    from, to, query, K, NULL, 0, false, got, &n,
						    &err));
		assert_int_equal(n, K);
		for (size_t i = 0; i < K; i++)
			right += got[i].similarity >= want[K - 1].similarity - 1e-6f;
	}
	return (double)right / (K * N_QUERIES);
}

static void graphs_answer_in_every_direction(void **state)
{
	struct world w;
	struct ist_generation_info info;

	world_init(&w);
	ist_generation_info(w.g, &info);
	assert_string_equal(info.kind, "hnsw");
	assert_true(info.recall >= 0.99 && info.recall <= 1);
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		for (enum ist_modality to = 0; to < IST_N_MODALITIES; to++) {
			assert_false(ist_vectors_prefers_scan(w.g->base[to].index, K, N_BASE));
			assert_true(recall(&w, from, to) >= 0.97);
		}
	}
	world_finish(&w);
}

static void through_writes_merges_and_files(void **state)
{
	char folder[] = "/tmp/ist-order-XXXXXX";
	struct ist_generation *next;
	struct ist_err err;
	struct world w;

	world_init(&w);
	compare_filtered(&w);
	kill_every(&w, 7);
	append_fresh(&w);
	compare(&w, NULL, 0);
	compare_filtered(&w);
	assert_ist_ok(ist_generation_merge(w.g, N_ALL - 100, NULL, NULL, &next, &err));
	kill_every(&w, 11);
	ist_generation_carry(next, w.g);
	ist_generation_unref(w.g);
	w.g = next;
	compare(&w, NULL, 0);
	compare_filtered(&w);
	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_generation_merge(w.g, N_ALL, NULL, NULL, &next, &err));
	assert_ist_ok(ist_generation_save(next, folder, &err));
	ist_generation_unref(next);
	ist_generation_unref(w.g);
	assert_ist_ok(ist_generation_load(w.model, folder, &w.g, &err));
	assert_ist_ok(ist_dir_remove(folder, &err));
	kill_every(&w, 7);
	kill_every(&w, 11);
	compare(&w, NULL, 0);
	world_finish(&w);
}

/* What a model stored is not read as another's: distances and orders share their graphs' metric. */
static void files_of_another_similarity_are_refused(void **state)
{
	char folder[] = "/tmp/ist-order-XXXXXX";
	struct ist_model *order = sample_model(2, 2, IST_ORDER);
	struct ist_model *euclidean = sample_model(2, 2, IST_EUCLIDEAN);
	struct ist_generation *g = ist_generation_create(order), *none;
	struct ist_err err;

	assert_ist_ok(ist_generation_base_add(g, IST_IMAGE, (int64_t[]){1, 2}, (uint32_t[]){0, 0},
					      (float[]){1, 0, 0, 1}, 2, &err));
	assert_ist_ok(ist_generation_base_finish(g, 2, NULL, NULL, NULL, &err));
	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_generation_save(g, folder, &err));
	assert_int_equal(ist_generation_load(euclidean, folder, &none, &err), IST_CORRUPT);
	assert_ist_ok(ist_dir_remove(folder, &err));
	ist_generation_unref(g);
	ist_model_unref(order);
	ist_model_unref(euclidean);
}

/* ---- where distances mislead ---- */

#define N_FAR (2 * K)
#define N_ISLANDS 1200
#define WIDE 4000 /* so wide that even the broadest walk is taken before a scan */

/* Nearly all lie near the texts and lack a little of each; a few lie far above and lack next to
 * nothing. */
static float *islands(void)
{
	float *x = ist_alloc_raw((size_t)N_ISLANDS * WIDE, sizeof(*x));
	struct ist_rng rng;

	ist_rng_init(&rng, 3, "islands");
	for (size_t i = 0; i < N_ISLANDS; i++) {
		bool far = i >= N_ISLANDS - N_FAR;

		for (size_t j = 0; j < WIDE; j++)
			x[i * WIDE + j] = (float)((far ? 300 : 1) + ist_rng_uniform(&rng));
		if (far)
			x[i * WIDE] = (float)(1.5 + 0.1 * ist_rng_uniform(&rng));
	}
	return x;
}

/* Links go to what is near by distance: in a large graph none leads from the many to the few. In
 * one of a test's size chance leaves some. */
static void cut_links(struct ist_vectors *v)
{
	int32_t *links = (int32_t *)v->graph.links;
	size_t n = v->graph.offsets[v->n];

	for (size_t i = 0; i < n; i++)
		if (links[i] >= N_ISLANDS - N_FAR)
			links[i] = 0;
}

static void what_a_graph_cannot_answer_is_scanned(void **state)
{
	ist_autofree float *x = islands(), *queries = ist_alloc(64 * WIDE, sizeof(*queries));
	enum ist_direction directions[64];
	struct ist_stop never = {0};
	struct ist_base base;
	struct ist_rng rng;
	struct ist_err err;

	ist_threads_use(2);
	ist_base_init(&base, WIDE, IST_ORDER);
	for (int64_t i = 0; i < N_ISLANDS; i++)
		assert_ist_ok(ist_base_add(&base, &i, &(uint32_t){0}, x + i * WIDE, 1, &err));
	assert_ist_ok(ist_base_build(&base, &ist_vectors_hnsw, &never, &err));
	cut_links(base.index);
	ist_rng_init(&rng, 3, "texts");
	for (size_t i = 0; i < 64; i++) {
		directions[i] = i % 2 ? IST_TEXT_TO_IMAGE : IST_ALIKE;
		for (size_t j = 0; j < WIDE; j++)
			queries[i * WIDE + j] = (float)(1.5 + 0.2 * ist_rng_uniform(&rng));
	}
	/* Those that ask alike find everything, and do not hide that the others do not. */
	assert_ist_ok(ist_base_tune(&base, queries, directions, 64, false, &never, &err));
	assert_true(base.recall < 0.5);
	assert_ist_ok(ist_base_tune(&base, queries, directions, 64, true, &never, &err));
	assert_true(ist_vectors_kind(base.index)->exact);
	assert_true(base.recall == 1);
	ist_base_finish(&base);
}

TEST_MAIN(cmocka_unit_test(graphs_answer_in_every_direction),
	  cmocka_unit_test(through_writes_merges_and_files),
	  cmocka_unit_test(files_of_another_similarity_are_refused),
	  cmocka_unit_test(what_a_graph_cannot_answer_is_scanned))
