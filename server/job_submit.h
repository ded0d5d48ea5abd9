/* The one way in which a handler starts a job and answers for it. */
#ifndef IST_SERVER_JOB_SUBMIT_H
#define IST_SERVER_JOB_SUBMIT_H

#include "server/http.h"

/* Queues a job of the path's collection under the header Idempotency-Key, if there is one, and
 * answers 202 with Location and the job. `request` stays the caller's. */
IST_CHECKED enum ist_code ist_submit_and_reply(struct ist_request *rq, struct ist_reply *re,
					       const char *kind, const json_t *request,
					       struct ist_err *err);

#endif
