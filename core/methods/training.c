/* One run of a method whose models are networks. One thread drives it. */
#include "core/methods/training.h"

#include "core/base/memory.h"
#include "core/methods/maps.h"

enum ist_code ist_training_pick(struct ist_training *t, bool labelled, struct ist_err *err)
{
	t->rows = ist_training_rows(t->pairs, labelled, SIZE_MAX, t->seed, &t->n_rows);
	if (t->n_rows >= 2)
		return IST_OK;
	return ist_fail(err, IST_NOT_ENOUGH_DATA, "%s needs at least 2 %straining pairs, not %zu",
			t->method->name, labelled ? "labelled " : "", t->n_rows);
}

void ist_training_start(struct ist_training *t, const struct ist_sampler_kind *sampler,
			size_t batch)
{
	const struct ist_pairs *pairs = t->pairs;

	ist_sampler_init(&t->sampler, sampler, t->rows, t->n_rows, pairs->label, batch, t->seed);
	t->scratch =
	    ist_alloc(IST_MAX(pairs->dim[IST_IMAGE], pairs->dim[IST_TEXT]), sizeof(*t->scratch));
	t->kept = ist_network_create(t->method->network, t->params, pairs->dim, pairs->n_classes);
	ist_network_fit_scaling(t->kept, t->params, pairs, t->rows, t->n_rows);
}

/* Scaling a batch when it is needed spares a second copy of all features. */
void ist_training_feed(struct ist_training *t, enum ist_modality m, const uint32_t *rows,
		       ist_node *ret)
{
	ist_network_feed(t->kept, t->pairs, m, rows, ret, t->scratch);
}

static struct ist_model *model_of(const struct ist_training *t, struct ist_network *network)
{
	return ist_network_model(t->method, network, ist_network_similarity(t->method, t->params),
				 t->params, t->seed);
}

/* Of the weights as they are, for validation. */
static struct ist_model *model_now(void *user)
{
	struct ist_training *t = user;
	struct ist_network *network = ist_network_copy(t->kept, t->params, t->loop.groups[0]);
	struct ist_model *model = model_of(t, network);

	ist_network_unref(network);
	return model;
}

enum ist_code ist_training_run(struct ist_training *t, struct ist_weights *const *groups,
			       size_t n_groups, const struct ist_train_hooks *hooks,
			       struct ist_model **ret, struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	struct ist_loop *loop = &t->loop;
	enum ist_code code;

	loop->name = t->method->name;
	loop->hooks = hooks != NULL ? hooks : &none;
	loop->params = t->params;
	loop->seed = t->seed;
	loop->n_rows = t->n_rows;
	loop->n_batches = t->sampler.n_batches;
	loop->epochs = ist_param_int(t->params, "epochs");
	loop->patience = ist_param_int(t->params, "patience");
	loop->groups = groups;
	loop->n_groups = n_groups;
	loop->kept = t->kept->theta;
	loop->user = t;
	loop->model = model_now;
	ist_loop_init(loop);
	if (t->started != NULL)
		t->started(t);
	code = ist_loop_run(loop, err);
	if (code == IST_OK)
		*ret = model_of(t, t->kept);
	return code;
}

void ist_training_finish(struct ist_training *t)
{
	ist_network_unref(t->kept);
	ist_sampler_finish(&t->sampler);
	free(t->rows);
	free(t->scratch);
}
