/* SPDX-License-Identifier: Apache-2.0 */
/* actor: a program with a role in a run, and the state that must survive the death of its process.
 *
 * Threads   The fields belong to its process while it runs; a killed process touches none of them.
 */
#ifndef MILLRACE_TESTS_SIM_ACTOR_H
#define MILLRACE_TESTS_SIM_ACTOR_H

#include "client/millrace.h"
#include "tests/sim/model.h"
#include "tests/sim/process.h"

#define ACTOR_HELD_MAX      64u
#define ACTOR_STUCK_MAX     4u
#define ACTOR_TICKETS_MAX   16u
#define ACTOR_CALLS         512u
#define ACTOR_PUBLISHED_MAX 64u
#define ACTOR_ADDRESS       "udp://10.0.0.1:7400"

enum actor_kind {
	ACTOR_PRODUCER,
	ACTOR_CONSUMER,
	ACTOR_SERVER,
	ACTOR_CALLER,
	ACTOR_PUBLISHER,
	ACTOR_STAGE_PRODUCER,
	ACTOR_STAGE,
	ACTOR_SINK,
	ACTOR_SCHEDULER,
	ACTOR_TICKER,
};

struct actor {
	enum actor_kind kind;
	unsigned index;
	unsigned queue; /* the model's number of it */
	struct process *process;
	bool stop; /* to end in good order */
	/* a producer */
	uint64_t next_id;
	uint32_t open[MODEL_MESSAGES_MAX];   /* numbers with unknown outcome, by id */
	uint64_t own_id[MODEL_MESSAGES_MAX]; /* at least once: by the library's ids */
	unsigned tickets_count;              /* pushed with a delay, and perhaps cancelled */
	uint32_t tickets[ACTOR_TICKETS_MAX];
	/* a publisher: promised messages that may not have been accepted */
	unsigned subject;
	unsigned published_count;
	uint32_t published[ACTOR_PUBLISHED_MAX];
	/* a consumer */
	bool drains; /* takes all there is, and does nothing else */
	bool reads_dead;
	bool reads_named;   /* those in the queue that was named for them */
	uint64_t handed_ns; /* time of the last delivery handed out */
	unsigned held_count;
	struct {
		uint64_t tag;
		uint32_t number;
	} held[ACTOR_HELD_MAX];
	unsigned stuck_count; /* deliveries of a key that is never settled */
	uint64_t stuck[ACTOR_STUCK_MAX];
	/* a server */
	bool works_well;
	struct mr_service *service;
	/* a caller */
	uint64_t calls;
	unsigned calls_open;
	uint64_t answered_well;
	bool call_open[ACTOR_CALLS]; /* by number */
};

/* Starts its process, or a new one after the last was killed. */
void actor_start(struct actor *a);

/* The programs. */
process_main_fn actor_produce, actor_consume, actor_serve, actor_call, actor_publish;

/* Connects, retrying until it succeeds; NULL: the process is to end. */
struct mr_client *actor_connect(const struct actor *a, const char *name);
bool actor_is_dead(void); /* True if the process was killed. */
bool actor_goes_on(const struct actor *a);
struct mr_queue_options actor_queue_options(unsigned queue);
struct mr_queue_retry actor_retry(unsigned queue);
/* Returns its option key_from, or NULL. */
const char *actor_key_from(unsigned queue);

#endif
