/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/queue/slices.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct rig r;
struct mr_queue_ops slices_ops;
uint32_t messages;
uint32_t queue;
uint64_t delivered;

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Takes everything, and keeps nothing. */
bool take(void *arg, uint64_t session, const struct mr_message_plan *plan, uint32_t target,
	bool final)
{
	static uint8_t copy[MR_MESSAGE_BYTES_MAX];
	const struct rig *rig = arg;

	if (!final && rig->gone[mr_session_slot(session)])
		return false;
	mr_message_write(copy, plan, target);
	delivered += !final;
	return true;
}

static void configure(struct mr_queues_config *c)
{
	slices_ops = *c->ops;
	slices_ops.send = take;
	c->ops = &slices_ops;
	c->queues_max = 32768;
	c->per_client_max = 16384;
	c->message_bytes_max = FRAGMENTED_BYTES;
	c->publishers_max = 16384;
	c->peer_percent = 0;
	c->window = 65535;
	c->idle_ms = 450;
	c->prefetch = PREFETCH;
	c->queue.messages_max = UINT32_MAX;
	c->queue.ack_timeout_ms = 300;
}

double round_ns(void (*begin)(void))
{
	double since = cpu_ns();

	if (begin != NULL)
		begin();
	mr_queues_tick(r.queues, r.now_ms);
	(void)mr_queues_run(r.queues, r.now_ms);
	return cpu_ns() - since;
}

static double longest_round(const struct operation *o, uint32_t *rounds)
{
	double longest = round_ns(o->begin);

	for (*rounds = 1; !o->over(); ++*rounds) {
		double ns;

		assert_true(*rounds < ROUNDS_MAX);
		r.now_ms++;
		ns = round_ns(o->again);
		longest = ns > longest ? ns : longest;
	}
	return longest;
}

/* The kernel takes half a millisecond for the first touch of each huge page, and more if it has to
 * make one: not what is measured here. */
static void touch_store(void)
{
	for (uint64_t at = 0; at < mr_slab_bytes_max(r.store); at += 4096)
		*(volatile uint8_t *)(mr_slab_base(r.store) + at) = 0;
}

static double try_once(const struct operation *o, uint32_t *rounds)
{
	double longest;

	rig_open_store(&r, (64ull << 20) + messages * STORE_BYTES_A_MESSAGE, configure);
	touch_store();
	delivered = 0;
	o->prepare();
	longest = longest_round(o, rounds);
	rig_close(&r);
	return longest;
}

void measure(const struct operation *o)
{
	double best = 1e18, ns;
	uint32_t rounds = 0;

	for (unsigned i = 0; i < TRIES_MAX && (i == 0 || best >= ROUND_NS_MAX); i++) {
		ns = try_once(o, &rounds);
		best = ns < best ? ns : best;
	}
	printf("  %-44s %8u rounds, the longest %4.0f us\n", o->what, rounds, best / 1000);
	assert_true(best < ROUND_NS_MAX);
}

int command(enum mrf_queue_verb verb, const char *name)
{
	return rig_command(&r, verb, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0);
}

void must(enum mrf_queue_verb verb, const char *name)
{
	assert_int_equal(command(verb, name), 0);
}

uint64_t ready(const char *name)
{
	return mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, name));
}

const char *numbered(const char *what, uint32_t number)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s.%" PRIu32, what, number);
	return name;
}

void fill(uint32_t into, uint32_t count, const struct mrf_push_options *options)
{
	for (uint32_t i = 0; i < count; i++)
		rig_push(&r,
			&(struct rig_push){.queue = into,
				.client = 1,
				.text = "a body of some sixty bytes, as most of them are, or so",
				.options = options});
}

void run_all(void)
{
	while (mr_queues_run(r.queues, r.now_ms))
		;
}

bool store_is_empty(void)
{
	return !mr_queues_run(r.queues, r.now_ms) && mr_slab_bytes(r.store) < 4u << 20;
}

void slices_begin(void)
{
	const char *count = getenv("MILLRACE_SLICES_MESSAGES");

	messages = count != NULL ? (uint32_t)strtoul(count, NULL, 10) : MESSAGES;
	printf("%" PRIu32 " messages\n", messages);
}
