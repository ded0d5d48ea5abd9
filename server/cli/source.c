/* The kinds of sources, and how a record becomes a line. */
#include "server/cli/source.h"

#include <string.h>
#include <strings.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/json.h"

static const struct ist_source_kind *const kinds[] = {
    &ist_source_npy, &ist_source_folder, &ist_source_csv, &ist_source_tar, &ist_source_ndjson,
};

static const char *const picture_suffixes[] = {".png", ".jpg",	".jpeg", ".webp", ".gif",
					       ".tif", ".tiff", ".bmp",	 ".svg"};

bool ist_ends_like(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && strcasecmp(path + n - m, suffix) == 0;
}

bool ist_is_picture_name(const char *path)
{
	for (size_t i = 0; i < IST_COUNT(picture_suffixes); i++)
		if (ist_ends_like(path, picture_suffixes[i]))
			return true;
	return false;
}

enum ist_code ist_source_kind_of(const char *path, const struct ist_args *args,
				 const struct ist_source_kind **ret, struct ist_err *err)
{
	for (size_t i = 0; i < IST_COUNT(kinds); i++)
		if (kinds[i]->takes(path, args)) {
			*ret = kinds[i];
			return IST_OK;
		}
	if (path == NULL)
		return ist_usage(err, "import what? Name a SOURCE, or --image-vectors and "
				      "--text-vectors");
	return ist_usage(err,
			 "%s: a source is a folder, .csv, .tsv, .tar, .ndjson, .jsonl, or - for "
			 "NDJSON on standard input",
			 path);
}

void ist_record_finish(struct ist_record *record)
{
	free(record->origin);
	free(record->id);
	ist_buf_finish(&record->line);
	*record = (struct ist_record){0};
}

/* The picture is put in as text: base64 needs no second pass of a JSON writer. */
void ist_record_make(struct ist_record *record, const char *id, const struct ist_buf *picture,
		     const json_t *item)
{
	struct ist_buf *line = &record->line;
	size_t rest;

	if (record->id == NULL)
		record->id = ist_strdup(id);
	line->len = 0;
	if (!ist_name_is_valid(id, strlen(id))) {
		ist_fail(&record->err, IST_INVALID,
			 "the id must be 1 to 255 bytes of UTF-8 without control characters");
		return;
	}
	ist_buf_puts(line, "{\"id\":");
	ist_json_put_string(line, id, strlen(id));
	if (picture != NULL) {
		ist_buf_puts(line, ",\"image\":{\"base64\":\"");
		ist_base64_put(line, picture->data, picture->len);
		ist_buf_puts(line, "\"}");
	}
	rest = line->len;
	ist_json_put(line, item, false);
	line->data[rest] = json_object_size(item) > 0 ? ',' : ' '; /* it was the opening brace */
}
