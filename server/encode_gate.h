/*
 * Whose turn it is to encode, and with which workspace. As many may encode for queries at once as
 * there are processors, and as many for what is written; who writes waits while a query encodes.
 * So queries are not slowed by an import, and the workspaces, which an image network makes large,
 * are as many as can be of use however many threads there are.
 */
#ifndef IST_SERVER_ENCODE_GATE_H
#define IST_SERVER_ENCODE_GATE_H

#include <stddef.h>

#include "core/encode/encoder.h"

struct ist_encode_gate;
enum ist_turn { IST_TURN_QUERY, IST_TURN_INGEST, IST_N_TURNS };

struct ist_encode_gate *ist_encode_gate_create(size_t n);   /* n: at once, for either */
void ist_encode_gate_destroy(struct ist_encode_gate *gate); /* nobody is inside; NULL is fine */
/* Waits for the turn; the workspace is the caller's until it leaves. */
struct ist_encoder_workspace *ist_encode_gate_enter(struct ist_encode_gate *gate,
						    enum ist_turn turn);
void ist_encode_gate_leave(struct ist_encode_gate *gate, enum ist_turn turn,
			   struct ist_encoder_workspace *workspace);

#endif
