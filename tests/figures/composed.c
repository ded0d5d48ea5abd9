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
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/tensor/safetensors.h"
#include "core/train/composed.h"
#include "core/train/train.h"

#define MAX_RUNS 16
#define MAX_ROWS 16

static void check(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "composed: %s\n", err->text);
	exit(1);
}

/* ---- data ---- */

struct data {
	struct ist_safetensors *file;
	struct ist_triples triples;
	struct ist_pairs pairs;
};

static const struct ist_safetensor *tensor(const struct data *d, const char *name)
{
	const struct ist_safetensor *t = ist_safetensors_find(d->file, name);

	if (t == NULL) {
		fprintf(stderr, "composed: no %s in the file\n", name);
		exit(1);
	}
	return t;
}

static float *read_floats(const struct data *d, const char *name, size_t shape[2])
{
	const struct ist_safetensor *t = tensor(d, name);
	struct ist_err err;
	float *x;

	memcpy(shape, t->shape, 2 * sizeof(*shape));
	x = ist_alloc(shape[0] * shape[1], sizeof(*x));
	check(ist_safetensors_read_f32(d->file, name, 2, shape, x, &err), &err);
	return x;
}

static int64_t *read_whole(const struct data *d, const char *name, size_t *ret_n)
{
	const struct ist_safetensor *t = tensor(d, name);
	struct ist_err err;
	int64_t *x;

	*ret_n = t->shape[0];
	x = ist_alloc(*ret_n, sizeof(*x));
	check(ist_safetensors_read_i64(d->file, name, 1, ret_n, x, &err), &err);
	return x;
}

static uint32_t *read_rows(const struct data *d, const char *name)
{
	size_t n;
	ist_autofree int64_t *x = read_whole(d, name, &n);
	uint32_t *rows = ist_alloc(n, sizeof(*rows));

	for (size_t i = 0; i < n; i++)
		rows[i] = (uint32_t)x[i];
	return rows;
}

static uint8_t *read_parts(const struct data *d, const char *name)
{
	size_t n;
	ist_autofree int64_t *x = read_whole(d, name, &n);
	uint8_t *part = ist_alloc(n, 1);

	for (size_t i = 0; i < n; i++)
		part[i] = (uint8_t)x[i];
	return part;
}

static void data_read(struct data *d, const char *path)
{
	struct ist_triples *t = &d->triples;
	struct ist_err err;
	size_t shape[2];

	*d = (struct data){0};
	check(ist_safetensors_open(path, &d->file, &err), &err);
	t->image = read_floats(d, "image", shape);
	t->n_images = shape[0];
	d->pairs.dim[IST_IMAGE] = shape[1];
	t->text = read_floats(d, "text", shape);
	t->n = shape[0];
	d->pairs.dim[IST_TEXT] = shape[1];
	t->image_part = read_parts(d, "image_part");
	t->part = read_parts(d, "part");
	t->reference = read_rows(d, "reference");
	t->target = read_rows(d, "target");
	d->pairs.triples = t;
	if (d->pairs.dim[IST_IMAGE] == 3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE)
		d->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	if (d->pairs.dim[IST_TEXT] == IST_WORDS_MAX)
		d->pairs.form[IST_TEXT] = IST_FORM_WORDS;
	ist_safetensors_close(d->file);
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
	const char *title;
	json_t *params;
	double metric[N_METRICS][MAX_RUNS], seconds;
	double *hit[MAX_RUNS]; /* R@1 of every query */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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
	const struct ist_method *method = ist_method_find("dmim");
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;
	double start;

	check(ist_params_complete(method, row->params, &params, &err), &err);
	start = now();
	check(method->train(&d->pairs, params, seed, NULL, &model, &err), &err);
	row->seconds += now() - start;
	check(ist_composed_measure(trial, model, NULL, &figures, &err), &err);
	take(row, run, &figures);
	json_decref(params);
	fprintf(stderr, "%s, run %zu: R@1 %.4f R@5 %.4f R@10 %.4f, %.0f s\n", row->title, run,
		row->metric[0][run], row->metric[1][run], row->metric[2][run], now() - start);
}

