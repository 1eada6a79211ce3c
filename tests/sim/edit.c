/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/edit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/queue/engine.h"
#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model.h"
#include "tests/sim/program.h"
#include "tests/sim/stage.h"
#include "tests/sim/watch.h"
#include "tests/sim/world.h"

#define SERVICE "upper"
#define RETRY_OPTIONS                                                                              \
	(MRF_QUEUE_OPTION_RETRY_MIN | MRF_QUEUE_OPTION_RETRY_MAX | MRF_QUEUE_OPTION_RETRY_FACTOR | \
		MRF_QUEUE_OPTION_RETRY_JITTER)

static const uint32_t queue_options[] = {
	MRF_QUEUE_OPTION_POLICY,
	MRF_QUEUE_OPTION_WHEN_FULL,
	MRF_QUEUE_OPTION_MESSAGES_MAX,
	MRF_QUEUE_OPTION_BYTES_MAX,
	MRF_QUEUE_OPTION_AGE_MAX,
	MRF_QUEUE_OPTION_ACK_TIMEOUT,
	MRF_QUEUE_OPTION_MAX_DELIVER,
	MRF_QUEUE_OPTION_WHEN_EXPIRED,
	MRF_QUEUE_OPTION_SINGLE_ACTIVE,
	MRF_QUEUE_OPTION_AGING,
	MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY,
	MRF_QUEUE_OPTION_RETRY_MIN,
	MRF_QUEUE_OPTION_RETRY_MAX,
	MRF_QUEUE_OPTION_RETRY_FACTOR,
	MRF_QUEUE_OPTION_RETRY_JITTER,
};

static const uint32_t service_options[] = {
	MRF_QUEUE_OPTION_POLICY,
	MRF_QUEUE_OPTION_AGE_MAX,
	MRF_QUEUE_OPTION_ACK_TIMEOUT,
	MRF_QUEUE_OPTION_MAX_DELIVER,
	MRF_QUEUE_OPTION_BREAKER_FAILURES,
	MRF_QUEUE_OPTION_BREAKER_RESET,
	MRF_QUEUE_OPTION_BREAKER_PROBES,
};

/* Draws values for all options, also for those that are not named. */
static struct mrf_queue_options draw_values(void)
{
	return (struct mrf_queue_options){
		.policy = (uint8_t)(1 + world_draw(MRF_QUEUE_POLICY_KEY_SHARED)),
		.when_full = (uint8_t)(MRF_QUEUE_FULL_WAIT + world_draw(4)),
		.messages_max = world_chance(25) ? UINT32_MAX : 1 + world_draw(60),
		/* No message of the programs is larger: they expect that all are taken. */
		.bytes_max = world_chance(50) ? 0 : MODEL_BYTES_MAX + world_draw(40000),
		.age_max_ms = world_chance(50) ? 0 : 50 + world_draw(4000),
		.ack_timeout_ms = 20 + world_draw(world_chance(30) ? 200 : 2500),
		.max_deliver = (uint16_t)(1 + world_draw(6)),
		.when_expired = (uint8_t)(world_chance(50) ? MRF_QUEUE_EXPIRED_DISCARD
							   : MRF_QUEUE_EXPIRED_DEAD_LETTER),
		.single_active =
			(uint8_t)(world_chance(30) ? MRF_SINGLE_ACTIVE_YES : MRF_SINGLE_ACTIVE_NO),
		.aging_ms = world_chance(30) ? 0 : 10 + world_draw(1000),
		.in_flight_per_key = (uint16_t)(1 + world_draw(3)),
		.retry_min_ms = world_chance(40) ? 0 : 1 + world_draw(200),
		.retry_max_ms = 1 + world_draw(1500),
		.retry_factor = (uint16_t)(100 + world_draw(400)),
		.retry_jitter = (uint8_t)world_draw(101),
		.breaker_failures = (uint16_t)(world_chance(20) ? UINT16_MAX : 1 + world_draw(6)),
		.breaker_reset_ms = 20 + world_draw(1500),
		.breaker_probes = (uint16_t)(1 + world_draw(4)),
	};
}

static uint32_t draw_edits(const uint32_t *options, uint32_t count)
{
	uint32_t edits = options[world_draw(count)];

	while (world_chance(40))
		edits |= options[world_draw(count)];
	return edits;
}

