/*
 * A batch of an import: records are read into it, prepared by several threads at once (pictures
 * decoded, media encoded), written in one call and turned into result lines in input order.
 * One thread owns it.
 */
#ifndef IST_SERVER_IMPORT_BATCH_H
#define IST_SERVER_IMPORT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/daemon.h"
#include "server/item_json.h"
#include "server/spool.h"
#include "server/vector_scan.h"

#define IST_BATCH_RECORDS 1000
#define IST_BATCH_BYTES ((size_t)24 << 20)
#define IST_BATCH_TEXTS 4000

struct ist_import_record {
	uint64_t line;	    /* 0: `member` says where it came from */
	const char *member; /* in the arena */
	const char *id;	    /* NULL: unreadable */
	json_t *json;
	struct ist_item_given given;
	bool again, unchanged; /* again: its id stands earlier in the batch */
	enum ist_write_status status;
	struct ist_err err; /* code 0: good so far */
};

struct ist_import_batch {
	struct ist_worker *worker;
	struct ist_collection *collection;
	size_t dim[IST_N_MODALITIES];
	struct ist_arena arena;
	struct ist_vector_scan scan;
	struct ist_import_record *records;
	uint16_t *slots; /* of the hash table of ids: 1 + record */
	size_t n, bytes, texts;
	int64_t since_us; /* when the first record came */
	struct ist_spool *spool;
	bool only_failed;
	uint64_t counts[IST_FAILED + 1]; /* by enum ist_write_status */
};

void ist_batch_init(struct ist_import_batch *b, struct ist_worker *worker, struct ist_collection *c,
		    struct ist_spool *spool, bool only_failed);
void ist_batch_finish(struct ist_import_batch *b);
bool ist_batch_is_full(const struct ist_import_batch *b);

/* The next record, zeroed; the batch must not be full. */
struct ist_import_record *ist_batch_add(struct ist_import_batch *b, size_t bytes);
/* Parses a line of NDJSON into the record. */
void ist_record_read_line(struct ist_import_batch *b, struct ist_import_record *r,
			  struct ist_str line);
/* After the record's id is known. */
void ist_batch_note_id(struct ist_import_batch *b, struct ist_import_record *r);

/* Prepares, writes, spools the lines, and empties the batch. An error is one of the stream. */
IST_CHECKED enum ist_code ist_batch_run(struct ist_import_batch *b, struct ist_err *err);

#endif
