/*
 * A strict reader: the first boundary opens the body (a preamble may stand before it), every part
 * has a Content-Disposition with a name, the closing boundary must be there. Names must differ.
 */
#include "server/multipart.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "server/json.h"

#define HEAD_MAX 4096
#define BOUNDARY_MAX 70

struct reader {
	const char *at, *end;
	char mark[BOUNDARY_MAX + 5]; /* CRLF, two hyphens, the boundary */
	size_t mark_len;
	struct ist_arena *arena;
};

/* The value of a parameter in a header, quoted or not; NULL if absent. */
static const char *parameter(const char *header, const char *name, struct ist_arena *arena)
{
	size_t n = strlen(name), used = 0;
	char *value;

	for (const char *s = strchr(header, ';'); s != NULL; s = strchr(s, ';')) {
		bool quoted;

		s += 1 + strspn(s + 1, " \t");
		if (strncasecmp(s, name, n) != 0 || s[n] != '=')
			continue;
		s += n + 1;
		quoted = *s == '"';
		s += quoted;
		value = ist_arena_alloc(arena, strlen(s) + 1, 1);
		while (*s != '\0' && (quoted ? *s != '"' : strchr("; \t", *s) == NULL)) {
			if (quoted && *s == '\\' && s[1] != '\0')
				s++;
			value[used++] = *s++;
		}
		return quoted && *s != '"' ? NULL : value;
	}
	return NULL;
}

static enum ist_code read_boundary(struct reader *r, const char *type, struct ist_err *err)
{
	const char *boundary = parameter(type, "boundary", r->arena);
	size_t n = boundary != NULL ? strlen(boundary) : 0;

	if (n == 0 || n > BOUNDARY_MAX)
		return ist_fail(err, IST_BAD_REQUEST,
				"multipart: Content-Type has no boundary of 1 to %d characters",
				BOUNDARY_MAX);
	memcpy(r->mark, "\r\n--", 4);
	memcpy(r->mark + 4, boundary, n);
	r->mark_len = n + 4;
	return IST_OK;
}

/* To the first boundary: at the very start, or after a preamble. */
static enum ist_code open_body(struct reader *r, struct ist_err *err)
{
	size_t bare = r->mark_len - 2;
	const char *mark;

	if ((size_t)(r->end - r->at) >= bare && memcmp(r->at, r->mark + 2, bare) == 0) {
		r->at += bare;
		return IST_OK;
	}
	mark = memmem(r->at, (size_t)(r->end - r->at), r->mark, r->mark_len);
	if (mark == NULL)
		return ist_fail(err, IST_BAD_REQUEST, "multipart: the boundary never comes");
	r->at = mark + r->mark_len;
	return IST_OK;
}

/* What follows a boundary: the end of all, or the end of a line and a part. */
static enum ist_code after_boundary(struct reader *r, bool *ret_end, struct ist_err *err)
{
	if (r->end - r->at >= 2 && memcmp(r->at, "--", 2) == 0) {
		*ret_end = true;
		return IST_OK;
	}
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
	if (r->end - r->at < 2 || memcmp(r->at, "\r\n", 2) != 0)
		return ist_fail(err, IST_BAD_REQUEST, "multipart: no line ends after a boundary");
	*ret_end = false;
	return IST_OK;
}

/* Headers that we do not know are passed over, as RFC 7578 asks. */
static enum ist_code read_header(struct reader *r, const char *line, struct ist_part_body *part,
				 struct ist_err *err)
{
	const char *colon = strchr(line, ':');
	const char *value;
	char *type;

