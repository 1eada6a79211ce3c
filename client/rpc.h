/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: calls of services that wait for their replies, in a table that their correlation indexes.
 *
 *   begin ─▶ opening ─▶ sent ─────────────────────────▶ finished
 *     │     (number of   │ ▲  final reply, or an error
 *     │     the service) ▼ │
 *     └─▶ mmi          resting: time-out or overload, and tries left
 *
 *   rpc.c           begin, time-outs, tries, what comes
 *   rpc_table.c     the table
 *   callee.c        services by name: their numbers, their breakers
 *   call_service.c  mr_call, mr_call_async
 *   stream.c        mr_stream_*
 *   mmi.c           what the bus answers itself
 *
 * The correlation on the wire is ours, a number that counts up above an index. There is nothing to
 * guess: the bus passes on replies of the worker alone that has the request, and marks them by a
 * delivery part, which no client can write. All tries of a call have the same correlation, so that
 * a reply that comes late is still one; the first reply's tag says whose further ones belong to it.
 *
 * Owns      Calls belong to the client; their places in memory do not change. A request is kept,
 *           copied, until its call ends, if it may have to be sent again.
 * Hot path  begin, finish: no allocation once a place has been used, no search, no system call but
 *           a clock's.
 */
#ifndef MILLRACE_CLIENT_RPC_H
#define MILLRACE_CLIENT_RPC_H

#include <string.h>

#include "client/breaker.h"
#include "client/internal.h"
#include "client/wheel.h"

#define MR_RPC_BIT       0x800000u /* in a correlation: of a call, not of a request */
#define MR_RPC_CHUNK     64u
#define MR_RPCS_MAX      (1u << 20)
#define MR_STREAM_WINDOW 64u /* parts or partial replies that may be under way */
/* A grant beyond that is cut: nobody takes so many. */
#define MR_STREAM_CREDIT_MAX (1u << 30)

enum mr_rpc_state {
	MR_RPC_FREE,
	MR_RPC_OPENING,  /* the service's number is asked for */
	MR_RPC_SQUEEZED, /* no room in the ring */
	MR_RPC_SENT,
	MR_RPC_RESTING, /* before the next try */
	MR_RPC_MMI,     /* control is asked */
	MR_RPC_ENDED,   /* failed within a callback: told of it later */
};

/* A service as its callers know it. */
struct mr_callee {
	struct mr_breaker breaker;
	uint32_t index;
	uint32_t queue; /* its number; 0: not open */
	bool opening;
	bool opening_any; /* also if nobody serves it */
	char name[MR_SUBJECT_BYTES + 1];
};

/* A call that waits. */
struct mr_rpc_sync {
	bool look; /* done, or due at another time than before */
	bool done;
	int error;
	struct mr_message *reply;
};

struct mr_stream {
	struct mr_client *client;
	struct mr_rpc *rpc; /* NULL: finished */
	bool ended;         /* the request */
	struct mr_stream *next;
	struct mr_stream **at;
};

struct mr_rpc {
	struct mr_timer timer; /* of those with a callback; first: what is due is cast */
	uint64_t correlation;  /* on the wire */
	uint64_t told;         /* the caller's own, or the same */
	uint64_t due_ns;
	uint64_t deadline_ns; /* of this try */
	uint64_t tag;         /* of the delivery whose replies these are; 0: none came yet */
	mr_call_fn *callback; /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_rpc_sync *sync;
		struct mr_rpc *next_free;
	};
	struct mr_stream *stream; /* NULL: not a streaming request */
	struct mr_callee *callee; /* NULL: the bus itself */
	struct mr_breaker_rule rule;
	uint32_t timeout_ms;
	uint32_t backoff_ms;
	uint32_t tries; /* made */
	uint32_t retries;
	uint32_t index;
	uint32_t sent_to; /* number of the service */
	uint32_t credit;  /* parts that the worker takes */
	uint32_t taken;   /* partial replies since we last granted more */
	int error;        /* of one that has ended */
	uint8_t state;
	bool probe; /* of the callee's breaker */
	bool waits; /* for a worker */
	bool reopened;
	/* Header block and payload, kept: it may have to be sent again. */
	uint32_t header_bytes;
	uint32_t bytes;
	uint32_t room;
	uint8_t *request;
};

