/* SPDX-License-Identifier: Apache-2.0 */
/* frame_messages: takes the messages of a frame, in place, into the burst. Private to the worker.
 *
 * Inline, as it is most of a frame's cost. Both flows use it.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_FRAME_MESSAGES_H
#define MILLRACE_WORKER_FRAME_MESSAGES_H

#include "dataplane/worker/beyond.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/backpressure.h"

/* The rest of a frame. */
struct mr_frame_messages {
	const uint8_t *at;
	uint32_t left;  /* bytes */
	uint32_t count; /* messages, by the frame's header */
};

/* Handles a message of a kind that only frames carry: a Close; Padding and Path are ignored. */
void mr_worker_take_special(struct mr_session *s, struct mrf_message_header h);

/* Takes messages into the burst, which is routed whenever it is full, and counts them. False: the
 * message at k->at has to wait for a full receiver, and so have all behind it. `waits`: messages
 * may wait. `promises`: the frame is of the reliable flow; only there a publish can be promised.
 * `passed`: bytes that were looked through before (beyond.h). */
MR_ALWAYS_INLINE bool mr_worker_take_frame_messages(struct mr_worker *w, struct mr_session *s,
	struct mr_frame_messages *k, bool waits, bool promises, uint32_t passed)
{
	const uint8_t *at = k->at, *end = at + k->left;
	const uint8_t *passed_to = at + (passed < k->left ? passed : k->left);
	uint32_t count = k->count, i;
	bool stalled = false;

	for (i = 0; i < count && at < end; i++) {
		uint64_t word = mr_message_load_64(at);
		struct mrf_message_header h = mr_message_header_of(word);

		if (mr_unlikely(!mr_message_fits(&h, (size_t)(end - at))))
			break;
		if (passed != 0 && mr_unlikely(at < passed_to) && mr_message_passes(h)) {
			at += mr_message_stride(h.bytes); /* taken before */
			continue;
		}
		if (mr_unlikely(mr_worker_is_special(h.kind))) {
			mr_worker_take_special(s, h);
		} else if (!promises && mr_unlikely(mr_message_is_promised(h.flags)) &&
			   h.kind == MRF_MESSAGE_KIND_PUBLISH) {
			mr_worker_keep_unpromised(w, s, at, h);
		} else if (!waits) {
			mr_worker_keep_word(w, s, at, word);
		} else if (mr_unlikely(!mr_worker_take(w, s, at, word))) {
			stalled = true;
			break;
		}
		at += mr_message_stride(h.bytes);
		if (mr_unlikely(w->burst_count == MR_BURST))
			mr_worker_route_now(w);
	}
	if (mr_unlikely(!stalled && (at < end || i < count)))
		mr_count(w->stats->drop_bad_frame_length, 1);
	mr_count(s->stats->rx_messages, i);
	mr_count(s->stats->rx_bytes, (uint64_t)(at - k->at));
	mr_count(w->stats->rx_messages, i);
	mr_count(w->stats->rx_bytes, (uint64_t)(at - k->at));
	*k = (struct mr_frame_messages){at, (uint32_t)(end - at), count - i};
	return !stalled;
}

#endif
