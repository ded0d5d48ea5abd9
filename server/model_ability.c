/* What only some methods can: a model that cannot says so in words that help. */
#include "server/model_ability.h"

#include "server/daemon.h"

/* The names of the methods that have an ability. */
static enum ist_code unable(const struct ist_model_info *model, enum ist_ability ability,
			    const char *verb, struct ist_err *err)
{
	struct ist_buf names = {0};
	enum ist_code code;

	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		if ((*m)->can & ability)
			ist_buf_printf(&names, "%s%s", names.len ? ", " : "", (*m)->name);
	code =
	    ist_fail(err, IST_NO_MODEL, "the method %s of model %s cannot %s; methods that can: %s",
		     model->method, model->id, verb, names.len ? names.data : "none yet");
	ist_buf_finish(&names);
	return code;
}

enum ist_code ist_ability_model(struct ist_request *rq, enum ist_ability ability, const char *verb,
				struct ist_collection **ret, struct ist_model_info *ret_info,
				struct ist_err *err)
{
	struct ist_collection *c;
	const struct ist_method *method;
	enum ist_code code;

	if (!json_is_object(rq->json))
		return ist_fail_at(err, IST_INVALID, "", "must be an object");
	code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err);
	if (code)
		return code;
	code = ist_models_get(c, rq->segment[1], rq->arena, ret_info, err);
	method = code ? NULL : ist_method_find(ret_info->method);
	if (!code && (method == NULL || (method->can & ability) == 0))
		code = unable(ret_info, ability, verb, err);
	if (code)
		ist_collection_unref(c);
	else
		*ret = c;
	return code;
}
