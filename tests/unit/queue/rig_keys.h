/* SPDX-License-Identifier: Apache-2.0 */
/* rig_keys: the start of each test of a queue that goes by keys: a rig with the queue "keyed", and
 * short forms of what client 1 pushes and clients from 2 on settle. */
#ifndef MILLRACE_TESTS_QUEUE_RIG_KEYS_H
#define MILLRACE_TESTS_QUEUE_RIG_KEYS_H

#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t queue;

static inline void make(const char *key_from, uint16_t in_flight)
{
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.options.in_flight_per_key = in_flight;
	r.options.key_from = mrf_str(key_from);
	queue = rig_make(&r, "keyed");
}

static inline int setup(void **state)
{
	(void)state;
	rig_open_store(&r, 64u << 20, NULL);
	make(NULL, 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static inline void push_with(struct mrf_push_options options, const char *text, unsigned flags)
{
	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = 1,
			     .text = text,
			     .options = &options,
			     .flags = flags});
}

static inline void push(uint64_t key, const char *text)
{
	push_with((struct mrf_push_options){.key = key}, text, 0);
	rig_run(&r);
}

static inline void settle(
	unsigned client, uint64_t tag, enum mrf_settle_verb verb, uint32_t delay_ms)
{
	rig_settle(&r, client, queue, tag, verb, delay_ms);
	rig_run(&r);
}

static inline void ack(unsigned client, uint64_t tag)
{
	settle(client, tag, MRF_SETTLE_VERB_ACK, 0);
}

static inline struct mrf_table row(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, "keyed");
}

/* Returns the client, 2 to 2 + count - 1, that was given a message with that text. */
static inline unsigned taker(unsigned count, const char *text, uint64_t *tag)
{
	*tag = 0;
	for (unsigned client = 2; client < 2 + count; client++) {
		struct rig_sent *s = rig_take(&r, client, MRF_MESSAGE_KIND_DELIVER);

		if (s == NULL)
			continue;
		assert_memory_equal(s->view.payload, text, strlen(text));
		*tag = s->view.extra.delivery.tag;
		return client;
	}
	fail();
	return 0;
}

static inline void leave(unsigned client)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "keyed", client, 7, 0),
		0);
	rig_run(&r);
}

#endif
