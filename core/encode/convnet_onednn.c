/*
 * Chains of convolutions on oneDNN: the way for any network and any CPU, and the reference of the
 * faster one. Every layer is a primitive with clip or sum as its post-operation, all activations
 * lie in one layout so that nothing is reordered between layers, and weights are packed once, for
 * all threads.
 *
 * A plan is the list of primitives for one number of threads (oneDNN fixes that when it compiles);
 * there is one for a single thread, and others appear when they are first asked for. The lock
 * guards the list of plans; the rest never changes after loading.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/convnet_private.h"
#include "core/onednn/onednn.h"

#define MAX_PLANS 8
#define ALIGNED 64

/* Where activations lie: a block's input and output take turns in two places, what is between them
 * in two others. */
enum slot { SLOT_INPUT, SLOT_EVEN, SLOT_ODD, SLOT_INNER, SLOT_INNER_2, SLOT_SCRATCH, N_SLOTS };

struct layer {
	const struct ist_conv_layer *is;
	enum slot from, to;
	dnnl_memory_desc_t weights_desc;
	float *weights, *bias;
};

struct plan {
	int threads;
	struct ist_onednn_primitive *convs; /* one a layer */
	struct ist_onednn_primitive pool;
};

struct net {
	const struct ist_onednn *dnnl;
	struct layer *layers;
	size_t n;
	dnnl_format_tag_t layout;  /* of activations */
	size_t slot_size[N_SLOTS]; /* bytes */
	pthread_mutex_t lock;
	struct plan plans[MAX_PLANS]; /* guarded by lock */
	size_t n_plans;		      /* guarded by lock */
};

#define CONV_ARGS 5

struct pass {
	const struct net *net;
	const struct plan *plan;
	dnnl_stream_t stream;
	char *memory; /* all slots */
	float *slots[N_SLOTS];
	dnnl_exec_arg_t (*args)[CONV_ARGS]; /* one a layer */
	dnnl_exec_arg_t pool_args[3];
	float *pooled;
};

/* Fastest first; the last one is what every implementation knows. */
static const dnnl_format_tag_t layouts[] = {dnnl_nChw16c, dnnl_nChw8c, dnnl_nhwc, dnnl_nchw};

static dnnl_memory_desc_t describe(const struct net *net, const struct ist_shape3 *s,
				   dnnl_format_tag_t layout)
{
	const dnnl_dims_t dims = {1, s->channels, s->height, s->width};

	return ist_onednn_desc(net->dnnl, 4, dims, layout);
}

/* A block's input stays where it is until its last layer has been computed. */
static void place_layers(struct net *net)
{
	enum slot block = SLOT_INPUT, now = SLOT_INPUT;

	for (size_t i = 0; i < net->n; i++) {
		struct layer *l = &net->layers[i];

		l->from = now;
		if (l->is->conv.last && l->is->conv.adds)
			now = block;
		else if (l->is->conv.last)
			now = block == SLOT_EVEN ? SLOT_ODD : SLOT_EVEN;
		else
			now = now == SLOT_INNER ? SLOT_INNER_2 : SLOT_INNER;
		l->to = now;
		if (l->is->conv.last)
			block = now;
	}
}

/* ---- plans ---- */

static dnnl_memory_desc_t describe_weights(const struct net *net, const struct ist_conv *c,
					   bool plain)
{
	const dnnl_dims_t grouped = {c->out, 1, 1, c->kernel, c->kernel};
	const dnnl_dims_t whole = {c->out, c->in, c->kernel, c->kernel};

	if (c->depthwise)
		return ist_onednn_desc(net->dnnl, 5, grouped,
				       plain ? dnnl_goihw : dnnl_format_tag_any);
	return ist_onednn_desc(net->dnnl, 4, whole, plain ? dnnl_oihw : dnnl_format_tag_any);
}

