/*
 * A generation's folder: <modality>.index, <modality>.ids and, written last, manifest.json, which
 * names the checksums of the others: parts of two savings do not pass for one. The manifest is one
 * line, {"checksum":"…","manifest":{…}}, and the checksum covers the inner text byte by byte.
 * Deaths are not saved: the store knows which rows live (ist_generation_keep_only).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>
#include <xxhash.h>

#include "core/base/memory.h"
#include "index/checked_file.h"
#include "index/generation_parts.h"

#define FORMAT 1
#define IDS_MAGIC "ISTIDS01"
#define MANIFEST_MAX (1 << 20)
#define HEAD "{\"checksum\":\"%016" PRIx64 "\",\"manifest\":"
#define HEAD_LEN (13 + 16 + 13)
#define TAIL "}\n"

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* ---- ids ---- */

struct ids_header {
	char magic[8];
	uint64_t n;
};

static enum ist_code fill_ids(FILE *f, void *user, struct ist_err *err)
{
	const struct ist_base *base = user;
	struct ids_header header = {.n = base->n};

	memcpy(header.magic, IDS_MAGIC, sizeof(header.magic));
	if (fwrite(&header, sizeof(header), 1, f) != 1 ||
	    fwrite(base->rows, sizeof(*base->rows), base->n, f) != base->n ||
	    fwrite(base->ordinals, sizeof(*base->ordinals), base->n, f) != base->n)
		return ist_fail_errno(err, "write");
	return IST_OK;
}

enum ist_code ist_ids_save(const struct ist_base *base, const char *path, uint64_t *ret_checksum,
			   struct ist_err *err)
{
	enum ist_code code =
	    ist_checked_write(path, fill_ids, (void *)(uintptr_t)base, ret_checksum, err);

	return code != IST_OK && err != NULL ? ist_wrap(err, "ids %s", path) : code;
}

/* Rows out of order would make vectors unfindable without any other sign. */
static bool are_in_order(const struct ist_base *base)
{
	for (size_t i = 1; i < base->n; i++)
		if (base->rows[i] < base->rows[i - 1] ||
		    (base->rows[i] == base->rows[i - 1] &&
		     base->ordinals[i] <= base->ordinals[i - 1]))
			return false;
	return true;
}

/* The count must follow from the file's size before anything is allocated by it. */
enum ist_code ist_ids_load(struct ist_base *base, const char *path, uint64_t *ret_checksum,
			   struct ist_err *err)
{
	ist_auto(ist_checked_finish) struct ist_checked file = {0};
	enum ist_code code = ist_checked_open(path, &file, err);
	const size_t each = sizeof(*base->rows) + sizeof(*base->ordinals);
	struct ids_header header;
	const char *body;

	if (code != IST_OK)
		return code;
	if (file.len < sizeof(header))
		return ist_fail(err, IST_CORRUPT, "%s is too short", path);
	memcpy(&header, file.data, sizeof(header));
	body = (const char *)file.data + sizeof(header);
	if (memcmp(header.magic, IDS_MAGIC, sizeof(header.magic)) != 0 ||
	    (file.len - sizeof(header)) % each != 0 ||
	    (file.len - sizeof(header)) / each != header.n)
		return ist_fail(err, IST_CORRUPT, "%s holds no ids", path);
	base->n = base->cap = header.n;
	base->rows = ist_alloc_raw(base->n, sizeof(*base->rows));
	base->ordinals = ist_alloc_raw(base->n, sizeof(*base->ordinals));
	memcpy(base->rows, body, base->n * sizeof(*base->rows));
	memcpy(base->ordinals, body + base->n * sizeof(*base->rows),
	       base->n * sizeof(*base->ordinals));
	*ret_checksum = file.checksum;
	if (!are_in_order(base))
		return ist_fail(err, IST_CORRUPT, "%s: rows out of order", path);
	return IST_OK;
}

/* ---- the manifest ---- */

static char *hex(uint64_t checksum)
{
	return ist_format("%016" PRIx64, checksum);
}

/* Index and ids first; their checksums go into the manifest, which seals both. */
static enum ist_code save_base(const struct ist_base *base, const char *folder, const char *name,
			       json_t *manifest, struct ist_err *err)
{
	ist_autofree char *index = ist_format("%s/%s.index", folder, name);
	ist_autofree char *ids = ist_format("%s/%s.ids", folder, name);
	ist_autofree char *index_sum = NULL;
	ist_autofree char *ids_sum = NULL;
	uint64_t sum = 0;
	enum ist_code code = ist_vectors_save_with(base->index, index, &sum, err);

	index_sum = hex(sum);
	if (code == IST_OK)
		code = ist_ids_save(base, ids, &sum, err);
	ids_sum = hex(sum);
	if (code != IST_OK)
		return code;
	json_object_set_new(
	    manifest, name,
	    json_pack("{s:I, s:I, s:s, s:I, s:o, s:I, s:s, s:s}", "n", (json_int_t)base->n, "dim",
		      (json_int_t)base->dim, "kind", ist_vectors_kind(base->index)->name, "ef",
		      (json_int_t)ist_vectors_ef(base->index), "recall",
		      isnan(base->recall) ? json_null() : json_real(base->recall), "refused_at",
		      (json_int_t)base->refused_at, "index", index_sum, "ids", ids_sum));
	return IST_OK;
}

