/* SPDX-License-Identifier: Apache-2.0 */
/* bind: publishes that go into queues bound to their subject, and the flags of full ones. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/full.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/lines.h"
#include "lib/base/memory.h"

#define VERSION_LINE "NATS/1.0\r\n"
#define SUBJECT_NAME "Millrace-Subject: "
#define LINE_END     "\r\n"
#define LINE_BYTES   (sizeof(SUBJECT_NAME) - 1 + sizeof(LINE_END) - 1)

/* A full queue has room again when a window, one part in 8, is free. */
#define ROOM_PART 8u
#define LOOKS     64u /* at full queues, in one run */

static struct mr_queue_bound_slot *slot_of(const struct mr_queues *q, uint32_t number)
{
	return &q->bound.slots[number & ((1u << q->index_bits) - 1)];
}

int mr_bind_init(struct mr_queues *q)
{
	q->bound.slots =
		mr_memory_map((size_t)mr_queue_slots_max(&q->c) * sizeof(*q->bound.slots), false);
	return q->bound.slots != NULL ? 0 : -1;
}

void mr_bind_fini(struct mr_queues *q)
{
	mr_memory_unmap(
		q->bound.slots, (size_t)mr_queue_slots_max(&q->c) * sizeof(*q->bound.slots));
}

void mr_queues_bind(struct mr_queues *q, uint32_t number, uint32_t count)
{
	struct mr_queue_bound_slot *slot;
	uint32_t changes = atomic_load_explicit(&q->bound.changes, memory_order_relaxed);

	if ((number & ((1u << q->index_bits) - 1)) >= mr_queue_slots_max(&q->c))
		return;
	slot = slot_of(q, number);
	/* An older queue's bindings may go after a newer one's came. */
	if (count == 0 && atomic_load_explicit(&slot->number, memory_order_relaxed) != number)
		return;
	atomic_store_explicit(&slot->count, count, memory_order_relaxed);
	/* [bind.count] */
	atomic_store_explicit(&slot->number, count > 0 ? number : 0, memory_order_release);
	if (count > 0)
		atomic_store_explicit(&q->bound.any, true, memory_order_relaxed);
	atomic_store_explicit(&q->bound.changes, changes + 1, memory_order_relaxed);
}

void mr_queues_bound(struct mr_queues *q, uint32_t number)
{
	if ((number & ((1u << q->index_bits) - 1)) < mr_queue_slots_max(&q->c))
		atomic_store_explicit(&slot_of(q, number)->bound, number, memory_order_relaxed);
}

bool mr_bind_was_bound(const struct mr_queues *q, const struct mr_queue *queue)
{
	return atomic_load_explicit(&slot_of(q, queue->number)->bound, memory_order_relaxed) ==
	       queue->number;
}

uint32_t mr_bind_count(const struct mr_queues *q, const struct mr_queue *queue)
{
	const struct mr_queue_bound_slot *slot = slot_of(q, queue->number);

	/* [bind.count] */
	return atomic_load_explicit(&slot->number, memory_order_acquire) == queue->number
		       ? atomic_load_explicit(&slot->count, memory_order_relaxed)
		       : 0;
}

/* Full flags: a promised publish waits, at its publisher, while one is set. */

static void raise(struct mr_queues *q, enum mr_queue_held what, uint64_t index, uint64_t of)
{
	q->bound.held++;
	if (q->c.ops->hold != NULL)
		q->c.ops->hold(q->c.arg, what, index, of);
}

static void lower(struct mr_queues *q, enum mr_queue_held what, uint64_t index)
{
	q->bound.held--;
	if (q->c.ops->hold != NULL)
		q->c.ops->hold(q->c.arg, what, index, 0);
}

