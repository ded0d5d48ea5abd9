/*
 * Strict reading: nesting is counted before the parser runs, because jansson parses by recursion
 * and workers have small stacks. Writing is our own: jansson prints 0.1 with seventeen digits.
 */
#include "server/json.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

#define DEPTH_MAX 64

/* Brackets in strings do not count. What is no JSON at all is found by the parser. */
static bool too_deep(const char *s, size_t len)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				quoted = false;
		} else if (s[i] == '"') {
			quoted = true;
		} else if (s[i] == '[' || s[i] == '{') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((s[i] == ']' || s[i] == '}') && depth > 0) {
			depth--;
		}
	}
	return false;
}

enum ist_code ist_json_parse(const char *data, size_t len, json_t **ret, struct ist_err *err)
{
	json_error_t why;
	json_t *json;

	if (len == 0)
		return ist_fail(err, IST_BAD_JSON, "the body is empty");
	if (too_deep(data, len))
		return ist_fail(err, IST_BAD_JSON, "nested deeper than %d", DEPTH_MAX);
	json = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (json == NULL)
		return ist_fail(err, IST_BAD_JSON, "line %d, column %d: %s", why.line, why.column,
				why.text);
	*ret = json;
	return IST_OK;
}

/* Quotes, the backslash and controls are escaped; everything else is UTF-8 already. */
void ist_json_put_string(struct ist_buf *buf, const char *s, size_t len)
{
	size_t from = 0;

	ist_buf_putc(buf, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		ist_buf_put(buf, s + from, i - from);
		from = i + 1;
		if (c == '\n')
			ist_buf_puts(buf, "\\n");
		else if (c == '"' || c == '\\')
			ist_buf_printf(buf, "\\%c", c);
		else
			ist_buf_printf(buf, "\\u%04x", c);
	}
	ist_buf_put(buf, s + from, len - from);
	ist_buf_putc(buf, '"');
}

/* Fifteen digits are enough for what people write; what needs more gets it. */
static void put_real(struct ist_buf *buf, double x)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, x);
		if (strtod(text, NULL) == x)
			break;
	}
	ist_buf_puts(buf, text);
	if (strpbrk(text, ".e") == NULL) /* a real stays one when it is read again */
		ist_buf_puts(buf, ".0");
}

static void put_array(struct ist_buf *buf, const json_t *array, bool sorted)
{
	size_t n = json_array_size(array);

	ist_buf_putc(buf, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			ist_buf_putc(buf, ',');
		ist_json_put(buf, json_array_get(array, i), sorted);
	}
	ist_buf_putc(buf, ']');
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_member(struct ist_buf *buf, const char *name, const json_t *v, bool first,
		       bool sorted)
{
	if (!first)
		ist_buf_putc(buf, ',');
	ist_json_put_string(buf, name, strlen(name));
	ist_buf_putc(buf, ':');
	ist_json_put(buf, v, sorted);
}

static void put_object(struct ist_buf *buf, const json_t *object, bool sorted)
{
	size_t n = json_object_size(object), i = 0;
	ist_autofree const char **names = sorted ? ist_alloc(n + 1, sizeof(*names)) : NULL;
	const char *name;
	json_t *v;

	ist_buf_putc(buf, '{');
	json_object_foreach((json_t *)object, name, v)
	{
		if (sorted)
			names[i++] = name;
		else
			put_member(buf, name, v, i++ == 0, false);
	}
	if (sorted) {
		qsort(names, n, sizeof(*names), compare_names);
		for (i = 0; i < n; i++)
			put_member(buf, names[i], json_object_get(object, names[i]), i == 0, true);
	}
	ist_buf_putc(buf, '}');
}

void ist_json_put(struct ist_buf *buf, const json_t *json, bool sorted)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		put_object(buf, json, sorted);
		break;
	case JSON_ARRAY:
		put_array(buf, json, sorted);
		break;
	case JSON_STRING:
		ist_json_put_string(buf, json_string_value(json), json_string_length(json));
		break;
	case JSON_INTEGER:
		ist_buf_printf(buf, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		break;
	case JSON_REAL:
		put_real(buf, json_real_value(json));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		ist_buf_puts(buf, json_is_true(json) ? "true" : "false");
		break;
	case JSON_NULL:
		ist_buf_puts(buf, "null");
		break;
	}
}

/* `more` is the number of bytes that must follow; low and high bound the first of them, which rules
 * out overlong forms, surrogates and what lies beyond U+10FFFF. */
bool ist_utf8_is_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;

	while (i < len) {
		unsigned char c = s[i++];
		size_t more = c < 0x80	 ? 0
			      : c < 0xc2 ? 9
			      : c < 0xe0 ? 1
			      : c < 0xf0 ? 2
			      : c < 0xf5 ? 3
					 : 9;
		unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

		if (more > len - i)
			return false;
		for (; more > 0; more--, low = 0x80, high = 0xbf)
			if (s[i] < low || s[i++] > high)
				return false;
	}
	return true;
}

void ist_utf8_repair(char *s)
{
	size_t n = strlen(s), i = 0;

	while (i < n) {
		size_t len = 1;

		while (len < 4 && i + len < n && ((unsigned char)s[i + len] & 0xc0) == 0x80)
			len++;
		if (!ist_utf8_is_valid(s + i, len))
			memset(s + i, '?', len);
		i += len;
	}
}

bool ist_name_is_valid(const char *name, size_t len)
{
	if (len < 1 || len > 255 || !ist_utf8_is_valid(name, len))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		/* C0, DEL, and C1 (two bytes, c2 80 to c2 9f). */
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)name[i + 1] < 0xa0)
			return false;
	}
	return !(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

enum ist_code ist_err_in(struct ist_err *err, const char *name)
{
	char prefix[sizeof(err->pointer)] = "/";
	size_t n = 1;

	if (err == NULL)
		return IST_INVALID;
	for (const char *s = name; *s != '\0' && n + 3 < sizeof(prefix); s++) {
		if (*s == '~' || *s == '/') {
			prefix[n++] = '~';
			prefix[n++] = *s == '~' ? '0' : '1';
		} else {
			prefix[n++] = *s;
		}
	}
	if (n + 3 >= sizeof(prefix)) { /* cut: end before a character, not inside one */
		while (n > 1 && ((unsigned char)prefix[n - 1] & 0xc0) == 0x80)
			n--;
		n -= n > 1 && (unsigned char)prefix[n - 1] >= 0xc0;
	}
	prefix[n] = '\0';
	ist_err_under(err, prefix);
	return err->code;
}

enum ist_code ist_err_in_index(struct ist_err *err, size_t i)
{
	char name[24];

	snprintf(name, sizeof(name), "%zu", i);
	return ist_err_in(err, name);
}
