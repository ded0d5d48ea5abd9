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
	bool folds;	/* run r is fold r % 5 (rows with i % 5 = r are test); else a fixed split */
	size_t n_train; /* of a fixed split: the rows before it are trained on */
};

/* FOLDER/wikipedia2010/{train,test}_{image,text,label}.npy: the published split. */
void features_wikipedia(struct features *f, const char *folder);
/* FOLDER/tuxpaint-features/tux_{image,text}.npy, tux_meta.json: item i = row i. */
void features_tux(struct features *f, const char *folder);
void features_set_run(struct features *f, size_t run);
/* For choosing settings: every 5th item of a class of the training part becomes the test part, and
 * the test part takes no part. */
void features_hold_out(struct features *f);
void features_finish(struct features *f);

#endif
