/*
 * Stands in for isthmus-decode in test_decoders.c and behaves as the first byte of the picture
 * says: G answers well (1 x 1), H hangs, D dies, N claims nonsense, S answers too short, T sends a
 * text without an end.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/decode/protocol.h"

static void behave(char how, struct ist_decode_answer *answer, size_t *len)
{
	if (how == 'H') {
		prctl(PR_SET_NAME, "hanging"); /* the test looks for it */
		for (;;)
			pause();
	}
	if (how == 'D')
		kill(getpid(), SIGKILL);
	if (how == 'N')
		answer->out_width = answer->width = 1u << 31;
	if (how == 'S')
		*len = 7;
	if (how == 'T') {
		answer->status = IST_DECODE_BROKEN;
		memset(answer->text, 'x', sizeof(answer->text));
		answer->text[0] = '\n';
	}
}

int main(int argc, char **argv)
{
	uint64_t max_pixels = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	size_t size = ist_decode_memory_size(max_pixels);
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, IST_DECODE_MEMORY, 0);
	struct ist_decode_hello hello = {.magic = IST_DECODE_MAGIC, .lacks = "everything: a fake"};
	struct ist_decode_request request;

	if (memory == MAP_FAILED || send(IST_DECODE_SOCKET, &hello, sizeof(hello), 0) < 0)
		return 1;
	while (recv(IST_DECODE_SOCKET, &request, sizeof(request), 0) == sizeof(request)) {
		struct ist_decode_answer answer = {.magic = IST_DECODE_MAGIC,
						   .width = 1,
						   .height = 1,
						   .out_width = 1,
						   .out_height = 1,
						   .len = 3,
						   .type = "image/png"};
		size_t len = sizeof(answer);

		behave(memory[0], &answer, &len);
		memcpy(memory + ist_decode_input_size(max_pixels), "\1\2\3", 3);
		if (send(IST_DECODE_SOCKET, &answer, len, 0) < 0)
			return 1;
	}
	return 0;
}
