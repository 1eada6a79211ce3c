/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of a queue's options. Messages near a changed limit are in doubt. */
#include "tests/sim/bus.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

/* The bus may have ended it, or taken it back, by the age limit that held until now. */
static void age_edited(struct message *m)
{
	if (!model_too_old(m, bus_queues_ms(), 0))
		return;
	m->was_too_old = true;
	if (m->state != OUT || bus_session_of(m->session) == NULL ||
		model_timed_out(m, bus_queues_ms(), 0))
		m->state = DOUBT;
}

/* A delivery that is surely out is so until the new time-out ends, or ends at once. */
static void timeout_edited(struct message *m, uint32_t ack_timeout_ms)
{
	uint64_t now_ms = bus_queues_ms();

	if (m->state != OUT || bus_session_of(m->session) == NULL)
		return;
	if (model_timed_out(m, now_ms, SLACK_MS)) {
		m->state = model_queue_with(m)->retries ? DOUBT : READY;
		m->since_ms = now_ms;
	} else if (model_timed_out(m, now_ms, 0)) {
		m->state = DOUBT;
	} else if (now_ms > m->since_ms + ack_timeout_ms) {
		m->since_ms = now_ms - ack_timeout_ms;
	}
}

static void message_edited(
	struct message *m, uint32_t edits, const struct mrf_queue_options *values)
{
	if (edits & MRF_QUEUE_OPTION_WHEN_EXPIRED)
		model_time_edited(m);
	if (!model_may_wait(m))
		return;
	if (edits & MRF_QUEUE_OPTION_AGE_MAX)
		age_edited(m);
	if (edits & MRF_QUEUE_OPTION_ACK_TIMEOUT)
		timeout_edited(m, values->ack_timeout_ms);
	if ((edits & MRF_QUEUE_OPTION_MAX_DELIVER) && values->max_deliver < m->deliver_least)
		m->deliver_least = values->max_deliver;
}

void model_options_set(
	struct mrf_queue_options *o, uint32_t edits, const struct mrf_queue_options *values)
{
	if (edits & MRF_QUEUE_OPTION_POLICY)
		o->policy = values->policy;
	if (edits & MRF_QUEUE_OPTION_WHEN_FULL)
		o->when_full = values->when_full;
	if (edits & MRF_QUEUE_OPTION_MESSAGES_MAX)
		o->messages_max = values->messages_max;
	if (edits & MRF_QUEUE_OPTION_BYTES_MAX)
		o->bytes_max = values->bytes_max;
	if (edits & MRF_QUEUE_OPTION_AGE_MAX)
		o->age_max_ms = values->age_max_ms;
	if (edits & MRF_QUEUE_OPTION_ACK_TIMEOUT)
		o->ack_timeout_ms = values->ack_timeout_ms;
	if (edits & MRF_QUEUE_OPTION_MAX_DELIVER)
		o->max_deliver = values->max_deliver;
	if (edits & MRF_QUEUE_OPTION_WHEN_EXPIRED)
		o->when_expired = values->when_expired;
	if (edits & MRF_QUEUE_OPTION_SINGLE_ACTIVE)
		o->single_active = values->single_active;
	if (edits & MRF_QUEUE_OPTION_AGING)
		o->aging_ms = values->aging_ms;
	if (edits & MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY)
		o->in_flight_per_key = values->in_flight_per_key;
	if (edits & MRF_QUEUE_OPTION_RETRY_MIN)
		o->retry_min_ms = values->retry_min_ms;
	if (edits & MRF_QUEUE_OPTION_RETRY_MAX)
		o->retry_max_ms = values->retry_max_ms;
	if (edits & MRF_QUEUE_OPTION_RETRY_FACTOR)
		o->retry_factor = values->retry_factor;
	if (edits & MRF_QUEUE_OPTION_RETRY_JITTER)
		o->retry_jitter = values->retry_jitter;
}

void model_edited(unsigned queue, uint32_t edits, const struct mrf_queue_options *values)
{
	model_time_pass();
	for (uint32_t i = 1; i < messages_count; i++)
		if (messages[i].queue == queue)
			message_edited(&messages[i], edits, values);
	model_keys_edited(queue, edits, values);
	model_options_set(&model_queues[queue].holds, edits, values);
	model_queues[queue].edited |= edits;
	model_queues[queue].retries |= model_queues[queue].holds.retry_min_ms != 0;
	model_queues[queue].fulls |= 1u << model_queues[queue].holds.when_full;
	if (edits & MRF_QUEUE_OPTION_SINGLE_ACTIVE)
		model_queues[queue].single_since = model_sends + 1;
	model_queues[queue].expirations |= 1u << model_queues[queue].holds.when_expired;
}
