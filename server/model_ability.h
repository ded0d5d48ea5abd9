/*
 * What only some models can (caption, render, reconstruct): the way to a model that can, and to
 * what it is asked about. A request to one of them is a source, as of a query, and members of its
 * own in one object.
 */
#ifndef IST_SERVER_MODEL_ABILITY_H
#define IST_SERVER_MODEL_ABILITY_H

#include "index/store.h"
#include "server/fields.h"
#include "server/http.h"
#include "server/query_run.h"

/* The names of a set of enum ist_ability. */
json_t *ist_abilities_json(unsigned set);
/* The set of a model, by its method and the parameters that it was trained with. */
unsigned ist_model_info_abilities(const struct ist_model_info *info);

/* The collection and the model of the path, if that model has the ability; else IST_NO_MODEL says
 * how to train one that has. The body must be an object. The collection only on success. */
IST_CHECKED enum ist_code ist_ability_model(struct ist_request *rq, enum ist_ability ability,
					    const char *verb, struct ist_collection **ret,
					    struct ist_model_info *ret_info, struct ist_err *err);

typedef enum ist_code (*ist_ability_answer)(struct ist_request *rq, struct ist_collection *c,
					    const struct ist_model *model, struct ist_reply *re,
					    struct ist_err *err);
/* Answers with the model of the path and no index; jobs make room meanwhile. */
IST_CHECKED enum ist_code ist_ability_reply(struct ist_request *rq, struct ist_reply *re,
					    enum ist_ability ability, const char *verb,
					    ist_ability_answer answer, struct ist_err *err);
/* The body: `fields` (n) into ret, all else is the source. */
IST_CHECKED enum ist_code ist_ability_parse(struct ist_request *rq, const struct ist_field *fields,
					    size_t n, void *ret, struct ist_source *ret_source,
					    struct ist_err *err);

#endif
