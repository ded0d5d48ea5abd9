/*
 * The job runner: a queue and a thread for each lane. Rows are written through the store, always
 * from an expected state, so that a cancellation and a start never both win. What runs is also
 * held in memory (job_live.h); its row follows about once a second.
 *
 * jobs->lock guards the queues, what runs and what has lately ended; no store is called under it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/http.h"
#include "server/jobs_private.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/rfc3339.h"

#define TRAIN_NICE 10

const struct ist_job_kind *const ist_job_kinds[] = {
    &ist_job_train, &ist_job_auto, &ist_job_compare, &ist_job_evaluate, &ist_job_activate, NULL};

void ist_jobs_note(struct ist_jobs *jobs, int level, const char *event, const char *job,
		   const char *text)
{
	if (jobs->options.event != NULL)
		jobs->options.event(jobs->options.user, level, event, job, text);
}

const struct ist_job_kind *ist_jobs_kind(const struct ist_jobs *jobs, const char *name)
{
	for (const struct ist_job_kind *const *k = jobs->options.kinds; *k != NULL; k++)
		if (strcmp((*k)->name, name) == 0)
			return *k;
	return NULL;
}

/* Makes the queues; nothing runs before ist_jobs_start. */
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
	for (size_t i = 0; i < IST_JOBS_ENDED_KEPT; i++)
		ist_job_live_unref(jobs->ended[i]);
	pthread_cond_destroy(&jobs->wake);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

/* ---- the queues ---- */

/* Takes over the reference. */
void ist_jobs_enqueue(struct ist_jobs *jobs, struct ist_lane *lane, struct ist_job_live *live)
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
static struct ist_job_live *dequeue(struct ist_lane *lane, size_t i)
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
	jobs->next_ended = (jobs->next_ended + 1) % IST_JOBS_ENDED_KEPT;
}

static bool is_it(const struct ist_job_live *live, const char *id)
{
	return live != NULL && strcmp(ist_job_live_id(live), id) == 0;
}

/* Looks where jobs are, from what runs to what has lately ended. */
struct ist_job_live *ist_jobs_live(struct ist_jobs *jobs, const char *id)
{
	struct ist_job_live *found = NULL;

	pthread_mutex_lock(&jobs->lock);
	for (struct ist_lane *lane = jobs->lanes; lane < jobs->lanes + IST_N_LANES; lane++) {
		if (is_it(lane->running, id))
			found = lane->running;
		for (size_t i = 0; found == NULL && i < lane->n; i++)
			if (is_it(lane->queue[i], id))
				found = lane->queue[i];
	}
	for (size_t i = 0; found == NULL && i < IST_JOBS_ENDED_KEPT; i++)
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
enum ist_code ist_jobs_move(struct ist_jobs *jobs, struct ist_job_row *row, const char *to,
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

const char *ist_jobs_problem(struct ist_arena *arena, const char *id, const struct ist_err *err)
{
	json_t *problem = ist_problem(err, ist_arena_format(arena, "/v1/jobs/%s", id), "");
	ist_autofree char *text = json_dumps(problem, JSON_COMPACT);

	json_decref(problem);
	return ist_arena_strdup(arena, text != NULL ? text : "null");
}

void ist_jobs_count(struct ist_jobs *jobs, const char *state)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->stats.done += strcmp(state, "done") == 0;
	jobs->stats.failed += strcmp(state, "failed") == 0;
	jobs->stats.cancelled += strcmp(state, "cancelled") == 0;
	pthread_mutex_unlock(&jobs->lock);
}

/* Tells the watchers that the job is over. */
void ist_jobs_announce_end(const struct ist_job_row *row, struct ist_job_live *live)
{
	json_t *json = ist_job_json(row, NULL);

	ist_job_live_state(live, row->state);
	ist_job_live_end(live, json);
	json_decref(json);
}

/* ---- start and stop ---- */

/* A lane's thread: one job after the other until the daemon stops. */
static void *lane_main(void *user)
{
	struct ist_lane *lane = user;
	struct ist_jobs *jobs = lane->jobs;

	/* Queries come first: threads that BLAS starts from here inherit this. */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), TRAIN_NICE))
		ist_jobs_note(jobs, IST_LOG_WARN, "job_priority_kept", "", "setpriority failed");
	ist_threads_use(lane->which == IST_LANE_TRAIN ? jobs->options.threads : 1);
	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (lane->n == 0 && !atomic_load(&jobs->stopping))
			pthread_cond_wait(&jobs->wake, &jobs->lock);
		if (atomic_load(&jobs->stopping))
			break;
		lane->running = dequeue(lane, 0);
		pthread_mutex_unlock(&jobs->lock);
		ist_jobs_run_one(jobs, lane->running);
		pthread_mutex_lock(&jobs->lock);
		keep_ended(jobs, lane->running);
		lane->running = NULL;
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

