/*
 * The job runner: a queue and a thread for each lane. Rows are written through the store, always
 * from an expected state, so that a cancellation and a start never both win. What runs is also
 * held in memory (job_live.h); its row follows about once a second.
 *
 * jobs->lock guards the queues, what runs and what has lately ended; no store is called under it.
 */
#include "server/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/http.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/rfc3339.h"

#define ROW_EVERY_US 1000000 /* between two writes of a running job's progress */
#define ENDED_KEPT 16	     /* ended jobs whose events can still be read */
#define YIELD_US 500	     /* one look whether queries are done */
#define YIELDS_MAX 20	     /* looks at one check: queries delay a training by 10 ms each */
#define TRAIN_NICE 10
#define REQUEUE_PAGE 100

struct lane {
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
	struct lane lanes[IST_N_LANES];
	struct ist_job_live *ended[ENDED_KEPT];
	size_t next_ended;
	struct ist_jobs_stats stats;
	atomic_bool stopping;
	atomic_int queries; /* in flight */
};

const struct ist_job_kind *const ist_job_kinds[] = {&ist_job_train, &ist_job_evaluate,
						    &ist_job_activate, NULL};

/* A job at work, with what only the runner needs. */
struct work {
	struct ist_job job;
	struct ist_jobs *jobs;
	struct ist_job_row row;
	struct ist_arena arena;
	int64_t written_us;
};

static void note(struct ist_jobs *jobs, int level, const char *event, const char *job,
		 const char *text)
{
	if (jobs->options.event != NULL)
		jobs->options.event(jobs->options.user, level, event, job, text);
}

static const struct ist_job_kind *kind_find(const struct ist_jobs *jobs, const char *name)
{
	for (const struct ist_job_kind *const *k = jobs->options.kinds; *k != NULL; k++)
		if (strcmp((*k)->name, name) == 0)
			return *k;
	return NULL;
}

struct ist_jobs *ist_jobs_create(const struct ist_jobs_options *options)
{
	struct ist_jobs *jobs = ist_alloc(1, sizeof(*jobs));

	jobs->options = *options;
	if (jobs->options.kinds == NULL)
		jobs->options.kinds = ist_job_kinds;
	if (jobs->options.threads <= 0)
		jobs->options.threads = (int)IST_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->wake, NULL);
	for (int i = 0; i < IST_N_LANES; i++) {
		jobs->lanes[i].jobs = jobs;
		jobs->lanes[i].which = (enum ist_job_lane)i;
	}
	return jobs;
}

