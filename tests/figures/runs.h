/* What the drivers of figures share: settings by hand, data files, means and paired differences. A
 * mistake ends the program. */
#ifndef IST_TESTS_FIGURES_RUNS_H
#define IST_TESTS_FIGURES_RUNS_H

#include "core/base/error.h"
#include "core/methods/method.h"
#include "core/tensor/safetensors.h"

#define RUNS_MOST 16	 /* seeds, folds or splits */
#define SETTINGS_MOST 16 /* of one table */

void runs_check(enum ist_code code, const struct ist_err *err);
void runs_die(const char *what, const char *why) __attribute__((noreturn));
double runs_now(void); /* seconds of a monotonic clock */
/* What a table was made with, files by their last names. */
void print_arguments(int argc, char **argv);

/* An option of a driver and where its value goes; `part` is IST_TEST unless it says validation. */
struct run_option {
	const char *name; /* "--seeds"; NULL ends a table */
	uint64_t *number; /* one of these */
	const char **text;
	enum ist_part *part;
};
/* Where the arguments that are no options begin. */
int options_read(int argc, char **argv, const struct run_option *table);

/* {"title": {parameters}, ...}: parameters of `method`, or of the one that a key "method" among
 * them names. */
struct setting {
	const char *title, *method;
	json_t *params; /* as given */
};
/* Returns how many; *ret_file owns them. */
size_t settings_read(const char *path, const char *method, json_t **ret_file,
		     struct setting ret[SETTINGS_MOST]);

/* Tensors of a file, allocated. */
float *runs_floats(const struct ist_safetensors *file, const char *name, size_t shape[2]);
int64_t *runs_integers(const struct ist_safetensors *file, const char *name, size_t *ret_n);
uint32_t *runs_rows(const struct ist_safetensors *file, const char *name, size_t *ret_n);
uint8_t *runs_bytes(const struct ist_safetensors *file, const char *name, size_t *ret_n);

struct mean_sd {
	double mean, sd;
};
struct mean_sd mean_sd_of(const double *x, size_t n);

/* What every query of each run came to under one setting. */
struct paired {
	const char *title;
	double *value[RUNS_MOST];
};
/* A Markdown table of every other row minus the first: mean difference, 95 % interval of the
 * two-level bootstrap (runs, then queries), each run's own difference, p-values by Holm. */
void print_paired(const char *what, const struct paired *rows, size_t n_rows, const size_t *n,
		  size_t runs);

#endif
