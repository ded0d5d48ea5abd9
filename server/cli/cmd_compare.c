/*
 * compare: with models named, a table of these on what all of them held back; without, the server
 * first trains every method that the data allow within a budget. The mark behind a difference says
 * whether it is more than luck.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/follow.h"
#include "server/cli/print.h"
#include "server/cli/report.h"

static const char *const activations[] = {"always", "never", "if_better", NULL};
static const char *const aims[] = {"class", "instance", NULL};

static const struct ist_opt opts[] = {
    {"budget", IST_OPT_INT, 'b', "SECONDS", .min = 1, .max = 604800,
     .help = "that trying methods may take (600)"},
    {"aim", IST_OPT_CHOICE, 0, "WHAT", aims,
     .help = "go by items of the same label (class) or by the very item (instance)"},
    {"activate", IST_OPT_CHOICE, 'a', "WHEN", activations,
     .help = "always, never, if_better (if_better): let queries use the chosen model"},
    {"seed", IST_OPT_INT, 0, "N", .max = 9007199254740991.0, .help = "of all random numbers (0)"},
    {"queries", IST_OPT_INT, 0, "N", .max = 200,
     .help = "of two models: held-out queries by which they differ most (10)"},
    {"detach", IST_OPT_FLAG, 'd', .help = "print the job and do not wait for it"},
};

/* Options that only one of the two forms knows. */
static enum ist_code check_form(const struct ist_args *args, bool named, struct ist_err *err)
{
	static const struct {
		const char *option;
		bool named;
	} only[] = {{"budget", false}, {"activate", false}, {"seed", false}, {"queries", true}};

	for (size_t i = 0; i < IST_COUNT(only); i++)
		if (ist_args_text(args, only[i].option) != NULL && only[i].named != named)
			return ist_usage(err, "--%s goes %s models named", only[i].option,
					 only[i].named ? "with" : "without");
	return IST_OK;
}

static json_t *make_request(const struct ist_args *args, bool named)
{
	const char *activate = ist_args_text(args, "activate"), *aim = ist_args_text(args, "aim");
	json_t *body = json_object(), *models = json_array();

	if (named) {
		json_object_set(body, "models", models);
		for (size_t i = 1; ist_args_word(args, i) != NULL; i++)
			json_array_append_new(models, json_string(ist_args_word(args, i)));
		json_object_set_new(body, "queries",
				    json_integer(ist_args_int(args, "queries", 10)));
	} else {
		json_object_set_new(body, "method", json_string("auto"));
		json_object_set_new(body, "budget_s",
				    json_integer(ist_args_int(args, "budget", 600)));
		json_object_set_new(body, "seed", json_integer(ist_args_int(args, "seed", 0)));
		if (activate != NULL)
			json_object_set_new(body, "activate", json_string(activate));
	}
	if (aim != NULL)
		json_object_set_new(body, "aim", json_string(aim));
	json_decref(models);
	return body;
}

/* ---- the table ---- */

struct column {
	const char *direction, *figure;
};

static const char *const heads[] = {
    "model", "image -> text",	 "R@1",	     "R@10",   "text -> image", "R@1", "R@10",
    "both",  "against the best", ">trained", ">embed", ">size"};
static const struct column columns[] = {
    {"image_to_text", "map_all"}, {"image_to_text", "r_1"}, {"image_to_text", "r_10"},
    {"text_to_image", "map_all"}, {"text_to_image", "r_1"}, {"text_to_image", "r_10"},
};

static void put_figure(struct ist_table *table, const json_t *figure, const char *mark)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	ist_figure_put(&buf, figure, 3);
	ist_table_cell(table, "%s%s", buf.data, mark);
}

static void put_difference(struct ist_table *table, const json_t *row)
{
	const json_t *difference = json_object_get(row, "difference");

	if (json_is_object(difference))
		put_figure(table, difference,
			   json_is_true(json_object_get(row, "significant")) ? " *" : "");
	else
		ist_table_cell(table, "reference");
}

static void put_cost(struct ist_table *table, const json_t *row)
{
	const json_t *seconds = json_object_get(row, "training_s");

	if (json_is_number(seconds))
		ist_table_cell(table, "%.1f s", json_number_value(seconds));
	else
		ist_table_cell(table, "-");
	ist_table_cell(table, "%.0f us", json_number_value(json_object_get(row, "embed_us")));
	ist_table_cell(table, "%.0f kB",
		       ceil(json_number_value(json_object_get(row, "bytes")) / 1024));
}

