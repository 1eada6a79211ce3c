/* SPDX-License-Identifier: Apache-2.0 */
#include "client/dispatch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/core/wake.h"
#include "client/publish/outbox.h"
#include "client/queue/consumer.h"
#include "client/queue/queue.h"
#include "client/request.h"
#include "client/service/call.h"
#include "client/service/heartbeat.h"
#include "client/service/serve.h"
#include "client/session.h"
#include "client/subscribe/dedup.h"
#include "client/subscribe/ending.h"
#include "client/subscribe/reassembly.h"

#define LATE_NS           (100 * MR_NS_PER_MS)
#define RELEASE_BYTES_MAX (32u << 10) /* read bytes that are not yet given back */
#define LATE_MESSAGES     64u

static const char malformed_text[] = "the bus sent a malformed message";

/* A received message and the bytes of its stamp, which stands before its subject. */
struct received {
	struct mr_message_view view;
	uint32_t stamp_bytes;
};

static inline void message_fill(struct mr_message *out, const struct mr_message_view *m,
	uint32_t stamp_bytes, struct mr_subscription *s)
{
	out->subject = (const char *)m->subject;
	out->subject_bytes = m->subject_bytes;
	out->headers = m->header_bytes > 0 ? (const char *)m->headers : NULL;
	out->header_bytes = m->header_bytes;
	out->payload = m->payload;
	out->payload_bytes = m->payload_bytes;
	out->subscription = s;
	out->wants_reply = (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0;
	memset(out->reserved8, 0, sizeof(out->reserved8));
	out->reserved8[0] = (uint8_t)stamp_bytes;
	out->reserved32 = 0;
	out->reply_token[0] = m->token.session;
	out->reply_token[1] = m->token.correlation;
}

/* Finds the subscription of a delivery. NULL: counted, to be dropped. */
static inline struct mr_subscription *find_subscription(
	struct mr_client *c, const struct mrf_message_header *h)
{
	struct mr_subscription *s = NULL;

	if (mr_likely(h->target < c->subscriptions_top))
		s = c->subscriptions[h->target];
	if (mr_likely(s != NULL))
		return s;
	/* A closed subscription may still have deliveries under way. */
	if (h->target != 0 && h->target < c->subscriptions_top)
		c->unmatched++;
	else
		c->malformed++;
	return NULL;
}

/* Hands out `count` messages; more than one only to a batch callback. */
MR_ALWAYS_INLINE void hand_out(struct mr_client *c, struct mr_subscription *s,
	const struct mr_message *first, unsigned count, size_t stride)
{
	mr_subscription_counted(c, s, count);
	c->depth++;
	if (s->batch != NULL)
		s->batch(c, first, count, stride, s->arg);
	else
		s->callback(c, first, s->arg);
	c->depth--;
}

/* Returns the length of a run: consecutive deliveries whose header and sections are equal to the
 * first one's, bit by bit. Checks of the first one hold for all of them, in the same places. A run
 * is at most as long as the bytes that may wait for release, so that the bus gets its room back in
 * time. */
MR_ALWAYS_INLINE unsigned run_of(
	const uint8_t *at, const struct received *x, size_t ready, unsigned max)
{
	const struct mr_message_view *m = &x->view;
	bool sections = (m->header.flags & MRF_MESSAGE_FLAG_SECTIONS) != 0;
	uint32_t section_word = m->subject_bytes | x->stamp_bytes << 8 | m->header_bytes << 16;
	size_t stride = mr_message_stride(m->header.bytes);
	uint64_t header_word;
	unsigned count = 1;

	memcpy(&header_word, &m->header, sizeof(header_word));
	if (ready > RELEASE_BYTES_MAX)
		ready = RELEASE_BYTES_MAX;
	/* Tokens differ from message to message. */
	if (m->header.flags & MRF_MESSAGE_FLAG_TOKEN)
		return 1;
	for (size_t end = 2 * stride; end <= ready && count < max; end += stride, count++) {
		const uint8_t *next = at + count * stride;

		if (mr_message_load_64(next) != header_word ||
			(sections && mr_message_load_32(next + 8) != section_word))
			break;
		/* For the callback: the line that this look does not load. */
		mr_prefetch(next + MR_CACHE_LINE);
	}
	return count;
}

/* Advances to the message one stride further on. */
static inline void message_step(struct mr_message *m, size_t stride)
{
	m->subject += stride;
	if (m->headers != NULL)
		m->headers += stride;
	m->payload = (const uint8_t *)m->payload + stride;
}

/* Hands out a run whose first message is at the head, and returns how many of it. The head moves
 * before each callback, so that a call within it goes on behind the messages handed out. Ends early
 * when a callback has changed something on which the rest of the run depends. */
MR_ALWAYS_INLINE unsigned hand_out_run(
	struct mr_client *c, struct mr_subscription *s, const struct received *x, unsigned count)
{
	const struct mr_message_view *m = &x->view;
	size_t stride = mr_message_stride(m->header.bytes);
	uint32_t id = m->header.target;
	struct mr_message message;
	unsigned done = 0, step;
	uint64_t head;

	if (mr_unlikely(count > s->limit - s->count))
		count = (unsigned)(s->limit - s->count);
	step = s->batch != NULL ? count : 1;
	message_fill(&message, m, x->stamp_bytes, s);
	for (;;) {
		mr_bytes_skip(&c->down, step * stride);
		head = c->down.head;
		hand_out(c, s, &message, step, stride);
		done += step;
		if (done == count || c->down.head != head || c->subscriptions[id] != s || *c->until)
			return done;
		message_step(&message, stride);
	}
}

/* Returns the subscription number of a message; 0: it is for none. */
static uint32_t subscription_of(const struct mrf_message_header *h)
{
	switch (h->kind) {
	case MRF_MESSAGE_KIND_DELIVER:
	case MRF_MESSAGE_KIND_PART:
	case MRF_MESSAGE_KIND_CREDIT: return h->target;
	default: return 0;
	}
}

static void defer_record(struct mr_client *c, const uint8_t *at, struct mrf_message_header h)
{
	uint32_t subscription = subscription_of(&h);

	if (!mr_deferred_push(c, at, h.bytes, subscription))
		c->missed++;
}

static unsigned handle_answer(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_message message;
	int error = 0;

	if ((m->header.flags & MRF_MESSAGE_FLAG_TOKEN) == 0) {
		c->malformed++;
		return 0;
	}
	if (mr_call_is(m->token.correlation))
		return mr_call_answered(c, m);
	if (m->header.kind == MRF_MESSAGE_KIND_STATUS)
		error = mr_status_error(m->header.target);
	message_fill(&message, m, 0, NULL);
	message.wants_reply = false;
	if (!mr_request_finish(c, m->token.correlation, error == 0 ? &message : NULL, error)) {
		c->unmatched++;
		return 0;
	}
	return 1;
}

static void handle_gap(struct mr_client *c, const struct mr_message_view *m)
{
	struct mrf_gap g;

	if (m->payload_bytes < sizeof(g)) {
		c->malformed++;
		return;
	}
	g = mrf_gap_read(m->payload);
	c->missed += g.missed;
	c->log.missed += g.missed;
	mr_event_log(c, MR_SEVERITY_WARNING, MR_EVENT_GAP,
		"%" PRIu64 " deliveries missed: this client is too slow", (uint64_t)g.missed);
	if (c->options.on_gap == NULL)
		return;
	c->depth++;
	c->options.on_gap(c, g.missed, c->missed, c->options.arg);
	c->depth--;
}

/* Handles any message but a delivery, now. Returns how many were handed out. */
static unsigned handle_now(struct mr_client *c, const struct mr_message_view *m)
{
	uint64_t received = c->received;
	uint32_t consumer;

	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_REPLY:
	case MRF_MESSAGE_KIND_STATUS: return handle_answer(c, m);
	case MRF_MESSAGE_KIND_PART: return mr_service_received(c, m);
	case MRF_MESSAGE_KIND_CREDIT:
		/* A Credit for a caller is addressed as a reply. */
		return m->header.target != 0 ? mr_service_received(c, m) : mr_call_answered(c, m);
	case MRF_MESSAGE_KIND_GAP: handle_gap(c, m); return 0;
	case MRF_MESSAGE_KIND_CONTROL:
		/* An answer of the bus itself may be a reply to somebody. */
		if (mr_control_request_answered(c, m, &consumer))
			mr_consumer_disconnected(c, consumer);
		return (unsigned)(c->received - received);
	/* A call that waits for room to push has room now. */
	case MRF_MESSAGE_KIND_ACCEPTED: mr_queue_accepted(c, m); return 1;
	case MRF_MESSAGE_KIND_BEAT: mr_heartbeat_heard(&c->heartbeat); return 0;
	case MRF_MESSAGE_KIND_RECALL: mr_renew_recalled(c, m); return 0;
	default: c->malformed++; return 0;
	}
}

