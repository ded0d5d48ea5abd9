/*
 * The writer: batches with failing members, full disks, failing syncs; that nobody is acknowledged
 * who was not written, that what was acknowledged is there after a restart, and that the store
 * goes on once the fault is gone.
 */
#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/store_internal.h"
#include "tests/unit/index/faulty_vfs.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

static int setup(void **state)
{
	static bool installed;

	if (!installed)
		faulty_install();
	installed = true;
	return fixture_setup(state);
}

static bool is_there(struct fixture *f, const char *id)
{
	struct ist_item item;

	return ist_item_get(f->c, id, false, &f->arena, &item, NULL) == IST_OK;
}

static enum ist_code try_put(struct fixture *f, const char *id, unsigned number,
			     struct ist_err *err)
{
	struct fixture_item item;
	struct ist_write write = {.item = &item.item};

	fixture_make(&item, id, number);
	return ist_items_write(f->c, &write, 1, err);
}

/* Every write and every sync of a commit in turn, once with each error. */
static void test_every_call_fails(void **state)
{
	static const struct {
		enum faulty_call call;
		int rc;
		enum ist_code code;
	} faults[] = {
	    {FAULTY_WRITE, SQLITE_FULL, IST_STORAGE_FULL},
	    {FAULTY_WRITE, SQLITE_IOERR_WRITE, IST_IO},
	    {FAULTY_SYNC, SQLITE_IOERR_FSYNC, IST_IO},
	};
	struct fixture *f = *state;
	unsigned number = 0, n_failed = 0;

	for (size_t i = 0; i < IST_COUNT(faults); i++)
		for (int n = 1; n <= 12; n++) {
			struct ist_err err = {0};
			enum ist_code code;
			char id[16];

			snprintf(id, sizeof(id), "x%u", number);
			faulty_fail(faults[i].call, n, faults[i].rc, true);
			code = try_put(f, id, number++, &err);
			n_failed += faulty_failed() > 0;
			faulty_heal();
			assert_int_equal(code == IST_OK, is_there(f, id));
			if (code != IST_OK)
				assert_int_equal(code, faults[i].code);
			assert_int_equal(try_put(f, "after", number, &err), IST_OK);
		}
	assert_true(n_failed > 10);
	fixture_reopen(f);
	assert_true(is_there(f, "after"));
	assert_string_equal(fixture_search(f, number - 1, 1, "id=after"), "after");
}

/* A fault that hits once: the batch fails, its members succeed when tried alone. */
static void test_one_fault_is_survived(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};

	faulty_fail(FAULTY_SYNC, 1, SQLITE_IOERR_FSYNC, false);
	assert_ist_ok(try_put(f, "a", 1, &err));
	assert_int_equal(faulty_failed(), 1);
	assert_string_equal(fixture_search(f, 1, 5, NULL), "a");
	faulty_fail(FAULTY_WRITE, 1, SQLITE_FULL, false);
	assert_ist_ok(try_put(f, "b", 2, &err));
	assert_int_equal(faulty_failed(), 1);
	assert_string_equal(fixture_search(f, 2, 1, NULL), "b");
	fixture_reopen(f);
	assert_true(is_there(f, "a") && is_there(f, "b"));
}

/* ---- groups ---- */

/* An operation that holds the writer until it is told to go on, so that others queue up. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool inside, open;
};

static void hold(struct ist_store *store, struct ist_db *db, void *user)
{
	struct gate *gate = user;

	pthread_mutex_lock(&gate->lock);
	gate->inside = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

struct caller {
	struct fixture *f;
	struct gate *gate;
	pthread_t thread;
	unsigned number;
	enum ist_code code;
	struct ist_err err;
};

static void *hold_main(void *arg)
{
	struct caller *caller = arg;

	caller->code = ist_store_write(caller->f->store, NULL, hold, caller->gate, 0, &caller->err);
	return NULL;
}

static void *put_main(void *arg)
{
	struct caller *caller = arg;
	char id[16];

	snprintf(id, sizeof(id), "g%u", caller->number);
	caller->code = try_put(caller->f, id, caller->number, &caller->err);
	return NULL;
}

/* Starts 8 writes that form one batch behind the gate, and lets them go. */
static void run_group(struct fixture *f, struct caller callers[8], unsigned from)
{
	struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
	struct caller holder = {.f = f, .gate = &gate};

	pthread_create(&holder.thread, NULL, hold_main, &holder);
	pthread_mutex_lock(&gate.lock);
	while (!gate.inside)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	for (unsigned i = 0; i < 8; i++) {
		callers[i] = (struct caller){.f = f, .number = from + i};
		pthread_create(&callers[i].thread, NULL, put_main, &callers[i]);
	}
	while (ist_writer_queue(f->store->writer) < 8)
		sched_yield();
	pthread_mutex_lock(&gate.lock);
	gate.open = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
	pthread_join(holder.thread, NULL);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(callers[i].thread, NULL);
}

