/*
 * One libcurl handle, kept over requests so that the connection is. Loopback never goes through a
 * proxy, whatever the environment says. Nothing has a total time limit, since a query may wait for
 * a model; connecting does.
 */
#include "server/cli/http.h"

#include <stdarg.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/json.h"

enum ist_code ist_http_init(struct ist_http *http, const char *server, struct ist_err *err)
{
	size_t len = strlen(server);

	*http = (struct ist_http){0};
	if (strstr(server, "://") == NULL)
		http->base = ist_format("http://%s", server);
	else if (strncmp(server, "http://", 7) == 0 || strncmp(server, "https://", 8) == 0)
		http->base = ist_strndup(server, len);
	else
		return ist_fail(err, IST_BAD_REQUEST,
				"--server: must be http://HOST:PORT, got \"%s\"", server);
	len = strlen(http->base);
	if (strstr(http->base, "://")[3] == '\0')
		return ist_fail(err, IST_BAD_REQUEST, "--server: \"%s\" names no host", server);
	while (len > 0 && http->base[len - 1] == '/')
		http->base[--len] = '\0';
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (http->curl = curl_easy_init()) == NULL)
		return ist_fail(err, IST_INTERNAL, "libcurl does not start");
	return IST_OK;
}

void ist_http_finish(struct ist_http *http)
{
	if (http->curl != NULL) {
		curl_easy_cleanup(http->curl);
		curl_global_cleanup();
	}
	free(http->base);
	*http = (struct ist_http){0};
}

/* ---- paths ---- */

void ist_url_put(struct ist_buf *buf, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.~";

	for (; *s != '\0'; s++)
		if (strchr(plain, *s) != NULL)
			ist_buf_putc(buf, *s);
		else
			ist_buf_printf(buf, "%%%02X", (unsigned char)*s);
}

char *ist_http_path(const char *format, ...)
{
	struct ist_buf buf = {0};
	va_list args;

	va_start(args, format);
	ist_buf_puts(&buf, "/v1/");
	for (const char *p = format; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's') {
			ist_url_put(&buf, va_arg(args, const char *));
			p++;
		} else {
			ist_buf_putc(&buf, *p);
		}
	}
	va_end(args);
	return buf.data;
}

/* ---- failures ---- */

enum ist_code ist_http_failed(const struct ist_http *http, CURLcode result, const char *text,
			      struct ist_err *err)
{
	const char *why = text != NULL && *text != '\0' ? text : curl_easy_strerror(result);

	if (result == CURLE_COULDNT_CONNECT)
		return ist_fail(err, IST_UNAVAILABLE,
				"nothing answers at %s: start the daemon with \"isthmusd --data "
				"DIR\", or name another with --server URL",
				http->base);
	return ist_fail(err, IST_UNAVAILABLE, "%s: %s", http->base, why);
}

static enum ist_code code_named(const char *name)
{
	for (int c = 0; name != NULL && c < IST_N_CODES; c++)
		if (c != IST_OK && c != IST_BAD_REQUEST && strcmp(ist_code_name(c), name) == 0)
			return c;
	return IST_INVALID;
}

enum ist_code ist_http_problem_json(long status, const json_t *problem, struct ist_err *err)
{
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *name = json_string_value(json_object_get(problem, "code"));
	const json_t *first = json_array_get(json_object_get(problem, "errors"), 0);
	const char *pointer = json_string_value(json_object_get(first, "pointer"));

	if (detail == NULL)
		return ist_fail(err, status >= 500 ? IST_UNAVAILABLE : IST_INVALID,
				"the server answered %ld", status);
	if (pointer != NULL && *pointer != '\0')
		return ist_fail(err, code_named(name), "%s: %s (%s)", pointer + 1, detail,
				name != NULL ? name : "?");
	return ist_fail(err, code_named(name), "%s (%s)", detail, name != NULL ? name : "?");
}

enum ist_code ist_http_problem(long status, const struct ist_buf *body, struct ist_err *err)
{
	json_t *json = body->data != NULL ? json_loadb(body->data, body->len, 0, NULL) : NULL;
	enum ist_code code = ist_http_problem_json(status, json, err);

	json_decref(json);
	return code;
}

/* ---- one request ---- */

struct reply {
	CURL *curl;
	const struct ist_http_call *call;
	struct ist_buf body;
	bool ended; /* the receiver has enough */
};

static bool is_good(CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct reply *reply = user;

	if (reply->call->data == NULL || !is_good(reply->curl)) {
		ist_buf_put(&reply->body, data, size * n);
		return size * n;
	}
	reply->ended = !reply->call->data(reply->call->user, data, size * n);
	return reply->ended ? 0 : size * n;
}

