/*
 * Requests are counted by route and class of status in fixed tables of atomics, so that counting
 * costs a few nanoseconds. Everything else is asked when the text is made.
 */
#include "server/metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "index/encoding_cache.h"
#include "index/store.h"
#include "server/daemon.h"
#include "server/http.h"
#include "server/http_server.h"
#include "server/jobs.h"

#define ROUTES_MAX 64
#define COLLECTIONS_MAX 1000

static const int statuses[] = {200, 201, 202, 204, 206, 304, 400, 403, 404, 405, 409,
			       411, 413, 415, 416, 422, 429, 431, 500, 503, 507, 0};
static const int64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
				    100000, 250000, 500000, 1000000, 2500000, 10000000};

static atomic_uint_fast64_t answered[ROUTES_MAX][IST_COUNT(statuses)];
static atomic_uint_fast64_t within[ROUTES_MAX][IST_COUNT(bounds_us) + 1];
static atomic_uint_fast64_t micros_sum[ROUTES_MAX];
static atomic_uint_fast64_t counters[IST_N_COUNTERS];

static const struct {
	const char *name, *help;
} counter_rows[IST_N_COUNTERS] = {
    [IST_COUNT_TOO_BUSY] = {"too_busy", "Requests refused because the queue was full"},
    [IST_COUNT_BODY_BYTES] = {"body_bytes", "Bytes of bodies received"},
    [IST_COUNT_IMPORTED] = {"imported", "Records of imports written"},
    [IST_COUNT_IMPORT_FAILED] = {"import_failed", "Records of imports that failed"},
    [IST_COUNT_DECODED] = {"decoded", "Pictures decoded"},
    [IST_COUNT_DECODE_FAILED] = {"decode_failed", "Pictures refused by their decoder"},
    [IST_COUNT_DECODER_STARTS] = {"decoder_starts", "Decoder processes started"},
    [IST_COUNT_PICTURES_ENCODED] = {"pictures_encoded", "Pictures encoded"},
    [IST_COUNT_TEXTS_ENCODED] = {"texts_encoded", "Texts encoded"},
    [IST_COUNT_CACHE_HITS] = {"encoding_cache_hits", "Media whose encoding was kept on disk"},
    [IST_COUNT_CACHE_MISSES] = {"encoding_cache_misses", "Media that were looked for there"
							 " and had to be encoded"},
    [IST_COUNT_RECENT_HITS] = {"recent_hits", "Texts and pictures of queries encoded lately"},
    [IST_COUNT_RECENT_MISSES] = {"recent_misses", "Texts and pictures of queries that were not"},
    [IST_COUNT_QUERIES] = {"queries", "Queries answered, those of a batch each"},
    [IST_COUNT_TRAININGS] = {"trainings", "Trainings that ended with a model"},
    [IST_COUNT_JOBS_FAILED] = {"jobs_failed", "Jobs that failed"},
};

/* Relaxed: a reader may see one of the three tables a request later than the others. */
void ist_metrics_request(size_t route, int status, int64_t micros)
{
	size_t s = 0, b = 0;

	route = route < ROUTES_MAX ? route : ROUTES_MAX - 1;
	while (s + 1 < IST_COUNT(statuses) && statuses[s] != status)
		s++;
	while (b < IST_COUNT(bounds_us) && micros > bounds_us[b])
		b++;
	atomic_fetch_add_explicit(&answered[route][s], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&within[route][b], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&micros_sum[route], (uint64_t)micros, memory_order_relaxed);
}

void ist_metrics_count(enum ist_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&counters[counter], n, memory_order_relaxed);
}

static void put_head(struct ist_buf *buf, const char *name, const char *type, const char *help)
{
	ist_buf_printf(buf, "# HELP isthmus_%s %s\n# TYPE isthmus_%s %s\n", name, help, name, type);
}

/* What only grows has a name that ends in _total. */
static void put_value(struct ist_buf *buf, const char *name, const char *help, double value)
{
	put_head(buf, name, strstr(name, "_total") != NULL ? "counter" : "gauge", help);
	ist_buf_printf(buf, "isthmus_%s %.17g\n", name, value);
}

