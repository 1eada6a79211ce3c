/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: copies of promised messages, in the order in which they were given, until the bus has them in
 * charge: of a queue when it says so, of subjects when it has taken them from the ring. In a new session everything
 * that is still here is sent again.
 *
 * Copies stand in a ring of memory that grows as it must, so that a steady flow stays in the processor's cache;
 * large ones have memory of their own. */
#include <stdlib.h>
#include <string.h>

#include "client/queue.h"

#define KEPT_ROOM_MIN    64u
#define MEMORY_BYTES_MIN (16u << 10)
#define MEMORY_BYTES_MAX (8u << 20)
#define LARGE_BYTES      (4u << 10)
#define LARGE_BYTES_MAX  (32u << 20) /* one may always be there */
#define TRIES_MAX        9u
#define AGAIN_NS_MIN     (10 * MR_NS_PER_MS)
#define AGAIN_NS_MAX     (1000 * MR_NS_PER_MS)

static inline struct mr_kept *kept_at(const struct mr_outbox *o, uint32_t position)
{
	return &o->kept[position & (o->kept_room - 1)];
}

int mr_outbox_init(struct mr_outbox *o, struct mr_client *c, uint32_t window)
{
	o->client = c;
	o->window = window;
	o->kept = calloc(KEPT_ROOM_MIN, sizeof(*o->kept));
	o->memory = malloc(MEMORY_BYTES_MIN);
	if (o->kept == NULL || o->memory == NULL) {
		free(o->kept);
		free(o->memory);
		return -ENOMEM;
	}
	o->kept_room = KEPT_ROOM_MIN;
	o->memory_bytes = MEMORY_BYTES_MIN;
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

static void opened(struct mr_outbox *o)
{
	o->open++;
	o->client->promised_open++;
	o->client->settled = false;
}

static void closed(struct mr_outbox *o, uint32_t count)
{
	o->open -= count;
	o->client->promised_open -= count;
	o->client->settled = o->client->promised_open == 0;
}

void mr_outbox_fini(struct mr_outbox *o)
{
	unlink_box(o);
	for (; o->head != o->tail; o->head++) {
		struct mr_kept *k = kept_at(o, o->head);

		if (k->state != MR_KEPT_DONE)
			closed(o, 1);
		free(k->large);
	}
	free(o->kept);
	free(o->memory);
}

/* Memory. */

static bool kept_grow(struct mr_outbox *o)
{
	struct mr_kept *grown = calloc(2 * (size_t)o->kept_room, sizeof(*grown));

	if (grown == NULL)
		return false;
	for (uint32_t p = o->head; p != o->tail; p++)
		grown[p & (2 * o->kept_room - 1)] = *kept_at(o, p);
	free(o->kept);
	o->kept = grown;
	o->kept_room *= 2;
	return true;
}

/* Where `bytes` go in one piece: not over the end. */
static uint64_t memory_at(const struct mr_outbox *o, uint32_t bytes)
{
	uint64_t left = o->memory_bytes - (o->memory_tail & (o->memory_bytes - 1));

	return left >= bytes ? o->memory_tail : o->memory_tail + left;
}

static bool memory_fits(const struct mr_outbox *o, uint32_t bytes)
{
	return memory_at(o, bytes) + bytes - o->memory_head <= o->memory_bytes;
}

/* Into twice the memory, one behind the other. */
static bool memory_grow(struct mr_outbox *o)
{
	uint8_t *grown = o->memory_bytes < MEMORY_BYTES_MAX ? malloc(2 * o->memory_bytes) : NULL;
	uint64_t at = 0;

	if (grown == NULL)
		return false;
	for (uint32_t p = o->head; p != o->tail; p++) {
		struct mr_kept *k = kept_at(o, p);

		if (k->large != NULL)
			continue;
		memcpy(grown + at, o->memory + (k->at & (o->memory_bytes - 1)), k->bytes);
		k->at = at;
		at += k->bytes;
	}
	free(o->memory);
	o->memory = grown;
	o->memory_bytes *= 2;
	o->memory_head = 0;
	o->memory_tail = at;
	return true;
}

static bool memory_take(struct mr_outbox *o, struct mr_kept *k, uint32_t bytes)
{
	k->large = NULL;
	if (bytes > LARGE_BYTES) {
		if (o->large_bytes > 0 && o->large_bytes + bytes > LARGE_BYTES_MAX)
			return false;
		k->large = malloc(bytes);
		o->large_bytes += k->large != NULL ? bytes : 0;
		return k->large != NULL;
	}
	if (mr_unlikely(!memory_fits(o, bytes)) && o->by_mark)
		mr_outbox_look(o);
	while (mr_unlikely(!memory_fits(o, bytes))) {
		if (!memory_grow(o))
			return false;
	}
	k->at = memory_at(o, bytes);
	o->memory_tail = k->at + bytes;
	return true;
}

static inline uint8_t *memory_of(const struct mr_outbox *o, const struct mr_kept *k)
{
	return k->large != NULL ? k->large : o->memory + (k->at & (o->memory_bytes - 1));
}

/* Frees those at the head that are done. */
static void advance(struct mr_outbox *o)
{
	while (o->head != o->tail) {
		struct mr_kept *k = kept_at(o, o->head);

		if (k->state != MR_KEPT_DONE || (o->writing && o->writing_at == o->head))
			break;
		if (k->large != NULL) {
			o->large_bytes -= k->bytes;
			free(k->large);
			k->large = NULL;
		} else {
			o->memory_head = k->at + k->bytes;
		}
		o->head++;
	}
	if (o->head == o->tail)
		o->memory_head = o->memory_tail;
}

/* Sending. */

/* A copy into the ring, under today's numbers. */
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
	f.session = o->client->session;
	f.message = o->client->fragment_message;
	memcpy(to + at, &f, sizeof(f));
}

