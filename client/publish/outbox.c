/* SPDX-License-Identifier: Apache-2.0 */
#include "client/publish/outbox.h"

#include <errno.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"

#define RUN_BYTES_MAX (16u << 10) /* largest run of messages in the ring that share an entry */

int mr_outbox_init(struct mr_outbox *o, struct mr_client *c, uint32_t window)
{
	int error = mr_outbox_store_init(o);

	if (error != 0)
		return error;
	o->client = c;
	o->window = window;
	o->next = c->outboxes;
	c->outboxes = o;
	return 0;
}

static void unlink_box(struct mr_outbox *o)
{
	struct mr_outbox **at = &o->client->outboxes;

	while (*at != NULL && *at != o)
		at = &(*at)->next;
	if (*at == o)
		*at = o->next;
}

void mr_outbox_fini(struct mr_outbox *o)
{
	unlink_box(o);
	mr_outbox_store_fini(o);
}

/* Sending. */

/* Copies a record into the ring, with the numbers of this session. */
static void copy_out(struct mr_outbox *o, uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	struct mrf_message_header h = mr_message_header_load(from);
	uint32_t at = sizeof(h) + mr_message_extra_bytes(h.flags & MRF_MESSAGE_FLAG_ORIGIN);
	struct mrf_message_fragment f;

	mr_message_copy(to, from, bytes);
	h.target = o->target;
	memcpy(to, &h, sizeof(h));
	if (mr_likely((h.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0))
		return;
	memcpy(&f, from + at, sizeof(f));
	if (f.offset == 0)
		o->writing_message = ++o->client->fragment_message;
	f.session = o->client->session;
	f.message = o->writing_message;
	memcpy(to + at, &f, sizeof(f));
}

/* Continues the entry that is being written. False: no room now. */
static bool write_on(struct mr_outbox *o)
{
	struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->writing_at);
	struct mr_client *c = o->client;
	const uint8_t *from = mr_outbox_store_records(o, k);

	while (o->writing_bytes < k->bytes) {
		uint32_t bytes = mr_message_header_load(from + o->writing_bytes).bytes;
		uint8_t *to = mr_ring_promised_room(c, bytes);

		if (to == NULL)
			return false;
		copy_out(o, to, from + o->writing_bytes, bytes);
		mr_ring_promised_pushed(c, bytes);
		o->writing_bytes += mr_message_stride(bytes);
	}
	o->writing = false;
	k->mark = mr_ring_promised_tail(c);
	if (k->state != MR_ENTRY_DONE)
		k->state = MR_ENTRY_SENT;
	return true;
}

/* True if the bus knows the options of a kept push. They are the beginning of its header block. */
static bool knows_options(const struct mr_outbox *o, const uint8_t *records)
{
	struct mrf_message_header h = mr_message_header_load(records);
	struct mrf_push_options options;
	uint32_t needed;

	memcpy(&options,
		records + sizeof(h) + mr_message_extra_bytes(h.flags) +
			sizeof(struct mrf_message_sections),
		sizeof(options));
	needed = (options.ttl_ms != 0 ? MRF_PUSH_OPTION_TTL : 0u) |
		 (options.key != 0 ? MRF_PUSH_OPTION_KEY : 0u) |
		 (options.priority != 0 ? MRF_PUSH_OPTION_PRIORITY : 0u) |
		 ((options.ticket_high | options.ticket_low) != 0 ? MRF_PUSH_OPTION_TICKET : 0u) |
		 (options.repeat != 0                              ? MRF_PUSH_OPTION_REPEAT
			 : (options.delay_ms | options.at_ms) != 0 ? MRF_PUSH_OPTION_DELAY
								   : 0u);
	return (needed & ~o->push_options) == 0;
}

/* Makes an entry that was kept for another session fit this one. */
static int adapt(struct mr_outbox *o, struct mr_outbox_entry *k)
{
	const uint8_t *records = mr_outbox_store_records(o, k);

	if (mr_message_header_load(records).kind == MRF_MESSAGE_KIND_PUSH_OPTIONS &&
		!knows_options(o, records))
		return -EOPNOTSUPP;
	return mr_outbox_refragment(o, k);
}

static inline bool write_one(struct mr_outbox *o, uint32_t position)
{
	if (mr_unlikely((int32_t)(o->refragment_before - position) > 0)) {
		int error = adapt(o, mr_outbox_entry_at(o, position));

		if (error != 0) {
			mr_outbox_done(o, position, error);
			return true;
		}
	}
	o->writing = true;
	o->writing_at = position;
	o->writing_bytes = 0;
	return write_on(o);
}

