/* SPDX-License-Identifier: Apache-2.0 */
/* libmillrace: the client library of the millrace message bus.
 *
 *   struct mr_client *c;
 *   if (mr_connect("shm:/run/millrace/attach.sock", NULL, &c) == 0) {
 *           mr_publish(c, "orders.eu.created", "{}", 2);
 *           mr_close(c);
 *   }
 *
 * Owns      Objects made by this library are freed by it. Memory that a mr_message points to is the
 *           bus's: it is valid inside the callback that was given it, or until the next call of
 *           mr_receive, mr_process, mr_wait or mr_request on the same client (a reply that mr_request
 *           gave to a callback: until the callback returns).
 * Threads   A client and everything made from it belongs to one thread at a time. Different clients
 *           may be used by different threads freely. The library has no threads of its own. After
 *           fork, the child must not use a client of its parent, not even to close it; and a client
 *           of a bus of this host ends with the process that connected.
 * Callbacks May publish, reply, request, subscribe and unsubscribe. mr_process, mr_wait and mr_receive
 *           give -EBUSY within one, and mr_close does nothing.
 * Aside     A call that waits for one answer (mr_request, mr_subscribe, mr_unsubscribe,
 *           mr_publisher_open, mr_ping) serves callbacks meanwhile. What it cannot hand out, because
 *           it is for mr_receive or because a callback is on the stack, it copies aside for the next
 *           mr_process, mr_wait or mr_receive: up to 4096 messages or 16 MiB, what is beyond is
 *           counted as missed. The order within a subscription stays.
 * Units     Times in milliseconds unless a name ends in another unit; sizes in bytes.
 * Errors    0 or a count >= 0 on success, else a negative errno value, listed below;
 *           mr_error(c) says more about the last failure of a call on this client.
 *
 *           -EINVAL        an argument is malformed: subject, pattern, group, address, headers
 *           -EMSGSIZE      headers and payload together exceed mr_message_bytes_max(), or, in a batch or a
 *                          claim, mr_body_bytes_max()
 *           -EAGAIN        the ring to the bus is full and the call does not block
 *           -ETIMEDOUT     no answer, or no room, within the time given
 *           -EINTR         a signal was handled while mr_receive or mr_request slept
 *           -ENOTCONN      the bus is gone; the client reconnects by itself in each call, but for those
 *                          within callbacks
 *           -ECONNREFUSED  nobody listens at the address
 *           -EACCES        the bus refuses this user or this subject
 *           -ENOSPC        a table of the bus is full: clients, subscriptions, aliases
 *           -EDQUOT        this host or user has its share of such a table, or of the memory of
 *                          the queues
 *           -EHOSTUNREACH  a request found no responder
 *           -EBUSY         a request found every responder's ring full; a claim is open; or the call
 *                          is not allowed within a callback
 *           -EREMOTEIO     the worker of a service gave the call up, or died with it
 *           -ECONNABORTED  a service failed too often lately and is given a rest
 *           -ENOENT        what is named is not there any more
 *           -EEXIST        it is there already, with other options
 *           -EPROTO        the bus speaks another version, or sent what makes no sense
 *           -ENOMEM, -EMFILE and the like as from the system calls beneath
 */
#ifndef MILLRACE_H
#define MILLRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MR_API __attribute__((visibility("default")))
#else
#define MR_API
#endif

/* Largest subject, pattern and byte prefix. */
#define MR_SUBJECT_BYTES 255
/* Largest header block and payload together. */
#define MR_BODY_BYTES 64512

/* See "Promises" below. */
enum mr_promise_kind {
	MR_BEST_EFFORT,
	MR_AT_LEAST_ONCE,
	MR_EXACTLY_ONCE,
};

struct mr_client;
struct mr_publisher;
struct mr_subscription;

