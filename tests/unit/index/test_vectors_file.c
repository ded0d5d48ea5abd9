/*
 * Index files: what is loaded is what was saved, and a byte changed anywhere, a byte more or less
 * anywhere, is found out.
 */
#include "tests/unit/test.h"

#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/vectors_kind.h"
#include "tests/unit/index/vectors_sample.h"

#define N 200
#define DIM 12
#define K 10

static char folder[] = "/tmp/ist-vectors-XXXXXX";

static char *path_of(const char *name)
{
	return ist_format("%s/%s", folder, name);
}

static struct ist_vectors *build(const struct ist_vector_kind *kind, enum ist_similarity similarity,
				 size_t n)
{
	ist_autofree float *x = sample_vectors(IST_MAX(n, 1), DIM, similarity, 3, "base");
	struct ist_vectors *v;
	struct ist_err err;

	ist_threads_use(1);
	assert_ist_ok(ist_vectors_create(kind, DIM, similarity, &v, &err));
	assert_ist_ok(ist_vectors_add(v, x, n, &err));
	return v;
}

static void assert_same(const struct ist_vectors *a, const struct ist_vectors *b)
{
	ist_autofree float *queries = sample_vectors(20, DIM, a->similarity, 3, "queries");
	struct ist_searcher *s = ist_searcher_create();
	struct ist_vector_hit hits[2][K];
	struct ist_err err;
	size_t n[2];

	assert_ptr_equal(a->kind, b->kind);
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->dim, b->dim);
	assert_int_equal(a->similarity, b->similarity);
	assert_int_equal(a->ef, b->ef);
	for (size_t q = 0; q < 20; q++) {
		const float *query = queries + q * DIM;

		assert_ist_ok(ist_vectors_search(a, s, query, IST_TEXT_TO_IMAGE, K, 0, NULL,
						 hits[0], &n[0], &err));
		assert_ist_ok(ist_vectors_search(b, s, query, IST_TEXT_TO_IMAGE, K, 0, NULL,
						 hits[1], &n[1], &err));
		assert_int_equal(n[0], n[1]);
		for (size_t i = 0; i < n[0]; i++) {
			assert_int_equal(hits[0][i].position, hits[1][i].position);
			assert_true(hits[0][i].similarity == hits[1][i].similarity);
		}
	}
	ist_searcher_destroy(s);
}

static void loaded_is_what_was_saved(void **state)
{
	static const size_t sizes[] = {0, 1, N};
	ist_autofree char *path = path_of("same");
	struct ist_err err;

	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		for (int s = 0; s < IST_N_SIMILARITIES; s++) {
			for (size_t j = 0; j < IST_COUNT(sizes); j++) {
				struct ist_vectors *loaded,
				    *v = build(ist_vector_kinds[i], (enum ist_similarity)s,
					       sizes[j]);

				v->ef += 7;
				assert_ist_ok(ist_vectors_save(v, path, &err));
				assert_ist_ok(ist_vectors_load(path, &loaded, &err));
				assert_same(v, loaded);
				assert_ist_ok(ist_vectors_add(loaded, (float[DIM]){1}, 1, &err));
				assert_int_equal(ist_vectors_n(loaded), sizes[j] + 1);
				ist_vectors_destroy(v);
				ist_vectors_destroy(loaded);
			}
		}
	}
}

/* As it stands: these files need not survive. */
static void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void assert_corrupt(const char *path, const void *data, size_t len)
{
	struct ist_vectors *loaded;
	struct ist_err err;

	put(path, data, len);
	assert_int_equal(ist_vectors_load(path, &loaded, &err), IST_CORRUPT);
	assert_int_equal(ist_vectors_load(path, &loaded, NULL), IST_CORRUPT);
}

static void damage_is_found_out(void **state)
{
	ist_autofree char *path = path_of("whole");
	ist_autofree char *bad = path_of("bad");
	struct ist_err err;

	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		ist_auto(ist_buf_finish) struct ist_buf file = {0};
		struct ist_vectors *v = build(ist_vector_kinds[i], IST_COSINE, 30);
		size_t step;

		assert_ist_ok(ist_vectors_save(v, path, &err));
		ist_vectors_destroy(v);
		assert_ist_ok(ist_file_read(path, 1 << 20, &file, &err));
		step = file.len / 60 + 1;
		for (size_t at = 0; at < file.len; at += at < 80 || at > file.len - 10 ? 1 : step) {
			file.data[at] ^= 0x10;
			assert_corrupt(bad, file.data, file.len);
			file.data[at] ^= 0x10;
		}
		for (size_t len = 0; len < file.len; len += step)
			assert_corrupt(bad, file.data, len);
		ist_buf_putc(&file, 'x');
		assert_corrupt(bad, file.data, file.len);
	}
}

