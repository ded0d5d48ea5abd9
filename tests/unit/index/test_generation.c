/*
 * A generation does what a plain list does: random appends, deaths, publications, merges, savings
 * and searches, step by step beside the list of generation_model.h. Then the edges by hand.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/unit/index/generation_model.h"
#include "tests/unit/index/vectors_sample.h"

#define DIM 8
#define N_VECTORS 512

struct world {
	struct ist_model *model;
	struct ist_generation *g;
	struct ist_searcher *s;
	struct naive list[IST_N_MODALITIES];
	struct ist_rng rng;
	float *pool; /* (N_VECTORS, DIM) to draw from: equal vectors happen */
	int64_t next_row;
};

static void world_init(struct world *w, enum ist_similarity similarity, uint64_t seed)
{
	*w = (struct world){.model = sample_model(DIM, DIM, similarity), .next_row = 1};
	w->g = ist_generation_create(w->model);
	w->s = ist_searcher_create();
	w->pool = sample_vectors(N_VECTORS, DIM, similarity, seed, "pool");
	ist_rng_init(&w->rng, seed, "world");
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		w->list[m].dim = DIM;
		w->list[m].similarity = similarity;
		w->list[m].side = (enum ist_modality)m;
	}
}

static void world_finish(struct world *w)
{
	ist_generation_unref(w->g);
	ist_model_unref(w->model);
	ist_searcher_destroy(w->s);
	free(w->pool);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		naive_finish(&w->list[m]);
}

static const float *draw(struct world *w)
{
	return w->pool + ist_rng_below(&w->rng, N_VECTORS) * DIM;
}

static void append(struct world *w, enum ist_modality m, int64_t row, uint32_t ordinal)
{
	const float *x = draw(w);

	ist_generation_append(w->g, m, row, ordinal, x);
	naive_append(&w->list[m], row, ordinal, x);
}

/* An item: a picture, some texts, or both. */
static void append_item(struct world *w)
{
	int64_t row = w->next_row++;
	size_t n_texts = ist_rng_below(&w->rng, 5);

	if (n_texts == 0 || ist_rng_below(&w->rng, 2) == 0)
		append(w, IST_IMAGE, row, 0);
	for (uint32_t i = 0; i < n_texts; i++)
		append(w, IST_TEXT, row, i);
}

static void step_write(struct world *w)
{
	for (uint64_t i = ist_rng_below(&w->rng, 300); i > 0; i--)
		append_item(w);
}

static void step_publish(struct world *w)
{
	ist_generation_publish(w->g);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		naive_publish(&w->list[m]);
}

static void step_kill(struct world *w)
{
	for (uint64_t i = ist_rng_below(&w->rng, 60); i > 0; i--) {
		int64_t row = 1 + (int64_t)ist_rng_below(&w->rng, (uint64_t)w->next_row + 3);

		ist_generation_kill(w->g, row);
		for (int m = 0; m < IST_N_MODALITIES; m++)
			naive_kill(&w->list[m], row);
	}
}

/* The writer goes on while the merge runs aside: between merge and carry more is written. */
static void step_merge(struct world *w)
{
	struct ist_generation *merged;
	struct ist_err err;

	step_publish(w);
	assert_ist_ok(ist_generation_merge(w->g,
					   w->next_row - 1 - (int64_t)ist_rng_below(&w->rng, 50),
					   NULL, NULL, &merged, &err));
	step_write(w);
	step_kill(w);
	step_publish(w);
	ist_generation_carry(merged, w->g);
	ist_generation_unref(w->g);
	w->g = merged;
}

static void step_reload(struct world *w)
{
	char folder[] = "/tmp/ist-generation-XXXXXX";
	struct ist_generation *loaded;
	ist_autofree int64_t *live = ist_alloc((size_t)w->next_row, sizeof(*live));
	ist_autofree bool *is_live = ist_alloc((size_t)w->next_row, sizeof(*is_live));
	struct ist_generation_info info;
	size_t n = 0;
	struct ist_err err;

	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_generation_save(w->g, folder, &err));
	assert_ist_ok(ist_generation_load(w->model, folder, &loaded, &err));
	assert_ist_ok(ist_dir_remove(folder, &err));
	ist_generation_info(loaded, &info);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		for (size_t i = 0; i < w->list[m].n; i++) {
			const struct naive_entry *e = &w->list[m].entries[i];

			is_live[e->row] |= e->live;
			if (e->row > info.base_row && e->live)
				ist_generation_append(loaded, (enum ist_modality)m, e->row,
						      e->ordinal, e->x);
		}
	}
	for (int64_t row = 1; row < w->next_row; row++)
		if (is_live[row])
			live[n++] = row;
	ist_generation_keep_only(loaded, live, n);
	ist_generation_unref(w->g);
	w->g = loaded;
	step_publish(w);
}

