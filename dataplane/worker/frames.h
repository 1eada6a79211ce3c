/* SPDX-License-Identifier: Apache-2.0 */
/* frames: what the worker does with packets, and what sends frames. Private to the worker.
 *
 *   ports.c            bursts of packets; who they are for
 *   frame.c            a frame of a session: its path, its sequence, its messages
 *   hello.c            a frame of nobody's: cookies, and what control is asked
 *   path_validation.c  a frame of a session from elsewhere
 *   egress.c           frames out
 *   udp_sessions.c     heartbeats, expiry, goodbyes
 *
 * Threads   The worker's lcore.
 * Hot path  ports, frame, egress: all of it; no allocation but of buffers.
 */
#ifndef MILLRACE_WORKER_FRAMES_H
#define MILLRACE_WORKER_FRAMES_H

#include "dataplane/port/packet.h"
#include "dataplane/session/remote.h"
#include "dataplane/worker/stages.h"

/* Says in a mesh descriptor's tag that the buffer is a frame; the port's index is in the low
 * bits. */
#define MR_TAG_FRAME (1ull << 63)

/* A frame that was received, whole as far as its headers say. */
struct mr_frame {
	struct rte_mbuf *buffer;
	struct mr_worker_port *port;
	const uint8_t *at; /* the UDP payload */
	uint32_t bytes;
	struct mrf_frame_header header;
	struct mrf_network_path path;
};

/* ports.c: takes packets and does with them what is to be done. */
void mr_worker_ports_rx(struct mr_worker *w);
/* Frees what was received, passed on or not yet sent; the worker has left its loop. */
void mr_worker_ports_fini(struct mr_worker *w);

/* frame.c: of a session of this worker, or of none that is. */
void mr_worker_frame(struct mr_worker *w, const struct mr_frame *f);
/* A frame of the session came by its path: it lives. */
static inline void mr_worker_note_life(const struct mr_worker *w, struct mr_session *s)
{
	s->remote->last_rx = w->round_start;
	atomic_store_explicit(&s->heard, s->remote->last_rx, memory_order_relaxed);
}
/* A frame that is in its flow and new: the session lives, and by this way. */
void mr_worker_note_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);
/* Routes the burst as it is, and begins a new one. */
void mr_worker_route_now(struct mr_worker *w);

/* hello.c: of session 0. */
void mr_worker_hello(struct mr_worker *w, const struct mr_frame *f);
/* A keyed hash of a path and two words that nobody else can make; never 0. */
uint64_t mr_worker_cookie(
	const struct mr_worker *w, const struct mrf_network_path *path, uint64_t a, uint64_t b);

/* path_validation.c: of a session, but not from its path. True: it proved the new one, which is taken,
 * and the frame is to be looked at further. False: it is discarded and counted. */
bool mr_worker_validate_path(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);

/* egress.c: room for a message of `bytes` at the end of the session's open frame, or of a new one,
 * the full one being sent. NULL: the session is local, the message is too large, or there is no
 * buffer. */
void *mr_worker_frame_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* A buffer for a frame of at most `bytes` to the session, that is to be written at *payload. NULL:
 * there is none, or it is too small, as after a change to a narrower path. */
struct rte_mbuf *mr_worker_packet_new(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint8_t **payload);
/* Sends it, with `bytes` written; its messages are not lost if the device does not take it. */
void mr_worker_packet_send(
	struct mr_worker *w, struct mr_session *s, struct rte_mbuf *m, uint32_t bytes);
/* Sends the session's open frame, if there is one. */
void mr_worker_seal(struct mr_worker *w, struct mr_session *s);
/* Sends a frame without messages. False: no buffer. */
bool mr_worker_heartbeat(struct mr_worker *w, struct mr_session *s);
/* Sends a frame with this message alone; `padded`: as large as the session's frames may be. False:
 * no room, and nothing was counted. */
bool mr_worker_send_alone(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target, bool padded);
/* Sends a message outside of any flow, with sequence 0. False: no buffer, and nothing was
 * counted. */
bool mr_worker_send_apart(struct mr_worker *w, const struct mrf_network_path *path,
	uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Takes a packet over, to be given to the port's device. `messages` are counted if it is not. */
void mr_worker_port_put(
	struct mr_worker *w, struct mr_worker_port *port, struct rte_mbuf *m, uint32_t messages);
/* Gives all that waits to the devices. */
void mr_worker_ports_tx(struct mr_worker *w);

/* udp_sessions.c: some of the sessions over UDP, so that all of them are looked after in an eighth of
 * a heartbeat. */
void mr_worker_udp_sessions_look(struct mr_worker *w);
/* Tells all of them that the bus stops. */
void mr_worker_udp_sessions_stop(struct mr_worker *w);
/* The session is over: nothing more is taken of it, or sent to it. mr_worker_flow_finish goes on. */
void mr_worker_remote_end(struct mr_session *s, enum mr_remote_end why);
/* All that came of it is taken: the table writer is to close it. */
void mr_worker_remote_close(struct mr_worker *w, struct mr_session *s);
/* Room for a Close with a code. */
#define MR_CLOSE_WORDS 16
/* Makes the message that says so; it refers to `memory`. */
struct mr_message_plan mr_worker_close_plan(int32_t code, uint64_t memory[MR_CLOSE_WORDS]);

/* Of a local session whose client is gone: who asked what it did not read is told that nobody is there. Bounded;
 * goes on where it stopped. */
void mr_worker_bereave(struct mr_worker *w, struct mr_session *s);

/* The clock of a round: cycles when it began. */
static inline uint64_t mr_worker_clock(const struct mr_worker *w)
{
	return w->round_start;
}

static inline void mr_rate_init(struct mr_rate *r, uint64_t hz, uint32_t per_second)
{
	r->interval = per_second > 0 ? hz / per_second : UINT64_MAX;
	r->next = 0;
}

/* False: too many. Of a rate below ten a second, one is a tenth of a second's worth. */
static inline bool mr_rate_take(struct mr_rate *r, uint64_t hz, uint64_t now)
{
	uint64_t start = now - (r->interval > hz / 10 ? r->interval : hz / 10);

	if (r->interval == UINT64_MAX)
		return false;
	if ((int64_t)(r->next - start) < 0)
		r->next = start;
	if ((int64_t)(r->next + r->interval - now) > 0)
		return false;
	r->next += r->interval;
	return true;
}

void mr_rate_shared_init(struct mr_rate_shared *r, uint64_t hz, uint32_t per_second);
/* The same for `source`, and for all. */
bool mr_rate_shared_take(struct mr_rate_shared *r, uint64_t hz, uint64_t now, uint32_t source);
/* Which source a packet is of: by its IP address, or, if there is none, its Ethernet address. */
uint32_t mr_worker_source(const struct mr_worker *w, const struct mrf_network_path *path);

#endif
