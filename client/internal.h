/* SPDX-License-Identifier: Apache-2.0 */
/* internal: the client's state, and what its files offer each other.
 *
 *   client.c   connect, close          publish.c    messages into the up ring
 *   session.c  loss and restoration    receive.c    messages out of the down ring
 *   call.c     requests to control     wait.c       process, wait, receive, mr_fd
 *   request.c  requests to others      aside.c      messages kept for later
 *   away.c     the bus is away: publishes kept for its return
 *   attach.c, shm.c  a bus of this host: the exchange, and the memory shared with it
 *   udp/             a bus elsewhere: both rings are this process's own, and frames go in between
 *   subscribe.c, publisher.c, headers.c, error.c, names.c
 *
 * Owns      A client owns everything made from it. Its memory from the bus (the channel) goes away
 *           in mr_session_lose alone, which runs only when no callback is on the stack.
 * Threads   One thread at a time a client.
 * Ordering  As lib/ring/bytes.h; asleep of the down ring is this side's flag.
 */
#ifndef MILLRACE_CLIENT_INTERNAL_H
#define MILLRACE_CLIENT_INTERNAL_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "client/millrace.h"
#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define MR_SHOW_BYTES_MAX     (64u << 10) /* unflushed bytes, corked or not */
#define MR_RELEASE_BYTES_MAX  (32u << 10) /* read bytes not yet given back */
#define MR_ASIDE_MESSAGES_MAX 4096u
#define MR_ASIDE_BYTES_MAX    (16u << 20)
#define MR_CALLS_MAX          64u
#define MR_CALL_BYTES_MAX     704u /* a subscribe request with the longest pattern and group */
#define MR_CALL_RESEND_NS     1000000000ull
#define MR_HOUSE_NS           10000000ull
#define MR_NAME_BYTES_MAX     63u
#define MR_GROUP_TEXT_BYTES   64u
#define MR_NEVER_NS           UINT64_MAX
#define MR_NS_PER_MS          1000000ull

enum mr_state {
	MR_STATE_LOST,      /* no session; an attach exchange may be under way */
	MR_STATE_RESTORING, /* a session, subscriptions and aliases not all in place */
	MR_STATE_UP,
};

struct mr_subscription {
	struct mr_client *client;
	mr_message_fn *callback; /* with `batch` NULL too: for mr_receive */
	mr_messages_fn *batch;
	void *arg;
	uint64_t count;
	uint32_t id;
	uint32_t aside; /* messages of it set aside */
	bool prefix;
	uint8_t high_water;
	bool consumes; /* it is the first part of a struct mr_consumer */
	enum mr_promise_kind promise;
	struct mr_seen *seen; /* with exactly once: what came before; NULL: nothing yet */
	char group[MR_GROUP_TEXT_BYTES]; /* empty: none */
	char pattern[MR_SUBJECT_BYTES + 1];
};

struct mr_publisher {
	struct mr_client *client;
	struct mrf_message_header header; /* of its messages, but for their length; to the alias */
	uint32_t head_bytes;              /* in front of each payload */
	uint32_t index;                   /* in the client's publishers */
	uint32_t body_bytes_max;
	struct mr_outbox *box; /* of what it promises; NULL: best effort */
	uint64_t number;       /* with exactly once, of the publisher; else 0 */
	uint64_t next_id;
	uint8_t *claimed;
	size_t claimed_bytes;
	uint32_t claimed_count; /* messages of a batch; 0: one alone */
	struct mr_publisher *next_closed;
	char subject[MR_SUBJECT_BYTES + 1];
};

/* Control's answer to a call. */
struct mr_answer {
	int code; /* 0 or -errno */
	const char *text;
	uint32_t alias;
	uint64_t handled_ns;
	/* Of a queue or service. */
	uint32_t queue;
	uint32_t window;
	bool waits;
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint32_t ack_timeout_ms;
	uint16_t max_deliver;
	/* Of an MMI request, whose body is the text. */
	uint32_t status;
};

/* A request to control, kept until it is answered. */
struct mr_call {
	uint32_t correlation; /* 0: free */
	uint32_t bytes;
	uint64_t resend_ns;
	uint64_t deadline_ns;
	void (*done)(struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object);
	void *arg;
	uint32_t object;
	uint8_t body[MR_CALL_BYTES_MAX];
};

/* A message that could not be handed out when it came, a copy of the record follows; or one that came in
 * pieces: its body follows, and the view leads there. */
