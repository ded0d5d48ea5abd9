/*
 * From a trained model to the active one: what the request's "activate" says, the gate that
 * "if_better" asks, and the swap. Shared by the jobs that train.
 */
#ifndef IST_SERVER_JOB_PROMOTE_H
#define IST_SERVER_JOB_PROMOTE_H

#include "server/jobs.h"

struct ist_promotion {
	struct ist_job *job;
	struct ist_collection *collection;
	const char *model;    /* the candidate, kept in the store */
	unsigned needs;	      /* of its method: enum ist_need */
	const char *activate; /* "always", "never", "if_better" */
};

/* Adds "model", "activated" and "reason" to `into`. A cancelled job leaves no model behind:
 * IST_CANCELLED, and the caller takes back what it kept. The last tenth of the job's progress. */
IST_CHECKED enum ist_code ist_promote(const struct ist_promotion *p, json_t *into,
				      struct ist_err *err);
/* The model is deleted where the job was cancelled; `code` is passed on. One that only stops keeps
 * it for the next attempt. */
IST_CHECKED enum ist_code ist_promote_take_back(const struct ist_promotion *p, enum ist_code code,
						struct ist_err *err);

#endif
