/*
 * CM-GANs' training: batches of matched pairs and mismatched documents (loop.h does the rest). An
 * epoch only counts iterations: as many as its pairs would fill batches.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/methods/cmgan.h"
#include "core/methods/loop.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"
#include "core/methods/samplers.h"

enum { D_I, D_T, DC_I, DC_T, G_I, G_T, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_DI", "L_DT", "L_DCI", "L_DCT", "L_GI", "L_GT"};

struct training {
	const struct ist_pairs *pairs;
	json_t *params;
	uint64_t seed;
	struct ist_cmgan *net;
	struct ist_network *kept; /* what the model will be: scalings from the start */
	struct ist_sampler sampler;
	struct ist_loop loop;
	uint32_t *matched, *wrong; /* (batch) rows */
	float *scratch;		   /* a scaled row */
};

static void load_batch(struct training *t, size_t epoch, size_t batch)
{
	struct ist_cmgan_judges *j = &t->net->judges;

	ist_sampler_mismatched(&t->sampler, epoch, batch, t->matched, t->wrong);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_network_feed(t->kept, t->pairs, m, t->matched, j->x[m], t->scratch);
		ist_network_feed(t->kept, t->pairs, m, t->wrong, j->wrong[m], t->scratch);
	}
	for (size_t i = 0; i < t->sampler.batch; i++)
		j->y->ids[i] = t->pairs->label[t->matched[i]];
}

/* The rate is halved every so many epochs. */
static void set_rate(struct training *t, size_t epoch)
{
	double halvings = floor((double)epoch / ist_param_real(t->params, "halve_every"));
	double lr = ist_param_real(t->params, "lr") * pow(.5, halvings);

	t->net->optimiser_G.lr = t->net->optimiser_D.lr = lr;
}

static void step(void *user, size_t epoch, size_t batch, double *terms)
{
	struct training *t = user;
	const struct ist_cmgan *c = t->net;
	const ist_node *const nodes[N_TERMS] = {
	    c->judges.L_D[IST_IMAGE], c->judges.L_D[IST_TEXT],	 c->judges.L_DC[IST_IMAGE],
	    c->judges.L_DC[IST_TEXT], c->generator[IST_IMAGE].L, c->generator[IST_TEXT].L};

	set_rate(t, epoch);
	load_batch(t, epoch, batch);
	ist_cmgan_step(t->net);
	for (int i = 0; i < N_TERMS; i++)
		terms[i] = (double)nodes[i]->value[0];
}

/* Of the weights as they are, for validation. */
static struct ist_model *model_now(void *user)
{
	struct training *t = user;
	struct ist_network *network = ist_network_copy(t->kept, t->params, t->net->theta_G);
	struct ist_model *model = ist_network_model(
	    &ist_method_cmgan, network, ist_network_similarity(&ist_method_cmgan, t->params),
	    t->params, t->seed);

	ist_network_unref(network);
	return model;
}

/* Scaling and sampler are functions of the pairs and the seed, so a resumed training makes them
 * again. Slots are drawn with repetition: few pairs make no smaller batches. */
static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	struct ist_cmgan_settings s;
	ist_autofree uint32_t *rows =
	    ist_training_rows(t->pairs, true, SIZE_MAX, t->seed, &t->loop.n_rows);

	if (t->loop.n_rows < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"cmgan needs at least 2 labelled training pairs, not %zu",
				t->loop.n_rows);
	ist_cmgan_decide(t->params, t->pairs->dim, t->loop.n_rows);
	ist_cmgan_settings(t->params, t->pairs->dim, t->pairs->n_classes, &s);
	ist_sampler_init(&t->sampler, &ist_sampler_balanced, rows, t->loop.n_rows, t->pairs->label,
			 s.batch, t->seed);
	if (t->sampler.n_classes < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"cmgan needs training pairs of 2 classes at least");
	t->sampler.batch = s.batch;
	t->matched = ist_alloc(s.batch, sizeof(*t->matched));
	t->wrong = ist_alloc(s.batch, sizeof(*t->wrong));
	t->scratch = ist_alloc(IST_MAX(s.n_in[0], s.n_in[1]), sizeof(*t->scratch));
	t->kept =
	    ist_network_create(&ist_cmgan_kind, t->params, t->pairs->dim, t->pairs->n_classes);
	ist_network_fit_scaling(t->kept, t->params, t->pairs, rows, t->loop.n_rows);
	return ist_cmgan_create(&s, t->seed, &t->net, err);
}

static enum ist_code run(struct training *t, const struct ist_train_hooks *hooks,
			 struct ist_err *err)
{
	struct ist_weights *const groups[] = {t->net->theta_G, t->net->theta_D};
	struct ist_loop *loop = &t->loop;

	loop->name = ist_method_cmgan.name;
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
	loop->step = step;
	loop->model = model_now;
	ist_loop_init(loop);
	return ist_loop_run(loop, err);
}

static void finish(struct training *t)
{
	ist_cmgan_destroy(t->net);
	ist_network_unref(t->kept);
	ist_sampler_finish(&t->sampler);
	free(t->matched);
	free(t->wrong);
	free(t->scratch);
}

enum ist_code ist_cmgan_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			      const struct ist_train_hooks *hooks, struct ist_model **ret,
			      struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	struct training t = {.pairs = pairs, .params = params, .seed = seed};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code = run(&t, hooks != NULL ? hooks : &none, err);
	if (code == IST_OK)
		*ret = ist_network_model(&ist_method_cmgan, t.kept,
					 ist_network_similarity(&ist_method_cmgan, params), params,
					 seed);
	finish(&t);
	return code;
}
