/* SPDX-License-Identifier: Apache-2.0 */
/* Congestion control follows the delay. The path has no queue while a round trip takes little
 * longer than the shortest one lately. Then the window grows if it was used up; above that delay it
 * shrinks in proportion. A loss alone is no sign of a queue, so it costs the frame and not the
 * window. After LEDBAT (RFC 6817); loss detection after RACK (RFC 8985), the time-out after RFC
 * 6298.
 */
#include "lib/wire/reliable.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define LATER_FRAMES     3u   /* reordering threshold: frames by which a received one is later */
#define LATER_FRAMES_MAX 128u /* its maximum, on a path that reorders */
#define LATER_SHARE      16u  /* fraction of the excess that decays in a round trip */
#define WINDOW_FIRST     64u
#define WINDOW_LEAST     4u
#define WINDOW_SMALL     16u /* a window too small to build a queue */
#define DELAY_NS_MIN     200000u
#define RTT_LEAST_NS     10000000000u /* lifetime of the shortest round trip */
#define BACKOFF_MAX      11u
#define CREDIT_SHARE     16u /* fraction of the largest grant that is worth an ack of its own */

/* Returns how far `to` is ahead of `from`; negative: behind. */
static int32_t ahead(uint32_t from, uint32_t to)
{
	return (int32_t)(to - from);
}

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Returns the number of frames in `positions` positions from `from` on, without the skipped 0. */
static uint32_t without_zero(uint32_t from, int32_t positions)
{
	if (positions <= 0)
		return 0;
	return (uint32_t)positions - ((uint32_t)positions > UINT32_MAX - from + 1);
}

void mr_reliable_tx_init(struct mr_reliable_tx *t, struct mr_reliable_frame *frames,
	uint32_t frames_count, uint32_t credit)
{
	assert(frames_count > 0 && (frames_count & (frames_count - 1)) == 0 &&
		frames_count <= MR_RELIABLE_WINDOW_MAX);
	*t = (struct mr_reliable_tx){
		.frames = frames,
		.frames_count = frames_count,
		.first = 1,
		.next = 1,
		.limit = 1 + min(credit, MR_RELIABLE_WINDOW_MAX),
		.window = WINDOW_FIRST,
		.later = LATER_FRAMES,
		.round = 1,
		.rtt_round_ns = UINT64_MAX,
	};
}

/* Returns the frames in flight: neither received nor taken for lost. */
static uint32_t in_flight(const struct mr_reliable_tx *t)
{
	return without_zero(t->first, ahead(t->first, t->next)) - t->received - t->lost;
}

uint32_t mr_reliable_tx_room(const struct mr_reliable_tx *t)
{
	uint32_t flying = in_flight(t);
	uint32_t granted = without_zero(t->next, ahead(t->next, t->limit));
	uint32_t entries = without_zero(t->next, ahead(t->next, t->first + t->frames_count));

	return min(min(granted, entries), t->window > flying ? t->window - flying : 0);
}

static uint64_t rto_ns(const struct mr_reliable_tx *t)
{
	uint64_t rto = t->rtt_ns + 4 * t->rtt_var_ns;

	if (t->rtt_ns == 0)
		rto = MR_RELIABLE_RTO_NS;
	else if (rto < MR_RELIABLE_RTO_NS_MIN)
		rto = MR_RELIABLE_RTO_NS_MIN;
	rto <<= min(t->backoff / 2, BACKOFF_MAX);
	return rto < MR_RELIABLE_RTO_NS_MAX ? rto : MR_RELIABLE_RTO_NS_MAX;
}

/* Starts the timer for an ack of frames in flight, or for credit that the peer owes; else stops
 * it. */
static void start_timer(struct mr_reliable_tx *t, uint64_t now_ns)
{
	bool nothing_yet = t->limit == 1 && t->next == 1;

	t->due_ns = 0;
	if (t->first != t->next || (ahead(t->next, t->limit) <= 0 && !nothing_yet))
		t->due_ns = now_ns + rto_ns(t);
}

