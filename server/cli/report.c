/*
 * Rows are the model, its baselines and chance; columns the figures of both directions. The first
 * table has the figure that counts: MAP where labels say what is relevant, R@10 where only an
 * item's own pair is. Each figure is followed by its 95 % interval.
 */
#include "server/cli/report.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

void ist_figure_put(struct ist_buf *buf, const json_t *figure, int digits)
{
	const json_t *value = json_object_get(figure, "value");
	const json_t *low = json_object_get(figure, "low"), *high = json_object_get(figure, "high");

	if (!json_is_number(value)) {
		ist_buf_puts(buf, "-");
		return;
	}
	ist_buf_printf(buf, "%.*f", digits, json_number_value(value));
	if (json_is_number(low) && json_is_number(high))
		ist_buf_printf(buf, " [%.*f, %.*f]", digits, json_number_value(low), digits,
			       json_number_value(high));
}

static const struct {
	const char *name, *title;
} rows[] = {
    {"label_predictor", "label predictor alone"},
    {"corrae", "Corr-AE"},
    {"linear", "linear (CCA)"},
    {"logistic", "logistic regression"},
    {"identity", "untrained"},
};

static const char *title_of(const char *name)
{
	for (size_t i = 0; i < IST_COUNT(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].title;
	return name;
}

struct column {
	const char *direction, *figure;
	int digits;
};

static void put_row(struct ist_table *table, const char *title, const char *similarity,
		    const json_t *who, const struct column *columns, size_t n)
{
	const char *skipped = json_string_value(json_object_get(who, "skipped"));

	if (similarity != NULL)
		ist_table_cell(table, "%s, by %s", title, similarity);
	else
		ist_table_cell(table, "%s", title);
	for (size_t i = 0; i < n; i++) {
		struct ist_buf buf ist_auto(ist_buf_finish) = {0};
		const json_t *direction = json_object_get(who, columns[i].direction);

		if (skipped != NULL && i == 0)
			ist_buf_puts(&buf, "not measured");
		else
			ist_figure_put(&buf, json_object_get(direction, columns[i].figure),
				       columns[i].digits);
		ist_table_cell(table, "%s", buf.data);
	}
}

static const char *similarity_of(const json_t *who)
{
	return json_string_value(json_object_get(who, "similarity"));
}

/* A baseline by its own similarity and, so that like stands beside like, by the model's. */
static void put_baseline(struct ist_table *table, const char *name, const json_t *who,
			 const char *similarity, const struct column *columns, size_t n)
{
	const json_t *same = NULL;

	put_row(table, title_of(name), similarity_of(who), who, columns, n);
	if (similarity != NULL && similarity_of(who) != NULL &&
	    strcmp(similarity, similarity_of(who)) != 0)
		same = json_object_get(json_object_get(who, "similarities"), similarity);
	if (same != NULL)
		put_row(table, title_of(name), similarity, same, columns, n);
}

static void print_table(const struct ist_cli *cli, const char *method, const json_t *report,
			const char *const *heads, const struct column *columns, size_t n)
{
	struct ist_table table ist_auto(ist_table_finish);
	json_t *baselines = json_object_get(report, "baselines"), *baseline;
	const char *name;

	ist_table_init(&table, heads, n + 1);
	put_row(&table, method, similarity_of(report), report, columns, n);
	json_object_foreach(baselines, name, baseline)
	{
		put_baseline(&table, name, baseline, similarity_of(report), columns, n);
	}
	if (json_is_object(json_object_get(report, "chance")))
		put_row(&table, "chance", NULL, json_object_get(report, "chance"), columns, n);
	ist_table_print(&table, cli);
}

static const char *const map_heads[] = {"mean average precision", "image -> text", "text -> image"};
static const struct column map_columns[] = {{"image_to_text", "map_all", 3},
					    {"text_to_image", "map_all", 3}};
static const char *const recall_heads[] = {"own pair found", "image -> text, first 10",
					   "text -> image, first 10"};
static const struct column recall_columns[] = {{"image_to_text", "r_10", 3},
					       {"text_to_image", "r_10", 3}};
static const char *const rank_heads[] = {"", "R@1", "R@5", "R@10", "median rank"};
static const struct column rank_columns[2][4] = {{{"image_to_text", "r_1", 3},
						  {"image_to_text", "r_5", 3},
						  {"image_to_text", "r_10", 3},
						  {"image_to_text", "median_rank", 0}},
						 {{"text_to_image", "r_1", 3},
						  {"text_to_image", "r_5", 3},
						  {"text_to_image", "r_10", 3},
						  {"text_to_image", "median_rank", 0}}};

static json_int_t member(const json_t *report, const char *object, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(report, object), name));
}

