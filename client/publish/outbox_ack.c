/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_ack: outcomes of promised messages, from the bus's answers and from its position in the
 * ring. */
#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/publish/outbox.h"

#define TRIES_MAX        10u
#define RETRY_NS_MIN     (10 * MR_NS_PER_MS)
#define RETRY_NS_MAX     (1000 * MR_NS_PER_MS)
#define UNLIMITED_NS_MAX (100 * MR_NS_PER_MS) /* for queues that make publishers wait */

void mr_outbox_done(struct mr_outbox *o, uint32_t position, int error)
{
	struct mr_outbox_entry *k = mr_outbox_entry_at(o, position);
	uint64_t id = k->id, publisher = k->publisher;
	bool output = k->output;

	if (k->state == MR_ENTRY_RETRANSMIT)
		o->retransmits--;
	k->state = MR_ENTRY_DONE;
	if (error != 0 && !output && o->client->promise_error == 0)
		o->client->promise_error = error;
	mr_outbox_closed(o, k->count);
	if (position == o->head)
		mr_outbox_store_advance(o);
	if (output)
		o->on_output(o, publisher, id, error);
	else if (o->on_outcome != NULL)
		o->on_outcome(o, id, error);
}

static inline bool is_open(const struct mr_outbox_entry *k, uint64_t publisher, uint64_t id)
{
	return k->id == id && k->publisher == publisher && k->state != MR_ENTRY_DONE;
}

/* Finds an open message. False: there is none; a message that was sent twice is answered twice. */
static inline bool find_open(
	const struct mr_outbox *o, uint64_t publisher, uint64_t id, uint32_t *position)
{
	uint32_t guess = (uint32_t)(id - o->id_offset);

	if (mr_likely(guess - o->head < o->tail - o->head &&
		      is_open(mr_outbox_entry_at(o, guess), publisher, id))) {
		*position = guess;
		return true;
	}
	for (uint32_t p = o->head; p != o->tail; p++) {
		if (!is_open(mr_outbox_entry_at(o, p), publisher, id))
			continue;
		*position = p;
		return true;
	}
	return false;
}

bool mr_outbox_has(const struct mr_outbox *o, uint64_t publisher, uint64_t id)
{
	uint32_t position;

	return find_open(o, publisher, id, &position);
}

bool mr_outbox_has_id(const struct mr_outbox *o, uint64_t id)
{
	for (uint32_t p = o->head; p != o->tail; p++) {
		const struct mr_outbox_entry *k = mr_outbox_entry_at(o, p);

		if (k->id == id && k->state != MR_ENTRY_DONE && !k->output)
			return true;
	}
	return false;
}

void mr_outbox_mark_output(struct mr_outbox *o)
{
	mr_outbox_entry_at(o, o->tail - 1)->output = true;
}

static void retry_later(struct mr_outbox *o, uint32_t position, int error)
{
	struct mr_outbox_entry *k = mr_outbox_entry_at(o, position);
	bool unlimited = o->unlimited_tries && error == -EBUSY;
	uint64_t max_ns = unlimited ? UNLIMITED_NS_MAX : RETRY_NS_MAX;
	uint64_t wait_ns = RETRY_NS_MIN << (k->tries < 8 ? k->tries : 7);

	k->tries += k->tries < TRIES_MAX;
	if (k->tries == TRIES_MAX && !unlimited) {
		mr_outbox_done(o, position, error);
		return;
	}
	if (wait_ns > max_ns)
		wait_ns = max_ns;
	if (k->state != MR_ENTRY_RETRANSMIT) {
		if (o->retransmits++ == 0)
			o->retry_ns = mr_now_ns() + wait_ns;
		k->state = MR_ENTRY_RETRANSMIT;
	}
	o->client->outboxes_busy = true;
	mr_housekeep_by(o->client, o->retry_ns);
}

/* The queue was removed: asks for its number again, then sends everything anew. */
static void queue_unknown(struct mr_outbox *o)
{
	if (o->target == 0)
		return;
	mr_outbox_target(o, 0, mr_now_ns());
}

static void handle_status(struct mr_outbox *o, uint32_t position, uint32_t status)
{
	switch (status) {
	case MRF_STATUS_CODE_OK: mr_outbox_done(o, position, 0); break;
	case MRF_STATUS_CODE_OVERLOADED: retry_later(o, position, -EBUSY); break;
	case MRF_STATUS_CODE_NO_MEMORY: retry_later(o, position, -ENOBUFS); break;
	case MRF_STATUS_CODE_SHARE_USED: retry_later(o, position, -EDQUOT); break;
	case MRF_STATUS_CODE_NOT_FOUND: queue_unknown(o); break;
	case MRF_STATUS_CODE_TOO_OLD: mr_outbox_done(o, position, -ESTALE); break;
	case MRF_STATUS_CODE_BAD: mr_outbox_done(o, position, -EINVAL); break;
	default: mr_outbox_done(o, position, -EPROTO); break;
	}
}

/* True if an answer may be for this entry. A message may be refused, or known to the queue, when
 * only some of its fragments were sent; the others need not be sent then. */
static bool is_answerable(struct mr_outbox *o, uint32_t position)
{
	if (mr_likely(mr_outbox_entry_at(o, position)->state != MR_ENTRY_UNSENT))
		return true;
	if (!o->writing || o->writing_at != position || o->writing_bytes == 0)
		return false;
	o->writing = false;
	return true;
}

/* Finishes at once those of the `count` ids from `first` on that stand in a row and are sent.
 * Returns how many. */
static uint32_t done_row(struct mr_outbox *o, uint64_t publisher, uint64_t first, uint32_t count)
{
	uint32_t at = (uint32_t)(first - o->id_offset);
	uint32_t done_count = 0;

	if (mr_unlikely(at - o->head >= o->tail - o->head))
		return 0;
	if (count > o->tail - at)
		count = o->tail - at;
	for (; done_count < count; done_count++) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, at + done_count);

		if (k->id != first + done_count || k->publisher != publisher ||
			k->state != MR_ENTRY_SENT || k->output)
			break;
		k->state = MR_ENTRY_DONE;
	}
	mr_outbox_closed(o, done_count);
	if (at == o->head)
		mr_outbox_store_advance(o);
	for (uint32_t i = 0; i < done_count && o->on_outcome != NULL; i++)
		o->on_outcome(o, first + i, 0);
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
		done_count = done_row(o, range->publisher, range->first, count);
	for (uint32_t i = done_count; i < count; i++) {
		if (!find_open(o, range->publisher, range->first + i, &position) ||
			!is_answerable(o, position))
			o->client->unmatched++;
		else
			handle_status(o, position, range->status);
	}
}

void mr_outbox_fail(struct mr_outbox *o, int error)
{
	uint32_t end = o->tail;

	o->writing = false;
	o->unsent = end;
	for (uint32_t p = o->head; p != end; p++) {
		if (mr_outbox_entry_at(o, p)->state != MR_ENTRY_DONE)
			mr_outbox_done(o, p, error);
	}
}

void mr_outbox_finish_taken(struct mr_outbox *o)
{
	uint64_t taken = mr_ring_promised_taken(o->client);

	while (o->head != o->unsent && !(o->writing && o->writing_at == o->head)) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->head);

		if ((int64_t)(taken - k->mark) < 0)
			break;
		mr_outbox_done(o, o->head, 0);
	}
}