void ist_jobs_destroy(struct ist_jobs *jobs)
{
	if (jobs == NULL)
		return;
	ist_jobs_stop(jobs);
	for (int i = 0; i < IST_N_LANES; i++) {
		for (size_t k = 0; k < jobs->lanes[i].n; k++)
			ist_job_live_unref(jobs->lanes[i].queue[k]);
		free(jobs->lanes[i].queue);
	}
	for (size_t i = 0; i < ENDED_KEPT; i++)
		ist_job_live_unref(jobs->ended[i]);
	pthread_cond_destroy(&jobs->wake);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

/* ---- the queues ---- */

/* Takes over the reference. */
static void enqueue(struct ist_jobs *jobs, struct lane *lane, struct ist_job_live *live)
{
	ist_job_live_state(live, "queued");
	pthread_mutex_lock(&jobs->lock);
	if (lane->n == lane->cap) {
		lane->cap = lane->cap ? lane->cap * 2 : 8;
		lane->queue = ist_resize(lane->queue, lane->cap, sizeof(*lane->queue));
	}
	lane->queue[lane->n++] = live;
	pthread_cond_broadcast(&jobs->wake);
	pthread_mutex_unlock(&jobs->lock);
}

/* Removes and returns the i-th; the lock is held. */
static struct ist_job_live *dequeue(struct lane *lane, size_t i)
{
	struct ist_job_live *live = lane->queue[i];

	lane->n--;
	memmove(lane->queue + i, lane->queue + i + 1, (lane->n - i) * sizeof(*lane->queue));
	return live;
}

/* Puts an ended job where late watchers find it; takes over the reference. The lock is held. */
static void keep_ended(struct ist_jobs *jobs, struct ist_job_live *live)
{
	ist_job_live_unref(jobs->ended[jobs->next_ended]);
	jobs->ended[jobs->next_ended] = live;
	jobs->next_ended = (jobs->next_ended + 1) % ENDED_KEPT;
}

static bool is_it(const struct ist_job_live *live, const char *id)
{
	return live != NULL && strcmp(ist_job_live_id(live), id) == 0;
}

struct ist_job_live *ist_jobs_live(struct ist_jobs *jobs, const char *id)
{
	struct ist_job_live *found = NULL;

	pthread_mutex_lock(&jobs->lock);
	for (struct lane *lane = jobs->lanes; lane < jobs->lanes + IST_N_LANES; lane++) {
		if (is_it(lane->running, id))
			found = lane->running;
		for (size_t i = 0; found == NULL && i < lane->n; i++)
			if (is_it(lane->queue[i], id))
				found = lane->queue[i];
	}
	for (size_t i = 0; found == NULL && i < ENDED_KEPT; i++)
		if (is_it(jobs->ended[i], id))
			found = jobs->ended[i];
	if (found != NULL)
		ist_job_live_ref(found);
	pthread_mutex_unlock(&jobs->lock);
	return found;
}

void ist_jobs_stats(struct ist_jobs *jobs, struct ist_jobs_stats *ret)
{
	pthread_mutex_lock(&jobs->lock);
	*ret = jobs->stats;
	for (int i = 0; i < IST_N_LANES; i++) {
		ret->queued += jobs->lanes[i].n;
		ret->running += jobs->lanes[i].running != NULL;
	}
	pthread_mutex_unlock(&jobs->lock);
}

/* ---- rows ---- */

/* Moves a row into another state; IST_CONFLICT if it was no longer in this one. */
static enum ist_code move(struct ist_jobs *jobs, struct ist_job_row *row, const char *to,
			  struct ist_err *err)
{
	const char *from = row->state;
	enum ist_code code;

	if (!ist_job_may_become(from, to))
		return ist_fail(err, IST_CONFLICT, "job %s is %s and cannot become %s", row->id,
				from, to);
	row->state = to;
	code = ist_jobs_update(jobs->options.store, row, from, err);
	if (code)
		row->state = from;
	return code;
}

static const char *problem_text(struct ist_arena *arena, const char *id, const struct ist_err *err)
{
	json_t *problem = ist_problem(err, ist_arena_format(arena, "/v1/jobs/%s", id), "");
	ist_autofree char *text = json_dumps(problem, JSON_COMPACT);

	json_decref(problem);
	return ist_arena_strdup(arena, text != NULL ? text : "null");
}

static void count(struct ist_jobs *jobs, const char *state)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->stats.done += strcmp(state, "done") == 0;
	jobs->stats.failed += strcmp(state, "failed") == 0;
	jobs->stats.cancelled += strcmp(state, "cancelled") == 0;
	pthread_mutex_unlock(&jobs->lock);
}

/* Tells the watchers that the job is over. */
static void announce_end(const struct ist_job_row *row, struct ist_job_live *live)
{
	json_t *json = ist_job_json(row, NULL);

	ist_job_live_state(live, row->state);
	ist_job_live_end(live, json);
	json_decref(json);
}

/* ---- one job at work ---- */

static void write_progress(struct work *work)
{
	json_t *snapshot = ist_job_live_snapshot(work->job.live);
	ist_autofree char *text = json_dumps(snapshot, JSON_COMPACT);
	struct ist_err err = {0};

	json_decref(snapshot);
	work->row.progress = text;
	/* Not urgent: a disk that is full for a while must not end a training. */
	if (ist_jobs_update(work->jobs->options.store, &work->row, "running", &err))
		note(work->jobs, IST_LOG_WARN, "job_progress_not_written", work->row.id, err.text);
	work->row.progress = NULL;
	work->written_us = ist_now_us();
}

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

void ist_jobs_query_begin(struct ist_jobs *jobs)
{
	atomic_fetch_add(&jobs->queries, 1);
}

void ist_jobs_query_end(struct ist_jobs *jobs)
{
	atomic_fetch_sub(&jobs->queries, 1);
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
	work->row.error = problem_text(&work->arena, work->row.id, &err);
	note(jobs, IST_LOG_ERROR, "job_failed", work->row.id, err.text);
	return "failed";
}

/* The last write of a job's row is tried until it succeeds or the daemon stops (the next start
 * then takes the job up again). */
