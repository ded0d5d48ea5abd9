/*
 * Our side of the comparison (run): an encoder folder at work, told by lines of JSON what to do.
 *
 *   encode FOLDER
 *   {"threads": 1, "reps": 10, "texts": ["…", …]}   -> the seconds of each call, one list a line
 *   {"threads": 1, "reps": 10, "pictures": 16}
 *
 * A call encodes all texts of the line, from their bytes to features, or so many pictures that are
 * in the encoder's square already: one by all threads together, several by each thread some.
 */
#include <omp.h>
#include <stdio.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/encode/encoder.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(const struct ist_err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return 1;
}

static int time_texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
		      const json_t *list, json_int_t reps)
{
	size_t n = json_array_size(list);
	ist_autofree struct ist_str *texts = ist_alloc(n, sizeof(*texts));
	ist_autofree float *x = ist_alloc(n * encoder->dim, sizeof(*x));
	struct ist_err err = {0};

	for (size_t i = 0; i < n; i++)
		texts[i] = (struct ist_str){json_string_value(json_array_get(list, i)),
					    json_string_length(json_array_get(list, i))};
	printf("[");
	for (json_int_t r = 0; r < reps; r++) {
		double start = now();

		if (ist_encoder_texts(encoder, ws, texts, n, x, &err) != IST_OK)
			return fail(&err);
		printf("%s%.9f", r > 0 ? ", " : "", now() - start);
	}
	printf("]\n");
	fflush(stdout);
	return 0;
}

/* One picture, of noise, as often as is wanted. */
static uint8_t *make_picture(uint32_t side)
{
	size_t n = (size_t)side * side * 3;
	uint8_t *rgb = ist_alloc(n, 1);
	struct ist_rng rng;

	ist_rng_init(&rng, 1, "picture");
	for (size_t i = 0; i < n; i++)
		rgb[i] = (uint8_t)ist_rng_below(&rng, 256);
	return rgb;
}

static int encode_pictures(const struct ist_encoder *encoder, const struct ist_pixels *pixels,
			   size_t n, int threads)
{
	int failed = 0;

#pragma omp parallel num_threads(threads) reduction(+ : failed)
	{
		struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
		ist_autofree float *x = ist_alloc(encoder->dim, sizeof(*x));
		struct ist_err err = {0};

		omp_set_num_threads(1);
#pragma omp for schedule(dynamic)
		for (size_t i = 0; i < n; i++) {
			if (ist_encoder_image(encoder, ws, pixels, x, &err) != IST_OK)
				failed += fail(&err);
		}
		ist_encoder_workspace_destroy(ws);
	}
	return failed;
}

static int time_pictures(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			 size_t n, int threads, json_int_t reps)
{
	uint32_t side = encoder->frame.side;
	ist_autofree uint8_t *rgb = make_picture(side);
	ist_autofree float *x = ist_alloc(encoder->dim, sizeof(*x));
	const struct ist_pixels pixels = {side, side, rgb, .framed = true};
	struct ist_err err = {0};

	printf("[");
	for (json_int_t r = 0; r < reps; r++) {
		double start = now();

		if (n > 1 && encode_pictures(encoder, &pixels, n, threads) != 0)
			return 1;
		if (n == 1 && ist_encoder_image(encoder, ws, &pixels, x, &err) != IST_OK)
			return fail(&err);
		printf("%s%.9f", r > 0 ? ", " : "", now() - start);
	}
	printf("]\n");
	fflush(stdout);
	return 0;
}

static int run_task(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
		    const json_t *task)
{
	int threads = (int)json_integer_value(json_object_get(task, "threads"));
	json_int_t reps = json_integer_value(json_object_get(task, "reps"));
	const json_t *pictures = json_object_get(task, "pictures");

	omp_set_num_threads(threads);
	if (pictures != NULL)
		return time_pictures(encoder, ws, (size_t)json_integer_value(pictures), threads,
				     reps);
	return time_texts(encoder, ws, json_object_get(task, "texts"), reps);
}

int main(int argc, char **argv)
{
	struct ist_encoder *encoder = NULL;
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_err err = {0};
	char *line = NULL;
	size_t room = 0;
	int code = 0;

	if (argc != 2 || ist_encoder_open(NULL, argv[1], &encoder, &err) != IST_OK)
		return argc != 2 ? 2 : fail(&err);
	while (code == 0 && getline(&line, &room, stdin) > 0) {
		json_t *task = json_loads(line, 0, NULL);

		code = run_task(encoder, ws, task);
		json_decref(task);
	}
	free(line);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
	return code;
}
