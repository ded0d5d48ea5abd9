/*
 * Pictures that a method draws from sentences: how many show what was asked for.
 *
 *   figures-pictures [--seeds N] [--first SEED] [--noise N] [--curve EPOCHS] [--sheet PNG]
 *                    [--save FOLDER] [--load FOLDER] ROWS.json BASE
 *
 * BASE is made by gxn_data of scenes of one object; ROWS.json is {"title": {parameters of gxn},
 * ...}. A small network that has learned from the real training pictures says what colour and shape
 * a picture has; its share of right answers on held-out real pictures comes first. Every held-out
 * scene is asked for by one of its sentences, drawn by --noise seeds. Prints Markdown: the share of
 * renders with the asked colour and shape, by noise seed, with colour and shape apart, and how much
 * two renders of one sentence differ beside two real pictures of one scene; --sheet gets renders
 * (columns: a real picture, then noise seeds) of the first row's first seed. --save keeps that
 * model, and under FOLDER-EPOCH what it was at every look; --load measures such a folder in place
 * of a training.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/figures/judge.h"
#include "tests/figures/runs.h"
#include "tests/figures/sheet.h"
#include "tests/figures/watched.h"

#define NOISE_MOST 16
#define SHEET_ROWS 24
#define SHEET_COLUMNS 3 /* of real picture and renders */

struct options {
	uint64_t first;
	size_t seeds, noise, curve;
	const char *sheet, *save, *load;
};

/* What is asked for: a sentence of each held-out item, another one from item to item. */
struct questions {
	const struct pair_file *file;
	struct judge *judge;
	size_t n, side;
	uint32_t *pair;
};

/* Shares of one model's renders, by noise seed. */
struct result {
	double both[NOISE_MOST], shape[NOISE_MOST], colour[NOISE_MOST];
	double spread; /* mean difference of a number between two renders of one sentence */
};

static void questions_init(struct questions *q, const struct pair_file *file, struct judge *judge)
{
	*q = (struct questions){.file = file, .judge = judge};
	q->side = ist_pixels_side(file->pairs.dim[IST_IMAGE]);
	q->pair = pair_file_items(file, IST_TEST, &q->n);
	for (size_t i = 0; i < q->n; i++)
		q->pair[i] += (uint32_t)(i % (pair_file_end(file, q->pair[i]) - q->pair[i]));
}

/* Levels (side, side, 3) to the numbers of the encoder "pixels". */
static void to_feature(const uint8_t *picture, size_t side, float *ret)
{
	for (size_t i = 0; i < side * side; i++)
		for (size_t c = 0; c < 3; c++)
			ret[c * side * side + i] = ((float)picture[3 * i + c] + 1) / 256;
}

static void from_feature(const float *x, size_t side, uint8_t *ret)
{
	for (size_t i = 0; i < side * side; i++)
		for (size_t c = 0; c < 3; c++)
			ret[3 * i + c] = (uint8_t)lrintf(x[c * side * side + i] * 256 - 1);
}

/* All noise seeds of one question: ret (noise, side, side, 3). */
static void render(const struct questions *q, const struct ist_model *model, size_t i, size_t noise,
		   uint8_t *ret)
{
	const float *x = q->file->x[IST_TEXT] + (size_t)q->pair[i] * q->file->pairs.dim[IST_TEXT];
	struct ist_err err;

	if (model->method->render == NULL || model->method->render_side(model) != q->side)
		runs_die(model->method->name, "draws no pictures of that size");
	runs_check(model->method->render(model, x, i, noise, ret, &err), &err);
}

static double difference(const uint8_t *a, const uint8_t *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += abs((int)a[i] - (int)b[i]);
	return sum / (double)n;
}

static struct result measure(const struct questions *q, const struct ist_model *model, size_t noise)
{
	size_t numbers = 3 * q->side * q->side;
	ist_autofree uint8_t *pictures = ist_alloc(noise, numbers);
	ist_autofree float *x = ist_alloc(noise * numbers, sizeof(*x));
	struct scene_object seen[NOISE_MOST];
	struct result ret = {.spread = 0};

