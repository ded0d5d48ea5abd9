/*
 * CSV with a line of heads. The columns id, image (a path, from the file's folder on), text and
 * label make the item, by these names or by those of --column; what stands in the others is
 * metadata, as a number where it is one. Fields are split by libcsv, which knows quotes and lines
 * within them; a row is held at a time, and the few that a block of the file ends with.
 */
#include <csv.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/cli/source.h"
#include "server/json.h"

#define BLOCK ((size_t)64 << 10)
#define ROW_BYTES_MAX ((size_t)32 << 20)

enum role { ROLE_METADATA, ROLE_ID, ROLE_IMAGE, ROLE_TEXT, ROLE_LABEL, N_ROLES };
static const struct {
	const char *name, *also;
} roles[N_ROLES] = {
    [ROLE_ID] = {"id", NULL},
    [ROLE_IMAGE] = {"image", NULL},
    [ROLE_TEXT] = {"text", "caption"},
    [ROLE_LABEL] = {"label", NULL},
};

struct table {
	const char *path;
	char *folder; /* that the file lies in */
	const struct ist_args *args;
	FILE *file;
	struct csv_parser parser;
	bool has_parser, at_end, too_long;
	double size, read;
	json_t *row;	   /* the fields read so far: strings, null for bytes that are no UTF-8 */
	json_t *ready;	   /* rows that are whole */
	size_t next_ready; /* of them the next to be given */
	size_t row_bytes;
	char **heads;
	enum role *head_roles;
	size_t n_heads;
	uint64_t n_rows; /* given, without the heads */
};

static bool takes(const char *path, const struct ist_args *args)
{
	return path != NULL && (ist_ends_like(path, ".csv") || ist_ends_like(path, ".tsv"));
}

/* ---- splitting ---- */

static void on_field(void *data, size_t len, void *user)
{
	struct table *t = user;
	json_t *field = ist_utf8_is_valid(data, len) && memchr(data, '\0', len) == NULL
			    ? json_stringn(data, len)
			    : NULL;

	t->row_bytes += len;
	t->too_long |= t->row_bytes > ROW_BYTES_MAX;
	json_array_append_new(t->row, field != NULL ? field : json_null());
}

static void on_row(int end, void *user)
{
	struct table *t = user;

	json_array_append_new(t->ready, t->row);
	t->row = json_array();
	t->row_bytes = 0;
}

static enum ist_code read_block(struct table *t, struct ist_err *err)
{
	char block[BLOCK];
	size_t n = fread(block, 1, sizeof(block), t->file);
	const char *begin = block;

	if (ferror(t->file))
		return ist_fail_errno(err, "%s", t->path);
	if (t->read == 0 && n >= 3 && memcmp(block, "\xef\xbb\xbf", 3) == 0)
		begin += 3;
	t->read += (double)n;
	if (csv_parse(&t->parser, begin, n - (size_t)(begin - block), on_field, on_row, t) !=
	    n - (size_t)(begin - block))
		return ist_fail(err, IST_INVALID, "%s: row %" PRIu64 ": %s", t->path,
				t->n_rows + json_array_size(t->ready) + 1,
				csv_strerror(csv_error(&t->parser)));
	t->at_end = n < sizeof(block);
	if (t->at_end && csv_fini(&t->parser, on_field, on_row, t) != 0)
		return ist_fail(err, IST_INVALID, "%s: ends within quotes", t->path);
	if (t->too_long || csv_get_buffer_size(&t->parser) > 2 * ROW_BYTES_MAX)
		return ist_fail(err, IST_BODY_TOO_LARGE, "%s: a row of over 32 MiB", t->path);
	return IST_OK;
}

/* The next row, borrowed until the next call; NULL: there is none. */
static enum ist_code next_row(struct table *t, const json_t **ret, struct ist_err *err)
{
	while (t->next_ready == json_array_size(t->ready) && !t->at_end) {
		json_array_clear(t->ready);
		t->next_ready = 0;
		if (read_block(t, err) != IST_OK)
			return err->code;
	}
	*ret = json_array_get(t->ready, t->next_ready);
	t->next_ready += *ret != NULL;
	return IST_OK;
}

/* ---- heads ---- */

/* By --column MEMBER=NAME; then the usual names count for this member no more. */
static const char *column_of(const struct ist_args *args, const char *member)
{
	size_t n = strlen(member);
	const char *given;

	for (size_t i = 0; (given = ist_args_nth(args, "column", i)) != NULL; i++)
		if (strncmp(given, member, n) == 0 && given[n] == '=')
			return given + n + 1;
	return NULL;
}

