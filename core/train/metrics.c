/*
 * Rankings and what they are worth. A ranking is a stable radix sort of similarities, so that
 * ties fall to the earlier pair and a figure does not depend on a sort's whims; blocks of queries
 * are multiplied with the gallery at once and ranked by all threads. Nothing here is random but
 * ist_measure_random, whose every query has a stream of its own.
 */
#include "core/train/metrics.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"
#include "core/methods/similarity.h"

#define BLOCK 64	/* queries ranked between two polls */
#define EMBED_BLOCK 256 /* rows embedded between two polls */
#define CUT 50		/* of MAP@50 */
#define DIGITS 2048
#define DIGIT_BITS 11
#define PASSES 3

const char *const ist_metric_names[IST_N_METRICS] = {
    [IST_MAP_ALL] = "map_all", [IST_MAP_50] = "map_50", [IST_R_1] = "r_1",
    [IST_R_5] = "r_5",	       [IST_R_10] = "r_10",	[IST_MEDIAN_RANK] = "median_rank",
};
static const uint32_t recall_at[IST_N_METRICS] = {
    [IST_R_1] = 1,
    [IST_R_5] = 5,
    [IST_R_10] = 10,
};

/* ---- ranking ---- */

void ist_ranker_init(struct ist_ranker *ranker, size_t n)
{
	ranker->order = ist_alloc_raw(n, sizeof(uint32_t));
	ranker->key = ist_alloc_raw(n, sizeof(uint32_t));
	ranker->other_order = ist_alloc_raw(n, sizeof(uint32_t));
	ranker->other_key = ist_alloc_raw(n, sizeof(uint32_t));
}

void ist_ranker_finish(struct ist_ranker *ranker)
{
	free(ranker->order);
	free(ranker->key);
	free(ranker->other_order);
	free(ranker->other_key);
	*ranker = (struct ist_ranker){0};
}

