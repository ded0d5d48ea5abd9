/*
 * Matching pictures and sentences: settings of a method on pairs, several seeds each, with paired
 * differences to the first setting.
 *
 *   figures-match [--part validation] [--first SEED] [--seeds N] [--curve EPOCHS] ROWS.json BASE...
 *
 * BASE.safetensors and BASE.txt are made by gxn_data; ROWS.json is {"title": {parameters of gxn, or
 * of a "method" that is named among them}, ...}. With several BASEs (splits) run i has seed FIRST +
 * i on split i; with one, N seeds on it. Prints Markdown: R@1, R@5, R@10 of both directions for
 * each group of sentences (such as those with places, and those without) as mean and standard
 * deviation over the runs, and differences to the first row with the two-level bootstrap's interval
 * (runs, then items; 4,000 draws) and p-values corrected by Holm. --curve shows on stderr what a
 * model reaches on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/report.h"
#include "tests/figures/pair_files.h"
#include "tests/figures/runs.h"
#include "tests/figures/watched.h"

#define N_RECALLS (IST_R_10 - IST_R_1 + 1)
static const char *const direction_names[IST_N_MODALITIES] = {"i2t", "t2i"};
static const char *const recall_names[N_RECALLS] = {"R@1", "R@5", "R@10"};

/* Of one group of sentences in one direction. */
struct cell {
	double mean[N_RECALLS][RUNS_MOST];
	double *of_item[N_RECALLS][RUNS_MOST]; /* of each held-out item, mean of its queries */
	size_t n[RUNS_MOST];
};

struct row {
	struct cell cell[N_GROUPS_MOST][IST_N_MODALITIES];
	double seconds;
};

struct options {
	enum ist_part part;
	uint64_t first;
	size_t seeds, curve;
};

/* ---- measuring ---- */

/* What is measured on: that part, sentences of that group alone. */
static struct ist_pairs group_pairs(const struct pair_file *file, enum ist_part part, size_t group,
				    uint8_t *parts)
{
	struct ist_pairs pairs = file->pairs;

	for (size_t i = 0; i < pairs.n; i++)
		parts[i] = file->part[i] == part && file->group[i] == group ? IST_TEST : IST_UNUSED;
	pairs.part = parts;
	return pairs;
}

static void take(const struct ist_figures *figures, size_t run, struct cell *ret)
{
	ist_autofree double *count = ist_alloc(figures->n_clusters, sizeof(*count));

	for (size_t q = 0; q < figures->n; q++)
		count[figures->cluster[q]]++;
	ret->n[run] = figures->n_clusters;
	for (int k = 0; k < N_RECALLS; k++) {
		const double *hit = figures->value[IST_R_1 + k];
		double *x = ist_alloc(figures->n_clusters, sizeof(*x));

		free(ret->of_item[k][run]);
		ret->of_item[k][run] = x;
		ret->mean[k][run] = 0;
		for (size_t q = 0; q < figures->n; q++) {
			x[figures->cluster[q]] += hit[q] / count[figures->cluster[q]];
			ret->mean[k][run] += hit[q] / (double)figures->n;
		}
	}
}

static void measure(const struct pair_file *file, enum ist_part part, const struct ist_model *model,
		    size_t run, struct row *ret)
{
	ist_autofree uint8_t *parts = ist_alloc(file->pairs.n, 1);

	for (size_t g = 0; g < file->n_groups; g++) {
		struct ist_pairs pairs = group_pairs(file, part, g, parts);
		ist_auto(ist_trials_finish) struct ist_trials trials = {0};

		ist_trials_init(&trials, &pairs, IST_TEST);
		for (int from = 0; from < IST_N_MODALITIES; from++) {
			ist_auto(ist_figures_finish) struct ist_figures figures = {0};
			struct ist_err err;

			ist_figures_init(&figures, &trials.direction[from]);
			runs_check(ist_measure(model, &pairs, &trials.direction[from], NULL,
					       &figures, &err),
				   &err);
			take(&figures, run, &ret->cell[g][from]);
		}
	}
}

static void row_finish(struct row *row)
{
	for (size_t g = 0; g < N_GROUPS_MOST; g++)
		for (int from = 0; from < IST_N_MODALITIES; from++)
			for (int k = 0; k < N_RECALLS; k++)
				for (size_t run = 0; run < RUNS_MOST; run++)
					free(row->cell[g][from].of_item[k][run]);
}

struct looking {
	const struct pair_file *file;
	const struct options *options;
	const char *title;
	uint64_t seed;
};

static void tell(const struct row *row, size_t n_groups, size_t run)
{
	for (size_t g = 0; g < n_groups; g++)
		for (int from = 0; from < IST_N_MODALITIES; from++)
			fprintf(stderr, " %s %.3f/%.3f/%.3f", direction_names[from],
				row->cell[g][from].mean[0][run], row->cell[g][from].mean[1][run],
				row->cell[g][from].mean[2][run]);
	fprintf(stderr, "\n");
}