/* Recalls stand without their intervals, or no terminal would hold the table. */
static void put_row(struct ist_table *table, const json_t *row)
{
	ist_table_cell(table, "%s %s, by %s", json_string_value(json_object_get(row, "id")),
		       json_string_value(json_object_get(row, "method")),
		       json_string_value(json_object_get(row, "similarity")));
	for (size_t i = 0; i < IST_COUNT(columns); i++) {
		const json_t *direction = json_object_get(row, columns[i].direction);

		ist_table_cell(table, "%.3f",
			       json_number_value(json_object_get(
				   json_object_get(direction, columns[i].figure), "value")));
	}
	put_figure(table, json_object_get(row, "mean"), "");
	put_difference(table, row);
	put_cost(table, row);
}

static void print_table(const struct ist_cli *cli, const json_t *result)
{
	struct ist_table table ist_auto(ist_table_finish);
	const char *metric = json_string_value(json_object_get(result, "metric"));
	const json_t *rows = json_object_get(result, "table");

	ist_table_init(&table, heads, IST_COUNT(heads));
	for (size_t i = 0; i < json_array_size(rows); i++)
		put_row(&table, json_array_get(rows, i));
	ist_table_print(&table, cli);
	printf(
	    "\nDirections are measured by mean average precision; both, and the differences, by "
	    "%s, with 95 %% intervals.\n* a difference that luck hardly makes (paired bootstrap, "
	    "p < 0.05 after Holm's correction)\n",
	    metric != NULL && strcmp(metric, "map_all") == 0 ? "it too"
							     : "the mean reciprocal rank of the "
							       "very item");
}

static void print_left_out(const json_t *result)
{
	const json_t *list = json_object_get(result, "left_out");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		double seconds = json_number_value(json_object_get(one, "estimated_s"));

		printf("Left out: %s, %s", json_string_value(json_object_get(one, "method")),
		       json_string_value(json_object_get(one, "reason")));
		if (seconds > 0)
			printf(" (about %.0f s)", seconds);
		printf("\n");
	}
}

static void print_apart(const struct ist_cli *cli, const json_t *result, const json_t *table)
{
	const json_t *list = json_object_get(result, "apart");
	const char *names[] = {"query", "direction", NULL, NULL};
	struct ist_table apart ist_auto(ist_table_finish);

	if (json_array_size(list) == 0)
		return;
	for (size_t i = 0; i < 2; i++)
		names[2 + i] = json_string_value(json_object_get(json_array_get(table, i), "id"));
	printf("\n");
	ist_table_init(&apart, names, IST_COUNT(names));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i), *values;

		values = json_object_get(one, "values");
		ist_table_cell(&apart, "%s", json_string_value(json_object_get(one, "id")));
		ist_table_cell(&apart, "%s", json_string_value(json_object_get(one, "direction")));
		for (size_t k = 0; k < 2; k++)
			ist_table_cell(&apart, "%.3f",
				       json_number_value(json_array_get(values, k)));
	}
	ist_table_print(&apart, cli);
}

static enum ist_code finish(struct ist_cli *cli, const json_t *job, struct ist_err *err)
{
	const json_t *result = json_object_get(job, "result");
	const char *model = json_string_value(json_object_get(result, "model"));

	if (cli->json)
		ist_print_json(job);
	if (ist_job_outcome(job, err) != IST_OK || cli->json)
		return err->code;
	print_table(cli, result);
	print_left_out(result);
	print_apart(cli, result, json_object_get(result, "table"));
	if (model != NULL)
		printf("\n%sModel %s%s is the best by cross-validation, %s: %s\n",
		       ist_color(cli->color_out, IST_BOLD), model,
		       ist_color(cli->color_out, IST_PLAIN),
		       json_is_true(json_object_get(result, "activated")) ? "active from now on"
									  : "not activated",
		       json_string_value(json_object_get(result, "reason")));
	return IST_OK;
}

static enum ist_code run_compare(struct ist_cli *cli, const struct ist_args *args,
				 struct ist_err *err)
{
	bool named = ist_args_word(args, 1) != NULL;
	ist_autofree char *path =
	    ist_http_path(named ? "collections/%s/models:compare" : "collections/%s/trainings",
			  ist_args_word(args, 0));
	json_t *body, *ended = NULL;
	enum ist_code code = check_form(args, named, err);

	if (code != IST_OK)
		return code;
	body = make_request(args, named);
	code = ist_start_job(cli, path, body, ist_args_flag(args, "detach"), &ended, err);
	if (code == IST_OK && ended != NULL)
		code = finish(cli, ended, err);
	json_decref(body);
	json_decref(ended);
	return code;
}

const struct ist_command ist_cmd_compare = {
    .name = "compare",
    .words = "COLLECTION [MODEL MODEL...]",
    .min_words = 1,
    .max_words = 21,
    .summary = "Train every method that the data allow, or compare models that are there",
    .details = "Without models it tries all methods within the budget, chooses by "
	       "cross-validation inside the training part, keeps every model and shows what each "
	       "reaches on the held-out pairs. With models named it measures these on what all of "
	       "them held back, and of two it shows the queries by which they differ most.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_compare,
};
