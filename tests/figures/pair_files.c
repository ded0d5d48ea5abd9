/*
 * Reader of the files of gxn_data. A picture is stored once and stands in the pairs as often as it
 * has sentences, as a collection's training set has it.
 */
#include "tests/figures/pair_files.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/figures/runs.h"

#define TEXT_LIMIT ((size_t)1 << 28)

const char *const scene_shapes[] = {"rectangle", "circle", "triangle", NULL};
const char *const scene_colours[] = {"gray",   "red",  "blue",	 "green", "brown",
				     "purple", "cyan", "yellow", NULL};
const char *const scene_sizes[] = {"small", "large", NULL};

/* One line a pair. */
static void read_texts(struct pair_file *f, const char *base)
{
	ist_autofree char *path = ist_format("%s.txt", base);
	ist_auto(ist_buf_finish) struct ist_buf file = {0};
	const char *at;
	struct ist_err err;

	runs_check(ist_file_read(path, TEXT_LIMIT, &file, &err), &err);
	f->text = ist_alloc(f->pairs.n, sizeof(*f->text));
	at = file.data;
	for (size_t i = 0; i < f->pairs.n; i++) {
		const char *end = memchr(at, '\n', (size_t)(file.data + file.len - at));

		if (end == NULL)
			runs_die(path, "fewer lines than pairs");
		f->text[i] = ist_strndup(at, (size_t)(end - at));
		at = end + 1;
	}
	f->pairs.text = (const char *const *)f->text;
}

static void read_scenes(struct pair_file *f, const struct ist_safetensors *file)
{
	size_t n;
	ist_autofree int64_t *x = runs_integers(file, "scene", &n);

	if (n != f->n_items * SCENE_OBJECTS * 3)
		runs_die("scene", "not three numbers of three objects an item");
	f->scene = ist_alloc(f->n_items, sizeof(*f->scene));
	for (size_t i = 0; i < f->n_items * SCENE_OBJECTS; i++)
		f->scene[i / SCENE_OBJECTS][i % SCENE_OBJECTS] = (struct scene_object){
		    .shape = (int)x[3 * i], .colour = (int)x[3 * i + 1], .size = (int)x[3 * i + 2]};
}

static void spread_pictures(struct pair_file *f, const float *image, size_t width)
{
	f->x[IST_IMAGE] = ist_alloc_raw(f->pairs.n, width * sizeof(float));
	for (size_t i = 0; i < f->pairs.n; i++)
		memcpy(f->x[IST_IMAGE] + i * width, image + (size_t)f->item[i] * width,
		       width * sizeof(float));
}

void pair_file_read(struct pair_file *f, const char *base)
{
	ist_autofree char *path = ist_format("%s.safetensors", base);
	ist_autofree float *image = NULL;
	struct ist_safetensors *file;
	struct ist_err err;
	size_t shape[2], n;

	*f = (struct pair_file){.n_groups = 0};
	runs_check(ist_safetensors_open(path, &file, &err), &err);
	image = runs_floats(file, "image", shape);
	f->n_items = shape[0];
	f->pairs.dim[IST_IMAGE] = shape[1];
	f->x[IST_TEXT] = runs_floats(file, "text", shape);
	f->pairs.n = shape[0];
	f->pairs.dim[IST_TEXT] = shape[1];
	f->item = runs_integers(file, "row", &n);
	f->part = runs_bytes(file, "part", &n);
	f->group = runs_bytes(file, "group", &n);
	for (size_t i = 0; i < n; i++)
		f->n_groups = IST_MAX(f->n_groups, (size_t)f->group[i] + 1);
	read_scenes(f, file);
	ist_safetensors_close(file);
	spread_pictures(f, image, f->pairs.dim[IST_IMAGE]);
	read_texts(f, base);
	f->pairs.x[IST_IMAGE] = f->x[IST_IMAGE];
	f->pairs.x[IST_TEXT] = f->x[IST_TEXT];
	f->label = ist_alloc_raw(f->pairs.n, sizeof(*f->label));
	memset(f->label, 0xFF, f->pairs.n * sizeof(*f->label));
	f->pairs.label = f->label;
	f->pairs.item = f->item;
	f->pairs.part = f->part;
	if (ist_pixels_side(f->pairs.dim[IST_IMAGE]) > 0)
		f->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	if (f->pairs.dim[IST_TEXT] == IST_WORDS_MAX)
		f->pairs.form[IST_TEXT] = IST_FORM_WORDS;
}

void pair_file_finish(struct pair_file *f)
{
	for (size_t i = 0; i < f->pairs.n; i++)
		free(f->text[i]);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		free(f->x[m]);
	free(f->text);
	free(f->item);
	free(f->label);
	free(f->part);
	free(f->group);
	free(f->scene);
	*f = (struct pair_file){.n_groups = 0};
}

uint32_t *pair_file_items(const struct pair_file *f, enum ist_part part, size_t *ret_n)
{
	uint32_t *list = ist_alloc_raw(f->n_items, sizeof(*list));

	*ret_n = 0;
	for (size_t i = 0; i < f->pairs.n; i++) {
		if (f->part[i] == part && (i == 0 || f->item[i] != f->item[i - 1]))
			list[(*ret_n)++] = (uint32_t)i;
	}
	return list;
}

size_t pair_file_end(const struct pair_file *f, size_t pair)
{
	size_t end = pair + 1;

	while (end < f->pairs.n && f->item[end] == f->item[pair])
		end++;
	return end;
}
