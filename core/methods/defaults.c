/* What is decided about parameters that were left open. */
#include "core/methods/defaults.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

static const struct ist_param *find(const struct ist_method *method, const char *name)
{
	for (size_t i = 0; i < method->n_params; i++)
		if (strcmp(method->params[i].name, name) == 0)
			return &method->params[i];
	return NULL;
}

/* 0 for auto, or for a method that has no presets. */
static size_t preset_of(const struct ist_method *method, const json_t *params)
{
	const struct ist_param *preset = find(method, "preset");
	size_t k = 0;

	if (preset == NULL)
		return 0;
	while (strcmp(preset->choices[k], ist_param_choice(params, "preset")) != 0)
		k++;
	return k;
}

static bool is_wide(const size_t n_in[IST_N_MODALITIES])
{
	return IST_MAX(n_in[IST_IMAGE], n_in[IST_TEXT]) > IST_WIDE;
}

void ist_defaults_fill(const struct ist_method *method, const struct ist_default *table, size_t n,
		       const size_t n_in[IST_N_MODALITIES], json_t *params)
{
	size_t preset = preset_of(method, params);

	for (size_t i = 0; i < n; i++) {
		const struct ist_default *d = &table[i];
		bool whole = find(method, d->name)->kind == IST_PARAM_INT;
		double x = preset > 0 ? d->preset[preset - 1] : is_wide(n_in) ? d->wide : d->narrow;

		if (ist_param_is_null(params, d->name))
			json_object_set_new(params, d->name,
					    whole ? json_integer((json_int_t)x) : json_real(x));
	}
}

void ist_defaults_epochs(const struct ist_default *table, size_t n,
			 const size_t n_in[IST_N_MODALITIES], size_t n_rows, double steps,
			 json_t *params)
{
	const char *preset = ist_param_choice(params, "preset");
	size_t batch = IST_MIN((size_t)ist_param_int(params, "batch"), n_rows);
	size_t batches = IST_MAX(n_rows / IST_MAX(batch, (size_t)1), (size_t)1);
	double epochs = ceil(steps / (double)batches);

	if (!ist_param_is_null(params, "epochs") || (preset != NULL && strcmp(preset, "auto") != 0))
		return;
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, "epochs") == 0)
			epochs = fmax(epochs, is_wide(n_in) ? table[i].wide : table[i].narrow);
	json_object_set_new(params, "epochs", json_integer((json_int_t)epochs));
}
