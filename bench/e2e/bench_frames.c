/* SPDX-License-Identifier: Apache-2.0 */
/* bench_frames: loads a bus's port with many clients over UDP. They run in one thread, on a DPDK
 * device that is connected to the bus's device.
 *
 *   millrace up --port memif,socket=/tmp/m.sock,address=10.77.0.1/24 --run-dir /tmp/mr &
 *   bench_frames --memif /tmp/m.sock,server --run-dir /tmp/mr
 *
 * Opens its sessions by the protocol, subscribes the first ones to a subject and publishes to it
 * from the last ones. Counts for each round the messages sent, the messages received, and the
 * frames that sequence numbers show as lost. With --run-dir it reads the worker's cycles from the
 * bus itself.
 *
 * With --promise at-least-once the publishes are promised, and the subscriptions block. Then both
 * ways use the reliable flow and retransmit lost frames. At the end every message must have come
 * back; otherwise the program reports it and exits with status 1.
 *
 * With --blast there is no bus: sends packets of that size and counts those that come back from the
 * other end, for example dpdk-testpmd in macswap mode. That is the yardstick.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/e2e/bus.h"
#include "bench/e2e/frames/load.h"
#include "bench/micro/support/bench.h"

#define ROUNDS_MAX   1000u
#define LINK_WAIT_MS 30000u
#define DRAIN_MS     50u
#define PROMISE_MS   5000u /* longest wait without any of the missing messages */
#define SUBJECT      "bench.frames"

struct settings {
	const char *memif, *af_xdp, *vdev, *peer, *address, *pack, *run_dir, *promise;
	uint64_t sessions, publishers, subscribers, size, frame_bytes, milliseconds, rate, window;
	uint64_t blast, at_once, cpu, linger;
	uint32_t pack_messages;
	bool promised;
	char device[512];
	char admin[256];
};

/* Counters that are read from the bus. */
enum {
	BUSY_CYCLES,
	IDLE_CYCLES,
	RX_MESSAGES,
	FRAMES_RX,
	FRAMES_LOST,
	TX_FULL,
	NO_BUFFER,
	RECEIVER_FULL,
	RETRANSMITS,
	RETRANSMIT_TIMEOUTS,
	FRAMES_HELD,
	PUBLISHER_BLOCKS,
	HELD,
	BUS_COUNTERS
};

struct moment {
	uint64_t ns;
	uint64_t sent, back, frames_sent, frames_back, lost;
	struct bench_counter bus[BUS_COUNTERS];
};

struct samples {
	double sent[ROUNDS_MAX], back[ROUNDS_MAX], frames_sent[ROUNDS_MAX], frames_back[ROUNDS_MAX];
	double lost[ROUNDS_MAX], cycles[ROUNDS_MAX], taken[ROUNDS_MAX], busy[ROUNDS_MAX];
};

/* ---- settings */

static int fault(const char *what)
{
	fprintf(stderr, "bench_frames: %s; see --help\n", what);
	return -EINVAL;
}

static int choose_device(struct settings *s)
{
	int count = (s->memif != NULL) + (s->af_xdp != NULL) + (s->vdev != NULL);
	const char *comma;

	if (count != 1)
		return fault("one of --memif, --af-xdp and --vdev is wanted");
	if (s->vdev != NULL) {
		snprintf(s->device, sizeof(s->device), "%s", s->vdev);
	} else if (s->af_xdp != NULL) {
		snprintf(s->device, sizeof(s->device),
			"net_af_xdp0,iface=%s,start_queue=0,queue_count=1,"
			"force_copy=1,busy_budget=0",
			s->af_xdp);
	} else {
		comma = strrchr(s->memif, ',');
		if (comma != NULL && strcmp(comma, ",server") != 0 && strcmp(comma, ",client") != 0)
			return fault("--memif takes SOCKET, SOCKET,server or SOCKET,client");
		snprintf(s->device, sizeof(s->device),
			"net_memif0,role=%s,id=0,bsize=2048,rsize=11,"
			"socket-abstract=no,socket=%.*s",
			comma != NULL ? comma + 1 : "client",
			(int)(comma != NULL ? (size_t)(comma - s->memif) : strlen(s->memif)),
			s->memif);
	}
	return 0;
}

