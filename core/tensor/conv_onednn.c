/*
 * Convolutions on oneDNN. Each pass (forward, gradient by the input, by the weights) is a primitive
 * that chooses its own layouts; tensors of the graph stay in theirs, rows first, and are reordered
 * on the way in and out where the two differ. Everything is made when a graph is compiled; running
 * allocates nothing of ours.
 *
 * Primitives run on one thread: sums over a batch that several share would depend on how many.
 */
#include <string.h>

#include "core/onednn/onednn.h"
#include "core/tensor/conv.h"
#include "core/tensor/kernels.h"

enum { X, W, B, Y, N_ROLES };

/* One argument of a pass: the graph's tensor, and the primitive's where it is laid out otherwise.
 */
struct side {
	int arg; /* DNNL_ARG_… */
	bool out;
	dnnl_memory_t plain, own; /* own NULL: the plain one serves */
	void *buffer;		  /* of own */
	struct ist_onednn_primitive reorder;
};

#define SIDES 4
struct pass {
	struct ist_onednn_primitive primitive;
	struct side side[SIDES];
	int n;
	void *scratch;
	dnnl_memory_t scratch_memory;
};

struct conv {
	const struct ist_onednn *dnnl;
	dnnl_stream_t stream;
	dnnl_memory_desc_t plain[N_ROLES], any[N_ROLES];
	dnnl_dims_t strides, pads;
	struct pass forward, by_input, by_weight;
	ist_real *dx, *dw, *db; /* gradients of one pass, to be added to the graph's */
};

/* ---- arguments ---- */

static void side_finish(struct side *s)
{
	ist_onednn_memory_destroy(s->plain);
	ist_onednn_memory_destroy(s->own);
	ist_onednn_primitive_finish(&s->reorder);
	free(s->buffer);
}

static enum ist_code reorder_init(struct conv *c, struct side *s, const dnnl_memory_desc_t *plain,
				  const dnnl_memory_desc_t *own, struct ist_err *err)
{
	const dnnl_memory_desc_t *from = s->out ? own : plain, *to = s->out ? plain : own;
	enum ist_code code = ist_onednn_check(
	    c->dnnl->reorder_primitive_desc_create(&s->reorder.desc, from, c->dnnl->engine, to,
						   c->dnnl->engine, NULL),
	    "reorder", err);

	if (code != IST_OK)
		return code;
	return ist_onednn_check(c->dnnl->primitive_create(&s->reorder.primitive, s->reorder.desc),
				"reorder", err);
}

/* `wanted` is the primitive's layout. */
static enum ist_code add_side(struct conv *c, struct pass *p, int arg, bool out, int role,
			      const dnnl_memory_desc_t *wanted, void *data, struct ist_err *err)
{
	struct side *s = &p->side[p->n++];
	enum ist_code code;

	s->arg = arg;
	s->out = out;
	code = ist_onednn_memory_create(&c->plain[role], data, &s->plain, err);
	if (code != IST_OK || c->dnnl->memory_desc_equal(&c->plain[role], wanted))
		return code;
	s->buffer = ist_alloc_aligned(c->dnnl->memory_desc_get_size(wanted), 1);
	code = ist_onednn_memory_create(wanted, s->buffer, &s->own, err);
	return code == IST_OK ? reorder_init(c, s, &c->plain[role], wanted, err) : code;
}

/* ---- passes ---- */

static void pass_finish(struct pass *p)
{
	for (int i = 0; i < p->n; i++)
		side_finish(&p->side[i]);
	ist_onednn_primitive_finish(&p->primitive);
	ist_onednn_memory_destroy(p->scratch_memory);
	free(p->scratch);
}

static enum ist_code add_scratch(struct pass *p, struct ist_err *err)
{
	if (p->primitive.scratch == 0)
		return IST_OK;
	p->scratch = ist_alloc_aligned(p->primitive.scratch, 1);
	return ist_onednn_memory_create(
	    ist_onednn_primitive_wants(&p->primitive, dnnl_query_scratchpad_md, 0), p->scratch,
	    &p->scratch_memory, err);
}

static void run_reorder(const struct conv *c, const struct side *s)
{
	dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, s->out ? s->own : s->plain},
				  {DNNL_ARG_TO, s->out ? s->plain : s->own}};

	/* What was compiled on memory of its own cannot fail any more. */
	(void)!ist_onednn_execute(&s->reorder, c->stream, 2, args, NULL);
}

