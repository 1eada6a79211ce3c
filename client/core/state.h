/* SPDX-License-Identifier: Apache-2.0 */
/* state: the state of a client. Each group of fields names the files that own it.
 *
 *   core/        state, waiting, ends of the rings, requests to control, deferred messages, errors
 *   transport/   shm: a bus of this host; udp: a bus elsewhere, with rings of this process
 *   publish/     messages to subjects, promised messages
 *   subscribe/   subscriptions, reassembly, deduplication
 *   queue/       queues and consumers
 *   service/     calls and services
 *   dispatch.c   messages out of the down ring
 *   request.c    requests to subjects
 *   session.c    loss and restoration of a session
 *   ways.c       the addresses of the bus
 *   client.c     connect, close, the table of parts
 *
 * Owns      A client owns everything made from it. Its memory from the bus (the channel) goes away
 *           in mr_session_end alone, which runs only when no callback is on the stack.
 * Threads   One thread at a time per client.
 * Ordering  lib/ring/bytes.h; the `asleep` flag of the down ring belongs to this side.
 */
#ifndef MILLRACE_CLIENT_CORE_STATE_H
#define MILLRACE_CLIENT_CORE_STATE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "client/core/clock.h"
#include "client/core/transport.h"
#include "client/millrace.h"
#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define MR_NAME_BYTES_MAX   63u
#define MR_GROUP_TEXT_BYTES 64u

enum mr_state {
	MR_STATE_LOST,      /* no session; an attach exchange may be under way */
	MR_STATE_RESTORING, /* a session whose subscriptions and aliases are not all in place */
	MR_STATE_UP,
};

/* How a subscription ends by itself: subscribe/ending.h. */
enum mr_ending {
	MR_ENDING_LIVE,
	MR_ENDING_CLOSING, /* by mr_unsubscribe, which is on the stack */
	MR_ENDING_FILLED,
	MR_ENDING_STOP,
	MR_ENDING_ASKED,
	MR_ENDING_FLUSH,
	MR_ENDING_FLUSHING,
	MR_ENDING_DRAINED,
	MR_ENDING_ENDED,
};

struct mr_subscription {
	struct mr_client *client;
	mr_message_fn *callback; /* NULL, with `batch` NULL: messages wait for mr_receive */
	mr_messages_fn *batch;
	void *arg;
	uint64_t count;
	uint64_t limit; /* count at which it ends; UINT64_MAX: never. Not for consumers. */
	uint32_t id;
	uint32_t deferred; /* its deferred messages */
	bool prefix;
	uint8_t high_water;
	bool time;      /* asks when the bus took a message */
	bool sender;    /* asks who sent it */
	bool consumes;  /* the first member of a struct mr_consumer */
	uint8_t ending; /* enum mr_ending */
	enum mr_promise_kind promise;
	/* subscribe/multicast.c */
	bool wants_multicast;
	bool multicast_settled;      /* it receives, in one way or the other */
	uint8_t multicast;           /* enum mr_multicast_state */
	int multicast_error;         /* of the request for copies of its own */
	uint64_t multicast_due_ns;   /* next request for a probe, or for copies */
	uint64_t multicast_until_ns; /* end of the wait for a probe */
	struct mr_group_offer group_offer;
	char interface[16]; /* on which it joins; empty: that of the session's route */
	struct mr_subscription *next_ending;
	mr_subscription_fn *on_end; /* may be NULL */
	void *on_end_arg;
	struct mr_dedup *dedup;          /* exactly once: ids received; NULL: none yet */
	char group[MR_GROUP_TEXT_BYTES]; /* empty: none */
	char pattern[MR_SUBJECT_BYTES + 1];
};

/* Returns the bytes of a message's stamp (lib/wire/message.h), which stands before its subject. */
static inline size_t mr_message_stamp_bytes(const struct mr_message *m)
{
	return m->reserved8[0];
}

struct mr_publisher {
	struct mr_client *client;
	/* Header of its messages, without their length; `target` is the alias. */
	struct mrf_message_header header;
	uint32_t head_bytes; /* in front of each payload */
	uint32_t index;      /* in the client's publishers */
	uint32_t body_bytes_max;
	struct mr_outbox *box; /* its promised messages; NULL: best effort */
	uint64_t number;       /* exactly once: the publisher's number; else 0 */
	uint64_t next_id;
	uint8_t *claimed;
	size_t claimed_bytes;
	uint32_t claimed_count; /* messages of a batch; 0: a single message */
	struct mr_publisher *next_closed;
	char subject[MR_SUBJECT_BYTES + 1];
};

struct mr_deferred_list {
	struct mr_deferred *first; /* the oldest */
	struct mr_deferred **end;
};

struct mr_posts;

/* core/wake.c */
struct mr_wake {
	atomic_bool pending;    /* w: any thread, r: the client's */
	int fd;                 /* an eventfd */
	pthread_mutex_t lock;   /* for the posts */
	struct mr_posts *posts; /* NULL: nothing was ever posted */
};

