/*
 * Sentences that a method writes for pictures: settings, several seeds each, with paired
 * differences to the first setting.
 *
 *   figures-captions [--part validation] [--first SEED] [--seeds N] [--curve EPOCHS] [--beam N]
 *                    [--examples N] [--save FOLDER] ROWS.json BASE...
 *
 * BASE is made by gxn_data; ROWS.json is {"title": {parameters of gxn}, ...}. With several BASEs
 * (splits) run i has seed FIRST + i on split i; with one, N seeds on it. Prints Markdown: of greedy
 * sentences for the held-out pictures (or by a beam) CIDEr-D, the share of objects that are named
 * with colour and shape, with size too, and of sentences that are word for word among the
 * picture's own, as mean and standard deviation over the runs, beside the sentence of the nearest
 * training picture by the features; differences to the first row with the two-level bootstrap's
 * interval (runs, then pictures; 4,000 draws) and p-values corrected by Holm; with --curve what
 * models reach on the way, with the recall of their matching.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/memory.h"
#include "core/train/report.h"
#include "tests/figures/pair_files.h"
#include "tests/figures/runs.h"
#include "tests/figures/sentences.h"
#include "tests/figures/watched.h"

#define BEAM_MOST 16
#define POINTS_MOST 512

struct options {
	enum ist_part part;
	uint64_t first;
	size_t seeds, curve, beam, examples;
	const char *save;
};

/* One data file and what is asked of it. */
struct questions {
	const struct pair_file *file;
	struct sentences *sentences;
	uint32_t *pair; /* (n) the first of each held-out picture's */
	size_t n;
	enum ist_part part;
};

struct row {
	double mean[N_SENTENCE_SCORES][RUNS_MOST];
	double *of_item[N_SENTENCE_SCORES][RUNS_MOST];
	double seconds;
};

/* What a model reached on the way. */
struct point {
	const char *title;
	uint64_t seed;
	size_t epoch;
	double score[N_SENTENCE_SCORES], recall[2]; /* R@1, R@10 of texts that look for pictures */
};

static struct curve {
	struct point point[POINTS_MOST];
	size_t n;
} curve;

/* ---- writing ---- */

static const float *feature(const struct questions *q, size_t pair)
{
	return q->file->x[IST_IMAGE] + pair * q->file->pairs.dim[IST_IMAGE];
}

/* The most probable sentence for a picture, in the arena. */
static const char *write_sentence(const struct ist_model *model, const float *x, size_t beam,
				  struct ist_arena *arena)
{
	struct ist_caption captions[BEAM_MOST];
	struct ist_err err;
	size_t n = 0;

	if (model->method->caption == NULL)
		runs_die(model->method->name, "writes no sentences");
	runs_check(model->method->caption(model, x, beam, arena, captions, &n, &err), &err);
	return n > 0 ? captions[0].text : "";
}

static void measure(const struct questions *q, const struct ist_model *model, size_t beam,
		    size_t run, struct row *ret)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};

	for (int k = 0; k < N_SENTENCE_SCORES; k++) {
		ret->of_item[k][run] = ist_alloc(q->n, sizeof(double));
		ret->mean[k][run] = 0;
	}
	for (size_t i = 0; i < q->n; i++) {
		double score[N_SENTENCE_SCORES];

		sentences_score(q->sentences, q->pair[i],
				write_sentence(model, feature(q, q->pair[i]), beam, &arena), score);
		for (int k = 0; k < N_SENTENCE_SCORES; k++) {
			ret->of_item[k][run][i] = score[k];
			ret->mean[k][run] += score[k] / (double)q->n;
		}
		ist_arena_reset(&arena);
	}
}

static void row_finish(struct row *row)
{
	for (int k = 0; k < N_SENTENCE_SCORES; k++)
		for (size_t run = 0; run < RUNS_MOST; run++)
			free(row->of_item[k][run]);
}

/* ---- on the way ---- */

struct looking {
	const struct questions *questions;
	const char *title;
	uint64_t seed;
};

static void measure_recall(const struct questions *q, const struct ist_model *model, double ret[2])
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	const struct ist_trial *trial = &trials.direction[IST_TEXT];
	struct ist_err err;

	ist_trials_init(&trials, &q->file->pairs, q->part);
	ist_figures_init(&figures, trial);
	runs_check(ist_measure(model, &q->file->pairs, trial, NULL, &figures, &err), &err);
	ret[0] = ret[1] = 0;
	for (size_t i = 0; i < figures.n; i++) {
		ret[0] += figures.value[IST_R_1][i] / (double)figures.n;
		ret[1] += figures.value[IST_R_10][i] / (double)figures.n;
	}
}

