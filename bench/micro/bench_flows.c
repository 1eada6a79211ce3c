/* SPDX-License-Identifier: Apache-2.0 */
/* bench_flows: measures a worker's cost of a message in a frame of the datagram flow and of the
 * reliable flow.
 *
 * A worker with a port whose devices are rings is stepped by hand. Only its rounds are timed, not
 * making packets or emptying rings and devices. In: frames of a session with publishes by alias, to
 * a channel. Out: messages for a session, put into frames, and for the reliable flow the client's
 * acks of them, one for eight frames. Through: publishes of a session to itself, promised in the
 * reliable flow. Frames are full, and everything is in cache.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/support/bench.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "tests/support/net/rig.h"

#define ROUNDS        16u
#define FRAMES        8u /* frames of a round */
#define PAYLOAD_BYTES 64u
#define EACH          19u /* messages in a frame */
#define MESSAGES      (ROUNDS * FRAMES * EACH)

static struct mr_rig r;
static struct mr_rig_local local;
static struct mr_rig_frame f;

struct end {
	struct mr_rig_client client;
	struct mr_session *s;
	uint32_t alias;
	uint32_t sequence; /* sequence in the reliable flow */
};

static struct end to_local, to_itself;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_flows: %s\n", what);
	exit(1);
}

static uint64_t timed_round(void)
{
	uint64_t start = bench_cycles();

	r.clock = start;
	mr_rig_round(&r, 0);
	return bench_cycles() - start;
}

static void empty_channel(void)
{
	size_t ready;

	while ((ready = mr_bytes_readable(&local.down)) > 0) {
		must(ready != MR_BYTES_CORRUPT, "channel");
		mr_bytes_skip(&local.down, ready);
		(void)mr_bytes_release(&local.down);
	}
}

static void empty_port(void)
{
	static uint8_t packet[2048];

	while (mr_rig_collect(&r, 0, packet, sizeof(packet)) > 0)
		;
}

static void write_ack(struct end *e)
{
	mr_frame_write_ack(f.at, e->s->remote->flow.tx.next, 512);
}

static void send_publishes(struct end *e, bool reliable, bool promised)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, payload, 0, sizeof(payload));

	if (promised)
		plan.header |= (uint64_t)MRF_MESSAGE_FLAG_HIGH << 24;
	mr_rig_begin(&f, e->client.session, reliable ? ++e->sequence : ++e->client.sequence);
	for (uint32_t i = 0; i < EACH; i++)
		mr_rig_add_plan(&f, &plan, e->alias);
	if (reliable) {
		mr_frame_write_reliable(f.at);
		write_ack(e);
	}
	mr_rig_send(&r, 0, &e->client.path, &f);
}

/* A round without frames follows, so that a due ack is sent. */
static uint64_t in(void *context)
{
	uint64_t cycles = 0, before = r.stats[0].published;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		for (uint32_t i = 0; i < FRAMES; i++)
			send_publishes(&to_local, context != NULL, false);
		cycles += timed_round();
		cycles += timed_round();
		empty_channel();
		empty_port();
	}
	must(r.stats[0].published - before == MESSAGES, "messages were lost");
	return cycles;
}

static void put_datagrams(const struct mr_message_plan *plan)
{
	for (uint32_t i = 0; i < FRAMES * EACH; i++)
		must(mr_worker_copy(r.workers[0], to_local.s, plan, i), "no room");
}

static void put_reliably(const struct mr_message_plan *plan)
{
	struct mr_session *s = to_local.s;

	for (uint32_t i = 0; i < FRAMES * EACH; i++) {
		void *to = mr_worker_flow_claim(r.workers[0], s, plan->stride);

		must(to != NULL, "no room");
		mr_message_write(to, plan, i);
		mr_worker_flow_push(r.workers[0], s, plan->stride);
	}
}

static void send_ack(struct end *e)
{
	mr_rig_begin(&f, e->client.session, 0);
	write_ack(e);
	mr_rig_send(&r, 0, &e->client.path, &f);
}

static uint64_t out(void *context)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	const struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_DELIVER, NULL, NULL, 0, payload, 0, sizeof(payload));
	uint64_t cycles = 0, before = to_local.s->stats->tx_messages;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		uint64_t start = bench_cycles();

		if (context != NULL)
			put_reliably(&plan);
		else
			put_datagrams(&plan);
		cycles += bench_cycles() - start;
		cycles += timed_round();
		empty_port();
		if (context != NULL)
			send_ack(&to_local);
		cycles += timed_round();
		empty_port();
	}
	must(to_local.s->stats->tx_messages - before == MESSAGES, "messages were lost");
	return cycles;
}

static uint64_t through(void *context)
{
	const struct mrf_session_stats *stats = to_itself.s->stats;
	uint64_t cycles = 0, before = stats->tx_messages;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		for (uint32_t i = 0; i < FRAMES; i++)
			send_publishes(&to_itself, context != NULL, context != NULL);
		cycles += timed_round();
		empty_port();
		if (context != NULL)
			send_ack(&to_itself);
		cycles += timed_round();
		empty_port();
	}
	must(stats->tx_messages - before == MESSAGES, "messages were lost");
	return cycles;
}

/* Opens a client over UDP; its one alias is the subject. */
static void open_end(struct end *e, uint32_t slot, uint16_t udp_port, const char *subject)
{
	struct mrf_network_path path = mr_rig_path(false, udp_port);

	e->s = mr_rig_remote(&r, 0, slot, &path, MR_RIG_FRAME_BYTES, &e->client);
	e->alias = mr_rig_alias(&r, e->s, subject);
	send_ack(e);
	mr_rig_round(&r, 0);
}

/* Subscribes so that it is full only when its whole log is. */
static void subscribe_itself(const struct end *e, const char *subject)
{
	struct mr_owner owner = {0, e->s->slot, e->s->generation};

	mr_rig_subscribe(&r, e->s, 1, subject);
	must(mr_table_high_water(r.table, &owner, 1, 100) == 0, "subscription");
}

int main(int argc, char **argv)
{
	char reliably;
	struct bench b;

	bench_open(&b, "bench_flows", argc, argv, NULL, 0);
	mr_rig_open(&r, 1);
	bench_pin(0);
	open_end(&to_local, 6, 4001, "a");
	open_end(&to_itself, 7, 4002, "b");
	mr_rig_attach(&r, 0, 0, &local);
	mr_rig_subscribe(&r, local.session, 9, "a");
	subscribe_itself(&to_itself, "b");
	/* Both flows take turns, so that a disturbance of the machine affects both. */
	for (unsigned i = 0; i < 3; i++) {
		bench_measure(&b, "in: datagram", MESSAGES, in, NULL);
		bench_measure(&b, "in: reliable", MESSAGES, in, &reliably);
		bench_measure(&b, "out: datagram", MESSAGES, out, NULL);
		bench_measure(&b, "out: reliable", MESSAGES, out, &reliably);
		bench_measure(&b, "through: datagram", MESSAGES, through, NULL);
		bench_measure(&b, "through: reliable", MESSAGES, through, &reliably);
	}
	mr_rig_close(&r);
	bench_close(&b);
	return 0;
}
