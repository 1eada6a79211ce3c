/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/prober.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench/verify.h"

#define PROCESS_MAX 256
/* Probes taken up in one step, so that a prober that was stopped still looks at what comes. */
#define BURST_MAX 1024
/* Time without sleep before a probe is due, and after one went or came: a sleep costs as much. */
#define SPIN_NS 50000u
/* Longest sleep: an interrupt just before it is noticed then. */
#define NAP_NS 100000000u
/* Sleep while probes are due and cannot be sent. */
#define BLOCKED_NS 1000000u
/* Slots beyond those of the probes within the time-out. */
#define SLOTS_SPARE 1024u

static struct mr_probe *slot_of(const struct mr_prober *p, uint64_t sequence)
{
	return &p->slots[sequence & p->slots_mask];
}

static bool is_overdue(const struct mr_prober *p, uint64_t sequence, uint64_t now_ns)
{
	return mr_bench_pace_at(&p->pace, sequence) + p->plan->timeout_ms * 1000000u <= now_ns;
}

static void lose(struct mr_prober *p, struct mr_probe *slot)
{
	slot->state = MR_PROBE_LOST;
	p->tally.lost++;
}

static void receive(struct mr_prober *p, struct mr_probe *slot, uint64_t now_ns)
{
	uint64_t due_ns = mr_bench_pace_at(&p->pace, slot->sequence);

	slot->state = MR_PROBE_RECEIVED;
	p->active_ns = now_ns;
	p->tally.received++;
	mr_histogram_record(&p->tally.latencies, now_ns > due_ns ? now_ns - due_ns : 0, 1);
}

/* Takes a probe that came by its number. */
static void take(struct mr_prober *p, const struct mr_message *m)
{
	uint64_t now_ns = mr_cli_now_ns();
	struct mr_bench_stamp stamp;
	struct mr_probe *slot;
	uint64_t sequence;

	if (m->payload_bytes != p->plan->bytes ||
		!mr_bench_is_intact(m->payload, m->payload_bytes)) {
		p->tally.corrupt++;
		return;
	}
	memcpy(&stamp, m->payload, sizeof(stamp));
	sequence = mr_bench_sequence_of(stamp);
	slot = slot_of(p, sequence);
	if (sequence >= p->pace.sent)
		p->tally.corrupt++;
	else if (slot->sequence != sequence || slot->state == MR_PROBE_LOST)
		p->tally.late++;
	else if (slot->state == MR_PROBE_RECEIVED)
		p->tally.duplicates++;
	else
		receive(p, slot, now_ns);
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	take(arg, m);
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	(void)c;
	take(arg, &d->message);
}

static void on_request(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)arg;
	/* A reply that cannot be sent is a probe that is lost. */
	mr_reply(c, m->reply_token, m->payload, m->payload_bytes);
}

/* Takes the outcome of a request, which comes once. The replies of others may have any payload. */
static void on_reply(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	struct mr_probe *slot = arg;
	struct mr_prober *p = slot->prober;

	(void)c;
	if (error) {
		p->refused = error;
		lose(p, slot);
	} else if (!p->plan->subject) {
		take(p, reply);
		if (slot->state == MR_PROBE_OPEN)
			lose(p, slot); /* counted as corrupt, too */
	} else {
		receive(p, slot, mr_cli_now_ns());
	}
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	const struct mr_prober *p = arg;

	(void)error;
	mr_cli_note_state(p->cli, c, connected, "probing");
}

static int connect_one(struct mr_prober *p, const char *address, struct mr_client **out)
{
	struct mr_options options = {.on_state = on_state, .arg = p, .when_away = MR_AWAY_FAIL};
	struct mr_cli at = *p->cli;

	if (address)
		at.server = address;
	return mr_cli_connect(&at, &options, out);
}

