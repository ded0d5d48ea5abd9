/*
 * One row an installed encoder, in the order of the list. One that is removed is found no more, and
 * closed when there is a moment in which nobody is inside, so nobody can still have it.
 *
 * Three locks, taken in this order: `use` keeps what collections refer to and what is installed in
 * step (see the header); a row's `opening` lets one thread open it while the others wait; `lock`
 * guards the list and what changes in a row, and is held for moments only.
 */
#include "server/encoders.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define SPOOL ".part-"

struct row {
	char *name;
	char *folder;			     /* NULL: built in */
	const struct ist_encoder_arch *arch; /* NULL: `error` says why */
	uint64_t bytes;
	size_t place; /* in the search path */
	pthread_mutex_t opening;
	/* Guarded by the registry's lock. */
	struct ist_encoder *open;
	char *error;
	bool removed;
};

struct ist_encoders {
	pthread_mutex_t use, lock;
	char *own;
	struct row **rows; /* removed ones that somebody may have among them */
	size_t n, inside;
};

/* ---- rows ---- */

static struct row *add_row(struct ist_encoders *e, const char *name)
{
	struct row *row = ist_alloc(1, sizeof(*row));

	row->name = ist_strdup(name);
	pthread_mutex_init(&row->opening, NULL);
	e->rows = ist_resize(e->rows, e->n + 1, sizeof(*e->rows));
	e->rows[e->n++] = row;
	return row;
}

static void free_row(struct row *row)
{
	ist_encoder_close(row->open);
	pthread_mutex_destroy(&row->opening);
	free(row->name);
	free(row->folder);
	free(row->error);
	free(row);
}

static struct row *find(const struct ist_encoders *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++) {
		if (!e->rows[i]->removed && strcmp(e->rows[i]->name, name) == 0)
			return e->rows[i];
	}
	return NULL;
}

/* For who holds `use`, so that the row stays. */
static struct row *find_locked(struct ist_encoders *e, const char *name)
{
	struct row *row;

	pthread_mutex_lock(&e->lock);
	row = find(e, name);
	pthread_mutex_unlock(&e->lock);
	return row;
}

void ist_encoders_enter(struct ist_encoders *e)
{
	pthread_mutex_lock(&e->lock);
	e->inside++;
	pthread_mutex_unlock(&e->lock);
}

void ist_encoders_leave(struct ist_encoders *e)
{
	size_t n = 0;

	pthread_mutex_lock(&e->lock);
	if (--e->inside == 0) {
		for (size_t i = 0; i < e->n; i++) {
			if (e->rows[i]->removed)
				free_row(e->rows[i]);
			else
				e->rows[n++] = e->rows[i];
		}
		e->n = n;
	}
	pthread_mutex_unlock(&e->lock);
}

/* Files of a folder and of the folders in it, which is as deep as a hub's layout goes. */
static uint64_t folder_bytes(const char *folder, int depth)
{
	DIR *dir = opendir(folder);
	uint64_t sum = 0;
	struct stat st;

	if (dir == NULL)
		return 0;
	for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
		ist_autofree char *path = ist_format("%s/%s", folder, d->d_name);

		if (d->d_name[0] == '.' || stat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth > 0)
			sum += folder_bytes(path, depth - 1);
		else if (S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	closedir(dir);
	return sum;
}

/* ---- the search path ---- */

static void add_builtins(struct ist_encoders *e)
{
	for (const struct ist_encoder_arch *const *a = ist_encoder_archs; *a != NULL; a++) {
		if (!(*a)->needs_folder)
			add_row(e, (*a)->name)->arch = *a;
	}
}

/* A folder with the name of a built-in or of one before it in the path would make two of one name:
 * the first stays. */
static void add_folder(struct ist_encoders *e, const char *parent, const char *name, size_t place)
{
	struct ist_err err = {0};
	struct row *row;

	if (find(e, name) != NULL || strcmp(name, "external") == 0 ||
	    strlen(name) >= IST_ENCODER_NAME)
		return;
	row = add_row(e, name);
	row->folder = ist_format("%s/%s", parent, name);
	row->place = place;
	row->bytes = folder_bytes(row->folder, 1);
	if (ist_encoder_probe(row->folder, &row->arch, &err) != IST_OK) {
		row->arch = NULL;
		row->error = ist_strdup(err.text);
	}
}

/* A folder that cannot be read is as one that is not there: the built-in encoders remain. */
static void add_place(struct ist_encoders *e, const char *parent, size_t place)
{
	DIR *dir = parent != NULL ? opendir(parent) : NULL;

	if (dir == NULL)
		return;
	for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
		if (place == 0 && strncmp(d->d_name, SPOOL, strlen(SPOOL)) == 0) {
			ist_autofree char *path = ist_format("%s/%s", parent, d->d_name);

			if (ist_dir_remove(path, NULL) != IST_OK)
				continue; /* it takes room and nothing else */
		} else if (d->d_name[0] != '.' && d->d_type != DT_REG) {
			add_folder(e, parent, d->d_name, place);
		}
	}
	closedir(dir);
}

