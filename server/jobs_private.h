/* What the files of the job runner share: jobs.c (queues and requests), job_run.c (a job at work),
 * job_recover.c (rows that an earlier run of the daemon left). */
#ifndef IST_SERVER_JOBS_PRIVATE_H
#define IST_SERVER_JOBS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/jobs.h"

#define IST_JOBS_ENDED_KEPT 16 /* ended jobs whose events can still be read */

struct ist_lane {
	struct ist_jobs *jobs;
	enum ist_job_lane which;
	pthread_t thread;
	bool started;
	struct ist_job_live **queue;
	size_t n, cap;
	struct ist_job_live *running;
};

struct ist_jobs {
	struct ist_jobs_options options;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ist_lane lanes[IST_N_LANES];
	struct ist_job_live *ended[IST_JOBS_ENDED_KEPT];
	size_t next_ended;
	struct ist_jobs_stats stats;
	atomic_bool stopping;
	atomic_int queries; /* in flight */
};

/* A line for the log. */
void ist_jobs_note(struct ist_jobs *jobs, int level, const char *event, const char *job,
		   const char *text);
const struct ist_job_kind *ist_jobs_kind(const struct ist_jobs *jobs, const char *name);
/* Queues a job in memory; takes over the reference. */
void ist_jobs_enqueue(struct ist_jobs *jobs, struct ist_lane *lane, struct ist_job_live *live);
/* Moves a row into another state; IST_CONFLICT if it was no longer in this one. */
IST_CHECKED enum ist_code ist_jobs_move(struct ist_jobs *jobs, struct ist_job_row *row,
					const char *to, struct ist_err *err);
/* The problem document of an error, as a row holds it; in the arena. */
const char *ist_jobs_problem(struct ist_arena *arena, const char *id, const struct ist_err *err);
void ist_jobs_count(struct ist_jobs *jobs, const char *state);
/* Tells the watchers that the job is over. */
void ist_jobs_announce_end(const struct ist_job_row *row, struct ist_job_live *live);

/* job_run.c: from the queue to its end; the row decides whether it still waits. */
void ist_jobs_run_one(struct ist_jobs *jobs, struct ist_job_live *live);
/* job_recover.c: takes up the rows that wait or were cut short. */
IST_CHECKED enum ist_code ist_jobs_recover(struct ist_jobs *jobs, struct ist_err *err);

#endif
