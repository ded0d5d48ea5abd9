/*
 * The job runner. A job's row in the store is the truth; here are the threads that work on them,
 * one a lane: training and measuring in one, building indexes for an activation in the other, so
 * that swapping in a model need not wait for a training to end.
 *
 * A job that a crash cut short is started again, from its checkpoint, and has failed after three.
 * On a stop of the daemon the running one goes back to the queue and is not counted.
 * Any thread may call anything here; ist_jobs_stop and _destroy are main's.
 */
#ifndef IST_SERVER_JOBS_H
#define IST_SERVER_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "index/store.h"
#include "server/job_live.h"

#define IST_JOB_ATTEMPTS 3
#define IST_JOBS_QUEUED 1000 /* more are refused with IST_TOO_BUSY */

struct ist_jobs;
enum ist_job_lane { IST_LANE_TRAIN, IST_LANE_INDEX, IST_N_LANES };

/* A job at work, as its kind sees it. */
struct ist_job {
	struct ist_store *store;
	const char *id, *collection;
	const json_t *request;
	int attempt; /* from 1 */
	struct ist_job_live *live;
	struct ist_train_hooks hooks; /* progress, curves, stop and the checkpoint's folder */
};

struct ist_job_kind {
	const char *name; /* "train": the word in rows and in the API */
	enum ist_job_lane lane;
	/* Does the work on the lane's thread. IST_CANCELLED after hooks.stop said so. */
	enum ist_code (*run)(struct ist_job *job, json_t **ret_result, struct ist_err *err);
};
extern const struct ist_job_kind *const ist_job_kinds[]; /* ends with NULL */
extern const struct ist_job_kind ist_job_train, ist_job_auto, ist_job_compare, ist_job_evaluate,
    ist_job_activate;

/* The states and what may follow what; ist_job_may_become(NULL, …) is how a job begins. */
extern const char *const ist_job_states[]; /* ends with NULL */
bool ist_job_may_become(const char *from, const char *to);

struct ist_jobs_options {
	struct ist_store *store;
	const struct ist_job_kind *const *kinds; /* NULL: ist_job_kinds */
	int threads; /* of BLAS and OpenMP in the training lane; 0: one a processor */
	/* What the log should hold: "job_started", "job_failed", … ; any thread. */
	void (*event)(void *user, int level, const char *event, const char *job, const char *text);
	void *user;
};
struct ist_jobs *ist_jobs_create(const struct ist_jobs_options *options);
/* Takes up the rows that wait or were cut short, then starts the lanes. */
IST_CHECKED enum ist_code ist_jobs_start(struct ist_jobs *jobs, struct ist_err *err);
/* Ends the running jobs at their next check; returns when the lanes are through. */
void ist_jobs_stop(struct ist_jobs *jobs);
void ist_jobs_destroy(struct ist_jobs *jobs); /* NULL is fine */

/* Queues a job. The same idempotency key (NULL: none) with the same request finds the first one
 * again (*ret_found), with another request it is IST_CONFLICT. */
IST_CHECKED enum ist_code ist_jobs_submit(struct ist_jobs *jobs, const char *kind,
					  const char *collection, const json_t *request,
					  const char *idempotency_key, char ret_id[32],
					  bool *ret_found, struct ist_err *err);
/* Queued: cancelled at once. Running (*ret_running): it is asked to end. Finished: IST_CONFLICT. */
IST_CHECKED enum ist_code ist_jobs_cancel(struct ist_jobs *jobs, const char *id, bool *ret_running,
					  struct ist_err *err);

/* A job as clients see it, from its row and, while it runs, from memory. */
IST_CHECKED enum ist_code ist_jobs_describe(struct ist_jobs *jobs, const char *id, json_t **ret,
					    struct ist_err *err);
json_t *ist_job_json(const struct ist_job_row *row, struct ist_job_live *live);
/* The living side of a job, with a reference; NULL if it is long over or unknown. */
struct ist_job_live *ist_jobs_live(struct ist_jobs *jobs, const char *id);

/* Queries go first: between these two calls a training waits a little at each of its checks. */
void ist_jobs_query_begin(struct ist_jobs *jobs);
void ist_jobs_query_end(struct ist_jobs *jobs);

struct ist_jobs_stats {
	size_t queued, running;
	uint64_t done, failed, cancelled; /* since the start of the daemon */
};
void ist_jobs_stats(struct ist_jobs *jobs, struct ist_jobs_stats *ret);

#endif
