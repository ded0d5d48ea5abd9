/*
 * Helpers are tasks in the crew's queue, as many as there are threads or jobs; each takes jobs from
 * the batch's counter until there are none. Batches of several imports queue up behind each other,
 * so that they take turns batch by batch.
 *
 * A daemon that stops gives what is under way some time and leaves the rest: those records fail,
 * and their client knows that they were not written.
 */
#include "server/import_encode.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/http_server.h"
#include "server/import_batch.h"
#include "server/json.h"

#define LEAVE_US 3000000 /* after a stop began */

void ist_encode_init(struct ist_encode_work *work)
{
	work->pictures = ist_alloc(IST_BATCH_RECORDS, sizeof(struct ist_import_record *));
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->ready, NULL);
}

void ist_encode_finish(struct ist_encode_work *work)
{
	free(work->pictures);
	free(work->texts);
	pthread_cond_destroy(&work->ready);
	pthread_mutex_destroy(&work->lock);
}

void ist_encode_clear(struct ist_encode_work *work)
{
	work->n_pictures = work->n_texts = work->n_jobs = 0;
}

bool ist_encode_is_full(const struct ist_encode_work *work)
{
	return work->n_pictures >= IST_ENCODE_PICTURES || work->n_texts >= IST_ENCODE_TEXTS;
}

/* ---- planning ---- */

static struct ist_encode_text *add_text(struct ist_encode_work *work)
{
	if (work->n_texts == work->cap_texts) {
		work->cap_texts = work->cap_texts * 2 + 64;
		work->texts = ist_resize(work->texts, work->cap_texts, sizeof(*work->texts));
	}
	return &work->texts[work->n_texts++];
}

static enum ist_code plan_picture(struct ist_daemon *daemon, struct ist_collection *c,
				  struct ist_import_batch *b, struct ist_import_record *r)
{
	struct ist_picture_plan *plan = ist_arena_alloc(&b->arena, 1, sizeof(*plan));

	if (ist_picture_plan(daemon, c, &r->given, &b->arena, plan, &r->err) != IST_OK)
		return r->err.code;
	r->picture = plan;
	if (!plan->known)
		b->work.pictures[b->work.n_pictures++] = r;
	return IST_OK;
}

static enum ist_code plan_texts(struct ist_daemon *daemon, struct ist_collection *c,
				struct ist_import_batch *b, struct ist_import_record *r)
{
	const struct ist_encoder_ref *ref = ist_collection_encoder(c, IST_TEXT);
	struct ist_item *item = &r->given.item;
	float *features;

	if (ist_feature_encoder(daemon, ref, "text", &b->work.text_encoder, &r->err) != IST_OK)
		return ist_err_in(&r->err, "texts");
	features = ist_arena_alloc(&b->arena, item->n_texts * ref->dim, sizeof(*features));
	for (size_t i = 0; i < item->n_texts; i++) {
		struct ist_str text = {item->texts[i], strlen(item->texts[i])};
		struct ist_encoding made = {.vector = features + i * ref->dim, .dim = ref->dim};

		if (!ist_feature_find_text(daemon, b->work.text_encoder, text, &made))
			*add_text(&b->work) =
			    (struct ist_encode_text){.record = r, .text = text, .made = made};
	}
	item->text_vectors = features;
	item->n_text_vectors = item->n_texts;
	return IST_OK;
}

/* What the collection holds just so need not be decoded and encoded again. */
void ist_encode_plan(struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_import_batch *b, struct ist_import_record *r)
{
	const struct ist_item *item = &r->given.item;

	if (r->err.code != IST_OK || (!item->has_image && !ist_item_wants_texts(item)))
		return;
	if (!r->again && ist_item_unchanged(c, item, &r->unchanged, &r->err) != IST_OK)
		return;
	if (r->unchanged)
		return;
	if (item->has_image && plan_picture(daemon, c, b, r) != IST_OK)
		return;
	if (ist_item_wants_texts(item) && plan_texts(daemon, c, b, r) != IST_OK &&
	    r->picture != NULL && !r->picture->known)
		b->work.n_pictures--; /* its own, which need not be made any more */
}

/* ---- the crew ---- */

static bool must_leave(const struct ist_daemon *daemon)
{
	int64_t since = daemon->http != NULL ? ist_http_stopping_since(daemon->http) : 0;

	return since > 0 && ist_monotonic_us() - since > LEAVE_US;
}

static void fail_left(struct ist_err *err)
{
	*err = (struct ist_err){0};
	ist_fail(err, IST_UNAVAILABLE, "the daemon is stopping");
}

static void make_picture(struct ist_encode_work *work, struct ist_import_record *r)
{
	struct ist_err err = {0};

	if (must_leave(work->daemon))
		fail_left(&err);
	else if (ist_picture_make(work->daemon, r->picture, &err) == IST_OK)
		return;
	r->err = err;
}

