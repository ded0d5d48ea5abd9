/*
 * Index files: a header that names kind, similarity and sizes, FAISS's own format, a checksum of
 * both. Little-endian like the machines that FAISS runs on. FAISS believes what it reads, so the
 * checksum is verified before it sees a byte, and what it made is checked against the header.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/checked_file.h"
#include "index/vectors_kind.h"

#define MAGIC "ISTVEC01"
#define EF_MAX 65536

struct header {
	char magic[8];
	char kind[16], similarity[16];
	uint64_t dim, n, ef;
};

/* Names are cut rather than overrun; a test loops over the kinds, so a longer one would show. */
static enum ist_code fill(FILE *f, void *user, struct ist_err *err)
{
	const struct ist_vectors *v = user;
	struct header header = {.dim = v->dim, .n = v->n, .ef = v->ef};

	memcpy(header.magic, MAGIC, sizeof(header.magic));
	snprintf(header.kind, sizeof(header.kind), "%s", v->kind->name);
	snprintf(header.similarity, sizeof(header.similarity), "%s",
		 ist_similarity_names[v->similarity]);
	if (fwrite(&header, sizeof(header), 1, f) != 1)
		return ist_fail_errno(err, "write");
	return v->kind->write(v, f, err);
}

enum ist_code ist_vectors_save_with(const struct ist_vectors *v, const char *path,
				    uint64_t *ret_checksum, struct ist_err *err)
{
	enum ist_code code = ist_checked_write(path, fill, (void *)(uintptr_t)v, ret_checksum, err);

	return code != IST_OK && err != NULL ? ist_wrap(err, "index %s", path) : code;
}

enum ist_code ist_vectors_save(const struct ist_vectors *v, const char *path, struct ist_err *err)
{
	return ist_vectors_save_with(v, path, NULL, err);
}

/* The header was written by us, the body by FAISS: each is believed only as far as both agree. */
enum ist_code ist_vectors_check_read(const struct ist_vectors *v, struct ist_err *err)
{
	if ((size_t)faiss_Index_d(v->index) != v->dim ||
	    (size_t)faiss_Index_ntotal(v->index) != v->n ||
	    faiss_Index_metric_type(v->index) != ist_metric_of(v->similarity))
		return ist_fail(err, IST_CORRUPT, "the index is not what its header says");
	return IST_OK;
}

static bool find_similarity(const char *name, enum ist_similarity *ret)
{
	for (int i = 0; i < IST_N_SIMILARITIES; i++) {
		if (strcmp(ist_similarity_names[i], name) == 0) {
			*ret = (enum ist_similarity)i;
			return true;
		}
	}
	return false;
}

/* Takes what the header says; whether the body keeps it is for the kind's read to check. */
static enum ist_code read_header(const struct ist_checked *file, struct ist_vectors *v,
				 struct ist_err *err)
{
	struct header header;

	if (file->len <= sizeof(header))
		return ist_fail(err, IST_CORRUPT, "the file is too short");
	memcpy(&header, file->data, sizeof(header));
	header.kind[sizeof(header.kind) - 1] = '\0';
	header.similarity[sizeof(header.similarity) - 1] = '\0';
	v->kind = ist_vector_kind_find(header.kind);
	v->dim = header.dim;
	v->n = header.n;
	v->ef = header.ef;
	if (memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0 || v->kind == NULL ||
	    !find_similarity(header.similarity, &v->similarity) || v->ef > EF_MAX)
		return ist_fail(err, IST_CORRUPT, "no index of a known kind");
	return IST_OK;
}

/* FAISS reads from a stream over the mapped file, so that the bytes it sees are those whose
 * checksum held, whatever happens to the path meanwhile. */
static enum ist_code read_body(const struct ist_checked *file, struct ist_vectors *v,
			       struct ist_err *err)
{
	char *body = (char *)(uintptr_t)file->data + sizeof(struct header);
	FILE *f = fmemopen(body, file->len - sizeof(struct header), "r");
	enum ist_code code;

	if (f == NULL)
		return ist_fail_errno(err, "open a stream");
	code = v->kind->read(v, f, err);
	fclose(f);
	if (code == IST_INTERNAL)
		err->code = code = IST_CORRUPT; /* FAISS refused what it read */
	return code;
}

static enum ist_code load(const char *path, struct ist_vectors *v, uint64_t *ret_checksum,
			  struct ist_err *err)
{
	ist_auto(ist_checked_finish) struct ist_checked file = {0};
	enum ist_code code = ist_checked_open(path, &file, err);

	if (code == IST_OK)
		code = read_header(&file, v, err);
	if (code == IST_OK)
		code = read_body(&file, v, err);
	if (code == IST_OK && ret_checksum != NULL)
		*ret_checksum = file.checksum;
	return code;
}

enum ist_code ist_vectors_load_with(const char *path, struct ist_vectors **ret,
				    uint64_t *ret_checksum, struct ist_err *err)
{
	struct ist_vectors *v = ist_alloc(1, sizeof(*v));
	struct ist_err local;

	err = err != NULL ? err : &local;
	if (load(path, v, ret_checksum, err) != IST_OK) {
		ist_vectors_destroy(v);
		return ist_wrap(err, "index %s", path);
	}
	ist_vectors_refresh(v);
	*ret = v;
	return IST_OK;
}

enum ist_code ist_vectors_load(const char *path, struct ist_vectors **ret, struct ist_err *err)
{
	return ist_vectors_load_with(path, ret, NULL, err);
}