/* True if the queue would be beyond a limit of its own with `more_bytes`. */
static inline bool is_over(const struct mr_queue *queue, uint64_t more_bytes)
{
	uint64_t depth = mr_queue_depth(queue);

	return depth > 0 &&
	       (depth >= queue->options.messages_max ||
		       (queue->options.bytes_max != 0 &&
			       queue->body_bytes + more_bytes > queue->options.bytes_max));
}

static inline bool is_full(const struct mr_queues *q, const struct mr_queue *queue)
{
	return (is_over(queue, 0) && !mr_full_may_displace(queue)) ||
	       mr_push_share_used_up(q, queue);
}

static bool has_room(const struct mr_queues *q, const struct mr_queue *queue)
{
	const struct mrf_queue_options *o = &queue->options;

	if (mr_full_may_displace(queue))
		return !mr_push_share_used_up(q, queue);
	return mr_queue_depth(queue) == 0 ||
	       (mr_queue_depth(queue) < o->messages_max - o->messages_max / ROOM_PART &&
		       (o->bytes_max == 0 ||
			       queue->body_bytes < o->bytes_max - o->bytes_max / ROOM_PART) &&
		       !mr_push_share_used_up(q, queue));
}

static void append_full(struct mr_queues *q, struct mr_queue *queue)
{
	queue->bound_next = NULL;
	if (q->bound.full == NULL)
		q->bound.full = queue;
	else
		q->bound.full_tail->bound_next = queue;
	q->bound.full_tail = queue;
	q->bound.full_count++;
}

static __attribute__((noinline)) void hold_queue(struct mr_queues *q, struct mr_queue *queue)
{
	queue->bound_full = true;
	append_full(q, queue);
	raise(q, MR_QUEUE_HELD_QUEUE, queue->number & ((1u << q->index_bits) - 1), queue->number);
}

void mr_bind_removed(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue *before = NULL;

	if (!queue->bound_full)
		return;
	for (struct mr_queue *at = q->bound.full; at != queue; at = at->bound_next)
		before = at;
	if (before == NULL)
		q->bound.full = queue->bound_next;
	else
		before->bound_next = queue->bound_next;
	if (q->bound.full_tail == queue)
		q->bound.full_tail = before;
	q->bound.full_count--;
	queue->bound_full = false;
	lower(q, MR_QUEUE_HELD_QUEUE, queue->number & ((1u << q->index_bits) - 1));
}

/* Clears the flags of queues that have room again. Looks at some of them; those that stay full go
 * to the end of the list. */
static void look_at_queues(struct mr_queues *q)
{
	if (q->bound.look_left == 0)
		q->bound.look_left = q->bound.full_count;
	for (unsigned i = 0; i < LOOKS && q->bound.look_left > 0; i++) {
		struct mr_queue *queue = q->bound.full;

		q->bound.look_left -= queue != NULL ? 1 : q->bound.look_left;
		if (queue == NULL)
			break;
		if (has_room(q, queue)) {
			mr_bind_removed(q, queue);
			continue;
		}
		q->bound.full = queue->bound_next;
		q->bound.full_count--;
		append_full(q, queue);
	}
}

/* Messages under way need room. So the flag of the memory is set at seven eighths; others than root
 * find none at fifteen sixteenths. */
static void look_at_memory(struct mr_queues *q)
{
	uint64_t used = mr_slab_bytes(q->store), max = q->store_entries_max;

	if (!q->bound.is_short && used >= max / 8 * 7) {
		q->bound.is_short = true;
		raise(q, MR_QUEUE_HELD_MEMORY, 0, 1);
	} else if (q->bound.is_short && used < max / 4 * 3) {
		q->bound.is_short = false;
		lower(q, MR_QUEUE_HELD_MEMORY, 0);
	}
}

static uint64_t used_by(const struct mr_queues *q, uint64_t peer)
{
	return mr_share_count(&q->limits.accounts, peer, 0);
}