static int check(struct settings *s)
{
	char *end;

	s->pack_messages = (uint32_t)strtoul(s->pack, &end, 10);
	if (strcmp(s->pack, "full") != 0 &&
		(*end != '\0' || end == s->pack || s->pack_messages == 0))
		return fault("--pack takes full, or a number of messages");
	if (s->publishers > s->sessions || s->subscribers > s->sessions)
		return fault("publishers and subscribers are some of the sessions");
	if (s->run_dir != NULL)
		snprintf(s->admin, sizeof(s->admin), "%s/admin.sock", s->run_dir);
	s->frame_bytes &= ~7ull;
	s->promised = strcmp(s->promise, "at-least-once") == 0;
	if (!s->promised && strcmp(s->promise, "best-effort") != 0)
		return fault("--promise takes best-effort or at-least-once");
	if (s->promised && (s->sessions > GEN_FLOWS_MAX || s->blast != 0))
		return fault("promises are for up to 512 sessions of a bus");
	return choose_device(s);
}

/* ---- measuring */

static void read_bus(const struct settings *s, struct moment *m)
{
	static const char *const names[BUS_COUNTERS] = {
		[BUSY_CYCLES] = "busy_cycles",
		[IDLE_CYCLES] = "idle_cycles",
		[RX_MESSAGES] = "rx_messages",
		[FRAMES_RX] = "frames_rx",
		[FRAMES_LOST] = "frames_lost",
		[TX_FULL] = "drop_tx_full",
		[NO_BUFFER] = "drop_no_buffer",
		[RECEIVER_FULL] = "drop_receiver_full",
		[RETRANSMITS] = "retransmits",
		[RETRANSMIT_TIMEOUTS] = "retransmit_timeouts",
		[FRAMES_HELD] = "frames_held",
		[PUBLISHER_BLOCKS] = "publisher_blocks",
		[HELD] = "held",
	};

	for (unsigned i = 0; i < BUS_COUNTERS; i++)
		m->bus[i] = (struct bench_counter){.name = names[i]};
	if (s->run_dir != NULL)
		bench_bus_counters(s->admin, m->bus, BUS_COUNTERS);
}

static void take_moment(const struct settings *s, const struct gen_load *l, struct moment *m)
{
	read_bus(s, m);
	m->sent = l->frames_sent * l->per_frame;
	m->back = l->publishers > 0 ? l->g->counts.messages : l->back;
	m->frames_sent = l->frames_sent;
	m->frames_back = l->g->port.rx_packets;
	m->lost = l->g->counts.lost;
	m->ns = bench_ns();
}

static double rate(uint64_t before, uint64_t after, uint64_t ns)
{
	return (double)(after - before) * 1e9 / (double)ns;
}

static double counted(const struct moment *t0, const struct moment *t1, unsigned counter)
{
	return (double)(t1->bus[counter].value - t0->bus[counter].value);
}

/* Returns whether the worker received anything, so that its cycles are meaningful. */
static bool sample(
	struct samples *to, size_t i, size_t c, const struct moment *t0, const struct moment *t1)
{
	uint64_t ns = t1->ns - t0->ns;
	double taken = counted(t0, t1, RX_MESSAGES), busy = counted(t0, t1, BUSY_CYCLES);

	to->sent[i] = rate(t0->sent, t1->sent, ns);
	to->back[i] = rate(t0->back, t1->back, ns);
	to->frames_sent[i] = rate(t0->frames_sent, t1->frames_sent, ns);
	to->frames_back[i] = rate(t0->frames_back, t1->frames_back, ns);
	to->lost[i] = (double)(int64_t)(t1->lost - t0->lost);
	if (taken == 0)
		return false;
	to->taken[c] = taken * 1e9 / (double)ns;
	to->cycles[c] = busy / taken;
	to->busy[c] = 100 * busy / (busy + counted(t0, t1, IDLE_CYCLES));
	return true;
}

static void report(struct bench *b, const struct gen_load *l, struct samples *s, size_t cycles)
{
	bool blast = l->publishers == 0;

	bench_report(b, blast ? "packets sent" : "messages published", "/s", s->sent, b->rounds);
	bench_report(b, blast ? "packets back" : "messages delivered", "/s", s->back, b->rounds);
	if (blast)
		return;
	bench_report(b, "frames sent", "/s", s->frames_sent, b->rounds);
	bench_report(b, "frames received", "/s", s->frames_back, b->rounds);
	bench_report(b, "frames of the bus lost", "a round", s->lost, b->rounds);
	if (cycles == 0)
		return;
	bench_report(b, "messages taken by the bus", "/s", s->taken, cycles);
	bench_report_cycles(b, "worker busy, each message taken", s->cycles, cycles);
	bench_report(b, "worker busy", "%", s->busy, cycles);
}

