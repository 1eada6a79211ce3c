/* SPDX-License-Identifier: Apache-2.0 */
/* rx: takes a burst of messages from the channels of local clients. */
#include "dataplane/worker/beyond.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/share.h"

/* Marks a channel as corrupt: nothing more is read from it, and the table writer closes the
 * session. */
static void mark_corrupt(struct mr_worker *w, struct mr_session *s, enum mr_corrupt why)
{
	if (!atomic_load_explicit(&s->corrupt, memory_order_relaxed)) {
		mr_count(w->stats->channel_corrupt, 1);
		/* [session.corrupt] */
		atomic_store_explicit(&s->corrupt, why, memory_order_release);
		mr_bell_ring(w->writer_bell_fd);
	}
}

/* Returns how much of `taken` is new: route.c counts what it leaves in the ring. */
static uint32_t count_new(uint32_t *reread, uint32_t taken)
{
	uint32_t again = taken < *reread ? taken : *reread;

	*reread -= again;
	return taken - again;
}

/* Handles a publish that waits behind the first `from` bytes. */
static void __attribute__((noinline))
publish_waits(struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t from)
{
	mr_worker_count_pause(w, s);
	mr_worker_ring_beyond(w, s, ready, from);
}

/* Takes messages of one session into the burst; returns their bytes. `looked`: s->looked_beyond.
 * Inlined twice, so that the usual case has no test of it. The next message depends on this one's
 * length, which stays in registers. */
MR_ALWAYS_INLINE uint32_t take_ready(
	struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t bytes_max, bool looked)
{
	const uint8_t *first = mr_bytes_peek(&s->up), *end = first + ready, *at = first;
	const uint8_t *stop = first + (ready < bytes_max ? ready : bytes_max);
	const uint8_t *passed = first + (looked ? mr_worker_ring_passed(s) : 0);
	uint32_t messages_max = MR_BURST - w->burst_count, left, messages, bytes;
	bool waits = false;

	if (messages_max > mr_session_burst(s))
		messages_max = mr_session_burst(s);
	/* A message's place depends on the length of the one before it, so the processor cannot
	 * prefetch it by itself. */
	mr_prefetch_lines(at, ready);
	for (left = messages_max; at < stop && left > 0;) {
		uint64_t word = mr_message_load_64(at);
		struct mrf_message_header h = mr_message_header_of(word);
		uint32_t stride = mr_message_stride(h.bytes);

		if (mr_unlikely(!mr_message_fits(&h, (size_t)(end - at)))) {
			/* The start of the next message is not known. */
			mark_corrupt(w, s, MR_CORRUPT_MESSAGE);
			break;
		}
		if (looked && ((at < passed && mr_message_passes(h)) ||
				      mr_worker_was_refused(w, s, (uint32_t)(at - first), at, h))) {
			at += stride; /* taken before, or discarded */
			continue;
		}
		if (mr_unlikely(!mr_worker_take(w, s, at, word))) {
			publish_waits(w, s, ready, (uint32_t)(at - first));
			waits = true;
			break;
		}
		at += stride;
		left--;
	}
	if (mr_unlikely(at == first)) {
		if (looked && !waits)
			s->looked_beyond = at < passed || s->reread_bytes > 0;
		return 0;
	}
	mr_bytes_skip(&s->up, (size_t)(at - first));
	messages = messages_max - left;
	bytes = (uint32_t)(at - first);
	if (looked) {
		messages = count_new(&s->reread_messages, messages);
		bytes = count_new(&s->reread_bytes, bytes);
		w->reread_bytes += (uint32_t)(at - first) - bytes;
	}
	if (looked && !waits)
		s->looked_beyond = at < passed || s->reread_messages > 0 || s->reread_bytes > 0;
	mr_count(s->stats->rx_messages, messages);
	mr_count(s->stats->rx_bytes, bytes);
	mr_count(w->stats->rx_messages, messages);
	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	if (!s->consumed) {
		s->consumed = true;
		w->consumed[w->consumed_count++] = s;
	}
	return (uint32_t)(at - first);
}

/* The rare cases: nothing is ready, the ring is corrupt, or some messages were taken already. */
static uint32_t __attribute__((noinline))
take_rare(struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t bytes_max)
{
	if (ready == 0) {
		mr_worker_answer_unread(w, s);
		return 0;
	}
	if (ready == MR_BYTES_CORRUPT) {
		mark_corrupt(w, s, MR_CORRUPT_POSITION);
		return 0;
	}
	return take_ready(w, s, ready, bytes_max, true);
}

