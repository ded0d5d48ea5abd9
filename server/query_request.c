/*
 * Queries by tables. The members of "query" exclude one another, so a table of forms says which
 * belong together. A query string is turned into the JSON that it stands for and read the same
 * way, so that both forms take and refuse the same.
 */
#include "server/query_request.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/fields.h"
#include "server/vector_json.h"

static const char *const space_names[] = {"image", "text", "common", NULL};
static const char *const target_names[] = {"image", "text", "any", NULL};
static const char *const return_names[] = {"texts", "label", "metadata", "vector", "image", NULL};

/* ---- the source ---- */

struct source_body {
	const char *text, *id;
	const json_t *image, *vector, *compose;
	int space;
	bool by_item; /* items may be named */
};

static const struct ist_field source_fields[] = {
    {"text", IST_FIELD_STRING, offsetof(struct source_body, text), 1, IST_QUERY_TEXT_MAX},
    {"image", IST_FIELD_OBJECT, offsetof(struct source_body, image)},
    {"id", IST_FIELD_STRING, offsetof(struct source_body, id), 1, 255},
    {"vector", IST_FIELD_ANY, offsetof(struct source_body, vector)},
    {"modality", IST_FIELD_CHOICE, offsetof(struct source_body, space), .choices = space_names},
    {"compose", IST_FIELD_OBJECT, offsetof(struct source_body, compose)},
};

/* {"base64"}: the bytes of a file. Whether they are a picture is for its decoder to say. */
static enum ist_code parse_image(const json_t *json, struct ist_arena *arena, struct ist_str *ret,
				 struct ist_err *err)
{
	static const struct ist_field fields[] = {
	    {"base64", IST_FIELD_STRING, 0, .required = true}};
	const char *text = NULL;
	size_t len, n;
	char *data;
	enum ist_code code = ist_fields_read(json, fields, IST_COUNT(fields), &text, err);

	if (code)
		return code;
	len = strlen(text);
	data = ist_arena_alloc(arena, ist_base64_bound(len), 1);
	if (!ist_base64_decode(text, len, data, &n))
		return ist_fail_at(err, IST_INVALID, "/base64", "is not base64");
	if (n == 0)
		return ist_fail_at(err, IST_INVALID, "/base64", "is empty");
	*ret = (struct ist_str){data, n};
	return IST_OK;
}

/* The same, or {"id"}: the picture of an item. */
static enum ist_code parse_image_or_item(const json_t *json, struct ist_arena *arena,
					 struct ist_source *ret, struct ist_err *err)
{
	static const struct ist_field by_id[] = {
	    {"id", IST_FIELD_STRING, 0, 1, 255, .required = true}};

	return json_object_get(json, "id") != NULL
		   ? ist_fields_read(json, by_id, IST_COUNT(by_id), &ret->id, err)
		   : parse_image(json, arena, &ret->image, err);
}

/* {"image": {"id"} | {"base64"}, "text"}: checked whole, though what can answer it is for the
 * model to say. */
static enum ist_code parse_compose(const json_t *json, const struct ist_str *part,
				   struct ist_arena *arena, struct ist_source *ret,
				   struct ist_err *err)
{
	struct compose {
		const json_t *image;
		const char *text;
	} body = {0};
	static const struct ist_field fields[] = {
	    {"image", IST_FIELD_OBJECT, offsetof(struct compose, image)},
	    {"text", IST_FIELD_STRING, offsetof(struct compose, text), 1, IST_QUERY_TEXT_MAX,
	     .required = true},
	};
	enum ist_code code = ist_fields_read(json, fields, IST_COUNT(fields), &body, err);

	if (code)
		return code;
	ret->text = body.text;
	if (body.image == NULL && part == NULL)
		return ist_fail_at(err, IST_INVALID, "/image", "is missing");
	if (body.image != NULL && part != NULL)
		return ist_fail_at(err, IST_INVALID, "/image", "came as a part already");
	if (body.image == NULL) {
		ret->image = *part;
		return IST_OK;
	}
	code = parse_image_or_item(body.image, arena, ret, err);
	if (code)
		ist_err_under(err, "/image");
	return code;
}

/* ---- one reader a form; errors are relative to the form's member ---- */

static enum ist_code read_text(const struct source_body *body, const struct ist_str *part,
			       struct ist_arena *arena, struct ist_source *ret, struct ist_err *err)
{
	ret->text = body->text;
	return IST_OK;
}

