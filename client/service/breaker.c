/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service/breaker.h"

#define NS_PER_MS      1000000ull
#define BACKOFF_MS_MAX 60000ull

bool mr_breaker_allows(struct mr_breaker *b, uint64_t now_ns, bool *probe)
{
	*probe = false;
	if (mr_breaker_is_closed(b))
		return true;
	if (now_ns < b->open_until_ns ||
		(b->probing && now_ns - b->probe_ns < b->reset_ms * NS_PER_MS))
		return false;
	b->probing = true;
	b->probe_ns = now_ns;
	*probe = true;
	return true;
}

void mr_breaker_failure(struct mr_breaker *b, uint64_t now_ns, const struct mr_breaker_rule *rule)
{
	if (rule->failures == UINT32_MAX)
		return;
	/* Attempts that were under way when it opened say nothing new. */
	if (!mr_breaker_is_closed(b) && !b->probing)
		return;
	b->failures += b->failures < UINT32_MAX;
	if (b->probing || b->failures >= rule->failures) {
		b->open_until_ns = now_ns + rule->reset_ms * NS_PER_MS;
		b->reset_ms = rule->reset_ms;
	}
	b->probing = false;
}

void mr_breaker_abandon(struct mr_breaker *b)
{
	b->probing = false;
}

uint64_t mr_backoff_ns(uint32_t base_ms, unsigned attempt, uint32_t random)
{
	unsigned shift = attempt > 0 ? attempt - 1 : 0;
	uint64_t ms = shift < 32 ? (uint64_t)base_ms << shift : BACKOFF_MS_MAX;

	if (ms > BACKOFF_MS_MAX)
		ms = BACKOFF_MS_MAX;
	return ms * NS_PER_MS / 2 + (ms * NS_PER_MS >> 32) * random +
	       ((ms * NS_PER_MS & UINT32_MAX) * random >> 32);
}