static void look(void *user, const struct ist_model *model, size_t epoch)
{
	const struct looking *l = user;
	struct point *p = &curve.point[curve.n];
	struct row seen = {.seconds = 0};

	if (curve.n == POINTS_MOST)
		return;
	*p = (struct point){.title = l->title, .seed = l->seed, .epoch = epoch};
	measure(l->questions, model, 1, 0, &seen);
	for (int k = 0; k < N_SENTENCE_SCORES; k++)
		p->score[k] = seen.mean[k][0];
	measure_recall(l->questions, model, p->recall);
	row_finish(&seen);
	curve.n++;
	fprintf(stderr, "%s, seed %llu, epoch %zu: CIDEr-D %.3f attr %.3f R@10 %.3f\n", l->title,
		(unsigned long long)l->seed, epoch, p->score[CIDER], p->score[NAMED], p->recall[1]);
}

static void print_curve(size_t steps_an_epoch)
{
	printf("\n| on the way | seed | epoch | steps | CIDEr-D | colour and shape | t2i R@1 | "
	       "R@10 |\n|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < curve.n; i++) {
		const struct point *p = &curve.point[i];

		printf("| %s | %llu | %zu | %zu | %.3f | %.3f | %.3f | %.3f |\n", p->title,
		       (unsigned long long)p->seed, p->epoch, p->epoch * steps_an_epoch,
		       p->score[CIDER], p->score[NAMED], p->recall[0], p->recall[1]);
	}
}

/* ---- the nearest training picture's sentence ---- */

static double cosine(const float *a, const float *b, size_t n)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < n; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

static size_t nearest(const struct questions *q, size_t pair)
{
	size_t n, best = 0;
	ist_autofree uint32_t *train = pair_file_items(q->file, IST_TRAIN, &n);
	double most = -2;

	for (size_t i = 0; i < n; i++) {
		double c =
		    cosine(feature(q, pair), feature(q, train[i]), q->file->pairs.dim[IST_IMAGE]);

		if (c > most) {
			most = c;
			best = train[i];
		}
	}
	return best;
}

static void measure_nearest(const struct questions *q, size_t run, struct row *ret)
{
	for (int k = 0; k < N_SENTENCE_SCORES; k++) {
		ret->of_item[k][run] = ist_alloc(q->n, sizeof(double));
		ret->mean[k][run] = 0;
	}
	for (size_t i = 0; i < q->n; i++) {
		double score[N_SENTENCE_SCORES];

		sentences_score(q->sentences, q->pair[i], q->file->text[nearest(q, q->pair[i])],
				score);
		for (int k = 0; k < N_SENTENCE_SCORES; k++) {
			ret->of_item[k][run][i] = score[k];
			ret->mean[k][run] += score[k] / (double)q->n;
		}
	}
}

static void print_examples(const struct questions *q, const struct ist_model *model,
			   const struct options *o, const char *title)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};

	printf("\n| its own | %s | the nearest training picture's |\n|---|---|---|\n", title);
	for (size_t i = 0; i < IST_MIN(o->examples, q->n); i++) {
		size_t pair = q->pair[i * q->n / o->examples];

		printf("| %s | %s | %s |\n", q->file->text[pair],
		       write_sentence(model, feature(q, pair), o->beam, &arena),
		       q->file->text[nearest(q, pair)]);
	}
	printf("\n");
}

/* ---- the tables ---- */

static bool is_shown(int score, bool scenes)
{
	return scenes || score == CIDER || score == RIGHT;
}

static void print_means(const struct setting *settings, const struct row *rows, size_t n_rows,
			bool scenes, size_t runs)
{
	printf("\n| setting |");
	for (int k = 0; k < N_SENTENCE_SCORES; k++)
		if (is_shown(k, scenes))
			printf(" %s |", sentence_score_names[k]);
	printf(" s a run |\n|---|%s\n", scenes ? "---|---|---|---|---|" : "---|---|---|");
	for (size_t r = 0; r <= n_rows; r++) {
		printf("| %s |", r < n_rows ? settings[r].title : "the nearest picture's sentence");
		for (int k = 0; k < N_SENTENCE_SCORES; k++) {
			struct mean_sd m = mean_sd_of(rows[r].mean[k], runs);

			if (is_shown(k, scenes))
				printf(" %.3f ± %.3f |", m.mean, m.sd);
		}
		printf(" %.0f |\n", rows[r].seconds / (double)runs);
	}
}

