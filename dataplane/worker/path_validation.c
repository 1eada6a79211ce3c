/* SPDX-License-Identifier: Apache-2.0 */
/* A client whose address has changed, by a network address translation or because it moved, proves that
 * it is at the new one and that it is the one who was welcomed: it returns a number that was sent
 * there, with the secret that it got in the Welcome. The number is a hash, so nothing is kept.
 */
#include "dataplane/worker/frames.h"

#include <rte_mbuf.h>

#define ASK_MS 100u

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

/* At most so often a session: who sends in its name from elsewhere makes the bus say little. */
static void send_challenge(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	uint64_t now = mr_worker_clock(w);
	struct mr_remote *r = s->remote;
	struct mrf_path_proof proof;
	struct mr_message_plan plan;

	if (now - r->asked < w->tsc_hz / 1000 * ASK_MS ||
		!mr_rate_take(&w->challenges, w->tsc_hz, now))
		return;
	r->asked = now;
	proof = (struct mrf_path_proof){.nonce = nonce_of(w, s, &f->path)};
	plan = mr_message_plan(MRF_MESSAGE_KIND_PATH, NULL, NULL, 0, &proof, 0, sizeof(proof));
	if (mr_worker_send_apart(w, &f->path, s->id, &plan, 0))
		mr_count(w->stats->paths_asked, 1);
}

/* The new path may have room for less: the other family of addresses, or a port with a smaller MTU, whose
 * buffers are smaller too. What the client sends is not bound by it. */
static void adopt_path(struct mr_session *s, const struct mr_frame *f, uint32_t most)
{
	struct mr_remote *r = s->remote;

	if (r->frame_bytes > most)
		__atomic_store_n(&r->frame_bytes, most, __ATOMIC_RELAXED);
	mr_remote_headers(r, &f->path, f->port->port->mac);
}

bool mr_worker_validate_path(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	uint32_t most = mr_path_frame_bytes(&f->path, f->port->port->mtu);
	struct mr_frame_window window = s->remote->window;
	int64_t lost;

	if (most == 0 || !carries_proof(w, s, f)) {
		mr_count(w->stats->drop_wrong_path, 1);
		if (most > 0)
			send_challenge(w, s, f);
		return false;
	}
	/* One that somebody has recorded does not move the session back; it is counted as what it is by
	 * who looks at its sequence next. */
	if (mr_frame_take(&window, f->header.sequence, &lost) == MR_FRAME_DUPLICATE)
		return true;
	mr_worker_seal(w, s); /* under way to where it was begun for */
	adopt_path(s, f, most);
	mr_count(w->stats->paths_changed, 1);
	mr_count(s->stats->paths_changed, 1);
	return true;
}
