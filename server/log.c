/*
 * Lines are made on the caller's stack and written by one write(2), so that threads never mix
 * theirs and no lock is held. Values that are not plain are quoted; in JSON, what looks like a
 * number stands bare.
 */
#include "server/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/rfc3339.h"

const char *const ist_log_level_names[] = {"debug", "info", "warn", "error", NULL};

static enum ist_log_level least = IST_LOG_INFO;
static bool as_json;

void ist_log_init(enum ist_log_level from, bool json)
{
	least = from;
	as_json = json;
}

/* Two bytes stay free for the end of the line. */
static void put(struct ist_log_line *line, const char *s, size_t n)
{
	size_t room = sizeof(line->text) - 2 - line->len;

	n = n < room ? n : room;
	memcpy(line->text + line->len, s, n);
	line->len += (unsigned)n;
}

/* Ids like 0123 or 1e5f are no numbers, although they begin like one. */
static bool is_number(const char *s)
{
	char *end;

	if (!isdigit((unsigned char)(*s == '-' ? s[1] : *s)))
		return false;
	if (s[*s == '-'] == '0' && isalnum((unsigned char)s[(*s == '-') + 1]))
		return false;
	for (const char *c = s; *c != '\0'; c++)
		if (strchr("0123456789.-+e", *c) == NULL)
			return false;
	strtod(s, &end);
	return *end == '\0' && end[-1] != '.';
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
			return false;
	return true;
}

static void put_quoted(struct ist_log_line *line, const char *s)
{
	char code[8];

	put(line, "\"", 1);
	for (; *s != '\0' && line->len < sizeof(line->text) - 16; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			snprintf(code, sizeof(code), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			snprintf(code, sizeof(code), "\\u%04x", c);
		else
			snprintf(code, sizeof(code), "%c", c);
		put(line, code, strlen(code));
	}
	put(line, "\"", 1);
}

/* A line that is nearly full takes no more fields, rather than half of one. */
static void put_field(struct ist_log_line *line, const char *name, const char *value)
{
	if (line->len > sizeof(line->text) - 128)
		return;
	if (as_json) {
		put(line, line->len > 0 ? ",\"" : "{\"", 2);
		put(line, name, strlen(name));
		put(line, "\":", 2);
	} else {
		put(line, " ", line->len > 0);
		put(line, name, strlen(name));
		put(line, "=", 1);
	}
	if (as_json ? is_number(value) : is_plain(value))
		put(line, value, strlen(value));
	else
		put_quoted(line, value);
}

void ist_log_begin(struct ist_log_line *line, enum ist_log_level level, const char *event)
{
	char now[IST_RFC3339_SIZE];

	line->len = 0;
	line->wanted = level >= least;
	if (!line->wanted)
		return;
	ist_rfc3339(ist_now_us(), now);
	put_field(line, "time", now);
	put_field(line, "level", ist_log_level_names[level]);
	put_field(line, "event", event);
}

void ist_log_field(struct ist_log_line *line, const char *name, const char *format, ...)
{
	char value[1024];
	va_list args;

	if (!line->wanted)
		return;
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	put_field(line, name, value);
}

void ist_log_end(struct ist_log_line *line)
{
	ssize_t n;

	if (!line->wanted)
		return;
	if (as_json)
		line->text[line->len++] = '}';
	line->text[line->len++] = '\n';
	do /* a full disk or a closed pipe must not stop the daemon */
		n = write(STDERR_FILENO, line->text, line->len);
	while (n < 0 && errno == EINTR);
}

void ist_log_event(void *unused, int level, const char *event, const char *text)
{
	struct ist_log_line line;

	if (level < IST_LOG_DEBUG || level >= IST_N_LOG_LEVELS)
		level = IST_LOG_INFO;
	ist_log_begin(&line, (enum ist_log_level)level, event);
	ist_log_field(&line, "text", "%s", text);
	ist_log_end(&line);
}