/* Returns the place of the peer's flag, or if it has none a free one; MR_QUEUE_HELD_PEERS: none. */
static uint32_t place_of(const struct mr_queues *q, uint64_t peer)
{
	uint32_t free = MR_QUEUE_HELD_PEERS;

	for (uint32_t i = 0; i < MR_QUEUE_HELD_PEERS; i++) {
		if (q->bound.peers[i] == peer)
			return i;
		if (q->bound.peers[i] == 0)
			free = i;
	}
	return free;
}

/* Sets the flag of a peer, not root, that has nearly used up its share. True: it is set. */
static __attribute__((noinline)) bool look_at_peer(
	struct mr_queues *q, const struct mr_queue_client *client)
{
	uint64_t share = q->limits.memory.share;
	uint32_t place;

	if (mr_likely(q->limits.accounts.entries[client->account].count < share / 8 * 7))
		return false;
	place = place_of(q, client->peer);
	if (place == MR_QUEUE_HELD_PEERS)
		return false;
	if (q->bound.peers[place] == 0) {
		q->bound.peers[place] = client->peer;
		raise(q, MR_QUEUE_HELD_PEER, place, client->peer);
	}
	return true;
}

static void look_at_peers(struct mr_queues *q)
{
	for (uint32_t i = 0; i < MR_QUEUE_HELD_PEERS; i++) {
		uint64_t peer = q->bound.peers[i];

		if (peer == 0 || used_by(q, peer) >= q->limits.memory.share / 4 * 3)
			continue;
		q->bound.peers[i] = 0;
		lower(q, MR_QUEUE_HELD_PEER, i);
	}
}

/* Bindings have changed: clears all flags, as a publisher may wait for a queue that its subject is
 * not bound to any more. The next publish that finds a queue full sets its flag again. */
static void clear_flags(struct mr_queues *q)
{
	while (q->bound.full != NULL)
		mr_bind_removed(q, q->bound.full);
	for (uint32_t i = 0; i < MR_QUEUE_HELD_PEERS; i++) {
		if (q->bound.peers[i] != 0)
			lower(q, MR_QUEUE_HELD_PEER, i);
		q->bound.peers[i] = 0;
	}
	if (q->bound.is_short)
		lower(q, MR_QUEUE_HELD_MEMORY, 0);
	q->bound.is_short = false;
}

void mr_bind_run(struct mr_queues *q)
{
	uint32_t changes = atomic_load_explicit(&q->bound.changes, memory_order_relaxed);

	if (mr_unlikely(changes != q->bound.changes_seen)) {
		q->bound.changes_seen = changes;
		clear_flags(q);
	}
	look_at_memory(q);
	if (mr_likely(q->bound.held == 0)) {
		q->bound.look_left = 0;
		return;
	}
	look_at_queues(q);
	look_at_peers(q);
}

/* Publishes. */

void mr_bind_refuse(struct mr_queues *q, struct mr_queue *queue, uint32_t status)
{
	struct mrf_worker_stats *stats = q->c.stats;

	if (queue != NULL)
		queue->refused++;
	switch (status) {
	case MRF_STATUS_CODE_NOT_FOUND: mr_count(stats->drop_bound_gone, 1); break;
	case MRF_STATUS_CODE_TOO_OLD: mr_count(stats->drop_bound_old, 1); break;
	case MRF_STATUS_CODE_NO_MEMORY: mr_count(stats->drop_bound_memory, 1); break;
	case MRF_STATUS_CODE_SHARE_USED: mr_count(stats->drop_bound_share, 1); break;
	default: mr_count(stats->drop_bound_full, 1); break;
	}
}

void mr_bind_known(struct mr_queues *q, struct mr_queue *queue)
{
	queue->duplicates++;
	mr_count(q->c.stats->queue_duplicates, 1);
}

/* Checks the memory of the publisher's peer. The share may have been used up before a flag was set:
 * then a promised publish goes in, and counts for nobody. The flag is set now, and bounds these. */
