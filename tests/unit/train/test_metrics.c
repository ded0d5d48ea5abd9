/*
 * Metrics: hand-made rankings, the closed form of chance against Monte Carlo and against the table
 * of published chance levels, ties, several texts an item, items without labels.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/similarity.h"
#include "core/train/metrics.h"
#include "tests/unit/test.h"

/* Pairs whose features do not matter. */
struct pairs {
	struct ist_pairs pairs;
	int32_t label[4096];
	int64_t item[4096];
	uint8_t part[4096];
};

static struct pairs *make(size_t n)
{
	struct pairs *p = ist_alloc(1, sizeof(*p));

	p->pairs = (struct ist_pairs){
	    .n = n, .n_classes = 4096, .label = p->label, .item = p->item, .part = p->part};
	for (size_t i = 0; i < n; i++) {
		p->item[i] = (int64_t)i;
		p->part[i] = IST_TEST;
	}
	return p;
}

static void near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.6f is not %.6f +- %.6f", got, expected, tolerance);
}

static void ranks_descend_and_ties_keep_their_order(void **state)
{
	const float s[7] = {0.5f, -1, 0.5f, NAN, 2, -0.0f, 0.0f};
	const uint32_t expected[7] = {4, 0, 2, 5, 6, 1, 3};
	struct ist_ranker ranker;

	ist_ranker_init(&ranker, 7);
	ist_rank(&ranker, s, 7);
	assert_memory_equal(ranker.order, expected, sizeof(expected));
	ist_ranker_finish(&ranker);
}

/* Five pairs labelled 0 0 1 1 0, ranked for query 0 as 2 0 1 3 4: relevant at 2, 3 and 5. */
static void a_ranking_by_hand(void **state)
{
	const int32_t label[5] = {0, 0, 1, 1, 0};
	const uint32_t order[5] = {2, 0, 1, 3, 4};
	ist_autofree struct pairs *p = make(5);
	struct ist_figures figures;
	struct ist_trial trial;

	memcpy(p->label, label, sizeof(label));
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	ist_figures_init(&figures, &trial);
	ist_figures_take(&figures, &trial, 0, order);
	near(figures.value[IST_MAP_ALL][0], (1.0 / 2 + 2.0 / 3 + 3.0 / 5) / 3, 1e-12);
	assert_int_equal(figures.rank[0], 1);
	near(figures.value[IST_R_1][0], 0, 0);
	near(figures.value[IST_R_5][0], 1, 0);
	ist_figures_finish(&figures);
	ist_trial_finish(&trial);
}

/* MAP@50 is normalised by the hits inside the top 50 and is 0 without any. */
static void the_cut_is_normalised_by_its_own_hits(void **state)
{
	ist_autofree struct pairs *p = make(100);
	uint32_t order[100];
	struct ist_figures figures;
	struct ist_trial trial;

	for (size_t i = 0; i < 100; i++) {
		p->label[i] = i < 10 ? 0 : 1;
		order[i] = (uint32_t)((i + 98) % 100); /* 98 99 0 1 ... 97 */
	}
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_TEXT, IST_IMAGE, IST_MAX_GALLERY);
	ist_figures_init(&figures, &trial);
	ist_figures_take(&figures, &trial, 0, order);
	assert_true(figures.value[IST_MAP_50][0] == figures.value[IST_MAP_ALL][0]);
	for (size_t i = 0; i < 100; i++)
		order[i] = (uint32_t)((i + 40) % 100); /* the ten are at 60 .. 69 */
	ist_figures_take(&figures, &trial, 0, order);
	near(figures.value[IST_MAP_50][0], 0, 0);
	assert_true(figures.value[IST_MAP_ALL][0] > 0);
	for (size_t i = 0; i < 100; i++)
		order[i] = (uint32_t)((i + 55) % 100); /* five of them at 45 .. 49 */
	ist_figures_take(&figures, &trial, 0, order);
	near(figures.value[IST_MAP_50][0],
	     (1.0 / 46 + 2.0 / 47 + 3.0 / 48 + 4.0 / 49 + 5.0 / 50) / 5, 1e-12);
	ist_figures_finish(&figures);
	ist_trial_finish(&trial);
}