static void test_group_is_one_commit(void **state)
{
	struct fixture *f = *state;
	struct caller callers[8];
	struct ist_store_stats before, after;

	ist_store_stats(f->store, &before);
	run_group(f, callers, 0);
	ist_store_stats(f->store, &after);
	assert_int_equal(after.commits - before.commits, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(callers[i].code, IST_OK);
	assert_int_equal(strlen(fixture_search(f, 1, 100, NULL)), 8 * 3 - 1);
}

/* The batch meets a full disk once: all eight are tried alone, and all get through. */
static void test_group_survives_a_fault(void **state)
{
	struct fixture *f = *state;
	struct caller callers[8];

	faulty_fail(FAULTY_WRITE, 1, SQLITE_FULL, false);
	run_group(f, callers, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(callers[i].code, IST_OK);
	assert_int_equal(strlen(fixture_search(f, 1, 100, NULL)), 8 * 3 - 1);
}

/* The disk stays full: nobody is acknowledged, nothing is visible, nothing is there later. */
static void test_group_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct caller callers[8];
	struct ist_err err = {0};

	faulty_fail(FAULTY_WRITE, 1, SQLITE_FULL, true);
	run_group(f, callers, 0);
	faulty_heal();
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(callers[i].code, IST_STORAGE_FULL);
		assert_int_equal(callers[i].err.code, IST_STORAGE_FULL);
	}
	assert_string_equal(fixture_search(f, 1, 100, NULL), "");
	assert_ist_ok(try_put(f, "z", 1, &err));
	fixture_reopen(f);
	assert_string_equal(fixture_search(f, 1, 100, NULL), "z");
}

/* One bad member of a group fails alone; its savepoint leaves no trace. */
static enum ist_code run_then_fail(struct ist_store *store, struct ist_db *db, void *user,
				   struct ist_err *err)
{
	if (ist_db_run(db, IST_SQL_FIELD_ADD, err, "it", (int64_t)77, "ghost") != IST_OK)
		return IST_INTERNAL;
	return ist_fail(err, IST_CONFLICT, "on purpose");
}

static void test_failed_savepoint(void **state)
{
	struct fixture *f = *state;
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	struct ist_err err = {0};
	int64_t id;

	assert_int_equal(ist_store_write(f->store, run_then_fail, NULL, NULL, 0, &err),
			 IST_CONFLICT);
	assert_string_equal(err.text, "on purpose");
	assert_ist_ok(ist_db_take(&f->store->pool, &lease, &err));
	assert_ist_ok(
	    ist_db_int(lease.db, IST_SQL_FIELD_ID, 0, &id, &err, "it", (int64_t)77, "ghost"));
	assert_int_equal(id, 0);
}

/* A damaged database takes no writes, but is read on. */
static void test_damaged_refuses_writes(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};
	const char *reason;

	fixture_put(f, "a", 1, NULL, NULL);
	snprintf(f->store->reason, sizeof(f->store->reason), "page 3 is odd");
	f->store->state = IST_STORE_DAMAGED;
	assert_int_equal(ist_store_state(f->store, &reason), IST_STORE_DAMAGED);
	assert_string_equal(reason, "page 3 is odd");
	assert_int_equal(try_put(f, "b", 2, &err), IST_UNAVAILABLE);
	assert_string_equal(fixture_search(f, 1, 5, NULL), "a");
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

TEST_MAIN(WITH_STORE(test_every_call_fails), WITH_STORE(test_one_fault_is_survived),
	  WITH_STORE(test_group_is_one_commit), WITH_STORE(test_group_survives_a_fault),
	  WITH_STORE(test_group_on_a_full_disk), WITH_STORE(test_failed_savepoint),
	  WITH_STORE(test_damaged_refuses_writes))
