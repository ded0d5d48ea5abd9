/*
 * The tables of figures: methods on published features over seeds or folds, and the paired
 * differences that claims rest on.
 *
 *   figures FOLDER [--data wikipedia|tux] [--table NAME] [--runs N] [--first SEED]
 *   figures FOLDER --data NAME --inner --try METHOD=PARAMS …
 *
 * FOLDER holds wikipedia2010/ and tuxpaint-features/. Run r has seed r, and on the stamps fold
 * r % 5. Every model learns from the whole training part for a fixed number of epochs; nothing is
 * chosen on test. With --inner every 5th training item of a class is measured on instead, which is
 * what settings are chosen by, and --try makes a table of settings given by hand. Prints Markdown:
 * MAP@all as mean and standard deviation over the runs, then differences with 95 % intervals of the
 * two-level bootstrap (runs, then queries; 4,000 draws) and p-values corrected by Holm over the
 * whole table.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/baselines.h"
#include "tests/figures/feature_files.h"
#include "tests/figures/tables.h"

#define MAX_RUNS 32

/* Recall by instance is shown for the way to rank that comes first. */
static const enum ist_metric recalls[] = {IST_R_1, IST_R_5, IST_R_10};
#define N_RECALLS IST_COUNT(recalls)

/* AP of every held-out item, both directions, under one similarity of one row and run. */
struct cell {
	size_t n;
	double *ap[IST_N_MODALITIES];
	double mean[IST_N_MODALITIES];
	double recall[IST_N_MODALITIES][N_RECALLS];
};
struct table {
	const struct table_kind *kind;
	struct features *features;
	size_t first, runs;
	struct cell cell[TABLE_ROWS][TABLE_NAMES][MAX_RUNS];
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
		for (size_t k = 0; k < N_RECALLS; k++) {
			cell->recall[from][k] = 0;
			for (size_t q = 0; q < figures.n; q++)
				cell->recall[from][k] +=
				    figures.value[recalls[k]][q] / (double)figures.n;
		}
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

static void train_row(struct table *t, size_t number, size_t run)
{
	const struct table_row *row = &t->kind->rows[number];
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
	for (size_t k = 0; k < TABLE_NAMES && row->names[k] != NULL; k++) {
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

static const char *name_of(const struct table *t, size_t row, size_t k)
{
	const char *name = t->kind->rows[row].names[k];

	return name != NULL ? name : "cosine";
}

/* R@1/5/10 of both directions, means over the runs. */
static void print_recalls(const struct table *t)
{
	printf("\n| method | ranking | R@1/5/10 i2t | R@1/5/10 t2i |\n|---|---|---|---|\n");
	for (size_t r = 0; r < t->kind->n_rows; r++) {
		printf("| %s | %s", t->kind->rows[r].title, name_of(t, r, 0));
		for (int from = 0; from < IST_N_MODALITIES; from++) {
			for (size_t k = 0; k < N_RECALLS; k++) {
				double sum = 0;

				for (size_t run = 0; run < t->runs; run++)
					sum += t->cell[r][0][run].recall[from][k];
				printf("%s%.3f", k > 0 ? " / " : " | ", sum / (double)t->runs);
			}
		}
		printf(" |\n");
	}
}

static void print_means(const struct table *t)
{
	printf("\n| method | ranking | i2t | t2i | average |\n|---|---|---|---|---|\n");
	for (size_t r = 0; r < t->kind->n_rows; r++) {
		for (size_t k = 0; k < TABLE_NAMES; k++) {
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
			       t->kind->rows[r].title, name_of(t, r, k), s[0].mean, s[0].sd,
			       s[1].mean, s[1].sd, s[2].mean, s[2].sd);
		}
	}
}

static size_t find_similarity(const struct table *t, size_t row, const char *name)
{
	size_t k = 0;

	while (strcmp(name_of(t, row, k), name) != 0)
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

static struct ist_interval compare(const struct table *t, const struct table_claim *claim,
				   double *ret_p)
{
	size_t ka = find_similarity(t, claim->a, claim->similarity);
	size_t kb = find_similarity(t, claim->b, claim->similarity);
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
	const struct table_claim *claims = t->kind->claims;
	struct ist_interval found[TABLE_CLAIMS];
	double p[TABLE_CLAIMS];
	size_t n = t->kind->n_claims;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		found[i] = compare(t, &claims[i], &p[i]);
	ist_holm(p, n);
	printf("\n| difference | ranking | MAP@all | 95 %% interval | p (Holm) |\n"
	       "|---|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++)
		printf("| %s − %s | %s | %+.4f | [%+.4f, %+.4f] | %.4f |\n",
		       t->kind->rows[claims[i].a].title, t->kind->rows[claims[i].b].title,
		       claims[i].similarity, found[i].value, found[i].low, found[i].high, p[i]);
}

static void table_finish(struct table *t)
{
	for (size_t i = 0; i < (size_t)TABLE_ROWS * TABLE_NAMES * MAX_RUNS; i++) {
		struct cell *cell = &t->cell[0][0][0] + i;

		free(cell->ap[IST_IMAGE]);
		free(cell->ap[IST_TEXT]);
	}
	free(t);
}

struct options {
	const char *folder, *data, *table;
	size_t runs, first;
	bool inner;
	struct table_row tried[TABLE_ROWS];
	size_t n_tried;
};

static void print_table(const struct table_kind *kind, struct features *features,
			const struct options *o)
{
	struct table *t = ist_alloc(1, sizeof(*t));

	t->kind = kind;
	t->features = features;
	t->first = o->first;
	t->runs = o->runs;
	for (size_t run = 0; run < t->runs; run++) {
		features_set_run(features, t->first + run);
		if (o->inner)
			features_hold_out(features);
		for (size_t r = 0; r < kind->n_rows; r++) {
			fprintf(stderr, "%s, %s: run %zu of %zu: %s\n", features->name, kind->name,
				run + 1, t->runs, kind->rows[r].title);
			train_row(t, r, run);
		}
	}
	printf("\n## %s, %s: %zu runs from seed %zu%s, MAP@all\n", features->name, kind->name,
	       t->runs, t->first, o->inner ? ", a fifth of the training part" : "");
	print_means(t);
	if (features->folds)
		print_recalls(t);
	print_claims(t);
	table_finish(t);
}

/* "cmgan={\"code\": 64}": a row of a table made by hand. What it points at lives as long as the
 * program. */
static bool add_tried(struct options *o, const char *text)
{
	const char *params = strchr(text, '=');
	const struct ist_method *method;
	struct table_row *row;

	if (params == NULL || o->n_tried == TABLE_ROWS)
		return false;
	row = &o->tried[o->n_tried++];
	row->method = ist_strndup(text, (size_t)(params - text));
	row->title = row->params = params + 1;
	method = ist_method_find(row->method);
	if (method != NULL)
		table_names_of(method, row->names);
	return method != NULL;
}

static bool parse(struct options *o, int argc, char **argv)
{
	if (argc < 2)
		return false;
	o->folder = argv[1];
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--inner") == 0) {
			o->inner = true;
			continue;
		}
		if (i + 1 == argc)
			return false;
		if (strcmp(argv[i], "--data") == 0)
			o->data = argv[++i];
		else if (strcmp(argv[i], "--table") == 0)
			o->table = argv[++i];
		else if (strcmp(argv[i], "--runs") == 0)
			o->runs = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			o->first = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--try") != 0 || !add_tried(o, argv[++i]))
			return false;
	}
	return o->runs >= 1 && o->runs <= MAX_RUNS;
}

static void print_tables(struct features *features, const struct options *o)
{
	const struct table_kind tried = {
	    .name = "settings by hand", .rows = o->tried, .n_rows = o->n_tried};

	if (o->n_tried > 0)
		print_table(&tried, features, o);
	for (size_t i = 0; i < n_table_kinds && o->n_tried == 0; i++)
		if (o->table == NULL || strcmp(table_kinds[i].name, o->table) == 0)
			print_table(&table_kinds[i], features, o);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*load)(struct features *f, const char *folder);
	} sets[] = {{"wikipedia", features_wikipedia}, {"tux", features_tux}};
	struct options o = {.runs = 5};

	if (!parse(&o, argc, argv)) {
		fprintf(stderr,
			"usage: figures FOLDER [--data wikipedia|tux] [--table NAME] "
			"[--runs 1-%d] [--first SEED] [--inner] [--try METHOD=PARAMS]…\n",
			MAX_RUNS);
		return 2;
	}
	printf("isthmus %s\n\n    figures FOLDER", IST_VERSION);
	for (int i = 2; i < argc; i++)
		printf(" %s", argv[i]);
	printf("\n");
	for (size_t i = 0; i < IST_COUNT(sets); i++) {
		struct features features;

		if (o.data != NULL && strcmp(sets[i].name, o.data) != 0)
			continue;
		sets[i].load(&features, o.folder);
		print_tables(&features, &o);
		features_finish(&features);
	}
	return 0;
}
