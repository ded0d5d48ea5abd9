/*
 * The gate before the encoders: never more inside than it says, ingest gives way to queries but is
 * not shut out by them, and workspaces are handed on. And what queries encoded lately.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/encode_gate.h"
#include "server/http_server.h"
#include "server/recent.h"
#include "tests/unit/test.h"

#define SLOTS 2
#define THREADS 8
#define ROUNDS 300

static struct ist_encode_gate *gate;
static atomic_int inside[IST_N_TURNS], most[IST_N_TURNS];

static void *crowd(void *user)
{
	enum ist_turn turn = *(const enum ist_turn *)user;

	for (int i = 0; i < ROUNDS; i++) {
		struct ist_encoder_workspace *ws = ist_encode_gate_enter(gate, turn);
		int now = atomic_fetch_add(&inside[turn], 1) + 1, old = atomic_load(&most[turn]);

		while (now > old && !atomic_compare_exchange_weak(&most[turn], &old, now))
			continue;
		assert_non_null(ws);
		sched_yield();
		atomic_fetch_sub(&inside[turn], 1);
		ist_encode_gate_leave(gate, turn, ws);
	}
	return NULL;
}

static void test_bounded(void **state)
{
	static const enum ist_turn turns[] = {IST_TURN_QUERY, IST_TURN_INGEST};
	pthread_t threads[THREADS];

	gate = ist_encode_gate_create(SLOTS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd, (void *)&turns[i % 2]),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int t = 0; t < IST_N_TURNS; t++)
		assert_in_range(most[t], 1, SLOTS);
	ist_encode_gate_destroy(gate);
}

static void *give_way(void *user)
{
	int64_t *waited = user, began = ist_monotonic_us();
	struct ist_encoder_workspace *ws = ist_encode_gate_enter(gate, IST_TURN_INGEST);

	*waited = ist_monotonic_us() - began;
	ist_encode_gate_leave(gate, IST_TURN_INGEST, ws);
	return NULL;
}

/* A query that stays holds ingest for the time that it gives way, and no longer. */
static void test_gives_way(void **state)
{
	struct ist_encoder_workspace *ws;
	int64_t waited;
	pthread_t thread;

	gate = ist_encode_gate_create(SLOTS);
	ws = ist_encode_gate_enter(gate, IST_TURN_QUERY);
	assert_int_equal(pthread_create(&thread, NULL, give_way, &waited), 0);
	pthread_join(thread, NULL);
	assert_true(waited >= 49000);
	ist_encode_gate_leave(gate, IST_TURN_QUERY, ws);
	ws = ist_encode_gate_enter(gate, IST_TURN_INGEST); /* nobody to give way to */
	ist_encode_gate_leave(gate, IST_TURN_INGEST, ws);
	ist_encode_gate_destroy(gate);
}

/* The last used is handed out first, so that the others stay small. */
static void test_workspaces(void **state)
{
	struct ist_encoder_workspace *a, *b;

	gate = ist_encode_gate_create(SLOTS);
	a = ist_encode_gate_enter(gate, IST_TURN_QUERY);
	b = ist_encode_gate_enter(gate, IST_TURN_QUERY);
	assert_ptr_not_equal(a, b);
	ist_encode_gate_leave(gate, IST_TURN_QUERY, b);
	ist_encode_gate_leave(gate, IST_TURN_QUERY, a);
	assert_ptr_equal(ist_encode_gate_enter(gate, IST_TURN_QUERY), a);
	ist_encode_gate_leave(gate, IST_TURN_QUERY, a);
	ist_encode_gate_destroy(gate);
}

/* ---- what was encoded lately ---- */

static void make_key(unsigned number, uint8_t ret[IST_SHA256_SIZE])
{
	ist_sha256(&number, sizeof(number), ret);
}

static void remember(struct ist_recent *recent, unsigned number, size_t dim)
{
	uint8_t key[IST_SHA256_SIZE];
	float vector[8];

	for (size_t j = 0; j < dim; j++)
		vector[j] = (float)number + (float)j;
	make_key(number, key);
	ist_recent_put(recent, key, dim, vector);
}

static bool knows(struct ist_recent *recent, unsigned number, size_t dim)
{
	uint8_t key[IST_SHA256_SIZE];
	float vector[8] = {0};

	make_key(number, key);
	if (!ist_recent_get(recent, key, dim, vector))
		return false;
	assert_true(vector[0] == (float)number && vector[dim - 1] == (float)(number + dim - 1));
	return true;
}

/* One that is asked again and again stays, however many others come. */
static void test_recent(void **state)
{
	struct ist_recent *recent = ist_recent_create();
	unsigned kept = 0;

	assert_false(knows(recent, 1, 4));
	remember(recent, 1, 4);
	assert_true(knows(recent, 1, 4));
	assert_false(knows(recent, 1, 3)); /* of another width */
	for (unsigned i = 2; i < 20000; i++) {
		remember(recent, i, i % 2 ? 4 : 8);
		assert_true(knows(recent, i, i % 2 ? 4 : 8));
		assert_true(knows(recent, 1, 4));
	}
	for (unsigned i = 1; i < 20000; i++)
		kept += knows(recent, i, i % 2 ? 4 : 8);
	assert_in_range(kept, 900, 1024);
	remember(recent, 1, 8);
	assert_true(knows(recent, 1, 8));
	ist_recent_destroy(recent);
}

TEST_MAIN(cmocka_unit_test(test_bounded), cmocka_unit_test(test_gives_way),
	  cmocka_unit_test(test_workspaces), cmocka_unit_test(test_recent))