/* The first plan chooses how weights are packed, the others have to live with it. */
static enum ist_code compile_conv(const struct net *net, size_t i, dnnl_format_tag_t layout,
				  const dnnl_memory_desc_t *packed,
				  struct ist_onednn_primitive *ret, struct ist_err *err)
{
	const struct layer *l = &net->layers[i];
	const struct ist_conv *c = &l->is->conv;
	const struct ist_onednn_after after = {
	    c->adds, c->clip ? dnnl_eltwise_clip : dnnl_alg_kind_undef, 0, IST_CONV_CLIP};
	const struct ist_conv_pads pads[] = {ist_conv_pads(l->is->from.height, c),
					     ist_conv_pads(l->is->from.width, c)};
	const dnnl_dims_t strides = {c->stride, c->stride}, bias_dims = {c->out};
	dnnl_memory_desc_t from = describe(net, &l->is->from, i == 0 ? dnnl_nchw : layout);
	dnnl_memory_desc_t to = describe(net, &l->is->to, layout);
	dnnl_memory_desc_t weights = packed != NULL ? *packed : describe_weights(net, c, false);
	dnnl_memory_desc_t bias = ist_onednn_desc(net->dnnl, 1, bias_dims, dnnl_a);
	dnnl_dims_t before = {0}, behind = {0};
	dnnl_convolution_desc_t op;
	enum ist_code code;

	before[0] = pads[0].before;
	before[1] = pads[1].before;
	behind[0] = pads[0].after;
	behind[1] = pads[1].after;
	code = ist_onednn_check(net->dnnl->convolution_forward_desc_init(
				    &op, dnnl_forward_inference, dnnl_convolution_direct, &from,
				    &weights, &bias, &to, strides, before, behind),
				c->name, err);
	if (code != IST_OK)
		return code;
	return ist_onednn_primitive_init(ret, c->name, &op, &after, NULL, err);
}

static enum ist_code compile_pool(const struct net *net, struct ist_onednn_primitive *ret,
				  struct ist_err *err)
{
	const struct ist_shape3 *last = &net->layers[net->n - 1].is->to;
	const struct ist_shape3 one = {last->channels, 1, 1};
	const dnnl_dims_t kernel = {last->height, last->width}, none = {0};
	dnnl_memory_desc_t from = describe(net, last, net->layout);
	dnnl_memory_desc_t to = describe(net, &one, net->layout);
	dnnl_pooling_v2_desc_t op;
	enum ist_code code =
	    ist_onednn_check(net->dnnl->pooling_v2_forward_desc_init(
				 &op, dnnl_forward_inference, dnnl_pooling_avg_exclude_padding,
				 &from, &to, kernel, kernel, none, none, none),
			     "pooling", err);

	if (code != IST_OK)
		return code;
	return ist_onednn_primitive_init(ret, "pooling", &op, NULL, NULL, err);
}

static void finish_plan(const struct net *net, struct plan *plan)
{
	for (size_t i = 0; plan->convs != NULL && i < net->n; i++)
		ist_onednn_primitive_finish(&plan->convs[i]);
	ist_onednn_primitive_finish(&plan->pool);
	free(ist_steal(&plan->convs));
}

static bool all_fast(const struct net *net, const struct plan *plan)
{
	for (size_t i = 0; i < net->n; i++) {
		if (!ist_onednn_primitive_is_fast(&plan->convs[i]))
			return false;
	}
	return true;
}

static enum ist_code compile_layers(const struct net *net, dnnl_format_tag_t layout, bool first,
				    struct plan *ret, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	ret->convs = ist_alloc(net->n, sizeof(*ret->convs));
	for (size_t i = 0; code == IST_OK && i < net->n; i++)
		code = compile_conv(net, i, layout, first ? NULL : &net->layers[i].weights_desc,
				    &ret->convs[i], err);
	if (code != IST_OK)
		finish_plan(net, ret);
	return code;
}

/* Layouts are tried in turn until oneDNN has fast code for every layer. */
static enum ist_code choose_layout(struct net *net, struct plan *plan, struct ist_err *err)
{
	enum ist_code code = IST_INTERNAL;

	for (size_t i = 0; i < IST_COUNT(layouts); i++) {
		code = compile_layers(net, layouts[i], true, plan, err);
		net->layout = layouts[i];
		if (code == IST_OK && (i + 1 == IST_COUNT(layouts) || all_fast(net, plan)))
			return IST_OK;
		finish_plan(net, plan);
	}
	return code;
}