/* Goes on with the one that is being written. False: no room now. */
static bool write_on(struct mr_outbox *o)
{
	struct mr_kept *k = kept_at(o, o->writing_at);
	struct mr_client *c = o->client;
	const uint8_t *from = memory_of(o, k);

	if (k->pieces && o->writing_bytes == 0)
		c->fragment_message++;
	while (o->writing_bytes < k->bytes) {
		uint32_t bytes = mr_message_header_load(from + o->writing_bytes).bytes;
		uint8_t *to = mr_promise_room(c, bytes);

		if (to == NULL)
			return false;
		copy_out(o, to, from + o->writing_bytes, bytes);
		mr_promise_pushed(c, bytes);
		o->writing_bytes += mr_message_stride(bytes);
	}
	o->writing = false;
	k->mark = mr_promise_tail(c);
	if (k->state != MR_KEPT_DONE)
		k->state = MR_KEPT_SENT;
	return true;
}

static inline bool write_one(struct mr_outbox *o, uint32_t position)
{
	o->writing = true;
	o->writing_at = position;
	o->writing_bytes = 0;
	return write_on(o);
}

static bool write_again(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->again == 0 || now_ns < o->again_ns)
		return true;
	for (uint32_t p = o->head; p != o->unsent && o->again > 0; p++) {
		if (kept_at(o, p)->state != MR_KEPT_AGAIN)
			continue;
		o->again--;
		kept_at(o, p)->state = MR_KEPT_UNSENT;
		if (!write_one(o, p))
			return false;
	}
	return true;
}

/* True: everything is sent that may be now. */
static bool send_all(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->writing && !write_on(o))
		return false;
	advance(o);
	if (!write_again(o, now_ns))
		return false;
	while (o->unsent != o->tail) {
		uint32_t position = o->unsent++;

		if (kept_at(o, position)->state == MR_KEPT_UNSENT && !write_one(o, position))
			return false;
	}
	return true;
}

