/* SPDX-License-Identifier: Apache-2.0 */
/* A client over UDP with the reliable flow: nothing in it is lost, and everything arrives in
 * order. */
#include <poll.h>

#include "client/core/ring_out.h"
#include "client/transport/udp/udp.h"
#include "tests/unit/client/fixture.h"

#define BYTES_MAX     1024u
#define UNDER_WAY_MAX 400u

/* Makes a promised message to "a" that starts with its number. */
static void fill(uint8_t *to, uint32_t number, uint32_t bytes)
{
	to = mr_message_begin(to, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, 1, 0, bytes);
	to[0] = 'a';
	memcpy(to + 1, &number, sizeof(number));
	memset(to + 1 + sizeof(number), (int)number, bytes - sizeof(number));
}

static uint32_t bytes_of(uint32_t number)
{
	return 4 + number * 37 % (BYTES_MAX - 4);
}

/* False: there is no room. */
static bool offer(struct mr_client *c, uint32_t number)
{
	uint32_t bytes = mr_message_bytes(false, 1, 0, bytes_of(number));
	uint8_t *to = mr_ring_promised_room(c, bytes);

	if (to == NULL)
		return false;
	fill(to, number, bytes_of(number));
	mr_ring_promised_pushed(c, bytes);
	return true;
}

static void publish(struct mr_client *c, uint32_t number)
{
	uint32_t bytes = mr_message_bytes(false, 1, 0, bytes_of(number));
	int error;
	uint8_t *to = mr_ring_promised_room_wait(
		c, bytes, mr_now_ns() + PATIENCE_MS * MR_NS_PER_MS, &error);

	assert_non_null(to);
	fill(to, number, bytes_of(number));
	mr_ring_promised_pushed(c, bytes);
}

struct row {
	uint32_t next;
	unsigned wrong;
};

static void check(struct mr_client *c, const struct mr_message *m, void *arg)
{
	const uint8_t *p = m->payload;
	struct row *row = arg;
	uint32_t number;

	(void)c;
	memcpy(&number, p, sizeof(number));
	row->wrong += number != row->next || m->payload_bytes != bytes_of(number);
	for (size_t i = sizeof(number); i < m->payload_bytes; i++)
		row->wrong += p[i] != (uint8_t)number;
	row->next = number + 1;
}

static struct mr_client_stats stats_of(const struct mr_client *c)
{
	struct mr_client_stats s;

	mr_client_stats(c, &s);
	return s;
}

static void subscribe(struct fixture *f, struct row *row)
{
	assert_int_equal(mr_subscribe(f->client, "a", NULL, check, row, NULL), 0);
}

/* Processes until `wanted` messages are back. The patience is for each of them: on a busy machine
 * the time-outs that repeat a lost frame are long. */
static void await_row(struct fixture *f, const struct row *row, uint32_t wanted)
{
	while (row->next < wanted) {
		uint32_t before = row->next;

		PROCESS_UNTIL(f->client, row->next > before);
	}
}

/* Sends through the bus and back, through losses each way. */
static void echo(struct fixture *f, unsigned loss, uint32_t count)
{
	struct row row = {0};

	subscribe(f, &row);
	/* With so many frames lost the bus may seem dead. */
	f->client->udp->dead_ns = 3600000 * MR_NS_PER_MS;
	bus_lock(&f->bus);
	f->bus.udp.loss = loss;
	f->bus.udp.chance = loss;
	bus_unlock(&f->bus);
	for (uint32_t i = 0; i < count; i++) {
		publish(f->client, i);
		/* The fake bus drops messages for which its rings have no room. */
		if (i >= UNDER_WAY_MAX)
			await_row(f, &row, i - UNDER_WAY_MAX + 1);
	}
	await_row(f, &row, count);
	assert_int_equal(row.wrong, 0);
	bus_lock(&f->bus);
	f->bus.udp.loss = 0;
	assert_int_equal(f->bus.bad, 0);
	bus_unlock(&f->bus);
}

