/* --help and the completion for bash, both printed from the tables. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/options.h"

/* ---- help ---- */

#define COLUMN 30

static void put_opt(struct ist_buf *buf, const struct ist_opt *opt)
{
	ist_autofree char *name = opt->letter != '\0'
				      ? ist_format("-%c, --%s", opt->letter, opt->name)
				      : ist_format("    --%s", opt->name);
	ist_autofree char *left =
	    ist_format("%s%s%s", name, opt->unit != NULL ? " " : "", opt->unit ? opt->unit : "");

	ist_buf_printf(buf, "  %-*s %s%s\n", COLUMN - 3, left, opt->help,
		       opt->many ? " (may be repeated)" : "");
}

static void put_opts(struct ist_buf *buf, const char *title, const struct ist_opt *opts, size_t n)
{
	if (n == 0)
		return;
	ist_buf_printf(buf, "\n%s:\n", title);
	for (size_t i = 0; i < n; i++)
		put_opt(buf, &opts[i]);
}

static void put_commands(struct ist_buf *buf)
{
	ist_buf_puts(buf, "usage: isthmus COMMAND [OPTION…]\n"
			  "The client of isthmusd: one space for pictures and texts, learned from "
			  "your own pairs.\n\ncommands:\n");
	for (size_t i = 0; i < ist_n_commands; i++)
		ist_buf_printf(buf, "  %-14s %s\n", ist_commands[i]->name,
			       ist_commands[i]->summary);
}

void ist_help_put(struct ist_buf *buf, const struct ist_command *command)
{
	if (command == NULL) {
		put_commands(buf);
	} else {
		ist_buf_printf(buf, "usage: isthmus %s %s [OPTION…]\n%s.\n", command->name,
			       command->words, command->summary);
		if (command->details != NULL)
			ist_buf_printf(buf, "\n%s\n", command->details);
		put_opts(buf, "options", command->opts, command->n_opts);
	}
	put_opts(buf, "options of every command", ist_global_opts, ist_n_global_opts);
	if (command == NULL)
		ist_buf_puts(buf, "\nisthmus COMMAND --help says more.\n");
}

/* ---- completion ---- */

static void put_names(struct ist_buf *buf, const struct ist_opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ist_buf_printf(buf, "%s--%s", i > 0 ? " " : "", opts[i].name);
}

/* The rows of a case: what completes the value of an option. */
static void put_values(struct ist_buf *buf, const char *command, const struct ist_opt *opts,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ist_opt *opt = &opts[i];

		if (opt->kind == IST_OPT_FLAG)
			continue;
		ist_buf_printf(buf, "\t%s:--%s) ", command, opt->name);
		if (opt->kind == IST_OPT_FILE)
			ist_buf_puts(buf, "mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); ");
		if (opt->kind == IST_OPT_CHOICE) {
			ist_buf_puts(buf, "mapfile -t COMPREPLY < <(compgen -W \"");
			for (size_t c = 0; opt->choices[c] != NULL; c++)
				ist_buf_printf(buf, "%s%s", c > 0 ? " " : "", opt->choices[c]);
			ist_buf_puts(buf, "\" -- \"$word\"); ");
		}
		ist_buf_puts(buf, "return ;;\n");
	}
}

static void put_row(struct ist_buf *buf, const struct ist_command *command)
{
	ist_buf_printf(buf, "\t%s) opts=\"", command->name);
	put_names(buf, command->opts, command->n_opts);
	ist_buf_puts(buf, "\" words=\"");
	for (size_t i = 0; command->first != NULL && command->first[i] != NULL; i++)
		ist_buf_printf(buf, "%s%s", i > 0 ? " " : "", command->first[i]);
	ist_buf_puts(buf, "\" ;;\n");
}

void ist_completion_put(struct ist_buf *buf)
{
	ist_buf_puts(buf, "# Completion of isthmus for bash: source <(isthmus completion bash)\n"
			  "_isthmus() {\n"
			  "\tlocal word=${COMP_WORDS[COMP_CWORD]} command='' opts='' words='' i\n"
			  "\tlocal before=${COMP_WORDS[COMP_CWORD-1]}\n"
			  "\tCOMPREPLY=()\n"
			  "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			  "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	for (size_t i = 0; i < ist_n_commands; i++)
		ist_buf_printf(buf, "%s%s", i > 0 ? "|" : "", ist_commands[i]->name);
	ist_buf_puts(buf, ") command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n"
			  "\tcase $command:$before in\n");
	for (size_t i = 0; i < ist_n_commands; i++)
		put_values(buf, ist_commands[i]->name, ist_commands[i]->opts,
			   ist_commands[i]->n_opts);
	put_values(buf, "*", ist_global_opts, ist_n_global_opts);
	ist_buf_puts(buf, "\tesac\n\tcase $command in\n\t'') words=\"");
	for (size_t i = 0; i < ist_n_commands; i++)
		ist_buf_printf(buf, "%s%s", i > 0 ? " " : "", ist_commands[i]->name);
	ist_buf_puts(buf, "\" ;;\n");
	for (size_t i = 0; i < ist_n_commands; i++)
		put_row(buf, ist_commands[i]);
	ist_buf_puts(buf, "\tesac\n\tif [[ $word == -* ]]; then\n\t\twords=\"$opts ");
	put_names(buf, ist_global_opts, ist_n_global_opts);
	ist_buf_puts(buf, "\"\n\tfi\n"
			  "\tif [[ -n $words ]]; then\n"
			  "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
			  "\telif [[ $word != -* ]]; then\n"
			  "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
			  "\tfi\n}\ncomplete -o filenames -F _isthmus isthmus\n");
}
