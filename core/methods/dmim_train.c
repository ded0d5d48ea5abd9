/*
 * DMIM's training: triples in shuffled batches, the learning rate falling to 0 along a cosine. The
 * loop (loop.h) does the rest. One thread drives it.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/dmim.h"
#include "core/methods/loop.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"
#include "core/methods/samplers.h"
#include "core/methods/word_network.h"

enum { METRIC, TEXT, LOCAL, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_metric", "L_text", "L_local", "loss"};

struct training {
	const struct ist_triples *triples;
	size_t dim[IST_N_MODALITIES];
	json_t *params;
	uint64_t seed;
	struct ist_dmim *net;
	struct ist_network *kept; /* what the model will be: scalings from the start */
	struct ist_sampler sampler;
	struct ist_loop loop;
	float *scratch;			  /* a scaled row */
	uint32_t *order;		  /* places of a map, shuffled */
	struct ist_vocabulary vocabulary; /* where texts are words */
};

static void start_epoch(void *user, size_t epoch)
{
	struct training *t = user;

	ist_sampler_start(&t->sampler, epoch);
}

/* Scaled rows of one matrix into an input, as much of each as it takes; `of` names the row of each
 * triple, NULL: its own. */
static void feed(struct training *t, enum ist_modality m, const float *x, const uint32_t *of,
		 const uint32_t *triple, ist_node *ret)
{
	size_t dim = t->dim[m], n = ret->dim[1];

	for (size_t i = 0; i < ret->dim[0]; i++) {
		size_t row = of != NULL ? of[triple[i]] : triple[i];

		ist_scaling_apply(&t->kept->scaling[m], x + row * dim, 1, t->scratch);
		for (size_t j = 0; j < n; j++)
			ret->value[i * n + j] = (ist_real)t->scratch[j];
	}
}

/* For the soft triplet loss: others of the stack of queries and targets, drawn anew every step. */
static void draw_negatives(struct training *t, size_t epoch, size_t batch)
{
	ist_node *negatives = t->net->negatives;
	size_t n = t->net->s.batch;
	struct ist_rng rng;

	ist_rng_init(&rng, t->seed, "negatives");
	rng.stream ^= (epoch * t->loop.n_batches + batch + 1) * 0x9E3779B97F4A7C15u;
	for (size_t i = 0; i < negatives->dim[0]; i++) {
		size_t anchor = i / IST_DMIM_NEGATIVES % n, other;

		other = n > 1 ? (anchor + 1 + ist_rng_below(&rng, n - 1)) % n : n;
		negatives->ids[i] =
		    other == n ? -1 : (int32_t)(other + (ist_rng_below(&rng, 2) == 0 ? 0 : n));
	}
}

/* Which places of the targets' local maps are looked at: L of them, each once. */
static void draw_places(struct training *t, size_t epoch, size_t batch)
{
	const struct ist_dmim_settings *s = &t->net->s;
	size_t side = s->side >> IST_IMAGE_EARLY;
	struct ist_rng rng;

	if (!s->cnn || s->lambda_local == 0)
		return;
	ist_rng_init(&rng, t->seed, "places");
	rng.stream ^= (epoch * t->loop.n_batches + batch + 1) * 0x9E3779B97F4A7C15u;
	for (size_t i = 0; i < s->batch; i++) {
		for (size_t k = 0; k < side * side; k++)
			t->order[k] = (uint32_t)k;
		ist_rng_permute(&rng, t->order, side * side);
		for (size_t l = 0; l < s->locations; l++)
			t->net->places->ids[i * s->locations + l] = (int32_t)t->order[l];
	}
}

static void load_batch(struct training *t, size_t epoch, size_t batch)
{
	const struct ist_triples *d = t->triples;
	const uint32_t *triple = ist_sampler_batch(&t->sampler, batch);

	feed(t, IST_IMAGE, d->image, d->reference, triple, t->net->image);
	feed(t, IST_IMAGE, d->image, d->target, triple, t->net->target);
	feed(t, IST_TEXT, d->text, NULL, triple, t->net->text);
	draw_negatives(t, epoch, batch);
	draw_places(t, epoch, batch);
}

