/* SPDX-License-Identifier: Apache-2.0 */
/* call: calls of services that wait for their replies, in a table that their correlation indexes.
 *
 *   begin ─▶ opening ─▶ sent ─────────────────────────▶ finished
 *     │     (number of   │ ▲  final reply, or an error
 *     │     the service) ▼ │
 *     └─▶ mmi          back-off: time-out or overload, and tries left
 *
 *   call.c        begin, time-outs, tries, answers
 *   call_table.c  the table
 *   call_api.c    mr_call, mr_call_async
 *   stub.c        services by name: their numbers and breakers
 *   stream.c      mr_stream_*
 *   mmi.c         questions that the bus answers itself
 *
 * The correlation on the wire is a counter above an index. It need not be hard to guess: the bus
 * passes on only replies of the worker that holds the request, and marks them by a delivery part,
 * which no client can write. All tries of a call have the same correlation, so a late reply still
 * counts. The first reply's tag says which further ones belong to it.
 *
 * Owns      The client owns its calls, which do not move in memory. A call keeps a copy of its
 *           request until it ends, as the request may have to be sent again.
 * Hot path  begin, finish: no allocation once a place was used, no search, no system call but the
 *           clock's.
 */
#ifndef MILLRACE_CLIENT_SERVICE_CALL_H
#define MILLRACE_CLIENT_SERVICE_CALL_H

#include <string.h>

#include "client/core/part.h"
#include "client/core/timer_wheel.h"
#include "client/service/breaker.h"

#define MR_CALL_BIT      0x800000u /* in a correlation: a call's, not a request's */
#define MR_CALL_CHUNK    64u
#define MR_CALLS_MAX     (1u << 20)
#define MR_STREAM_WINDOW 64u /* parts or partial replies that may be under way */
/* Upper limit of a grant: no receiver takes so many. */
#define MR_STREAM_CREDIT_MAX (1u << 30)

enum mr_call_state {
	MR_CALL_FREE,
	MR_CALL_OPENING, /* waits for the service's number */
	MR_CALL_NO_ROOM, /* no room in the ring */
	MR_CALL_SENT,
	MR_CALL_BACKOFF, /* waits for the next try */
	MR_CALL_MMI,     /* waits for control's answer */
	MR_CALL_ENDED,   /* failed within a callback; reported later */
};

/* Service stub: a service as its callers know it. */
struct mr_stub {
	struct mr_breaker breaker;
	uint32_t index;
	uint32_t queue; /* the service's number; 0: not open */
	bool opening;
	bool opening_any; /* open it even if it has no worker */
	char name[MR_SUBJECT_BYTES + 1];
};

/* A call that waits on the stack. */
struct mr_call_sync {
	bool changed; /* done, or `due_ns` has changed */
	bool done;
	int error;
	struct mr_message *reply;
};

struct mr_stream {
	struct mr_client *client;
	struct mr_call *call; /* NULL: finished */
	bool ended;           /* the request was sent in full */
	struct mr_stream *next;
	struct mr_stream **at;
};

struct mr_call {
	/* For calls with a callback. The first member, as the timer of the wheel is cast. */
	struct mr_wheel_timer timer;
	uint64_t correlation;        /* on the wire */
	uint64_t caller_correlation; /* as the callback gets it */
	uint64_t due_ns;
	uint64_t deadline_ns; /* end of this try */
	uint64_t tag;         /* tag of the answered delivery; 0: no reply yet */
	mr_call_fn *callback; /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_call_sync *sync;
		struct mr_call *next_free;
	};
	struct mr_stream *stream; /* NULL: not a streaming request */
	struct mr_stub *stub;     /* NULL: the bus itself answers */
	struct mr_breaker_rule rule;
	uint32_t timeout_ms;
	uint32_t backoff_ms;
	uint32_t tries; /* made so far */
	uint32_t retries;
	uint32_t index;
	uint32_t sent_to; /* number of the service at the last try */
	uint32_t credit;  /* parts that the worker takes now */
	uint32_t taken;   /* partial replies since the last grant */
	int error;        /* the outcome of an ended call */
	uint8_t state;
	bool probe; /* this try is the probe of the stub's breaker */
	bool waits; /* for a worker, if the service has none */
	bool reopened;
	/* Header block and payload, kept for another try. */
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
	uint32_t top; /* places allocated */
	uint32_t chunks_room;
	struct mr_call **chunks;
	struct mr_stub **stubs; /* by index */
	uint32_t stubs_count;
	uint32_t stubs_room;
	uint32_t *stubs_by_name; /* index + 1, open addressing, twice as large as stubs */
	struct mr_stub *stub_last;
	char mmi_text[64]; /* the reply that a waiting call was given */
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