static enum ist_code read_image(const struct source_body *body, const struct ist_str *part,
				struct ist_arena *arena, struct ist_source *ret,
				struct ist_err *err)
{
	return body->by_item ? parse_image_or_item(body->image, arena, ret, err)
			     : parse_image(body->image, arena, &ret->image, err);
}

static enum ist_code read_id(const struct source_body *body, const struct ist_str *part,
			     struct ist_arena *arena, struct ist_source *ret, struct ist_err *err)
{
	ret->id = body->id;
	ret->space = body->space;
	if (body->space == IST_SPACE_COMMON)
		return ist_fail_at(err, IST_INVALID, "",
				   "an id goes with the modality \"image\" or \"text\"");
	return IST_OK;
}

static enum ist_code read_vector(const struct source_body *body, const struct ist_str *part,
				 struct ist_arena *arena, struct ist_source *ret,
				 struct ist_err *err)
{
	ret->space = body->space == IST_SPACE_UNSAID ? IST_SPACE_COMMON : body->space;
	return ist_vector_parse(body->vector, arena, &ret->vector, &ret->dim, err);
}

static enum ist_code read_compose(const struct source_body *body, const struct ist_str *part,
				  struct ist_arena *arena, struct ist_source *ret,
				  struct ist_err *err)
{
	return parse_compose(body->compose, part, arena, ret, err);
}

/* The forms that exclude one another. */
static const struct form {
	const char *name;
	enum ist_source_kind kind;
	bool of_item, takes_modality;
	enum ist_code (*read)(const struct source_body *body, const struct ist_str *part,
			      struct ist_arena *arena, struct ist_source *ret, struct ist_err *err);
} forms[] = {
    {"text", IST_BY_TEXT, false, false, read_text},
    {"image", IST_BY_IMAGE, false, false, read_image},
    {"id", IST_BY_ID, true, true, read_id},
    {"vector", IST_BY_VECTOR, false, true, read_vector},
    {"compose", IST_BY_COMPOSE, true, false, read_compose},
};

/* The form that the members make; *ret_n says how many forms there are, which should be one. */
static const struct form *form_of(const json_t *json, bool by_item, size_t *ret_n)
{
	const struct form *found = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < IST_COUNT(forms); i++)
		if ((by_item || !forms[i].of_item) &&
		    json_object_get(json, forms[i].name) != NULL) {
			found = &forms[i];
			++*ret_n;
		}
	return found;
}

/* Unknown members are refused first, then it must be one form, then the form must be right. With a
 * picture as a part the object may be empty: the picture is the query. */
enum ist_code ist_source_parse(const json_t *json, const struct ist_str *image, bool by_item,
			       struct ist_arena *arena, struct ist_source *ret, struct ist_err *err)
{
	const char *wanted = by_item ? "\"text\", \"image\", \"id\", \"vector\" or \"compose\""
				     : "\"text\", \"image\" or \"vector\"";
	struct source_body body = {.space = IST_SPACE_UNSAID, .by_item = by_item};
	struct ist_source source = {.space = IST_SPACE_UNSAID};
	const struct form *form;
	char pointer[16];
	size_t n;
	enum ist_code code =
	    ist_fields_read(json, source_fields, IST_COUNT(source_fields), &body, err);

	if (code)
		return code;
	form = form_of(json, by_item, &n);
	if (n == 0 && image != NULL && json_object_size(json) == 0) {
		*ret = (struct ist_source){
		    .kind = IST_BY_IMAGE, .image = *image, .space = IST_SPACE_UNSAID};
		return IST_OK;
	}
	if (n != 1)
		return ist_fail_at(err, IST_INVALID, "", "must hold one of %s, got %zu", wanted, n);
	if (image != NULL && form->kind != IST_BY_COMPOSE)
		return ist_fail_at(err, IST_INVALID, "", "the query is the part \"image\" already");
	if (!by_item && (body.id != NULL || body.compose != NULL))
		return ist_fail_at(err, IST_INVALID, "", "must hold one of %s", wanted);
	if (body.space != IST_SPACE_UNSAID && !form->takes_modality)
		return ist_fail_at(err, IST_INVALID, "/modality", "does not go with \"%s\"",
				   form->name);
	source.kind = form->kind;
	code = form->read(&body, image, arena, &source, err);
	if (code) {
		snprintf(pointer, sizeof(pointer), "/%s", form->name);
		ist_err_under(err, pointer);
		return code;
	}
	*ret = source;
	return IST_OK;
}

