/*
 * One job at work, on its lane's thread: its row is moved to running, its kind's function runs with
 * hooks that write progress about once a second and tell when to stop, and its row is moved to what
 * came of it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/jobs_private.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/rfc3339.h"

#define ROW_EVERY_US 1000000 /* between two writes of a running job's progress */
#define YIELD_US 500	     /* one look whether queries are done */
#define YIELDS_MAX 20	     /* looks at one check: queries delay a training by 10 ms each */

/* A job at work, with what only this file needs. */
struct work {
	struct ist_job job;
	struct ist_jobs *jobs;
	struct ist_job_row row;
	struct ist_arena arena;
	int64_t written_us;
};

/* Brings the row up to what is in memory. */
static void write_progress(struct work *work)
{
	json_t *snapshot = ist_job_live_snapshot(work->job.live);
	ist_autofree char *text = json_dumps(snapshot, JSON_COMPACT);
	struct ist_err err = {0};

	json_decref(snapshot);
	work->row.progress = text;
	/* Not urgent: a disk that is full for a while must not end a training. */
	if (ist_jobs_update(work->jobs->options.store, &work->row, "running", &err))
		ist_jobs_note(work->jobs, IST_LOG_WARN, "job_progress_not_written", work->row.id,
			      err.text);
	work->row.progress = NULL;
	work->written_us = ist_now_us();
}

/* ---- the hooks that a kind's function calls, on the lane's thread ---- */

static void hook_progress(void *user, double fraction, const char *stage)
{
	struct work *work = user;

	ist_job_live_progress(work->job.live, fraction, stage);
	if (ist_now_us() - work->written_us >= ROW_EVERY_US)
		write_progress(work);
}

static void hook_curve(void *user, const char *name, double step, double value)
{
	ist_job_live_curve(((struct work *)user)->job.live, name, step, value);
}

/* True ends the work. Before it says false it waits a little while queries are in flight: they
 * share the processors with the training, and somebody waits for them. */
static bool hook_stop(void *user)
{
	struct work *work = user;
	static const struct timespec pause = {.tv_nsec = YIELD_US * 1000};

	for (int i = 0; i < YIELDS_MAX; i++) {
		if (atomic_load(&work->jobs->stopping) || ist_job_live_cancelled(work->job.live))
			return true;
		if (atomic_load(&work->jobs->queries) == 0)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* Runs the kind's function; the state that the job ends in. */
static const char *run(struct work *work, const struct ist_job_kind *kind)
{
	struct ist_jobs *jobs = work->jobs;
	json_t *request = json_loads(work->row.request, 0, NULL), *result = NULL;
	const char *folder = ist_arena_format(&work->arena, "%s/jobs/%s",
					      ist_store_folder(jobs->options.store), work->row.id);
	struct ist_err err = {0};
	enum ist_code code = ist_dir_make(folder, &err);
	ist_autofree char *text = NULL;

	work->job.request = request;
	work->job.hooks = (struct ist_train_hooks){.user = work,
						   .progress = hook_progress,
						   .curve = hook_curve,
						   .stop = hook_stop,
						   .checkpoint_dir = folder};
	if (!code)
		code = kind->run(&work->job, &result, &err);
	json_decref(request);
	if (!code) {
		text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
		work->row.result = ist_arena_strdup(&work->arena, text != NULL ? text : "null");
		json_decref(result);
		return "done";
	}
	if (code == IST_CANCELLED && ist_job_live_cancelled(work->job.live))
		return "cancelled";
	if (code == IST_CANCELLED && atomic_load(&jobs->stopping))
		return "queued";
	err.code = code;
	work->row.error = ist_jobs_problem(&work->arena, work->row.id, &err);
	ist_jobs_note(jobs, IST_LOG_ERROR, "job_failed", work->row.id, err.text);
	return "failed";
}

/* The last write of a job's row is tried until it succeeds or the daemon stops (the next start
 * then takes the job up again). */
static bool write_end(struct work *work, const char *state)
{
	struct timespec until;
	struct ist_err err = {0};

	while (ist_jobs_move(work->jobs, &work->row, state, &err)) {
		ist_jobs_note(work->jobs, IST_LOG_ERROR, "job_end_not_written", work->row.id,
			      err.text);
		if (atomic_load(&work->jobs->stopping) || err.code == IST_CONFLICT ||
		    err.code == IST_NOT_FOUND)
			return false;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_mutex_lock(&work->jobs->lock);
		pthread_cond_timedwait(&work->jobs->wake, &work->jobs->lock, &until);
		pthread_mutex_unlock(&work->jobs->lock);
	}
	return true;
}

/* Writes what the job came to. Its folder goes when the row is final, not before: a crash in
 * between leaves a folder too many, never a job without its checkpoint. */
static void finish(struct work *work, const char *state)
{
	bool again = strcmp(state, "queued") == 0;
	json_t *snapshot = ist_job_live_snapshot(work->job.live);
	ist_autofree char *text = json_dumps(snapshot, JSON_COMPACT);
	struct ist_err err = {0};

	json_decref(snapshot);
	work->row.progress = text;
	work->row.finished_us = again ? 0 : ist_now_us();
	work->row.attempts -= again;
	if (!write_end(work, state))
		return;
	ist_jobs_count(work->jobs, state);
	ist_metrics_count(IST_COUNT_JOBS_FAILED, strcmp(state, "failed") == 0);
	if (again) {
		ist_job_live_state(work->job.live, state);
		return;
	}
	ist_jobs_note(work->jobs, IST_LOG_INFO, "job_ended", work->row.id, state);
	if (ist_dir_remove(work->job.hooks.checkpoint_dir, &err))
		ist_jobs_note(work->jobs, IST_LOG_WARN, "job_folder_left", work->row.id, err.text);
	ist_jobs_announce_end(&work->row, work->job.live);
}

void ist_jobs_run_one(struct ist_jobs *jobs, struct ist_job_live *live)
{
	struct work work = {.jobs = jobs, .written_us = ist_now_us()};
	const struct ist_job_kind *kind;
	struct ist_err err = {0};

	if (ist_jobs_get(jobs->options.store, ist_job_live_id(live), &work.arena, &work.row,
			 &err) ||
	    strcmp(work.row.state, "queued") != 0)
		goto out;
	kind = ist_jobs_kind(jobs, work.row.kind);
	work.row.attempts++;
	if (work.row.started_us == 0)
		work.row.started_us = ist_now_us();
	if (ist_jobs_move(jobs, &work.row, "running", &err)) {
		if (err.code != IST_CONFLICT)
			ist_jobs_note(jobs, IST_LOG_ERROR, "job_not_started", work.row.id,
				      err.text);
		goto out;
	}
	ist_jobs_note(jobs, IST_LOG_INFO, "job_started", work.row.id, work.row.kind);
	work.job = (struct ist_job){.store = jobs->options.store,
				    .id = work.row.id,
				    .collection = work.row.collection,
				    .attempt = work.row.attempts,
				    .live = live};
	ist_job_live_begin(live);
	ist_job_live_state(live, "running");
	finish(&work, run(&work, kind));
out:
	ist_arena_finish(&work.arena);
}
