/* triples: what composed retrieval learns from, as lines of reference, text and target. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

#define LINES_MAX 1000 /* of one request */
#define BYTES_MAX ((size_t)8 << 20)

struct transfer {
	struct ist_cli *cli;
	char *path; /* of the endpoint */
	FILE *file;
	struct ist_buf body;
	uint64_t first, n; /* the number of the first line of the body, lines in it */
	uint64_t created, unchanged, failed;
	struct ist_progress progress;
};

/* Counts what came of a request's lines and says which failed. */
static void take_line(struct transfer *t, const json_t *line)
{
	const char *status = json_string_value(json_object_get(line, "status"));
	json_int_t number = json_integer_value(json_object_get(line, "line"));

	if (status == NULL)
		return;
	t->created += strcmp(status, "created") == 0;
	t->unchanged += strcmp(status, "unchanged") == 0;
	if (strcmp(status, "failed") != 0)
		return;
	t->failed++;
	ist_progress_clear(&t->progress);
	fprintf(stderr, "failed  line %" PRIu64 ": %s (%s)\n", t->first + (uint64_t)number - 1,
		json_string_value(json_object_get(line, "detail")),
		json_string_value(json_object_get(line, "code")));
}

static enum ist_code take_reply(struct transfer *t, const struct ist_buf *reply,
				struct ist_err *err)
{
	const char *at = reply->data, *end = reply->data + reply->len;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);
		json_t *line = json_loadb(at, len, 0, NULL);
		const json_t *problem = json_object_get(line, "error");

		if (problem != NULL) {
			(void)ist_http_problem_json(0, problem, err);
			json_decref(line);
			return err->code;
		}
		take_line(t, line);
		json_decref(line);
		at += len + 1;
	}
	return IST_OK;
}

static enum ist_code send_body(struct transfer *t, struct ist_err *err)
{
	struct ist_buf reply ist_auto(ist_buf_finish) = {0};
	const struct ist_http_call call = {.method = "POST",
					   .path = t->path,
					   .type = "application/x-ndjson",
					   .body = t->body.data,
					   .len = t->body.len};
	enum ist_code code;

	if (t->n == 0)
		return IST_OK;
	code = ist_http_call(&t->cli->http, &call, &reply, NULL, err);
	if (code == IST_OK)
		code = take_reply(t, &reply, err);
	t->first += t->n;
	t->n = t->body.len = 0;
	ist_progress_draw(&t->progress, t->first - 1, -1, "");
	return code;
}

/* Bounded requests, so that a long file takes no more memory than a short one. */
static enum ist_code send_all(struct transfer *t, struct ist_err *err)
{
	ist_autofree char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, t->file)) >= 0) {
		if (ist_interrupted())
			return ist_fail(err, IST_CANCELLED, "interrupted");
		ist_buf_put(&t->body, line, (size_t)len);
		if (line[len - 1] != '\n')
			ist_buf_putc(&t->body, '\n');
		t->n++;
		if ((t->n == LINES_MAX || t->body.len > BYTES_MAX) && send_body(t, err) != IST_OK)
			return err->code;
	}
	if (ferror(t->file))
		return ist_fail_errno(err, "reading triples");
	return send_body(t, err);
}

static enum ist_code report(const struct transfer *t, enum ist_code code, struct ist_err *err)
{
	if (t->cli->json) {
		json_t *json =
		    json_pack("{s:I, s:I, s:I}", "created", (json_int_t)t->created, "unchanged",
			      (json_int_t)t->unchanged, "failed", (json_int_t)t->failed);

		ist_print_json(json);
		json_decref(json);
	} else if (!t->cli->quiet) {
		printf("%" PRIu64 " triples: %" PRIu64 " created, %" PRIu64 " unchanged, %" PRIu64
		       " failed\n",
		       t->created + t->unchanged + t->failed, t->created, t->unchanged, t->failed);
	}
	if (code == IST_OK && t->failed > 0)
		return ist_fail(err, IST_INVALID, "%" PRIu64 " triples failed", t->failed);
	return code;
}

static enum ist_code run_triples(struct ist_cli *cli, const struct ist_args *args,
				 struct ist_err *err)
{
	const char *name = ist_args_word(args, 1);
	bool is_stdin = strcmp(name, "-") == 0;
	struct transfer t = {.cli = cli, .first = 1, .file = is_stdin ? stdin : fopen(name, "re")};
	enum ist_code code;

	if (t.file == NULL)
		return ist_fail_errno(err, "%s", name);
	t.path = ist_http_path("collections/%s/triples:import", ist_args_word(args, 0));
	ist_progress_init(&t.progress, cli, "triples");
	ist_interrupt_catch();
	code = send_all(&t, err);
	ist_progress_clear(&t.progress);
	if (!is_stdin)
		fclose(t.file);
	free(t.path);
	ist_buf_finish(&t.body);
	return report(&t, code, err);
}

const struct ist_command ist_cmd_triples = {
    .name = "triples",
    .words = "COLLECTION FILE.ndjson",
    .min_words = 2,
    .max_words = 2,
    .summary = "Bring triples for composed retrieval into a collection",
    .details =
	"A line is {\"reference\": \"id\", \"text\": \"in red\", \"target\": \"id\"}: an item, "
	"what to change about it, and the item that is wanted; both must be there. FILE is - "
	"for standard input. A triple that is there already is left alone.",
    .run = run_triples,
};
