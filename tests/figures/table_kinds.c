/*
 * The tables. Settings are the methods' defaults unless a row says otherwise; what was chosen for a
 * default was chosen on a fifth of the training part (figures --inner --try).
 */
#include "core/base/memory.h"
#include "tests/figures/tables.h"

#define ALL                                                                                        \
	{                                                                                          \
		"euclidean", "cosine", "posterior"                                                 \
	}
/* One claim under each way to rank. */
#define EACH(a, b)                                                                                 \
	{a, b, "euclidean"}, {a, b, "cosine"},                                                     \
	{                                                                                          \
		a, b, "posterior"                                                                  \
	}

enum { ACMR, NO_ADVERSARY, NO_TRIPLET, CE_SAME, CE_OWN, LOGISTIC, CCA };
static const struct table_row acmr[] = {
    {"ACMR", "acmr", "{}", ALL},
    {"ACMR, no adversary", "acmr", "{\"adversary\": 0}", ALL},
    {"ACMR, no triplet", "acmr", "{\"triplet\": 0}", ALL},
    {"label predictor alone, ACMR's settings", "acmr", "{\"adversary\": 0, \"triplet\": 0}", ALL},
    {"label predictor alone, its own settings", "acmr", NULL, ALL},
    {"logistic regression", "logistic", "{}", {"posterior", "cosine"}},
    {"CCA", "linear", "{}", {NULL}},
};
static const struct table_claim acmr_claims[] = {
    EACH(ACMR, CE_OWN),
    EACH(ACMR, NO_ADVERSARY),
    EACH(NO_TRIPLET, CE_SAME),
    {ACMR, LOGISTIC, "posterior"},
};

enum { A_1, A_2, A_4, A_9, A_ONE_CLASS, A_NO_ADVERSARY, A_NO_INTRA, B_1, B_9, MNS_ACMR };
static const struct table_row mnsgan[] = {
    {"MNS-GAN form A, 1 negative", "mnsgan", "{\"negatives\": 1}", ALL},
    {"MNS-GAN form A, 2 negatives", "mnsgan", "{\"negatives\": 2}", ALL},
    {"MNS-GAN form A, 4 negatives", "mnsgan", "{\"negatives\": 4}", ALL},
    {"MNS-GAN form A, 9 negatives", "mnsgan", "{\"negatives\": 9}", ALL},
    {"form A, 9 negatives, all from one class", "mnsgan",
     "{\"negatives\": 9, \"negative_classes\": \"one\"}", ALL},
    {"form A, 9 negatives, no adversary", "mnsgan", "{\"negatives\": 9, \"adversary\": 0}", ALL},
    {"form A, 9 negatives, no intra-modal term", "mnsgan", "{\"negatives\": 9, \"eta\": 0}", ALL},
    {"MNS-GAN form B, 1 negative", "mnsgan", "{\"form\": \"hinge\", \"negatives\": 1}", ALL},
    {"MNS-GAN form B, 9 negatives", "mnsgan", "{\"form\": \"hinge\", \"negatives\": 9}", ALL},
    {"ACMR", "acmr", "{}", ALL},
};
static const struct table_claim mnsgan_claims[] = {
    EACH(A_9, A_1),	   EACH(A_9, A_ONE_CLASS), EACH(A_9, A_NO_ADVERSARY),
    EACH(A_9, A_NO_INTRA), EACH(B_9, B_1),	   EACH(A_9, MNS_ACMR),
};

enum { FULL, NO_INTER, NO_INTRA, UNTIED, OWN, ONE_HEAD, NO_DECAY, CM_ACMR };
static const struct table_row cmgan[] = {
    {"CM-GANs", "cmgan", "{}", ALL},
    {"CM-GANs, no inter game", "cmgan", "{\"inter\": 0}", ALL},
    {"CM-GANs, no intra game", "cmgan", "{\"intra\": 0}", ALL},
    {"CM-GANs, untied", "cmgan", "{\"tied\": false}", ALL},
    {"CM-GANs, wrong pair as in the authors' code", "cmgan", "{\"wrong_condition\": \"own\"}", ALL},
    {"CM-GANs, one class head", "cmgan", "{\"one_head\": true}", ALL},
    {"CM-GANs, no weight decay, 40 epochs", "cmgan", "{\"weight_decay\": 0, \"epochs\": 40}", ALL},
    {"ACMR", "acmr", "{}", ALL},
};
static const struct table_claim cmgan_claims[] = {
    {FULL, NO_INTER, "cosine"}, {FULL, NO_INTRA, "cosine"}, {FULL, UNTIED, "cosine"},
    {FULL, OWN, "cosine"},	{ONE_HEAD, FULL, "cosine"}, {FULL, CM_ACMR, "cosine"},
};

static const struct table_row corrae[] = {
    {"Corr-AE", "corrae", "{}", {NULL}},
    {"Corr-Cross-AE", "corrae", "{\"form\": \"cross\"}", {NULL}},
    {"Corr-Full-AE", "corrae", "{\"form\": \"full\"}", {NULL}},
    {"CCA", "linear", "{}", {NULL}},
    {"logistic regression", "logistic", "{}", {"posterior", "cosine"}},
};

#define KIND(n, claims_, n_claims_)                                                                \
	{                                                                                          \
		.name = #n, .rows = n, .n_rows = IST_COUNT(n), .claims = claims_,                  \
		.n_claims = n_claims_                                                              \
	}
const struct table_kind table_kinds[] = {
    KIND(acmr, acmr_claims, IST_COUNT(acmr_claims)),
    KIND(mnsgan, mnsgan_claims, IST_COUNT(mnsgan_claims)),
    KIND(cmgan, cmgan_claims, IST_COUNT(cmgan_claims)),
    KIND(corrae, NULL, 0),
};
const size_t n_table_kinds = IST_COUNT(table_kinds);

void table_names_of(const struct ist_method *method, const char *ret[TABLE_NAMES])
{
	const char *const *names = ist_method_similarities(method);

	for (size_t k = 0; names != NULL && k < TABLE_NAMES && names[k] != NULL; k++)
		ret[k] = names[k];
}
