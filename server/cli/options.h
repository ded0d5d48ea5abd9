/*
 * The tables of commands and options, from which come the parser, --help, the completion and the
 * manual page, and what was given on a command line.
 */
#ifndef IST_SERVER_CLI_OPTIONS_H
#define IST_SERVER_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_cli;
struct ist_args;

enum ist_opt_kind {
	IST_OPT_FLAG,
	IST_OPT_TEXT,
	IST_OPT_INT,
	IST_OPT_REAL,
	IST_OPT_CHOICE,
	IST_OPT_FILE /* as text, but completed with file names */
};

struct ist_opt {
	const char *name;
	enum ist_opt_kind kind;
	char letter;	  /* of the short form, 0: none */
	const char *unit; /* how the value is called in the help, NULL for a flag */
	const char *const *choices;
	double min, max; /* of numbers */
	bool many;	 /* may be given more than once */
	const char *help;
};

struct ist_command {
	const char *name;
	const char *words; /* what stands behind the name: "SOURCE", "COLLECTION [MODEL]" */
	size_t min_words, max_words;
	const char *const *first; /* what the first word may be, NULL: anything */
	const char *summary;	  /* one line */
	const char *details;	  /* more for the help and the manual, NULL: none */
	const struct ist_opt *opts;
	size_t n_opts;
	enum ist_code (*run)(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err);
};

extern const struct ist_command *const ist_commands[];
extern const size_t ist_n_commands;
extern const struct ist_opt ist_global_opts[];
extern const size_t ist_n_global_opts;

#define IST_MAX_WORDS 24

struct ist_given {
	const struct ist_opt *opt;
	const char *value; /* NULL for a flag; points into argv */
};

struct ist_args {
	const struct ist_command *command; /* NULL where none was named */
	const char *words[IST_MAX_WORDS];
	size_t n_words;
	struct ist_given *given;
	size_t n_given;
};

/* Reads argv[1 .. n-1]: options may stand anywhere, "--" ends them. IST_BAD_REQUEST, with a text
 * for the user, where it breaks the tables; the number of words is not looked at with --help. */
IST_CHECKED enum ist_code ist_args_parse(struct ist_args *args, int n, char **argv,
					 struct ist_err *err);
void ist_args_finish(struct ist_args *args);

/* What was given; the last one counts. The name must be in the tables of the command. */
bool ist_args_flag(const struct ist_args *args, const char *name);
const char *ist_args_text(const struct ist_args *args, const char *name); /* NULL: not given */
const char *ist_args_nth(const struct ist_args *args, const char *name, size_t i);
int64_t ist_args_int(const struct ist_args *args, const char *name, int64_t otherwise);
const char *ist_args_word(const struct ist_args *args, size_t i); /* NULL: not given */

/* IST_BAD_REQUEST: the command line asks for something that cannot be; the program ends with 2. */
enum ist_code ist_usage(struct ist_err *err, const char *format, ...) IST_PRINTF(2, 3);

/* The help of one command, or of all of them (NULL). */
void ist_help_put(struct ist_buf *buf, const struct ist_command *command);
void ist_completion_put(struct ist_buf *buf); /* for bash */
void ist_manual_put(struct ist_buf *buf);     /* roff, section 1 */

#endif
