/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service/heartbeat.h"

#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/service/serve.h"

void mr_heartbeat_set(struct mr_client *c)
{
	struct mr_heartbeat *b = &c->heartbeat;
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
	mr_housekeep_by(c, b->due_ns);
	if (c->depth == 0)
		mr_timer_by(c, b->due_ns);
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	uint32_t bytes = mr_message_bytes(false, 0, 0, 0);
	struct mr_heartbeat *b = &c->heartbeat;
	uint8_t *to;

	if (b->interval_ns == 0 || now_ns < b->due_ns || c->refuse != 0)
		return;
	b->due_ns = now_ns + b->interval_ns;
	if (b->unanswered >= b->missed_max && b->missed_max > 0) {
		mr_state_eof(c, "the bus does not answer heartbeats");
		return;
	}
	to = mr_ring_promised_room(c, bytes);
	/* The messages that fill the ring prove that the client lives. */
	if (to == NULL)
		return;
	mr_message_begin(to, MRF_MESSAGE_KIND_BEAT, 0, NULL, 0, 0, 0);
	mr_bytes_push(c->promised, bytes);
	mr_ring_out_publish(c);
	b->unanswered++;
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->heartbeat.interval_ns != 0 ? c->heartbeat.due_ns : MR_NEVER_NS;
}

const struct mr_part mr_heartbeat_part = {.due_ns = due_ns, .step = step};
