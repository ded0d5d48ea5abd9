/*
 * items:import: a stream of any length in bounded memory. Records gather in a batch, which goes on
 * when it is full, when the client pauses, or when its first record has waited for half a second.
 * Result lines are spooled, because the answer cannot begin before the body has ended. What goes
 * wrong with a record is its line; what ends the stream stands in the place of the summary.
 */
#include "server/api.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/http_server.h"
#include "server/http_stream.h"
#include "server/import.h"
#include "server/import_tar.h"
#include "server/json.h"
#include "server/ndjson.h"

#define PAUSE_MS 50
#define WAIT_US 500000

struct import {
	struct ist_request *rq;
	struct ist_import records;
	struct ist_spool spool;
};

/* More of the body; what waits is written first if the client makes us wait. */
static enum ist_code read_body(void *user, void *data, size_t cap, size_t *ret_n,
			       struct ist_err *err)
{
	struct import *im = user;
	struct ist_import *records = &im->records;
	int64_t since = ist_import_waits_since(records);
	enum ist_code code = IST_OK;

	if (!ist_import_is_idle(records) && !ist_request_wait(im->rq, PAUSE_MS))
		code = ist_import_drain(records, err);
	else if (since > 0 && ist_monotonic_us() - since > WAIT_US)
		code = ist_import_step(records, err);
	return code == IST_OK ? ist_request_read(im->rq, data, cap, ret_n, err) : code;
}

/* A record is complete when its line is; an empty line is counted but is no record. */
static enum ist_code import_lines(struct import *im, struct ist_err *err)
{
	struct ist_ndjson lines;
	struct ist_str line;
	enum ist_code code;

	ist_ndjson_init(&lines, im->rq);
	lines.read = read_body;
	lines.user = im;
	while ((code = ist_ndjson_next(&lines, &line, err)) == IST_OK && line.data != NULL) {
		struct ist_import_record *r;

		if ((code = ist_import_add(&im->records, line.len, &r, err)) != IST_OK)
			break;
		r->line = lines.line;
		ist_import_read_line(&im->records, r, line);
		if ((code = ist_import_ready(&im->records, r, err)) != IST_OK)
			break;
	}
	ist_ndjson_finish(&lines);
	return code;
}

static enum ist_code import_tar(struct import *im, struct ist_err *err)
{
	struct ist_tar_source source = {.read = read_body, .user = im};

	return ist_import_tar(&source, &im->records, err);
}

static const struct {
	const char *type;
	enum ist_code (*import)(struct import *im, struct ist_err *err);
} types[] = {{"application/x-ndjson", import_lines}, {"application/x-tar", import_tar}};

static enum ist_code put_summary(struct import *im, struct ist_err *err)
{
	const uint64_t *n = im->records.counts;
	struct ist_buf out = {0};
	enum ist_code code;

	ist_buf_printf(&out,
		       "{\"summary\":{\"created\":%llu,\"updated\":%llu,\"unchanged\":%llu,"
		       "\"failed\":%llu}}\n",
		       (unsigned long long)n[IST_CREATED], (unsigned long long)n[IST_UPDATED],
		       (unsigned long long)n[IST_UNCHANGED], (unsigned long long)n[IST_FAILED]);
	code = ist_spool_put(&im->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	return code;
}

/* Stands where the summary would; the lines before it say what was acknowledged. */
static enum ist_code put_error(struct import *im, struct ist_err *why, struct ist_err *err)
{
	struct ist_buf out = {0};
	json_t *problem;
	enum ist_code code;

	if (why->code == IST_CANCELLED) /* the daemon stops: what is committed stays */
		why->code = IST_UNAVAILABLE;
	problem = ist_problem(why, im->rq->path_raw, im->rq->id);
	ist_buf_puts(&out, "{\"error\":");
	ist_json_put(&out, problem, false);
	ist_buf_puts(&out, "}\n");
	json_decref(problem);
	code = ist_spool_put(&im->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	return code;
}

/* What was read is written even where the stream broke: those records came whole. */
static enum ist_code import(struct import *im, size_t type, struct ist_err *err)
{
	struct ist_err why = {0}, drain_err = {0};
	enum ist_code code = types[type].import(im, &why);
	enum ist_code drain_code = ist_import_drain(&im->records, &drain_err);

	why.code = code;
	if (code == IST_OK && drain_code != IST_OK)
		why = drain_err;
	return code == IST_OK && drain_code == IST_OK ? put_summary(im, err)
						      : put_error(im, &why, err);
}

/* What can be refused is refused before reading: after it the answer is 200 whatever comes. */
static enum ist_code check(struct ist_request *rq, size_t *ret_type, bool *ret_only_failed,
			   struct ist_err *err)
{
	const char *results = ist_request_query(rq, "results");

	*ret_only_failed = results != NULL && strcmp(results, "failed") == 0;
	if (results != NULL && !*ret_only_failed && strcmp(results, "all") != 0)
		return ist_fail_at(err, IST_INVALID, "/results", "must be all or failed");
	for (size_t i = 0; i < IST_COUNT(types); i++)
		if (strcmp(rq->content_type, types[i].type) == 0) {
			*ret_type = i;
			return IST_OK;
		}
	return ist_fail(err, IST_UNSUPPORTED_TYPE,
			"the body must be application/x-ndjson or application/x-tar, not %.64s",
			rq->content_type[0] != '\0' ? rq->content_type : "untyped");
}

enum ist_code ist_api_import_items(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	struct import im = {.rq = rq, .spool = {.fd = -1}};
	struct ist_collection *c;
	bool only_failed;
	size_t type = 0;
	enum ist_code code;

	if (check(rq, &type, &only_failed, err) != IST_OK ||
	    ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err) != IST_OK)
		return err->code;
	code = ist_spool_init(&im.spool, rq->daemon->config.data, err);
	if (code == IST_OK) {
		ist_import_init(&im.records, rq->daemon, c, &im.spool, only_failed);
		code = import(&im, type, err);
		ist_import_finish(&im.records);
	}
	if (code == IST_OK)
		code = ist_spool_reply(&im.spool, re, "application/x-ndjson", err);
	ist_spool_finish(&im.spool);
	ist_collection_unref(c);
	return code;
}
