/* SPDX-License-Identifier: Apache-2.0 */
/* flow_rx: receives frames of the reliable flow: takes them in their turn, or puts them into slots.
 * */
#include "dataplane/worker/beyond.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/frame_messages.h"

/* Frames taken from one session's slots at a time; with the smallest messages, a few thousand
 * messages. */
#define SLOTS_A_ROUND 8u

static void process_ack(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f,
	const uint64_t *came, uint32_t words)
{
	struct mr_flow *flow = &s->remote->flow;
	int gone = -1;

	if (mr_likely(flow->memory != NULL))
		gone = mr_reliable_tx_ack(&flow->tx, f->header.ack, f->header.credit, came, words,
			mr_worker_flow_ns(w));
	if (mr_unlikely(gone < 0)) {
		mr_count(w->stats->bad_acks, 1);
		return;
	}
	flow->knows_flow = true;
	mr_gauge(s->stats->rtt_ns, flow->tx.rtt_ns);
	if (!flow->listed && mr_reliable_tx_due_ns(&flow->tx) != UINT64_MAX)
		mr_worker_flow_list(w, s);
}

/* Handles an ack in a frame of its own, which is outside of both flows. */
static void take_ack(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	int words = mr_reliable_selective_ack(&f->header, f->at + sizeof(f->header),
		f->bytes - (uint32_t)sizeof(f->header), came);

	if (mr_unlikely(words < 0)) {
		mr_count(w->stats->bad_acks, 1);
		return;
	}
	mr_worker_note_life(w, s);
	mr_count(w->stats->frames_rx, 1);
	mr_count(s->stats->frames_rx, 1);
	process_ack(w, s, f, came, (uint32_t)words);
}

/* Counts the session as active in this activity window. */
static void note_active(struct mr_worker *w, struct mr_flow *flow)
{
	if (flow->activity_window == w->flows.activity_window)
		return;
	flow->activity_window = w->flows.activity_window;
	w->flows.active_now++;
}

/* Takes the messages of a frame in its turn. False: a message has to wait, and *k names the rest.
 * */
MR_ALWAYS_INLINE bool take_messages(
	struct mr_worker *w, struct mr_session *s, struct mr_frame_messages *k, uint32_t passed)
{
	bool all = mr_worker_take_frame_messages(w, s, k, true, true, passed);

	if (mr_unlikely(!all))
		mr_worker_count_pause(w, s);
	return all;
}

static uint32_t beyond_of(uint32_t sequence, uint32_t used)
{
	return sequence << 16 | used;
}

static uint32_t beyond_used(const struct mr_session *s)
{
	return s->beyond & 0xffff;
}

static bool is_beyond(const struct mr_session *s, uint32_t sequence)
{
	return s->beyond >> 16 == (sequence & 0xffff);
}

/* Returns how many bytes of the slot's remaining messages were looked through before. */
static uint32_t passed_of(const struct mr_session *s, const struct mr_flow_slot *slot)
{
	if (mr_likely(!s->looked_beyond))
		return 0;
	if (!is_beyond(s, s->remote->flow.rx.taken))
		return UINT32_MAX;
	return beyond_used(s) > slot->offset ? beyond_used(s) - slot->offset : 0;
}

/* Releases the slot of the frame that was taken. Forgets `beyond` if it lies in that frame. */
static void release_slot(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	struct mr_flow_slot *slot = mr_flow_let_go(flow, flow->rx.taken);

	if (slot != NULL)
		mr_early_give(&w->early, slot);
	if (mr_unlikely(s->looked_beyond))
		s->looked_beyond = !is_beyond(s, flow->rx.taken);
	mr_reliable_rx_let_go(&flow->rx);
	if (mr_unlikely(s->looked_beyond))
		s->looked_beyond = s->beyond != beyond_of(flow->rx.taken, 0);
}

/* Returns the first frame that was not looked through completely. */
static uint32_t first_beyond(const struct mr_session *s)
{
	uint32_t sequence = s->remote->flow.rx.taken;

	while (sequence != s->remote->flow.rx.next && !is_beyond(s, sequence))
		sequence = mr_reliable_after(sequence);
	return sequence;
}

/* Looks through the frames behind a publish that waits, and takes all messages but publishes
 * (beyond.h). */