/* Keys are sorted, so that the same base gives the same bytes. */
static enum ist_code save_manifest(const json_t *manifest, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/manifest.json", folder);
	ist_autofree char *inner = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
	ist_autofree char *text = NULL;

	if (inner == NULL)
		return ist_fail(err, IST_INTERNAL, "the manifest cannot be written");
	text = ist_format(HEAD "%s" TAIL, XXH3_64bits(inner, strlen(inner)), inner);
	return ist_file_write(path, text, strlen(text), err);
}

enum ist_code ist_generation_save(const struct ist_generation *g, const char *folder,
				  struct ist_err *err)
{
	ist_auto(release_json) json_t *manifest =
	    json_pack("{s:i, s:I, s:s}", "format", FORMAT, "base_row", (json_int_t)g->base_row,
		      "similarity", ist_similarity_names[g->model->similarity]);
	enum ist_code code = ist_dir_make(folder, err);

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		if (g->base[m].index != NULL)
			code = save_base(&g->base[m], folder,
					 ist_modality_name((enum ist_modality)m), manifest, err);
	if (code == IST_OK)
		code = save_manifest(manifest, folder, err);
	if (code == IST_OK)
		return IST_OK;
	return err != NULL ? ist_wrap(err, "generation %s", folder) : code;
}

/* Head and tail are compared as they would be written: no byte of the file goes unchecked. */
static enum ist_code read_manifest(const char *folder, json_t **ret, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/manifest.json", folder);
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	ist_autofree char *head = NULL;
	size_t inner;
	enum ist_code code = ist_file_read(path, MANIFEST_MAX, &text, err);

	if (code != IST_OK)
		return code;
	inner = text.len - IST_MIN(text.len, HEAD_LEN + strlen(TAIL));
	if (inner > 0)
		head = ist_format(HEAD, XXH3_64bits(text.data + HEAD_LEN, inner));
	if (inner == 0 || memcmp(text.data, head, HEAD_LEN) != 0 ||
	    memcmp(text.data + HEAD_LEN + inner, TAIL, strlen(TAIL)) != 0)
		return ist_fail(err, IST_CORRUPT, "%s is damaged", path);
	*ret = json_loadb(text.data + HEAD_LEN, inner, 0, NULL);
	if (*ret == NULL || json_integer_value(json_object_get(*ret, "format")) != FORMAT)
		return ist_fail(err, IST_CORRUPT, "%s has an unknown format", path);
	return IST_OK;
}

static bool is_sum(const json_t *entry, const char *key, uint64_t checksum)
{
	ist_autofree char *text = hex(checksum);
	const char *stored = json_string_value(json_object_get(entry, key));

	return stored != NULL && strcmp(stored, text) == 0;
}

/* Checksums that hold one by one do not tell that the parts are of one saving. */
static enum ist_code check_base(const struct ist_base *base, size_t n, enum ist_similarity s,
				const json_t *entry, uint64_t index_sum, uint64_t ids_sum,
				struct ist_err *err)
{
	if (!is_sum(entry, "index", index_sum) || !is_sum(entry, "ids", ids_sum) ||
	    base->index->n != n || base->index->dim != base->dim || base->index->similarity != s)
		return ist_fail(err, IST_CORRUPT, "the parts do not belong together");
	return IST_OK;
}

/* A part that the manifest names and that is gone is damage, not absence. */
static enum ist_code load_base(struct ist_base *base, const char *folder, const char *name,
			       const json_t *entry, struct ist_err *err)
{
	ist_autofree char *index = ist_format("%s/%s.index", folder, name);
	ist_autofree char *ids = ist_format("%s/%s.ids", folder, name);
	const json_t *recall = json_object_get(entry, "recall");
	uint64_t index_sum, ids_sum;
	enum ist_code code = ist_ids_load(base, ids, &ids_sum, err);

	if (code == IST_OK)
		code = ist_vectors_load_with(index, &base->index, &index_sum, err);
	if (code == IST_OK)
		code = check_base(base, base->n, base->similarity, entry, index_sum, ids_sum, err);
	if (code == IST_NOT_FOUND)
		return ist_fail(err, IST_CORRUPT, "a part of %s is missing", name);
	if (code != IST_OK)
		return code;
	base->recall = json_is_number(recall) ? json_number_value(recall) : NAN;
	base->refused_at = (size_t)json_integer_value(json_object_get(entry, "refused_at"));
	ist_base_set_live(base);
	return IST_OK;
}

static enum ist_code load(struct ist_generation *g, const char *folder, struct ist_err *err)
{
	ist_auto(release_json) json_t *manifest = NULL;
	enum ist_code code = read_manifest(folder, &manifest, err);

	if (code != IST_OK)
		return code;
	g->base_row = json_integer_value(json_object_get(manifest, "base_row"));
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++) {
		const char *name = ist_modality_name((enum ist_modality)m);
		const json_t *entry = json_object_get(manifest, name);

		if (entry != NULL)
			code = load_base(&g->base[m], folder, name, entry, err);
	}
	if (code == IST_OK)
		g->base_items = ist_generation_count_items(g);
	return code;
}

enum ist_code ist_generation_load(struct ist_model *model, const char *folder,
				  struct ist_generation **ret, struct ist_err *err)
{
	struct ist_generation *g = ist_generation_create(model);
	enum ist_code code = load(g, folder, err);

	if (code != IST_OK) {
		ist_generation_unref(g);
		return err != NULL ? ist_wrap(err, "generation %s", folder) : code;
	}
	*ret = g;
	return IST_OK;
}
