/*
 * Three slots go round: one is filled while two are in flight, all driven by one curl multi handle
 * in this thread. Requests may end in any order, so a record whose id is still in flight waits:
 * of two records with one id the later wins.
 *
 * The size of a request follows the time that the last one took, so that the progress is seen
 * moving where items are slow, and requests are few where they are fast. A request that could not
 * be delivered, or that was answered "busy", is sent again; that is safe, since an item that is
 * there already stays as it is.
 */
#include "server/cli/upload.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/print.h"
#include "server/json.h"

#define IN_FLIGHT 2
#define N_SLOTS (IN_FLIGHT + 1)
#define FIRST_ITEMS 32
#define SHORT_MS 250
#define LONG_MS 1000
#define DELAY_MS 250 /* before the first repetition; doubles */
#define DELAY_MAX_MS 10000

struct slot {
	CURL *curl;
	struct ist_buf body, reply, hashes;
	struct {
		char *origin, *id;
	} records[IST_UPLOAD_ITEMS_MAX];
	size_t n;
	json_t *ids;	  /* of the records, as the keys of an object */
	bool busy;	  /* sent, or waiting to be sent again */
	bool sent;	  /* with the multi handle */
	int64_t begin_ms; /* when it was sent, or when it shall be */
	unsigned tries;
	char text[CURL_ERROR_SIZE];
};

struct ist_upload {
	const struct ist_http *http;
	char *path;
	unsigned retries;
	struct ist_journal *journal;
	struct curl_slist *headers;
	CURLM *multi;
	struct slot *slots; /* N_SLOTS */
	struct slot *filling;
	size_t items; /* in the next request */
	struct ist_upload_counts counts;
	json_t *failures;
	struct ist_err err; /* the first that ends the import */
};

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct slot *slot = user;

	ist_buf_put(&slot->reply, data, size * n);
	return size * n;
}

struct ist_upload *ist_upload_create(const struct ist_http *http, const char *collection,
				     unsigned retries, struct ist_journal *journal)
{
	struct ist_upload *upload = ist_alloc(1, sizeof(*upload));

	upload->http = http;
	upload->path = ist_http_path("collections/%s/items:import?results=failed", collection);
	upload->retries = retries;
	upload->journal = journal;
	upload->headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
	upload->headers = curl_slist_append(upload->headers, "Expect:");
	upload->multi = curl_multi_init();
	upload->slots = ist_alloc(N_SLOTS, sizeof(*upload->slots));
	for (size_t i = 0; i < N_SLOTS; i++) {
		upload->slots[i].curl = curl_easy_init();
		upload->slots[i].ids = json_object();
	}
	upload->filling = &upload->slots[0];
	upload->items = FIRST_ITEMS;
	upload->failures = json_array();
	return upload;
}

/* Makes the slot ready to be filled again. */
static void clear(struct slot *slot)
{
	for (size_t i = 0; i < slot->n; i++) {
		free(slot->records[i].origin);
		free(slot->records[i].id);
	}
	slot->n = slot->body.len = slot->hashes.len = slot->reply.len = 0;
	slot->tries = 0;
	slot->busy = slot->sent = false;
	json_object_clear(slot->ids);
}

void ist_upload_destroy(struct ist_upload *upload)
{
	if (upload == NULL)
		return;
	for (size_t i = 0; i < N_SLOTS; i++) {
		struct slot *slot = &upload->slots[i];

		if (slot->sent)
			curl_multi_remove_handle(upload->multi, slot->curl);
		curl_easy_cleanup(slot->curl);
		clear(slot);
		json_decref(slot->ids);
		ist_buf_finish(&slot->body);
		ist_buf_finish(&slot->reply);
		ist_buf_finish(&slot->hashes);
	}
	curl_multi_cleanup(upload->multi);
	curl_slist_free_all(upload->headers);
	json_decref(upload->failures);
	free(upload->slots);
	free(upload->path);
	free(upload);
}

/* ---- answers ---- */

static void add_failure(struct ist_upload *upload, const char *origin, const char *id,
			const char *code, const char *detail)
{
	ist_autofree char *where = ist_strdup(origin), *name = ist_strdup(id);

	/* A file's name need not be text. */
	ist_utf8_repair(where);
	if (name != NULL)
		ist_utf8_repair(name);
	upload->counts.failed++;
	json_array_append_new(upload->failures,
			      json_pack("{s:s, s:s?, s:s, s:s}", "origin", where, "id", name,
					"code", code, "detail", detail));
}