static const char *route_name(size_t route)
{
	return route < ist_n_routes ? ist_routes[route].operation : "none";
}

static void put_statuses(struct ist_buf *buf)
{
	put_head(buf, "requests_total", "counter", "Requests by operation and status (0: cut off)");
	for (size_t r = 0; r < ROUTES_MAX; r++)
		for (size_t s = 0; s < IST_COUNT(statuses); s++) {
			uint64_t n = atomic_load(&answered[r][s]);

			if (n > 0)
				ist_buf_printf(
				    buf,
				    "isthmus_requests_total{operation=\"%s\",status=\"%d\"} "
				    "%llu\n",
				    route_name(r), statuses[s], (unsigned long long)n);
		}
}

/* Operations that were never asked for are left out: most of them, on most days. */
static void put_histogram(struct ist_buf *buf, size_t r)
{
	uint64_t n = 0;

	for (size_t b = 0; b <= IST_COUNT(bounds_us); b++)
		n += atomic_load(&within[r][b]);
	if (n == 0)
		return;
	n = 0;
	for (size_t b = 0; b <= IST_COUNT(bounds_us); b++) {
		char le[16] = "+Inf";

		if (b < IST_COUNT(bounds_us))
			snprintf(le, sizeof(le), "%g", (double)bounds_us[b] / 1e6);
		n += atomic_load(&within[r][b]);
		ist_buf_printf(buf,
			       "isthmus_request_seconds_bucket{operation=\"%s\",le=\"%s\"} %llu\n",
			       route_name(r), le, (unsigned long long)n);
	}
	ist_buf_printf(buf,
		       "isthmus_request_seconds_sum{operation=\"%s\"} %.6f\n"
		       "isthmus_request_seconds_count{operation=\"%s\"} %llu\n",
		       route_name(r), (double)atomic_load(&micros_sum[r]) / 1e6, route_name(r),
		       (unsigned long long)n);
}

static void put_counters(struct ist_buf *buf)
{
	char name[64];

	for (size_t i = 0; i < IST_N_COUNTERS; i++) {
		snprintf(name, sizeof(name), "%s_total", counter_rows[i].name);
		put_head(buf, name, "counter", counter_rows[i].help);
		ist_buf_printf(buf, "isthmus_%s %llu\n", name,
			       (unsigned long long)atomic_load(&counters[i]));
	}
}

static void put_http(struct ist_http *http, struct ist_buf *buf)
{
	struct ist_http_stats s;

	ist_http_stats(http, &s);
	put_value(buf, "connections", "Connections open", (double)s.connections);
	put_value(buf, "requests_open", "Requests under way", (double)s.requests);
	put_value(buf, "queue", "Requests waiting for a worker", (double)s.waiting);
	put_value(buf, "workers_busy", "Workers at work", (double)s.busy);
	put_value(buf, "imports_open", "Imports under way", (double)s.streams);
	put_value(buf, "buffered_bytes", "Bodies in memory", (double)s.buffered_bytes);
}

static void put_store(struct ist_store *store, struct ist_buf *buf)
{
	struct ist_store_stats s = {0};

	ist_store_stats(store, &s);
	put_value(buf, "database_bytes", "Size of the database", (double)s.database_bytes);
	put_value(buf, "wal_bytes", "Size of its write-ahead log", (double)s.wal_bytes);
	put_value(buf, "media_bytes", "Size of the originals", (double)s.media_bytes);
	put_value(buf, "commits_total", "Transactions since the start", (double)s.commits);
	put_value(buf, "writes_total", "Writes since the start", (double)s.writes);
	put_value(buf, "merges_total", "Merges of indexes since the start", (double)s.merges);
	put_value(buf, "writer_queue", "Writes waiting for the writer", (double)s.queue);
}

static void put_jobs(struct ist_jobs *jobs, struct ist_buf *buf)
{
	struct ist_jobs_stats s = {0};

	ist_jobs_stats(jobs, &s);
	put_value(buf, "jobs_queued", "Jobs waiting", (double)s.queued);
	put_value(buf, "jobs_running", "Jobs at work", (double)s.running);
}

struct row { /* one collection, copied */
	struct ist_collection_info info;
	char label[600];
};

