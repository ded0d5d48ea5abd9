/*
 * Bodies by tables. A row names a member of a JSON object, its type and range, and where in a
 * struct its value goes. Members that no row names are refused; absent ones leave the struct as
 * it is, so defaults are set before. Errors carry the member's JSON pointer.
 */
#ifndef IST_SERVER_FIELDS_H
#define IST_SERVER_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

enum ist_field_kind {
	IST_FIELD_STRING, /* const char *, borrowed from the JSON; min .. max bytes */
	IST_FIELD_INT,	  /* int64_t */
	IST_FIELD_REAL,	  /* double, finite; integers are taken too */
	IST_FIELD_BOOL,	  /* bool */
	IST_FIELD_CHOICE, /* int: which of `choices` */
	IST_FIELD_OBJECT, /* const json_t *, borrowed */
	IST_FIELD_ARRAY,  /* const json_t *, borrowed; min .. max elements */
	IST_FIELD_ANY,	  /* const json_t *, borrowed */
	IST_N_FIELD_KINDS
};

struct ist_field {
	const char *name;
	enum ist_field_kind kind;
	size_t offset;
	double min, max; /* both 0: no limit */
	const char *const *choices;
	bool required;
	bool nullable; /* null is as good as absent */
};

IST_CHECKED enum ist_code ist_fields_read(const json_t *object, const struct ist_field *fields,
					  size_t n, void *ret, struct ist_err *err);
/* Appends "/" and the name, escaped (RFC 6901), to a pointer of `size` bytes. */
void ist_pointer_add(char *pointer, size_t size, const char *name);

#endif
