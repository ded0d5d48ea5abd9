/*
 * Figures of composed retrieval: settings of a method on triples, several seeds each, with paired
 * differences to the first setting.
 *
 *   composed [--part validation] [--first SEED] [--seeds N] ROWS.json FILE...
 *
 * FILEs are made by composed_data; ROWS.json is {"title": {parameters of dmim}, ...}, the first row
 * being what the others are compared with. With several FILEs (splits) run i has seed FIRST + i
 * on file i; with one, N seeds on it. Prints Markdown: R@1, R@5, R@10 as mean and standard
 * deviation over the runs, the baselines of the report, and R@1 - first row with the two-level
 * bootstrap's 95 % interval (runs, then queries; 4,000 draws) and p-values corrected by Holm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/composed.h"
#include "core/train/train.h"
#include "tests/figures/runs.h"

/* ---- data ---- */

struct data {
	struct ist_triples triples;
	struct ist_pairs pairs;
};

static void data_read(struct data *d, const char *path)
{
	struct ist_triples *t = &d->triples;
	struct ist_safetensors *file;
	struct ist_err err;
	size_t shape[2], n;

	*d = (struct data){0};
	runs_check(ist_safetensors_open(path, &file, &err), &err);
	t->image = runs_floats(file, "image", shape);
	t->n_images = shape[0];
	d->pairs.dim[IST_IMAGE] = shape[1];
	t->text = runs_floats(file, "text", shape);
	t->n = shape[0];
	d->pairs.dim[IST_TEXT] = shape[1];
	t->image_part = runs_bytes(file, "image_part", &n);
	t->part = runs_bytes(file, "part", &n);
	t->reference = runs_rows(file, "reference", &n);
	t->target = runs_rows(file, "target", &n);
	d->pairs.triples = t;
	if (d->pairs.dim[IST_IMAGE] == 3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE)
		d->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	if (d->pairs.dim[IST_TEXT] == IST_WORDS_MAX)
		d->pairs.form[IST_TEXT] = IST_FORM_WORDS;
	ist_safetensors_close(file);
}

static void data_finish(struct data *d)
{
	free((void *)(uintptr_t)d->triples.image);
	free((void *)(uintptr_t)d->triples.text);
	free((void *)(uintptr_t)d->triples.image_part);
	free((void *)(uintptr_t)d->triples.part);
	free((void *)(uintptr_t)d->triples.reference);
	free((void *)(uintptr_t)d->triples.target);
}

/* ---- runs ---- */

static const char *const metric_names[] = {"R@1", "R@5", "R@10"};
#define N_METRICS (IST_R_10 - IST_R_1 + 1)

struct row {
	const struct setting *setting;
	double metric[N_METRICS][RUNS_MOST], seconds;
	double *hit[RUNS_MOST]; /* R@1 of every query */
};

static void take(struct row *row, size_t run, const struct ist_figures *f)
{
	row->hit[run] = ist_alloc(f->n, sizeof(double));
	memcpy(row->hit[run], f->value[IST_R_1], f->n * sizeof(double));
	for (int k = 0; k < N_METRICS; k++) {
		double sum = 0;

		for (size_t q = 0; q < f->n; q++)
			sum += f->value[IST_R_1 + k][q];
		row->metric[k][run] = sum / (double)f->n;
	}
}

/* The method alone: what a report adds beside it is not measured again for every setting. */
static void run_one(struct row *row, const struct data *d, const struct ist_composed *trial,
		    size_t run, uint64_t seed)
{
	const struct ist_method *method = ist_method_find(row->setting->method);
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;
	double start;

	runs_check(ist_params_complete(method, row->setting->params, &params, &err), &err);
	start = runs_now();
	runs_check(method->train(&d->pairs, params, seed, NULL, &model, &err), &err);
	row->seconds += runs_now() - start;
	runs_check(ist_composed_measure(trial, model, NULL, &figures, &err), &err);
	take(row, run, &figures);
	json_decref(params);
	fprintf(stderr, "%s, run %zu: R@1 %.4f R@5 %.4f R@10 %.4f, %.0f s\n", row->setting->title,
		run, row->metric[0][run], row->metric[1][run], row->metric[2][run],
		runs_now() - start);
}

