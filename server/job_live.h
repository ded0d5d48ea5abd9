/*
 * What is known of a job while it lives in memory: its progress, its curves and the events that
 * watchers read. Made when a job is queued, kept a while after its end, counted: the runner, the
 * list of jobs and every stream of events hold a reference. Any thread may call anything.
 */
#ifndef IST_SERVER_JOB_LIVE_H
#define IST_SERVER_JOB_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

#define IST_CURVE_POINTS 500 /* of one curve; a longer one keeps every second, fourth, … point */
#define IST_CURVES 64
#define IST_JOB_EVENTS 4096 /* the latest ones are kept for watchers who come late */

struct ist_job_live;

struct ist_job_live *ist_job_live_create(const char *id); /* one reference */
struct ist_job_live *ist_job_live_ref(struct ist_job_live *live);
void ist_job_live_unref(struct ist_job_live *live);
const char *ist_job_live_id(const struct ist_job_live *live);

/* The runner's side. `begin` starts the clock of the remaining time. */
void ist_job_live_begin(struct ist_job_live *live);
void ist_job_live_progress(struct ist_job_live *live, double fraction, const char *stage);
void ist_job_live_curve(struct ist_job_live *live, const char *name, double step, double value);
/* An event "state" with {"id", "state"}. */
void ist_job_live_state(struct ist_job_live *live, const char *state);
/* An event "end" with the job as it is described to clients; nothing comes after it. */
void ist_job_live_end(struct ist_job_live *live, const json_t *job);

/* Takes back what the row held when the daemon last stopped. */
void ist_job_live_restore(struct ist_job_live *live, const json_t *progress);
/* {"progress", "stage", "eta_s", "curves"}: what is written into the row and shown. */
json_t *ist_job_live_snapshot(struct ist_job_live *live);

/* Asking a job to end. `request` is false once it is past the point of no return; `commit` is that
 * point, false where somebody asked before. */
bool ist_job_live_request_cancel(struct ist_job_live *live);
bool ist_job_live_cancelled(struct ist_job_live *live);
bool ist_job_live_commit(struct ist_job_live *live);

/* A watcher's side: appends the events after *cursor as text/event-stream and moves the cursor.
 * True if more may come. */
bool ist_job_live_read(struct ist_job_live *live, uint64_t *cursor, struct ist_buf *ret);
/* One event as it goes over the wire. Data is one line. */
void ist_event_put(struct ist_buf *buf, uint64_t id, const char *event, const char *data);

#endif
