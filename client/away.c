/* SPDX-License-Identifier: Apache-2.0 */
/* away: what calls do while the bus is away: they notice, take the next connection on, and keep what is
 * published meanwhile.
 *
 *   publish ──▶ mr_ready ── up ─────────────────────────────▶ ring
 *                  │ away
 *                  ├── step: notices the loss, attaches, restores
 *                  └── mr_away_keep ──▶ list ── up again ──▶ mr_away_send ──▶ ring
 *
 * Nothing is handed out here: deliveries that come while the connection is restored are set aside. on_state is told,
 * and requests that fail with the connection are, as in each call that notices its end. */
#include <stdlib.h>
#include <string.h>

#include "client/letter.h"
#include "client/queue.h"

/* For each outage: so long do calls that need not wait stay for the next connection. */
#define PATIENCE_MS 100u

/* A publish of the time when the bus is away. */
struct mr_kept_publish {
	struct mr_kept_publish *next;
	size_t bytes; /* of all */
	struct mr_parts parts;
	char data[];
};

/* The message that mr_receive or a request gave out last may stand in the ring of the session. */
static bool may_step(const struct mr_client *c)
{
	return c->depth == 0 && !c->hold && c->refuse != -EBUSY;
}

/* Reads why, if the bus said so. */
static void notice(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST || c->eof || !mr_bus_gone(c))
		return;
	c->transport->look(c);
	mr_session_eof(c, "the data plane went away");
}

/* Control's answers are what is waited for; all else is set aside. */
static void serve_quietly(struct mr_client *c)
{
	c->depth++;
	mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
	c->depth--;
}

/* Sets aside what the session has left: what is in the ring, then what waited for room in it. */
static void end_quietly(struct mr_client *c)
{
	for (unsigned i = 0; i < 2; i++) {
		mr_serve_release(c);
		c->depth++;
		mr_serve_rest(c);
		c->depth--;
	}
	mr_session_end(c);
}

static void step(struct mr_client *c)
{
	uint64_t now_ns = mr_now_ns();

	if (c->eof)
		end_quietly(c);
	mr_session_step(c, now_ns);
	if (c->state != MR_STATE_RESTORING)
		return;
	serve_quietly(c);
	notice(c);
	if (!c->eof)
		mr_session_step(c, now_ns);
}

/* False: the time is over, or a signal came. */
static bool wait_step(struct mr_client *c, struct mr_patience *p)
{
	int error;

	if (c->eof)
		return true;
	/* step takes the messages that come meanwhile. */
	c->depth++;
	error = mr_pause(c, p);
	c->depth--;
	return error == 0;
}

void mr_away_wait(struct mr_client *c, uint64_t timeout_ms)
{
	struct mr_patience p;

	if (!may_step(c) || c->options.no_reconnect)
		return;
	mr_patience_init(&p, c, (int64_t)timeout_ms);
	do
		step(c);
	while (c->state != MR_STATE_UP && wait_step(c, &p));
}

/* How long this call may stay, ms. An event loop is not to be kept, unless that is wanted. */
static uint64_t patience_ms(const struct mr_client *c, bool wait)
{
	uint64_t now_ns = mr_now_ns();

	if (!wait || c->options.no_reconnect)
		return 0;
	if (c->options.when_away == MR_AWAY_WAIT)
		return c->options.request_timeout_ms;
	if (c->epoll_fd >= 0)
		return 0;
	return now_ns < c->patience_end_ns ? (c->patience_end_ns - now_ns) / MR_NS_PER_MS + 1 : 0;
}

int mr_away_check(struct mr_client *c, bool wait)
{
	if (c->refuse == -EBUSY)
		return mr_publish_refused(c);
	notice(c);
	if (may_step(c)) {
		bool first = c->state != MR_STATE_LOST && c->eof;

		step(c);
		if (first)
			c->patience_end_ns = mr_now_ns() + PATIENCE_MS * MR_NS_PER_MS;
		if (c->refuse != 0)
			mr_away_wait(c, patience_ms(c, wait));
	}
	return c->refuse != 0 ? mr_publish_refused(c) : 0;
}

static void drop_oldest(struct mr_client *c)
{
	struct mr_kept_publish *k = c->away_first;

	c->away_first = k->next;
	if (c->away_first == NULL)
		c->away_end = &c->away_first;
	c->away_bytes -= k->bytes;
	c->away_count--;
	free(k);
	mr_refuse(c, c->refuse);
}