static bool retransmit(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->retransmits == 0 || now_ns < o->retry_ns)
		return true;
	for (uint32_t p = o->head; p != o->unsent && o->retransmits > 0; p++) {
		if (mr_outbox_entry_at(o, p)->state != MR_ENTRY_RETRANSMIT)
			continue;
		o->retransmits--;
		mr_outbox_entry_at(o, p)->state = MR_ENTRY_UNSENT;
		if (!write_one(o, p))
			return false;
	}
	return true;
}

/* True: all that may be sent now was sent. */
static bool send_all(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->writing && !write_on(o))
		return false;
	mr_outbox_store_advance(o);
	if (!retransmit(o, now_ns))
		return false;
	while (o->unsent != o->tail) {
		uint32_t position = o->unsent++;

		if (mr_outbox_entry_at(o, position)->state == MR_ENTRY_UNSENT &&
			!write_one(o, position))
			return false;
	}
	return true;
}

static void step(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->target == 0 && o->retry_ns != 0 && now_ns >= o->retry_ns && o->find_target != NULL) {
		o->retry_ns = 0;
		o->find_target(o);
	}
	if (o->target != 0 && !send_all(o, now_ns))
		o->client->outboxes_busy = true;
	if (o->retransmits > 0 || (o->target == 0 && o->retry_ns != 0)) {
		o->client->outboxes_busy = true;
		mr_housekeep_by(o->client, o->retry_ns);
	}
}

void mr_outboxes_step(struct mr_client *c, uint64_t now_ns)
{
	if (c->refuse != 0)
		return;
	c->outboxes_busy = false;
	for (struct mr_outbox *o = c->outboxes; o != NULL; o = o->next)
		step(o, now_ns);
}

static uint64_t due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	if (!c->outboxes_busy || c->refuse != 0)
		return due;
	for (const struct mr_outbox *o = c->outboxes; o != NULL; o = o->next) {
		/* Messages that wait for room are tried again soon. */
		if (o->target != 0 && (o->writing || o->unsent != o->tail))
			due = mr_now_ns() + MR_NS_PER_MS;
		if (o->retry_ns != 0 && o->retry_ns < due)
			due = o->retry_ns;
	}
	return due;
}

/* Adding. */

static void write_outgoing(struct mr_outbox *o, const struct mr_outgoing *l, uint8_t *to)
{
	for (uint32_t i = 0; i < l->fragments; i++) {
		mr_outgoing_write(o->client, l, i, 0, to);
		to += mr_message_stride(mr_outgoing_fragment_bytes(l, i));
	}
}

/* Returns the next entry, with memory for `bytes`; NULL: *error says why. */
static inline struct mr_outbox_entry *entry_next(struct mr_outbox *o, uint32_t bytes, int *error)
{
	struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->tail);

	if (mr_unlikely(!mr_outbox_store_has_room(o))) {
		*error = mr_fail(o->client, -EAGAIN, "the window of unaccepted messages is full");
		return NULL;
	}
	/* The table may have moved when it grew. */
	k = mr_outbox_entry_at(o, o->tail);
	if (mr_unlikely(!mr_outbox_store_take_memory(o, k, bytes))) {
		*error = mr_fail(o->client, -EAGAIN, "the memory for unaccepted messages is full");
		return NULL;
	}
	k->bytes = bytes;
	k->count = 1;
	k->state = MR_ENTRY_UNSENT;
	k->tries = 0;
	k->output = false;
	return k;
}

/* True: this entry is the next to be sent, and may be sent now. */
static inline bool entry_added(struct mr_outbox *o, uint64_t id)
{
	o->id_offset = id - o->tail;
	o->tail++;
	mr_outbox_opened(o, 1);
	o->client->published++;
	return mr_likely(!o->writing && o->unsent + 1 == o->tail && o->target != 0);
}

int mr_outbox_add(struct mr_outbox *o, const struct mr_outgoing *l)
{
	int error;
	struct mr_outbox_entry *k = entry_next(o, (uint32_t)l->bytes, &error);

	if (mr_unlikely(k == NULL))
		return error;
	k->id = l->extra.origin.id;
	k->publisher = l->extra.origin.publisher;
	write_outgoing(o, l, mr_outbox_store_records(o, k));
	if (!entry_added(o, k->id) || mr_unlikely(!write_one(o, o->unsent++)))
		o->client->outboxes_busy = true;
	return 0;
}

