/*
 * The events of a job as a stream (text/event-stream): what happened so far, then what happens,
 * until its end. A stream holds no thread: its `next` says "nothing yet" and is asked again. A
 * comment goes out every few seconds, so that proxies and clients see that it lives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/api.h"
#include "server/daemon.h"
#include "server/jobs.h"
#include "server/rfc3339.h"

#define HEARTBEAT_US 10000000

struct stream {
	struct ist_job_live *live; /* NULL: the job was over long ago, `last` tells it */
	struct ist_buf last;
	uint64_t cursor;
	int64_t sent_us;
	bool ended;
};

/* Called by http.c when the stream has ended or the client has left. */
static void stream_destroy(void *user)
{
	struct stream *stream = user;

	ist_job_live_unref(stream->live);
	ist_buf_finish(&stream->last);
	free(stream);
}

/* What has come since the last call; "too busy" with nothing put means: nothing yet, ask again. */
static enum ist_code stream_next(void *user, struct ist_buf *out, struct ist_err *err)
{
	struct stream *stream = user;
	int64_t now = ist_now_us();
	size_t before = out->len;

	if (stream->ended)
		return IST_OK;
	if (stream->live == NULL) {
		ist_buf_put(out, stream->last.data, stream->last.len);
		stream->ended = true;
		return IST_OK;
	}
	if (stream->sent_us == 0)
		ist_buf_puts(out, "retry: 2000\n\n");
	stream->ended = !ist_job_live_read(stream->live, &stream->cursor, out);
	if (out->len == before && !stream->ended) {
		if (now - stream->sent_us < HEARTBEAT_US)
			return ist_fail(err, IST_TOO_BUSY, "nothing yet");
		ist_buf_puts(out, ": still here\n\n");
	}
	stream->sent_us = now;
	return IST_OK;
}

/* A job that is over and no longer in memory: its state and its end, under the ids that they can
 * have had at the earliest. */
static void tell_row(struct stream *stream, const struct ist_job_row *row)
{
	json_t *job = ist_job_json(row, NULL);
	json_t *state = json_pack("{s:s, s:s}", "id", row->id, "state", row->state);
	ist_autofree char *job_text = json_dumps(job, JSON_COMPACT);
	ist_autofree char *state_text = json_dumps(state, JSON_COMPACT);
	uint64_t id = (uint64_t)(row->finished_us / 1000);

	ist_buf_puts(&stream->last, "retry: 2000\n\n");
	ist_event_put(&stream->last, IST_MAX(id, stream->cursor + 1), "state", state_text);
	ist_event_put(&stream->last, IST_MAX(id, stream->cursor + 1) + 1, "end", job_text);
	json_decref(job);
	json_decref(state);
}

/* Where a watcher who comes back had been; 0 for a new one. */
static enum ist_code last_event_id(const struct ist_request *rq, uint64_t *ret, struct ist_err *err)
{
	const char *text = ist_request_header(rq, "Last-Event-ID");
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;

	*ret = 0;
	if (text == NULL || *text == '\0')
		return IST_OK;
	if (text[digits] || digits > 18)
		return ist_fail(err, IST_INVALID, "Last-Event-ID must be the id of an event");
	*ret = strtoull(text, NULL, 10);
	return IST_OK;
}

enum ist_code ist_api_job_events(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_job_row row = {0};
	struct stream *stream;
	uint64_t cursor;
	enum ist_code code = last_event_id(rq, &cursor, err);

	if (code || (code = ist_jobs_get(rq->daemon->store, rq->segment[0], rq->arena, &row, err)))
		return code;
	stream = ist_alloc(1, sizeof(*stream));
	stream->cursor = cursor;
	stream->live = ist_jobs_live(rq->daemon->jobs, row.id);
	if (stream->live == NULL) {
		/* It may have ended between the two looks: then the row is read again. */
		code = ist_jobs_get(rq->daemon->store, row.id, rq->arena, &row, err);
		if (code) {
			stream_destroy(stream);
			return code;
		}
		tell_row(stream, &row);
	}
	re->status = 200;
	re->content_type = "text/event-stream";
	ist_reply_header(rq, re, "Cache-Control", "no-store");
	re->next = stream_next;
	re->next_finish = stream_destroy;
	re->next_user = stream;
	return IST_OK;
}
