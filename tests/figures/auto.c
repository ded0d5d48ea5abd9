/*
 * What automatic training is worth on the stamps' features: five folds, both aims.
 *
 *   figures-auto FOLDER [--aim class|instance] [--runs N] [--first SEED] [--budget SECONDS]
 *
 * FOLDER holds tuxpaint-features/. Run r has seed r and is fold r % 5; the choice is made inside
 * the training part by cross-validation, then every candidate is measured on the fold's test part.
 * The budget goes by the processor's time of this program, so that whoever else is on the machine
 * takes nothing away; with one thread that is what a quiet machine needs at most. Prints Markdown:
 * a row a fold with the choice, what it reaches on test beside the best candidate there, its cost
 * and what was left out; then what each method reaches over the folds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/train/select.h"
#include "tests/figures/feature_files.h"

#define MAX_RUNS 20
#define CLOSE 0.02 /* of the best candidate */

static const enum ist_metric shown[] = {IST_MAP_ALL, IST_R_1, IST_R_10};
#define N_SHOWN IST_COUNT(shown)

/* What one model reaches on the test part of one fold. */
struct score {
	bool there;
	double aim, cross_validated;
	double metric[N_SHOWN][IST_N_MODALITIES]; /* by the query's modality */
};

struct fold {
	struct score score[32]; /* of each candidate */
	size_t n, chosen, best, configurations;
	double cpu_s, wall_s;
};

static int64_t clock_of(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t cpu_us(void)
{
	return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void check(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "auto: %s\n", err->text);
	exit(1);
}

static double mean_of(const struct ist_figures *figures, enum ist_metric metric)
{
	double sum = 0;

	for (size_t q = 0; q < figures->n; q++)
		sum += figures->value[metric][q];
	return sum / (double)figures->n;
}

static struct score measure(const struct ist_trials *trials, enum ist_aim aim,
			    const struct ist_candidate *candidate)
{
	ist_auto(ist_comparison_finish) struct ist_comparison comparison = {0};
	struct score ret = {.there = true, .cross_validated = candidate->figure};
	struct ist_err err;

	ist_comparison_init(&comparison, trials, aim);
	check(ist_comparison_add(&comparison, candidate->model, NULL, &err), &err);
	ret.aim = comparison.contestants[0].mean;
	for (size_t k = 0; k < N_SHOWN; k++)
		for (int from = 0; from < IST_N_MODALITIES; from++)
			ret.metric[k][from] =
			    mean_of(&comparison.contestants[0].figures[from], shown[k]);
	return ret;
}

static void measure_all(const struct ist_pairs *pairs, const struct ist_selection *found,
			struct fold *ret)
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};

	ist_trials_init(&trials, pairs, IST_TEST);
	ret->n = IST_MIN(found->n, IST_COUNT(ret->score));
	ret->chosen = ret->best = found->chosen;
	for (size_t i = 0; i < ret->n; i++) {
		ret->configurations += found->candidates[i].n_tried;
		if (found->candidates[i].model == NULL)
			continue;
		ret->score[i] = measure(&trials, found->aim, &found->candidates[i]);
		if (ret->score[i].aim > ret->score[ret->best].aim)
			ret->best = i;
	}
}

/* ---- printing ---- */

static void print_setting(const struct ist_candidate *c)
{
	printf("%s, %s", c->method->name, ist_model_similarity_name(c->model));
	for (size_t i = 0; i < c->method->n_tune; i++) {
		const char *name = c->method->tune[i].param;
		ist_autofree char *value =
		    json_dumps(json_object_get(c->model->params, name),
			       JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(4));

		printf(", %s %s", name, value);
	}
}

static void print_score(const struct score *s)
{
	for (size_t k = 0; k < N_SHOWN; k++)
		printf(" %.3f / %.3f |", s->metric[k][IST_IMAGE], s->metric[k][IST_TEXT]);
}

static void print_fold(size_t run, const struct ist_selection *found, const struct fold *f)
{
	const char *between = "";

	printf("| %zu | ", run);
	print_setting(&found->candidates[f->chosen]);
	printf(" | %.3f | %.3f | %s %.3f | %+.3f |", f->score[f->chosen].cross_validated,
	       f->score[f->chosen].aim, found->candidates[f->best].method->name,
	       f->score[f->best].aim, f->score[f->chosen].aim - f->score[f->best].aim);
	print_score(&f->score[f->chosen]);
	printf(" %zu | %.0f | %.0f |", f->configurations, f->cpu_s, f->wall_s);
	for (size_t i = 0; i < found->n; i++) {
		const struct ist_candidate *c = &found->candidates[i];

		if (c->left_out == NULL)
			continue;
		printf("%s %s: %s", between, c->method->name, c->left_out);
		if (c->estimate_s > 0)
			printf(" (about %.0f s)", c->estimate_s);
		between = ";";
	}
	printf(" |\n");
	fflush(stdout);
}