static void mark_sent(struct mr_reliable_tx *t, struct mr_reliable_frame *f, uint64_t now_ns)
{
	f->sent_ns = now_ns;
	f->order = ++t->order;
	f->sends = (uint8_t)(f->sends + (f->sends < UINT8_MAX));
}

uint32_t mr_reliable_tx_sent(
	struct mr_reliable_tx *t, uint64_t at, uint32_t bytes, uint32_t messages, uint64_t now_ns)
{
	struct mr_reliable_frame *f = mr_reliable_tx_frame(t, t->next);
	bool alone = t->first == t->next;
	uint32_t sequence = t->next;

	assert(ahead(t->next, t->first + t->frames_count) > 0);
	*f = (struct mr_reliable_frame){.at = at, .bytes = bytes, .messages = messages};
	mark_sent(t, f, now_ns);
	t->next = mr_reliable_after(t->next);
	if (alone)
		start_timer(t, now_ns);
	if (in_flight(t) >= t->window)
		t->filled = true;
	return sequence;
}

static void update_rtt(struct mr_reliable_tx *t, uint64_t rtt, uint64_t now_ns)
{
	uint64_t off;

	rtt += rtt == 0;
	if (t->rtt_ns == 0) {
		t->rtt_ns = rtt;
		t->rtt_var_ns = rtt / 2;
	} else {
		off = rtt > t->rtt_ns ? rtt - t->rtt_ns : t->rtt_ns - rtt;
		t->rtt_var_ns += off / 4 - t->rtt_var_ns / 4;
		t->rtt_ns += rtt / 8 - t->rtt_ns / 8;
	}
	if (t->rtt_least_ns == 0 || rtt <= t->rtt_least_ns ||
		now_ns - t->rtt_least_since_ns > RTT_LEAST_NS) {
		t->rtt_least_ns = rtt;
		t->rtt_least_since_ns = now_ns;
	}
	if (rtt < t->rtt_round_ns)
		t->rtt_round_ns = rtt;
}

/* Adapts the window at the end of a round trip, by its shortest delay. */
static void adapt_window(struct mr_reliable_tx *t, uint64_t now_ns)
{
	uint64_t target = t->rtt_least_ns / 2;
	uint64_t queue = t->rtt_round_ns - t->rtt_least_ns;

	if (t->rtt_round_ns == UINT64_MAX)
		return;
	if (target < DELAY_NS_MIN)
		target = DELAY_NS_MIN;
	if (queue > target && t->window <= WINDOW_SMALL) {
		/* This queue is not ours, and no smaller window would help: the peer is slow to
		 * answer, for example because its machine is busy. */
		t->rtt_least_ns = t->rtt_round_ns;
		t->rtt_least_since_ns = now_ns;
	} else if (queue > target) {
		t->window -= (uint32_t)((uint64_t)t->window * (queue - target) / queue / 2);
		if (t->window < WINDOW_LEAST)
			t->window = WINDOW_LEAST;
	} else if (t->filled) {
		t->window += t->window / (queue < target / 2 ? 2 : 8) + 1;
		t->window = min(t->window, MR_RELIABLE_WINDOW_MAX);
	}
}

static void end_round(struct mr_reliable_tx *t, uint64_t now_ns)
{
	if (ahead(t->round, t->first) < 0)
		return;
	adapt_window(t, now_ns);
	t->later -= (t->later - LATER_FRAMES + LATER_SHARE - 1) / LATER_SHARE;
	t->round = t->next;
	t->rtt_round_ns = UINT64_MAX;
	t->filled = false;
}

/* True if the ack came too soon for the retransmission: the frame had not been lost. */
static bool retransmit_was_spurious(
	const struct mr_reliable_tx *t, const struct mr_reliable_frame *f, uint64_t now_ns)
{
	return f->sends > 1 && now_ns - f->sent_ns < t->rtt_least_ns;
}

/* Notes that a frame was received, as the peer says for the first time. *latest: of these, the one
 * sent last. */
