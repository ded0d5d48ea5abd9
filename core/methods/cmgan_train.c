/*
 * CM-GANs' training: batches of matched pairs and mismatched documents. An epoch only counts
 * iterations: as many as its pairs would fill batches.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/methods/cmgan.h"
#include "core/methods/rows.h"
#include "core/methods/training.h"

enum { D_I, D_T, DC_I, DC_T, G_I, G_T, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_DI", "L_DT", "L_DCI", "L_DCT", "L_GI", "L_GT"};

struct training {
	struct ist_training t; /* first: callbacks get its address */
	struct ist_cmgan *net;
	uint32_t *matched, *wrong; /* (batch) rows */
};

static void load_batch(struct training *t, size_t epoch, size_t batch)
{
	struct ist_cmgan_judges *j = &t->net->judges;

	ist_sampler_mismatched(&t->t.sampler, epoch, batch, t->matched, t->wrong);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_training_feed(&t->t, m, t->matched, j->x[m]);
		ist_training_feed(&t->t, m, t->wrong, j->wrong[m]);
	}
	for (size_t i = 0; i < t->t.sampler.batch; i++)
		j->y->ids[i] = t->t.pairs->label[t->matched[i]];
}

/* The rate is halved every so many epochs. */
static void set_rate(struct training *t, size_t epoch)
{
	double halvings = floor((double)epoch / ist_param_real(t->t.params, "halve_every"));
	double lr = ist_param_real(t->t.params, "lr") * pow(.5, halvings);

	t->net->optimiser_G.lr = t->net->optimiser_D.lr = lr;
}

static void step(void *user, size_t epoch, size_t batch, double *terms)
{
	struct training *t = user;
	const struct ist_cmgan_judges *j = &t->net->judges;
	const struct ist_cmgan_generator *g = t->net->generator;
	const ist_node *const nodes[N_TERMS] = {j->L_D[IST_IMAGE],  j->L_D[IST_TEXT],
						j->L_DC[IST_IMAGE], j->L_DC[IST_TEXT],
						g[IST_IMAGE].L,	    g[IST_TEXT].L};

	set_rate(t, epoch);
	load_batch(t, epoch, batch);
	ist_cmgan_step(t->net);
	for (int i = 0; i < N_TERMS; i++)
		terms[i] = (double)nodes[i]->value[0];
}

/* Slots are drawn with repetition: few pairs make no smaller batches. */
static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	const struct ist_pairs *pairs = t->t.pairs;
	struct ist_cmgan_settings s;
	enum ist_code code = ist_training_pick(&t->t, true, err);

	if (code != IST_OK)
		return code;
	ist_cmgan_decide(t->t.params, pairs->dim, t->t.n_rows);
	ist_cmgan_settings(t->t.params, pairs->dim, pairs->n_classes, &s);
	ist_training_start(&t->t, &ist_sampler_balanced, s.batch);
	if (t->t.sampler.n_classes < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"cmgan needs training pairs of at least 2 classes");
	t->t.sampler.batch = s.batch;
	t->matched = ist_alloc(s.batch, sizeof(*t->matched));
	t->wrong = ist_alloc(s.batch, sizeof(*t->wrong));
	return ist_cmgan_create(&s, t->t.seed, &t->net, err);
}

enum ist_code ist_cmgan_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			      const struct ist_train_hooks *hooks, struct ist_model **ret,
			      struct ist_err *err)
{
	struct training t = {
	    .t = {.method = &ist_method_cmgan,
		  .pairs = pairs,
		  .params = params,
		  .seed = seed,
		  .loop = {.terms = term_names, .n_terms = N_TERMS, .step = step}},
	};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code =
		    ist_training_run(&t.t, (struct ist_weights *[]){t.net->theta_G, t.net->theta_D},
				     2, hooks, ret, err);
	ist_cmgan_destroy(t.net);
	ist_training_finish(&t.t);
	free(t.matched);
	free(t.wrong);
	return code;
}