enum ist_code ist_jobs_start(struct ist_jobs *jobs, struct ist_err *err)
{
	enum ist_code code = ist_jobs_recover(jobs, err);

	if (code)
		return ist_wrap(err, "jobs");
	for (int i = 0; i < IST_N_LANES; i++) {
		if (pthread_create(&jobs->lanes[i].thread, NULL, lane_main, &jobs->lanes[i]))
			return ist_fail(err, IST_UNAVAILABLE, "no thread for jobs");
		jobs->lanes[i].started = true;
	}
	return IST_OK;
}

/* Lanes look at `stopping` between jobs, jobs at their hooks. Both are quick. */
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

void ist_jobs_query_begin(struct ist_jobs *jobs)
{
	atomic_fetch_add(&jobs->queries, 1);
}

void ist_jobs_query_end(struct ist_jobs *jobs)
{
	atomic_fetch_sub(&jobs->queries, 1);
}

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

/* Whether a client should wait with its next job. */
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
	const struct ist_job_kind *kind = ist_jobs_kind(jobs, kind_name);
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
	ist_jobs_enqueue(jobs, &jobs->lanes[kind->lane], ist_job_live_create(row.id));
	return IST_OK;
}

/* Takes a cancelled job out of its queue. */
static void drop_queued(struct ist_jobs *jobs, const struct ist_job_row *row)
{
	struct ist_job_live *found = NULL;

	pthread_mutex_lock(&jobs->lock);
	for (struct ist_lane *lane = jobs->lanes; lane < jobs->lanes + IST_N_LANES; lane++)
		for (size_t i = 0; i < lane->n && found == NULL; i++)
			if (is_it(lane->queue[i], row->id))
				found = dequeue(lane, i);
	if (found != NULL)
		keep_ended(jobs, ist_job_live_ref(found));
	pthread_mutex_unlock(&jobs->lock);
	if (found != NULL)
		ist_jobs_announce_end(row, found);
	ist_job_live_unref(found);
}

/* Asks a running job to end; one that is past its point of no return counts as finished. */
static enum ist_code cancel_running(struct ist_jobs *jobs, const char *id, struct ist_err *err)
{
	struct ist_job_live *live = ist_jobs_live(jobs, id);
	bool asked = live != NULL && ist_job_live_request_cancel(live);

	ist_job_live_unref(live);
	return asked ? IST_OK : ist_fail(err, IST_CONFLICT, "job %s has finished", id);
}

/* The row decides: a job that started between the look and the write is asked to end instead. */
enum ist_code ist_jobs_cancel(struct ist_jobs *jobs, const char *id, bool *ret_running,
			      struct ist_err *err)
{
	struct ist_arena arena = {0};
	struct ist_job_row row = {0};
	enum ist_code code = ist_jobs_get(jobs->options.store, id, &arena, &row, err);

	*ret_running = false;
	if (!code && strcmp(row.state, "queued") == 0) {
		row.finished_us = ist_now_us();
		code = ist_jobs_move(jobs, &row, "cancelled", err);
		if (!code) {
			ist_jobs_count(jobs, "cancelled");
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