static void step_search(struct world *w)
{
	static const size_t ks[] = {1, 3, 10, 50, 5000};

	for (size_t i = 0; i < 4; i++) {
		enum ist_modality m = (enum ist_modality)ist_rng_below(&w->rng, 2);
		int from = (int)ist_rng_below(&w->rng, 2);
		size_t k = ks[ist_rng_below(&w->rng, IST_COUNT(ks))], n_rows = 0;
		ist_autofree int64_t *rows = ist_alloc((size_t)w->next_row + 1, sizeof(*rows));
		double part = ist_rng_uniform(&w->rng);
		bool filtered = ist_rng_below(&w->rng, 2) == 0;

		for (int64_t row = 1; row < w->next_row; row++)
			if (ist_rng_uniform(&w->rng) < part * part)
				rows[n_rows++] = row;
		naive_compare(&w->list[m], w->g, w->s, from, draw(w), k, filtered ? rows : NULL,
			      filtered ? n_rows : 0, ist_rng_below(&w->rng, 2) ? 1 : 0.8);
	}
}

static void check_counts(const struct world *w)
{
	struct ist_generation_info info;
	size_t live = 0;

	ist_generation_info(w->g, &info);
	for (int64_t row = 1; row < w->next_row; row++) {
		bool is_live = false;

		for (int m = 0; m < IST_N_MODALITIES; m++)
			for (size_t i = 0; i < w->list[m].n; i++)
				is_live |=
				    w->list[m].entries[i].row == row && w->list[m].entries[i].live;
		live += is_live;
	}
	assert_int_equal(info.base_items + info.fresh_items, live);
	assert_true(info.base + info.fresh >= info.dead);
}

static const struct {
	void (*run)(struct world *w);
	unsigned weight;
} steps[] = {
    {step_write, 5}, {step_publish, 5}, {step_kill, 3},
    {step_merge, 1}, {step_reload, 1},	{step_search, 12},
};

static void random_step(struct world *w)
{
	uint64_t pick = ist_rng_below(&w->rng, 27);

	for (size_t i = 0; i < IST_COUNT(steps); i++) {
		if (pick < steps[i].weight) {
			steps[i].run(w);
			return;
		}
		pick -= steps[i].weight;
	}
}

static void it_does_what_a_list_does(void **state)
{
	static const enum ist_similarity similarities[] = {IST_COSINE, IST_EUCLIDEAN, IST_INNER,
							   IST_ORDER, IST_ORDER};

	for (uint64_t seed = 0; seed < 15; seed++) {
		struct world w;

		world_init(&w, similarities[seed % 5], seed);
		for (int i = 0; i < 60; i++)
			random_step(&w);
		step_search(&w);
		check_counts(&w);
		world_finish(&w);
	}
}

/* ---- by hand ---- */

static struct ist_generation *two_dims(enum ist_similarity similarity)
{
	struct ist_model *model = sample_model(2, 2, similarity);
	struct ist_generation *g = ist_generation_create(model);

	ist_model_unref(model);
	return g;
}

static size_t search(const struct ist_generation *g, const float *query, size_t k,
		     struct ist_generation_hit *ret)
{
	struct ist_searcher *s = ist_searcher_create();
	struct ist_err err;
	size_t n;

	assert_ist_ok(ist_generation_search(g, ist_generation_watermark(g), s, IST_TEXT, IST_TEXT,
					    query, k, NULL, 0, false, ret, &n, &err));
	ist_searcher_destroy(s);
	return n;
}

static void an_empty_one(void **state)
{
	struct ist_generation *g = two_dims(IST_COSINE);
	struct ist_generation *merged;
	struct ist_generation_info info;
	struct ist_generation_hit hit;
	struct ist_err err;

	assert_int_equal(search(g, (float[]){1, 0}, 1, &hit), 0);
	ist_generation_kill(g, 5);
	ist_generation_keep_only(g, NULL, 0);
	assert_ist_ok(ist_generation_merge(g, 0, NULL, NULL, &merged, &err));
	ist_generation_carry(merged, g);
	assert_int_equal(search(merged, (float[]){1, 0}, 1, &hit), 0);
	ist_generation_info(merged, &info);
	assert_int_equal(info.base + info.fresh + info.dead, 0);
	assert_string_equal(info.kind, "flat");
	assert_true(isnan(info.recall));
	assert_null(ist_generation_vector(g, ist_generation_watermark(g), IST_TEXT, 1, 0));
	ist_generation_unref(g);
	ist_generation_unref(merged);
	ist_generation_unref(NULL);
}

