/*
 * kill -9 in the middle of writes, merges and swaps: a child process writes and reports each
 * acknowledged batch; it is killed after a random number of them, wherever it is by then. After
 * every kill the store must open, hold every acknowledged item in its acknowledged version, find
 * each by search, and leave no file behind that no row names.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/maintenance.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

enum { ROUNDS = 12, BATCH = 8, IDS = 400, ACKS_MAX = 40 };

/* What a batch says: items `from` .. + BATCH (mod IDS) have the number `number` + i. */
struct ack {
	unsigned from, number;
};

static void id_of(unsigned i, char ret[16])
{
	snprintf(ret, 16, "k%03u", i % IDS);
}

/* ---- the child ---- */

static void write_batch(struct fixture *f, struct ack ack)
{
	struct ist_err err = {0};
	struct fixture_item items[BATCH];
	struct ist_write writes[BATCH] = {0};

	for (unsigned i = 0; i < BATCH; i++) {
		char id[16];

		id_of(ack.from + i, id);
		fixture_make(&items[i], id, ack.number + i);
		writes[i].item = &items[i].item;
	}
	if (ist_items_write(f->c, writes, BATCH, &err) != IST_OK)
		_exit(3);
}

/* Writes for ever; now and then another model becomes active, and merges go on all the time. */
static int child_main(const char *folder, unsigned number)
{
	struct fixture f = {.options = {.merge_at = 30}};

	snprintf(f.folder, sizeof(f.folder), "%s", folder);
	fixture_open(&f);
	for (unsigned n = 0;; n++) {
		struct ack ack = {n * BATCH * 3 % IDS, number + n * BATCH};

		write_batch(&f, ack);
		if (write(STDOUT_FILENO, &ack, sizeof(ack)) != (ssize_t)sizeof(ack))
			return 0;
		if (n % 7 == 6 &&
		    ist_models_activate(f.c, n % 2 ? "m_1" : "identity", NULL, NULL) != IST_OK)
			return 4;
	}
}

/* ---- the parent ---- */

struct crash {
	struct fixture f;
	struct ist_rng rng;
	unsigned numbers[IDS]; /* acknowledged, by id; 0: none */
	unsigned maybe[IDS];   /* of the batch that was under way */
	unsigned next;
};

static pid_t start_child(const struct crash *c, int *ret_fd)
{
	char number[16];
	char *argv[] = {(char *)"/proc/self/exe", (char *)c->f.folder, number, NULL};
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;

	snprintf(number, sizeof(number), "%u", c->next);
	assert_int_equal(pipe(fds), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

static void note(struct crash *c, const struct ack *ack)
{
	for (unsigned i = 0; i < BATCH; i++)
		c->numbers[(ack->from + i) % IDS] = ack->number + i;
	c->next = ack->number + BATCH;
}

/* The batch after the last acknowledged one may be there or not, but whole. */
static void note_maybe(struct crash *c, const struct ack *last)
{
	unsigned from = (last->from + BATCH * 3) % IDS;

	memset(c->maybe, 0, sizeof(c->maybe));
	for (unsigned i = 0; i < BATCH; i++)
		c->maybe[(from + i) % IDS] = last->number + BATCH + i;
	c->next += BATCH;
}

static void run_and_kill(struct crash *c)
{
	size_t n = 1 + ist_rng_below(&c->rng, ACKS_MAX);
	struct ack ack = {0};
	int fd, status;
	pid_t pid = start_child(c, &fd);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(read(fd, &ack, sizeof(ack)), sizeof(ack));
		note(c, &ack);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	/* What it had acknowledged before the signal came. */
	while (read(fd, &ack, sizeof(ack)) == (ssize_t)sizeof(ack))
		note(c, &ack);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	note_maybe(c, &ack);
}

static unsigned number_of(const struct ist_item *item)
{
	unsigned number = 0;

	assert_int_equal(item->n_texts, 1);
	assert_int_equal(sscanf(item->texts[0], "text %u", &number), 1);
	return number;
}

static void check_item(struct crash *c, unsigned i, bool *ret_maybe)
{
	struct ist_item item;
	struct ist_err err = {0};
	char id[16];
	enum ist_code code;
	unsigned number;

	id_of(i, id);
	code = ist_item_get(c->f.c, id, false, &c->f.arena, &item, &err);
	if (code == IST_NOT_FOUND && c->numbers[i] == 0)
		return;
	if (code != IST_OK)
		fail_msg("%s: %s", id, err.text);
	number = number_of(&item);
	*ret_maybe |= c->maybe[i] != 0 && number == c->maybe[i];
	if (number != c->numbers[i] && number != c->maybe[i])
		fail_msg("%s is %u, not %u", id, number, c->numbers[i]);
	c->numbers[i] = number;
	assert_string_equal(fixture_search(&c->f, number, 1, NULL), id);
}

static void check(struct crash *c)
{
	struct ist_err err = {0};
	bool maybe = false;

	fixture_open(&c->f);
	assert_int_equal(ist_store_state(c->f.store, NULL), IST_STORE_READY);
	assert_ist_ok(ist_maintenance_check(c->f.store, &err));
	for (unsigned i = 0; i < IDS; i++)
		check_item(c, i, &maybe);
	for (unsigned i = 0; maybe && i < IDS; i++)
		assert_true(c->maybe[i] == 0 || c->numbers[i] == c->maybe[i]);
	fixture_close(&c->f);
	ist_arena_reset(&c->f.arena);
}

static void test_kills(void **state)
{
	struct crash c = {.next = 1000, .f = {.options = {.read_only_memory = true}}};
	char id[32];

	ist_rng_init(&c.rng, 9, "kills");
	snprintf(c.f.folder, sizeof(c.f.folder), "/tmp/ist-crash-XXXXXX");
	assert_non_null(mkdtemp(c.f.folder));
	c.f.searcher = ist_searcher_create();
	fixture_open(&c.f);
	fixture_put_many(&c.f, 0, 100);
	fixture_train(&c.f, id);
	assert_string_equal(id, "m_1");
	for (unsigned i = 0; i < 100; i++) {
		char gone[16];

		snprintf(gone, sizeof(gone), "i%03u", i);
		fixture_delete(&c.f, gone);
	}
	fixture_close(&c.f);
	for (int round = 0; round < ROUNDS; round++) {
		run_and_kill(&c);
		check(&c);
	}
	fixture_remove(&c.f);
	ist_searcher_destroy(c.f.searcher);
	ist_arena_finish(&c.f.arena);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};

	if (argc == 3)
		return child_main(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
