/* SPDX-License-Identifier: Apache-2.0 */
/* frames: receiving and sending packets and frames. Private to the worker.
 *
 *   ports.c            bursts of packets, sorted by kind and by worker
 *   frame.c            a frame of a session: its path, its sequence, its messages
 *   hello.c            a frame of no session: cookies, and hellos for control
 *   path_validation.c  a frame of a session from another path
 *   egress.c           frames out
 *   udp_life.c         frames that count as heartbeats; how a session ends
 *   udp_sessions.c     heartbeats, liveness time-out, expulsion
 *
 * Threads   The worker's lcore.
 * Hot path  ports, frame, egress: all of it; no allocation but of buffers.
 */
#ifndef MILLRACE_WORKER_FRAMES_H
#define MILLRACE_WORKER_FRAMES_H

#include "dataplane/port/packet.h"
#include "dataplane/session/remote.h"
#include "dataplane/worker/stages.h"

/* Flag in a mesh descriptor's tag: the buffer is a frame. The low bits are the port's index. */
#define MR_TAG_FRAME (1ull << 63)

/* A received frame. Its headers were checked. */
struct mr_frame {
	struct rte_mbuf *buffer;
	struct mr_worker_port *port;
	const uint8_t *at; /* the UDP payload */
	uint32_t bytes;
	struct mrf_frame_header header;
	struct mrf_network_path path;
};

/* ports.c: receives packets from all ports and handles them. */
void mr_worker_ports_rx(struct mr_worker *w);
/* Sends or frees all buffers of ports. Call it when the worker has left its loop. */
void mr_worker_ports_fini(struct mr_worker *w);

/* frame.c: handles a frame of a session of this worker, or of an unknown session. */
void mr_worker_frame(struct mr_worker *w, const struct mr_frame *f);
/* Notes that a frame came from the session's path, which counts as a heartbeat. */
static inline void mr_worker_note_life(const struct mr_worker *w, struct mr_session *s)
{
	s->remote->last_rx = w->round_start;
	atomic_store_explicit(&s->heard, s->remote->last_rx, memory_order_relaxed);
}
/* udp_life.c: counts a new frame of the session, which also counts as a heartbeat, and follows a
 * change of the peer's MAC. */
void mr_worker_note_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);
/* Routes the burst, and begins a new one. */
void mr_worker_route_now(struct mr_worker *w);

/* hello.c: handles a frame of session 0. */
void mr_worker_hello(struct mr_worker *w, const struct mr_frame *f);
/* Returns a keyed hash of a path and two words, which nobody else can compute; never 0. */
uint64_t mr_worker_cookie(
	const struct mr_worker *w, const struct mrf_network_path *path, uint64_t a, uint64_t b);

/* path_validation.c: handles a frame of a session that came from another path. True: it proved the
 * new path, which the session now has, and is still to be taken. False: it is discarded and
 * counted. */
bool mr_worker_validate_path(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);

/* egress.c: sends the session's open frame, opens a new one and returns room for a message of
 * `bytes` in it. NULL: the session is local, the message is too large, or there is no buffer. */
void *mr_worker_frame_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Returns a buffer for a frame of at most `bytes` to the session; the caller writes it at *payload.
 * NULL: there is no buffer, or the session's path is too narrow for the frame. */
struct rte_mbuf *mr_worker_packet_new(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint8_t **payload);
/* Sends such a buffer with `bytes` written. Its messages do not count as lost if the device does
 * not take it. */
void mr_worker_packet_send(
	struct mr_worker *w, struct mr_session *s, struct rte_mbuf *m, uint32_t bytes);
/* Sends the session's open frame, if there is one. */
void mr_worker_seal(struct mr_worker *w, struct mr_session *s);
/* Sends a frame without messages. False: no buffer. */
bool mr_worker_heartbeat(struct mr_worker *w, struct mr_session *s);
/* Sends a frame with this message alone. `padded`: as large as the session's frames may be. False:
 * no buffer; nothing was counted. */
bool mr_worker_send_alone(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target, bool padded);
/* Sends a message in a frame outside of any flow, with sequence 0. False: no buffer; nothing was
 * counted. */
bool mr_worker_send_apart(struct mr_worker *w, const struct mrf_network_path *path,
	uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Queues a packet for the port's device and owns it from then on. If the device does not take it,
 * `messages` are counted as dropped. */
void mr_worker_port_put(
	struct mr_worker *w, struct mr_worker_port *port, struct rte_mbuf *m, uint32_t messages);
/* Gives all queued packets to the devices. */
void mr_worker_ports_tx(struct mr_worker *w);

/* udp_sessions.c: checks some of the sessions over UDP: in an eighth of a heartbeat it checks all
 * of them. */
void mr_worker_udp_sessions_look(struct mr_worker *w);
/* Sends all of them a Close: the bus stops. */
void mr_worker_udp_sessions_stop(struct mr_worker *w);
/* udp_life.c: ends the session: its worker takes no further frame of it, and sends it none.
 * mr_worker_flow_finish takes the frames that wait. */
void mr_worker_remote_end(struct mr_session *s, enum mr_remote_end why);
/* Lets the table writer close an ended session: all its acknowledged frames are taken. */
void mr_worker_remote_close(struct mr_worker *w, struct mr_session *s);
/* Room for a Close with a code. */
#define MR_CLOSE_WORDS 16
/* Makes a Close with that code, a negative errno; the plan refers to `memory`. */
struct mr_message_plan mr_worker_close_plan(int32_t code, uint64_t memory[MR_CLOSE_WORDS]);

/* unread_requests.c: answers NoResponders to requests that a closed local client has left unread in
 * its down ring. Bounded; the next call continues. */
void mr_worker_answer_unread(struct mr_worker *w, struct mr_session *s);

/* Returns the round's clock: cycles when the round began. */
static inline uint64_t mr_worker_clock(const struct mr_worker *w)
{
	return w->round_start;
}

static inline void mr_rate_init(struct mr_rate *r, uint64_t hz, uint32_t per_second)
{
	r->interval = per_second > 0 ? hz / per_second : UINT64_MAX;
	r->next = 0;
}

/* Takes a token; false: there is none. The bucket holds what comes in 100 ms, but at least one
 * token. */
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
/* Takes a token of `source` and one of all sources; false: one of the two has none. */
bool mr_rate_shared_take(struct mr_rate_shared *r, uint64_t hz, uint64_t now, uint32_t source);
/* Returns a packet's source for a shared rate: a hash of its IP address or, without one, its MAC.
 * */
uint32_t mr_worker_source(const struct mr_worker *w, const struct mrf_network_path *path);

#endif