static void appended_is_invisible_until_published(void **state)
{
	struct ist_generation *g = two_dims(IST_COSINE);
	struct ist_generation_hit hit;
	struct ist_watermark before = ist_generation_watermark(g);

	ist_generation_append(g, IST_TEXT, 1, 0, (float[]){1, 0});
	assert_int_equal(search(g, (float[]){1, 0}, 1, &hit), 0);
	ist_generation_publish(g);
	assert_int_equal(search(g, (float[]){1, 0}, 1, &hit), 1);
	assert_int_equal(hit.row, 1);
	assert_null(ist_generation_vector(g, before, IST_TEXT, 1, 0));
	assert_non_null(ist_generation_vector(g, ist_generation_watermark(g), IST_TEXT, 1, 0));
	ist_generation_unref(g);
}

/* The nearest text of a row speaks for it, and a row with many near texts hides no other row. */
static void one_hit_a_row(void **state)
{
	struct ist_generation *g = two_dims(IST_EUCLIDEAN);
	struct ist_generation_hit hits[4];

	for (uint32_t i = 0; i < 100; i++)
		ist_generation_append(g, IST_TEXT, 1, i, (float[]){(float)i / 1000, 0});
	ist_generation_append(g, IST_TEXT, 2, 0, (float[]){1, 0});
	ist_generation_append(g, IST_TEXT, 3, 7, (float[]){2, 0});
	ist_generation_append(g, IST_TEXT, 3, 8, (float[]){3, 0});
	ist_generation_publish(g);
	assert_int_equal(search(g, (float[]){0.003f, 0}, 4, hits), 3);
	assert_int_equal(hits[0].row, 1);
	assert_int_equal(hits[0].ordinal, 3);
	assert_int_equal(hits[1].row, 2);
	assert_int_equal(hits[2].row, 3);
	assert_int_equal(hits[2].ordinal, 7);
	assert_true(hits[2].similarity < -1.9f);
	ist_generation_unref(g);
}

static void ties_go_by_row(void **state)
{
	struct ist_generation *g = two_dims(IST_COSINE);
	struct ist_generation_hit hits[3];

	for (int64_t row = 1; row <= 9; row++)
		ist_generation_append(g, IST_TEXT, row, 0, (float[]){0, 1});
	ist_generation_publish(g);
	assert_int_equal(search(g, (float[]){0, 1}, 3, hits), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hits[i].row, i + 1);
	ist_generation_unref(g);
}

static void rows_out_of_order(void **state)
{
	static const int64_t order[] = {5, 2, 9, 2, 7};
	struct ist_generation *g = two_dims(IST_EUCLIDEAN), *merged;
	struct ist_generation_hit hits[5];
	struct ist_err err;

	for (uint32_t i = 0; i < 5; i++)
		ist_generation_append(g, IST_TEXT, order[i], i, (float[]){(float)order[i], i});
	ist_generation_publish(g);
	assert_int_equal(search(g, (float[]){2, 1}, 5, hits), 4);
	assert_int_equal(hits[0].row, 2);
	ist_generation_kill(g, 9);
	assert_int_equal(search(g, (float[]){9, 2}, 5, hits), 3);
	assert_non_null(ist_generation_vector(g, ist_generation_watermark(g), IST_TEXT, 2, 3));
	assert_ist_ok(ist_generation_merge(g, 5, NULL, NULL, &merged, &err));
	ist_generation_carry(merged, g);
	assert_int_equal(search(merged, (float[]){2, 1}, 5, hits), 3);
	assert_int_equal(hits[0].row, 2);
	assert_int_equal(hits[1].row, 5);
	assert_int_equal(hits[2].row, 7);
	ist_generation_unref(g);
	ist_generation_unref(merged);
}

static void a_base_in_the_wrong_order_is_refused(void **state)
{
	struct ist_generation *g = two_dims(IST_COSINE);
	const float x[4] = {1, 0, 0, 1};
	struct ist_err err;

	assert_int_equal(
	    ist_generation_base_add(g, IST_TEXT, (int64_t[]){2, 1}, (uint32_t[]){0, 0}, x, 2, &err),
	    IST_INTERNAL);
	ist_generation_unref(g);
}

static void a_dead_row_still_has_its_vector(void **state)
{
	struct ist_generation *g = two_dims(IST_COSINE);
	const float *x;

	ist_generation_append(g, IST_TEXT, 4, 1, (float[]){0, 1});
	ist_generation_publish(g);
	ist_generation_kill(g, 4);
	x = ist_generation_vector(g, ist_generation_watermark(g), IST_TEXT, 4, 1);
	assert_non_null(x);
	assert_true(x[1] == 1);
	ist_generation_unref(g);
}

TEST_MAIN(cmocka_unit_test(it_does_what_a_list_does), cmocka_unit_test(an_empty_one),
	  cmocka_unit_test(appended_is_invisible_until_published), cmocka_unit_test(one_hit_a_row),
	  cmocka_unit_test(ties_go_by_row), cmocka_unit_test(rows_out_of_order),
	  cmocka_unit_test(a_base_in_the_wrong_order_is_refused),
	  cmocka_unit_test(a_dead_row_still_has_its_vector))