static void print_differences(const struct setting *settings, const struct row *rows, size_t n_rows,
			      int score, const size_t *n, size_t runs)
{
	struct paired paired[SETTINGS_MOST];

	for (size_t r = 0; r < n_rows; r++) {
		paired[r].title = settings[r].title;
		memcpy(paired[r].value, rows[r].of_item[score], sizeof(paired[r].value));
	}
	print_paired(sentence_score_names[score], paired, n_rows, n, runs);
}

/* ---- the run ---- */

static void run_one(const struct questions *q, const struct setting *setting,
		    const struct options *o, size_t run, struct row *ret)
{
	struct looking looking = {.questions = q, .title = setting->title, .seed = o->first + run};
	const struct watch watch = {.every = o->curve, .look = look, .user = &looking};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	double seconds;

	model = train_watched(setting, &q->file->pairs, o->first + run, &watch, &seconds);
	ret->seconds += seconds;
	measure(q, model, o->beam, run, ret);
	fprintf(stderr, "%s, run %zu: CIDEr-D %.3f attr %.3f, %.0f s\n", setting->title, run,
		ret->mean[CIDER][run], ret->mean[NAMED][run], seconds);
	if (run == 0 && o->examples > 0)
		print_examples(q, model, o, setting->title);
	if (run == 0)
		save_model(model, o->save); /* the last setting's stays */
}

/* All settings on one file; returns steps of an epoch. */
static size_t run_file(const char *base, const struct setting *settings, size_t n_rows,
		       const struct options *o, size_t run, struct row *rows, size_t *ret_n,
		       bool *ret_scenes)
{
	struct questions q = {.part = o->part};
	struct pair_file file;
	size_t n_train = 0;

	pair_file_read(&file, base);
	q.file = &file;
	q.sentences = sentences_create(&file);
	q.pair = pair_file_items(&file, o->part, &q.n);
	for (size_t r = 0; r < n_rows; r++)
		run_one(&q, &settings[r], o, run, &rows[r]);
	measure_nearest(&q, run, &rows[n_rows]);
	for (size_t i = 0; i < file.pairs.n; i++)
		n_train += file.part[i] == IST_TRAIN;
	*ret_n = q.n;
	*ret_scenes = file.scene[0][0].shape >= 0;
	sentences_destroy(q.sentences);
	free(q.pair);
	pair_file_finish(&file);
	return n_train / 64;
}

static int read_options(int argc, char **argv, struct options *o)
{
	const struct run_option table[] = {
	    {"--part", .part = &o->part},     {"--first", .number = &o->first},
	    {"--seeds", .number = &o->seeds}, {"--curve", .number = &o->curve},
	    {"--beam", .number = &o->beam},   {"--examples", .number = &o->examples},
	    {"--save", .text = &o->save},     {NULL},
	};
	int at = options_read(argc, argv, table);

	o->beam = IST_MIN(o->beam, (size_t)BEAM_MOST);
	return at;
}

int main(int argc, char **argv)
{
	struct options o = {.part = IST_TEST, .seeds = 1, .beam = 1};
	int at = read_options(argc, argv, &o);
	struct row *rows = ist_alloc(SETTINGS_MOST + 1, sizeof(*rows));
	struct setting settings[SETTINGS_MOST];
	size_t n_rows, n[RUNS_MOST], runs, steps = 0, n_bases = (size_t)(argc - at - 1);
	json_t *file = NULL;
	bool scenes = false;

	if (argc - at < 2) {
		fprintf(stderr, "usage: figures-captions [--part validation] [--first SEED] "
				"[--seeds N] [--curve EPOCHS] [--beam N] [--examples N] [--save "
				"FOLDER] ROWS.json "
				"BASE...\n");
		return 2;
	}
	n_rows = settings_read(argv[at], "gxn", &file, settings);
	runs = IST_MIN(n_bases > 1 ? n_bases : o.seeds, (size_t)RUNS_MOST);
	printf("isthmus %s\n\n    figures-captions", IST_VERSION);
	print_arguments(argc, argv);
	for (size_t run = 0; run < runs; run++)
		steps = run_file(argv[at + 1 + (n_bases > 1 ? (int)run : 0)], settings, n_rows, &o,
				 run, rows, &n[run], &scenes);
	printf("\n%zu runs, %zu held-out pictures\n", runs, n[0]);
	print_means(settings, rows, n_rows, scenes, runs);
	print_differences(settings, rows, n_rows, CIDER, n, runs);
	if (scenes)
		print_differences(settings, rows, n_rows, NAMED, n, runs);
	if (curve.n > 0)
		print_curve(steps);
	for (size_t r = 0; r <= n_rows; r++)
		row_finish(&rows[r]);
	free(rows);
	json_decref(file);
	return 0;
}
