/* SPDX-License-Identifier: Apache-2.0 */
/* udp: a bus that is reached over UDP, on a kernel socket.
 *
 *   up ring ──▶ send.c ──▶ frames ──▶ socket ──▶ receive.c ──▶ down ring
 *
 * Both rings are this process's own: what publishes and what hands out is the same code as over shared
 * memory, and the system calls are few, because they move what the rings hold: many messages a frame,
 * many frames a call (UDP_SEGMENT and UDP_GRO where the kernel has them).
 *
 *   address.c  HOST:PORT        hello.c    opening a session      send.c, receive.c  frames
 *   session.c  heartbeats, death, what the transport is made of
 *   reliable.c frames that are sent again until they are acknowledged, and taken in order
 *
 * What is promised has a ring of its own, whose bytes are the log of the reliable flow: they leave it when
 * the bus has acknowledged their frame. Both flows end in the one down ring. While that is full, frames of
 * the reliable flow wait in slots, and then the bus has no credit to send more.
 *
 * Owns      A client owns its struct mr_udp; the rings in it stay from one session to the next. They take memory as
 *           they are used, and give it back when nothing has moved in them for a heartbeat interval.
 * Threads   The client's.
 * Units     frame_bytes: of the UDP payload.
 * Errors    A frame that the socket does not take stays in the ring as messages. A frame that makes no
 *           sense is counted as malformed, one of another session or that came twice is dropped.
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
/* What one receive may bring: this many datagrams, each put together of many by the kernel. */
#define MR_UDP_RECEIVES   8u
#define MR_UDP_BUFFER     (64u << 10)
#define MR_UDP_FRAMES_MAX 128u /* frames in one call */
#define MR_UDP_CALLS_MAX  64u  /* datagrams, or segmented ones, in one call */

#define MR_UDP_ALONE_BYTES_MAX 64u

#define MR_UDP_LOG_BYTES       (1024u << 10)
#define MR_UDP_SLOTS_BYTES_MAX (1024u << 10) /* of frames that wait */
#define MR_UDP_SLOTS_MIN       8u
#define MR_UDP_ACK_FRAMES                                                                          \
	32u /* so many have come: they are acknowledged before they are handed out */

struct mr_udp_address {
	struct sockaddr_storage at;
	socklen_t bytes;
};

/* One attempt to open a session, of one size of frame. */
struct mr_udp_hello {
	uint64_t nonce;
	uint64_t cookie; /* 0: not known yet */
	uint32_t frame_bytes;
	bool shaken; /* one of the other size went out behind it, and closes what it opens */
};

enum mr_udp_size {
	MR_UDP_FULL,
	MR_UDP_LEAST,
	MR_UDP_SIZES,
};

/* What stands in front of the messages of a frame, and what may fill it up behind them. */
struct mr_udp_frame {
	struct mrf_frame_header header;
	struct mrf_message_header padding;
	uint32_t bytes; /* of its messages, in the ring */
	uint32_t messages;
};

enum mr_udp_flow {
	MR_UDP_RELIABLE,
	MR_UDP_DATAGRAM,
	MR_UDP_FLOWS,
};

/* Frames for one call, which point into the up ring. */
struct mr_udp_batch {
	struct mmsghdr calls[MR_UDP_CALLS_MAX];
	struct {
		uint32_t messages_bytes; /* of the ring */
		uint32_t frames;
		uint32_t frame_bytes; /* of all but the last */
		alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
	} of[MR_UDP_CALLS_MAX];
	struct mr_udp_frame frames[MR_UDP_FRAMES_MAX];
	struct iovec parts[4 * MR_UDP_FRAMES_MAX];
};

/* The reliable flow of a session. */
struct mr_udp_reliable {
	bool on; /* the bus has it */
	/* to the bus */
	struct mr_channel ring;
	struct mr_bytes_producer up;  /* what the client writes to */
	struct mr_bytes_consumer log; /* head: the oldest that is not acknowledged */
	uint64_t sent;                /* where in the ring the first stands that was not sent yet */
	struct mr_reliable_tx tx;
	struct mr_reliable_frame frames[MR_RELIABLE_WINDOW_MAX];
	/* from the bus */
	struct mr_reliable_rx rx;
	uint8_t *slots; /* rx.slots of slot_bytes */
	uint32_t slot_bytes;
	uint32_t kept_bytes[MR_RELIABLE_WINDOW_MAX]; /* in each slot */
	uint64_t rest_ns;          /* when all was handed out the last time and an ack was owed, */
	uint32_t ack_pending_seen; /* and for how many frames */
	/* over the client's life */
	uint64_t frames_sent; /* without those sent again */
	uint64_t frames_received;
	uint64_t frames_kept; /* came out of order, or too early */
	uint64_t retransmits;
	uint64_t timeouts;
};

struct mr_udp {
	int fd; /* -1: no session */
	struct mr_channel rings;
	struct mr_bytes_consumer out; /* of the up ring; head: what the socket took */
	struct mr_bytes_producer in;  /* of the down ring */

	/* sending */
	uint32_t sequence;    /* of the last frame sent */
	uint32_t frame_bytes; /* largest that may be sent */
	bool segments;        /* the kernel cuts frames for us */
	bool stuck;           /* the socket took no more; tried again later */
	bool full;            /* it said so itself, and tells when it has room */
	uint64_t last_tx_ns;  /* when it was last tried to send */
	uint64_t told_tx_ns;  /* when a frame last went that tells the bus of a life */
	uint64_t look_ns;     /* when one who only publishes looks what has come */
	bool looking;
	uint64_t idle_at; /* bytes through all rings at the last heartbeat */
	bool trimmed;     /* and the memory was given back since they moved */

