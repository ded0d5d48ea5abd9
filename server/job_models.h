/* The models that a job made: their reports name it, so that what was kept just before a crash is
 * found again. */
#ifndef IST_SERVER_JOB_MODELS_H
#define IST_SERVER_JOB_MODELS_H

#include "server/jobs.h"

/* What the report says beside its figures: the split (its counts come from ist_train, `definition`
 * is what the gate of a later training needs to find the test part again), job. */
void ist_job_report_complete(const struct ist_job *job, const struct ist_split *split,
			     size_t skipped, json_t *report);
/* Ids of the models whose reports name this job, the oldest first: (*ret_n), freed by the caller.
 */
IST_CHECKED enum ist_code ist_job_models(struct ist_collection *c, const char *job,
					 char (**ret)[32], size_t *ret_n, struct ist_err *err);
/* What only a kept model tells of itself in a table of models: "id", "embed_us", "bytes". */
IST_CHECKED enum ist_code ist_job_put_model(struct ist_collection *c, const char *id,
					    const struct ist_model *model,
					    const struct ist_pairs *pairs, json_t *row,
					    struct ist_err *err);

#endif
