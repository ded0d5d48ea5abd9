/*
 * One writer, one merger, four readers. The writer appends, publishes, kills, and takes over what
 * the merger made of an earlier state; the readers search all the while and assert that what was
 * published before they began is found, that what was dead before they began is not, and that no
 * row comes twice. Rows divisible by three die, in order. To be run under the thread sanitizer.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/generation.h"
#include "index/vectors_kind.h"
#include "tests/unit/index/vectors_sample.h"

#define DIM 16
#define N_BASE 630 /* a multiple of MERGE_EVERY */
#define N_ALL 4000
#define N_READERS 4
#define SEARCHES_MIN 200 /* of each reader, however quick the writer is */
#define MERGE_EVERY 210	 /* rows */
#define K 8

/* So that every merge overlaps with writing, however quick either is: the writer goes on when one
 * has begun, the merge ends when half a round has been written. */
enum phase { IDLE, BEGUN, WRITTEN, MERGED };

struct world {
	struct ist_model *model;
	float *x;	      /* row r: x + (r - 1) * DIM, all different */
	pthread_mutex_t lock; /* guards the pointers and the phase */
	struct ist_generation *now, *merged;
	enum phase phase;
	pthread_cond_t changed; /* the phase */
	atomic_int_fast64_t published, killing, killed;
	atomic_bool done;
	atomic_size_t failures, searches;
	size_t merges; /* the writer's */
	bool merging;
};

static struct ist_generation *current(struct world *w)
{
	struct ist_generation *g;

	pthread_mutex_lock(&w->lock);
	g = ist_generation_ref(w->now);
	pthread_mutex_unlock(&w->lock);
	return g;
}

/* cmocka's asserts belong to the main thread: others count. */
static void expect(struct world *w, bool holds)
{
	if (!holds)
		atomic_fetch_add(&w->failures, 1);
}

/* Waits until the merge has come so far; called with the lock held. */
static void wait_for(struct world *w, enum phase phase)
{
	while (w->phase != phase && !atomic_load(&w->done))
		pthread_cond_wait(&w->changed, &w->lock);
}

static void enter(struct world *w, enum phase phase)
{
	w->phase = phase;
	pthread_cond_broadcast(&w->changed);
}

static void await_merge_begun(struct world *w)
{
	pthread_mutex_lock(&w->lock);
	wait_for(w, BEGUN);
	pthread_mutex_unlock(&w->lock);
}

/* What the merger made of the state that it found MERGE_EVERY / 2 rows ago. */
static void take_over(struct world *w)
{
	struct ist_generation *old;

	pthread_mutex_lock(&w->lock);
	enter(w, WRITTEN);
	wait_for(w, MERGED);
	ist_generation_carry(w->merged, w->now);
	old = w->now;
	w->now = ist_steal(&w->merged);
	w->merges++;
	enter(w, IDLE);
	pthread_mutex_unlock(&w->lock);
	ist_generation_unref(old);
}

static void append(struct world *w, int64_t row)
{
	struct ist_generation *g = w->now; /* only this thread changes it */
	const float *x = w->x + (row - 1) * DIM;

	ist_generation_append(g, IST_IMAGE, row, 0, x);
	for (uint32_t i = 0; i < 3; i++)
		ist_generation_append(g, IST_TEXT, row, i, x);
}

static void *write_all(void *user)
{
	struct world *w = user;

	for (int64_t row = N_BASE + 1; row <= N_ALL; row++) {
		append(w, row);
		if (row % 7 != 0 && row != N_ALL)
			continue;
		ist_generation_publish(w->now);
		atomic_store(&w->published, row);
		for (int64_t dead = atomic_load(&w->killed) + 1; dead < row - 40; dead++) {
			atomic_store(&w->killing, dead);
			if (dead % 3 == 0)
				ist_generation_kill(w->now, dead);
			atomic_store(&w->killed, dead);
		}
		if (w->merging && row % MERGE_EVERY == 0)
			await_merge_begun(w);
		if (w->merging && row % MERGE_EVERY == MERGE_EVERY / 2)
			take_over(w);
	}
	return NULL;
}

/* Asked when the merge has taken what it takes. */
static bool let_write(void *user)
{
	struct world *w = user;

	pthread_mutex_lock(&w->lock);
	if (w->phase == IDLE)
		enter(w, BEGUN);
	wait_for(w, WRITTEN);
	pthread_mutex_unlock(&w->lock);
	return false;
}

static void *merge_all(void *user)
{
	struct world *w = user;

	ist_threads_use(1);
	while (!atomic_load(&w->done)) {
		struct ist_generation *old = current(w);
		struct ist_err err;

		if (ist_generation_merge(old, atomic_load(&w->published) - 10, let_write, w,
					 &w->merged, &err) != IST_OK)
			abort(); /* the writer waits for it */
		pthread_mutex_lock(&w->lock);
		enter(w, MERGED);
		wait_for(w, IDLE);
		pthread_mutex_unlock(&w->lock);
		ist_generation_unref(old);
	}
	return NULL;
}