/* A received message. */
struct mr_message {
	const char *subject; /* not NUL-terminated; empty for replies */
	size_t subject_bytes;
	const char *headers; /* NATS/1.0 header block, or NULL */
	size_t header_bytes;
	const void *payload;
	size_t payload_bytes;
	struct mr_subscription *subscription; /* that it was delivered for; NULL for replies */
	bool wants_reply;
	uint64_t reply_token[2]; /* pass on with mr_reply; opaque */
};

/* Connecting */

/* What publishes do while the bus is away: mr_publish, mr_publish_with, mr_publisher_send and _send_batch of
 * publishers that promise nothing. They are kept by the client, up to away_bytes_max, and go out in their order
 * when it is connected again. */
enum mr_when_away {
	MR_AWAY_KEEP, /* without room: -ENOTCONN */
	MR_AWAY_WAIT, /* calls that wait wait for the bus, up to request_timeout_ms; then as above */
	MR_AWAY_DROP_OLDEST, /* the oldest makes room */
	MR_AWAY_FAIL,        /* none is kept: -ENOTCONN at once */
};

struct mr_options {
	/* Shown by `millrace clients`, at most 63 bytes; default: the program's name, made fit. */
	const char *name;
	unsigned connect_timeout_ms; /* default 5000 */
	/* For answers of the bus itself, to subscribe and the like, and for room in the ring to it;
	 * default 5000. */
	unsigned request_timeout_ms;
	/* Calls that wait poll so long before they sleep; default 50; UINT32_MAX: never sleep. */
	unsigned spin_us;
	bool no_reconnect; /* stay disconnected when the bus goes away */
	/* Told when the connection is lost (connected false, error -ENOTCONN, mr_error says why) and
	 * found again (true, 0, all subscriptions and publishers in place again; mr_error says how many
	 * publishes were lost, if any), from within any call but mr_close. */
	void (*on_state)(struct mr_client *c, bool connected, int error, void *arg);
	/* Told when deliveries were missed because this client was too slow. */
	void (*on_gap)(struct mr_client *c, uint64_t missed, uint64_t missed_total, void *arg);
	void *arg;
	enum mr_when_away when_away;
	size_t away_bytes_max; /* default 1 MiB */
};

/* Connects. `address`: "shm:PATH" of the attach socket of a bus of this host, or "udp://HOST:PORT" of a
 * port of a bus anywhere (port 7400 if left out; IPv6 addresses in brackets; a host name is looked up
 * once, here). NULL: the environment's MILLRACE_SERVER, else "shm:/run/millrace/attach.sock". `options`
 * may be NULL. What passes soon (too many attach at once, control is starting) is tried again until
 * connect_timeout_ms.
 *
 * Over UDP messages may be lost on the way, each way, but for promised ones: in mr_client_stats frames_lost
 * counts the frames that did not come from the bus. And the client owes the bus signs of life: it must be processed
 * (mr_process, mr_wait, mr_receive) at least each heartbeat interval of the bus, 2.5 s by default, or
 * publish; the bus drops who is silent for three. What is published is sent at once, in frames of many
 * messages if the client corks. */
MR_API int mr_connect(
	const char *address, const struct mr_options *options, struct mr_client **out);

/* Waits up to a second for the bus to take what was published, then frees the client with all of its
 * publishers and subscriptions. NULL is ignored. */
MR_API void mr_close(struct mr_client *c);

MR_API bool mr_connected(const struct mr_client *c);

/* Largest header block and payload together of a message to `subject` (NULL: of a reply) that goes in one
 * piece (see mr_message_bytes_max for those that do not): MR_BODY_BYTES,
 * and over UDP what fits one frame of this connection with its subject, some 1,400 bytes on Ethernet. May
 * change when the client reconnects. */
MR_API size_t mr_body_bytes_max(const struct mr_client *c, const char *subject);

/* Text about the last failed call on this client; never NULL. With NULL: about the last failed
 * mr_connect of the calling thread. */
MR_API const char *mr_error(const struct mr_client *c);
/* Text for a return value of this library. */
MR_API const char *mr_error_text(int code);
/* "0.1.0" */
MR_API const char *mr_version(void);

