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
 *   stub.c        services by name: their numbers, their breakers
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
#ifndef MILLRACE_CLIENT_SERVICE_CALL_H
#define MILLRACE_CLIENT_SERVICE_CALL_H

#include <string.h>

#include "client/service/breaker.h"
#include "client/core/part.h"
#include "client/core/timer_wheel.h"

#define MR_CALL_BIT      0x800000u /* in a correlation: of a call, not of a request */
#define MR_CALL_CHUNK    64u
#define MR_CALLS_MAX     (1u << 20)
#define MR_STREAM_WINDOW 64u /* parts or partial replies that may be under way */
/* A grant beyond that is cut: nobody takes so many. */
#define MR_STREAM_CREDIT_MAX (1u << 30)

enum mr_call_state {
	MR_CALL_FREE,
	MR_CALL_OPENING,  /* the service's number is asked for */
	MR_CALL_SQUEEZED, /* no room in the ring */
	MR_CALL_SENT,
	MR_CALL_RESTING, /* before the next try */
	MR_CALL_MMI,     /* control is asked */
	MR_CALL_ENDED,   /* failed within a callback: told of it later */
};

/* A service as its callers know it. */
struct mr_stub {
	struct mr_breaker breaker;
	uint32_t index;
	uint32_t queue; /* its number; 0: not open */
	bool opening;
	bool opening_any; /* also if nobody serves it */
	char name[MR_SUBJECT_BYTES + 1];
};

/* A call that waits. */
struct mr_call_sync {
	bool look; /* done, or due at another time than before */
	bool done;
	int error;
	struct mr_message *reply;
};

struct mr_stream {
	struct mr_client *client;
	struct mr_call *call; /* NULL: finished */
	bool ended;           /* the request */
	struct mr_stream *next;
	struct mr_stream **at;
};

struct mr_call {
	struct mr_wheel_timer timer; /* of those with a callback; first: what is due is cast */
	uint64_t correlation;        /* on the wire */
	uint64_t told;               /* the caller's own, or the same */
	uint64_t due_ns;
	uint64_t deadline_ns; /* of this try */
	uint64_t tag;         /* of the delivery whose replies these are; 0: none came yet */
	mr_call_fn *callback; /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_call_sync *sync;
		struct mr_call *next_free;
	};
	struct mr_stream *stream; /* NULL: not a streaming request */
	struct mr_stub *stub;     /* NULL: the bus itself */
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
	bool probe; /* of the stub's breaker */
	bool waits; /* for a worker */
	bool reopened;
	/* Header block and payload, kept: it may have to be sent again. */
	uint32_t header_bytes;
	uint32_t bytes;
	uint32_t room;
	uint8_t *request;
};

struct mr_calls {
	struct mr_wheel wheel;
	struct mr_call *free;
	struct mr_stream *streams;
	uint64_t serial;
	uint32_t top; /* places there are */
	uint32_t chunks_room;
	struct mr_call **chunks;
	struct mr_stub **stubs; /* by index */
	uint32_t stubs_count;
	uint32_t stubs_room;
	uint32_t *stubs_by_name; /* index + 1, open addressing, twice as large */
	struct mr_stub *stub_last;
	char mmi_text[64]; /* of the reply that a waiting call was given */
};

struct mr_call_begin {
	const char *service;
	const void *payload;
	size_t bytes;
	const struct mr_call_options *options; /* may be NULL */
	mr_call_fn *callback;                  /* NULL: sync */
	void *arg;
	struct mr_call_sync *sync;
	struct mr_stream *stream;
};

/* rpc_table.c */
int mr_calls_need(struct mr_client *c);
/* `index` < c->calls->top. */
struct mr_call *mr_call_at(const struct mr_calls *s, uint32_t index);
/* With a correlation, and nothing else of its own. -ENOSPC, -ENOMEM. */
int mr_call_new(struct mr_client *c, struct mr_call **out);
void mr_call_free(struct mr_client *c, struct mr_call *r);
/* Whose correlation this is; NULL: nobody's any more. */
struct mr_call *mr_call_find(const struct mr_client *c, uint64_t correlation);
/* True: it waits in a call that is on the stack now. */
bool mr_call_is_sync(const struct mr_client *c, uint64_t correlation);
void mr_call_free_all(struct mr_client *c);

/* rpc.c */
/* As mr_call_async. -EAGAIN: the ring is full. */
int mr_call_begin(struct mr_client *c, const struct mr_call_begin *begin, struct mr_call **out);
/* Ends without a word to anybody. */
void mr_call_forget(struct mr_client *c, struct mr_call *r);
/* Ends, and tells. `reply` NULL with an error; then, within a callback, the one whose it is is told
 * later. */
void mr_call_finish(
	struct mr_client *c, struct mr_call *r, const struct mr_message *reply, int error);
/* Its time has come: it has taken too long, or the next try is to be made. */
void mr_call_due(struct mr_client *c, struct mr_call *r);
void mr_call_set_due(struct mr_client *c, struct mr_call *r, uint64_t due_ns);
/* Calls that wait for the stub: go on, or fail. */
void mr_call_opened(struct mr_client *c, struct mr_stub *stub, int error);

static inline bool mr_call_is(uint64_t correlation)
{
	return (correlation & MR_CALL_BIT) != 0;
}

/* A Reply, Status or Credit whose correlation is a call's. Returns how many were handed out. */
unsigned mr_call_answered(struct mr_client *c, const struct mr_message_view *m);
extern const struct mr_part mr_call_part;

/* stub.c */
/* -EINVAL, -ENOMEM. */
int mr_stub_find(struct mr_client *c, const char *service, struct mr_stub **out);
/* Asks for its number; mr_call_opened is told. `any`: also if nobody serves it. */
void mr_stub_open(struct mr_client *c, struct mr_stub *stub, bool any);
/* Numbers are a session's. */
void mr_stubs_close(struct mr_client *c);
void mr_stubs_free(struct mr_client *c);

/* mmi.c */
static inline bool mr_mmi_is(const char *service)
{
	return mr_unlikely(service[0] == 'm') && strncmp(service, "mmi.", 4) == 0;
}
int mr_mmi_ask(struct mr_client *c, struct mr_call *r, const char *name);
/* The answer came within a callback. */
void mr_mmi_tell(struct mr_client *c, struct mr_call *r);

/* stream.c */
/* A Credit of the worker; returns 1 if somebody may have waited for it. */
unsigned mr_stream_granted(struct mr_client *c, struct mr_call *r, const struct mr_message_view *m);
/* A partial reply was taken: tells the worker so, now and then. */
void mr_stream_took(struct mr_client *c, struct mr_call *r);
/* Of both sides: sends a Credit, and adds one that came to *room. False: it makes no sense. */
int mr_stream_grant(
	struct mr_client *c, uint32_t service, const struct mrf_reply_token *token, uint32_t parts);
bool mr_stream_credit(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *room, bool *was_empty);
void mr_streams_free(struct mr_client *c);

#endif
