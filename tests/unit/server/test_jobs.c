/*
 * The job runner over a real store: the ways a job can end, cancelling, stopping and taking up
 * again, crashes that are counted, idempotency keys. The kinds of job are the test's own; it waits
 * on what they and the runner say, never on time.
 */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/jobs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int n_started, n_ended, last_attempt;
static bool may_go;

static void bump(int *counter)
{
	pthread_mutex_lock(&lock);
	++*counter;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(const int *counter, int at_least)
{
	pthread_mutex_lock(&lock);
	while (*counter < at_least)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void on_event(void *user, int level, const char *event, const char *job, const char *text)
{
	if (strcmp(event, "job_ended") == 0)
		bump(&n_ended);
}

/* ---- kinds ---- */

static void say_started(const struct ist_job *job)
{
	pthread_mutex_lock(&lock);
	last_attempt = job->attempt;
	pthread_mutex_unlock(&lock);
	bump(&n_started);
}

static enum ist_code run_count(struct ist_job *job, json_t **ret, struct ist_err *err)
{
	job->hooks.progress(job->hooks.user, 0.5, "half");
	job->hooks.curve(job->hooks.user, "loss", 1, 0.5);
	say_started(job);
	*ret = json_pack("{s:O}", "asked", json_object_get(job->request, "n"));
	return IST_OK;
}

static enum ist_code run_fail(struct ist_job *job, json_t **ret, struct ist_err *err)
{
	return ist_fail(err, IST_NOT_ENOUGH_DATA, "only 3 pairs");
}

/* Works until it is told to stop, or lets go. */
static enum ist_code run_wait(struct ist_job *job, json_t **ret, struct ist_err *err)
{
	bool go = false;

	job->hooks.progress(job->hooks.user, 0.25, "waiting");
	say_started(job);
	while (!go) {
		if (job->hooks.stop(job->hooks.user))
			return ist_fail(err, IST_CANCELLED, "stopped");
		pthread_mutex_lock(&lock);
		go = may_go;
		pthread_mutex_unlock(&lock);
	}
	*ret = json_object();
	return IST_OK;
}

static const struct ist_job_kind count_kind = {"count", IST_LANE_TRAIN, run_count},
				 fail_kind = {"fail", IST_LANE_TRAIN, run_fail},
				 wait_kind = {"wait", IST_LANE_TRAIN, run_wait},
				 index_kind = {"index", IST_LANE_INDEX, run_count};
static const struct ist_job_kind *const kinds[] = {&count_kind, &fail_kind, &wait_kind, &index_kind,
						   NULL};

/* ---- a store and a runner ---- */

struct fixture {
	char folder[64];
	struct ist_store *store;
	struct ist_jobs *jobs;
};

static void open_jobs(struct fixture *f, bool start)
{
	const struct ist_jobs_options options = {
	    .store = f->store, .kinds = kinds, .threads = 1, .event = on_event};
	struct ist_err err = {0};

	f->jobs = ist_jobs_create(&options);
	if (start)
		assert_ist_ok(ist_jobs_start(f->jobs, &err));
}

static int setup(void **state)
{
	struct fixture *f = ist_alloc(1, sizeof(*f));
	const struct ist_store_options options = {.read_only_memory = true};
	struct ist_err err = {0};

	n_started = n_ended = last_attempt = 0;
	may_go = false;
	snprintf(f->folder, sizeof(f->folder), "/tmp/ist-jobs-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	assert_ist_ok(ist_store_open(f->folder, &options, &f->store, &err));
	open_jobs(f, false);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};

	ist_jobs_destroy(f->jobs);
	ist_store_close(f->store);
	assert_ist_ok(ist_dir_remove(f->folder, &err));
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	struct ist_err err = {0};

	assert_ist_ok(ist_jobs_start(f->jobs, &err));
}

static void submit(struct fixture *f, const char *kind, char id[32])
{
	json_t *request = json_pack("{s:i}", "n", 7);
	struct ist_err err = {0};
	bool found;

	assert_ist_ok(ist_jobs_submit(f->jobs, kind, NULL, request, NULL, id, &found, &err));
	assert_false(found);
	json_decref(request);
}

static json_t *describe(struct fixture *f, const char *id)
{
	struct ist_err err = {0};
	json_t *job = NULL;

	assert_ist_ok(ist_jobs_describe(f->jobs, id, &job, &err));
	return job;
}

static const char *text_of(const json_t *job, const char *name)
{
	return json_string_value(json_object_get(job, name));
}

static void assert_state(struct fixture *f, const char *id, const char *state)
{
	json_t *job = describe(f, id);

	assert_string_equal(text_of(job, "state"), state);
	json_decref(job);
}

/* ---- tests ---- */

static void test_a_job_is_done(void **state)
{
	struct fixture *f = *state;
	struct ist_jobs_stats stats;
	char id[32];
	json_t *job;

	submit(f, "count", id);
	assert_state(f, id, "queued");
	start(f);
	wait_for(&n_ended, 1);
	job = describe(f, id);
	assert_string_equal(text_of(job, "state"), "done");
	assert_true(json_number_value(json_object_get(job, "progress")) == 1);
	assert_true(json_is_null(json_object_get(job, "error")));
	assert_true(json_is_null(json_object_get(job, "eta_s")));
	assert_non_null(text_of(job, "started_at"));
	assert_non_null(text_of(job, "finished_at"));
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(job, "result"), "asked")), 7);
	assert_int_equal(json_array_size(json_object_get(json_object_get(job, "curves"), "loss")),
			 1);
	json_decref(job);
	ist_jobs_stop(f->jobs);
	ist_jobs_stats(f->jobs, &stats);
	assert_int_equal(stats.done, 1);
	assert_int_equal(stats.queued + stats.running, 0);
}

