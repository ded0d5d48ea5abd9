/* The manual page in roff: the tables, with the few sections that tell what no table can. */
#include <string.h>

#include "core/base/memory.h"
#include "server/cli/options.h"

/* Text in roff: backslashes, hyphens that are typed, and lines that would be requests. */
static void put_text(struct ist_buf *buf, const char *s)
{
	for (bool first = true; *s != '\0'; s++) {
		if (first && (*s == '.' || *s == '\''))
			ist_buf_puts(buf, "\\&");
		if (*s == '\\')
			ist_buf_puts(buf, "\\e");
		else if (*s == '-')
			ist_buf_puts(buf, "\\-");
		else
			ist_buf_putc(buf, *s);
		first = *s == '\n';
	}
}

static void put_paragraphs(struct ist_buf *buf, const char *s)
{
	const char *end;

	while ((end = strstr(s, "\n\n")) != NULL) {
		ist_autofree char *part = ist_strndup(s, (size_t)(end - s));

		put_text(buf, part);
		ist_buf_puts(buf, "\n.PP\n");
		s = end + 2;
	}
	put_text(buf, s);
	ist_buf_putc(buf, '\n');
}

static void put_opts(struct ist_buf *buf, const struct ist_opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ist_opt *opt = &opts[i];

		ist_buf_puts(buf, ".TP\n.B ");
		if (opt->letter != '\0')
			ist_buf_printf(buf, "\\-%c\\fR, \\fB", opt->letter);
		put_text(buf, "--");
		put_text(buf, opt->name);
		if (opt->unit != NULL) {
			ist_buf_puts(buf, " \\fI");
			put_text(buf, opt->unit);
			ist_buf_puts(buf, "\\fR");
		}
		ist_buf_putc(buf, '\n');
		put_text(buf, opt->help);
		ist_buf_puts(buf, opt->many ? " (may be repeated)\n" : "\n");
	}
}

static void put_command(struct ist_buf *buf, const struct ist_command *command)
{
	ist_buf_puts(buf, ".SS ");
	put_text(buf, command->name);
	ist_buf_putc(buf, ' ');
	put_text(buf, command->words);
	ist_buf_putc(buf, '\n');
	put_text(buf, command->summary);
	ist_buf_puts(buf, ".\n");
	if (command->details != NULL) {
		ist_buf_puts(buf, ".PP\n");
		put_paragraphs(buf, command->details);
	}
	put_opts(buf, command->opts, command->n_opts);
}

static const struct {
	const char *title, *text;
} sections[] = {
    {"EXIT STATUS", "0: all went well. 1: something failed, or some records of an import did. 2: a "
		    "mistake on the command line. 130: ended by Ctrl-C."},
    {"ENVIRONMENT", "ISTHMUS_SERVER: where the daemon answers, if --server is not given.\n\n"
		    "NO_COLOR: no colours, if it is not empty.\n\n"
		    "XDG_CACHE_HOME: its folder isthmus/import (by default "
		    "~/.cache/isthmus/import) holds what an import that was cut short needs to go "
		    "on; it is removed when the import has ended."},
    {"EXAMPLES", "isthmus import ~/pictures --collection mine\n\n"
		 "isthmus train mine --method acmr --seed 1\n\n"
		 "isthmus query mine --text 'a red flower' --target image\n\n"
		 "isthmus query mine --image flower.jpg --target text --filter 'year>=2020'\n\n"
		 "isthmus export mine | isthmus import - --collection copy"},
    {"SEE ALSO", "isthmusd(1)"},
};

void ist_manual_put(struct ist_buf *buf)
{
	ist_buf_puts(buf, ".TH ISTHMUS 1 \"\" \"Isthmus " IST_VERSION "\" \"User Commands\"\n"
			  ".SH NAME\nisthmus \\- the client of isthmusd\n"
			  ".SH SYNOPSIS\n.B isthmus\n\\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
			  ".SH DESCRIPTION\n");
	put_paragraphs(
	    buf, "Isthmus learns a common space for pictures and texts from your own pairs "
		 "and searches in it. This client speaks to the daemon isthmusd over HTTP: it "
		 "brings pictures and texts in, starts trainings and shows what they "
		 "reached, and asks queries.\n\n"
		 "Tables are for people; --json gives what the server said, for programs. "
		 "Progress goes to standard error.");
	ist_buf_puts(buf, ".SH OPTIONS OF EVERY COMMAND\n");
	put_opts(buf, ist_global_opts, ist_n_global_opts);
	ist_buf_puts(buf, ".SH COMMANDS\n");
	for (size_t i = 0; i < ist_n_commands; i++)
		put_command(buf, ist_commands[i]);
	for (size_t i = 0; i < IST_COUNT(sections); i++) {
		ist_buf_printf(buf, ".SH %s\n", sections[i].title);
		put_paragraphs(buf, sections[i].text);
	}
}
