/* SPDX-License-Identifier: Apache-2.0 */
#include "client/transport/udp/group.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/wait.h"

#define SOCKET_BYTES (4 << 20)
#define CALLS_MAX    16u

struct mr_udp_group {
	struct mr_udp_group *next;
	int fd;
	struct mr_group_offer offer;
	struct sockaddr_storage bus; /* the session's other end: all frames come from there */
	struct mr_frame_window window;
	uint64_t heard_ns; /* last frame; 0: no probe came yet */
	bool begun;        /* a frame came: the window counts from it */
	uint32_t count;
	uint32_t room;
	uint32_t *subscriptions;
};

static bool is_ip4(const struct mr_group_offer *o)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(o->address, mapped, sizeof(mapped)) == 0;
}

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

/* True if both are the same IP address. */
static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a == NULL || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

/* Returns the interface of the session's route, by its local address. 0: unknown. */
static unsigned route_interface(const struct mr_udp *u)
{
	struct sockaddr_storage local;
	socklen_t bytes = sizeof(local);
	struct ifaddrs *all;
	unsigned index = 0;

	if (getsockname(u->fd, (struct sockaddr *)&local, &bytes) != 0 || getifaddrs(&all) != 0)
		return 0;
	for (const struct ifaddrs *a = all; a != NULL && index == 0; a = a->ifa_next)
		if (same_host(a->ifa_addr, (struct sockaddr *)&local))
			index = if_nametoindex(a->ifa_name);
	freeifaddrs(all);
	return index;
}

static int join_ip4(int fd, const struct mr_group_offer *o, unsigned interface)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(o->udp_port)};
	struct ip_mreqn m = {.imr_ifindex = (int)interface};

	memcpy(&at.sin_addr, o->address + 12, 4);
	m.imr_multiaddr = at.sin_addr;
	set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) != 0)
		return -errno;
	return 0;
}

static int join_ip6(int fd, const struct mr_group_offer *o, unsigned interface)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6,
		.sin6_port = htons(o->udp_port),
		.sin6_scope_id = interface};
	struct ipv6_mreq m = {.ipv6mr_interface = interface};

	memcpy(&at.sin6_addr, o->address, 16);
	m.ipv6mr_multiaddr = at.sin6_addr;
	set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)) != 0)
		return -errno;
	return 0;
}

/* Opens a socket that is a member of the group on that interface. */
static int open_socket(const struct mr_group_offer *o, unsigned interface, int *out)
{
	int fd = socket(
		is_ip4(o) ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES);
	error = is_ip4(o) ? join_ip4(fd, o, interface) : join_ip6(fd, o, interface);
	if (error != 0)
		close(fd);
	else
		*out = fd;
	return error;
}

/* Makes the set of descriptors on which the client sleeps while it is in groups. */
static int open_set(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	struct epoll_event e = {.events = EPOLLIN};

	if (u->groups_fd >= 0)
		return 0;
	u->groups_fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->groups_fd < 0)
		return -errno;
	if (epoll_ctl(u->groups_fd, EPOLL_CTL_ADD, u->fd, &e) != 0)
		return -errno;
	mr_wait_watch(c, u->groups_fd);
	return 0;
}

static int watch(struct mr_client *c, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};
	int error = open_set(c);

	if (error == 0 && epoll_ctl(c->udp->groups_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		error = -errno;
	return error;
}

static void free_group(struct mr_udp_group *g)
{
	if (g->fd >= 0)
		close(g->fd);
	free(g->subscriptions);
	free(g);
}

static struct mr_udp_group *find_channel(const struct mr_udp *u, uint64_t channel)
{
	struct mr_udp_group *g = u->groups;

	while (g != NULL && g->offer.channel != channel)
		g = g->next;
	return g;
}

static bool has_subscription(const struct mr_udp_group *g, uint32_t subscription)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (g->subscriptions[i] == subscription)
			return true;
	return false;
}