struct mr_aside {
	struct mr_aside *next;
	uint32_t subscription; /* 0: not a delivery, or its subscription is gone */
	uint32_t bytes;
	bool whole;
	struct mr_message_view view; /* of a whole one */
	alignas(MR_MESSAGE_ALIGN) uint8_t record[];
};

/* A request to others that waits for its reply. */
struct mr_pending {
	uint64_t correlation; /* 0: free */
	uint64_t deadline_ns;
	mr_reply_fn *callback; /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_sync *sync;
	};
	uint32_t heap_at; /* place in the heap; or the next free one */
};

struct mr_sync {
	bool done;
	int error;
	struct mr_message *reply;
};

/* What one way to the bus does in its own manner. None of it is called for each message. */
struct mr_transport {
	/* begin starts an exchange; step takes it on: 0 attached, -EAGAIN not yet, else why not. */
	int (*attach_begin)(struct mr_client *c);
	int (*attach_step)(struct mr_client *c);
	void (*attach_end)(struct mr_client *c);
	/* Something was shown in the up ring to one who sleeps. */
	void (*rouse)(struct mr_client *c);
	/* Brings what has come into an empty down ring. True: something is there. NULL: it comes by itself.
	 */
	bool (*fill)(struct mr_client *c);
	/* Asks to be woken. False: something has come. */
	bool (*arm)(struct mr_client *c);
	/* What to sleep on: first what messages come by, the rest is for housekeeping. */
	unsigned (*sleep_on)(const struct mr_client *c, struct pollfd fds[2]);
	/* Sleeps for a millisecond at most, for room in the up ring. */
	void (*room_sleep)(struct mr_client *c);
	/* Somebody waits for room, or until the bus has taken all, and hands out nothing meanwhile: takes in
	 * what makes room. NULL: the bus makes it by itself. */
	void (*press)(struct mr_client *c);
	/* All that came was handed out for now: what the bus waits to hear is said. NULL: nothing. */
	void (*rest)(struct mr_client *c);
	/* Looks whether the bus is still there; sets eof. A system call. */
	void (*look)(struct mr_client *c);
	/* When it wants to be looked at, or MR_NEVER_NS. */
	uint64_t (*due_ns)(const struct mr_client *c);
	/* Ends the session, as far as there is one. */
	void (*unmap)(struct mr_client *c);
	void (*fini)(struct mr_client *c);
};

extern const struct mr_transport mr_transport_shm;
extern const struct mr_transport mr_transport_udp;

struct mr_udp;
struct mr_rpcs;
struct mr_service;

/* Signs of life of those who serve over shared memory: beat.c. */
struct mr_beats {
	uint64_t due_ns;
	uint64_t interval_ns; /* 0: nobody serves */
	uint32_t missed_max;
	uint32_t unanswered;
};

struct mr_client {
	/* Publishing. */
	struct mr_bytes_producer up;
	/* Where promised messages go: `up`, which loses nothing over shared memory; over UDP the ring of the
	 * reliable flow, whose bytes stay until the bus has acknowledged them. Never NULL. */
	struct mr_bytes_producer *promised;
	int refuse; /* 0, or why nothing may be published: -ENOTCONN, -EBUSY */
	/* The same of publishes that promise nothing; -EAGAIN: some that were kept go first. */
	int refuse_publish;
	bool corked;
	int worker_bell_fd; /* the channel's */
	uint64_t published;
	/* Whose death or farewell one load each tells: mr_bus_gone. */
	const struct mr_worker_page *watched;

	/* Receiving. */
	struct mr_bytes_consumer down;
	struct mr_subscription **subscriptions; /* by id */
	uint32_t subscriptions_room;
	uint32_t subscriptions_top; /* ids below it were given out */
	unsigned depth;             /* callbacks on the stack */
	const bool *until;          /* what the innermost waiting call waits for; never NULL */
	bool hold;                  /* the last record is the caller's until the next call */
	bool blocked;               /* the next message waits for mr_receive */
	bool eof;                   /* the bus is gone; what it left is still read */
	struct mr_aside *aside_first;
	struct mr_aside **aside_end;
	struct mr_aside *aside_out; /* given out by mr_receive */
	uint32_t aside_count;
	uint64_t aside_bytes;
	uint64_t received;
	uint64_t missed;
	uint64_t unmatched;
	uint64_t malformed;
	uint64_t duplicates; /* of publishers that promise exactly once */
	struct mr_assembly *assemblies;
	unsigned assemblies_count;