static int open_receiver(struct mr_prober *p)
{
	struct mr_subscription *subscription;
	struct mr_consumer *consumer;
	int code = connect_one(p, p->plan->subscribe_at, &p->receiver);
	int rc;

	if (code)
		return code;
	if (p->plan->mode == MR_PROBE_QUEUE)
		rc = mr_consume(p->receiver, p->name, NULL, on_delivery, p, &consumer);
	else
		rc = mr_subscribe(p->receiver, p->name, NULL,
			p->plan->mode == MR_PROBE_REQUEST ? on_request : on_message, p,
			&subscription);
	return rc ? mr_cli_fail_call(p->cli, p->receiver, rc, p->name) : MR_EXIT_OK;
}

static int open_sender(struct mr_prober *p)
{
	const char *name = p->plan->subject ? p->plan->subject : p->name;
	int code = connect_one(p, NULL, &p->sender);
	int rc;

	if (code)
		return code;
	if (p->plan->mode == MR_PROBE_QUEUE)
		rc = mr_queue_open(p->sender, name, NULL, &p->queue);
	else
		rc = mr_publisher_open(p->sender, name, &p->publisher);
	return rc ? mr_cli_fail_call(p->cli, p->sender, rc, name) : MR_EXIT_OK;
}

static int make_slots(struct mr_prober *p)
{
	double under_way = p->plan->rate * (double)p->plan->timeout_ms / 1e3;
	uint64_t count = 1;

	while (count < (uint64_t)under_way + SLOTS_SPARE)
		count <<= 1;
	p->slots_mask = count - 1;
	p->slots = calloc(count, sizeof(*p->slots));
	p->payload = malloc(p->plan->bytes);
	return p->slots && p->payload ? 0 : -ENOMEM;
}

int mr_prober_open(struct mr_prober *p, const struct mr_cli *cli, const struct mr_probe_plan *plan)
{
	int code;

	memset(p, 0, sizeof(*p));
	p->cli = cli;
	p->plan = plan;
	snprintf(p->name, sizeof(p->name), "latency.%d-%08x", (int)getpid(),
		(unsigned)mr_cli_now_ns());
	if (make_slots(p) != 0)
		return mr_cli_fail_call(cli, NULL, -ENOMEM, "start");
	code = plan->subject ? MR_EXIT_OK : open_receiver(p);
	return code ? code : open_sender(p);
}

void mr_prober_close(struct mr_prober *p)
{
	mr_close(p->sender);
	mr_close(p->receiver);
	free(p->slots);
	free(p->payload);
}

void mr_prober_start(struct mr_prober *p, uint64_t count)
{
	p->count = count;
	mr_bench_pace_init(&p->pace, mr_cli_now_ns(), 1e9, p->plan->rate, 0);
}

void mr_prober_finish(struct mr_prober *p)
{
	p->count = p->pace.sent;
}

static int send_payload(struct mr_prober *p, struct mr_probe *slot)
{
	const struct mr_probe_plan *plan = p->plan;
	struct mr_bench_stamp stamp = {
		mr_bench_who(0, slot->sequence), mr_bench_pace_at(&p->pace, slot->sequence)};

	mr_bench_fill(p->payload, plan->bytes, stamp, true);
	if (plan->mode == MR_PROBE_QUEUE)
		return mr_push_with(p->queue,
			&(struct mr_push){.payload = p->payload, .bytes = plan->bytes}, NULL);
	if (plan->mode == MR_PROBE_REQUEST)
		return mr_publisher_request(p->publisher, p->payload, plan->bytes,
			(int)plan->timeout_ms, on_reply, slot);
	return mr_publisher_send(p->publisher, p->payload, plan->bytes);
}

