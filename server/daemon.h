/*
 * The daemon's parts, made once by main.c and handed to every handler. Each part is thread-safe by
 * itself; what is a worker's own is in struct ist_worker.
 */
#ifndef IST_SERVER_DAEMON_H
#define IST_SERVER_DAEMON_H

#include "core/encode/encoder.h"
#include "index/store.h"
#include "index/vectors.h"
#include "server/config.h"

struct ist_http;
struct ist_jobs;     /* server/jobs.h */
struct ist_decoders; /* server/decoders.h: the child processes */
struct ist_encoders; /* server/encoders.h: opened at first use, shared */
struct ist_encode_gate;
struct ist_recent;
struct ist_encoding_cache; /* index/encoding_cache.h */
struct ist_workers;

struct ist_daemon {
	struct ist_config config;
	struct ist_store *store;
	struct ist_encoders *encoders;
	struct ist_decoders *decoders;
	struct ist_encode_gate *gate;
	struct ist_recent *recent;
	struct ist_encoding_cache *cache;
	struct ist_workers *crew; /* encodes what imports bring, all of them */
	struct ist_jobs *jobs;
	struct ist_http *http;
	int64_t started_us;
};

struct ist_worker {
	struct ist_daemon *daemon;
	struct ist_searcher *searcher;
};

#endif