	/* Queues and what is promised: queue.h. */
	struct mr_queue *queues;
	bool queues_closed; /* some, within a callback */
	uint32_t queue_serial;
	struct mr_outbox *outboxes;
	uint32_t promised_open;        /* messages promised and not taken in charge */
	bool outboxes_busy;            /* something is to be sent, or to be sent again */
	bool settled;                  /* promised_open is 0 */
	int promise_error;             /* of the first that failed since mr_settle said so */
	struct mr_consumer *dirty;     /* those with settlements to be sent */
	bool consumers_again;          /* some are to be asked for again */
	uint64_t renew_ns;             /* when some consumer renews what waits */
	struct mr_consumer *pull_from; /* whom mr_pull waits for, */
	struct mr_delivery *pull_out;  /* where to, */
	bool pulled;                   /* and whether it came */
	bool pulling;                  /* and there is more */
	uint32_t fragment_message;     /* number of the last message sent in pieces */

	/* Services: rpc.h, service.h. */
	struct mr_rpcs *rpcs; /* NULL until the first call */
	struct mr_service *services;
	struct mr_beats beats;

	/* Ids that may be used again, oldest first. */
	uint32_t *ids_free;
	uint32_t ids_free_count;
	uint32_t ids_free_room;

	/* Requests. */
	struct mr_pending *pending;
	uint32_t pending_room;
	uint32_t pending_free; /* UINT32_MAX: none */
	uint32_t *heap;        /* of those with a callback, the next to expire first */
	uint32_t heap_count;
	uint32_t random_left;
	uint32_t random[256];

	/* Calls to control. */
	struct mr_call *calls;
	uint32_t calls_open;
	uint32_t call_serial;

	/* Session. */
	enum mr_state state;
	const struct mr_transport *transport;
	struct mr_udp *udp; /* NULL over shm */
	/* Headers and payload together; over UDP with the subject, whose mask is all ones then. */
	size_t body_bytes_max;
	size_t body_subject_mask;
	size_t whole_bytes_max;    /* of a message in pieces; 0: the bus knows none */
	uint32_t record_bytes_max; /* with what pads it: more fits no frame */
	struct mr_channel channel;
	const struct mr_worker_page *page;
	int liveness_fd;   /* -1: none */
	pid_t attached_by; /* the process that did; a child that it forks has no session */
	int attach_fd;     /* -1: no exchange under way */
	uint64_t attach_deadline_ns;
	uint64_t attach_due_ns; /* when the exchange wants to be taken on, whatever comes */
	uint64_t retry_ns;
	uint64_t backoff_ns;
	uint64_t session;
	uint64_t reconnects;
	unsigned worker;
	bool told_up;
	uint32_t restore_subscription;
	uint32_t restore_publisher;
	uint32_t restore_queue;
	uint32_t restore_open;
	struct mr_publisher **publishers;
	struct mr_publisher *
		publishers_closed; /* within a callback, which one of their own calls may have made */
	uint32_t publishers_count;
	uint32_t publishers_room;
	uint32_t releases_open; /* of aliases, not answered yet */
	bool released;          /* there are none */

	/* The bus is away: away.c. */
	struct mr_kept_publish *away_first; /* the oldest */
	struct mr_kept_publish **away_end;
	size_t away_bytes;
	uint64_t away_count;
	uint64_t lost;            /* publishes that the bus did not get */
	uint64_t lost_told;       /* of them, those that on_state was told of */
	uint64_t patience_end_ns; /* of calls that need not wait for the next connection */

	/* Time and sleep. */
	uint64_t house_ns; /* when to look after time-outs and the peer */
	uint64_t timer_ns; /* what timer_fd is set to; 0: not */
	int epoll_fd;      /* -1 until mr_fd */
	int timer_fd;
	bool few_cpus;

	struct mr_options options;
	char name[MR_NAME_BYTES_MAX + 1];
	char path[108];
	const char *error;
	char error_text[256];
	char lost_text[160];
};

/* client.c: zeroed memory that is taken from the kernel page by page, as it is touched: a large structure of
 * which an idle client uses little. NULL: none. */
void *mr_pages_new(size_t bytes);
void mr_pages_free(void *pages, size_t bytes);

/* error.c */

