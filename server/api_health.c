/* For supervisors, balancers and Prometheus. Health never blocks: it runs on the HTTP thread. */
#include "server/api.h"

#include "server/daemon.h"
#include "server/http_server.h"
#include "server/metrics.h"

static void put_health(struct ist_request *rq, struct ist_reply *re, const char *status)
{
	double up = (double)(ist_monotonic_us() - rq->daemon->started_us) / 1e6;

	ist_reply_json(
	    re, 200,
	    json_pack("{s:s,s:s,s:f}", "status", status, "version", IST_VERSION, "uptime_s", up));
	ist_reply_header(rq, re, "Cache-Control", "no-store");
}

enum ist_code ist_api_get_health(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	bool loading = ist_store_state(rq->daemon->store, NULL) == IST_STORE_LOADING;

	put_health(rq, re, loading ? "loading" : "ok");
	return IST_OK;
}

enum ist_code ist_api_get_live(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	put_health(rq, re, "ok");
	return IST_OK;
}

/* Loading is ready: searches are exact until the indexes are there. */
enum ist_code ist_api_get_ready(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	const char *reason = NULL;
	enum ist_store_state state = ist_store_state(rq->daemon->store, &reason);

	if (ist_http_is_stopping(rq->daemon->http))
		return ist_fail(err, IST_UNAVAILABLE, "the daemon is stopping");
	if (state == IST_STORE_DAMAGED)
		return ist_fail(err, IST_UNAVAILABLE, "the database is damaged: %s",
				reason != NULL ? reason : "see the log");
	put_health(rq, re, state == IST_STORE_LOADING ? "loading" : "ok");
	return IST_OK;
}

enum ist_code ist_api_get_metrics(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	ist_metrics_put(rq->daemon, &re->body);
	re->status = 200;
	re->content_type = "text/plain; version=0.0.4; charset=utf-8";
	return IST_OK;
}
