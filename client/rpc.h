/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: calls of services that wait for their replies, in a table that their correlation indexes.
 *
 *   begin ─▶ opening ─▶ sent ─────────────────────────▶ finished
 *     │     (number of   │ ▲  final reply, or an error
 *     │     the service) ▼ │
 *     └─▶ mmi          resting: time-out or overload, and tries left
 *
 *   rpc.c      the table, begin, time-outs, tries, what comes   callee.c  services by name: their numbers, their breakers
 *   call_service.c  mr_call, mr_call_async     stream.c  mr_stream_*     mmi.c  what the bus answers itself
 *
 * The correlation on the wire is ours, a number that counts up above an index: the bus passes on replies of the worker
 * alone that has the request, so there is nothing to guess. All tries of a call have the same, so that a reply that comes
 * late is still one; the first reply's tag says whose further ones belong to it.
 *
 * Owns      Calls belong to the client; their places in memory do not change. A request is kept, copied, until its call
 *           ends, if it may have to be sent again.
 * Hot path  begin, finish: no allocation once a place has been used, no search, no system call but a clock's.
 */
#ifndef MILLRACE_CLIENT_RPC_H
#define MILLRACE_CLIENT_RPC_H

#include "client/breaker.h"
#include "client/internal.h"
#include "client/wheel.h"

#define MR_RPC_BIT       0x800000u /* in a correlation: of a call, not of a request */
#define MR_RPC_CHUNK     256u
#define MR_RPC_CHUNKS    4096u /* calls at once: a million */
#define MR_STREAM_WINDOW 64u   /* parts or partial replies that may be under way */
/* A grant beyond that is cut: nobody takes so many. */
#define MR_STREAM_CREDIT_MAX (1u << 30)

enum mr_rpc_state {
	MR_RPC_FREE,
	MR_RPC_OPENING,
	MR_RPC_SENT,
	MR_RPC_RESTING,
	MR_RPC_MMI,
};

/* A service as its callers know it. */
struct mr_callee {
	struct mr_breaker breaker;
	uint32_t index;
	uint32_t queue; /* its number; 0: not open */
	bool opening;
	char name[MR_SUBJECT_BYTES + 1];
};

struct mr_rpc_sync {
	bool done;
	int error;
	struct mr_message *reply;
};

struct mr_stream {
	struct mr_client *client;
	struct mr_rpc *rpc; /* NULL: finished */
	uint64_t correlation;
	bool ended; /* the request */
};

struct mr_rpc {
	struct mr_timer timer; /* of those with a callback */
	uint64_t correlation;  /* on the wire */
	uint64_t told;         /* the caller's own, or the same */
	uint64_t due_ns;       /* time-out; resting: when to try again */
	uint64_t tag;          /* of the delivery whose replies these are; 0: none came yet */
	mr_call_fn *callback;  /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_rpc_sync *sync;
		struct mr_rpc *next_free;
	};
	struct mr_stream *stream; /* NULL: not a streaming request */
	struct mr_callee *callee;
	struct mr_breaker_rule rule;
	uint32_t timeout_ms;
	uint32_t backoff_ms;
	uint32_t tries; /* made */
	uint32_t retries;
	uint32_t index;
	uint32_t credit; /* parts that the worker takes */
	uint32_t taken;  /* partial replies since we last granted more */
	uint8_t state;
	bool probe; /* of the callee's breaker */
	bool reopened;
	/* Header block and payload. */
	uint32_t header_bytes;
	uint32_t bytes;
	uint32_t room;
	uint8_t *request;
};

struct mr_rpcs {
	struct mr_wheel wheel;
	struct mr_rpc *free;
	uint64_t serial;
	uint32_t top; /* places that were given out */
	struct mr_rpc **chunks;
	struct mr_callee **callees; /* by index */
	uint32_t callees_count;
	uint32_t callees_room;
	uint32_t *callees_by_name; /* index + 1, open addressing, twice as large */
	struct mr_callee *callee_last;
	char mmi_text[64]; /* of the reply that a waiting call was given */
};

struct mr_rpc_begin {
	const char *service;
	const void *payload;
	size_t bytes;
	const struct mr_call_options *options; /* may be NULL */
	mr_call_fn *callback;                  /* NULL: sync */
	void *arg;
	struct mr_rpc_sync *sync;
	struct mr_stream *stream;
};

/* rpc.c */
int mr_rpcs_new(struct mr_client *c);
void mr_rpcs_free(struct mr_client *c);
int mr_rpc_begin(struct mr_client *c, const struct mr_rpc_begin *begin, struct mr_rpc **out);
/* One that ends without a word to anybody. */
void mr_rpc_forget(struct mr_client *c, struct mr_rpc *r);
/* Ends: tells. `reply` NULL with an error. */
void mr_rpc_finish(struct mr_client *c, struct mr_rpc *r, const struct mr_message *reply, int error);
/* An attempt failed: another one, if there may be; else it ends. */
void mr_rpc_failed(struct mr_client *c, struct mr_rpc *r, int error);
/* Its time has come: time-out, or the next attempt. */
void mr_rpc_due(struct mr_client *c, struct mr_rpc *r);
void mr_rpc_set_due(struct mr_client *c, struct mr_rpc *r, uint64_t due_ns);
/* Sends it, as its callee is open; without room it rests. */
void mr_rpc_send(struct mr_client *c, struct mr_rpc *r);
/* Calls that wait for the callee: go on, or fail. */
void mr_rpc_opened(struct mr_client *c, struct mr_callee *callee, int error);

/* Whose correlation this is; NULL: nobody's any more. */
struct mr_rpc *mr_rpc_find(const struct mr_client *c, uint64_t correlation);
static inline bool mr_rpc_is(uint64_t correlation)
{
	return (correlation & MR_RPC_BIT) != 0;
}
/* True: it waits in a call that is on the stack now. */
bool mr_rpc_is_sync(const struct mr_client *c, uint64_t correlation);
/* A Reply, Status or Credit whose correlation is a call's. Returns how many were handed out. */
unsigned mr_rpc_answered(struct mr_client *c, const struct mr_message_view *m);
void mr_rpc_step(struct mr_client *c, uint64_t now_ns);
uint64_t mr_rpc_due_ns(const struct mr_client *c);
void mr_rpc_fail_all(struct mr_client *c);

/* callee.c */
/* -EINVAL, -ENOMEM. */
int mr_callee_find(struct mr_client *c, const char *service, struct mr_callee **out);
/* Asks for its number; mr_rpc_opened is told. */
void mr_callee_open(struct mr_client *c, struct mr_callee *callee);
/* Numbers are a session's. */
void mr_callees_close(struct mr_client *c);
void mr_callees_free(struct mr_client *c);

/* mmi.c */
bool mr_mmi_is(const char *service);
int mr_mmi_ask(struct mr_client *c, struct mr_rpc *r, const char *name, const void *body,
	size_t bytes);

/* stream.c */
/* Parts that the worker takes. */
void mr_stream_granted(struct mr_rpc *r, const struct mr_message_view *m);
/* Tells the worker that partial replies were taken, now and then. */
void mr_stream_took(struct mr_client *c, struct mr_rpc *r);

#endif