/* Notes the failure and returns `code`. The text is constant, or formatted into the client. */
int mr_fail(struct mr_client *c, int code, const char *text);
int mr_failf(struct mr_client *c, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void mr_connect_error_set(const char *text);
/* What a Status with that code means to the one who asked: -errno. */
int mr_status_error(uint32_t code);

/* attach.c: of mr_transport_shm. */
int mr_attach_begin(struct mr_client *c);
int mr_attach_step(struct mr_client *c);
void mr_attach_end(struct mr_client *c);

/* session.c */

/* Sets state, and with it what publishing says. */
void mr_session_state(struct mr_client *c, enum mr_state state);
/* Sets `refuse`, and with it refuse_publish. */
static inline void mr_refuse(struct mr_client *c, int code)
{
	c->refuse = code;
	c->refuse_publish = code == 0 && c->away_first != NULL ? -EAGAIN : code;
}

void mr_session_eof(struct mr_client *c, const char *why);
/* Takes the session down: sets aside what can be read, fails what is pending, tells. Not in a callback. */
void mr_session_lose(struct mr_client *c);
/* The same when all that can be read was set aside already. */
void mr_session_end(struct mr_client *c);
/* Reconnects by steps. */
void mr_session_step(struct mr_client *c, uint64_t now_ns);
uint64_t mr_session_due_ns(const struct mr_client *c);
/* The epoll set of mr_fd, where there is one. */
void mr_session_watch(struct mr_client *c, int fd);
void mr_session_unwatch(struct mr_client *c, int fd);

/* The parts of a message to send. */
struct mr_parts {
	const char *subject;
	size_t subject_bytes;
	const char *headers;
	size_t header_bytes;
	const void *payload;
	size_t payload_bytes;
};

/* The worker's thread has ended, or the bus has closed the session: in shared memory two loads of lines that
 * this core has, as nobody writes them while the session goes on. */
static inline bool mr_bus_gone(const struct mr_client *c)
{
	uint32_t owner = atomic_load_explicit(&c->watched->owner, memory_order_relaxed);

	return (owner & MR_WORKER_PAGE_GONE) != 0 ||
	       atomic_load_explicit(&c->up.shared->closed, memory_order_relaxed) != 0;
}

/* away.c */
/* Notices the end of the session, and goes on with the next one. `wait`: for a while. 0: connected. -ENOTCONN,
 * -EBUSY: a claim is open. */
int mr_away_check(struct mr_client *c, bool wait);
/* Waits for the next connection. Does nothing in callbacks. */
void mr_away_wait(struct mr_client *c, uint64_t timeout_ms);
/* Keeps a copy of a publish for the next connection. -ENOTCONN: no room, or not wanted; -EINVAL, -EMSGSIZE. */
int mr_away_keep(struct mr_client *c, const struct mr_parts *p);
/* The connection is up: publishes what was kept, as far as there is room until deadline_ns; 0: does not wait. 0:
 * all is published. -EAGAIN, -ETIMEDOUT: the rest is kept still; -ENOTCONN. */
int mr_away_send(struct mr_client *c, uint64_t deadline_ns);
/* Before a publish that promises nothing: as mr_away_check, then mr_away_send, which waits for room if `wait`. */
int mr_away_go_first(struct mr_client *c, bool wait);
void mr_away_clear(struct mr_client *c);
/* The session is over: counts the publishes that the bus has not taken from the ring. */
void mr_away_count_lost(struct mr_client *c);

/* 0: publish; else as mr_away_check. */
static inline int mr_ready(struct mr_client *c, bool wait)
{
	if (mr_likely(c->refuse == 0 && !mr_bus_gone(c)))
		return 0;
	return mr_away_check(c, wait);
}

/* 0: publish; else as mr_away_go_first. */
static inline int mr_publish_ready(struct mr_client *c, bool wait)
{
	if (mr_likely(c->refuse_publish == 0 && !mr_bus_gone(c)))
		return 0;
	return mr_away_go_first(c, wait);
}

/* publish.c */
int mr_publish_refused(struct mr_client *c);
/* Room for a record, or NULL; shows what is pushed if that may help. */
uint8_t *mr_publish_room(struct mr_client *c, uint32_t bytes);
/* The same, waiting. NULL: mr_error and *error say why. */
uint8_t *mr_publish_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error);
/* Until when a call waits for room that begins now. */
uint64_t mr_publish_deadline_ns(const struct mr_client *c);
void mr_publish_show(struct mr_client *c);