/* ---- the rest of a query ---- */

struct query_body {
	struct ist_query query;
	const json_t *source, *filter, *returns;
};

#define AT(member) offsetof(struct query_body, member)
static const struct ist_field query_fields[] = {
    {"query", IST_FIELD_OBJECT, AT(source)},
    {"target", IST_FIELD_CHOICE, AT(query.target), .choices = target_names},
    {"limit", IST_FIELD_INT, AT(query.limit), 1, IST_QUERY_LIMIT_MAX},
    {"offset", IST_FIELD_INT, AT(query.offset), 0, IST_QUERY_DEPTH_MAX},
    {"filter", IST_FIELD_OBJECT, AT(filter)},
    {"threshold", IST_FIELD_REAL, AT(query.threshold), 0, 1},
    {"min_similarity", IST_FIELD_REAL, AT(query.min_similarity)},
    {"model", IST_FIELD_STRING, AT(query.model), 1, 31},
    {"exact", IST_FIELD_BOOL, AT(query.exact)},
    {"explain", IST_FIELD_BOOL, AT(query.explain)},
    {"return", IST_FIELD_ARRAY, AT(returns), 0, 5},
};

/* The names in "return" as a set. */
static enum ist_code parse_returns(const json_t *array, unsigned *ret, struct ist_err *err)
{
	unsigned set = 0;
	size_t i;
	json_t *value;

	json_array_foreach(array, i, value)
	{
		const char *name = json_string_value(value);
		char pointer[32];
		unsigned bit = 0;

		for (int k = 0; name != NULL && return_names[k] != NULL; k++)
			if (strcmp(name, return_names[k]) == 0)
				bit = 1u << k;
		if (bit == 0 || (set & bit)) {
			snprintf(pointer, sizeof(pointer), "/return/%zu", i);
			return ist_fail_at(
			    err, IST_INVALID, pointer,
			    bit ? "is there already"
				: "must be one of \"texts\", \"label\", \"metadata\", "
				  "\"vector\"");
		}
		set |= bit;
	}
	*ret = set;
	return IST_OK;
}

/* All but the filter. */
static enum ist_code read_query(const json_t *json, const struct ist_str *image,
				struct ist_arena *arena, struct query_body *body,
				struct ist_err *err)
{
	struct ist_query *q = &body->query;
	json_t *empty;
	enum ist_code code =
	    ist_fields_read(json, query_fields, IST_COUNT(query_fields), body, err);

	if (code)
		return code;
	if (q->limit + q->offset > IST_QUERY_DEPTH_MAX)
		return ist_fail_at(err, IST_INVALID, "/offset",
				   "limit + offset must be at most %d, got %lld",
				   IST_QUERY_DEPTH_MAX, (long long)(q->limit + q->offset));
	if (body->returns != NULL && (code = parse_returns(body->returns, &q->returns, err)))
		return code;
	if (body->source == NULL && image == NULL)
		return ist_fail_at(err, IST_INVALID, "/query", "is missing");
	empty = json_object();
	code = ist_source_parse(body->source != NULL ? body->source : empty, image, true, arena,
				&q->source, err);
	json_decref(empty);
	if (code)
		ist_err_under(err, "/query");
	return code;
}

/* What holds where nothing is said. */
static struct query_body defaults(void)
{
	return (struct query_body){
	    .query = {.target = IST_TARGET_ANY,
		      .limit = 10,
		      .threshold = NAN,
		      .min_similarity = NAN,
		      .returns = IST_RETURN_TEXTS | IST_RETURN_LABEL | IST_RETURN_METADATA}};
}

enum ist_code ist_query_parse(const json_t *json, const struct ist_str *image,
			      struct ist_arena *arena, struct ist_query *ret, struct ist_err *err)
{
	struct query_body body = defaults();
	enum ist_code code = read_query(json, image, arena, &body, err);

	if (!code && body.filter != NULL) {
		code = ist_filter_parse_json(body.filter, &body.query.filter, err);
		if (code)
			ist_err_under(err, "/filter");
	}
	if (!code)
		*ret = body.query;
	return code;
}

void ist_query_finish(struct ist_query *query)
{
	ist_filter_destroy(query->filter);
	query->filter = NULL;
}

/* ---- query strings ---- */