static void print_head(enum ist_aim aim, size_t runs)
{
	printf("\n## stamps, aim %s: %zu folds\n\n"
	       "| fold | chosen | cross-validated | %s on test | best on test | behind it | "
	       "MAP i2t / t2i | R@1 | R@10 | configurations | CPU s | wall s | left out |\n"
	       "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
	       ist_aim_names[aim], runs, ist_aim_metric(aim));
}

static struct score average(const struct fold *folds, size_t runs, size_t i)
{
	struct score ret = {.there = true};

	for (size_t run = 0; run < runs; run++) {
		const struct score *s = &folds[run].score[i == SIZE_MAX ? folds[run].chosen : i];

		ret.there &= s->there;
		ret.aim += s->aim / (double)runs;
		ret.cross_validated += s->cross_validated / (double)runs;
		for (size_t k = 0; k < N_SHOWN; k++)
			for (int from = 0; from < IST_N_MODALITIES; from++)
				ret.metric[k][from] += s->metric[k][from] / (double)runs;
	}
	return ret;
}

static void print_means(enum ist_aim aim, const struct fold *folds, size_t runs,
			const char *const *names)
{
	size_t close = 0;

	printf("\n| mean of the folds | cross-validated | %s | MAP i2t / t2i | R@1 | R@10 |\n"
	       "|---|---|---|---|---|---|\n",
	       ist_aim_metric(aim));
	for (size_t i = 0; i <= folds[0].n; i++) {
		struct score s = average(folds, runs, i < folds[0].n ? i : SIZE_MAX);

		if (!s.there)
			continue;
		printf("| %s | %.4f | %.4f |", i < folds[0].n ? names[i] : "**what was chosen**",
		       s.cross_validated, s.aim);
		print_score(&s);
		printf("\n");
	}
	for (size_t run = 0; run < runs; run++)
		close += folds[run].score[folds[run].chosen].aim >=
			 folds[run].score[folds[run].best].aim - CLOSE;
	printf("\nChosen within %.2f of the best candidate's test figure in %zu of %zu folds.\n",
	       CLOSE, close, runs);
}

/* ---- the run ---- */

struct options {
	const char *folder;
	int aim; /* -1: both */
	size_t runs, first;
	double budget_s;
};

static void run_aim(struct features *features, enum ist_aim aim, const struct options *o)
{
	struct fold *folds = ist_alloc(o->runs, sizeof(*folds));
	const char *names[IST_COUNT(folds->score)] = {NULL};

	print_head(aim, o->runs);
	for (size_t run = 0; run < o->runs; run++) {
		const struct ist_select_options options = {.aim = (int)aim,
							   .budget_s = o->budget_s,
							   .seed = o->first + run,
							   .clock_us = cpu_us};
		int64_t cpu = cpu_us(), wall = clock_of(CLOCK_MONOTONIC);
		struct ist_selection found;
		struct ist_err err;

		features_set_run(features, o->first + run);
		check(ist_select(&features->pairs, &options, NULL, &found, &err), &err);
		folds[run].cpu_s = 1e-6 * (double)(cpu_us() - cpu);
		folds[run].wall_s = 1e-6 * (double)(clock_of(CLOCK_MONOTONIC) - wall);
		measure_all(&features->pairs, &found, &folds[run]);
		for (size_t i = 0; i < folds[run].n; i++)
			names[i] = found.candidates[i].method->name;
		print_fold(o->first + run, &found, &folds[run]);
		ist_selection_finish(&found);
	}
	print_means(aim, folds, o->runs, names);
	free(folds);
}

static bool parse(struct options *o, int argc, char **argv)
{
	if (argc < 2 || argc % 2 != 0)
		return false;
	o->folder = argv[1];
	for (int i = 2; i < argc; i += 2) {
		const char *value = argv[i + 1];

		if (strcmp(argv[i], "--aim") == 0)
			o->aim = strcmp(value, "instance") == 0 ? IST_AIM_INSTANCE : IST_AIM_CLASS;
		else if (strcmp(argv[i], "--runs") == 0)
			o->runs = strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			o->first = strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--budget") == 0)
			o->budget_s = strtod(value, NULL);
		else
			return false;
	}
	return o->runs >= 1 && o->runs <= MAX_RUNS;
}

int main(int argc, char **argv)
{
	struct options o = {.aim = -1, .runs = 5, .budget_s = 600};
	struct features features;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr,
			"usage: figures-auto FOLDER [--aim class|instance] [--runs 1-%d] [--first "
			"SEED] "
			"[--budget SECONDS]\n",
			MAX_RUNS);
		return 2;
	}
	printf("isthmus %s\n\n    figures-auto FOLDER", IST_VERSION);
	for (int i = 2; i < argc; i++)
		printf(" %s", argv[i]);
	printf("\n");
	features_tux(&features, o.folder);
	for (int aim = 0; aim < IST_N_AIMS; aim++)
		if (o.aim < 0 || o.aim == aim)
			run_aim(&features, (enum ist_aim)aim, &o);
	features_finish(&features);
	return 0;
}
