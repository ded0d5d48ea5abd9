/*
 * Merges of generations large enough for a graph: the old base is reused where few are dead and
 * built anew where many are; either way a merge equals a rebuild, and what the writer did meanwhile
 * is carried over. Also: stopping, kinds that change with size, files of a generation.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/generation_parts.h"
#include "tests/unit/index/generation_model.h"
#include "tests/unit/index/vectors_sample.h"

#define DIM 256
#define N_BASE 10500 /* rows of the first base: a graph, by kind_for */
#define N_ALL 11200
#define K 10
#define N_QUERIES 100

struct fixture {
	struct ist_model *model;
	struct ist_generation *g;
	struct ist_searcher *s;
	float *x, *queries; /* row r has the vector x + (r - 1) * DIM */
};

/* The graph is built once: all tests start from its files. */
static char folder[] = "/tmp/ist-merge-XXXXXX";
static struct fixture shared;

static void add_rows(struct ist_generation *g, int64_t from, int64_t to, int64_t dead_mod)
{
	struct ist_err err;
	const uint32_t zero = 0;

	for (int64_t row = from; row <= to; row++) {
		if (dead_mod != 0 && row % dead_mod == 0)
			continue;
		assert_ist_ok(ist_generation_base_add(g, IST_IMAGE, &row, &zero,
						      shared.x + (row - 1) * DIM, 1, &err));
	}
}

static int make_base(void **state)
{
	struct ist_err err;

	ist_threads_use(2);
	shared.model = sample_model(DIM, DIM, IST_COSINE);
	shared.x = sample_vectors(N_ALL, DIM, IST_COSINE, 1, "base");
	shared.queries = sample_vectors(N_QUERIES, DIM, IST_COSINE, 1, "queries");
	shared.s = ist_searcher_create();
	shared.g = ist_generation_create(shared.model);
	add_rows(shared.g, 1, N_BASE, 0);
	if (mkdtemp(folder) == NULL ||
	    ist_generation_base_finish(shared.g, N_BASE, NULL, NULL, NULL, &err) != IST_OK)
		return 1;
	return ist_generation_save(shared.g, folder, &err) != IST_OK;
}

static int release_base(void **state)
{
	ist_generation_unref(shared.g);
	ist_model_unref(shared.model);
	ist_searcher_destroy(shared.s);
	free(shared.x);
	free(shared.queries);
	return ist_dir_remove(folder, NULL) != IST_OK;
}

static struct ist_generation *load_base(void)
{
	struct ist_generation *g;
	struct ist_err err;

	assert_ist_ok(ist_generation_load(shared.model, folder, &g, &err));
	return g;
}

static void append(struct ist_generation *g, int64_t from, int64_t to)
{
	for (int64_t row = from; row <= to; row++)
		ist_generation_append(g, IST_IMAGE, row, 0, shared.x + (row - 1) * DIM);
	ist_generation_publish(g);
}

static void kill_every(struct ist_generation *g, int64_t n)
{
	for (int64_t row = n; row <= N_ALL; row += n)
		ist_generation_kill(g, row);
}

static size_t search(const struct ist_generation *g, size_t q, bool exact,
		     struct ist_generation_hit ret[K])
{
	struct ist_err err;
	size_t n;

	assert_ist_ok(ist_generation_search(g, ist_generation_watermark(g), shared.s, IST_IMAGE,
					    IST_IMAGE, shared.queries + q * DIM, K, NULL, 0, exact,
					    ret, &n, &err));
	return n;
}

/* Exact results are the same to the bit; approximate ones nearly all. */
static void assert_equal_results(const struct ist_generation *a, const struct ist_generation *b)
{
	struct ist_generation_hit want[K], got[K];
	size_t right = 0;

	for (size_t q = 0; q < N_QUERIES; q++) {
		assert_int_equal(search(a, q, true, want), K);
		assert_int_equal(search(b, q, true, got), K);
		for (size_t i = 0; i < K; i++) {
			assert_int_equal(got[i].row, want[i].row);
			assert_true(got[i].similarity == want[i].similarity);
		}
		assert_int_equal(search(b, q, false, got), K);
		for (size_t i = 0; i < K; i++)
			right += got[i].similarity >= want[K - 1].similarity;
	}
	assert_true((double)right >= 0.97 * K * N_QUERIES);
}

