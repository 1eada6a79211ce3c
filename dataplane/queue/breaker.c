/* SPDX-License-Identifier: Apache-2.0 */
/* breaker: the circuit breaker of a service.
 *
 *            failures in a row                 reset time
 *   closed ────────────────────▶ open ───────────────────▶ half open
 *      ▲                           ▲                          │  │
 *      └───── probes passed ───────┼──────────────────────────┘  │
 *                                  └──────── a probe failed ─────┘
 *
 * A probe is a call that came in while the circuit was half open. `probes` counts the undecided
 * ones, also when the circuit opens again meanwhile.
 */
#include "dataplane/queue/engine.h"

static void let_through(struct mr_queues *q, struct mr_queue *queue, uint32_t max)
{
	queue->breaker.probes_max = max;
	queue->breaker.until_ms = q->now_ms + queue->options.breaker_reset_ms;
}

/* Probes that are not decided in time, because no worker takes them or one never answers, make room
 * for others. */
bool mr_breaker_admits(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_breaker *b = &queue->breaker;

	if (mr_likely(b->state == MRF_BREAKER_STATE_CLOSED))
		return true;
	if (b->state == MRF_BREAKER_STATE_OPEN) {
		if (q->now_ms < b->until_ms)
			return false;
		b->state = MRF_BREAKER_STATE_HALF_OPEN;
		b->passed = 0;
		let_through(q, queue, queue->options.breaker_probes);
	}
	if (b->probes + b->passed >= b->probes_max && q->now_ms >= b->until_ms)
		let_through(q, queue, b->probes + b->passed + queue->options.breaker_probes);
	return b->probes + b->passed < b->probes_max;
}

void mr_breaker_enter(struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_unlikely(queue->breaker.state == MRF_BREAKER_STATE_HALF_OPEN)) {
		e->flags |= MR_ENTRY_PROBE;
		queue->breaker.probes++;
	}
}

/* Ends a probe; true: the call was one. */
static bool end_probe(struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_likely(!(e->flags & MR_ENTRY_PROBE)))
		return false;
	e->flags &= (uint8_t)~MR_ENTRY_PROBE;
	queue->breaker.probes--;
	return true;
}

void mr_breaker_passed(struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_breaker *b = &queue->breaker;

	b->failures = 0;
	if (end_probe(queue, e) && b->state == MRF_BREAKER_STATE_HALF_OPEN &&
		++b->passed >= queue->options.breaker_probes)
		b->state = MRF_BREAKER_STATE_CLOSED;
}

void mr_breaker_failed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_breaker *b = &queue->breaker;
	uint32_t max = queue->options.breaker_failures;
	bool probe = end_probe(queue, e);

	if (max == 0 || max == UINT16_MAX)
		return;
	if (b->state == MRF_BREAKER_STATE_CLOSED ? ++b->failures < max
						 : b->state == MRF_BREAKER_STATE_OPEN || !probe)
		return;
	b->state = MRF_BREAKER_STATE_OPEN;
	b->until_ms = q->now_ms + queue->options.breaker_reset_ms;
	b->failures = 0;
}

void mr_breaker_void(struct mr_queue *queue, struct mr_queue_entry *e)
{
	(void)end_probe(queue, e);
}

static bool never_opens(const struct mr_queue *queue)
{
	return queue->options.breaker_failures == 0 ||
	       queue->options.breaker_failures == UINT16_MAX;
}

void mr_breaker_changed(const struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_breaker *b = &queue->breaker;
	uint64_t until_ms = q->now_ms + queue->options.breaker_reset_ms;

	if (never_opens(queue)) {
		b->state = MRF_BREAKER_STATE_CLOSED;
		b->failures = 0;
	}
	if (b->state != MRF_BREAKER_STATE_CLOSED && b->until_ms > until_ms)
		b->until_ms = until_ms;
}
