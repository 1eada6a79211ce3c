/* SPDX-License-Identifier: Apache-2.0 */
/* load: the connections of a bench, and the threads that drive them.
 *
 * One thread drives many connections in turn, because on a small machine the worker of the bus
 * needs its own core. More threads share the connections.
 *
 * Owns      open creates and connects everything, close frees it. From start to join each
 *           connection belongs to its thread.
 * Threads   The main thread sets `phase` and reads the atomics; it reads the rest after join.
 * Ordering  [load.seen] release of a subscriber's positions -> acquire by publishers: only the
 *           numbers themselves are passed; the order keeps a window from being counted twice.
 * Errors    0 or an exit code, already reported. A thread that fails stores its error, and all
 *           stop.
 * Hot path  The loop: no allocation, no lock, no system call except the library's doorbells and a
 *           yield when there is nothing to do.
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
	MR_BENCH_MEASURE, /* send, receive and record latencies */
	MR_BENCH_DRAIN,   /* receive only */
	MR_BENCH_STOP,
};

/* The plan of a run; constant. */
struct mr_bench_plan {
	bool udp;     /* over UDP, else shared memory */
	bool request; /* else publish-subscribe */
	bool service; /* requests are calls of a service */
	bool queue;   /* publishers push into a queue from which subscribers pull */
	bool manual;  /* the program acks each message */
	enum mr_promise_kind promise;
	bool full; /* check every byte */
	unsigned publishers;
	unsigned subscribers;
	unsigned threads;
	unsigned subjects; /* for each publisher */
	unsigned outstanding;
	/* limit of unsettled messages or unanswered requests of a consumer or server */
	unsigned prefetch;
	uint32_t batch;
	uint64_t window; /* for each publisher */
	double loss;     /* percent, in each direction; negative: no relay */
	double rate;     /* messages/s of all publishers; 0: closed loop */
	size_t bytes;
	int cpus[MR_BENCH_THREADS_MAX];
	unsigned cpus_count;
	/* address of the bus for subscribers; NULL: that of all connections */
	const char *subscribe_at;
	char run[32]; /* makes the run's subjects unique */
};

struct mr_bench_load;
struct mr_bench_publisher;

/* An open request. */
struct mr_bench_slot {
	struct mr_bench_publisher *publisher;
	struct mr_bench_stamp stamp;
	struct mr_bench_slot *next_free;
};

struct mr_bench_publisher {
	/* read-only after open */
	struct mr_bench_load *load;
	struct mr_client *client;
	char service[64];            /* the service that it calls */
	struct mr_publisher **lanes; /* one for each subject */
	struct mr_queue *queue;
	_Atomic uint64_t *arrived; /* one bit for each message; w: consumers' threads */
	unsigned index;
	/* w, r: its own thread */
	alignas(MR_CACHE_LINE) unsigned lane;
	uint64_t sent;
	uint64_t written_off; /* positions that will never be reached, because messages were lost */
	uint64_t in_flight;   /* open requests */
	uint64_t failed;      /* requests without an answer */
	struct mr_bench_pace pace;
	struct mr_bench_slot *slots;
	struct mr_bench_slot *free_slots;
	struct mr_histogram *histogram;
	bool recording;
	uint64_t now; /* sampled time, for requests */
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
	struct mr_bench_flow *flows; /* one for each publisher */
	_Atomic uint64_t *seen;      /* one for each publisher; w: its thread, r: publishers */
	struct mr_histogram *histogram;
	/* w, r: its own thread */
	alignas(MR_CACHE_LINE) uint64_t received;
	uint64_t corrupt;
	uint64_t missed; /* missed messages that the bus reported */
	uint64_t now;    /* sampled time */
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
	uint64_t frames_received; /* by subscribers, or by requesters */
	uint64_t frames_lost;
	uint64_t retransmits; /* by all connections */
};

int mr_bench_load_open(
	const struct mr_cli *cli, const struct mr_bench_plan *plan, struct mr_bench_load **out);
int mr_bench_load_start(const struct mr_cli *cli, struct mr_bench_load *load);
void mr_bench_load_join(struct mr_bench_load *load);
void mr_bench_load_close(struct mr_bench_load *load);

void mr_bench_load_enter(struct mr_bench_load *load, enum mr_bench_phase phase);
/* Sums what is known while the load runs: published and delivered messages only. */
void mr_bench_load_look(const struct mr_bench_load *load, struct mr_bench_totals *out);
/* Sums everything after join, with the latencies of all threads in ticks. */
void mr_bench_load_sum(const struct mr_bench_load *load, struct mr_bench_totals *totals,
	struct mr_histogram *latency);
/* Returns the number of deliveries if nothing is lost. */
uint64_t mr_bench_load_expected(const struct mr_bench_load *load, uint64_t published);

/* Publishes the position of a subscriber or consumer to publishers and main. */
void mr_bench_subscriber_publish(struct mr_bench_subscriber *s);

/* The patterns: each prepares a connection, and runs one round of it. A round returns the number of
 * messages moved, or -errno. */
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
