/* The table of options: precedence, every option's default, and mistakes that say where they are.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "server/config.h"

static char *const no_environment[] = {NULL};

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void defaults_are_valid(void **state)
{
	struct ist_err err = {0};
	struct ist_config config;
	char *argv[] = {"isthmusd"};

	assert_ist_ok(ist_config_read(&config, 1, argv, no_environment, &err));
	assert_string_equal(config.listen, "127.0.0.1:7700");
	assert_int_equal(config.max_body, 64 << 20);
	assert_false(config.allow_public_without_keys);
	assert_null(config.data);
	ist_config_finish(&config);
}

static void flags_over_variables_over_file(void **state)
{
	struct ist_err err = {0};
	struct ist_config config;
	char path[] = "/tmp/isthmus-config-XXXXXX", flag[64];
	char *argv[] = {"isthmusd", flag, "--workers", "3", "--allow-public-without-keys"};
	char *const environment[] = {"ISTHMUS_WORKERS=4", "ISTHMUS_QUEUE=5",
				     "ISTHMUS_MAX_BODY=2MiB", NULL};

	write_file(path,
		   "workers = 6\nqueue = 7\ndata = \"/srv\"\nmax_pixels = 9\nmax_body = \"1GiB\"\n"
		   "allow_public_without_keys = false\n");
	snprintf(flag, sizeof(flag), "--config=%s", path);
	assert_ist_ok(ist_config_read(&config, 5, argv, environment, &err));
	assert_int_equal(config.workers, 3);
	assert_int_equal(config.queue, 5);
	assert_int_equal(config.max_body, 2 << 20);
	assert_int_equal(config.max_pixels, 9);
	assert_string_equal(config.data, "/srv");
	assert_true(config.allow_public_without_keys);
	ist_config_finish(&config);
	unlink(path);
}

static void mistakes_in_flags(void **state)
{
	static const struct {
		char *flag;
		const char *part;
	} cases[] = {
	    {"--wrokers=1", "no such flag"},
	    {"--workers=0", "1 to 256"},
	    {"--workers=x", "got \"x\""},
	    {"--workers= 1", "got"},
	    {"--workers", "needs a value"},
	    {"--log-format=xml", "logfmt, json"},
	    {"--max-body=1TB", "1024"},
	    {"--data=", "empty"},
	    {"--allow-public-without-keys=perhaps", "true or false"},
	    {"data", "no such flag"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_config config;
		char *argv[] = {"isthmusd", cases[i].flag};

		assert_int_equal(ist_config_read(&config, 2, argv, no_environment, &err),
				 IST_INVALID);
		assert_non_null(strstr(err.text, cases[i].part));
	}
}

static void mistakes_in_files_name_the_line(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
	    {"queue = 1\nworkers = \"4\"\n", ":2: workers: must be an integer"},
	    {"\n\nworkers = 999\n", ":3: workers: must be 1 to 256"},
	    {"colour = 1\n", ":1: colour: no such key; there are data, listen"},
	    {"[server]\nworkers = 1\n", ":1: server: no such key"},
	    {"workers = \n", ":1: "},
	    {"version = true\n", "no such key"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_config config;
		char path[] = "/tmp/isthmus-config-XXXXXX", flag[64];
		char *argv[] = {"isthmusd", flag};

		write_file(path, cases[i].text);
		snprintf(flag, sizeof(flag), "--config=%s", path);
		assert_int_equal(ist_config_read(&config, 2, argv, no_environment, &err),
				 IST_INVALID);
		assert_non_null(strstr(err.text, path));
		assert_non_null(strstr(err.text, cases[i].part));
		unlink(path);
	}
}

static void mistakes_in_variables(void **state)
{
	struct ist_err err = {0};
	struct ist_config config;
	char *argv[] = {"isthmusd"};
	char *const environment[] = {"ISTHMUS_LOG_LEVEL=loud", NULL};

	assert_int_equal(ist_config_read(&config, 1, argv, environment, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "ISTHMUS_LOG_LEVEL: must be one of debug, info"));
}

static void help_names_every_option(void **state)
{
	struct ist_buf buf = {0};
	char flag[64];

	ist_config_help(&buf);
	for (size_t i = 0; i < ist_n_options; i++) {
		snprintf(flag, sizeof(flag), "  --%s ", ist_options[i].name);
		assert_non_null(strstr(buf.data, flag));
		assert_true(strlen(ist_options[i].help) > 0);
	}
	ist_buf_finish(&buf);
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *host;
		int port;
		bool v6, loopback;
	} good[] = {
	    {"127.0.0.1:0", "127.0.0.1", 0, false, true},
	    {"localhost:80", "127.0.0.1", 80, false, true},
	    {"127.8.9.1:65535", "127.8.9.1", 65535, false, true},
	    {"0.0.0.0:7700", "0.0.0.0", 7700, false, false},
	    {"[::1]:7", "::1", 7, true, true},
	    {"[::]:7", "::", 7, true, false},
	};
	static const char *const bad[] = {
	    "",	      "127.0.0.1", ":80",     "127.0.0.1:",   "127.0.0.1:65536",
	    "::1:80", "[::1]",	   "host:80", "127.0.0.1:-1", "127.0.0.1:80x"};

	for (size_t i = 0; i < IST_COUNT(good); i++) {
		struct ist_err err = {0};
		struct ist_address a;

		assert_ist_ok(ist_address_parse(good[i].text, &a, &err));
		assert_string_equal(a.host, good[i].host);
		assert_int_equal(a.port, good[i].port);
		assert_int_equal(a.v6, good[i].v6);
		assert_int_equal(a.loopback, good[i].loopback);
	}
	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		struct ist_err err = {0};
		struct ist_address a;

		assert_int_equal(ist_address_parse(bad[i], &a, &err), IST_INVALID);
	}
}

TEST_MAIN(cmocka_unit_test(defaults_are_valid), cmocka_unit_test(flags_over_variables_over_file),
	  cmocka_unit_test(mistakes_in_flags), cmocka_unit_test(mistakes_in_files_name_the_line),
	  cmocka_unit_test(mistakes_in_variables), cmocka_unit_test(help_names_every_option),
	  cmocka_unit_test(addresses))