struct mr_rpcs {
	struct mr_wheel wheel;
	struct mr_rpc *free;
	struct mr_stream *streams;
	uint64_t serial;
	uint32_t top; /* places there are */
	uint32_t chunks_room;
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

/* rpc_table.c */
int mr_rpcs_need(struct mr_client *c);
/* `index` < c->rpcs->top. */
struct mr_rpc *mr_rpc_at(const struct mr_rpcs *s, uint32_t index);
/* With a correlation, and nothing else of its own. -ENOSPC, -ENOMEM. */
int mr_rpc_new(struct mr_client *c, struct mr_rpc **out);
void mr_rpc_free(struct mr_client *c, struct mr_rpc *r);
/* Whose correlation this is; NULL: nobody's any more. */
struct mr_rpc *mr_rpc_find(const struct mr_client *c, uint64_t correlation);
/* True: it waits in a call that is on the stack now. */
bool mr_rpc_is_sync(const struct mr_client *c, uint64_t correlation);
void mr_rpc_free_all(struct mr_client *c);

/* rpc.c */
/* As mr_call_async. -EAGAIN: the ring is full. */
int mr_rpc_begin(struct mr_client *c, const struct mr_rpc_begin *begin, struct mr_rpc **out);
/* Ends without a word to anybody. */
void mr_rpc_forget(struct mr_client *c, struct mr_rpc *r);
/* Ends, and tells. `reply` NULL with an error; then, within a callback, the one whose it is is told
 * later. */
void mr_rpc_finish(
	struct mr_client *c, struct mr_rpc *r, const struct mr_message *reply, int error);
/* Its time has come: it has taken too long, or the next try is to be made. */
void mr_rpc_due(struct mr_client *c, struct mr_rpc *r);
void mr_rpc_set_due(struct mr_client *c, struct mr_rpc *r, uint64_t due_ns);
/* Calls that wait for the callee: go on, or fail. */
void mr_rpc_opened(struct mr_client *c, struct mr_callee *callee, int error);

static inline bool mr_rpc_is(uint64_t correlation)
{
	return (correlation & MR_RPC_BIT) != 0;
}

/* A Reply, Status or Credit whose correlation is a call's. Returns how many were handed out. */
unsigned mr_rpc_answered(struct mr_client *c, const struct mr_message_view *m);
void mr_rpc_step(struct mr_client *c, uint64_t now_ns);
uint64_t mr_rpc_due_ns(const struct mr_client *c);
/* The session has ended. */
void mr_rpc_fail_all(struct mr_client *c);

/* callee.c */
/* -EINVAL, -ENOMEM. */
int mr_callee_find(struct mr_client *c, const char *service, struct mr_callee **out);
/* Asks for its number; mr_rpc_opened is told. `any`: also if nobody serves it. */
void mr_callee_open(struct mr_client *c, struct mr_callee *callee, bool any);
/* Numbers are a session's. */
void mr_callees_close(struct mr_client *c);
void mr_callees_free(struct mr_client *c);

/* mmi.c */
static inline bool mr_mmi_is(const char *service)
{
	return mr_unlikely(service[0] == 'm') && strncmp(service, "mmi.", 4) == 0;
}
int mr_mmi_ask(struct mr_client *c, struct mr_rpc *r, const char *name);
/* The answer came within a callback. */
void mr_mmi_tell(struct mr_client *c, struct mr_rpc *r);

/* stream.c */
/* A Credit of the worker; returns 1 if somebody may have waited for it. */
unsigned mr_stream_granted(struct mr_client *c, struct mr_rpc *r, const struct mr_message_view *m);
/* A partial reply was taken: tells the worker so, now and then. */
void mr_stream_took(struct mr_client *c, struct mr_rpc *r);
/* Of both sides: sends a Credit, and adds one that came to *room. False: it makes no sense. */
int mr_stream_grant(
	struct mr_client *c, uint32_t service, const struct mrf_reply_token *token, uint32_t parts);
bool mr_stream_credit(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *room, bool *was_empty);
void mr_streams_free(struct mr_client *c);

#endif
