/*
 * What a decoder cannot do once its sandbox is closed. Each deed is tried in a process of its own:
 * it must fail or end the process, never succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/decode/sandbox.h"
#include "tests/unit/test.h"

enum { DENIED = 10, DONE = 11, NO_SECCOMP = 12 };

static int read_file(void)
{
	return open("/etc/passwd", O_RDONLY) < 0;
}

static int write_file(void)
{
	return open("/tmp/isthmus-sandbox", O_WRONLY | O_CREAT, 0600) < 0;
}

static int open_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int start_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0;
}

static int run_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int signal_parent(void)
{
	return kill(getppid(), 0) != 0;
}

static int make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED;
}

static int too_much_memory(void)
{
	return mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED;
}

static int allowed_memory(void)
{
	return mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

/* The child's end: DENIED, DONE or NO_SECCOMP, or 1000 + the signal that ended it. */
static int try(int (*deed)(void))
{
	struct ist_decode_hello hello = {0};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		ist_sandbox_close((uint64_t)2 << 30, 60, &hello);
		if (!hello.seccomp)
			_exit(NO_SECCOMP);
		_exit(deed() ? DENIED : DONE);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_denied(void **state)
{
	static const struct {
		const char *name;
		int (*deed)(void);
	} deeds[] = {
	    {"read a file", read_file},	    {"write a file", write_file},
	    {"open a socket", open_socket}, {"start a process", start_process},
	    {"run a program", run_program}, {"signal its parent", signal_parent},
	    {"make code", make_code},	    {"take all memory", too_much_memory},
	};

	if (try(allowed_memory) == NO_SECCOMP)
		skip(); /* under a sanitizer, or a kernel without it */
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		int end = try(deeds[i].deed);

		if (end != DENIED && end != 1000 + SIGSYS)
			fail_msg("a decoder can %s (%d)", deeds[i].name, end);
	}
}

static void test_allowed(void **state)
{
	int end = try(allowed_memory);

	if (end == NO_SECCOMP)
		skip();
	assert_int_equal(end, DONE);
}

TEST_MAIN(cmocka_unit_test(test_denied), cmocka_unit_test(test_allowed))
