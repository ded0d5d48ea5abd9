/*
 * Helpers are threads that live for one batch: making one costs less than a picture by far, and an
 * import that waits for its client holds none. Each has a worker's workspace and an arena of its
 * own; records are taken from one counter.
 */
#include "server/import_batch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/http_server.h"
#include "server/item_prepare.h"
#include "server/json.h"
#include "server/metrics.h"

#define SLOTS 4096 /* a power of two, well over IST_BATCH_RECORDS */
#define HELPERS_MAX 8
#define HELPER_STACK ((size_t)1 << 20)

void ist_batch_init(struct ist_import_batch *b, struct ist_worker *worker, struct ist_collection *c,
		    struct ist_spool *spool, bool only_failed)
{
	*b = (struct ist_import_batch){
	    .worker = worker, .collection = c, .spool = spool, .only_failed = only_failed};
	for (int m = 0; m < IST_N_MODALITIES; m++)
		b->dim[m] = ist_collection_encoder(c, (enum ist_modality)m)->dim;
	b->records = ist_alloc(IST_BATCH_RECORDS, sizeof(*b->records));
	b->slots = ist_alloc(SLOTS, sizeof(*b->slots));
}

/* All of a batch lives in its arena and its documents; both are reused for the next. */
static void clear(struct ist_import_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		json_decref(b->records[i].json);
	memset(b->slots, 0, SLOTS * sizeof(*b->slots));
	ist_arena_reset(&b->arena);
	b->n = b->bytes = b->texts = 0;
}

void ist_batch_finish(struct ist_import_batch *b)
{
	if (b->records != NULL)
		clear(b);
	free(b->records);
	free(b->slots);
	ist_vector_scan_finish(&b->scan);
	ist_arena_finish(&b->arena);
}

bool ist_batch_is_full(const struct ist_import_batch *b)
{
	return b->n == IST_BATCH_RECORDS || b->bytes >= IST_BATCH_BYTES ||
	       b->texts >= IST_BATCH_TEXTS;
}

struct ist_import_record *ist_batch_add(struct ist_import_batch *b, size_t bytes)
{
	struct ist_import_record *r = &b->records[b->n++];

	if (b->n == 1)
		b->since_us = ist_monotonic_us();
	b->bytes += bytes;
	*r = (struct ist_import_record){0};
	return r;
}

/* Open addressing by FNV-1a. An id that comes again must be written even if the store holds just
 * that now, because the record before it may change the item. */
void ist_batch_note_id(struct ist_import_batch *b, struct ist_import_record *r)
{
	uint32_t hash = 2166136261u;

	for (const char *s = r->id; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	for (;; hash++) {
		uint16_t *slot = &b->slots[hash % SLOTS];

		if (*slot == 0) {
			*slot = (uint16_t)(r - b->records + 1);
			return;
		}
		if (strcmp(b->records[*slot - 1].id, r->id) == 0) {
			r->again = true;
			return;
		}
	}
}

/* Whatever goes wrong is the record's: it has a line of its own in the answer, with the id where
 * one could be read. */
void ist_record_read_line(struct ist_import_batch *b, struct ist_import_record *r,
			  struct ist_str line)
{
	struct ist_item_source source = {0};
	struct ist_cut_vectors cut;
	const json_t *id;

	if (ist_vector_scan_cut(&b->scan, line, &b->arena, &cut)) {
		source.cut = &cut;
		line = (struct ist_str){b->scan.rest.data, b->scan.rest.len};
	}
	if (ist_json_parse(line.data, line.len, &r->json, &r->err) != IST_OK)
		return;
	source.json = r->json;
	id = json_object_get(r->json, "id");
	if (json_is_string(id) && ist_name_is_valid(json_string_value(id), json_string_length(id)))
		r->id = json_string_value(id);
	if (ist_item_parse(&source, b->dim, &b->arena, &r->given, &r->err) != IST_OK)
		return;
	b->texts += r->given.item.n_texts;
	ist_batch_note_id(b, r);
}

/* ---- preparing ---- */

struct crew {
	struct ist_import_batch *batch;
	atomic_size_t next;
};

struct helper {
	struct crew *crew;
	struct ist_worker worker;
	struct ist_arena arena;
	pthread_t thread;
	bool started;
};

/* Pictures are always looked at, also those that come with a vector: type and size are taken from
 * them, and what cannot be decoded must not be stored. */
static bool needs_encoding(const struct ist_item *item)
{
	return item->has_image || (item->n_texts > 0 && item->text_vectors == NULL);
}

/* What the collection holds just so need not be decoded and encoded again. */
static void prepare(struct ist_import_batch *b, struct ist_import_record *r,
		    struct ist_worker *worker, struct ist_arena *arena)
{
	if (r->err.code != IST_OK || !needs_encoding(&r->given.item))
		return;
	if (!r->again &&
	    ist_item_unchanged(b->collection, &r->given.item, &r->unchanged, &r->err) != IST_OK)
		return;
	if (!r->unchanged &&
	    ist_item_prepare(worker, b->collection, &r->given, arena, &r->err) != IST_OK)
		r->unchanged = false;
}

static void prepare_all(struct crew *crew, struct ist_worker *worker, struct ist_arena *arena)
{
	struct ist_import_batch *b = crew->batch;

	for (;;) {
		size_t i = atomic_fetch_add(&crew->next, 1);

		if (i >= b->n)
			return;
		prepare(b, &b->records[i], worker, arena);
	}
}

static void *help(void *arg)
{
	struct helper *h = arg;

	pthread_setname_np(pthread_self(), "import-help");
	ist_threads_use(1);
	h->worker.workspace = ist_encoder_workspace_create();
	prepare_all(h->crew, &h->worker, &h->arena);
	ist_encoder_workspace_destroy(h->worker.workspace);
	return NULL;
}

static void start(struct helper *h, struct crew *crew)
{
	pthread_attr_t attr;

	h->crew = crew;
	h->worker.daemon = crew->batch->worker->daemon;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HELPER_STACK);
	h->started = pthread_create(&h->thread, &attr, help, h) == 0;
	pthread_attr_destroy(&attr);
}