const char *const ist_query_url_names[] = {
    "text",	      "id",    "modality", "target",  "limit",	"offset", "filter", "threshold",
    "min_similarity", "model", "exact",	   "explain", "return", NULL};

/* ---- values of a query string as JSON; NULL for what is none ---- */

static json_t *url_string(const char *value)
{
	return json_string(value); /* NULL where it is not UTF-8 */
}

static json_t *url_int(const char *value)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	return errno || end == value || *end || value[0] == ' ' || value[0] == '+'
		   ? NULL
		   : json_integer(n);
}

static json_t *url_real(const char *value)
{
	char *end;
	double x = strtod(value, &end);

	/* Only what JSON would take too: no "inf", no hexadecimal. */
	return end == value || *end || value[strspn(value, "0123456789+-.eE")] || !isfinite(x)
		   ? NULL
		   : json_real(x);
}

static json_t *url_bool(const char *value)
{
	if (strcmp(value, "true") == 0)
		return json_true();
	return strcmp(value, "false") == 0 ? json_false() : NULL;
}

static json_t *url_list(const char *value)
{
	json_t *list = json_array();

	for (const char *at = value; *at;) {
		size_t n = strcspn(at, ",");

		if (json_array_append_new(list, json_stringn(at, n))) {
			json_decref(list);
			return NULL;
		}
		at += n + (at[n] == ',');
	}
	return list;
}

static const struct {
	const char *name;
	bool in_source; /* a member of "query" */
	json_t *(*read)(const char *value);
	const char *wanted;
} url_values[] = {
    {"text", true, url_string, "UTF-8"},
    {"id", true, url_string, "UTF-8"},
    {"modality", true, url_string, "UTF-8"},
    {"target", false, url_string, "UTF-8"},
    {"limit", false, url_int, "an integer"},
    {"offset", false, url_int, "an integer"},
    {"threshold", false, url_real, "a number"},
    {"min_similarity", false, url_real, "a number"},
    {"model", false, url_string, "UTF-8"},
    {"exact", false, url_bool, "true or false"},
    {"explain", false, url_bool, "true or false"},
    {"return", false, url_list, "names with commas between them"},
};

/* Puts every parameter that is there where it belongs in the JSON of a query. */
static enum ist_code url_json(const char *(*value)(const void *user, const char *name),
			      const void *user, json_t *json, json_t *source, struct ist_err *err)
{
	char pointer[64];

	for (size_t i = 0; i < IST_COUNT(url_values); i++) {
		const char *text = value(user, url_values[i].name);
		json_t *to = url_values[i].in_source ? source : json;

		if (text == NULL ||
		    json_object_set_new(to, url_values[i].name, url_values[i].read(text)) == 0)
			continue;
		snprintf(pointer, sizeof(pointer), "/%s", url_values[i].name);
		return ist_fail_at(err, IST_INVALID, pointer, "must be %s", url_values[i].wanted);
	}
	return IST_OK;
}

/* The strings must outlive the JSON that they were checked in. */
static void keep_strings(struct ist_query *query, struct ist_arena *arena)
{
	const char **borrowed[] = {&query->source.text, &query->source.id, &query->model};

	for (size_t i = 0; i < IST_COUNT(borrowed); i++)
		if (*borrowed[i] != NULL)
			*borrowed[i] = ist_arena_strdup(arena, *borrowed[i]);
}

enum ist_code ist_query_parse_url(const char *(*value)(const void *user, const char *name),
				  const void *user, struct ist_arena *arena, struct ist_query *ret,
				  struct ist_err *err)
{
	struct query_body body = defaults();
	json_t *json = json_object(), *source = json_object();
	const char *filter = value(user, "filter");
	enum ist_code code = url_json(value, user, json, source, err);

	json_object_set_new(json, "query", source);
	if (!code) {
		code = read_query(json, NULL, arena, &body, err);
		/* Pointers name the parameter: there is no "query" around it. */
		if (code && strncmp(err->pointer, "/query", 6) == 0)
			memmove(err->pointer, err->pointer + 6, strlen(err->pointer + 6) + 1);
	}
	if (!code && filter != NULL) {
		code = ist_filter_parse_text(filter, &body.query.filter, err);
		if (code)
			ist_err_under(err, "/filter");
	}
	if (!code)
		keep_strings(&body.query, arena);
	json_decref(json);
	if (!code)
		*ret = body.query;
	return code;
}