/* True for a Reply or Status that a call on the stack waits for. */
static bool is_awaited(const struct mr_client *c, const struct mr_message_view *m)
{
	uint64_t correlation = m->token.correlation;

	return mr_call_is(correlation) ? mr_call_is_sync(c, correlation)
				       : mr_request_is_sync(c, correlation);
}

/* False: it is deferred. Parts must stay behind the request to which they belong. */
static bool is_handled_now(const struct mr_client *c, const struct mr_message_view *m)
{
	const struct mr_subscription *s;

	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_REPLY:
	case MRF_MESSAGE_KIND_STATUS: return c->depth == 0 || is_awaited(c, m);
	case MRF_MESSAGE_KIND_GAP: return c->depth == 0;
	case MRF_MESSAGE_KIND_PART:
	case MRF_MESSAGE_KIND_CREDIT:
		s = mr_subscription_find(c, m->header.target);
		return s == NULL || (c->depth == 0 && s->deferred == 0);
	default: return true;
	}
}

/* Handles a fragment of a reply or of a part. */
static unsigned handle_fragment(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_deferred *whole = mr_reassemble(c, m, 0);
	unsigned handled;

	if (whole == NULL)
		return 0;
	if (!is_handled_now(c, &whole->view)) {
		c->missed += !mr_deferred_keep(c, whole);
		return 0;
	}
	handled = handle_now(c, &whole->view);
	/* A waiting call reads it after this function returns. */
	mr_deferred_free_out(c);
	c->deferred_out = whole;
	return handled;
}

