/* SPDX-License-Identifier: Apache-2.0 */
/* flow_ack: writes acknowledgement and credit of the receiving direction into frames. */
#include "dataplane/worker/flows.h"

/* Least credit of a session in frames, however many sessions there are. */
#define SHARE_LEAST 2u

/* Returns the session's share, in frames, of the receive ring or of the memory for early frames,
 * whichever is less. */
static uint32_t share_of(const struct mr_worker *w, const struct mr_session *s)
{
	uint32_t active = w->flows.active_now > w->flows.active_before ? w->flows.active_now
								       : w->flows.active_before;
	uint32_t share = w->ports[s->remote->port].rx_entries / (active > 0 ? active : 1);
	uint32_t early = mr_early_frames_left(&w->early, &s->remote->flow, s->peer);

	/* An early frame needs memory until its turn. */
	if (mr_unlikely(early / (active > 0 ? active : 1) < share))
		share = early / (active > 0 ? active : 1);
	return share > SHARE_LEAST ? share : SHARE_LEAST;
}

void mr_worker_flow_write_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header,
	uint64_t came[MR_RELIABLE_SACK_WORDS], uint32_t *words)
{
	uint32_t ack, credit;

	*words = mr_reliable_rx_ack(&s->remote->flow.rx, share_of(w, s), &ack, &credit, came);
	mr_frame_write_ack(header, ack, credit);
}

void mr_worker_flow_add_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header)
{
	uint32_t words;

	if (s->remote->flow.memory != NULL)
		mr_worker_flow_write_ack(w, s, header, NULL, &words);
}