static void step(struct mr_outbox *o, uint64_t now_ns)
{
	if (o->target == 0 && o->again_ns != 0 && now_ns >= o->again_ns && o->find != NULL) {
		o->again_ns = 0;
		o->find(o);
	}
	if (o->target != 0 && !send_all(o, now_ns))
		o->client->outboxes_busy = true;
	if (o->again > 0 || (o->target == 0 && o->again_ns != 0)) {
		o->client->outboxes_busy = true;
		mr_house_by(o->client, o->again_ns);
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

uint64_t mr_outboxes_due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	if (!c->outboxes_busy || c->refuse != 0)
		return due;
	for (const struct mr_outbox *o = c->outboxes; o != NULL; o = o->next) {
		/* What waits for room is looked after soon. */
		if (o->target != 0 && (o->writing || o->unsent != o->tail))
			due = mr_now_ns() + MR_NS_PER_MS;
		if (o->again_ns != 0 && o->again_ns < due)
			due = o->again_ns;
	}
	return due;
}

/* Adding. */

static bool room_for(struct mr_outbox *o)
{
	if (mr_likely(o->open < o->window && o->tail - o->head < o->kept_room))
		return true;
	if (o->by_mark)
		mr_outbox_look(o);
	if (o->open >= o->window)
		return false;
	/* Those done behind one that is not take places too, but not for ever. */
	return o->tail - o->head < o->kept_room || (o->kept_room < 4 * o->window && kept_grow(o));
}

static void write_letter(struct mr_outbox *o, const struct mr_letter *l, uint8_t *to)
{
	for (uint32_t i = 0; i < l->pieces; i++) {
		mr_letter_write(o->client, l, i, 0, to);
		to += mr_message_stride(mr_letter_piece_bytes(l, i));
	}
}

/* The next one, with memory for so many bytes; NULL: *error says why. */
static inline struct mr_kept *kept_next(struct mr_outbox *o, uint32_t bytes, int *error)
{
	struct mr_kept *k = kept_at(o, o->tail);

	if (mr_unlikely(!room_for(o))) {
		*error = mr_fail(o->client, -EAGAIN, "too much is not accepted yet");
		return NULL;
	}
	/* There may be more of them now. */
	k = kept_at(o, o->tail);
	if (mr_unlikely(!memory_take(o, k, bytes))) {
		*error = mr_fail(o->client, -EAGAIN, "too many bytes are not accepted yet");
		return NULL;
	}
	k->bytes = bytes;
	k->state = MR_KEPT_UNSENT;
	k->tries = 0;
	return k;
}

/* True: it goes next, and may go now. */
static inline bool kept_added(struct mr_outbox *o, const struct mr_kept *k)
{
	o->id_offset = k->id - o->tail;
	o->tail++;
	opened(o);
	o->client->published++;
	return mr_likely(!o->writing && o->unsent + 1 == o->tail && o->target != 0);
}

int mr_outbox_add(struct mr_outbox *o, const struct mr_letter *l)
{
	int error;
	struct mr_kept *k = kept_next(o, (uint32_t)l->bytes, &error);

	if (mr_unlikely(k == NULL))
		return error;
	k->id = l->extra.origin.id;
	k->publisher = l->extra.origin.publisher;
	k->pieces = l->pieces > 1;
	write_letter(o, l, memory_of(o, k));
	if (!kept_added(o, k) || mr_unlikely(!write_one(o, o->unsent++)))
		o->client->outboxes_busy = true;
	return 0;
}

int mr_outbox_add_plain(struct mr_outbox *o, struct mrf_message_header h,
	const struct mrf_message_origin *origin, const void *payload, uint32_t bytes)
{
	uint32_t head = (uint32_t)sizeof(h) + mr_message_extra_bytes(h.flags);
	struct mr_client *c = o->client;
	uint32_t stride;
	uint8_t *kept, *to;
	struct mr_kept *k;
	int error;

	h.bytes = (uint16_t)(head + bytes);
	stride = mr_message_stride(h.bytes);
	k = kept_next(o, stride, &error);
	if (mr_unlikely(k == NULL))
		return error;
	k->id = origin->id;
	k->publisher = origin->publisher;
	k->pieces = false;
	kept = memory_of(o, k);
	memcpy(kept, &h, sizeof(h));
	if (h.flags & MRF_MESSAGE_FLAG_ORIGIN)
		memcpy(kept + sizeof(h), origin, sizeof(*origin));
	if (bytes > 0)
		mr_message_copy(kept + head, payload, bytes);
	if (mr_unlikely(!kept_added(o, k)))
		goto later;
	to = o->again == 0 ? mr_promise_room(c, h.bytes) : NULL;
	if (mr_unlikely(to == NULL)) {
		if (!write_one(o, o->unsent++))
			goto later;
		return 0;
	}
	o->unsent++;
	mr_message_copy(to, kept, h.bytes);
	mr_promise_pushed(c, h.bytes);
	k->mark = mr_promise_tail(c);
	k->state = MR_KEPT_SENT;
	return 0;
later:
	c->outboxes_busy = true;
	return 0;
}

/* Outcomes. */

static void done(struct mr_outbox *o, uint32_t position, int error)
{
	struct mr_kept *k = kept_at(o, position);
	uint64_t id = k->id;

	if (k->state == MR_KEPT_AGAIN)
		o->again--;
	k->state = MR_KEPT_DONE;
	if (error != 0 && o->client->promise_error == 0)
		o->client->promise_error = error;
	closed(o, 1);
	if (position == o->head)
		advance(o);
	if (o->told != NULL)
		o->told(o, id, error);
}

/* The position of an open message. False: there is none, as an answer to one that was sent twice has none. */
static inline bool find(const struct mr_outbox *o, uint64_t id, uint32_t *position)
{
	uint32_t guess = (uint32_t)(id - o->id_offset);

	if (mr_likely(guess - o->head < o->tail - o->head && kept_at(o, guess)->id == id)) {
		*position = guess;
		if (kept_at(o, guess)->state != MR_KEPT_DONE)
			return true;
	}
	for (uint32_t p = o->head; p != o->tail; p++) {
		if (kept_at(o, p)->id != id || kept_at(o, p)->state == MR_KEPT_DONE)
			continue;
		*position = p;
		return true;
	}
	return false;
}

bool mr_outbox_has(const struct mr_outbox *o, uint64_t id)
{
	uint32_t position;

	return find(o, id, &position);
}

static void later(struct mr_outbox *o, uint32_t position)
{
	struct mr_kept *k = kept_at(o, position);
	uint64_t wait_ns = AGAIN_NS_MIN << (k->tries < 8 ? k->tries : 7);

	if (k->tries++ >= TRIES_MAX) {
		done(o, position, -EBUSY);
		return;
	}
	if (wait_ns > AGAIN_NS_MAX)
		wait_ns = AGAIN_NS_MAX;
	if (k->state != MR_KEPT_AGAIN) {
		if (o->again++ == 0)
			o->again_ns = mr_now_ns() + wait_ns;
		k->state = MR_KEPT_AGAIN;
	}
	o->client->outboxes_busy = true;
	mr_house_by(o->client, o->again_ns);
}

/* The queue went away: its number is asked for, and everything goes out anew. */
static void unknown(struct mr_outbox *o)
{
	if (o->target == 0)
		return;
	mr_outbox_target(o, 0, mr_now_ns());
}

static void outcome(struct mr_outbox *o, uint32_t position, uint32_t status)
{
	switch (status) {
	case MRF_STATUS_CODE_OK: done(o, position, 0); break;
	case MRF_STATUS_CODE_OVERLOADED: later(o, position); break;
	case MRF_STATUS_CODE_NOT_FOUND: unknown(o); break;
	case MRF_STATUS_CODE_TOO_OLD: done(o, position, -ESTALE); break;
	case MRF_STATUS_CODE_BAD: done(o, position, -EINVAL); break;
	default: done(o, position, -EPROTO); break;
	}
}

/* One of which only some pieces went out may be refused by then, which ends it. */
static bool is_answerable(struct mr_outbox *o, uint32_t position, uint32_t status)
{
	if (mr_likely(kept_at(o, position)->state != MR_KEPT_UNSENT))
		return true;
	if (!o->writing || o->writing_at != position || status == MRF_STATUS_CODE_OK)
		return false;
	o->writing = false;
	return true;
}

/* Of `count` ids from `first` on those that stand in a row and wait for just that are done, all at once.
 * Returns how many. */
static uint32_t done_row(struct mr_outbox *o, uint64_t first, uint32_t count)
{
	uint32_t at = (uint32_t)(first - o->id_offset);
	uint32_t done_count = 0;

	if (mr_unlikely(at - o->head >= o->tail - o->head))
		return 0;
	if (count > o->tail - at)
		count = o->tail - at;
	for (; done_count < count; done_count++) {
		struct mr_kept *k = kept_at(o, at + done_count);

		if (k->id != first + done_count || k->state != MR_KEPT_SENT)
			break;
		k->state = MR_KEPT_DONE;
	}
	closed(o, done_count);
	if (at == o->head)
		advance(o);
	for (uint32_t i = 0; i < done_count && o->told != NULL; i++)
		o->told(o, first + i, 0);
	return done_count;
}

void mr_outbox_accepted(struct mr_outbox *o, const struct mrf_accepted_range *range)
{
	uint32_t count = range->count;
	uint32_t position, done_count = 0;

	if (count > o->tail - o->head) {
		o->client->malformed++;
		return;
	}
	if (mr_likely(range->status == MRF_STATUS_CODE_OK))
		done_count = done_row(o, range->first, count);
	for (uint32_t i = done_count; i < count; i++) {
		if (!find(o, range->first + i, &position) ||
			!is_answerable(o, position, range->status))
			o->client->unmatched++;
		else
			outcome(o, position, range->status);
	}
}

void mr_outbox_fail(struct mr_outbox *o, int error)
{
	uint32_t end = o->tail;

	o->writing = false;
	o->unsent = end;
	for (uint32_t p = o->head; p != end; p++) {
		if (kept_at(o, p)->state != MR_KEPT_DONE)
			done(o, p, error);
	}
}

void mr_outbox_look(struct mr_outbox *o)
{
	uint64_t taken = mr_promise_taken(o->client);

	while (o->head != o->unsent && !(o->writing && o->writing_at == o->head)) {
		struct mr_kept *k = kept_at(o, o->head);

		if ((int64_t)(taken - k->mark) < 0)
			break;
		done(o, o->head, 0);
	}
}

/* Everything that is open goes out anew. */
static void rewind_all(struct mr_outbox *o)
{
	o->writing = false;
	o->again = 0;
	o->again_ns = 0;
	for (uint32_t p = o->head; p != o->tail; p++) {
		struct mr_kept *k = kept_at(o, p);

		if (k->state != MR_KEPT_DONE)
			k->state = MR_KEPT_UNSENT;
	}
	advance(o);
	o->unsent = o->head;
}

void mr_outbox_target(struct mr_outbox *o, uint32_t target, uint64_t find_ns)
{
	o->target = target;
	if (target == 0) {
		rewind_all(o);
		o->again_ns = find_ns;
		mr_house_by(o->client, find_ns);
	}
	if (target == 0 || o->head != o->tail)
		o->client->outboxes_busy = true;
}

void mr_outboxes_lost(struct mr_client *c)
{
	for (struct mr_outbox *o = c->outboxes; o != NULL; o = o->next) {
		if (o->by_mark)
			mr_outbox_look(o);
		rewind_all(o);
		o->target = 0;
	}
}
