/*
 * The client: reads the command line, runs one command, says in one line what went wrong.
 * Ends with 0, with 1 where something failed, with 2 for a mistake on the command line and with 130
 * after Ctrl-C.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/cli/print.h"

static bool wants_color(const struct ist_args *args, bool tty)
{
	const char *when = ist_args_text(args, "color");
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when != NULL && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	return tty && (no == NULL || *no == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

static enum ist_code init(struct ist_cli *cli, const struct ist_args *args, struct ist_err *err)
{
	const char *server = ist_args_text(args, "server");
	struct winsize size;

	if (server == NULL)
		server = getenv("ISTHMUS_SERVER");
	cli->json = ist_args_flag(args, "json");
	cli->quiet = ist_args_flag(args, "quiet");
	cli->tty_out = isatty(STDOUT_FILENO);
	cli->tty_err = isatty(STDERR_FILENO);
	cli->color_out = wants_color(args, cli->tty_out);
	cli->color_err = wants_color(args, cli->tty_err);
	cli->width = ioctl(cli->tty_out ? STDOUT_FILENO : STDERR_FILENO, TIOCGWINSZ, &size) == 0 &&
			     size.ws_col >= 40
			 ? size.ws_col
			 : 100;
	return ist_http_init(&cli->http,
			     server != NULL && *server != '\0' ? server : IST_DEFAULT_SERVER, err);
}

static enum ist_code run(const struct ist_args *args, struct ist_err *err)
{
	struct ist_cli cli = {0};
	enum ist_code code = init(&cli, args, err);

	if (code == IST_OK)
		code = args->command->run(&cli, args, err);
	if (code == IST_OK && (fflush(stdout) != 0 || ferror(stdout)))
		code = ist_fail_errno(err, "standard output");
	ist_http_finish(&cli.http);
	return code;
}

static void print_help(const struct ist_command *command)
{
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	ist_help_put(&buf, command);
	fwrite(buf.data, 1, buf.len, stdout);
}

/* What the user asked for without a command to run; false: there is one. */
static bool answered(const struct ist_args *args)
{
	if (ist_args_flag(args, "version"))
		puts("isthmus " IST_VERSION);
	else if (ist_args_flag(args, "help"))
		print_help(args->command);
	else
		return false;
	return true;
}

static int failed(const struct ist_err *err)
{
	struct ist_buf line ist_auto(ist_buf_finish) = {0};

	ist_buf_puts(&line, "isthmus: ");
	ist_text_put(&line, err->text, 0);
	fprintf(stderr, "%s\n", line.data);
	if (ist_interrupted())
		return 128 + ist_interrupted();
	return err->code == IST_BAD_REQUEST ? 2 : 1;
}

int main(int n, char **argv)
{
	struct ist_args args ist_auto(ist_args_finish) = {0};
	struct ist_err err = {0};

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	if (ist_args_parse(&args, n, argv, &err) != IST_OK)
		return failed(&err);
	if (answered(&args))
		return 0;
	if (args.command == NULL) {
		print_help(NULL);
		return 2;
	}
	return run(&args, &err) == IST_OK ? 0 : failed(&err);
}