static bool same(const struct mrf_queue_options *a, const struct mrf_queue_options *b)
{
	return a->policy == b->policy && a->when_full == b->when_full &&
	       a->messages_max == b->messages_max && a->bytes_max == b->bytes_max &&
	       a->age_max_ms == b->age_max_ms && a->ack_timeout_ms == b->ack_timeout_ms &&
	       a->max_deliver == b->max_deliver && a->when_expired == b->when_expired &&
	       a->single_active == b->single_active &&
	       (a->in_flight_per_key ?: 1) == (b->in_flight_per_key ?: 1) &&
	       a->aging_ms == b->aging_ms && a->retry_min_ms == b->retry_min_ms &&
	       a->retry_max_ms == b->retry_max_ms && a->retry_factor == b->retry_factor &&
	       a->retry_jitter == b->retry_jitter;
}

/* The bus says of the queue's options what the model says. */
static void check_row(const struct model_queue *q, struct mrf_table row)
{
	struct mrf_queue_options has = bus_options_of(mrf_queue_row_options(row));

	if (!same(&has, &q->holds) || mrf_queue_row_edited(row) != q->edited)
		world_fail("%s has other options than those of its programs and edits", q->name);
}

/* The policy goes to or from key-shared only while the queue is empty. By keys nothing makes
 * room. */
static bool may_edit(const struct model_queue *q, uint32_t edits, const struct mrf_queue_options *v)
{
	const struct mr_queue *queue = mr_queue_by_name(
		bus.queues, MRF_QUEUE_KIND_QUEUE, q->name, (uint32_t)strlen(q->name));
	struct mrf_queue_options o = q->holds;
	bool was = o.policy == MRF_QUEUE_POLICY_KEY_SHARED;

	model_options_set(&o, edits, v);
	if (o.policy == MRF_QUEUE_POLICY_KEY_SHARED && o.when_full > MRF_QUEUE_FULL_REFUSE)
		return false;
	return queue == NULL || (o.policy == MRF_QUEUE_POLICY_KEY_SHARED) == was ||
	       (mr_queue_depth(queue) == 0 && queue->assemblies == 0);
}

static void edit_queue(unsigned i)
{
	struct model_queue *q = &model_queues[i];
	struct mrf_queue_options values = draw_values();
	uint32_t edits = draw_edits(queue_options, MR_ARRAY_COUNT(queue_options));
	bool may;
	struct mrf_table row;
	int error;

	if (watch_is_empty(i) && world_chance(50)) /* the policy may go to or from key-shared */
		edits |= MRF_QUEUE_OPTION_POLICY;
	may = may_edit(q, edits, &values);
	error = bus_edit(MRF_QUEUE_KIND_QUEUE, q->name, edits, &values, &row);
	if (error == -ENOENT)
		return;
	if (error == -EINVAL && !may) {
		cover(COVER_EDIT_REFUSED);
		return;
	}
	if (!may)
		world_fail("%s: an edit of its policy was to be refused", q->name);
	cover(COVER_EDIT);
	if (edits & MRF_QUEUE_OPTION_AGING)
		cover(COVER_EDIT_AGING);
	if (edits & RETRY_OPTIONS)
		cover(COVER_EDIT_RETRY);
	if (edits & MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY)
		cover(COVER_EDIT_IN_FLIGHT);
	if ((edits & MRF_QUEUE_OPTION_POLICY) &&
		(values.policy == MRF_QUEUE_POLICY_KEY_SHARED) !=
			(q->holds.policy == MRF_QUEUE_POLICY_KEY_SHARED))
		cover(COVER_EDIT_POLICY);
	if (error != 0)
		world_fail("%s cannot be edited: %s", q->name, strerror(-error));
	world_trace("%s: edits %#x of policy %u, when_full %u, messages_max %" PRIu64
		    ", bytes_max %" PRIu64 ", age %u ms, ack timeout %u ms, max_deliver %u, "
		    "when_expired %u, single_active %u",
		q->name, edits, values.policy, values.when_full, values.messages_max,
		values.bytes_max, values.age_max_ms, values.ack_timeout_ms, values.max_deliver,
		values.when_expired, values.single_active);
	program_counts.edited++;
	model_edited(i, edits, &values);
	watch_edited(i);
	watch_all();
	check_row(q, row);
}