/* One that is refused fails all: they are told apart later, record by record. */
static void make_texts(struct ist_encode_work *work, struct ist_encode_text *texts, size_t n)
{
	size_t dim = work->text_encoder->dim;
	ist_autofree float *features = ist_alloc_raw(n, dim * sizeof(*features));
	struct ist_str list[IST_ENCODE_TOGETHER];
	enum ist_encode_state state = IST_ENCODE_MADE;
	struct ist_err err = {0};

	for (size_t i = 0; i < n; i++)
		list[i] = texts[i].text;
	if (must_leave(work->daemon))
		state = IST_ENCODE_LEFT;
	else if (ist_feature_make_texts(work->daemon, IST_TURN_INGEST, work->text_encoder, list, n,
					features, &err) != IST_OK)
		state = IST_ENCODE_REFUSED;
	for (size_t i = 0; i < n; i++) {
		texts[i].state = state;
		if (state == IST_ENCODE_MADE)
			memcpy(texts[i].made.vector, features + i * dim, dim * sizeof(*features));
	}
}

static size_t count_text_jobs(const struct ist_encode_work *work)
{
	return (work->n_texts + IST_ENCODE_TOGETHER - 1) / IST_ENCODE_TOGETHER;
}

/* Texts first: their jobs are the longest, and the last ones should be short. */
static void do_jobs(struct ist_encode_work *work)
{
	size_t n_text_jobs = count_text_jobs(work), i;

	while ((i = atomic_fetch_add(&work->next, 1)) < work->n_jobs) {
		size_t from = i * IST_ENCODE_TOGETHER;

		if (i >= n_text_jobs)
			make_picture(work, work->pictures[i - n_text_jobs]);
		else
			make_texts(work, work->texts + from,
				   IST_MIN(work->n_texts - from, IST_ENCODE_TOGETHER));
	}
}

static void help(struct ist_task *task, struct ist_worker *worker)
{
	struct ist_encode_work *work =
	    ((struct ist_encode_helper *)((char *)task - offsetof(struct ist_encode_helper, task)))
		->work;

	do_jobs(work);
	pthread_mutex_lock(&work->lock);
	if (--work->n_helpers == 0)
		pthread_cond_signal(&work->ready);
	pthread_mutex_unlock(&work->lock);
}

/* Where no thread could be started, the import's own does it all. */
void ist_encode_start(struct ist_daemon *daemon, struct ist_encode_work *work)
{
	size_t n = IST_MIN(ist_workers_max(daemon->crew), IST_COUNT(work->helpers));

	work->daemon = daemon;
	work->n_jobs = count_text_jobs(work) + work->n_pictures;
	atomic_store(&work->next, 0);
	n = IST_MIN(n, work->n_jobs);
	work->n_helpers = n;
	for (size_t i = 0; i < n; i++) {
		work->helpers[i] = (struct ist_encode_helper){.task = {.run = help}, .work = work};
		if (!ist_workers_submit(daemon->crew, &work->helpers[i].task, true))
			help(&work->helpers[i].task, NULL);
	}
}

/* ---- what was made ---- */

static void keep(struct ist_daemon *daemon, struct ist_encode_work *work)
{
	ist_autofree struct ist_encoding *made =
	    ist_alloc(work->n_pictures + work->n_texts + 1, sizeof(*made));
	bool texts = work->n_texts > 0 && ist_feature_is_kept(work->text_encoder);
	size_t n = 0;

	for (size_t i = 0; i < work->n_pictures; i++)
		if (work->pictures[i]->err.code == IST_OK)
			made[n++] = work->pictures[i]->picture->made;
	for (size_t i = 0; texts && i < work->n_texts; i++)
		if (work->texts[i].state == IST_ENCODE_MADE)
			made[n++] = work->texts[i].made;
	ist_feature_keep(daemon, made, n);
}

/* A text that was refused, or its neighbour: the record is encoded for itself, which tells. */
static void retry_texts(struct ist_daemon *daemon, struct ist_collection *c,
			struct ist_import_batch *b, const struct ist_encode_text *text)
{
	struct ist_import_record *r = text->record;

	if (r->err.code != IST_OK || text->state == IST_ENCODE_MADE)
		return;
	r->given.item.text_vectors = NULL;
	r->given.item.n_text_vectors = 0;
	if (text->state == IST_ENCODE_LEFT)
		fail_left(&r->err);
	else
		r->err.code = ist_texts_prepare(daemon, c, &r->given.item, &b->arena, &r->err);
}

void ist_encode_wait(struct ist_daemon *daemon, struct ist_collection *c,
		     struct ist_import_batch *b)
{
	struct ist_encode_work *work = &b->work;

	pthread_mutex_lock(&work->lock);
	while (work->n_helpers > 0)
		pthread_cond_wait(&work->ready, &work->lock);
	pthread_mutex_unlock(&work->lock);
	keep(daemon, work);
	for (size_t i = 0; i < b->n; i++)
		if (b->records[i].err.code == IST_OK && b->records[i].picture != NULL)
			ist_picture_use(b->records[i].picture);
	for (size_t i = 0; i < work->n_texts; i++)
		retry_texts(daemon, c, b, &work->texts[i]);
}
