/*
 * The tables of commands and options, each row of which must stand in the help, the completion and
 * the manual; and command lines that break them.
 */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "server/cli/cli.h"

static void help_of(struct ist_buf *buf, const struct ist_command *command)
{
	buf->len = 0;
	ist_help_put(buf, command);
}

/* The option as a word of its own: "--text" is not found in "--text-encoder". */
static bool has_word(const char *all, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = all; (p = strstr(p, word)) != NULL; p++)
		if (strchr(" \n\")|,\\", p[n]) != NULL)
			return true;
	return false;
}

static void expect_opt(const struct ist_command *command, const struct ist_opt *opt,
		       const char *completion, const char *manual)
{
	struct ist_buf help = {0};
	char plain[64], roff[128] = "\\-\\-";

	help_of(&help, command);
	snprintf(plain, sizeof(plain), "--%s", opt->name);
	for (const char *p = opt->name; *p != '\0'; p++)
		snprintf(roff + strlen(roff), sizeof(roff) - strlen(roff), *p == '-' ? "\\-" : "%c",
			 *p);
	if (!has_word(help.data, plain) || !has_word(completion, plain) || !has_word(manual, roff))
		fail_msg("--%s is missing in the help, the completion or the manual", opt->name);
	assert_non_null(opt->help);
	assert_true((opt->kind == IST_OPT_FLAG) == (opt->unit == NULL));
	assert_true((opt->kind == IST_OPT_CHOICE) == (opt->choices != NULL));
	if (opt->kind == IST_OPT_INT || opt->kind == IST_OPT_REAL)
		assert_true(opt->min < opt->max);
	ist_buf_finish(&help);
}

/* Names and letters are told apart within what one command takes. */
static void expect_distinct(const struct ist_command *command)
{
	const struct ist_opt *all[64];
	size_t n = 0;

	for (size_t i = 0; i < ist_n_global_opts; i++)
		all[n++] = &ist_global_opts[i];
	for (size_t i = 0; i < command->n_opts; i++)
		all[n++] = &command->opts[i];
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++) {
			assert_string_not_equal(all[i]->name, all[k]->name);
			if (all[i]->letter != '\0')
				assert_int_not_equal(all[i]->letter, all[k]->letter);
		}
}

static void tables(void **state)
{
	struct ist_buf completion = {0}, manual = {0};

	ist_completion_put(&completion);
	ist_manual_put(&manual);
	for (size_t i = 0; i < ist_n_global_opts; i++)
		expect_opt(NULL, &ist_global_opts[i], completion.data, manual.data);
	for (size_t c = 0; c < ist_n_commands; c++) {
		const struct ist_command *command = ist_commands[c];

		assert_non_null(strstr(manual.data, command->name));
		assert_true(has_word(completion.data, command->name));
		assert_true(command->max_words <= IST_MAX_WORDS);
		assert_true(command->min_words <= command->max_words);
		expect_distinct(command);
		for (size_t i = 0; i < command->n_opts; i++)
			expect_opt(command, &command->opts[i], completion.data, manual.data);
	}
	ist_buf_finish(&completion);
	ist_buf_finish(&manual);
}

static size_t words(char *line, char *argv[16])
{
	size_t n = 0;

	for (char *p = line, *word; (word = strsep(&p, " ")) != NULL;)
		argv[n++] = word;
	return n;
}

static void good_lines(void **state)
{
	char line[] = "isthmus -q query stamps --text=a=b -n 5 --target image --exact -j -- --x";
	struct ist_err err = {0};
	struct ist_args args;
	char *argv[16];

	line[strlen(line) - 7] = '\0'; /* without the second word, which query does not take */
	assert_ist_ok(ist_args_parse(&args, (int)words(line, argv), argv, &err));
	assert_ptr_equal(args.command, &ist_cmd_query);
	assert_string_equal(ist_args_word(&args, 0), "stamps");
	assert_null(ist_args_word(&args, 1));
	assert_string_equal(ist_args_text(&args, "text"), "a=b");
	assert_int_equal(ist_args_int(&args, "limit", 10), 5);
	assert_true(ist_args_flag(&args, "exact"));
	assert_true(ist_args_flag(&args, "json"));
	assert_true(ist_args_flag(&args, "quiet"));
	assert_false(ist_args_flag(&args, "help"));
	assert_null(ist_args_text(&args, "filter"));
	ist_args_finish(&args);
}

static void repeated_options(void **state)
{
	char line[] = "isthmus import -c x --exclude a --exclude=b -- -dir";
	struct ist_err err = {0};
	struct ist_args args;
	char *argv[16];

	assert_ist_ok(ist_args_parse(&args, (int)words(line, argv), argv, &err));
	assert_string_equal(ist_args_nth(&args, "exclude", 0), "a");
	assert_string_equal(ist_args_nth(&args, "exclude", 1), "b");
	assert_null(ist_args_nth(&args, "exclude", 2));
	assert_string_equal(ist_args_word(&args, 0), "-dir");
	ist_args_finish(&args);
}

static void bad_lines(void **state)
{
	static const char *const lines[] = {
	    "isthmus nosuch",
	    "isthmus --nosuch",
	    "isthmus query",
	    "isthmus query a b",
	    "isthmus query a --limit",
	    "isthmus query a --limit 0",
	    "isthmus query a --limit 1001",
	    "isthmus query a --limit 1.5",
	    "isthmus query a --limit 1e2",
	    "isthmus query a --limit x",
	    "isthmus query a --limit ",
	    "isthmus query a --threshold nan",
	    "isthmus query a --threshold 2",
	    "isthmus query a --target sound",
	    "isthmus query a --exact=yes",
	    "isthmus query a --text x --text y",
	    "isthmus query a -z",
	    "isthmus --text x query a",
	    "isthmus info --color sometimes",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *line = strdup(lines[i]), *argv[16];
		struct ist_err err = {0};
		struct ist_args args;

		if (ist_args_parse(&args, (int)words(line, argv), argv, &err) != IST_BAD_REQUEST)
			fail_msg("taken: %s", lines[i]);
		assert_true(strlen(err.text) > 5);
		ist_args_finish(&args);
		free(line);
	}
}

/* --help wants no words; without a command there is none. */
static void help_lines(void **state)
{
	char line[] = "isthmus query --help", nothing[] = "isthmus";
	struct ist_err err = {0};
	struct ist_args args;
	char *argv[16];

	assert_ist_ok(ist_args_parse(&args, (int)words(line, argv), argv, &err));
	assert_true(ist_args_flag(&args, "help"));
	ist_args_finish(&args);
	assert_ist_ok(ist_args_parse(&args, (int)words(nothing, argv), argv, &err));
	assert_null(args.command);
	ist_args_finish(&args);
}

TEST_MAIN(cmocka_unit_test(tables), cmocka_unit_test(good_lines),
	  cmocka_unit_test(repeated_options), cmocka_unit_test(bad_lines),
	  cmocka_unit_test(help_lines))
