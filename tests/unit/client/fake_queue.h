/* SPDX-License-Identifier: Apache-2.0 */
/* fake_queue: queues of the fake bus: first in, first out, to the first consumer that has room. It
 * counts what it receives, and refuses or forgets on request.
 *
 * Owns      The bus owns it; messages are freed by fake_queues_fini.
 * Threads   The bus thread's, and anyone's between bus_lock and bus_unlock.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_QUEUE_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/message.h"
#include "tests/unit/client/fake_target.h"

#define FAKE_QUEUES_MAX   8
#define FAKE_MESSAGES_MAX 70000

struct fake_message {
	uint8_t *record; /* NULL: none */
	uint64_t holder; /* session it is delivered to; 0: none */
	uint64_t tag;
	struct fake_consumer *consumer;
	uint16_t redelivered;
	uint8_t spared;
};

struct fake_queue {
	struct fake_target target; /* must be the first member */
	uint32_t made;             /* times that it was made: numbers are not used again */
	struct fake_message messages[FAKE_MESSAGES_MAX];
	uint32_t first; /* first message that may still be there */
	uint32_t next;
	uint64_t serial;
};

struct fake_queues {
	struct fake_queue *queues; /* FAKE_QUEUES_MAX */
	uint32_t window;           /* window in answers; 0: 16 */
	uint32_t refuse;           /* this many pushes get refuse_status */
	uint32_t refuse_status;
	bool withhold; /* pushes are stored, but not accepted */
	int open_code; /* code of the answers to opening */
	struct {
		char tag[80];
		uint32_t rate;
		uint32_t prefetch_bytes;
		uint8_t single_active;
		bool paused;
		uint32_t count;
	} consume;               /* the last ConsumeRequest; how many there were */
	uint32_t lease_ms;       /* time in the last Progress */
	bool older;              /* knows no options of pushes */
	uint32_t ack_timeout_ms; /* time-out in answers; nothing times out by it */
	/* Fragmented messages are treated as duplicates, which is reported at the first
	 * fragment. */
	bool known_at_first;
	bool forget_accepted; /* pushes are accepted, but the client is not told */
	/* Counters of messages received. */
	uint64_t pushed;
	uint64_t duplicates;
	uint64_t acked;
	uint64_t settlements; /* only outcomes: */
	uint64_t handed;
	uint64_t handed_last;
	uint64_t left;
	uint64_t settles;
	uint64_t requeued;
	uint64_t rejected;
	uint64_t progressed;
	uint64_t released;
	uint64_t bad_tags;
	uint64_t ids[4];                  /* ids of the last pushes, newest first */
	uint64_t publishers[4];           /* and their publishers */
	struct mrf_settlement settlement; /* the last outcome */
	char error[512];                  /* last header block of a Settle */
	uint64_t publisher;
	uint64_t with_options; /* messages of kind PushOptions, and what stood in the last one */
	struct mrf_push_options options;
	char behind_options[64];
	uint32_t seen_queue[64]; /* exactly once, with their ids */
	uint64_t seen_publisher[64];
	uint64_t seen_id[64];
	uint32_t seen;
};

void fake_queues_init(struct fake_queues *q);
void fake_queues_fini(struct fake_queues *q);
/* Returns the body of the answer to a QueueRequest or ConsumeRequest; sets its type. */
uint32_t fake_queue_open(struct bus *b, struct bus_session *s, struct mrf_table t, bool consume,
	struct mrf_builder *out, uint8_t *type);
bool fake_queue_cancel(struct bus *b, struct bus_session *s, uint32_t subscription);
void fake_queue_push(struct bus *b, struct bus_session *s, const struct mr_message_view *m);
void fake_queue_push_options(struct bus *b, struct bus_session *s, const struct mr_message_view *m);
void fake_queue_settle(struct bus *b, struct bus_session *s, const struct mr_message_view *m);
/* Makes possible deliveries; those of closed sessions go to others. True if something moved. */
bool fake_queues_run(struct bus *b);
/* Forgets a queue, as the bus does with one that is not used. */
void fake_queue_forget(struct bus *b, const char *name);
/* Ends all consumers of a queue with a Disconnect. */
void fake_queue_disconnect(struct bus *b, const char *name);
/* Number of messages in it, delivered or not. */
/* Recalls all deliveries, for good. */
void fake_queue_recall(struct bus *b, const char *name);
uint32_t fake_queue_depth(struct bus *b, const char *name);

#endif
