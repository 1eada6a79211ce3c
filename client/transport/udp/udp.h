/* SPDX-License-Identifier: Apache-2.0 */
/* udp: a bus that is reached over UDP, on a kernel socket.
 *
 *   up ring ──▶ send.c ──▶ frames ──▶ socket ──▶ receive.c ──▶ down ring
 *
 * Both rings belong to this process: the same code publishes and hands out as over shared memory.
 * System calls are few, as each moves many frames of many messages (UDP_SEGMENT and UDP_GRO, where
 * the kernel has them).
 *
 *   address.c   HOST:PORT
 *   hello.c     opening a session
 *   session.c   heartbeats, the end of a session, the transport's table
 *   send.c      frames out
 *   receive.c   frames in
 *   group.c     multicast groups
 *   reliable.c  the reliable flow: retransmits, acknowledgements, order
 *
 * Promised messages have a ring of their own, which is the log of the reliable flow: bytes leave it
 * when the bus has acknowledged their frame. Both flows end in the one down ring. While that is
 * full, frames of the reliable flow wait in slots, and the bus gets no credit beyond them.
 *
 * Owns      A client owns its struct mr_udp; the rings in it stay from one session to the next.
 *           They take memory as they are used, and give it back when nothing has moved in them for
 *           a heartbeat interval.
 * Threads   The client's.
 * Units     frame_bytes: bytes of the UDP payload.
 * Errors    A frame that the socket does not take stays in the ring as messages. A malformed frame
 *           is counted; a frame of another session, or a duplicate, is dropped and counted.
 */
#ifndef MILLRACE_CLIENT_TRANSPORT_UDP_UDP_H
#define MILLRACE_CLIENT_TRANSPORT_UDP_UDP_H

#include <sys/socket.h>

#include "client/core/state.h"
#include "lib/wire/frame.h"
#include "lib/wire/reliable.h"

#define MR_UDP_ADDRESSES_MAX 4u
/* Small enough to stay in a core's cache. */
#define MR_UDP_UP_BYTES   (512u << 10)
#define MR_UDP_DOWN_BYTES (1024u << 10)
/* Datagrams that one receive may bring, each coalesced of many frames by the kernel. */
#define MR_UDP_RECEIVES   8u
#define MR_UDP_BUFFER     (64u << 10)
#define MR_UDP_FRAMES_MAX 128u /* frames in one call */
#define MR_UDP_CALLS_MAX  64u  /* datagrams, segmented or not, in one call */

#define MR_UDP_ALONE_BYTES_MAX 64u

#define MR_UDP_LOG_BYTES       (1024u << 10)
#define MR_UDP_SLOTS_BYTES_MAX (1024u << 10) /* bytes of waiting frames */
#define MR_UDP_SLOTS_MIN       8u
/* Received frames after which an ack is sent before they are handed out. */
#define MR_UDP_ACK_FRAMES 32u

struct mr_udp_address {
	struct sockaddr_storage at;
	socklen_t bytes;
};

/* An attempt to open a session, with one frame size. */
struct mr_udp_hello {
	uint64_t nonce;
	uint64_t cookie; /* 0: not known yet */
	uint32_t frame_bytes;
	bool superseded; /* a later attempt of the other size closes its session */
};

enum mr_udp_size {
	MR_UDP_FULL,
	MR_UDP_LEAST,
	MR_UDP_SIZES,
};

/* A frame's header, and the header of the padding behind its messages. */
struct mr_udp_frame {
	struct mrf_frame_header header;
	struct mrf_message_header padding;
	uint32_t bytes; /* bytes of its messages in the ring */
	uint32_t messages;
};

enum mr_udp_flow {
	MR_UDP_RELIABLE,
	MR_UDP_DATAGRAM,
	MR_UDP_FLOWS,
};