static void all_comes_in_order_when_nothing_is_lost(void **state)
{
	echo(*state, 0, 20000);
}

static void all_comes_in_order_when_some_is_lost(void **state)
{
	struct fixture *f = *state;

	echo(f, 3, 10000);
	assert_true(f->bus.udp.retransmits > 0);
	assert_true(stats_of(f->client).retransmits > 0);
	assert_true(stats_of(f->client).frames_held > 0);
}

static void all_comes_in_order_when_much_is_lost(void **state)
{
	echo(*state, 30, 500);
}

static void all_comes_once_when_each_frame_comes_twice(void **state)
{
	struct fixture *f = *state;

	bus_lock(&f->bus);
	f->bus.udp.twice = true;
	bus_unlock(&f->bus);
	echo(f, 5, 3000);
	assert_true(stats_of(f->client).frames_duplicate > 0);
}

static void numbers_go_on_where_they_begin_anew(void **state)
{
	struct fixture *f = *state;
	struct mr_udp_reliable *r = &f->client->udp->reliable;
	struct fake_reliable *bus = &f->bus.sessions[0].udp.reliable;
	const uint32_t start = UINT32_MAX - 20;

	/* Frames in flight still have other numbers. */
	assert_true(bus_took_all(f));
	bus_lock(&f->bus);
	mr_reliable_tx_init(&r->tx, r->frames, MR_RELIABLE_WINDOW_MAX, FAKE_RELIABLE_FRAMES);
	r->tx.first = r->tx.next = bus->tx.first = bus->tx.next = start;
	r->tx.limit = start + FAKE_RELIABLE_FRAMES;
	r->rx.next = r->rx.taken = bus->rx.next = bus->rx.taken = start;
	bus->rx.granted = start + FAKE_RELIABLE_FRAMES;
	bus->tx.limit = r->rx.granted = start + r->rx.slots;
	bus_unlock(&f->bus);
	echo(f, 5, 2000);
	assert_true(r->tx.next < start);
}

/* The bus is locked while the messages are published, so it can acknowledge none of them. */
static void drain_waits_until_the_bus_has_it(void **state)
{
	struct fixture *f = *state;
	uint64_t backlog;

	bus_lock(&f->bus);
	f->bus.udp.drop_frames_in = 3;
	for (uint32_t i = 0; i < 10; i++)
		publish(f->client, i);
	backlog = mr_ring_promised_backlog(f->client);
	bus_unlock(&f->bus);
	assert_true(backlog > 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_ring_promised_backlog(f->client), 0);
	assert_int_equal(mr_ring_promised_taken(f->client), mr_ring_promised_tail(f->client));
	bus_lock(&f->bus);
	assert_int_equal(f->bus.udp.messages, 10);
	bus_unlock(&f->bus);
}

static void close_waits_until_the_bus_has_it(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	bool all = false;

	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	f->bus.udp.drop_frames_in = 2;
	f->bus.udp.messages = 0;
	bus_unlock(&f->bus);
	for (uint32_t i = 0; i < 10; i++)
		publish(c, i);
	mr_close(c);
	for (uint64_t until = now_ms() + PATIENCE_MS; !all && now_ms() < until;) {
		bus_lock(&f->bus);
		all = f->bus.udp.messages == 10;
		bus_unlock(&f->bus);
	}
	assert_true(all);
}

static void bus_that_takes_nothing_leaves_no_room_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct row row = {0};
	uint32_t count = 0;
	uint64_t until;

	subscribe(f, &row);
	bus_lock(&f->bus);
	f->bus.udp.hold_reliable = true;
	bus_unlock(&f->bus);
	/* Messages that the bus holds back may still be on their way to it. */
	for (until = now_ms() + 500; now_ms() < until && count < 100000;) {
		if (offer(f->client, count))
			count++;
		else
			mr_process(f->client, 100);
	}
	assert_true(count < 100000);
	assert_int_equal(row.next, 0);
	/* Other messages are not delayed. */
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	bus_lock(&f->bus);
	f->bus.udp.hold_reliable = false;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, row.next == count);
	assert_int_equal(row.wrong, 0);
}

