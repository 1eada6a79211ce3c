/* SPDX-License-Identifier: Apache-2.0 */
/* edit: options that an operator changes while the queue has messages and consumers.
 *
 *   limits           nothing in the queue is dropped, and a full queue takes no more for now; if
 *                    it makes room by old messages, what exceeds the limits leaves
 *   age limit        holds for all waiting messages, some of them a round
 *   ack time-out     holds for the deliveries that are out, from the start of their time-outs
 *   max_deliver      holds when a delivery comes back
 *   policy           the consumers start anew; to or from key-shared only while the queue is empty
 *   in_flight_per_key  holds for a key when its next message is settled
 *   key_from         holds for the messages that are pushed from now on
 *   when_expired     holds for the messages whose time to live ends from now on
 *   aging            holds for all waiting messages, from when they came
 *   single_active    the consumer that came first is the active one; what others have they keep
 *   retry_...        hold for the attempts that fail from now on
 */
#include <errno.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/retry.h"

#define TIME_MS_MIN 10u
#define TIME_MS_MAX 86400000u

#define BREAKER_OPTIONS                                                                            \
	(MRF_QUEUE_OPTION_BREAKER_FAILURES | MRF_QUEUE_OPTION_BREAKER_RESET |                      \
		MRF_QUEUE_OPTION_BREAKER_PROBES)
#define KEY_OPTIONS (MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY | MRF_QUEUE_OPTION_KEY_FROM)
#define RETRY_OPTIONS                                                                              \
	(MRF_QUEUE_OPTION_RETRY_MIN | MRF_QUEUE_OPTION_RETRY_MAX | MRF_QUEUE_OPTION_RETRY_FACTOR | \
		MRF_QUEUE_OPTION_RETRY_JITTER)
#define EDITABLE                                                                                   \
	(MRF_QUEUE_OPTION_POLICY | MRF_QUEUE_OPTION_WHEN_FULL | MRF_QUEUE_OPTION_MESSAGES_MAX |    \
		MRF_QUEUE_OPTION_BYTES_MAX | MRF_QUEUE_OPTION_AGE_MAX |                            \
		MRF_QUEUE_OPTION_ACK_TIMEOUT | MRF_QUEUE_OPTION_MAX_DELIVER | BREAKER_OPTIONS |    \
		MRF_QUEUE_OPTION_WHEN_EXPIRED | MRF_QUEUE_OPTION_AGING |                           \
		MRF_QUEUE_OPTION_SINGLE_ACTIVE | KEY_OPTIONS | RETRY_OPTIONS)

struct check {
	uint32_t option;
	uint64_t value, min, max;
	const char *why;
};

