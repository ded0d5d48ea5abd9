/*
 * What people see: tables, colours, bars. Texts that come from elsewhere never reach the terminal
 * with control characters in them.
 */
#ifndef IST_SERVER_CLI_PRINT_H
#define IST_SERVER_CLI_PRINT_H

#include <stdio.h>

#include "server/cli/cli.h"

enum ist_color { IST_PLAIN, IST_BOLD, IST_DIM, IST_RED, IST_GREEN, IST_BLUE, IST_N_COLORS };
const char *ist_color(bool on, enum ist_color color); /* "" where colours are off */

/* Columns that a UTF-8 text takes on a terminal. */
size_t ist_text_width(const char *s);
/* Appends s without control characters, at most `width` columns of it (0: all), "…" at a cut. */
void ist_text_put(struct ist_buf *buf, const char *s, size_t width);

/* A table with a line of heads; a head that begins with '>' has its column to the right. */
struct ist_table {
	const char *const *heads;
	size_t n_columns;
	char **cells; /* row by row */
	size_t n_cells, cap;
};

void ist_table_init(struct ist_table *table, const char *const *heads, size_t n_columns);
void ist_table_finish(struct ist_table *table);
void ist_table_cell(struct ist_table *table, const char *format, ...) IST_PRINTF(2, 3);
void ist_table_print(const struct ist_table *table, const struct ist_cli *cli);

void ist_print_json(const json_t *json); /* one document, indented where a person reads it */

/* A bar on standard error that is drawn over itself; plain lines where that is no terminal. */
struct ist_progress {
	const struct ist_cli *cli;
	const char *what; /* "items" */
	int64_t begin_ms, drawn_ms;
	uint64_t skipped; /* done before the beginning: no part of the rate */
	size_t lines;	  /* that stand on the terminal now */
};

int64_t ist_clock_ms(void);
void ist_progress_init(struct ist_progress *p, const struct ist_cli *cli, const char *what);
/* n done; the share of the whole (0 to 1, negative: unknown). Draws at most ten times a second. */
void ist_progress_draw(struct ist_progress *p, uint64_t n, double share, const char *extra);
void ist_progress_clear(struct ist_progress *p); /* takes it off the terminal */
/* Appends a bar of `width` columns; "1:23" or "45 s". */
void ist_bar_put(struct ist_buf *buf, double share, size_t width);
void ist_duration_put(struct ist_buf *buf, double seconds);
/* Appends a curve of values as `width` columns of blocks; values that are not finite are gaps. */
void ist_sparkline_put(struct ist_buf *buf, const double *values, size_t n, size_t width);
/* The same of a job's curve, [[step, value], …], between its name and its last value. */
void ist_curve_put(struct ist_buf *buf, const struct ist_cli *cli, const char *name,
		   const json_t *points);

#endif
