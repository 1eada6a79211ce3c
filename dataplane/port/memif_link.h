/* SPDX-License-Identifier: Apache-2.0 */
/* memif_link: the connection of one memif interface: its handshake, and the memory that it shares.
 *
 *   free ──▶ connecting ──▶ connected ──▶ lost ──mr_memif_link_free──▶ free
 *               └─ refused, or timed out ──────────────────────────────▶ free
 *
 * The memory of a connection that is lost stays mapped, because the worker may be using it. A
 * server maps only memory that its peer cannot take away again: a memfd that is sealed against
 * shrinking and has no huge pages. Otherwise an access would end the process with SIGBUS.
 *
 * Owns      The socket, the descriptors received, and the mappings.
 * Threads   The table writer.
 * Errors    0 or -errno. A peer's fault is logged here and ends the connection.
 */
#ifndef MILLRACE_PORT_MEMIF_LINK_H
#define MILLRACE_PORT_MEMIF_LINK_H

#include "dataplane/port/memif_ring.h"

enum mr_memif_state {
	MR_MEMIF_FREE,
	MR_MEMIF_CONNECTING,
	MR_MEMIF_IS_CONNECTED,
	MR_MEMIF_LOST,
};

/* The peer describes a ring to the server so. */
struct mr_memif_ring_text {
	bool given;
	uint16_t region;
	uint32_t offset;
	uint8_t log2;
};

struct mr_memif_link {
	struct mr_memif_queue queue; /* the worker's, while connected */
	/* Epoll set with the doorbell, edge-triggered: nobody reads the doorbell, because the peer
	 * could make a read wait. -1: no wake-up. */
	int wake_fd;
	/* read-only after open */
	const char *port; /* its name, for the log */
	uint32_t id;
	uint32_t buffer_bytes;
	uint8_t log2_most;
	bool client;
	bool trusted; /* the peer's memory is not checked */
	/* the connection's */
	enum mr_memif_state state;
	int fd;         /* socket, or -1 */
	int bell_fd;    /* eventfd that the peer rings for packets; -1: none */
	uint8_t step;   /* client: messages sent; server: 1 after the init */
	uint8_t log2;   /* client: of both rings */
	uint64_t since; /* ns, when the handshake began */
	int region_fds[MR_MEMIF_REGIONS_MAX];
	uint64_t region_bytes[MR_MEMIF_REGIONS_MAX];
	uint32_t regions_count;
	struct mr_memif_ring_text c2s, s2c;
};

/* A message, and at most one descriptor, which the receiver owns; -1: none. */
struct mr_memif_packet {
	struct mr_memif_message message;
	int fd;
};

void mr_memif_link_init(struct mr_memif_link *l);
/* Frees a link that no worker uses. */
void mr_memif_link_fini(struct mr_memif_link *l);
/* Client: connects to a socket; the handshake goes on in mr_memif_link_read. */
int mr_memif_link_connect(struct mr_memif_link *l, const char *path, uint64_t now_ns);
/* Server: continues a connection whose init names this interface. Takes the socket, also on
 * failure. */
void mr_memif_link_adopt(struct mr_memif_link *l, int fd, uint64_t now_ns);
/* Reads and handles the messages that wait. */
void mr_memif_link_read(struct mr_memif_link *l);
/* Ends the connection and tells the peer why. NULL: the peer has gone. */
void mr_memif_link_end(struct mr_memif_link *l, const char *why);
/* Unmaps the memory of a lost connection: no worker uses it. */
void mr_memif_link_free(struct mr_memif_link *l);

/* Receives a message. 0; -EAGAIN: none waits; -ECONNRESET: the peer has gone; -EPROTO: it has the
 * wrong size. */
int mr_memif_receive(int fd, struct mr_memif_packet *out);
int mr_memif_send(int fd, const struct mr_memif_message *m, int with);
int mr_memif_send_hello(int fd);
void mr_memif_send_disconnect(int fd, const char *why);

#endif