/* Frames for one system call; they point into the ring. */
struct mr_udp_batch {
	struct mmsghdr calls[MR_UDP_CALLS_MAX];
	struct {
		uint32_t messages_bytes; /* bytes of messages in the ring */
		uint32_t frames;
		uint32_t frame_bytes; /* all frames but the last */
		alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
	} of[MR_UDP_CALLS_MAX];
	struct mr_udp_frame frames[MR_UDP_FRAMES_MAX];
	struct iovec parts[4 * MR_UDP_FRAMES_MAX];
};

/* The reliable flow of a session. */
struct mr_udp_reliable {
	bool on; /* the bus has it too */
	/* to the bus */
	struct mr_channel ring;
	struct mr_bytes_producer up;  /* the client writes here */
	struct mr_bytes_consumer log; /* head: the oldest byte that is not acknowledged */
	uint64_t sent;                /* ring position of the first byte never sent */
	struct mr_reliable_tx tx;
	struct mr_reliable_frame frames[MR_RELIABLE_WINDOW_MAX];
	/* from the bus */
	struct mr_reliable_rx rx;
	uint8_t *slots; /* rx.slots times slot_bytes */
	uint32_t slot_bytes;
	uint32_t slot_used[MR_RELIABLE_WINDOW_MAX]; /* bytes of the frame in each slot */
	uint64_t acks_flushed_ns;  /* last time when all was handed out while an ack was due */
	uint32_t ack_pending_seen; /* frames without ack at that time */
	/* over the client's life */
	uint64_t frames_sent; /* without retransmits */
	uint64_t frames_received;
	uint64_t frames_held; /* waited in a slot: out of order, or no room in the ring */
	uint64_t retransmits;
	uint64_t timeouts;
};

struct mr_udp {
	int fd; /* -1: no session */
	struct mr_channel rings;
	struct mr_bytes_consumer out; /* reader of the up ring; head: what the socket has taken */
	struct mr_bytes_producer in;  /* writer of the down ring */

	/* sending */
	uint32_t sequence;        /* number of the last frame sent */
	uint32_t frame_bytes;     /* largest that may be sent */
	bool segments;            /* the kernel segments datagrams */
	bool stuck;               /* the socket took no more; retried later */
	bool full;                /* the socket's buffer is full; poll reports room */
	uint64_t last_tx_ns;      /* last attempt to send */
	uint64_t heartbeat_tx_ns; /* last frame sent that the bus takes as a heartbeat */
	uint64_t look_ns;         /* next look for frames of a client that only publishes */
	bool looking;
	uint64_t idle_at; /* bytes through all rings until the last heartbeat */
	bool trimmed;     /* memory was given back since then */

	/* receiving */
	struct mr_frame_window window;
	uint64_t last_rx_ns;
	uint8_t *buffers;   /* MR_UDP_RECEIVES of MR_UDP_BUFFER, a mapping */
	uint64_t reserved;  /* room in the down ring for the datagrams just read */
	uint64_t looked_ns; /* when this side last checked whether the bus lives */

	/* multicast groups: group.c */
	struct mr_udp_group *groups;
	int groups_fd; /* epoll set of their sockets and `fd`; -1: none */
	uint64_t group_frames;
	uint64_t group_lost;
	uint64_t group_refused; /* from another sender or session, or malformed */

	/* session */
	uint64_t secret;
	uint64_t heartbeat_ns;
	uint64_t dead_ns;
	bool closed; /* by the bus */
	int error;   /* last error of the socket, for an error text */

	/* opening */
	struct mr_udp_hello hellos[MR_UDP_SIZES];
	enum mr_udp_size size; /* the size that is tried; MR_UDP_SIZES: both in turn */
	uint64_t hello_ns;     /* when to send the next */
	unsigned sends;
	unsigned answers;  /* cookies that were answered at once */
	unsigned refusals; /* ICMP errors: nobody listens */
	bool heard;        /* a Retry was received: the path works both ways */
	struct mr_udp_address addresses[MR_UDP_ADDRESSES_MAX];
	unsigned addresses_count;
	unsigned address;

