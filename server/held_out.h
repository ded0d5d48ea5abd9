/*
 * What several models can fairly be measured on: the pairs that lie in the test part of every one
 * of them. How a model's test part was drawn stands in its report.
 */
#ifndef IST_SERVER_HELD_OUT_H
#define IST_SERVER_HELD_OUT_H

#include "index/store.h"

struct ist_held_out {
	struct ist_training_set set;
	struct ist_pairs pairs; /* of the set, IST_TEST only where all models held it back */
	uint8_t *part;
	struct ist_triples triples; /* the same of triples, where they are needed */
	uint8_t *image_part, *triple_part;
};

/* How a model's test part was drawn; false for what never trained (identity). */
bool ist_report_split(const char *report, struct ist_split *ret);

/* reports (n) are JSON texts; those that never trained restrict nothing, but one must have.
 * `needs`: enum ist_need, of what the pairs must have. `*ret` must stay where it is. */
IST_CHECKED enum ist_code ist_held_out_init(struct ist_held_out *ret, struct ist_collection *c,
					    const char *const *reports, size_t n, unsigned needs,
					    struct ist_err *err);
void ist_held_out_finish(struct ist_held_out *held);

#endif
