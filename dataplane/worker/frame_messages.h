/* SPDX-License-Identifier: Apache-2.0 */
/* frame_messages: the messages of a frame, in place, into the burst. Private to the worker.
 *
 * Inline: it is most of what a frame costs, and both flows end here.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_FRAME_MESSAGES_H
#define MILLRACE_WORKER_FRAME_MESSAGES_H

#include "dataplane/worker/beyond.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/backpressure.h"

/* What is left of a frame. */
struct mr_frame_messages {
	const uint8_t *at;
	uint32_t left;  /* bytes */
	uint32_t count; /* messages, as the frame says */
};

/* What only frames carry: Close, and what means nothing any more. */
void mr_worker_take_special(struct mr_session *s, struct mrf_message_header h);

/* Into the burst, which is routed whenever it is full, and counts them. False: the message at k->at
 * has to wait, and so all behind it, if the frame is one that may (`waits`). `promises`: the frame is of
 * the reliable flow, in which alone a promise is one, whether it may wait or not. `passed`: so many bytes were
 * looked through before (beyond.h). */
MR_ALWAYS_INLINE bool mr_worker_take_frame_messages(struct mr_worker *w, struct mr_session *s,
	struct mr_frame_messages *k, bool waits, bool promises, uint32_t passed)
{
	const uint8_t *at = k->at, *end = at + k->left;
	const uint8_t *passed_to = at + (passed < k->left ? passed : k->left);
	uint32_t count = k->count, i;
	bool stalled = false;

	for (i = 0; i < count && at < end; i++) {
		uint64_t word = mr_message_load_64(at);
		struct mrf_message_header h = mr_message_header(word);

		if (mr_unlikely(!mr_message_fits(&h, (size_t)(end - at))))
			break;
		if (passed != 0 && mr_unlikely(at < passed_to) && mr_message_passes(h)) {
			at += mr_message_stride(h.bytes); /* it was taken before */
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