/* The bus keeps messages for which the client has no room. */
static void client_that_reads_nothing_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_udp *u = f->client->udp;
	struct row row = {0};
	uint32_t sent = 0;
	bool full = false;

	subscribe(f, &row);
	/* Reads, but hands nothing out. */
	while (!full) {
		bus_lock(&f->bus);
		for (unsigned i = 0;
			i < 100 && mr_bytes_room(&f->bus.sessions[0].down, 65536) >= 65536;
			i++, sent++) {
			uint8_t payload[BYTES_MAX];

			memcpy(payload, &sent, sizeof(sent));
			memset(payload + 4, (int)sent, bytes_of(sent) - 4);
			bus_send(&f->bus, MRF_MESSAGE_KIND_DELIVER, 1, NULL, "a", payload,
				bytes_of(sent));
		}
		full = mr_reliable_tx_room(&f->bus.sessions[0].udp.reliable.tx) == 0 &&
		       mr_bytes_room(&f->bus.sessions[0].down, 65536) < 65536;
		bus_unlock(&f->bus);
		mr_udp_receive(f->client, true);
	}
	assert_true(u->reliable.frames_held > 0 || mr_bytes_readable(&f->client->down) > 0);
	PROCESS_UNTIL(f->client, row.next == sent);
	assert_int_equal(row.wrong, 0);
	assert_int_equal(stats_of(f->client).missed, 0);
}

static void event_loop_is_woken_to_retransmit(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.fd = mr_fd(f->client), .events = POLLIN};
	uint64_t until = now_ms() + PATIENCE_MS;

	while (mr_process(f->client, 16) > 0)
		continue;
	bus_lock(&f->bus);
	f->bus.udp.drop_frames_in = 2;
	bus_unlock(&f->bus);
	publish(f->client, 1);
	while (mr_ring_promised_backlog(f->client) > 0 && now_ms() < until) {
		poll(&p, 1, PATIENCE_MS);
		mr_process(f->client, 16);
	}
	assert_int_equal(mr_ring_promised_backlog(f->client), 0);
	assert_in_range(stats_of(f->client).retransmit_timeouts, 1, 20);
}

static void claim_that_outlives_its_session_opens_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	void *at;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_publisher_claim(p, 8, &at), 0);
	mr_state_eof(f->client, "the end");
	assert_int_equal(mr_publisher_commit(p, 8), 0);
	assert_int_equal(mr_publisher_claim(p, 8, &at), -ENOTCONN);
	assert_int_equal(mr_publisher_send(p, "kept", 4), 0);
}

static bool bus_heard_all(struct fixture *f)
{
	bool all;

	bus_lock(&f->bus);
	all = !fake_reliable_is_out(&f->bus.sessions[0]);
	bus_unlock(&f->bus);
	return all;
}

/* Waits until the published message has come back; then calls nothing of the client's. */
static void bring_one(struct fixture *f, struct row *row)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	uint32_t before = row->next;

	publish(f->client, before);
	mr_ring_out_publish_rest(f->client);
	while (row->next == before && now_ms() < until)
		mr_process(f->client, 16);
	assert_int_equal(row->next, before + 1);
}

/* The program sleeps now, and calls nothing before something arrives. */
static void event_loop_leaves_no_ack_unsaid(void **state)
{
	struct fixture *f = *state;
	uint64_t until = now_ms() + PATIENCE_MS;
	struct row row = {0};

	subscribe(f, &row);
	assert_true(mr_fd(f->client) >= 0);
	for (unsigned i = 0; i < 20; i++) {
		bring_one(f, &row);
		while (!bus_heard_all(f) && now_ms() < until)
			poll(NULL, 0, 1);
		assert_true(bus_heard_all(f));
	}
}