MR_ALWAYS_INLINE uint32_t take_session_burst(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes_max)
{
	size_t ready = mr_unlikely(s->looked_beyond) ? mr_bytes_readable_now(&s->up)
						     : mr_bytes_readable(&s->up);

	if (ready == 0 && mr_likely(!atomic_load_explicit(&s->gone, memory_order_acquire)))
		return 0; /* [session.gone] */
	if (mr_unlikely(ready == 0 || ready == MR_BYTES_CORRUPT || s->looked_beyond))
		return take_rare(w, s, ready, bytes_max);
	return take_ready(w, s, ready, bytes_max, false);
}

/* Handles a paused session: the publish at its ring's head waits. Messages behind it are looked
 * through. */
static void look_past_pause(struct mr_worker *w, struct mr_session *s)
{
	size_t ready = mr_bytes_readable_now(&s->up);

	mr_worker_count_pause(w, s);
	if (s->late != NULL)
		return; /* the late message goes first */
	if (mr_unlikely(ready == MR_BYTES_CORRUPT))
		mark_corrupt(w, s, MR_CORRUPT_POSITION);
	else if (ready > 0)
		mr_worker_ring_beyond(w, s, ready, 0);
}

/* Takes a burst from the sessions that have not used up their share; returns its bytes. Counts the
 * others in *ahead; *first is the earliest virtual time at which one of them has a share again. */
MR_ALWAYS_INLINE uint32_t take_burst(
	struct mr_worker *w, const struct mr_poll_list *list, uint64_t *first, uint32_t *ahead)
{
	uint32_t bytes = 0;

	/* The next burst begins with the first session that did not get into this one. */
	if (w->cursor >= list->count)
		w->cursor = 0;
	for (uint32_t i = 0, at = w->cursor; i < list->count; i++) {
		struct mr_session *s = list->sessions[at];

		if (mr_unlikely(atomic_load_explicit(&s->corrupt, memory_order_relaxed))) {
			; /* the table writer closes it */
		} else if (mr_unlikely(mr_session_stays_paused(s))) {
			look_past_pause(w, s);
		} else if (mr_unlikely(
				   mr_session_is_ahead(w, s) && mr_bytes_readable(&s->up) > 0)) {
			if ((*ahead)++ == 0 || (int64_t)(s->share_due - *first) < 0)
				*first = s->share_due;
		} else if (mr_likely(s->late == NULL)) {
			bytes += take_session_burst(w, s, MR_BURST_BYTES - bytes);
		}
		at = at + 1 < list->count ? at + 1 : 0;
		/* Some sessions may add nothing to the burst, so their number is bounded, too. */
		if (w->burst_count == MR_BURST || bytes >= MR_BURST_BYTES ||
			w->consumed_count == MR_BURST) {
			w->cursor = at;
			break;
		}
	}
	return bytes;
}

/* Only sessions that have used up their share have messages. The worker must not stand still, so
 * virtual time advances to where the first of them has a share again. */
static uint32_t __attribute__((noinline)) advance_virtual_time(
	struct mr_worker *w, const struct mr_poll_list *list, uint64_t first, uint32_t *ahead)
{
	w->share.now = first;
	return take_burst(w, list, &first, ahead);
}

void mr_worker_rx(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */
	uint32_t bytes, ahead = 0;
	uint64_t first = 0;

	w->burst_count = 0;
	w->reread_bytes = 0;
	if (mr_unlikely(!mr_worker_mesh_ready(w))) {
		mr_count(w->stats->mesh_stalls, 1);
		return;
	}
	bytes = take_burst(w, list, &first, &ahead);
	if (mr_unlikely(ahead > 0 && bytes == 0 && w->share.turns == 0))
		bytes = advance_virtual_time(w, list, first, &ahead);
	if (bytes > 0) {
		mr_count(w->stats->rx_bytes, bytes - w->reread_bytes);
		w->moved = true;
	}
	if (mr_unlikely(ahead > 0)) {
		w->moved = true;
		/* Sessions wait until others are charged. So end the current turn, also of a
		 * session that has had several bursts in a row. */
		w->share.last = NULL;
	}
}