	/* over the client's life */
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t frames_lost;
	uint64_t frames_duplicate;
	uint64_t frames_strange; /* belonged to another session */
	uint64_t unsent;         /* messages that do not fit the path any more */

	struct mr_udp_batch batch;
	struct mr_udp_reliable reliable;
	char text[96]; /* the address, for texts */
};

/* Returns the number of the frame `frames` after `last`. It skips 0, which stands for a frame
 * outside the flow. */
static inline uint32_t mr_udp_number(uint32_t last, uint32_t frames)
{
	uint32_t number = last + frames;

	return number < last ? number + 1 : number;
}

extern const struct mr_transport mr_transport_udp;

/* address.c: parses "udp://HOST[:PORT]" and makes the client one over UDP. Looks host names up at
 * once. -EINVAL; -ECONNREFUSED: no such host. */
int mr_udp_init(struct mr_client *c, const char *address);
/* hello.c */
int mr_udp_attach_begin(struct mr_client *c);
int mr_udp_attach_step(struct mr_client *c);
void mr_udp_attach_end(struct mr_client *c);
/* Returns the largest frame for the path of a connected socket, as far as the kernel knows. */
uint32_t mr_udp_path_bytes(int fd);
/* session.c: opens the session of a Welcome, on the socket of the exchange. */
int mr_udp_open(struct mr_client *c, struct mrf_table welcome, uint32_t sequence);
void mr_udp_check_bus(struct mr_client *c);
/* Sets the limits of messages by frame_bytes. */
void mr_udp_limits(struct mr_client *c);
/* send.c: sends pushed messages, as far as the socket takes them. */
void mr_udp_send(struct mr_client *c);
/* The reliable flow only: retransmits, and new frames as far as the window allows. */
void mr_udp_send_reliable(struct mr_client *c, uint64_t now_ns);
/* Sends a frame of one message of up to MR_UDP_ALONE_BYTES_MAX, or of none (NULL, 0). False: the
 * socket does not take it now. */
bool mr_udp_send_alone(struct mr_client *c, const void *message, uint32_t bytes);
/* Sends a frame outside of both flows that acknowledges the reliable one. */
void mr_udp_send_ack(struct mr_client *c);
/* receive.c: takes received frames, as far as there is room. True: nothing is left. `press`:
 * without room best-effort messages are dropped, so that acks behind them are seen. */
bool mr_udp_receive(struct mr_client *c, bool press);
/* Takes one frame into the down ring. False: dropped and counted. */
bool mr_udp_frame_take(struct mr_client *c, const uint8_t *at, size_t bytes);
/* Takes the messages of a frame, for which there is room. */
void mr_udp_messages_take(struct mr_client *c, const uint8_t *at, size_t bytes);
/* True if the messages of a frame fill it to the end. */
bool mr_udp_frame_is_filled(const uint8_t *at, size_t bytes, unsigned messages);

/* reliable.c: empties the flow for a new session on this socket; frame_bytes is set. `credit`: the
 * bus's grant; 0: the bus has no such flow. */
int mr_udp_reliable_open(struct mr_client *c, int fd, uint32_t credit);
void mr_udp_reliable_fini(struct mr_udp *u);
/* Handles the acknowledgement that a frame carries. */
void mr_udp_reliable_acked(
	struct mr_client *c, const uint8_t *at, const struct mrf_frame_header *frame);
/* Takes a frame of the flow from the bus. False: dropped and counted. */
bool mr_udp_reliable_take(
	struct mr_client *c, const uint8_t *at, size_t bytes, const struct mrf_frame_header *frame);
/* Takes frames that wait in slots, as far as there is room. */
void mr_udp_reliable_drain(struct mr_client *c);
/* Handles time-outs. */
void mr_udp_reliable_turn(struct mr_client *c);
/* True: the flow to the bus has unacknowledged bytes. */
static inline bool mr_udp_reliable_is_out(const struct mr_udp *u)
{
	return u->reliable.on && u->reliable.log.head != u->reliable.up.tail;
}

#endif
