/*
 * The records of an import that are encoded and written together, with the memory of all that they
 * are. The import's thread owns it; while it is being encoded, others may write into what
 * import_encode.h hands them, and the import only looks up ids.
 */
#ifndef IST_SERVER_IMPORT_BATCH_H
#define IST_SERVER_IMPORT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/import_encode.h"
#include "server/item_json.h"

#define IST_BATCH_RECORDS 1000
#define IST_BATCH_BYTES ((size_t)12 << 20)
#define IST_BATCH_TEXTS 4000
#define IST_BATCH_SLOTS 4096 /* a power of two, well over IST_BATCH_RECORDS */

struct ist_import_record {
	uint64_t line;	    /* 0: `member` says where it came from */
	const char *member; /* in the arena */
	const char *id;	    /* NULL: unreadable */
	json_t *json;
	struct ist_item_given given;
	struct ist_picture_plan *picture; /* NULL: it has none, or none that must be looked at */
	bool again, unchanged; /* again: its id stands before it among what is not written yet */
	enum ist_write_status status;
	struct ist_err err; /* code 0: good so far */
};

struct ist_import_batch {
	struct ist_arena arena;
	struct ist_import_record *records;
	uint16_t *slots; /* of the hash table of ids: 1 + record */
	size_t n, bytes, texts;
	int64_t since_us; /* when the first record came */
	struct ist_encode_work work;
};

void ist_batch_init(struct ist_import_batch *b);
void ist_batch_finish(struct ist_import_batch *b);
/* Forgets the records, keeps the memory. */
void ist_batch_clear(struct ist_import_batch *b);
bool ist_batch_is_full(const struct ist_import_batch *b);
/* The next record, zeroed; the batch must not be full. */
struct ist_import_record *ist_batch_add(struct ist_import_batch *b, size_t bytes);
bool ist_batch_has_id(const struct ist_import_batch *b, const char *id);
/* False: it has it already. */
bool ist_batch_add_id(struct ist_import_batch *b, const struct ist_import_record *r);

#endif
