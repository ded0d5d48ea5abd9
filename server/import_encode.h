/*
 * What a batch of an import has to have decoded and encoded. The import's thread plans, record by
 * record; then all of it is handed to the crew (struct ist_daemon), which is shared by all imports
 * and works off one batch after the other: a picture a job, texts of many records a job.
 */
#ifndef IST_SERVER_IMPORT_ENCODE_H
#define IST_SERVER_IMPORT_ENCODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/daemon.h"
#include "server/item_prepare.h"
#include "server/workers.h"

#define IST_ENCODE_PICTURES 128 /* of a batch: it should not take long */
#define IST_ENCODE_TEXTS 1024
#define IST_ENCODE_TOGETHER 32 /* texts of a job */

struct ist_import_batch;
struct ist_import_record;

enum ist_encode_state { IST_ENCODE_WAITS, IST_ENCODE_MADE, IST_ENCODE_REFUSED, IST_ENCODE_LEFT };

struct ist_encode_text {
	struct ist_import_record *record;
	struct ist_str text;
	struct ist_encoding made;
	enum ist_encode_state state;
};

struct ist_encode_helper { /* one thread of the crew at work on the batch */
	struct ist_task task;
	struct ist_encode_work *work;
};

struct ist_encode_work {
	struct ist_daemon *daemon;
	struct ist_import_record **pictures;
	struct ist_encode_text *texts;
	size_t n_pictures, n_texts, cap_texts;
	const struct ist_encoder *text_encoder;
	size_t n_jobs;
	atomic_size_t next; /* job that nobody has taken */
	struct ist_encode_helper helpers[64];
	pthread_mutex_t lock;
	pthread_cond_t ready;
	size_t n_helpers; /* at work; guarded by lock */
};

void ist_encode_init(struct ist_encode_work *work);
void ist_encode_finish(struct ist_encode_work *work);
void ist_encode_clear(struct ist_encode_work *work);
bool ist_encode_is_full(const struct ist_encode_work *work);

/* Finds out whether the record must be written, and what has to be made for it. What goes wrong is
 * the record's. */
void ist_encode_plan(struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_import_batch *b, struct ist_import_record *r);
/* Returns at once; the batch must stay as it is until ist_encode_wait. */
void ist_encode_start(struct ist_daemon *daemon, struct ist_encode_work *work);
/* Waits until all is made, gives it to the records, and keeps it in the cache. */
void ist_encode_wait(struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_import_batch *b);

#endif