/* lr / 2 (1 + cos(pi step / steps)) */
static double rate_at(const struct training *t, size_t epoch, size_t batch)
{
	double steps = (double)t->loop.epochs * (double)t->loop.n_batches;
	double done = (double)(epoch * t->loop.n_batches + batch) / steps;

	return t->net->s.lr * (1 + cos(3.14159265358979323846 * done)) / 2;
}

static void step(void *user, size_t epoch, size_t batch, double *terms)
{
	struct training *t = user;
	const struct ist_dmim *a = t->net;
	const ist_node *const nodes[N_TERMS] = {a->L_metric, a->L_text, a->L_local, a->L};

	load_batch(t, epoch, batch);
	ist_dmim_step(t->net, rate_at(t, epoch, batch));
	for (int i = 0; i < N_TERMS; i++)
		terms[i] = nodes[i] != NULL ? (double)nodes[i]->value[0] : 0;
}

/* Of the weights as they are, for validation. */
static struct ist_model *model_now(void *user)
{
	struct training *t = user;
	struct ist_network *network = ist_network_copy(t->kept, t->params, t->net->theta);
	struct ist_model *model = ist_dmim_model(network, t->params, t->seed);

	ist_network_unref(network);
	return model;
}

/* Triples of the training part. */
static uint32_t *pick_triples(const struct ist_triples *triples, size_t *ret_n)
{
	uint32_t *rows = ist_alloc(triples->n + 1, sizeof(*rows));

	*ret_n = 0;
	for (size_t i = 0; i < triples->n; i++)
		if (triples->part[i] == IST_TRAIN)
			rows[(*ret_n)++] = (uint32_t)i;
	return rows;
}

/* Pictures of the training part that some triple of it names. */
static uint32_t *pick_images(const struct ist_triples *triples, const uint32_t *rows, size_t n_rows,
			     size_t *ret_n)
{
	ist_autofree uint8_t *used = ist_alloc(triples->n_images + 1, 1);
	uint32_t *images = ist_alloc(triples->n_images + 1, sizeof(*images));

	for (size_t i = 0; i < n_rows; i++)
		used[triples->reference[rows[i]]] = used[triples->target[rows[i]]] = 1;
	*ret_n = 0;
	for (size_t i = 0; i < triples->n_images; i++)
		if (used[i])
			images[(*ret_n)++] = (uint32_t)i;
	return images;
}

static void fit_scaling(struct training *t, enum ist_modality m, const float *x,
			const uint32_t *rows, size_t n)
{
	struct ist_scaling *scaling = &t->kept->scaling[m];
	const char *kind = ist_param_choice(t->params, ist_scaling_param(m));

	ist_scaling_fit(scaling, kind, x, t->dim[m], rows, n);
	if (strcmp(kind, "none") != 0)
		ist_scaling_equalise(scaling, x, rows, n);
}

/* Networks over pixels and words can only read what those encoders make. */
static enum ist_code check_networks(const struct training *t, const struct ist_pairs *pairs,
				    struct ist_err *err)
{
	const char *image = ist_param_choice(t->params, "image_network");
	const char *text = ist_param_choice(t->params, "text_network");

	if (strcmp(image, "cnn") == 0 && pairs->form[IST_IMAGE] != IST_FORM_PIXELS)
		return ist_fail_at(err, IST_INVALID, "/image_network",
				   "cnn reads what the image encoder \"pixels\" makes");
	if (strcmp(text, "lstm") == 0 && pairs->form[IST_TEXT] != IST_FORM_WORDS)
		return ist_fail_at(err, IST_INVALID, "/text_network",
				   "lstm reads what the text encoder \"words\" makes");
	if (strcmp(ist_param_choice(t->params, "form"), "map") == 0 && strcmp(image, "cnn") != 0)
		return ist_fail_at(err, IST_INVALID, "/form", "map needs image_network cnn");
	return IST_OK;
}

