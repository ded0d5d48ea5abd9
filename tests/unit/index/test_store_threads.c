/*
 * Writers, readers, merges and model swaps at once. What readers must see at every moment: items
 * that are replaced all the time are found in one version each, never in none and never twice; a
 * search is answered by one model; an acknowledged write is in the next search of any thread.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/live.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

enum { WRITERS = 4, READERS = 4, ROUNDS = 60, KEPT = 24 };

struct shared {
	struct fixture *f;
	atomic_bool stop;
	atomic_int searches, swaps, merges;
	char model[32];
};

struct worker {
	struct shared *shared;
	pthread_t thread;
	unsigned number;
	char error[256];
};

static bool failed(struct worker *w, const char *what, const struct ist_err *err)
{
	if (w->error[0] == '\0')
		snprintf(w->error, sizeof(w->error), "%s: %.200s", what, err->text);
	w->shared->stop = true;
	return false;
}

/* The ids of all items, by a search for the picture's vector of `number`; -1 on error. */
static ssize_t search(struct worker *w, struct ist_searcher *s, unsigned number, size_t limit,
		      char ids[][16], char model[32])
{
	float feature[FIXTURE_IMAGE_DIM], vector[FIXTURE_IMAGE_DIM];
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct ist_search query = {.vector = {vector},
				   .from = IST_IMAGE,
				   .limit = limit,
				   .threshold = NAN,
				   .min_similarity = NAN};
	struct ist_reader reader;
	struct ist_hit *hits;
	struct ist_err err = {0};
	size_t n = 0;

	if (ist_reader_init(&reader, w->shared->f->c, NULL, &err) != IST_OK) {
		failed(w, "reader", &err);
		return -1;
	}
	fixture_vector(number, FIXTURE_IMAGE_DIM, feature);
	if (ist_model_embed(ist_generation_model(reader.generation), IST_IMAGE, feature, 1, vector,
			    &err) != IST_OK ||
	    ist_reader_search(&reader, s, &query, &arena, &hits, &n, NULL, &err) != IST_OK) {
		failed(w, "search", &err);
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		snprintf(ids[i], 16, "%s", hits[i].item.id);
	snprintf(model, 32, "%s", reader.model);
	ist_reader_finish(&reader);
	w->shared->searches++;
	return w->error[0] == '\0' ? (ssize_t)n : -1;
}

/* Replaces its own part of the kept items, and looks for each right after. */
static void *write_main(void *arg)
{
	struct worker *w = arg;
	struct shared *shared = w->shared;
	struct ist_searcher *s = ist_searcher_create();
	struct ist_err err = {0};

	ist_threads_use(1);
	for (unsigned round = 0; round < ROUNDS && !shared->stop; round++) {
		unsigned kept = w->number + WRITERS * (round % (KEPT / WRITERS));
		unsigned number = 10000 + w->number * 1000 + round;
		struct fixture_item item;
		struct ist_write write = {.item = &item.item};
		char id[16], ids[1][16], model[32];

		snprintf(id, sizeof(id), "k%02u", kept);
		fixture_make(&item, id, number);
		if (ist_items_write(shared->f->c, &write, 1, &err) != IST_OK ||
		    write.status == IST_FAILED) {
			failed(w, "write", write.status == IST_FAILED ? &write.err : &err);
		} else if (search(w, s, number, 1, ids, model) == 1 && strcmp(ids[0], id) != 0) {
			snprintf(w->error, sizeof(w->error), "%s not found after its write: %s", id,
				 ids[0]);
			shared->stop = true;
		}
	}
	ist_searcher_destroy(s);
	return NULL;
}

/* Every search for all must find each kept item exactly once. */
static void *read_main(void *arg)
{
	struct worker *w = arg;
	struct ist_searcher *s = ist_searcher_create();

	ist_threads_use(1);
	while (!w->shared->stop) {
		char ids[KEPT + 20][16], model[32];
		ssize_t n = search(w, s, w->number, KEPT + 20, ids, model);
		bool seen[KEPT] = {false};
		unsigned kept;

		if (n < 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			if (sscanf(ids[i], "k%u", &kept) == 1 && kept < KEPT) {
				if (seen[kept])
					snprintf(w->error, sizeof(w->error), "k%02u twice", kept);
				seen[kept] = true;
			}
		for (unsigned i = 0; i < KEPT; i++)
			if (!seen[i])
				snprintf(w->error, sizeof(w->error),
					 "k%02u missing under %s, %zd hits", i, model, n);
		if (w->error[0] != '\0')
			w->shared->stop = true;
	}
	ist_searcher_destroy(s);
	return NULL;
}

static void *swap_main(void *arg)
{
	struct worker *w = arg;
	struct ist_err err = {0};

	ist_threads_use(1);
	for (int i = 0; !w->shared->stop; i++) {
		const char *model = i % 2 ? "identity" : w->shared->model;

		if (ist_models_activate(w->shared->f->c, model, NULL, &err) != IST_OK)
			failed(w, "activate", &err);
		w->shared->swaps++;
	}
	return NULL;
}

static void *merge_main(void *arg)
{
	struct worker *w = arg;
	struct ist_err err = {0};

	ist_threads_use(1);
	while (!w->shared->stop) {
		enum ist_code code = ist_live_merge(w->shared->f->c, true, &err);

		if (code != IST_OK && code != IST_CANCELLED)
			failed(w, "merge", &err);
		w->shared->merges += code == IST_OK;
	}
	return NULL;
}

static void start(struct worker *w, struct shared *shared, unsigned number, void *(*body)(void *))
{
	*w = (struct worker){.shared = shared, .number = number};
	assert_int_equal(pthread_create(&w->thread, NULL, body, w), 0);
}

static void finish(struct worker *w)
{
	pthread_join(w->thread, NULL);
	if (w->error[0] != '\0')
		fail_msg("%s", w->error);
}

static void run(struct fixture *f, void *(*third)(void *), void *(*fourth)(void *))
{
	struct shared shared = {.f = f};
	struct worker writers[WRITERS], readers[READERS], others[2];
	char id[16];

	fixture_put_many(f, 0, 20);
	for (unsigned i = 0; i < KEPT; i++) {
		snprintf(id, sizeof(id), "k%02u", i);
		fixture_put(f, id, 5000 + i, NULL, NULL);
	}
	fixture_train(f, shared.model);
	for (unsigned i = 0; i < READERS; i++)
		start(&readers[i], &shared, i, read_main);
	start(&others[0], &shared, 0, third);
	start(&others[1], &shared, 0, fourth);
	for (unsigned i = 0; i < WRITERS; i++)
		start(&writers[i], &shared, i, write_main);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	shared.stop = true;
	for (unsigned i = 0; i < 2; i++)
		finish(&others[i]);
	for (unsigned i = 0; i < READERS; i++)
		finish(&readers[i]);
	for (unsigned i = 0; i < WRITERS; i++)
		if (writers[i].error[0] != '\0')
			fail_msg("%s", writers[i].error);
	assert_true(shared.searches > 0 && shared.swaps + shared.merges > 0);
}

static void test_merges(void **state)
{
	run(*state, merge_main, merge_main);
}

static void test_swaps(void **state)
{
	run(*state, swap_main, merge_main);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

TEST_MAIN(WITH_STORE(test_merges), WITH_STORE(test_swaps))