static void baselines(const struct data *d, const struct ist_composed *trial)
{
	struct ist_composed validation;
	json_t *table = NULL, *row;
	const char *name;
	struct ist_err err;

	ist_composed_init(&validation, &d->pairs, IST_VALIDATION);
	runs_check(ist_composed_baselines(&validation, trial, NULL, &table, &err), &err);
	json_object_foreach(table, name, row)
	{
		printf("| baseline: %s |", name);
		for (int k = 0; k < N_METRICS; k++)
			printf(" %.3f |",
			       json_number_value(json_object_get(
				   json_object_get(row, ist_metric_names[IST_R_1 + k]), "value")));
		printf("\n");
	}
	json_decref(table);
	ist_composed_finish(&validation);
}

/* ---- the table ---- */

static void print_metrics(const struct row *rows, size_t n_rows, size_t runs)
{
	printf("| setting |");
	for (int k = 0; k < N_METRICS; k++)
		printf(" %s |", metric_names[k]);
	printf(" s a run |\n|---|---|---|---|---|\n");
	for (size_t r = 0; r < n_rows; r++) {
		printf("| %s |", rows[r].setting->title);
		for (int k = 0; k < N_METRICS; k++) {
			struct mean_sd m = mean_sd_of(rows[r].metric[k], runs);

			printf(" %.3f ± %.3f |", m.mean, m.sd);
		}
		printf(" %.0f |\n", rows[r].seconds / (double)runs);
	}
}

static void print_differences(const struct row *rows, size_t n_rows, const size_t *n, size_t runs)
{
	struct paired paired[SETTINGS_MOST];

	for (size_t r = 0; r < n_rows; r++) {
		paired[r].title = rows[r].setting->title;
		memcpy(paired[r].value, rows[r].hit, sizeof(paired[r].value));
	}
	print_paired("R@1", paired, n_rows, n, runs);
}

struct options {
	enum ist_part part;
	uint64_t first;
	size_t seeds;
};

static int read_options(int argc, char **argv, struct options *o)
{
	const struct run_option table[] = {
	    {"--part", .part = &o->part},
	    {"--first", .number = &o->first},
	    {"--seeds", .number = &o->seeds},
	    {NULL},
	};

	return options_read(argc, argv, table);
}

int main(int argc, char **argv)
{
	struct options o = {.part = IST_TEST, .seeds = 1};
	int at = read_options(argc, argv, &o);
	struct row *rows = ist_alloc(SETTINGS_MOST, sizeof(*rows));
	struct setting settings[SETTINGS_MOST];
	json_t *file = NULL;
	size_t n_rows, n[RUNS_MOST], files, runs;

	if (argc - at < 2) {
		fprintf(stderr, "usage: composed [--part validation] [--first SEED] [--seeds N] "
				"ROWS.json FILE...\n");
		return 2;
	}
	n_rows = settings_read(argv[at], "dmim", &file, settings);
	for (size_t r = 0; r < n_rows; r++)
		rows[r].setting = &settings[r];
	files = (size_t)(argc - at - 1);
	runs = IST_MIN(files > 1 ? files : IST_MAX(o.seeds, (size_t)1), (size_t)RUNS_MOST);
	printf("isthmus %s\n\n", IST_VERSION);
	for (size_t run = 0; run < runs; run++) {
		struct data d;
		struct ist_composed trial;

		data_read(&d, argv[at + 1 + (files > 1 ? (int)run : 0)]);
		ist_composed_init(&trial, &d.pairs, o.part);
		n[run] = trial.n_queries;
		if (run == 0 || files > 1) {
			printf("run %zu: %zu queries, gallery %zu\n\n", run, trial.n_queries,
			       trial.n_gallery);
			printf("| | R@1 | R@5 | R@10 |\n|---|---|---|---|\n");
			baselines(&d, &trial);
			printf("\n");
		}
		for (size_t r = 0; r < n_rows; r++)
			run_one(&rows[r], &d, &trial, run, o.first + run);
		ist_composed_finish(&trial);
		data_finish(&d);
	}
	print_metrics(rows, n_rows, runs);
	print_differences(rows, n_rows, n, runs);
	for (size_t r = 0; r < n_rows; r++)
		for (size_t run = 0; run < runs; run++)
			free(rows[r].hit[run]);
	free(rows);
	json_decref(file);
	return 0;
}