static void poll_without_messages_leaves_no_ack_pending(void **state)
{
	struct fixture *f = *state;
	uint64_t until = now_ms() + PATIENCE_MS;
	struct row row = {0};

	subscribe(f, &row);
	for (unsigned i = 0; i < 20; i++) {
		bring_one(f, &row);
		while (mr_process(f->client, 16) > 0)
			continue;
		while (!bus_heard_all(f) && now_ms() < until)
			poll(NULL, 0, 1);
		assert_true(bus_heard_all(f));
	}
}

static void frame_of(struct fixture *f, uint8_t flags, uint32_t sequence, uint32_t ack,
	uint32_t credit, uint32_t bytes)
{
	alignas(8) static uint8_t frame[MR_FRAME_BYTES_MAX + 8];
	struct mrf_message_header padding = {.kind = MRF_MESSAGE_KIND_PADDING};
	struct mrf_frame_header h = {.version = MR_FRAME_VERSION,
		.flags = flags,
		.messages = bytes > sizeof(h),
		.sequence = sequence,
		.session = f->client->session,
		.ack = ack,
		.credit = credit};

	memcpy(frame, &h, sizeof(h));
	padding.bytes = (uint16_t)(bytes - sizeof(h));
	memcpy(frame + sizeof(h), &padding, sizeof(padding));
	mr_udp_frame_take(f->client, frame, bytes);
}

static void nonsense_changes_nothing_and_is_counted(void **state)
{
	struct fixture *f = *state;
	struct mr_udp_reliable *r = &f->client->udp->reliable;
	const uint8_t reliable = MRF_FRAME_FLAG_RELIABLE, ack = MRF_FRAME_FLAG_ACK;
	struct mr_reliable_tx tx;
	uint64_t malformed;

	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	tx = r->tx;
	malformed = stats_of(f->client).malformed;
	frame_of(f, ack, 0, tx.next + 1, 64, 24);       /* for frames that were never sent */
	frame_of(f, ack, 0, 0, 64, 24);                 /* for no frame */
	frame_of(f, ack, 0, tx.next, UINT32_MAX, 24);   /* more than any window */
	frame_of(f, reliable, r->rx.granted, 0, 0, 24); /* not granted */
	frame_of(f, reliable, r->rx.next + (1u << 31), 0, 0, 24);
	frame_of(f, reliable, 0, 0, 0, 24); /* in no flow */
	assert_int_equal(stats_of(f->client).malformed, malformed + 6);
	assert_memory_equal(&tx, &r->tx, sizeof(tx));
	if (r->slot_bytes < MR_BODY_BYTES_MAX) {
		frame_of(f, reliable, r->rx.next, 0, 0, r->slot_bytes + 8);
		assert_int_equal(stats_of(f->client).malformed, malformed + 7);
	}
	assert_int_equal(f->downs, 0);
}

static void bus_without_the_flow_is_talked_to_without_it(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	uint64_t round_ns;

	bus_lock(&f->bus);
	f->bus.udp.credit = 0;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	publish(c, 1);
	assert_int_equal(mr_ping(c, PATIENCE_MS, NULL, &round_ns), 0);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	assert_int_equal(stats_of(c).reliable_sent, 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.bad, 0);
	bus_unlock(&f->bus);
	mr_close(c);
}

static unsigned heartbeats(struct fixture *f)
{
	unsigned n;

	bus_lock(&f->bus);
	n = f->bus.udp.heartbeats;
	bus_unlock(&f->bus);
	return n;
}

