/*
 * A comparison measures each model once and keeps what every query came to; everything else is
 * arithmetic on those numbers. Draws are seeded by a constant, so a table that is made twice is
 * equal. One thread.
 */
#include "core/train/compare.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

#define SEED 0
#define LEVEL 0.05 /* of significance, after the correction */
#define SAMPLE 256 /* features, to tell what embedding costs */

const char *const ist_aim_names[] = {"class", "instance", NULL};

const char *ist_aim_metric(enum ist_aim aim)
{
	static const char *const names[IST_N_AIMS] = {"map_all", "reciprocal_rank"};

	return names[aim];
}

enum ist_aim ist_aim_of(const struct ist_trials *trials)
{
	return trials->by_label ? IST_AIM_CLASS : IST_AIM_INSTANCE;
}

void ist_comparison_init(struct ist_comparison *c, const struct ist_trials *trials,
			 enum ist_aim aim)
{
	*c = (struct ist_comparison){.trials = trials, .aim = aim};
}

static void contestant_finish(struct ist_contestant *one)
{
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		ist_figures_finish(&one->figures[from]);
		free(one->value[from]);
	}
}

void ist_comparison_finish(struct ist_comparison *c)
{
	for (size_t i = 0; i < c->n; i++)
		contestant_finish(&c->contestants[i]);
	free(c->contestants);
	*c = (struct ist_comparison){0};
}

/* What each query counts: its average precision, or 1 / rank of its own item. */
static double *values_of(const struct ist_figures *figures, enum ist_aim aim, double *ret_mean)
{
	double *value = ist_alloc_raw(figures->n, sizeof(*value)), sum = 0;

	for (size_t q = 0; q < figures->n; q++) {
		value[q] = aim == IST_AIM_CLASS ? figures->value[IST_MAP_ALL][q]
						: 1.0 / (1.0 + figures->rank[q]);
		sum += value[q];
	}
	*ret_mean = figures->n > 0 ? sum / (double)figures->n : 0;
	return value;
}

enum ist_code ist_comparison_add(struct ist_comparison *c, const struct ist_model *model,
				 const struct ist_train_hooks *hooks, struct ist_err *err)
{
	struct ist_contestant one = {0};
	enum ist_code code = IST_OK;
	double mean;

	if (!model->crosses)
		return ist_fail(err, IST_NO_MODEL, "%s compares nothing across image and text",
				model->method->name);
	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		const struct ist_trial *trial = &c->trials->direction[from];

		ist_figures_init(&one.figures[from], trial);
		code = ist_measure(model, c->trials->pairs, trial, hooks, &one.figures[from], err);
		if (code == IST_OK) {
			one.value[from] = values_of(&one.figures[from], c->aim, &mean);
			one.mean += mean / IST_N_MODALITIES;
		}
	}
	if (code != IST_OK) {
		contestant_finish(&one);
		return code;
	}
	c->contestants = ist_resize(c->contestants, c->n + 1, sizeof(*c->contestants));
	c->contestants[c->n++] = one;
	return IST_OK;
}

size_t ist_comparison_best(const struct ist_comparison *c)
{
	size_t best = 0;

	for (size_t i = 1; i < c->n; i++) {
		if (c->contestants[i].mean > c->contestants[best].mean)
			best = i;
	}
	return best;
}

/* ---- differences ---- */

/* Of row i to row `to` (none where to is i: the row's own mean), as the bootstrap takes them. */
static struct ist_interval interval_of(const struct ist_comparison *c, size_t i, size_t to,
				       double *ret_p)
{
	struct ist_differences direction[IST_N_MODALITIES];
	double *x[IST_N_MODALITIES];
	struct ist_interval found;

	for (int from = 0; from < IST_N_MODALITIES; from++) {
		const struct ist_figures *figures = &c->contestants[i].figures[from];

		x[from] = ist_alloc_raw(figures->n, sizeof(double));
		for (size_t q = 0; q < figures->n; q++)
			x[from][q] = c->contestants[i].value[from][q] -
				     (to != i ? c->contestants[to].value[from][q] : 0);
		direction[from] = (struct ist_differences){figures->n, x[from], figures->cluster};
	}
	found = ist_bootstrap_paired(direction, IST_N_MODALITIES,
				     c->trials->direction[IST_IMAGE].n_items, SEED, ret_p);
	for (int from = 0; from < IST_N_MODALITIES; from++)
		free(x[from]);
	return found;
}