/* Publishing. Messages go to the ring at once and are shown to the bus by mr_flush, by any call that
 * waits or processes, or when the ring's batch is full; the mr_publish* calls flush by themselves
 * unless the client corks. */

/* With cork on, publishes and replies gather until mr_flush (or a full batch of 64 KiB): the way to batch. */
MR_API void mr_cork(struct mr_client *c, bool on);

/* Copies. Waits for room up to the client's request_timeout_ms, without serving callbacks. */
MR_API int mr_publish(struct mr_client *c, const char *subject, const void *payload, size_t bytes);
/* `headers`: a NATS/1.0 header block as made by mr_headers_*, or NULL. */
MR_API int mr_publish_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);

/* A publisher is a subject resolved once: the bus routes by number from then on. */
MR_API int mr_publisher_open(struct mr_client *c, const char *subject, struct mr_publisher **out);
MR_API void mr_publisher_close(struct mr_publisher *p);
/* Does not wait: -EAGAIN when the ring is full. */
MR_API int mr_publisher_send(struct mr_publisher *p, const void *payload, size_t bytes);

/* A batch: as many as there is room for; returns how many were taken, 0 .. count. */
struct mr_buffer {
	const void *data;
	size_t bytes;
};
MR_API int mr_publisher_send_batch(
	struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count);

/* Without a copy: writes the payload straight into the ring. Between claim and commit or abort no
 * other call on the client is allowed (-EBUSY). -EAGAIN when the ring is full. Commit takes at most
 * the bytes claimed. */
MR_API int mr_publisher_claim(struct mr_publisher *p, size_t bytes, void **payload);
MR_API int mr_publisher_commit(struct mr_publisher *p, size_t bytes);
MR_API void mr_publisher_abort(struct mr_publisher *p);

/* The same for many of one size: payload i goes to *first + i * *stride bytes, which is followed by
 * what is not the caller's to write. Returns for how many there is room, 0 .. count; after 0 no claim
 * is open. Commit publishes the first `count` of them, each with all of the bytes claimed. */
MR_API int mr_publisher_claim_batch(
	struct mr_publisher *p, size_t bytes, unsigned count, void **first, size_t *stride);
MR_API int mr_publisher_commit_batch(struct mr_publisher *p, unsigned count);

/* Shows the bus what was published. */
MR_API int mr_flush(struct mr_client *c);
/* Flushes and waits until the bus has taken everything from the ring. */
MR_API int mr_drain(struct mr_client *c, unsigned timeout_ms);

/* Subscribing. With a callback, of one message or of many, messages are given to it by mr_process and
 * mr_wait; without one, mr_receive returns them. */

typedef void mr_message_fn(struct mr_client *c, const struct mr_message *m, void *arg);

/* Many at once: messages that came one behind the other and have the same sizes. Subject, headers and
 * payload of message i, 0 <= i < count, stand i * stride bytes behind those of `first`, and may differ
 * in content. A message that wants a reply comes alone. A message counts as handed out when the
 * callback is called: none comes again if it unsubscribes, and what comes within a call that it makes
 * is kept for later. */
typedef void mr_messages_fn(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg);

struct mr_subscribe_options {
	const char *group; /* queue group: one member gets each message; NULL: none */
	bool prefix;       /* `pattern` is a byte prefix, not tokens with wildcards */
	/* At least once, exactly once: promised messages hold their publisher up while this client is full, instead of
	 * being missed; and of publishers that promise exactly once none is handed out twice. */
	enum mr_promise_kind promise;
	/* Percent of the ring, or over UDP of the log, above which this subscription counts as full; 0: the bus's. */
	unsigned high_water;
	mr_messages_fn
		*batch; /* in place of the callback, which is NULL then; gets the same `arg` */
};

/* `pattern`: tokens separated by dots, `*` for one token, `>` at the end for one or more. */
MR_API int mr_subscribe(struct mr_client *c, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
	struct mr_subscription **out);