void ist_http_setup(const struct ist_http *http, CURL *curl, const char *path)
{
	ist_autofree char *url = ist_format("%s%s", http->base, path);
	static const char *const loopback[] = {"://127.0.0.1", "://localhost", "://[::1]"};

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "isthmus/" IST_VERSION);
	for (size_t i = 0; i < IST_COUNT(loopback); i++)
		if (strstr(http->base, loopback[i]) != NULL)
			curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static struct curl_slist *headers_of(const struct ist_http_call *call)
{
	ist_autofree char *type = ist_format("Content-Type: %s", call->type ? call->type : "");
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

	if (call->header != NULL)
		headers = curl_slist_append(headers, call->header);
	if (call->form == NULL)
		headers = curl_slist_append(headers, type);
	return headers;
}

static void setup_body(CURL *curl, const struct ist_http_call *call)
{
	if (call->form != NULL) {
		curl_easy_setopt(curl, CURLOPT_MIMEPOST, call->form);
	} else if (call->read != NULL) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, call->read);
		curl_easy_setopt(curl, CURLOPT_READDATA, call->read_user);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->len);
		curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 18);
	} else if (call->body != NULL || strcmp(call->method, "POST") == 0 ||
		   strcmp(call->method, "PUT") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->len);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

enum ist_code ist_http_call(struct ist_http *http, const struct ist_http_call *call,
			    struct ist_buf *ret_body, long *ret_status, struct ist_err *err)
{
	struct reply reply = {http->curl, call, {0}, false};
	struct curl_slist *headers = headers_of(call);
	char text[CURL_ERROR_SIZE] = "";
	enum ist_code code = IST_OK;
	CURLcode result;
	long status = 0;

	curl_easy_reset(http->curl);
	ist_http_setup(http, http->curl, call->path);
	setup_body(http->curl, call);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(http->curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &reply);
	result = curl_easy_perform(http->curl);
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && reply.ended))
		code = ist_http_failed(http, result, text, err);
	else if (status < 200 || status >= 300)
		code = ist_http_problem(status, &reply.body, err);
	if (code == IST_OK && ret_status != NULL)
		*ret_status = status;
	if (code == IST_OK && ret_body != NULL)
		*ret_body = reply.body;
	else
		ist_buf_finish(&reply.body);
	return code;
}

enum ist_code ist_http_json(struct ist_http *http, const char *method, const char *path,
			    const json_t *body, json_t **ret, struct ist_err *err)
{
	struct ist_buf text ist_auto(ist_buf_finish) = {0}, reply ist_auto(ist_buf_finish) = {0};
	struct ist_http_call call = {method, path};
	json_error_t bad;

	if (body != NULL) {
		ist_json_put(&text, body, false);
		call.type = "application/json";
		call.body = text.data;
		call.len = text.len;
	}
	if (ist_http_call(http, &call, &reply, NULL, err) != IST_OK)
		return err->code;
	if (reply.len == 0) {
		*ret = NULL;
		return IST_OK;
	}
	*ret = json_loadb(reply.data, reply.len, JSON_ALLOW_NUL, &bad);
	if (*ret == NULL)
		return ist_fail(err, IST_UNAVAILABLE, "%s: the reply is not JSON: %s", http->base,
				bad.text);
	return IST_OK;
}

enum ist_code ist_http_get(struct ist_http *http, const char *path, json_t **ret,
			   struct ist_err *err)
{
	return ist_http_json(http, "GET", path, NULL, ret, err);
}

enum ist_code ist_http_list(struct ist_http *http, const char *path, const char *name, size_t limit,
			    json_t **ret, struct ist_err *err)
{
	json_t *all = json_array(), *page;
	ist_autofree char *next = NULL;

	do {
		struct ist_buf url ist_auto(ist_buf_finish) = {0};
		size_t page_size = limit > 0 ? IST_MIN(limit - json_array_size(all), 1000) : 1000;

		ist_buf_printf(&url, "%s%climit=%zu", path, strchr(path, '?') ? '&' : '?',
			       page_size);
		if (next != NULL) {
			ist_buf_puts(&url, "&cursor=");
			ist_url_put(&url, next);
		}
		if (ist_http_get(http, url.data, &page, err) != IST_OK) {
			json_decref(all);
			return err->code;
		}
		json_array_extend(all, json_object_get(page, name));
		free(next);
		next = ist_strdup(json_string_value(json_object_get(page, "next")));
		json_decref(page);
	} while (next != NULL && (limit == 0 || json_array_size(all) < limit));
	*ret = all;
	return IST_OK;
}