static uint64_t count(const json_t *summary, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(summary, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* A line about one record; *failed has a byte a record. */
static void read_failed(struct ist_upload *upload, struct slot *slot, const json_t *line,
			char *failed)
{
	json_int_t at = json_integer_value(json_object_get(line, "line"));
	const char *code = json_string_value(json_object_get(line, "code"));
	const char *detail = json_string_value(json_object_get(line, "detail"));

	if (at < 1 || (size_t)at > slot->n || failed[at - 1])
		return;
	failed[at - 1] = 1;
	add_failure(upload, slot->records[at - 1].origin, slot->records[at - 1].id,
		    code != NULL ? code : "failed", detail != NULL ? detail : "");
}

/* False for an error in place of the summary: the stream could not go on. */
static bool read_line(struct ist_upload *upload, struct slot *slot, const json_t *line,
		      char *failed)
{
	const json_t *summary = json_object_get(line, "summary");
	const json_t *error = json_object_get(line, "error");

	if (error != NULL) {
		ist_http_problem_json(500, error, &upload->err);
		return false;
	}
	if (summary == NULL) {
		read_failed(upload, slot, line, failed);
		return true;
	}
	upload->counts.created += count(summary, "created");
	upload->counts.updated += count(summary, "updated");
	upload->counts.unchanged += count(summary, "unchanged");
	return true;
}

/* Puts what went well into the journal. */
static void record_good(struct ist_upload *upload, struct slot *slot, const char *failed)
{
	size_t n = 0;

	for (size_t i = 0; i < slot->n; i++)
		if (!failed[i])
			memmove(slot->hashes.data + n++ * IST_LINE_HASH,
				slot->hashes.data + i * IST_LINE_HASH, IST_LINE_HASH);
	ist_journal_add(upload->journal, (const uint8_t *)slot->hashes.data, n);
}

static bool is_whole(const struct ist_buf *reply)
{
	const char *last;

	if (reply->len < 2 || reply->data[reply->len - 1] != '\n')
		return false;
	last = memrchr(reply->data, '\n', reply->len - 1);
	last = last != NULL ? last + 1 : reply->data;
	return strncmp(last, "{\"summary\"", 10) == 0 || strncmp(last, "{\"error\"", 8) == 0;
}

static void read_reply(struct ist_upload *upload, struct slot *slot)
{
	ist_autofree char *failed = ist_alloc(slot->n + 1, 1);
	const char *p = slot->reply.data, *end = p + slot->reply.len;
	bool good = true;

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		json_t *line = json_loadb(p, (size_t)((stop != NULL ? stop : end) - p), 0, NULL);

		good &= read_line(upload, slot, line, failed);
		json_decref(line);
		p = stop != NULL ? stop + 1 : end;
	}
	if (good)
		record_good(upload, slot, failed);
}

/* ---- requests ---- */

static void send_slot(struct ist_upload *upload, struct slot *slot)
{
	slot->reply.len = 0;
	slot->text[0] = '\0';
	curl_easy_reset(slot->curl);
	ist_http_setup(upload->http, slot->curl, upload->path);
	curl_easy_setopt(slot->curl, CURLOPT_POSTFIELDS, slot->body.data);
	curl_easy_setopt(slot->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)slot->body.len);
	curl_easy_setopt(slot->curl, CURLOPT_HTTPHEADER, upload->headers);
	curl_easy_setopt(slot->curl, CURLOPT_ERRORBUFFER, slot->text);
	curl_easy_setopt(slot->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(slot->curl, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(slot->curl, CURLOPT_PRIVATE, slot);
	slot->busy = slot->sent = true;
	slot->begin_ms = ist_clock_ms();
	curl_multi_add_handle(upload->multi, slot->curl);
}

/* Sends it again a little later, or gives up with what is in `err`. */
static void again(struct ist_upload *upload, struct slot *slot, long after_s,
		  const struct ist_err *err)
{
	int64_t delay = DELAY_MS << IST_MIN(slot->tries, 8U);

	if (slot->tries++ >= upload->retries || ist_interrupted()) {
		if (upload->err.code == IST_OK)
			upload->err = *err;
		clear(slot);
		return;
	}
	slot->begin_ms =
	    ist_clock_ms() + IST_MIN(IST_MAX(delay, (int64_t)after_s * 1000), DELAY_MAX_MS);
}

static void adapt(struct ist_upload *upload, const struct slot *slot)
{
	int64_t took = ist_clock_ms() - slot->begin_ms;

	if (took < SHORT_MS && slot->n >= upload->items)
		upload->items = IST_MIN(upload->items * 2, IST_UPLOAD_ITEMS_MAX);
	else if (took > LONG_MS)
		upload->items = IST_MAX(upload->items / 2, 8);
}

static void finished(struct ist_upload *upload, struct slot *slot, CURLcode result)
{
	struct ist_err err = {0};
	curl_off_t after = 0;
	long status = 0;

	slot->sent = false;
	curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(slot->curl, CURLINFO_RETRY_AFTER, &after);
	if (result == CURLE_OK && status == 200 && is_whole(&slot->reply)) {
		adapt(upload, slot);
		read_reply(upload, slot);
		clear(slot);
		return;
	}
	if (result != CURLE_OK)
		ist_http_failed(upload->http, result, slot->text, &err);
	else if (status == 200)
		ist_fail(&err, IST_UNAVAILABLE, "the answer to an import was cut");
	else
		ist_http_problem(status, &slot->reply, &err);
	if (result != CURLE_OK || status == 200 || status == 429 || status == 503) {
		again(upload, slot, (long)after, &err);
	} else {
		if (upload->err.code == IST_OK)
			upload->err = err;
		clear(slot);
	}
}

/* Lets the transfers go on; waits for something to happen, at most so long. */
static void pump(struct ist_upload *upload, int wait_ms)
{
	int64_t now = ist_clock_ms();
	CURLMsg *message;
	int running, left;

	for (size_t i = 0; i < N_SLOTS; i++) {
		struct slot *slot = &upload->slots[i];

		if (slot->busy && !slot->sent && slot->begin_ms <= now)
			send_slot(upload, slot);
		else if (slot->busy && !slot->sent)
			wait_ms = IST_MIN(wait_ms, (int)(slot->begin_ms - now));
	}
	curl_multi_perform(upload->multi, &running);
	if (wait_ms > 0) {
		curl_multi_poll(upload->multi, NULL, 0, wait_ms, NULL);
		curl_multi_perform(upload->multi, &running);
	}
	while ((message = curl_multi_info_read(upload->multi, &left)) != NULL) {
		CURLcode result = message->data.result;
		struct slot *slot;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
		curl_multi_remove_handle(upload->multi, slot->curl);
		finished(upload, slot, result);
	}
}

static size_t n_busy(const struct ist_upload *upload)
{
	size_t n = 0;

	for (size_t i = 0; i < N_SLOTS; i++)
		n += upload->slots[i].busy;
	return n;
}

static bool has_ended(const struct ist_upload *upload)
{
	return upload->err.code != IST_OK || ist_interrupted();
}

/* Sends the slot at hand and takes up another one. */
static void flush_slot(struct ist_upload *upload)
{
	if (upload->filling->n == 0)
		return;
	while (n_busy(upload) >= IN_FLIGHT && !has_ended(upload))
		pump(upload, 100);
	if (has_ended(upload))
		return;
	send_slot(upload, upload->filling);
	pump(upload, 0);
	for (size_t i = 0; i < N_SLOTS; i++)
		if (!upload->slots[i].busy)
			upload->filling = &upload->slots[i];
}

static bool is_in_flight(const struct ist_upload *upload, const char *id)
{
	for (size_t i = 0; i < N_SLOTS; i++)
		if (upload->slots[i].busy && json_object_get(upload->slots[i].ids, id) != NULL)
			return true;
	return false;
}

static void append(struct slot *slot, struct ist_record *record, const uint8_t hash[IST_LINE_HASH])
{
	ist_buf_put(&slot->body, record->line.data, record->line.len);
	ist_buf_putc(&slot->body, '\n');
	ist_buf_put(&slot->hashes, hash, IST_LINE_HASH);
	if (record->id != NULL)
		json_object_set_new_nocheck(slot->ids, record->id, json_true());
	slot->records[slot->n].origin = ist_steal(&record->origin);
	slot->records[slot->n].id = ist_steal(&record->id);
	slot->n++;
}

static void put(struct ist_upload *upload, struct ist_record *record)
{
	uint8_t hash[IST_LINE_HASH];

	ist_line_hash(record->line.data, record->line.len, hash);
	if (ist_journal_has(upload->journal, hash)) {
		upload->counts.skipped++;
		return;
	}
	if (upload->filling->n >= upload->items ||
	    upload->filling->body.len + record->line.len + 1 > IST_UPLOAD_BYTES_MAX)
		flush_slot(upload);
	while (record->id != NULL && is_in_flight(upload, record->id) && !has_ended(upload))
		pump(upload, 100);
	if (!has_ended(upload))
		append(upload->filling, record, hash);
	pump(upload, 0);
}

enum ist_code ist_upload_add(struct ist_upload *upload, struct ist_record *record,
			     struct ist_err *err)
{
	if (record->err.code == IST_OK && record->line.len > IST_RECORD_BYTES_MAX)
		ist_fail(&record->err, IST_BODY_TOO_LARGE, "over 32 MiB as JSON");
	if (record->err.code != IST_OK)
		add_failure(upload, record->origin, record->id, ist_code_name(record->err.code),
			    record->err.text);
	else
		put(upload, record);
	ist_record_finish(record);
	if (upload->err.code != IST_OK)
		*err = upload->err;
	return upload->err.code;
}

enum ist_code ist_upload_finish(struct ist_upload *upload, struct ist_err *err)
{
	if (!has_ended(upload))
		flush_slot(upload);
	while (n_busy(upload) > 0)
		pump(upload, 100);
	if (upload->err.code != IST_OK)
		*err = upload->err;
	return upload->err.code;
}

const struct ist_upload_counts *ist_upload_counts(const struct ist_upload *upload)
{
	return &upload->counts;
}

uint64_t ist_upload_done(const struct ist_upload *upload)
{
	const struct ist_upload_counts *c = &upload->counts;

	return c->created + c->updated + c->unchanged + c->failed + c->skipped;
}

const json_t *ist_upload_failures(const struct ist_upload *upload)
{
	return upload->failures;
}