/* A header of nonsense under a sound checksum. */
static void a_header_of_nonsense(void **state)
{
	ist_autofree char *path = path_of("whole");
	ist_autofree char *bad = path_of("bad");
	ist_auto(ist_buf_finish) struct ist_buf file = {0};
	struct ist_vectors *v = build(&ist_vectors_hnsw, IST_COSINE, 30), *loaded;
	static const size_t places[] = {0, 7, 8, 24, 40, 43, 48, 51, 58, 62};
	struct ist_err err;

	assert_ist_ok(ist_vectors_save(v, path, &err));
	ist_vectors_destroy(v);
	assert_ist_ok(ist_file_read(path, 1 << 20, &file, &err));
	for (size_t i = 0; i < IST_COUNT(places); i++) {
		uint64_t checksum;

		file.data[places[i]] ^= 0x7f;
		checksum = XXH3_64bits(file.data, file.len - 8);
		memcpy(file.data + file.len - 8, &checksum, 8);
		put(bad, file.data, file.len);
		file.data[places[i]] ^= 0x7f;
		assert_int_equal(ist_vectors_load(bad, &loaded, &err), IST_CORRUPT);
	}
}

/* Links that lead out of the arrays, saved in good faith. */
static void a_graph_of_nonsense(void **state)
{
	ist_autofree char *path = path_of("graph");
	struct ist_vectors *v = build(&ist_vectors_hnsw, IST_COSINE, 30), *loaded;
	int32_t *links = (int32_t *)(uintptr_t)v->graph.links;
	size_t *offsets = (size_t *)(uintptr_t)v->graph.offsets;
	int *level_at = (int *)(uintptr_t)v->graph.level_at;
	struct ist_err err;

#define ASSERT_REFUSED(place, value)                                                               \
	do {                                                                                       \
		__typeof__(place) kept_ = (place);                                                 \
		(place) = (value);                                                                 \
		assert_false(ist_faiss_graph_is_sound(v->index));                                  \
		assert_ist_ok(ist_vectors_save(v, path, &err));                                    \
		assert_int_equal(ist_vectors_load(path, &loaded, &err), IST_CORRUPT);              \
		(place) = kept_;                                                                   \
	} while (0)
	assert_true(ist_faiss_graph_is_sound(v->index));
	ASSERT_REFUSED(links[0], 30);
	ASSERT_REFUSED(links[5], -2);
	ASSERT_REFUSED(offsets[3], 1 << 20);
	ASSERT_REFUSED(offsets[0], 1);
	ASSERT_REFUSED(level_at[1], 1 << 21);
	ASSERT_REFUSED(level_at[0], 4);
	assert_true(ist_faiss_graph_is_sound(v->index));
	ist_vectors_destroy(v);
}

static void a_missing_file(void **state)
{
	ist_autofree char *path = path_of("none");
	struct ist_vectors *loaded;
	struct ist_err err;

	assert_int_equal(ist_vectors_load(path, &loaded, &err), IST_NOT_FOUND);
}

static void a_folder_that_is_not_there(void **state)
{
	ist_autofree char *path = path_of("none/index");
	struct ist_vectors *v = build(&ist_vectors_flat, IST_COSINE, 3);
	struct ist_err err;

	assert_int_equal(ist_vectors_save(v, path, &err), IST_IO);
	assert_int_equal(ist_vectors_save(v, path, NULL), IST_IO);
	ist_vectors_destroy(v);
}

/* stdio's errors must come through FAISS and two streams: /dev/full takes nothing. */
static enum ist_code fill_much(FILE *f, void *user, struct ist_err *err)
{
	const struct ist_vectors *v = user;

	return v->kind->write(v, f, err);
}

static void a_full_disk(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_vectors *v = build(ist_vector_kinds[i], IST_COSINE, N);
		FILE *f = fopen("/dev/full", "w");
		struct ist_err err;
		enum ist_code code;

		assert_non_null(f);
		code = fill_much(f, v, &err);
		assert_true(code != IST_OK || fflush(f) != 0);
		fclose(f);
		ist_vectors_destroy(v);
	}
}

static int make_folder(void **state)
{
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	return ist_dir_remove(folder, NULL) != IST_OK;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loaded_is_what_was_saved),
	    cmocka_unit_test(damage_is_found_out),
	    cmocka_unit_test(a_header_of_nonsense),
	    cmocka_unit_test(a_graph_of_nonsense),
	    cmocka_unit_test(a_missing_file),
	    cmocka_unit_test(a_folder_that_is_not_there),
	    cmocka_unit_test(a_full_disk),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
