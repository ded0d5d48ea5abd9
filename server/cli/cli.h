/*
 * What every command of the client gets, and the row that each adds to the table of commands. In
 * this folder err is never NULL: every failure ends at the user.
 */
#ifndef IST_SERVER_CLI_CLI_H
#define IST_SERVER_CLI_CLI_H

#include <jansson.h>

#include "server/cli/http.h"
#include "server/cli/options.h"

#define IST_DEFAULT_SERVER "http://127.0.0.1:7700"

struct ist_cli {
	struct ist_http http;
	bool json, quiet;
	bool tty_out, tty_err;	   /* a person is watching */
	bool color_out, color_err; /* and wants colours */
	int width;		   /* columns of that terminal */
};

extern const struct ist_command ist_cmd_import, ist_cmd_export, ist_cmd_query, ist_cmd_train,
    ist_cmd_compare, ist_cmd_reconstruct, ist_cmd_jobs, ist_cmd_models, ist_cmd_collections,
    ist_cmd_encoders, ist_cmd_items, ist_cmd_methods, ist_cmd_info, ist_cmd_completion,
    ist_cmd_manual, ist_cmd_sample, ist_cmd_triples, ist_cmd_caption, ist_cmd_render;

/* The signal (Ctrl-C) that came since ist_interrupt_catch(), 0: none; a second one ends the program
 * at once. */
void ist_interrupt_catch(void);
int ist_interrupted(void);

/* Sleeps, but not through a Ctrl-C. */
void ist_pause_ms(unsigned ms);

#endif
