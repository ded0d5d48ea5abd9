/*
 * Queries: one by JSON, by parts or by a query string, or up to a hundred at once. While one is in
 * flight, trainings wait at their checks.
 */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/jobs.h"
#include "server/json.h"
#include "server/query_run.h"

#define BATCH_MAX 100

/* The collection of the path, counted as being asked: from here to `end` a training at work gives
 * way at each of its checks. */
static enum ist_code begin(struct ist_request *rq, struct ist_collection **ret, struct ist_err *err)
{
	enum ist_code code = ist_store_collection_get(rq->daemon->store, rq->segment[0], ret, err);

	if (!code)
		ist_jobs_query_begin(rq->daemon->jobs);
	return code;
}

/* The other end of `begin`. */
static void end(struct ist_request *rq, struct ist_collection *c)
{
	ist_jobs_query_end(rq->daemon->jobs);
	ist_collection_unref(c);
}

/* Answers one query, which it finishes. The reply is text already, so it is not made from JSON
 * values: that is most of what a small query costs. */
static enum ist_code reply(struct ist_request *rq, struct ist_reply *re, struct ist_query *query,
			   struct ist_err *err)
{
	struct ist_collection *c;
	enum ist_code code = begin(rq, &c, err);

	if (!code) {
		code = ist_query_answer(rq->worker, c, query, rq->arena, &re->body, err);
		end(rq, c);
	}
	if (!code) {
		re->status = 200;
		re->content_type = "application/json";
	}
	ist_query_finish(query);
	return code;
}

/* The parts `image` (a file) and, if there is more to say, `request` (JSON). */
static enum ist_code parse_parts(struct ist_request *rq, struct ist_query *query,
				 struct ist_err *err)
{
	const struct ist_part_body *request = NULL, *image = NULL;
	json_t *json = NULL;
	enum ist_code code;

	for (size_t i = 0; i < rq->n_parts; i++) {
		const char *name = rq->parts[i].name;
		const struct ist_part_body **part = name == NULL		   ? NULL
						    : strcmp(name, "request") == 0 ? &request
						    : strcmp(name, "image") == 0   ? &image
										   : NULL;

		if (part == NULL || *part != NULL)
			return ist_fail(err, IST_INVALID,
					"the parts are one \"request\" and one \"image\", got %s "
					"\"%.64s\"",
					part == NULL ? "also" : "a second", name ? name : "");
		*part = &rq->parts[i];
	}
	if (image == NULL)
		return ist_fail(err, IST_INVALID, "the part \"image\" is missing");
	if (image->body.len == 0)
		return ist_fail(err, IST_INVALID, "the part \"image\" is empty");
	code = ist_json_parse(request != NULL ? request->body.data : "{}",
			      request != NULL ? request->body.len : 2, &json, err);
	if (!code)
		code = ist_query_parse(json, &image->body, rq->arena, query, err);
	/* The query borrows strings from the JSON: it lives as long as the request. */
	if (!code)
		rq->json = json;
	else
		json_decref(json);
	return code;
}

/* A query as JSON, or as parts: http.c has parsed the body only where it is JSON. */
enum ist_code ist_api_query(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_query query = {0};
	enum ist_code code = rq->json != NULL
				 ? ist_query_parse(rq->json, NULL, rq->arena, &query, err)
				 : parse_parts(rq, &query, err);

	return code ? code : reply(rq, re, &query, err);
}

/* What ist_query_parse_url asks for each of its names. */
static const char *url_value(const void *user, const char *name)
{
	return ist_request_query(user, name);
}

enum ist_code ist_api_query_get(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_query query = {0};
	enum ist_code code = ist_query_parse_url(url_value, rq, rq->arena, &query, err);

	return code ? code : reply(rq, re, &query, err);
}

/* One of many: its reply or its problem. What a query has put into the buffer before it failed is
 * nothing: ist_query_answer appends whole replies only. Pointers are made to start at the body, so
 * that a client finds the query that is meant. */
static void put_result(struct ist_request *rq, struct ist_collection *c, const json_t *json,
		       size_t i, struct ist_buf *ret)
{
	struct ist_query query = {0};
	struct ist_err err = {0};
	enum ist_code code = ist_query_parse(json, NULL, rq->arena, &query, &err);
	json_t *problem;

	if (!code)
		code = ist_query_answer(rq->worker, c, &query, rq->arena, ret, &err);
	ist_query_finish(&query);
	if (!code)
		return;
	if (err.pointer[0] || code == IST_INVALID) {
		code = ist_err_in_index(&err, i);
		code = ist_err_in(&err, "queries");
	}
	problem = ist_problem(&err, rq->path_raw, rq->id);
	ist_json_put(ret, problem, false);
	json_decref(problem);
}

/* All queries of a batch see the collection as it is at their own turn, each by a reader of its
 * own: a batch is many requests in one body, not a transaction. */
enum ist_code ist_api_query_batch(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	static const struct ist_field fields[] = {
	    {"queries", IST_FIELD_ARRAY, 0, 1, BATCH_MAX, .required = true}};
	const json_t *queries = NULL;
	struct ist_collection *c;
	enum ist_code code = ist_fields_read(rq->json, fields, IST_COUNT(fields), &queries, err);

	if (code || (code = begin(rq, &c, err)))
		return code;
	ist_buf_puts(&re->body, "{\"results\":[");
	for (size_t i = 0; i < json_array_size(queries); i++) {
		if (i)
			ist_buf_putc(&re->body, ',');
		put_result(rq, c, json_array_get(queries, i), i, &re->body);
	}
	ist_buf_puts(&re->body, "]}");
	end(rq, c);
	re->status = 200;
	re->content_type = "application/json";
	return IST_OK;
}
