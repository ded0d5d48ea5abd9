/*
 * The reader of command lines. One table says all about an option; a value is checked here, once,
 * so that commands may take it as it comes. Nothing is copied: values point into argv.
 */
#include "server/cli/options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

enum ist_code ist_usage(struct ist_err *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return ist_fail(err, IST_BAD_REQUEST, "%s", text);
}

static const struct ist_opt *in_table(const struct ist_opt *opts, size_t n, const char *name,
				      size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(opts[i].name) == len && memcmp(opts[i].name, name, len) == 0)
			return &opts[i];
	return NULL;
}

static const struct ist_opt *find(const struct ist_command *command, const char *name, size_t len)
{
	const struct ist_opt *opt = in_table(ist_global_opts, ist_n_global_opts, name, len);

	if (opt == NULL && command != NULL)
		opt = in_table(command->opts, command->n_opts, name, len);
	return opt;
}

static const struct ist_opt *find_letter(const struct ist_command *command, char letter)
{
	for (size_t i = 0; i < ist_n_global_opts; i++)
		if (ist_global_opts[i].letter == letter)
			return &ist_global_opts[i];
	for (size_t i = 0; command != NULL && i < command->n_opts; i++)
		if (command->opts[i].letter == letter)
			return &command->opts[i];
	return NULL;
}

/* ---- values ---- */

static enum ist_code check_number(const struct ist_opt *opt, const char *value, struct ist_err *err)
{
	char *end;
	double x;

	errno = 0;
	x = strtod(value, &end);
	if (end == value || *end != '\0' || errno != 0 || !isfinite(x))
		return ist_usage(err, "--%s: \"%s\" is not a number", opt->name, value);
	if (opt->kind == IST_OPT_INT && (x != floor(x) || strpbrk(value, ".eExXpP") != NULL))
		return ist_usage(err, "--%s: \"%s\" is not a whole number", opt->name, value);
	if (x < opt->min || x > opt->max)
		return ist_usage(err, "--%s: must be %.17g to %.17g, got %s", opt->name, opt->min,
				 opt->max, value);
	return IST_OK;
}

static enum ist_code check_choice(const struct ist_opt *opt, const char *value, struct ist_err *err)
{
	struct ist_buf all ist_auto(ist_buf_finish) = {0};

	for (size_t i = 0; opt->choices[i] != NULL; i++) {
		if (strcmp(opt->choices[i], value) == 0)
			return IST_OK;
		ist_buf_printf(&all, "%s%s", i > 0 ? ", " : "", opt->choices[i]);
	}
	return ist_usage(err, "--%s: must be one of %s, got \"%s\"", opt->name, all.data, value);
}

static enum ist_code check(const struct ist_opt *opt, const char *value, struct ist_err *err)
{
	if (opt->kind == IST_OPT_INT || opt->kind == IST_OPT_REAL)
		return check_number(opt, value, err);
	if (opt->kind == IST_OPT_CHOICE)
		return check_choice(opt, value, err);
	return IST_OK;
}

static enum ist_code give(struct ist_args *args, const struct ist_opt *opt, const char *value,
			  struct ist_err *err)
{
	if (value != NULL && check(opt, value, err) != IST_OK)
		return err->code;
	for (size_t i = 0; !opt->many && i < args->n_given; i++)
		if (args->given[i].opt == opt && opt->kind != IST_OPT_FLAG)
			return ist_usage(err, "--%s is given twice", opt->name);
	args->given[args->n_given++] = (struct ist_given){opt, value};
	return IST_OK;
}

/* ---- the line ---- */

struct line {
	int n, at;
	char **argv;
};

static enum ist_code no_such(const struct ist_args *args, const char *what, struct ist_err *err)
{
	return ist_usage(err, "unknown option %s; see isthmus %s%s--help", what,
			 args->command != NULL ? args->command->name : "",
			 args->command != NULL ? " " : "");
}

/* The value of an option that wants one: behind "=", or the next word. */
static enum ist_code take(struct ist_args *args, struct line *line, const struct ist_opt *opt,
			  const char *joined, struct ist_err *err)
{
	if (opt->kind == IST_OPT_FLAG) {
		if (joined != NULL)
			return ist_usage(err, "--%s takes no value", opt->name);
		return give(args, opt, NULL, err);
	}
	if (joined == NULL && line->at + 1 >= line->n)
		return ist_usage(err, "--%s needs a value (%s)", opt->name, opt->unit);
	return give(args, opt, joined != NULL ? joined : line->argv[++line->at], err);
}

