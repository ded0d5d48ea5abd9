/*
 * The flat kind: no structure, every search is exact. FAISS keeps and writes the vectors; they are
 * scored by our own kernels, because its search opens an OpenMP region and takes no selector.
 */
#include "index/vectors_kind.h"

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/index_io_c.h>

static enum ist_code flat_create(struct ist_vectors *v, struct ist_err *err)
{
	if (faiss_IndexFlat_new_with(&v->index, (int64_t)v->dim, ist_metric_of(v->similarity)) != 0)
		return ist_faiss_fail(err, "create flat");
	return IST_OK;
}

static void flat_destroy(struct ist_vectors *v)
{
	faiss_Index_free(v->index);
}

static enum ist_code flat_add(struct ist_vectors *v, const float *x, size_t n, struct ist_err *err)
{
	if (faiss_Index_add(v->index, (int64_t)n, x) != 0)
		return ist_faiss_fail(err, "add to flat");
	return IST_OK;
}

/* A flat index has no breadth and needs no workspace. */
static enum ist_code flat_search(const struct ist_vectors *v, struct ist_searcher *s,
				 const float *query, enum ist_direction direction, size_t k,
				 size_t ef, const struct ist_bitset *allowed,
				 struct ist_vector_hit *ret, size_t *ret_n, struct ist_err *err)
{
	return ist_vectors_scan(v, query, direction, k, NULL, 0, allowed, ret, ret_n, err);
}

static enum ist_code flat_write(const struct ist_vectors *v, FILE *f, struct ist_err *err)
{
	if (faiss_write_index(v->index, f) != 0)
		return ist_faiss_fail(err, "write flat");
	return IST_OK;
}

/* FAISS reads any of its kinds: ours must be the one that the header named. */
static enum ist_code flat_read(struct ist_vectors *v, FILE *f, struct ist_err *err)
{
	if (faiss_read_index(f, 0, &v->index) != 0)
		return ist_faiss_fail(err, "read flat");
	if (!ist_faiss_is_flat(v->index))
		return ist_fail(err, IST_CORRUPT, "not a flat index");
	return ist_vectors_check_read(v, err);
}

const struct ist_vector_kind ist_vectors_flat = {
    .name = "flat",
    .exact = true,
    .from = 0,
    .create = flat_create,
    .destroy = flat_destroy,
    .add = flat_add,
    .search = flat_search,
    .write = flat_write,
    .read = flat_read,
};
