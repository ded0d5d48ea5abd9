/*
 * The pool of decoder processes: the real program on every kind of picture, from one thread and
 * from four; and a program that misbehaves, to see that one request pays and nobody else.
 * DECODER and FAKE are the programs' paths, from meson.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/decoders.h"
#include "tests/unit/decode/fixtures.h"
#include "tests/unit/test.h"

#define PATIENCE_MS 60000

static const struct ist_frame full = {.geometry = IST_GEOMETRY_WHOLE},
			      small = {.geometry = IST_GEOMETRY_WHOLE, .side = 64};

static atomic_int n_lost, n_started;
static char started_text[256];

static void on_event(void *user, int level, const char *event, const char *text)
{
	if (strcmp(event, "decoder_lost") == 0)
		n_lost++;
	if (strcmp(event, "decoder_started") == 0 && n_started++ == 0)
		snprintf(started_text, sizeof(started_text), "%s", text);
}

static struct ist_decoders *pool(const char *program, size_t n, uint32_t timeout_ms)
{
	struct ist_decoders_options options = {.program = program,
					       .n = n,
					       .max_pixels = 1000000,
					       .timeout_ms = timeout_ms,
					       .event = on_event};

	n_lost = n_started = 0;
	return ist_decoders_create(&options);
}

static void decode_all(struct ist_decoders *d, const struct fixture *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ist_decoded decoded = {0};
		struct ist_err err = {0};
		enum ist_code code = ist_decoders_decode(d, all[i].file.data, all[i].file.len,
							 &full, &decoded, &err);

		/* librsvg is optional. */
		if (code != IST_OK && strstr(err.text, "librsvg") != NULL)
			continue;
		if (code != IST_OK)
			fail_msg("%s: %s", all[i].name, err.text);
		assert_string_equal(decoded.type, all[i].type);
		fixture_check(&all[i], decoded.pixels.width, decoded.pixels.height,
			      decoded.pixels.rgb);
		ist_decoded_finish(&decoded);
	}
}

static void test_every_kind(void **state)
{
	size_t n;
	struct fixture *all = fixtures_read(&n);
	struct ist_decoders *d = pool(DECODER, 1, PATIENCE_MS);

	decode_all(d, all, n);
	assert_int_equal(n_lost, 0);
	assert_non_null(strstr(started_text, "landlock"));
	assert_non_null(strstr(started_text, "seccomp"));
	ist_decoders_destroy(d);
	fixtures_free(all, n);
}

static void test_thumbnail(void **state)
{
	size_t n;
	struct fixture *all = fixtures_read(&n);
	const struct fixture *f = fixture_find(all, n, "exif6.jpg");
	struct ist_decoders *d = pool(DECODER, 1, PATIENCE_MS);
	struct ist_decoded decoded = {0};
	struct ist_buf buf = {0};
	struct ist_err err;
	const char *type = NULL;

	assert_ist_ok(ist_decoders_thumbnail(d, f->file.data, f->file.len, 24, &buf, &type, &err));
	assert_string_equal(type, "image/jpeg");
	assert_ist_ok(ist_decoders_decode(d, buf.data, buf.len, &full, &decoded, &err));
	assert_string_equal(decoded.type, "image/jpeg");
	assert_int_equal(decoded.width, 16);
	assert_int_equal(decoded.height, 24);
	ist_decoded_finish(&decoded);
	ist_buf_finish(&buf);
	ist_decoders_destroy(d);
	fixtures_free(all, n);
}

