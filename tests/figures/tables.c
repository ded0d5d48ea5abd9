/*
 * The tables of figures: every method on every data set over seeds or folds, and the paired
 * differences that the claims rest on.
 *
 *   figures FOLDER [--data wikipedia|tux] [--runs N] [--first SEED]
 *
 * FOLDER holds wikipedia2010/ and tuxpaint-features/. Run r has seed r, and on the stamps fold
 * r % 5. Every model learns from the whole training part for a fixed number of epochs; nothing is
 * chosen on test. Prints Markdown: MAP@all as mean and standard deviation over the runs, then
 * differences with 95 % intervals of the two-level bootstrap (runs, then queries; 4,000 draws) and
 * p-values corrected by Holm over the whole table.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/baselines.h"
#include "tests/figures/feature_files.h"

#define MAX_RUNS 32
#define MAX_NAMES 3

struct row {
	const char *title, *method, *params;
	const char *names[MAX_NAMES]; /* similarities, NULL: the method's own only */
};
static const struct row rows[] = {
    {"ACMR", "acmr", "{}", {"euclidean", "cosine", "posterior"}},
    {"ACMR, no adversary", "acmr", "{\"adversary\": 0}", {"euclidean", "cosine", "posterior"}},
    {"ACMR, no triplet", "acmr", "{\"triplet\": 0}", {"euclidean", "cosine", "posterior"}},
    {"label predictor alone, ACMR's settings",
     "acmr",
     "{\"adversary\": 0, \"triplet\": 0}",
     {"euclidean", "cosine", "posterior"}},
    {"label predictor alone, its own settings",
     "acmr",
     NULL, /* as the reports' baseline */
     {"euclidean", "cosine", "posterior"}},
    {"logistic regression", "logistic", "{}", {"posterior", "cosine"}},
    {"CCA", "linear", "{}", {NULL}},
};
enum { ACMR, NO_ADVERSARY, NO_TRIPLET, CE_SAME, CE_OWN, LOGISTIC, CCA, N_ROWS };

/* What is claimed of which two rows. */
struct claim {
	int a, b;
	const char *similarity;
};
static const struct claim claims[] = {
    {ACMR, CE_OWN, "euclidean"},	{ACMR, CE_OWN, "cosine"},
    {ACMR, CE_OWN, "posterior"},	{ACMR, NO_ADVERSARY, "euclidean"},
    {ACMR, NO_ADVERSARY, "cosine"},	{ACMR, NO_ADVERSARY, "posterior"},
    {NO_TRIPLET, CE_SAME, "euclidean"}, {NO_TRIPLET, CE_SAME, "cosine"},
    {NO_TRIPLET, CE_SAME, "posterior"}, {ACMR, LOGISTIC, "posterior"},
};

/* AP of every held-out item, both directions, under one similarity of one row and run. */
struct cell {
	size_t n;
	double *ap[IST_N_MODALITIES];
	double mean[IST_N_MODALITIES];
};
struct table {
	struct features *features;
	size_t first, runs;
	struct cell cell[N_ROWS][MAX_NAMES][MAX_RUNS];
};

static void check(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "figures: %s\n", err->text);
	exit(1);
}

static void measure(const struct ist_trials *trials, const struct ist_model *model,
		    struct cell *cell)
{
	struct ist_err err;

	for (int from = 0; from < IST_N_MODALITIES; from++) {
		const struct ist_trial *trial = &trials->direction[from];
		ist_auto(ist_figures_finish) struct ist_figures figures = {0};

		ist_figures_init(&figures, trial);
		check(ist_measure(model, trials->pairs, trial, NULL, &figures, &err), &err);
		cell->n = figures.n;
		cell->mean[from] = 0;
		for (size_t q = 0; q < figures.n; q++)
			cell->mean[from] += figures.value[IST_MAP_ALL][q] / (double)figures.n;
		cell->ap[from] = ist_steal(&figures.value[IST_MAP_ALL]);
	}
}

static size_t count_train(const struct features *features)
{
	size_t n = 0;

	for (size_t i = 0; i < features->pairs.n; i++)
		n += features->part[i] == IST_TRAIN;
	return n;
}

static void train_row(struct table *t, int number, size_t run)
{
	const struct row *row = &rows[number];
	const struct ist_method *method = ist_method_find(row->method);
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *params = NULL, *given = row->params != NULL
					    ? json_loads(row->params, 0, NULL)
					    : ist_label_predictor_params(count_train(t->features));
	struct ist_err err;

	check(ist_params_complete(method, given, &params, &err), &err);
	check(method->train(&t->features->pairs, params, t->first + run, NULL, &model, &err), &err);
	ist_trials_init(&trials, &t->features->pairs, IST_TEST);
	if (row->names[0] == NULL)
		measure(&trials, model, &t->cell[number][0][run]);
	for (size_t k = 0; k < MAX_NAMES && row->names[k] != NULL; k++) {
		ist_auto(ist_model_unref_ptr) struct ist_model *variant = NULL;

		check(method->variant(model, row->names[k], &variant, &err), &err);
		measure(&trials, variant, &t->cell[number][k][run]);
	}
	json_decref(given);
	json_decref(params);
}

/* ---- printing ---- */

struct mean_sd {
	double mean, sd;
};

static struct mean_sd summarise(const double *x, size_t n)
{
	struct mean_sd ret = {0};