/* A label's value as Prometheus wants it. */
static void escape(const char *name, char *ret, size_t size)
{
	size_t n = 0;

	for (; *name != '\0' && n + 2 < size; name++) {
		if (*name == '"' || *name == '\\')
			ret[n++] = '\\';
		ret[n++] = *name;
	}
	ret[n] = '\0';
}

static double row_items(const struct row *r)
{
	return (double)r->info.items;
}

static double row_base(const struct row *r)
{
	return (double)r->info.index_base;
}

static double row_fresh(const struct row *r)
{
	return (double)r->info.index_fresh;
}

static double row_recall(const struct row *r)
{
	return r->info.index_recall;
}

static const struct {
	const char *name, *help;
	double (*get)(const struct row *r);
} row_values[] = {
    {"items", "Items of a collection", row_items},
    {"index_base", "Items in the built part of the active index", row_base},
    {"index_fresh", "Items after it, searched exactly", row_fresh},
    {"index_recall", "Recall at 10 of the built part, measured (NaN: not)", row_recall},
};

/* A collection that is removed meanwhile is left out. No error is worth failing a scrape. */
static size_t read_rows(struct ist_store *store, struct row *rows)
{
	json_t *names = NULL;
	size_t n = 0;

	if (ist_store_collection_names(store, "", COLLECTIONS_MAX, &names, NULL) != IST_OK)
		return 0;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct ist_collection *c;

		if (ist_store_collection_get(store, name, &c, NULL) != IST_OK)
			continue;
		if (ist_collection_info(c, &rows[n].info, NULL) == IST_OK)
			escape(name, rows[n++].label, sizeof(rows[0].label));
		ist_collection_unref(c);
	}
	json_decref(names);
	return n;
}

/* Prometheus wants all values of one name together, so collections are read first. */
static void put_collections(struct ist_store *store, struct ist_buf *buf)
{
	ist_autofree struct row *rows = ist_alloc(COLLECTIONS_MAX, sizeof(*rows));
	size_t n = read_rows(store, rows);

	for (size_t v = 0; v < IST_COUNT(row_values); v++) {
		put_head(buf, row_values[v].name, "gauge", row_values[v].help);
		for (size_t i = 0; i < n; i++)
			ist_buf_printf(buf, "isthmus_%s{collection=\"%s\"} %.17g\n",
				       row_values[v].name, rows[i].label,
				       row_values[v].get(&rows[i]));
	}
}

size_t ist_resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long all, resident = 0;

	if (f != NULL) {
		if (fscanf(f, "%lu %lu", &all, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

void ist_disk_space(const char *folder, uint64_t *ret_free, uint64_t *ret_all)
{
	struct statvfs fs;
	bool known = statvfs(folder, &fs) == 0;

	*ret_free = known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	*ret_all = known ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
}

static void put_disk(const struct ist_store *store, struct ist_buf *buf)
{
	uint64_t free_bytes, all;

	ist_disk_space(ist_store_folder(store), &free_bytes, &all);
	put_value(buf, "disk_free_bytes", "Room left where the data folder lies",
		  (double)free_bytes);
	put_value(buf, "disk_bytes", "Size of the filesystem that it lies on", (double)all);
}

void ist_metrics_put(struct ist_daemon *daemon, struct ist_buf *buf)
{
	put_statuses(buf);
	put_head(buf, "request_seconds", "histogram",
		 "Time from the request line to the reply's end");
	for (size_t r = 0; r < ROUTES_MAX; r++)
		put_histogram(buf, r);
	put_counters(buf);
	put_http(daemon->http, buf);
	put_jobs(daemon->jobs, buf);
	put_store(daemon->store, buf);
	put_value(buf, "encoding_cache_bytes", "Size of the cache of encodings (0: not opened yet)",
		  (double)ist_encoding_cache_bytes(daemon->cache));
	put_disk(daemon->store, buf);
	put_collections(daemon->store, buf);
	put_value(buf, "resident_bytes", "Resident memory of the process",
		  (double)ist_resident_bytes());
	put_value(buf, "uptime_seconds", "Since the start",
		  (double)(ist_monotonic_us() - daemon->started_us) / 1e6);
}
