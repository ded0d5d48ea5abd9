/* Times on the wire: RFC 3339 in UTC with microseconds, "2026-01-02T03:04:05.678901Z". */
#ifndef IST_SERVER_RFC3339_H
#define IST_SERVER_RFC3339_H

#include <jansson.h>
#include <stdint.h>

#define IST_RFC3339_SIZE 40

int64_t ist_now_us(void); /* since 1970, of the wall clock */
void ist_rfc3339(int64_t us, char ret[IST_RFC3339_SIZE]);
json_t *ist_rfc3339_json(int64_t us); /* null for 0: "not yet" */

#endif