static bool write_end(struct work *work, const char *state)
{
	struct timespec until;
	struct ist_err err = {0};

	while (move(work->jobs, &work->row, state, &err)) {
		note(work->jobs, IST_LOG_ERROR, "job_end_not_written", work->row.id, err.text);
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
	count(work->jobs, state);
	ist_metrics_count(IST_COUNT_JOBS_FAILED, strcmp(state, "failed") == 0);
	if (again) {
		ist_job_live_state(work->job.live, state);
		return;
	}
	note(work->jobs, IST_LOG_INFO, "job_ended", work->row.id, state);
	if (ist_dir_remove(work->job.hooks.checkpoint_dir, &err))
		note(work->jobs, IST_LOG_WARN, "job_folder_left", work->row.id, err.text);
	announce_end(&work->row, work->job.live);
}

/* From the queue to its end; the row decides whether it still waits. */
static void run_one(struct ist_jobs *jobs, struct ist_job_live *live)
{
	struct work work = {.jobs = jobs, .written_us = ist_now_us()};
	const struct ist_job_kind *kind;
	struct ist_err err = {0};

	if (ist_jobs_get(jobs->options.store, ist_job_live_id(live), &work.arena, &work.row,
			 &err) ||
	    strcmp(work.row.state, "queued") != 0)
		goto out;
	kind = kind_find(jobs, work.row.kind);
	work.row.attempts++;
	if (work.row.started_us == 0)
		work.row.started_us = ist_now_us();
	if (move(jobs, &work.row, "running", &err)) {
		if (err.code != IST_CONFLICT)
			note(jobs, IST_LOG_ERROR, "job_not_started", work.row.id, err.text);
		goto out;
	}
	note(jobs, IST_LOG_INFO, "job_started", work.row.id, work.row.kind);
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

static void *lane_main(void *user)
{
	struct lane *lane = user;
	struct ist_jobs *jobs = lane->jobs;

	/* Queries come first: threads that BLAS starts from here inherit this. */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), TRAIN_NICE))
		note(jobs, IST_LOG_WARN, "job_priority_kept", "", "setpriority failed");
	ist_threads_use(lane->which == IST_LANE_TRAIN ? jobs->options.threads : 1);
	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (lane->n == 0 && !atomic_load(&jobs->stopping))
			pthread_cond_wait(&jobs->wake, &jobs->lock);
		if (atomic_load(&jobs->stopping))
			break;
		lane->running = dequeue(lane, 0);
		pthread_mutex_unlock(&jobs->lock);
		run_one(jobs, lane->running);
		pthread_mutex_lock(&jobs->lock);
		keep_ended(jobs, lane->running);
		lane->running = NULL;
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* ---- start and stop ---- */

/* A row that was running when the daemon died: back to the queue, or failed after three times. */
static enum ist_code recover(struct ist_jobs *jobs, struct ist_job_row *row,
			     struct ist_arena *arena, struct ist_err *err)
{
	struct ist_err cut = {0};
	struct ist_err ignored = {0};

	if (row->attempts < IST_JOB_ATTEMPTS) {
		note(jobs, IST_LOG_WARN, "job_resumes", row->id, "it was cut short");
		return move(jobs, row, "queued", err);
	}
	if (ist_fail(&cut, IST_INTERNAL, "the daemon ended %d times while this job ran",
		     row->attempts) == IST_INTERNAL)
		row->error = problem_text(arena, row->id, &cut);
	row->finished_us = ist_now_us();
	note(jobs, IST_LOG_ERROR, "job_failed", row->id, cut.text);
	if (ist_dir_remove(ist_arena_format(arena, "%s/jobs/%s",
					    ist_store_folder(jobs->options.store), row->id),
			   &ignored))
		note(jobs, IST_LOG_WARN, "job_folder_left", row->id, ignored.text);
	return move(jobs, row, "failed", err);
}

/* Queues a waiting row in memory. */
static enum ist_code take_up(struct ist_jobs *jobs, struct ist_job_row *row,
			     struct ist_arena *arena, struct ist_err *err)
{
	const struct ist_job_kind *kind = kind_find(jobs, row->kind);
	struct ist_err unknown = {0};
	struct ist_job_live *live;
	json_t *progress;

	if (kind == NULL) {
		if (ist_fail(&unknown, IST_INTERNAL, "no job of kind %s is known", row->kind))
			row->error = problem_text(arena, row->id, &unknown);
		row->finished_us = ist_now_us();
		return move(jobs, row, "failed", err);
	}
	live = ist_job_live_create(row->id);
	progress = row->progress != NULL ? json_loads(row->progress, 0, NULL) : NULL;
	ist_job_live_restore(live, progress);
	json_decref(progress);
	enqueue(jobs, &jobs->lanes[kind->lane], live);
	return IST_OK;
}

