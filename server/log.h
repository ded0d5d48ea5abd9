/*
 * The log: one line an event on standard error, logfmt or JSON. Only server/ logs, each failure
 * once; never bodies, vectors or query strings. Any thread may call; a line is one write.
 */
#ifndef IST_SERVER_LOG_H
#define IST_SERVER_LOG_H

#include <stdbool.h>

enum ist_log_level { IST_LOG_DEBUG, IST_LOG_INFO, IST_LOG_WARN, IST_LOG_ERROR, IST_N_LOG_LEVELS };
extern const char *const ist_log_level_names[]; /* NULL-terminated */

/* Before any thread starts. */
void ist_log_init(enum ist_log_level from, bool json);

/*
 * ist_log(IST_LOG_INFO, "request", "id", "%s", rq->id, "ms", "%.1f", ms, NULL) would need a parser
 * of its own, so fields are made one by one on the stack:
 *	struct ist_log_line line;
 *	ist_log_begin(&line, IST_LOG_INFO, "request");
 *	ist_log_field(&line, "id", "%s", id);
 *	ist_log_end(&line);
 * A value that looks like a number stays one in JSON. What does not fit is cut.
 */
struct ist_log_line {
	char text[2048];
	unsigned len;
	bool wanted;
};
void ist_log_begin(struct ist_log_line *line, enum ist_log_level level, const char *event);
void ist_log_field(struct ist_log_line *line, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ist_log_end(struct ist_log_line *line);
/* An event with one text. Its shape fits the `event` callbacks of the lower layers. */
void ist_log_event(void *unused, int level, const char *event, const char *text);

#endif
