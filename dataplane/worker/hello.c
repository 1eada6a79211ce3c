/* SPDX-License-Identifier: Apache-2.0 */
/* Who says hello gets a cookie, and nothing is kept: a flood from addresses that are not the sender's
 * costs an answer each, no larger than the question. Only who has shown with the cookie that it
 * receives at its address gets to control, and of those so many a second.
 */
#include "dataplane/worker/frames.h"

#include <rte_mbuf.h>
#include <sodium/crypto_shorthash.h>

#define EPOCH_S 16u
/* Head, name and what FlatBuffers need around it. */
#define HELLO_BYTES_MAX 512u

_Static_assert(crypto_shorthash_KEYBYTES == MR_COOKIE_KEY_BYTES, "SipHash-2-4");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash-2-4");

uint64_t mr_worker_cookie(
	const struct mr_worker *w, const struct mrf_network_path *path, uint64_t a, uint64_t b)
{
	struct {
		struct mrf_network_path path;
		uint64_t words[2];
	} text = {*path, {a, b}};
	uint64_t cookie;

	text.path.peer_mac = 0; /* may change at any time */
	crypto_shorthash((unsigned char *)&cookie, (const unsigned char *)&text, sizeof(text),
		w->cookie_key);
	return cookie != 0 ? cookie : 1;
}

/* Epochs are counted by the cycle counter, which all workers share. */
static bool cookie_is_good(
	const struct mr_worker *w, const struct mr_frame *f, const struct mrf_hello_head *h)
{
	uint64_t epoch = mr_worker_clock(w) / (w->tsc_hz * EPOCH_S);

	return h->cookie != 0 &&
	       (h->cookie == mr_worker_cookie(w, &f->path, h->nonce, epoch) ||
		       h->cookie == mr_worker_cookie(w, &f->path, h->nonce, epoch - 1));
}

static void retry(struct mr_worker *w, const struct mr_frame *f, const struct mrf_hello_head *h)
{
	uint64_t epoch = mr_worker_clock(w) / (w->tsc_hz * EPOCH_S);
	struct mrf_hello_retry r = {
		.nonce = h->nonce,
		.cookie = mr_worker_cookie(w, &f->path, h->nonce, epoch),
	};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_RETRY, NULL, NULL, 0, &r, 0, sizeof(r));

	if (!mr_rate_take(&w->retries, w->tsc_hz, mr_worker_clock(w)))
		mr_count(w->stats->drop_rate, 1);
	else if (mr_worker_send_apart(w, &f->path, 0, &plan, 0))
		mr_count(w->stats->hellos_retried, 1);
	else
		mr_count(w->stats->drop_no_buffer, 1);
}

static void take(struct mr_worker *w, const struct mr_frame *f, const struct mr_message_view *m)
{
	if (!mr_rate_take(&w->hellos, w->tsc_hz, mr_worker_clock(w)))
		mr_count(w->stats->drop_rate, 1);
	else if (mr_worker_handoff_hello(w, &f->path, m))
		mr_count(w->stats->hellos_taken, 1);
}

/* The hello's frame shows that its path carries frames as large as it asks for. */
static bool parse(const struct mr_frame *f, struct mr_message_view *m, struct mrf_hello_head *out)
{
	const uint8_t *at = f->at + sizeof(f->header);
	struct mrf_message_header h;

	if (f->bytes < MR_FRAME_BYTES_MIN)
		return false;
	h = mr_message_header_load(at);
	if (h.kind != MRF_MESSAGE_KIND_HELLO || h.flags != 0 || h.bytes > HELLO_BYTES_MAX ||
		!mr_message_fits(&h, f->bytes - sizeof(f->header)))
		return false;
	*m = mr_message_plain(at, h);
	if (m->payload_bytes <= sizeof(*out))
		return false;
	memcpy(out, m->payload, sizeof(*out));
	return out->nonce != 0 && out->frame_bytes >= MR_FRAME_BYTES_MIN &&
	       out->frame_bytes <= f->bytes && out->reserved == 0;
}

void mr_worker_hello(struct mr_worker *w, const struct mr_frame *f)
{
	struct mrf_hello_head head;
	struct mr_message_view m;

	if (!parse(f, &m, &head))
		mr_count(w->stats->drop_bad_hello, 1);
	else if (cookie_is_good(w, f, &head))
		take(w, f, &m);
	else
		retry(w, f, &head);
}
