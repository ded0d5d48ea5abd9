/*
 * NDJSON as the server takes it: lines go out as they came in. Only the id is looked for, by a
 * reader that skips over values without making them, so that long vectors cost nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "server/cli/source.h"

struct lines {
	FILE *file;
	char *buffer;
	size_t cap;
	uint64_t line;
	double size, read; /* bytes; size 0: unknown */
};

static bool takes(const char *path, const struct ist_args *args)
{
	return path != NULL && (strcmp(path, "-") == 0 || ist_ends_like(path, ".ndjson") ||
				ist_ends_like(path, ".jsonl"));
}

static enum ist_code open_lines(const char *path, const struct ist_args *args, void **ret,
				struct ist_err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	struct lines *source;
	struct stat st;

	if (file == NULL)
		return ist_fail_errno(err, "%s", path);
	source = ist_alloc(1, sizeof(*source));
	source->file = file;
	if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode))
		source->size = (double)st.st_size;
	*ret = source;
	return IST_OK;
}

static void close_lines(void *user)
{
	struct lines *source = user;

	if (source == NULL)
		return;
	if (source->file != stdin)
		fclose(source->file);
	free(source->buffer);
	free(source);
}

/* ---- the id ---- */

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* From an opening quote to behind the closing one; NULL: there is none. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
	}
	return p + 1;
}

/* Behind a value of any kind; NULL where the line ends in it. */
static const char *skip_value(const char *p)
{
	int depth = 0;

	do {
		p += strcspn(p, depth > 0 ? "\"[]{}" : "\"[]{},");
		if (*p == '"') {
			if ((p = skip_string(p)) == NULL)
				return NULL;
			continue;
		}
		if (*p == '\0' || *p == ',')
			return *p == ',' ? p : NULL;
		if ((*p == ']' || *p == '}') && depth == 0)
			return p;
		depth += *p == '[' || *p == '{' ? 1 : -1;
		p++;
	} while (true);
}

/* The value of the member "id" of the object in the line; NULL: the server will say what is wrong.
 */
char *ist_ndjson_id(const char *line)
{
	const char *p = skip_space(line), *name, *end;
	json_t *value;
	char *id;

	if (*p++ != '{')
		return NULL;
	while (p != NULL && *(p = skip_space(p)) == '"') {
		name = p;
		if ((end = skip_string(p)) == NULL || *(p = skip_space(end)) != ':')
			return NULL;
		p = skip_space(p + 1);
		if (end - name != 4 || memcmp(name, "\"id\"", 4) != 0) {
			p = skip_value(p);
			p = p != NULL && *p == ',' ? p + 1 : NULL;
			continue;
		}
		end = *p == '"' ? skip_string(p) : NULL;
		value =
		    end != NULL ? json_loadb(p, (size_t)(end - p), JSON_DECODE_ANY, NULL) : NULL;
		id = ist_strdup(json_string_value(value));
		json_decref(value);
		return id;
	}
	return NULL;
}

static enum ist_code next(void *user, struct ist_record *record, bool *ret_more,
			  struct ist_err *err)
{
	struct lines *source = user;
	ssize_t n;

	do {
		errno = 0;
		n = getline(&source->buffer, &source->cap, source->file);
		if (n < 0 && ferror(source->file))
			return ist_fail_errno(err, "reading line %" PRIu64, source->line + 1);
		*ret_more = n >= 0;
		if (n < 0)
			return IST_OK;
		source->line++;
		source->read += (double)n;
		while (n > 0 && strchr("\r\n", source->buffer[n - 1]) != NULL)
			n--;
	} while (n == 0);
	record->origin = ist_format("line %" PRIu64, source->line);
	ist_buf_put(&record->line, source->buffer, (size_t)n);
	record->id = ist_ndjson_id(record->line.data);
	return IST_OK;
}

static double share(const void *user)
{
	const struct lines *source = user;

	return source->size > 0 ? source->read / source->size : -1;
}

const struct ist_source_kind ist_source_ndjson = {
    .name = "ndjson",
    .takes = takes,
    .open = open_lines,
    .next = next,
    .share = share,
    .close = close_lines,
};
