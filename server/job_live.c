/*
 * The living side of a job. One mutex a job guards everything in it; nothing blocks under it but
 * the making of small JSON texts. Event ids are milliseconds of the wall clock or one more than the
 * last, whichever is greater: so they grow over restarts of the daemon too, and a watcher who comes
 * back with Last-Event-ID misses nothing and sees nothing twice.
 */
#include "server/job_live.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "server/rfc3339.h"

#define PROGRESS_EVENT_NS 200000000 /* two progress events of one stage are this far apart */

struct point {
	double step, value;
};

struct curve {
	char name[64];
	size_t n, stride, skipped; /* every stride-th point is kept */
	struct point points[IST_CURVE_POINTS];
};

struct event {
	uint64_t id;
	char *text;
};

struct ist_job_live {
	atomic_int refs;
	char id[32];
	pthread_mutex_t lock; /* everything below */
	double progress, progress_at_begin;
	char stage[128];
	int64_t begin_ns, event_ns;
	bool cancelled, committed, ended;
	struct curve *curves[IST_CURVES];
	size_t n_curves;
	struct event *events; /* a ring, once it has grown to IST_JOB_EVENTS */
	size_t first, n_events, cap;
	uint64_t last_id;
};

/* A clock that no one sets. */
static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct ist_job_live *ist_job_live_create(const char *id)
{
	struct ist_job_live *live = ist_alloc(1, sizeof(*live));

	atomic_init(&live->refs, 1);
	snprintf(live->id, sizeof(live->id), "%s", id);
	pthread_mutex_init(&live->lock, NULL);
	return live;
}

struct ist_job_live *ist_job_live_ref(struct ist_job_live *live)
{
	atomic_fetch_add(&live->refs, 1);
	return live;
}

void ist_job_live_unref(struct ist_job_live *live)
{
	if (live == NULL || atomic_fetch_sub(&live->refs, 1) != 1)
		return;
	for (size_t i = 0; i < live->n_events; i++)
		free(live->events[i].text);
	free(live->events);
	for (size_t i = 0; i < live->n_curves; i++)
		free(live->curves[i]);
	pthread_mutex_destroy(&live->lock);
	free(live);
}

const char *ist_job_live_id(const struct ist_job_live *live)
{
	return live->id;
}

/* ---- events ---- */