static void read_once(struct world *w, struct ist_searcher *s, struct ist_rng *rng)
{
	struct ist_generation *g = current(w);
	int64_t dead = atomic_load(&w->killed), upto = atomic_load(&w->published);
	int64_t row = 1 + (int64_t)ist_rng_below(rng, (uint64_t)upto);
	struct ist_watermark mark = ist_generation_watermark(g);
	enum ist_modality m = (enum ist_modality)ist_rng_below(rng, 2);
	bool exact = ist_rng_below(rng, 2) == 0, filtered = ist_rng_below(rng, 4) == 0;
	struct ist_generation_hit hits[K];
	struct ist_err err;
	size_t n = 0;

	expect(w,
	       ist_generation_search(g, mark, s, m, m, w->x + (row - 1) * DIM, K,
				     filtered ? &row : NULL, 1, exact, hits, &n, &err) == IST_OK);
	for (size_t i = 0; i < n; i++) {
		expect(w, hits[i].row % 3 != 0 || hits[i].row > dead);
		for (size_t j = 0; j < i; j++)
			expect(w, hits[i].row != hits[j].row);
	}
	if ((exact || filtered) && (row % 3 != 0 || row > atomic_load(&w->killing)))
		expect(w, n > 0 && hits[0].row == row && fabsf(hits[0].similarity - 1) < 1e-4f);
	expect(w, filtered ? n <= 1 : n == K);
	expect(w, row <= dead || ist_generation_vector(g, mark, m, row, 0) != NULL);
	ist_generation_unref(g);
	atomic_fetch_add(&w->searches, 1);
}

static void *read_all(void *user)
{
	struct world *w = user;
	struct ist_searcher *s = ist_searcher_create();
	struct ist_rng rng;

	ist_threads_use(1);
	ist_rng_init(&rng, (uint64_t)(uintptr_t)s, "reader");
	for (int i = 0; i < SEARCHES_MIN || !atomic_load(&w->done); i++)
		read_once(w, s, &rng);
	ist_searcher_destroy(s);
	return NULL;
}

static void world_init(struct world *w, const struct ist_vector_kind *kind)
{
	const uint32_t ordinals[] = {0, 1, 2};
	struct ist_err err;

	*w = (struct world){.model = sample_model(DIM, DIM, IST_COSINE)};
	w->x = sample_vectors(N_ALL, DIM, IST_COSINE, 5, "rows");
	w->now = ist_generation_create(w->model);
	w->published = N_BASE;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	for (int64_t row = 1; row <= N_BASE; row++) {
		const float *x = w->x + (row - 1) * DIM;

		assert_ist_ok(
		    ist_generation_base_add(w->now, IST_IMAGE, &row, ordinals, x, 1, &err));
		for (int i = 0; i < 3; i++)
			assert_ist_ok(ist_generation_base_add(w->now, IST_TEXT, &row, &ordinals[i],
							      x, 1, &err));
	}
	assert_ist_ok(ist_generation_base_finish(w->now, N_BASE, kind, NULL, NULL, &err));
}

static void world_finish(struct world *w)
{
	ist_generation_unref(w->now);
	ist_generation_unref(w->merged);
	ist_model_unref(w->model);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w->x);
}

static void run(const struct ist_vector_kind *kind, bool merging)
{
	pthread_t readers[N_READERS], writer, merger;
	struct ist_generation_info info;
	struct world w;

	ist_threads_use(1);
	world_init(&w, kind);
	w.merging = merging;
	for (int i = 0; i < N_READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all, &w), 0);
	if (merging)
		assert_int_equal(pthread_create(&merger, NULL, merge_all, &w), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_all, &w), 0);
	pthread_join(writer, NULL);
	pthread_mutex_lock(&w.lock);
	atomic_store(&w.done, true);
	pthread_cond_broadcast(&w.changed);
	pthread_mutex_unlock(&w.lock);
	if (merging)
		pthread_join(merger, NULL);
	for (int i = 0; i < N_READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(w.failures, 0);
	assert_true(!merging || w.merges > 10);
	assert_true(w.searches >= N_READERS * SEARCHES_MIN);
	ist_generation_info(w.now, &info);
	assert_int_equal(info.base_items + info.fresh_items, N_ALL - (N_ALL - 41) / 3);
	world_finish(&w);
}

static void a_writer_and_readers_over_a_flat_base(void **state)
{
	run(&ist_vectors_flat, false);
}

/* The graph stays, so walks go on while bits of its base are cleared. */
static void a_writer_and_readers_over_a_graph(void **state)
{
	run(&ist_vectors_hnsw, false);
}

static void a_writer_a_merger_and_readers(void **state)
{
	run(&ist_vectors_hnsw, true);
}

TEST_MAIN(cmocka_unit_test(a_writer_and_readers_over_a_flat_base),
	  cmocka_unit_test(a_writer_and_readers_over_a_graph),
	  cmocka_unit_test(a_writer_a_merger_and_readers))
