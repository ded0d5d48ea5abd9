/*
 * Held-out figures of a model and their JSON. The trials (which queries, which gallery) are made
 * once and shared by everything that is compared.
 */
#ifndef IST_CORE_TRAIN_REPORT_H
#define IST_CORE_TRAIN_REPORT_H

#include "core/train/stats.h"

/* Both directions of one part: [IST_IMAGE] is image queries against texts. */
struct ist_trials {
	const struct ist_pairs *pairs;
	struct ist_trial direction[IST_N_MODALITIES];
	bool by_label; /* some query has a label: relevance goes by it */
};
void ist_trials_init(struct ist_trials *trials, const struct ist_pairs *pairs, enum ist_part part);
void ist_trials_finish(struct ist_trials *trials);

/* "image_to_text", "text_to_image". */
const char *ist_direction_name(enum ist_modality from);

/* The one figure that choices go by: the mean over both directions of map_all (of r_10 without
 * labels). */
IST_CHECKED enum ist_code ist_trials_figure(const struct ist_trials *trials,
					    const struct ist_model *model,
					    const struct ist_train_hooks *hooks, double *ret,
					    struct ist_err *err);

/* {"value", "low", "high"}, to six decimals. */
json_t *ist_interval_json(const struct ist_interval *interval);
/* Every metric of one direction with its interval: {"map_all": {…}, …}. */
IST_CHECKED enum ist_code ist_figures_json(const struct ist_figures *figures,
					   const struct ist_train_hooks *hooks, json_t **ret,
					   struct ist_err *err);

/* Adds "similarity", "image_to_text", "text_to_image" and "similarities" (the same weights under
 * every way to rank that the method has) to `into`. */
IST_CHECKED enum ist_code ist_report_model(const struct ist_trials *trials,
					   const struct ist_model *model,
					   const struct ist_train_hooks *hooks, json_t *into,
					   struct ist_err *err);

/* Adds "split", "relevant", "queries", "gallery" and "chance". */
IST_CHECKED enum ist_code ist_report_trials(const struct ist_trials *trials,
					    const struct ist_train_hooks *hooks, json_t *into,
					    struct ist_err *err);

/* The names a method's parameter `similarity` can have, NULL where it has none. */
const char *const *ist_method_similarities(const struct ist_method *method);
/* The name under which a model ranks: its parameter, or its similarity's own name. */
const char *ist_model_similarity_name(const struct ist_model *model);

#endif