/* Adjusted p-values of all rows but `to`, which is compared with; p (n). */
static void compare_all(const struct ist_comparison *c, size_t to, struct ist_interval *difference,
			double *p)
{
	double *others = ist_alloc(c->n, sizeof(*others));
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (i != to)
			difference[i] = interval_of(c, i, to, &others[n++]);
	}
	ist_holm(others, n);
	n = 0;
	for (size_t i = 0; i < c->n; i++)
		p[i] = i != to ? others[n++] : 1;
	free(others);
}

static enum ist_code put_row(const struct ist_comparison *c, size_t i,
			     const struct ist_train_hooks *hooks, json_t *row, struct ist_err *err)
{
	const struct ist_interval mean = interval_of(c, i, i, NULL);
	enum ist_code code = IST_OK;

	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		json_t *figures = NULL;

		code = ist_figures_json(&c->contestants[i].figures[from], hooks, &figures, err);
		if (code == IST_OK)
			json_object_set_new(row, ist_direction_name(from), figures);
	}
	json_object_set_new(row, "mean", ist_interval_json(&mean));
	return code;
}

enum ist_code ist_comparison_rows(const struct ist_comparison *c, size_t to,
				  const struct ist_train_hooks *hooks, json_t **ret,
				  struct ist_err *err)
{
	ist_autofree struct ist_interval *difference = ist_alloc(c->n, sizeof(*difference));
	ist_autofree double *p = ist_alloc(c->n, sizeof(*p));
	json_t *rows = json_array();
	enum ist_code code = IST_OK;

	compare_all(c, to, difference, p);
	for (size_t i = 0; i < c->n && code == IST_OK; i++) {
		json_t *row = json_object();

		json_array_append_new(rows, row);
		code = put_row(c, i, hooks, row, err);
		json_object_set_new(row, "difference",
				    i != to ? ist_interval_json(&difference[i]) : json_null());
		json_object_set_new(row, "p", i != to ? json_real(p[i]) : json_null());
		json_object_set_new(row, "significant",
				    i != to ? json_boolean(p[i] < LEVEL) : json_null());
	}
	if (code != IST_OK) {
		json_decref(rows);
		return code;
	}
	*ret = rows;
	return IST_OK;
}

enum ist_code ist_embed_cost(const struct ist_model *model, const struct ist_pairs *pairs,
			     double *ret_us, struct ist_err *err)
{
	size_t n = IST_MIN(pairs->n, (size_t)SAMPLE);
	ist_autofree uint32_t *rows = ist_alloc_raw(n, sizeof(*rows));
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		rows[i] = (uint32_t)i;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *embedded = NULL;
		int64_t begin_us = ist_monotonic_us();
		enum ist_code code = ist_embed_pairs(model, pairs, (enum ist_modality)m, rows, n,
						     NULL, &embedded, err);

		if (code != IST_OK)
			return code;
		sum += (double)(ist_monotonic_us() - begin_us);
	}
	*ret_us = n > 0 ? sum / (double)n / IST_N_MODALITIES : 0;
	return IST_OK;
}

/* ---- the queries themselves ---- */

static int by_difference(const void *a, const void *b)
{
	const struct ist_apart *x = a, *y = b;
	double dx = x->value[0] - x->value[1], dy = y->value[0] - y->value[1];

	if (dx != dy)
		return dx > dy ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->pair < y->pair ? -1 : x->pair > y->pair;
}

size_t ist_comparison_apart(const struct ist_comparison *c, size_t a, size_t b, size_t most,
			    struct ist_apart *ret)
{
	const struct ist_trial *trials = c->trials->direction;
	size_t n = trials[IST_IMAGE].n_queries + trials[IST_TEXT].n_queries, n_all = 0, found = 0;
	ist_autofree struct ist_apart *all = ist_alloc(n, sizeof(*all));

	for (int from = 0; from < IST_N_MODALITIES; from++) {
		for (size_t q = 0; q < trials[from].n_queries; q++)
			all[n_all++] = (struct ist_apart){
			    (enum ist_modality)from,
			    trials[from].query[q],
			    {c->contestants[a].value[from][q], c->contestants[b].value[from][q]}};
	}
	qsort(all, n, sizeof(*all), by_difference);
	for (size_t head = 0, tail = n; found < most; found++) {
		bool for_a = head < tail && all[head].value[0] > all[head].value[1];
		bool for_b = head < tail && all[tail - 1].value[0] < all[tail - 1].value[1];

		if (!for_a && !for_b)
			break;
		ret[found] = for_a && (found % 2 == 0 || !for_b) ? all[head++] : all[--tail];
	}
	return found;
}
