/*
 * The cache of encodings: what is put is found, also by the next that opens the file; what is
 * damaged is never believed and costs only the file; the size stays within its bound.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/encoding_cache.h"
#include "tests/unit/test.h"

#define DIM 320
#define MIB ((uint64_t)1 << 20)

static char folder[] = "/tmp/isthmus-cache-XXXXXX";
static char path[64];
static int n_dropped;

static void on_event(void *user, int level, const char *event, const char *text)
{
	assert_string_equal(event, "encoding_cache_dropped");
	n_dropped++;
}

static struct ist_encoding_cache *cache_of(uint64_t max_bytes)
{
	struct ist_encoding_cache_options options = {
	    .path = path, .max_bytes = max_bytes, .event = on_event};

	n_dropped = 0;
	return ist_encoding_cache_create(&options);
}

static int fresh_folder(void **state)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/cache/encodings.db", folder);
	return 0;
}

static int remove_folder(void **state)
{
	struct ist_err err;

	return ist_dir_remove(folder, &err) == IST_OK ? 0 : -1;
}

/* Everything about it depends on the number. */
static struct ist_encoding make(unsigned number, float vector[DIM])
{
	struct ist_encoding e = {
	    .width = number + 1, .height = number + 2, .vector = vector, .dim = DIM};

	ist_sha256(&number, sizeof(number), e.key);
	snprintf(e.type, sizeof(e.type), "image/t%u", number);
	for (size_t j = 0; j < DIM; j++)
		vector[j] = (float)number + (float)j / DIM;
	return e;
}

static void put(struct ist_encoding_cache *cache, unsigned number)
{
	float vector[DIM];
	struct ist_encoding e = make(number, vector);

	ist_encoding_cache_put(cache, &e, 1);
}

static void put_many(struct ist_encoding_cache *cache, unsigned from, unsigned n)
{
	float(*vectors)[DIM] = ist_alloc(n, sizeof(*vectors));
	struct ist_encoding *list = ist_alloc(n, sizeof(*list));

	for (unsigned i = 0; i < n; i++)
		list[i] = make(from + i, vectors[i]);
	ist_encoding_cache_put(cache, list, n);
	free(list);
	free(vectors);
}

/* Whether it is there; then it is whole. */
static bool has(struct ist_encoding_cache *cache, unsigned number)
{
	float wanted[DIM], got[DIM] = {0};
	struct ist_encoding e = make(number, wanted), found = {.vector = got, .dim = DIM};

	memcpy(found.key, e.key, sizeof(found.key));
	if (!ist_encoding_cache_get(cache, &found))
		return false;
	assert_memory_equal(got, wanted, sizeof(got));
	assert_string_equal(found.type, e.type);
	assert_int_equal(found.width, e.width);
	assert_int_equal(found.height, e.height);
	return true;
}

static void test_kept(void **state)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);
	struct ist_encoding look = {.type = "image/png", .width = 3, .height = 4}, found = {0};

	assert_false(has(cache, 1));
	put_many(cache, 1, 100);
	put(cache, 50); /* once more: no harm */
	assert_true(has(cache, 1) && has(cache, 100));
	assert_false(has(cache, 101));
	ist_encoding_cache_put(cache, &look, 1); /* only what the picture is */
	assert_true(ist_encoding_cache_get(cache, &found));
	assert_int_equal(found.height, 4);
	ist_encoding_cache_destroy(cache);
	cache = cache_of(16 * MIB);
	assert_int_equal(ist_encoding_cache_bytes(cache), 0); /* not opened */
	for (unsigned i = 1; i <= 100; i++)
		assert_true(has(cache, i));
	assert_true(ist_encoding_cache_bytes(cache) > 100 * DIM * sizeof(float));
	assert_int_equal(n_dropped, 0);
	ist_encoding_cache_destroy(cache);
}

/* A key with a vector of another width is no answer. */
static void test_width(void **state)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);
	float vector[DIM];
	struct ist_encoding e = make(1, vector);

	put(cache, 1);
	e.dim = DIM - 1;
	assert_false(ist_encoding_cache_get(cache, &e));
	assert_true(has(cache, 1));
	ist_encoding_cache_destroy(cache);
}