/* With the calling thread's setting, which goes into the primitives. */
static enum ist_code make_plan(struct net *net, struct plan *ret, struct ist_err *err)
{
	enum ist_code code;

	*ret = (struct plan){.threads = omp_get_max_threads()};
	if (net->n_plans == 0)
		code = choose_layout(net, ret, err);
	else
		code = compile_layers(net, net->layout, false, ret, err);
	if (code == IST_OK)
		code = compile_pool(net, &ret->pool, err);
	if (code != IST_OK)
		finish_plan(net, ret);
	return code;
}

/* Called with the lock. Beyond the last plan a thread gets the first one, which has one thread. */
static enum ist_code find_plan(struct net *net, const struct plan **ret, struct ist_err *err)
{
	enum ist_code code;

	for (size_t i = 0; i < net->n_plans; i++) {
		if (net->plans[i].threads == omp_get_max_threads()) {
			*ret = &net->plans[i];
			return IST_OK;
		}
	}
	*ret = &net->plans[0];
	if (net->n_plans == MAX_PLANS)
		return IST_OK;
	code = make_plan(net, &net->plans[net->n_plans], err);
	if (code == IST_OK)
		*ret = &net->plans[net->n_plans++];
	return code;
}

/* ---- the net ---- */

static void grow_slot(struct net *net, enum slot slot, size_t bytes)
{
	net->slot_size[slot] = IST_MAX(net->slot_size[slot], bytes);
}

static void measure_slots(struct net *net, const struct plan *plan)
{
	for (size_t i = 0; i < net->n; i++) {
		const struct layer *l = &net->layers[i];
		const struct ist_onednn_primitive *p = &plan->convs[i];

		grow_slot(net, l->from,
			  net->dnnl->memory_desc_get_size(
			      ist_onednn_primitive_wants(p, dnnl_query_src_md, 0)));
		grow_slot(net, l->to,
			  net->dnnl->memory_desc_get_size(
			      ist_onednn_primitive_wants(p, dnnl_query_dst_md, 0)));
	}
}

static bool takes(const struct ist_convnet *net)
{
	return true;
}

static enum ist_code compile(struct ist_convnet *whole, struct ist_err *err)
{
	struct net *net = whole->state = ist_alloc(1, sizeof(*net));
	enum ist_code code;

	ist_onednn_threads(1);
	pthread_mutex_init(&net->lock, NULL);
	net->n = whole->n;
	net->layers = ist_alloc(net->n, sizeof(*net->layers));
	for (size_t i = 0; i < net->n; i++)
		net->layers[i].is = &whole->layers[i];
	place_layers(net);
	code = ist_onednn_get(&net->dnnl, err);
	if (code == IST_OK)
		code = make_plan(net, &net->plans[0], err);
	if (code != IST_OK)
		return code;
	net->n_plans = 1;
	measure_slots(net, &net->plans[0]);
	for (size_t i = 0; i < net->n; i++)
		net->layers[i].weights_desc =
		    *ist_onednn_primitive_wants(&net->plans[0].convs[i], dnnl_query_weights_md, 0);
	return IST_OK;
}

static enum ist_code load(struct ist_convnet *whole, size_t i, const float *weights,
			  const float *bias, struct ist_err *err)
{
	struct net *net = whole->state;
	struct layer *l = &net->layers[i];
	dnnl_memory_desc_t plain = describe_weights(net, &l->is->conv, true);
	size_t bytes = net->dnnl->memory_desc_get_size(&l->weights_desc);
	size_t padded = ((size_t)l->is->conv.out + ALIGNED - 1) / ALIGNED * ALIGNED;

	ist_onednn_threads(1);
	l->weights = ist_alloc_aligned(bytes, 1);
	/* Kernels read whole blocks of channels. */
	l->bias = ist_alloc_aligned(padded, sizeof(*bias));
	memcpy(l->bias, bias, l->is->conv.out * sizeof(*bias));
	return ist_onednn_reorder(&plain, weights, &l->weights_desc, l->weights, err);
}

