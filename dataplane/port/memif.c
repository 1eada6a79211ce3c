/* SPDX-License-Identifier: Apache-2.0 */
/* memif: the driver of a port whose packets go through memory shared with another process.
 *
 * Each worker has an interface of its own, with one ring each way; ids count up from the configured
 * one. DPDK's driver is not used: it unmaps the rings of a peer that hangs up while a worker reads
 * them, and believes what it reads there. */
#include "dataplane/port/memif.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "lib/base/log.h"
#include "dataplane/port/driver.h"

#define MTU_DEFAULT  1500
#define EVENTS_MAX   16
#define BACKLOG      16
#define HANDSHAKE_NS 5000000000ull
/* Values of epoll's data: links count from 0. */
#define LISTENER 0x10000u
#define WAITING  0x20000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- prepare */

/* True if a process listens on the socket. Reads the kernel's list instead of connecting: a server
 * that uses DPDK's driver panics when a client disconnects early. */
static bool is_served(const char *path)
{
	FILE *f = fopen("/proc/net/unix", "re");
	size_t path_bytes = strlen(path);
	char line[512];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		size_t bytes = strcspn(line, "\n");

		found = bytes > path_bytes && line[bytes - path_bytes - 1] == ' ' &&
			memcmp(line + bytes - path_bytes, path, path_bytes) == 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int prepare_socket(struct mr_port *p)
{
	const char *path = p->config->device;

	if (is_served(path))
		return mr_port_refuse(p, -EADDRINUSE, "another process listens on this socket",
			"choose another path with socket= in ports.open, or role=client");
	if (is_socket(path) && unlink(path) == 0)
		mr_log(MR_LOG_WARN, "replaced the socket that an earlier run left behind",
			MR_LOG_STR("port", p->name), MR_LOG_STR("socket", path));
	return 0;
}

static int check_directory(struct mr_port *p)
{
	char directory[sizeof(p->config->device)];

	snprintf(directory, sizeof(directory), "%s", p->config->device);
	strrchr(directory, '/')[1] = '\0'; /* the configuration takes absolute paths only */
	return access(directory, R_OK | W_OK) == 0
		       ? 0
		       : mr_port_refuse(p, -errno, "the directory of the socket cannot be written",
				 "make the directory for this user, or choose another with socket= "
				 "in ports.open");
}

static int prepare(struct mr_port *p, unsigned workers)
{
	int error = check_directory(p);

	(void)workers;
	mr_port_choose_mac(p);
	p->mtu = p->config->mtu != 0 ? p->config->mtu : MTU_DEFAULT;
	return error == 0 && p->config->memif_server ? prepare_socket(p) : error;
}

/* ---- open, close */

static int watch(const struct mr_memif *m, int fd, uint32_t what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(m->events_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int listen_on(struct mr_memif *m)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	m->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", m->path);
	if (m->listen_fd < 0 ||
		bind(m->listen_fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
		listen(m->listen_fd, BACKLOG) < 0)
		return -errno;
	m->listens = true;
	return watch(m, m->listen_fd, LISTENER);
}

static uint8_t ring_log2(const struct mr_port *p)
{
	unsigned log2 = (unsigned)__builtin_ctz(p->config->queue_entries);

	return (uint8_t)(log2 > MR_MEMIF_LOG2_MAX ? MR_MEMIF_LOG2_MAX : log2);
}

static void open_link(struct mr_port *p, unsigned worker)
{
	struct mr_memif_link *l = &p->memif->links[worker];

	mr_memif_link_init(l);
	l->port = p->name;
	l->id = p->config->memif_id + worker;
	l->buffer_bytes = rte_pktmbuf_data_room_size(p->pool) - RTE_PKTMBUF_HEADROOM;
	l->log2_most = ring_log2(p);
	l->client = !p->config->memif_server;
	l->trusted = p->config->memif_trusted;
	l->queue.pool = p->pool;
	p->queues[worker] = (struct mr_port_queue){.memif = &l->queue};
}

static int open_queues(struct mr_port *p)
{
	size_t bytes = sizeof(struct mr_memif) + p->queues_count * sizeof(struct mr_memif_link);
	struct mr_memif *m = aligned_alloc(MR_CACHE_LINE, mr_align_up(bytes, MR_CACHE_LINE));

	if (m == NULL)
		return mr_port_refuse(p, -ENOMEM, "no memory", "allow the process more memory");
	memset(m, 0, bytes);
	m->path = p->config->device;
	m->links_count = p->queues_count;
	m->listen_fd = -1;
	for (unsigned i = 0; i < MR_MEMIF_WAITING_MAX; i++)
		m->waiting[i].fd = -1;
	p->memif = m;
	for (unsigned i = 0; i < m->links_count; i++)
		open_link(p, i);
	p->rx_entries = 1u << ring_log2(p);
	p->events_fd = m->events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->events_fd < 0)
		return mr_port_refuse(p, -errno, "no epoll set", "raise the limit of open files");
	if (p->config->memif_server && listen_on(m) != 0)
		return mr_port_refuse(p, -errno, "the socket cannot be opened",
			"choose another path with socket= in ports.open");
	return 0;
}

static void close_waiting(struct mr_memif *m, unsigned i)
{
	close(m->waiting[i].fd);
	m->waiting[i].fd = -1;
}

static void closed(struct mr_port *p)
{
	struct mr_memif *m = p->memif;

	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->links_count; i++)
		mr_memif_link_fini(&m->links[i]);
	for (unsigned i = 0; i < MR_MEMIF_WAITING_MAX; i++)
		if (m->waiting[i].fd >= 0)
			close_waiting(m, i);
	if (m->listen_fd >= 0) {
		close(m->listen_fd);
		(void)unlink(m->path);
	}
	if (m->events_fd >= 0)
		close(m->events_fd);
	p->events_fd = -1;
	p->memif = NULL;
	free(m);
}

/* ---- connections */

static struct mr_memif_link *find_link(struct mr_memif *m, uint32_t id)
{
	for (uint32_t i = 0; i < m->links_count; i++)
		if (m->links[i].id == id)
			return &m->links[i];
	return NULL;
}

/* Accepts nobody while a lost connection's memory is in use: a peer that comes back waits in the
 * socket's backlog instead of being refused. */
static void update_listener(struct mr_memif *m)
{
	bool listens = true;

	for (uint32_t i = 0; i < m->links_count; i++)
		listens = listens && m->links[i].state != MR_MEMIF_LOST;
	if (m->listen_fd < 0 || listens == m->listens)
		return;
	m->listens = listens;
	if (listens)
		(void)watch(m, m->listen_fd, LISTENER);
	else
		(void)epoll_ctl(m->events_fd, EPOLL_CTL_DEL, m->listen_fd, NULL);
}

/* Accepts a connection and says hello. The peer's init will tell which interface it wants. */
static void accept_peer(struct mr_memif *m)
{
	int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned i = 0;

	if (fd < 0)
		return;
	while (i < MR_MEMIF_WAITING_MAX && m->waiting[i].fd >= 0)
		i++;
	if (i == MR_MEMIF_WAITING_MAX || watch(m, fd, WAITING + i) != 0 ||
		mr_memif_send_hello(fd) != 0) {
		close(fd);
		return;
	}
	m->waiting[i].fd = fd;
	m->waiting[i].since = now_ns();
}

/* Returns the free interface that an init names; NULL: there is none, see *why. */
static struct mr_memif_link *choose_link(
	struct mr_memif *m, const struct mr_memif_message *init, const char **why)
{
	struct mr_memif_link *l = find_link(m, init->init.id);

	if (init->kind != MR_MEMIF_INIT || init->init.version != MR_MEMIF_VERSION ||
		init->init.mode != 0)
		*why = "expected an init of version 2.0 for Ethernet";
	else if (l == NULL)
		*why = "no interface has this id: they count up from id=, one for each worker";
	else if (l->state != MR_MEMIF_FREE)
		*why = "the interface has a peer already";
	else
		return l;
	return NULL;
}

static void read_init(struct mr_port *p, unsigned i)
{
	struct mr_memif *m = p->memif;
	const char *why = "a message of the wrong size";
	struct mr_memif_link *l = NULL;
	struct mr_memif_packet k;
	int fd = m->waiting[i].fd;
	int error = mr_memif_receive(fd, &k);

	if (error == -EAGAIN)
		return;
	if (error == 0) {
		l = choose_link(m, &k.message, &why);
		if (k.fd >= 0)
			close(k.fd);
	}
	if (l == NULL) {
		mr_memif_send_disconnect(fd, why);
		mr_log_limited(MR_LOG_WARN, "refused a memif peer", MR_LOG_STR("port", p->name),
			MR_LOG_STR("why", error == -ECONNRESET ? "it hung up" : why));
		close_waiting(m, i);
		return;
	}
	m->waiting[i].fd = -1;
	(void)epoll_ctl(m->events_fd, EPOLL_CTL_DEL, fd, NULL);
	mr_memif_link_adopt(l, fd, now_ns());
	if (l->fd >= 0 && watch(m, l->fd, (uint32_t)(l - m->links)) != 0)
		mr_memif_link_end(l, NULL);
}

static void served(struct mr_port *p)
{
	struct mr_memif *m = p->memif;
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(m->events_fd, events, EVENTS_MAX, 0);

	for (int i = 0; i < count; i++) {
		uint32_t what = events[i].data.u32;

		if (what == LISTENER)
			accept_peer(m);
		else if (what >= WAITING && m->waiting[what - WAITING].fd >= 0)
			read_init(p, what - WAITING);
		else if (what < m->links_count)
			mr_memif_link_read(&m->links[what]);
	}
	update_listener(m);
}

/* ---- once a second */

static bool link_up(const struct mr_port *p)
{
	for (uint32_t i = 0; i < p->memif->links_count; i++)
		if (p->memif->links[i].state != MR_MEMIF_IS_CONNECTED)
			return false;
	return true;
}

/* Ends handshakes that take too long, and connections whose peer broke the rules of the rings. */
static void end_faulty(struct mr_memif *m)
{
	uint64_t now = now_ns();

	for (uint32_t i = 0; i < m->links_count; i++) {
		struct mr_memif_link *l = &m->links[i];

		if (l->state == MR_MEMIF_CONNECTING && now - l->since > HANDSHAKE_NS)
			mr_memif_link_end(l, "the handshake took longer than 5 s");
		else if (l->state == MR_MEMIF_IS_CONNECTED &&
			 atomic_load_explicit(&l->queue.broken, memory_order_relaxed))
			mr_memif_link_end(l, "a ring or a slot has impossible values");
	}
	for (unsigned i = 0; i < MR_MEMIF_WAITING_MAX; i++)
		if (m->waiting[i].fd >= 0 && now - m->waiting[i].since > HANDSHAKE_NS)
			close_waiting(m, i);
}

/* Warns once of a peer that sleeps: it is not woken. */
static void warn_asleep(struct mr_port *p)
{
	struct mr_memif *m = p->memif;

	for (uint32_t i = 0; i < m->links_count && !m->warned; i++) {
		if (m->links[i].queue.asleep == 0)
			continue;
		m->warned = true;
		mr_log(MR_LOG_WARN,
			"the memif peer wants to be woken for packets, which this port never does: "
			"let it poll",
			MR_LOG_STR("port", p->name));
	}
}

static void looked(struct mr_port *p)
{
	end_faulty(p->memif);
	update_listener(p->memif);
	warn_asleep(p);
}

/* Frees what lost connections have left; a client connects again. */
static void revive(struct mr_port *p)
{
	struct mr_memif *m = p->memif;

	for (uint32_t i = 0; i < m->links_count; i++) {
		struct mr_memif_link *l = &m->links[i];

		if (l->state == MR_MEMIF_LOST)
			mr_memif_link_free(l);
		if (l->state == MR_MEMIF_FREE && l->client &&
			mr_memif_link_connect(l, m->path, now_ns()) == 0 && watch(m, l->fd, i) != 0)
			mr_memif_link_end(l, NULL);
	}
	update_listener(m);
}

static void add_counters(const struct mr_port *p, struct rte_eth_stats *sum)
{
	for (uint32_t i = 0; i < p->memif->links_count; i++) {
		const struct mr_memif_queue *q = &p->memif->links[i].queue;

		sum->ierrors += __atomic_load_n(&q->rx_errors, __ATOMIC_RELAXED);
		sum->rx_nombuf += __atomic_load_n(&q->rx_no_buffer, __ATOMIC_RELAXED);
	}
}

/* ---- sleep */

static int wake_fd(const struct mr_port *p, unsigned queue)
{
	return p->memif->links[queue].wake_fd;
}

static void arm(const struct mr_port *p, unsigned queue)
{
	mr_memif_want_bell(&p->memif->links[queue].queue, true);
}

/* Takes what the doorbell has reported out of the set, which is readable until then. */
static void disarm(const struct mr_port *p, unsigned queue)
{
	struct mr_memif_link *l = &p->memif->links[queue];
	struct epoll_event e;

	mr_memif_want_bell(&l->queue, false);
	if (l->wake_fd >= 0)
		(void)epoll_wait(l->wake_fd, &e, 1, 0);
}

const struct mr_port_driver mr_port_memif = {
	.held_buffers = 0,
	.prepare = prepare,
	.open_queues = open_queues,
	.link_up = link_up,
	.served = served,
	.revive = revive,
	.looked = looked,
	.add_counters = add_counters,
	.wake_fd = wake_fd,
	.arm = arm,
	.disarm = disarm,
	.closed = closed,
};
