/*
 * Threads that share steps out. Who finds a step's pieces all taken waits for those in hand: by
 * spinning, as they are short, and after a while by giving the processor to whoever holds them up.
 */
#include <omp.h>
#include <sched.h>

#include "core/encode/team.h"

#define SPINS 2000
#define WORK_MIN 4e6 /* multiplications: some 50 microseconds, about what waking a thread costs */

static void rest(size_t turn)
{
	if (turn % SPINS == SPINS - 1)
		sched_yield();
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* The release of `done` and its acquire hand a step's results to the next one. */
bool ist_team_next(struct ist_team *team, size_t n, size_t *ret)
{
	struct ist_team_step *step = team->steps;

	if (step == NULL) {
		*ret = team->at++;
		if (*ret < n)
			return true;
		team->at = 0;
		return false;
	}
	if (team->working)
		atomic_fetch_add_explicit(&step->done, 1, memory_order_release);
	*ret = atomic_fetch_add_explicit(&step->taken, 1, memory_order_relaxed);
	team->working = *ret < n;
	if (team->working)
		return true;
	for (size_t i = 0; atomic_load_explicit(&step->done, memory_order_acquire) < n; i++)
		rest(i);
	team->steps++;
	return false;
}

size_t ist_team_size(double work)
{
	return work < WORK_MIN || omp_in_parallel() ? 1 : (size_t)omp_get_max_threads();
}

void ist_team_run(size_t size, size_t n_steps, void (*run)(void *user, struct ist_team *team),
		  void *user, struct ist_arena *arena)
{
	struct ist_team alone = {.size = 1};
	struct ist_team_step *steps;

	if (size == 1) {
		run(user, &alone);
		return;
	}
	steps = ist_arena_alloc(arena, n_steps, sizeof(*steps));
#pragma omp parallel num_threads((int)size)
	{
		struct ist_team team = {
		    .rank = (size_t)omp_get_thread_num(), .size = size, .steps = steps};

		run(user, &team);
	}
}