static void add_total(struct bench *b, json_t *totals, const char *name, uint64_t value)
{
	json_object_set_new(totals, name, json_integer((json_int_t)value));
	if (!b->json)
		printf("%-40s %14ju in all\n", name, (uintmax_t)value);
}

static void report_totals(struct bench *b, const struct settings *set, const struct gen_load *l,
	const struct moment *t0, const struct moment *t1)
{
	const struct gen_counts *c = &l->g->counts;
	json_t *totals = json_object();

	add_total(b, totals, "packet_bytes", l->packet_bytes);
	add_total(b, totals, "messages_a_frame", l->per_frame);
	add_total(b, totals, "sent", t1->sent - t0->sent);
	add_total(b, totals, "back", t1->back - t0->back);
	add_total(b, totals, "wrong", l->publishers > 0 ? c->wrong : l->back_wrong);
	if (l->publishers > 0) {
		add_total(b, totals, "bus_frames_lost", c->lost);
		add_total(b, totals, "bus_frames_duplicate", c->duplicate);
		add_total(b, totals, "missed_told", c->missed);
		add_total(b, totals, "other_packets", c->others);
		add_total(b, totals, "sessions_ended", c->ended);
		add_total(b, totals, "hellos_sent", c->hellos);
		add_total(b, totals, "single_frames_unsent", c->unsent);
	}
	if (set->promised) {
		add_total(b, totals, "missing", gen_load_missing(l));
		add_total(b, totals, "sent_again", c->again);
		add_total(b, totals, "sent_again_by_time", c->timeouts);
		add_total(b, totals, "acks_alone", c->acks);
		add_total(b, totals, "bus_frames_ahead", c->ahead);
	}
	for (unsigned i = FRAMES_RX; set->run_dir != NULL && i < BUS_COUNTERS; i++)
		add_total(b, totals, t1->bus[i].name, t1->bus[i].value - t0->bus[i].value);
	json_object_set_new(b->out, "totals", totals);
}

static void measure(struct bench *b, const struct settings *set, struct gen_load *l)
{
	static struct samples s;
	struct moment first, t0, t1;
	uint64_t round = gen_cycles_ms(l->g, set->milliseconds) / b->rounds;
	size_t cycles = 0;

	gen_load_pace(l, (double)set->rate, set->window);
	take_moment(set, l, &first);
	gen_load_run(l, bench_cycles() + round);
	for (uint64_t i = 0; i < b->rounds; i++) {
		take_moment(set, l, &t0);
		gen_load_run(l, bench_cycles() + round);
		take_moment(set, l, &t1);
		cycles += sample(&s, i, cycles, &t0, &t1);
	}
	gen_load_drain(l, set->promised ? PROMISE_MS : DRAIN_MS);
	take_moment(set, l, &t1);
	report(b, l, &s, cycles);
	report_totals(b, set, l, &first, &t1);
}

/* ---- */

/* Header of the expected delivery, as it stands in memory. */
static uint64_t deliver_word(uint32_t size)
{
	const char *payload = "";
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_DELIVER, NULL, SUBJECT, sizeof(SUBJECT) - 1, payload, 0, size);

	return plan.header | (uint64_t)GEN_SUBSCRIPTION << 32;
}

static void open_sessions(struct bench *b, const struct settings *s, struct gen *g)
{
	uint64_t start = bench_ns();
	double seconds;

	gen_open(g, (uint32_t)s->at_once);
	seconds = (double)(bench_ns() - start) / 1e9;
	bench_report(b, "opening the sessions", "s", &seconds, 1);
	gen_ask(g, 0, (uint32_t)s->subscribers, GEN_SUBSCRIPTION_RESULT);
	gen_ask(g, (uint32_t)(s->sessions - s->publishers), (uint32_t)s->publishers, GEN_ALIAS);
}

/* True if every promised message arrived. */
static bool is_kept(const struct gen_load *l)
{
	const struct gen_counts *c = &l->g->counts;

	if (gen_load_missing(l) == 0 && c->wrong == 0 && gen_flows_drained(l->g))
		return true;
	fprintf(stderr, "bench_frames: of %ju messages published %ju are back, %ju wrong\n",
		(uintmax_t)(l->frames_sent * l->per_frame), (uintmax_t)c->messages,
		(uintmax_t)c->wrong);
	return false;
}

