/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of a bad path: losses, order, duplicates, new ports. */
#include "tests/unit/cli/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench/relay.h"

#define SEED    42
#define PACKETS 1000u
#define STEPS   50 /* rounds without a packet after which all has arrived */

struct rig {
	struct mr_relay *relay;
	int client;
	int bus;
	struct sockaddr_in seen; /* address under which the bus last saw the client */
};

static int open_socket(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static struct rig rig_up(struct mr_relay_options o)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rig r = {.client = open_socket(), .bus = open_socket()};
	socklen_t bytes = sizeof(a);

	memcpy(&o.listen, &a, sizeof(a));
	assert_int_equal(getsockname(r.bus, (struct sockaddr *)&o.bus, &bytes), 0);
	o.seed = SEED;
	assert_int_equal(mr_relay_open(&o, &r.relay), 0);
	a.sin_port = htons(mr_relay_port(r.relay));
	assert_int_equal(connect(r.client, (struct sockaddr *)&a, sizeof(a)), 0);
	return r;
}

static void rig_down(struct rig *r)
{
	mr_relay_close(r->relay);
	close(r->client);
	close(r->bus);
}

/* Takes the numbers that arrived at the bus, in their order. */
static unsigned bus_takes(struct rig *r, uint32_t *to, unsigned room)
{
	socklen_t bytes = sizeof(r->seen);
	unsigned count = 0;

	while (count < room &&
		recvfrom(r->bus, &to[count], 4, 0, (struct sockaddr *)&r->seen, &bytes) == 4)
		count++;
	return count;
}

static unsigned send_all(struct rig *r, uint32_t *to, unsigned room)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < PACKETS; i++) {
		assert_int_equal(send(r->client, &i, sizeof(i), 0), sizeof(i));
		assert_int_equal(mr_relay_step(r->relay, 0), 0);
		count += bus_takes(r, to + count, room - count);
	}
	for (int idle = 0; idle < STEPS; idle++) {
		assert_int_equal(mr_relay_step(r->relay, 1), 0);
		count += bus_takes(r, to + count, room - count);
	}
	return count;
}

static struct mr_relay_options with(struct mr_faults up)
{
	return (struct mr_relay_options){.faults[MR_RELAY_UP] = up};
}

static void good_path_passes_all_in_order_both_ways(void **state)
{
	struct rig r = rig_up(with((struct mr_faults){0}));
	uint32_t got[PACKETS], word = 7;
	struct pollfd wait = {.fd = r.client, .events = POLLIN};

	(void)state;
	assert_int_equal(send_all(&r, got, PACKETS), PACKETS);
	for (uint32_t i = 0; i < PACKETS; i++)
		assert_int_equal(got[i], i);
	assert_int_equal(sendto(r.bus, &word, 4, 0, (struct sockaddr *)&r.seen, sizeof(r.seen)), 4);
	assert_int_equal(mr_relay_step(r.relay, 10000), 0);
	assert_int_equal(poll(&wait, 1, 10000), 1);
	assert_int_equal(recv(r.client, &word, 4, 0), 4);
	assert_int_equal(word, 7);
	assert_int_equal(mr_relay_counts(r.relay, MR_RELAY_DOWN)->sent, 1);
	rig_down(&r);
}

static void drops_and_duplicates_are_counted_and_the_same_each_time(void **state)
{
	static uint32_t got[2][2 * PACKETS];
	unsigned count[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig r = rig_up(with((struct mr_faults){.drop = 30, .duplicate = 10}));
		const struct mr_relay_counts *c;

		count[i] = send_all(&r, got[i], 2 * PACKETS);
		c = mr_relay_counts(r.relay, MR_RELAY_UP);
		assert_int_equal(c->received, PACKETS);
		assert_in_range(c->dropped, PACKETS / 4, PACKETS * 35 / 100);
		assert_in_range(c->duplicated, PACKETS / 25, PACKETS / 8);
		assert_int_equal(count[i], PACKETS - c->dropped + c->duplicated);
		rig_down(&r);
	}
	assert_int_equal(count[0], count[1]);
	assert_memory_equal(got[0], got[1], count[0] * sizeof(got[0][0]));
}

static void reordered_packet_comes_a_few_packets_later(void **state)
{
	struct rig r = rig_up(with((struct mr_faults){.reorder = 20}));
	uint32_t got[PACKETS];
	bool came[PACKETS] = {false};
	unsigned moved = 0;

	(void)state;
	assert_int_equal(send_all(&r, got, PACKETS), PACKETS);
	for (uint32_t i = 0; i < PACKETS; i++) {
		assert_false(came[got[i]]);
		came[got[i]] = true;
		moved += got[i] != i;
		assert_true(
			got[i] + MR_FAULTS_BEHIND_MAX >= i && got[i] <= i + MR_FAULTS_BEHIND_MAX);
	}
	assert_true(moved > PACKETS / 5);
	rig_down(&r);
}

static void delay_holds_each_back(void **state)
{
	struct rig r = rig_up(with((struct mr_faults){.delay_us = 20000}));
	uint32_t got[2], word = 1;
	unsigned early;

	(void)state;
	assert_int_equal(send(r.client, &word, 4, 0), 4);
	assert_int_equal(mr_relay_step(r.relay, 1000), 0);
	assert_int_equal(mr_relay_step(r.relay, 0), 0);
	early = bus_takes(&r, got, 2);
	for (int i = 0; i < 1000 && early == 0 && bus_takes(&r, got, 2) == 0; i++)
		assert_int_equal(mr_relay_step(r.relay, 10), 0);
	assert_int_equal(early, 0);
	assert_int_equal(mr_relay_counts(r.relay, MR_RELAY_UP)->sent, 1);
	rig_down(&r);
}

static void one_bit_of_a_corrupted_packet_is_turned(void **state)
{
	struct rig r = rig_up(with((struct mr_faults){.corrupt = 100}));
	uint32_t got[PACKETS];

	(void)state;
	assert_int_equal(send_all(&r, got, PACKETS), PACKETS);
	for (uint32_t i = 0; i < PACKETS; i++)
		assert_int_equal(__builtin_popcount(got[i] ^ i), 1);
	rig_down(&r);
}

static void client_is_seen_at_another_port_after_so_many_packets(void **state)
{
	struct mr_relay_options o = {.rebind_after = 10};
	struct rig r = rig_up(o);
	uint32_t got[2], word = 0;
	uint16_t first = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(send(r.client, &word, 4, 0), 4);
		assert_int_equal(mr_relay_step(r.relay, 1000), 0);
		assert_int_equal(bus_takes(&r, got, 2), 1);
		if (i == 0)
			first = r.seen.sin_port;
		assert_int_equal(r.seen.sin_port == first, i < 10);
	}
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_path_passes_all_in_order_both_ways),
		cmocka_unit_test(drops_and_duplicates_are_counted_and_the_same_each_time),
		cmocka_unit_test(reordered_packet_comes_a_few_packets_later),
		cmocka_unit_test(delay_holds_each_back),
		cmocka_unit_test(one_bit_of_a_corrupted_packet_is_turned),
		cmocka_unit_test(client_is_seen_at_another_port_after_so_many_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
