/* Watching a job until it ends. */
#ifndef IST_SERVER_CLI_FOLLOW_H
#define IST_SERVER_CLI_FOLLOW_H

#include "server/cli/cli.h"

/*
 * Draws the job's progress and curves until it has ended; *ret is the job then. After Ctrl-C it is
 * IST_CANCELLED, and the job goes on. A failed or cancelled job is no error here.
 */
IST_CHECKED enum ist_code ist_follow_job(struct ist_cli *cli, const char *job, json_t **ret,
					 struct ist_err *err);
/* Starts a job and follows it. With `detach` it only prints the job's id, or the job where JSON is
 * wanted, and *ret is NULL. */
IST_CHECKED enum ist_code ist_start_job(struct ist_cli *cli, const char *path, const json_t *body,
					bool detach, json_t **ret, struct ist_err *err);
/* IST_OK for a job that is done; else an error that says how it ended. */
IST_CHECKED enum ist_code ist_job_outcome(const json_t *job, struct ist_err *err);

#endif
