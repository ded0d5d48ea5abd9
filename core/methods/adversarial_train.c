/*
 * Training of the adversarial methods: labelled pairs, and the ramp that lets the adversary in.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/methods/adversarial.h"
#include "core/methods/training.h"

enum { IMD, IMI, REG, ADV, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_imd", "L_imi", "L_reg", "L_adv", "loss"};

struct training {
	struct ist_training t; /* first: callbacks get its address */
	const struct ist_adversarial_method *method;
	struct ist_adversarial *net;
};

static void start_epoch(void *user, size_t epoch)
{
	struct training *t = user;

	ist_sampler_start(&t->t.sampler, epoch);
}

static void load_batch(struct training *t, size_t epoch, size_t batch)
{
	struct ist_adversarial *a = t->net;
	const uint32_t *row = ist_sampler_batch(&t->t.sampler, batch);
	double p = (double)epoch / (double)t->t.loop.epochs;

	ist_training_feed(&t->t, IST_IMAGE, row, a->image);
	ist_training_feed(&t->t, IST_TEXT, row, a->text);
	for (size_t i = 0; i < a->s.batch; i++)
		a->y->ids[i] = t->t.pairs->label[row[i]];
	/* The adversary is let in as training proceeds. */
	a->l->value[0] = (ist_real)(2 / (1 + exp(-10 * p)) - 1);
	if (t->method->draw != NULL)
		t->method->draw(a, t->t.params, t->t.seed, epoch, batch);
}

static void step(void *user, size_t epoch, size_t batch, double *terms)
{
	struct training *t = user;
	const struct ist_adversarial *a = t->net;
	const ist_node *const nodes[N_TERMS] = {a->L_imd, a->L_imi, a->L_reg, a->L_adv, a->L};

	load_batch(t, epoch, batch);
	ist_adversarial_step(t->net);
	for (int i = 0; i < N_TERMS; i++)
		terms[i] = (double)nodes[i]->value[0];
}

/* Unlabelled pairs cannot take part: every term but the adversary needs a class. */
static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	const struct ist_pairs *pairs = t->t.pairs;
	struct ist_adversarial_settings s;
	json_t *params = t->t.params;
	enum ist_code code = ist_training_pick(&t->t, true, err);

	if (code != IST_OK)
		return code;
	t->method->decide(params, pairs->dim, t->t.n_rows, pairs->n_classes);
	ist_adversarial_settings(params, pairs->dim, pairs->n_classes, &s);
	s.batch = IST_MIN(s.batch, t->t.n_rows);
	ist_training_start(&t->t, t->method->sampler, s.batch);
	t->t.sampler.per_class = IST_MAX((size_t)ist_param_int(params, "per_class"), (size_t)1);
	return t->method->create(params, &s, t->t.seed, &t->net, err);
}

enum ist_code ist_adversarial_train(const struct ist_adversarial_method *method,
				    const struct ist_pairs *pairs, json_t *params, uint64_t seed,
				    const struct ist_train_hooks *hooks, struct ist_model **ret,
				    struct ist_err *err)
{
	struct training t = {
	    .t = {.method = method->method,
		  .pairs = pairs,
		  .params = params,
		  .seed = seed,
		  .loop = {.terms = term_names,
			   .n_terms = N_TERMS,
			   .start_epoch = start_epoch,
			   .step = step}},
	    .method = method,
	};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code =
		    ist_training_run(&t.t, (struct ist_weights *[]){t.net->theta, t.net->theta_D},
				     2, hooks, ret, err);
	ist_adversarial_destroy(t.net);
	ist_training_finish(&t.t);
	return code;
}
