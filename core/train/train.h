/*
 * From pairs to a model with its report: split, method, calibration, held-out figures, baselines.
 * Called on one thread; yields through hooks->stop.
 */
#ifndef IST_CORE_TRAIN_TRAIN_H
#define IST_CORE_TRAIN_TRAIN_H

#include "core/methods/method.h"

/* The hashed split: u = first 8 bytes (big-endian) of SHA-256("<seed>:<id>") / 2^64. */
enum ist_part ist_split_part(uint64_t seed, const char *id, double validation, double test);

/* Whether there is enough to train and to measure: IST_NOT_ENOUGH_DATA says what is missing. */
IST_CHECKED enum ist_code ist_train_check(const struct ist_method *method,
					  const struct ist_pairs *pairs, struct ist_err *err);
/* Whether what would be chosen on validation (an unnamed similarity, early stopping) can be:
 * IST_INVALID with a pointer relative to params. `params` is complete. */
IST_CHECKED enum ist_code ist_train_check_params(const struct ist_method *method,
						 const json_t *params, bool has_validation,
						 struct ist_err *err);

/*
 * Trains `method` and measures it on IST_TEST. *ret_report is the "report" object of API.md (split,
 * both directions with intervals, chance, baselines, similarity tables); its "split" counts come
 * from pairs->part, "skipped" and "seed" are added by the caller. `params` is complete and is
 * updated with what the data decided.
 */
IST_CHECKED enum ist_code ist_train(const struct ist_method *method, const struct ist_pairs *pairs,
				    json_t *params, uint64_t seed,
				    const struct ist_train_hooks *hooks, struct ist_model **ret,
				    json_t **ret_report, struct ist_err *err);

/* The same beside baselines that an earlier report of the same pairs, split and seed holds, which
 * are then not trained again; NULL: they are trained. */
IST_CHECKED enum ist_code
ist_train_beside(const struct ist_method *method, const struct ist_pairs *pairs, json_t *params,
		 uint64_t seed, json_t *baselines, const struct ist_train_hooks *hooks,
		 struct ist_model **ret, json_t **ret_report, struct ist_err *err);

/* Held-out figures of a trained model on the pairs of one part (:evaluate). */
IST_CHECKED enum ist_code ist_evaluate(const struct ist_model *model, const struct ist_pairs *pairs,
				       enum ist_part part, const struct ist_train_hooks *hooks,
				       json_t **ret_report, struct ist_err *err);

/* The gate of "if_better" (API.md): paired bootstrap over the common held-out queries. */
struct ist_gate {
	bool activate;
	double difference, low, high; /* candidate minus active, 95 % interval */
	size_t n_queries;
	char reason[256]; /* a sentence for people */
};
IST_CHECKED enum ist_code
ist_gate_compare(const struct ist_model *candidate, const struct ist_model *active,
		 const struct ist_pairs *pairs,	      /* IST_TEST = test in both */
		 const struct ist_train_hooks *hooks, /* stop only */
		 struct ist_gate *ret, struct ist_err *err);

#endif