/* The subscription is gone and must not be used any more, whatever is returned; after -ETIMEDOUT the
 * bus is asked on in the background. Messages that come meanwhile are still handed out. */
MR_API int mr_unsubscribe(struct mr_subscription *s);
MR_API const char *mr_subscription_pattern(const struct mr_subscription *s);
/* Messages delivered for this subscription so far. */
MR_API uint64_t mr_subscription_count(const struct mr_subscription *s);

/* Receiving */

/* Handles what is there, at most `max` messages, without waiting: callbacks, gaps, reconnection.
 * Returns how many messages were handled. Stops in front of a message for a subscription without
 * callback: it is left for mr_receive, and so is what is behind it. -ENOTCONN while the bus is away. */
MR_API int mr_process(struct mr_client *c, unsigned max);
/* The same, but waits up to `timeout_ms` (-1: for ever) for the first one. Returns 0 on time-out and
 * when a signal was handled. A message that is left for mr_receive ends the wait and counts, and so does the
 * bus's word that it accepted what was pushed. -ENOTCONN
 * at once when the bus goes away; called again, it waits for the bus to come back. */
MR_API int mr_wait(struct mr_client *c, int timeout_ms);
/* Next message of a subscription without callback, in the order of their coming. Callbacks of other
 * subscriptions are served meanwhile. -ETIMEDOUT, -ENOTCONN, -EINTR. */
MR_API int mr_receive(struct mr_client *c, struct mr_message *out, int timeout_ms);

/* A descriptor for poll, epoll or any event loop: readable when mr_process has something to do. From
 * the first call on, mr_process asks the bus to ring whenever it leaves nothing behind: call it until
 * it returns 0 (and mr_receive until -ETIMEDOUT, if it is used) before going back to the loop. Do not
 * read from it. The same descriptor for the client's whole life. */
MR_API int mr_fd(struct mr_client *c);

/* Request and reply */

/* Sends a request and waits for the first reply; `reply` may be NULL. `timeout_ms` < 0:
 * request_timeout_ms. Callbacks are served meanwhile. -EHOSTUNREACH, -EBUSY, -ETIMEDOUT, -EINTR. */
MR_API int mr_request(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, struct mr_message *reply);
MR_API int mr_request_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
	struct mr_message *reply);

/* Sends a request; the callback gets the first reply (error 0), or NULL and an error, once, from
 * within mr_process, mr_wait or another call that serves callbacks. Not when the client is closed. */
typedef void mr_reply_fn(struct mr_client *c, const struct mr_message *reply, int error, void *arg);
MR_API int mr_request_async(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, int timeout_ms, mr_reply_fn *callback, void *arg);
/* The same through a publisher. Does not wait for room: -EAGAIN. */
MR_API int mr_publisher_request(struct mr_publisher *p, const void *payload, size_t bytes,
	int timeout_ms, mr_reply_fn *callback, void *arg);

/* Answers a delivery that wants a reply; may be done later if message.reply_token was kept. */
MR_API int mr_reply(
	struct mr_client *c, const uint64_t reply_token[2], const void *payload, size_t bytes);
MR_API int mr_reply_with(struct mr_client *c, const uint64_t reply_token[2], const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);

/* Headers: a block "NATS/1.0\r\nName: value\r\n...\r\n\r\n" in the caller's memory. */

struct mr_headers {
	char *data;
	size_t bytes; /* in use; 0: none */
	size_t capacity;
};

MR_API void mr_headers_init(struct mr_headers *h, void *memory, size_t capacity);
/* -EINVAL: a name with a colon, space or control byte, a value with CR or LF. -ENOSPC. */
MR_API int mr_headers_add(struct mr_headers *h, const char *name, const char *value);
/* Iterates over a block: *cursor starts at 0; false at the end. A line that is no header is passed over. What this
 * library sends has no such lines: -EINVAL. The parts are not NUL-terminated. */