static inline void write_plain(uint8_t *to, struct mrf_message_header h,
	struct mrf_message_origin origin, const void *payload, uint32_t bytes)
{
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), &origin, sizeof(origin));
	if (bytes > 0)
		mr_message_copy(to + sizeof(h) + sizeof(origin), payload, bytes);
}

/* Writes the record twice from its parts. A copy of the kept record would wait for its stores. */
int mr_outbox_add_plain(struct mr_outbox *o, struct mrf_message_header h,
	struct mrf_message_origin origin, const void *payload, uint32_t bytes)
{
	struct mr_client *c = o->client;
	struct mr_outbox_entry *k;
	uint8_t *to;
	int error;

	h.flags |= MRF_MESSAGE_FLAG_ORIGIN;
	h.bytes = (uint16_t)(sizeof(h) + sizeof(origin) + bytes);
	k = entry_next(o, mr_message_stride(h.bytes), &error);
	if (mr_unlikely(k == NULL))
		return error;
	k->id = origin.id;
	k->publisher = origin.publisher;
	write_plain(mr_outbox_store_records(o, k), h, origin, payload, bytes);
	if (mr_unlikely(!entry_added(o, origin.id)))
		goto later;
	to = o->retransmits == 0 ? mr_ring_promised_room(c, h.bytes) : NULL;
	if (mr_unlikely(to == NULL)) {
		if (!write_one(o, o->unsent++))
			goto later;
		return 0;
	}
	o->unsent++;
	write_plain(to, h, origin, payload, bytes);
	mr_ring_promised_pushed(c, h.bytes);
	k->mark = mr_ring_promised_tail(c);
	k->state = MR_ENTRY_SENT;
	return 0;
later:
	c->outboxes_busy = true;
	return 0;
}

uint32_t mr_outbox_may_place(struct mr_outbox *o, uint32_t count)
{
	if (mr_unlikely(o->unsent != o->tail || o->writing || o->target == 0) &&
		(o->target == 0 || !send_all(o, mr_now_ns()))) {
		o->client->outboxes_busy = true;
		return 0;
	}
	if (mr_unlikely(o->window - o->open < count))
		mr_outbox_finish_taken(o);
	if (mr_unlikely(!mr_outbox_store_has_room(o)))
		return 0;
	return count < o->window - o->open ? count : o->window - o->open;
}

void mr_outbox_placed(struct mr_outbox *o, uint32_t count, uint32_t bytes)
{
	uint64_t at = mr_ring_promised_tail(o->client);
	struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->tail - 1);

	mr_outbox_opened(o, count);
	o->client->published += count;
	if (mr_likely(o->head != o->tail && k->place == MR_ENTRY_RING && k->mark == at &&
		      k->state == MR_ENTRY_SENT && k->bytes < RUN_BYTES_MAX)) {
		k->mark += bytes;
		k->bytes += bytes;
		k->count += count;
		return;
	}
	*mr_outbox_entry_at(o, o->tail) = (struct mr_outbox_entry){.at = at,
		.mark = at + bytes,
		.bytes = bytes,
		.count = count,
		.place = MR_ENTRY_RING,
		.state = MR_ENTRY_SENT};
	o->unsent = ++o->tail;
}

/* Marks all open messages as unsent. */
static void rewind_all(struct mr_outbox *o)
{
	o->writing = false;
	o->retransmits = 0;
	o->retry_ns = 0;
	for (uint32_t p = o->head; p != o->tail; p++) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, p);

		if (k->state != MR_ENTRY_DONE)
			k->state = MR_ENTRY_UNSENT;
	}
	mr_outbox_store_advance(o);
	o->unsent = o->head;
	o->refragment_before = o->tail;
}

void mr_outbox_target(struct mr_outbox *o, uint32_t target, uint64_t find_ns)
{
	o->target = target;
	if (target == 0) {
		rewind_all(o);
		o->retry_ns = find_ns;
		mr_housekeep_by(o->client, find_ns);
	}
	if (target == 0 || o->head != o->tail)
		o->client->outboxes_busy = true;
}

static void lost(struct mr_client *c)
{
	for (struct mr_outbox *o = c->outboxes; o != NULL; o = o->next) {
		if (o->by_mark) {
			mr_outbox_finish_taken(o);
			mr_outbox_store_salvage(o);
		}
		rewind_all(o);
		o->target = 0;
	}
}

const struct mr_part mr_outbox_part = {.due_ns = due_ns, .lost = lost};