MR_ALWAYS_INLINE uint32_t check_memory(struct mr_queues *q, uint64_t session, bool promised,
	uint32_t body_bytes, struct mr_push_facts *facts)
{
	const struct mr_queue_client *client =
		mr_client_find(q, session) ?: mr_client_of(q, session);
	bool held;
	uint32_t status;

	if (mr_likely(client != NULL && client->account == 0))
		return MRF_STATUS_CODE_OK;
	held = client != NULL && look_at_peer(q, client);
	status = mr_push_memory(q, client, body_bytes);
	if (mr_likely(status != MRF_STATUS_CODE_SHARE_USED) || !promised || !held)
		return status;
	facts->unpaid = true;
	return MRF_STATUS_CODE_OK;
}

/* A promised publish was held until the queue had room, or accepted before its session ended. So it
 * goes in whatever the queue holds now: the publishers' windows bound those under way. */
MR_ALWAYS_INLINE uint32_t admit(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts)
{
	bool promised = mr_bind_is_promised(m);

	if (mr_unlikely(queue->options.bytes_max != 0 && body_bytes > queue->options.bytes_max))
		return MRF_STATUS_CODE_BAD;
	if (!promised && mr_unlikely(is_over(queue, body_bytes)) && !mr_full_may_displace(queue))
		return MRF_STATUS_CODE_OVERLOADED;
	if (!promised && mr_unlikely(mr_push_share_used_up(q, queue)))
		return MRF_STATUS_CODE_NO_MEMORY;
	/* One that was not held is within the share of its publisher. */
	return check_memory(q, session, promised && !(m->header.flags & MRF_MESSAGE_FLAG_HIGH),
		(uint32_t)body_bytes, facts);
}

/* A publisher that the queue has no room to remember is at least once. */
static __attribute__((noinline)) uint32_t look_up(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mrf_message_origin *origin,
	struct mr_push_facts *facts)
{
	switch (mr_window_look(q, session, queue, origin)) {
	case MR_WINDOW_KNOWN: facts->known = true; break;
	case MR_WINDOW_OLD: return MRF_STATUS_CODE_TOO_OLD;
	case MR_WINDOW_FULL:
	case MR_WINDOW_NO_MEMORY: break;
	default: facts->entry_flags |= MR_ENTRY_ORIGIN; break;
	}
	return MRF_STATUS_CODE_OK;
}

MR_ALWAYS_INLINE uint32_t check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts)
{
	uint32_t status = MRF_STATUS_CODE_OK;

	*facts = (struct mr_push_facts){0};
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		facts->origin = &m->extra.origin;
	if (facts->origin != NULL && facts->origin->publisher != 0)
		status = look_up(q, session, queue, facts->origin, facts);
	if (status != MRF_STATUS_CODE_OK || facts->known)
		return status;
	return admit(q, session, queue, m, body_bytes, facts);
}

uint32_t mr_bind_check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts)
{
	return check(q, session, queue, m, body_bytes, facts);
}

MR_ALWAYS_INLINE void append(uint8_t **to, const void *text, uint32_t bytes)
{
	mr_message_copy(*to, text, bytes);
	*to += bytes;
}

/* Returns the bytes of the first line of the message's header block; 0: it has no block, or one
 * that is malformed. */
static uint32_t first_line_bytes(const struct mr_message_view *m)
{
	const uint8_t *end;

	if (m->header_bytes < sizeof(VERSION_LINE) - 1 || memcmp(m->headers, VERSION_LINE, 8) != 0)
		return 0;
	end = memmem(m->headers, m->header_bytes, LINE_END, 2);
	return end != NULL ? (uint32_t)(end - m->headers) + 2 : 0;
}

/* Returns how many bytes the line with the subject adds to a whole message. 0: it gets no line,
 * because its block is malformed or the whole would not fit one message. */