static struct ist_generation *rebuilt(int64_t base_row, int64_t dead_mod)
{
	struct ist_generation *g = ist_generation_create(shared.model);
	struct ist_err err;

	add_rows(g, 1, base_row, dead_mod);
	assert_ist_ok(
	    ist_generation_base_finish(g, base_row, ist_vector_kinds[0], NULL, NULL, &err));
	return g;
}

static struct ist_generation *merged_from(const struct ist_generation *g, int64_t base_row)
{
	struct ist_generation *merged;
	struct ist_err err;

	assert_ist_ok(ist_generation_merge(g, base_row, NULL, NULL, &merged, &err));
	return merged;
}

static void the_base_is_a_measured_graph(void **state)
{
	struct ist_generation_info info;

	ist_generation_info(shared.g, &info);
	assert_string_equal(info.kind, "hnsw");
	assert_int_equal(info.base, N_BASE);
	assert_int_equal(info.base_items, N_BASE);
	assert_true(info.recall >= 0.98 && info.recall <= 1);
	assert_true(info.bytes < (size_t)N_BASE * (DIM * 4 + 300));
}

static void a_merge_equals_a_rebuild(void **state)
{
	struct ist_generation *g = load_base(), *want = rebuilt(N_ALL, 50), *merged;
	struct ist_generation_info info;

	append(g, N_BASE + 1, N_ALL);
	kill_every(g, 50);
	merged = merged_from(g, N_ALL);
	ist_generation_info(merged, &info);
	assert_string_equal(info.kind, "hnsw");
	assert_int_equal(info.dead, N_BASE / 50); /* reused, so they are still there */
	assert_int_equal(info.base_row, N_ALL);
	assert_equal_results(want, merged);
	ist_generation_carry(merged, g);
	assert_equal_results(want, merged);
	ist_generation_info(merged, &info);
	assert_int_equal(info.fresh, 0);
	ist_generation_unref(g);
	ist_generation_unref(merged);
	ist_generation_unref(want);
}

static void many_deaths_are_left_behind(void **state)
{
	struct ist_generation *g = load_base(), *want = rebuilt(N_ALL, 4), *merged;
	struct ist_generation_info info;

	append(g, N_BASE + 1, N_ALL);
	kill_every(g, 4);
	merged = merged_from(g, N_ALL);
	ist_generation_info(merged, &info);
	assert_int_equal(info.dead, 0);
	assert_int_equal(info.base, N_ALL - N_ALL / 4);
	assert_int_equal(info.base_items, info.base);
	assert_equal_results(want, merged);
	ist_generation_unref(g);
	ist_generation_unref(merged);
	ist_generation_unref(want);
}

static void what_happens_meanwhile_is_carried(void **state)
{
	struct ist_generation *g = load_base(), *want = rebuilt(N_ALL, 20), *merged;

	append(g, N_BASE + 1, N_BASE + 300);
	merged = merged_from(g, N_BASE + 200);
	append(g, N_BASE + 301, N_ALL);
	kill_every(g, 20);
	ist_generation_carry(merged, g);
	assert_equal_results(want, merged);
	assert_equal_results(want, g);
	ist_generation_unref(g);
	ist_generation_unref(merged);
	ist_generation_unref(want);
}

/* Shrinking below what a graph is for: the base becomes flat again. */
static void kinds_change_with_size(void **state)
{
	struct ist_generation *g = load_base(), *merged;
	struct ist_generation_info info;
	struct ist_generation_hit hits[K];

	for (int64_t row = 101; row <= N_BASE; row++)
		ist_generation_kill(g, row);
	merged = merged_from(g, N_BASE);
	ist_generation_info(merged, &info);
	assert_string_equal(info.kind, "flat");
	assert_int_equal(info.base, 100);
	assert_true(info.recall == 1);
	assert_int_equal(search(merged, 0, false, hits), K);
	ist_generation_unref(g);
	ist_generation_unref(merged);
}

