/*
 * What holds a decoder, from the oldest means to the newest, so that one is left where another is
 * missing: closed descriptors, rlimits, Landlock (no file, no TCP), seccomp (no other system call).
 *
 * Landlock's interface is declared here: Debian 12's headers know version 1 only, and the kernel
 * says at run time which one it has. Under the sanitizers seccomp and the memory limit stay open,
 * since their runtime reserves terabytes and calls what it likes.
 */
#include "server/decode/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define CREATE_RULESET 444 /* the same on every architecture */
#define RESTRICT_SELF 446
#define RULESET_VERSION 1

/* struct landlock_ruleset_attr as of version 6; older kernels take its first members. */
struct ruleset {
	uint64_t handled_access_fs;  /* version 1 */
	uint64_t handled_access_net; /* 4 */
	uint64_t scoped;	     /* 6 */
};

/* What each version can forbid, all that came before included. */
static const struct {
	size_t size;
	uint64_t fs, net, scoped;
} versions[] = {
    {8, 0x1FFF, 0, 0},	/* 1: execute, write, read, remove, make */
    {8, 0x3FFF, 0, 0},	/* 2: refer */
    {8, 0x7FFF, 0, 0},	/* 3: truncate */
    {16, 0x7FFF, 3, 0}, /* 4: bind, connect */
    {16, 0xFFFF, 3, 0}, /* 5: ioctl on devices */
    {24, 0xFFFF, 3, 3}, /* 6: abstract sockets, signals */
};

static void lack(struct ist_decode_hello *hello, const char *what, int error)
{
	size_t len = strlen(hello->lacks);

	snprintf(hello->lacks + len, sizeof(hello->lacks) - len, "%s%s: %s", len > 0 ? "; " : "",
		 what, error != 0 ? strerror(error) : "off under a sanitizer");
}

static void close_files(void)
{
	int null = SANITIZED ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (syscall(SYS_close_range, IST_DECODE_MEMORY + 1, ~0U, 0) != 0) {
		for (int fd = IST_DECODE_MEMORY + 1; fd < 1024; fd++)
			close(fd);
	}
}

static void set_limits(uint64_t bytes, unsigned cpu_seconds, struct ist_decode_hello *hello)
{
	struct {
		int resource;
		rlim_t limit;
	} limits[] = {
	    {RLIMIT_AS, SANITIZED ? RLIM_INFINITY : bytes},
	    {RLIMIT_CPU, cpu_seconds},
	    {RLIMIT_NOFILE, 0}, /* nothing new can be opened */
	    {RLIMIT_FSIZE, 0},
	    {RLIMIT_CORE, 0},
	};

	hello->limits = 1;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r = {limits[i].limit, limits[i].limit};

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &r) != 0) {
			hello->limits = 0;
			lack(hello, "rlimits", errno);
			return;
		}
	}
}

static void set_landlock(struct ist_decode_hello *hello)
{
	long version = syscall(CREATE_RULESET, NULL, 0, RULESET_VERSION);
	size_t row, n = sizeof(versions) / sizeof(versions[0]);
	struct ruleset ruleset;
	long fd;

	if (version < 1) {
		lack(hello, "landlock", errno);
		return;
	}
	row = (size_t)version < n ? (size_t)version - 1 : n - 1;
	ruleset = (struct ruleset){versions[row].fs, versions[row].net, versions[row].scoped};
	fd = syscall(CREATE_RULESET, &ruleset, versions[row].size, 0);
	if (fd < 0 || syscall(RESTRICT_SELF, (int)fd, 0) != 0)
		lack(hello, "landlock", errno);
	else
		hello->landlock = (uint32_t)row + 1;
	if (fd >= 0)
		close((int)fd);
}

/* What decoding calls. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(close),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_getaffinity),
};
/* What libraries look for in vain (fonts, locale, settings): an error, not the end. */
static const int denied[] = {
    SCMP_SYS(open),	  SCMP_SYS(openat),	SCMP_SYS(stat),	       SCMP_SYS(lstat),
    SCMP_SYS(fstat),	  SCMP_SYS(newfstatat), SCMP_SYS(access),      SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink),	SCMP_SYS(readlinkat),  SCMP_SYS(statx),
    SCMP_SYS(ioctl),	  SCMP_SYS(lseek),	SCMP_SYS(sysinfo),     SCMP_SYS(prlimit64),
    SCMP_SYS(getcwd),	  SCMP_SYS(prctl),	SCMP_SYS(poll),	       SCMP_SYS(fcntl),
    SCMP_SYS(socket),	  SCMP_SYS(connect),	SCMP_SYS(getpeername), SCMP_SYS(getsockname),
    SCMP_SYS(writev),	  SCMP_SYS(uname),
};

/* librsvg draws some filters in threads of its own; nothing else may start any. */
static int rule_threads(scmp_filter_ctx filter, bool may)
{
	/* clone3's flags are in memory, where a filter cannot look: it "does not exist". */
	int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (failed == 0 && may)
		failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	return failed;
}

static int rule_memory(scmp_filter_ctx filter, int call)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int fill_filter(scmp_filter_ctx filter, bool threads)
{
	int failed = rule_threads(filter, threads);

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && failed == 0; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]) && failed == 0; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), denied[i], 0);
	if (failed == 0)
		failed = rule_memory(filter, SCMP_SYS(mmap));
	return failed != 0 ? failed : rule_memory(filter, SCMP_SYS(mprotect));
}

/*
 * Every call that is in no list ends the process, and memory may not become executable. The filter
 * holds all threads, those too that librsvg's libraries started while it was loaded.
 */
static void set_seccomp(struct ist_decode_hello *hello)
{
	scmp_filter_ctx filter = SANITIZED ? NULL : seccomp_init(SCMP_ACT_KILL_PROCESS);
	int failed = filter == NULL ? -ENOMEM : fill_filter(filter, hello->svg);

	if (failed == 0)
		failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (failed == 0)
		failed = seccomp_load(filter);
	hello->seccomp = failed == 0;
	if (failed != 0)
		lack(hello, "seccomp", SANITIZED ? 0 : -failed);
	if (filter != NULL)
		seccomp_release(filter);
}

void ist_sandbox_close(uint64_t bytes, unsigned cpu_seconds, struct ist_decode_hello *hello)
{
	close_files();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		lack(hello, "no_new_privs", errno);
	prctl(PR_SET_DUMPABLE, 0);
	set_landlock(hello);
	set_limits(bytes, cpu_seconds, hello);
	set_seccomp(hello);
}
