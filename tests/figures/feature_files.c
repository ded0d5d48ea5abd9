/*
 * Readers of the two feature sets that the figures are made on: .npy (version 1, C order, the
 * machine's own float32 and int32) and the stamps' list of labels.
 */
#include "tests/figures/feature_files.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"

#define FILE_LIMIT ((size_t)1 << 30)
#define FOLDS 5

static void __attribute__((noreturn)) die(const char *path, const char *why)
{
	fprintf(stderr, "figures: %s: %s\n", path, why);
	exit(1);
}

/* Appends a file's numbers to ret; its shape (rows, columns; 1 column for a vector). */
static void read_npy(const char *path, struct ist_buf *ret, size_t *ret_rows, size_t *ret_columns)
{
	ist_auto(ist_buf_finish) struct ist_buf file = {0};
	size_t header, rows = 0, columns = 1;
	const char *shape;
	struct ist_err err;

	if (ist_file_read(path, FILE_LIMIT, &file, &err) != IST_OK)
		die(path, err.text);
	if (file.len < 10 || memcmp(file.data, "\x93NUMPY\x01", 7) != 0)
		die(path, "no .npy file of version 1");
	header = 10 + (uint8_t)file.data[8] + 256 * (size_t)(uint8_t)file.data[9];
	shape = strstr(file.data + 10, "'shape': (");
	if (shape == NULL || sscanf(shape, "'shape': (%zu, %zu", &rows, &columns) < 1 ||
	    header > file.len || (file.len - header) != rows * columns * 4)
		die(path, "not a packed matrix of 4-byte numbers");
	ist_buf_put(ret, file.data + header, file.len - header);
	*ret_rows = rows;
	*ret_columns = columns;
}

static void wire(struct features *f)
{
	f->item = ist_alloc(f->pairs.n, sizeof(*f->item));
	for (size_t i = 0; i < f->pairs.n; i++) {
		f->item[i] = (int64_t)i;
		f->pairs.n_classes = IST_MAX(f->pairs.n_classes, (size_t)f->label[i] + 1);
	}
	for (int m = 0; m < IST_N_MODALITIES; m++)
		f->pairs.x[m] = f->x[m];
	f->pairs.label = f->label;
	f->pairs.item = f->item;
	f->pairs.part = f->part;
}

static size_t read_half(const char *folder, const char *half, struct features *f,
			struct ist_buf x[IST_N_MODALITIES], struct ist_buf *label)
{
	ist_autofree char *labels = ist_format("%s/wikipedia2010/%s_label.npy", folder, half);
	size_t n = 0, one;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree char *path = ist_format("%s/wikipedia2010/%s_%s.npy", folder, half,
						     ist_modality_name((enum ist_modality)m));

		read_npy(path, &x[m], &n, &f->pairs.dim[m]);
	}
	read_npy(labels, label, &n, &one);
	return n;
}

void features_wikipedia(struct features *f, const char *folder)
{
	struct ist_buf x[IST_N_MODALITIES] = {{0}}, label = {0};
	size_t n_train, n_test;

	*f = (struct features){.name = "wikipedia"};
	n_train = read_half(folder, "train", f, x, &label);
	n_test = read_half(folder, "test", f, x, &label);
	f->pairs.n = n_train + n_test;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		f->x[m] = (float *)(void *)x[m].data;
	f->label = (int32_t *)(void *)label.data;
	f->part = ist_alloc(f->pairs.n, 1);
	f->n_train = n_train;
	wire(f);
	features_set_run(f, 0);
}

/* Labels get their numbers as they first appear. */
static void read_labels(struct features *f, const char *path)
{
	json_t *meta = json_load_file(path, 0, NULL), *numbers = json_object(), *entry;
	size_t i;

	if (json_array_size(meta) != f->pairs.n)
		die(path, "not a list of as many entries as there are rows");
	json_array_foreach(meta, i, entry)
	{
		const char *label = json_string_value(json_object_get(entry, "label"));

		if (label == NULL)
			die(path, "an entry without a label");
		if (json_object_get(numbers, label) == NULL)
			json_object_set_new(numbers, label,
					    json_integer((json_int_t)json_object_size(numbers)));
		f->label[i] = (int32_t)json_integer_value(json_object_get(numbers, label));
	}
	json_decref(meta);
	json_decref(numbers);
}

void features_tux(struct features *f, const char *folder)
{
	ist_autofree char *meta = ist_format("%s/tuxpaint-features/tux_meta.json", folder);
	struct ist_buf x[IST_N_MODALITIES] = {{0}};

	*f = (struct features){.name = "tux", .folds = true};
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree char *path = ist_format("%s/tuxpaint-features/tux_%s.npy", folder,
						     ist_modality_name((enum ist_modality)m));

		read_npy(path, &x[m], &f->pairs.n, &f->pairs.dim[m]);
		f->x[m] = (float *)(void *)x[m].data;
	}
	f->label = ist_alloc(f->pairs.n, sizeof(*f->label));
	f->part = ist_alloc(f->pairs.n, 1);
	read_labels(f, meta);
	wire(f);
}

void features_set_run(struct features *f, size_t run)
{
	for (size_t i = 0; i < f->pairs.n; i++) {
		bool test = f->folds ? i % FOLDS == run % FOLDS : i >= f->n_train;

		f->part[i] = test ? IST_TEST : IST_TRAIN;
	}
}

void features_finish(struct features *f)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		free(f->x[m]);
	free(f->label);
	free(f->item);
	free(f->part);
	*f = (struct features){0};
}

void features_hold_out(struct features *f)
{
	ist_autofree size_t *seen = ist_alloc(f->pairs.n_classes, sizeof(*seen));

	for (size_t i = 0; i < f->pairs.n; i++) {
		if (f->part[i] == IST_TEST)
			f->part[i] = IST_UNUSED;
		else if (f->part[i] == IST_TRAIN && seen[f->label[i]]++ % 5 == 4)
			f->part[i] = IST_TEST;
	}
}
