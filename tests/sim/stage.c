/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/stage.h"

#include <string.h>

#include "dataplane/queue/engine.h"
#include "tests/sim/cover.h"
#include "tests/sim/stage_model.h"
#include "tests/sim/world.h"

#define MAGIC 0x47415453u

static struct {
	bool on;
	uint64_t calm_ns; /* 0: it is not calm */
	uint32_t numbers[STAGE_QUEUES];
	uint64_t sends;
	struct stage_input inputs[STAGE_INPUTS];
} stage;

static const char *const names[STAGE_QUEUES] = {"stage-in", "stage-near", "stage-far"};

const char *stage_name(enum stage_queue queue)
{
	return names[queue];
}

struct stage_input *stage_input(uint32_t number)
{
	if (number == 0 || number >= STAGE_INPUTS)
		world_fail("an input of a stage that nobody pushed: %u", number);
	return &stage.inputs[number];
}

void stage_open(void)
{
	memset(&stage, 0, sizeof(stage));
}

bool stage_is_on(void)
{
	return stage.on;
}

bool stage_is_empty(void)
{
	for (unsigned i = 0; i < STAGE_QUEUES && stage.on; i++) {
		const struct mr_queue *q = mr_queue_by_name(i == STAGE_FAR ? bus.far : bus.queues,
			MRF_QUEUE_KIND_QUEUE, names[i], (uint32_t)strlen(names[i]));

		if (q != NULL && mr_queue_depth(q) > 0)
			return false;
	}
	return true;
}

void stage_calm(uint64_t from_ns)
{
	stage.calm_ns = from_ns;
}

void stage_make(void)
{
	const struct mrf_queue_options options = {.max_deliver = UINT16_MAX,
		.ack_timeout_ms = 300 + world_draw(1500),
		.when_full = MRF_QUEUE_FULL_WAIT};

	stage.on = true;
	for (unsigned i = 0; i < STAGE_QUEUES; i++)
		if (bus_make(names[i], &options) != 0)
			world_fail("%s cannot be made", names[i]);
}

void stage_edit(void)
{
	const struct mrf_queue_options values = {
		.when_full = (uint8_t)(MRF_QUEUE_FULL_WAIT + world_draw(2)),
		.messages_max = world_chance(50) ? UINT32_MAX : 24 + world_draw(30)};
	const char *name = names[1 + world_draw(STAGE_QUEUES - 1)];

	if (stage.on && bus_edit(MRF_QUEUE_KIND_QUEUE, name,
				MRF_QUEUE_OPTION_WHEN_FULL | MRF_QUEUE_OPTION_MESSAGES_MAX, &values,
				NULL) != 0)
		world_fail("%s cannot be edited", name);
}

void stage_named(struct mrf_string name, uint32_t number)
{
	for (unsigned i = 0; i < STAGE_QUEUES; i++)
		if (name.bytes == strlen(names[i]) && memcmp(name.data, names[i], name.bytes) == 0)
			stage.numbers[i] = number;
}

bool stage_has(uint32_t queue)
{
	for (unsigned i = 0; i < STAGE_QUEUES && queue != 0; i++)
		if (stage.numbers[i] == queue)
			return true;
	return false;
}

unsigned stage_outputs(uint32_t number, enum stage_queue to[STAGE_OUTPUTS])
{
	static const enum stage_queue all[STAGE_OUTPUTS] = {STAGE_NEAR, STAGE_FAR, STAGE_NEAR};
	unsigned count = 1 + number % STAGE_OUTPUTS;

	memcpy(to, all, sizeof(all));
	return count;
}

struct stage_body stage_body(uint32_t number, uint32_t place)
{
	return (struct stage_body){MAGIC, number, place};
}

static bool read_body(const void *at, size_t bytes, struct stage_body *out)
{
	if (bytes != sizeof(*out))
		return false;
	memcpy(out, at, sizeof(*out));
	return out->magic == MAGIC;
}

uint32_t stage_number(const void *at, size_t bytes, uint32_t *place)
{
	struct stage_body b;

	if (!read_body(at, bytes, &b))
		world_fail("a body that no stage has pushed");
	*place = b.place;
	return b.number;
}

void stage_pushed(const struct mr_message_view *m, bool taken)
{
	uint32_t place, number = stage_number(m->payload, m->payload_bytes, &place);
	struct stage_input *in = stage_input(number);

	if (!taken)
		return;
	if (place == STAGE_INPUT) {
		if (in->taken)
			world_fail("input %u is taken again", number);
		in->taken = true;
		cover(COVER_STAGE_INPUT);
		return;
	}
	world_trace("stage: output %u of input %u is taken", place, number);
	if (!in->handed)
		world_fail("input %u has an output, and was not handed out", number);
	if (in->outputs[place]++ > 0)
		world_fail("output %u of input %u is taken again", place, number);
	cover(COVER_STAGE_OUTPUT);
}

void stage_sent(uint64_t session, const struct mr_message_plan *plan)
{
	struct stage_body b;
	struct stage_input *in;

	if ((plan->header >> 16 & 0xff) != MRF_MESSAGE_KIND_DELIVER || plan->extra == NULL ||
		!(plan->extra->flags & MRF_MESSAGE_FLAG_DELIVERY) ||
		plan->extra->delivery.queue != stage.numbers[STAGE_IN] ||
		!read_body(plan->body, plan->body_bytes, &b))
		return;
	in = stage_input(b.number);
	world_trace("stage: input %u to session %u", b.number, mr_session_slot(session));
	if (in->done)
		world_fail("input %u is settled, and comes again", b.number);
	if (in->told_calm)
		world_fail(
			"a stage was told that input %u is settled, and it comes again", b.number);
	if (in->sends++ > 0)
		cover(COVER_STAGE_AGAIN);
	in->session = session;
	in->tag = plan->extra->delivery.tag;
	in->sent = ++stage.sends;
}

static void check_done(uint32_t number, struct stage_input *in)
{
	enum stage_queue to[STAGE_OUTPUTS];
	unsigned count = stage_outputs(number, to);

	world_trace("stage: input %u is settled", number);
	for (unsigned i = 0; i < count; i++)
		if (in->outputs[i] != 1)
			world_fail(
				"input %u is settled, and its output %u was not taken", number, i);
	in->done = true;
	cover(COVER_STAGE_SETTLED);
}

/* A stage has one input in hand, so an ack settles no other. */
void stage_settled(uint64_t session, const struct mrf_settlement *s, uint64_t acked)
{
	for (uint32_t i = 1; i < STAGE_INPUTS && acked > 0; i++)
		if (stage.inputs[i].tag == s->tag && stage.inputs[i].session == session &&
			stage.inputs[i].tag != 0)
			check_done(i, &stage.inputs[i]);
}

void stage_told(uint32_t number)
{
	cover(COVER_STAGE_TOLD);
	stage_input(number)->told_calm |= stage.calm_ns != 0 && world_now_ns() > stage.calm_ns;
}

void stage_finish(void)
{
	enum stage_queue to[STAGE_OUTPUTS];

	for (uint32_t i = 1; i < STAGE_INPUTS && stage.on; i++) {
		const struct stage_input *in = &stage.inputs[i];

		if (in->accepted && !in->done)
			world_fail("input %u is not settled in the end", i);
		for (unsigned n = 0; in->done && n < stage_outputs(i, to); n++)
			if (in->received[n] == 0)
				world_fail("output %u of input %u is lost", n, i);
	}
}
