/*
 * The store knows a collection's encoders by name; this walks over all collections. A thread that
 * preloads stops between two encoders when it is told to end.
 */
#include "server/encoder_use.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/encoders.h"
#include "server/feature.h"
#include "server/http_server.h"
#include "server/log.h"

#define PAGE 1000

static void note(json_t *use, const char *encoder, const char *collection)
{
	json_t *list = json_object_get(use, encoder);

	if (strcmp(encoder, IST_EXTERNAL) == 0)
		return;
	if (list == NULL) {
		list = json_array();
		json_object_set_new(use, encoder, list);
	}
	json_array_append_new(list, json_string(collection));
}

/* One that is removed meanwhile uses nothing. */
static enum ist_code note_collection(struct ist_store *store, const char *name, json_t *use,
				     struct ist_err *err)
{
	struct ist_collection *c;
	const char *image, *text;
	enum ist_code code = ist_store_collection_get(store, name, &c, err);

	if (code != IST_OK)
		return code == IST_NOT_FOUND ? IST_OK : code;
	image = ist_collection_encoder(c, IST_IMAGE)->name;
	text = ist_collection_encoder(c, IST_TEXT)->name;
	note(use, image, name);
	if (strcmp(image, text) != 0)
		note(use, text, name);
	ist_collection_unref(c);
	return IST_OK;
}

enum ist_code ist_encoder_use(struct ist_store *store, json_t **ret, struct ist_err *err)
{
	ist_autofree char *after = ist_strdup("");
	json_t *use = json_object(), *names = NULL;
	enum ist_code code;
	size_t n;

	do {
		code = ist_store_collection_names(store, after, PAGE, &names, err);
		n = code == IST_OK ? json_array_size(names) : 0;
		for (size_t i = 0; i < n && code == IST_OK; i++)
			code = note_collection(store, json_string_value(json_array_get(names, i)),
					       use, err);
		if (n > 0) {
			free(after);
			after = ist_strdup(json_string_value(json_array_get(names, n - 1)));
		}
		json_decref(names);
		names = NULL;
	} while (code == IST_OK && n == PAGE);
	if (code == IST_OK)
		*ret = use;
	else
		json_decref(use);
	return code;
}

/* ---- preloading ---- */

struct ist_preload {
	struct ist_daemon *daemon;
	pthread_t thread;
	atomic_bool stop;
};

static void open_one(struct ist_encoders *encoders, const char *name)
{
	const struct ist_encoder *encoder;
	int64_t began = ist_monotonic_us();
	struct ist_log_line line;
	struct ist_err err = {0};
	enum ist_code code = ist_encoders_get(encoders, name, &encoder, &err);

	ist_log_begin(&line, code == IST_OK ? IST_LOG_INFO : IST_LOG_WARN, "encoder_loaded");
	ist_log_field(&line, "encoder", "%s", name);
	if (code == IST_OK)
		ist_log_field(&line, "ms", "%.1f", (double)(ist_monotonic_us() - began) / 1000);
	else
		ist_log_field(&line, "error", "%s", err.text);
	ist_log_end(&line);
}

static void *preload(void *user)
{
	struct ist_preload *p = user;
	struct ist_err err = {0};
	json_t *use = NULL, *list;
	const char *name;

	if (ist_encoder_use(p->daemon->store, &use, &err) != IST_OK) {
		ist_log_event(NULL, IST_LOG_WARN, "encoder_loaded", err.text);
		return NULL;
	}
	ist_encoders_enter(p->daemon->encoders);
	json_object_foreach(use, name, list)
	{
		if (!atomic_load(&p->stop))
			open_one(p->daemon->encoders, name);
	}
	ist_encoders_leave(p->daemon->encoders);
	json_decref(use);
	return NULL;
}

/* NULL where no thread can be had: then they open at first use. */
struct ist_preload *ist_preload_begin(struct ist_daemon *daemon)
{
	struct ist_preload *p = ist_alloc(1, sizeof(*p));

	p->daemon = daemon;
	if (pthread_create(&p->thread, NULL, preload, p) == 0)
		return p;
	free(p);
	return NULL;
}

void ist_preload_end(struct ist_preload *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	free(p);
}