/* The model alone, in the figures that the first table leaves out. */
static void print_ranks(const struct ist_cli *cli, const json_t *report)
{
	static const char *const titles[] = {"image -> text", "text -> image"};
	struct ist_table table ist_auto(ist_table_finish);

	ist_table_init(&table, rank_heads, IST_COUNT(rank_heads));
	for (size_t d = 0; d < 2; d++) {
		ist_table_cell(&table, "%s", titles[d]);
		for (size_t i = 0; i < IST_COUNT(rank_columns[d]); i++) {
			const struct column *c = &rank_columns[d][i];
			struct ist_buf buf ist_auto(ist_buf_finish) = {0};

			ist_figure_put(
			    &buf, json_object_get(json_object_get(report, c->direction), c->figure),
			    c->digits);
			ist_table_cell(&table, "%s", buf.data);
		}
	}
	ist_table_print(&table, cli);
}

/* ---- composed queries ---- */

static const struct {
	const char *name, *title;
} composed_rows[] = {
    {"image", "the picture alone"},
    {"text", "the text alone"},
    {"sum", "their sum"},
    {"linear", "linear composition"},
};

static void put_composed(struct ist_table *table, const char *title, const json_t *who)
{
	static const struct column columns[] = {
	    {NULL, "r_1", 3}, {NULL, "r_5", 3}, {NULL, "r_10", 3}, {NULL, "map_all", 3}};

	ist_table_cell(table, "%s", title);
	for (size_t i = 0; i < IST_COUNT(columns); i++) {
		struct ist_buf buf ist_auto(ist_buf_finish) = {0};

		ist_figure_put(&buf, json_object_get(who, columns[i].figure), columns[i].digits);
		ist_table_cell(table, "%s", buf.data);
	}
}

/* Picture and text together against all held-out pictures but the one that was changed. */
static void print_composed(const struct ist_cli *cli, const char *method, const json_t *composed)
{
	static const char *const heads[] = {"composed queries", "R@1", "R@5", "R@10",
					    "reciprocal rank"};
	const json_t *baselines = json_object_get(composed, "baselines");
	struct ist_table table ist_auto(ist_table_finish);

	printf("%sHeld out: %" JSON_INTEGER_FORMAT " triples against %" JSON_INTEGER_FORMAT
	       " pictures (%" JSON_INTEGER_FORMAT " triples to train on, %" JSON_INTEGER_FORMAT
	       " for validation); in brackets 95 %% intervals.%s\n",
	       ist_color(cli->color_out, IST_DIM),
	       json_integer_value(json_object_get(composed, "queries")),
	       json_integer_value(json_object_get(composed, "gallery")),
	       member(composed, "split", "train"), member(composed, "split", "validation"),
	       ist_color(cli->color_out, IST_PLAIN));
	ist_table_init(&table, heads, IST_COUNT(heads));
	put_composed(&table, method, composed);
	for (size_t i = 0; i < IST_COUNT(composed_rows); i++) {
		const json_t *row = json_object_get(baselines, composed_rows[i].name);

		if (row != NULL)
			put_composed(&table, composed_rows[i].title, row);
	}
	put_composed(&table, "chance", json_object_get(composed, "chance"));
	ist_table_print(&table, cli);
}

static void print_pairs(const struct ist_cli *cli, const char *method, const json_t *report)
{
	const char *relevant = json_string_value(json_object_get(report, "relevant"));
	bool labels = relevant == NULL || strcmp(relevant, "label") == 0;

	printf("%sHeld out: %" JSON_INTEGER_FORMAT " test pairs (%" JSON_INTEGER_FORMAT
	       " to train on, %" JSON_INTEGER_FORMAT " for validation); a hit is %s; "
	       "in brackets 95 %% intervals.%s\n",
	       ist_color(cli->color_out, IST_DIM), member(report, "split", "test"),
	       member(report, "split", "train"), member(report, "split", "validation"),
	       labels ? "an item of the same label" : "the query's own pair",
	       ist_color(cli->color_out, IST_PLAIN));
	if (labels)
		print_table(cli, method, report, map_heads, map_columns, IST_COUNT(map_columns));
	else
		print_table(cli, method, report, recall_heads, recall_columns,
			    IST_COUNT(recall_columns));
	putchar('\n');
	print_ranks(cli, report);
}

void ist_report_print(const struct ist_cli *cli, const char *method, const json_t *report)
{
	const json_t *composed = json_object_get(report, "composed");

	if (composed != NULL)
		print_composed(cli, method, composed);
	if (composed != NULL && json_object_get(report, "image_to_text") != NULL)
		putchar('\n');
	if (composed == NULL || json_object_get(report, "image_to_text") != NULL)
		print_pairs(cli, method, report);
}
