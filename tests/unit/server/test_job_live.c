/* The living side of a job: progress, thinned curves, events that resume, cancel against commit. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/job_live.h"
#include "server/jobs.h"

static double at(const json_t *points, size_t i, size_t k)
{
	return json_number_value(json_array_get(json_array_get(points, i), k));
}

static void test_snapshot(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");
	json_t *snapshot;

	ist_job_live_begin(live);
	ist_job_live_progress(live, 0.5, "epoch 1 of 2");
	ist_job_live_curve(live, "loss", 1, 0.25);
	ist_job_live_curve(live, "loss", 2, 0.125);
	ist_job_live_curve(live, "loss", 3, (double)NAN);
	snapshot = ist_job_live_snapshot(live);
	assert_true(json_number_value(json_object_get(snapshot, "progress")) == 0.5);
	assert_string_equal(json_string_value(json_object_get(snapshot, "stage")), "epoch 1 of 2");
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(snapshot, "curves"), "loss")), 2);
	json_decref(snapshot);
	ist_job_live_unref(live);
}

static void test_long_curves_are_thinned(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");
	json_t *snapshot, *points;
	size_t n;

	for (int i = 0; i < 20000; i++)
		ist_job_live_curve(live, "loss", i, 1.0 / (i + 1));
	snapshot = ist_job_live_snapshot(live);
	points = json_object_get(json_object_get(snapshot, "curves"), "loss");
	n = json_array_size(points);
	assert_in_range(n, IST_CURVE_POINTS / 2, IST_CURVE_POINTS);
	assert_true(at(points, 0, 0) < 100);
	assert_true(at(points, n - 1, 0) > 19000);
	for (size_t i = 1; i < n; i++)
		assert_true(at(points, i, 0) > at(points, i - 1, 0));
	json_decref(snapshot);
	ist_job_live_unref(live);
}

static void test_restore_continues_curves(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");
	json_t *row = json_loads("{\"progress\": 0.25, \"stage\": \"epoch 3\", \"curves\": {\"a\": "
				 "[[1, 9], [2, 8], [3, 7]]}}",
				 0, NULL);
	json_t *snapshot, *points;

	ist_job_live_restore(live, row);
	ist_job_live_curve(live, "a", 2, 5); /* the checkpoint was a little older */
	snapshot = ist_job_live_snapshot(live);
	points = json_object_get(json_object_get(snapshot, "curves"), "a");
	assert_int_equal(json_array_size(points), 2);
	assert_true(at(points, 1, 0) == 2 && at(points, 1, 1) == 5);
	assert_true(json_number_value(json_object_get(snapshot, "progress")) == 0.25);
	json_decref(snapshot);
	json_decref(row);
	ist_job_live_unref(live);
}

/* The ids in a piece of a stream; they must grow. */
static size_t count_events(const struct ist_buf *text, uint64_t *ret_last)
{
	unsigned long long id;
	size_t n = 0;

	*ret_last = 0;
	for (const char *p = text->data; p != NULL && (p = strstr(p, "id: ")) != NULL; p++) {
		assert_int_equal(sscanf(p, "id: %llu\n", &id), 1);
		assert_true(id > *ret_last);
		*ret_last = id;
		n++;
	}
	return n;
}

static void test_events_resume(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");
	struct ist_buf first = {0}, second = {0};
	uint64_t cursor = 0, last;
	json_t *job = json_pack("{s:s}", "id", "j_1");

	ist_job_live_state(live, "running");
	ist_job_live_curve(live, "loss", 1, 2);
	assert_true(ist_job_live_read(live, &cursor, &first));
	assert_int_equal(count_events(&first, &last), 2);
	assert_int_equal(last, cursor);
	assert_non_null(strstr(first.data,
			       "event: state\ndata: {\"id\":\"j_1\",\"state\":\"running\"}"
			       "\n\n"));
	ist_job_live_curve(live, "loss", 2, 1);
	ist_job_live_end(live, job);
	assert_false(ist_job_live_read(live, &last, &second));
	assert_int_equal(count_events(&second, &cursor), 2);
	assert_non_null(strstr(second.data, "event: end\n"));
	second.len = 0;
	assert_false(ist_job_live_read(live, &cursor, &second));
	assert_int_equal(second.len, 0);
	json_decref(job);
	ist_buf_finish(&first);
	ist_buf_finish(&second);
	ist_job_live_unref(live);
}

