/* SPDX-License-Identifier: Apache-2.0 */
/* part: the functions through which core and session.c call the modules above them.
 *
 * client.c lists all parts in one table; the functions of one kind run in the order of that table.
 * Parts run on cold paths only: housekeeping, before a sleep, at the end of a session.
 *
 * Owns      Nothing: parts are constants.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_CORE_PART_H
#define MILLRACE_CLIENT_CORE_PART_H

#include "client/core/state.h"

/* NULL members are not called. */
struct mr_part {
	/* Returns the time of the next step, or MR_NEVER_NS. */
	uint64_t (*due_ns)(const struct mr_client *c);
	/* Does what is due; called by each housekeeping. */
	void (*step)(struct mr_client *c, uint64_t now_ns);
	/* The step runs only when no callback is on the stack. So due_ns ends no wait within a
	 * callback. */
	bool outermost;
	/* Writes gathered messages into the ring. */
	void (*flush)(struct mr_client *c);
	/* Frees objects that were closed within callbacks. No callback is on the stack. */
	void (*sweep)(struct mr_client *c);
	/* The session is about to be taken down; its rings can still be read. */
	void (*lost)(struct mr_client *c);
	/* The session was taken down: ends with an error all that waits for an answer. */
	void (*fail)(struct mr_client *c);
};

/* The table in client.c. */
struct mr_parts {
	const struct mr_part *const *parts;
	unsigned count;
	/* dispatch.c: as mr_receive_some and mr_receive_rest. */
	unsigned (*receive_some)(struct mr_client *c, unsigned max, bool defer);
	void (*receive_rest)(struct mr_client *c);
	/* session.c: ends the session when all that can be read was deferred; reconnects by
	 * steps. */
	void (*session_end)(struct mr_client *c);
	void (*session_step)(struct mr_client *c, uint64_t now_ns);
};

/* Handles up to `max` messages. `defer`: defers messages that cannot be handed out; otherwise stops
 * in front of a message for mr_receive, or defers it with `step_over`, and sets `blocked`. Returns
 * the number handed out. */
static inline unsigned mr_receive_some(struct mr_client *c, unsigned max, bool defer)
{
	return c->parts->receive_some(c, max, defer);
}

/* Empties the ring of a session that has ended; defers its messages. */
static inline void mr_receive_rest(struct mr_client *c)
{
	c->parts->receive_rest(c);
}

/* Returns when the next step of any part is due. */
uint64_t mr_parts_due_ns(const struct mr_client *c);
/* Returns when the next step that may run now is due. Within a callback, the parts that are marked
 * `outermost` do not run, so their times do not count: a wait must not end for them. */
uint64_t mr_parts_wake_ns(const struct mr_client *c);
void mr_parts_step(struct mr_client *c, uint64_t now_ns);
void mr_parts_flush_all(struct mr_client *c);
void mr_parts_sweep(struct mr_client *c);
void mr_parts_lost(struct mr_client *c);
void mr_parts_fail(struct mr_client *c);

/* Returns how many callbacks the steps have run and counted in `ran` since the last call, at most
 * `max`. They end a wait, as messages do. */
static inline unsigned mr_parts_ran(struct mr_client *c, unsigned max)
{
	unsigned ran = c->ran < max ? c->ran : max;

	c->ran = 0;
	return ran;
}

/* Only consumers gather messages. Calls that wait come here on every turn. */
static inline void mr_parts_flush(struct mr_client *c)
{
	if (mr_unlikely(c->dirty != NULL))
		mr_parts_flush_all(c);
}

#endif