static enum role role_of(const struct ist_args *args, const char *head)
{
	for (enum role r = ROLE_ID; r < N_ROLES; r++) {
		const char *column = column_of(args, roles[r].name);

		if (column != NULL
			? strcmp(column, head) == 0
			: strcmp(roles[r].name, head) == 0 ||
			      (roles[r].also != NULL && strcmp(roles[r].also, head) == 0))
			return r;
	}
	return ROLE_METADATA;
}

/* A --column that names no member or no column would be lost in silence. */
static enum ist_code check_columns(const struct table *t, struct ist_err *err)
{
	const char *given;

	for (size_t i = 0; (given = ist_args_nth(t->args, "column", i)) != NULL; i++) {
		const char *equals = strchr(given, '=');
		bool found = false, member = false;

		for (enum role r = ROLE_ID; equals != NULL && r < N_ROLES; r++)
			member |= strlen(roles[r].name) == (size_t)(equals - given) &&
				  strncmp(given, roles[r].name, (size_t)(equals - given)) == 0;
		if (!member)
			return ist_usage(err,
					 "--column: must be id, image, text or label, =, and a "
					 "head; got \"%s\"",
					 given);
		for (size_t c = 0; c < t->n_heads; c++)
			found |= strcmp(t->heads[c], equals + 1) == 0;
		if (!found)
			return ist_fail(err, IST_INVALID, "%s: has no column \"%s\"", t->path,
					equals + 1);
	}
	return IST_OK;
}

static enum ist_code read_heads(struct table *t, struct ist_err *err)
{
	bool has_content = false;
	const json_t *row, *field;
	size_t i;

	if (next_row(t, &row, err) != IST_OK)
		return err->code;
	if (row == NULL)
		return ist_fail(err, IST_INVALID, "%s: is empty", t->path);
	t->n_heads = json_array_size(row);
	t->heads = ist_alloc(t->n_heads, sizeof(*t->heads));
	t->head_roles = ist_alloc(t->n_heads, sizeof(*t->head_roles));
	json_array_foreach(row, i, field)
	{
		const char *head = json_string_value(field);

		t->heads[i] = ist_strdup(head != NULL ? head : "");
		t->head_roles[i] = role_of(t->args, t->heads[i]);
		has_content |= t->head_roles[i] == ROLE_IMAGE || t->head_roles[i] == ROLE_TEXT;
	}
	if (check_columns(t, err) != IST_OK)
		return err->code;
	if (!has_content)
		return ist_fail(err, IST_INVALID,
				"%s: has neither a column \"image\" nor one \"text\"; name them "
				"with --column text=HEAD",
				t->path);
	return IST_OK;
}

/* ---- opening ---- */

static void close_table(void *user)
{
	struct table *t = user;

	if (t == NULL)
		return;
	if (t->has_parser)
		csv_free(&t->parser);
	if (t->file != NULL)
		fclose(t->file);
	for (size_t i = 0; i < t->n_heads; i++)
		free(t->heads[i]);
	free(t->heads);
	free(t->head_roles);
	free(t->folder);
	json_decref(t->row);
	json_decref(t->ready);
	free(t);
}

static enum ist_code start(struct table *t, struct ist_err *err)
{
	const char *delimiter = ist_args_text(t->args, "delimiter");
	struct stat st;

