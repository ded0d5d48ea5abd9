/*
 * The error table and the few functions that write texts. No allocation: an error about memory
 * must not need any. Texts that do not fit are cut.
 */
#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int status;
	const char *title;
} codes[IST_N_CODES] = {
#define X(e, name, status, title) [IST_##e] = {name, status, title},
    IST_CODES(X)
#undef X
};

static void set(struct ist_err *err, enum ist_code code, const char *pointer, const char *format,
		va_list args)
{
	if (err == NULL)
		return;
	err->code = code;
	snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
	vsnprintf(err->text, sizeof(err->text), format, args);
}

enum ist_code ist_fail(struct ist_err *err, enum ist_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, code, "", format, args);
	va_end(args);
	return code;
}

enum ist_code ist_fail_errno(struct ist_err *err, const char *format, ...)
{
	int saved = errno;
	enum ist_code code = saved == ENOSPC || saved == EDQUOT ? IST_STORAGE_FULL : IST_IO;
	va_list args;
	size_t n;

	va_start(args, format);
	set(err, code, "", format, args);
	va_end(args);
	if (err != NULL) {
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(saved));
	}
	return code;
}

enum ist_code ist_fail_at(struct ist_err *err, enum ist_code code, const char *pointer,
			  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, code, pointer, format, args);
	va_end(args);
	return code;
}

enum ist_code ist_wrap(struct ist_err *err, const char *format, ...)
{
	char inner[sizeof(err->text)];
	va_list args;
	size_t n;

	if (err == NULL)
		return IST_INTERNAL;
	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", inner);
	return err->code;
}

void ist_err_under(struct ist_err *err, const char *prefix)
{
	char inner[sizeof(err->pointer)];

	if (err == NULL)
		return;
	memcpy(inner, err->pointer, sizeof(inner));
	snprintf(err->pointer, sizeof(err->pointer), "%s%.*s", prefix,
		 (int)(sizeof(inner) - 1 - strlen(prefix) % sizeof(inner)), inner);
}

const char *ist_code_name(enum ist_code code)
{
	return codes[code].name;
}

const char *ist_code_title(enum ist_code code)
{
	return codes[code].title;
}

int ist_code_status(enum ist_code code)
{
	return codes[code].status;
}
