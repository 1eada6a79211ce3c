/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_reliable: both machines of the reliable flow, and any message of a peer to them.
 *
 * The input is a row of operations, each a byte with its arguments. The first two bytes set the
 * distance of the sequences from the wrap, and the sizes of log and slots. After each operation the
 * invariants that no peer can break are checked.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/wire/reliable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mr_reliable_frame frames[MR_RELIABLE_WINDOW_MAX];
static struct mr_reliable_tx tx;
static struct mr_reliable_rx rx;
static uint64_t now;

static const uint8_t *at;
static size_t left;

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t take(uint32_t bytes)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < bytes && left > 0; i++, left--)
		v = v << 8 | *at++;
	return v;
}

static void check_tx(void)
{
	uint32_t out = 0, came = 0, lost = 0;

	expect(tx.first != 0 && tx.next != 0);
	expect(tx.next - tx.first <= tx.frames_count + 1);
	for (uint32_t i = tx.first; i != tx.next; i = mr_reliable_after(i), out++) {
		came += mr_reliable_tx_frame(&tx, i)->received;
		lost += mr_reliable_tx_frame(&tx, i)->lost;
		expect(mr_reliable_tx_frame(&tx, i)->sends > 0);
	}
	expect(came == tx.received && lost == tx.lost && out <= tx.frames_count);
	expect(came + lost <= out);
	expect(tx.window >= 4 && tx.window <= MR_RELIABLE_WINDOW_MAX);
	expect(mr_reliable_tx_room(&tx) <= tx.frames_count - out);
	expect(out == 0 || mr_reliable_tx_due_ns(&tx) != UINT64_MAX);
	expect(tx.due_ns == 0 || tx.due_ns <= now + MR_RELIABLE_RTO_NS_MAX);
}

static void check_rx(void)
{
	uint32_t ahead = 0;

	for (uint32_t i = 0; i < MR_RELIABLE_SACK_WORDS; i++)
		ahead += (uint32_t)__builtin_popcountll(rx.received[i]);
	expect(ahead == rx.ahead);
	expect(rx.next != 0 && rx.taken != 0);
	expect(rx.next - rx.taken <= rx.slots + 1);
	expect((int32_t)(rx.granted - rx.taken) <= (int32_t)rx.slots);
}

static void hear(void)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t ack = tx.first + take(2) - (uint32_t)(take(1) % 4) * 0x4000u;
	uint32_t credit = take(2), words = take(1) % (MR_RELIABLE_SACK_WORDS + 1);
	struct mr_reliable_tx before = tx;
	uint32_t out = tx.next - tx.first;
	bool says = take(1) & 1;
	int gone;

	for (uint32_t i = 0; i < words; i++)
		came[i] = (uint64_t)take(4) << 32 | take(4);
	gone = mr_reliable_tx_ack(&tx, ack, credit, says ? came : NULL, says ? words : 0, now);
	if (gone < 0)
		expect(memcmp(&before, &tx, sizeof(tx)) == 0);
	else
		expect((uint32_t)gone <= out && tx.first - before.first >= (uint32_t)gone);
	expect((int32_t)(tx.limit - before.limit) >= 0);
}

static void send_some(uint32_t count)
{
	while (count-- > 0 && mr_reliable_tx_room(&tx) > 0)
		expect(mr_reliable_tx_sent(&tx, 0, 8, 1, now) != 0);
}

static void retransmit(void)
{
	uint32_t sequence, count = 0;
	bool timed_out;

	while (mr_reliable_tx_retransmit(&tx, now, &sequence, &timed_out) != NULL) {
		expect(sequence - tx.first < tx.next - tx.first);
		expect(count++ <= tx.frames_count);
	}
	if (mr_reliable_tx_probe(&tx, now, &sequence))
		expect(mr_reliable_after(sequence) == tx.first && tx.first == tx.next);
}

static void receive(uint32_t sequence)
{
	struct mr_reliable_rx before = rx;
	enum mr_reliable_order order = mr_reliable_rx_take(&rx, sequence);

	expect(rx.taken == before.taken && rx.granted == before.granted);
	expect((order == MR_RELIABLE_NEXT) == (rx.next != before.next));
	if (order == MR_RELIABLE_NEXT || order == MR_RELIABLE_EARLY)
		expect(sequence != 0 && sequence - rx.taken < rx.slots);
}

static void make_ack(uint32_t most, bool words)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t before = rx.granted, ack, credit, count;

	count = mr_reliable_rx_ack(&rx, most, &ack, &credit, words ? came : NULL);
	expect(ack == rx.next && credit <= rx.slots && count <= MR_RELIABLE_SACK_WORDS);
	expect((int32_t)(rx.granted - before) >= 0);
}

static void step(uint32_t what)
{
	switch (what % 8) {
	case 0: send_some(take(1)); break;
	case 1: hear(); break;
	case 2: now += (uint64_t)take(2) * 10000; break;
	case 3: retransmit(); break;
	case 4: receive(rx.next + take(1) - 16); break;
	case 5: receive(take(4)); break;
	case 6: make_ack(take(2), take(1) & 1); break;
	default:
		if (mr_reliable_rx_waits(&rx))
			mr_reliable_rx_let_go(&rx);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t start, count, credit;

	if (size < 2 || size > 4096)
		return 0;
	at = data;
	left = size;
	start = 1u - take(1);
	start += start == 0;
	count = 1u << take(1) % 10;
	credit = count < 8 ? count : 8;
	now = 1000000;
	mr_reliable_tx_init(&tx, frames, count, credit);
	mr_reliable_rx_init(&rx, count, credit);
	tx.first = tx.next = tx.round = start;
	rx.next = rx.taken = start;
	tx.limit = rx.granted = start + credit;
	while (left > 0) {
		step(take(1));
		check_tx();
		check_rx();
	}
	return 0;
}