/* headers.c: NULL, or what is wrong with a header block that is to be sent. */
const char *mr_headers_fault(const char *block, size_t block_bytes);
/* -EMSGSIZE, with a text that says what would fit. */
int mr_publish_too_large(struct mr_client *c);
/* 0 or -EINVAL. */
int mr_parts_check(struct mr_client *c, const struct mr_parts *p);
/* Copies a message into the ring. `wait`: for room. */
int mr_publish_parts(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_parts *p, bool wait);

static inline void mr_publish_pushed(struct mr_client *c, size_t bytes)
{
	mr_bytes_push(&c->up, bytes);
	if (!c->corked || c->up.tail - c->up.tail_out >= MR_SHOW_BYTES_MAX)
		mr_publish_show(c);
}

static inline void mr_publish_show_rest(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST)
		return;
	if (c->up.tail != c->up.tail_out || c->promised->tail != c->promised->tail_out)
		mr_publish_show(c);
}

/* The same two calls for messages that must not be lost on the way: control's, promised ones, and those
 * of queues and services. Order holds among them, and over UDP not against the others. The room is the
 * caller's until the next call of either; what is pushed goes out by mr_publish_show_rest too. */
uint8_t *mr_promise_room(struct mr_client *c, uint32_t bytes);
uint8_t *mr_promise_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error);
/* Bytes pushed that the bus has not taken yet: 0 when none of this session can be lost any more. */
uint64_t mr_promise_backlog(struct mr_client *c);

static inline void mr_promise_pushed(struct mr_client *c, size_t bytes)
{
	mr_bytes_push(c->promised, bytes);
	if (!c->corked || c->promised->tail - c->promised->tail_out >= MR_SHOW_BYTES_MAX)
		mr_publish_show(c);
}

/* Counts up over the session: what was pushed before this came out of mr_promise_tail is taken when
 * mr_promise_taken has reached it. */
static inline uint64_t mr_promise_tail(const struct mr_client *c)
{
	return c->promised->tail;
}

static inline uint64_t mr_promise_taken(struct mr_client *c)
{
	return c->promised->tail - mr_promise_backlog(c);
}

/* receive.c */

/* Handles up to `max` messages. `aside`: those that cannot be handed out are set aside; otherwise
 * it stops in front of one for mr_receive and sets blocked. Returns how many were handed out. */
unsigned mr_receive_some(struct mr_client *c, unsigned max, bool aside);
/* Takes the message that blocks. False: it made no sense. */
bool mr_serve_take(struct mr_client *c, struct mr_message *out);
/* Empties the ring of a session that has ended. */
void mr_serve_rest(struct mr_client *c);
/* Gives back what was read. */
void mr_serve_release(struct mr_client *c);

/* aside.c */
/* False: no room; the caller counts it as missed. */
bool mr_aside_push(struct mr_client *c, const void *record, uint32_t bytes, uint32_t subscription);
/* The same of one that is put together; freed when there is no room. */
bool mr_aside_keep(struct mr_client *c, struct mr_aside *a);
/* A copy of a record, in no list; NULL: no memory. */
struct mr_aside *mr_aside_new(const void *record, uint32_t bytes, uint32_t subscription);
/* What is in it. False: it makes no sense, which is counted. */
bool mr_aside_parse(struct mr_client *c, const struct mr_aside *a, struct mr_message_view *m);
struct mr_aside *mr_aside_pop(struct mr_client *c);
void mr_aside_forget(struct mr_client *c, uint32_t subscription);
/* Takes away the delivery with this tag; false: there is none. */
bool mr_aside_drop(struct mr_client *c, uint32_t subscription, uint64_t bus_tag);
/* Frees what mr_receive gave out. */
void mr_aside_free_out(struct mr_client *c);
void mr_aside_clear(struct mr_client *c);

/* assemble.c */

/* Takes a piece of a larger message. Returns the whole when it was the last that lacked: the caller frees it. NULL:
 * there is more to come, or it was dropped and counted. */
struct mr_aside *mr_assemble(struct mr_client *c, const struct mr_message_view *m);
void mr_assemble_clear(struct mr_client *c);

/* seen.c */

/* What came before of publishers that promise exactly once. */
struct mr_seen *mr_seen_new(void);
void mr_seen_free(struct mr_seen *s);
/* Notes it. False: it came before, or is older than the window. */
bool mr_seen_first(struct mr_seen *s, uint64_t publisher, uint64_t id);

