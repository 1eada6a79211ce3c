/* SPDX-License-Identifier: Apache-2.0 */
/* rig_work: the start of each test of one queue: a rig with the queue "work", and short forms of
 * what client 1 pushes and client 2 settles. */
#ifndef MILLRACE_TESTS_QUEUE_RIG_WORK_H
#define MILLRACE_TESTS_QUEUE_RIG_WORK_H

#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t q; /* the number of the queue */

static inline int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	r.recalls = true;
	q = rig_make(&r, "work");
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static inline void push_with(const char *text, struct mrf_push_options options)
{
	rig_push_run(&r, q, 1, text, &options);
}

static inline void settle(uint64_t tag, enum mrf_settle_verb verb, uint32_t delay_ms)
{
	rig_settle_run(&r, 2, q, tag, verb, delay_ms);
}

static inline void take(const char *text)
{
	rig_ack(&r, 2, q, text);
}

static inline int withdraw(unsigned client, uint64_t ticket)
{
	return rig_withdraw(&r, "work", client, ticket);
}

static inline struct mrf_table row(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
}

/* Changes one option, which stands in r.options. */
static inline void edit(uint32_t option)
{
	r.edits = option;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
}

#endif