static enum ist_code take_long(struct ist_args *args, struct line *line, struct ist_err *err)
{
	const char *name = line->argv[line->at] + 2;
	const char *equals = strchr(name, '=');
	const struct ist_opt *opt =
	    find(args->command, name, equals != NULL ? (size_t)(equals - name) : strlen(name));

	if (opt == NULL)
		return no_such(args, line->argv[line->at], err);
	return take(args, line, opt, equals != NULL ? equals + 1 : NULL, err);
}

static enum ist_code take_letters(struct ist_args *args, struct line *line, struct ist_err *err)
{
	for (const char *p = line->argv[line->at] + 1; *p != '\0'; p++) {
		const struct ist_opt *opt = find_letter(args->command, *p);

		if (opt == NULL)
			return no_such(args, line->argv[line->at], err);
		if (opt->kind != IST_OPT_FLAG)
			return take(args, line, opt, p[1] != '\0' ? p + 1 : NULL, err);
		if (give(args, opt, NULL, err) != IST_OK)
			return err->code;
	}
	return IST_OK;
}

static enum ist_code take_word(struct ist_args *args, const char *word, struct ist_err *err)
{
	if (args->command == NULL) {
		for (size_t i = 0; i < ist_n_commands; i++)
			if (strcmp(ist_commands[i]->name, word) == 0)
				args->command = ist_commands[i];
		if (args->command == NULL)
			return ist_usage(err, "unknown command \"%s\"; see isthmus --help", word);
		return IST_OK;
	}
	if (args->n_words == args->command->max_words)
		return ist_usage(err, "unexpected \"%s\"; see isthmus %s --help", word,
				 args->command->name);
	args->words[args->n_words++] = word;
	return IST_OK;
}

/* Before the command only the global options are known. */
static enum ist_code take_all(struct ist_args *args, struct line *line, struct ist_err *err)
{
	bool ended = false;

	for (line->at = 1; line->at < line->n; line->at++) {
		const char *word = line->argv[line->at];
		enum ist_code code;

		if (!ended && strcmp(word, "--") == 0) {
			ended = true;
			continue;
		}
		if (ended || word[0] != '-' || word[1] == '\0')
			code = take_word(args, word, err);
		else if (word[1] == '-')
			code = take_long(args, line, err);
		else
			code = take_letters(args, line, err);
		if (code != IST_OK)
			return code;
	}
	return IST_OK;
}

enum ist_code ist_args_parse(struct ist_args *args, int n, char **argv, struct ist_err *err)
{
	struct line line = {n, 0, argv};
	size_t letters = 0;

	*args = (struct ist_args){0};
	for (int i = 1; i < n; i++)
		letters += strlen(argv[i]) + 1;
	args->given = ist_alloc(letters + 1, sizeof(*args->given));
	if (take_all(args, &line, err) != IST_OK)
		return err->code;
	if (ist_args_flag(args, "help") || args->command == NULL)
		return IST_OK;
	if (args->n_words < args->command->min_words)
		return ist_usage(err, "isthmus %s %s: something is missing; see --help",
				 args->command->name, args->command->words);
	return IST_OK;
}

void ist_args_finish(struct ist_args *args)
{
	free(args->given);
	*args = (struct ist_args){0};
}

/* ---- what was given ---- */

const char *ist_args_word(const struct ist_args *args, size_t i)
{
	return i < args->n_words ? args->words[i] : NULL;
}

/* The i-th time that it was given, NULL: not so often. */
static const struct ist_given *nth(const struct ist_args *args, const char *name, size_t i)
{
	const struct ist_opt *opt = find(args->command, name, strlen(name));

	assert(opt != NULL);
	for (size_t k = 0; k < args->n_given; k++)
		if (args->given[k].opt == opt && i-- == 0)
			return &args->given[k];
	return NULL;
}

bool ist_args_flag(const struct ist_args *args, const char *name)
{
	return nth(args, name, 0) != NULL;
}

const char *ist_args_nth(const struct ist_args *args, const char *name, size_t i)
{
	const struct ist_given *given = nth(args, name, i);

	return given != NULL ? given->value : NULL;
}

const char *ist_args_text(const struct ist_args *args, const char *name)
{
	return ist_args_nth(args, name, 0);
}

int64_t ist_args_int(const struct ist_args *args, const char *name, int64_t otherwise)
{
	const char *text = ist_args_text(args, name);

	return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}
