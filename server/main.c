/*
 * isthmusd: starts the parts in the order in which they need each other, waits for a signal, and
 * stops them in the reverse order within ten seconds. A second signal ends the process at once;
 * so does a handler that does not come back: what was acknowledged is durable either way.
 */
#include <libgen.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/blas/blas.h"
#include "index/encoding_cache.h"
#include "server/decoders.h"
#include "server/encode_gate.h"
#include "server/encoder_use.h"
#include "server/encoders.h"
#include "server/http_server.h"
#include "server/jobs.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/recent.h"
#include "server/workers.h"

#define STOP_US                                                                                    \
	8000000 /* for the requests under way; jobs and store have the rest of ten seconds */
#define CREW_NICE 10
#define ARENAS 4 /* of malloc: each thread's own would keep what it once used */

extern char **environ;

static enum ist_log_level level_of(const char *name)
{
	for (int i = 0; ist_log_level_names[i] != NULL; i++)
		if (strcmp(ist_log_level_names[i], name) == 0)
			return (enum ist_log_level)i;
	return IST_LOG_INFO;
}

static void say_decoder(void *user, int level, const char *event, const char *text)
{
	if (strstr(event, "start") != NULL)
		ist_metrics_count(IST_COUNT_DECODER_STARTS, 1);
	ist_log_event(user, level == IST_DECODERS_WARNING ? IST_LOG_WARN : IST_LOG_INFO, event,
		      text);
}

static void say_job(void *user, int level, const char *event, const char *job, const char *text)
{
	struct ist_log_line line;

	ist_log_begin(&line, (enum ist_log_level)IST_MIN(IST_MAX(level, 0), IST_LOG_ERROR), event);
	ist_log_field(&line, "job", "%s", job);
	if (text != NULL)
		ist_log_field(&line, "text", "%s", text);
	ist_log_end(&line);
}

/* "name" beside this very program. */
static char *beside(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return ist_strdup(name);
	self[n] = '\0';
	return ist_format("%s/%s", dirname(self), name);
}

/* Where encoders may lie besides the data folder: where the user says, beside the program in a
 * build folder, under share/ of its prefix once installed. */
static struct ist_encoders *find_encoders(const struct ist_config *config)
{
	ist_autofree char *own = ist_format("%s/encoders", config->data);
	ist_autofree char *built = beside("encoders");
	ist_autofree char *installed = beside("../share/isthmus/encoders");
	const char *path[4];
	size_t n = 0;

	if (config->encoders != NULL)
		path[n++] = config->encoders;
	path[n++] = built;
	path[n++] = installed;
	path[n] = NULL;
	return ist_encoders_create(own, path);
}

/* What imports bring is encoded by threads that let everybody else go first. */
static void start_crew(struct ist_daemon *d)
{
	const struct ist_config *config = &d->config;
	ist_autofree char *path = ist_format("%s/cache/encodings.db", config->data);
	struct ist_encoding_cache_options cache = {
	    .path = path,
	    .max_bytes = (uint64_t)config->cache_size,
	    .event = ist_log_event,
	    .level = IST_LOG_WARN,
	};
	size_t n = config->import_threads > 0 ? (size_t)config->import_threads
					      : (size_t)sysconf(_SC_NPROCESSORS_ONLN);

	d->cache = ist_encoding_cache_create(&cache);
	d->crew = ist_workers_create(d, "import-help", n, 0, CREW_NICE);
}

/* Neither opens nor starts anything: encoders open at first use, decoders with the first picture.
 */
static void start_media(struct ist_daemon *d)
{
	const struct ist_config *config = &d->config;
	ist_autofree char *program =
	    config->decoder != NULL ? ist_strdup(config->decoder) : beside("isthmus-decode");
	struct ist_decoders_options options = {
	    .program = program,
	    .n = (size_t)config->decoders,
	    .max_pixels = (uint64_t)config->max_pixels,
	    .timeout_ms = (uint32_t)config->decode_timeout_ms,
	    .event = say_decoder,
	};

	d->encoders = find_encoders(config);
	d->decoders = ist_decoders_create(&options);
	d->gate = ist_encode_gate_create((size_t)sysconf(_SC_NPROCESSORS_ONLN));
	d->recent = ist_recent_create();
	start_crew(d);
}

/* Jobs begin last, when everything that they use and that can watch them is there. */
static enum ist_code start(struct ist_daemon *d, struct ist_err *err)
{
	struct ist_store_options store = {.event = ist_log_event,
					  .merge_at = (size_t)d->config.merge_at};
	struct ist_jobs_options jobs = {.threads = (int)d->config.train_threads, .event = say_job};

	if (ist_store_open(d->config.data, &store, &d->store, err) != IST_OK)
		return err->code;
	start_media(d);
	jobs.store = d->store;
	d->jobs = ist_jobs_create(&jobs);
	if (ist_http_start(d, err) != IST_OK)
		return err->code;
	return ist_jobs_start(d->jobs, err);
}