static void pass_run(const struct conv *c, const struct pass *p)
{
	dnnl_exec_arg_t args[SIDES + 1];
	int n = 0, before = ist_onednn_threads_begin(1);

	for (int i = 0; i < p->n; i++) {
		const struct side *s = &p->side[i];

		if (s->own != NULL && !s->out)
			run_reorder(c, s);
		args[n++] = (dnnl_exec_arg_t){s->arg, s->own != NULL ? s->own : s->plain};
	}
	if (p->scratch_memory != NULL)
		args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->scratch_memory};
	(void)!ist_onednn_execute(&p->primitive, c->stream, n, args, NULL);
	for (int i = 0; i < p->n; i++)
		if (p->side[i].own != NULL && p->side[i].out)
			run_reorder(c, &p->side[i]);
	ist_onednn_threads_end(before);
}

/* The library's description of either kind; both have the same layout of calls. */
static enum ist_code describe(struct conv *c, bool transposed, dnnl_convolution_desc_t *ret,
			      int pass, struct ist_err *err)
{
	const struct ist_onednn *d = c->dnnl;
	const dnnl_memory_desc_t *any = c->any, *bias = &c->plain[B];
	dnnl_status_t status;

	if (pass == Y)
		status = transposed
			     ? d->deconvolution_forward_desc_init(
				   ret, dnnl_forward_training, dnnl_deconvolution_direct, &any[X],
				   &any[W], bias, &any[Y], c->strides, c->pads, c->pads)
			     : d->convolution_forward_desc_init(
				   ret, dnnl_forward_training, dnnl_convolution_direct, &any[X],
				   &any[W], bias, &any[Y], c->strides, c->pads, c->pads);
	else if (pass == X)
		status = transposed
			     ? d->deconvolution_backward_data_desc_init(
				   ret, dnnl_deconvolution_direct, &any[X], &any[W], &any[Y],
				   c->strides, c->pads, c->pads)
			     : d->convolution_backward_data_desc_init(ret, dnnl_convolution_direct,
								      &any[X], &any[W], &any[Y],
								      c->strides, c->pads, c->pads);
	else
		status = transposed ? d->deconvolution_backward_weights_desc_init(
					  ret, dnnl_deconvolution_direct, &any[X], &any[W], bias,
					  &any[Y], c->strides, c->pads, c->pads)
				    : d->convolution_backward_weights_desc_init(
					  ret, dnnl_convolution_direct, &any[X], &any[W], bias,
					  &any[Y], c->strides, c->pads, c->pads);
	return ist_onednn_check(status, "convolution", err);
}

static enum ist_code pass_init(struct conv *c, struct pass *p, bool transposed, int pass,
			       struct ist_err *err)
{
	dnnl_convolution_desc_t desc;
	enum ist_code code = describe(c, transposed, &desc, pass, err);

	if (code == IST_OK)
		code = ist_onednn_primitive_init(&p->primitive, "convolution", &desc, NULL,
						 pass == Y ? NULL : &c->forward.primitive, err);
	return code == IST_OK ? add_scratch(p, err) : code;
}

/* An argument, what the primitive calls its layout, the tensor's role and data. */
struct wiring {
	int arg;
	bool out;
	dnnl_query_t query;
	int role;
	void *data;
};

static enum ist_code wire(struct conv *c, struct pass *p, const struct wiring *w, int n,
			  struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (int i = 0; i < n && code == IST_OK; i++)
		code = add_side(c, p, w[i].arg, w[i].out, w[i].role,
				w[i].role == B
				    ? &c->plain[B]
				    : ist_onednn_primitive_wants(&p->primitive, w[i].query, 0),
				w[i].data, err);
	return code;
}

static enum ist_code make_forward(struct conv *c, ist_node *y, bool transposed, struct ist_err *err)
{
	const struct wiring w[] = {
	    {DNNL_ARG_SRC, false, dnnl_query_src_md, X, y->in[0]->value},
	    {DNNL_ARG_WEIGHTS, false, dnnl_query_weights_md, W, y->in[1]->value},
	    {DNNL_ARG_BIAS, false, dnnl_query_undef, B, y->in[2]->value},
	    {DNNL_ARG_DST, true, dnnl_query_dst_md, Y, y->value},
	};
	enum ist_code code = pass_init(c, &c->forward, transposed, Y, err);

	return code == IST_OK ? wire(c, &c->forward, w, IST_COUNT(w), err) : code;
}

static enum ist_code make_by_input(struct conv *c, ist_node *y, bool transposed,
				   struct ist_err *err)
{
	const struct wiring w[] = {
	    {DNNL_ARG_DIFF_DST, false, dnnl_query_diff_dst_md, Y, y->gradient},
	    {DNNL_ARG_WEIGHTS, false, dnnl_query_weights_md, W, y->in[1]->value},
	    {DNNL_ARG_DIFF_SRC, true, dnnl_query_diff_src_md, X,
	     c->dx = ist_alloc_aligned(y->in[0]->size, sizeof(ist_real))},
	};
	enum ist_code code = pass_init(c, &c->by_input, transposed, X, err);