static void note_received(struct mr_reliable_tx *t, struct mr_reliable_frame *f, uint64_t now_ns,
	const struct mr_reliable_frame **latest)
{
	if (f->lost)
		t->lost--;
	f->lost = false;
	if (retransmit_was_spurious(t, f, now_ns)) {
		if (t->window_before > t->window)
			t->window = t->window_before;
		t->later = min(2 * t->later, LATER_FRAMES_MAX);
	} else if (ahead(t->newest, f->order) > 0) {
		t->newest = f->order;
		t->newest_ns = f->sent_ns;
	}
	if (*latest == NULL || ahead((*latest)->order, f->order) > 0)
		*latest = f;
}

/* Removes all frames before `ack` from the log; returns their number. */
static int take_cumulative_ack(struct mr_reliable_tx *t, uint32_t ack, uint64_t now_ns,
	const struct mr_reliable_frame **latest)
{
	int acknowledged = 0;

	for (; ahead(t->first, ack) > 0; t->first = mr_reliable_after(t->first), acknowledged++) {
		struct mr_reliable_frame *f = mr_reliable_tx_frame(t, t->first);

		if (f->received)
			t->received--;
		else
			note_received(t, f, now_ns, latest);
	}
	return acknowledged;
}

static bool take_selective_ack(struct mr_reliable_tx *t, uint32_t from, uint64_t word,
	uint64_t now_ns, const struct mr_reliable_frame **latest)
{
	bool any = false;

	for (; word != 0; word &= word - 1) {
		uint32_t sequence = from + (uint32_t)__builtin_ctzll(word);
		struct mr_reliable_frame *f = mr_reliable_tx_frame(t, sequence);

		if (sequence == 0 || ahead(t->first, sequence) < 0 || f->received)
			continue;
		note_received(t, f, now_ns, latest);
		f->received = true;
		t->received++;
		any = true;
	}
	return any;
}

static bool is_lost(const struct mr_reliable_tx *t, const struct mr_reliable_frame *f)
{
	int32_t later = ahead(f->order, t->newest);

	return later >= (int32_t)t->later || (later > 0 && t->newest_ns - f->sent_ns > t->rtt_ns);
}

/* Marks frames before `end` as lost by the order of sending; see is_lost. */
static void find_lost(struct mr_reliable_tx *t, uint32_t end)
{
	for (uint32_t i = t->first; i != end; i = mr_reliable_after(i)) {
		struct mr_reliable_frame *f = mr_reliable_tx_frame(t, i);

		/* This frame and all behind it were sent after the newest received frame, so
		 * none of them can be lost. */
		if (f->sends == 1 && ahead(f->order, t->newest) < 0)
			break;
		if (f->received || f->lost || !is_lost(t, f))
			continue;
		f->lost = true;
		t->lost++;
	}
}

/* Updates the round-trip time and resets the back-off. An ack does not say which transmission it
 * answers, so only frames sent once give a sample (Karn's algorithm, RFC 6298 §3); they also reset
 * the back-off (§5). An ack of a retransmitted frame resets it if it arrives within the known
 * time-out. A frame sent before another received one gives neither: it may have arrived long ago,
 * and its ack was lost.
 */
static void sample_rtt(
	struct mr_reliable_tx *t, const struct mr_reliable_frame *latest, uint64_t now_ns)
{
	uint64_t since = now_ns - latest->sent_ns;

	if (latest->order != t->newest)
		return;
	if (latest->sends == 1)
		update_rtt(t, since, now_ns);
	if (latest->sends == 1 || (t->rtt_ns != 0 && since <= t->rtt_ns + 4 * t->rtt_var_ns))
		t->backoff = 0;
}

/* True if the ack names only frames that were sent, and the credit is no larger than any window. */
static bool ack_is_valid(const struct mr_reliable_tx *t, uint32_t ack, uint32_t credit,
	const uint64_t *received, uint32_t words)
{
	if (ack == 0 || credit > MR_RELIABLE_WINDOW_MAX || ahead(t->next, ack) > 0 ||
		words > MR_RELIABLE_SACK_WORDS)
		return false;
	while (words > 0 && received[words - 1] == 0)
		words--;
	if (words == 0)
		return true;
	return ahead(t->next, ack + 64 * words - (uint32_t)__builtin_clzll(received[words - 1])) <
	       0;
}