void ist_event_put(struct ist_buf *buf, uint64_t id, const char *event, const char *data)
{
	ist_buf_printf(buf, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", id, event, data);
}

/* Steals `data`. The lock is held. */
static void emit(struct ist_job_live *live, const char *name, json_t *data)
{
	uint64_t now = (uint64_t)(ist_now_us() / 1000);
	char *text = json_dumps(data, JSON_COMPACT);
	struct ist_buf buf = {0};
	struct event *slot;

	json_decref(data);
	live->last_id = IST_MAX(live->last_id + 1, now);
	ist_event_put(&buf, live->last_id, name, text != NULL ? text : "{}");
	free(text);
	if (live->n_events == live->cap && live->cap < IST_JOB_EVENTS) {
		live->cap = live->cap ? live->cap * 2 : 16;
		live->events = ist_resize(live->events, live->cap, sizeof(*live->events));
	}
	slot = &live->events[(live->first + live->n_events) % live->cap];
	if (live->n_events == IST_JOB_EVENTS) {
		free(slot->text);
		live->first = (live->first + 1) % IST_JOB_EVENTS;
	} else {
		live->n_events++;
	}
	*slot = (struct event){live->last_id, buf.data};
}

/* Few watchers, few new events: a walk over the ring is cheap beside the making of a reply. */
bool ist_job_live_read(struct ist_job_live *live, uint64_t *cursor, struct ist_buf *ret)
{
	bool more;

	pthread_mutex_lock(&live->lock);
	for (size_t i = 0; i < live->n_events; i++) {
		const struct event *e = &live->events[(live->first + i) % live->cap];

		if (e->id <= *cursor)
			continue;
		ist_buf_puts(ret, e->text);
		*cursor = e->id;
	}
	more = !live->ended;
	pthread_mutex_unlock(&live->lock);
	return more;
}

/* ---- progress and curves ---- */

/* Seconds that remain at the pace since the start; null while there is too little to tell. A job
 * that is taken up again starts where its checkpoint is: that stretch took no time. */
static json_t *eta(const struct ist_job_live *live)
{
	double done = live->progress - live->progress_at_begin;
	double elapsed = (double)(now_ns() - live->begin_ns) / 1e9;

	if (live->begin_ns == 0 || live->ended || done < 0.01)
		return json_null();
	return json_integer((json_int_t)ceil(elapsed * (1 - live->progress) / done));
}

/* The event "progress", and the first part of a snapshot. The lock is held. */
static json_t *progress_json(const struct ist_job_live *live)
{
	return json_pack("{s:f, s:s?, s:o}", "progress", live->progress, "stage",
			 live->stage[0] ? live->stage : NULL, "eta_s", eta(live));
}

void ist_job_live_begin(struct ist_job_live *live)
{
	pthread_mutex_lock(&live->lock);
	live->begin_ns = now_ns();
	live->progress_at_begin = live->progress;
	pthread_mutex_unlock(&live->lock);
}

void ist_job_live_progress(struct ist_job_live *live, double fraction, const char *stage)
{
	int64_t now = now_ns();
	bool new_stage;

	pthread_mutex_lock(&live->lock);
	live->progress = fmin(fmax(fraction, 0), 1);
	new_stage = stage != NULL && strcmp(stage, live->stage) != 0;
	if (new_stage)
		snprintf(live->stage, sizeof(live->stage), "%s", stage);
	if (live->event_ns == 0 || now - live->event_ns >= PROGRESS_EVENT_NS) {
		live->event_ns = now;
		emit(live, "progress", progress_json(live));
	}
	pthread_mutex_unlock(&live->lock);
}

/* The curve of a name, made if it is new; NULL if there are too many. The lock is held. */
static struct curve *curve_of(struct ist_job_live *live, const char *name)
{
	struct curve *curve;

	for (size_t i = 0; i < live->n_curves; i++)
		if (strcmp(live->curves[i]->name, name) == 0)
			return live->curves[i];
	if (live->n_curves == IST_CURVES)
		return NULL;
	curve = ist_alloc(1, sizeof(*curve));
	curve->stride = 1;
	snprintf(curve->name, sizeof(curve->name), "%s", name);
	return live->curves[live->n_curves++] = curve;
}

/* Every second point goes where there is no more room, so that a curve spans its whole length. */
static void curve_put(struct curve *curve, double step, double value)
{
	while (curve->n && curve->points[curve->n - 1].step >= step)
		curve->n--; /* done again after a resume */
	if (++curve->skipped < curve->stride)
		return;
	curve->skipped = 0;
	if (curve->n == IST_CURVE_POINTS) {
		for (size_t i = 0; i < IST_CURVE_POINTS / 2; i++)
			curve->points[i] = curve->points[2 * i];
		curve->n = IST_CURVE_POINTS / 2;
		curve->stride *= 2;
	}
	curve->points[curve->n++] = (struct point){step, value};
}

/* A value that is not finite has no JSON and is left out: a loss that exploded shows by its gap. */
void ist_job_live_curve(struct ist_job_live *live, const char *name, double step, double value)
{
	struct curve *curve;

	if (!isfinite(step) || !isfinite(value))
		return;
	pthread_mutex_lock(&live->lock);
	curve = curve_of(live, name);
	if (curve != NULL) {
		curve_put(curve, step, value);
		emit(live, "curve",
		     json_pack("{s:s, s:f, s:f}", "name", curve->name, "step", step, "value",
			       value));
	}
	pthread_mutex_unlock(&live->lock);
}

/* All curves as {"name": [[step, value], …]}. The lock is held. */
static json_t *curves_json(const struct ist_job_live *live)
{
	json_t *curves = json_object();

	for (size_t i = 0; i < live->n_curves; i++) {
		const struct curve *curve = live->curves[i];
		json_t *points = json_array();

		for (size_t k = 0; k < curve->n; k++)
			json_array_append_new(points, json_pack("[f, f]", curve->points[k].step,
								curve->points[k].value));
		json_object_set_new(curves, curve->name, points);
	}
	return curves;
}

json_t *ist_job_live_snapshot(struct ist_job_live *live)
{
	json_t *snapshot;

	pthread_mutex_lock(&live->lock);
	snapshot = progress_json(live);
	json_object_set_new(snapshot, "curves", curves_json(live));
	pthread_mutex_unlock(&live->lock);
	return snapshot;
}

void ist_job_live_restore(struct ist_job_live *live, const json_t *progress)
{
	const char *name, *stage = json_string_value(json_object_get(progress, "stage"));
	json_t *points, *point;
	size_t i;

	pthread_mutex_lock(&live->lock);
	live->progress = json_number_value(json_object_get(progress, "progress"));
	snprintf(live->stage, sizeof(live->stage), "%s", stage != NULL ? stage : "");
	json_object_foreach(json_object_get(progress, "curves"), name, points)
	{
		struct curve *curve = curve_of(live, name);

		json_array_foreach(points, i, point) if (curve != NULL)
		    curve_put(curve, json_number_value(json_array_get(point, 0)),
			      json_number_value(json_array_get(point, 1)));
	}
	pthread_mutex_unlock(&live->lock);
}

/* ---- states ---- */

void ist_job_live_state(struct ist_job_live *live, const char *state)
{
	pthread_mutex_lock(&live->lock);
	emit(live, "state", json_pack("{s:s, s:s}", "id", live->id, "state", state));
	pthread_mutex_unlock(&live->lock);
}

void ist_job_live_end(struct ist_job_live *live, const json_t *job)
{
	pthread_mutex_lock(&live->lock);
	emit(live, "end", json_deep_copy(job));
	live->ended = true;
	pthread_mutex_unlock(&live->lock);
}

bool ist_job_live_request_cancel(struct ist_job_live *live)
{
	bool possible;

	pthread_mutex_lock(&live->lock);
	possible = !live->committed && !live->ended;
	live->cancelled = live->cancelled || possible;
	pthread_mutex_unlock(&live->lock);
	return possible;
}

bool ist_job_live_cancelled(struct ist_job_live *live)
{
	bool cancelled;

	pthread_mutex_lock(&live->lock);
	cancelled = live->cancelled;
	pthread_mutex_unlock(&live->lock);
	return cancelled;
}

bool ist_job_live_commit(struct ist_job_live *live)
{
	bool committed;

	pthread_mutex_lock(&live->lock);
	committed = live->committed = !live->cancelled;
	pthread_mutex_unlock(&live->lock);
	return committed;
}
