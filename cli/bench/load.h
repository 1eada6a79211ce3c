/* SPDX-License-Identifier: Apache-2.0 */
/* load: the connections of a bench and the threads that drive them.
 *
 * One thread drives many connections in turn, because on a small machine the bus's worker wants a core
 * of its own; more threads share the connections out among them.
 *
 * Owns      open makes and connects everything, close frees it. From start to join each connection
 *           belongs to its thread.
 * Threads   The main thread steers by `phase` and reads what is atomic; the rest after join.
 * Ordering  [load.seen] release of a subscriber's positions -> acquire by publishers: nothing but the
 *           numbers goes with them; the order keeps a window from being counted twice.
 * Errors    0 or an exit code of the command, told already. A thread that fails notes its error and
 *           everyone stops.
 * Hot path  The loop: no allocation, no lock, no system call but the library's bells and a yield when
 *           there is nothing to do.
 */
#ifndef MILLRACE_CLI_BENCH_LOAD_H
#define MILLRACE_CLI_BENCH_LOAD_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "client/millrace.h"
#include "cli/bench/clock.h"
#include "cli/bench/histogram.h"
#include "cli/bench/pace.h"
#include "cli/bench/verify.h"
#include "lib/base/compiler.h"

#define MR_BENCH_CONNECTIONS_MAX 1024
#define MR_BENCH_THREADS_MAX     64
#define MR_BENCH_SUBJECTS_MAX    1024

enum mr_bench_phase {
	MR_BENCH_WARM,    /* send and receive */
	MR_BENCH_MEASURE, /* and note latencies */
	MR_BENCH_DRAIN,   /* receive only */
	MR_BENCH_STOP,
};

/* What is to be done; constant. */
struct mr_bench_plan {
	bool udp;     /* else shared memory */
	bool request; /* else publish-subscribe */
	bool service; /* requests are calls of a service */
	bool queue;   /* publishers push into a queue from which subscribers pull */
	bool manual;  /* and ack each message */
	enum mr_promise_kind promise;
	bool full; /* check every byte */
	unsigned publishers;
	unsigned subscribers;
	unsigned threads;
	unsigned subjects; /* for each publisher */
	unsigned outstanding;
	unsigned prefetch; /* messages or requests that a consumer or server takes in hand */
	uint32_t batch;
	uint64_t window; /* of each publisher */
	double loss;     /* percent, each way; below 0: no relay */
	double rate;     /* of all publishers, messages/s; 0: closed loop */
	size_t bytes;
	int cpus[MR_BENCH_THREADS_MAX];
	unsigned cpus_count;
	const char *subscribe_at; /* address of the bus for subscribers; NULL: that of all */
	char run[32];             /* makes the subjects this run's own */
};

struct mr_bench_load;
struct mr_bench_publisher;

/* A request under way. */
struct mr_bench_slot {
	struct mr_bench_publisher *publisher;
	struct mr_bench_stamp stamp;
	struct mr_bench_slot *next_free;
};

struct mr_bench_publisher {
	/* read-only after open */
	struct mr_bench_load *load;
	struct mr_client *client;
	char service[64];            /* that it calls */
	struct mr_publisher **lanes; /* one a subject */
	struct mr_queue *queue;
	_Atomic uint64_t *came; /* a bit a message; w: consumers' threads */
	unsigned index;
	/* its thread's */
	alignas(MR_CACHE_LINE) unsigned lane;
	uint64_t sent;
	uint64_t written_off; /* positions known never to be reached */
	uint64_t in_flight;   /* requests */
	uint64_t failed;      /* requests without an answer */
	struct mr_bench_pace pace;
	struct mr_bench_slot *slots;
	struct mr_bench_slot *free_slots;
	struct mr_histogram *histogram;
	bool recording;
	uint64_t now; /* sampled, of requests */
	unsigned now_uses;
	uint64_t corrupt;
	uint8_t *payload;
	/* w: its thread, r: main */
	alignas(MR_CACHE_LINE) _Atomic uint64_t sent_out;
	_Atomic uint64_t answered_out;
};