/* core/log.c */
struct mr_event_limit {
	uint64_t window_ns; /* begin of the second that is counted */
	uint32_t count;
	uint32_t left_out;
};

struct mr_event_log {
	mr_log_fn *hook; /* NULL: none */
	void *arg;
	enum mr_severity severity;
	bool busy; /* the hook is on the stack */
	/* Counters reported so far. */
	uint64_t malformed;
	uint64_t unmatched;
	uint64_t missed;
	uint64_t lost;
	struct mr_event_limit limits[MR_EVENT_MULTICAST + 1];
};

struct mr_timers;
struct mr_udp;
struct mr_calls;
struct mr_handovers;
struct mr_service;
struct mr_parts;

/* service/heartbeat.c */
struct mr_heartbeat {
	uint64_t due_ns;
	uint64_t interval_ns; /* 0: the client serves nothing */
	uint32_t missed_max;
	uint32_t unanswered;
};

/* ways.c: an address of the bus. */
struct mr_way {
	const struct mr_transport *transport;
	struct mr_udp *udp; /* NULL over shared memory */
	char path[108];     /* the attach socket; empty over UDP */
};

struct mr_client {
	/* Publishing: core/ring_out.c, publish/. */
	struct mr_bytes_producer up;
	/* The ring of promised messages: `up` over shared memory, which loses nothing; over UDP the
	 * ring of the reliable flow, which keeps bytes until the bus has acknowledged them. Never
	 * NULL. */
	struct mr_bytes_producer *promised;
	int refuse; /* 0, or the reason why nothing may be published: -ENOTCONN, -EDEADLK */
	/* `refuse` for best-effort publishes; -EAGAIN: those kept while the bus was away go
	 * first. */
	int refuse_publish;
	bool corked;
	int worker_bell_fd; /* the channel's */
	uint64_t published;
	/* Its `owner` tells when the worker has ended: mr_bus_gone. */
	const struct mr_worker_page *watched;

	/* Receiving: dispatch.c, subscribe/, core/deferred.c. */
	struct mr_bytes_consumer down;
	struct mr_subscription **subscriptions; /* by id */
	uint32_t subscriptions_room;
	uint32_t subscriptions_top; /* ids below it were given out */
	unsigned depth;             /* callbacks on the stack */
	const bool *until;          /* the condition of the innermost waiting call; never NULL */
	bool hold;                  /* the last record belongs to the caller until the next call */
	bool blocked;               /* a message waits for mr_receive */
	bool step_over;             /* defers such messages, to reach those behind them */
	bool calls_back;            /* there was a subscription with a callback, or a consumer */
	bool eof;                   /* the bus is gone; the rest of its messages is still read */
	struct mr_deferred_list deferred;        /* for callbacks, and answers */
	struct mr_deferred_list deferred_pulled; /* for mr_receive */
	struct mr_deferred *deferred_out;        /* given out by mr_receive */
	uint32_t deferred_count;
	uint64_t deferred_bytes;
	uint64_t received;
	uint64_t missed;
	uint64_t unmatched;
	uint64_t malformed;
	uint64_t duplicates; /* from publishers that promise exactly once */
	struct mr_reassembly *reassemblies;
	unsigned reassemblies_count;

	/* Queues and promised messages: queue/, publish/outbox.c. */
	struct mr_queue *queues;
	bool sweep_wanted; /* objects were closed within a callback */
	uint32_t queue_serial;
	struct mr_outbox *outboxes;
	uint32_t promised_open;        /* promised messages that are not accepted yet */
	bool outboxes_busy;            /* some outbox has messages to send or retransmit */
	bool settled;                  /* promised_open is 0 */
	int promise_error;             /* the first failure since mr_settle reported one */
	struct mr_consumer *dirty;     /* consumers with settlements to send */
	bool consumers_to_reopen;      /* some consumers are to be opened again */
	uint64_t renew_ns;             /* the next renewal of some consumer's deliveries */
	struct mr_consumer *pull_from; /* the consumer of the mr_pull on the stack */
	struct mr_delivery *pull_out;  /* its output */
	bool pulled;                   /* the output is filled */
	bool pulling;                  /* more deliveries are ready to be pulled */
	uint32_t fragment_message;     /* number of the last message sent in fragments */

	/* Inputs and their outputs: queue/handover.c; NULL until the first. */
	struct mr_handovers *handovers;

	/* Services: service/. */
	struct mr_calls *calls; /* NULL until the first call */
	struct mr_service *services;
	struct mr_heartbeat heartbeat;

	/* Subscriptions that end by themselves, and those that have: subscribe/ending.c. */
	struct mr_subscription *finishing;
	struct mr_subscription *finished;
	bool drained; /* mr_client_drain waits for no subscription */

	uint32_t multicasts; /* subscriptions that ever joined a group: subscribe/multicast.c */

	/* Subscription ids that may be used again, oldest first: subscribe/subscribe.c. */
	uint32_t *ids_free;
	uint32_t ids_free_count;
	uint32_t ids_free_room;
	/* Subscriptions that ended here, and of which the bus is to be told. */
	struct mr_subscription_ending *endings;

