/* SPDX-License-Identifier: Apache-2.0 */
/* session: how a session over UDP starts and ends, its heartbeats, and the transport's table. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/core/error.h"
#include "client/core/limits.h"
#include "client/core/pages.h"
#include "client/core/transport.h"
#include "client/core/wait.h"
#include "client/transport/udp/group.h"
#include "client/transport/udp/udp.h"

/* Delay of this side, beyond two heartbeats, that counts as a pause of the whole program. */
#define LATE_NS (500 * MR_NS_PER_MS)
/* Bytes of a delivery beside subject, headers and payload. */
#define OVERHEAD_BYTES                                                                             \
	(sizeof(struct mrf_message_header) + sizeof(struct mrf_reply_token) +                      \
		sizeof(struct mrf_message_sections))
#define AGAIN_NS (10 * MR_NS_PER_MS) /* until the next try after the socket took nothing */
#define SOON_NS  50000u              /* longest pause between two looks of a program that polls */

/* Sets the limits: a message fits if it also fits as a delivery, with its subject and a request's
 * token. */
void mr_udp_limits(struct mr_client *c)
{
	size_t room = MR_FRAME_ROOM(c->udp->frame_bytes) - OVERHEAD_BYTES;

	mr_client_limits(c, room < MR_BODY_BYTES ? room : MR_BODY_BYTES, true);
	c->record_bytes_max = MR_FRAME_ROOM(c->udp->frame_bytes);
}

/* Empties the rings: new ones, or those of the last session. */
static int rings_reset(struct mr_client *c)
{
	/* The reader of the up ring is woken at each publish, as if it always slept. */
	static const struct mr_worker_page always = {.asleep = 1};
	struct mr_udp *u = c->udp;
	int error;

	if (u->rings.header_map == NULL) {
		error = mr_channel_new_private(&u->rings, MR_UDP_UP_BYTES, MR_UDP_DOWN_BYTES);
		if (error != 0)
			return error;
	}
	memset(u->rings.up_shared, 0, sizeof(*u->rings.up_shared));
	memset(u->rings.down_shared, 0, sizeof(*u->rings.down_shared));
	mr_channel_worker_side(&u->rings, &u->out, &u->in);
	mr_channel_peer_side(&u->rings, &always, &c->up, &c->down);
	c->watched = &always;
	return 0;
}

