/*
 * Imports without HTTP, with the real decoder and a small CLIP (GOLDEN): results and their order do
 * not depend on how records fall into batches, and what was encoded once is not encoded again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/decoders.h"
#include "server/encoders.h"
#include "server/http_server.h"
#include "server/import.h"
#include "server/json.h"
#include "server/log.h"
#include "server/recent.h"
#include "tests/unit/test.h"

#define DIM 20 /* of GOLDEN/clip */
#define SIDE 6
#define BMP_HEAD 54
#define BMP_SIZE (BMP_HEAD + SIDE * SIDE * 4)
#define N 400 /* over several batches */

static struct ist_daemon daemon_;
static struct ist_collection *collection;
static char folder[] = "/tmp/isthmus-import-XXXXXX";

static void start_decoders(const char *program)
{
	struct ist_decoders_options options = {
	    .program = program, .n = 2, .max_pixels = 1000000, .timeout_ms = 60000};

	ist_decoders_destroy(daemon_.decoders);
	daemon_.decoders = ist_decoders_create(&options);
}

static struct ist_collection *open_collection(const char *name)
{
	static const struct ist_encoder_ref refs[] = {{"clip", DIM}, {"clip", DIM}};
	static const bool counts[IST_N_MODALITIES];
	struct ist_collection *c = NULL;
	struct ist_err err = {0};
	bool created;

	assert_ist_ok(ist_store_collection_put(daemon_.store, name, refs, counts, true, NULL,
					       &created, &c, &err));
	return c;
}

static int start(void **state)
{
	static const char *const encoders[] = {GOLDEN, NULL};
	ist_autofree char *path = NULL;
	struct ist_store_options store = {0};
	struct ist_err err = {0};

	ist_log_init(IST_LOG_ERROR, false);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	if (mkdtemp(folder) == NULL || ist_store_open(folder, &store, &daemon_.store, &err))
		return -1;
	path = ist_format("%s/cache/encodings.db", folder);
	daemon_.encoders = ist_encoders_create(NULL, encoders);
	start_decoders(DECODER);
	daemon_.gate = ist_encode_gate_create(2);
	daemon_.recent = ist_recent_create();
	daemon_.cache = ist_encoding_cache_create(
	    &(struct ist_encoding_cache_options){.path = path, .max_bytes = 1 << 26});
	daemon_.crew = ist_workers_create(&daemon_, "crew", 2, 0, 0);
	collection = open_collection("c");
	return 0;
}

static int stop(void **state)
{
	struct ist_err err;

	ist_collection_unref(collection);
	ist_workers_destroy(daemon_.crew);
	ist_encoding_cache_destroy(daemon_.cache);
	ist_recent_destroy(daemon_.recent);
	ist_encode_gate_destroy(daemon_.gate);
	ist_decoders_destroy(daemon_.decoders);
	ist_encoders_destroy(daemon_.encoders);
	ist_store_close(daemon_.store);
	daemon_ = (struct ist_daemon){0};
	return ist_dir_remove(folder, &err) == IST_OK ? 0 : -1;
}

/* ---- an import ---- */

struct run {
	struct ist_import im;
	struct ist_spool spool;
};

static struct run *begin(struct ist_collection *c)
{
	struct run *run = ist_alloc(1, sizeof(*run));
	struct ist_err err = {0};

	assert_ist_ok(ist_spool_init(&run->spool, folder, &err));
	ist_import_init(&run->im, &daemon_, c, &run->spool, false);
	return run;
}

static struct ist_import_record *add(struct run *run, const char *line)
{
	struct ist_import_record *r;
	struct ist_err err = {0};

	assert_ist_ok(ist_import_add(&run->im, strlen(line), &r, &err));
	r->line = 1;
	ist_import_read_line(&run->im, r, (struct ist_str){line, strlen(line)});
	return r;
}

static void ready(struct run *run, struct ist_import_record *r)
{
	struct ist_err err = {0};

	assert_ist_ok(ist_import_ready(&run->im, r, &err));
}

static void step(struct run *run)
{
	struct ist_err err = {0};

	assert_ist_ok(ist_import_step(&run->im, &err));
}

