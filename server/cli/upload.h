/*
 * Sends records in bounded requests, two in flight. What a request has brought is durable once its
 * answer is here, and goes into the journal then.
 */
#ifndef IST_SERVER_CLI_UPLOAD_H
#define IST_SERVER_CLI_UPLOAD_H

#include "server/cli/cli.h"
#include "server/cli/journal.h"
#include "server/cli/source.h"

#define IST_UPLOAD_ITEMS_MAX 1000
#define IST_UPLOAD_BYTES_MAX ((size_t)32 << 20)

struct ist_upload;

/* What came of the records so far. */
struct ist_upload_counts {
	uint64_t created, updated, unchanged, failed;
	uint64_t skipped; /* acknowledged before this run began */
};

struct ist_upload *ist_upload_create(const struct ist_http *http, const char *collection,
				     unsigned retries, struct ist_journal *journal);
void ist_upload_destroy(struct ist_upload *upload);

/* Takes one record over; waits where two requests are in flight and the next is full. */
IST_CHECKED enum ist_code ist_upload_add(struct ist_upload *upload, struct ist_record *record,
					 struct ist_err *err);
/* Sends what is left and waits for all answers; after a failure or Ctrl-C: for those in flight. */
IST_CHECKED enum ist_code ist_upload_finish(struct ist_upload *upload, struct ist_err *err);

const struct ist_upload_counts *ist_upload_counts(const struct ist_upload *upload);
uint64_t ist_upload_done(const struct ist_upload *upload); /* all of them */
/* [{"origin", "id", "code", "detail"}, …] */
const json_t *ist_upload_failures(const struct ist_upload *upload);

#endif
