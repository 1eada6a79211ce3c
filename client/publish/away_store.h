/* SPDX-License-Identifier: Apache-2.0 */
/* away_store: best-effort publishes made while the bus is away, kept until the next connection.
 *
 *   publish ──▶ mr_publish_ready ── up ──────────────────▶ ring
 *                  │ away
 *                  └── _keep ──▶ list ── up again ── _send ──▶ ring
 *
 * Owns      The client owns the copies, up to options.away_bytes_max.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_AWAY_STORE_H
#define MILLRACE_CLIENT_PUBLISH_AWAY_STORE_H

#include "client/publish/publish.h"

/* Keeps a copy of a publish. -ENOTCONN: no room, or the options forbid it; -EINVAL, -EMSGSIZE. */
int mr_away_store_keep(struct mr_client *c, const struct mr_message_parts *p);
/* Publishes the kept messages; the connection is up. Waits for room until deadline_ns; 0: does not
 * wait. 0: all is published. -EAGAIN, -ETIMEDOUT: the rest is still kept; -ENOTCONN. */
int mr_away_store_send(struct mr_client *c, uint64_t deadline_ns);
/* Comes before a best-effort publish: as mr_away_check, then mr_away_store_send, which waits if
 * `wait`. */
int mr_away_store_first(struct mr_client *c, bool wait);
void mr_away_store_clear(struct mr_client *c);

extern const struct mr_part mr_away_store_part;

/* 0: the client may publish; else as mr_away_store_first. */
static inline int mr_publish_ready(struct mr_client *c, bool wait)
{
	if (mr_likely(c->refuse_publish == 0 && !mr_bus_gone(c)))
		return 0;
	return mr_away_store_first(c, wait);
}

#endif