static void finish(struct ist_convnet *whole)
{
	struct net *net = whole->state;

	if (net == NULL)
		return;
	for (size_t i = 0; i < net->n_plans; i++)
		finish_plan(net, &net->plans[i]);
	for (size_t i = 0; i < net->n; i++) {
		free(net->layers[i].weights);
		free(net->layers[i].bias);
	}
	free(net->layers);
	pthread_mutex_destroy(&net->lock);
	free(net);
}

/* ---- passes ---- */

/* One argument of a primitive, in the layout that it asks for; `which` 0: it is scratch. */
struct arg {
	int arg;
	dnnl_query_t which;
	void *data;
};

static enum ist_code bind(const struct ist_onednn_primitive *p, const struct arg *args, size_t n,
			  dnnl_exec_arg_t *ret, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (size_t k = 0; code == IST_OK && k < n; k++) {
		/* The bias is oneDNN's second kind of weights. */
		int index = args[k].arg == DNNL_ARG_BIAS;

		ret[k].arg = args[k].arg;
		code = ist_onednn_memory_create(ist_onednn_primitive_wants(p, args[k].which, index),
						args[k].data, &ret[k].memory, err);
	}
	return code;
}

static enum ist_code bind_pass(struct pass *p, struct ist_err *err)
{
	const struct net *net = p->net;
	const struct arg pool[] = {
	    {DNNL_ARG_SRC, dnnl_query_src_md, p->slots[net->layers[net->n - 1].to]},
	    {DNNL_ARG_DST, dnnl_query_dst_md, p->pooled},
	    {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, p->slots[SLOT_SCRATCH]},
	};
	enum ist_code code = ist_onednn_stream_create(&p->stream, err);

	for (size_t i = 0; code == IST_OK && i < net->n; i++) {
		const struct layer *l = &net->layers[i];
		const struct arg args[CONV_ARGS] = {
		    {DNNL_ARG_SRC, dnnl_query_src_md, p->slots[l->from]},
		    {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, l->weights},
		    {DNNL_ARG_BIAS, dnnl_query_weights_md, l->bias},
		    {DNNL_ARG_DST, dnnl_query_dst_md, p->slots[l->to]},
		    {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, p->slots[SLOT_SCRATCH]},
		};

		code = bind(&p->plan->convs[i], args, CONV_ARGS, p->args[i], err);
	}
	if (code != IST_OK)
		return code;
	return bind(&p->plan->pool, pool, IST_COUNT(pool), p->pool_args, err);
}

static size_t scratch_of(const struct net *net, const struct plan *plan)
{
	size_t bytes = plan->pool.scratch;

	for (size_t i = 0; i < net->n; i++)
		bytes = IST_MAX(bytes, plan->convs[i].scratch);
	return bytes;
}

/* Slots begin at whole cache lines. The memory is zeroed once: padding stays what it is. */
static void make_slots(struct pass *p)
{
	const struct net *net = p->net;
	size_t at[N_SLOTS], bytes = 0;

	for (size_t s = 0; s < N_SLOTS; s++) {
		size_t size = s == SLOT_SCRATCH ? scratch_of(net, p->plan) : net->slot_size[s];

		at[s] = bytes;
		bytes += (size + ALIGNED) / ALIGNED * ALIGNED;
	}
	p->memory = ist_alloc_aligned(bytes, 1);
	for (size_t s = 0; s < N_SLOTS; s++)
		p->slots[s] = (float *)(void *)(p->memory + at[s]);
}

static enum ist_code start(struct ist_convnet_pass *pass, struct ist_err *err)
{
	struct net *net = pass->net->state;
	struct pass *p = pass->state = ist_alloc(1, sizeof(*p));
	enum ist_code code;

	p->net = net;
	pthread_mutex_lock(&net->lock);
	code = find_plan(net, &p->plan, err);
	pthread_mutex_unlock(&net->lock);
	if (code != IST_OK)
		return code;
	make_slots(p);
	p->pooled = ist_alloc_aligned(net->dnnl->memory_desc_get_size(ist_onednn_primitive_wants(
					  &p->plan->pool, dnnl_query_dst_md, 0)),
				      1);
	p->args = ist_alloc(net->n, sizeof(*p->args));
	return bind_pass(p, err);
}

