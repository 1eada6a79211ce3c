/* SPDX-License-Identifier: Apache-2.0 */
/* sleep_ports: lets packets wake a sleeping worker.
 *
 * Nothing is lost, because of this order:
 *   1. The descriptors of the queues are in the worker's epoll set.
 *   2. arm: the device makes the descriptor readable by packets that come from now on.
 *   3. The worker looks for packets. It finds those that came before 2.
 *   4. The worker sleeps. Packets that came after 2 have made the descriptor readable, and the set
 *      is level-triggered, so the sleep ends at once.
 * Looking first and arming then would lose a packet that comes between the two.
 *
 * A descriptor is in the set only while its link is up: a worker leaves packets of a link that is
 * down where they are, so the descriptor would stay readable, and the worker would never sleep. */
#include <sys/epoll.h>

#include <rte_ethdev.h>

#include "dataplane/worker/flows.h"
#include "dataplane/worker/sleep_ports.h"

/* Interval of looks at a queue without a descriptor, and at flows that a round did not finish. */
#define LOOK_NS 500000
/* Interval of looks at a memif. A peer that reads the flag before its packet is visible does not
 * ring: DPDK's driver has no fence between the two. */
#define MEMIF_LOOK_NS 10000000
/* Sessions over UDP are checked this many times in a heartbeat interval while the worker sleeps. */
#define LOOKS 8u
/* Longest sleep with ports. A longer one would count as a pause of the machine
 * (udp_sessions.c). */
#define PORTS_NS_MAX 250000000

/* Puts the descriptor of a queue into the epoll set when the link is up, and takes it out when the
 * link is down. */
static void watch(struct mr_worker *w, struct mr_worker_port *wp, bool up)
{
	struct epoll_event e = {.events = EPOLLIN};
	int op = up ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;

	if (up != wp->watched && wp->wake_fd >= 0 &&
		epoll_ctl(w->epoll_fd, op, wp->wake_fd, &e) == 0)
		wp->watched = up;
}

bool mr_worker_ports_arm(struct mr_worker *w)
{
	bool waits = false;

	for (unsigned i = 0; i < w->ports_count; i++) {
		struct mr_worker_port *wp = &w->ports[i];
		/* [port.link] */
		bool up = atomic_load_explicit(wp->link_up, memory_order_acquire);

		watch(w, wp, up);
		if (up) {
			mr_port_arm(wp->port, w->index);
			waits |= mr_worker_port_peek(wp);
		}
	}
	return waits;
}

void mr_worker_ports_disarm(struct mr_worker *w)
{
	for (unsigned i = 0; i < w->ports_count; i++) {
		struct mr_worker_port *wp = &w->ports[i];

		/* [port.link] */
		if (atomic_load_explicit(wp->link_up, memory_order_acquire))
			mr_port_disarm(wp->port, w->index);
	}
}

/* Returns the time until a flow has to be served, LOOK_NS if that is not known. */
static int64_t flows_sleep_ns(const struct mr_worker *w)
{
	uint64_t now = mr_worker_flow_ns(w), least = PORTS_NS_MAX;

	for (uint32_t i = 0; i < w->flows.count; i++) {
		const struct mr_flow_entry *e = &w->flows.list[i];
		const struct mr_session *s =
			mr_directory_find(&w->directory, e->slot, e->generation);
		uint64_t due = s != NULL ? mr_reliable_tx_due_ns(&s->remote->flow.tx) : now;

		if (s == NULL || s->remote->flow.tx.lost > 0 || due < now + LOOK_NS)
			return LOOK_NS;
		if (due - now < least)
			least = due - now;
	}
	return w->flows.count > 0 && w->flows.any_waits ? LOOK_NS : (int64_t)least;
}

int64_t mr_worker_ports_sleep_ns(const struct mr_worker *w)
{
	uint64_t heartbeat_ns = w->heartbeat / LOOKS * w->flows.ns_a_cycle >> 32;
	int64_t ns = flows_sleep_ns(w);

	if (w->ports_count == 0)
		return -1;
	for (unsigned i = 0; i < w->ports_count; i++) {
		const struct mr_worker_port *wp = &w->ports[i];

		if (!atomic_load_explicit(wp->link_up, memory_order_relaxed))
			continue;
		if (wp->wake_fd < 0)
			return LOOK_NS;
		if (wp->memif != NULL && ns > MEMIF_LOOK_NS)
			ns = MEMIF_LOOK_NS;
	}
	return heartbeat_ns < (uint64_t)ns ? (int64_t)heartbeat_ns : ns;
}
