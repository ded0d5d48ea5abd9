/* What commands that ask for items share: a picture in a request, hits in a reply. */
#ifndef IST_SERVER_CLI_HITS_H
#define IST_SERVER_CLI_HITS_H

#include "server/cli/cli.h"

/* {"base64": the bytes of a file} */
IST_CHECKED enum ist_code ist_picture_json(const char *file, json_t **ret, struct ist_err *err);
/* An array of hits as a table. */
void ist_hits_print(const struct ist_cli *cli, const json_t *hits);

#endif
