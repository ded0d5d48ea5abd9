/* "external:4096" becomes {"name": "external", "dim": 4096}; what has no number stays a name. */
#include "server/cli/encoder_choice.h"

#include <stdlib.h>
#include <string.h>

void ist_encoder_choice_add(json_t *body, const char *member, const char *text, size_t width)
{
	const char *colon = text != NULL ? strrchr(text, ':') : NULL;
	char *end = NULL;
	long dim = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
	json_t *choice = NULL;

	if (colon != NULL && dim > 0 && *end == '\0')
		choice = json_pack("{s:o, s:I}", "name", json_stringn(text, (size_t)(colon - text)),
				   "dim", (json_int_t)dim);
	else if (text != NULL)
		choice = json_string(text);
	else if (width > 0)
		choice = json_pack("{s:s, s:I}", "name", "external", "dim", (json_int_t)width);
	if (choice != NULL)
		json_object_set_new(body, member, choice);
}
