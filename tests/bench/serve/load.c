/*
 * A load generator for one POST path: each client is a thread with one kept-alive connection that
 * sends the next body as soon as its answer is there. Prints one JSON line: requests, failures,
 * requests a second, latency percentiles in milliseconds, and the CPU seconds it used itself.
 *
 *   load HOST PORT PATH BODIES CLIENTS REQUESTS
 *
 * BODIES is a file of bodies, one a line; they are taken in turn.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"

struct load {
	struct sockaddr_in address;
	char **requests; /* heads and bodies, ready to send */
	size_t *lengths;
	size_t n_requests; /* different ones */
	size_t total;
	atomic_size_t next;
	atomic_size_t failed;
	double *ms; /* (total) latency of each */
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int connect_to(const struct load *load)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (const void *)&load->address, sizeof(load->address)) != 0) {
		perror("connect");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads one answer with Content-Length; its status, or -1. */
static int receive(int fd, char *buffer, size_t cap)
{
	size_t have = 0, want = 0;
	char *end = NULL;

	while (end == NULL || have < want) {
		ssize_t n = recv(fd, buffer + have, cap - 1 - have, 0);

		if (n <= 0)
			return -1;
		have += (size_t)n;
		buffer[have] = '\0';
		if (end == NULL && (end = strstr(buffer, "\r\n\r\n")) != NULL) {
			const char *length = strcasestr(buffer, "\r\ncontent-length:");

			if (length == NULL || length > end)
				return -1;
			want = (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
		}
	}
	return (int)strtol(buffer + 9, NULL, 10);
}

static void *client(void *user)
{
	const size_t cap = 1 << 20;
	struct load *load = user;
	ist_autofree char *buffer = ist_alloc_raw(cap, 1);
	int fd = connect_to(load);
	size_t i;

	while ((i = atomic_fetch_add(&load->next, 1)) < load->total) {
		size_t r = i % load->n_requests;
		double start = now_ms();

		if (send_all(fd, load->requests[r], load->lengths[r]) != 0 ||
		    receive(fd, buffer, cap) != 200) {
			atomic_fetch_add(&load->failed, 1);
			close(fd);
			fd = connect_to(load);
		}
		load->ms[i] = now_ms() - start;
	}
	close(fd);
	return NULL;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void read_bodies(struct load *load, const char *host, const char *path, const char *file)
{
	struct ist_buf bodies = {0}, request = {0};
	struct ist_err err;
	char *rest, *line;

	if (ist_file_read(file, (size_t)1 << 30, &bodies, &err) != IST_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (line = strtok_r(bodies.data, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		request = (struct ist_buf){0};
		ist_buf_printf(&request,
			       "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\n\r\n%s",
			       path, host, strlen(line), line);
		load->requests =
		    ist_resize(load->requests, load->n_requests + 1, sizeof(*load->requests));
		load->lengths =
		    ist_resize(load->lengths, load->n_requests + 1, sizeof(*load->lengths));
		load->requests[load->n_requests] = request.data;
		load->lengths[load->n_requests++] = request.len;
	}
	ist_buf_finish(&bodies);
}

int main(int argc, char **argv)
{
	struct load load = {0};
	pthread_t threads[256];
	struct rusage usage;
	size_t clients;
	double start, seconds;

	if (argc != 7) {
		fprintf(stderr, "usage: load HOST PORT PATH BODIES CLIENTS REQUESTS\n");
		return 2;
	}
	load.address.sin_family = AF_INET;
	load.address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	inet_pton(AF_INET, argv[1], &load.address.sin_addr);
	read_bodies(&load, argv[1], argv[3], argv[4]);
	clients = IST_MIN(strtoul(argv[5], NULL, 10), IST_COUNT(threads));
	load.total = strtoul(argv[6], NULL, 10);
	load.ms = ist_alloc(load.total, sizeof(*load.ms));
	start = now_ms();
	for (size_t i = 0; i < clients; i++)
		if (pthread_create(&threads[i], NULL, client, &load) != 0)
			return 1;
	for (size_t i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	seconds = (now_ms() - start) / 1e3;
	qsort(load.ms, load.total, sizeof(*load.ms), ascending);
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"requests\": %zu, \"failed\": %zu, \"per_second\": %.0f, \"p50_ms\": %.3f, "
	       "\"p95_ms\": %.3f, \"p99_ms\": %.3f, \"seconds\": %.2f, \"own_cpu_s\": %.2f}\n",
	       load.total, atomic_load(&load.failed), (double)load.total / seconds,
	       load.ms[load.total / 2], load.ms[load.total * 95 / 100],
	       load.ms[load.total * 99 / 100], seconds,
	       (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	return atomic_load(&load.failed) != 0;
}