/* False: no room, and none is made. */
static bool make_room(struct mr_client *c, size_t bytes)
{
	if (bytes > c->options.away_bytes_max)
		return false;
	while (c->options.away_bytes_max - c->away_bytes < bytes) {
		if (c->options.when_away != MR_AWAY_DROP_OLDEST)
			return false;
		drop_oldest(c);
		c->lost++;
	}
	return true;
}

static const void *put(char **to, const void *from, size_t bytes)
{
	char *at = *to;

	if (bytes > 0)
		memcpy(at, from, bytes);
	*to += bytes;
	return at;
}

int mr_away_keep(struct mr_client *c, const struct mr_parts *p)
{
	struct mr_kept_publish *k;
	size_t bytes = sizeof(*k) + p->subject_bytes + p->header_bytes + p->payload_bytes;
	int error = mr_parts_check(c, p);
	char *to;

	if (error != 0)
		return error;
	if (c->options.no_reconnect || c->options.when_away == MR_AWAY_FAIL || !make_room(c, bytes))
		return mr_publish_refused(c);
	k = malloc(bytes);
	if (k == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	*k = (struct mr_kept_publish){.bytes = bytes, .parts = *p};
	to = k->data;
	k->parts.subject = put(&to, p->subject, p->subject_bytes);
	k->parts.headers = put(&to, p->headers, p->header_bytes);
	k->parts.payload = put(&to, p->payload, p->payload_bytes);
	*c->away_end = k;
	c->away_end = &k->next;
	c->away_bytes += bytes;
	c->away_count++;
	return 0;
}

/* Room that is enough to begin with it. */
static uint32_t room_bytes(const struct mr_client *c, const struct mr_parts *p)
{
	size_t body_bytes = p->header_bytes + p->payload_bytes;

	if (body_bytes > c->body_bytes_max - (p->subject_bytes & c->body_subject_mask))
		return (uint32_t)(c->up.capacity / 2);
	return mr_message_bytes(false, (uint32_t)p->subject_bytes, (uint32_t)p->header_bytes,
		(uint32_t)p->payload_bytes);
}

static int send_oldest(struct mr_client *c, uint64_t deadline_ns)
{
	const struct mr_parts *p = &c->away_first->parts;
	int error = mr_publish_parts(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, p, false);

	if (mr_likely(error != -EAGAIN) || deadline_ns == 0)
		return error;
	if (mr_publish_room_wait(c, room_bytes(c, p), deadline_ns, &error) == NULL)
		return error;
	return mr_publish_parts(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, p, false);
}

int mr_away_send(struct mr_client *c, uint64_t deadline_ns)
{
	while (c->away_first != NULL) {
		int error = c->refuse != 0 ? mr_publish_refused(c) : send_oldest(c, deadline_ns);

		if (error == -EAGAIN || error == -ETIMEDOUT || error == -ENOTCONN ||
			error == -EBUSY)
			return error;
		/* It is too large for this bus. */
		c->lost += error != 0;
		drop_oldest(c);
	}
	return 0;
}

int mr_away_go_first(struct mr_client *c, bool wait)
{
	int error = mr_ready(c, wait);

	return error != 0 ? error : mr_away_send(c, wait ? mr_publish_deadline_ns(c) : 0);
}

void mr_away_clear(struct mr_client *c)
{
	while (c->away_first != NULL)
		drop_oldest(c);
}

/* A message that is in pieces counts with its last one. */
static bool counts(const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;

	if (m->header.kind != MRF_MESSAGE_KIND_PUBLISH ||
		(m->header.flags & (MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_ORIGIN)) != 0)
		return false;
	return (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 ||
	       f->offset + m->header_bytes + m->payload_bytes == f->total_bytes;
}

void mr_away_count_lost(struct mr_client *c)
{
	uint64_t left = mr_bytes_backlog(&c->up);
	uint64_t at = c->up.tail - left;

	while (left >= sizeof(struct mrf_message_header)) {
		const uint8_t *record = c->up.data + (at & (c->up.capacity - 1));
		struct mr_message_view m = {.header = mr_message_header_load(record)};
		uint64_t stride = mr_message_stride(m.header.bytes);

		/* The bus may write there. */
		if (!mr_message_fits(&m.header, left) || stride > left)
			return;
		if (mr_message_parse(record, m.header, &m))
			c->lost += counts(&m);
		at += stride;
		left -= stride;
	}
}
