/*
 * What a search means: one hit an item over several targets, orders, pages, limits by similarity
 * and score, exclusion, vectors. Compared with a plain loop over all vectors.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/live.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

enum { DIM = 8, ITEMS = 90, MAX_TEXTS = 3 };

/* Item i has a picture unless i % 5 == 0, and i % 4 texts. */
struct world {
	struct fixture *f;
	struct ist_collection *c;
	float image[ITEMS][DIM], text[ITEMS][MAX_TEXTS][DIM];
	char ids[ITEMS][8];
	float query[DIM];
};

static bool has_image(int i)
{
	return i % 5 != 0;
}

static int n_texts(int i)
{
	return has_image(i) ? i % 4 : 1 + i % 3;
}

static void unit_vector(unsigned number, float ret[DIM])
{
	double sum = 0;

	fixture_vector(number, DIM, ret);
	for (int i = 0; i < DIM; i++)
		sum += (double)ret[i] * ret[i];
	for (int i = 0; i < DIM; i++)
		ret[i] = (float)(ret[i] / sqrt(sum));
}

static void write_all(struct world *w)
{
	static const char *const texts[MAX_TEXTS] = {"one", "two", "three"};
	struct ist_item items[ITEMS] = {{0}};
	struct ist_write writes[ITEMS] = {{0}};
	struct ist_err err = {0};

	for (int i = 0; i < ITEMS; i++) {
		snprintf(w->ids[i], sizeof(w->ids[i]), "q%02d", i);
		unit_vector((unsigned)i, w->image[i]);
		for (int t = 0; t < MAX_TEXTS; t++)
			unit_vector((unsigned)(1000 + 10 * i + t), w->text[i][t]);
		items[i].id = w->ids[i];
		items[i].image_vector = has_image(i) ? w->image[i] : NULL;
		items[i].texts = texts;
		items[i].n_texts = items[i].n_text_vectors = (size_t)n_texts(i);
		items[i].text_vectors = n_texts(i) > 0 ? w->text[i][0] : NULL;
		items[i].label = i % 2 ? "odd" : "even";
		writes[i].item = &items[i];
	}
	assert_ist_ok(ist_items_write(w->c, writes, ITEMS, &err));
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(writes[i].status, IST_CREATED);
}

static int setup(void **state)
{
	static const struct ist_encoder_ref encoder[] = {{"external", DIM}, {"external", DIM}};
	static const bool counts[IST_N_MODALITIES];
	struct world *w = ist_alloc(1, sizeof(*w));
	struct ist_err err = {0};
	bool created;

	fixture_setup((void **)&w->f);
	assert_ist_ok(ist_store_collection_put(w->f->store, "s", encoder, counts, true, NULL,
					       &created, &w->c, &err));
	write_all(w);
	unit_vector(77777, w->query);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ist_collection_unref(w->c);
	fixture_teardown((void **)&w->f);
	free(w);
	return 0;
}

static struct ist_search search_for(const struct world *w, bool images, bool texts)
{
	return (struct ist_search){.vector = {images ? w->query : NULL, texts ? w->query : NULL},
				   .from = IST_TEXT,
				   .limit = 10,
				   .threshold = NAN,
				   .min_similarity = NAN};
}

static size_t search(struct world *w, const struct ist_search *s, struct ist_hit **ret)
{
	struct ist_reader reader;
	struct ist_search_report report;
	struct ist_err err = {0};
	size_t n;

	assert_ist_ok(ist_reader_init(&reader, w->c, NULL, &err));
	assert_ist_ok(
	    ist_reader_search(&reader, w->f->searcher, s, &w->f->arena, ret, &n, &report, &err));
	assert_non_null(report.path);
	assert_true(report.rounds > 0);
	ist_reader_finish(&reader);
	return n;
}

/* ---- the plain loop ---- */

struct expected {
	int item, ordinal;
	enum ist_modality modality;
	double similarity, key;
};

static double dot(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += (double)a[i] * b[i];
	return sum;
}

static int by_key(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return x->item - y->item;
}

/* All items, best first; text keys are raised by `bonus`. */
static size_t expect(const struct world *w, bool images, bool texts, double bonus,
		     struct expected ret[ITEMS])
{
	size_t n = 0;

	for (int i = 0; i < ITEMS; i++) {
		struct expected best = {.item = i, .key = -100};

		if (images && has_image(i)) {
			best.modality = IST_IMAGE;
			best.similarity = best.key = dot(w->image[i], w->query);
		}
		for (int t = 0; texts && t < n_texts(i); t++) {
			double s = dot(w->text[i][t], w->query);

			if (s + bonus > best.key)
				best = (struct expected){i, t, IST_TEXT, s, s + bonus};
		}
		if (best.key > -100)
			ret[n++] = best;
	}
	qsort(ret, n, sizeof(*ret), by_key);
	return n;
}

static void compare(const struct world *w, const struct expected *want, size_t n_want,
		    const struct ist_hit *hits, size_t n)
{
	assert_int_equal(n, n_want);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(hits[i].item.id, w->ids[want[i].item]);
		assert_int_equal(hits[i].modality, want[i].modality);
		assert_int_equal(hits[i].ordinal, want[i].ordinal);
		assert_true(fabs(hits[i].similarity - want[i].similarity) < 1e-5);
	}
}

/* ---- tests ---- */