static uint32_t line_bytes(const struct mr_message_view *m, uint32_t first_bytes)
{
	uint32_t bytes = (uint32_t)LINE_BYTES + m->subject_bytes;

	if (first_bytes == 0)
		bytes += sizeof(VERSION_LINE) - 1 + sizeof(LINE_END) - 1;
	if ((first_bytes == 0 && m->header_bytes > 0) ||
		m->header_bytes + m->payload_bytes + bytes > MR_BODY_BYTES_MAX)
		return 0;
	return bytes;
}

/* Writes the body with the subject as the first header. */
MR_ALWAYS_INLINE void write_body(uint8_t *to, const struct mr_message_view *m, uint32_t first_bytes)
{
	if (mr_likely(first_bytes == 0)) {
		append(&to, VERSION_LINE SUBJECT_NAME,
			sizeof(VERSION_LINE) + sizeof(SUBJECT_NAME) - 2);
		append(&to, m->subject, m->subject_bytes);
		append(&to, LINE_END LINE_END, 2 * (sizeof(LINE_END) - 1));
	} else {
		append(&to, m->headers, first_bytes);
		append(&to, SUBJECT_NAME, sizeof(SUBJECT_NAME) - 1);
		append(&to, m->subject, m->subject_bytes);
		append(&to, LINE_END, sizeof(LINE_END) - 1);
	}
	append(&to, m->headers + first_bytes, m->header_bytes + m->payload_bytes - first_bytes);
}

/* Adds the line to the header block of a message in fragments, or of one that becomes too large for
 * one message. */
static __attribute__((noinline)) struct mr_queue_entry *add_line(
	struct mr_queues *q, struct mr_queue_entry *e, const struct mr_message_view *m)
{
	char line[LINE_BYTES + MR_SUBJECT_BYTES_MAX];
	const uint32_t name_bytes = sizeof(SUBJECT_NAME) - 1;

	memcpy(line, SUBJECT_NAME, name_bytes);
	memcpy(line + name_bytes, m->subject, m->subject_bytes);
	memcpy(line + name_bytes + m->subject_bytes, LINE_END, sizeof(LINE_END) - 1);
	return mr_entry_add_line(q, e, line, (uint32_t)LINE_BYTES + m->subject_bytes);
}

/* `more`: see line_bytes. */
MR_ALWAYS_INLINE struct mr_queue_entry *make_entry(struct mr_queues *q, uint32_t account,
	const struct mr_message_view *m, unsigned flags, uint32_t first_bytes, uint32_t more)
{
	uint32_t body_bytes = m->header_bytes + m->payload_bytes;
	struct mr_queue_entry *e = mr_entry_new(
		q, account, flags, &m->extra.origin, m->header_bytes + more, body_bytes + more);

	if (mr_unlikely(e == NULL))
		return NULL;
	if (mr_likely(more > 0)) {
		write_body(mr_entry_body(e), m, first_bytes);
		return e;
	}
	mr_message_copy(mr_entry_body(e), m->headers, body_bytes);
	return add_line(q, e, m);
}

/* Makes room in a full queue. What finds none is discarded too: its publisher was told already that
 * it went in. False: the entry is gone. */
static bool enter_full(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	enum mr_full result = mr_full_enter(q, queue, e);

	if (result != MR_FULL_NONE)
		return result == MR_FULL_ROOM;
	queue->body_bytes += e->body_bytes;
	mr_full_drop(q, queue, e);
	return false;
}

/* Notes that an entry goes in. */
MR_ALWAYS_INLINE void count_in(struct mr_queues *q, struct mr_queue *queue,
	const struct mr_queue_entry *e, const struct mrf_message_origin *origin)
{
	if (e->flags & MR_ENTRY_ORIGIN)
		mr_window_note(q, queue, origin);
	queue->pushed++;
	queue->accepted += origin != NULL;
	mr_count(q->c.stats->pushed, 1);
	mr_count(q->c.stats->bound, 1);
}