/* The file is written last and whole: who waits for it may connect at once. */
static enum ist_code announce(struct ist_daemon *d, struct ist_err *err)
{
	ist_autofree char *text = ist_format("%s\n", ist_http_address(d->http));
	struct ist_log_line line;

	ist_log_begin(&line, IST_LOG_INFO, "ready");
	ist_log_field(&line, "version", "%s", IST_VERSION);
	ist_log_field(&line, "listen", "%s", ist_http_address(d->http));
	ist_log_field(&line, "data", "%s", d->config.data);
	ist_log_field(&line, "blas", "%s", ist_blas_kernel());
	ist_log_field(&line, "ms", "%.1f", (double)(ist_monotonic_us() - d->started_us) / 1000);
	ist_log_field(&line, "resident_mb", "%.1f", (double)ist_resident_bytes() / 1048576);
	ist_log_end(&line);
	if (d->config.ready_file == NULL)
		return IST_OK;
	return ist_file_write(d->config.ready_file, text, strlen(text), err);
}

/* Waits for the one signal that asks to stop; all threads have them blocked. */
static void wait_for_signal(const sigset_t *signals)
{
	struct ist_log_line line;
	int which = 0;

	while (sigwait(signals, &which) != 0)
		continue;
	ist_log_begin(&line, IST_LOG_INFO, "stopping");
	ist_log_field(&line, "signal", "%s", which == SIGINT ? "SIGINT" : "SIGTERM");
	ist_log_end(&line);
}

/* From here on a signal has its usual effect: the process ends. */
static void let_signals_kill(const sigset_t *signals)
{
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

/* Jobs stop after the requests, because those may have started some; the store closes last. */
static void stop(struct ist_daemon *d)
{
	bool idle = true;

	if (d->http != NULL) {
		ist_http_quiesce(d->http);
		idle = ist_http_drain(d->http, ist_monotonic_us() + STOP_US);
	}
	if (!idle) {
		ist_log_event(NULL, IST_LOG_WARN, "stopped", "a request did not end in time");
		_exit(1);
	}
	if (d->jobs != NULL)
		ist_jobs_stop(d->jobs);
	ist_http_destroy(d->http);
	ist_workers_destroy(d->crew);
	ist_jobs_destroy(d->jobs);
	ist_decoders_destroy(d->decoders);
	ist_encode_gate_destroy(d->gate);
	ist_recent_destroy(d->recent);
	ist_encoding_cache_destroy(d->cache);
	ist_encoders_destroy(d->encoders);
	ist_store_close(d->store);
}

/* Also where starting failed, everything that did start is stopped in order. */
static int run(struct ist_daemon *d, const sigset_t *signals)
{
	struct ist_err err = {0};
	enum ist_code code = start(d, &err);
	struct ist_preload *preload = NULL;

	if (code == IST_OK)
		code = announce(d, &err);
	if (code == IST_OK && d->config.preload_encoders)
		preload = ist_preload_begin(d);
	if (code == IST_OK)
		wait_for_signal(signals);
	else
		ist_log_event(NULL, IST_LOG_ERROR, "start_failed", err.text);
	let_signals_kill(signals);
	ist_preload_end(preload);
	stop(d);
	if (code == IST_OK)
		ist_log_event(NULL, IST_LOG_INFO, "stopped", "everything is closed");
	/* Where starting failed it may be the file of another daemon. */
	if (code == IST_OK && d->config.ready_file != NULL)
		unlink(d->config.ready_file);
	return code == IST_OK ? 0 : 1;
}

static int help(void)
{
	struct ist_buf buf = {0};

	ist_config_help(&buf);
	fputs(buf.data, stdout);
	ist_buf_finish(&buf);
	return 0;
}

/* Many connections need many descriptors: as many as we may have. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct ist_daemon daemon = {.started_us = ist_monotonic_us()};
	struct ist_err err = {0};
	sigset_t signals;
	int status = 0;

	mallopt(M_ARENA_MAX, ARENAS);
	if (ist_config_read(&daemon.config, argc, argv, environ, &err) != IST_OK) {
		fprintf(stderr, "isthmusd: %s\n", err.text);
		return 2;
	}
	if (daemon.config.help) {
		status = help();
	} else if (daemon.config.version) {
		printf("isthmusd %s\n", IST_VERSION);
	} else if (daemon.config.data == NULL) {
		fprintf(stderr, "isthmusd: --data DIR is required; --help lists the options\n");
		status = 2;
	} else {
		ist_log_init(level_of(daemon.config.log_level),
			     strcmp(daemon.config.log_format, "json") == 0);
		raise_limits();
		signal(SIGPIPE, SIG_IGN);
		sigemptyset(&signals);
		sigaddset(&signals, SIGTERM);
		sigaddset(&signals, SIGINT);
		pthread_sigmask(SIG_BLOCK, &signals, NULL);
		status = run(&daemon, &signals);
	}
	ist_config_finish(&daemon.config);
	return status;
}
