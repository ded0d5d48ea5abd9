/*
 * What an encoder does by itself, without a server: pictures (squares of noise, as the decoder
 * hands them on) or texts (one at a time, or many together) for some seconds, on so many threads.
 * Prints one JSON line: media a second, the milliseconds of a call and the CPU time in them.
 *
 *   rate FOLDER pictures THREADS SECONDS
 *   rate FOLDER texts THREADS SECONDS FILE TOGETHER       FILE: a text a line
 */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/encode/encoder.h"

#define CALLS_MAX 1000000

static const struct ist_encoder *encoder;
static double seconds;
static struct ist_str *texts;
static size_t n_texts, together = 1;

struct runner {
	pthread_t thread;
	struct ist_pixels pixels;
	size_t first, n;
	double cpu_ms;
	double *ms; /* (CALLS_MAX) of each call */
};

static double clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void call(struct runner *r, struct ist_encoder_workspace *ws, float *ret)
{
	struct ist_err err = {0};
	enum ist_code code;

	if (texts == NULL)
		code = ist_encoder_image(encoder, ws, &r->pixels, ret, &err);
	else
		code = ist_encoder_texts(
		    encoder, ws, texts + (r->first + r->n * together) % (n_texts - together + 1),
		    together, ret, &err);
	if (code != IST_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

static void *work(void *user)
{
	struct runner *r = user;
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	float *ret = ist_alloc(together * encoder->dim, sizeof(*ret));
	double end;

	omp_set_num_threads(1);
	for (int i = 0; i < 5; i++)
		call(r, ws, ret);
	r->cpu_ms = -clock_ms(CLOCK_THREAD_CPUTIME_ID);
	for (end = clock_ms(CLOCK_MONOTONIC) + seconds * 1e3;
	     clock_ms(CLOCK_MONOTONIC) < end && r->n < CALLS_MAX;) {
		double start = clock_ms(CLOCK_MONOTONIC);

		call(r, ws, ret);
		r->ms[r->n++] = clock_ms(CLOCK_MONOTONIC) - start;
	}
	r->cpu_ms += clock_ms(CLOCK_THREAD_CPUTIME_ID);
	free(ret);
	ist_encoder_workspace_destroy(ws);
	return NULL;
}

static void make_picture(struct runner *r, size_t i)
{
	uint32_t side = encoder->frame.side != 0 ? encoder->frame.side : 224;
	uint8_t *rgb = ist_alloc((size_t)side * side, 3);
	struct ist_rng rng;

	ist_rng_init(&rng, i, "picture");
	for (size_t k = 0; k < (size_t)side * side * 3; k++)
		rgb[k] = (uint8_t)ist_rng_u32(&rng);
	r->pixels = (struct ist_pixels){side, side, rgb,
					.framed = encoder->frame.geometry != IST_GEOMETRY_WHOLE};
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A text a line; the buffer stays for as long as the program runs. */
static void read_texts(const char *path)
{
	static struct ist_buf file;
	struct ist_err err;
	char *rest, *line;

	if (ist_file_read(path, (size_t)1 << 28, &file, &err) != IST_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (line = strtok_r(file.data, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		texts = ist_resize(texts, n_texts + 1, sizeof(*texts));
		texts[n_texts++] = (struct ist_str){line, strlen(line)};
	}
}

int main(int argc, char **argv)
{
	struct ist_encoder *open;
	struct runner runners[64] = {0};
	struct ist_err err = {0};
	size_t threads, n = 0;
	double total = 0, cpu = 0;

	if (argc < 5 || (strcmp(argv[2], "texts") == 0 && argc < 7)) {
		fprintf(stderr,
			"usage: rate FOLDER pictures|texts THREADS SECONDS [FILE TOGETHER]\n");
		return 2;
	}
	if (ist_encoder_open(NULL, argv[1], &open, &err) != IST_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	encoder = open;
	threads = IST_MIN(strtoul(argv[3], NULL, 10), IST_COUNT(runners));
	seconds = strtod(argv[4], NULL);
	if (strcmp(argv[2], "texts") == 0) {
		read_texts(argv[5]);
		together = IST_MAX(IST_MIN(strtoul(argv[6], NULL, 10), n_texts), 1);
	}
	for (size_t i = 0; i < threads; i++) {
		runners[i].ms = ist_alloc_raw(CALLS_MAX, sizeof(double));
		runners[i].first = i * 1000;
		if (texts == NULL)
			make_picture(&runners[i], i);
		if (pthread_create(&runners[i].thread, NULL, work, &runners[i]) != 0)
			return 1;
	}
	for (size_t i = 0; i < threads; i++) {
		pthread_join(runners[i].thread, NULL);
		n += runners[i].n;
		cpu += runners[i].cpu_ms;
		for (size_t k = 0; k < runners[i].n; k++)
			total += runners[i].ms[k];
	}
	qsort(runners[0].ms, runners[0].n, sizeof(double), ascending);
	printf("{\"per_second\": %.1f, \"p50_ms\": %.3f, \"mean_ms\": %.3f, \"cpu_ms\": %.3f, "
	       "\"calls\": %zu}\n",
	       (double)(n * together) / seconds, runners[0].ms[runners[0].n / 2], total / (double)n,
	       cpu / (double)n, n);
	return 0;
}
