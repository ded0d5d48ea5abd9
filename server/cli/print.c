/*
 * Tables and bars are put together in a buffer and written by one call, so that a line is never
 * seen by halves. Widths are counted in columns, as wcwidth() knows them.
 */
#include "server/cli/print.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "core/base/memory.h"

const char *ist_color(bool on, enum ist_color color)
{
	static const char *const codes[IST_N_COLORS] = {
	    [IST_PLAIN] = "\033[0m", [IST_BOLD] = "\033[1m",   [IST_DIM] = "\033[2m",
	    [IST_RED] = "\033[31m",  [IST_GREEN] = "\033[32m", [IST_BLUE] = "\033[36m",
	};

	return on ? codes[color] : "";
}

/* ---- text ---- */

/* The next character of s: its bytes, and its columns (-1: none that may be shown). */
static size_t step(const char *s, int *ret_columns)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, s, strlen(s), &state);

	if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
		*ret_columns = -1;
		return 1;
	}
	*ret_columns = wcwidth(c);
	return n;
}

size_t ist_text_width(const char *s)
{
	size_t width = 0;
	int columns;

	while (*s != '\0') {
		s += step(s, &columns);
		width += columns < 0 ? 1 : (size_t)columns;
	}
	return width;
}

void ist_text_put(struct ist_buf *buf, const char *s, size_t width)
{
	bool cut = width > 0 && ist_text_width(s) > width;
	size_t room = cut ? width - 1 : SIZE_MAX, n;
	int columns;

	for (; *s != '\0'; s += n) {
		n = step(s, &columns);
		if ((size_t)(columns < 0 ? 1 : columns) > room)
			break;
		room -= (size_t)(columns < 0 ? 1 : columns);
		if (columns < 0)
			ist_buf_putc(buf, ' ');
		else
			ist_buf_put(buf, s, n);
	}
	if (cut)
		ist_buf_puts(buf, "…");
}

/* ---- tables ---- */

#define GAP 2

void ist_table_init(struct ist_table *table, const char *const *heads, size_t n_columns)
{
	*table = (struct ist_table){.heads = heads, .n_columns = n_columns};
}

void ist_table_finish(struct ist_table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct ist_table){0};
}

void ist_table_cell(struct ist_table *table, const char *format, ...)
{
	struct ist_buf raw ist_auto(ist_buf_finish) = {0}, clean = {0};
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	ist_buf_puts(&clean, "");
	ist_text_put(&clean, text, 0);
	free(text);
	if (table->n_cells == table->cap) {
		table->cap = table->cap ? table->cap * 2 : 64;
		table->cells = ist_resize(table->cells, table->cap, sizeof(*table->cells));
	}
	table->cells[table->n_cells++] = clean.data;
}

static bool is_right(const struct ist_table *table, size_t column)
{
	return table->heads[column][0] == '>';
}

static const char *head(const struct ist_table *table, size_t column)
{
	return table->heads[column] + is_right(table, column);
}

static void put_cell(const struct ist_table *table, struct ist_buf *buf, const char *text,
		     size_t column, size_t width, size_t limit)
{
	size_t has = ist_text_width(text), pad = has < width ? width - has : 0;
	bool last = column + 1 == table->n_columns;

	if (is_right(table, column))
		ist_buf_printf(buf, "%*s", (int)pad, "");
	ist_text_put(buf, text, last ? limit : 0);
	if (!is_right(table, column) && !last)
		ist_buf_printf(buf, "%*s", (int)pad, "");
	if (!last)
		ist_buf_printf(buf, "%*s", GAP, "");
}

/* The widest of each column; returns the columns that are left for the last one, 0: no end. */
static size_t measure(const struct ist_table *table, const struct ist_cli *cli, size_t *widths)
{
	size_t used = 0;

	for (size_t c = 0; c < table->n_columns; c++)
		widths[c] = ist_text_width(head(table, c));
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t *width = &widths[i % table->n_columns];

		*width = IST_MAX(*width, ist_text_width(table->cells[i]));
	}
	for (size_t c = 0; c + 1 < table->n_columns; c++)
		used += widths[c] + GAP;
	if (!cli->tty_out || is_right(table, table->n_columns - 1))
		return 0;
	return used + 12 < (size_t)cli->width ? (size_t)cli->width - used : 12;
}

void ist_table_print(const struct ist_table *table, const struct ist_cli *cli)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};
	size_t *widths = ist_alloc(table->n_columns, sizeof(*widths));
	size_t limit = measure(table, cli, widths);

	ist_buf_puts(&buf, ist_color(cli->color_out, IST_DIM));
	for (size_t c = 0; c < table->n_columns; c++)
		put_cell(table, &buf, head(table, c), c, widths[c], limit);
	ist_buf_printf(&buf, "%s\n", ist_color(cli->color_out, IST_PLAIN));
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t c = i % table->n_columns;

		put_cell(table, &buf, table->cells[i], c, widths[c], limit);
		if (c + 1 == table->n_columns)
			ist_buf_putc(&buf, '\n');
	}
	fwrite(buf.data, 1, buf.len, stdout);
	free(widths);
}

void ist_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY);
	putchar('\n');
}

