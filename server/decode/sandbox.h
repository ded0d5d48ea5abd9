/* Gives up what a decoder does not need. */
#ifndef IST_SERVER_DECODE_SANDBOX_H
#define IST_SERVER_DECODE_SANDBOX_H

#include "server/decode/protocol.h"

/* No descriptors but the two, limits on memory (`bytes`) and CPU time, no new privileges, Landlock
 * without a single permission, seccomp with the calls that decoding needs. Whatever the kernel
 * lacks is left out and said in `hello`. There is no way back. */
void ist_sandbox_close(uint64_t bytes, unsigned cpu_seconds, struct ist_decode_hello *hello);

#endif
