/* SPDX-License-Identifier: Apache-2.0 */
/* slices: measures the longest round of an operation on queues that hold many messages. A round is
 * a tick, a run, and the command that began it, in the thread's processor time. The best of some
 * tries counts: another program on this machine can only make a try worse. */
#ifndef MILLRACE_TESTS_QUEUE_SLICES_H
#define MILLRACE_TESTS_QUEUE_SLICES_H

#include "tests/unit/queue/rig.h"

/* Sanitizers make some things ten times as slow as others: under them nothing is measured. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#define MESSAGES     20000u
#define MANY         300u /* sessions' queues; each takes up to 20 KiB of the store */
#define TRIES_MAX    1u
#define ROUND_NS_MAX 1e18
#else
#define MESSAGES     300000u
#define MANY         8000u
#define TRIES_MAX    12u
#define ROUND_NS_MAX 1000000.0
#endif

#define STORE_BYTES_A_MESSAGE 512ull
#define QUEUES                16u
#define PREFETCH              65535u
#define ROUNDS_MAX            4000000u
#define FRAGMENTED_BYTES      (32u << 20)

extern struct rig r;
extern struct mr_queue_ops slices_ops; /* of the rig: a test may replace one in between */
extern uint32_t messages;
extern uint32_t queue;
extern uint64_t delivered; /* since the operation was prepared */

/* An operation that is measured. It is prepared, begins in the first round, and goes on until it is
 * over. */
struct operation {
	const char *what;
	void (*prepare)(void);
	void (*begin)(void);
	bool (*over)(void);
	void (*again)(void); /* in each further round; NULL: nothing */
};

/* Opens the rig, prepares the operation, measures it, and asserts that no round took too long. */
void measure(const struct operation *o);
/* Reads how many messages the tests use. */
void slices_begin(void);
/* Executes a round; returns how long it took. */
double round_ns(void (*begin)(void));
/* The rig's sender: takes everything, and keeps nothing. */
bool take(void *arg, uint64_t session, const struct mr_message_plan *plan, uint32_t target,
	bool final);
int command(enum mrf_queue_verb verb, const char *name);
void must(enum mrf_queue_verb verb, const char *name);
uint64_t ready(const char *name);
const char *numbered(const char *what, uint32_t number);
void fill(uint32_t into, uint32_t count, const struct mrf_push_options *options);
void run_all(void);
bool store_is_empty(void);

#endif