/* All rows of a state, oldest first, in the arena. */
static enum ist_code rows_of(struct ist_jobs *jobs, const char *state, struct ist_arena *arena,
			     struct ist_job_row **ret, size_t *ret_n, struct ist_err *err)
{
	struct ist_job_row *all = NULL, *page;
	size_t n = 0, n_page = REQUEUE_PAGE;
	char before[32] = "";

	while (n_page == REQUEUE_PAGE) {
		enum ist_code code = ist_jobs_list(jobs->options.store, before, state, NULL,
						   REQUEUE_PAGE, arena, &page, &n_page, err);

		if (code) {
			free(all);
			return code;
		}
		all = ist_resize(all, n + n_page + 1, sizeof(*all));
		for (size_t i = 0; i < n_page; i++)
			all[n++] = page[i];
		if (n_page)
			snprintf(before, sizeof(before), "%s", all[n - 1].id);
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct ist_job_row swap = all[i];

		all[i] = all[n - 1 - i];
		all[n - 1 - i] = swap;
	}
	*ret = all;
	*ret_n = n;
	return IST_OK;
}

static enum ist_code for_all(struct ist_jobs *jobs, const char *state,
			     enum ist_code (*what)(struct ist_jobs *, struct ist_job_row *,
						   struct ist_arena *, struct ist_err *),
			     struct ist_err *err)
{
	struct ist_arena arena = {0};
	ist_autofree struct ist_job_row *rows = NULL;
	size_t n = 0;
	enum ist_code code = rows_of(jobs, state, &arena, &rows, &n, err);

	for (size_t i = 0; i < n && !code; i++)
		code = what(jobs, &rows[i], &arena, err);
	ist_arena_finish(&arena);
	return code;
}

enum ist_code ist_jobs_start(struct ist_jobs *jobs, struct ist_err *err)
{
	enum ist_code code = for_all(jobs, "running", recover, err);

	if (!code)
		code = for_all(jobs, "queued", take_up, err);
	if (code)
		return ist_wrap(err, "jobs");
	for (int i = 0; i < IST_N_LANES; i++) {
		if (pthread_create(&jobs->lanes[i].thread, NULL, lane_main, &jobs->lanes[i]))
			return ist_fail(err, IST_UNAVAILABLE, "no thread for jobs");
		jobs->lanes[i].started = true;
	}
	return IST_OK;
}

void ist_jobs_stop(struct ist_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	atomic_store(&jobs->stopping, true);
	pthread_cond_broadcast(&jobs->wake);
	pthread_mutex_unlock(&jobs->lock);
	for (int i = 0; i < IST_N_LANES; i++)
		if (jobs->lanes[i].started) {
			pthread_join(jobs->lanes[i].thread, NULL);
			jobs->lanes[i].started = false;
		}
}

/* ---- what handlers call ---- */

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whether the key was used: then *ret_id is that job, if it asked for the same. */
static enum ist_code find_key(struct ist_jobs *jobs, const struct ist_job_row *wanted,
			      bool *ret_found, char ret_id[32], struct ist_err *err)
{
	struct ist_arena arena = {0};
	struct ist_job_row row = {0};
	struct ist_err miss = {0};
	enum ist_code code =
	    ist_jobs_find_key(jobs->options.store, wanted->idempotency_key, &arena, &row, &miss);

	*ret_found = code == IST_OK;
	if (code == IST_OK) {
		if (!same_text(row.kind, wanted->kind) ||
		    !same_text(row.collection, wanted->collection) ||
		    !same_text(row.request, wanted->request))
			code = ist_fail(err, IST_CONFLICT,
					"this Idempotency-Key was used for another request (job "
					"%s)",
					row.id);
		else
			snprintf(ret_id, 32, "%s", row.id);
	} else if (code == IST_NOT_FOUND) {
		code = IST_OK;
	} else {
		*err = miss;
	}
	ist_arena_finish(&arena);
	return code;
}

static bool is_full(struct ist_jobs *jobs)
{
	struct ist_jobs_stats stats;

	ist_jobs_stats(jobs, &stats);
	return stats.queued >= IST_JOBS_QUEUED;
}