/* Handles any message but a delivery. Returns how many were handed out. */
static unsigned handle_other(
	struct mr_client *c, const uint8_t *at, const struct mr_message_view *m)
{
	if (mr_unlikely((m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0))
		return handle_fragment(c, m);
	if (mr_likely(is_handled_now(c, m)))
		return handle_now(c, m);
	defer_record(c, at, m->header);
	return 0;
}

/* False: a duplicate. */
static bool is_first(
	struct mr_client *c, struct mr_subscription *s, const struct mr_message_view *m)
{
	if (s->promise != MR_EXACTLY_ONCE || m->extra.origin.publisher == 0)
		return true;
	if (s->dedup == NULL)
		s->dedup = mr_dedup_new();
	/* Without memory to tell, a duplicate is better than a loss. */
	if (s->dedup == NULL ||
		mr_dedup_first(s->dedup, m->extra.origin.publisher, m->extra.origin.id))
		return true;
	c->duplicates++;
	return false;
}

static unsigned deliver_plain(struct mr_client *c, struct mr_subscription *s, const uint8_t *at,
	const struct received *x, struct mr_deferred *whole)
{
	const struct mr_message_view *m = &x->view;
	struct mr_message message;
	bool kept;

	if (!is_first(c, s, m)) {
		free(whole);
		return 0;
	}
	if (!mr_subscription_is_pulled(s) && c->depth == 0 && s->deferred == 0) {
		message_fill(&message, m, x->stamp_bytes, s);
		hand_out(c, s, &message, 1, 0);
		free(whole);
		return 1;
	}
	kept = whole != NULL ? mr_deferred_keep(c, whole)
			     : mr_deferred_push(c, at, m->header.bytes, s->id);
	c->missed += !kept;
	return 0;
}

/* Handles a delivery of a queue, one with an origin, or a fragment of one. The ring's head is
 * behind it already. Returns how many were handed out. */
static unsigned deliver_special(
	struct mr_client *c, struct mr_subscription *s, const uint8_t *at, struct received *x)
{
	struct mr_message_view *m = &x->view;
	const uint8_t calls = MRF_MESSAGE_FLAG_MORE | MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW;
	struct mr_deferred *whole = NULL;

