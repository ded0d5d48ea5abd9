/*
 * One mutex, and a condition for each turn. Workspaces are made when they are first needed and
 * taken back on a stack: the one used last is used next, so that the others stay small where few
 * encode at once.
 *
 * Ingest gives way between two pictures or batches of texts, never in the midst of one, and not for
 * ever: queries without a pause must not stop an import.
 */
#include "server/encode_gate.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "core/base/memory.h"

#define YIELD_MS 50 /* at most, before each picture or batch of texts */

struct turn {
	pthread_cond_t free;
	struct ist_encoder_workspace **stack;
	size_t n_stack, n_inside, n_waiting;
};

struct ist_encode_gate {
	size_t n;
	pthread_mutex_t lock; /* guards all below */
	struct turn turns[IST_N_TURNS];
};

struct ist_encode_gate *ist_encode_gate_create(size_t n)
{
	struct ist_encode_gate *gate = ist_alloc(1, sizeof(*gate));
	pthread_condattr_t attr;

	gate->n = IST_MAX(n, 1);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (int t = 0; t < IST_N_TURNS; t++) {
		pthread_cond_init(&gate->turns[t].free, &attr);
		gate->turns[t].stack = ist_alloc(gate->n, sizeof(struct ist_encoder_workspace *));
	}
	pthread_condattr_destroy(&attr);
	return gate;
}

void ist_encode_gate_destroy(struct ist_encode_gate *gate)
{
	if (gate == NULL)
		return;
	for (int t = 0; t < IST_N_TURNS; t++) {
		struct turn *turn = &gate->turns[t];

		while (turn->n_stack > 0)
			ist_encoder_workspace_destroy(turn->stack[--turn->n_stack]);
		free(turn->stack);
		pthread_cond_destroy(&turn->free);
	}
	pthread_mutex_destroy(&gate->lock);
	free(gate);
}

static bool queries_are_there(const struct ist_encode_gate *gate)
{
	const struct turn *queries = &gate->turns[IST_TURN_QUERY];

	return queries->n_inside + queries->n_waiting > 0;
}

static struct timespec from_now(long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* With the lock held. */
static void give_way(struct ist_encode_gate *gate)
{
	struct timespec until = from_now(YIELD_MS);

	while (queries_are_there(gate))
		if (pthread_cond_timedwait(&gate->turns[IST_TURN_INGEST].free, &gate->lock,
					   &until) == ETIMEDOUT)
			return;
}

struct ist_encoder_workspace *ist_encode_gate_enter(struct ist_encode_gate *gate,
						    enum ist_turn which)
{
	struct turn *turn = &gate->turns[which];
	struct ist_encoder_workspace *workspace = NULL;

	pthread_mutex_lock(&gate->lock);
	turn->n_waiting++;
	if (which == IST_TURN_INGEST)
		give_way(gate);
	while (turn->n_inside == gate->n)
		pthread_cond_wait(&turn->free, &gate->lock);
	turn->n_waiting--;
	turn->n_inside++;
	if (turn->n_stack > 0)
		workspace = turn->stack[--turn->n_stack];
	pthread_mutex_unlock(&gate->lock);
	return workspace != NULL ? workspace : ist_encoder_workspace_create();
}

/* The last query to leave lets all in who gave way to it. */
void ist_encode_gate_leave(struct ist_encode_gate *gate, enum ist_turn which,
			   struct ist_encoder_workspace *workspace)
{
	struct turn *turn = &gate->turns[which];

	pthread_mutex_lock(&gate->lock);
	turn->n_inside--;
	turn->stack[turn->n_stack++] = workspace;
	pthread_cond_broadcast(&turn->free);
	if (!queries_are_there(gate))
		pthread_cond_broadcast(&gate->turns[IST_TURN_INGEST].free);
	pthread_mutex_unlock(&gate->lock);
}
