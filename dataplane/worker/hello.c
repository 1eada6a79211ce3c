/* SPDX-License-Identifier: Apache-2.0 */
/* hello: answers a Hello with a cookie and keeps no state (as the stateless retry of RFC 9000
 * §8.1.2). A flood from forged addresses costs one answer each, no larger than the Hello. A Hello
 * with a good cookie shows that the client receives at its address; it goes to control, bounded by
 * a token bucket.
 */
#include "dataplane/worker/frames.h"
#include "lib/wire/path.h"

#include <rte_mbuf.h>
#include <sodium/crypto_shorthash.h>

#define EPOCH_S   16u
#define REPEAT_MS 50u
/* Largest Hello: head, name and FlatBuffers' overhead. */
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

	text.path.peer_mac = 0; /* the MAC may change at any time */
	crypto_shorthash((unsigned char *)&cookie, (const unsigned char *)&text, sizeof(text),
		w->cookie_key);
	return cookie != 0 ? cookie : 1;
}

/* True if the cookie is of this epoch or the last one. Epochs come from the cycle counter, which
 * all workers share. */
static bool cookie_is_good(
	const struct mr_worker *w, const struct mr_frame *f, const struct mrf_hello_head *h)
{
	uint64_t epoch = mr_worker_clock(w) / (w->tsc_hz * EPOCH_S);

	return h->cookie != 0 &&
	       (h->cookie == mr_worker_cookie(w, &f->path, h->nonce, epoch) ||
		       h->cookie == mr_worker_cookie(w, &f->path, h->nonce, epoch - 1));
}

void mr_rate_shared_init(struct mr_rate_shared *r, uint64_t hz, uint32_t per_second)
{
	uint32_t share = per_second / MR_RATE_SHARE;

	mr_rate_init(&r->all, hz, per_second);
	for (uint32_t i = 0; i < MR_RATE_SOURCES; i++)
		mr_rate_init(&r->by_source[i], hz, share > 0 || per_second == 0 ? share : 1);
}

bool mr_rate_shared_take(struct mr_rate_shared *r, uint64_t hz, uint64_t now, uint32_t source)
{
	return mr_rate_take(&r->by_source[source % MR_RATE_SOURCES], hz, now) &&
	       mr_rate_take(&r->all, hz, now);
}

/* True for fe80::/10. All link-local addresses have one network prefix, so they are told apart by
 * the whole address; their senders are on the link. */
static bool is_link_local(const struct mrf_network_path *path)
{
	uint8_t first[2];

	memcpy(first, &path->peer_0, sizeof(first));
	return first[0] == 0xfe && (first[1] & 0xc0) == 0x80;
}

/* An IPv6 host may use any address of its network, so only the network's prefix counts. */
uint32_t mr_worker_source(const struct mr_worker *w, const struct mrf_network_path *path)
{
	const uint64_t nowhere = path->peer_0 | path->peer_1;
	bool whole = nowhere == 0 || mr_path_is_ip4(path) || is_link_local(path);
	const uint64_t text[3] = {whole ? path->peer_0 : path->peer_0 & w->ip6_mask,
		whole ? path->peer_1 : 0, nowhere == 0 ? path->peer_mac : 0};
	uint64_t hash;

	crypto_shorthash(
		(unsigned char *)&hash, (const unsigned char *)text, sizeof(text), w->cookie_key);
	return (uint32_t)hash;
}

/* True if this Hello came within REPEAT_MS. Clients repeat a Hello after 100 ms at the earliest, so
 * it is a replay. It takes no token from the bucket. */
static bool is_repeat(struct mr_worker *w, uint64_t cookie)
{
	struct mr_hello_recent *r = &w->hellos_recent[cookie % MR_HELLOS_RECENT];
	uint64_t now = mr_worker_clock(w);

	if (r->cookie == cookie && now - r->at < w->tsc_hz / 1000 * REPEAT_MS)
		return true;
	*r = (struct mr_hello_recent){cookie, now};
	return false;
}

static void send_retry(
	struct mr_worker *w, const struct mr_frame *f, const struct mrf_hello_head *h)
{
	uint64_t epoch = mr_worker_clock(w) / (w->tsc_hz * EPOCH_S);
	struct mrf_hello_retry r = {
		.nonce = h->nonce,
		.cookie = mr_worker_cookie(w, &f->path, h->nonce, epoch),
	};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_RETRY, NULL, NULL, 0, &r, 0, sizeof(r));

	if (!mr_rate_shared_take(
		    &w->retries, w->tsc_hz, mr_worker_clock(w), mr_worker_source(w, &f->path)))
		mr_count(w->stats->drop_rate, 1);
	else if (mr_worker_send_apart(w, &f->path, 0, &plan, 0))
		mr_count(w->stats->hellos_retried, 1);
	else
		mr_count(w->stats->drop_no_buffer, 1);
}

static void accept_hello(struct mr_worker *w, const struct mr_frame *f,
	const struct mr_message_view *m, uint64_t cookie)
{
	if (is_repeat(w, cookie))
		mr_count(w->stats->drop_hello_again, 1);
	else if (!mr_rate_shared_take(
			 &w->hellos, w->tsc_hz, mr_worker_clock(w), mr_worker_source(w, &f->path)))
		mr_count(w->stats->drop_rate, 1);
	else if (mr_worker_handoff_hello(w, &f->path, m))
		mr_count(w->stats->hellos_taken, 1);
}

/* Parses a Hello. Its frame is padded to the frame size that it asks for, which shows that the path
 * carries such frames. */
static bool parse_hello(
	const struct mr_frame *f, struct mr_message_view *m, struct mrf_hello_head *out)
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

	if (!parse_hello(f, &m, &head))
		mr_count(w->stats->drop_bad_hello, 1);
	else if (cookie_is_good(w, f, &head))
		accept_hello(w, f, &m, head.cookie);
	else
		send_retry(w, f, &head);
}
