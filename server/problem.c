/*
 * Errors as problem documents (RFC 9457). Texts come from many places, some with bits of what the
 * client sent, so they are made well-formed here.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/http.h"
#include "server/json.h"

static json_t *text(const char *s, size_t size)
{
	char copy[1024];

	snprintf(copy, IST_MIN(sizeof(copy), size), "%s", s);
	ist_utf8_repair(copy);
	return json_string(copy);
}

json_t *ist_problem(const struct ist_err *err, const char *instance, const char *request_id)
{
	const char *name = ist_code_name(err->code);
	const char *detail = err->text[0] != '\0' ? err->text : ist_code_title(err->code);
	json_t *problem =
	    json_pack("{s:o,s:s,s:i,s:o,s:o,s:s,s:s}", "type",
		      json_sprintf("https://isthmus.invalid/errors/%s", name), "title",
		      ist_code_title(err->code), "status", ist_code_status(err->code), "detail",
		      text(detail, sizeof(err->text)), "instance", text(instance, 1000), "code",
		      name, "request_id", request_id);

	if (err->pointer[0] != '\0')
		json_object_set_new(problem, "errors",
				    json_pack("[{s:o,s:o}]", "pointer",
					      text(err->pointer, sizeof(err->pointer)), "detail",
					      text(detail, sizeof(err->text))));
	return problem;
}