	for (size_t i = 0; i < q->n; i++) {
		const struct scene_object *asked = &q->file->scene[q->file->item[q->pair[i]]][0];

		render(q, model, i, noise, pictures);
		for (size_t k = 0; k < noise; k++)
			to_feature(pictures + k * numbers, q->side, x + k * numbers);
		judge_look(q->judge, x, noise, seen);
		for (size_t k = 0; k < noise; k++) {
			ret.both[k] += judge_agrees(&seen[k], asked) / (double)q->n;
			ret.shape[k] += (seen[k].shape == asked->shape) / (double)q->n;
			ret.colour[k] += (seen[k].colour == asked->colour) / (double)q->n;
		}
		if (noise > 1)
			ret.spread +=
			    difference(pictures, pictures + numbers, numbers) / (double)q->n;
	}
	return ret;
}

/* The same between each held-out picture and the next one of its scene, where there is one. */
static double real_spread(const struct questions *q)
{
	size_t numbers = 3 * q->side * q->side, n = 0;
	ist_autofree uint8_t *two = ist_alloc(2, numbers);
	double sum = 0;

	for (size_t i = 0; i < q->n; i++) {
		const struct scene_object *a = q->file->scene[q->file->item[q->pair[i]]];

		for (size_t j = i + 1; j < q->n; j++) {
			const struct scene_object *b = q->file->scene[q->file->item[q->pair[j]]];

			if (memcmp(a, b, SCENE_OBJECTS * sizeof(*a)) != 0 ||
			    strcmp(q->file->text[q->pair[i] - i % 5],
				   q->file->text[q->pair[j] - j % 5]) != 0)
				continue;
			from_feature(q->file->x[IST_IMAGE] + q->pair[i] * numbers, q->side, two);
			from_feature(q->file->x[IST_IMAGE] + q->pair[j] * numbers, q->side,
				     two + numbers);
			sum += difference(two, two + numbers, numbers);
			n++;
			break;
		}
	}
	return n > 0 ? sum / (double)n : 0;
}

/* ---- a run ---- */

struct looking {
	const struct questions *questions;
	const char *save;
	const char *title;
	uint64_t seed;
};

static void look(void *user, const struct ist_model *model, size_t epoch)
{
	const struct looking *l = user;
	struct result r = measure(l->questions, model, 1);
	ist_autofree char *folder = l->save != NULL ? ist_format("%s-%zu", l->save, epoch) : NULL;

	save_model(model, folder);
	fprintf(stderr,
		"%s, seed %llu, epoch %zu: colour and shape %.3f, colour %.3f, shape %.3f\n",
		l->title, (unsigned long long)l->seed, epoch, r.both[0], r.colour[0], r.shape[0]);
}

static void draw_sheet(const struct questions *q, const struct ist_model *model,
		       const struct options *o)
{
	size_t numbers = 3 * q->side * q->side, across = 1 + o->noise;
	ist_autofree uint8_t *pictures = ist_alloc(o->noise, numbers);
	ist_autofree uint8_t *real = ist_alloc(1, numbers);
	struct sheet sheet;
	struct ist_rng rng;

	sheet_init(&sheet, across * SHEET_COLUMNS, SHEET_ROWS / SHEET_COLUMNS, q->side,
		   q->side > 32 ? 1 : 2);
	ist_rng_init(&rng, o->first, "sheet");
	for (size_t k = 0; k < SHEET_ROWS; k++) {
		size_t i = ist_rng_below(&rng, q->n);
		size_t column = k % SHEET_COLUMNS * across, row = k / SHEET_COLUMNS;

		from_feature(q->file->x[IST_IMAGE] + q->pair[i] * numbers, q->side, real);
		render(q, model, i, o->noise, pictures);
		sheet_put(&sheet, column, row, real);
		for (size_t noise = 0; noise < o->noise; noise++)
			sheet_put(&sheet, column + 1 + noise, row, pictures + noise * numbers);
		fprintf(stderr, "sheet %zu/%zu: %s\n", row, k % SHEET_COLUMNS,
			q->file->text[q->pair[i]]);
	}
	sheet_write(&sheet, o->sheet);
	sheet_finish(&sheet);
}

