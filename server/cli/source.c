/* How a record becomes a line. */
#include "server/cli/source.h"

#include <string.h>
#include <strings.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/json.h"

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
