/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BURST        64u
#define BUFFER_BYTES 65536u
#define PARKED_MAX   32u
#define SOCKET_BYTES (8 << 20)
#define SENDS_MAX    (2 * BURST + PARKED_MAX)

/* A packet that waits. */
struct waiting {
	uint64_t due_ns;
	uint64_t order; /* order of arrival, for equal times */
	struct flow *flow;
	uint32_t bytes;
	uint8_t data[];
};

struct parked {
	struct waiting *packet;
	uint64_t behind; /* number of the flow's packet after which it may go */
};

/* One direction of one client. */
struct flow {
	struct client *client;
	enum mr_relay_direction direction;
	uint64_t number; /* packets so far */
	struct parked parked[PARKED_MAX];
	unsigned parked_count;
};

struct client {
	struct sockaddr_storage address;
	socklen_t address_bytes;
	int fd; /* to the bus */
	struct flow flows[MR_RELAY_DIRECTIONS];
};

struct mr_relay {
	struct mr_relay_options options;
	int fd;
	struct client *clients;
	unsigned clients_count;
	struct mr_relay_counts counts[MR_RELAY_DIRECTIONS];
	/* Delayed packets, a heap by time. */
	struct waiting **delayed;
	size_t delayed_count;
	size_t delayed_room;
	uint64_t order;
	/* Buffers for receiving, and for packets that one call sends. */
	uint8_t *buffers;
	struct mmsghdr sends[SENDS_MAX];
	struct iovec parts[SENDS_MAX];
	struct waiting *sent[SENDS_MAX]; /* packets to free after the call, or NULL */
	unsigned sends_count;
	struct flow *sends_flow;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static socklen_t address_bytes(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Sending */

static struct mr_relay_counts *counts_of(struct mr_relay *r, const struct flow *f)
{
	return &r->counts[f->direction];
}

/* Sends the buffers. Waits if the socket is full: a slow relay loses nothing by itself. */
static void flush(struct mr_relay *r)
{
	struct flow *f = r->sends_flow;
	unsigned done = 0;
	int n, errors = 0;

	while (done < r->sends_count) {
		int fd = f->direction == MR_RELAY_UP ? f->client->fd : r->fd;

		n = sendmmsg(fd, r->sends + done, r->sends_count - done, MSG_NOSIGNAL);
		if (n >= 0) {
			counts_of(r, f)->sent += (unsigned)n;
			done += (unsigned)n;
			errors = 0;
		} else if (errno != EINTR && ++errors > 1) {
			/* The first error may belong to an earlier packet. */
			counts_of(r, f)->refused++;
			done++;
			errors = 0;
		}
	}
	for (unsigned i = 0; i < r->sends_count; i++)
		free(r->sent[i]);
	r->sends_count = 0;
}

/* Queues data for sending. `owned` holds the data and is freed after sending; NULL: none. */
static void send_later(
	struct mr_relay *r, struct flow *f, void *data, size_t bytes, struct waiting *owned)
{
	unsigned i;

	if (r->sends_count == SENDS_MAX || (r->sends_count > 0 && r->sends_flow != f))
		flush(r);
	i = r->sends_count++;
	r->sends_flow = f;
	r->sent[i] = owned;
	r->parts[i] = (struct iovec){data, bytes};
	r->sends[i].msg_hdr = (struct msghdr){.msg_iov = &r->parts[i], .msg_iovlen = 1};
	if (f->direction == MR_RELAY_DOWN) {
		r->sends[i].msg_hdr.msg_name = &f->client->address;
		r->sends[i].msg_hdr.msg_namelen = f->client->address_bytes;
	}
}

/* Delay */

static bool before(const struct waiting *a, const struct waiting *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct mr_relay *r, struct waiting *w)
{
	size_t at = r->delayed_count++;

	for (; at > 0 && before(w, r->delayed[(at - 1) / 2]); at = (at - 1) / 2)
		r->delayed[at] = r->delayed[(at - 1) / 2];
	r->delayed[at] = w;
}

static struct waiting *heap_pop(struct mr_relay *r)
{
	struct waiting *first = r->delayed[0], *last = r->delayed[--r->delayed_count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < r->delayed_count) {
		if (child + 1 < r->delayed_count &&
			before(r->delayed[child + 1], r->delayed[child]))
			child++;
		if (!before(r->delayed[child], last))
			break;
		r->delayed[at] = r->delayed[child];
		at = child;
	}
	r->delayed[at] = last;
	return first;
}

static struct waiting *copy_of(struct flow *f, const uint8_t *data, size_t bytes)
{
	struct waiting *w = malloc(sizeof(*w) + bytes);

	if (w == NULL)
		return NULL;
	w->flow = f;
	w->bytes = (uint32_t)bytes;
	memcpy(w->data, data, bytes);
	return w;
}

/* Delays a packet; without memory the packet is lost. */
static void delay(struct mr_relay *r, struct waiting *w, uint64_t due_ns)
{
	size_t room = r->delayed_room == 0 ? 1024 : 2 * r->delayed_room;
	struct waiting **grown;

	if (r->delayed_count == r->delayed_room) {
		grown = realloc(r->delayed, room * sizeof(struct waiting *));
		if (grown == NULL) {
			counts_of(r, w->flow)->refused++;
			free(w);
			return;
		}
		r->delayed = grown;
		r->delayed_room = room;
	}
	w->due_ns = due_ns;
	w->order = r->order++;
	heap_push(r, w);
}

static void send_due(struct mr_relay *r, uint64_t now)
{
	while (r->delayed_count > 0 && r->delayed[0]->due_ns <= now) {
		struct waiting *w = heap_pop(r);

		send_later(r, w->flow, w->data, w->bytes, w);
	}
	flush(r);
}

/* Reordering */

/* Releases parked packets that enough others have passed, or that have waited long enough. */
static void unpark(struct mr_relay *r, struct flow *f, uint64_t now)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < f->parked_count; i++) {
		struct parked p = f->parked[i];

		if (f->number < p.behind && now < p.packet->due_ns)
			f->parked[kept++] = p;
		else
			send_later(r, f, p.packet->data, p.packet->bytes, p.packet);
	}
	f->parked_count = kept;
}