/* Writes all; the result lines are the caller's to free. */
static char *end(struct run *run)
{
	struct ist_buf lines = {0};
	struct ist_err err = {0};
	char buffer[4096];
	ssize_t n;

	assert_ist_ok(ist_import_drain(&run->im, &err));
	assert_true(ist_import_is_idle(&run->im));
	lseek(run->spool.fd, 0, SEEK_SET);
	while ((n = read(run->spool.fd, buffer, sizeof(buffer))) > 0)
		ist_buf_put(&lines, buffer, (size_t)n);
	if (run->spool.buf.len > 0)
		ist_buf_put(&lines, run->spool.buf.data, run->spool.buf.len);
	ist_import_finish(&run->im);
	ist_spool_finish(&run->spool);
	free(run);
	return lines.data;
}

/* ---- what is imported ---- */

/* A picture of one colour, which the number says. */
static void put_bmp(uint8_t ret[BMP_SIZE], unsigned number)
{
	static const uint8_t head[BMP_HEAD] = {
	    'B',	 'M',	      [2] = BMP_SIZE, [10] = BMP_HEAD, [14] = 40,
	    [18] = SIDE, [22] = SIDE, [26] = 1,	      [28] = 32};

	memcpy(ret, head, sizeof(head));
	for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
		ret[BMP_HEAD + 4 * i] = (uint8_t)number;
		ret[BMP_HEAD + 4 * i + 1] = (uint8_t)(number >> 8);
		ret[BMP_HEAD + 4 * i + 2] = (uint8_t)(i * 7);
		ret[BMP_HEAD + 4 * i + 3] = 255;
	}
}

/* The record as it is when it has been read, with the picture of a number. */
static struct ist_import_record *add_picture(struct run *run, const char *id, unsigned number)
{
	ist_autofree char *line = ist_format("{\"id\":\"%s\",\"texts\":[\"picture %u\",\"a text "
					     "of its own, %u\"]}",
					     id, number, number / 2);
	struct ist_import_record *r = add(run, line);
	uint8_t *bmp = ist_arena_alloc(&run->im.now->arena, BMP_SIZE, 1);
	struct ist_item *item = &r->given.item;

	put_bmp(bmp, number);
	item->has_image = true;
	item->image.data = bmp;
	item->image.bytes = BMP_SIZE;
	ist_sha256_hex(bmp, BMP_SIZE, item->image.sha256);
	return r;
}

static void import_many(struct ist_collection *c, const char *status)
{
	struct run *run = begin(c);
	char id[16], wanted[80], *lines, *at;

	for (unsigned i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "p%03u", i);
		ready(run, add_picture(run, id, i));
	}
	lines = at = end(run);
	for (unsigned i = 0; i < N; i++) {
		snprintf(wanted, sizeof(wanted),
			 "{\"line\":1,\"id\":\"p%03u\",\"status\":\"%s\"}\n", i, status);
		assert_memory_equal(at, wanted, strlen(wanted));
		at += strlen(wanted);
	}
	assert_int_equal(*at, '\0');
	free(lines);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* ---- tests ---- */

/* In the order of the stream, and each with what its own picture and texts encode to. */
static void test_order(void **state)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct ist_err err = {0};
	struct ist_item item;
	float alone[2 * DIM];

	import_many(collection, "created");
	import_many(collection, "unchanged");
	for (unsigned i = 0; i < N; i += 37) {
		ist_autofree char *id = ist_format("p%03u", i);
		struct ist_encoder_ref ref = {"clip", DIM};
		struct ist_str texts[2];
		uint8_t bmp[BMP_SIZE];

		assert_ist_ok(ist_item_get(collection, id, true, &arena, &item, &err));
		assert_int_equal(item.image.width, SIDE);
		assert_string_equal(item.image.type, "image/bmp");
		put_bmp(bmp, i);
		assert_ist_ok(ist_feature_query_image(&daemon_, &ref, bmp, BMP_SIZE, alone, &err));
		for (size_t j = 0; j < DIM; j++)
			assert_float_equal(item.image_vector[j], alone[j], 1e-5);
		for (size_t t = 0; t < 2; t++)
			texts[t] = (struct ist_str){item.texts[t], strlen(item.texts[t])};
		assert_ist_ok(
		    ist_feature_texts(&daemon_, IST_TURN_QUERY, &ref, texts, 2, alone, &err));
		for (size_t j = 0; j < (size_t)2 * DIM; j++)
			assert_float_equal(item.text_vectors[j], alone[j], 1e-5);
	}
}

