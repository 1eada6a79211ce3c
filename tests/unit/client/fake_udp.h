/* SPDX-License-Identifier: Apache-2.0 */
/* fake_udp: makes the fake bus reachable over UDP: frames from a socket of the loopback go into the
 * up rings of its sessions, and messages of the down rings are sent in frames. Loses and mangles on
 * request.
 *
 * Threads   The bus's; the fields as those of struct bus.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_UDP_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_UDP_H

#include <netinet/in.h>

#include "lib/ring/bytes.h"
#include "lib/wire/frame.h"
#include "tests/unit/client/fake_reliable.h"

struct bus;
struct bus_session;

#define FAKE_UDP_HELD_MAX 8u

/* A hello with its cookie. */
struct fake_udp_hello {
	struct sockaddr_in peer;
	uint64_t nonce;
	uint32_t frame_bytes;
};

/* UDP state of a session. */
struct fake_udp_session {
	struct sockaddr_in peer;
	uint64_t nonce;
	uint32_t frame_bytes;
	uint32_t sequence;
	struct mr_frame_window window;
	struct mr_bytes_producer in;
	struct mr_bytes_consumer out;
	uint64_t sent_ns;
	uint64_t frames; /* frames taken */
	bool ended;      /* said goodbye; its earlier messages are still read */
	struct fake_reliable reliable;
};

/* UDP state of the bus. */
struct fake_udp {
	int fd; /* -1: none, or killed */
	/* An address of 127/8 that no client has, so that no other program takes the port. */
	uint32_t host;
	uint16_t port;
	/* changed on request */
	uint32_t frame_bytes_max;
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint64_t salt;          /* salt of cookies: a change invalidates them */
	uint32_t swallow_above; /* frames larger than this are lost, both ways */
	unsigned hold_hellos;   /* valid ones are answered together, after this many */
	unsigned drop_hellos;   /* this many are lost; the same below */
	unsigned drop_retries;
	unsigned drop_welcomes;
	unsigned drop_frames_in;
	unsigned drop_frames_out;
	bool twice;  /* each frame is sent twice */
	bool silent; /* nothing is sent at all */
	/* Credit of the reliable flow, which all messages then use; 0: there is none. */
	uint32_t credit;
	bool hold_reliable; /* frames of the reliable flow are kept and not taken */
	unsigned loss;      /* percent of the frames of sessions, both ways */
	uint64_t chance;    /* state of the random numbers for losses */
	uint64_t challenge; /* nonce to challenge the first session with */
	/* counters */
	struct fake_udp_hello held[FAKE_UDP_HELD_MAX];
	unsigned held_count;
	unsigned hellos;
	unsigned hellos_least; /* shortest of 1,200 bytes */
	unsigned welcomes;
	unsigned heartbeats;
	unsigned frames;
	unsigned messages; /* without padding */
	unsigned closes;
	unsigned duplicates;
	unsigned reliable_frames;
	unsigned retransmits;
	unsigned acks_selective;
	uint64_t lost;
	uint64_t proof_nonce;
	uint64_t proof_secret;
};

void fake_udp_listen(struct bus *b);
/* Makes one round: true if something arrived. */
bool fake_udp_turn(struct bus *b);
void fake_udp_flush(struct bus *b);
/* Returns how long the bus may sleep. */
int fake_udp_due_ms(const struct bus *b);
/* Closes a session, with a text. */
void fake_udp_close(struct bus *b, struct bus_session *s, const char *text);
/* For fake_reliable.c: sends a frame to the client; takes the messages of a frame from it. */
void fake_udp_send(struct bus *b, struct bus_session *s, const void *frame, size_t bytes);
void fake_udp_messages(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes);
/* Sends a datagram unchanged to the client of the first session. */
void fake_udp_raw(struct bus *b, const void *data, size_t bytes);

#endif