static bool park(struct flow *f, const uint8_t *data, size_t bytes, uint32_t behind, uint64_t now)
{
	struct waiting *w;

	if (behind == 0 || f->parked_count == PARKED_MAX)
		return false;
	w = copy_of(f, data, bytes);
	if (w == NULL)
		return false;
	w->due_ns = now + MR_RELAY_PARK_NS;
	f->parked[f->parked_count++] = (struct parked){w, f->number + behind};
	return true;
}

/* Receiving */

static void pass_on(struct mr_relay *r, struct flow *f, uint8_t *data, size_t bytes,
	const struct mr_fault *fault, uint64_t now)
{
	struct waiting *w;

	if (park(f, data, bytes, fault->behind, now)) {
		counts_of(r, f)->reordered++;
	} else if (fault->delay_ns == 0) {
		send_later(r, f, data, bytes, NULL);
	} else {
		w = copy_of(f, data, bytes);
		if (w == NULL)
			counts_of(r, f)->refused++;
		else
			delay(r, w, now + fault->delay_ns);
	}
}

static void handle(struct mr_relay *r, struct flow *f, uint8_t *data, size_t bytes, uint64_t now)
{
	uint32_t flow = (uint32_t)(f->client - r->clients) * MR_RELAY_DIRECTIONS + f->direction;
	struct mr_fault fault =
		mr_fault_of(&r->options.faults[f->direction], r->options.seed, flow, f->number++);
	struct mr_relay_counts *counts = counts_of(r, f);

	counts->received++;
	if (fault.drop) {
		counts->dropped++;
	} else {
		if (fault.corrupt && bytes > 0) {
			data[fault.where / 8 % bytes] ^= (uint8_t)(1u << fault.where % 8);
			counts->corrupted++;
		}
		pass_on(r, f, data, bytes, &fault, now);
		if (fault.duplicate) {
			counts->duplicated++;
			pass_on(r, f, data, bytes, &(struct mr_fault){.delay_ns = fault.delay_ns},
				now);
		}
	}
	unpark(r, f, now);
}

/* Clients */

