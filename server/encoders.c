/*
 * One row an installed encoder, sorted once at the start; the rows never change afterwards, only
 * their `open` pointer is set, under the lock. Opening is done under it too: it happens once an
 * encoder, and two threads that want the same one should not both map its weights.
 */
#include "server/encoders.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

struct row {
	char *name;
	char *folder;			     /* NULL: built in */
	const struct ist_encoder_arch *arch; /* NULL: `error` says why */
	char *error;
	struct ist_encoder *open; /* guarded by lock */
};

struct ist_encoders {
	pthread_mutex_t lock;
	struct row *rows;
	size_t n;
};

/* The pointer is good until the next row is added. */
static struct row *add_row(struct ist_encoders *e, const char *name)
{
	e->rows = ist_resize(e->rows, e->n + 1, sizeof(*e->rows));
	e->rows[e->n] = (struct row){.name = ist_strdup(name)};
	return &e->rows[e->n++];
}

static void add_builtins(struct ist_encoders *e)
{
	for (const struct ist_encoder_arch *const *a = ist_encoder_archs; *a != NULL; a++) {
		if (!(*a)->needs_folder)
			add_row(e, (*a)->name)->arch = *a;
	}
}

static struct row *find(const struct ist_encoders *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++) {
		if (strcmp(e->rows[i].name, name) == 0)
			return &e->rows[i];
	}
	return NULL;
}

/* A folder with a built-in's name would make two of one name: the built-in one stays. */
static void add_folder(struct ist_encoders *e, const char *parent, const char *name)
{
	struct ist_err err = {0};
	struct row *row;

	if (name[0] == '.' || find(e, name) != NULL || strcmp(name, "external") == 0)
		return;
	row = add_row(e, name);
	row->folder = ist_format("%s/%s", parent, name);
	if (ist_encoder_probe(row->folder, &row->arch, &err) != IST_OK) {
		row->arch = NULL;
		row->error = ist_strdup(err.text);
	}
}

/* Whoever takes pictures first; folders before built-ins, since they are there to be better;
 * broken ones last. */
static int rank(const struct row *row)
{
	if (row->arch == NULL)
		return 4;
	return 2 * !ist_encoder_arch_takes(row->arch, IST_IMAGE) + (row->folder == NULL);
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return rank(x) != rank(y) ? rank(x) - rank(y) : strcmp(x->name, y->name);
}

/* A folder that cannot be read is as one that is not there: the built-in encoders remain. */
struct ist_encoders *ist_encoders_create(const char *folder)
{
	struct ist_encoders *e = ist_alloc(1, sizeof(*e));
	DIR *dir = folder != NULL ? opendir(folder) : NULL;

	pthread_mutex_init(&e->lock, NULL);
	add_builtins(e);
	if (dir != NULL) {
		for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
			if (d->d_type != DT_REG)
				add_folder(e, folder, d->d_name);
		}
		closedir(dir);
	}
	qsort(e->rows, e->n, sizeof(*e->rows), compare);
	return e;
}

void ist_encoders_destroy(struct ist_encoders *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->n; i++) {
		ist_encoder_close(e->rows[i].open);
		free(e->rows[i].name);
		free(e->rows[i].folder);
		free(e->rows[i].error);
	}
	free(e->rows);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

size_t ist_encoders_count(const struct ist_encoders *e)
{
	return e->n;
}

void ist_encoders_info(const struct ist_encoders *e, size_t i, struct ist_encoder_info *ret)
{
	const struct row *row = &e->rows[i];
	const struct ist_encoder_arch *arch = row->arch;

	*ret = (struct ist_encoder_info){
	    .name = row->name,
	    .title = arch != NULL ? arch->title : "",
	    .dim = arch != NULL ? arch->dim : 0,
	    .builtin = row->folder == NULL,
	    .counts = arch != NULL && arch->counts,
	    .error = row->error,
	};
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ret->takes[m] = arch != NULL && ist_encoder_arch_takes(arch, (enum ist_modality)m);
}

const char *ist_encoders_best(const struct ist_encoders *e, enum ist_modality modality)
{
	for (size_t i = 0; i < e->n; i++) {
		if (e->rows[i].arch != NULL && ist_encoder_arch_takes(e->rows[i].arch, modality))
			return e->rows[i].name;
	}
	return "external"; /* not reached: each modality has a built-in encoder */
}

/* "there is no encoder "x" here; installed: descriptor, ngrams, external" */
static enum ist_code fail_unknown(const struct ist_encoders *e, const char *name,
				  struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf list = {0};

	for (size_t i = 0; i < e->n; i++) {
		if (e->rows[i].arch != NULL)
			ist_buf_printf(&list, "%s, ", e->rows[i].name);
	}
	return ist_fail(err, IST_INVALID,
			"there is no encoder \"%.64s\" here; installed: %sexternal", name,
			list.data);
}

enum ist_code ist_encoders_get(struct ist_encoders *e, const char *name,
			       const struct ist_encoder **ret, struct ist_err *err)
{
	struct row *row = find(e, name);
	enum ist_code code = IST_OK;

	if (row == NULL)
		return fail_unknown(e, name, err);
	if (row->arch == NULL)
		return ist_fail(err, IST_CORRUPT, "%s", row->error);
	/* Rows do not move after creation, so finding one needs no lock. */
	pthread_mutex_lock(&e->lock);
	if (row->open == NULL)
		code = ist_encoder_open(row->name, row->folder, &row->open, err);
	if (code == IST_OK)
		*ret = row->open;
	pthread_mutex_unlock(&e->lock);
	return code;
}
