/*
 * Chains of convolutions on oneDNN. Every layer is a primitive with clip or sum as its
 * post-operation, all activations lie in one layout so that nothing is reordered between layers,
 * and weights are packed once, for all threads.
 *
 * A plan is the list of primitives for one number of threads (oneDNN fixes that when it compiles);
 * there is one for a single thread, and others appear when they are first asked for. A pass is a
 * plan's buffers. Passes that are not in use wait in a list that the lock guards, as it does the
 * list of plans; the rest of a loaded net never changes.
 */
#include "core/encode/convnet.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/onednn/onednn.h"

#define CLIP_MAX 6.0f
#define MAX_PLANS 8
#define ALIGNED 64

/* Where activations lie: a block's input and output take turns in two places, what is between them
 * in two others. */
enum slot { SLOT_INPUT, SLOT_EVEN, SLOT_ODD, SLOT_INNER, SLOT_INNER_2, SLOT_SCRATCH, N_SLOTS };

struct layer {
	struct ist_conv conv;
	struct ist_shape3 from, to;
	enum slot from_slot, to_slot;
	dnnl_memory_desc_t weights_desc;
	float *weights, *bias;
};

struct plan {
	int threads;
	struct ist_onednn_primitive *convs; /* one a layer */
	struct ist_onednn_primitive pool;
};

struct ist_convnet {
	const struct ist_onednn *dnnl;
	struct layer *layers;
	size_t n;
	dnnl_format_tag_t layout;  /* of activations */
	size_t slot_size[N_SLOTS]; /* bytes */
	pthread_mutex_t lock;
	struct plan plans[MAX_PLANS];  /* guarded by lock */
	size_t n_plans;		       /* guarded by lock */
	struct ist_convnet_pass *idle; /* guarded by lock */
};

#define CONV_ARGS 5

struct ist_convnet_pass {
	struct ist_convnet *net;
	const struct plan *plan;
	struct ist_convnet_pass *next;
	dnnl_stream_t stream;
	char *memory; /* all slots */
	float *slots[N_SLOTS];
	dnnl_exec_arg_t (*args)[CONV_ARGS]; /* one a layer */
	dnnl_exec_arg_t pool_args[3];
	float *pooled;
};

/* Fastest first; the last one is what every implementation knows. */
static const dnnl_format_tag_t layouts[] = {dnnl_nChw16c, dnnl_nChw8c, dnnl_nhwc, dnnl_nchw};

static dnnl_memory_desc_t describe(const struct ist_convnet *net, const struct ist_shape3 *s,
				   dnnl_format_tag_t layout)
{
	const dnnl_dims_t dims = {1, s->channels, s->height, s->width};

	return ist_onednn_desc(net->dnnl, 4, dims, layout);
}

/* ---- the shape of things ---- */

static uint32_t halve_up(uint32_t size, uint32_t stride)
{
	return (size + stride - 1) / stride;
}

/* A block's input stays where it is until its last layer has been computed. */
static void place_layers(struct ist_convnet *net)
{
	enum slot block = SLOT_INPUT, now = SLOT_INPUT;

	for (size_t i = 0; i < net->n; i++) {
		struct layer *l = &net->layers[i];

		l->from_slot = now;
		if (l->conv.last && l->conv.adds)
			now = block;
		else if (l->conv.last)
			now = block == SLOT_EVEN ? SLOT_ODD : SLOT_EVEN;
		else
			now = now == SLOT_INNER ? SLOT_INNER_2 : SLOT_INNER;
		l->to_slot = now;
		if (l->conv.last)
			block = now;
	}
}

static void shape_layers(struct ist_convnet *net, const struct ist_conv *layers, uint32_t height,
			 uint32_t width)
{
	for (size_t i = 0; i < net->n; i++) {
		struct layer *l = &net->layers[i];

		l->conv = layers[i];
		l->from = (struct ist_shape3){layers[i].in, height, width};
		height = halve_up(height, layers[i].stride);
		width = halve_up(width, layers[i].stride);
		l->to = (struct ist_shape3){layers[i].out, height, width};
	}
	place_layers(net);
}

/* ---- plans ---- */

/* Zeros before and after an axis, the smaller half before. */
static void pad_axis(uint32_t size, const struct ist_conv *conv, dnnl_dim_t *before,
		     dnnl_dim_t *after)
{
	dnnl_dim_t out = halve_up(size, conv->stride);
	dnnl_dim_t pad = (out - 1) * conv->stride + conv->kernel - size;

	pad = IST_MAX(pad, 0);
	*before = pad / 2;
	*after = pad - pad / 2;
}

