/* SPDX-License-Identifier: Apache-2.0 */
/* frame: handles a received frame of a session: its path, its sequence, its messages. */
#include <errno.h>

#include <rte_mbuf.h>

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/frame_messages.h"
#include "lib/wire/path.h"

#define LOST_AT_FIRST 65536u
#define LOST_FOR_EACH 16u

/* Makes the Close for an unknown session. It carries no reason if it would be larger than the frame
 * that it answers: the source address may be forged (amplification, RFC 9000 §8). */
static struct mr_message_plan close_for(const struct mr_frame *f, uint64_t memory[MR_CLOSE_WORDS])
{
	struct mr_message_plan plan = mr_worker_close_plan(-ENOTCONN, memory);

	if (sizeof(f->header) + plan.stride > f->bytes)
		plan = mr_message_plan(MRF_MESSAGE_KIND_CLOSE, NULL, NULL, 0, NULL, 0, 0);
	return plan;
}

/* Answers a frame of an unknown session with a Close: the bus was restarted, or has closed the
 * session. Frames outside of any flow get no answer: only buses send them, and two buses would
 * answer each other's Close for ever. */
static void answer_unknown(struct mr_worker *w, const struct mr_frame *f)
{
	uint64_t memory[MR_CLOSE_WORDS];
	struct mr_message_plan plan;

	if (f->header.sequence == 0 || !mr_rate_take(&w->closes, w->tsc_hz, mr_worker_clock(w))) {
		mr_count(w->stats->drop_no_session, 1);
		return;
	}
	plan = close_for(f, memory);
	if (mr_worker_send_apart(w, &f->path, f->header.session, &plan, 0))
		mr_count(w->stats->closes_sent, 1);
	else
		mr_count(w->stats->drop_no_session, 1);
}

/* Bounds the loss that a frame's sequence shows. The client chooses its sequences and could make
 * the counters show any loss. So at most 16 lost frames are counted for each that came, plus
 * LOST_AT_FIRST. */
static int64_t credible_loss(const struct mr_session *s, int64_t lost)
{
	uint64_t counted = s->stats->frames_lost;
	uint64_t most = LOST_AT_FIRST + LOST_FOR_EACH * s->stats->frames_rx;

	if (lost < 0)
		return counted >= (uint64_t)-lost ? lost : 0;
	if (counted >= most)
		return 0;
	return (uint64_t)lost <= most - counted ? lost : (int64_t)(most - counted);
}

static void count_order(
	struct mr_worker *w, struct mr_session *s, enum mr_frame_order order, int64_t lost)
{
	lost = mr_unlikely(lost != 0) ? credible_loss(s, lost) : 0;
	mr_count(w->stats->frames_lost, lost);
	mr_count(s->stats->frames_lost, lost);
	if (order == MR_FRAME_LATE) {
		mr_count(w->stats->frames_late, 1);
		mr_count(s->stats->frames_late, 1);
	}
}

/* Counts the frame's sequence; false if it is a duplicate. */
static bool take_sequence(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_remote *r = s->remote;
	int64_t lost;
	enum mr_frame_order order = mr_frame_take(&r->window, f->header.sequence, &lost);

	if (mr_unlikely(order == MR_FRAME_DUPLICATE)) {
		mr_count(w->stats->drop_duplicate_frame, 1);
		mr_count(s->stats->frames_duplicate, 1);
		return false;
	}
	if (mr_unlikely(lost != 0))
		count_order(w, s, order, lost);
	mr_worker_note_frame(w, s, f);
	return true;
}

static void take_datagram_messages(
	struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_frame_messages k = {f->at + sizeof(f->header),
		f->bytes - (uint32_t)sizeof(f->header), f->header.messages};

	(void)mr_worker_take_frame_messages(w, s, &k, false, false, 0);
}

void mr_worker_frame(struct mr_worker *w, const struct mr_frame *f)
{
	uint64_t id = f->header.session;
	struct mr_session *s = NULL;
	struct mr_remote *r;

	if (mr_likely(mr_session_worker(id) == w->index))
		s = mr_directory_find(
			&w->directory, mr_session_slot(id), mr_session_generation(id));
	if (mr_unlikely(s == NULL || s->remote == NULL)) {
		answer_unknown(w, f);
		return;
	}
	r = s->remote;
	if (mr_unlikely(atomic_load_explicit(&r->end, memory_order_relaxed) != MR_REMOTE_LIVES)) {
		mr_count(w->stats->drop_no_session, 1);
		return;
	}
	if (mr_unlikely(w->bind_mac) && r->path.peer_mac != f->path.peer_mac) {
		mr_count(w->stats->drop_wrong_mac, 1);
		return;
	}
	if (mr_unlikely(!mr_path_same(&r->path, &f->path))) {
		if (!mr_worker_validate_path(w, s, f))
			return;
	}
	if (mr_likely(f->header.flags == 0) || mr_worker_flow_frame(w, s, f))
		if (mr_likely(take_sequence(w, s, f)))
			take_datagram_messages(w, s, f);
	if (mr_unlikely(mr_worker_is_closed(s)))
		mr_worker_flow_finish(w, s); /* the frame had a Close */
}
