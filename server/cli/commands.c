/* The commands, and the options that all of them take. */
#include "core/base/memory.h"
#include "server/cli/cli.h"

const struct ist_command *const ist_commands[] = {
    &ist_cmd_import,  &ist_cmd_train,	    &ist_cmd_compare,	  &ist_cmd_query,
    &ist_cmd_caption, &ist_cmd_render,	    &ist_cmd_reconstruct, &ist_cmd_models,
    &ist_cmd_jobs,    &ist_cmd_collections, &ist_cmd_encoders,	  &ist_cmd_items,
    &ist_cmd_export,  &ist_cmd_triples,	    &ist_cmd_sample,	  &ist_cmd_methods,
    &ist_cmd_info,    &ist_cmd_completion,  &ist_cmd_manual,
};
const size_t ist_n_commands = IST_COUNT(ist_commands);

static const char *const when[] = {"auto", "always", "never", NULL};

const struct ist_opt ist_global_opts[] = {
    {"server", IST_OPT_TEXT, 's', "URL",
     .help = "where the daemon answers; $ISTHMUS_SERVER, else " IST_DEFAULT_SERVER},
    {"json", IST_OPT_FLAG, 'j', .help = "print the server's JSON"},
    {"quiet", IST_OPT_FLAG, 'q', .help = "no progress and no remarks"},
    {"color", IST_OPT_CHOICE, 0, "WHEN", when,
     .help = "colours: auto (on a terminal), always, never"},
    {"help", IST_OPT_FLAG, 'h', .help = "print this"},
    {"version", IST_OPT_FLAG, 0, .help = "print the version"},
};
const size_t ist_n_global_opts = IST_COUNT(ist_global_opts);