static const char *refused_value(uint32_t edits, const struct mrf_queue_options *v)
{
	const struct check checks[] = {
		{MRF_QUEUE_OPTION_POLICY, v->policy, MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
			MRF_QUEUE_POLICY_KEY_SHARED, "policy: this bus does not know it"},
		{MRF_QUEUE_OPTION_WHEN_FULL, v->when_full, MRF_QUEUE_FULL_WAIT,
			MRF_QUEUE_FULL_DEAD_LETTER,
			"when_full: expected wait, refuse, drop-oldest or dead-letter"},
		{MRF_QUEUE_OPTION_MESSAGES_MAX, v->messages_max, 1, UINT64_MAX / 4,
			"messages_max: expected 1 to 2^62 - 1"},
		{MRF_QUEUE_OPTION_BYTES_MAX, v->bytes_max, 0, UINT64_MAX / 4,
			"bytes_max: expected 0 (no limit) to 2^62 - 1"},
		{MRF_QUEUE_OPTION_AGE_MAX, v->age_max_ms, 0, INT32_MAX,
			"age_max: expected 0 (no limit) to 2^31 - 1 ms"},
		{MRF_QUEUE_OPTION_ACK_TIMEOUT, v->ack_timeout_ms, TIME_MS_MIN, TIME_MS_MAX,
			"ack_timeout: expected 10ms to 24h"},
		{MRF_QUEUE_OPTION_MAX_DELIVER, v->max_deliver, 1, UINT16_MAX,
			"max_deliver: expected 1 to 65535"},
		{MRF_QUEUE_OPTION_BREAKER_FAILURES, v->breaker_failures, 1, UINT16_MAX,
			"breaker_failures: expected 1 to 65534, or 65535 (never)"},
		{MRF_QUEUE_OPTION_BREAKER_RESET, v->breaker_reset_ms, TIME_MS_MIN, TIME_MS_MAX,
			"breaker_reset: expected 10ms to 24h"},
		{MRF_QUEUE_OPTION_BREAKER_PROBES, v->breaker_probes, 1, UINT16_MAX,
			"breaker_probes: expected 1 to 65535"},
		{MRF_QUEUE_OPTION_WHEN_EXPIRED, v->when_expired, MRF_QUEUE_EXPIRED_DISCARD,
			MRF_QUEUE_EXPIRED_DEAD_LETTER,
			"when_expired: expected discard or dead-letter"},
		{MRF_QUEUE_OPTION_AGING, v->aging_ms, 0, INT32_MAX,
			"aging: expected 0 (none) to 2^31 - 1 ms"},
		{MRF_QUEUE_OPTION_SINGLE_ACTIVE, v->single_active, MRF_SINGLE_ACTIVE_NO,
			MRF_SINGLE_ACTIVE_YES, "single_active: expected no or yes"},
		{MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY, v->in_flight_per_key, 1,
			MR_QUEUE_IN_FLIGHT_PER_KEY_MAX, "in_flight_per_key: expected 1 to 250"},
		{MRF_QUEUE_OPTION_RETRY_MIN, v->retry_min_ms, 0, MR_RETRY_MS_MAX,
			"retry_min: expected 0 (no back-off) to 24h"},
		{MRF_QUEUE_OPTION_RETRY_MAX, v->retry_max_ms, 1, MR_RETRY_MS_MAX,
			"retry_max: expected 1ms to 24h"},
		{MRF_QUEUE_OPTION_RETRY_FACTOR, v->retry_factor, MR_RETRY_FACTOR_MIN,
			MR_RETRY_FACTOR_MAX, "retry_factor: expected 1 to 100"},
		{MRF_QUEUE_OPTION_RETRY_JITTER, v->retry_jitter, 0, MR_RETRY_JITTER_MAX,
			"retry_jitter: expected 0 to 100 percent"},
	};

	for (size_t i = 0; i < MR_ARRAY_COUNT(checks); i++)
		if ((edits & checks[i].option) &&
			(checks[i].value < checks[i].min || checks[i].value > checks[i].max))
			return checks[i].why;
	return NULL;
}

/* Checks the options as they will be. */
static const char *refused_keys(
	const struct mr_queue *queue, uint32_t edits, const struct mrf_queue_options *values)
{
	struct mrf_queue_options o = queue->options;
	bool was = o.policy == MRF_QUEUE_POLICY_KEY_SHARED;

	mr_queue_options_set(&o, edits, values);
	if (was && o.policy != MRF_QUEUE_POLICY_KEY_SHARED && !(edits & MRF_QUEUE_OPTION_KEY_FROM))
		o.key_from = (struct mrf_string){0};
	if ((o.policy == MRF_QUEUE_POLICY_KEY_SHARED) != was &&
		(mr_queue_depth(queue) > 0 || queue->assemblies > 0))
		return "policy: to or from key-shared only while the queue is empty";
	return mr_key_options_check(&o, queue->kind);
}

static const char *refused_edit(
	const struct mr_queue *queue, uint32_t edits, const struct mrf_queue_options *values)
{
	if (queue->is_dead)
		return "dead letters have no options: edit their queue";
	if (edits == 0 || (edits & ~EDITABLE) != 0)
		return "this bus cannot change such an option";
	if (queue->kind != MRF_QUEUE_KIND_SERVICE && (edits & BREAKER_OPTIONS) != 0)
		return "only services have a circuit breaker";
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && (edits & MRF_QUEUE_OPTION_WHEN_EXPIRED) != 0)
		return "only messages of queues have a time to live";
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && (edits & MRF_QUEUE_OPTION_AGING) != 0)
		return "only messages of queues age";
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && (edits & MRF_QUEUE_OPTION_SINGLE_ACTIVE) != 0)
		return "only queues may have one active consumer";
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && (edits & MRF_QUEUE_OPTION_WHEN_FULL) != 0 &&
		values->when_full > MRF_QUEUE_FULL_REFUSE)
		return "when_full: a service waits or refuses";
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && (edits & RETRY_OPTIONS) != 0)
		return "only queues have a back-off: a caller does not wait for one";
	if (refused_value(edits, values) != NULL)
		return refused_value(edits, values);
	return refused_keys(queue, edits, values);
}