	/* Requests: request.c. */
	struct mr_pending *pending;
	uint32_t pending_room;
	uint32_t pending_free; /* UINT32_MAX: none */
	uint32_t *heap;        /* requests with a callback, by deadline */
	uint32_t heap_count;

	/* core/random.c */
	uint32_t random_left;
	uint32_t random[256];

	/* core/control_request.c */
	struct mr_control_request *control_requests;
	uint32_t control_requests_open;
	uint32_t control_request_serial;

	/* Session: session.c, transport/, core/limits.c. */
	enum mr_state state;
	const struct mr_transport *transport;
	struct mr_udp *udp; /* NULL over shared memory */
	const char *path;   /* the attach socket */
	struct mr_way *ways;
	unsigned ways_count;
	unsigned way;       /* the one in use; transport, udp and path are its */
	unsigned ways_left; /* ways that this round has not tried yet */
	uint64_t attach_ms; /* limit of one attach exchange */
	/* Largest header block and payload together. Over UDP the subject counts too; the mask is
	 * all ones then. */
	size_t body_bytes_max;
	size_t body_subject_mask;
	size_t whole_bytes_max;    /* largest message in fragments; 0: the bus takes none */
	uint32_t record_bytes_max; /* largest padded record that fits a frame */
	struct mr_channel channel;
	const struct mr_worker_page *page;
	int liveness_fd;   /* -1: none */
	pid_t attached_by; /* the process that attached; a child that it forks has no session */
	int attach_fd;     /* -1: no exchange under way */
	uint64_t attach_deadline_ns;
	uint64_t attach_due_ns; /* the next step of the exchange, whatever arrives */
	uint64_t retry_ns;
	uint64_t backoff_ns;
	uint64_t session;
	uint64_t reconnects;
	unsigned worker;
	bool reported_up;
	uint32_t restore_subscription;
	uint32_t restore_publisher;
	uint32_t restore_queue;
	uint32_t restore_open;

	/* publish/publisher.c */
	struct mr_publisher **publishers;
	/* Closed within a callback; one of their calls may be on the stack. */
	struct mr_publisher *publishers_closed;
	uint32_t publishers_count;
	uint32_t publishers_room;
	uint32_t releases_open; /* alias releases that are not answered yet */
	bool released;          /* releases_open is 0 */

	/* The bus is away: core/away.c, publish/away_store.c. */
	struct mr_away_publish *away_first; /* the oldest */
	struct mr_away_publish **away_end;
	size_t away_bytes;
	uint64_t away_count;
	uint64_t lost;             /* publishes that did not reach the bus */
	uint64_t lost_reported;    /* number reported to on_state so far */
	uint64_t away_wait_end_ns; /* until then calls wait for the next connection by default */

	/* Time and sleep: core/wait.c. */
	const struct mr_parts *parts; /* client.c */
	uint64_t housekeep_ns;        /* the next housekeeping */
	uint64_t timer_ns;            /* the setting of timer_fd; 0: not set */
	int epoll_fd;                 /* -1 until mr_fd */
	int timer_fd;
	bool few_cpus;
	struct mr_wake wake;
	struct mr_event_log log;
	struct mr_timers *timers; /* core/timers.c; NULL until the first */
	unsigned ran;             /* callbacks of parts: core/part.h */

	/* The program called the mr_connect of release 0.1.0: -EBUSY in place of -EDEADLK and of
	 * -EAGAIN for requests to control. */
	bool errors_0_1;
	struct mr_options options;
	char name[MR_NAME_BYTES_MAX + 1];
	const char *error;
	char error_text[256];
	char lost_text[160];
};

/* Sets the state, and with it `refuse`. */
void mr_state_set(struct mr_client *c, enum mr_state state);
/* Notes that the bus is gone. `why` may be NULL. */
void mr_state_eof(struct mr_client *c, const char *why);

/* Sets `refuse` and refuse_publish. */
static inline void mr_state_refuse(struct mr_client *c, int code)
{
	c->refuse = code;
	c->refuse_publish = code == 0 && c->away_first != NULL ? -EAGAIN : code;
}

/* True if the worker's thread has ended, or the bus has closed the session. In shared memory this
 * is two loads of lines that stay in this core's cache, as nobody writes them during a session. */
static inline bool mr_bus_gone(const struct mr_client *c)
{
	uint32_t owner = atomic_load_explicit(&c->watched->owner, memory_order_relaxed);

	return (owner & MR_WORKER_PAGE_GONE) != 0 ||
	       atomic_load_explicit(&c->up.shared->closed, memory_order_relaxed) != 0;
}

/* True: its messages wait for mr_receive. A consumer has callbacks of its own, or waits for
 * mr_pull. */
static inline bool mr_subscription_is_pulled(const struct mr_subscription *s)
{
	return s->callback == NULL && s->batch == NULL && !s->consumes;
}

/* NULL: no subscription has this id. */
static inline struct mr_subscription *mr_subscription_find(const struct mr_client *c, uint32_t id)
{
	return id < c->subscriptions_top ? c->subscriptions[id] : NULL;
}

#endif
