/* SPDX-License-Identifier: Apache-2.0 */
/* breaker: circuit breaker: makes attempts fail at once while a service is in trouble. After
 * `failures` consecutive failures it lets nothing through for reset_ms, then one attempt, the
 * probe. The probe's outcome decides.
 *
 *   closed ──failures──▶ open ──reset_ms──▶ half-open: one probe ──success──▶ closed
 *                          ▲                        └──failure──┐
 *                          └────────────────────────────────────┘
 *
 * Owns      Nothing; all zero bytes are a closed breaker.
 * Threads   One at a time.
 * Units     Nanoseconds of a monotonic clock that the caller reads.
 * Hot path  A closed breaker: allows and success are a comparison each.
 */
#ifndef MILLRACE_CLIENT_SERVICE_BREAKER_H
#define MILLRACE_CLIENT_SERVICE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct mr_breaker {
	uint64_t open_until_ns; /* 0: closed */
	uint32_t failures;      /* consecutive */
	uint32_t reset_ms;      /* the rule that opened it */
	uint64_t probe_ns;      /* time of the last probe */
	bool probing;           /* the probe has no outcome yet */
};

/* The limits of an attempt. */
struct mr_breaker_rule {
	uint32_t failures; /* UINT32_MAX: never opens */
	uint32_t reset_ms;
};

static inline bool mr_breaker_is_closed(const struct mr_breaker *b)
{
	return b->open_until_ns == 0;
}

/* True: go on, and report the outcome. *probe: this attempt is the probe, and must be abandoned if
 * it has no outcome. A probe without outcome makes room for another one after reset_ms. */
bool mr_breaker_allows(struct mr_breaker *b, uint64_t now_ns, bool *probe);
void mr_breaker_failure(struct mr_breaker *b, uint64_t now_ns, const struct mr_breaker_rule *rule);
/* The probe had no outcome: the next one decides. */
void mr_breaker_abandon(struct mr_breaker *b);

static inline void mr_breaker_success(struct mr_breaker *b)
{
	*b = (struct mr_breaker){0};
}

/* Returns the wait before attempt `attempt` (1: the first repetition): exponential back-off from
 * `base_ms`, at most a minute, times 0.5 to 1.5 by `random`, so that many callers that failed
 * together do not return together. */
uint64_t mr_backoff_ns(uint32_t base_ms, unsigned attempt, uint32_t random);

#endif