static int add_subscription(struct mr_udp_group *g, uint32_t subscription)
{
	uint32_t room = g->room == 0 ? 4 : 2 * g->room;
	uint32_t *grown;

	if (has_subscription(g, subscription))
		return 0;
	if (g->count == g->room) {
		grown = realloc(g->subscriptions, room * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		g->subscriptions = grown;
		g->room = room;
	}
	g->subscriptions[g->count++] = subscription;
	return 0;
}

static int new_group(struct mr_client *c, const struct mr_group_offer *offer, const char *interface,
	struct mr_udp_group **out)
{
	struct mr_udp *u = c->udp;
	unsigned index = interface[0] != '\0' ? if_nametoindex(interface) : route_interface(u);
	struct mr_udp_group *g = calloc(1, sizeof(*g));
	socklen_t bus_bytes = sizeof(g->bus);
	int error;

	if (g == NULL)
		return -ENOMEM;
	g->fd = -1;
	g->offer = *offer;
	if (getpeername(u->fd, (struct sockaddr *)&g->bus, &bus_bytes) != 0)
		error = -errno;
	else
		error = index != 0 ? open_socket(offer, index, &g->fd) : -ENODEV;
	if (error == 0)
		error = watch(c, g->fd);
	if (error != 0) {
		free_group(g);
		return error;
	}
	g->next = u->groups;
	u->groups = g;
	*out = g;
	return 0;
}

int mr_udp_group_join(struct mr_client *c, const struct mr_group_offer *offer,
	uint32_t subscription, const char *interface)
{
	struct mr_udp_group *g = find_channel(c->udp, offer->channel);
	int error = 0;

	if (g != NULL && has_subscription(g, subscription))
		return 0;
	mr_udp_group_leave(c, subscription);
	g = find_channel(c->udp, offer->channel);
	if (g == NULL)
		error = new_group(c, offer, interface, &g);
	if (error == 0)
		error = add_subscription(g, subscription);
	return error;
}

static struct mr_udp_group **find_subscription(struct mr_udp *u, uint32_t subscription)
{
	struct mr_udp_group **at = &u->groups;

	while (*at != NULL && !has_subscription(*at, subscription))
		at = &(*at)->next;
	return at;
}

void mr_udp_group_leave(struct mr_client *c, uint32_t subscription)
{
	struct mr_udp_group **at = find_subscription(c->udp, subscription);
	struct mr_udp_group *g = *at;

	if (g == NULL)
		return;
	for (uint32_t i = 0; i < g->count; i++)
		if (g->subscriptions[i] == subscription)
			g->subscriptions[i--] = g->subscriptions[--g->count];
	if (g->count > 0)
		return;
	*at = g->next;
	free_group(g);
}

uint64_t mr_udp_group_heard_ns(const struct mr_client *c, uint32_t subscription)
{
	const struct mr_udp_group *g = *find_subscription(c->udp, subscription);

	return g != NULL ? g->heard_ns : 0;
}

/* Copies a delivery into the ring for each subscription of the group. */
static void deliver(struct mr_client *c, const struct mr_udp_group *g, const uint8_t *at,
	struct mrf_message_header h)
{
	size_t bytes = mr_message_stride(h.bytes);

	for (uint32_t i = 0; i < g->count; i++) {
		uint8_t *to = mr_bytes_claim(&c->udp->in, bytes);

		if (to == NULL) {
			c->missed++;
			continue;
		}
		memcpy(to, at, bytes);
		h.target = g->subscriptions[i];
		memcpy(to, &h, sizeof(h));
		mr_bytes_push(&c->udp->in, bytes);
	}
}

static void take_gap(struct mr_client *c, const uint8_t *at, size_t bytes)
{
	uint8_t *to = mr_bytes_claim(&c->udp->in, bytes);

	if (to == NULL)
		return;
	memcpy(to, at, bytes);
	mr_bytes_push(&c->udp->in, bytes);
}

static void take_messages(
	struct mr_client *c, struct mr_udp_group *g, const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		struct mrf_message_header h = mr_message_header_load(at);

		if (h.kind == MRF_MESSAGE_KIND_DELIVER)
			deliver(c, g, at, h);
		else if (h.kind == MRF_MESSAGE_KIND_GAP)
			take_gap(c, at, mr_message_stride(h.bytes));
		else if (h.kind == MRF_MESSAGE_KIND_CLOSE)
			g->heard_ns = 1; /* the group has ended: it counts as silent */
		at += mr_message_stride(h.bytes);
	}
}