struct mr_header {
	const char *name;
	size_t name_bytes;
	const char *value;
	size_t value_bytes;
};
MR_API bool mr_headers_next(
	const char *block, size_t block_bytes, size_t *cursor, struct mr_header *out);
/* First header of that name, compared without case. */
MR_API bool mr_headers_find(
	const char *block, size_t block_bytes, const char *name, struct mr_header *out);

/* Promises. Best effort is what all of the above is: what finds a full ring or frame, or no room on the way,
 * is lost and counted. A promised message is not:
 *
 *   at least once  kept by this client until the bus has taken it in charge, which to a queue means that the
 *                  queue has it; sent again when the connection was lost meanwhile.
 *   exactly once   the same, and numbered, so that the bus and receivers know what came before. Holds over
 *                  lost frames, lost answers and reconnections of a publisher with a name of its own, however
 *                  late, as long as few of its messages are missing behind the last 65,536; not for a subscriber
 *                  while it is not connected, which gets nothing twice but misses what comes meanwhile: a queue
 *                  keeps it; not over the death of the bus, whose
 *                  queues are in memory, and not for what a consumer did before it died without settling. */
struct mr_publisher_options {
	enum mr_promise_kind promise;
	/* Exactly once. With next_id 0 the publisher is this one alone, with or without a name, over all
	 * reconnections of its client. One that is to be known again after it was started anew gives a name
	 * and counts its messages itself: the number of the next one, above those that it sent before. */
	const char *publisher;
	uint64_t next_id; /* 0: 1 */
};
/* All ways to publish by it keep the promise, claims too. */
MR_API int mr_publisher_open_with(struct mr_client *c, const char *subject,
	const struct mr_publisher_options *options, struct mr_publisher **out);
/* One message of any size up to mr_message_bytes_max, as the promise says. -EAGAIN: too much is not taken yet;
 * process, and try again. */
MR_API int mr_publisher_send_with(struct mr_publisher *p, const char *headers, size_t header_bytes,
	const void *payload, size_t bytes);
/* Largest header block and payload together that the bus takes, in as many pieces as it needs. Everything that
 * publishes, replies or pushes sends such, but for batches and claims. Pieces wait for room, where the ring
 * could not hold all of them at once, also in calls that do not. */
MR_API size_t mr_message_bytes_max(const struct mr_client *c);
/* Waits until everything promised so far is taken: -ETIMEDOUT, -ENOTCONN; and once the error of what was
 * refused for good since the last time. Callbacks are served meanwhile. */
MR_API int mr_settle(struct mr_client *c, unsigned timeout_ms);

/* Queues: each message goes to one consumer. */

enum mr_policy {
	MR_POLICY_DEFAULT,
	MR_POLICY_LEAST_RECENTLY_USED,
	MR_POLICY_ROUND_ROBIN,
	MR_POLICY_LEAST_OUTSTANDING,
	MR_POLICY_RANDOM,
	MR_POLICY_WEIGHTED,
};
enum mr_when_queue_full { MR_QUEUE_FULL_DEFAULT, MR_QUEUE_FULL_WAIT, MR_QUEUE_FULL_REFUSE };
enum mr_priority { MR_PRIORITY_NORMAL, MR_PRIORITY_HIGH, MR_PRIORITY_LOW };

/* What a queue or service is to be like; 0 is the bus's default. Who opens first decides. */
struct mr_queue_options {
	enum mr_policy policy;
	enum mr_when_queue_full when_full;
	uint64_t messages_max;
	uint64_t bytes_max;
	uint32_t age_max_ms;
	uint32_t ack_timeout_ms;
	uint16_t max_deliver;
	bool not_idempotent;       /* services: never given to a second worker */
	uint16_t breaker_failures; /* services; 65535: never */
	uint32_t breaker_reset_ms;
	uint16_t breaker_probes;
};

struct mr_queue;