/* Whoever takes pictures first; folders before built-ins, since they are there to be better;
 * broken ones last. */
static int rank(const struct row *row)
{
	if (row->arch == NULL || row->error != NULL)
		return 4;
	return 2 * !ist_encoder_arch_takes(row->arch, IST_IMAGE) + (row->folder == NULL);
}

static int compare(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	return x->place != y->place ? (x->place > y->place ? 1 : -1) : strcmp(x->name, y->name);
}

struct ist_encoders *ist_encoders_create(const char *own, const char *const *path)
{
	struct ist_encoders *e = ist_alloc(1, sizeof(*e));

	pthread_mutex_init(&e->use, NULL);
	pthread_mutex_init(&e->lock, NULL);
	e->own = ist_strdup(own);
	add_builtins(e);
	add_place(e, own, 0);
	for (size_t i = 0; path != NULL && path[i] != NULL; i++)
		add_place(e, path[i], i + 1);
	qsort(e->rows, e->n, sizeof(struct row *), compare);
	return e;
}

void ist_encoders_destroy(struct ist_encoders *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->n; i++)
		free_row(e->rows[i]);
	free(e->rows);
	free(e->own);
	pthread_mutex_destroy(&e->lock);
	pthread_mutex_destroy(&e->use);
	free(e);
}

/* ---- what there is ---- */

