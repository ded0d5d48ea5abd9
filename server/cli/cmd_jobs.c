/* jobs: lists them, shows one, follows or cancels it. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/follow.h"
#include "server/cli/print.h"
#include "server/cli/report.h"

static const char *const states[] = {"queued", "running", "done", "failed", "cancelled", NULL};

static const struct ist_opt opts[] = {
    {"follow", IST_OPT_FLAG, 'f', .help = "watch the job until it ends"},
    {"cancel", IST_OPT_FLAG, 0, .help = "end the job; it leaves no model"},
    {"collection", IST_OPT_TEXT, 'c', "NAME", .help = "only jobs of this collection"},
    {"state", IST_OPT_CHOICE, 0, "STATE", states, .help = "only jobs in this state"},
    {"limit", IST_OPT_INT, 'n', "N", .min = 1, .max = 1e6, .help = "so many at most (20)"},
};

static const char *text(const json_t *job, const char *name)
{
	const char *s = json_string_value(json_object_get(job, name));

	return s != NULL ? s : "";
}

static void add_row(struct ist_table *table, const json_t *job)
{
	const char *detail =
	    json_string_value(json_object_get(json_object_get(job, "error"), "detail"));
	const char *model =
	    json_string_value(json_object_get(json_object_get(job, "result"), "model"));

	ist_table_cell(table, "%s", text(job, "id"));
	ist_table_cell(table, "%s", text(job, "kind"));
	ist_table_cell(table, "%s", text(job, "collection"));
	ist_table_cell(table, "%s", text(job, "state"));
	ist_table_cell(table, "%.0f %%", json_number_value(json_object_get(job, "progress")) * 100);
	ist_table_cell(table, "%.19s", text(job, "created_at"));
	ist_table_cell(table, "%s%s",
		       detail != NULL  ? detail
		       : model != NULL ? "model "
				       : text(job, "stage"),
		       detail == NULL && model != NULL ? model : "");
}

static void print_jobs(const struct ist_cli *cli, const json_t *jobs)
{
	static const char *const heads[] = {"job",   "kind",	"collection", "state",
					    ">done", "created", "result"};
	struct ist_table table ist_auto(ist_table_finish);
	const json_t *job;
	size_t i;

	ist_table_init(&table, heads, IST_COUNT(heads));
	json_array_foreach(jobs, i, job) add_row(&table, job);
	ist_table_print(&table, cli);
}

static enum ist_code list(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	struct ist_buf path ist_auto(ist_buf_finish) = {0};
	const char *state = ist_args_text(args, "state");
	const char *collection = ist_args_text(args, "collection");
	json_t *jobs;

	ist_buf_printf(&path, "/v1/jobs%s%s", state != NULL ? "?state=" : "",
		       state != NULL ? state : "");
	if (collection != NULL) {
		ist_buf_printf(&path, "%ccollection=", state != NULL ? '&' : '?');
		ist_url_put(&path, collection);
	}
	if (ist_http_list(&cli->http, path.data, "jobs", (size_t)ist_args_int(args, "limit", 20),
			  &jobs, err) != IST_OK)
		return err->code;
	if (cli->json)
		ist_print_json(jobs);
	else
		print_jobs(cli, jobs);
	json_decref(jobs);
	return IST_OK;
}

static void print_job(const struct ist_cli *cli, json_t *job)
{
	json_t *jobs = json_pack("[O]", job), *curves = json_object_get(job, "curves"), *points;
	const json_t *result = json_object_get(job, "result");
	const char *name;

	if (cli->json) {
		ist_print_json(job);
	} else {
		print_jobs(cli, jobs);
		json_object_foreach(curves, name, points)
		{
			struct ist_buf buf ist_auto(ist_buf_finish) = {0};

			ist_curve_put(&buf, cli, name, points);
			printf("%s\n", buf.data);
		}
		if (json_is_object(json_object_get(result, "image_to_text")))
			ist_report_print(cli, "model", result);
	}
	json_decref(jobs);
}

static enum ist_code show(struct ist_cli *cli, const struct ist_args *args, const char *id,
			  struct ist_err *err)
{
	ist_autofree char *path = ist_http_path("jobs/%s", id);
	bool follow = ist_args_flag(args, "follow");
	enum ist_code code = IST_OK;
	json_t *job;

	if (ist_args_flag(args, "cancel"))
		code = ist_http_json(&cli->http, "DELETE", path, NULL, &job, err);
	else if (follow)
		code = ist_follow_job(cli, id, &job, err);
	else
		code = ist_http_get(&cli->http, path, &job, err);
	if (code != IST_OK)
		return code;
	print_job(cli, job);
	if (follow)
		code = ist_job_outcome(job, err);
	json_decref(job);
	return code;
}

static enum ist_code run_jobs(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	const char *id = ist_args_word(args, 0);
	bool follow = ist_args_flag(args, "follow"), cancel = ist_args_flag(args, "cancel");

	if (follow && cancel)
		return ist_usage(err, "either --follow or --cancel");
	if (id == NULL && (follow || cancel))
		return ist_usage(err, "which job? isthmus jobs ID --%s",
				 follow ? "follow" : "cancel");
	return id != NULL ? show(cli, args, id, err) : list(cli, args, err);
}

const struct ist_command ist_cmd_jobs = {
    .name = "jobs",
    .words = "[JOB]",
    .max_words = 1,
    .summary = "List jobs; show, follow or cancel one",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_jobs,
};
