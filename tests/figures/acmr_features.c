/*
 * ACMR on published feature files, driven directly: no daemon, no files of ours.
 *
 *   acmr-features wikipedia FOLDER [PARAMS [SEEDS]]   {train,test}_{image,text,label}.npy
 *   acmr-features tux FOLDER [PARAMS [SEEDS]]         tux_{image,text}.npy, tux_meta.json; run f =
 *                                                     fold f % 5 (rows with i % 5 = f), seed f
 *
 *   acmr-features tux-inner FOLDER …                  the same without the test fold: every fifth
 * of the others is measured on, for choosing
 *
 * PARAMS is a JSON object of ACMR's parameters, SEEDS "first-last" (0-4). Prints MAP@all of both
 * directions under each ranking: a line a run, then means and standard deviations.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/methods/method.h"

#define FILE_LIMIT ((size_t)1 << 30)

static const char *const rankings[] = {"euclidean", "cosine", "posterior"};
#define N_RANKINGS IST_COUNT(rankings)

struct data {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t *label;
	uint8_t *part;
};

static void check(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "acmr-features: %s\n", err->text);
	exit(1);
}

/* A matrix or vector of a .npy file, version 1, C order: appended to ret; its shape. */
static void read_npy(const char *folder, const char *name, struct ist_buf *ret, size_t *ret_rows,
		     size_t *ret_cols)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};
	struct ist_err err;
	size_t header, rows = 0, cols = 1;
	const char *shape;

	check(ist_file_read(path, FILE_LIMIT, &buf, &err), &err);
	header = 10 + (uint8_t)buf.data[8] + 256 * (size_t)(uint8_t)buf.data[9];
	shape = strstr(buf.data + 10, "'shape': (");
	if (shape == NULL || sscanf(shape, "'shape': (%zu, %zu", &rows, &cols) < 1) {
		fprintf(stderr, "acmr-features: %s is no .npy file\n", path);
		exit(1);
	}
	ist_buf_put(ret, buf.data + header, buf.len - header);
	*ret_rows += rows;
	*ret_cols = cols;
}

static void count_classes(struct data *d)
{
	for (size_t i = 0; i < d->pairs.n; i++)
		d->pairs.n_classes = IST_MAX(d->pairs.n_classes, (size_t)d->label[i] + 1);
}

static void wire(struct data *d)
{
	d->pairs.x[IST_IMAGE] = d->x[IST_IMAGE];
	d->pairs.x[IST_TEXT] = d->x[IST_TEXT];
	d->pairs.label = d->label;
	d->pairs.part = d->part;
	count_classes(d);
}

static void load_wikipedia(struct data *d, const char *folder)
{
	struct ist_buf x[IST_N_MODALITIES] = {{0}}, label = {0};
	size_t n_train = 0, n, one;

	for (int half = 0; half < 2; half++) {
		const char *name = half == 0 ? "train" : "test";

		for (int m = 0; m < IST_N_MODALITIES; m++) {
			ist_autofree char *file =
			    ist_format("%s_%s.npy", name, ist_modality_name((enum ist_modality)m));

			n = 0;
			read_npy(folder, file, &x[m], &n, &d->pairs.dim[m]);
		}
		d->pairs.n += n;
		n_train = half == 0 ? n : n_train;
		read_npy(folder, half == 0 ? "train_label.npy" : "test_label.npy", &label, &n,
			 &one);
	}
	d->x[IST_IMAGE] = (float *)x[IST_IMAGE].data;
	d->x[IST_TEXT] = (float *)x[IST_TEXT].data;
	d->label = (int32_t *)label.data;
	d->part = ist_alloc(d->pairs.n, 1);
	for (size_t i = 0; i < d->pairs.n; i++)
		d->part[i] = i < n_train ? IST_TRAIN : IST_TEST;
	wire(d);
}

/* Labels are numbered as they first appear. */
static void load_tux(struct data *d, const char *folder)
{
	ist_autofree char *path = ist_format("%s/tux_meta.json", folder);
	json_t *meta = json_load_file(path, 0, NULL), *numbers = json_object(), *entry;
	struct ist_buf x[IST_N_MODALITIES] = {{0}};
	size_t i;

	read_npy(folder, "tux_image.npy", &x[IST_IMAGE], &d->pairs.n, &d->pairs.dim[IST_IMAGE]);
	d->pairs.n = 0;
	read_npy(folder, "tux_text.npy", &x[IST_TEXT], &d->pairs.n, &d->pairs.dim[IST_TEXT]);
	d->x[IST_IMAGE] = (float *)x[IST_IMAGE].data;
	d->x[IST_TEXT] = (float *)x[IST_TEXT].data;
	d->label = ist_alloc(d->pairs.n, sizeof(*d->label));
	d->part = ist_alloc(d->pairs.n, 1);
	json_array_foreach(meta, i, entry)
	{
		const char *label = json_string_value(json_object_get(entry, "label"));

		if (json_object_get(numbers, label) == NULL)
			json_object_set_new(numbers, label,
					    json_integer((json_int_t)json_object_size(numbers)));
		d->label[i] = (int32_t)json_integer_value(json_object_get(numbers, label));
	}
	json_decref(meta);
	json_decref(numbers);
	wire(d);
}

static double similarity(const struct ist_model *model, const float *a, const float *b)
{
	double sum = 0;

	for (size_t k = 0; k < model->dim[IST_IMAGE]; k++) {
		double d = (double)a[k] - (double)b[k];

		sum += model->similarity == IST_EUCLIDEAN ? -d * d : (double)a[k] * (double)b[k];
	}
	return sum;
}

struct hit {
	double similarity;
	bool relevant;
};

static int descending(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	return x->similarity > y->similarity ? -1 : x->similarity < y->similarity;
}

