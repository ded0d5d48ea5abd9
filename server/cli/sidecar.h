/* What stands beside a picture: a .txt with its caption, a .json with anything of an item. */
#ifndef IST_SERVER_CLI_SIDECAR_H
#define IST_SERVER_CLI_SIDECAR_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_sidecar_rules {
	const char *languages; /* "en,de": of a .txt with translations; NULL: its first line */
	bool each_line;	       /* each line of a .txt is a text of its own */
};

/*
 * Adds to `item` what a .txt says. Either it is a text; or its first line is, and after it come
 * translations, "de.utf8=Ein Pinguin." each on a line.
 */
IST_CHECKED enum ist_code ist_sidecar_text(const struct ist_buf *file,
					   const struct ist_sidecar_rules *rules, json_t *item,
					   struct ist_err *err);
/*
 * Adds to `item` the members of a JSON object: those of an item as they are; "text", "caption" and
 * "captions" as texts; what has another name becomes metadata. It wins over what is there, but the
 * metadata are merged.
 */
IST_CHECKED enum ist_code ist_sidecar_json(const struct ist_buf *file, json_t *item,
					   struct ist_err *err);

#endif