static void test_late_watchers_get_the_latest(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");
	struct ist_buf text = {0};
	uint64_t cursor = 0, last;

	for (int i = 0; i < 3 * IST_JOB_EVENTS; i++)
		ist_job_live_curve(live, "loss", i, i);
	assert_true(ist_job_live_read(live, &cursor, &text));
	assert_int_equal(count_events(&text, &last), IST_JOB_EVENTS);
	assert_non_null(strstr(text.data, "\"step\":12287.0"));
	ist_buf_finish(&text);
	ist_job_live_unref(live);
}

static void test_cancel_or_commit(void **state)
{
	struct ist_job_live *live = ist_job_live_create("j_1");

	assert_true(ist_job_live_request_cancel(live));
	assert_true(ist_job_live_cancelled(live));
	assert_false(ist_job_live_commit(live));
	ist_job_live_unref(live);

	live = ist_job_live_create("j_2");
	assert_true(ist_job_live_commit(live));
	assert_false(ist_job_live_request_cancel(live));
	assert_false(ist_job_live_cancelled(live));
	ist_job_live_unref(live);
}

static void test_state_table(void **state)
{
	static const char *const allowed[][2] = {
	    {NULL, "queued"},	      {"queued", "running"}, {"queued", "cancelled"},
	    {"queued", "failed"},     {"running", "done"},   {"running", "failed"},
	    {"running", "cancelled"}, {"running", "queued"},
	};
	size_t n = 0;

	for (size_t i = 0; i < IST_COUNT(allowed); i++)
		assert_true(ist_job_may_become(allowed[i][0], allowed[i][1]));
	for (size_t a = 0; ist_job_states[a] != NULL; a++) {
		n += ist_job_may_become(NULL, ist_job_states[a]);
		for (size_t b = 0; ist_job_states[b] != NULL; b++)
			n += ist_job_may_become(ist_job_states[a], ist_job_states[b]);
	}
	assert_int_equal(n, IST_COUNT(allowed));
	assert_false(ist_job_may_become("done", "queued"));
}

static void test_job_json(void **state)
{
	const struct ist_job_row row = {.id = "j_7",
					.kind = "train",
					.collection = "stamps",
					.state = "failed",
					.request = "{}",
					.progress = "{\"progress\":0.5,\"stage\":\"epoch 1\","
						    "\"eta_s\":7,\"curves\":{\"a\":[[1,2]]}}",
					.error = "{\"code\":\"internal\"}",
					.created_us = 1000000,
					.finished_us = 2500000};
	json_t *job = ist_job_json(&row, NULL);
	ist_autofree char *text = json_dumps(job, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text,
			    "{\"collection\":\"stamps\",\"created_at\":\"1970-01-01T00:00:01."
			    "000000Z\",\"curves\":{\"a\":[[1,2]]},\"error\":{\"code\":"
			    "\"internal\"},\"eta_s\":null,\"finished_at\":\"1970-01-01T00:00:"
			    "02.500000Z\",\"id\":\"j_7\",\"kind\":\"train\",\"progress\":0.5,"
			    "\"request\":{},\"result\":null,\"stage\":\"epoch 1\",\"started_at\":"
			    "null,\"state\":\"failed\"}");
	json_decref(job);
}

TEST_MAIN(cmocka_unit_test(test_snapshot), cmocka_unit_test(test_long_curves_are_thinned),
	  cmocka_unit_test(test_restore_continues_curves), cmocka_unit_test(test_events_resume),
	  cmocka_unit_test(test_late_watchers_get_the_latest),
	  cmocka_unit_test(test_cancel_or_commit), cmocka_unit_test(test_state_table),
	  cmocka_unit_test(test_job_json))
