/*
 * An import: records are read into a batch, while those of the batch before are decoded and encoded
 * by the crew, while the one before that is written; so the crew has work whenever there is some.
 * Two batches bound the memory. Result lines come in the order of the records.
 * One thread owns an import.
 */
#ifndef IST_SERVER_IMPORT_H
#define IST_SERVER_IMPORT_H

#include "server/daemon.h"
#include "server/import_batch.h"
#include "server/spool.h"
#include "server/vector_scan.h"

struct ist_import {
	struct ist_daemon *daemon;
	struct ist_collection *collection;
	size_t dim[IST_N_MODALITIES];
	struct ist_import_batch batches[2];
	struct ist_import_batch *now;	    /* takes records */
	struct ist_import_batch *under_way; /* is being encoded; NULL: none */
	struct ist_vector_scan scan;
	struct ist_spool *spool; /* of the result lines */
	bool only_failed;
	uint64_t counts[IST_FAILED + 1]; /* by enum ist_write_status */
};

void ist_import_init(struct ist_import *im, struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_spool *spool, bool only_failed);
/* What was not written is lost: ist_import_drain comes before. */
void ist_import_finish(struct ist_import *im);

/* A new record; a full batch makes room first. `bytes` is what it weighs. */
IST_CHECKED enum ist_code ist_import_add(struct ist_import *im, size_t bytes,
					 struct ist_import_record **ret, struct ist_err *err);
/* Parses a line of NDJSON into the record. */
void ist_import_read_line(struct ist_import *im, struct ist_import_record *r, struct ist_str line);
/* The record is read, as far as it could be. */
IST_CHECKED enum ist_code ist_import_ready(struct ist_import *im, struct ist_import_record *r,
					   struct ist_err *err);

/* Since when the oldest record waits to be handed on; 0: none does. */
int64_t ist_import_waits_since(const struct ist_import *im);
bool ist_import_is_idle(const struct ist_import *im); /* all is written */
/* Hands on what was read, and writes what was encoded meanwhile. An error is one of the stream. */
IST_CHECKED enum ist_code ist_import_step(struct ist_import *im, struct ist_err *err);
/* Until all is written. Goes on after an error, so that each record has its line. */
IST_CHECKED enum ist_code ist_import_drain(struct ist_import *im, struct ist_err *err);

#endif