static void test_off(void **state)
{
	struct ist_encoding_cache *cache = cache_of(0);

	put(cache, 1);
	assert_false(has(cache, 1));
	assert_int_equal(access(path, F_OK), -1);
	ist_encoding_cache_destroy(cache);
}

static uint64_t file_bytes(void)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	return (uint64_t)info.st_size;
}

/* The newest stay, the oldest go, and the file does not grow beyond its bound and one batch. */
static void test_bounded(void **state)
{
	const unsigned n = 6000;
	struct ist_encoding_cache *cache = cache_of(2 * MIB);

	for (unsigned i = 0; i < n; i += 100) {
		put_many(cache, i, 100);
		assert_true(ist_encoding_cache_bytes(cache) <= 2 * MIB);
		assert_true(has(cache, i + 99) && has(cache, i));
	}
	assert_false(has(cache, 0));
	assert_int_equal(n_dropped, 0);
	ist_encoding_cache_destroy(cache);
	assert_true(file_bytes() <= 2 * MIB + 300 * DIM * sizeof(float));
	cache = cache_of(MIB / 2); /* much smaller now: begun anew */
	assert_false(has(cache, n - 1));
	assert_int_equal(n_dropped, 1);
	put(cache, 1);
	assert_true(has(cache, 1));
	ist_encoding_cache_destroy(cache);
	assert_true(file_bytes() < MIB / 2);
}

/* ---- damage ---- */

static void fill(void)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);

	put_many(cache, 0, 200);
	ist_encoding_cache_destroy(cache);
}

/* Whatever was done to the file: no wrong vector, no crash, and it serves again. */
static void check_serves(bool *ret_dropped)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);

	for (unsigned i = 0; i < 200; i++)
		has(cache, i);
	put(cache, 1000);
	if (!has(cache, 1000)) { /* the damage was met while putting */
		put(cache, 1000);
		assert_true(has(cache, 1000));
	}
	*ret_dropped = n_dropped > 0;
	ist_encoding_cache_destroy(cache);
}

static void overwrite(off_t at, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), len);
	close(fd);
}

static void test_no_database(void **state)
{
	bool dropped;

	fill();
	overwrite(0, "this is no database at all.....................", 40);
	check_serves(&dropped);
	assert_true(dropped);
	fill();
	assert_int_equal(truncate(path, 100), 0);
	check_serves(&dropped);
	assert_true(dropped);
	fill();
	assert_int_equal(truncate(path, (off_t)file_bytes() / 2 / 4096 * 4096), 0);
	check_serves(&dropped);
	assert_true(dropped);
}

/* SQLite does not notice a changed number; the row's checksum does. Some of the places are free
 * space, where nothing is changed. */
static void test_changed_byte(void **state)
{
	size_t n = 0, n_noticed = 0;

	for (off_t at = 4096 + 2000; at < 200000; at += 13 * 4096) {
		bool dropped;

		fill();
		overwrite(at, "\xa5\x5a\xa5", 3);
		check_serves(&dropped);
		n_noticed += dropped;
		n++;
	}
	assert_true(n_noticed > n / 2);
}

static void test_other_version(void **state)
{
	sqlite3 *sql;
	bool dropped;

	fill();
	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sql);
	check_serves(&dropped);
	assert_true(dropped);
}

/* Nothing can be kept: said once, and no more. */
static void test_no_folder(void **state)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);
	ist_autofree char *parent = ist_format("%s/cache", folder);
	int fd = open(parent, O_WRONLY | O_CREAT, 0600);

	close(fd); /* a file stands where the folder should be */
	put(cache, 1);
	assert_false(has(cache, 1));
	assert_int_equal(n_dropped, 1);
	ist_encoding_cache_destroy(cache);
}

static void *work(void *user)
{
	struct ist_encoding_cache *cache = user;

	for (unsigned i = 0; i < 300; i++) {
		put(cache, i);
		assert_true(has(cache, i));
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct ist_encoding_cache *cache = cache_of(16 * MIB);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, cache), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_dropped, 0);
	ist_encoding_cache_destroy(cache);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_folder, remove_folder)

TEST_MAIN(TEST(test_kept), TEST(test_width), TEST(test_off), TEST(test_bounded),
	  TEST(test_no_database), TEST(test_changed_byte), TEST(test_other_version),
	  TEST(test_no_folder), TEST(test_threads))
