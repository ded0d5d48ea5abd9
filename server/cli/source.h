/*
 * Where an import takes its records from: a folder of pictures, a CSV file, a WebDataset tar,
 * NDJSON or .npy matrices. A source gives one record after another, in the same order each time.
 */
#ifndef IST_SERVER_CLI_SOURCE_H
#define IST_SERVER_CLI_SOURCE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "server/cli/options.h"

#define IST_RECORD_BYTES_MAX (((size_t)32 << 20) - 2) /* a line that the server takes */
#define IST_PICTURE_BYTES_MAX ((size_t)23 << 20)      /* what fits into one in base64 */

struct ist_record {
	char *origin;	     /* for people: a path, "line 12" */
	char *id;	     /* NULL: none could be read */
	struct ist_buf line; /* the JSON, without a newline */
	struct ist_err err;  /* code IST_OK: the record can be sent */
};

/* Of a line of NDJSON; the caller frees it. NULL: none could be read. */
char *ist_ndjson_id(const char *line);

void ist_record_finish(struct ist_record *record);
/* Makes the line of an item: its id, the picture (NULL: none), the members of `item` (borrowed). An
 * id that the server would not take is the record's err. */
void ist_record_make(struct ist_record *record, const char *id, const struct ist_buf *picture,
		     const json_t *item);

struct ist_source_kind {
	const char *name;
	/* `path` is NULL where the source is given by options alone. */
	bool (*takes)(const char *path, const struct ist_args *args);
	enum ist_code (*open)(const char *path, const struct ist_args *args, void **ret,
			      struct ist_err *err);
	/* The next record (zeroed before), *ret_more false at the end. A record that cannot be read
	 * has its own err; what is returned ends the import. */
	enum ist_code (*next)(void *source, struct ist_record *record, bool *ret_more,
			      struct ist_err *err);
	double (*share)(const void *source); /* that was given so far, 0 to 1; negative: unknown */
	void (*close)(void *source);	     /* takes NULL */
	/* Of the vectors that it brings for images and texts, 0: none; NULL: never any. */
	void (*widths)(const void *source, size_t ret[2]);
};

extern const struct ist_source_kind ist_source_folder, ist_source_csv, ist_source_tar,
    ist_source_ndjson, ist_source_npy;

/* The kind that takes this path. */
IST_CHECKED enum ist_code ist_source_kind_of(const char *path, const struct ist_args *args,
					     const struct ist_source_kind **ret,
					     struct ist_err *err);

/* Whether the path ends like this, whatever the case: ".csv". */
bool ist_ends_like(const char *path, const char *suffix);
bool ist_is_picture_name(const char *path);

#endif