/* Counts the frame's number. The first frame begins the count. False: it came before. */
static bool take_number(struct mr_client *c, struct mr_udp_group *g, uint32_t sequence)
{
	int64_t lost;

	if (!g->begun) {
		g->begun = true;
		g->window = (struct mr_frame_window){.highest = sequence, .seen = UINT64_MAX};
		return true;
	}
	if (mr_frame_take(&g->window, sequence, &lost) == MR_FRAME_DUPLICATE)
		return false;
	c->udp->group_lost += (uint64_t)lost;
	if (lost > 0)
		mr_event_log(c, MR_SEVERITY_WARNING, MR_EVENT_GAP,
			"%lld frames of a multicast group were lost", (long long)lost);
	return true;
}

static bool is_from_bus(const struct mr_udp_group *g, const struct sockaddr_storage *from)
{
	if (!same_host((const struct sockaddr *)from, (const struct sockaddr *)&g->bus))
		return false;
	return g->bus.ss_family == AF_INET ? ((const struct sockaddr_in *)&g->bus)->sin_port ==
						     ((const struct sockaddr_in *)from)->sin_port
					   : ((const struct sockaddr_in6 *)&g->bus)->sin6_port ==
						     ((const struct sockaddr_in6 *)from)->sin6_port;
}

static void take_frame(struct mr_client *c, struct mr_udp_group *g, const uint8_t *at, size_t bytes,
	const struct sockaddr_storage *from)
{
	struct mrf_frame_header frame;
	uint64_t now_ns = mr_now_ns();

	if (!is_from_bus(g, from) || mr_frame_parse(at, bytes, &frame) != MR_FRAME_OK ||
		frame.session != g->offer.channel || frame.flags != 0 || frame.sequence == 0 ||
		!mr_udp_frame_is_filled(at, bytes, frame.messages)) {
		c->udp->group_refused++;
		return;
	}
	if (!take_number(c, g, frame.sequence))
		return;
	c->udp->group_frames++;
	/* A frame of the largest size proves that the network carries them. */
	if (bytes == g->offer.frame_bytes || g->heard_ns != 0) {
		if (g->heard_ns == 0)
			mr_housekeep_by(c, 0);
		g->heard_ns = now_ns;
	}
	take_messages(c, g, at + sizeof(frame), at + bytes);
}

/* Makes one system call; returns how many datagrams it brought. */
static unsigned receive_some(struct mr_client *c, struct mr_udp_group *g, unsigned count)
{
	struct sockaddr_storage from[MR_UDP_RECEIVES];
	struct mmsghdr calls[MR_UDP_RECEIVES];
	struct iovec parts[MR_UDP_RECEIVES];
	struct mr_udp *u = c->udp;
	int n;

	for (unsigned i = 0; i < count; i++) {
		parts[i] = (struct iovec){u->buffers + i * MR_UDP_BUFFER, MR_UDP_BUFFER};
		calls[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
			.msg_iovlen = 1,
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i])};
	}
	n = recvmmsg(g->fd, calls, count, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		take_frame(c, g, parts[i].iov_base, calls[i].msg_len, &from[i]);
	return n > 0 ? (unsigned)n : 0;
}

/* Receives from one group. Datagrams stay in the socket while the ring has no room for one of them
 * and each subscription. */
static bool receive_group(struct mr_client *c, struct mr_udp_group *g)
{
	uint64_t each = (uint64_t)g->offer.frame_bytes * g->count;

	for (unsigned i = 0; i < CALLS_MAX; i++) {
		uint64_t room = mr_bytes_room(&c->udp->in, MR_UDP_RECEIVES * each) / each;
		unsigned count = room < MR_UDP_RECEIVES ? (unsigned)room : MR_UDP_RECEIVES;

		if (count == 0)
			return false;
		if (receive_some(c, g, count) < count)
			return true;
	}
	return false;
}

bool mr_udp_groups_receive(struct mr_client *c)
{
	bool drained = true;

	for (struct mr_udp_group *g = c->udp->groups; g != NULL; g = g->next)
		drained &= receive_group(c, g);
	if (c->udp->groups != NULL)
		mr_bytes_publish_quiet(&c->udp->in);
	return drained;
}

void mr_udp_groups_end(struct mr_client *c)
{
	struct mr_udp *u = c->udp;

	while (u->groups != NULL) {
		struct mr_udp_group *g = u->groups;

		u->groups = g->next;
		free_group(g);
	}
	if (u->groups_fd < 0)
		return;
	mr_wait_unwatch(c, u->groups_fd);
	close(u->groups_fd);
	u->groups_fd = -1;
}
