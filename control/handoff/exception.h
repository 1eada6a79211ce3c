/* SPDX-License-Identifier: Apache-2.0 */
/* exception: carries packets between the workers and the TAP devices of ports. The data plane makes
 * the devices and the rings (dataplane/port/exception.h); control asks for them when the
 * link is up.
 *
 *   worker ══ ring ══▶ write ──▶ TAP     packets are written from the ring's memory, then released
 *   worker ◀══ ring ══ read ◀── TAP      one read waits; after a packet, a batch that does not wait
 *
 * Owns      Descriptors and mappings of a link, until the link is lost and the kernel has ended
 *           their operations. The devices are the data plane's and stay.
 * Threads   The loop's.
 * Ordering  [bytes.sleep] arm announces in every ring that control sleeps, before the loop waits.
 * Errors    A packet that the kernel or the worker does not take is dropped and counted.
 */
#ifndef MILLRACE_CONTROL_EXCEPTION_H
#define MILLRACE_CONTROL_EXCEPTION_H

#include "control/link/link.h"
#include "flatbuf/stats.h"

#define MR_EXCEPTION_PORTS_MAX 8u

struct mr_exception_link;

struct mr_exceptions {
	struct mr_loop *loop;
	struct mr_link *link;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	struct mr_exception_link *now; /* NULL: no link, or no port has a device */
	uint32_t alive;                /* links whose operations have not ended */
	bool has_tap[MR_EXCEPTION_PORTS_MAX];
	struct mrf_port_tap counts[MR_EXCEPTION_PORTS_MAX];
};

void mr_exceptions_init(struct mr_exceptions *x, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config, struct mr_control_counters *counters);
/* Called when the link comes up, and before it goes down. */
void mr_exceptions_up(struct mr_exceptions *x);
void mr_exceptions_down(struct mr_exceptions *x);

/* Begins to write a bounded batch of each ring to the devices. Returns the number of packets. */
unsigned mr_exceptions_drain(struct mr_exceptions *x);
/* Publishes packets to the workers, and wakes those that sleep. */
void mr_exceptions_publish(struct mr_exceptions *x);
/* Announces sleep before the loop waits. False if a packet arrived meanwhile. wake ends it. */
bool mr_exceptions_arm(struct mr_exceptions *x);
void mr_exceptions_wake(struct mr_exceptions *x);

/* Returns what was counted for a port; NULL: it has no device. */
const struct mrf_port_tap *mr_exceptions_counts(const struct mr_exceptions *x, uint32_t port);

#endif
