/*
 * What a query asks, read from its JSON or from a query string and checked as far as it can be
 * without the collection. Everything lives in the request's arena or JSON, but for the filter.
 */
#ifndef IST_SERVER_QUERY_REQUEST_H
#define IST_SERVER_QUERY_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "index/filter.h"

#define IST_QUERY_LIMIT_MAX 1000
#define IST_QUERY_DEPTH_MAX 10000 /* limit + offset */
#define IST_QUERY_TEXT_MAX 65536

/* Where a query, or an input of embed, comes from. */
enum ist_source_kind { IST_BY_TEXT, IST_BY_IMAGE, IST_BY_ID, IST_BY_VECTOR, IST_BY_COMPOSE };
enum ist_source_space { IST_SPACE_IMAGE, IST_SPACE_TEXT, IST_SPACE_COMMON, IST_SPACE_UNSAID };

struct ist_source {
	enum ist_source_kind kind;
	const char *text;
	struct ist_str image; /* the file's bytes, unless `id` names an item's picture */
	const char *id;
	const float *vector; /* (dim) */
	size_t dim;
	int space; /* enum ist_source_space: "modality" of an id or a vector (default common) */
};

enum ist_query_target { IST_TARGET_IMAGE, IST_TARGET_TEXT, IST_TARGET_ANY };
enum ist_query_return {
	IST_RETURN_TEXTS = 1,
	IST_RETURN_LABEL = 2,
	IST_RETURN_METADATA = 4,
	IST_RETURN_VECTOR = 8,
	IST_RETURN_IMAGE = 16,
};

struct ist_query {
	struct ist_source source;
	int target; /* enum ist_query_target */
	int64_t limit, offset;
	double threshold, min_similarity; /* NAN: none */
	const char *model;		  /* NULL: the active one */
	bool exact, explain;
	unsigned returns; /* enum ist_query_return */
	struct ist_filter *filter;
};

/* `image` is the part of a multipart body, NULL without one. */
IST_CHECKED enum ist_code ist_query_parse(const json_t *json, const struct ist_str *image,
					  struct ist_arena *arena, struct ist_query *ret,
					  struct ist_err *err);
/* The same out of a query string; `value` gives a parameter or NULL. */
IST_CHECKED enum ist_code
ist_query_parse_url(const char *(*value)(const void *user, const char *name), const void *user,
		    struct ist_arena *arena, struct ist_query *ret, struct ist_err *err);
extern const char *const ist_query_url_names[]; /* ends with NULL: what the route allows */
void ist_query_finish(struct ist_query *query);

/* One of {"text"}, {"image": {"base64"}}, {"vector", "modality"}, and if `by_item` {"image":
 * {"id"}}, {"id", "modality"} and {"compose"}: an input of embed is a query without those. */
IST_CHECKED enum ist_code ist_source_parse(const json_t *json, const struct ist_str *image,
					   bool by_item, struct ist_arena *arena,
					   struct ist_source *ret, struct ist_err *err);

#endif
