/* The list of methods: to add one, write its row in a file of its own and name it here. */
#include "core/methods/rows.h"

#include <string.h>

const struct ist_method *const ist_methods[] = {
    &ist_method_identity, &ist_method_linear,
    &ist_method_logistic, &ist_method_corrae,
    &ist_method_acmr,	  &ist_method_mnsgan,
    &ist_method_cmgan,	  &ist_method_gxn,
    &ist_method_dmim,	  NULL,
};

const struct ist_method *ist_method_find(const char *name)
{
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		if (strcmp(ist_methods[i]->name, name) == 0)
			return ist_methods[i];
	}
	return NULL;
}

unsigned ist_method_abilities(const struct ist_method *method, const json_t *params)
{
	return method->abilities != NULL ? method->abilities(params) : method->can;
}
