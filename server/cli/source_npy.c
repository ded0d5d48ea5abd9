/*
 * Features of an encoder of one's own: matrices with a row an item, and beside them labels, ids and
 * an NDJSON file with the rest. All have the same number of rows; the vectors go out in base64.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/cli/npy.h"
#include "server/cli/sidecar.h"
#include "server/cli/source.h"

enum side { SIDE_IMAGE, SIDE_TEXT, N_SIDES };

/* A text a row: of a one-dimensional .npy, or of the lines of a file. */
struct column {
	const char *path; /* NULL: not given */
	struct ist_npy npy;
	bool is_npy;
	FILE *file;
	char *buffer;
	size_t cap;
	struct ist_buf text;
};

struct matrices {
	struct ist_npy vectors[N_SIDES];
	bool has[N_SIDES];
	struct column labels, ids, meta;
	float *row; /* the wider of both */
	size_t n, at;
};

static const char *const options[N_SIDES] = {"image-vectors", "text-vectors"};

static bool takes(const char *path, const struct ist_args *args)
{
	return path == NULL && (ist_args_text(args, options[SIDE_IMAGE]) != NULL ||
				ist_args_text(args, options[SIDE_TEXT]) != NULL);
}

/* ---- columns ---- */

static void column_finish(struct column *c)
{
	ist_npy_finish(&c->npy);
	if (c->file != NULL)
		fclose(c->file);
	free(c->buffer);
	ist_buf_finish(&c->text);
}

static enum ist_code column_open(struct column *c, const char *path, size_t n, struct ist_err *err)
{
	c->path = path;
	if (path == NULL)
		return IST_OK;
	if (!ist_ends_like(path, ".npy")) {
		c->file = fopen(path, "re");
		return c->file != NULL ? IST_OK : ist_fail_errno(err, "%s", path);
	}
	c->is_npy = true;
	if (ist_npy_open(&c->npy, path, err) != IST_OK)
		return err->code;
	if (c->npy.columns != 1 || c->npy.kind == 'f')
		return ist_fail(err, IST_INVALID,
				"%s: must be one column of whole numbers or texts", path);
	if (c->npy.rows != n)
		return ist_fail(err, IST_INVALID, "%s: has %zu rows where the vectors have %zu",
				path, c->npy.rows, n);
	return IST_OK;
}

/* The text of row i, called for each i in order. */
static enum ist_code column_next(struct column *c, size_t i, struct ist_err *err)
{
	ssize_t n;

	if (c->is_npy) {
		if (ist_npy_text(&c->npy, i, &c->text, err) != IST_OK)
			return ist_wrap(err, "%s: row %zu", c->path, i);
		return IST_OK;
	}
	n = getline(&c->buffer, &c->cap, c->file);
	if (n < 0)
		return ist_fail(err, IST_INVALID, "%s: ends after %zu lines", c->path, i);
	while (n > 0 && strchr("\r\n", c->buffer[n - 1]) != NULL)
		n--;
	c->text.len = 0;
	ist_buf_put(&c->text, c->buffer, (size_t)n);
	return IST_OK;
}

/* ---- opening ---- */

static void close_matrices(void *user)
{
	struct matrices *m = user;

	if (m == NULL)
		return;
	for (int s = 0; s < N_SIDES; s++)
		ist_npy_finish(&m->vectors[s]);
	column_finish(&m->labels);
	column_finish(&m->ids);
	column_finish(&m->meta);
	free(m->row);
	free(m);
}

static enum ist_code open_vectors(struct matrices *m, const struct ist_args *args,
				  struct ist_err *err)
{
	size_t widest = 0;

	for (int s = 0; s < N_SIDES; s++) {
		const char *path = ist_args_text(args, options[s]);

		if (path == NULL)
			continue;
		if (ist_npy_open(&m->vectors[s], path, err) != IST_OK)
			return err->code;
		if (m->vectors[s].n_dims != 2 || m->vectors[s].kind != 'f' ||
		    m->vectors[s].rows == 0 || m->vectors[s].columns == 0)
			return ist_fail(err, IST_INVALID,
					"%s: must be a matrix of real numbers, a row an item",
					path);
		if (m->n != 0 && m->vectors[s].rows != m->n)
			return ist_fail(err, IST_INVALID,
					"%s: has %zu rows, the image vectors have %zu", path,
					m->vectors[s].rows, m->n);
		m->n = m->vectors[s].rows;
		m->has[s] = true;
		widest = IST_MAX(widest, m->vectors[s].columns);
	}
	m->row = ist_alloc(widest, sizeof(*m->row));
	return IST_OK;
}

