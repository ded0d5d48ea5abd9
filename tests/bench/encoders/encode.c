/*
 * Our side of the comparison (run): an encoder folder at work, told by lines of JSON what to do.
 *
 *   encode FOLDER
 *   {"threads": 1, "reps": 10, "texts": ["…", …]}   -> the seconds of each call, one list a line
 *
 * A call encodes all texts of the line, from their bytes to features.
 */
#include <omp.h>
#include <stdio.h>
#include <time.h>

#include "core/base/memory.h"
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

		omp_set_num_threads((int)json_integer_value(json_object_get(task, "threads")));
		code = time_texts(encoder, ws, json_object_get(task, "texts"),
				  json_integer_value(json_object_get(task, "reps")));
		json_decref(task);
	}
	free(line);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
	return code;
}