	if (s->consumes != ((m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) != 0) ||
		(!s->consumes && (m->header.flags & calls) != 0)) {
		c->malformed++;
		return 0;
	}
	if (mr_unlikely((m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0)) {
		whole = mr_reassemble(c, m, x->stamp_bytes);
		if (whole == NULL)
			return 0;
		*m = whole->view;
		x->stamp_bytes = whole->stamp_bytes;
	}
	if (s->consumes)
		return mr_consumer_take((struct mr_consumer *)s, at, m, whole);
	return deliver_plain(c, s, at, x, whole);
}

/* Handles any message but a plain delivery; plain deliveries need no view in memory. Returns how
 * many were handed out. */
static unsigned serve_special(
	struct mr_client *c, const uint8_t *at, struct mrf_message_header header)
{
	struct received x;
	struct mr_subscription *s;

	mr_bytes_skip(&c->down, header.bytes);
	if (mr_unlikely(!mr_message_parse_stamped(at, header, &x.view, &x.stamp_bytes))) {
		c->malformed++;
		return 0;
	}
	if (header.kind != MRF_MESSAGE_KIND_DELIVER)
		return handle_other(c, at, &x.view);
	s = find_subscription(c, &header);
	return s != NULL ? deliver_special(c, s, at, &x) : 0;
}

/* Handles one record of the ring, or hands out a run of up to `max`. False: the ring is empty, or
 * the message waits for mr_receive. */
MR_ALWAYS_INLINE bool serve_some(struct mr_client *c, bool defer, unsigned max, unsigned *handled)
{
	size_t ready = mr_bytes_readable(&c->down);
	struct mrf_message_header header;
	struct received x;
	struct mr_subscription *s;
	const uint8_t *at;

	if (ready == 0)
		return false;
	at = mr_bytes_peek(&c->down);
	header = mr_message_header_load(at);
	if (mr_unlikely(ready == MR_BYTES_CORRUPT || !mr_message_fits(&header, ready))) {
		/* The start of the next record is unknown. */
		c->malformed++;
		mr_state_eof(c, malformed_text);
		return false;
	}
	if (header.kind != MRF_MESSAGE_KIND_DELIVER ||
		(header.flags & MR_MESSAGE_FLAGS_EXTRA) != 0) {
		*handled += serve_special(c, at, header);
		return true;
	}
	if (mr_unlikely(!mr_message_parse_stamped(at, header, &x.view, &x.stamp_bytes))) {
		c->malformed++;
		mr_bytes_skip(&c->down, header.bytes);
		return true;
	}
	s = find_subscription(c, &header);
	if (mr_unlikely(s != NULL && s->consumes)) {
		/* A consumer could not settle it. */
		c->malformed++;
		mr_bytes_skip(&c->down, header.bytes);
		return true;
	}
	if (mr_likely(s != NULL && !mr_subscription_is_pulled(s) && c->depth == 0 &&
		      s->deferred == 0)) {
		*handled += hand_out_run(c, s, &x, run_of(at, &x, ready, max));
		return true;
	}
	if (s != NULL && mr_subscription_is_pulled(s) && !defer) {
		c->blocked = true;
		if (!c->step_over || !mr_deferred_has_room(c, header.bytes))
			return false;
	}
	mr_bytes_skip(&c->down, header.bytes);
	if (s != NULL)
		defer_record(c, at, header);
	return true;
}

/* Handles the oldest deferred message that is not for mr_receive. */
static void serve_deferred(struct mr_client *c, unsigned *handled)
{
	struct mr_deferred *a = mr_deferred_pop(c, &c->deferred);
	struct mr_subscription *s = mr_subscription_find(c, a->subscription);
	struct mr_message message;
	struct mr_message_view m;

	if (mr_deferred_parse(c, a, &m)) {
		if (m.header.kind != MRF_MESSAGE_KIND_DELIVER) {
			*handled += handle_now(c, &m);
		} else if (s != NULL && s->consumes) {
			mr_consumer_hand_out((struct mr_consumer *)s, &m);
			*handled += 1;
		} else if (s != NULL) {
			message_fill(&message, &m, a->stamp_bytes, s);
			hand_out(c, s, &message, 1, 0);
			*handled += 1;
		}
	}
	free(a);
}

MR_ALWAYS_INLINE bool serve_next(struct mr_client *c, bool defer, unsigned max, unsigned *handled)
{
	if (mr_unlikely(c->deferred.first != NULL && !defer)) {
		serve_deferred(c, handled);
		return true;
	}
	if (mr_unlikely(c->state == MR_STATE_LOST))
		return false;
	if (mr_unlikely(c->down.head - c->down.head_out >= RELEASE_BYTES_MAX))
		mr_release_read(c);
	return serve_some(c, defer, max, handled);
}

/* Returns how many callbacks have run, of timers and the like, at most `max`. */
static unsigned housekeep(struct mr_client *c, uint64_t now_ns, unsigned max)
{
	mr_housekeep(c, now_ns);
	return mr_parts_ran(c, max);
}

unsigned mr_dispatch_some(struct mr_client *c, unsigned max, bool defer)
{
	uint64_t now_ns = mr_housekeep_now_ns(c);
	unsigned handled = 0;
	bool more = true;

	bool late = c->housekeep_ns != 0 && now_ns >= c->housekeep_ns &&
		    now_ns - c->housekeep_ns > LATE_NS;

	c->blocked = c->deferred_pulled.first != NULL;
	/* Nobody looked for long. Messages that arrived meanwhile are read before time-outs are
	 * checked, so an answer that is there counts as in time. */
	if (late && max > LATE_MESSAGES)
		max = LATE_MESSAGES;
	if (now_ns >= c->housekeep_ns && !late)
		handled = housekeep(c, now_ns, max);
	if (mr_unlikely(c->outboxes_busy))
		mr_outboxes_step(c, now_ns);
	if (c->transport->fill != NULL)
		c->transport->fill(c);
	while (handled < max && more && !*c->until)
		more = serve_next(c, defer, max - handled, &handled);
	if (mr_unlikely(late) && c->housekeep_ns != 0 && now_ns >= c->housekeep_ns)
		handled += housekeep(c, now_ns, max - handled);
	/* Reads the rest of the bus's messages first. A message that a waiting call was given must
	 * stay mapped. */
	if (mr_unlikely(c->eof) && !more && c->depth == 0 && !*c->until)
		mr_session_lose(c);
	return handled;
}

void mr_dispatch_rest(struct mr_client *c)
{
	/* A peer that is alive and hostile might write for ever. */
	uint64_t end = c->down.head + c->down.capacity;
	unsigned handled = 0;

	while (c->down.head < end) {
		if (serve_some(c, true, 1, &handled))
			continue;
		/* Makes room for messages that waited for it. */
		mr_release_read(c);
		if (c->transport->fill == NULL || !c->transport->fill(c))
			return;
	}
}

static bool take_deferred(struct mr_client *c, struct mr_message *out)
{
	struct mr_message_view m;

	c->deferred_out = mr_deferred_pop(c, &c->deferred_pulled);
	if (!mr_deferred_parse(c, c->deferred_out, &m))
		return false;
	message_fill(out, &m, c->deferred_out->stamp_bytes,
		mr_subscription_find(c, c->deferred_out->subscription));
	return true;
}

static bool take_blocked(struct mr_client *c, struct mr_message *out)
{
	struct mr_message_view m;
	uint32_t stamp_bytes;
	const uint8_t *at;

	if (c->deferred_pulled.first != NULL) {
		if (!take_deferred(c, out))
			return false;
	} else {
		at = mr_bytes_peek(&c->down);
		m.header = mr_message_header_load(at);
		/* A hostile writer may have changed it since it was checked, a moment ago. */
		if (!mr_message_fits(&m.header, mr_bytes_readable(&c->down)) ||
			!mr_message_parse_stamped(at, m.header, &m, &stamp_bytes) ||
			mr_subscription_find(c, m.header.target) == NULL)
			return false;
		mr_bytes_skip(&c->down, m.header.bytes);
		message_fill(out, &m, stamp_bytes, c->subscriptions[m.header.target]);
	}
	mr_subscription_counted(c, out->subscription, 1);
	return true;
}

/* True if there may be callbacks for messages behind one that waits for mr_receive. Programs
 * without any do not pay for looking. */
static bool may_step_over(const struct mr_client *c)
{
	return (c->calls_back || c->heap_count > 0 || c->calls != NULL || c->queues != NULL) &&
	       !c->errors_0_1;
}

/* Handles the messages that are there. Messages for mr_receive hold no callback up: when nothing
 * else was handled they are deferred, as far as there is room. */
static unsigned process_some(struct mr_client *c, unsigned max)
{
	unsigned handled = mr_dispatch_some(c, max, false);

	if (mr_likely(handled > 0 || !c->blocked) || max == 0 || !may_step_over(c))
		return handled;
	c->step_over = true;
	handled = mr_dispatch_some(c, max, false);
	c->step_over = false;
	return handled;
}

/* Runs posted functions in the room that is left for handled messages. Returns the new number. */
static unsigned run_posted(struct mr_client *c, unsigned handled, unsigned max)
{
	unsigned ran = mr_unlikely(mr_wake_pending(c)) ? mr_wake_run(c) : 0;

	return ran < max - handled ? handled + ran : max;
}

int mr_process(struct mr_client *c, unsigned max)
{
	unsigned handled;
	int error;

	if (mr_unlikely(c == NULL))
		return mr_fail(NULL, -EINVAL, "mr_process: the client is NULL");
	error = mr_begin(c, false);
	if (error != 0)
		return error;
	if (max > INT32_MAX)
		max = INT32_MAX;
	handled = process_some(c, max);
	/* The event loop woke up for something other than messages. */
	if (handled == 0 && c->epoll_fd >= 0 && max > 0 && !c->blocked) {
		c->housekeep_ns = 0;
		mr_wake_clear(c);
		handled = process_some(c, max);
	}
	handled = run_posted(c, handled, max);
	mr_end(c);
	if (handled == 0 && c->state != MR_STATE_UP)
		return mr_ring_out_refused(c);
	return (int)handled;
}

/* Waits until messages were handed out, or one waits for mr_receive. -EINTR: also for a wake-up.
 * Common to mr_wait and mr_receive. */
static int wait_for_messages(struct mr_client *c, struct mr_wait_limit *p)
{
	bool was_lost = c->state == MR_STATE_LOST;
	int error = 0;

	while (error == 0) {
		unsigned handled = mr_dispatch_some(c, MR_WAIT_MESSAGES_MAX, false);

		if (handled > 0 || c->blocked)
			return (int)handled;
		if (c->state == MR_STATE_LOST && (!was_lost || c->options.no_reconnect))
			return mr_ring_out_refused(c);
		was_lost = c->state == MR_STATE_LOST;
		error = mr_wake_pending(c) ? -EINTR : mr_pause(c, p);
	}
	if (error == -ETIMEDOUT && c->state != MR_STATE_UP)
		return mr_ring_out_refused(c);
	return error;
}

int mr_wait(struct mr_client *c, int timeout_ms)
{
	struct mr_wait_limit p;
	int n;

	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_wait: the client is NULL");
	n = mr_begin(c, false);
	if (n != 0)
		return n;
	mr_wait_limit_init(&p, c, timeout_ms);
	n = wait_for_messages(c, &p);
	if (n == 0 && c->blocked)
		n = (int)process_some(c, MR_WAIT_MESSAGES_MAX);
	if (n == -ETIMEDOUT || n == -EINTR)
		n = 0;
	if (n >= 0)
		n = (int)run_posted(c, (unsigned)n + c->blocked, INT32_MAX);
	mr_end(c);
	return n;
}

int mr_receive_sized(struct mr_client *c, struct mr_message *out, int timeout_ms, size_t out_bytes)
{
	struct mr_message own;
	struct mr_wait_limit p;
	int n;

	if (c == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_receive: the client or the message is NULL");
	n = mr_begin(c, false);
	if (n != 0)
		return n;
	mr_wait_limit_init(&p, c, timeout_ms);
	do {
		if (mr_unlikely(mr_wake_pending(c))) {
			mr_wake_run(c);
			n = -EINTR;
			break;
		}
		n = wait_for_messages(c, &p);
		if (n == -EINTR && mr_wake_pending(c))
			n = 0;
		if (n >= 0 && c->blocked && take_blocked(c, &own)) {
			mr_sized_write(out, out_bytes, &own, sizeof(own));
			c->hold = true;
			n = 0;
			break;
		}
		/* Callbacks alone may keep this busy beyond the time-out. */
		if (n > 0 && mr_now_ns() >= p.deadline_ns)
			n = -ETIMEDOUT;
	} while (n >= 0);
	mr_end(c);
	return n == -ETIMEDOUT || n == -EINTR ? mr_fail(c, n, NULL) : n;
}
