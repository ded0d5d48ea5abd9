/* Ranges of bytes (RFC 9110, 14). */
#ifndef IST_SERVER_HTTP_RANGE_H
#define IST_SERVER_HTTP_RANGE_H

#include <stdint.h>

enum ist_range {
	IST_RANGE_WHOLE, /* none asked, not understood, or several: the whole thing is answered */
	IST_RANGE_PART,
	IST_RANGE_OUTSIDE, /* 416 */
};
/* `header` may be NULL. */
enum ist_range ist_range_parse(const char *header, uint64_t size, uint64_t *ret_from,
			       uint64_t *ret_n);

/* Whether a list of entity tags (If-None-Match) holds this one, compared weakly. */
int ist_etag_listed(const char *list, const char *etag);

#endif