int mr_reliable_tx_ack(struct mr_reliable_tx *t, uint32_t ack, uint32_t credit,
	const uint64_t *received, uint32_t words, uint64_t now_ns)
{
	bool was_blocked = ahead(t->next, t->limit) <= 0;
	const struct mr_reliable_frame *latest = NULL;
	bool any = false;
	int acknowledged;

	if (!ack_is_valid(t, ack, credit, received, words))
		return -EPROTO;
	if (ahead(t->limit, ack + credit) > 0) {
		t->limit = ack + credit;
		t->backoff = t->first == t->next ? 0 : t->backoff;
	}
	acknowledged = take_cumulative_ack(t, ack, now_ns, &latest);
	for (uint32_t i = 0; i < words; i++)
		any |= take_selective_ack(t, ack + 1 + 64 * i, received[i], now_ns, &latest);
	if (latest != NULL)
		sample_rtt(t, latest, now_ns);
	if (acknowledged > 0 || any) {
		t->window_before = 0;
		end_round(t, now_ns);
	}
	if (t->first != t->next)
		find_lost(t, received != NULL ? t->next : mr_reliable_after(t->first));
	if (acknowledged > 0 || any || (was_blocked && t->first == t->next))
		start_timer(t, now_ns);
	return acknowledged;
}

int mr_reliable_selective_ack(const struct mrf_frame_header *frame, const uint8_t *at,
	uint32_t bytes, uint64_t received[MR_RELIABLE_SACK_WORDS])
{
	struct mrf_message_header h;
	uint32_t ack_bytes;

	if (frame->messages == 0)
		return 0;
	h = mr_message_header_load(at);
	if (frame->messages != 1 || h.kind != MRF_MESSAGE_KIND_ACK || h.flags != 0 ||
		h.bytes != bytes || h.bytes <= sizeof(h))
		return -1;
	ack_bytes = (uint32_t)h.bytes - (uint32_t)sizeof(h);
	if (ack_bytes % sizeof(received[0]) != 0 ||
		ack_bytes > MR_RELIABLE_SACK_WORDS * sizeof(received[0]))
		return -1;
	memcpy(received, at + sizeof(h), ack_bytes);
	return (int)(ack_bytes / sizeof(received[0]));
}

/* Retransmits the oldest frame when no ack came in time, whatever the state of the others. */
static struct mr_reliable_frame *time_out(
	struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence)
{
	struct mr_reliable_frame *f;

	/* The frame at `first` was not received, or it would have left the log. */
	*sequence = t->first;
	f = mr_reliable_tx_frame(t, t->first);
	if (t->window_before == 0)
		t->window_before = t->window;
	t->window = t->window / 2 > WINDOW_LEAST ? t->window / 2 : WINDOW_LEAST;
	t->backoff++;
	start_timer(t, now_ns);
	if (f->lost)
		t->lost--;
	f->lost = false;
	return f;
}

static struct mr_reliable_frame *next_lost(struct mr_reliable_tx *t, uint32_t *sequence)
{
	uint32_t flying = in_flight(t);

	if (t->lost == 0 || (flying >= t->window && flying > 0))
		return NULL;
	for (uint32_t i = t->first; i != t->next; i = mr_reliable_after(i)) {
		struct mr_reliable_frame *f = mr_reliable_tx_frame(t, i);

		if (!f->lost)
			continue;
		f->lost = false;
		t->lost--;
		*sequence = i;
		return f;
	}
	return NULL;
}

struct mr_reliable_frame *mr_reliable_tx_retransmit(
	struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence, bool *timed_out)
{
	struct mr_reliable_frame *f;

	*timed_out = t->due_ns != 0 && now_ns >= t->due_ns && t->first != t->next;
	f = *timed_out ? time_out(t, now_ns, sequence) : next_lost(t, sequence);
	if (f != NULL)
		mark_sent(t, f, now_ns);
	return f;
}

bool mr_reliable_tx_probe(struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence)
{
	if (t->due_ns == 0 || now_ns < t->due_ns || t->first != t->next)
		return false;
	t->backoff++;
	start_timer(t, now_ns);
	*sequence = mr_reliable_before(t->first);
	return true;
}

