/* SPDX-License-Identifier: Apache-2.0 */
/* Counts beats that went unanswered instead of the time: a program that was busy elsewhere for long
 * must not take its own silence for the bus's. */
#include "client/service.h"

void mr_beats_set(struct mr_client *c)
{
	struct mr_beats *b = &c->beats;
	uint64_t interval_ns = 0;

	for (struct mr_service *s = c->services; s != NULL && c->udp == NULL; s = s->next) {
		uint64_t own_ns = s->consumer->heartbeat_ms * MR_NS_PER_MS;

		if (s->consumer->queue == 0 || own_ns == 0)
			continue;
		if (interval_ns == 0 || own_ns < interval_ns)
			interval_ns = own_ns;
		b->missed_max = s->consumer->missed_max;
	}
	b->interval_ns = interval_ns;
	b->unanswered = 0;
	if (interval_ns == 0)
		return;
	b->due_ns = mr_now_ns() + interval_ns;
	mr_house_by(c, b->due_ns);
	if (c->depth == 0)
		mr_timer_by(c, b->due_ns);
}

void mr_beats_step(struct mr_client *c, uint64_t now_ns)
{
	uint32_t bytes = mr_message_bytes(false, 0, 0, 0);
	struct mr_beats *b = &c->beats;
	uint8_t *to;

	if (b->interval_ns == 0 || now_ns < b->due_ns || c->refuse != 0)
		return;
	b->due_ns = now_ns + b->interval_ns;
	if (b->unanswered >= b->missed_max && b->missed_max > 0) {
		mr_session_eof(c, "the bus gives no sign of life");
		return;
	}
	to = mr_promise_room(c, bytes);
	/* What fills the ring is a sign of life as well. */
	if (to == NULL)
		return;
	mr_message_begin(to, MRF_MESSAGE_KIND_BEAT, 0, NULL, 0, 0, 0);
	mr_bytes_push(c->promised, bytes);
	mr_publish_show(c);
	b->unanswered++;
}
