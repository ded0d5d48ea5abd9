/*
 * The stream of events says when something happened; what is drawn is the job itself, asked for on
 * a second connection at most a few times a second. A stream that breaks (the daemon starts again,
 * a proxy has had enough) is opened anew as long as the daemon can be reached.
 */
#include "server/cli/follow.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

#define DRAW_MS 150
#define LINE_MS 10000
#define REOPEN_MS 500
#define REOPENINGS 20
#define CURVES_SHOWN 8

struct follow {
	struct ist_cli *cli;
	struct ist_http http; /* for the job, while the stream is open */
	char *job_path, *events_path;
	json_t *job; /* as it was asked for last */
	struct ist_progress progress;
	int64_t asked_ms;
};

static void follow_finish(struct follow *f)
{
	ist_http_finish(&f->http);
	free(f->job_path);
	free(f->events_path);
	json_decref(f->job);
}

static bool is_over(const json_t *job)
{
	const char *state = json_string_value(json_object_get(job, "state"));

	return state != NULL && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* ---- drawing ---- */

static void put_head(struct ist_buf *buf, const struct follow *f)
{
	const char *state = json_string_value(json_object_get(f->job, "state"));
	const char *stage = json_string_value(json_object_get(f->job, "stage"));
	const json_t *eta = json_object_get(f->job, "eta_s");
	double share = json_number_value(json_object_get(f->job, "progress"));

	if (f->cli->tty_err) {
		ist_buf_puts(buf, ist_color(f->cli->color_err, IST_BLUE));
		ist_bar_put(buf, share, 24);
		ist_buf_printf(buf, "%s ", ist_color(f->cli->color_err, IST_PLAIN));
	}
	ist_buf_printf(buf, "%3.0f %%  %s", share * 100, stage != NULL ? stage : state);
	if (json_is_number(eta)) {
		ist_buf_puts(buf, "  ");
		ist_duration_put(buf, json_number_value(eta));
		ist_buf_puts(buf, " left");
	}
}

static void draw(struct follow *f)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};
	json_t *curves = json_object_get(f->job, "curves"), *points;
	const char *name;
	size_t lines = 1;

	if (f->cli->quiet)
		return;
	put_head(&buf, f);
	if (!f->cli->tty_err) {
		fprintf(stderr, "%s\n", buf.data);
		return;
	}
	json_object_foreach(curves, name, points)
	{
		if (json_array_size(points) < 2 || lines > CURVES_SHOWN)
			continue;
		ist_buf_puts(&buf, "\n\033[2K");
		ist_curve_put(&buf, f->cli, name, points);
		lines++;
	}
	ist_progress_clear(&f->progress);
	fwrite(buf.data, 1, buf.len, stderr);
	fflush(stderr);
	f->progress.lines = lines;
}

/* ---- the job ---- */

static enum ist_code ask(struct follow *f, struct ist_err *err)
{
	json_t *job;

	if (ist_http_get(&f->http, f->job_path, &job, err) != IST_OK)
		return err->code;
	json_decref(f->job);
	f->job = job;
	f->asked_ms = ist_clock_ms();
	return IST_OK;
}

/* Something came on the stream. Ends it once the job is over. */
static bool on_data(void *user, const char *data, size_t len)
{
	struct follow *f = user;
	int64_t pause = f->cli->tty_err ? DRAW_MS : LINE_MS;
	bool end = memmem(data, len, "event: end", 10) != NULL ||
		   memmem(data, len, "event: state", 12) != NULL;
	struct ist_err err = {0};

	if (ist_interrupted())
		return false;
	if (!end && ist_clock_ms() - f->asked_ms < pause)
		return true;
	if (ask(f, &err) != IST_OK)
		return false;
	if (!is_over(f->job))
		draw(f);
	return !is_over(f->job);
}

static enum ist_code watch(struct follow *f, struct ist_err *err)
{
	struct ist_http_call call = {
	    .method = "GET", .path = f->events_path, .data = on_data, .user = f};
	unsigned broken = 0;
	int64_t before = 0;

	for (;;) {
		if (ist_http_call(&f->cli->http, &call, NULL, NULL, err) != IST_OK &&
		    err->code != IST_UNAVAILABLE && err->code != IST_TOO_BUSY)
			return err->code;
		if (ist_interrupted())
			return ist_fail(err, IST_CANCELLED, "no longer watched");
		if (ask(f, err) == IST_OK && is_over(f->job))
			return IST_OK;
		broken = f->asked_ms > before ? 0 : broken + 1;
		before = f->asked_ms;
		if (broken > REOPENINGS)
			return err->code;
		ist_pause_ms(REOPEN_MS);
	}
}

enum ist_code ist_follow_job(struct ist_cli *cli, const char *job, json_t **ret,
			     struct ist_err *err)
{
	struct follow f ist_auto(follow_finish) = {.cli = cli};
	enum ist_code code;

	if (ist_http_init(&f.http, cli->http.base, err) != IST_OK)
		return err->code;
	f.job_path = ist_http_path("jobs/%s", job);
	f.events_path = ist_http_path("jobs/%s/events", job);
	ist_progress_init(&f.progress, cli, "");
	ist_interrupt_catch();
	if (ask(&f, err) != IST_OK)
		return err->code;
	code = is_over(f.job) ? IST_OK : watch(&f, err);
	/* The curves stay to be seen; the line of the bar goes. */
	if (code == IST_OK && f.progress.lines > 0)
		draw(&f);
	if (f.progress.lines > 0)
		fputc('\n', stderr);
	if (code == IST_CANCELLED)
		return ist_fail(
		    err, code, "no longer watched; the job goes on: isthmus jobs %s --follow", job);
	if (code == IST_OK)
		*ret = json_incref(f.job);
	return code;
}

enum ist_code ist_start_job(struct ist_cli *cli, const char *path, const json_t *body, bool detach,
			    json_t **ret, struct ist_err *err)
{
	ist_autofree char *id = NULL;
	json_t *job;

	*ret = NULL;
	if (ist_http_json(&cli->http, "POST", path, body, &job, err) != IST_OK)
		return err->code;
	id = ist_strdup(json_string_value(json_object_get(job, "id")));
	if (detach && cli->json)
		ist_print_json(job);
	else if (detach)
		printf("%s\n", id);
	json_decref(job);
	return detach ? IST_OK : ist_follow_job(cli, id, ret, err);
}

enum ist_code ist_job_outcome(const json_t *job, struct ist_err *err)
{
	const char *id = json_string_value(json_object_get(job, "id"));
	const char *state = json_string_value(json_object_get(job, "state"));
	const json_t *error = json_object_get(job, "error");

	if (state != NULL && strcmp(state, "failed") == 0) {
		ist_http_problem_json(500, error, err);
		return ist_wrap(err, "job %s failed", id);
	}
	if (state == NULL || strcmp(state, "done") != 0)
		return ist_fail(err, IST_CANCELLED, "job %s is %s", id, state ? state : "?");
	return IST_OK;
}