	if (delimiter == NULL)
		delimiter = ist_ends_like(t->path, ".tsv") ? "\t" : ",";
	if (strcmp(delimiter, "\\t") == 0)
		delimiter = "\t";
	if (strlen(delimiter) != 1 || strchr("\"\r\n", delimiter[0]) != NULL)
		return ist_usage(err, "--delimiter: must be one character, got \"%s\"", delimiter);
	t->file = fopen(t->path, "re");
	if (t->file == NULL)
		return ist_fail_errno(err, "%s", t->path);
	if (fstat(fileno(t->file), &st) == 0 && S_ISREG(st.st_mode))
		t->size = (double)st.st_size;
	if (csv_init(&t->parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
		return ist_fail(err, IST_INTERNAL, "libcsv does not start");
	t->has_parser = true;
	csv_set_delim(&t->parser, (unsigned char)delimiter[0]);
	return read_heads(t, err);
}

static enum ist_code open_table(const char *path, const struct ist_args *args, void **ret,
				struct ist_err *err)
{
	struct table *t = ist_alloc(1, sizeof(*t));
	const char *slash = strrchr(path, '/');

	t->path = path;
	t->args = args;
	t->folder = slash != NULL ? ist_strndup(path, (size_t)(slash - path)) : ist_strdup(".");
	t->row = json_array();
	t->ready = json_array();
	if (start(t, err) != IST_OK) {
		close_table(t);
		return err->code;
	}
	*ret = t;
	return IST_OK;
}

/* ---- rows ---- */

/* A number that JSON knows is one; "007" and "1e999" stay text. */
static json_t *value_of(const char *text)
{
	size_t n = strlen(text);
	json_t *number = NULL;

	if (n > 0 && n < 32 && strspn(text, "+-.0123456789eE") == n)
		number = json_loadb(text, n, JSON_DECODE_ANY, NULL);
	return number != NULL ? number : json_string(text);
}

struct row {
	json_t *item;
	const char *id, *image;
};

static enum ist_code add_field(const struct table *t, size_t c, const json_t *field,
			       struct row *row, struct ist_err *err)
{
	const char *text = json_string_value(field);
	json_t *texts;

	if (text == NULL)
		return ist_fail(err, IST_INVALID, "column \"%s\" is not UTF-8", t->heads[c]);
	if (*text == '\0')
		return IST_OK;
	switch (t->head_roles[c]) {
	case ROLE_ID:
		row->id = text;
		break;
	case ROLE_IMAGE:
		row->image = text;
		break;
	case ROLE_LABEL:
		json_object_set_new(row->item, "label", json_string(text));
		break;
	case ROLE_TEXT:
		texts = json_object_get(row->item, "texts");
		if (texts == NULL)
			json_object_set_new(row->item, "texts", texts = json_array());
		json_array_append_new(texts, json_string(text));
		break;
	default:
		if (json_object_get(row->item, "metadata") == NULL)
			json_object_set_new(row->item, "metadata", json_object());
		json_object_set_new(json_object_get(row->item, "metadata"), t->heads[c],
				    value_of(text));
	}
	return IST_OK;
}

static enum ist_code read_picture(const struct table *t, const char *image, struct ist_buf *ret,
				  struct ist_err *err)
{
	ist_autofree char *path =
	    image[0] == '/' ? ist_strdup(image) : ist_format("%s/%s", t->folder, image);

	if (ist_file_read(path, IST_PICTURE_BYTES_MAX, ret, err) != IST_OK)
		return err->code;
	return ret->len > 0 ? IST_OK : ist_fail(err, IST_IMAGE_UNDECODABLE, "%s is empty", path);
}

/* Without a column for it the id is the picture's path, else the number of the row. */
static enum ist_code make(const struct table *t, const json_t *fields, struct ist_record *record,
			  json_t *item, struct ist_err *err)
{
	struct ist_buf picture ist_auto(ist_buf_finish) = {0};
	struct row row = {.item = item};
	const json_t *field;
	size_t c;

	if (json_array_size(fields) != t->n_heads)
		return ist_fail(err, IST_INVALID, "has %zu fields where the heads are %zu",
				json_array_size(fields), t->n_heads);
	json_array_foreach(fields, c, field)
	{
		if (add_field(t, c, field, &row, err) != IST_OK)
			return err->code;
	}
	if (row.id != NULL || row.image != NULL)
		record->id = ist_strdup(row.id != NULL ? row.id : row.image);
	else
		record->id = ist_format("%" PRIu64, t->n_rows);
	if (row.image != NULL && read_picture(t, row.image, &picture, err) != IST_OK)
		return err->code;
	ist_record_make(record, record->id, row.image != NULL ? &picture : NULL, item);
	return IST_OK;
}

static enum ist_code next(void *user, struct ist_record *record, bool *ret_more,
			  struct ist_err *err)
{
	struct table *t = user;
	const json_t *fields;
	json_t *item;

	if (next_row(t, &fields, err) != IST_OK)
		return err->code;
	*ret_more = fields != NULL;
	if (fields == NULL)
		return IST_OK;
	t->n_rows++;
	record->origin = ist_format("%s row %" PRIu64, t->path, t->n_rows);
	item = json_object();
	if (make(t, fields, record, item, &record->err) != IST_OK)
		record->line.len = 0;
	json_decref(item);
	return IST_OK;
}

static double share(const void *user)
{
	const struct table *t = user;

	return t->size > 0 ? t->read / t->size : -1;
}

const struct ist_source_kind ist_source_csv = {
    .name = "csv",
    .takes = takes,
    .open = open_table,
    .next = next,
    .share = share,
    .close = close_table,
};