static void test_targets(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS];
	struct ist_err err = {0};
	struct ist_hit *hits;

	for (int merged = 0; merged < 2; merged++) {
		for (int targets = 1; targets < 4; targets++) {
			bool images = targets & 1, texts = targets & 2;
			struct ist_search s = search_for(w, images, texts);
			size_t n = expect(w, images, texts, 0, want);

			s.limit = 1000;
			compare(w, want, n, hits, search(w, &s, &hits));
			s.limit = 7;
			compare(w, want, 7, hits, search(w, &s, &hits));
			s.exact = true;
			compare(w, want, 7, hits, search(w, &s, &hits));
			assert_true(isnan(hits[0].score));
		}
		assert_ist_ok(ist_live_merge(w->c, true, &err));
	}
}

static void test_pages(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS];
	struct ist_search s = search_for(w, true, true);
	size_t n = expect(w, true, true, 0, want);
	struct ist_hit *hits;

	for (s.offset = 0; s.offset < n + 20; s.offset += s.limit) {
		size_t left = s.offset < n ? n - s.offset : 0;

		compare(w, want + IST_MIN(s.offset, n), IST_MIN(left, s.limit), hits,
			search(w, &s, &hits));
	}
}

static void test_exclude(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS];
	struct ist_search s = search_for(w, true, true);
	struct ist_hit *hits;

	expect(w, true, true, 0, want);
	s.exclude = w->ids[want[2].item];
	memmove(want + 2, want + 3, (ITEMS - 3) * sizeof(*want));
	compare(w, want, 10, hits, search(w, &s, &hits));
	s.offset = 5;
	compare(w, want + 5, 10, hits, search(w, &s, &hits));
}

static void test_min_similarity(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS];
	struct ist_search s = search_for(w, true, false);
	struct ist_hit *hits;
	char shown[32];

	expect(w, true, false, 0, want);
	s.min_similarity = (want[4].similarity + want[5].similarity) / 2;
	compare(w, want, 5, hits, search(w, &s, &hits));
	assert_int_equal(search(w, &s, &hits), 5);
	/* What a reply shows of the fifth hit: nine digits of a float. */
	snprintf(shown, sizeof(shown), "%.9g", hits[4].similarity);
	s.min_similarity = strtod(shown, NULL);
	compare(w, want, 5, hits, search(w, &s, &hits));
	s.min_similarity = 2;
	assert_int_equal(search(w, &s, &hits), 0);
}

static void test_filter(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS], odd[ITEMS];
	struct ist_search s = search_for(w, true, true);
	struct ist_filter *filter = NULL;
	struct ist_err err = {0};
	struct ist_hit *hits;
	size_t n = expect(w, true, true, 0, want), n_odd = 0;

	for (size_t i = 0; i < n; i++)
		if (want[i].item % 2)
			odd[n_odd++] = want[i];
	assert_ist_ok(ist_filter_parse_text("label=odd", &filter, &err));
	s.filter = filter;
	for (int again = 0; again < 2; again++)
		compare(w, odd, 10, hits, search(w, &s, &hits));
	s.limit = 1000;
	compare(w, odd, n_odd, hits, search(w, &s, &hits));
	ist_filter_destroy(filter);
}

static void test_vectors(void **state)
{
	struct world *w = *state;
	struct ist_search s = search_for(w, false, true);
	struct ist_hit *hits;

	s.with_vectors = true;
	assert_int_equal(search(w, &s, &hits), 10);
	for (size_t i = 0; i < 10; i++) {
		int item = 0;

		assert_int_equal(sscanf(hits[i].item.id, "q%d", &item), 1);
		assert_non_null(hits[i].embedding);
		for (int d = 0; d < DIM; d++)
			assert_true(fabsf(hits[i].embedding[d] -
					  w->text[item][hits[i].ordinal][d]) < 1e-5f);
		assert_int_equal(hits[i].item.n_texts, n_texts(item));
		assert_string_equal(hits[i].item.texts[0], "one");
	}
}

/* A model whose scores say more of texts than of pictures of the same similarity. */
static void activate_fitted(struct world *w)
{
	static const size_t dim[] = {DIM, DIM};
	struct ist_model *model = ist_identity_create(dim, true);
	struct ist_err err = {0};
	char id[32];

	model->calibration[IST_TEXT][IST_IMAGE] =
	    (struct ist_calibration){.fitted = true, .slope = 1, .offset = 0, .mean = 0, .sd = 1};
	model->calibration[IST_TEXT][IST_TEXT] =
	    (struct ist_calibration){.fitted = true, .slope = 1, .offset = 0.5, .mean = 0, .sd = 1};
	assert_ist_ok(ist_models_add(w->c, model, NULL, id, &err));
	assert_ist_ok(ist_models_activate(w->c, id, NULL, &err));
	ist_model_unref(model);
}

static void test_scores(void **state)
{
	struct world *w = *state;
	struct expected want[ITEMS];
	struct ist_search s = search_for(w, true, true);
	struct ist_hit *hits;
	size_t n;

	activate_fitted(w);
	expect(w, true, true, 0, want);
	compare(w, want, 10, hits, search(w, &s, &hits));
	s.by_score = true;
	expect(w, true, true, 0.5, want);
	n = search(w, &s, &hits);
	compare(w, want, 10, hits, n);
	for (size_t i = 0; i < n; i++)
		assert_true(fabs(hits[i].score - 1 / (1 + exp(-want[i].key))) < 1e-5);
	s.threshold = (hits[2].score + hits[3].score) / 2;
	compare(w, want, 3, hits, search(w, &s, &hits));
	s.threshold = 1.5;
	assert_int_equal(search(w, &s, &hits), 0);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

TEST_MAIN(WITH_WORLD(test_targets), WITH_WORLD(test_pages), WITH_WORLD(test_exclude),
	  WITH_WORLD(test_min_similarity), WITH_WORLD(test_filter), WITH_WORLD(test_vectors),
	  WITH_WORLD(test_scores))
