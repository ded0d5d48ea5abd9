/*
 * The life of a decoder process. The memory is made, sized and sealed here before the child sees
 * it: a child that could shrink it would kill the daemon with SIGBUS at its next read.
 */
#include "server/decoder_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

#define HELLO_MS 10000
#define MAX_SERVED 2000	       /* then its heap may be full of holes */
#define MAX_BUSY_MS 60000      /* of the CPU limit below */
#define TIDY_BYTES (2u << 20)  /* smaller pictures leave their pages for the next */
#define WORN_BYTES (64u << 20) /* its heap was as large */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Its pages come into being when they are touched: a limit of 100 megapixels costs nothing until
 * such a picture comes, and fallocate gives its pages back after it. */
static enum ist_code make_memory(struct ist_decoder_child *child, uint64_t max_pixels,
				 struct ist_err *err)
{
	child->input_size = ist_decode_input_size(max_pixels);
	child->memory_size = ist_decode_memory_size(max_pixels);
	child->memory_fd = memfd_create("isthmus-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (child->memory_fd < 0 || ftruncate(child->memory_fd, (off_t)child->memory_size) != 0 ||
	    fcntl(child->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return ist_fail_errno(err, "memory for a decoder");
	child->memory = mmap(NULL, child->memory_size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_NORESERVE, child->memory_fd, 0);
	if (child->memory == MAP_FAILED) {
		child->memory = NULL;
		return ist_fail_errno(err, "memory for a decoder");
	}
	return IST_OK;
}

/* The program with two descriptors, no signal blocked or ignored, out of the terminal's group. */
static int spawn(struct ist_decoder_child *child, const char *program, char *const *argv,
		 int its_socket)
{
	static char *const environment[] = {"LC_ALL=C.UTF-8", NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&how);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					   POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&files);
	/* Both come from 10 and up, so that neither dup2 overwrites what the other still needs. */
	posix_spawn_file_actions_adddup2(&files, its_socket, IST_DECODE_SOCKET);
	posix_spawn_file_actions_adddup2(&files, child->memory_fd, IST_DECODE_MEMORY);
	posix_spawn_file_actions_addclosefrom_np(&files, IST_DECODE_MEMORY + 1);
	error = posix_spawn(&child->pid, program, &files, &how, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	if (error != 0)
		child->pid = 0;
	return error;
}

/* Moves a descriptor up, out of the way of the child's numbers. */
static int move_up(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, 10);

	close(fd);
	return up;
}

/* The CPU limit outlasts everything that a well-behaved child is used for before it is replaced. */
static enum ist_code start_process(struct ist_decoder_child *child, const char *program,
				   uint64_t max_pixels, uint32_t timeout_ms, bool svg,
				   struct ist_err *err)
{
	ist_autofree char *pixels = ist_format("%llu", (unsigned long long)max_pixels);
	ist_autofree char *seconds = ist_format("%u", (MAX_BUSY_MS + 2 * timeout_ms) / 1000 + 1);
	char *argv[] = {(char *)program, pixels, seconds, svg ? "svg" : NULL, NULL};
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ist_fail_errno(err, "a socket for a decoder");
	child->socket = pair[0];
	pair[1] = move_up(pair[1]);
	child->memory_fd = move_up(child->memory_fd);
	error = pair[1] < 0 || child->memory_fd < 0 ? EMFILE : spawn(child, program, argv, pair[1]);
	if (pair[1] >= 0)
		close(pair[1]);
	if (error == 0)
		return IST_OK;
	errno = error;
	return ist_fail_errno(err, "%s", program);
}

/* One message of exactly `len` bytes until the deadline. SEQPACKET keeps messages whole, and
 * MSG_TRUNC tells their real length, so one of another size is nonsense, not a beginning. */
static enum ist_code receive(struct ist_decoder_child *child, void *message, size_t len,
			     int64_t deadline, struct ist_err *err)
{
	struct pollfd poller = {child->socket, POLLIN, 0};
	ssize_t n;

	for (;;) {
		int64_t left = deadline - now_ms();
		int ready = poll(&poller, 1, left > 0 ? (int)left : 0);

		if (ready == 0)
			return ist_fail(err, IST_CANCELLED, "it took too long");
		if (ready > 0)
			break;
		if (errno != EINTR)
			return ist_fail_errno(err, "poll");
	}
	n = recv(child->socket, message, len, MSG_DONTWAIT | MSG_TRUNC);
	if (n == (ssize_t)len)
		return IST_OK;
	if (n <= 0)
		return ist_fail(err, IST_UNAVAILABLE, "the decoder ended");
	return ist_fail(err, IST_UNAVAILABLE, "the decoder answered nonsense");
}

enum ist_code ist_decoder_child_start(struct ist_decoder_child *child, const char *program,
				      uint64_t max_pixels, uint32_t timeout_ms, bool svg,
				      struct ist_err *err)
{
	enum ist_code code;