static void baselines(const struct data *d, const struct ist_composed *trial)
{
	struct ist_composed validation;
	json_t *table = NULL, *row;
	const char *name;
	struct ist_err err;

	ist_composed_init(&validation, &d->pairs, IST_VALIDATION);
	check(ist_composed_baselines(&validation, trial, NULL, &table, &err), &err);
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

static void moments(const double *x, size_t n, double *mean, double *sd)
{
	double squares = 0;

	*mean = 0;
	for (size_t i = 0; i < n; i++)
		*mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (x[i] - *mean) * (x[i] - *mean);
	*sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}

static void print_metrics(const struct row *rows, size_t n_rows, size_t runs)
{
	printf("| setting |");
	for (int k = 0; k < N_METRICS; k++)
		printf(" %s |", metric_names[k]);
	printf(" s a run |\n|---|---|---|---|---|\n");
	for (size_t r = 0; r < n_rows; r++) {
		printf("| %s |", rows[r].title);
		for (int k = 0; k < N_METRICS; k++) {
			double mean, sd;

			moments(rows[r].metric[k], runs, &mean, &sd);
			printf(" %.3f ± %.3f |", mean, sd);
		}
		printf(" %.0f |\n", rows[r].seconds / (double)runs);
	}
}

static void print_differences(const struct row *rows, size_t n_rows, const size_t *n, size_t runs)
{
	struct ist_interval found[MAX_ROWS];
	double p[MAX_ROWS], sd[MAX_ROWS], mean;

	if (n_rows < 2)
		return;
	for (size_t r = 1; r < n_rows; r++) {
		double *x[MAX_RUNS], per_run[MAX_RUNS];

		for (size_t run = 0; run < runs; run++) {
			x[run] = ist_alloc(n[run], sizeof(double));
			for (size_t q = 0; q < n[run]; q++)
				x[run][q] = rows[r].hit[run][q] - rows[0].hit[run][q];
			per_run[run] = rows[r].metric[0][run] - rows[0].metric[0][run];
		}
		moments(per_run, runs, &mean, &sd[r]);
		found[r] = ist_bootstrap_levels((const double *const *)x, n, runs, IST_DRAWS_LEVELS,
						0, &p[r - 1]);
		for (size_t run = 0; run < runs; run++)
			free(x[run]);
	}
	ist_holm(p, n_rows - 1);
	printf(
	    "\n| R@1 - %s | difference | 95 %% | sd of runs | p (Holm) |\n|---|---|---|---|---|\n",
	    rows[0].title);
	for (size_t r = 1; r < n_rows; r++)
		printf("| %s | %+.4f | [%+.4f, %+.4f] | %.4f | %.3f |\n", rows[r].title,
		       found[r].value, found[r].low, found[r].high, sd[r], p[r - 1]);
}

static size_t read_rows_file(const char *path, json_t **ret, struct row *rows)
{
	json_error_t where;
	json_t *file = json_load_file(path, JSON_DECODE_ANY, &where), *params;
	const char *title;
	size_t n = 0;

	if (file == NULL) {
		fprintf(stderr, "composed: %s: %s\n", path, where.text);
		exit(1);
	}
	json_object_foreach(file, title, params)
	{
		if (n < MAX_ROWS)
			rows[n++] = (struct row){.title = title, .params = params};
	}
	*ret = file;
	return n;
}

struct options {
	enum ist_part part;
	uint64_t first;
	size_t seeds;
};

/* Where the arguments without a dash begin. */
static int read_options(int argc, char **argv, struct options *o)
{
	int at = 1;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		const char *value = argv[at + 1];

		if (strcmp(argv[at], "--part") == 0)
			o->part = strcmp(value, "validation") == 0 ? IST_VALIDATION : IST_TEST;
		else if (strcmp(argv[at], "--first") == 0)
			o->first = strtoull(value, NULL, 10);
		else if (strcmp(argv[at], "--seeds") == 0)
			o->seeds = strtoull(value, NULL, 10);
	}
	return at;
}

int main(int argc, char **argv)
{
	struct options o = {.part = IST_TEST, .seeds = 1};
	int at = read_options(argc, argv, &o);
	struct row *rows = ist_alloc(MAX_ROWS, sizeof(*rows));
	json_t *file = NULL;
	size_t n_rows, n[MAX_RUNS], files, runs;

	if (argc - at < 2) {
		fprintf(stderr, "usage: composed [--part validation] [--first SEED] [--seeds N] "
				"ROWS.json FILE...\n");
		return 2;
	}
	n_rows = read_rows_file(argv[at], &file, rows);
	files = (size_t)(argc - at - 1);
	runs = IST_MIN(files > 1 ? files : IST_MAX(o.seeds, (size_t)1), (size_t)MAX_RUNS);
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
