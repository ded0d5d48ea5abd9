/* The parameter `filter` of a query string: the short form. */
#ifndef IST_SERVER_QUERY_FILTER_H
#define IST_SERVER_QUERY_FILTER_H

#include "index/filter.h"
#include "server/http.h"
#include "server/json.h"

/* *ret NULL where there is none. */
static inline enum ist_code ist_query_filter(struct ist_request *rq, struct ist_filter **ret,
					     struct ist_err *err)
{
	const char *text = ist_request_query(rq, "filter");

	*ret = NULL;
	if (text == NULL)
		return IST_OK;
	if (ist_filter_parse_text(text, ret, err) == IST_OK)
		return IST_OK;
	return ist_err_in(err, "filter");
}

#endif