static void look_beyond(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t looks = MR_BEYOND_LOOKS, sequence;

	if (s->late != NULL)
		return; /* the late message goes first */
	if (!s->looked_beyond)
		s->beyond = beyond_of(flow->rx.taken, 0);
	s->looked_beyond = true;
	for (sequence = first_beyond(s); sequence != flow->rx.next;
		sequence = mr_reliable_after(sequence)) {
		const struct mr_flow_slot *slot = mr_flow_slot(flow, sequence);
		uint32_t used = beyond_used(s);
		struct mr_beyond b = {.at = (const uint8_t *)(slot + 1),
			.bytes = slot->offset + slot->bytes,
			.used = used > slot->offset ? used : slot->offset,
			.looks = looks};

		if (mr_worker_look_beyond(w, s, &b) == MR_BEYOND_STOP) {
			s->beyond = beyond_of(sequence, b.used);
			return;
		}
		looks = b.looks;
		s->beyond = beyond_of(mr_reliable_after(sequence), 0);
	}
}

/* Takes the waiting frame whose turn it is. `waits`: its messages may wait for full receivers.
 * False: a message has to wait. */
static bool take_slot(struct mr_worker *w, struct mr_session *s, bool waits)
{
	struct mr_flow *flow = &s->remote->flow;
	struct mr_flow_slot *slot = mr_flow_slot(flow, flow->rx.taken);
	const uint8_t *at = (const uint8_t *)(slot + 1) + slot->offset;
	struct mr_frame_messages k = {at, slot->bytes, slot->messages};
	uint32_t passed = passed_of(s, slot);
	bool all = waits ? take_messages(w, s, &k, passed)
			 : mr_worker_take_frame_messages(w, s, &k, false, true, passed);

	w->moved = true;
	if (all) {
		release_slot(w, s);
		return true;
	}
	slot->offset += (uint32_t)(k.at - at);
	slot->bytes = k.left;
	slot->messages = (uint16_t)k.count;
	return false;
}

static void take_slots(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;

	if (mr_unlikely(mr_session_stays_paused(s))) {
		mr_worker_count_pause(w, s);
		look_beyond(w, s);
		return;
	}
	if (mr_unlikely(mr_session_must_wait(w, s))) {
		w->moved = true;
		if (w->share.turns > 0 || s->late != NULL)
			return;
		w->share.now = s->share_due;
	}
	for (uint32_t i = 0; i < SLOTS_A_ROUND && mr_reliable_rx_waits(&flow->rx); i++)
		if (!take_slot(w, s, true)) {
			look_beyond(w, s);
			break;
		}
	if (mr_unlikely(mr_worker_is_closed(s)))
		mr_worker_flow_finish(w, s);
}

/* First takes what came before the session's end, a few frames at a time. Then the table writer
 * closes it. */
void mr_worker_flow_finish(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;

	mr_worker_route_now(w);
	for (uint32_t i = 0; i < SLOTS_A_ROUND && s->late == NULL; i++) {
		if (!mr_reliable_rx_waits(&flow->rx))
			break;
		(void)take_slot(w, s, false);
		mr_worker_route_now(w);
	}
	w->moved = true;
	if (mr_reliable_rx_waits(&flow->rx)) {
		mr_worker_flow_list(w, s);
		w->flows.any_waits = true;
	} else if (s->late == NULL) {
		mr_worker_remote_close(w, s);
	}
}

void mr_worker_flows_take(struct mr_worker *w)
{
	if (mr_likely(!w->flows.any_waits))
		return;
	w->flows.any_waits = false;
	for (uint32_t i = 0; i < w->flows.count; i++) {
		const struct mr_flow_entry *e = &w->flows.list[i];
		struct mr_session *s = mr_directory_find(&w->directory, e->slot, e->generation);

		if (s == NULL || !mr_reliable_rx_waits(&s->remote->flow.rx))
			continue;
		w->flows.any_waits = true;
		if (!mr_worker_mesh_ready(w))
			;
		else if (mr_likely(!mr_worker_is_closed(s)))
			take_slots(w, s);
		else if (s->late == NULL)
			mr_worker_flow_finish(w, s);
		/* Routes are released at the end of a round; and other sessions follow. */
		mr_worker_route_now(w);
	}
}

static void keep_frame(struct mr_worker *w, struct mr_flow *flow, struct mr_flow_slot *slot,
	uint32_t sequence, const uint8_t *at, const struct mr_frame_messages *k)
{
	mr_flow_keep(flow, slot, sequence, at, (uint32_t)(k->at - at), k->left, k->count);
	mr_count(w->stats->frames_held, 1);
}