static void print_result(const struct setting *setting, uint64_t seed, const struct result *r,
			 size_t noise, double seconds)
{
	struct mean_sd both = mean_sd_of(r->both, noise), shape = mean_sd_of(r->shape, noise),
		       colour = mean_sd_of(r->colour, noise);

	printf("| %s | %llu | %.3f ± %.3f |", setting->title, (unsigned long long)seed, both.mean,
	       both.sd);
	for (size_t k = 0; k < noise; k++)
		printf(" %.3f", r->both[k]);
	printf(" | %.3f | %.3f | %.2f | %.0f |\n", colour.mean, shape.mean, r->spread, seconds);
	fflush(stdout);
}

static void run_one(const struct questions *q, const struct setting *setting,
		    const struct options *o, uint64_t seed, bool first)
{
	struct looking looking = {
	    .questions = q, .save = first ? o->save : NULL, .title = setting->title, .seed = seed};
	const struct watch watch = {.every = o->curve, .look = look, .user = &looking};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	struct result result;
	double seconds = 0;
	struct ist_err err;

	if (o->load != NULL)
		runs_check(ist_model_load(o->load, &model, &err), &err);
	else
		model = train_watched(setting, &q->file->pairs, seed, &watch, &seconds);
	result = measure(q, model, o->noise);
	print_result(setting, seed, &result, o->noise, seconds);
	if (first && o->sheet != NULL)
		draw_sheet(q, model, o);
	if (first)
		save_model(model, o->save);
}

static int read_options(int argc, char **argv, struct options *o)
{
	const struct run_option table[] = {
	    {"--first", .number = &o->first}, {"--seeds", .number = &o->seeds},
	    {"--noise", .number = &o->noise}, {"--curve", .number = &o->curve},
	    {"--sheet", .text = &o->sheet},   {"--save", .text = &o->save},
	    {"--load", .text = &o->load},     {NULL},
	};
	int at = options_read(argc, argv, table);

	o->noise = IST_MIN(o->noise, (size_t)NOISE_MOST);
	return at;
}

int main(int argc, char **argv)
{
	struct options o = {.seeds = 1, .noise = 5};
	int at = read_options(argc, argv, &o);
	struct setting settings[SETTINGS_MOST];
	struct questions questions;
	struct pair_file file;
	json_t *rows = NULL;
	size_t n_rows;

	if (argc - at != 2) {
		fprintf(stderr, "usage: figures-pictures [--seeds N] [--first SEED] [--noise N] "
				"[--curve EPOCHS] [--sheet PNG] [--save FOLDER] [--load FOLDER] "
				"ROWS.json BASE\n");
		return 2;
	}
	n_rows = settings_read(argv[at], "gxn", &rows, settings);
	pair_file_read(&file, argv[at + 1]);
	questions_init(&questions, &file, judge_train(&file, 0));
	printf("isthmus %s\n\n    figures-pictures", IST_VERSION);
	print_arguments(argc, argv);
	printf("\nThe judge gets colour and shape of %.4f of %zu held-out real pictures right; two "
	       "of one scene differ by %.2f levels.\n",
	       judge_accuracy(questions.judge, &file), questions.n, real_spread(&questions));
	printf("\n| setting | seed | colour and shape right | by noise | colour | shape | two "
	       "renders differ by | s |\n|---|---|---|---|---|---|---|---|\n");
	fflush(stdout);
	for (size_t r = 0; r < n_rows; r++)
		for (size_t k = 0; k < o.seeds; k++)
			run_one(&questions, &settings[r], &o, o.first + k, r == 0 && k == 0);
	judge_destroy(questions.judge);
	free(questions.pair);
	pair_file_finish(&file);
	json_decref(rows);
	return 0;
}