static void test_a_failure_is_a_problem(void **state)
{
	struct fixture *f = *state;
	char id[32];
	json_t *job, *error;

	submit(f, "fail", id);
	start(f);
	wait_for(&n_ended, 1);
	job = describe(f, id);
	error = json_object_get(job, "error");
	assert_string_equal(text_of(job, "state"), "failed");
	assert_string_equal(text_of(error, "code"), "not_enough_data");
	assert_string_equal(text_of(error, "detail"), "only 3 pairs");
	assert_int_equal(json_integer_value(json_object_get(error, "status")), 409);
	json_decref(job);
}

static void test_cancelling(void **state)
{
	struct fixture *f = *state;
	char first[32], second[32];
	struct ist_err err = {0};
	bool running;

	submit(f, "wait", first);
	submit(f, "count", second);
	start(f);
	wait_for(&n_started, 1);
	assert_ist_ok(ist_jobs_cancel(f->jobs, second, &running, &err));
	assert_false(running);
	assert_state(f, second, "cancelled");
	assert_ist_ok(ist_jobs_cancel(f->jobs, first, &running, &err));
	assert_true(running);
	wait_for(&n_ended, 1);
	assert_state(f, first, "cancelled");
	assert_int_equal(n_started, 1);
	assert_int_equal(ist_jobs_cancel(f->jobs, first, &running, &err), IST_CONFLICT);
	assert_int_equal(ist_jobs_cancel(f->jobs, second, &running, &err), IST_CONFLICT);
	assert_int_equal(ist_jobs_cancel(f->jobs, "j_999", &running, &err), IST_NOT_FOUND);
}

static void test_lanes_do_not_wait_for_each_other(void **state)
{
	struct fixture *f = *state;
	char waits[32], index[32];
	struct ist_err err = {0};
	bool running;

	submit(f, "wait", waits);
	submit(f, "index", index);
	start(f);
	wait_for(&n_ended, 1);
	wait_for(&n_started, 2);
	assert_state(f, index, "done");
	assert_ist_ok(ist_jobs_cancel(f->jobs, waits, &running, &err));
	wait_for(&n_ended, 2);
}

static void test_a_stop_is_no_crash(void **state)
{
	struct fixture *f = *state;
	char id[32];
	json_t *job;

	submit(f, "wait", id);
	for (int i = 0; i < 2 * IST_JOB_ATTEMPTS; i++) {
		start(f);
		wait_for(&n_started, i + 1);
		assert_int_equal(last_attempt, 1);
		ist_jobs_destroy(f->jobs);
		open_jobs(f, false);
		job = describe(f, id);
		assert_string_equal(text_of(job, "state"), "queued");
		assert_string_equal(text_of(job, "stage"), "waiting");
		json_decref(job);
	}
	may_go = true;
	start(f);
	wait_for(&n_ended, 1);
	assert_state(f, id, "done");
}

/* Leaves the row as a daemon does that died during its n-th attempt. */
static void crash_at(struct fixture *f, const char *id, int attempts)
{
	struct ist_arena arena = {0};
	struct ist_job_row row;
	struct ist_err err = {0};

	assert_ist_ok(ist_jobs_get(f->store, id, &arena, &row, &err));
	row.state = "running";
	row.attempts = attempts;
	assert_ist_ok(ist_jobs_update(f->store, &row, "queued", &err));
	ist_arena_finish(&arena);
}