/* Everything that the data decide. */
static void decide(struct training *t, const struct ist_pairs *pairs, const uint32_t *rows,
		   const uint32_t *images, size_t n_images)
{
	struct ist_dmim_data data = {.n_rows = t->loop.n_rows};

	memcpy(data.form, pairs->form, sizeof(data.form));
	data.negative = ist_rows_negative(t->triples->image, t->dim[IST_IMAGE], images, n_images);
	if (pairs->form[IST_TEXT] == IST_FORM_WORDS)
		ist_vocabulary_collect(&t->vocabulary, t->triples->text, t->dim[IST_TEXT], rows,
				       t->loop.n_rows);
	data.vocabulary = t->vocabulary.n;
	ist_dmim_decide(t->params, &data);
}

/* Scaling, vocabulary and sampler are functions of the triples and the seed, so a resumed training
 * makes them again. */
static enum ist_code prepare(struct training *t, const struct ist_pairs *pairs, struct ist_err *err)
{
	struct ist_dmim_settings s;
	ist_autofree uint32_t *rows = NULL, *images = NULL;
	size_t n_images;
	enum ist_code code;

	if (t->triples == NULL)
		return ist_fail(err, IST_NOT_ENOUGH_DATA, "dmim learns from triples");
	rows = pick_triples(t->triples, &t->loop.n_rows);
	if (t->loop.n_rows < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"dmim needs at least 2 triples whose pictures are both for "
				"training, not %zu",
				t->loop.n_rows);
	memcpy(t->dim, pairs->dim, sizeof(t->dim));
	images = pick_images(t->triples, rows, t->loop.n_rows, &n_images);
	decide(t, pairs, rows, images, n_images);
	if ((code = check_networks(t, pairs, err)) != IST_OK)
		return code;
	ist_dmim_settings(t->params, pairs->dim, 0, &s);
	s.batch = IST_MIN(s.batch, t->loop.n_rows);
	s.words = t->vocabulary.longest;
	ist_sampler_init(&t->sampler, &ist_sampler_plain, rows, t->loop.n_rows, NULL, s.batch,
			 t->seed);
	t->scratch = ist_alloc(IST_MAX(t->dim[0], t->dim[1]), sizeof(*t->scratch));
	t->order = ist_alloc(s.side * s.side + 1, sizeof(*t->order));
	t->kept = ist_network_create(&ist_dmim_kind, t->params, pairs->dim, 0);
	fit_scaling(t, IST_IMAGE, t->triples->image, images, n_images);
	fit_scaling(t, IST_TEXT, t->triples->text, rows, t->loop.n_rows);
	return ist_dmim_create(&s, t->seed, &t->net, err);
}

static enum ist_code run(struct training *t, const struct ist_train_hooks *hooks,
			 struct ist_err *err)
{
	struct ist_weights *const groups[] = {t->net->theta, t->net->critics};
	struct ist_loop *loop = &t->loop;

	loop->name = "dmim";
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
	ist_vocabulary_set(&t->vocabulary, t->net->theta);
	return ist_loop_run(loop, err);
}

static void finish(struct training *t)
{
	ist_dmim_destroy(t->net);
	ist_network_unref(t->kept);
	ist_sampler_finish(&t->sampler);
	free(t->scratch);
	free(t->order);
	ist_vocabulary_finish(&t->vocabulary);
}

enum ist_code ist_dmim_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			     const struct ist_train_hooks *hooks, struct ist_model **ret,
			     struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	struct training t = {.triples = pairs->triples, .params = params, .seed = seed};
	enum ist_code code = prepare(&t, pairs, err);

	if (code == IST_OK)
		code = run(&t, hooks != NULL ? hooks : &none, err);
	if (code == IST_OK)
		*ret = ist_dmim_model(t.kept, params, seed);
	finish(&t);
	return code;
}