void mr_queue_options_set(
	struct mrf_queue_options *o, uint32_t which, const struct mrf_queue_options *values)
{
	if (which & MRF_QUEUE_OPTION_POLICY)
		o->policy = values->policy;
	if (which & MRF_QUEUE_OPTION_WHEN_FULL)
		o->when_full = values->when_full;
	if (which & MRF_QUEUE_OPTION_MESSAGES_MAX)
		o->messages_max = values->messages_max;
	if (which & MRF_QUEUE_OPTION_BYTES_MAX)
		o->bytes_max = values->bytes_max;
	if (which & MRF_QUEUE_OPTION_AGE_MAX)
		o->age_max_ms = values->age_max_ms;
	if (which & MRF_QUEUE_OPTION_ACK_TIMEOUT)
		o->ack_timeout_ms = values->ack_timeout_ms;
	if (which & MRF_QUEUE_OPTION_MAX_DELIVER)
		o->max_deliver = values->max_deliver;
	if (which & MRF_QUEUE_OPTION_WHEN_EXPIRED)
		o->when_expired = values->when_expired;
	if (which & MRF_QUEUE_OPTION_AGING)
		o->aging_ms = values->aging_ms;
	if (which & MRF_QUEUE_OPTION_SINGLE_ACTIVE)
		o->single_active = values->single_active;
	if (which & MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY)
		o->in_flight_per_key = values->in_flight_per_key;
	if (which & MRF_QUEUE_OPTION_KEY_FROM)
		o->key_from = values->key_from;
	if (which & MRF_QUEUE_OPTION_RETRY_MIN)
		o->retry_min_ms = values->retry_min_ms;
	if (which & MRF_QUEUE_OPTION_RETRY_MAX)
		o->retry_max_ms = values->retry_max_ms;
	if (which & MRF_QUEUE_OPTION_RETRY_FACTOR)
		o->retry_factor = values->retry_factor;
	if (which & MRF_QUEUE_OPTION_RETRY_JITTER)
		o->retry_jitter = values->retry_jitter;
	if (which & MRF_QUEUE_OPTION_BREAKER_FAILURES)
		o->breaker_failures = values->breaker_failures;
	if (which & MRF_QUEUE_OPTION_BREAKER_RESET)
		o->breaker_reset_ms = values->breaker_reset_ms;
	if (which & MRF_QUEUE_OPTION_BREAKER_PROBES)
		o->breaker_probes = values->breaker_probes;
}

int mr_queue_edit(struct mr_queues *q, struct mr_queue *queue, uint32_t edits,
	const struct mrf_queue_options *values)
{
	const char *why = refused_edit(queue, edits, values);
	bool had_key_from = queue->options.key_from.bytes > 0;

	if (why != NULL) {
		q->limits.why = why;
		return -EINVAL;
	}
	if (edits & MRF_QUEUE_OPTION_POLICY) {
		if (!mr_key_policy(q, queue, values->policy))
			return -ENOMEM;
		mr_policy_change(queue, values->policy);
	}
	if (edits & MRF_QUEUE_OPTION_AGING)
		mr_level_aging(queue, values->aging_ms);
	mr_queue_options_set(&queue->options, edits, values);
	if (queue->keys != NULL && (edits & MRF_QUEUE_OPTION_KEY_FROM))
		mr_key_from_set(queue, values->key_from);
	if (edits & BREAKER_OPTIONS)
		mr_breaker_changed(q, queue);
	if (edits & MRF_QUEUE_OPTION_ACK_TIMEOUT)
		mr_consumers_retime(q, queue);
	if (edits & MRF_QUEUE_OPTION_SINGLE_ACTIVE)
		mr_hold_single_changed(q, queue);
	queue->edited |= edits;
	if (had_key_from && queue->options.key_from.bytes == 0) /* went with the policy */
		queue->edited |= MRF_QUEUE_OPTION_KEY_FROM;
	queue->is_set = queue->kept = true;
	queue->used_ms = q->now_ms;
	mr_queue_has_room(q, queue);
	mr_queue_arm(q, queue);
	return 0;
}