/* A second collection needs no decoder, and neither do the same pictures after a delete. */
static void test_cached(void **state)
{
	static const char *const all[] = {"p000", "p001"};
	struct ist_collection *other;
	struct ist_err err = {0};
	int64_t matched, deleted;

	import_many(collection, "created");
	start_decoders("/nonexistent");
	other = open_collection("other");
	import_many(other, "created");
	assert_ist_ok(ist_items_delete(other, NULL, all, 2, false, &matched, &deleted, &err));
	assert_int_equal(deleted, 2);
	ist_collection_unref(other);
	other = open_collection("third");
	import_many(other, "created");
	ist_collection_unref(other);
}

/* The store holds v1; v2 is under way when v1 comes again: it is no repetition. */
static void test_again(void **state)
{
	struct run *run = begin(collection);
	char *lines;

	ready(run, add_picture(run, "a", 1));
	free(end(run));
	run = begin(collection);
	ready(run, add_picture(run, "a", 2));
	step(run);
	ready(run, add_picture(run, "a", 1));
	ready(run, add_picture(run, "a", 1));
	lines = end(run);
	assert_int_equal(count(lines, "\"status\":\"updated\""), 2);
	assert_int_equal(count(lines, "\"status\":\"unchanged\""), 1);
	assert_true(strstr(lines, "unchanged") > strrchr(lines, '{'));
	free(lines);
}

/* A picture that is named by its hash while the record that brings it is under way. */
static void test_hash_under_way(void **state)
{
	struct run *run = begin(collection);
	struct ist_import_record *r = add_picture(run, "whole", 7);
	ist_autofree char *line = ist_format("{\"id\":\"named\",\"image\":{\"sha256\":\"%s\"}}",
					     r->given.item.image.sha256);
	ist_autofree char *none =
	    ist_format("{\"id\":\"none\",\"image\":{\"sha256\":\"%064d\"}}", 0);
	char *lines;

	ready(run, r);
	step(run);
	ready(run, add(run, line));
	step(run);
	ready(run, add(run, none));
	lines = end(run);
	assert_int_equal(count(lines, "\"status\":\"created\""), 2);
	assert_int_equal(count(lines, "\"code\":\"not_found\",\"detail\":\"/image/sha256: "), 1);
	free(lines);
}

/* A text that is refused, and a picture, cost their own records only; the picture's fault is told
 * where both are wrong. */
static void test_refused(void **state)
{
	static const char *const bad[] = {"good", "\xff\xfe"};
	struct run *run = begin(collection);
	struct ist_import_record *r;
	char *lines, *line;

	for (unsigned i = 0; i < 60; i++) {
		ist_autofree char *id = ist_format("r%u", i);

		r = add_picture(run, id, 1000 + i);
		if (i % 20 == 3 || i % 20 == 4)
			r->given.item.texts = bad;
		if (i % 20 == 4 || i % 20 == 5)
			memset((void *)r->given.item.image.data, 'x', BMP_SIZE);
		ready(run, r);
	}
	lines = end(run);
	line = lines;
	for (unsigned i = 0; i < 60; i++, line = strchr(line, '\n') + 1) {
		ist_autofree char *own = ist_strndup(line, (size_t)(strchr(line, '\n') - line));

		if (i % 20 == 4 || i % 20 == 5)
			assert_non_null(strstr(own, "\"image_undecodable\",\"detail\":\"/image: "));
		else if (i % 20 == 3)
			assert_non_null(strstr(own, "\"invalid\",\"detail\":\"/texts: "));
		else
			assert_non_null(strstr(own, "\"status\":\"created\"}"));
	}
	free(lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

TEST_MAIN(TEST(test_order), TEST(test_cached), TEST(test_again), TEST(test_hash_under_way),
	  TEST(test_refused))