	*child = (struct ist_decoder_child){.socket = -1, .memory_fd = -1};
	code = make_memory(child, max_pixels, err);
	if (code == IST_OK)
		code = start_process(child, program, max_pixels, timeout_ms, svg, err);
	if (code == IST_OK)
		code =
		    receive(child, &child->hello, sizeof(child->hello), now_ms() + HELLO_MS, err);
	if (code == IST_OK && child->hello.magic != IST_DECODE_MAGIC)
		code = ist_fail(err, IST_UNAVAILABLE, "%s is of another version", program);
	if (code == IST_OK) {
		child->hello.lacks[sizeof(child->hello.lacks) - 1] = '\0';
		return IST_OK;
	}
	ist_decoder_child_stop(child);
	ist_wrap(err, "no decoder could be started");
	if (err != NULL)
		err->code = IST_UNAVAILABLE;
	return IST_UNAVAILABLE;
}

/* SIGKILL, since a decoder has nothing to tidy up and may be beyond listening. */
void ist_decoder_child_stop(struct ist_decoder_child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (child->memory != NULL)
		munmap(child->memory, child->memory_size);
	if (child->memory_size > 0 && child->memory_fd >= 0)
		close(child->memory_fd);
	if (child->memory_size > 0 && child->socket >= 0)
		close(child->socket);
	*child = (struct ist_decoder_child){.socket = -1, .memory_fd = -1};
}

bool ist_decoder_child_alive(const struct ist_decoder_child *child)
{
	siginfo_t info = {0};

	if (child->pid <= 0)
		return false;
	/* Only looked at: the process is waited for when the child is stopped. */
	return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

enum ist_code ist_decoder_child_ask(struct ist_decoder_child *child,
				    const struct ist_decode_request *request, const void *data,
				    uint32_t timeout_ms, struct ist_decode_answer *ret,
				    struct ist_err *err)
{
	int64_t start = now_ms();
	enum ist_code code;

	/* Checked against input_size by the caller. */
	memcpy(child->memory, data, request->len);
	if (send(child->socket, request, sizeof(*request), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(*request))
		return ist_fail(err, IST_UNAVAILABLE, "the decoder ended");
	code = receive(child, ret, sizeof(*ret), start + timeout_ms, err);
	child->busy_ms += now_ms() - start;
	child->n_served++;
	return code;
}

const uint8_t *ist_decoder_child_output(const struct ist_decoder_child *child)
{
	return child->memory + child->input_size;
}

/* Punching holes is allowed under the seals, which only fix the size. */
void ist_decoder_child_tidy(struct ist_decoder_child *child, uint64_t len_in, uint64_t len_out)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	child->worn = len_in + len_out > WORN_BYTES || child->n_served >= MAX_SERVED ||
		      child->busy_ms >= MAX_BUSY_MS;
	if (child->worn || len_in + len_out < TIDY_BYTES)
		return;
	if (fallocate(child->memory_fd, mode, 0, (off_t)len_in + 1) != 0 ||
	    fallocate(child->memory_fd, mode, (off_t)child->input_size, (off_t)len_out + 1) != 0)
		child->worn = true;
}
