/*
 * Primitives: made once from a description, run many times. Scratch is always the caller's, so
 * that one primitive serves several threads and allocates nothing.
 */
#include "core/onednn/onednn.h"

#include <string.h>

static enum ist_code append_after(const struct ist_onednn *dnnl, dnnl_post_ops_t ops,
				  const struct ist_onednn_after *after, struct ist_err *err)
{
	dnnl_status_t status = dnnl_success;

	if (after->add)
		status = dnnl->post_ops_append_sum(ops, 1);
	if (status == dnnl_success && after->eltwise != dnnl_alg_kind_undef)
		status = dnnl->post_ops_append_eltwise(ops, 1, after->eltwise, after->alpha,
						       after->beta);
	return ist_onednn_check(status, "post-operation", err);
}

/* The attributes copy what they are given. */
static enum ist_code set_after(const struct ist_onednn *dnnl, dnnl_primitive_attr_t attr,
			       const struct ist_onednn_after *after, struct ist_err *err)
{
	dnnl_post_ops_t ops;
	enum ist_code code = ist_onednn_check(dnnl->post_ops_create(&ops), "post-operations", err);

	if (code != IST_OK)
		return code;
	code = append_after(dnnl, ops, after, err);
	if (code == IST_OK)
		code = ist_onednn_check(dnnl->primitive_attr_set_post_ops(attr, ops),
					"post-operations", err);
	dnnl->post_ops_destroy(ops);
	return code;
}

static enum ist_code make_attr(const struct ist_onednn *dnnl, const struct ist_onednn_after *after,
			       dnnl_primitive_attr_t *ret, struct ist_err *err)
{
	enum ist_code code = ist_onednn_check(dnnl->primitive_attr_create(ret), "attributes", err);

	if (code != IST_OK)
		return code;
	code = ist_onednn_check(
	    dnnl->primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user), "attributes",
	    err);
	if (code == IST_OK && after != NULL)
		code = set_after(dnnl, *ret, after, err);
	if (code != IST_OK)
		dnnl->primitive_attr_destroy(*ret);
	return code;
}

/* From a description to something that runs; p->desc is there already. */
static enum ist_code compile(const struct ist_onednn *dnnl, struct ist_onednn_primitive *p,
			     const char *what, struct ist_err *err)
{
	enum ist_code code =
	    ist_onednn_check(dnnl->primitive_create(&p->primitive, p->desc), what, err);

	if (code == IST_OK)
		p->scratch = dnnl->memory_desc_get_size(
		    dnnl->primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0));
	return code;
}

enum ist_code ist_onednn_primitive_init(struct ist_onednn_primitive *p, const char *what,
					const void *op, const struct ist_onednn_after *after,
					const struct ist_onednn_primitive *hint,
					struct ist_err *err)
{
	const struct ist_onednn *dnnl;
	dnnl_primitive_attr_t attr;
	enum ist_code code = ist_onednn_get(&dnnl, err);

	*p = (struct ist_onednn_primitive){0};
	if (code == IST_OK)
		code = make_attr(dnnl, after, &attr, err);
	if (code != IST_OK)
		return code;
	code = ist_onednn_check(dnnl->primitive_desc_create(&p->desc, op, attr, dnnl->engine,
							    hint != NULL ? hint->desc : NULL),
				what, err);
	dnnl->primitive_attr_destroy(attr);
	if (code == IST_OK)
		code = compile(dnnl, p, what, err);
	if (code != IST_OK)
		ist_onednn_primitive_finish(p);
	return code;
}

void ist_onednn_primitive_finish(struct ist_onednn_primitive *p)
{
	const struct ist_onednn *dnnl;
	bool made = p->desc != NULL && ist_onednn_get(&dnnl, NULL) == IST_OK;

	if (made && p->primitive != NULL)
		dnnl->primitive_destroy(p->primitive);
	if (made)
		dnnl->primitive_desc_destroy(p->desc);
	*p = (struct ist_onednn_primitive){0};
}

const dnnl_memory_desc_t *ist_onednn_primitive_wants(const struct ist_onednn_primitive *p,
						     dnnl_query_t which, int index)
{
	const struct ist_onednn *dnnl;

	return ist_onednn_get(&dnnl, NULL) == IST_OK
		   ? dnnl->primitive_desc_query_md(p->desc, which, index)
		   : NULL;
}

/* Names begin with what made them: "jit_1x1:avx512_core", "gemm:jit", "brgemm:…", "ref:any". */
bool ist_onednn_primitive_is_fast(const struct ist_onednn_primitive *p)
{
	const struct ist_onednn *dnnl;
	const char *name = "";

	if (ist_onednn_get(&dnnl, NULL) != IST_OK ||
	    dnnl->primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name) != dnnl_success)
		return false;
	return strncmp(name, "ref", 3) != 0;
}

enum ist_code ist_onednn_execute(const struct ist_onednn_primitive *p, dnnl_stream_t stream, int n,
				 const dnnl_exec_arg_t *args, struct ist_err *err)
{
	const struct ist_onednn *dnnl;
	enum ist_code code = ist_onednn_get(&dnnl, err);

	if (code != IST_OK)
		return code;
	return ist_onednn_check(dnnl->primitive_execute(p->primitive, stream, n, args), "execution",
				err);
}

/* The two memories of a reorder and the stream that it runs in. */
static enum ist_code run_reorder(const struct ist_onednn_primitive *p, dnnl_memory_t from,
				 dnnl_memory_t to, struct ist_err *err)
{
	dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	dnnl_stream_t stream;
	enum ist_code code = ist_onednn_stream_create(&stream, err);

	if (code != IST_OK)
		return code;
	code = ist_onednn_execute(p, stream, IST_COUNT(args), args, err);
	ist_onednn_stream_destroy(stream);
	return code;
}

/* A reorder has no operation's description of its own, and needs no scratch of ours: it runs once,
 * here. */
enum ist_code ist_onednn_reorder(const dnnl_memory_desc_t *from_desc, const void *from,
				 const dnnl_memory_desc_t *to_desc, void *to, struct ist_err *err)
{
	const struct ist_onednn *dnnl;
	struct ist_onednn_primitive p = {0};
	dnnl_memory_t memory[2] = {NULL, NULL};
	enum ist_code code = ist_onednn_get(&dnnl, err);

	if (code == IST_OK)
		code = ist_onednn_check(dnnl->reorder_primitive_desc_create(&p.desc, from_desc,
									    dnnl->engine, to_desc,
									    dnnl->engine, NULL),
					"reorder", err);
	if (code == IST_OK)
		code = compile(dnnl, &p, "reorder", err);
	if (code == IST_OK) /* oneDNN reads from it only */
		code =
		    ist_onednn_memory_create(from_desc, (void *)(uintptr_t)from, &memory[0], err);
	if (code == IST_OK)
		code = ist_onednn_memory_create(to_desc, to, &memory[1], err);
	if (code == IST_OK)
		code = run_reorder(&p, memory[0], memory[1], err);
	ist_onednn_memory_destroy(memory[0]);
	ist_onednn_memory_destroy(memory[1]);
	ist_onednn_primitive_finish(&p);
	return code;
}
