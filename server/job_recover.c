/*
 * What an earlier run of the daemon left: rows that were running when it died go back to the queue,
 * or have failed after three times; rows that wait are queued again, oldest first, with the
 * progress and the curves that they had.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/jobs_private.h"
#include "server/log.h"
#include "server/rfc3339.h"

#define PAGE 100

/* A row that was running when the daemon died: back to the queue, or failed after three times. */
static enum ist_code recover(struct ist_jobs *jobs, struct ist_job_row *row,
			     struct ist_arena *arena, struct ist_err *err)
{
	struct ist_err cut = {0};
	struct ist_err ignored = {0};

	if (row->attempts < IST_JOB_ATTEMPTS) {
		ist_jobs_note(jobs, IST_LOG_WARN, "job_resumes", row->id, "it was cut short");
		return ist_jobs_move(jobs, row, "queued", err);
	}
	if (ist_fail(&cut, IST_INTERNAL, "the daemon ended %d times while this job ran",
		     row->attempts) == IST_INTERNAL)
		row->error = ist_jobs_problem(arena, row->id, &cut);
	row->finished_us = ist_now_us();
	ist_jobs_note(jobs, IST_LOG_ERROR, "job_failed", row->id, cut.text);
	if (ist_dir_remove(ist_arena_format(arena, "%s/jobs/%s",
					    ist_store_folder(jobs->options.store), row->id),
			   &ignored))
		ist_jobs_note(jobs, IST_LOG_WARN, "job_folder_left", row->id, ignored.text);
	return ist_jobs_move(jobs, row, "failed", err);
}

/* Queues a waiting row in memory. */
static enum ist_code take_up(struct ist_jobs *jobs, struct ist_job_row *row,
			     struct ist_arena *arena, struct ist_err *err)
{
	const struct ist_job_kind *kind = ist_jobs_kind(jobs, row->kind);
	struct ist_err unknown = {0};
	struct ist_job_live *live;
	json_t *progress;

	if (kind == NULL) {
		if (ist_fail(&unknown, IST_INTERNAL, "no job of kind %s is known", row->kind))
			row->error = ist_jobs_problem(arena, row->id, &unknown);
		row->finished_us = ist_now_us();
		return ist_jobs_move(jobs, row, "failed", err);
	}
	live = ist_jobs_live(jobs, row->id);
	if (live != NULL) { /* submitted before the start */
		ist_job_live_unref(live);
		return IST_OK;
	}
	live = ist_job_live_create(row->id);
	progress = row->progress != NULL ? json_loads(row->progress, 0, NULL) : NULL;
	ist_job_live_restore(live, progress);
	json_decref(progress);
	ist_jobs_enqueue(jobs, &jobs->lanes[kind->lane], live);
	return IST_OK;
}

/* All rows of a state, oldest first, in the arena. */
static enum ist_code rows_of(struct ist_jobs *jobs, const char *state, struct ist_arena *arena,
			     struct ist_job_row **ret, size_t *ret_n, struct ist_err *err)
{
	struct ist_job_row *all = NULL, *page;
	size_t n = 0, n_page = PAGE;
	char before[32] = "";

	while (n_page == PAGE) {
		enum ist_code code = ist_jobs_list(jobs->options.store, before, state, NULL, PAGE,
						   arena, &page, &n_page, err);

		if (code) {
			free(all);
			return code;
		}
		all = ist_resize(all, n + n_page + 1, sizeof(*all));
		for (size_t i = 0; i < n_page; i++)
			all[n++] = page[i];
		if (n_page)
			snprintf(before, sizeof(before), "%s", all[n - 1].id);
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct ist_job_row swap = all[i];

		all[i] = all[n - 1 - i];
		all[n - 1 - i] = swap;
	}
	*ret = all;
	*ret_n = n;
	return IST_OK;
}

/* Does something with every row of a state; the first error ends it. */
static enum ist_code for_all(struct ist_jobs *jobs, const char *state,
			     enum ist_code (*what)(struct ist_jobs *, struct ist_job_row *,
						   struct ist_arena *, struct ist_err *),
			     struct ist_err *err)
{
	struct ist_arena arena = {0};
	ist_autofree struct ist_job_row *rows = NULL;
	size_t n = 0;
	enum ist_code code = rows_of(jobs, state, &arena, &rows, &n, err);

	for (size_t i = 0; i < n && !code; i++)
		code = what(jobs, &rows[i], &arena, err);
	ist_arena_finish(&arena);
	return code;
}

enum ist_code ist_jobs_recover(struct ist_jobs *jobs, struct ist_err *err)
{
	enum ist_code code = for_all(jobs, "running", recover, err);

	return code ? code : for_all(jobs, "queued", take_up, err);
}