static double average_precision(struct hit *hits, size_t n)
{
	double sum = 0;
	size_t found = 0;

	qsort(hits, n, sizeof(*hits), descending);
	for (size_t k = 0; k < n; k++)
		if (hits[k].relevant)
			sum += (double)++found / (double)(k + 1);
	return found > 0 ? sum / (double)found : 0;
}

/* MAP@all over the test part, queries of modality `from`. */
static double map_all(const struct ist_model *model, const struct data *d, float *const e[],
		      enum ist_modality from)
{
	const float *q = e[from], *g = e[ist_modality_other(from)];
	size_t dim = model->dim[from], n = 0, queries = 0;
	struct hit *hits = ist_alloc(d->pairs.n, sizeof(*hits));
	double sum = 0;

	for (size_t i = 0; i < d->pairs.n; i++, n = 0) {
		if (d->part[i] != IST_TEST)
			continue;
		for (size_t j = 0; j < d->pairs.n; j++)
			if (d->part[j] == IST_TEST)
				hits[n++] =
				    (struct hit){similarity(model, q + i * dim, g + j * dim),
						 d->label[i] == d->label[j]};
		sum += average_precision(hits, n);
		queries++;
	}
	free(hits);
	return sum / (double)queries;
}

static void measure(const struct ist_model *model, const struct data *d,
		    double ret[IST_N_MODALITIES])
{
	float *e[IST_N_MODALITIES];
	struct ist_err err;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		e[m] = ist_alloc(d->pairs.n * model->dim[m], sizeof(float));
		check(ist_model_embed(model, (enum ist_modality)m, d->pairs.x[m], d->pairs.n, e[m],
				      &err),
		      &err);
	}
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ret[m] = map_all(model, d, e, (enum ist_modality)m);
	free(e[IST_IMAGE]);
	free(e[IST_TEXT]);
}

static void run(const struct data *d, const json_t *given, uint64_t seed,
		double ret[N_RANKINGS][IST_N_MODALITIES])
{
	const struct ist_method *method = ist_method_find("acmr");
	struct ist_model *model = NULL;
	struct ist_err err;
	json_t *params;

	check(ist_params_complete(method, given, &params, &err), &err);
	check(method->train(&d->pairs, params, seed, NULL, &model, &err), &err);
	for (size_t k = 0; k < N_RANKINGS; k++) {
		struct ist_model *variant;

		check(method->variant(model, rankings[k], &variant, &err), &err);
		measure(variant, d, ret[k]);
		ist_model_unref(variant);
	}
	ist_model_unref(model);
	json_decref(params);
}

static void add(double x, double *sum, double *squares)
{
	*sum += x;
	*squares += x * x;
}

static void summarise(const char *name, double sum, double squares, double n)
{
	double mean = sum / n, variance = n > 1 ? (squares - n * mean * mean) / (n - 1) : 0;

	printf("  %s %.4f +- %.4f", name, mean, sqrt(fmax(variance, 0)));
}

/* Fold `fold` is the test part; with `inner` it is left out, and every fifth of the rest is. */
static void split_tux(struct data *d, size_t fold, bool inner)
{
	size_t rest = 0;

	for (size_t i = 0; i < d->pairs.n; i++) {
		if (i % 5 == fold)
			d->part[i] = inner ? IST_UNUSED : IST_TEST;
		else
			d->part[i] = inner && rest++ % 5 == 0 ? IST_TEST : IST_TRAIN;
	}
}

int main(int argc, char **argv)
{
	double sum[N_RANKINGS][3] = {{0}}, squares[N_RANKINGS][3] = {{0}};
	struct data d = {0};
	json_t *given = argc > 3 ? json_loads(argv[3], 0, NULL) : NULL;
	unsigned first = 0, last = 4;
	bool inner = argc > 2 && strcmp(argv[1], "tux-inner") == 0;
	bool tux = inner || (argc > 2 && strcmp(argv[1], "tux") == 0);

	if (argc < 3 || (argc > 3 && given == NULL) ||
	    (argc > 4 && sscanf(argv[4], "%u-%u", &first, &last) != 2)) {
		fprintf(
		    stderr,
		    "usage: acmr-features wikipedia|tux|tux-inner FOLDER [PARAMS [FIRST-LAST]]\n");
		return 2;
	}
	(tux ? load_tux : load_wikipedia)(&d, argv[2]);
	for (unsigned seed = first; seed <= last; seed++) {
		double map[N_RANKINGS][IST_N_MODALITIES];
		clock_t start = clock();

		if (tux)
			split_tux(&d, seed % 5, inner);
		run(&d, given, seed, map);
		printf("seed %u:", seed);
		for (size_t k = 0; k < N_RANKINGS; k++) {
			double average = (map[k][0] + map[k][1]) / 2;

			printf("  %s %.4f %.4f avg %.4f", rankings[k], map[k][0], map[k][1],
			       average);
			for (int m = 0; m < 2; m++)
				add(map[k][m], &sum[k][m], &squares[k][m]);
			add(average, &sum[k][2], &squares[k][2]);
		}
		printf("  (%.1f s)\n", (double)(clock() - start) / CLOCKS_PER_SEC);
		fflush(stdout);
	}
	for (size_t k = 0; k < N_RANKINGS; k++) {
		printf("%s:", rankings[k]);
		summarise("image->text", sum[k][0], squares[k][0], last - first + 1);
		summarise("text->image", sum[k][1], squares[k][1], last - first + 1);
		summarise("average", sum[k][2], squares[k][2], last - first + 1);
		printf("\n");
	}
	json_decref(given);
	free(d.x[0]);
	free(d.x[1]);
	free(d.label);
	free(d.part);
	return 0;
}