struct mr_push_options {
	enum mr_promise_kind promise; /* of this queue's pushes */
	const char *publisher;        /* as in mr_publisher_options */
	uint64_t next_id;
	struct mr_queue_options queue;
	/* Told of each promised push once: 0, or -EBUSY (full, after retries), -ENOBUFS (the memory of all
	 * queues is), -EDQUOT (this host or user has its share of that), -ESTALE (so old that the bus cannot tell), -ENOENT, -EMSGSIZE (too large for a bus connected to since). From
	 * within any call that waits or processes, also in another callback; may push, and must not
	 * wait. */
	void (*on_outcome)(struct mr_client *c, uint64_t id, int error, void *arg);
	void *arg;
};

/* `options` may be NULL: at least once. -EEXIST: the queue is there with other options. -ENOSPC. */
MR_API int mr_queue_open(struct mr_client *c, const char *name,
	const struct mr_push_options *options, struct mr_queue **out);
/* Forgets what is not accepted yet: mr_settle first. */
/* May be called within callbacks, but for one that mr_push of the same queue serves. */
MR_API void mr_queue_close(struct mr_queue *q);

struct mr_push {
	const char *headers;
	size_t header_bytes;
	const void *payload;
	size_t bytes;
	enum mr_priority priority;
	/* Exactly once: 0: the next; else the caller's own, below 2^63. With `publisher` set, that of another,
	 * as when a stage passes on what it was given: its output is known by its input. -EAGAIN while that
	 * number is open in the queue. */
	uint64_t id;
	uint64_t publisher;
};
/* Does not wait: -EAGAIN when the ring or the window of unaccepted pushes is full. *id (may be NULL): of
 * the outcome. */
MR_API int mr_push_with(struct mr_queue *q, const struct mr_push *push, uint64_t *id);
/* Waits for room up to request_timeout_ms, serving no callbacks but on_outcome. */
MR_API int mr_push(struct mr_queue *q, const void *payload, size_t bytes);
/* Pushes not accepted yet. */
MR_API unsigned mr_queue_unaccepted(const struct mr_queue *q);

struct mr_consumer;

struct mr_delivery {
	struct mr_message message; /* subject empty */
	struct mr_consumer *consumer;
	uint64_t tag;
	unsigned
		redelivered; /* deliveries before this one; mr_delivery_attempts: those that count */
	enum mr_priority priority;
	uint64_t publisher; /* 0, or who promised exactly once, */
	uint64_t id;        /* and its number for the message */
};

struct mr_consume_options {
	unsigned prefetch; /* 0: the bus's default, 10 */
	unsigned weight;
	bool manual; /* settled by mr_ack and mr_nack; else acked when the callback returns, unless it did
		      * one of them */
	struct mr_queue_options queue;
};
/* The callback is served as those of subscriptions are. NULL: mr_pull returns deliveries. */
typedef void mr_delivery_fn(struct mr_client *c, const struct mr_delivery *d, void *arg);
MR_API int mr_consume(struct mr_client *c, const char *queue,
	const struct mr_consume_options *options, mr_delivery_fn *callback, void *arg,
	struct mr_consumer **out);
/* Deliveries not settled go to others, and are not counted against max_deliver. */
MR_API int mr_consumer_close(struct mr_consumer *consumer);
/* Next delivery; without `manual` the one before is acked. -ETIMEDOUT, -ENOTCONN, -EINTR. */
MR_API int mr_pull(struct mr_consumer *consumer, struct mr_delivery *out, int timeout_ms);
/* By consumer and tag, so that it may be done later. Sent with the next flush or processing call.
 * -ENOENT: delivered before the connection was lost, so it comes again. */
MR_API int mr_ack(struct mr_consumer *consumer, uint64_t tag);
MR_API int mr_nack(struct mr_consumer *consumer, uint64_t tag, bool requeue, uint32_t delay_ms);
/* Gives back a delivery that was not worked on. Does not count against max_deliver. */
MR_API int mr_give_back(struct mr_consumer *consumer, uint64_t tag);