struct mr_bench_subscriber {
	/* read-only after open */
	struct mr_bench_load *load;
	struct mr_client *client;
	struct mr_service *service;
	struct mr_bench_flow *flows; /* one a publisher */
	_Atomic uint64_t *seen;      /* one a publisher, w: its thread, r: publishers */
	struct mr_histogram *histogram;
	/* its thread's */
	alignas(MR_CACHE_LINE) uint64_t received;
	uint64_t corrupt;
	uint64_t missed; /* as the bus tells */
	uint64_t now;    /* sampled */
	unsigned now_uses;
	bool recording;
	uint64_t run_when; /* messages of one batch share their latency and are recorded together */
	uint64_t run_now;
	uint64_t run_count;
	/* w: its thread, r: main */
	alignas(MR_CACHE_LINE) _Atomic uint64_t received_out;
};

struct mr_bench_thread {
	pthread_t id;
	struct mr_bench_load *load;
	unsigned index;
	struct mr_histogram histogram;
};

struct mr_bench_load {
	const struct mr_bench_plan *plan;
	struct mr_bench_publisher *publishers;
	struct mr_bench_subscriber *subscribers; /* or responders */
	struct mr_bench_thread *threads;
	struct mr_bench_clock clock;
	unsigned threads_started;
	alignas(MR_CACHE_LINE) _Atomic int phase; /* enum mr_bench_phase */
	_Atomic int error;                        /* first failure of a thread, -errno */
};

/* Sums over all connections. */
struct mr_bench_totals {
	uint64_t published;
	uint64_t delivered;
	uint64_t lost;
	uint64_t missed;
	uint64_t duplicates;
	uint64_t reordered;
	uint64_t corrupt;
	uint64_t failed;
	/* over UDP, after join */
	uint64_t frames_sent;     /* by publishers */
	uint64_t frames_received; /* by subscribers; of requests: by requesters */
	uint64_t frames_lost;
	uint64_t retransmits; /* by all connections */
};

int mr_bench_load_open(
	const struct mr_cli *cli, const struct mr_bench_plan *plan, struct mr_bench_load **out);
int mr_bench_load_start(const struct mr_cli *cli, struct mr_bench_load *load);
void mr_bench_load_join(struct mr_bench_load *load);
void mr_bench_load_close(struct mr_bench_load *load);

void mr_bench_load_enter(struct mr_bench_load *load, enum mr_bench_phase phase);
/* While it runs: published and delivered alone. */
void mr_bench_load_look(const struct mr_bench_load *load, struct mr_bench_totals *out);
/* After join: all, and the latencies of all threads in ticks. */
void mr_bench_load_sum(const struct mr_bench_load *load, struct mr_bench_totals *totals,
	struct mr_histogram *latency);
/* Deliveries that there will be when nothing is lost. */
uint64_t mr_bench_load_expected(const struct mr_bench_load *load, uint64_t published);

/* Of subscribers and consumers: how far they have come, to publishers and to main. */
void mr_bench_subscriber_show(struct mr_bench_subscriber *s);

/* The patterns: each prepares a connection, and does one round of it, returning how many messages it
 * moved or -errno. */
int mr_bench_pubsub_subscribe(struct mr_bench_subscriber *s);
int mr_bench_pubsub_open(struct mr_bench_publisher *p, unsigned lane, const char *subject);
int mr_bench_pubsub_publish_round(struct mr_bench_publisher *p, bool sending);
int mr_bench_pubsub_receive_round(struct mr_bench_subscriber *s);
int mr_bench_queue_open(struct mr_bench_publisher *p);
int mr_bench_queue_consume(struct mr_bench_subscriber *s);
int mr_bench_queue_push_round(struct mr_bench_publisher *p, bool sending);
int mr_bench_queue_consume_round(struct mr_bench_subscriber *s);
int mr_bench_request_prepare(struct mr_bench_publisher *p);
int mr_bench_request_serve(struct mr_bench_subscriber *s);
int mr_bench_request_round(struct mr_bench_publisher *p, bool sending);
int mr_bench_request_serve_round(struct mr_bench_subscriber *s);

static inline enum mr_bench_phase mr_bench_load_phase(const struct mr_bench_load *load)
{
	return (enum mr_bench_phase)atomic_load_explicit(&load->phase, memory_order_relaxed);
}

#endif