/* Three items with 2, 1 and 3 texts: images once, texts each; the best of the own texts counts. */
static void several_texts_of_an_item(void **state)
{
	const int64_t item[6] = {7, 7, 3, 9, 9, 9};
	const uint32_t order[6] = {2, 4, 1, 0, 3, 5};
	ist_autofree struct pairs *p = make(6);
	struct ist_figures figures;
	struct ist_trial trial;

	memcpy(p->item, item, sizeof(item));
	for (size_t i = 0; i < 6; i++)
		p->label[i] = -1;
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	assert_int_equal(trial.n_queries, 3);
	assert_int_equal(trial.n_gallery, 6);
	assert_int_equal(trial.query[1], 2);
	assert_int_equal(trial.n_relevant[2], 3);
	ist_figures_init(&figures, &trial);
	ist_figures_take(&figures, &trial, 2, order); /* texts of item 9 at 1, 4, 5 */
	assert_int_equal(figures.rank[2], 1);
	near(figures.value[IST_MAP_ALL][2], (1.0 / 2 + 2.0 / 5 + 3.0 / 6) / 3, 1e-12);
	ist_figures_finish(&figures);
	ist_trial_finish(&trial);
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_TEXT, IST_IMAGE, IST_MAX_GALLERY);
	assert_int_equal(trial.n_queries, 6);
	assert_int_equal(trial.n_gallery, 3);
	assert_int_equal(trial.query_item[5], 2);
	ist_trial_finish(&trial);
}

static void only_the_part_is_read(void **state)
{
	ist_autofree struct pairs *p = make(10);
	struct ist_trial trial;

	for (size_t i = 0; i < 10; i++)
		p->part[i] = (uint8_t)(i % IST_N_PARTS);
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_TEXT, IST_IMAGE, IST_MAX_GALLERY);
	assert_int_equal(trial.n_queries, 2);
	assert_int_equal(trial.query[0], 2);
	assert_int_equal(trial.query[1], 6);
	ist_trial_finish(&trial);
}

static void large_parts_are_sampled_by_item(void **state)
{
	ist_autofree struct pairs *p = make(400);
	struct ist_trial trial, again;

	for (size_t i = 0; i < 400; i++)
		p->item[i] = (int64_t)(i / 4);
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, 100);
	ist_trial_init(&again, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, 100);
	assert_int_equal(trial.n_gallery, 100);
	assert_int_equal(trial.n_queries, 25);
	assert_memory_equal(trial.gallery, again.gallery, 100 * sizeof(uint32_t));
	for (size_t i = 0; i < 100; i += 4)
		assert_int_equal(trial.gallery_item[i], trial.gallery_item[i + 3]);
	ist_trial_finish(&trial);
	ist_trial_finish(&again);
}

static void perfect_rankings_are_one(void **state)
{
	ist_autofree struct pairs *p = make(60);
	struct ist_figures figures;
	struct ist_trial trial;
	double mean[IST_N_METRICS];
	uint32_t *by_rank;

	for (size_t i = 0; i < 60; i++)
		p->label[i] = (int32_t)(i % 6);
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	ist_figures_init(&figures, &trial);
	for (uint32_t q = 0; q < 60; q++) {
		uint32_t order[60] = {q}, n = 1;

		for (uint32_t i = 0; i < 60; i++) {
			if (i != q && i % 6 == q % 6)
				order[n++] = i;
		}
		for (uint32_t i = 0; i < 60; i++) {
			if (i % 6 != q % 6)
				order[n++] = i;
		}
		ist_figures_take(&figures, &trial, q, order);
	}
	by_rank = ist_figures_order(&figures);
	ist_figures_mean(&figures, by_rank, NULL, mean);
	for (int i = 0; i < IST_N_METRICS; i++)
		near(mean[i], 1, 0); /* the median rank too */
	free(by_rank);
	ist_figures_finish(&figures);
	ist_trial_finish(&trial);
}

static void median_ranks(void **state)
{
	ist_autofree struct pairs *p = make(4);
	const uint32_t weight[4] = {0, 3, 0, 0};
	struct ist_figures figures;
	struct ist_trial trial;
	double mean[IST_N_METRICS];
	uint32_t *by_rank;

	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	ist_figures_init(&figures, &trial);
	figures.rank[0] = 9;
	figures.rank[1] = 2;
	figures.rank[2] = 0;
	figures.rank[3] = 5;
	by_rank = ist_figures_order(&figures);
	ist_figures_mean(&figures, by_rank, NULL, mean);
	near(mean[IST_MEDIAN_RANK], 4, 0); /* floor((2 + 5) / 2) + 1 */
	ist_figures_mean(&figures, by_rank, weight, mean);
	near(mean[IST_MEDIAN_RANK], 3, 0);
	free(by_rank);
	ist_figures_finish(&figures);
	ist_trial_finish(&trial);
}