void mr_reliable_rx_init(struct mr_reliable_rx *r, uint32_t slots, uint32_t credit)
{
	assert(slots > 0 && (slots & (slots - 1)) == 0 && slots <= MR_RELIABLE_WINDOW_MAX);
	*r = (struct mr_reliable_rx){
		.next = 1,
		.taken = 1,
		.slots = slots,
		.most = slots,
		.granted = 1 + min(credit, slots),
	};
}

/* Advances `next`, which was received, to the first frame that was not. */
static void advance(struct mr_reliable_rx *r)
{
	bool received;

	do {
		received = (r->received[0] & 1) != 0;
		r->ahead -= received;
		for (uint32_t i = 0; i + 1 < MR_RELIABLE_SACK_WORDS; i++)
			r->received[i] = r->received[i] >> 1 | r->received[i + 1] << 63;
		r->received[MR_RELIABLE_SACK_WORDS - 1] >>= 1;
		r->next++;
	} while (received || r->next == 0);
}

enum mr_reliable_order mr_reliable_rx_look(const struct mr_reliable_rx *r, uint32_t sequence)
{
	int32_t d = ahead(r->next, sequence);

	if (sequence == 0 || ahead(r->granted, sequence) >= 0)
		return MR_RELIABLE_WINDOW;
	if (d <= 0)
		return d == 0 ? MR_RELIABLE_NEXT : MR_RELIABLE_DUPLICATE;
	return (r->received[(uint32_t)(d - 1) / 64] >> (uint32_t)(d - 1) % 64 & 1) != 0
		       ? MR_RELIABLE_DUPLICATE
		       : MR_RELIABLE_EARLY;
}

enum mr_reliable_order mr_reliable_rx_take(struct mr_reliable_rx *r, uint32_t sequence)
{
	int32_t d = ahead(r->next, sequence);
	uint64_t bit;

	if (mr_likely(d == 0 && r->ahead == 0 && ahead(r->granted, sequence) < 0)) {
		r->next = mr_reliable_after(r->next);
		r->ack_pending++;
		return MR_RELIABLE_NEXT;
	}
	r->ack_due = true;
	if (sequence == 0 || ahead(r->granted, sequence) >= 0)
		return MR_RELIABLE_WINDOW;
	if (d < 0)
		return MR_RELIABLE_DUPLICATE;
	if (d == 0) {
		r->ack_pending++;
		advance(r);
		return MR_RELIABLE_NEXT;
	}
	bit = 1ull << (uint32_t)(d - 1) % 64;
	if ((r->received[(uint32_t)(d - 1) / 64] & bit) != 0)
		return MR_RELIABLE_DUPLICATE;
	r->received[(uint32_t)(d - 1) / 64] |= bit;
	r->ahead++;
	r->ack_pending++;
	return MR_RELIABLE_EARLY;
}

void mr_reliable_rx_let_go(struct mr_reliable_rx *r)
{
	assert(r->taken != r->next);
	r->taken = mr_reliable_after(r->taken);
	/* Not for each frame: a peer that waits for credit would send frames one by one. */
	if (ahead(r->granted, r->taken + r->most) >= (int32_t)(r->most / CREDIT_SHARE))
		r->ack_due = true;
}

uint32_t mr_reliable_rx_ack(struct mr_reliable_rx *r, uint32_t most, uint32_t *ack,
	uint32_t *credit, uint64_t received[MR_RELIABLE_SACK_WORDS])
{
	uint32_t grant, words = 0;
	int32_t left;

	r->most = min(most, r->slots);
	grant = r->taken + r->most;
	if (ahead(r->granted, grant) > 0)
		r->granted = grant;
	left = ahead(r->next, r->granted);
	*ack = r->next;
	*credit = left > 0 ? (uint32_t)left : 0;
	r->ack_pending = 0;
	if (r->ahead == 0 || received != NULL)
		r->ack_due = false;
	if (r->ahead == 0 || received == NULL)
		return 0;
	for (uint32_t i = 0; i < MR_RELIABLE_SACK_WORDS; i++) {
		received[i] = r->received[i];
		if (received[i] != 0)
			words = i + 1;
	}
	return words;
}
