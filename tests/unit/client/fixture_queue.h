/* SPDX-License-Identifier: Apache-2.0 */
/* fixture_queue: a filled queue, its work, and what the bus knows of it. */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FIXTURE_QUEUE_H
#define MILLRACE_TESTS_UNIT_CLIENT_FIXTURE_QUEUE_H

#include "tests/unit/client/fixture.h"

/* Fills the queue "jobs" with messages "0", "1" and so on. */
static inline void fill(struct fixture *f, unsigned count)
{
	struct mr_queue *q;
	char text[16];

	assert_int_equal(mr_queue_open(f->client, "jobs", NULL, &q), 0);
	for (unsigned i = 0; i < count; i++) {
		int bytes = snprintf(text, sizeof(text), "%u", i);

		assert_int_equal(mr_push(q, text, (size_t)bytes), 0);
	}
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	mr_queue_close(q);
}

/* Waits until the bus has received that many. */
#define SETTLED(f, field, wanted)                                                                  \
	do {                                                                                       \
		uint64_t is_settled_;                                                              \
		SETTLED_WAIT(f, field, wanted, is_settled_);                                       \
		assert_int_equal(is_settled_, wanted);                                             \
	} while (0)
#define SETTLED_AT_LEAST(f, field, wanted)                                                         \
	do {                                                                                       \
		uint64_t is_settled_;                                                              \
		SETTLED_WAIT(f, field, wanted, is_settled_);                                       \
		assert_true(is_settled_ >= (wanted));                                              \
	} while (0)
#define SETTLED_WAIT(f, field, wanted, out)                                                        \
	do {                                                                                       \
		uint64_t give_up_ms_ = now_ms() + PATIENCE_MS, is_ = 0;                            \
		for (;;) {                                                                         \
			bus_lock(&(f)->bus);                                                       \
			is_ = (f)->bus.queues.field;                                               \
			bus_unlock(&(f)->bus);                                                     \
			if (is_ >= (wanted) || now_ms() >= give_up_ms_)                            \
				break;                                                             \
			mr_wait((f)->client, 1);                                                   \
		}                                                                                  \
		(out) = is_;                                                                       \
	} while (0)

/* The work of a callback. */
struct work {
	unsigned count;
	unsigned redelivered;
	char last[32];
	uint64_t tags[64];
	struct mr_consumer *consumer;
	unsigned nack_first;
	bool reject;
};

static inline void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct work *w = arg;

	(void)c;
	w->consumer = d->consumer;
	w->tags[w->count++ % 64] = d->tag;
	w->redelivered += d->redelivered;
	snprintf(w->last, sizeof(w->last), "%.*s", (int)d->message.payload_bytes,
		(const char *)d->message.payload);
	if (w->nack_first > 0) {
		w->nack_first--;
		assert_int_equal(mr_nack(d->consumer, d->tag, !w->reject, 0), 0);
		assert_int_equal(mr_ack(d->consumer, d->tag), -ENOENT);
	}
}

static inline uint64_t peek(struct fixture *f, const uint64_t *field)
{
	uint64_t value;

	bus_lock(&f->bus);
	value = *field;
	bus_unlock(&f->bus);
	return value;
}

static inline void set_ack_timeout(struct fixture *f, uint32_t ms)
{
	bus_lock(&f->bus);
	f->bus.queues.ack_timeout_ms = ms;
	bus_unlock(&f->bus);
}

#endif