	return code == IST_OK ? wire(c, &c->by_input, w, IST_COUNT(w), err) : code;
}

static enum ist_code make_by_weight(struct conv *c, ist_node *y, bool transposed,
				    struct ist_err *err)
{
	const struct wiring w[] = {
	    {DNNL_ARG_DIFF_DST, false, dnnl_query_diff_dst_md, Y, y->gradient},
	    {DNNL_ARG_SRC, false, dnnl_query_src_md, X, y->in[0]->value},
	    {DNNL_ARG_DIFF_WEIGHTS, true, dnnl_query_diff_weights_md, W,
	     c->dw = ist_alloc_aligned(y->in[1]->size, sizeof(ist_real))},
	    {DNNL_ARG_DIFF_BIAS, true, dnnl_query_undef, B,
	     c->db = ist_alloc_aligned(y->in[2]->size, sizeof(ist_real))},
	};
	enum ist_code code = pass_init(c, &c->by_weight, transposed, W, err);

	return code == IST_OK ? wire(c, &c->by_weight, w, IST_COUNT(w), err) : code;
}

/* ---- the node ---- */

static void describe_tensors(struct conv *c, const ist_node *y, bool transposed)
{
	const ist_node *tensor[N_ROLES] = {y->in[0], y->in[1], y->in[2], y};

	for (int role = 0; role < N_ROLES; role++) {
		const ist_node *t = tensor[role];
		dnnl_dims_t dims = {0};

		if (role == B) {
			dims[0] = (dnnl_dim_t)t->size;
			c->plain[B] = ist_onednn_desc(c->dnnl, 1, dims, dnnl_x);
			continue;
		}
		for (int i = 0; i < 4; i++)
			dims[i] = (dnnl_dim_t)t->dim[i];
		/* The library names a transposed kernel's outputs first, too: ours lie second. */
		if (role == W && transposed) {
			dims[0] = (dnnl_dim_t)t->dim[1];
			dims[1] = (dnnl_dim_t)t->dim[0];
		}
		c->plain[role] = ist_onednn_desc(
		    c->dnnl, 4, dims, role == W ? (transposed ? dnnl_iohw : dnnl_oihw) : dnnl_nchw);
		c->any[role] = ist_onednn_desc(c->dnnl, 4, dims, dnnl_format_tag_any);
	}
	for (int i = 0; i < 2; i++) {
		c->strides[i] = (dnnl_dim_t)y->arg[IST_CONV_STRIDE];
		c->pads[i] = (dnnl_dim_t)y->arg[IST_CONV_PAD];
	}
}

void ist_conv_release(ist_node *y)
{
	struct conv *c = y->state;

	if (c == NULL)
		return;
	pass_finish(&c->forward);
	pass_finish(&c->by_input);
	pass_finish(&c->by_weight);
	if (c->stream != NULL)
		ist_onednn_stream_destroy(c->stream);
	free(c->dx);
	free(c->dw);
	free(c->db);
	free(c);
	y->state = NULL;
}

enum ist_code ist_conv_prepare(ist_node *y, bool transposed, bool training, struct ist_err *err)
{
	struct conv *c = ist_alloc(1, sizeof(*c));
	bool weights = y->in[1]->wants_gradient || y->in[2]->wants_gradient;
	int before = ist_onednn_threads_begin(1);
	enum ist_code code;

	y->state = c;
	code = ist_onednn_get(&c->dnnl, err);
	if (code == IST_OK)
		code = ist_onednn_stream_create(&c->stream, err);
	if (code == IST_OK) {
		describe_tensors(c, y, transposed);
		code = make_forward(c, y, transposed, err);
	}
	if (code == IST_OK && training && y->in[0]->wants_gradient)
		code = make_by_input(c, y, transposed, err);
	if (code == IST_OK && training && weights)
		code = make_by_weight(c, y, transposed, err);
	ist_onednn_threads_end(before);
	return code;
}

void ist_conv_forward(ist_node *y, bool transposed)
{
	const struct conv *c = y->state;

	pass_run(c, &c->forward);
}

static void add(ist_node *x, const ist_real *d)
{
	if (x->wants_gradient)
		ist_k_axpy(ist_gradient(x), 1, d, x->size);
}

void ist_conv_backward(ist_node *y, bool transposed)
{
	const struct conv *c = y->state;

	if (c->dx != NULL) {
		pass_run(c, &c->by_input);
		add(y->in[0], c->dx);
	}
	if (c->dw != NULL) {
		pass_run(c, &c->by_weight);
		add(y->in[1], c->dw);
		add(y->in[2], c->db);
	}
}