/* ---- chance ---- */

struct gallery {
	size_t n_classes;
	const int *size; /* of each class, NULL: all `each` */
	int each;
	double map_all, map_50; /* published, from Monte Carlo */
	double tolerance;
};
static const int wikipedia[10] = {34, 88, 96, 85, 65, 58, 51, 41, 71, 104};
static const struct gallery galleries[] = {
    {10, wikipedia, 0, 0.118, 0.174, 0.001},
    {20, NULL, 5, 0.090, 0.116, 0.001},
    {10, NULL, 100, 0.105, 0.163, 0.001},
    {200, NULL, 20, 0.0070, 0.0208, 0.0004},
};

static struct pairs *fill(const struct gallery *g)
{
	struct pairs *p = make(4096);
	size_t n = 0;

	for (size_t c = 0; c < g->n_classes; c++) {
		for (int i = 0; i < (g->size != NULL ? g->size[c] : g->each); i++)
			p->label[n++] = (int32_t)c;
	}
	p->pairs.n = n;
	return p;
}

static void chance_is_as_published(void **state)
{
	for (size_t i = 0; i < IST_COUNT(galleries); i++) {
		ist_autofree struct pairs *p = fill(&galleries[i]);
		struct ist_trial trial;
		double chance[IST_N_METRICS], n = (double)p->pairs.n;

		ist_trial_init(&trial, &p->pairs, IST_TEST, IST_TEXT, IST_IMAGE, IST_MAX_GALLERY);
		ist_chance(&trial, chance);
		near(chance[IST_MAP_ALL], galleries[i].map_all, galleries[i].tolerance);
		near(chance[IST_MAP_50], galleries[i].map_50, galleries[i].tolerance);
		near(chance[IST_R_10], 10 / n, 1e-12);
		near(chance[IST_MEDIAN_RANK], floor((n + 1) / 2), 0);
		ist_trial_finish(&trial);
	}
}

/* The measuring code on random rankings agrees with the closed form. */
static void random_rankings_reach_chance(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		ist_autofree struct pairs *p = fill(&galleries[i]);
		double chance[IST_N_METRICS], sum[IST_N_METRICS] = {0}, draws = 20;
		struct ist_trial trial;

		ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
		ist_chance(&trial, chance);
		for (uint64_t seed = 0; seed < 20; seed++) {
			struct ist_figures figures;
			double mean[IST_N_METRICS];
			uint32_t *order;
			struct ist_err err;

			ist_figures_init(&figures, &trial);
			assert_ist_ok(ist_measure_random(&trial, seed, NULL, &figures, &err));
			order = ist_figures_order(&figures);
			ist_figures_mean(&figures, order, NULL, mean);
			for (int k = 0; k < IST_N_METRICS; k++)
				sum[k] += mean[k] / draws;
			free(order);
			ist_figures_finish(&figures);
		}
		near(sum[IST_MAP_ALL], chance[IST_MAP_ALL], 0.003);
		near(sum[IST_MAP_50], chance[IST_MAP_50], 0.005);
		near(sum[IST_R_10], chance[IST_R_10], 0.01);
		near(sum[IST_MEDIAN_RANK] / chance[IST_MEDIAN_RANK], 1, 0.1);
		ist_trial_finish(&trial);
	}
}

/* Several texts: chance of the best of them, against drawing. */
static void chance_with_several_texts(void **state)
{
	ist_autofree struct pairs *p = make(60);
	double chance[IST_N_METRICS], hits = 0, draws = 0;
	struct ist_trial trial;
	struct ist_err err;

	for (size_t i = 0; i < 60; i++) {
		p->item[i] = (int64_t)(i / 5);
		p->label[i] = -1;
	}
	ist_trial_init(&trial, &p->pairs, IST_TEST, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	ist_chance(&trial, chance);
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct ist_figures figures;

		ist_figures_init(&figures, &trial);
		assert_ist_ok(ist_measure_random(&trial, seed, NULL, &figures, &err));
		for (size_t q = 0; q < figures.n; q++, draws++)
			hits += figures.value[IST_R_5][q];
		ist_figures_finish(&figures);
	}
	near(hits / draws, chance[IST_R_5], 0.02);
	ist_trial_finish(&trial);
}

