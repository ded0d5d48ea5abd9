/*
 * Composed queries on held-out triples: a reference picture and a text ask for the target among all
 * pictures of the part but the reference. One picture is relevant, so MAP is the mean reciprocal
 * rank.
 */
#ifndef IST_CORE_TRAIN_COMPOSED_H
#define IST_CORE_TRAIN_COMPOSED_H

#include "core/train/report.h"

struct ist_composed {
	const struct ist_pairs *pairs;
	size_t n_queries, n_gallery;
	uint32_t *query;	      /* (n_queries) triples */
	uint32_t *gallery;	      /* (n_gallery) rows of triples->image */
	uint32_t *reference, *target; /* (n_queries) places in the gallery */
};

/* All triples and pictures of a part; samples of them where they are too many. Without triples
 * there are no queries. */
void ist_composed_init(struct ist_composed *c, const struct ist_pairs *pairs, enum ist_part part);
void ist_composed_finish(struct ist_composed *c);

/* Queries (n_queries, dim) against a gallery (n_gallery, dim), each without its reference. *ret is
 * made here. */
IST_CHECKED enum ist_code ist_composed_rank(const struct ist_composed *c,
					    enum ist_similarity similarity, const float *query,
					    const float *gallery, size_t dim,
					    const struct ist_train_hooks *hooks,
					    struct ist_figures *ret, struct ist_err *err);
/* A model's figures; one that cannot compose answers with the reference picture alone. */
IST_CHECKED enum ist_code ist_composed_measure(const struct ist_composed *c,
					       const struct ist_model *model,
					       const struct ist_train_hooks *hooks,
					       struct ist_figures *ret, struct ist_err *err);
/* The mean reciprocal rank, by which choices on validation go. */
IST_CHECKED enum ist_code ist_composed_figure(const struct ist_composed *c,
					      const struct ist_model *model,
					      const struct ist_train_hooks *hooks, double *ret,
					      struct ist_err *err);

/* {"queries", "gallery", "relevant": "target", metrics with intervals, "chance"} */
IST_CHECKED enum ist_code ist_composed_report(const struct ist_composed *c,
					      const struct ist_model *model,
					      const struct ist_train_hooks *hooks, json_t **ret,
					      struct ist_err *err);
/* ist_evaluate for a model that composes: {"composed": …}, and both directions of the part's pairs
 * where the model crosses and there are some. */
IST_CHECKED enum ist_code ist_composed_evaluate(const struct ist_model *model,
						const struct ist_pairs *pairs, enum ist_part part,
						const struct ist_train_hooks *hooks,
						json_t **ret_report, struct ist_err *err);
/* What is reached without a composition that learns a gate: the picture alone, the text alone
 * (ridge to the target's feature), their sum, and ridge on both; the ridge chosen on validation. */
IST_CHECKED enum ist_code ist_composed_baselines(const struct ist_composed *validation,
						 const struct ist_composed *test,
						 const struct ist_train_hooks *hooks, json_t **ret,
						 struct ist_err *err);
/* Fills model->calibration[IST_COMPOSED][IST_IMAGE]. */
IST_CHECKED enum ist_code ist_composed_calibrate(struct ist_model *model,
						 const struct ist_pairs *pairs,
						 const struct ist_train_hooks *hooks,
						 struct ist_err *err);
/* Triples of a part. */
size_t ist_composed_count(const struct ist_pairs *pairs, enum ist_part part);

#endif