static void test_crashes_are_counted(void **state)
{
	struct fixture *f = *state;
	char often[32], once[32];
	json_t *job;

	submit(f, "count", often);
	submit(f, "count", once);
	crash_at(f, often, IST_JOB_ATTEMPTS);
	crash_at(f, once, 1);
	ist_jobs_destroy(f->jobs);
	open_jobs(f, true);
	wait_for(&n_ended, 1);
	assert_state(f, once, "done");
	assert_int_equal(last_attempt, 2);
	assert_int_equal(n_started, 1);
	job = describe(f, often);
	assert_string_equal(text_of(job, "state"), "failed");
	assert_string_equal(text_of(json_object_get(job, "error"), "code"), "internal");
	json_decref(job);
}

static void test_rows_start_oldest_first(void **state)
{
	struct fixture *f = *state;
	char ids[3][32];
	json_t *job[2];

	for (int i = 0; i < 3; i++)
		submit(f, "count", ids[i]);
	ist_jobs_destroy(f->jobs);
	open_jobs(f, true);
	wait_for(&n_ended, 3);
	for (int i = 0; i < 2; i++) {
		job[0] = describe(f, ids[i]);
		job[1] = describe(f, ids[i + 1]);
		assert_true(strcmp(text_of(job[0], "finished_at"), text_of(job[1], "started_at")) <=
			    0);
		json_decref(job[0]);
		json_decref(job[1]);
	}
}

static void test_an_unknown_kind_fails(void **state)
{
	struct fixture *f = *state;
	struct ist_job_row row = {
	    .kind = "of the future", .state = "queued", .request = "{}", .progress = "{}"};
	struct ist_err err = {0};

	assert_ist_ok(ist_jobs_add(f->store, &row, &err));
	start(f);
	assert_state(f, row.id, "failed");
}

static void test_idempotency(void **state)
{
	struct fixture *f = *state;
	json_t *one = json_pack("{s:i}", "n", 1), *two = json_pack("{s:i}", "n", 2);
	struct ist_err err = {0};
	char first[32], again[32] = "";
	bool found;

	assert_ist_ok(ist_jobs_submit(f->jobs, "count", "c", one, "key", first, &found, &err));
	assert_false(found);
	assert_ist_ok(ist_jobs_submit(f->jobs, "count", "c", one, "key", again, &found, &err));
	assert_true(found);
	assert_string_equal(first, again);
	assert_int_equal(ist_jobs_submit(f->jobs, "count", "c", two, "key", again, &found, &err),
			 IST_CONFLICT);
	assert_int_equal(ist_jobs_submit(f->jobs, "fail", "c", one, "key", again, &found, &err),
			 IST_CONFLICT);
	assert_ist_ok(ist_jobs_submit(f->jobs, "count", "c", one, "other", again, &found, &err));
	assert_string_not_equal(first, again);
	json_decref(one);
	json_decref(two);
}

static void test_watching_to_the_end(void **state)
{
	struct fixture *f = *state;
	struct ist_job_live *live;
	struct ist_buf text = {0};
	uint64_t cursor = 0;
	char id[32];

	submit(f, "count", id);
	live = ist_jobs_live(f->jobs, id);
	assert_non_null(live);
	start(f);
	wait_for(&n_ended, 1);
	ist_jobs_stop(f->jobs);
	assert_false(ist_job_live_read(live, &cursor, &text));
	assert_non_null(strstr(text.data, "\"state\":\"queued\""));
	assert_non_null(strstr(text.data, "\"state\":\"running\""));
	assert_non_null(strstr(text.data, "event: curve"));
	assert_non_null(strstr(text.data, "event: end"));
	ist_job_live_unref(live);
	live = ist_jobs_live(f->jobs, id);
	assert_non_null(live);
	ist_job_live_unref(live);
	assert_null(ist_jobs_live(f->jobs, "j_999"));
	ist_buf_finish(&text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
TEST_MAIN(TEST(test_a_job_is_done), TEST(test_a_failure_is_a_problem), TEST(test_cancelling),
	  TEST(test_lanes_do_not_wait_for_each_other), TEST(test_a_stop_is_no_crash),
	  TEST(test_crashes_are_counted), TEST(test_rows_start_oldest_first),
	  TEST(test_an_unknown_kind_fails), TEST(test_idempotency), TEST(test_watching_to_the_end))
