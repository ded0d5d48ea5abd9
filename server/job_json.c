/*
 * Jobs as clients see them, and the table of their states. A finished job is told from its row
 * alone; one that runs takes its progress from memory, which is newer than the row.
 */
#include <string.h>

#include "core/base/memory.h"
#include "server/jobs.h"
#include "server/rfc3339.h"

const char *const ist_job_states[] = {"queued", "running", "done", "failed", "cancelled", NULL};

static const struct {
	const char *from, *to;
} moves[] = {
    {NULL, "queued"},	      {"queued", "running"},
    {"queued", "cancelled"},  {"queued", "failed"}, /* its kind is unknown to this version */
    {"running", "done"},      {"running", "failed"},
    {"running", "cancelled"}, {"running", "queued"}, /* the daemon stopped, or crashed */
};

bool ist_job_may_become(const char *from, const char *to)
{
	for (size_t i = 0; i < IST_COUNT(moves); i++)
		if (strcmp(moves[i].to, to) == 0 &&
		    (moves[i].from == NULL ? from == NULL
					   : from != NULL && strcmp(moves[i].from, from) == 0))
			return true;
	return false;
}

/* A JSON text of a row as a value; null where there is none. */
static json_t *value_of(const char *text)
{
	json_t *value = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return value != NULL ? value : json_null();
}

/* A member of an object, or a default that is stolen. */
static json_t *member(const json_t *object, const char *name, json_t *otherwise)
{
	json_t *value = json_object_get(object, name);

	if (value == NULL)
		return otherwise;
	json_decref(otherwise);
	return json_incref(value);
}

/* What the job was asked for; long lists stay out. */
static json_t *request_of(const char *text)
{
	json_t *request = value_of(text);

	if (json_is_object(request))
		json_object_del(request, "pairs");
	return request;
}

json_t *ist_job_json(const struct ist_job_row *row, struct ist_job_live *live)
{
	bool running = strcmp(row->state, "running") == 0;
	json_t *p = running && live != NULL ? ist_job_live_snapshot(live) : value_of(row->progress);
	bool done = strcmp(row->state, "done") == 0;
	json_t *job = json_pack(
	    "{s:s, s:s, s:s?, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
	    row->id, "kind", row->kind, "collection", row->collection, "request",
	    request_of(row->request), "state", row->state, "progress",
	    done ? json_real(1) : member(p, "progress", json_real(0)), "stage",
	    member(p, "stage", json_null()), "eta_s",
	    running ? member(p, "eta_s", json_null()) : json_null(), "created_at",
	    ist_rfc3339_json(row->created_us), "started_at", ist_rfc3339_json(row->started_us),
	    "finished_at", ist_rfc3339_json(row->finished_us), "curves",
	    member(p, "curves", json_object()), "result", value_of(row->result), "error",
	    value_of(row->error));

	json_decref(p);
	return job;
}