static bool stop_soon(void *user)
{
	int *left = user;

	return --*left < 0;
}

static void a_merge_can_be_stopped(void **state)
{
	struct ist_generation *g = load_base(), *merged;
	struct ist_err err;

	kill_every(g, 4);
	for (int after = 0; after < 2; after++) {
		int left = after;

		assert_int_equal(ist_generation_merge(g, N_BASE, stop_soon, &left, &merged, &err),
				 IST_CANCELLED);
	}
	ist_generation_unref(g);
}

/* What the graph does not suit is answered by a scan, and not tried again at every merge. */
static void unsuited_data_fall_back_to_exact(void **state)
{
	struct ist_generation *g = ist_generation_create(shared.model), *merged;
	struct ist_generation_info info;
	struct ist_err err;

	add_rows(g, 1, N_BASE, 0);
	g->base[IST_IMAGE].refused_at = N_BASE;
	assert_ist_ok(ist_generation_base_finish(g, N_BASE, NULL, NULL, NULL, &err));
	ist_generation_info(g, &info);
	assert_string_equal(info.kind, "flat");
	append(g, N_BASE + 1, N_BASE + 10);
	merged = merged_from(g, N_BASE + 10);
	ist_generation_info(merged, &info);
	assert_string_equal(info.kind, "flat");
	ist_generation_unref(g);
	ist_generation_unref(merged);
}

static void filters_by_walk_and_by_scan(void **state)
{
	static const int64_t every[] = {2, 10, 400};
	ist_autofree int64_t *rows = ist_alloc(N_BASE, sizeof(*rows));
	struct naive list = {.dim = DIM, .similarity = IST_COSINE};

	for (int64_t row = 1; row <= N_BASE; row++)
		naive_append(&list, row, 0, shared.x + (row - 1) * DIM);
	naive_publish(&list);
	for (size_t e = 0; e < IST_COUNT(every); e++) {
		size_t n = 0;

		for (int64_t row = every[e]; row <= N_BASE; row += every[e])
			rows[n++] = row;
		for (size_t q = 0; q < 6; q++)
			naive_compare(&list, shared.g, shared.s, IST_IMAGE,
				      shared.queries + q * DIM, K, rows, n, q % 2 ? 1 : 0.8);
	}
	naive_finish(&list);
}

/* ---- files ---- */

static void a_loaded_one_answers_alike(void **state)
{
	struct ist_generation *g = load_base();
	struct ist_generation_info a, b;

	ist_generation_info(shared.g, &a);
	ist_generation_info(g, &b);
	assert_equal_results(shared.g, g);
	assert_int_equal(a.base_row, b.base_row);
	assert_int_equal(a.base_items, b.base_items);
	assert_true(a.recall == b.recall);
	assert_true(b.bytes <= a.bytes);
	ist_generation_unref(g);
}

static void flip(const char *path, size_t at)
{
	FILE *f = fopen(path, "r+");
	int c;

	assert_non_null(f);
	fseek(f, (long)at, SEEK_SET);
	c = fgetc(f);
	fseek(f, (long)at, SEEK_SET);
	fputc(c ^ 0x20, f);
	fclose(f);
}

static void damaged_parts(void **state)
{
	static const char *const parts[] = {"image.index", "image.ids", "manifest.json"};
	struct ist_generation *g;
	struct ist_err err;

	for (size_t i = 0; i < IST_COUNT(parts); i++) {
		ist_autofree char *path = ist_format("%s/%s", folder, parts[i]);
		ist_auto(ist_buf_finish) struct ist_buf whole = {0};

		assert_ist_ok(ist_file_read(path, 1 << 24, &whole, &err));
		for (size_t at = 0; at < whole.len; at += whole.len / 9 + 1) {
			flip(path, at);
			assert_int_equal(ist_generation_load(shared.model, folder, &g, &err),
					 IST_CORRUPT);
			flip(path, at);
		}
		assert_int_equal(truncate(path, (off_t)whole.len / 2), 0);
		assert_int_equal(ist_generation_load(shared.model, folder, &g, &err), IST_CORRUPT);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(ist_generation_load(shared.model, folder, &g, &err),
				 i == 2 ? IST_NOT_FOUND : IST_CORRUPT);
		assert_int_equal(ist_generation_load(shared.model, folder, &g, NULL),
				 i == 2 ? IST_NOT_FOUND : IST_CORRUPT);
		assert_ist_ok(ist_file_write(path, whole.data, whole.len, &err));
	}
	g = load_base();
	ist_generation_unref(g);
}