/* The client tries again and again to send, and has no room for a frame. */
static void client_that_waits_for_room_sends_heartbeats(void **state)
{
	const struct mr_publisher_options promised = {.promise = MR_AT_LEAST_ONCE};
	struct fixture *f = *state;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct mr_publisher *p;
	uint64_t sent;
	unsigned before;

	assert_int_equal(mr_publisher_open_with(f->client, "a", &promised, &p), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	f->client->udp->reliable.tx.window = 0;
	sent = stats_of(f->client).reliable_sent;
	before = heartbeats(f);
	for (uint64_t last_ms = 0; heartbeats(f) < before + 3;) {
		assert_true(now_ms() < give_up_ms);
		if (now_ms() >= last_ms + 20) {
			last_ms = now_ms();
			assert_int_equal(mr_publisher_send(p, "x", 1), 0);
		}
		mr_flush(f->client);
		mr_process(f->client, 16);
	}
	assert_int_equal(stats_of(f->client).reliable_sent, sent);
	assert_int_equal(f->downs, 0);
	f->client->udp->reliable.tx.window = 64;
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
}

/* Messages acknowledged before the end are handed out, also those in slots. */
static void messages_received_before_the_end_are_handed_out(void **state)
{
	struct fixture *f = *state;
	struct row row = {0};
	uint32_t sent = 0;

	subscribe(f, &row);
	for (; sent < 500; sent++)
		publish(f->client, sent);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	bus_kill(&f->bus, "over");
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(row.wrong, 0);
	assert_true(row.next > 0);
}

#define RECORD_BYTES 32768u

#define FILLS_MAX (3 * MR_UDP_DOWN_BYTES / RECORD_BYTES)

static unsigned fills_left;
static uint32_t fill_ids[FILLS_MAX];

/* Whenever the ring is empty, a message for another subscription arrives. */
static bool fill_again(struct mr_client *c)
{
	uint8_t *to = mr_bytes_claim(&c->udp->in, mr_message_bytes(false, 0, 0, RECORD_BYTES));

	if (fills_left == 0 || to == NULL)
		return false;
	fills_left--;
	mr_message_begin(
		to, MRF_MESSAGE_KIND_DELIVER, fill_ids[fills_left], NULL, 0, 0, RECORD_BYTES);
	mr_bytes_push(&c->udp->in, mr_message_bytes(false, 0, 0, RECORD_BYTES));
	mr_bytes_publish_quiet(&c->udp->in);
	return true;
}

static void count_one(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	++*(unsigned *)arg;
}

/* More messages than the ring holds are left when the bus disappears, and a publish notices
 * that. */
static void publish_hands_out_nothing_of_what_was_left(void **state)
{
	struct fixture *f = *state;
	struct mr_transport transport = *f->client->transport;
	struct mr_subscription *s;
	unsigned count = 0;

	for (unsigned i = 0; i < FILLS_MAX; i++) {
		assert_int_equal(mr_subscribe(f->client, "a", NULL, count_one, &count, &s), 0);
		fill_ids[i] = s->id;
	}
	fills_left = FILLS_MAX;
	bus_kill(&f->bus, NULL);
	transport.fill = fill_again;
	f->client->transport = &transport;
	mr_state_eof(f->client, "gone");
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	f->client->transport = &mr_transport_udp;
	assert_int_equal(f->downs, 1);
	assert_int_equal(count, 0);
	PROCESS_UNTIL(f->client, count == FILLS_MAX - fills_left);
	/* The ring, and as much again. */
	assert_in_range(count, FILLS_MAX / 3 + 1, 2 * FILLS_MAX / 3);
	fills_left = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_comes_in_order_when_nothing_is_lost),
		TEST(all_comes_in_order_when_some_is_lost),
		TEST(all_comes_in_order_when_much_is_lost),
		TEST(all_comes_once_when_each_frame_comes_twice),
		TEST(numbers_go_on_where_they_begin_anew),
		TEST(drain_waits_until_the_bus_has_it),
		TEST(close_waits_until_the_bus_has_it),
		TEST(bus_that_takes_nothing_leaves_no_room_and_loses_nothing),
		TEST(client_that_reads_nothing_loses_nothing),
		TEST(event_loop_is_woken_to_retransmit),
		TEST(claim_that_outlives_its_session_opens_nothing),
		TEST(event_loop_leaves_no_ack_unsaid),
		TEST(poll_without_messages_leaves_no_ack_pending),
		TEST(nonsense_changes_nothing_and_is_counted),
		TEST(bus_without_the_flow_is_talked_to_without_it),
		TEST(client_that_waits_for_room_sends_heartbeats),
		TEST(messages_received_before_the_end_are_handed_out),
		TEST(publish_hands_out_nothing_of_what_was_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