static dnnl_memory_desc_t describe_weights(const struct ist_convnet *net, const struct ist_conv *c,
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
static enum ist_code compile_conv(const struct ist_convnet *net, size_t i, dnnl_format_tag_t layout,
				  const dnnl_memory_desc_t *packed,
				  struct ist_onednn_primitive *ret, struct ist_err *err)
{
	const struct layer *l = &net->layers[i];
	const struct ist_conv *c = &l->conv;
	const struct ist_onednn_after after = {
	    c->adds, c->clip ? dnnl_eltwise_clip : dnnl_alg_kind_undef, 0, CLIP_MAX};
	const dnnl_dims_t strides = {c->stride, c->stride}, bias_dims = {c->out};
	dnnl_memory_desc_t from = describe(net, &l->from, i == 0 ? dnnl_nchw : layout);
	dnnl_memory_desc_t to = describe(net, &l->to, layout);
	dnnl_memory_desc_t weights = packed != NULL ? *packed : describe_weights(net, c, false);
	dnnl_memory_desc_t bias = ist_onednn_desc(net->dnnl, 1, bias_dims, dnnl_a);
	dnnl_dims_t before = {0}, behind = {0};
	dnnl_convolution_desc_t op;
	enum ist_code code;

	pad_axis(l->from.height, c, &before[0], &behind[0]);
	pad_axis(l->from.width, c, &before[1], &behind[1]);
	code = ist_onednn_check(net->dnnl->convolution_forward_desc_init(
				    &op, dnnl_forward_inference, dnnl_convolution_direct, &from,
				    &weights, &bias, &to, strides, before, behind),
				c->name, err);
	if (code != IST_OK)
		return code;
	return ist_onednn_primitive_init(ret, c->name, &op, &after, NULL, err);
}

static enum ist_code compile_pool(const struct ist_convnet *net, struct ist_onednn_primitive *ret,
				  struct ist_err *err)
{
	const struct ist_shape3 *last = &net->layers[net->n - 1].to;
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

static void finish_plan(const struct ist_convnet *net, struct plan *plan)
{
	for (size_t i = 0; plan->convs != NULL && i < net->n; i++)
		ist_onednn_primitive_finish(&plan->convs[i]);
	ist_onednn_primitive_finish(&plan->pool);
	free(ist_steal(&plan->convs));
}

static bool all_fast(const struct ist_convnet *net, const struct plan *plan)
{
	for (size_t i = 0; i < net->n; i++) {
		if (!ist_onednn_primitive_is_fast(&plan->convs[i]))
			return false;
	}
	return true;
}

static enum ist_code compile_layers(const struct ist_convnet *net, dnnl_format_tag_t layout,
				    bool first, struct plan *ret, struct ist_err *err)
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
static enum ist_code choose_layout(struct ist_convnet *net, struct plan *plan, struct ist_err *err)
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
static enum ist_code make_plan(struct ist_convnet *net, struct plan *ret, struct ist_err *err)
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
static enum ist_code find_plan(struct ist_convnet *net, const struct plan **ret,
			       struct ist_err *err)
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

static void grow_slot(struct ist_convnet *net, enum slot slot, size_t bytes)
{
	net->slot_size[slot] = IST_MAX(net->slot_size[slot], bytes);
}

static void measure_slots(struct ist_convnet *net, const struct plan *plan)
{
	for (size_t i = 0; i < net->n; i++) {
		const struct layer *l = &net->layers[i];
		const struct ist_onednn_primitive *p = &plan->convs[i];

		grow_slot(net, l->from_slot,
			  net->dnnl->memory_desc_get_size(
			      ist_onednn_primitive_wants(p, dnnl_query_src_md, 0)));
		grow_slot(net, l->to_slot,
			  net->dnnl->memory_desc_get_size(
			      ist_onednn_primitive_wants(p, dnnl_query_dst_md, 0)));
	}
}

enum ist_code ist_convnet_create(const struct ist_conv *layers, size_t n, uint32_t height,
				 uint32_t width, struct ist_convnet **ret, struct ist_err *err)
{
	struct ist_convnet *net = ist_alloc(1, sizeof(*net));
	enum ist_code code;

	ist_onednn_threads(1);
	pthread_mutex_init(&net->lock, NULL);
	net->n = n;
	net->layers = ist_alloc(n, sizeof(*net->layers));
	shape_layers(net, layers, height, width);
	code = ist_onednn_get(&net->dnnl, err);
	if (code == IST_OK)
		code = make_plan(net, &net->plans[0], err);
	if (code != IST_OK) {
		ist_convnet_destroy(net);
		return code;
	}
	net->n_plans = 1;
	measure_slots(net, &net->plans[0]);
	for (size_t i = 0; i < n; i++)
		net->layers[i].weights_desc =
		    *ist_onednn_primitive_wants(&net->plans[0].convs[i], dnnl_query_weights_md, 0);
	*ret = net;
	return IST_OK;
}

enum ist_code ist_convnet_load(struct ist_convnet *net, size_t i, const float *weights,
			       const float *bias, struct ist_err *err)
{
	struct layer *l = &net->layers[i];
	dnnl_memory_desc_t plain = describe_weights(net, &l->conv, true);
	size_t bytes = net->dnnl->memory_desc_get_size(&l->weights_desc);
	size_t padded = ((size_t)l->conv.out + ALIGNED - 1) / ALIGNED * ALIGNED;

	ist_onednn_threads(1);
	l->weights = ist_alloc_aligned(bytes, 1);
	/* Kernels read whole blocks of channels. */
	l->bias = ist_alloc_aligned(padded, sizeof(*bias));
	memcpy(l->bias, bias, l->conv.out * sizeof(*bias));
	return ist_onednn_reorder(&plain, weights, &l->weights_desc, l->weights, err);
}

size_t ist_convnet_n(const struct ist_convnet *net)
{
	return net->n;
}

struct ist_shape3 ist_convnet_shape(const struct ist_convnet *net, size_t i)
{
	return net->layers[i].to;
}

static void destroy_pass(struct ist_convnet_pass *p)
{
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

void ist_convnet_destroy(struct ist_convnet *net)
{
	if (net == NULL)
		return;
	while (net->idle != NULL) {
		struct ist_convnet_pass *p = net->idle;

		net->idle = p->next;
		destroy_pass(p);
	}
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

static enum ist_code bind_pass(struct ist_convnet_pass *p, struct ist_err *err)
{
	const struct ist_convnet *net = p->net;
	const struct arg pool[] = {
	    {DNNL_ARG_SRC, dnnl_query_src_md, p->slots[net->layers[net->n - 1].to_slot]},
	    {DNNL_ARG_DST, dnnl_query_dst_md, p->pooled},
	    {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, p->slots[SLOT_SCRATCH]},
	};
	enum ist_code code = ist_onednn_stream_create(&p->stream, err);

	for (size_t i = 0; code == IST_OK && i < net->n; i++) {
		const struct layer *l = &net->layers[i];
		const struct arg args[CONV_ARGS] = {
		    {DNNL_ARG_SRC, dnnl_query_src_md, p->slots[l->from_slot]},
		    {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, l->weights},
		    {DNNL_ARG_BIAS, dnnl_query_weights_md, l->bias},
		    {DNNL_ARG_DST, dnnl_query_dst_md, p->slots[l->to_slot]},
		    {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, p->slots[SLOT_SCRATCH]},
		};

		code = bind(&p->plan->convs[i], args, CONV_ARGS, p->args[i], err);
	}
	if (code != IST_OK)
		return code;
	return bind(&p->plan->pool, pool, IST_COUNT(pool), p->pool_args, err);
}

static size_t scratch_of(const struct ist_convnet *net, const struct plan *plan)
{
	size_t bytes = plan->pool.scratch;

	for (size_t i = 0; i < net->n; i++)
		bytes = IST_MAX(bytes, plan->convs[i].scratch);
	return bytes;
}

/* Slots begin at whole cache lines. The memory is zeroed once: padding stays what it is. */
static enum ist_code make_pass(struct ist_convnet *net, const struct plan *plan,
			       struct ist_convnet_pass **ret, struct ist_err *err)
{
	struct ist_convnet_pass *p = ist_alloc(1, sizeof(*p));
	size_t at[N_SLOTS], bytes = 0;
	enum ist_code code;

	p->net = net;
	p->plan = plan;
	for (size_t s = 0; s < N_SLOTS; s++) {
		size_t size = s == SLOT_SCRATCH ? scratch_of(net, plan) : net->slot_size[s];

		at[s] = bytes;
		bytes += (size + ALIGNED) / ALIGNED * ALIGNED;
	}
	p->memory = ist_alloc_aligned(bytes, 1);
	for (size_t s = 0; s < N_SLOTS; s++)
		p->slots[s] = (float *)(void *)(p->memory + at[s]);
	p->pooled = ist_alloc_aligned(net->dnnl->memory_desc_get_size(ist_onednn_primitive_wants(
					  &plan->pool, dnnl_query_dst_md, 0)),
				      1);
	p->args = ist_alloc(net->n, sizeof(*p->args));
	code = bind_pass(p, err);
	if (code != IST_OK) {
		destroy_pass(p);
		return code;
	}
	*ret = p;
	return IST_OK;
}

/* An idle pass of that plan, taken out of the list; called with the lock. */
static struct ist_convnet_pass *take_idle(struct ist_convnet *net, const struct plan *plan)
{
	for (struct ist_convnet_pass **at = &net->idle; *at != NULL; at = &(*at)->next) {
		struct ist_convnet_pass *p = *at;

		if (p->plan == plan) {
			*at = p->next;
			return p;
		}
	}
	return NULL;
}

enum ist_code ist_convnet_begin(struct ist_convnet *net, struct ist_convnet_pass **ret,
				struct ist_err *err)
{
	struct ist_convnet_pass *p = NULL;
	const struct plan *plan = NULL;
	enum ist_code code;

	pthread_mutex_lock(&net->lock);
	code = find_plan(net, &plan, err);
	if (code == IST_OK)
		p = take_idle(net, plan);
	pthread_mutex_unlock(&net->lock);
	if (code == IST_OK && p == NULL)
		code = make_pass(net, plan, &p, err);
	if (code == IST_OK)
		*ret = p;
	return code;
}

void ist_convnet_end(struct ist_convnet_pass *pass)
{
	if (pass == NULL)
		return;
	pthread_mutex_lock(&pass->net->lock);
	pass->next = pass->net->idle;
	pass->net->idle = pass;
	pthread_mutex_unlock(&pass->net->lock);
}

float *ist_convnet_input(struct ist_convnet_pass *pass)
{
	return pass->slots[SLOT_INPUT];
}

/* For whoever looks at the inside: a copy in plain order. */
static enum ist_code show(const struct ist_convnet_pass *p, size_t i, ist_convnet_see see,
			  void *user, struct ist_err *err)
{
	const struct layer *l = &p->net->layers[i];
	dnnl_memory_desc_t from = describe(p->net, &l->to, p->net->layout);
	dnnl_memory_desc_t to = describe(p->net, &l->to, dnnl_nchw);
	ist_autofree float *chw =
	    ist_alloc_aligned((size_t)l->to.channels * l->to.height * l->to.width, sizeof(*chw));
	enum ist_code code = ist_onednn_reorder(&from, p->slots[l->to_slot], &to, chw, err);

	if (code == IST_OK)
		see(user, i, chw);
	return code;
}

enum ist_code ist_convnet_forward(struct ist_convnet_pass *p, ist_convnet_see see, void *user,
				  struct ist_err *err)
{
	const struct plan *plan = p->plan;
	enum ist_code code = IST_OK;

	ist_onednn_threads(plan->threads);
	for (size_t i = 0; code == IST_OK && i < p->net->n; i++) {
		code = ist_onednn_execute(&plan->convs[i], p->stream, CONV_ARGS, p->args[i], err);
		if (code == IST_OK && see != NULL && p->net->layers[i].conv.last)
			code = show(p, i, see, user, err);
	}
	if (code != IST_OK)
		return code;
	return ist_onednn_execute(&plan->pool, p->stream, IST_COUNT(p->pool_args), p->pool_args,
				  err);
}

/* With one place only, every layout has the channels in order. */
void ist_convnet_pooled(const struct ist_convnet_pass *p, float *ret)
{
	memcpy(ret, p->pooled, p->net->layers[p->net->n - 1].to.channels * sizeof(*ret));
}

enum ist_code ist_convnet_map(const struct ist_convnet_pass *p, float *ret, struct ist_err *err)
{
	const struct layer *l = &p->net->layers[p->net->n - 1];
	dnnl_memory_desc_t from = describe(p->net, &l->to, p->net->layout);
	dnnl_memory_desc_t to = describe(p->net, &l->to, dnnl_nhwc);

	return ist_onednn_reorder(&from, p->slots[l->to_slot], &to, ret, err);
}