static void look(void *user, const struct ist_model *model, size_t epoch)
{
	const struct looking *l = user;
	struct row *seen = ist_alloc(1, sizeof(*seen));

	measure(l->file, l->options->part, model, 0, seen);
	fprintf(stderr, "%s, seed %llu, epoch %zu:", l->title, (unsigned long long)l->seed, epoch);
	tell(seen, l->file->n_groups, 0);
	row_finish(seen);
	free(seen);
}

static void run_one(const struct setting *setting, const struct pair_file *file,
		    const struct options *o, size_t run, struct row *ret)
{
	struct looking looking = {
	    .file = file, .options = o, .title = setting->title, .seed = o->first + run};
	const struct watch watch = {.every = o->curve, .look = look, .user = &looking};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	double seconds;

	model = train_watched(setting, &file->pairs, o->first + run, &watch, &seconds);
	ret->seconds += seconds;
	measure(file, o->part, model, run, ret);
	fprintf(stderr, "%s, run %zu, %.0f s:", setting->title, run, seconds);
	tell(ret, file->n_groups, run);
}

/* ---- the tables ---- */

static void print_group(const struct setting *settings, const struct row *rows, size_t n_rows,
			size_t group, size_t runs)
{
	printf("\n| sentences %zu |", group);
	for (int from = 0; from < IST_N_MODALITIES; from++)
		for (int k = 0; k < N_RECALLS; k++)
			printf(" %s %s |", direction_names[from], recall_names[k]);
	printf(" s a run |\n|---|---|---|---|---|---|---|---|\n");
	for (size_t r = 0; r < n_rows; r++) {
		printf("| %s |", settings[r].title);
		for (int from = 0; from < IST_N_MODALITIES; from++) {
			for (int k = 0; k < N_RECALLS; k++) {
				struct mean_sd m =
				    mean_sd_of(rows[r].cell[group][from].mean[k], runs);

				printf(" %.3f ± %.3f |", m.mean, m.sd);
			}
		}
		printf(" %.0f |\n", rows[r].seconds / (double)runs);
	}
}

static void print_differences(const struct setting *settings, const struct row *rows, size_t n_rows,
			      size_t group, int from, int k, size_t runs)
{
	ist_autofree char *what =
	    ist_format("sentences %zu, %s %s", group, direction_names[from], recall_names[k]);
	struct paired paired[SETTINGS_MOST];

	for (size_t r = 0; r < n_rows; r++) {
		paired[r].title = settings[r].title;
		memcpy(paired[r].value, rows[r].cell[group][from].of_item[k],
		       sizeof(paired[r].value));
	}
	print_paired(what, paired, n_rows, rows[0].cell[group][from].n, runs);
}

static int read_options(int argc, char **argv, struct options *o)
{
	const struct run_option table[] = {
	    {"--part", .part = &o->part},
	    {"--first", .number = &o->first},
	    {"--seeds", .number = &o->seeds},
	    {"--curve", .number = &o->curve},
	    {NULL},
	};

	return options_read(argc, argv, table);
}

static size_t run_all(const struct setting *settings, size_t n_rows, struct row *rows,
		      const struct options *o, char **bases, size_t n_bases, size_t *ret_groups)
{
	size_t runs =
	    IST_MIN(n_bases > 1 ? n_bases : IST_MAX(o->seeds, (size_t)1), (size_t)RUNS_MOST);

	for (size_t run = 0; run < runs; run++) {
		struct pair_file file;

		pair_file_read(&file, bases[n_bases > 1 ? run : 0]);
		*ret_groups = file.n_groups;
		for (size_t r = 0; r < n_rows; r++)
			run_one(&settings[r], &file, o, run, &rows[r]);
		pair_file_finish(&file);
	}
	return runs;
}

int main(int argc, char **argv)
{
	struct options o = {.part = IST_TEST, .seeds = 1};
	int at = read_options(argc, argv, &o);
	struct row *rows = ist_alloc(SETTINGS_MOST, sizeof(*rows));
	struct setting settings[SETTINGS_MOST];
	json_t *file = NULL;
	size_t n_rows, runs, groups = 0;

	if (argc - at < 2) {
		fprintf(stderr, "usage: figures-match [--part validation] [--first SEED] "
				"[--seeds N] [--curve EPOCHS] ROWS.json BASE...\n");
		return 2;
	}
	n_rows = settings_read(argv[at], "gxn", &file, settings);
	runs = run_all(settings, n_rows, rows, &o, argv + at + 1, (size_t)(argc - at - 1), &groups);
	printf("isthmus %s\n\n    figures-match", IST_VERSION);
	print_arguments(argc, argv);
	printf("\n%zu runs, %zu held-out items\n", runs, rows[0].cell[0][IST_IMAGE].n[0]);
	for (size_t g = 0; g < groups; g++) {
		print_group(settings, rows, n_rows, g, runs);
		for (int from = 0; from < IST_N_MODALITIES && n_rows > 1; from++)
			print_differences(settings, rows, n_rows, g, from, 0, runs);
	}
	for (size_t r = 0; r < n_rows; r++)
		row_finish(&rows[r]);
	free(rows);
	json_decref(file);
	return 0;
}