/* ---- bars and curves ---- */

int64_t ist_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void ist_bar_put(struct ist_buf *buf, double share, size_t width)
{
	static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	size_t eighths = (size_t)(fmin(fmax(share, 0), 1) * (double)width * 8 + 0.5);
	size_t full = eighths / 8, columns = full + (eighths % 8 != 0);

	for (size_t i = 0; i < full; i++)
		ist_buf_puts(buf, "█");
	ist_buf_puts(buf, part[eighths % 8]);
	for (; columns < width; columns++)
		ist_buf_puts(buf, "░");
}

void ist_duration_put(struct ist_buf *buf, double seconds)
{
	long s = isfinite(seconds) && seconds > 0 ? (long)fmin(ceil(seconds), 1e8) : 0;

	if (s < 60)
		ist_buf_printf(buf, "%ld s", s);
	else if (s < 3600)
		ist_buf_printf(buf, "%ld:%02ld min", s / 60, s % 60);
	else
		ist_buf_printf(buf, "%ld:%02ld h", s / 3600, s / 60 % 60);
}

void ist_sparkline_put(struct ist_buf *buf, const double *values, size_t n, size_t width)
{
	static const char *const level[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < n; i++)
		if (isfinite(values[i])) {
			low = fmin(low, values[i]);
			high = fmax(high, values[i]);
		}
	width = IST_MIN(width, n);
	for (size_t c = 0; c < width; c++) {
		double sum = 0;
		size_t from = c * n / width, to = IST_MAX((c + 1) * n / width, from + 1);

		for (size_t i = from; i < to; i++)
			sum += values[i];
		sum /= (double)(to - from);
		if (!isfinite(sum))
			ist_buf_putc(buf, ' ');
		else
			ist_buf_puts(
			    buf, level[high > low ? (int)((sum - low) / (high - low) * 7.99) : 0]);
	}
}

void ist_curve_put(struct ist_buf *buf, const struct ist_cli *cli, const char *name,
		   const json_t *points)
{
	size_t n = json_array_size(points), i;
	double *values = ist_alloc(n + 1, sizeof(*values));
	const json_t *point;

	json_array_foreach(points, i, point)
	{
		const json_t *value = json_array_get(point, 1);

		values[i] = json_is_number(value) ? json_number_value(value) : NAN;
	}
	ist_buf_printf(buf, "  %-18s %s", name, ist_color(cli->color_err, IST_GREEN));
	ist_sparkline_put(buf, values, n, (size_t)IST_MIN(IST_MAX(cli->width - 36, 10), 60));
	ist_buf_printf(buf, "%s %.4g", ist_color(cli->color_err, IST_PLAIN),
		       n > 0 ? values[n - 1] : 0);
	free(values);
}

#define DRAW_MS 100
#define LINE_MS 5000 /* between two lines where no terminal is */

void ist_progress_init(struct ist_progress *p, const struct ist_cli *cli, const char *what)
{
	*p = (struct ist_progress){.cli = cli, .what = what, .begin_ms = ist_clock_ms()};
	if (!cli->tty_err)
		p->drawn_ms = p->begin_ms;
}

void ist_progress_clear(struct ist_progress *p)
{
	for (; p->lines > 0; p->lines--)
		fputs(p->lines > 1 ? "\033[1A\r\033[2K" : "\r\033[2K", stderr);
	fflush(stderr);
}

static void put_rate(struct ist_buf *buf, const struct ist_progress *p, uint64_t n, double share,
		     int64_t now)
{
	double seconds = (double)(now - p->begin_ms) / 1000;
	double rate = seconds > 0.2 ? (double)(n - IST_MIN(p->skipped, n)) / seconds : 0;

	if (rate > 0)
		ist_buf_printf(buf, "  %.*f/s", rate < 10 ? 1 : 0, rate);
	if (rate > 0 && share > 0 && share < 1) {
		ist_buf_puts(buf, "  ");
		ist_duration_put(buf, seconds / share * (1 - share));
		ist_buf_puts(buf, " left");
	}
}

void ist_progress_draw(struct ist_progress *p, uint64_t n, double share, const char *extra)
{
	int64_t now = ist_clock_ms();
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};
	bool tty = p->cli->tty_err;

	if (p->cli->quiet || now - p->drawn_ms < (tty ? DRAW_MS : LINE_MS))
		return;
	p->drawn_ms = now;
	ist_buf_puts(&buf, tty ? "\r\033[2K" : "");
	if (tty && share >= 0) {
		ist_buf_puts(&buf, ist_color(p->cli->color_err, IST_BLUE));
		ist_bar_put(&buf, share, 24);
		ist_buf_printf(&buf, "%s ", ist_color(p->cli->color_err, IST_PLAIN));
	}
	if (share >= 0)
		ist_buf_printf(&buf, "%3.0f %%  ", share * 100);
	ist_buf_printf(&buf, "%llu %s", (unsigned long long)n, p->what);
	put_rate(&buf, p, n, share, now);
	ist_buf_printf(&buf, "%s%s", extra, tty ? "" : "\n");
	fwrite(buf.data, 1, buf.len, stderr);
	fflush(stderr);
	p->lines = tty ? 1 : 0;
}
