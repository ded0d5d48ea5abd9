/*
 * What commands that ask for items or ask a model share: a picture in a request, the model that is
 * meant, hits in a reply.
 */
#ifndef IST_SERVER_CLI_HITS_H
#define IST_SERVER_CLI_HITS_H

#include "server/cli/cli.h"

/* {"base64": the bytes of a file} */
IST_CHECKED enum ist_code ist_picture_json(const char *file, json_t **ret, struct ist_err *err);
/* The id of a model: "active" and NULL stand for the one that answers queries. */
IST_CHECKED enum ist_code ist_model_resolve(struct ist_cli *cli, const char *collection,
					    const char *model, char **ret, struct ist_err *err);
/* POST …/models/{model}:{verb}; `model` as above. */
IST_CHECKED enum ist_code ist_model_ask(struct ist_cli *cli, const char *collection,
					const char *model, const char *verb, const json_t *body,
					json_t **ret, struct ist_err *err);
/* An array of hits as a table. */
void ist_hits_print(const struct ist_cli *cli, const json_t *hits);

#endif