	for (size_t i = 0; i < n; i++)
		ret.mean += x[i] / (double)n;
	for (size_t i = 0; n > 1 && i < n; i++)
		ret.sd += (x[i] - ret.mean) * (x[i] - ret.mean) / (double)(n - 1);
	ret.sd = sqrt(ret.sd);
	return ret;
}

static void print_means(const struct table *t)
{
	printf("\n| method | ranking | i2t | t2i | average |\n|---|---|---|---|---|\n");
	for (int r = 0; r < N_ROWS; r++) {
		for (size_t k = 0; k < MAX_NAMES; k++) {
			const struct cell *cell = t->cell[r][k];
			double x[3][MAX_RUNS];
			struct mean_sd s[3];

			if (cell[0].n == 0)
				continue;
			for (size_t run = 0; run < t->runs; run++) {
				x[0][run] = cell[run].mean[IST_IMAGE];
				x[1][run] = cell[run].mean[IST_TEXT];
				x[2][run] = (x[0][run] + x[1][run]) / 2;
			}
			for (int i = 0; i < 3; i++)
				s[i] = summarise(x[i], t->runs);
			printf("| %s | %s | %.3f ± %.3f | %.3f ± %.3f | %.4f ± %.4f |\n",
			       rows[r].title,
			       rows[r].names[k] != NULL ? rows[r].names[k] : "cosine", s[0].mean,
			       s[0].sd, s[1].mean, s[1].sd, s[2].mean, s[2].sd);
		}
	}
}

static size_t find_similarity(int row, const char *name)
{
	size_t k = 0;

	while (strcmp(rows[row].names[k], name) != 0)
		k++;
	return k;
}

/* Paired differences of one run: the mean of both directions, an item at a time. */
static double *differences(const struct cell *a, const struct cell *b)
{
	double *x = ist_alloc(a->n, sizeof(*x));

	for (size_t q = 0; q < a->n; q++) {
		for (int from = 0; from < IST_N_MODALITIES; from++)
			x[q] += (a->ap[from][q] - b->ap[from][q]) / IST_N_MODALITIES;
	}
	return x;
}

static struct ist_interval compare(const struct table *t, const struct claim *claim, double *ret_p)
{
	size_t ka = find_similarity(claim->a, claim->similarity);
	size_t kb = find_similarity(claim->b, claim->similarity);
	double *x[MAX_RUNS];
	size_t n[MAX_RUNS];
	struct ist_interval found;

	for (size_t run = 0; run < t->runs; run++) {
		x[run] = differences(&t->cell[claim->a][ka][run], &t->cell[claim->b][kb][run]);
		n[run] = t->cell[claim->a][ka][run].n;
	}
	found =
	    ist_bootstrap_levels((const double *const *)x, n, t->runs, IST_DRAWS_LEVELS, 0, ret_p);
	for (size_t run = 0; run < t->runs; run++)
		free(x[run]);
	return found;
}

static void print_claims(const struct table *t)
{
	struct ist_interval found[IST_COUNT(claims)];
	double p[IST_COUNT(claims)];

	for (size_t i = 0; i < IST_COUNT(claims); i++)
		found[i] = compare(t, &claims[i], &p[i]);
	ist_holm(p, IST_COUNT(claims));
	printf("\n| difference | ranking | MAP@all | 95 %% interval | p (Holm) |\n"
	       "|---|---|---|---|---|\n");
	for (size_t i = 0; i < IST_COUNT(claims); i++)
		printf("| %s − %s | %s | %+.4f | [%+.4f, %+.4f] | %.4f |\n",
		       rows[claims[i].a].title, rows[claims[i].b].title, claims[i].similarity,
		       found[i].value, found[i].low, found[i].high, p[i]);
}

static void table_finish(struct table *t)
{
	for (size_t i = 0; i < (size_t)N_ROWS * MAX_NAMES * MAX_RUNS; i++) {
		struct cell *cell = &t->cell[0][0][0] + i;

		free(cell->ap[IST_IMAGE]);
		free(cell->ap[IST_TEXT]);
	}
	free(t);
}

static void print_table(struct features *features, size_t first, size_t runs)
{
	struct table *t = ist_alloc(1, sizeof(*t));

	t->features = features;
	t->first = first;
	t->runs = runs;
	for (size_t run = 0; run < runs; run++) {
		features_set_run(features, first + run);
		for (int r = 0; r < N_ROWS; r++) {
			fprintf(stderr, "%s: run %zu of %zu: %s\n", features->name, run + 1, runs,
				rows[r].title);
			train_row(t, r, run);
		}
	}
	printf("\n## %s, %zu runs from seed %zu, MAP@all\n", features->name, runs, first);
	print_means(t);
	print_claims(t);
	table_finish(t);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*load)(struct features *f, const char *folder);
	} sets[] = {{"wikipedia", features_wikipedia}, {"tux", features_tux}};
	const char *only = NULL;
	size_t runs = 5, first = 0;

	for (int i = 2; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--data") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--runs") == 0)
			runs = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoul(argv[i + 1], NULL, 10);
	}
	if (argc < 2 || argc % 2 != 0 || runs < 1 || runs > MAX_RUNS) {
		fprintf(stderr,
			"usage: figures FOLDER [--data wikipedia|tux] [--runs 1-%d] "
			"[--first SEED]\n",
			MAX_RUNS);
		return 2;
	}
	for (size_t i = 0; i < IST_COUNT(sets); i++) {
		struct features features;

		if (only != NULL && strcmp(only, sets[i].name) != 0)
			continue;
		sets[i].load(&features, argv[1]);
		print_table(&features, first, runs);
		features_finish(&features);
	}
	return 0;
}
