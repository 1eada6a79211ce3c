/* SPDX-License-Identifier: Apache-2.0 */
/* breaker: fails what would fail anyway, at once: after so many failures in a row nothing is let
 * through for a while, then one, whose outcome says how it goes on.
 *
 *   closed ──failures──▶ open ──reset_ms──▶ half-open: one probe ──success──▶ closed
 *                          ▲                        └──failure──┐
 *                          └────────────────────────────────────┘
 *
 * Owns      Nothing; all zero bytes are a closed one.
 * Threads   One at a time.
 * Units     Nanoseconds of a monotonic clock that the caller reads.
 * Hot path  Of a closed one: allows and success are a comparison each.
 */
#ifndef MILLRACE_CLIENT_SERVICE_BREAKER_H
#define MILLRACE_CLIENT_SERVICE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct mr_breaker {
	uint64_t open_until_ns; /* 0: closed */
	uint32_t failures;      /* in a row */
	uint32_t reset_ms;      /* of the failure that opened it */
	uint64_t probe_ns;      /* when the last was let through */
	bool probing;           /* the one that was let through has no outcome yet */
};

/* What the one whose attempt it is wants of it. */
struct mr_breaker_rule {
	uint32_t failures; /* UINT32_MAX: never opens */
	uint32_t reset_ms;
};

static inline bool mr_breaker_is_closed(const struct mr_breaker *b)
{
	return b->open_until_ns == 0;
}

/* A probe that has no outcome when the time that the circuit stays open has passed again makes room for another.
 * True: go on, and say how it went. *probe: this attempt is the one that decides, and must be
 * abandoned if it comes to no outcome. */
bool mr_breaker_allows(struct mr_breaker *b, uint64_t now_ns, bool *probe);
void mr_breaker_failure(struct mr_breaker *b, uint64_t now_ns, const struct mr_breaker_rule *rule);
/* The probe came to no outcome: the next one decides. */
void mr_breaker_abandon(struct mr_breaker *b);

static inline void mr_breaker_success(struct mr_breaker *b)
{
	*b = (struct mr_breaker){0};
}

/* How long to wait before attempt `attempt` (1: the first repetition): `base_ms`, doubled for each
 * up to a minute, times a half to three halves by `random`, so that many who failed together do not
 * come again together. */
uint64_t mr_backoff_ns(uint32_t base_ms, unsigned attempt, uint32_t random);

#endif