static struct mr_frame_messages messages_of(const struct mr_frame *f)
{
	return (struct mr_frame_messages){f->at + sizeof(f->header),
		f->bytes - (uint32_t)sizeof(f->header), f->header.messages};
}

/* Takes a frame in its turn, from the buffer. If a message has to wait, the rest of the frame goes
 * into the session's own slot. */
static void take_now(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_flow *flow = &s->remote->flow;
	struct mr_frame_messages k = messages_of(f);

	if (mr_likely(take_messages(w, s, &k, 0)))
		mr_reliable_rx_let_go(&flow->rx);
	else
		keep_frame(w, flow, mr_flow_own(flow), f->header.sequence,
			f->at + sizeof(f->header), &k);
	w->flows.any_waits |= mr_reliable_rx_waits(&flow->rx);
}

/* Returns a slot for a frame that is early or behind a waiting one. NULL: no room; the client
 * retransmits the frame. */
static struct mr_flow_slot *room_for(struct mr_worker *w, struct mr_session *s, bool in_turn)
{
	struct mr_flow *flow = &s->remote->flow;
	struct mr_flow_slot *slot = in_turn && mr_flow_own_free(flow)
					    ? mr_flow_own(flow)
					    : mr_early_take(&w->early, flow, s->peer);

	if (mr_unlikely(slot == NULL)) {
		flow->rx.ack_due = true; /* tells the client its credit */
		mr_count(w->stats->drop_early_full, 1);
	}
	return slot;
}

static void note_taken(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	mr_worker_note_frame(w, s, f);
	note_active(w, &s->remote->flow);
	mr_count(w->stats->reliable_rx, 1);
	mr_count(s->stats->reliable_rx, 1);
}

/* Handles a frame that cannot be taken from the buffer at once: a duplicate, one outside of the
 * window, one that is early or behind a waiting one. */
static void take_later(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_flow *flow = &s->remote->flow;
	enum mr_reliable_order order = mr_reliable_rx_look(&flow->rx, f->header.sequence);
	struct mr_flow_slot *slot = NULL;
	struct mr_frame_messages k = messages_of(f);

	if (order == MR_RELIABLE_NEXT || order == MR_RELIABLE_EARLY) {
		slot = room_for(w, s, order == MR_RELIABLE_NEXT);
		if (slot == NULL) {
			mr_worker_note_life(w, s);
			return;
		}
	}
	(void)mr_reliable_rx_take(&flow->rx, f->header.sequence);
	if (order == MR_RELIABLE_DUPLICATE) {
		/* A paused publisher sends nothing but retransmits: they count as heartbeats. */
		mr_worker_note_life(w, s);
		mr_count(w->stats->drop_reliable_again, 1);
		mr_count(s->stats->frames_duplicate, 1);
	} else if (order == MR_RELIABLE_WINDOW) {
		mr_count(w->stats->drop_reliable_window, 1);
	} else {
		note_taken(w, s, f);
		keep_frame(w, flow, slot, f->header.sequence, f->at + sizeof(f->header), &k);
		w->flows.any_waits |= mr_reliable_rx_waits(&flow->rx);
	}
}

static void take_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t sequence = f->header.sequence;

	if (!flow->listed)
		mr_worker_flow_list(w, s);
	if (mr_unlikely(sequence != flow->rx.next || flow->rx.taken != sequence ||
			mr_session_stays_paused(s) || mr_session_must_wait(w, s)) ||
		mr_unlikely(mr_reliable_rx_take(&flow->rx, sequence) != MR_RELIABLE_NEXT)) {
		take_later(w, s, f);
		return;
	}
	note_taken(w, s, f);
	take_now(w, s, f);
}

bool mr_worker_flow_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	const struct mr_flow *flow = &s->remote->flow;

	if (f->header.flags & MRF_FRAME_FLAG_ACK) {
		if (f->header.sequence == 0) {
			take_ack(w, s, f);
			return false;
		}
		process_ack(w, s, f, NULL, 0);
	}
	if (!(f->header.flags & MRF_FRAME_FLAG_RELIABLE))
		return true;
	if (mr_unlikely(flow->memory == NULL))
		mr_count(w->stats->drop_reliable_window, 1);
	else if (mr_unlikely(f->bytes > flow->slot_bytes))
		mr_count(w->stats->drop_bad_frame_length, 1);
	else
		take_frame(w, s, f);
	return false;
}
