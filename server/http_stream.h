/* More about streamed bodies than handlers in general need (see ist_request_read). */
#ifndef IST_SERVER_HTTP_STREAM_H
#define IST_SERVER_HTTP_STREAM_H

#include "server/http.h"

/* Waits up to `ms` milliseconds for more of the body; true if the next read would not block. So a
 * batch is finished early when the client pauses. */
bool ist_request_wait(struct ist_request *rq, int ms);

#endif
