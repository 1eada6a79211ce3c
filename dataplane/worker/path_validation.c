/* SPDX-License-Identifier: Apache-2.0 */
/* path_validation: lets a session continue from another address (compare RFC 9000 §8.2). The client
 * has moved, or a NAT has changed its address. It proves that it receives there and that it is the
 * same client: it returns a number that was sent to the new address, with the secret from its
 * Welcome. The number is a keyed hash, so the worker keeps no state for it.
 */
#include "dataplane/worker/frames.h"

#include <rte_mbuf.h>

#define CHALLENGE_MS 100u

static uint64_t nonce_of(
	const struct mr_worker *w, const struct mr_session *s, const struct mrf_network_path *path)
{
	return mr_worker_cookie(w, path, s->id, s->remote->secret);
}

/* True if the frame's first message is the proof. */
static bool carries_proof(struct mr_worker *w, const struct mr_session *s, const struct mr_frame *f)
{
	const uint8_t *at = f->at + sizeof(f->header);
	uint32_t left = f->bytes - (uint32_t)sizeof(f->header);
	struct mrf_message_header h;
	struct mrf_path_proof proof;
	struct mr_message_view m;

	if (f->header.messages == 0)
		return false;
	h = mr_message_header_load(at);
	if (h.kind != MRF_MESSAGE_KIND_PATH || !mr_message_fits(&h, left) ||
		!mr_message_parse(at, h, &m) || m.payload_bytes != sizeof(proof))
		return false;
	memcpy(&proof, m.payload, sizeof(proof));
	return proof.secret == s->remote->secret && proof.nonce == nonce_of(w, s, &f->path);
}

/* Sends a challenge to the new address, at most one in CHALLENGE_MS for a session: forged frames
 * cause few. */
static void send_challenge(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	uint64_t now = mr_worker_clock(w);
	struct mr_remote *r = s->remote;
	struct mrf_path_proof proof;
	struct mr_message_plan plan;

	if (now - r->asked < w->tsc_hz / 1000 * CHALLENGE_MS ||
		!mr_rate_take(&w->challenges, w->tsc_hz, now))
		return;
	r->asked = now;
	proof = (struct mrf_path_proof){.nonce = nonce_of(w, s, &f->path)};
	plan = mr_message_plan(MRF_MESSAGE_KIND_PATH, NULL, NULL, 0, &proof, 0, sizeof(proof));
	if (mr_worker_send_apart(w, &f->path, s->id, &plan, 0))
		mr_count(w->stats->paths_asked, 1);
}

/* Gives the session the new path. The path may carry less: it may have the other address family, or
 * a port with a smaller MTU and smaller buffers. This bounds frames to the client only. */
static void adopt_path(struct mr_session *s, const struct mr_frame *f, uint32_t most)
{
	struct mr_remote *r = s->remote;

	if (r->frame_bytes > most)
		__atomic_store_n(&r->frame_bytes, most, __ATOMIC_RELAXED);
	mr_remote_headers(r, &f->path, f->port->port->mac);
}

bool mr_worker_validate_path(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	uint32_t most = mr_path_frame_bytes(&f->path, mr_port_mtu(f->port->port));
	struct mr_frame_window window = s->remote->window;
	int64_t lost;

	if (most == 0 || !carries_proof(w, s, f)) {
		mr_count(w->stats->drop_wrong_path, 1);
		if (most > 0)
			send_challenge(w, s, f);
		return false;
	}
	/* A replayed frame must not move the session back. The caller counts it as a duplicate. */
	if (mr_frame_take(&window, f->header.sequence, &lost) == MR_FRAME_DUPLICATE)
		return true;
	mr_worker_seal(w, s); /* send the open frame along the old path */
	adopt_path(s, f, most);
	mr_count(w->stats->paths_changed, 1);
	mr_count(s->stats->paths_changed, 1);
	mr_bell_ring(w->writer_bell_fd); /* the table writer checks the new address */
	return true;
}
