/* SPDX-License-Identifier: Apache-2.0 */
/* generator: any number of clients over UDP in one thread, on a DPDK device. They share an Ethernet
 * and an IPv4 address; each has its own UDP port.
 *
 *   end.c      own addresses and the bus's: ARP
 *   session.c  hellos, requests, heartbeats, goodbyes
 *   receive.c  dispatches received packets
 *   flow.c     the reliable flow, if publishes are promised
 *   load.c     sends as fast as allowed; also without a bus: datagrams that another program sends
 *   back
 *
 * Owns      Port, sessions, and one buffer for frames that are sent singly.
 * Threads   One.
 * Units     Times are cycles of the time-stamp counter.
 * Errors    An error while opening ends the program; losses under load are counted.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_GENERATOR_H
#define MILLRACE_BENCH_E2E_FRAMES_GENERATOR_H

#include "bench/e2e/frames/flow.h"
#include "bench/e2e/frames/frame.h"
#include "bench/e2e/frames/port.h"

#define GEN_UDP_PORT_FIRST 10000u
#define GEN_SESSIONS_MAX   50000u
#define GEN_SUBSCRIPTION   1u /* its number in each subscribing session */
/* Limit of sessions with the reliable flow: early frames keep their buffers. */
#define GEN_FLOWS_MAX 512u

/* The answer that a session waits for. */
enum gen_need {
	GEN_NOTHING,
	GEN_WELCOME,
	GEN_SUBSCRIPTION_RESULT,
	GEN_ALIAS,
};

struct gen_session {
	uint64_t id; /* 0: not open */
	uint64_t nonce;
	uint64_t cookie;
	uint64_t last_tx;
	uint64_t last_rx;
	uint64_t due; /* time of the next repetition */
	struct mr_frame_window window;
	struct gen_flow *flow; /* NULL: publishes are not promised */
	uint32_t sequence;     /* last one sent in the datagram flow */
	uint32_t alias;
	uint16_t tries;
	uint8_t need; /* enum gen_need */
};

struct gen_counts {
	uint64_t frames;   /* received frames of sessions */
	uint64_t messages; /* deliveries as expected */
	uint64_t wrong;    /* deliveries that differ from the published message */
	uint64_t lost;     /* lost frames, by their sequence */
	uint64_t duplicate;
	uint64_t missed; /* missed deliveries, as the bus reports them */
	uint64_t others; /* packets and frames of others */
	uint64_t ended;  /* sessions ended by the bus or by its silence */
	uint64_t hellos; /* hellos sent */
	uint64_t unsent; /* single frames for which there was no room */
	/* reliable flow */
	uint64_t again;    /* frames retransmitted */
	uint64_t timeouts; /* retransmitted because no ack arrived in time */
	uint64_t acks;     /* frames sent only as acks */
	uint64_t ahead;    /* frames of the bus that arrived early */
};

struct gen {
	struct gen_port port;
	struct mr_port end; /* own address, in the form that the data plane's parser needs */
	struct mrf_network_path path;
	struct gen_headers headers;
	struct rte_mbuf *single;
	struct gen_session *sessions;
	uint32_t count;
	struct gen_flows flows;
	struct gen_frame again; /* the frame to retransmit; all publishes are alike */
	struct rte_mbuf *again_buffer;
	uint64_t now_ns; /* time of this round, for the flows */
	uint32_t frame_bytes;
	uint32_t look_at; /* next session whose timers are checked */
	const char *subject;
	uint64_t deliver_word; /* header of each delivery, as it stands in memory */
	uint64_t heartbeat;    /* cycles; chosen by the bus */
	uint64_t missed_max;
	double cycles_per_ns;
	struct gen_counts counts;
};

/* end.c: parses the addresses; `bus` has a UDP port. 0, or -EINVAL for a malformed text. */
int gen_end_init(struct gen *g, const char *address, const char *bus);
/* Asks for the bus's Ethernet address until it answers; after that packets can be sent. */
void gen_end_resolve(struct gen *g);
/* Sends all packets to that Ethernet address, without asking. */
void gen_end_set(struct gen *g, const uint8_t mac[MR_ETHER_BYTES]);

/* session.c: opens all sessions, `at_once` at a time. Ends the program if one is refused or gets no
 * answer. */
void gen_open(struct gen *g, uint32_t at_once);
/* Makes sessions [first, first + count) subscribe, or ask for an alias. */
void gen_ask(struct gen *g, uint32_t first, uint32_t count, enum gen_need need);
/* Sends heartbeats of some of the sessions and checks their liveness; call it often. */
void gen_look(struct gen *g, uint64_t now);
void gen_close_all(struct gen *g);
/* Returns the sequence of the session's next frame. */
uint32_t gen_next_sequence(struct gen_session *s);
/* Sends a message alone, in a frame of the session. */
void gen_send(
	struct gen *g, struct gen_session *s, const struct mr_message_plan *plan, uint32_t target);
/* Repeats the hello at once. */
void gen_hello(struct gen *g, struct gen_session *s);

/* receive.c: takes a burst, if there is one; returns its packets. */
uint32_t gen_receive(struct gen *g);
/* Handles the messages of a frame of the session. */
void gen_take_messages(struct gen *g, struct gen_session *s, const uint8_t *at, uint32_t bytes);

static inline uint16_t gen_udp_port(const struct gen *g, const struct gen_session *s)
{
	return (uint16_t)(GEN_UDP_PORT_FIRST + (uint32_t)(s - g->sessions));
}

static inline uint64_t gen_ns(const struct gen *g, uint64_t cycles)
{
	return (uint64_t)((double)cycles / g->cycles_per_ns);
}

static inline uint64_t gen_cycles_ms(const struct gen *g, uint64_t ms)
{
	return (uint64_t)((double)ms * 1e6 * g->cycles_per_ns);
}

#endif
