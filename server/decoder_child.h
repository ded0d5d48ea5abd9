/*
 * One decoder process and the shared memory between it and the daemon. Belongs to one thread at a
 * time; who has it is server/decoders.c's business.
 */
#ifndef IST_SERVER_DECODER_CHILD_H
#define IST_SERVER_DECODER_CHILD_H

#include <sys/types.h>

#include "core/base/error.h"
#include "server/decode/protocol.h"

struct ist_decoder_child {
	pid_t pid; /* 0: not running */
	int socket, memory_fd;
	uint8_t *memory; /* input first, then output */
	size_t input_size, memory_size;
	uint32_t n_served;
	int64_t busy_ms; /* spent on pictures so far */
	bool worn;	 /* to be replaced before its next picture */
	struct ist_decode_hello hello;
};

/* Starts a process and waits for its hello. IST_UNAVAILABLE where that fails. */
IST_CHECKED enum ist_code ist_decoder_child_start(struct ist_decoder_child *child,
						  const char *program, uint64_t max_pixels,
						  uint32_t timeout_ms, bool svg,
						  struct ist_err *err);
/* Kills it, waits for its end and gives everything back; takes what never ran. */
void ist_decoder_child_stop(struct ist_decoder_child *child);
/* Whether it still runs: one that died between two pictures is no picture's fault. */
bool ist_decoder_child_alive(const struct ist_decoder_child *child);

/*
 * One picture through the child. The answer is as the child wrote it: not to be believed yet.
 * IST_UNAVAILABLE: it died or said nonsense; IST_CANCELLED: it took longer than timeout_ms; after
 * both it must be stopped. The text says which.
 */
IST_CHECKED enum ist_code ist_decoder_child_ask(struct ist_decoder_child *child,
						const struct ist_decode_request *request,
						const void *data, uint32_t timeout_ms,
						struct ist_decode_answer *ret, struct ist_err *err);
const uint8_t *ist_decoder_child_output(const struct ist_decoder_child *child);
/* Gives the pages of large pictures back to the system; marks the child worn when it should go. */
void ist_decoder_child_tidy(struct ist_decoder_child *child, uint64_t len_in, uint64_t len_out);

#endif