static enum ist_code open_matrices(const char *path, const struct ist_args *args, void **ret,
				   struct ist_err *err)
{
	struct matrices *m = ist_alloc(1, sizeof(*m));

	if (open_vectors(m, args, err) == IST_OK &&
	    column_open(&m->labels, ist_args_text(args, "labels"), m->n, err) == IST_OK &&
	    column_open(&m->ids, ist_args_text(args, "ids"), m->n, err) == IST_OK &&
	    column_open(&m->meta, ist_args_text(args, "meta"), m->n, err) == IST_OK) {
		*ret = m;
		return IST_OK;
	}
	close_matrices(m);
	return err->code;
}

/* ---- rows ---- */

static json_t *vector_of(struct matrices *m, enum side s, size_t i)
{
	struct ist_buf text ist_auto(ist_buf_finish) = {0};

	ist_npy_row_f32(&m->vectors[s], i, m->row);
	ist_base64_put(&text, m->row, m->vectors[s].columns * sizeof(*m->row));
	return json_pack("{s:s}", "base64", text.data);
}

static void add_vectors(struct matrices *m, size_t i, json_t *item)
{
	json_t *vectors = json_object();

	if (m->has[SIDE_IMAGE])
		json_object_set_new(vectors, "image", vector_of(m, SIDE_IMAGE, i));
	if (m->has[SIDE_TEXT])
		json_object_set_new(vectors, "texts", json_pack("[o]", vector_of(m, SIDE_TEXT, i)));
	json_object_set_new(item, "vectors", vectors);
}

static enum ist_code add_columns(struct matrices *m, size_t i, json_t *item, struct ist_err *err)
{
	static const char *const members[] = {"label", "id"};
	struct column *const columns[] = {&m->labels, &m->ids};

	if (m->meta.path != NULL) {
		if (column_next(&m->meta, i, err) != IST_OK)
			return err->code;
		if (ist_sidecar_json(&m->meta.text, item, err) != IST_OK)
			return ist_wrap(err, "%s: line %zu", m->meta.path, i + 1);
	}
	for (size_t k = 0; k < IST_COUNT(columns); k++) {
		if (columns[k]->path == NULL)
			continue;
		if (column_next(columns[k], i, err) != IST_OK)
			return err->code;
		json_object_set_new(item, members[k],
				    json_stringn(columns[k]->text.data, columns[k]->text.len));
	}
	return IST_OK;
}

static enum ist_code next(void *user, struct ist_record *record, bool *ret_more,
			  struct ist_err *err)
{
	struct matrices *m = user;
	size_t i = m->at;
	json_t *item;

	*ret_more = i < m->n;
	if (!*ret_more)
		return IST_OK;
	m->at++;
	item = json_object();
	record->origin = ist_format("row %zu", i);
	/* A column that is short or broken would shift all that comes after: that ends the import.
	 */
	if (add_columns(m, i, item, err) != IST_OK) {
		json_decref(item);
		return err->code;
	}
	add_vectors(m, i, item);
	record->id = ist_strdup(json_string_value(json_object_get(item, "id")));
	if (record->id == NULL)
		record->id = ist_format("%zu", i);
	json_object_del(item, "id");
	ist_record_make(record, record->id, NULL, item);
	json_decref(item);
	return IST_OK;
}

static double share(const void *user)
{
	const struct matrices *m = user;

	return (double)m->at / (double)m->n;
}

static void widths(const void *user, size_t ret[2])
{
	const struct matrices *m = user;

	for (int s = 0; s < N_SIDES; s++)
		ret[s] = m->has[s] ? m->vectors[s].columns : 0;
}

const struct ist_source_kind ist_source_npy = {
    .name = "npy",
    .takes = takes,
    .open = open_matrices,
    .next = next,
    .share = share,
    .close = close_matrices,
    .widths = widths,
};
