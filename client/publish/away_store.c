/* SPDX-License-Identifier: Apache-2.0 */
#include "client/publish/away_store.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"

/* A publish that was made while the bus was away. */
struct mr_away_publish {
	struct mr_away_publish *next;
	size_t bytes; /* size of the whole allocation */
	struct mr_message_parts parts;
	char data[];
};

static void drop_oldest(struct mr_client *c)
{
	struct mr_away_publish *k = c->away_first;

	c->away_first = k->next;
	if (c->away_first == NULL)
		c->away_end = &c->away_first;
	c->away_bytes -= k->bytes;
	c->away_count--;
	free(k);
	mr_state_refuse(c, c->refuse);
}

/* False: no room, and the options forbid dropping the oldest. */
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

static const void *put_copy(char **to, const void *from, size_t bytes)
{
	char *at = *to;

	if (bytes > 0)
		memcpy(at, from, bytes);
	*to += bytes;
	return at;
}

int mr_away_store_keep(struct mr_client *c, const struct mr_message_parts *p)
{
	struct mr_away_publish *k;
	size_t bytes = sizeof(*k) + p->subject_bytes + p->header_bytes + p->payload_bytes;
	int error = mr_message_parts_check(c, p);
	char *to;

	if (error != 0)
		return error;
	if (c->options.no_reconnect || c->options.when_away == MR_AWAY_FAIL || !make_room(c, bytes))
		return mr_ring_out_refused(c);
	k = malloc(bytes);
	if (k == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	*k = (struct mr_away_publish){.bytes = bytes, .parts = *p};
	to = k->data;
	k->parts.subject = put_copy(&to, p->subject, p->subject_bytes);
	k->parts.headers = put_copy(&to, p->headers, p->header_bytes);
	k->parts.payload = put_copy(&to, p->payload, p->payload_bytes);
	*c->away_end = k;
	c->away_end = &k->next;
	c->away_bytes += bytes;
	c->away_count++;
	return 0;
}

/* Returns the room that is enough to begin with the message. */
static uint32_t room_bytes(const struct mr_client *c, const struct mr_message_parts *p)
{
	size_t body_bytes = p->header_bytes + p->payload_bytes;

	if (body_bytes > c->body_bytes_max - (p->subject_bytes & c->body_subject_mask))
		return (uint32_t)(c->up.capacity / 2);
	return mr_message_bytes(false, (uint32_t)p->subject_bytes, (uint32_t)p->header_bytes,
		(uint32_t)p->payload_bytes);
}

static int send_oldest(struct mr_client *c, uint64_t deadline_ns)
{
	const struct mr_message_parts *p = &c->away_first->parts;
	int error = mr_publish_parts(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, p, false);

	if (mr_likely(error != -EAGAIN) || deadline_ns == 0)
		return error;
	if (mr_ring_out_room_wait(c, room_bytes(c, p), deadline_ns, &error) == NULL)
		return error;
	return mr_publish_parts(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, p, false);
}

int mr_away_store_send(struct mr_client *c, uint64_t deadline_ns)
{
	while (c->away_first != NULL) {
		int error = c->refuse != 0 ? mr_ring_out_refused(c) : send_oldest(c, deadline_ns);

		if (error == -EAGAIN || error == -ETIMEDOUT || error == -ENOTCONN ||
			c->refuse == -EDEADLK)
			return error;
		/* An error here means that it is too large for this bus. */
		c->lost += error != 0;
		drop_oldest(c);
	}
	return 0;
}

int mr_away_store_first(struct mr_client *c, bool wait)
{
	int error = mr_ready(c, wait);

	return error != 0 ? error : mr_away_store_send(c, wait ? mr_ring_out_deadline_ns(c) : 0);
}

void mr_away_store_clear(struct mr_client *c)
{
	while (c->away_first != NULL)
		drop_oldest(c);
}

/* True for a best-effort publish. A message in fragments counts with its last fragment. */
static bool is_counted(const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;

	if (m->header.kind != MRF_MESSAGE_KIND_PUBLISH ||
		(m->header.flags & (MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_ORIGIN)) != 0)
		return false;
	return (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 ||
	       f->offset + m->header_bytes + m->payload_bytes == f->total_bytes;
}

static void count_lost(struct mr_client *c)
{
	uint64_t left = mr_bytes_backlog(&c->up);
	uint64_t at = c->up.tail - left;

	while (left >= sizeof(struct mrf_message_header)) {
		const uint8_t *record = c->up.data + (at & (c->up.capacity - 1));
		struct mr_message_view m = {.header = mr_message_header_load(record)};
		uint64_t stride = mr_message_stride(m.header.bytes);

		/* Stops here: the bus can write there too. */
		if (!mr_message_fits(&m.header, left) || stride > left)
			return;
		if (mr_message_parse(record, m.header, &m))
			c->lost += is_counted(&m);
		at += stride;
		left -= stride;
	}
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	(void)now_ns;
	if (mr_unlikely(c->refuse_publish == -EAGAIN))
		(void)mr_away_store_send(c, 0);
}

static uint64_t due_ns(const struct mr_client *c)
{
	if (mr_likely(c->refuse_publish != -EAGAIN))
		return MR_NEVER_NS;
	return mr_now_ns() + MR_NS_PER_MS;
}

const struct mr_part mr_away_store_part = {.due_ns = due_ns, .step = step, .lost = count_lost};
