/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/memif_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/log.h"

#define NAME "millrace"
/* Bound of the memory of an interface: 16,384 slots each way with buffers for 9,216 bytes, twice.
 */
#define MEMORY_MAX (1ull << 30)
#define LOG2_MIN   3u

/* ---- messages */

int mr_memif_send(int fd, const struct mr_memif_message *m, int with)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m)};
	struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (with >= 0) {
		h.msg_control = control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &with, sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*m) ? 0 : -EPIPE;
}

/* Takes the first descriptor beside a message, and closes the others. */
static int take_fd(struct msghdr *h)
{
	int first = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int mr_memif_receive(int fd, struct mr_memif_packet *out)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {.iov_base = &out->message, .iov_len = sizeof(out->message)};
	struct msghdr h = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t bytes = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	out->fd = -1;
	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ECONNRESET;
	out->fd = take_fd(&h);
	if (bytes == sizeof(out->message) && (h.msg_flags & MSG_TRUNC) == 0)
		return 0;
	if (out->fd >= 0)
		close(out->fd);
	return bytes == 0 ? -ECONNRESET : -EPROTO;
}

int mr_memif_send_hello(int fd)
{
	const struct mr_memif_message m = {
		.kind = MR_MEMIF_HELLO,
		.hello = {.name = NAME,
			.version_min = MR_MEMIF_VERSION,
			.version_max = MR_MEMIF_VERSION,
			.region_max = MR_MEMIF_REGIONS_MAX - 1,
			.log2_max = MR_MEMIF_LOG2_MAX},
	};

	return mr_memif_send(fd, &m, -1);
}

void mr_memif_send_disconnect(int fd, const char *why)
{
	struct mr_memif_message m = {.kind = MR_MEMIF_DISCONNECT};

	snprintf(m.disconnect.reason, sizeof(m.disconnect.reason), "%s", why);
	(void)mr_memif_send(fd, &m, -1);
}

static int send_kind(const struct mr_memif_link *l, enum mr_memif_kind kind)
{
	struct mr_memif_message m = {.kind = (uint16_t)kind};

	if (kind == MR_MEMIF_CONNECT || kind == MR_MEMIF_CONNECTED)
		snprintf((char *)m.connect.name, sizeof(m.connect.name), "%.31s", l->port);
	return mr_memif_send(l->fd, &m, -1);
}

/* ---- life of a connection */

void mr_memif_link_init(struct mr_memif_link *l)
{
	l->state = MR_MEMIF_FREE;
	l->fd = -1;
	l->bell_fd = -1;
	l->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < MR_MEMIF_REGIONS_MAX; i++)
		l->region_fds[i] = -1;
}

void mr_memif_link_fini(struct mr_memif_link *l)
{
	mr_memif_link_free(l);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	l->wake_fd = -1;
}

/* Closing alone would leave the doorbell in the set, because the peer has it open, too. */
static void drop_bell(struct mr_memif_link *l)
{
	if (l->bell_fd < 0)
		return;
	(void)epoll_ctl(l->wake_fd, EPOLL_CTL_DEL, l->bell_fd, NULL);
	close(l->bell_fd);
	l->bell_fd = -1;
}

