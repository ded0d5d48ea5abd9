/* The report of a model as a table: what was reached beside chance and the baselines. */
#ifndef IST_SERVER_CLI_REPORT_H
#define IST_SERVER_CLI_REPORT_H

#include "server/cli/cli.h"

void ist_report_print(const struct ist_cli *cli, const char *method, const json_t *report);
/* "0.412 [0.380, 0.444]" of {"value", "low", "high"}; "-" where there is none. */
void ist_figure_put(struct ist_buf *buf, const json_t *figure, int digits);

#endif
