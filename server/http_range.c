/* One range a request; the syntax is read strictly, and what is not understood is ignored. */
#include "server/http_range.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits at *s; false if there are none. A number beyond all sizes is the greatest. */
static bool number(const char **s, uint64_t *ret)
{
	uint64_t n = 0;
	size_t digits = 0;

	for (; isdigit((unsigned char)**s); (*s)++, digits++)
		n = n * 10 + (uint64_t)(**s - '0');
	*ret = digits <= 18 ? n : UINT64_MAX;
	return digits > 0;
}

enum ist_range ist_range_parse(const char *header, uint64_t size, uint64_t *ret_from,
			       uint64_t *ret_n)
{
	const char *s = header;
	uint64_t from = 0, to = 0;
	bool has_from, has_to;

	if (s == NULL || strncasecmp(s, "bytes=", 6) != 0)
		return IST_RANGE_WHOLE;
	s += 6;
	has_from = number(&s, &from);
	if (*s++ != '-')
		return IST_RANGE_WHOLE;
	has_to = number(&s, &to);
	if (*s != '\0' || (!has_from && !has_to) || (has_from && has_to && to < from))
		return IST_RANGE_WHOLE;
	if (!has_from) { /* the last `to` bytes */
		from = to < size ? size - to : 0;
		if (to == 0 || size == 0)
			return IST_RANGE_OUTSIDE;
		to = size - 1;
	} else if (from >= size) {
		return IST_RANGE_OUTSIDE;
	} else if (!has_to || to >= size) {
		to = size - 1;
	}
	*ret_from = from;
	*ret_n = to - from + 1;
	return IST_RANGE_PART;
}

static const char *strong(const char *etag)
{
	return strncmp(etag, "W/", 2) == 0 ? etag + 2 : etag;
}

int ist_etag_listed(const char *list, const char *etag)
{
	size_t n = strlen(strong(etag));

	if (list == NULL)
		return false;
	while (*list != '\0') {
		list += strspn(list, " \t,");
		if (*list == '*')
			return true;
		list = strong(list);
		if (strncmp(list, strong(etag), n) == 0 && strchr(" \t,", list[n]) != NULL)
			return true; /* strchr finds the end of the list too */
		list += strcspn(list, ",");
	}
	return false;
}
