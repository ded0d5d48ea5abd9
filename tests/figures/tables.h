/* What the tables of figures show: rows of methods, and which differences are claimed. */
#ifndef IST_TESTS_FIGURES_TABLES_H
#define IST_TESTS_FIGURES_TABLES_H

#include "core/train/report.h"

#define TABLE_ROWS 16
#define TABLE_NAMES 3
#define TABLE_CLAIMS 32

struct table_row {
	const char *title, *method;
	const char *params;		/* JSON; NULL: the label predictor of the reports */
	const char *names[TABLE_NAMES]; /* similarities, NULL: the method's own only */
};

/* That row a is better than row b, under a similarity. */
struct table_claim {
	size_t a, b;
	const char *similarity;
};

struct table_kind {
	const char *name;
	const struct table_row *rows;
	size_t n_rows;
	const struct table_claim *claims;
	size_t n_claims;
};
extern const struct table_kind table_kinds[];
extern const size_t n_table_kinds;

/* All similarities that a method has. */
void table_names_of(const struct ist_method *method, const char *ret[TABLE_NAMES]);

#endif