int mr_udp_open(struct mr_client *c, struct mrf_table welcome, uint32_t sequence)
{
	struct mr_udp *u = c->udp;
	int error = rings_reset(c);
	int on = 1, size = 0;

	u->frame_bytes = mrf_welcome_frame_bytes(welcome) & ~7u;
	if (error == 0)
		error = mr_udp_reliable_open(c, c->attach_fd, mrf_welcome_credit(welcome));
	if (error != 0)
		return mr_fail(c, error, NULL);
	u->fd = c->attach_fd;
	c->attach_fd = -1;
	setsockopt(u->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	u->segments = setsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0;
	c->session = mrf_welcome_session(welcome);
	c->worker = mrf_welcome_worker(welcome);
	u->secret = mrf_welcome_secret(welcome);
	u->heartbeat_ns = mrf_welcome_heartbeat_ms(welcome) * MR_NS_PER_MS;
	u->dead_ns = u->heartbeat_ns * mrf_welcome_missed_max(welcome);
	u->sequence = 0;
	/* Earlier frames are welcomes too. They may arrive late, and must not count as lost. */
	u->window = (struct mr_frame_window){.highest = sequence, .seen = UINT64_MAX};
	u->last_tx_ns = u->heartbeat_tx_ns = u->last_rx_ns = u->look_ns = u->looked_ns =
		mr_now_ns();
	u->stuck = u->closed = u->looking = false;
	u->error = 0;
	c->whole_bytes_max = mrf_welcome_message_bytes_max(welcome);
	mr_udp_limits(c);
	mr_housekeep_by(c, 0);
	/* Tells the bus that this side has the reliable flow too, and its credit. */
	if (u->reliable.on)
		mr_udp_send_ack(c);
	return 0;
}

/* The bus was silent for too long: it, or the path to it, is gone. */
static void bus_died(struct mr_client *c)
{
	const struct mr_udp *u = c->udp;
	char why[128];

	snprintf(why, sizeof(why), "the bus was silent for %.1f s%s%s%s", (double)u->dead_ns / 1e9,
		u->error != 0 ? " (" : "", u->error != 0 ? strerrordesc_np(u->error) : "",
		u->error != 0 ? ")" : "");
	mr_state_eof(c, why);
}

/* True if all rings are empty and nobody looks into one. */
static bool rings_empty(const struct mr_client *c)
{
	const struct mr_udp *u = c->udp;
	const struct mr_udp_reliable *r = &u->reliable;

	return c->depth == 0 && !c->hold && c->refuse != -EDEADLK && u->out.head == c->up.tail &&
	       c->down.head == u->in.tail && c->down.head == c->down.head_out &&
	       (!r->on || r->log.head == r->up.tail);
}

/* Gives back the memory of slots in which no frame waits. It is heap memory, so only whole pages
 * are given back. */
static void slots_trim(struct mr_udp_reliable *r)
{
	const uintptr_t page = 4096;
	uintptr_t from = ((uintptr_t)r->slots + page - 1) & ~(page - 1);
	uintptr_t to = ((uintptr_t)r->slots + (size_t)r->rx.slots * r->slot_bytes) & ~(page - 1);

	if (r->rx.ahead == 0 && r->rx.taken == r->rx.next && to > from)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Gives back the rings' memory if nothing has moved since the last heartbeat. Called with a
 * heartbeat, which means that nothing was sent for an interval. */
static void trim(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint64_t at = c->up.tail + u->in.tail + (u->reliable.on ? u->reliable.up.tail : 0);

	if (at != u->idle_at) {
		u->idle_at = at;
		u->trimmed = false;
	} else if (!u->trimmed && rings_empty(c)) {
		u->trimmed = true;
		mr_channel_trim(&u->rings);
		if (u->reliable.on) {
			mr_channel_trim(&u->reliable.ring);
			slots_trim(&u->reliable);
		}
		(void)madvise(u->buffers, MR_UDP_RECEIVES * MR_UDP_BUFFER, MADV_DONTNEED);
	}
}

static void heartbeat(struct mr_client *c, uint64_t now_ns)
{
	struct mr_udp *u = c->udp;

	if (now_ns - u->heartbeat_tx_ns < u->heartbeat_ns)
		return;
	if (!mr_udp_send_alone(c, NULL, 0))
		u->heartbeat_tx_ns = now_ns - u->heartbeat_ns + AGAIN_NS;
	else
		trim(c);
}

void mr_udp_check_bus(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint64_t now_ns = mr_now_ns();
	bool drained = mr_udp_receive(c, false);

	(void)mr_udp_groups_receive(c);
	if (c->eof)
		return;
	mr_udp_reliable_turn(c);
	if (u->stuck)
		mr_udp_send(c);
	heartbeat(c, now_ns);
	/* A pause of this side, as when the whole machine was paused, says nothing about the bus. A
	 * sleeping client looks at each heartbeat. */
	if (now_ns - u->looked_ns > 2 * u->heartbeat_ns + LATE_NS &&
		u->last_rx_ns + u->dead_ns < now_ns + u->heartbeat_ns)
		u->last_rx_ns = now_ns + u->heartbeat_ns - u->dead_ns;
	u->looked_ns = now_ns;
	if (now_ns < u->last_rx_ns + u->dead_ns)
		return;
	/* A heartbeat may stand behind frames for which there is no room yet. */
	if (drained)
		bus_died(c);
	else
		u->last_rx_ns = now_ns - u->dead_ns + AGAIN_NS;
}

static bool fill(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST)
		return false;
	mr_udp_reliable_turn(c);
	if (mr_bytes_readable(&c->down) != 0)
		return true;
	if (c->eof)
		mr_udp_reliable_drain(c);
	else
		mr_udp_receive(c, false);
	if (c->udp->groups != NULL)
		(void)mr_udp_groups_receive(c);
	return mr_bytes_readable(&c->down) != 0;
}

static void make_room(struct mr_client *c)
{
	if (c->eof || !mr_udp_reliable_is_out(c->udp))
		return;
	mr_udp_receive(c, true);
	mr_udp_reliable_turn(c);
}

/* True if the program polls without sleeping and is likely to look again soon. Then the ack of a
 * few frames is delayed, until a look finds nothing new. */
static bool looks_again(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;
	uint64_t now_ns = mr_now_ns();
	bool soon =
		now_ns - r->acks_flushed_ns < SOON_NS && r->rx.ack_pending != r->ack_pending_seen;

	r->acks_flushed_ns = now_ns;
	r->ack_pending_seen = r->rx.ack_pending;
	return soon && c->epoll_fd < 0 && !mr_reliable_rx_ack_due(&r->rx, MR_UDP_ACK_FRAMES);
}

static void flush_acks(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;

	if (r->on && !c->eof && mr_reliable_rx_ack_due(&r->rx, 1) && !looks_again(c))
		mr_udp_send_ack(c);
}

/* A socket wakes its sleeper without being asked, but not for datagrams already taken from it: the
 * last look before the sleep may have met the end of the session. */
static bool arm(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;

	mr_udp_reliable_drain(c);
	if (r->on && !c->eof && mr_reliable_rx_ack_due(&r->rx, 1))
		mr_udp_send_ack(c);
	return !c->eof && mr_bytes_readable(&c->down) == 0;
}

static unsigned sleep_on(const struct mr_client *c, struct pollfd fds[2])
{
	int fd = c->udp->groups_fd >= 0 ? c->udp->groups_fd : c->udp->fd;

	fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	return 1;
}

/* A socket that has room but takes nothing waits for something else, such as the link; polling it
 * for room would return at once. */
static void room_sleep(struct mr_client *c)
{
	struct pollfd room = {.fd = c->udp->fd, .events = c->udp->full ? POLLOUT : 0};

	if (mr_udp_reliable_is_out(c->udp))
		room.events |= POLLIN;
	poll(&room, room.events != 0, 1);
}

static uint64_t due_ns(const struct mr_client *c)
{
	const struct mr_udp *u = c->udp;
	uint64_t beat_ns = u->heartbeat_tx_ns + u->heartbeat_ns;
	uint64_t dead_ns = u->last_rx_ns + u->dead_ns;
	uint64_t due = beat_ns < dead_ns ? beat_ns : dead_ns;

	uint64_t again_ns = mr_reliable_tx_due_ns(&u->reliable.tx);

	if (u->stuck && u->last_tx_ns + MR_NS_PER_MS < due)
		due = u->last_tx_ns + MR_NS_PER_MS;
	return again_ns < due ? again_ns : due;
}

/* Sent once: if it is lost, the bus misses the heartbeats. */
static void send_close(struct mr_client *c)
{
	const struct mrf_message_header close_message = {
		.bytes = sizeof(close_message), .kind = MRF_MESSAGE_KIND_CLOSE};

	mr_udp_send_alone(c, &close_message, sizeof(close_message));
}

static void unmap(struct mr_client *c)
{
	struct mr_udp *u = c->udp;

	if (u->fd < 0)
		return;
	if (!u->closed)
		send_close(c);
	u->reliable.tx.due_ns = 0;
	mr_udp_groups_end(c);
	mr_wait_unwatch(c, u->fd);
	close(u->fd);
	u->fd = -1;
}

static uint64_t group_dead_ns(const struct mr_client *c)
{
	return c->udp->dead_ns;
}

static void fini(struct mr_client *c)
{
	mr_channel_close(&c->udp->rings);
	mr_udp_reliable_fini(c->udp);
	mr_pages_free(c->udp->buffers, MR_UDP_RECEIVES * MR_UDP_BUFFER);
	mr_pages_free(c->udp, sizeof(*c->udp));
	c->udp = NULL;
}

const struct mr_transport mr_transport_udp = {
	.attach_begin = mr_udp_attach_begin,
	.attach_step = mr_udp_attach_step,
	.attach_end = mr_udp_attach_end,
	.wake = mr_udp_send,
	.fill = fill,
	.arm = arm,
	.sleep_on = sleep_on,
	.room_sleep = room_sleep,
	.make_room = make_room,
	.flush_acks = flush_acks,
	.check_bus = mr_udp_check_bus,
	.due_ns = due_ns,
	.group_join = mr_udp_group_join,
	.group_leave = mr_udp_group_leave,
	.group_heard_ns = mr_udp_group_heard_ns,
	.group_dead_ns = group_dead_ns,
	.unmap = unmap,
	.fini = fini,
};
