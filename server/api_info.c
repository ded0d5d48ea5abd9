/* What this server is, can do and allows: /v1/info. */
#include "server/api.h"

#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/blas/blas.h"
#include "core/methods/method.h"
#include "index/vectors.h"
#include "server/daemon.h"
#include "server/encoder_json.h"
#include "server/encoders.h"
#include "server/http_server.h"
#include "server/item_json.h"
#include "server/metrics.h"
#include "server/ndjson.h"
#include "server/query_request.h"
#include "server/vector_json.h"

/* In short; /v1/encoders has all of it. */
static json_t *encoders_json(struct ist_encoders *encoders)
{
	ist_autofree struct ist_encoder_info *infos = NULL;
	size_t n = ist_encoders_list(encoders, &infos);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct ist_encoder_info *info = &infos[i];
		json_t *row = json_pack("{s:s,s:s,s:o,s:I,s:b}", "name", info->name, "title",
					info->title[0] != '\0' ? info->title : info->name,
					"modalities", ist_encoder_modalities(info), "dim",
					(json_int_t)info->dim, "builtin", info->builtin);

		if (info->error[0] != '\0')
			json_object_set_new(row, "error", json_string(info->error));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *methods_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; ist_methods[i] != NULL; i++)
		json_array_append_new(list, json_string(ist_methods[i]->name));
	return list;
}

static json_t *kinds_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++)
		json_array_append_new(list, json_string(ist_vector_kinds[i]->name));
	return list;
}

/* What this kernel offers the decoders to lock themselves in; 0 or false: it has none. */
static json_t *sandbox_json(void)
{
	long landlock =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return json_pack("{s:I,s:b}", "landlock_abi", (json_int_t)(landlock > 0 ? landlock : 0),
			 "seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0);
}

static json_t *limits_json(const struct ist_config *config)
{
	return json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "body_bytes", (json_int_t)config->max_body,
	    "line_bytes", (json_int_t)IST_NDJSON_LINE_MAX, "pixels", (json_int_t)config->max_pixels,
	    "texts", (json_int_t)IST_ITEM_TEXTS_MAX, "text_bytes",
	    (json_int_t)IST_ITEM_TEXT_BYTES_MAX, "metadata_bytes",
	    (json_int_t)IST_ITEM_METADATA_BYTES_MAX, "dim", (json_int_t)IST_VECTOR_DIM_MAX,
	    "workers", (json_int_t)config->workers, "queue", (json_int_t)config->queue);
}

enum ist_code ist_api_get_info(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	const struct ist_daemon *d = rq->daemon;
	struct ist_store_stats stats = {0};
	uint64_t free_bytes, disk_bytes;
	json_t *info;

	ist_store_stats(d->store, &stats);
	ist_disk_space(ist_store_folder(d->store), &free_bytes, &disk_bytes);
	info = json_pack(
	    "{s:s,s:o,s:o,s:o,s:{s:s,s:f},s:o,s:o,s:{s:I,s:I,s:I,s:I,s:I},s:{s:I},s:f}", "version",
	    IST_VERSION, "encoders", encoders_json(d->encoders), "methods", methods_json(),
	    "indexes", kinds_json(), "blas", "kernel", ist_blas_kernel(), "gflops",
	    ist_blas_gflops(), "limits", limits_json(&d->config), "sandbox", sandbox_json(),
	    "storage", "database_bytes", (json_int_t)stats.database_bytes, "wal_bytes",
	    (json_int_t)stats.wal_bytes, "media_bytes", (json_int_t)stats.media_bytes,
	    "disk_free_bytes", (json_int_t)free_bytes, "disk_bytes", (json_int_t)disk_bytes,
	    "memory", "resident_bytes", (json_int_t)ist_resident_bytes(), "uptime_s",
	    (double)(ist_monotonic_us() - d->started_us) / 1e6);
	ist_reply_json(re, 200, info);
	return IST_OK;
}
