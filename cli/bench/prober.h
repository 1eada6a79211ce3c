/* SPDX-License-Identifier: Apache-2.0 */
/* prober: sends numbered probes through a bus at a steady rate, and measures how long each takes.
 *
 * The latency of a probe counts from the time at which it was due, not from the time at which it
 * was sent. So a pause of the bus shows in all probes that were due in it (coordinated omission is
 * corrected). A probe that has not come when `timeout_ms` are over is lost, sent or not.
 *
 * Owns      Two connections, and one slot for each probe that may be under way.
 * Threads   One.
 * Units     Nanoseconds of CLOCK_MONOTONIC.
 * Errors    open: 0 or an exit code, already reported. step: 0 or -errno; a lost connection is no
 *           error, the library connects again.
 */
#ifndef MILLRACE_CLI_BENCH_PROBER_H
#define MILLRACE_CLI_BENCH_PROBER_H

#include "cli/bench/histogram.h"
#include "cli/bench/pace.h"
#include "cli/cli.h"

/* Limit of probes under way. */
#define MR_PROBES_MAX (1u << 20)

enum mr_probe_mode {
	MR_PROBE_PUBSUB,  /* publisher to subscriber */
	MR_PROBE_REQUEST, /* request to reply */
	MR_PROBE_QUEUE,   /* push to delivery */
};

/* The plan of a run; constant. */
struct mr_probe_plan {
	enum mr_probe_mode mode;
	const char *subject;      /* asks others on it; NULL: the prober answers itself */
	const char *subscribe_at; /* bus address of the receiver; NULL: that of the sender */
	double rate;              /* probes per second */
	uint64_t timeout_ms;
	size_t bytes;
	bool busy; /* never sleep */
};

/* Outcomes of the probes of an interval, or of all. */
struct mr_probe_tally {
	uint64_t probes; /* due and taken up */
	uint64_t received;
	uint64_t lost;
	uint64_t late; /* came after they were counted as lost */
	uint64_t duplicates;
	uint64_t corrupt;
	uint64_t own_delay_ns_max;     /* the longest time from due to sent */
	struct mr_histogram latencies; /* ns */
};

struct mr_prober;

/* One probe that is, or was, under way. */
struct mr_probe {
	struct mr_prober *prober;
	uint64_t sequence;
	enum {
		MR_PROBE_OPEN,
		MR_PROBE_RECEIVED,
		MR_PROBE_LOST,
	} state;
};

struct mr_prober {
	const struct mr_cli *cli;
	const struct mr_probe_plan *plan;
	struct mr_client *sender;
	struct mr_client *receiver; /* NULL: others answer */
	struct mr_publisher *publisher;
	struct mr_queue *queue;
	struct mr_probe *slots;
	uint64_t slots_mask;
	uint64_t count;  /* probes in this run */
	uint64_t oldest; /* all probes before it have been received or lost */
	struct mr_bench_pace pace;
	uint64_t active_ns; /* time of the last probe that went or came */
	bool blocked;       /* probes are due and cannot be sent now */
	int refused;        /* error of the last request that failed */
	uint8_t *payload;
	char name[64];               /* subject or queue of the run */
	struct mr_probe_tally tally; /* since the caller cleared it */
};

int mr_prober_open(struct mr_prober *p, const struct mr_cli *cli, const struct mr_probe_plan *plan);
void mr_prober_close(struct mr_prober *p);

/* Begins a run of `count` probes. The first one is due now. */
void mr_prober_start(struct mr_prober *p, uint64_t count);
/* Sends no more probes. */
void mr_prober_finish(struct mr_prober *p);
/* Takes what has come, and sends what is due. Does not wait. */
int mr_prober_step(struct mr_prober *p);
/* Waits until something may have come, a probe is due, or `until_ns`. */
void mr_prober_wait(const struct mr_prober *p, uint64_t until_ns);

/* True if all probes have been sent, or are lost. */
static inline bool mr_prober_has_sent(const struct mr_prober *p)
{
	return p->pace.sent >= p->count;
}

/* True if no probe is under way. */
static inline bool mr_prober_is_idle(const struct mr_prober *p)
{
	return p->oldest == p->pace.sent;
}

void mr_probe_tally_add(struct mr_probe_tally *into, const struct mr_probe_tally *from);

#endif