/* Greater floats get smaller keys; the two zeros are one, NaN is the largest key. */
static uint32_t descending_key(float x)
{
	uint32_t bits;

	if (isnan(x))
		return UINT32_MAX;
	x += 0.0f;
	memcpy(&bits, &x, sizeof(bits));
	return (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
}

static void swap(uint32_t **a, uint32_t **b)
{
	uint32_t *t = *a;

	*a = *b;
	*b = t;
}

void ist_rank(struct ist_ranker *r, const float *similarity, size_t n)
{
	uint32_t count[PASSES][DIGITS] = {0};

	for (size_t i = 0; i < n; i++) {
		r->key[i] = descending_key(similarity[i]);
		r->order[i] = (uint32_t)i;
		for (int p = 0; p < PASSES; p++)
			count[p][r->key[i] >> (p * DIGIT_BITS) & (DIGITS - 1)]++;
	}
	for (int p = 0; p < PASSES; p++) {
		uint32_t start = 0;

		for (size_t d = 0; d < DIGITS; d++) {
			uint32_t here = count[p][d];

			count[p][d] = start;
			start += here;
		}
		for (size_t i = 0; i < n; i++) {
			uint32_t to = count[p][r->key[i] >> (p * DIGIT_BITS) & (DIGITS - 1)]++;

			r->other_key[to] = r->key[i];
			r->other_order[to] = r->order[i];
		}
		swap(&r->key, &r->other_key);
		swap(&r->order, &r->other_order);
	}
}

/* ---- figures ---- */

void ist_figures_init(struct ist_figures *figures, const struct ist_trial *trial)
{
	*figures = (struct ist_figures){.n = trial->n_queries, .n_clusters = trial->n_items};
	for (int i = 0; i <= IST_R_10; i++)
		figures->value[i] = ist_alloc(figures->n, sizeof(double));
	figures->rank = ist_alloc(figures->n, sizeof(uint32_t));
	figures->cluster = ist_alloc(figures->n, sizeof(uint32_t));
	memcpy(figures->cluster, trial->query_item, figures->n * sizeof(uint32_t));
}

void ist_figures_finish(struct ist_figures *figures)
{
	for (int i = 0; i <= IST_R_10; i++)
		free(figures->value[i]);
	free(figures->rank);
	free(figures->cluster);
	*figures = (struct ist_figures){0};
}

/* Same label; without one, the query's own item. */
static bool is_relevant(const struct ist_trial *trial, size_t q, uint32_t g)
{
	if (trial->query_label[q] >= 0)
		return trial->gallery_label[g] == trial->query_label[q];
	return trial->gallery_item[g] == trial->query_item[q];
}

void ist_figures_take(struct ist_figures *figures, const struct ist_trial *trial, size_t q,
		      const uint32_t *order)
{
	size_t hits = 0, hits_50 = 0;
	double sum = 0, sum_50 = 0;
	bool own = false;

	for (size_t k = 0; k < trial->n_gallery && (hits < trial->n_relevant[q] || !own); k++) {
		if (!own && trial->gallery_item[order[k]] == trial->query_item[q]) {
			own = true;
			figures->rank[q] = (uint32_t)k;
		}
		if (!is_relevant(trial, q, order[k]))
			continue;
		hits++;
		sum += (double)hits / (double)(k + 1);
		if (k < CUT) {
			hits_50 = hits;
			sum_50 = sum;
		}
	}
	figures->value[IST_MAP_ALL][q] = hits > 0 ? sum / trial->n_relevant[q] : 0;
	figures->value[IST_MAP_50][q] = hits_50 > 0 ? sum_50 / (double)hits_50 : 0;
	for (int i = IST_R_1; i <= IST_R_10; i++)
		figures->value[i][q] = figures->rank[q] < recall_at[i];
}

/* A counting sort: the bootstrap walks it thousands of times for medians. */
uint32_t *ist_figures_order(const struct ist_figures *figures)
{
	uint32_t *order = ist_alloc_raw(figures->n, sizeof(*order)), top = 0, *start;

	for (size_t q = 0; q < figures->n; q++)
		top = IST_MAX(top, figures->rank[q]);
	start = ist_alloc((size_t)top + 2, sizeof(*start));
	for (size_t q = 0; q < figures->n; q++)
		start[figures->rank[q] + 1]++;
	for (size_t r = 0; r <= top; r++)
		start[r + 1] += start[r];
	for (size_t q = 0; q < figures->n; q++)
		order[start[figures->rank[q]]++] = (uint32_t)q;
	free(start);
	return order;
}

/* The rank (from 0) at position `at` of all ranks in ascending order, counted with weights. */
static double rank_at(const struct ist_figures *figures, const uint32_t *order,
		      const uint32_t *weight, uint64_t at)
{
	uint64_t passed = 0;

	for (size_t i = 0; i < figures->n; i++) {
		passed += weight != NULL ? weight[figures->cluster[order[i]]] : 1;
		if (passed > at)
			return figures->rank[order[i]];
	}
	return 0;
}

/* Weights are what a bootstrap draws: how often each cluster was chosen. */
void ist_figures_mean(const struct ist_figures *figures, const uint32_t *order,
		      const uint32_t *weight, double ret[IST_N_METRICS])
{
	double sum[IST_R_10 + 1] = {0};
	uint64_t total = 0;

	for (size_t q = 0; q < figures->n; q++) {
		uint32_t w = weight != NULL ? weight[figures->cluster[q]] : 1;

		total += w;
		for (int i = 0; w > 0 && i <= IST_R_10; i++)
			sum[i] += w * figures->value[i][q];
	}
	for (int i = 0; i <= IST_R_10; i++)
		ret[i] = total > 0 ? sum[i] / (double)total : 0;
	ret[IST_MEDIAN_RANK] = 0;
	if (total > 0)
		ret[IST_MEDIAN_RANK] = 1 + floor((rank_at(figures, order, weight, (total - 1) / 2) +
						  rank_at(figures, order, weight, total / 2)) /
						 2);
}

/* ---- embeddings ---- */

enum ist_code ist_embed_pairs(const struct ist_model *model, const struct ist_pairs *pairs,
			      enum ist_modality m, const uint32_t *pair, size_t n,
			      const struct ist_train_hooks *hooks, float **ret, struct ist_err *err)
{
	size_t dim_in = pairs->dim[m], dim = model->dim[m];
	ist_autofree float *x = ist_alloc_raw(EMBED_BLOCK * dim_in, sizeof(float));
	ist_autofree float *all = ist_alloc_raw(n * dim, sizeof(float));
	enum ist_code code = IST_OK;

	if (dim_in != model->dim_in[m])
		return ist_fail(err, IST_DIM_MISMATCH,
				"the model takes %s features of %zu, not %zu", ist_modality_name(m),
				model->dim_in[m], dim_in);
	for (size_t at = 0; at < n && code == IST_OK; at += EMBED_BLOCK) {
		size_t rows = IST_MIN(n - at, (size_t)EMBED_BLOCK);

		for (size_t i = 0; i < rows; i++)
			memcpy(x + i * dim_in, pairs->x[m] + pair[at + i] * dim_in,
			       dim_in * sizeof(float));
		code = ist_model_embed(model, m, x, rows, all + at * dim, err);
		if (code == IST_OK)
			code = ist_check_stop(hooks, err);
	}
	if (code == IST_OK)
		*ret = ist_steal(&all);
	return code;
}

/* ---- measuring ---- */

struct rankers {
	int n;
	struct ist_ranker *ranker;
};

static void rankers_init(struct rankers *all, size_t n_gallery)
{
	all->n = omp_get_max_threads();
	all->ranker = ist_alloc((size_t)all->n, sizeof(*all->ranker));
	for (int i = 0; i < all->n; i++)
		ist_ranker_init(&all->ranker[i], n_gallery);
}

static void rankers_finish(struct rankers *all)
{
	for (int i = 0; i < all->n; i++)
		ist_ranker_finish(&all->ranker[i]);
	free(all->ranker);
}

enum ist_code ist_measure(const struct ist_model *model, const struct ist_pairs *pairs,
			  const struct ist_trial *trial, const struct ist_train_hooks *hooks,
			  struct ist_figures *ret, struct ist_err *err)
{
	enum ist_modality from = trial->from, to = trial->to;
	size_t dim = model->dim[from], n = trial->n_queries, n_gallery = trial->n_gallery;
	ist_autofree float *queries = NULL, *gallery = NULL, *similarity = NULL;
	ist_auto(rankers_finish) struct rankers rankers = {0};
	enum ist_code code;

	code = ist_embed_pairs(model, pairs, from, trial->query, n, hooks, &queries, err);
	if (code == IST_OK)
		code = ist_embed_pairs(model, pairs, to, trial->gallery, n_gallery, hooks, &gallery,
				       err);
	similarity = ist_alloc_raw(BLOCK * n_gallery, sizeof(float));
	rankers_init(&rankers, n_gallery);
	for (size_t at = 0; at < n && code == IST_OK; at += BLOCK) {
		size_t rows = IST_MIN(n - at, (size_t)BLOCK);

		ist_similarities(model->similarity, ist_direction_of(from, to), queries + at * dim,
				 rows, gallery, n_gallery, dim, similarity);
#pragma omp parallel for schedule(dynamic)
		for (size_t i = 0; i < rows; i++) {
			struct ist_ranker *ranker = &rankers.ranker[omp_get_thread_num()];

			ist_rank(ranker, similarity + i * n_gallery, n_gallery);
			ist_figures_take(ret, trial, at + i, ranker->order);
		}
		code = ist_check_stop(hooks, err);
	}
	return code;
}

enum ist_code ist_measure_random(const struct ist_trial *trial, uint64_t seed,
				 const struct ist_train_hooks *hooks, struct ist_figures *ret,
				 struct ist_err *err)
{
	size_t n = trial->n_gallery;
	ist_autofree uint32_t *order = ist_alloc_raw(n, sizeof(*order));
	struct ist_rng rng;

	ist_rng_init(&rng, seed, "random rankings");
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (size_t q = 0; q < trial->n_queries; q++) {
		ist_rng_permute(&rng, order, n);
		ist_figures_take(ret, trial, q, order);
		if (q % BLOCK == 0 && ist_stopped(hooks))
			return ist_fail(err, IST_CANCELLED, "cancelled");
	}
	return IST_OK;
}
