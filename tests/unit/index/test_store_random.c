/*
 * Random puts, deletes, filtered deletes, restarts and merges against a plain table that does the
 * same by the simplest means; now and then everything is compared: items, counts, searches.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/live.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

enum { IDS = 60, STEPS = 800 };

struct naive_item {
	bool there;
	unsigned number;
	int label; /* 0: none */
	int n;	   /* metadata.n; -1: no metadata */
};

static const char *const labels[] = {NULL, "red", "green", "blue"};

struct world {
	struct fixture *f;
	struct ist_rng rng;
	struct naive_item items[IDS];
	unsigned next_number;
};

static void id_of(int i, char ret[16])
{
	snprintf(ret, 16, "id-%02d", i);
}

static void put(struct world *w, int i)
{
	struct naive_item *item = &w->items[i], before = *item;
	enum ist_write_status status, wanted;
	char id[16], metadata[32];

	id_of(i, id);
	/* Sometimes the very same again. */
	if (!item->there || ist_rng_below(&w->rng, 4) > 0) {
		item->number = w->next_number++;
		item->label = (int)ist_rng_below(&w->rng, IST_COUNT(labels));
		item->n = (int)ist_rng_below(&w->rng, 12) - 1;
		wanted = before.there ? IST_UPDATED : IST_CREATED;
	} else {
		wanted = IST_UNCHANGED;
	}
	item->there = true;
	snprintf(metadata, sizeof(metadata), "{\"n\":%d}", item->n);
	status = fixture_put(w->f, id, item->number, labels[item->label],
			     item->n >= 0 ? metadata : NULL);
	assert_int_equal(status, wanted);
}

static void delete_one(struct world *w, int i)
{
	struct ist_err err = {0};
	char id[16];
	struct ist_write write = {.id = id};

	id_of(i, id);
	assert_ist_ok(ist_items_write(w->f->c, &write, 1, &err));
	assert_int_equal(write.status, w->items[i].there ? IST_DELETED : IST_FAILED);
	w->items[i].there = false;
}

static void delete_many(struct world *w)
{
	int n = (int)ist_rng_below(&w->rng, 11);
	bool dry_run = ist_rng_below(&w->rng, 2) == 0;
	struct ist_filter *filter = NULL;
	struct ist_err err = {0};
	int64_t matched, deleted, wanted = 0;
	char text[32];

	snprintf(text, sizeof(text), "n=%d and label=red", n);
	assert_ist_ok(ist_filter_parse_text(text, &filter, &err));
	for (int i = 0; i < IDS; i++) {
		struct naive_item *item = &w->items[i];
		bool hit = item->there && item->n == n && item->label == 1;

		wanted += hit;
		item->there &= !hit || dry_run;
	}
	assert_ist_ok(
	    ist_items_delete(w->f->c, filter, NULL, 0, dry_run, &matched, &deleted, &err));
	assert_int_equal(matched, wanted);
	assert_int_equal(deleted, dry_run ? 0 : wanted);
	ist_filter_destroy(filter);
}

/* ---- comparing ---- */

static double similarity(unsigned a, unsigned b)
{
	float x[FIXTURE_IMAGE_DIM], y[FIXTURE_IMAGE_DIM];
	double xx = 0, yy = 0, xy = 0;

	fixture_vector(a, FIXTURE_IMAGE_DIM, x);
	fixture_vector(b, FIXTURE_IMAGE_DIM, y);
	for (int i = 0; i < FIXTURE_IMAGE_DIM; i++) {
		xx += (double)x[i] * x[i];
		yy += (double)y[i] * y[i];
		xy += (double)x[i] * y[i];
	}
	return xy / sqrt(xx * yy);
}

/* The nearest of those with n >= from (-1: all), by a plain loop; numbers are all different. */
static const char *naive_nearest(const struct world *w, unsigned number, int from, char id[16])
{
	double best = -2;

	id[0] = '\0';
	for (int i = 0; i < IDS; i++) {
		const struct naive_item *item = &w->items[i];
		double s;

		if (!item->there || item->n < from)
			continue;
		s = similarity(number, item->number);
		if (s > best) {
			best = s;
			id_of(i, id);
		}
	}
	return id;
}

static void compare_items(struct world *w)
{
	struct ist_item *list;
	struct ist_err err = {0};
	size_t n, at = 0;

	assert_ist_ok(
	    ist_items_list(w->f->c, NULL, NULL, 1000, true, &w->f->arena, &list, &n, &err));
	for (int i = 0; i < IDS; i++) {
		float x[FIXTURE_IMAGE_DIM];
		char id[16];

		if (!w->items[i].there)
			continue;
		assert_true(at < n);
		id_of(i, id);
		assert_string_equal(list[at].id, id);
		assert_int_equal(list[at].label != NULL, w->items[i].label != 0);
		if (list[at].label != NULL)
			assert_string_equal(list[at].label, labels[w->items[i].label]);
		fixture_vector(w->items[i].number, FIXTURE_IMAGE_DIM, x);
		assert_memory_equal(list[at].image_vector, x, sizeof(x));
		at++;
	}
	assert_int_equal(at, n);
}

static void compare_counts(struct world *w)
{
	struct ist_collection_info info;
	struct ist_err err = {0};
	int64_t items = 0, labelled = 0;

	for (int i = 0; i < IDS; i++) {
		items += w->items[i].there;
		labelled += w->items[i].there && w->items[i].label != 0;
	}
	assert_ist_ok(ist_collection_info(w->f->c, &info, &err));
	assert_int_equal(info.items, items);
	assert_int_equal(info.images, items);
	assert_int_equal(info.labelled, labelled);
	assert_int_equal(info.embedded, items);
}

static void compare_searches(struct world *w)
{
	for (int i = 0; i < 5; i++) {
		unsigned number = (unsigned)ist_rng_below(&w->rng, w->next_number + 10);
		int from = (int)ist_rng_below(&w->rng, 11);
		char id[16], filter[16];

		assert_string_equal(fixture_search(w->f, number, 1, NULL),
				    naive_nearest(w, number, -1, id));
		snprintf(filter, sizeof(filter), "n>=%d", from);
		assert_string_equal(fixture_search(w->f, number, 1, filter),
				    naive_nearest(w, number, from, id));
	}
}

static void compare(struct world *w)
{
	compare_items(w);
	compare_counts(w);
	compare_searches(w);
	ist_arena_reset(&w->f->arena);
}

static void step(struct world *w)
{
	uint64_t dice = ist_rng_below(&w->rng, 1000);
	int i = (int)ist_rng_below(&w->rng, IDS);
	struct ist_err err = {0};

	if (dice < 600)
		put(w, i);
	else if (dice < 900)
		delete_one(w, i);
	else if (dice < 940)
		delete_many(w);
	else if (dice < 950)
		assert_ist_ok(ist_live_merge(w->f->c, true, &err));
	else if (dice < 960)
		fixture_reopen(w->f);
	else
		compare(w);
}

static void test_random(void **state)
{
	struct world w = {.f = *state, .next_number = 1};

	ist_rng_init(&w.rng, 20, "store");
	for (int i = 0; i < STEPS; i++)
		step(&w);
	compare(&w);
	fixture_reopen(w.f);
	compare(&w);
}

TEST_MAIN(cmocka_unit_test_setup_teardown(test_random, fixture_setup, fixture_teardown))