/* Lets the doorbell wake the worker. Takes `fd`, also on failure. */
static bool set_bell(struct mr_memif_link *l, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	drop_bell(l);
	l->bell_fd = fd;
	return epoll_ctl(l->wake_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

/* True for an eventfd. A look at a file of another kind could wait for the peer. */
static bool is_eventfd(int fd)
{
	static const char eventfd_name[] = "anon_inode:[eventfd]";
	char path[32], is[sizeof(eventfd_name)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, is, sizeof(is)) == (ssize_t)sizeof(eventfd_name) - 1 &&
	       memcmp(is, eventfd_name, sizeof(eventfd_name) - 1) == 0;
}

static void begin(struct mr_memif_link *l, int fd, uint64_t now_ns)
{
	struct mr_memif_queue *q = &l->queue;

	memset(q->regions, 0, sizeof(q->regions));
	memset(&q->rx, 0, sizeof(q->rx));
	memset(&q->tx, 0, sizeof(q->tx));
	q->client = l->client;
	atomic_store_explicit(&q->broken, false, memory_order_relaxed);
	l->c2s.given = l->s2c.given = false;
	l->state = MR_MEMIF_CONNECTING;
	l->fd = fd;
	l->step = 0;
	l->since = now_ns;
}

static void close_fds(struct mr_memif_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	drop_bell(l);
	for (unsigned i = 0; i < MR_MEMIF_REGIONS_MAX; i++) {
		if (l->region_fds[i] >= 0)
			close(l->region_fds[i]);
		l->region_fds[i] = -1;
	}
	l->regions_count = 0;
}

void mr_memif_link_free(struct mr_memif_link *l)
{
	struct mr_memif_region *r = l->queue.regions;

	close_fds(l);
	for (unsigned i = 0; i < MR_MEMIF_REGIONS_MAX; i++) {
		if (r[i].at != NULL)
			(void)munmap(r[i].at, r[i].bytes);
		r[i] = (struct mr_memif_region){NULL, 0};
	}
	l->state = MR_MEMIF_FREE;
}

void mr_memif_link_end(struct mr_memif_link *l, const char *why)
{
	if (why != NULL) {
		mr_memif_send_disconnect(l->fd, why);
		mr_log_limited(MR_LOG_WARN, "refused a memif peer", MR_LOG_STR("port", l->port),
			MR_LOG_U64("id", l->id), MR_LOG_STR("why", why));
	}
	if (l->state == MR_MEMIF_IS_CONNECTED) {
		close_fds(l);
		l->state = MR_MEMIF_LOST;
	} else if (l->state == MR_MEMIF_CONNECTING) {
		mr_memif_link_free(l);
	}
}

int mr_memif_link_connect(struct mr_memif_link *l, const char *path, uint64_t now_ns)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	begin(l, fd, now_ns);
	return 0;
}

void mr_memif_link_adopt(struct mr_memif_link *l, int fd, uint64_t now_ns)
{
	begin(l, fd, now_ns);
	l->step = 1;
	if (send_kind(l, MR_MEMIF_ACK) != 0)
		mr_memif_link_end(l, NULL);
}

/* ---- server */

/* Returns why memory is refused, or NULL. */
static const char *check_memory(const struct mr_memif_link *l, int fd, uint64_t bytes)
{
	uint64_t all = bytes;
	struct statfs fs;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	for (uint32_t i = 0; i < l->regions_count; i++)
		all += l->region_bytes[i];
	if (fstat(fd, &st) < 0 || bytes == 0 || bytes > MEMORY_MAX || (uint64_t)st.st_size < bytes)
		return "a region is larger than its file, or than 1 GiB";
	if (l->trusted)
		return NULL;
	if (all > MEMORY_MAX)
		return "the regions are larger than 1 GiB";
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		return "a region is no memfd that is sealed against shrinking (trusted=yes takes "
		       "it)";
	return fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC
		       ? "a region has huge pages (trusted=yes takes it)"
		       : NULL;
}

static const char *take_region(struct mr_memif_link *l, struct mr_memif_packet *k)
{
	uint64_t bytes = k->message.add_region.bytes;
	const char *why;

	if (k->fd < 0)
		return "a region without memory";
	if (k->message.add_region.index != l->regions_count ||
		l->regions_count == MR_MEMIF_REGIONS_MAX)
		return "the index of a region is wrong";
	why = check_memory(l, k->fd, bytes);
	if (why != NULL)
		return why;
	l->region_bytes[l->regions_count] = bytes;
	l->region_fds[l->regions_count++] = k->fd;
	k->fd = -1;
	return NULL;
}

/* The descriptor beside the message is a doorbell. It is not kept: workers poll. A write to it by
 * the worker could block for ever, as the peer may fill it. */
/* Takes the doorbell of the ring from the client; a ring may be without one. */
static const char *take_bell(struct mr_memif_link *l, struct mr_memif_packet *k)
{
	int fd = k->fd;

	if (fd < 0)
		return NULL;
	if (!is_eventfd(fd))
		return "the doorbell of a ring is no eventfd";
	k->fd = -1;
	return set_bell(l, fd) ? NULL : "the doorbell of a ring cannot be watched";
}

static const char *take_ring(struct mr_memif_link *l, struct mr_memif_packet *k)
{
	const struct mr_memif_message *m = &k->message;
	struct mr_memif_ring_text *t = (m->add_ring.flags & MR_MEMIF_C2S) != 0 ? &l->c2s : &l->s2c;

	if (m->add_ring.index != 0)
		return "an interface has one ring each way";
	if (m->add_ring.log2 > MR_MEMIF_LOG2_MAX || m->add_ring.private_bytes != 0)
		return "a ring has more than 16,384 slots, or private headers";
	if (m->add_ring.region >= l->regions_count)
		return "a ring is in no region";
	*t = (struct mr_memif_ring_text){
		true, m->add_ring.region, m->add_ring.offset, m->add_ring.log2};
	return t == &l->c2s ? take_bell(l, k) : NULL;
}

static bool map_regions(struct mr_memif_link *l)
{
	for (uint32_t i = 0; i < l->regions_count; i++) {
		void *at = mmap(NULL, l->region_bytes[i], PROT_READ | PROT_WRITE, MAP_SHARED,
			l->region_fds[i], 0);

		if (at == MAP_FAILED)
			return false;
		l->queue.regions[i] = (struct mr_memif_region){at, l->region_bytes[i]};
	}
	return true;
}

static const char *take_connect(struct mr_memif_link *l)
{
	struct mr_memif_queue *q = &l->queue;

	if (!l->c2s.given || !l->s2c.given)
		return "a ring each way is needed";
	if (!map_regions(l))
		return "a region cannot be mapped";
	if (!mr_memif_find_ring(&q->regions[l->c2s.region], l->c2s.offset, l->c2s.log2, &q->rx) ||
		!mr_memif_find_ring(&q->regions[l->s2c.region], l->s2c.offset, l->s2c.log2, &q->tx))
		return "a ring is not inside its region, or has no cookie";
	__atomic_store_n(&q->rx.shared->tail, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&q->tx.shared->tail, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&q->rx.shared->flags, MR_MEMIF_POLLS, __ATOMIC_RELAXED);
	l->state = MR_MEMIF_IS_CONNECTED;
	return NULL;
}

static const char *serve(struct mr_memif_link *l, struct mr_memif_packet *k)
{
	enum mr_memif_kind answer = MR_MEMIF_ACK;
	const char *why;

	switch (k->message.kind) {
	case MR_MEMIF_ADD_REGION: why = take_region(l, k); break;
	case MR_MEMIF_ADD_RING: why = take_ring(l, k); break;
	case MR_MEMIF_CONNECT:
		why = take_connect(l);
		answer = MR_MEMIF_CONNECTED;
		break;
	default: return "an unexpected message";
	}
	if (why == NULL && send_kind(l, answer) != 0)
		mr_memif_link_end(l, NULL);
	return why;
}

/* ---- client */

static int make_memory(struct mr_memif_link *l)
{
	uint64_t bytes = mr_memif_layout_bytes(l->log2, l->buffer_bytes);
	int fd = memfd_create("millrace-memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *at;

	if (fd < 0)
		return -errno;
	l->region_fds[0] = fd;
	l->region_bytes[0] = bytes;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	l->queue.regions[0] = (struct mr_memif_region){at, bytes};
	l->regions_count = 1;
	mr_memif_layout(&l->queue, l->log2, l->buffer_bytes);
	return 0;
}

static int send_init(struct mr_memif_link *l)
{
	const struct mr_memif_message m = {
		.kind = MR_MEMIF_INIT,
		.init = {.version = MR_MEMIF_VERSION, .id = l->id, .name = NAME},
	};

	return mr_memif_send(l->fd, &m, -1);
}

static int send_region(struct mr_memif_link *l)
{
	const struct mr_memif_message m = {
		.kind = MR_MEMIF_ADD_REGION,
		.add_region = {.index = 0, .bytes = l->region_bytes[0]},
	};

	return mr_memif_send(l->fd, &m, l->region_fds[0]);
}

/* Sends a ring with its doorbell. That of the ring to us wakes the worker. */
static int send_ring(struct mr_memif_link *l, bool c2s)
{
	const struct mr_memif_ring *r = c2s ? &l->queue.tx : &l->queue.rx;
	const struct mr_memif_message m = {
		.kind = MR_MEMIF_ADD_RING,
		.add_ring = {.flags = c2s ? MR_MEMIF_C2S : 0,
			.offset = (uint32_t)((uint8_t *)r->shared - l->queue.regions[0].at),
			.log2 = l->log2},
	};
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), error;

	if (bell < 0)
		return -errno;
	error = mr_memif_send(l->fd, &m, bell);
	if (c2s)
		close(bell);
	else if (!set_bell(l, bell) && error == 0)
		error = -ENOSPC;
	return error;
}

static const char *take_hello(struct mr_memif_link *l, const struct mr_memif_message *m)
{
	if (l->step != 0 || m->hello.version_min > MR_MEMIF_VERSION ||
		m->hello.version_max < MR_MEMIF_VERSION)
		return "the version of memif is not 2.0";
	l->log2 = m->hello.log2_max < l->log2_most ? m->hello.log2_max : l->log2_most;
	if (l->log2 < LOG2_MIN)
		return "the rings would have fewer than 8 slots";
	return make_memory(l) != 0 ? "no memory for the rings" : NULL;
}

/* Sends the next message of the handshake. */
static int send_next(struct mr_memif_link *l)
{
	switch (l->step++) {
	case 0: return send_init(l);
	case 1: return send_region(l);
	case 2: return send_ring(l, true);
	case 3: return send_ring(l, false);
	case 4: return send_kind(l, MR_MEMIF_CONNECT);
	default: return -EPROTO;
	}
}

static const char *request(struct mr_memif_link *l, const struct mr_memif_packet *k)
{
	const char *why = NULL;

	switch (k->message.kind) {
	case MR_MEMIF_HELLO: why = take_hello(l, &k->message); break;
	case MR_MEMIF_ACK:
		if (l->step == 0)
			return "an unexpected message";
		break;
	case MR_MEMIF_CONNECTED:
		if (l->step != 5)
			return "an unexpected message";
		mr_memif_post_all(&l->queue);
		l->state = MR_MEMIF_IS_CONNECTED;
		return NULL;
	default: return "an unexpected message";
	}
	if (why == NULL && send_next(l) != 0)
		mr_memif_link_end(l, NULL);
	return why;
}

/* ---- both */

static void handle(struct mr_memif_link *l, struct mr_memif_packet *k)
{
	const char *why = NULL;

	if (k->message.kind == MR_MEMIF_DISCONNECT)
		mr_memif_link_end(l, NULL);
	else if (l->state == MR_MEMIF_IS_CONNECTED)
		why = "an unexpected message";
	else
		why = l->client ? request(l, k) : serve(l, k);
	if (why != NULL)
		mr_memif_link_end(l, why);
}

void mr_memif_link_read(struct mr_memif_link *l)
{
	struct mr_memif_packet k;

	while (l->fd >= 0) {
		int error = mr_memif_receive(l->fd, &k);

		if (error == -EAGAIN)
			return;
		if (error != 0) {
			mr_memif_link_end(
				l, error == -EPROTO ? "a message of the wrong size" : NULL);
			return;
		}
		handle(l, &k);
		if (k.fd >= 0)
			close(k.fd);
	}
}