static void test_bad_pictures(void **state)
{
	size_t n;
	struct fixture *bombs = bombs_read(&n);
	struct ist_decoders *d = pool(DECODER, 1, PATIENCE_MS);
	struct ist_decoded decoded;
	struct ist_err err;

	for (size_t i = 0; i < n; i++) {
		enum ist_code code = ist_decoders_decode(d, bombs[i].file.data, bombs[i].file.len,
							 &small, &decoded, &err);

		if (code != IST_IMAGE_TOO_LARGE && strstr(err.text, "librsvg") == NULL)
			fail_msg("%s: %d %s", bombs[i].name, code, err.text);
	}
	assert_int_equal(ist_decoders_decode(d, "", 0, &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_int_equal(ist_decoders_decode(d, "hello", 5, &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_non_null(strstr(err.text, "known format"));
	assert_int_equal(ist_decoders_decode(d, "x", (size_t)1 << 40, &full, &decoded, &err),
			 IST_IMAGE_TOO_LARGE);
	assert_int_equal(n_lost, 0);
	ist_decoders_destroy(d);
	fixtures_free(bombs, n);
}

struct crowd {
	struct ist_decoders *d;
	struct fixture *all;
	size_t n;
};

static void *crowd_member(void *user)
{
	struct crowd *c = user;

	decode_all(c->d, c->all, c->n);
	return NULL;
}

static void test_four_threads(void **state)
{
	struct crowd c = {.d = pool(DECODER, 2, PATIENCE_MS)};
	pthread_t threads[4];

	c.all = fixtures_read(&c.n);
	for (size_t i = 0; i < IST_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &c), 0);
	for (size_t i = 0; i < IST_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_lost, 0);
	ist_decoders_destroy(c.d);
	fixtures_free(c.all, c.n);
}

static void test_missing_program(void **state)
{
	struct ist_decoders *d = pool("/nowhere/isthmus-decode", 1, PATIENCE_MS);
	struct ist_decoded decoded;
	struct ist_err err;

	assert_int_equal(ist_decoders_decode(d, "x", 1, &full, &decoded, &err), IST_UNAVAILABLE);
	assert_non_null(strstr(err.text, "/nowhere/isthmus-decode"));
	ist_decoders_destroy(d);
	d = pool("/bin/true", 1, PATIENCE_MS);
	assert_int_equal(ist_decoders_decode(d, "x", 1, &full, &decoded, NULL), IST_UNAVAILABLE);
	ist_decoders_destroy(d);
}

/* A picture that must fail with IST_IMAGE_UNDECODABLE, after which a good one succeeds. */
static void assert_one_pays(struct ist_decoders *d, const char *picture)
{
	struct ist_decoded decoded = {0};
	struct ist_err err;

	assert_int_equal(ist_decoders_decode(d, picture, strlen(picture), &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_ist_ok(ist_decoders_decode(d, "G", 1, &full, &decoded, &err));
	assert_memory_equal(decoded.pixels.rgb, "\1\2\3", 3);
	ist_decoded_finish(&decoded);
}

static void test_misbehaviour(void **state)
{
	struct ist_decoders *d = pool(FAKE, 1, PATIENCE_MS);
	struct ist_decoded decoded;
	struct ist_err err;

	assert_one_pays(d, "D");
	assert_int_equal(n_lost, 1);
	assert_one_pays(d, "N");
	assert_int_equal(n_lost, 2);
	assert_one_pays(d, "S");
	assert_int_equal(n_lost, 3);
	/* A long text is cut and cleaned, not a crime. */
	assert_one_pays(d, "T");
	assert_int_equal(n_lost, 3);
	assert_int_equal(ist_decoders_decode(d, "T", 1, &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_int_equal(err.text[0], '?');
	/* The same bytes are not tried again. */
	assert_int_equal(ist_decoders_decode(d, "D", 1, &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_non_null(strstr(err.text, "not tried again"));
	assert_int_equal(n_lost, 3);
	ist_decoders_destroy(d);
}

static void test_timeout(void **state)
{
	struct ist_decoders *d = pool(FAKE, 1, 50);
	struct ist_decoded decoded = {0};
	struct ist_err err;

	assert_int_equal(ist_decoders_decode(d, "H", 1, &full, &decoded, &err),
			 IST_IMAGE_UNDECODABLE);
	assert_non_null(strstr(err.text, "too long"));
	ist_decoders_destroy(d);
	/* With time enough for the next one on a busy machine. */
	d = pool(FAKE, 1, PATIENCE_MS);
	assert_ist_ok(ist_decoders_decode(d, "G", 1, &full, &decoded, &err));
	ist_decoded_finish(&decoded);
	ist_decoders_destroy(d);
}

/* The only child of this process whose name is `comm`, or 0. */
static pid_t child_named(const char *comm)
{
	DIR *dir = opendir("/proc");
	pid_t found = 0;

	assert_non_null(dir);
	for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
		ist_autofree char *path = ist_format("/proc/%s/stat", d->d_name);
		char line[512] = "", name[64] = "";
		FILE *f = fopen(path, "r");
		int pid = 0, parent = 0;

		if (f == NULL)
			continue;
		if (fgets(line, sizeof(line), f) != NULL &&
		    sscanf(line, "%d (%63[^)]) %*c %d", &pid, name, &parent) == 3 &&
		    parent == getpid() && strcmp(name, comm) == 0)
			found = pid;
		fclose(f);
	}
	closedir(dir);
	return found;
}

static void *decode_hanging(void *user)
{
	struct ist_decoded decoded;
	struct ist_err err;
	enum ist_code code = ist_decoders_decode(user, "H", 1, &full, &decoded, &err);

	return (void *)(uintptr_t)code;
}

/* kill -9 while a picture is being decoded: that request fails, the next succeeds. */
static void test_killed_in_mid_picture(void **state)
{
	struct ist_decoders *d = pool(FAKE, 1, PATIENCE_MS);
	struct ist_decoded decoded = {0};
	struct ist_err err;
	pthread_t thread;
	void *code;
	pid_t pid = 0;

	assert_int_equal(pthread_create(&thread, NULL, decode_hanging, d), 0);
	while ((pid = child_named("hanging")) == 0)
		sched_yield();
	assert_int_equal(kill(pid, SIGKILL), 0);
	pthread_join(thread, &code);
	assert_int_equal((uintptr_t)code, IST_IMAGE_UNDECODABLE);
	assert_ist_ok(ist_decoders_decode(d, "G", 1, &full, &decoded, &err));
	ist_decoded_finish(&decoded);
	ist_decoders_destroy(d);
}

/* A decoder that dies between two pictures costs nobody anything. */
static void test_killed_while_idle(void **state)
{
	struct ist_decoders *d = pool(DECODER, 1, PATIENCE_MS);
	struct ist_decoded decoded = {0};
	struct ist_err err;
	size_t n;
	struct fixture *all = fixtures_read(&n);
	const struct fixture *f = fixture_find(all, n, "rgb8.png");

	for (int turn = 0; turn < 3; turn++) {
		siginfo_t info;
		pid_t pid;

		assert_ist_ok(
		    ist_decoders_decode(d, f->file.data, f->file.len, &full, &decoded, &err));
		ist_decoded_finish(&decoded);
		pid = child_named("isthmus-decode");
		assert_true(pid > 0);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	}
	assert_int_equal(n_lost, 0);
	ist_decoders_destroy(d);
	fixtures_free(all, n);
}

TEST_MAIN(cmocka_unit_test(test_every_kind), cmocka_unit_test(test_thumbnail),
	  cmocka_unit_test(test_bad_pictures), cmocka_unit_test(test_four_threads),
	  cmocka_unit_test(test_missing_program), cmocka_unit_test(test_misbehaviour),
	  cmocka_unit_test(test_timeout), cmocka_unit_test(test_killed_in_mid_picture),
	  cmocka_unit_test(test_killed_while_idle))
