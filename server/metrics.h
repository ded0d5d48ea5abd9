/*
 * Counters and histograms, printed as Prometheus text. Counting takes no lock; any thread may.
 */
#ifndef IST_SERVER_METRICS_H
#define IST_SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct ist_daemon;

/* One answered request; `route` is its row in ist_routes, or ist_n_routes where none matched. */
void ist_metrics_request(size_t route, int status, int64_t micros);

/* What else is counted: one row each in metrics.c. */
enum ist_counter {
	IST_COUNT_TOO_BUSY,	  /* requests refused because the queue was full */
	IST_COUNT_BODY_BYTES,	  /* bytes of bodies received */
	IST_COUNT_IMPORTED,	  /* records of imports written */
	IST_COUNT_IMPORT_FAILED,  /* records of imports that failed */
	IST_COUNT_DECODED,	  /* pictures decoded */
	IST_COUNT_DECODE_FAILED,  /* pictures refused by their decoder */
	IST_COUNT_DECODER_STARTS, /* decoder processes started */
	IST_COUNT_PICTURES_ENCODED,
	IST_COUNT_TEXTS_ENCODED,
	IST_COUNT_CACHE_HITS, /* of index/encoding_cache.h */
	IST_COUNT_CACHE_MISSES,
	IST_COUNT_RECENT_HITS, /* of recent.h */
	IST_COUNT_RECENT_MISSES,
	IST_COUNT_QUERIES,   /* queries answered, those of a batch each */
	IST_COUNT_TRAININGS, /* trainings that ended with a model */
	IST_COUNT_JOBS_FAILED,
	IST_N_COUNTERS
};
void ist_metrics_count(enum ist_counter counter, uint64_t n);

size_t ist_resident_bytes(void);
/* Of the filesystem that a folder lies on; 0 where it does not say. */
void ist_disk_space(const char *folder, uint64_t *ret_free,
		    uint64_t *ret_all); /* of this process */

/* The whole text: the above, and what store, http and process say of themselves. */
void ist_metrics_put(struct ist_daemon *daemon, struct ist_buf *buf);

#endif
