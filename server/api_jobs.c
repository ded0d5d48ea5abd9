/* Jobs: the list, one job, cancelling one, and how handlers start one. */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/job_submit.h"
#include "server/jobs.h"
#include "server/json.h"

#define KEY_MAX 255
#define LIST_DEFAULT 100
#define LIST_MAX 1000

/* A key is any text that fits a header and a log line. */
static enum ist_code check_key(const char *key, struct ist_err *err)
{
	size_t n = key != NULL ? strlen(key) : 1;

	for (size_t i = 0; key != NULL && i < n; i++)
		if (key[i] < '!' || key[i] > '~')
			n = 0;
	if (n < 1 || n > KEY_MAX)
		return ist_fail(err, IST_INVALID,
				"Idempotency-Key must be 1 to %d printable characters without "
				"spaces",
				KEY_MAX);
	return IST_OK;
}

/* The job is described after it was queued, so it may be running or done in the answer already. */
enum ist_code ist_submit_and_reply(struct ist_request *rq, struct ist_reply *re, const char *kind,
				   const json_t *request, struct ist_err *err)
{
	const char *key = ist_request_header(rq, "Idempotency-Key");
	json_t *job = NULL;
	char id[32];
	bool found;
	enum ist_code code = check_key(key, err);

	if (!code)
		code = ist_jobs_submit(rq->daemon->jobs, kind, rq->segment[0], request, key, id,
				       &found, err);
	if (!code)
		code = ist_jobs_describe(rq->daemon->jobs, id, &job, err);
	if (code)
		return code;
	ist_reply_header(rq, re, "Location", "/v1/jobs/%s", id);
	ist_reply_json(re, 202, job);
	return IST_OK;
}

enum ist_code ist_api_get_job(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	json_t *job = NULL;
	enum ist_code code = ist_jobs_describe(rq->daemon->jobs, rq->segment[0], &job, err);

	if (!code)
		ist_reply_json(re, 200, job);
	return code;
}

/* 200: it waited and is cancelled. 202: it runs, and ends at its next check. */
enum ist_code ist_api_cancel_job(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	json_t *job = NULL;
	bool running;
	enum ist_code code = ist_jobs_cancel(rq->daemon->jobs, rq->segment[0], &running, err);

	if (!code)
		code = ist_jobs_describe(rq->daemon->jobs, rq->segment[0], &job, err);
	if (!code)
		ist_reply_json(re, running ? 202 : 200, job);
	return code;
}

/* The filter by state takes the words of the table of states. */
static enum ist_code check_state(const char *state, struct ist_err *err)
{
	if (state == NULL)
		return IST_OK;
	for (const char *const *s = ist_job_states; *s != NULL; s++)
		if (strcmp(*s, state) == 0)
			return IST_OK;
	return ist_fail_at(err, IST_INVALID, "/state",
			   "must be one of \"queued\", \"running\", \"done\", \"failed\", "
			   "\"cancelled\"");
}

/* A cursor is the id of the last job that was shown. */
static enum ist_code check_cursor(const char *cursor, struct ist_err *err)
{
	if (cursor == NULL || (strncmp(cursor, "j_", 2) == 0 && strlen(cursor) < 32 &&
			       cursor[2 + strspn(cursor + 2, "0123456789")] == '\0'))
		return IST_OK;
	return ist_fail_at(err, IST_INVALID, "/cursor", "is none of ours");
}

/* A page of jobs; those that run are told from memory. */
static json_t *page_json(struct ist_jobs *jobs, const struct ist_job_row *rows, size_t n, bool more)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		struct ist_job_live *live = ist_jobs_live(jobs, rows[i].id);

		json_array_append_new(list, ist_job_json(&rows[i], live));
		ist_job_live_unref(live);
	}
	return json_pack("{s:o, s:s?}", "jobs", list, "next", more ? rows[n - 1].id : NULL);
}

/* Newest first. One more than asked for is read, to know whether there is a next page. */
enum ist_code ist_api_list_jobs(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	const char *state = ist_request_query(rq, "state");
	const char *cursor = ist_request_query(rq, "cursor");
	struct ist_job_row *rows = NULL;
	long limit;
	size_t n = 0;
	bool more;
	enum ist_code code;

	if ((code = ist_request_query_int(rq, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit, err)) ||
	    (code = check_state(state, err)) || (code = check_cursor(cursor, err)) ||
	    (code = ist_jobs_list(rq->daemon->store, cursor != NULL ? cursor : "", state,
				  ist_request_query(rq, "collection"), (size_t)limit + 1, rq->arena,
				  &rows, &n, err)))
		return code;
	more = n > (size_t)limit;
	ist_reply_json(re, 200, page_json(rq->daemon->jobs, rows, more ? (size_t)limit : n, more));
	return IST_OK;
}