static bool run_sessions(struct bench *b, const struct settings *s, struct gen *g)
{
	struct gen_load l;
	bool kept;

	g->count = (uint32_t)s->sessions;
	g->frame_bytes = (uint32_t)s->frame_bytes;
	g->subject = SUBJECT;
	g->deliver_word = deliver_word((uint32_t)s->size);
	g->sessions = calloc(g->count, sizeof(*g->sessions));
	bench_check(g->sessions == NULL ? -ENOMEM : 0, "sessions");
	if (s->promised)
		bench_check(gen_flows_open(g), "reliable flows");
	gen_end_resolve(g);
	open_sessions(b, s, g);
	bench_check(gen_load_init(&l, g, (uint32_t)s->size, s->pack_messages,
			    (uint32_t)(s->sessions - s->publishers), (uint32_t)s->publishers,
			    (uint32_t)s->subscribers),
		"frames");
	measure(b, s, &l);
	kept = !s->promised || is_kept(&l);
	gen_close_all(g);
	gen_flows_close(g);
	free(g->sessions);
	return kept;
}

static void run_blast(struct bench *b, const struct settings *s, struct gen *g)
{
	static const uint8_t anybody[MR_ETHER_BYTES] = {0x02, 0, 0, 0, 0, 1};
	struct gen_load l;

	gen_end_set(g, anybody);
	bench_check(gen_load_blast(&l, g, (uint32_t)s->blast), "packets");
	measure(b, s, &l);
}

int main(int argc, char **argv)
{
	static struct gen g;
	struct settings s = {
		.peer = "10.77.0.1:7400",
		.address = "10.77.0.2",
		.pack = "full",
		.promise = "best-effort",
		.sessions = 1,
		.publishers = 1,
		.subscribers = 1,
		.size = 64,
		.frame_bytes = 1400,
		.milliseconds = 5000,
		.at_once = 256,
		.cpu = 1,
	};
	const struct bench_option options[] = {
		{.name = "memif", .text = &s.memif, .help = "SOCKET[,server|,client]"},
		{.name = "af-xdp", .text = &s.af_xdp, .help = "interface with one queue"},
		{.name = "vdev", .text = &s.vdev, .help = "any device, as DPDK names it"},
		{.name = "peer", .text = &s.peer, .help = "the bus's address"},
		{.name = "address", .text = &s.address, .help = "our address"},
		{.name = "run-dir", .text = &s.run_dir, .help = "of the bus, for its counters"},
		{.name = "pack", .text = &s.pack, .help = "messages in a frame: full, or N"},
		{.name = "promise",
			.text = &s.promise,
			.help = "best-effort, or at-least-once: the reliable flow"},
		{"sessions", &s.sessions, 1, GEN_SESSIONS_MAX, "to open"},
		{"at-once", &s.at_once, 1, 4096, "sessions being opened at a time"},
		{"publishers", &s.publishers, 1, GEN_SESSIONS_MAX, "of them, the last ones"},
		{"subscribers", &s.subscribers, 0, GEN_SESSIONS_MAX, "of them, the first ones"},
		{"size", &s.size, 0, 16000, "bytes of payload"},
		{"frame-bytes", &s.frame_bytes, MR_FRAME_BYTES_MIN, 1960, "largest UDP payload"},
		{"milliseconds", &s.milliseconds, 10, 3600000, "all rounds together"},
		{"rate", &s.rate, 0, 1000000000, "messages or packets a second; 0: all that goes"},
		{"window", &s.window, 0, 1u << 30, "messages or packets under way; 0: any number"},
		{"blast", &s.blast, 64, 1514, "bytes of packets that come back; no bus"},
		{"linger", &s.linger, 0, 600000, "ms to wait at the end for the other side to go"},
		{"cpu", &s.cpu, 0, 1024, "CPU of this thread, of those allowed"},
	};
	struct bench b;
	bool kept = true;

	bench_open(&b, "bench_frames", argc, argv, options, MR_ARRAY_COUNT(options));
	if (check(&s) != 0)
		return 2;
	g.cycles_per_ns = b.cycles_per_ns;
	gen_port_open(&g.port, s.device, (unsigned)s.cpu);
	if (gen_end_init(&g, s.address, s.peer) != 0)
		return -fault("--peer takes IPv4[:PORT], --address IPv4");
	g.single = gen_port_new(&g.port);
	fprintf(stderr, "waiting for the other end\n");
	gen_port_wait(&g.port, LINK_WAIT_MS);
	if (s.blast != 0)
		run_blast(&b, &s, &g);
	else
		kept = run_sessions(&b, &s, &g);
	bench_close(&b);
	fflush(stdout);
	gen_port_linger(&g.port, s.linger);
	gen_port_close(&g.port);
	return kept ? 0 : 1;
}
