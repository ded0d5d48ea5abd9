/* Ctrl-C: the first one is noted, the second ends the program. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "server/cli/cli.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = signal;
}

/* Without SA_RESTART: what waits is woken. */
void ist_interrupt_catch(void)
{
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int ist_interrupted(void)
{
	return interrupted;
}

void ist_pause_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR && !ist_interrupted())
		;
}
