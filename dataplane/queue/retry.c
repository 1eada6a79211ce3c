/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/retry.h"

#define FACTOR_DEFAULT 200u

/* Returns the delay without jitter. Squares the factor, so that a large number of attempts costs
 * no more than a small one. */
static uint32_t backed_off(const struct mrf_queue_options *o, unsigned attempts)
{
	double max = o->retry_max_ms != 0 ? o->retry_max_ms : MR_RETRY_MS_MAX;
	double factor = (o->retry_factor != 0 ? o->retry_factor : FACTOR_DEFAULT) / 100.0;
	double delay = o->retry_min_ms;

	for (unsigned n = attempts - 1; n != 0 && delay < max; n >>= 1) {
		if (n & 1)
			delay *= factor;
		if (factor < max) /* does not overflow */
			factor *= factor;
	}
	return (uint32_t)(delay < max ? delay : max);
}

/* Random bits from the stream of the heaps: no client knows them. */
static uint64_t random_below(struct mr_queues *q, uint64_t end)
{
	q->random ^= q->random << 13;
	q->random ^= q->random >> 7;
	q->random ^= q->random << 17;
	return (q->random >> 16) % end;
}

uint32_t mr_retry_delay_ms(struct mr_queues *q, const struct mr_queue *queue, unsigned attempts)
{
	const struct mrf_queue_options *o = &queue->options;
	uint32_t delay, jitter;

	if (mr_likely(o->retry_min_ms == 0) || attempts == 0)
		return 0;
	delay = backed_off(o, attempts);
	jitter = (uint32_t)((uint64_t)delay * o->retry_jitter / 100);
	delay -= (uint32_t)random_below(q, (uint64_t)jitter + 1);
	return delay != 0 ? delay : 1;
}

const char *mr_retry_refused(const struct mrf_queue_options *o)
{
	if (o->retry_min_ms > MR_RETRY_MS_MAX)
		return "retry_min: expected 0 (no back-off) to 24h";
	if (o->retry_max_ms > MR_RETRY_MS_MAX)
		return "retry_max: expected 1ms to 24h";
	if (o->retry_factor != 0 &&
		(o->retry_factor < MR_RETRY_FACTOR_MIN || o->retry_factor > MR_RETRY_FACTOR_MAX))
		return "retry_factor: expected 1 to 100";
	if (o->retry_jitter > MR_RETRY_JITTER_MAX)
		return "retry_jitter: expected 0 to 100 percent";
	return NULL;
}