/* call_api.c */
/* Lets *options point to options of the library's size: the caller's own, or a copy in `own`. 0 or
 * -E2BIG. */
int mr_call_options_read(struct mr_client *c, struct mr_call_options *own,
	const struct mr_call_options **options, size_t options_bytes);

/* call_table.c */
int mr_calls_need(struct mr_client *c);
/* `index` < c->calls->top. */
struct mr_call *mr_call_at(const struct mr_calls *s, uint32_t index);
/* Makes a call that has a correlation and nothing else. -ENOSPC, -ENOMEM. */
int mr_call_new(struct mr_client *c, struct mr_call **out);
void mr_call_free(struct mr_client *c, struct mr_call *r);
/* Returns the call with this correlation; NULL: none any more. */
struct mr_call *mr_call_find(const struct mr_client *c, uint64_t correlation);
/* True: it waits in a call that is on the stack now. */
bool mr_call_is_sync(const struct mr_client *c, uint64_t correlation);
void mr_call_free_all(struct mr_client *c);

/* call.c */
/* Starts a call, as mr_call_async does. -EAGAIN: the ring is full. */
int mr_call_begin(struct mr_client *c, const struct mr_call_begin *begin, struct mr_call **out);
/* Sets the text of an error with which a call ends. */
void mr_call_set_error(struct mr_client *c, const struct mr_call *r, int error);
/* Ends the call and reports nothing. */
void mr_call_forget(struct mr_client *c, struct mr_call *r);
/* Ends the call and reports it. `reply` is NULL with an error; within a callback such an end is
 * reported later. */
void mr_call_finish(
	struct mr_client *c, struct mr_call *r, const struct mr_message *reply, int error);
/* Handles a call whose time has come: a time-out, or the next try. */
void mr_call_due(struct mr_client *c, struct mr_call *r);
void mr_call_set_due(struct mr_client *c, struct mr_call *r, uint64_t due_ns);
/* Continues, or fails, the calls that wait for this stub. */
void mr_call_opened(struct mr_client *c, struct mr_stub *stub, int error);

static inline bool mr_call_is(uint64_t correlation)
{
	return (correlation & MR_CALL_BIT) != 0;
}

/* Handles a Reply, Status or Credit with a call's correlation. Returns how many were handed out. */
unsigned mr_call_answered(struct mr_client *c, const struct mr_message_view *m);
extern const struct mr_part mr_call_part;

/* stub.c */
/* -EINVAL, -ENOMEM. */
int mr_stub_find(struct mr_client *c, const char *service, struct mr_stub **out);
/* Asks for the service's number; mr_call_opened reports it. `any`: even if the service has no
 * worker. */
void mr_stub_open(struct mr_client *c, struct mr_stub *stub, bool any);
/* The session has ended, and with it all numbers. */
void mr_stubs_close(struct mr_client *c);
void mr_stubs_free(struct mr_client *c);

/* mmi.c */
static inline bool mr_mmi_is(const char *service)
{
	return mr_unlikely(service[0] == 'm') && strncmp(service, "mmi.", 4) == 0;
}
int mr_mmi_ask(struct mr_client *c, struct mr_call *r, const char *name);
/* Hands out an answer that arrived within a callback. */
void mr_mmi_tell(struct mr_client *c, struct mr_call *r);

/* stream.c */
/* Handles a worker's Credit. Returns 1 if a sender may have waited for it. */
unsigned mr_stream_granted(struct mr_client *c, struct mr_call *r, const struct mr_message_view *m);
/* Notes that a partial reply was taken; tells the worker now and then. */
void mr_stream_took(struct mr_client *c, struct mr_call *r);
/* Both sides: sends a Credit; adds a received one to *room. False: malformed. */
int mr_stream_grant(
	struct mr_client *c, uint32_t service, const struct mrf_reply_token *token, uint32_t parts);
bool mr_stream_credit(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *room, bool *was_empty);
void mr_streams_free(struct mr_client *c);

#endif