static int open_socket(const struct sockaddr_storage *bind_to, const struct sockaddr_storage *to)
{
	int fd = socket((to != NULL ? to : bind_to)->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int bytes = SOCKET_BYTES;
	int error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if ((bind_to != NULL &&
		    bind(fd, (const struct sockaddr *)bind_to, address_bytes(bind_to)) < 0) ||
		(to != NULL && connect(fd, (const struct sockaddr *)to, address_bytes(to)) < 0)) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* Changes the client's port as seen by the bus, if it is time. Packets to the old port are lost. */
static void rebind_if_due(struct mr_relay *r, struct client *c)
{
	int fd;

	if (c->flows[MR_RELAY_UP].number != r->options.rebind_after || r->options.rebind_after == 0)
		return;
	flush(r);
	fd = open_socket(NULL, &r->options.bus);
	if (fd < 0)
		return;
	close(c->fd);
	c->fd = fd;
}

static struct client *client_of(
	struct mr_relay *r, const struct sockaddr_storage *from, socklen_t bytes)
{
	struct client *c;
	int fd;

	for (unsigned i = 0; i < r->clients_count; i++) {
		c = &r->clients[i];
		if (c->address_bytes == bytes && memcmp(&c->address, from, bytes) == 0)
			return c;
	}
	if (r->clients_count == MR_RELAY_CLIENTS_MAX)
		return NULL;
	fd = open_socket(NULL, &r->options.bus);
	if (fd < 0)
		return NULL;
	c = &r->clients[r->clients_count++];
	*c = (struct client){.address = *from, .address_bytes = bytes, .fd = fd};
	for (unsigned i = 0; i < MR_RELAY_DIRECTIONS; i++)
		c->flows[i] = (struct flow){.client = c, .direction = (enum mr_relay_direction)i};
	return c;
}

/* Receives one burst. `client` NULL: from clients, else from the bus to this client. */
static void receive(struct mr_relay *r, struct client *client, uint64_t now)
{
	struct sockaddr_storage from[BURST];
	struct mmsghdr calls[BURST];
	struct iovec parts[BURST];
	int n;

	for (unsigned i = 0; i < BURST; i++) {
		parts[i] = (struct iovec){r->buffers + i * BUFFER_BYTES, BUFFER_BYTES};
		calls[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &parts[i],
			.msg_iovlen = 1};
	}
	n = recvmmsg(client != NULL ? client->fd : r->fd, calls, BURST, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct client *c = client != NULL
					   ? client
					   : client_of(r, &from[i], calls[i].msg_hdr.msg_namelen);
		enum mr_relay_direction d = client != NULL ? MR_RELAY_DOWN : MR_RELAY_UP;

		if (c == NULL) {
			r->counts[d].refused++;
			continue;
		}
		handle(r, &c->flows[d], parts[i].iov_base, calls[i].msg_len, now);
		if (d == MR_RELAY_UP)
			rebind_if_due(r, c);
	}
	flush(r);
}

/* Releases packets that are due. Returns the time of the next one, or UINT64_MAX. */
static uint64_t let_go(struct mr_relay *r, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	send_due(r, now);
	if (r->delayed_count > 0)
		due = r->delayed[0]->due_ns;
	for (unsigned i = 0; i < r->clients_count * MR_RELAY_DIRECTIONS; i++) {
		struct flow *f =
			&r->clients[i / MR_RELAY_DIRECTIONS].flows[i % MR_RELAY_DIRECTIONS];

		unpark(r, f, now);
		if (f->parked_count > 0 && f->parked[0].packet->due_ns < due)
			due = f->parked[0].packet->due_ns;
	}
	flush(r);
	return due;
}

int mr_relay_step(struct mr_relay *r, int timeout_ms)
{
	struct pollfd fds[MR_RELAY_CLIENTS_MAX + 1];
	uint64_t now = now_ns(), due = let_go(r, now);
	uint64_t left = (uint64_t)timeout_ms * 1000000u;
	unsigned count = r->clients_count;
	struct timespec timeout;

	if (due != UINT64_MAX && due - now < left)
		left = due - now;
	timeout = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	fds[0] = (struct pollfd){.fd = r->fd, .events = POLLIN};
	for (unsigned i = 0; i < count; i++)
		fds[i + 1] = (struct pollfd){.fd = r->clients[i].fd, .events = POLLIN};
	if (ppoll(fds, count + 1, &timeout, NULL) < 0)
		return -errno;
	now = now_ns();
	if (fds[0].revents != 0)
		receive(r, NULL, now);
	for (unsigned i = 0; i < count; i++) {
		if (fds[i + 1].revents != 0)
			receive(r, &r->clients[i], now);
	}
	return 0;
}

const struct mr_relay_counts *mr_relay_counts(
	const struct mr_relay *r, enum mr_relay_direction direction)
{
	return &r->counts[direction];
}

uint16_t mr_relay_port(const struct mr_relay *r)
{
	struct sockaddr_storage a = {0};
	socklen_t bytes = sizeof(a);

	getsockname(r->fd, (struct sockaddr *)&a, &bytes);
	return ntohs(a.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a)->sin6_port
					     : ((const struct sockaddr_in *)&a)->sin_port);
}

int mr_relay_open(const struct mr_relay_options *options, struct mr_relay **out)
{
	struct mr_relay *r = calloc(1, sizeof(*r));
	int error = -ENOMEM;

	*out = NULL;
	if (r == NULL)
		return -ENOMEM;
	r->options = *options;
	r->fd = -1;
	r->clients = calloc(MR_RELAY_CLIENTS_MAX, sizeof(*r->clients));
	r->buffers = malloc((size_t)BURST * BUFFER_BYTES);
	if (r->clients != NULL && r->buffers != NULL)
		r->fd = error = open_socket(&options->listen, NULL);
	if (r->fd < 0) {
		mr_relay_close(r);
		return error;
	}
	*out = r;
	return 0;
}

void mr_relay_close(struct mr_relay *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < r->clients_count; i++) {
		for (unsigned d = 0; d < MR_RELAY_DIRECTIONS; d++) {
			struct flow *f = &r->clients[i].flows[d];

			while (f->parked_count > 0)
				free(f->parked[--f->parked_count].packet);
		}
		close(r->clients[i].fd);
	}
	while (r->delayed_count > 0)
		free(r->delayed[--r->delayed_count]);
	if (r->fd >= 0)
		close(r->fd);
	free(r->delayed);
	free(r->clients);
	free(r->buffers);
	free(r);
}
