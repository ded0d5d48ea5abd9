/*
 * Lines of a streamed body (application/x-ndjson) in bounded memory: one buffer that holds the line
 * at hand and what was read after it. Empty lines are skipped, but counted.
 */
#ifndef IST_SERVER_NDJSON_H
#define IST_SERVER_NDJSON_H

#include "server/http.h"

#define IST_NDJSON_LINE_MAX ((size_t)32 << 20)

struct ist_ndjson {
	enum ist_code (*read)(void *user, void *data, size_t cap, size_t *ret_n,
			      struct ist_err *err);
	void *user;
	struct ist_buf buf;
	size_t at;	/* where the next line begins */
	size_t scanned; /* no newline between `at` and here */
	uint64_t line;	/* the number of the last one given, from 1 */
	bool ended;
};

void ist_ndjson_init(struct ist_ndjson *nd, struct ist_request *rq);
void ist_ndjson_finish(struct ist_ndjson *nd);
/* The next line without its newline, valid until the next call; data NULL at the end.
 * IST_BODY_TOO_LARGE: longer than IST_NDJSON_LINE_MAX; nothing more can be read then. */
IST_CHECKED enum ist_code ist_ndjson_next(struct ist_ndjson *nd, struct ist_str *ret,
					  struct ist_err *err);
/* Whether a whole line is at hand, so that `next` will not wait for the client. */
bool ist_ndjson_ready(struct ist_ndjson *nd);

#endif