/* Sends the next probe. One whose time-out is over already is lost: the bus was away, or full. */
static int send_one(struct mr_prober *p, uint64_t now_ns)
{
	uint64_t sequence = p->pace.sent;
	uint64_t due_ns = mr_bench_pace_next(&p->pace);
	struct mr_probe *slot = slot_of(p, sequence);
	bool overdue = is_overdue(p, sequence, now_ns);
	int rc;

	*slot = (struct mr_probe){p, sequence, MR_PROBE_OPEN};
	rc = overdue ? 0 : send_payload(p, slot);
	if (rc)
		return rc;
	mr_bench_pace_take(&p->pace);
	p->tally.probes++;
	if (overdue) {
		lose(p, slot);
		return 0;
	}
	p->active_ns = now_ns;
	if (now_ns > due_ns + p->tally.own_delay_ns_max)
		p->tally.own_delay_ns_max = now_ns - due_ns;
	return 0;
}

static int send_due(struct mr_prober *p)
{
	uint64_t now_ns = mr_cli_now_ns();
	uint64_t due = mr_bench_pace_due(&p->pace, now_ns);
	int rc = 0;

	if (due > p->count - p->pace.sent)
		due = p->count - p->pace.sent;
	for (unsigned n = 0; n < due && n < BURST_MAX && rc == 0; n++) {
		if (p->pace.sent - p->oldest > p->slots_mask)
			rc = -EAGAIN;
		else
			rc = send_one(p, mr_cli_now_ns());
	}
	p->blocked = rc == -EAGAIN || rc == -ENOTCONN;
	return p->blocked ? 0 : rc;
}

/* Counts probes as lost that are overdue. The library does that for requests. */
static void expire(struct mr_prober *p)
{
	uint64_t now_ns = mr_cli_now_ns();

	for (; p->oldest < p->pace.sent; p->oldest++) {
		struct mr_probe *slot = slot_of(p, p->oldest);

		if (slot->state != MR_PROBE_OPEN)
			continue;
		if (p->plan->mode == MR_PROBE_REQUEST || !is_overdue(p, p->oldest, now_ns))
			return;
		lose(p, slot);
	}
}

static int process(struct mr_client *c)
{
	int n = c ? mr_process(c, PROCESS_MAX) : 0;

	return n < 0 && n != -ENOTCONN ? n : 0;
}

int mr_prober_step(struct mr_prober *p)
{
	int rc = process(p->receiver);

	rc = rc ? rc : process(p->sender);
	if (rc)
		return rc;
	expire(p);
	return send_due(p);
}

/* Returns the time until which the prober may sleep. */
static uint64_t wake_ns(const struct mr_prober *p, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t wake = until_ns < now_ns + NAP_NS ? until_ns : now_ns + NAP_NS;
	uint64_t next = mr_bench_pace_next(&p->pace) - SPIN_NS;

	if (p->blocked)
		next = now_ns + BLOCKED_NS;
	if (!mr_prober_has_sent(p) && next < wake)
		wake = next;
	return wake;
}

void mr_prober_wait(const struct mr_prober *p, uint64_t until_ns)
{
	struct pollfd fds[2] = {{.fd = mr_fd(p->sender), .events = POLLIN},
		{.fd = p->receiver ? mr_fd(p->receiver) : -1, .events = POLLIN}};
	uint64_t now_ns = mr_cli_now_ns();
	uint64_t wake = wake_ns(p, until_ns, now_ns);
	struct timespec nap;

	if (p->plan->busy || wake <= now_ns || now_ns < p->active_ns + SPIN_NS) {
		sched_yield();
		return;
	}
	nap = (struct timespec){.tv_nsec = (long)(wake - now_ns)};
	ppoll(fds, 2, &nap, NULL);
}

void mr_probe_tally_add(struct mr_probe_tally *into, const struct mr_probe_tally *from)
{
	into->probes += from->probes;
	into->received += from->received;
	into->lost += from->lost;
	into->late += from->late;
	into->duplicates += from->duplicates;
	into->corrupt += from->corrupt;
	if (from->own_delay_ns_max > into->own_delay_ns_max)
		into->own_delay_ns_max = from->own_delay_ns_max;
	mr_histogram_merge(&into->latencies, &from->latencies);
}
