/*
 * Settings, tensors and statistics of the figures' drivers. Nothing here knows a method.
 */
#include "tests/figures/runs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/train/stats.h"

void runs_die(const char *what, const char *why)
{
	fprintf(stderr, "figures: %s: %s\n", what, why);
	exit(1);
}

void runs_check(enum ist_code code, const struct ist_err *err)
{
	if (code != IST_OK)
		runs_die("failed", err->text);
}

double runs_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void print_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');

		printf(" %s", slash != NULL ? slash + 1 : argv[i]);
	}
	printf("\n");
}

int options_read(int argc, char **argv, const struct run_option *table)
{
	int at = 1;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		const struct run_option *o = table;
		const char *value = argv[at + 1];

		while (o->name != NULL && strcmp(argv[at], o->name) != 0)
			o++;
		if (o->number != NULL)
			*o->number = strtoull(value, NULL, 10);
		else if (o->text != NULL)
			*o->text = value;
		else if (o->part != NULL)
			*o->part = strcmp(value, "validation") == 0 ? IST_VALIDATION : IST_TEST;
	}
	return at;
}

/* ---- settings ---- */

size_t settings_read(const char *path, const char *method, json_t **ret_file,
		     struct setting ret[SETTINGS_MOST])
{
	json_error_t where;
	json_t *file = json_load_file(path, 0, &where), *params;
	const char *title;
	size_t n = 0;

	if (!json_is_object(file))
		runs_die(path, where.text);
	json_object_foreach(file, title, params)
	{
		const json_t *named = json_object_get(params, "method");

		if (n == SETTINGS_MOST)
			runs_die(path, "too many settings");
		ret[n] = (struct setting){.title = title, .method = method, .params = params};
		if (named != NULL)
			ret[n].method = ist_strdup(json_string_value(named));
		json_object_del(params, "method");
		n++;
	}
	*ret_file = file;
	return n;
}

/* ---- tensors ---- */

static const struct ist_safetensor *find(const struct ist_safetensors *file, const char *name)
{
	const struct ist_safetensor *t = ist_safetensors_find(file, name);

	if (t == NULL)
		runs_die(name, "no such tensor in the file");
	return t;
}

float *runs_floats(const struct ist_safetensors *file, const char *name, size_t shape[2])
{
	const struct ist_safetensor *t = find(file, name);
	struct ist_err err;
	float *x;

	memcpy(shape, t->shape, 2 * sizeof(*shape));
	x = ist_alloc(shape[0] * shape[1], sizeof(*x));
	runs_check(ist_safetensors_read_f32(file, name, 2, shape, x, &err), &err);
	return x;
}

int64_t *runs_integers(const struct ist_safetensors *file, const char *name, size_t *ret_n)
{
	const struct ist_safetensor *t = find(file, name);
	struct ist_err err;
	int64_t *x;

	*ret_n = t->shape[0];
	x = ist_alloc(*ret_n, sizeof(*x));
	runs_check(ist_safetensors_read_i64(file, name, 1, ret_n, x, &err), &err);
	return x;
}

uint32_t *runs_rows(const struct ist_safetensors *file, const char *name, size_t *ret_n)
{
	ist_autofree int64_t *x = runs_integers(file, name, ret_n);
	uint32_t *rows = ist_alloc(*ret_n, sizeof(*rows));

	for (size_t i = 0; i < *ret_n; i++)
		rows[i] = (uint32_t)x[i];
	return rows;
}

uint8_t *runs_bytes(const struct ist_safetensors *file, const char *name, size_t *ret_n)
{
	ist_autofree int64_t *x = runs_integers(file, name, ret_n);
	uint8_t *bytes = ist_alloc(*ret_n, 1);

	for (size_t i = 0; i < *ret_n; i++)
		bytes[i] = (uint8_t)x[i];
	return bytes;
}

/* ---- statistics ---- */

struct mean_sd mean_sd_of(const double *x, size_t n)
{
	struct mean_sd ret = {0};

	for (size_t i = 0; i < n; i++)
		ret.mean += x[i] / (double)n;
	for (size_t i = 0; n > 1 && i < n; i++)
		ret.sd += (x[i] - ret.mean) * (x[i] - ret.mean) / (double)(n - 1);
	ret.sd = sqrt(ret.sd);
	return ret;
}

static double *difference(const double *a, const double *b, size_t n, double *ret_mean)
{
	double *x = ist_alloc(n, sizeof(*x));

	*ret_mean = 0;
	for (size_t q = 0; q < n; q++) {
		x[q] = a[q] - b[q];
		*ret_mean += x[q] / (double)n;
	}
	return x;
}

/* One row against the first; of_run (runs): each run's own. */
static struct ist_interval compare(const struct paired *row, const struct paired *first,
				   const size_t *n, size_t runs, double *of_run, double *ret_p)
{
	struct ist_interval found;
	double *x[RUNS_MOST];

	for (size_t run = 0; run < runs; run++)
		x[run] = difference(row->value[run], first->value[run], n[run], &of_run[run]);
	found = ist_bootstrap_levels((const double *const *)x, n, runs, IST_DRAWS_LEVELS, 0, ret_p);
	for (size_t run = 0; run < runs; run++)
		free(x[run]);
	return found;
}

void print_paired(const char *what, const struct paired *rows, size_t n_rows, const size_t *n,
		  size_t runs)
{
	struct ist_interval found[SETTINGS_MOST];
	double p[SETTINGS_MOST], of_run[SETTINGS_MOST][RUNS_MOST];

	if (n_rows < 2)
		return;
	for (size_t r = 1; r < n_rows; r++)
		found[r - 1] = compare(&rows[r], &rows[0], n, runs, of_run[r - 1], &p[r - 1]);
	ist_holm(p, n_rows - 1);
	printf("\n| %s - %s | difference | 95 %% | each run | p (Holm) |\n|---|---|---|---|---|\n",
	       what, rows[0].title);
	for (size_t r = 0; r + 1 < n_rows; r++) {
		printf("| %s | %+.4f | [%+.4f, %+.4f] |", rows[r + 1].title, found[r].value,
		       found[r].low, found[r].high);
		for (size_t run = 0; run < runs; run++)
			printf(" %+.3f", of_run[r][run]);
		printf(" | %.3f |\n", p[r]);
	}
}