/* Every byte of a small manifest counts. */
static void every_byte_of_the_manifest(void **state)
{
	ist_autofree char *path = ist_format("%s/manifest.json", folder);
	ist_auto(ist_buf_finish) struct ist_buf whole = {0};
	ist_autofree char *small = ist_format("%s/small", folder);
	ist_autofree char *manifest = ist_format("%s/manifest.json", small);
	struct ist_generation *g = ist_generation_create(shared.model);
	struct ist_err err;

	add_rows(g, 1, 5, 0);
	assert_ist_ok(ist_generation_base_finish(g, 5, NULL, NULL, NULL, &err));
	assert_ist_ok(ist_generation_save(g, small, &err));
	ist_generation_unref(g);
	assert_ist_ok(ist_file_read(manifest, 1 << 20, &whole, &err));
	for (size_t at = 0; at < whole.len; at++) {
		flip(manifest, at);
		assert_int_equal(ist_generation_load(shared.model, small, &g, &err), IST_CORRUPT);
		flip(manifest, at);
	}
	assert_ist_ok(ist_generation_load(shared.model, small, &g, &err));
	ist_generation_unref(g);
}

/* Parts of two savings, and the base of a model that compares otherwise. */
static void parts_that_do_not_belong_together(void **state)
{
	ist_autofree char *other = ist_format("%s/other", folder);
	ist_autofree char *from = ist_format("%s/other/image.ids", folder);
	ist_autofree char *to = ist_format("%s/image.ids", folder);
	ist_auto(ist_buf_finish) struct ist_buf ids = {0}, old = {0};
	struct ist_model *euclidean = sample_model(DIM, DIM, IST_EUCLIDEAN);
	struct ist_model *narrow = sample_model(DIM - 1, DIM, IST_COSINE);
	struct ist_generation *g = load_base(), *none;
	struct ist_err err;

	g->base[IST_IMAGE].rows[N_BASE - 1] += 5;
	assert_ist_ok(ist_generation_save(g, other, &err));
	ist_generation_unref(g);
	assert_ist_ok(ist_file_read(from, 1 << 24, &ids, &err));
	assert_ist_ok(ist_file_read(to, 1 << 24, &old, &err));
	assert_ist_ok(ist_file_write(to, ids.data, ids.len, &err));
	assert_int_equal(ist_generation_load(shared.model, folder, &none, &err), IST_CORRUPT);
	assert_ist_ok(ist_file_write(to, old.data, old.len, &err));
	assert_int_equal(ist_generation_load(euclidean, folder, &none, &err), IST_CORRUPT);
	assert_int_equal(ist_generation_load(narrow, folder, &none, &err), IST_CORRUPT);
	ist_model_unref(euclidean);
	ist_model_unref(narrow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_base_is_a_measured_graph),
	    cmocka_unit_test(a_merge_equals_a_rebuild),
	    cmocka_unit_test(many_deaths_are_left_behind),
	    cmocka_unit_test(what_happens_meanwhile_is_carried),
	    cmocka_unit_test(kinds_change_with_size),
	    cmocka_unit_test(a_merge_can_be_stopped),
	    cmocka_unit_test(unsuited_data_fall_back_to_exact),
	    cmocka_unit_test(filters_by_walk_and_by_scan),
	    cmocka_unit_test(a_loaded_one_answers_alike),
	    cmocka_unit_test(damaged_parts),
	    cmocka_unit_test(every_byte_of_the_manifest),
	    cmocka_unit_test(parts_that_do_not_belong_together),
	};

	return cmocka_run_group_tests(tests, make_base, release_base);
}