/* The definitions of method.h, in double. */
static double by_definition(enum ist_similarity similarity, enum ist_direction direction,
			    const float *a, const float *b, size_t dim)
{
	double inner = 0, square = 0, over = 0, under = 0;

	for (size_t i = 0; i < dim; i++) {
		double d = (double)a[i] - b[i];

		inner += (double)a[i] * b[i];
		square += d * d;
		over += d > 0 ? d * d : 0;
		under += d < 0 ? d * d : 0;
	}
	if (similarity != IST_ORDER)
		return similarity == IST_EUCLIDEAN ? -sqrt(square) : inner;
	return direction == IST_ALIKE ? -square : direction == IST_TEXT_TO_IMAGE ? -over : -under;
}

/* Sizes around the fours and the blocks. */
static void similarities_are_what_they_are_defined_as(void **state)
{
	static const size_t sizes[][3] = {{1, 1, 1}, {3, 7, 5}, {5, 1000, 33}, {64, 130, 512}};

	for (size_t i = 0; i < IST_COUNT(sizes); i++) {
		size_t n = sizes[i][0], m = sizes[i][1], dim = sizes[i][2];
		ist_autofree float *a = ist_alloc_raw(n * dim, sizeof(*a));
		ist_autofree float *b = ist_alloc_raw(m * dim, sizeof(*b));
		ist_autofree float *s = ist_alloc_raw(n * m, sizeof(*s));
		struct ist_rng rng;

		ist_rng_init(&rng, i, "similarities");
		for (size_t j = 0; j < n * dim; j++)
			a[j] = (float)fabs(ist_rng_normal(&rng));
		for (size_t j = 0; j < m * dim; j++)
			b[j] = (float)fabs(ist_rng_normal(&rng));
		for (int kind = 0; kind < IST_N_SIMILARITIES * IST_N_DIRECTIONS; kind++) {
			enum ist_similarity similarity = kind / IST_N_DIRECTIONS;
			enum ist_direction direction = kind % IST_N_DIRECTIONS;

			ist_similarities(similarity, direction, a, n, b, m, dim, s);
			for (size_t j = 0; j < n * m; j++)
				near(s[j],
				     by_definition(similarity, direction, a + j / m * dim,
						   b + j % m * dim, dim),
				     1e-5 * (double)(dim + 4));
		}
	}
}

/* A picture that holds more than the text says costs nothing; a text that says more does. */
static void order_has_a_direction(void **state)
{
	const float text[2] = {1, 0}, picture[2] = {3, 4};
	float s;

	assert_int_equal(ist_direction_of(IST_TEXT, IST_IMAGE), IST_TEXT_TO_IMAGE);
	assert_int_equal(ist_direction_of(IST_IMAGE, IST_TEXT), IST_IMAGE_TO_TEXT);
	assert_int_equal(ist_direction_of(IST_TEXT, IST_TEXT), IST_ALIKE);
	assert_int_equal(ist_direction_of(IST_IMAGE, IST_IMAGE), IST_ALIKE);
	assert_int_equal(ist_direction_of(IST_COMPOSED, IST_IMAGE), IST_ALIKE);
	ist_similarities(IST_ORDER, IST_TEXT_TO_IMAGE, text, 1, picture, 1, 2, &s);
	assert_true(s == 0);
	ist_similarities(IST_ORDER, IST_IMAGE_TO_TEXT, picture, 1, text, 1, 2, &s);
	assert_true(s == 0);
	ist_similarities(IST_ORDER, IST_TEXT_TO_IMAGE, picture, 1, text, 1, 2, &s);
	assert_true(s == -20);
	ist_similarities(IST_ORDER, IST_ALIKE, picture, 1, text, 1, 2, &s);
	assert_true(s == -20);
}

TEST_MAIN(cmocka_unit_test(similarities_are_what_they_are_defined_as),
	  cmocka_unit_test(order_has_a_direction),
	  cmocka_unit_test(ranks_descend_and_ties_keep_their_order),
	  cmocka_unit_test(a_ranking_by_hand),
	  cmocka_unit_test(the_cut_is_normalised_by_its_own_hits),
	  cmocka_unit_test(several_texts_of_an_item), cmocka_unit_test(only_the_part_is_read),
	  cmocka_unit_test(large_parts_are_sampled_by_item),
	  cmocka_unit_test(perfect_rankings_are_one), cmocka_unit_test(median_ranks),
	  cmocka_unit_test(chance_is_as_published), cmocka_unit_test(random_rankings_reach_chance),
	  cmocka_unit_test(chance_with_several_texts))
