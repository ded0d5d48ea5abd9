/*
 * Parameters and what is decided about those that were left open. A method lists the values that
 * the width of the features, or a preset, stands for; what was decided is written into the model's
 * parameters, so that a report says what was used.
 */
#ifndef IST_CORE_METHODS_DEFAULTS_H
#define IST_CORE_METHODS_DEFAULTS_H

#include "core/methods/method.h"

#define IST_WIDE 256 /* features wider than this have other defaults */

/* Rows of a parameter table. */
#define IST_INT(n, d, lo, hi, h)                                                                   \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_INT, .def = d, .min = lo, .max = hi, .help = h        \
	}
#define IST_REAL(n, d, lo, hi, h)                                                                  \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_REAL, .def = d, .min = lo, .max = hi, .help = h       \
	}
#define IST_INT_BY_DATA(n, lo, hi, h)                                                              \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_INT, .min = lo, .max = hi, .by_data = true, .help = h \
	}
#define IST_REAL_BY_DATA(n, lo, hi, h)                                                             \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_REAL, .min = lo, .max = hi, .by_data = true,          \
		.help = h                                                                          \
	}
#define IST_CHOICE(n, c, h)                                                                        \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_CHOICE, .choices = c, .help = h                       \
	}
#define IST_CHOICE_BY_DATA(n, c, h)                                                                \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_CHOICE, .choices = c, .by_data = true, .help = h      \
	}

#define IST_BOOL(n, d, h)                                                                          \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_BOOL, .def = d, .help = h                             \
	}

/* What every trained network takes. */
#define IST_PARAM_INPUT_SCALING                                                                    \
	IST_CHOICE("input_scaling", ist_scaling_names,                                             \
		   "What is done to features first, fitted on the training pairs")
#define IST_PARAM_PATIENCE                                                                         \
	IST_INT("patience", 0, 0, 100000,                                                          \
		"Epochs without a better figure on validation before training stops; 0: never")

/* One parameter's values: features up to IST_WIDE, wider ones, then the presets' in their order
 * from the second on ("auto" is the first). */
struct ist_default {
	const char *name;
	double narrow, wide, preset[2];
};

/* Fills in what is null. A method without the parameter `preset` has two columns. */
void ist_defaults_fill(const struct ist_method *method, const struct ist_default *table, size_t n,
		       const size_t n_in[IST_N_MODALITIES], json_t *params);

/* Epochs that make up for how few steps one has where pairs are few: at least `steps` of batches
 * of the parameter `batch`. Only where the preset is auto and the parameter is null. */
void ist_defaults_epochs(const struct ist_default *table, size_t n,
			 const size_t n_in[IST_N_MODALITIES], size_t n_rows, double steps,
			 json_t *params);

#endif
