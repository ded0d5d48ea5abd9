/*
 * The stages of an import and the two batches that go through them; see import.h. What follows a
 * record in the stream must find the same as if each were written before the next is read: an id
 * that is under way counts as one that comes again, and a picture that is named by its hash may be
 * one that the batch before brings.
 */
#include "server/import.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/json.h"
#include "server/metrics.h"

void ist_import_init(struct ist_import *im, struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_spool *spool, bool only_failed)
{
	*im = (struct ist_import){
	    .daemon = daemon, .collection = c, .spool = spool, .only_failed = only_failed};
	for (int m = 0; m < IST_N_MODALITIES; m++)
		im->dim[m] = ist_collection_encoder(c, (enum ist_modality)m)->dim;
	for (size_t i = 0; i < IST_COUNT(im->batches); i++)
		ist_batch_init(&im->batches[i]);
	im->now = &im->batches[0];
}

void ist_import_finish(struct ist_import *im)
{
	for (size_t i = 0; i < IST_COUNT(im->batches); i++)
		ist_batch_finish(&im->batches[i]);
	ist_vector_scan_finish(&im->scan);
}

/* ---- writing and result lines ---- */

static enum ist_code write_all(struct ist_import *im, struct ist_import_batch *b,
			       struct ist_err *err)
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
		code = ist_items_write(im->collection, writes, n, err);
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

/* Details may quote what the client sent, so they are made well-formed like those of problems. */
static void put_failure(struct ist_err *err, struct ist_buf *out)
{
	char detail[sizeof(err->text) + sizeof(err->pointer) + 2];

	snprintf(detail, sizeof(detail), "%s%s%s", err->pointer,
		 err->pointer[0] != '\0' ? ": " : "", err->text);
	ist_utf8_repair(detail);
	ist_buf_printf(out, ",\"code\":\"%s\",\"detail\":", ist_code_name(err->code));
	ist_json_put_string(out, detail, strlen(detail));
}

static enum ist_code put_line(struct ist_import *im, struct ist_import_record *r,
			      struct ist_err *err)
{
	struct ist_buf out = {0};
	enum ist_code code;

	im->counts[r->status]++;
	ist_metrics_count(r->status == IST_FAILED ? IST_COUNT_IMPORT_FAILED : IST_COUNT_IMPORTED,
			  1);
	if (im->only_failed && r->status != IST_FAILED)
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
	code = ist_spool_put(im->spool, out.data, out.len, err);
	ist_buf_finish(&out);
	return code;
}

/* The lines are spooled also where writing failed, so that the answer holds one for each record
 * read. */
static enum ist_code finish(struct ist_import *im, struct ist_import_batch *b, struct ist_err *err)
{
	struct ist_err put_err = {0};
	enum ist_code code, put_code = IST_OK;

	ist_encode_wait(im->daemon, im->collection, b);
	code = write_all(im, b, err);
	for (size_t i = 0; i < b->n && put_code == IST_OK; i++)
		put_code = put_line(im, &b->records[i], &put_err);
	ist_batch_clear(b);
	if (code == IST_OK && put_code != IST_OK)
		*err = put_err;
	return code != IST_OK ? code : put_code;
}

/* ---- the stages ---- */

static enum ist_code finish_under_way(struct ist_import *im, struct ist_err *err)
{
	struct ist_import_batch *b = im->under_way;

	im->under_way = NULL;
	return b != NULL ? finish(im, b, err) : IST_OK;
}

static void hand_on(struct ist_import *im)
{
	struct ist_import_batch *b = im->now;

	ist_encode_start(im->daemon, &b->work);
	im->under_way = b;
	im->now = b == &im->batches[0] ? &im->batches[1] : &im->batches[0];
}

/* The new batch is with the crew before the old one is waited for and written. One that leaves the
 * crew nothing to do need not be held back. */
enum ist_code ist_import_step(struct ist_import *im, struct ist_err *err)
{
	struct ist_import_batch *before = im->under_way;
	enum ist_code code = IST_OK;

	im->under_way = NULL;
	if (im->now->n > 0)
		hand_on(im);
	if (before != NULL)
		code = finish(im, before, err);
	if (code == IST_OK && im->under_way != NULL && im->under_way->work.n_jobs == 0)
		code = finish_under_way(im, err);
	return code;
}

bool ist_import_is_idle(const struct ist_import *im)
{
	return im->now->n == 0 && im->under_way == NULL;
}

enum ist_code ist_import_drain(struct ist_import *im, struct ist_err *err)
{
	struct ist_err first = {0};

	while (!ist_import_is_idle(im)) {
		struct ist_err own = {0};

		own.code = ist_import_step(im, &own);
		if (first.code == IST_OK)
			first = own;
	}
	if (first.code != IST_OK)
		*err = first;
	return first.code;
}

int64_t ist_import_waits_since(const struct ist_import *im)
{
	return im->now->n > 0 ? im->now->since_us : 0;
}

/* ---- records ---- */

enum ist_code ist_import_add(struct ist_import *im, size_t bytes, struct ist_import_record **ret,
			     struct ist_err *err)
{
	if (ist_batch_is_full(im->now) && ist_import_step(im, err) != IST_OK)
		return err->code;
	*ret = ist_batch_add(im->now, bytes);
	return IST_OK;
}

/* Whatever goes wrong is the record's: it has a line of its own in the answer, with the id where
 * one could be read. */
void ist_import_read_line(struct ist_import *im, struct ist_import_record *r, struct ist_str line)
{
	struct ist_import_batch *b = im->now;
	struct ist_item_source source = {0};
	struct ist_cut_vectors cut;
	const json_t *id;

	if (ist_vector_scan_cut(&im->scan, line, &b->arena, &cut)) {
		source.cut = &cut;
		line = (struct ist_str){im->scan.rest.data, im->scan.rest.len};
	}
	if (ist_json_parse(line.data, line.len, &r->json, &r->err) != IST_OK)
		return;
	source.json = r->json;
	id = json_object_get(r->json, "id");
	if (json_is_string(id) && ist_name_is_valid(json_string_value(id), json_string_length(id)))
		r->id = json_string_value(id);
	r->err.code = ist_item_parse(&source, im->dim, &b->arena, &r->given, &r->err);
}

/* An id that comes again must be written even if the store holds just that now, because the record
 * before it may change the item. */
static void note_id(struct ist_import *im, struct ist_import_record *r)
{
	r->again = !ist_batch_add_id(im->now, r) ||
		   (im->under_way != NULL && ist_batch_has_id(im->under_way, r->id));
}

enum ist_code ist_import_ready(struct ist_import *im, struct ist_import_record *r,
			       struct ist_err *err)
{
	enum ist_code code = IST_OK;

	if (r->err.code != IST_OK)
		return IST_OK;
	im->now->texts += r->given.item.n_texts;
	note_id(im, r);
	ist_encode_plan(im->daemon, im->collection, im->now, r);
	if (r->err.code == IST_NOT_FOUND && im->under_way != NULL) {
		code = finish_under_way(im, err);
		r->err = (struct ist_err){0};
		ist_encode_plan(im->daemon, im->collection, im->now, r);
	}
	return code;
}