/* wait.c */
#define MR_WAIT_MESSAGES_MAX 1024u
struct mr_patience {
	uint64_t deadline_ns;
	uint64_t spin_ns;
	uint32_t rounds;
};
/* `timeout_ms` < 0: for ever. */
void mr_patience_init(struct mr_patience *p, const struct mr_client *c, int64_t timeout_ms);
/* Serves until *done. 0, -ETIMEDOUT, -EINTR, -ENOTCONN. */
int mr_await(struct mr_client *c, const bool *done, struct mr_patience *p);
/* Waits for something to do. 0: look again; -ETIMEDOUT; -EINTR. */
int mr_pause(struct mr_client *c, struct mr_patience *p);
/* Makes the event loop look again: at once, or by that time. */
void mr_nudge(struct mr_client *c);
void mr_timer_by(struct mr_client *c, uint64_t due_ns);
/* Every call that reads the ring starts and ends so. -EBUSY in a callback (unless `nested`) and
 * while a claim is open. */
int mr_begin(struct mr_client *c, bool nested);
void mr_end(struct mr_client *c);
void mr_house(struct mr_client *c, uint64_t now_ns);
uint64_t mr_house_now_ns(const struct mr_client *c);

static inline void mr_house_by(struct mr_client *c, uint64_t due_ns)
{
	if (due_ns < c->house_ns)
		c->house_ns = due_ns;
}

static inline uint64_t mr_clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline uint64_t mr_now_ns(void)
{
	return mr_clock_ns(CLOCK_MONOTONIC);
}

/* subscribe.c, publisher.c */
static inline bool mr_subscription_is_pulled(const struct mr_subscription *s)
{
	return s->callback == NULL && s->batch == NULL;
}

struct mr_subscription *mr_subscription_find(const struct mr_client *c, uint32_t id);
int mr_subscription_id_take(struct mr_client *c, uint32_t *id);
void mr_subscription_id_give_back(struct mr_client *c, uint32_t id);
/* Takes it out of the table, and away from the bus; `queue`: number of the one that it consumes, or 0. */
int mr_subscription_end(struct mr_client *c, uint32_t id, uint32_t queue);
uint32_t mr_subscription_encode(const struct mr_subscription *s, uint8_t *to, uint32_t room);
void mr_subscription_free(struct mr_subscription *s);
uint32_t mr_publisher_encode(const struct mr_publisher *p, uint8_t *to, uint32_t room);
void mr_publisher_free(struct mr_publisher *p);
/* Frees those that were closed within callbacks. */
void mr_publishers_sweep(struct mr_client *c);
/* What a message may hold, after an attach. */
void mr_client_limits(struct mr_client *c, size_t body_bytes_max, bool with_subject);

/* call.c */
typedef void mr_answer_fn(
	struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object);
/* A call to fill in and send; NULL when all are taken. */
struct mr_call *mr_call_new(struct mr_client *c, mr_answer_fn *done, void *arg, uint32_t object);
void mr_call_send(struct mr_client *c, struct mr_call *call, uint64_t deadline_ns);
struct mr_ask {
	const uint8_t *body;
	uint32_t bytes;
	int timeout_ms; /* < 0: the client's request_timeout_ms */
	/* If set, a time-out does not end the asking: it goes on in the background, and the answer
	 * is given to this with `object`. */
	mr_answer_fn *late;
	uint32_t object;
};
/* Sends and waits for the answer, whose code it returns. `found` may be NULL. */
int mr_call_wait(struct mr_client *c, const struct mr_ask *ask, struct mr_answer *found);
void mr_call_answered(struct mr_client *c, const struct mr_message_view *m);
void mr_call_step(struct mr_client *c, uint64_t now_ns);
uint64_t mr_call_due_ns(const struct mr_client *c);
void mr_call_fail_all(struct mr_client *c);
/* Wraps a body into a ClientMessage; `b` is finished into memory of its own. */
uint32_t mr_call_encode(struct mrf_builder *b, enum mrf_client_body type, uint32_t body,
	uint8_t *to, uint32_t room);

/* request.c */
uint32_t mr_random(struct mr_client *c);
/* True if a request waited for it. `m` as given to callbacks; NULL with an error. */
bool mr_request_finish(
	struct mr_client *c, uint64_t correlation, const struct mr_message *m, int error);
/* True: the request waits in a call that is on the stack now. */
bool mr_request_is_sync(const struct mr_client *c, uint64_t correlation);
void mr_request_expire(struct mr_client *c, uint64_t now_ns);
uint64_t mr_request_due_ns(const struct mr_client *c);
void mr_request_fail_all(struct mr_client *c);

#endif