/* Deliveries before this one that were attempts: that count for max_deliver. Of the delivery that was handed out last;
 * of a bus that does not say, all. */
MR_API unsigned mr_delivery_attempts(const struct mr_delivery *d);

/* The time of deliveries. One that is not settled within the queue's ack time-out is given to another. Its
 * time counts from when it is worked on: while the client is processed, the library renews what waits in it
 * to be handed out, and its acks renew what is behind them. A program that takes long for one says progress. */
/* Still worked on: its time begins anew. Sent at once. -ENOENT: it is not in hand any more. */
MR_API int mr_progress(struct mr_consumer *consumer, uint64_t tag);
/* With `on`, all that is in hand and not settled is renewed as long as the client is processed: for a program that
 * has others work on it. */
MR_API void mr_consumer_renew(struct mr_consumer *consumer, bool on);
/* The bus took a delivery back, as it took too long or, of a service, its caller waits no longer: stop working on
 * it. It is not in hand any more. Called from within any call that waits or processes, also in a callback; must
 * not close anything. Without it mr_ack and the like say so, by -ENOENT. */
typedef void mr_recall_fn(struct mr_client *c, uint64_t tag, void *arg);
MR_API void mr_consumer_on_recall(struct mr_consumer *consumer, mr_recall_fn *fn, void *arg);
/* The queue's own values, whoever made it; 0: this bus does not say. */
MR_API unsigned mr_consumer_ack_timeout_ms(const struct mr_consumer *consumer);
MR_API unsigned mr_consumer_max_deliver(const struct mr_consumer *consumer);

/* Services: requests to one worker of many, least recently used first. */

struct mr_service;

/* A request in hand. */
struct mr_work {
	struct mr_delivery delivery;
	bool more; /* a streaming request: parts follow */
};
/* The request may be answered now or later. A callback that neither responds nor keeps the tag leaves it to the
 * time-out. `work->delivery.message` is the request. */
typedef void mr_work_fn(struct mr_client *c, const struct mr_work *work, void *arg);
/* Parts of a streaming request; the last has `more` false. */
typedef void mr_part_fn(
	struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg);

struct mr_serve_options {
	unsigned prefetch; /* requests at a time; default 1 */
	struct mr_queue_options queue;
	mr_part_fn *on_part;
	unsigned window; /* parts that may be under way; default 64 */
};
/* READY. Signs of life go out whenever the client is processed, which must be so at least each
 * heartbeat interval. */
MR_API int mr_serve(struct mr_client *c, const char *service,
	const struct mr_serve_options *options, mr_work_fn *callback, void *arg,
	struct mr_service **out);
/* DISCONNECT: requests in hand go to others. */
MR_API int mr_service_close(struct mr_service *s);
/* The final reply, which is the ack. -ENOENT: the request is not in hand any more. */
MR_API int mr_respond(struct mr_service *s, uint64_t tag, const void *payload, size_t bytes);
MR_API int mr_respond_with(struct mr_service *s, uint64_t tag, bool more, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);
/* Partial replies that may be sent now: the caller grants them. */
MR_API unsigned mr_respond_room(const struct mr_service *s, uint64_t tag);
/* Gives it up: `again`: to another worker; else the caller gets -EREMOTEIO. */
MR_API int mr_respond_failed(struct mr_service *s, uint64_t tag, bool again);
/* The same for services: see mr_progress, mr_consumer_renew and mr_consumer_on_recall. */
MR_API int mr_respond_progress(struct mr_service *s, uint64_t tag);
MR_API void mr_service_renew(struct mr_service *s, bool on);
MR_API void mr_service_on_recall(struct mr_service *s, mr_recall_fn *fn, void *arg);

/* For mr_call_options.retries. */
#define MR_NO_RETRIES UINT32_MAX