MR_ALWAYS_INLINE void finish(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mrf_message_origin *origin)
{
	count_in(q, queue, e, origin);
	if (mr_likely(!mr_full_displaces(queue)) || !is_over(queue, e->body_bytes) ||
		enter_full(q, queue, e)) {
		queue->body_bytes += e->body_bytes;
		mr_queue_put(q, queue, e);
	}
	if (mr_unlikely(is_full(q, queue)) && !queue->bound_full)
		hold_queue(q, queue);
}

/* Finishes the publish of a whole message with a key: 0, or the StatusCode. Only a queue that makes
 * room when it is full looks at the entry before it goes in. */
static uint32_t finish_keyed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mrf_message_origin *origin, uint64_t key)
{
	bool displaces = mr_full_displaces(queue);
	uint64_t hash = mr_key_hash(q, queue, key);

	mr_entry_time(e)->key = key;
	if (!(displaces ? mr_key_admit(q, queue, e)
			: mr_key_push(
				  q, queue, e, hash, mr_key_table_bucket_of(q->key_table, hash)))) {
		mr_entry_free(q, e);
		return MRF_STATUS_CODE_NO_MEMORY;
	}
	if (displaces) {
		finish(q, queue, e, origin);
		return MRF_STATUS_CODE_OK;
	}
	count_in(q, queue, e, origin);
	queue->body_bytes += e->body_bytes;
	if (mr_unlikely(is_full(q, queue)) && !queue->bound_full)
		hold_queue(q, queue);
	return MRF_STATUS_CODE_OK;
}

void mr_bind_finish(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mr_message_view *m)
{
	finish(q, queue, add_line(q, e, m),
		m->header.flags & MRF_MESSAGE_FLAG_ORIGIN ? &m->extra.origin : NULL);
}

/* Takes a whole message: 0, or the StatusCode to refuse with. `key`: of a queue that goes by keys;
 * 0: none. */
MR_ALWAYS_INLINE uint32_t take_whole(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t key)
{
	uint32_t first_bytes = first_line_bytes(m), more = line_bytes(m, first_bytes);
	uint32_t bytes = m->header_bytes + m->payload_bytes + more;
	struct mr_push_facts facts;
	uint32_t status = check(q, session, queue, m, bytes, &facts);
	struct mr_queue_entry *e;

	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		return status;
	if (mr_unlikely(facts.known)) {
		mr_bind_known(q, queue);
		return MRF_STATUS_CODE_OK;
	}
	if (key != 0)
		facts.entry_flags |= MR_ENTRY_TIME;
	e = make_entry(q, facts.unpaid ? 0 : mr_client_find(q, session)->account, m,
		facts.entry_flags, first_bytes, more);
	if (mr_unlikely(e == NULL))
		return MRF_STATUS_CODE_NO_MEMORY;
	if (key != 0)
		return finish_keyed(q, queue, e, facts.origin, key);
	finish(q, queue, e, facts.origin);
	return MRF_STATUS_CODE_OK;
}

/* Takes a fragment, or a message for a queue that goes by keys: as take_whole. */
static __attribute__((noinline)) uint32_t take_special(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m)
{
	const struct mrf_push_options options = {.key = queue->takes_key ? mr_key_of(queue, m) : 0};

	if ((m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0)
		return take_whole(q, session, queue, m, options.key);
	mr_fragment_push(q, session, queue, m, &options);
	return MRF_STATUS_CODE_OK;
}

void mr_queues_publish(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue *queue = mr_queue_by_number(q, m->header.target);
	uint32_t status;

	mr_queues_at(q, now_ms);
	if (mr_unlikely(queue == NULL || queue->kind != MRF_QUEUE_KIND_QUEUE || queue->is_dead))
		status = MRF_STATUS_CODE_NOT_FOUND;
	else if (mr_unlikely(
			 queue->takes_key || (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0))
		status = take_special(q, session, queue, m);
	else
		status = take_whole(q, session, queue, m, 0);
	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		mr_bind_refuse(q, queue, status);
}