enum ist_code ist_jobs_submit(struct ist_jobs *jobs, const char *kind_name, const char *collection,
			      const json_t *request, const char *idempotency_key, char ret_id[32],
			      bool *ret_found, struct ist_err *err)
{
	const struct ist_job_kind *kind = kind_find(jobs, kind_name);
	ist_autofree char *text = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
	struct ist_job_row row = {.kind = kind_name,
				  .collection = collection,
				  .state = "queued",
				  .request = text,
				  .progress = "{}",
				  .idempotency_key = idempotency_key};
	enum ist_code code = IST_OK;

	*ret_found = false;
	if (kind == NULL || text == NULL)
		return ist_fail(err, IST_INTERNAL, "no job of kind %s is known", kind_name);
	if (idempotency_key != NULL)
		code = find_key(jobs, &row, ret_found, ret_id, err);
	if (code || *ret_found)
		return code;
	if (atomic_load(&jobs->stopping))
		return ist_fail(err, IST_UNAVAILABLE, "the daemon is stopping");
	if (is_full(jobs))
		return ist_fail(err, IST_TOO_BUSY, "%d jobs wait already", IST_JOBS_QUEUED);
	code = ist_jobs_add(jobs->options.store, &row, err);
	if (code == IST_CONFLICT && idempotency_key != NULL) /* somebody was faster */
		return find_key(jobs, &row, ret_found, ret_id, err);
	if (code)
		return code;
	snprintf(ret_id, 32, "%s", row.id);
	enqueue(jobs, &jobs->lanes[kind->lane], ist_job_live_create(row.id));
	return IST_OK;
}

/* Takes a cancelled job out of its queue. */
static void drop_queued(struct ist_jobs *jobs, const struct ist_job_row *row)
{
	struct ist_job_live *found = NULL;

	pthread_mutex_lock(&jobs->lock);
	for (struct lane *lane = jobs->lanes; lane < jobs->lanes + IST_N_LANES; lane++)
		for (size_t i = 0; i < lane->n && found == NULL; i++)
			if (is_it(lane->queue[i], row->id))
				found = dequeue(lane, i);
	if (found != NULL)
		keep_ended(jobs, ist_job_live_ref(found));
	pthread_mutex_unlock(&jobs->lock);
	if (found != NULL)
		announce_end(row, found);
	ist_job_live_unref(found);
}

static enum ist_code cancel_running(struct ist_jobs *jobs, const char *id, struct ist_err *err)
{
	struct ist_job_live *live = ist_jobs_live(jobs, id);
	bool asked = live != NULL && ist_job_live_request_cancel(live);

	ist_job_live_unref(live);
	return asked ? IST_OK : ist_fail(err, IST_CONFLICT, "job %s has finished", id);
}

enum ist_code ist_jobs_cancel(struct ist_jobs *jobs, const char *id, bool *ret_running,
			      struct ist_err *err)
{
	struct ist_arena arena = {0};
	struct ist_job_row row = {0};
	enum ist_code code = ist_jobs_get(jobs->options.store, id, &arena, &row, err);

	*ret_running = false;
	if (!code && strcmp(row.state, "queued") == 0) {
		row.finished_us = ist_now_us();
		code = move(jobs, &row, "cancelled", err);
		if (!code) {
			count(jobs, "cancelled");
			drop_queued(jobs, &row);
			goto out;
		}
		if (code == IST_CONFLICT) /* it started in between */
			code = ist_jobs_get(jobs->options.store, id, &arena, &row, err);
	}
	if (!code && strcmp(row.state, "running") == 0) {
		code = cancel_running(jobs, id, err);
		*ret_running = code == IST_OK;
	} else if (!code) {
		code = ist_fail(err, IST_CONFLICT, "job %s is %s", id, row.state);
	}
out:
	ist_arena_finish(&arena);
	return code;
}

enum ist_code ist_jobs_describe(struct ist_jobs *jobs, const char *id, json_t **ret,
				struct ist_err *err)
{
	struct ist_arena arena = {0};
	struct ist_job_row row = {0};
	enum ist_code code = ist_jobs_get(jobs->options.store, id, &arena, &row, err);
	struct ist_job_live *live;

	if (!code) {
		live = ist_jobs_live(jobs, id);
		*ret = ist_job_json(&row, live);
		ist_job_live_unref(live);
	}
	ist_arena_finish(&arena);
	return code;
}