/* As many as there are decoders: more would wait for one. Few records are not worth a thread. */
static size_t count_helpers(const struct ist_import_batch *b)
{
	size_t costly = 0, most = (size_t)b->worker->daemon->config.decoders;

	for (size_t i = 0; i < b->n; i++)
		costly +=
		    b->records[i].err.code == IST_OK && needs_encoding(&b->records[i].given.item);
	most = IST_MIN(most, HELPERS_MAX);
	return costly < 4 || most < 2 ? 0 : IST_MIN(most - 1, costly / 2);
}

/* ---- writing and result lines ---- */

static enum ist_code write_all(struct ist_import_batch *b, struct ist_err *err)
{
	struct ist_write *writes = ist_arena_alloc(&b->arena, b->n + 1, sizeof(*writes));
	struct ist_import_record **of =
	    ist_arena_alloc(&b->arena, b->n + 1, sizeof(struct ist_import_record *));
	enum ist_code code = IST_OK;
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct ist_import_record *r = &b->records[i];

		r->status = r->err.code != IST_OK ? IST_FAILED : IST_UNCHANGED;
		if (r->err.code != IST_OK || r->unchanged)
			continue;
		writes[n] = (struct ist_write){.item = &r->given.item, .id = r->id};
		of[n++] = r;
	}
	if (n > 0)
		code = ist_items_write(b->collection, writes, n, err);
	for (size_t i = 0; i < n; i++) {
		of[i]->status = code != IST_OK ? IST_FAILED : writes[i].status;
		if (of[i]->status == IST_FAILED)
			of[i]->err = code != IST_OK ? *err : writes[i].err;
	}
	return code;
}

static const char *const status_names[] = {
    [IST_CREATED] = "created", [IST_UPDATED] = "updated", [IST_UNCHANGED] = "unchanged",
    [IST_DELETED] = "deleted", [IST_FAILED] = "failed",
};

static void put_failure(struct ist_err *err, struct ist_buf *out)
{
	char detail[sizeof(err->text) + sizeof(err->pointer) + 2];

	snprintf(detail, sizeof(detail), "%s%s%s", err->pointer,
		 err->pointer[0] != '\0' ? ": " : "", err->text);
	ist_utf8_repair(detail);
	ist_buf_printf(out, ",\"code\":\"%s\",\"detail\":", ist_code_name(err->code));
	ist_json_put_string(out, detail, strlen(detail));
}

/* Details may quote what the client sent, so they are made well-formed like those of problems. */
static enum ist_code put_line(struct ist_import_batch *b, struct ist_import_record *r,
			      struct ist_err *err)
{
	struct ist_buf out = {0};
	enum ist_code code;

	b->counts[r->status]++;
	ist_metrics_count(r->status == IST_FAILED ? IST_COUNT_IMPORT_FAILED : IST_COUNT_IMPORTED,
			  1);
	if (b->only_failed && r->status != IST_FAILED)
		return IST_OK;
	if (r->member == NULL) {
		ist_buf_printf(&out, "{\"line\":%llu,\"id\":", (unsigned long long)r->line);
	} else {
		ist_buf_puts(&out, "{\"member\":");
		ist_json_put_string(&out, r->member, strlen(r->member));
		ist_buf_puts(&out, ",\"id\":");
	}
	if (r->id != NULL)
		ist_json_put_string(&out, r->id, strlen(r->id));
	else
		ist_buf_puts(&out, "null");
	ist_buf_printf(&out, ",\"status\":\"%s\"", status_names[r->status]);
	if (r->status == IST_FAILED)
		put_failure(&r->err, &out);
	ist_buf_puts(&out, "}\n");
	code = ist_spool_put(b->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	return code;
}

/* The lines are spooled also where writing failed, so that the answer holds one for each record
 * read. */
enum ist_code ist_batch_run(struct ist_import_batch *b, struct ist_err *err)
{
	size_t n_helpers = count_helpers(b);
	struct crew crew = {.batch = b};
	struct helper helpers[HELPERS_MAX] = {0};
	struct ist_err put_err = {0};
	enum ist_code code, put_code = IST_OK;

	for (size_t i = 0; i < n_helpers; i++)
		start(&helpers[i], &crew);
	prepare_all(&crew, b->worker, &b->arena);
	for (size_t i = 0; i < n_helpers; i++)
		if (helpers[i].started)
			pthread_join(helpers[i].thread, NULL);
	code = write_all(b, err);
	for (size_t i = 0; i < b->n && put_code == IST_OK; i++)
		put_code = put_line(b, &b->records[i], &put_err);
	for (size_t i = 0; i < n_helpers; i++)
		ist_arena_finish(&helpers[i].arena);
	clear(b);
	if (code == IST_OK && put_code != IST_OK)
		*err = put_err;
	return code != IST_OK ? code : put_code;
}