struct mr_call_options {
	int timeout_ms;   /* of each attempt; default request_timeout_ms */
	unsigned retries; /* after a time-out or -EBUSY; 0: 2; MR_NO_RETRIES; not for streams */
	unsigned
		backoff_ms; /* before the first retry, then doubled, each with jitter; default 100 */
	bool wait;          /* for a worker, if nobody serves it now; else -EHOSTUNREACH at once */
	const char *headers;
	size_t header_bytes;
	uint64_t correlation; /* 0: made up; the caller's own, returned with each reply */
	/* This client's own breaker for the service: after so many failures in a row, each try counted, calls fail at once with -ECONNABORTED
	 * for reset_ms, then one is let through. 0: 5; UINT32_MAX: never. */
	unsigned breaker_failures;
	unsigned breaker_reset_ms; /* default 10000 */
};
/* Waits for the final reply; partial ones before it are skipped. Names that start with "mmi." are answered by the bus
 * (RFC 8), the reply's payload is the status, "200", "404" or "501", or the figure asked for.
 * -EHOSTUNREACH: nobody serves it; -EBUSY: full; -ETIMEDOUT; -EREMOTEIO: the worker failed or was
 * lost; -ECONNABORTED: the circuit is open, here or in the bus. The bus knows how long each attempt waits: one
 * that is over goes to no worker, and is taken back from one that has it; so no two attempts are worked on at
 * once. */
MR_API int mr_call(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, struct mr_message *reply);
/* `more`: a partial reply; `reply` NULL with an error. Once without `more`. */
typedef void mr_call_fn(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg);
MR_API int mr_call_async(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg);

/* A streaming request, answered with any number of partial replies and a final one. */
struct mr_stream;
MR_API int mr_stream_open(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	struct mr_stream **out);
/* -EAGAIN: the worker has not granted room yet; `more` false ends the request. */
MR_API int mr_stream_send(struct mr_stream *s, const void *payload, size_t bytes, bool more);
/* Gives it up: the callback is called no more. After the final reply: frees it. */
MR_API void mr_stream_close(struct mr_stream *s);

/* Counters of this client, for tools. */
struct mr_client_stats {
	uint64_t published;
	uint64_t received;
	uint64_t missed; /* deliveries dropped because this client was slow */
	/* Replies, answers and deliveries for requests and subscriptions that were given up. */
	uint64_t unmatched;
	uint64_t malformed; /* from the bus, dropped */
	uint64_t reconnects;
	uint64_t session; /* id at the bus; 0 while disconnected */
	unsigned worker;  /* that serves this client */
	/* Over UDP. */
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t frames_lost;      /* sent by the bus and not come, as their numbers say */
	uint64_t frames_duplicate; /* came twice, or too late to be taken; dropped */
	uint64_t frames_strange;   /* of another session; dropped */
	uint64_t unsent; /* messages dropped because the path takes no frames so large any more */
	/* Of the reliable flow, which is part of frames_sent and frames_received. */
	uint64_t reliable_sent; /* without those sent again */
	uint64_t reliable_received;
	uint64_t retransmits;
	uint64_t retransmit_timeouts; /* among them, because no word came in time */
	uint64_t frames_held; /* came before one that is before them, or before there was room */
	uint64_t rtt_us;      /* smoothed; 0: not measured */
	uint64_t
		duplicates; /* deliveries that came before, of who promises exactly once; dropped */
	/* Publishes that promise nothing and did not reach the bus, as far as this client can tell: not taken from
	 * the ring when the connection ended, given up for newer ones while it was away, refused after. */
	uint64_t lost;
	uint64_t kept; /* publishes that wait for the connection now */
};
MR_API void mr_client_stats(const struct mr_client *c, struct mr_client_stats *out);

/* Round trip to control, for diagnosis: nanoseconds until control handled it, and there and back. */
MR_API int mr_ping(struct mr_client *c, int timeout_ms, uint64_t *handled_ns, uint64_t *round_ns);

#ifdef __cplusplus
}
#endif

#endif
