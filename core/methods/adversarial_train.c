/*
 * Training of the adversarial methods: labelled pairs, scaled when a batch needs them, and the ramp
 * that lets the adversary in. The loop (loop.h) does the rest.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/methods/adversarial.h"
#include "core/methods/loop.h"
#include "core/methods/maps.h"

enum { IMD, IMI, REG, ADV, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_imd", "L_imi", "L_reg", "L_adv", "loss"};

struct training {
	const struct ist_adversarial_method *method;
	const struct ist_pairs *pairs;
	json_t *params;
	uint64_t seed;
	struct ist_adversarial *net;
	struct ist_network *kept; /* what the model will be: scalings from the start */
	struct ist_sampler sampler;
	struct ist_loop loop;
	float *scratch; /* a scaled row */
};

static void start_epoch(void *user, size_t epoch)
{
	struct training *t = user;

	ist_sampler_start(&t->sampler, epoch);
}

/* Scaling a batch when it is needed spares a second copy of all features. */
static void load_batch(struct training *t, size_t epoch, size_t batch)
{
	struct ist_adversarial *a = t->net;
	const uint32_t *row = ist_sampler_batch(&t->sampler, batch);

	ist_network_feed(t->kept, t->pairs, IST_IMAGE, row, a->image, t->scratch);
	ist_network_feed(t->kept, t->pairs, IST_TEXT, row, a->text, t->scratch);
	for (size_t i = 0; i < a->s.batch; i++)
		a->y->ids[i] = t->pairs->label[row[i]];
	/* l = 2 / (1 + e^(-10 p)) - 1: the adversary is let in as training proceeds. */
	a->l->value[0] =
	    (ist_real)(2 / (1 + exp(-10 * (double)epoch / (double)t->loop.epochs)) - 1);
	if (t->method->draw != NULL)
		t->method->draw(a, t->params, t->seed, epoch, batch);
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

/* Of the weights as they are, for validation. */
static struct ist_model *model_now(void *user)
{
	struct training *t = user;
	const struct ist_method *method = t->method->method;
	struct ist_network *network = ist_network_copy(t->kept, t->params, t->net->theta);
	struct ist_model *model = ist_network_model(
	    method, network, ist_network_similarity(method, t->params), t->params, t->seed);

	ist_network_unref(network);
	return model;
}

/* Unlabelled pairs cannot take part: every term but the adversary needs a class. */
static enum ist_code pick_rows(struct training *t, uint32_t **ret, struct ist_err *err)
{
	*ret = ist_training_rows(t->pairs, true, SIZE_MAX, t->seed, &t->loop.n_rows);
	if (t->loop.n_rows >= 2)
		return IST_OK;
	return ist_fail(err, IST_NOT_ENOUGH_DATA,
			"%s needs at least 2 labelled training pairs, not %zu",
			t->method->method->name, t->loop.n_rows);
}

/* Scaling and sampler are functions of the pairs and the seed, so a resumed training makes them
 * again. */
static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	struct ist_adversarial_settings s;
	ist_autofree uint32_t *rows = NULL;
	enum ist_code code = pick_rows(t, &rows, err);

	if (code != IST_OK)
		return code;
	t->method->decide(t->params, t->pairs->dim, t->loop.n_rows, t->pairs->n_classes);
	ist_adversarial_settings(t->params, t->pairs->dim, t->pairs->n_classes, &s);
	s.batch = IST_MIN(s.batch, t->loop.n_rows);
	ist_sampler_init(&t->sampler, t->method->sampler, rows, t->loop.n_rows, t->pairs->label,
			 s.batch, t->seed);
	t->sampler.per_class = IST_MAX((size_t)ist_param_int(t->params, "per_class"), (size_t)1);
	t->scratch = ist_alloc(IST_MAX(s.n_in[0], s.n_in[1]), sizeof(*t->scratch));
	t->kept = ist_network_create(&ist_adversarial_kind, t->params, t->pairs->dim,
				     t->pairs->n_classes);
	ist_network_fit_scaling(t->kept, t->params, t->pairs, rows, t->loop.n_rows);
	return t->method->create(t->params, &s, t->seed, &t->net, err);
}

static enum ist_code run(struct training *t, const struct ist_train_hooks *hooks,
			 struct ist_err *err)
{
	struct ist_weights *const groups[] = {t->net->theta, t->net->theta_D};
	struct ist_loop *loop = &t->loop;

	loop->name = t->method->method->name;
	loop->hooks = hooks;
	loop->params = t->params;
	loop->seed = t->seed;
	loop->n_batches = t->sampler.n_batches;
	loop->epochs = ist_param_int(t->params, "epochs");
	loop->patience = ist_param_int(t->params, "patience");
	loop->groups = groups;
	loop->n_groups = IST_COUNT(groups);
	loop->kept = t->kept->theta;
	loop->terms = term_names;
	loop->n_terms = N_TERMS;
	loop->user = t;
	loop->start_epoch = start_epoch;
	loop->step = step;
	loop->model = model_now;
	ist_loop_init(loop);
	return ist_loop_run(loop, err);
}

static void finish(struct training *t)
{
	ist_adversarial_destroy(t->net);
	ist_network_unref(t->kept);
	ist_sampler_finish(&t->sampler);
	free(t->scratch);
}

enum ist_code ist_adversarial_train(const struct ist_adversarial_method *method,
				    const struct ist_pairs *pairs, json_t *params, uint64_t seed,
				    const struct ist_train_hooks *hooks, struct ist_model **ret,
				    struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	struct training t = {.method = method, .pairs = pairs, .params = params, .seed = seed};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code = run(&t, hooks != NULL ? hooks : &none, err);
	if (code == IST_OK)
		*ret =
		    ist_network_model(method->method, t.kept,
				      ist_network_similarity(method->method, params), params, seed);
	finish(&t);
	return code;
}