/* Under the lock. */
static void describe(const struct row *row, struct ist_encoder_info *ret)
{
	const struct ist_encoder_arch *arch = row->arch;

	*ret = (struct ist_encoder_info){
	    .dim = row->open != NULL ? row->open->dim
		   : arch != NULL    ? arch->dim
				     : 0,
	    .bytes = row->bytes,
	    .builtin = row->folder == NULL,
	    .own = row->folder != NULL && row->place == 0,
	    .open = row->open != NULL,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", row->name);
	snprintf(ret->title, sizeof(ret->title), "%s", arch != NULL ? arch->title : "");
	snprintf(ret->architecture, sizeof(ret->architecture), "%s",
		 arch != NULL ? arch->name : "");
	snprintf(ret->error, sizeof(ret->error), "%s", row->error != NULL ? row->error : "");
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ret->takes[m] = arch != NULL && ist_encoder_arch_takes(arch, (enum ist_modality)m);
	for (size_t i = 0; row->open != NULL && i < IST_FINGERPRINT; i++)
		snprintf(ret->fingerprint + 2 * i, 3, "%02x", row->open->fingerprint[i]);
}

size_t ist_encoders_list(struct ist_encoders *e, struct ist_encoder_info **ret)
{
	size_t n = 0;

	pthread_mutex_lock(&e->lock);
	*ret = ist_alloc(e->n, sizeof(**ret));
	for (size_t i = 0; i < e->n; i++) {
		if (!e->rows[i]->removed)
			describe(e->rows[i], &(*ret)[n++]);
	}
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* Why one cannot be opened is part of the answer here, not a failure. */
enum ist_code ist_encoders_info(struct ist_encoders *e, const char *name, bool open,
				struct ist_encoder_info *ret, struct ist_err *err)
{
	const struct ist_encoder *encoder;
	struct row *row;

	if (open && ist_encoders_get(e, name, &encoder, NULL) != IST_OK)
		open = false;
	pthread_mutex_lock(&e->lock);
	row = find(e, name);
	if (row != NULL)
		describe(row, ret);
	pthread_mutex_unlock(&e->lock);
	return row != NULL ? IST_OK
			   : ist_fail(err, IST_NOT_FOUND, "there is no encoder \"%.64s\"", name);
}

/* Trying is the only way to know: weights may be damaged where the description is whole. What hands
 * on the input itself is for whoever asks for it. */
void ist_encoders_best(struct ist_encoders *e, enum ist_modality modality,
		       char ret[IST_ENCODER_NAME])
{
	ist_autofree struct ist_encoder_info *list = NULL;
	size_t n = ist_encoders_list(e, &list);
	const struct ist_encoder *encoder;

	for (size_t i = 0; i < n; i++) {
		if (!list[i].takes[modality] || ist_form_of(list[i].name) != IST_FORM_VECTOR ||
		    ist_encoders_get(e, list[i].name, &encoder, NULL) != IST_OK)
			continue;
		snprintf(ret, IST_ENCODER_NAME, "%s", list[i].name);
		return;
	}
	snprintf(ret, IST_ENCODER_NAME, "external"); /* not reached: built-ins open */
}

/* "there is no encoder "x" here; installed: descriptor, ngrams, external" */
static enum ist_code fail_unknown(struct ist_encoders *e, const char *name, struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf names = {0};
	ist_autofree struct ist_encoder_info *list = NULL;
	size_t n = ist_encoders_list(e, &list);

	for (size_t i = 0; i < n; i++) {
		if (list[i].error[0] == '\0')
			ist_buf_printf(&names, "%s, ", list[i].name);
	}
	return ist_fail(err, IST_INVALID,
			"there is no encoder \"%.64s\" here; installed: %sexternal", name,
			names.data);
}

/* ---- opening ---- */

/* What is wrong with the files stays wrong and is remembered; a machine out of memory or files is
 * asked again the next time. */
static enum ist_code open_row(struct ist_encoders *e, struct row *row, struct ist_err *err)
{
	struct ist_encoder *encoder = NULL;
	struct ist_err own = {0};
	enum ist_code code;

	code = ist_encoder_open(row->name, row->folder, &encoder, &own);
	pthread_mutex_lock(&e->lock);
	row->open = encoder;
	if (code == IST_CORRUPT || code == IST_INVALID || code == IST_NOT_FOUND) {
		code = own.code = IST_CORRUPT;
		row->error = ist_strdup(own.text);
		qsort(e->rows, e->n, sizeof(struct row *), compare);
	}
	pthread_mutex_unlock(&e->lock);
	if (code != IST_OK && err != NULL)
		*err = own;
	return code;
}

/* Under the row's `opening`: by the first who comes; the others find it done. */
static enum ist_code need_open(struct ist_encoders *e, struct row *row, struct ist_err *err)
{
	bool is_open;

	pthread_mutex_lock(&e->lock);
	is_open = row->open != NULL;
	if (row->error != NULL)
		ist_fail(err, IST_CORRUPT, "%s", row->error);
	pthread_mutex_unlock(&e->lock);
	if (row->error != NULL)
		return IST_CORRUPT;
	return is_open ? IST_OK : open_row(e, row, err);
}

enum ist_code ist_encoders_get(struct ist_encoders *e, const char *name,
			       const struct ist_encoder **ret, struct ist_err *err)
{
	struct row *row;
	enum ist_code code;

	pthread_mutex_lock(&e->lock);
	row = find(e, name);
	pthread_mutex_unlock(&e->lock);
	if (row == NULL)
		return fail_unknown(e, name, err);
	pthread_mutex_lock(&row->opening);
	code = need_open(e, row, err);
	pthread_mutex_unlock(&row->opening);
	if (code == IST_OK)
		*ret = row->open; /* which does not change any more */
	return code;
}

/* ---- installing and removing ---- */

void ist_encoders_lock_use(struct ist_encoders *e)
{
	pthread_mutex_lock(&e->use);
}

void ist_encoders_unlock_use(struct ist_encoders *e)
{
	pthread_mutex_unlock(&e->use);
}

enum ist_code ist_encoders_spool(struct ist_encoders *e, char **ret, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" SPOOL "XXXXXX", e->own != NULL ? e->own : "");

	if (e->own == NULL)
		return ist_fail(err, IST_CONFLICT, "there is no place for encoders here");
	if (ist_dir_make(e->own, err) != IST_OK)
		return err->code;
	if (mkdtemp(path) == NULL)
		return ist_fail_errno(err, "make %s", path);
	*ret = ist_steal(&path);
	return IST_OK;
}

enum ist_code ist_encoders_install(struct ist_encoders *e, const char *name, const char *folder,
				   struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", e->own, name);

	if (find_locked(e, name) != NULL || strcmp(name, "external") == 0)
		return ist_fail(err, IST_CONFLICT, "there is an encoder %s already", name);
	if (rename(folder, path) != 0)
		return ist_fail_errno(err, "rename %s to %s", folder, path);
	if (ist_dir_sync(e->own, err) != IST_OK) {
		/* It is refused, so it must not be found at the next start. */
		if (rename(path, folder) != 0)
			ist_wrap(err, "%s stays behind", path);
		return err->code;
	}
	pthread_mutex_lock(&e->lock);
	add_folder(e, e->own, name, 0);
	qsort(e->rows, e->n, sizeof(struct row *), compare);
	pthread_mutex_unlock(&e->lock);
	return IST_OK;
}

/* The folder gets another name first, so that it is gone at once even where removing it is cut. */
enum ist_code ist_encoders_remove(struct ist_encoders *e, const char *name, struct ist_err *err)
{
	struct row *row = find_locked(e, name);
	ist_autofree char *away = NULL;

	if (row == NULL)
		return ist_fail(err, IST_NOT_FOUND, "there is no encoder \"%.64s\"", name);
	if (row->folder == NULL || row->place != 0)
		return ist_fail(err, IST_CONFLICT, "%s came with the program and cannot be removed",
				name);
	if (ist_encoders_spool(e, &away, err) != IST_OK)
		return err->code;
	if (rename(row->folder, away) != 0)
		return ist_fail_errno(err, "rename %s to %s", row->folder, away);
	pthread_mutex_lock(&e->lock);
	row->removed = true;
	pthread_mutex_unlock(&e->lock);
	if (ist_dir_sync(e->own, err) != IST_OK)
		return err->code;
	return ist_dir_remove(away, err);
}
