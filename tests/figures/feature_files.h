/* Published feature sets, read from a folder into pairs. A mistake ends the program. */
#ifndef IST_TESTS_FIGURES_FEATURE_FILES_H
#define IST_TESTS_FIGURES_FEATURE_FILES_H

#include "core/methods/method.h"

struct features {
	const char *name; /* "wikipedia", "tux" */
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t *label;
	int64_t *item;
	uint8_t *part;
	bool folds; /* run r is fold r % 5 (rows with i % 5 = r are test); else a fixed split */
};

/* FOLDER/wikipedia2010/{train,test}_{image,text,label}.npy: the published split. */
void features_wikipedia(struct features *f, const char *folder);
/* FOLDER/tuxpaint-features/tux_{image,text}.npy, tux_meta.json: item i = row i. */
void features_tux(struct features *f, const char *folder);
void features_set_run(struct features *f, size_t run);
void features_finish(struct features *f);

#endif
