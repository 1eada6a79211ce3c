/* SPDX-License-Identifier: Apache-2.0 */
/* generator: any number of clients over UDP in one thread, on a device of DPDK. They share an Ethernet and
 * an IPv4 address; each has a UDP port of its own.
 *
 *   end.c      who we are, and who the bus is: ARP
 *   session.c  hellos, requests, heartbeats, goodbyes
 *   receive.c  packets in: what they were for
 *   flow.c     the reliable flow, if what is published is promised
 *   load.c     packets out, as fast as may be; also without a bus: datagrams that somebody sends back
 *
 * Owns      Port, sessions, and one buffer for frames that are sent singly.
 * Threads   One.
 * Units     Times are cycles of the time-stamp counter.
 * Errors    What goes wrong in opening ends the program; what is lost under load is counted.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_GENERATOR_H
#define MILLRACE_BENCH_E2E_FRAMES_GENERATOR_H

#include "bench/e2e/frames/flow.h"
#include "bench/e2e/frames/frame.h"
#include "bench/e2e/frames/port.h"

#define GEN_UDP_PORT_FIRST 10000u
#define GEN_SESSIONS_MAX   50000u
#define GEN_SUBSCRIPTION   1u /* its number in each session that subscribes */
/* Of sessions with the reliable flow: frames that come ahead keep their buffers. */
#define GEN_FLOWS_MAX 512u

/* What a session waits for. */
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
	uint64_t due; /* when it asks again */
	struct mr_frame_window window;
	struct gen_flow *flow; /* NULL: what is published is not promised */
	uint32_t sequence;     /* of the last frame sent in the datagram flow */
	uint32_t alias;
	uint16_t tries;
	uint8_t need; /* enum gen_need */
};

struct gen_counts {
	uint64_t frames;   /* taken, of sessions */
	uint64_t messages; /* deliveries as expected */
	uint64_t wrong;    /* deliveries unlike what was published */
	uint64_t lost;     /* frames, by their sequence */
	uint64_t duplicate;
	uint64_t missed; /* deliveries, by what the bus tells */
	uint64_t others; /* packets and frames that are none of ours */
	uint64_t ended;  /* sessions, by the bus or its silence */
	uint64_t hellos; /* sent */
	uint64_t unsent; /* single frames for which there was no room */
	/* of the reliable flow */
	uint64_t again;    /* frames sent again */
	uint64_t timeouts; /* of them, for want of any ack */
	uint64_t acks;     /* frames sent for nothing else */
	uint64_t ahead;    /* frames of the bus that came before their turn */
};

struct gen {
	struct gen_port port;
	struct mr_port end; /* our address, as the data plane's parser wants it */
	struct mrf_network_path path;
	struct gen_headers headers;
	struct rte_mbuf *single;
	struct gen_session *sessions;
	uint32_t count;
	struct gen_flows flows;
	struct gen_frame again; /* what is sent again, like all that is published */
	struct rte_mbuf *again_buffer;
	uint64_t now_ns; /* of this round, for the flows */
	uint32_t frame_bytes;
	uint32_t look_at; /* session whose timers are looked at next */
	const char *subject;
	uint64_t deliver_word; /* header of each delivery, as it stands in memory */
	uint64_t heartbeat;    /* cycles; of the bus's choice */
	uint64_t missed_max;
	double cycles_per_ns;
	struct gen_counts counts;
};

/* end.c: the addresses; `bus` with its UDP port. -EINVAL: no such text. */
int gen_end_init(struct gen *g, const char *address, const char *bus);
/* Asks for the bus's Ethernet address until it answers; then packets can be sent there. */
void gen_end_resolve(struct gen *g);
/* Packets go to that Ethernet address, whoever has it. */
void gen_end_set(struct gen *g, const uint8_t mac[MR_ETHER_BYTES]);

/* session.c: opens them all, so many at a time; ends the program if one is refused or not answered. */
void gen_open(struct gen *g, uint32_t at_once);
/* Makes sessions [first, first + count) subscribe, or ask for an alias. */
void gen_ask(struct gen *g, uint32_t first, uint32_t count, enum gen_need need);
/* Heartbeats and liveness of some of the sessions: to be called often. */
void gen_look(struct gen *g, uint64_t now);
void gen_close_all(struct gen *g);
/* The sequence of the frame that the session sends next. */
uint32_t gen_next_sequence(struct gen_session *s);
/* Sends a message alone, in a frame of the session. */
void gen_send(
	struct gen *g, struct gen_session *s, const struct mr_message_plan *plan, uint32_t target);
/* Says hello again, at once. */
void gen_hello(struct gen *g, struct gen_session *s);

/* receive.c: takes a burst, if there is one; returns its packets. */
uint32_t gen_receive(struct gen *g);
/* The messages of a frame of the session. */
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