	if (colon == NULL || !ist_utf8_is_valid(line, strlen(line)))
		return ist_fail(err, IST_BAD_REQUEST, "multipart: a header of a part is malformed");
	value = colon + 1 + strspn(colon + 1, " \t");
	if (strncasecmp(line, "Content-Disposition:", 20) == 0) {
		if (strncasecmp(value, "form-data", 9) != 0)
			return ist_fail(err, IST_BAD_REQUEST, "multipart: a part is no form-data");
		part->name = parameter(value, "name", r->arena);
		part->filename = parameter(value, "filename", r->arena);
	} else if (strncasecmp(line, "Content-Type:", 13) == 0) {
		type = ist_arena_strdup(r->arena, value);
		type[strcspn(type, "; \t")] = '\0';
		for (char *c = type; *c != '\0'; c++)
			*c = (char)tolower((unsigned char)*c);
		part->type = type;
	}
	return IST_OK;
}

/* From the CRLF after a boundary to the empty line. */
static enum ist_code read_head(struct reader *r, struct ist_part_body *part, struct ist_err *err)
{
	const char *stop = memmem(r->at, (size_t)(r->end - r->at), "\r\n\r\n", 4);
	char *head, *line, *next;

	*part = (struct ist_part_body){.type = ""};
	if (stop == NULL || stop - r->at > HEAD_MAX)
		return ist_fail(err, IST_BAD_REQUEST, "multipart: the head of a part does not end");
	head = ist_arena_alloc(r->arena, (size_t)(stop - r->at) + 1, 1);
	memcpy(head, r->at, (size_t)(stop - r->at));
	if (strlen(head) != (size_t)(stop - r->at))
		return ist_fail(err, IST_BAD_REQUEST, "multipart: NUL in the head of a part");
	for (line = head; line != NULL; line = next) {
		next = strstr(line, "\r\n");
		if (next != NULL) {
			*next = '\0';
			next += 2;
		}
		if (line[0] != '\0' && read_header(r, line, part, err) != IST_OK)
			return err->code;
	}
	r->at = stop + 4;
	if (part->name == NULL || part->name[0] == '\0')
		return ist_fail(err, IST_BAD_REQUEST, "multipart: a part has no name");
	return IST_OK;
}

static enum ist_code read_part(struct reader *r, struct ist_part_body *part, struct ist_err *err)
{
	const char *stop;

	if (read_head(r, part, err) != IST_OK)
		return err->code;
	/* An empty part: its boundary's line break is that of the head. */
	stop = memmem(r->at - 2, (size_t)(r->end - r->at) + 2, r->mark, r->mark_len);
	if (stop == NULL)
		return ist_fail(err, IST_BAD_REQUEST, "multipart: part %.64s does not end",
				part->name);
	part->body = (struct ist_str){r->at, stop < r->at ? 0 : (size_t)(stop - r->at)};
	r->at = stop + r->mark_len;
	return IST_OK;
}

/* What follows the closing boundary is ignored, as the RFC says. */
enum ist_code ist_multipart_parse(const char *type, struct ist_str body, struct ist_arena *arena,
				  const struct ist_part_body **ret, size_t *ret_n,
				  struct ist_err *err)
{
	struct reader r = {.at = body.data, .end = body.data + body.len, .arena = arena};
	struct ist_part_body *parts = ist_arena_alloc(arena, IST_PARTS_MAX, sizeof(*parts));
	size_t n = 0;
	bool end;

	if (body.len == 0)
		return ist_fail(err, IST_BAD_REQUEST, "multipart: the body is empty");
	if (read_boundary(&r, type, err) != IST_OK || open_body(&r, err) != IST_OK)
		return err->code;
	for (;;) {
		if (after_boundary(&r, &end, err) != IST_OK)
			return err->code;
		if (end)
			break;
		if (n == IST_PARTS_MAX)
			return ist_fail(err, IST_BAD_REQUEST, "multipart: more than %d parts",
					IST_PARTS_MAX);
		if (read_part(&r, &parts[n], err) != IST_OK)
			return err->code;
		for (size_t i = 0; i < n; i++)
			if (strcmp(parts[i].name, parts[n].name) == 0)
				return ist_fail(err, IST_BAD_REQUEST,
						"multipart: two parts are named %.64s",
						parts[n].name);
		n++;
	}
	*ret = parts;
	*ret_n = n;
	return IST_OK;
}