static void stop(struct ist_convnet_pass *pass)
{
	struct pass *p = pass->state;

	for (size_t i = 0; p->args != NULL && i < p->net->n; i++) {
		for (size_t k = 0; k < CONV_ARGS; k++)
			ist_onednn_memory_destroy(p->args[i][k].memory);
	}
	for (size_t k = 0; k < IST_COUNT(p->pool_args); k++)
		ist_onednn_memory_destroy(p->pool_args[k].memory);
	ist_onednn_stream_destroy(p->stream);
	free(p->args);
	free(p->memory);
	free(p->pooled);
	free(p);
}

static void put(struct ist_convnet_pass *pass, const float *chw)
{
	struct pass *p = pass->state;
	const struct ist_shape3 *s = &p->net->layers[0].is->from;

	memcpy(p->slots[SLOT_INPUT], chw,
	       (size_t)s->channels * s->height * s->width * sizeof(*chw));
}

static void put_bytes(struct ist_convnet_pass *pass, const uint8_t *hwc)
{
	struct pass *p = pass->state;
	const struct ist_shape3 *s = &p->net->layers[0].is->from;
	size_t places = (size_t)s->height * s->width;

	for (size_t c = 0; c < s->channels; c++) {
		for (size_t i = 0; i < places; i++)
			p->slots[SLOT_INPUT][c * places + i] =
			    ist_conv_byte(hwc[i * s->channels + c]);
	}
}

/* For whoever looks at the inside: a copy in plain order. */
static enum ist_code show(const struct pass *p, size_t i, ist_convnet_see see, void *user,
			  struct ist_err *err)
{
	const struct layer *l = &p->net->layers[i];
	dnnl_memory_desc_t from = describe(p->net, &l->is->to, p->net->layout);
	dnnl_memory_desc_t to = describe(p->net, &l->is->to, dnnl_nchw);
	ist_autofree float *chw = ist_alloc_aligned(
	    (size_t)l->is->to.channels * l->is->to.height * l->is->to.width, sizeof(*chw));
	enum ist_code code = ist_onednn_reorder(&from, p->slots[l->to], &to, chw, err);

	if (code == IST_OK)
		see(user, i, chw);
	return code;
}

static enum ist_code forward(struct ist_convnet_pass *pass, ist_convnet_see see, void *user,
			     struct ist_err *err)
{
	struct pass *p = pass->state;
	const struct plan *plan = p->plan;
	enum ist_code code = IST_OK;

	ist_onednn_threads(plan->threads);
	for (size_t i = 0; code == IST_OK && i < p->net->n; i++) {
		code = ist_onednn_execute(&plan->convs[i], p->stream, CONV_ARGS, p->args[i], err);
		if (code == IST_OK && see != NULL && p->net->layers[i].is->conv.last)
			code = show(p, i, see, user, err);
	}
	if (code != IST_OK)
		return code;
	return ist_onednn_execute(&plan->pool, p->stream, IST_COUNT(p->pool_args), p->pool_args,
				  err);
}

/* With one place only, every layout has the channels in order. */
static void pooled(const struct ist_convnet_pass *pass, float *ret)
{
	const struct pass *p = pass->state;

	memcpy(ret, p->pooled, p->net->layers[p->net->n - 1].is->to.channels * sizeof(*ret));
}

static enum ist_code map(const struct ist_convnet_pass *pass, float *ret, struct ist_err *err)
{
	const struct pass *p = pass->state;
	const struct layer *l = &p->net->layers[p->net->n - 1];
	dnnl_memory_desc_t from = describe(p->net, &l->is->to, p->net->layout);
	dnnl_memory_desc_t to = describe(p->net, &l->is->to, dnnl_nhwc);

	return ist_onednn_reorder(&from, p->slots[l->to], &to, ret, err);
}

const struct ist_convnet_kind ist_convnet_onednn = {
    .name = "oneDNN",
    .takes = takes,
    .compile = compile,
    .load = load,
    .finish = finish,
    .start = start,
    .stop = stop,
    .put = put,
    .put_bytes = put_bytes,
    .forward = forward,
    .pooled = pooled,
    .map = map,
};
