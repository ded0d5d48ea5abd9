/*
 * Threads that go through the same steps. A step's pieces are taken by whoever comes first, and it
 * is over when all that were taken are done: a thread that the system keeps from running holds
 * nobody up, but for the piece that it has in hand.
 *
 *   for (size_t i; ist_team_next(team, n, &i);)
 *           …piece i…
 */
#ifndef IST_CORE_ENCODE_TEAM_H
#define IST_CORE_ENCODE_TEAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"

struct ist_team_step {
	_Alignas(64) _Atomic size_t taken;
	_Atomic size_t done;
};
struct ist_team {
	size_t rank, size;
	struct ist_team_step *steps; /* zeroed, as many as are gone through; NULL for one thread */
	size_t at;		     /* of a team of one: the piece */
	bool working;
};
bool ist_team_next(struct ist_team *team, size_t n, size_t *ret);

/* How many threads are worth having for so many multiplications: one for little, or where the
 * caller shares work already; else what the caller's OpenMP setting allows. */
size_t ist_team_size(double work);
/* Calls run(user, team) on `size` threads. */
void ist_team_run(size_t size, size_t n_steps, void (*run)(void *user, struct ist_team *team),
		  void *user, struct ist_arena *arena);

#endif