static void edit_service(void)
{
	struct mrf_queue_options values = draw_values();
	uint32_t edits = draw_edits(service_options, MR_ARRAY_COUNT(service_options));
	bool by_key =
		(edits & MRF_QUEUE_OPTION_POLICY) && values.policy == MRF_QUEUE_POLICY_KEY_SHARED;
	int error = bus_edit(MRF_QUEUE_KIND_SERVICE, SERVICE, edits, &values, NULL);

	if (error == -EINVAL && by_key)
		return;
	if (error != 0 && error != -ENOENT)
		world_fail("the service cannot be edited: %s", strerror(-error));
	program_counts.edited += error == 0;
}

/* A wrong value beside right ones, an option that is not a queue's, or none. */
static void edit_wrongly(unsigned i)
{
	const struct model_queue *q = &model_queues[i];
	struct mrf_queue_options values = draw_values();
	uint32_t edits = draw_edits(queue_options, MR_ARRAY_COUNT(queue_options));
	struct mrf_table row;
	int error;

	switch (world_draw(5)) {
	case 0:
		edits |= MRF_QUEUE_OPTION_ACK_TIMEOUT;
		values.ack_timeout_ms = world_draw(10);
		break;
	case 1:
		edits |= MRF_QUEUE_OPTION_MESSAGES_MAX;
		values.messages_max = 0;
		break;
	case 2: edits |= MRF_QUEUE_OPTION_BREAKER_RESET; break;
	case 3: edits |= MRF_QUEUE_OPTION_NOT_IDEMPOTENT; break;
	default: edits = 0; break;
	}
	error = bus_edit(MRF_QUEUE_KIND_QUEUE, q->name, edits, &values, NULL);
	if (error == -ENOENT)
		return;
	if (error != -EINVAL)
		world_fail("%s: an edit that is wrong was answered %d", q->name, error);
	if (bus_command(MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, q->name, 0, &row) == 0)
		check_row(q, row);
}

static void edit_dead(const struct model_queue *q)
{
	struct mrf_queue_options values = draw_values();
	char name[sizeof(q->name) + sizeof(".dead")];
	int error;

	snprintf(name, sizeof(name), "%s.dead", q->name);
	error = bus_edit(MRF_QUEUE_KIND_QUEUE, name, MRF_QUEUE_OPTION_MESSAGES_MAX, &values, NULL);
	if (error != -EINVAL && error != -ENOENT)
		world_fail("%s: an edit was answered %d", name, error);
}

/* Names a place for the dead letters of a queue: none, its own, or a queue with a limit. */
static void name_letters(unsigned i)
{
	struct model_queue *q = &model_queues[i];
	uint32_t r = world_draw(100);
	char named[16];
	int error;

	snprintf(named, sizeof(named), "letters-%u", i);
	error = bus_name_letters(q->name, r < 20 ? "none" : r < 50 ? "default" : named);
	if (error == -ENOENT)
		return;
	if (error != 0)
		world_fail(
			"%s: its dead letters cannot go elsewhere: %s", q->name, strerror(-error));
	q->letters |= r < 20 ? LETTERS_NONE : r < 50 ? LETTERS_DEFAULT : q->letters_kind;
	q->letters_named = r >= 50;
	q->edited |= MRF_QUEUE_OPTION_DEAD_LETTER;
	cover(COVER_LETTER_NAME);
}

/* Dead letters must not come back to their queue. */
static void name_loop(unsigned i)
{
	const struct model_queue *q = &model_queues[i];
	int error = bus_name_letters(q->name, q->name), other = error;
	char named[16];

	snprintf(named, sizeof(named), "letters-%u", i);
	if (q->letters_named)
		other = bus_name_letters(named, q->name);
	if (error == -ENOENT)
		return;
	if (error != -EINVAL || other != -EINVAL)
		world_fail(
			"%s: a loop of dead letters was answered %d and %d", q->name, error, other);
	cover(COVER_LETTER_LOOP);
}

void edit_some(void)
{
	unsigned i = world_draw(model_queues_count);
	uint32_t r = world_draw(100);

	if (world_now_ns() < bus.frozen_until_ns)
		return;
	bus_tick();
	if (stage_is_on() && world_chance(20))
		stage_edit();
	if (r < 20)
		name_letters(i);
	else if (r < 23)
		name_loop(i);
	else if (r < 75)
		edit_queue(i);
	else if (r < 87)
		edit_service();
	else if (r < 95)
		edit_wrongly(i);
	else
		edit_dead(&model_queues[i]);
}