	/* receiving */
	struct mr_frame_window window;
	uint64_t last_rx_ns;
	uint8_t *buffers;   /* MR_UDP_RECEIVES of MR_UDP_BUFFER, a mapping */
	uint64_t reserved;  /* room in the down ring that what was just read may need */
	uint64_t looked_ns; /* when this side last looked whether the bus lives */

	/* session */
	uint64_t secret;
	uint64_t heartbeat_ns;
	uint64_t dead_ns;
	bool closed; /* by the bus */
	int error;   /* the last of the socket, for a text */

	/* opening */
	struct mr_udp_hello hellos[MR_UDP_SIZES];
	enum mr_udp_size size; /* the one that is tried; MR_UDP_SIZES: both in turn */
	uint64_t hello_ns;     /* when to send the next */
	unsigned sends;
	unsigned answers;  /* cookies that were followed at once */
	unsigned refusals; /* nobody listens, as ICMP says */
	bool heard;        /* a retry came: the path is there, both ways */
	struct mr_udp_address addresses[MR_UDP_ADDRESSES_MAX];
	unsigned addresses_count;
	unsigned address;

	/* over the client's life */
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t frames_lost;
	uint64_t frames_duplicate;
	uint64_t frames_strange; /* of another session */
	uint64_t unsent;         /* messages that do not fit the path any more */

	struct mr_udp_batch batch;
	struct mr_udp_reliable reliable;
	char text[96]; /* the address, for people */
};

/* The number of the frame so many after `last`. 0 is none: it says that a frame is in no flow. */
static inline uint32_t mr_udp_number(uint32_t last, uint32_t frames)
{
	uint32_t number = last + frames;

	return number < last ? number + 1 : number;
}

extern const struct mr_transport mr_transport_udp;

/* address.c: takes "udp://HOST[:PORT]" and makes the client one over UDP. Host names are looked up here
 * and now. -EINVAL; -ECONNREFUSED: no such host. */
int mr_udp_init(struct mr_client *c, const char *address);
/* hello.c */
int mr_udp_attach_begin(struct mr_client *c);
int mr_udp_attach_step(struct mr_client *c);
void mr_udp_attach_end(struct mr_client *c);
/* The largest frame that the path of a connected socket takes, as far as the kernel knows. */
uint32_t mr_udp_path_bytes(int fd);
/* session.c: the session that a Welcome opens on the socket of the exchange. */
int mr_udp_open(struct mr_client *c, struct mrf_table welcome, uint32_t sequence);
void mr_udp_look(struct mr_client *c);
/* Sets what a message may hold by the size of frames. */
void mr_udp_limits(struct mr_client *c);
/* send.c: sends what is pushed, as far as the socket takes it. */
void mr_udp_send(struct mr_client *c);
/* Of the reliable flow alone: what is to be sent again, and what there is room for. */
void mr_udp_send_reliable(struct mr_client *c, uint64_t now_ns);
/* A frame of one message of up to MR_UDP_ALONE_BYTES_MAX, or of none (NULL, 0). False: the socket does not
 * take it now. */
bool mr_udp_send_alone(struct mr_client *c, const void *message, uint32_t bytes);
/* A frame outside of both flows, which says what came of the reliable one. */
void mr_udp_send_ack(struct mr_client *c);
/* receive.c: takes what has come, as far as there is room. True: nothing is left. `press`: where there is
 * none, what may be lost is, so that acknowledgements behind it are seen. */
bool mr_udp_receive(struct mr_client *c, bool press);
/* Takes one frame into the down ring. False: dropped and counted. */
bool mr_udp_frame_take(struct mr_client *c, const uint8_t *at, size_t bytes);
/* The messages of a frame, for which there is room. */
void mr_udp_messages_take(struct mr_client *c, const uint8_t *at, size_t bytes);
/* True if the messages of a frame fill it to the end. */
bool mr_udp_frame_is_filled(const uint8_t *at, size_t bytes, unsigned messages);

/* reliable.c: empty, for a new session on that socket, whose frame_bytes are known and whose bus grants so
 * much; 0: the bus has no such flow. */
int mr_udp_reliable_open(struct mr_client *c, int fd, uint32_t credit);
void mr_udp_reliable_fini(struct mr_udp *u);
/* What a frame says of the flow to the bus. */
void mr_udp_reliable_acked(
	struct mr_client *c, const uint8_t *at, const struct mrf_frame_header *frame);
/* A frame of the flow from the bus. False: dropped and counted. */
bool mr_udp_reliable_take(
	struct mr_client *c, const uint8_t *at, size_t bytes, const struct mrf_frame_header *frame);
/* Takes what waits in slots, as far as there is room. */
void mr_udp_reliable_drain(struct mr_client *c);
/* Time-outs. */
void mr_udp_reliable_turn(struct mr_client *c);
/* True: the flow to the bus has something that is not acknowledged. */
static inline bool mr_udp_reliable_is_out(const struct mr_udp *u)
{
	return u->reliable.on && u->reliable.log.head != u->reliable.up.tail;
}

#endif
