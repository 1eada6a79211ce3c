/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of the simulated bus, control's work for clients, and the reports of both to the
 * model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/full.h"
#include "flatbuf/link.h"
#include "flatbuf/wire.h"
#include "tests/sim/bus.h"
#include "tests/sim/bus_bind.h"
#include "tests/sim/bus_far.h"
#include "tests/sim/cover.h"
#include "tests/sim/model.h"
#include "tests/sim/schedule.h"
#include "tests/sim/stage.h"
#include "tests/sim/watch.h"
#include "tests/sim/world.h"

#define WAITING_BYTES_MAX 32768u /* limit of a session: beyond it deliveries are refused */
#define WINDOW            64u
#define LARGE_STORE_BYTES (64u << 20)
#define FAR_STORE_BYTES   (16u << 20)
#define HOST              (UINT64_C(1) << 60)

static alignas(8) uint8_t answer_memory[65536];

static bool send_message(void *arg, uint64_t session, const struct mr_message_plan *plan,
	uint32_t target, bool final)
{
	struct bus_session *s = bus_session_of(session);

	(void)arg;
	if (s == NULL)
		return final;
	if (!final && s->waiting_bytes > WAITING_BYTES_MAX)
		return false;
	bus_put(s, plan, target);
	model_sent(session, plan, target);
	stage_sent(session, plan);
	if ((plan->header >> 16 & 0xff) == MRF_MESSAGE_KIND_DELIVER && plan->extra != NULL &&
		schedule_has(plan->extra->delivery.queue))
		schedule_sent(plan);
	return true;
}

static bool lives(void *arg, uint64_t session)
{
	(void)arg;
	return bus_session_of(session) != NULL;
}

static uint64_t heard_ms(void *arg, uint64_t session)
{
	struct bus_session *s = bus_session_of(session);

	(void)arg;
	return s != NULL ? s->heard_ns / WORLD_MS : 0;
}

static uint32_t room(void *arg, uint64_t session)
{
	(void)arg;
	(void)session;
	return MR_FRAME_ROOM(BUS_FRAME_BYTES);
}

uint64_t bus_peer(uint64_t session)
{
	return HOST + mr_session_slot(session) % 4;
}

static uint64_t peer(void *arg, uint64_t session)
{
	(void)arg;
	return bus_peer(session);
}

static uint64_t unix_ms(void *arg)
{
	(void)arg;
	return bus_unix_ms();
}

static const struct mr_queue_ops ops = {
	.send = send_message,
	.lives = lives,
	.heard_ms = heard_ms,
	.room = room,
	.peer = peer,
	.hold = bus_bind_hold,
	.unix_ms = unix_ms,
};

void bus_queues_open(const struct bus_settings *s)
{
	bus.config = (struct mr_queues_config){
		.worker = 0,
		.queues_max = 64,
		.per_client_max = 16,
		.window = WINDOW,
		.publishers_max = 64,
		.peer_percent = 100,
		.idle_ms = s->idle_ms,
		.message_bytes_max = 1u << 20,
		.queue = s->queue,
		.service = s->service,
		.prefetch = 10,
		.heartbeat_ms = BUS_HEARTBEAT_MS,
		.missed_max = BUS_MISSED_MAX,
		.seed = world_draw_64(),
		.ops = &ops,
		.stats = &bus.stats,
	};
	bus.store_is_large = s->store_bytes >= LARGE_STORE_BYTES;
	if (mr_slab_new(s->store_bytes, &bus.store) != 0 ||
		mr_queues_new(&bus.config, bus.store, &bus.queues) != 0)
		world_fail("no memory for queues");
	bus.far_config = bus.config;
	bus.far_config.worker = 1;
	bus.far_config.stats = &bus.far_stats;
	if (mr_slab_new(FAR_STORE_BYTES, &bus.far_store) != 0 ||
		mr_queues_new(&bus.far_config, bus.far_store, &bus.far) != 0)
		world_fail("no memory for queues");
}

uint64_t bus_queues_due_ms(void)
{
	return mr_queues_due_ms(bus.queues);
}

uint64_t bus_queues_far_due_ms(void)
{
	return mr_queues_due_ms(bus.far);
}

/* All queues are empty: only clients are counted, each once, and once more those without an account
 * of their own. */
static void check_counts(void)
{
	const struct mr_shares *s = &bus.queues->limits.accounts;
	uint64_t sum = 0;

	for (uint32_t i = 1; i < s->fresh; i++)
		sum += s->entries[i].count;
	if (sum != (uint64_t)bus.queues->clients_count + 1)
		world_fail("memory is counted for a host that has no message");
	if (bus.queues->limits.withheld.used != 0)
		world_fail("pushes are counted as waiting in an empty queue");
}

void bus_queues_close(void)
{
	check_counts();
	mr_queues_free(bus.queues);
	mr_slab_free(bus.store);
	bus.queues = NULL;
	mr_queues_free(bus.far);
	mr_slab_free(bus.far_store);
}

static struct mr_queue *queue_of(unsigned i)
{
	const char *name = model_queues[i].name;

	return mr_queue_by_name(bus.queues, MRF_QUEUE_KIND_QUEUE, name, (uint32_t)strlen(name));
}

void bus_left_before(struct bus_left *l)
{
	for (unsigned i = 0; i < model_queues_count; i++) {
		const struct mr_queue *q = queue_of(i);

		l->number[i] = q != NULL ? q->number : 0;
		l->discarded[i] = q != NULL ? q->dropped : 0;
		l->dead[i] = q != NULL ? q->dead_count : 0;
	}
}

void bus_left_after(const struct bus_left *l, uint32_t number)
{
	for (unsigned i = 0; i < model_queues_count; i++) {
		const struct mr_queue *q = queue_of(i);

		if (q != NULL && q->number == l->number[i])
			model_left(i, number, q->dropped - l->discarded[i],
				number != 0 ? q->dead_count - l->dead[i] : 0);
	}
}

void bus_tick(void)
{
	struct bus_left left;

	for (unsigned i = 0; i < model_queues_count; i++) {
		const struct mr_queue *q = queue_of(i);

		if (q != NULL && q->options.when_full == MRF_QUEUE_FULL_DEAD_LETTER &&
			mr_full_exceeds(q))
			model_may_leave(i);
	}
	bus_left_before(&left);
	mr_queues_tick(bus.queues, bus_now_ms());
	bus_left_after(&left, 0);
	schedule_ticked(false);
}

void bus_tick_far(void)
{
	mr_queues_tick(bus.far, bus_now_ms());
	schedule_ticked(true);
}

bool bus_queues_round(void)
{
	bool more;

	bus_tick();
	watch_all();
	watch_depths();
	more = mr_queues_run(bus.queues, bus_now_ms());
	watch_all();
	return more;
}

bool bus_queues_round_far(void)
{
	bus_tick_far();
	return mr_queues_run(bus.far, bus_now_ms());
}

/* True for a queue of the second worker. */
static bool is_far(struct mrf_string name)
{
	static const char end[] = "-far";
	size_t bytes = sizeof(end) - 1;

	return name.bytes > bytes && memcmp(name.data + name.bytes - bytes, end, bytes) == 0;
}

/* Returns the worker of a queue, by its name or its number. */
static struct mr_queues *home_of(const struct mrf_queue_command *v)
{
	bool far =
		v->verb == MRF_QUEUE_VERB_CANCEL ? mr_queue_worker(v->queue) == 1 : is_far(v->name);

	return far ? bus.far : bus.queues;
}

/* Answers a command; the table is valid until the next one. */
static struct mrf_table ask(struct mrf_queue_command v, const struct mrf_queue_options *options)
{
	static uint64_t memory[512];
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t ref;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (options != NULL)
		v.options = mrf_queue_options_write(&b, options);
	ref = mrf_queue_command_write(&b, &v);
	ref = mrf_queue_message_write(
		&b, &(struct mrf_queue_message){
			    .body_type = MRF_QUEUE_BODY_QUEUE_COMMAND, .body = ref});
	if (mrf_builder_finish(&b, ref, &out, &bytes) != 0 ||
		mrf_queue_message_parse(out, (uint32_t)bytes, &t) != 0)
		world_fail("a command makes no sense");
	mrf_builder_init(&b, answer_memory, sizeof(answer_memory));
	ref = mr_queues_command(
		home_of(&v), mrf_queue_message_body_as_queue_command(t), &b, bus_now_ms());
	ref = mrf_queue_message_write(&b,
		&(struct mrf_queue_message){.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER, .body = ref});
	if (mrf_builder_finish(&b, ref, &out, &bytes) != 0 ||
		mrf_queue_message_parse(out, (uint32_t)bytes, &t) != 0)
		world_fail("an answer to a command makes no sense");
	bus_poke();
	return mrf_queue_message_body_as_queue_answer(t);
}

static int row_of(struct mrf_table answer, struct mrf_table *row)
{
	if (row != NULL && mrf_queue_answer_code(answer) == 0)
		*row = mrf_queue_answer_rows_at(answer, 0);
	return mrf_queue_answer_code(answer);
}

int bus_command(enum mrf_queue_verb verb, enum mrf_queue_kind kind, const char *name,
	uint32_t count, struct mrf_table *row)
{
	const struct mrf_queue_command v = {
		.verb = verb, .kind = kind, .name = mrf_str(name), .count = count};

	return row_of(ask(v, NULL), row);
}

uint64_t bus_purge(const char *name)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_PURGE, .kind = MRF_QUEUE_KIND_QUEUE, .name = mrf_str(name)};
	struct mrf_table t = ask(v, NULL);

	if (mrf_queue_answer_code(t) != 0)
		world_fail("%s cannot be purged", name);
	return mrf_queue_answer_count(t);
}

int bus_unschedule(const char *name, uint64_t ticket)
{
	const struct mrf_queue_command v = {.verb = MRF_QUEUE_VERB_WITHDRAW,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(name),
		.ticket = ticket};

	return mrf_queue_answer_code(ask(v, NULL));
}

int bus_name_letters(const char *name, const char *to)
{
	const struct mrf_queue_command v = {.verb = MRF_QUEUE_VERB_EDIT,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(name),
		.edits = MRF_QUEUE_OPTION_DEAD_LETTER,
		.dead_letter = mrf_str(to)};

	return mrf_queue_answer_code(ask(v, NULL));
}

int bus_make(const char *name, const struct mrf_queue_options *options)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_OPEN, .kind = MRF_QUEUE_KIND_QUEUE, .name = mrf_str(name)};

	return mrf_queue_answer_code(ask(v, options));
}

uint64_t bus_letters_lost(void)
{
	uint64_t lost = bus.stats.drop_dead + bus.stats.drop_dead_full;

	cover_many(COVER_LETTER_NONE, bus.stats.drop_dead);
	cover_many(COVER_LETTER_FULL, bus.stats.drop_dead_full);
	for (unsigned i = 0; i < bus.queues->slots_fresh; i++) {
		const struct mr_queue *q = bus.queues->slots[i].queue;

		if (q != NULL && strncmp(q->name, "letters-", 8) == 0)
			lost += q->dropped;
	}
	return lost;
}

int bus_edit(enum mrf_queue_kind kind, const char *name, uint32_t edits,
	const struct mrf_queue_options *values, struct mrf_table *row)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_EDIT, .kind = kind, .name = mrf_str(name), .edits = edits};

	return row_of(ask(v, values), row);
}

/* Does control's part. */

static void answer(struct bus_session *s, uint32_t correlation, struct mrf_builder *b,
	enum mrf_client_body type, uint32_t body)
{
	struct mrf_client_message m = {.body_type = (uint8_t)type, .body = body};
	struct mr_message_plan plan;
	const void *data;
	size_t bytes;

	if (mrf_builder_finish(b, mrf_client_message_write(b, &m), &data, &bytes) != 0)
		world_fail("answer");
	if (world_now_ns() < bus.control_dead_until_ns) {
		cover(COVER_ANSWER_LOST);
		return;
	}
	plan = mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, data, 0, (uint32_t)bytes);
	bus_put(s, &plan, correlation);
}

static void answer_result(struct bus_session *s, uint32_t correlation, int code, const char *text)
{
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	answer(s, correlation, &b, MRF_CLIENT_BODY_RESULT,
		mrf_result_write(&b, &(struct mrf_result){.code = code, .text = mrf_str(text)}));
}

struct mrf_queue_options bus_options_of(struct mrf_table t)
{
	return (struct mrf_queue_options){
		.policy = mrf_queue_options_policy(t),
		.when_full = mrf_queue_options_when_full(t),
		.messages_max = mrf_queue_options_messages_max(t),
		.bytes_max = mrf_queue_options_bytes_max(t),
		.age_max_ms = mrf_queue_options_age_max_ms(t),
		.ack_timeout_ms = mrf_queue_options_ack_timeout_ms(t),
		.max_deliver = mrf_queue_options_max_deliver(t),
		.when_expired = mrf_queue_options_when_expired(t),
		.single_active = mrf_queue_options_single_active(t),
		.not_idempotent = mrf_queue_options_not_idempotent(t),
		.aging_ms = mrf_queue_options_aging_ms(t),
		.in_flight_per_key = mrf_queue_options_in_flight_per_key(t),
		.retry_min_ms = mrf_queue_options_retry_min_ms(t),
		.retry_max_ms = mrf_queue_options_retry_max_ms(t),
		.retry_factor = mrf_queue_options_retry_factor(t),
		.retry_jitter = mrf_queue_options_retry_jitter(t),
		.key_from = mrf_queue_options_key_from(t),
		.breaker_failures = mrf_queue_options_breaker_failures(t),
		.breaker_reset_ms = mrf_queue_options_breaker_reset_ms(t),
		.breaker_probes = mrf_queue_options_breaker_probes(t),
	};
}

static void open_queue(struct bus_session *s, uint32_t correlation,
	const struct mrf_queue_command *v, struct mrf_table options)
{
	struct mrf_queue_options o = bus_options_of(options);
	struct mrf_table t = ask(*v, &o);
	uint32_t window = mrf_queue_answer_window(t);
	struct mrf_builder b;
	uint64_t memory[64];

	if (mrf_queue_answer_code(t) != 0) {
		answer_result(s, correlation, mrf_queue_answer_code(t), "refused");
		return;
	}
	model_named(v->name.data, v->name.bytes, mrf_queue_answer_queue(t));
	stage_named(v->name, mrf_queue_answer_queue(t));
	schedule_named(v->name, mrf_queue_answer_queue(t));
	mrf_builder_init(&b, memory, sizeof(memory));
	answer(s, correlation, &b, MRF_CLIENT_BODY_QUEUE_RESPONSE,
		mrf_queue_response_write(&b,
			&(struct mrf_queue_response){
				.queue = mrf_queue_answer_queue(t),
				.window = window != 0 ? window : WINDOW,
				.waits = mrf_queue_answer_waits(t),
				.heartbeat_ms =
					v->kind == MRF_QUEUE_KIND_SERVICE ? BUS_HEARTBEAT_MS : 0,
				.missed_max = BUS_MISSED_MAX,
				.ack_timeout_ms = mrf_queue_answer_ack_timeout_ms(t),
				.max_deliver = mrf_queue_answer_max_deliver(t),
				.push_options = mrf_queue_answer_push_options(t),
				.consume_options = mrf_queue_answer_consume_options(t),
				.settle_options = mrf_queue_answer_settle_options(t),
			}));
}

static void cancel(struct bus_session *s, uint32_t correlation, struct mrf_table t)
{
	bus_tick();
	(void)ask(
		(struct mrf_queue_command){
			.verb = MRF_QUEUE_VERB_CANCEL,
			.session = s->id,
			.subscription = mrf_unsubscribe_request_subscription(t),
			.queue = mrf_unsubscribe_request_queue(t),
		},
		NULL);
	model_cancelled(s->id, mrf_unsubscribe_request_subscription(t));
	answer_result(s, correlation, 0, "");
}

static void alias(struct bus_session *s, uint32_t correlation, struct mrf_table t)
{
	struct mrf_alias_response response = {
		.alias = bus_bind_alias(mrf_alias_request_subject(t))};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	answer(s, correlation, &b, MRF_CLIENT_BODY_ALIAS_RESPONSE,
		mrf_alias_response_write(&b, &response));
}

static void withdraw(struct bus_session *s, uint32_t correlation, struct mrf_table t)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_WITHDRAW,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_cancel_request_queue(t),
		.session = s->id,
		.ticket = mrf_cancel_request_ticket(t),
	};
	int code;

	if (schedule_is_one(v.name)) {
		if (is_far(v.name))
			bus_tick_far();
		else
			bus_tick();
		code = mrf_queue_answer_code(ask(v, NULL));
		schedule_withdrawn(v.name, s->id, v.ticket, code);
	} else {
		bus_tick();
		code = mrf_queue_answer_code(ask(v, NULL));
		model_withdrawn((uint32_t)v.ticket, code);
	}
	answer_result(s, correlation, code, "");
}

/* True if the request is for a queue of the second worker. */
static bool is_for_far(struct mrf_table t)
{
	switch (mrf_client_message_body_type(t)) {
	case MRF_CLIENT_BODY_QUEUE_REQUEST:
		return is_far(mrf_queue_request_name(mrf_client_message_body(t)));
	case MRF_CLIENT_BODY_CONSUME_REQUEST:
		return is_far(mrf_consume_request_name(mrf_client_message_body(t)));
	case MRF_CLIENT_BODY_CANCEL_REQUEST:
		return is_far(mrf_cancel_request_queue(mrf_client_message_body(t)));
	case MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST:
		return mr_queue_worker(mrf_unsubscribe_request_queue(mrf_client_message_body(t))) ==
		       1;
	default: return false;
	}
}

static void request(struct bus_session *s, const struct mr_message_view *m)
{
	struct mrf_queue_command v = {.session = s->id};
	struct mrf_table t;

	if (mrf_client_message_parse(m->payload, m->payload_bytes, &t) != 0)
		world_fail("a client's request makes no sense");
	/* The first request may have been done, and its answer is lost. */
	if (world_now_ns() < bus.control_dead_until_ns && world_chance(80)) {
		cover(COVER_REQUEST_LOST);
		return;
	}
	if (!bus_far_runs() && is_for_far(t)) {
		bus_far_keep(s->id, m);
		return;
	}
	switch (mrf_client_message_body_type(t)) {
	case MRF_CLIENT_BODY_QUEUE_REQUEST:
		t = mrf_client_message_body(t);
		v.verb = MRF_QUEUE_VERB_OPEN;
		v.kind = mrf_queue_request_kind(t);
		v.name = mrf_queue_request_name(t);
		v.knows_memory = mrf_queue_request_knows_memory(t);
		v.knows_share = mrf_queue_request_knows_share(t);
		v.served = v.kind == MRF_QUEUE_KIND_SERVICE && mrf_queue_request_served(t);
		open_queue(s, m->header.target, &v, mrf_queue_request_options(t));
		break;
	case MRF_CLIENT_BODY_CONSUME_REQUEST:
		t = mrf_client_message_body(t);
		v.verb = MRF_QUEUE_VERB_CONSUME;
		v.kind = mrf_consume_request_kind(t);
		v.name = mrf_consume_request_name(t);
		v.subscription = mrf_consume_request_subscription(t);
		v.prefetch = mrf_consume_request_prefetch(t);
		v.weight = mrf_consume_request_weight(t);
		v.recalls = mrf_consume_request_recalls(t);
		v.says_handed = mrf_consume_request_says_handed(t);
		v.rate = mrf_consume_request_rate(t);
		v.prefetch_bytes = mrf_consume_request_prefetch_bytes(t);
		v.paused = mrf_consume_request_paused(t);
		open_queue(s, m->header.target, &v, mrf_consume_request_options(t));
		break;
	case MRF_CLIENT_BODY_CANCEL_REQUEST:
		withdraw(s, m->header.target, mrf_client_message_body(t));
		break;
	case MRF_CLIENT_BODY_ALIAS_REQUEST:
		alias(s, m->header.target, mrf_client_message_body(t));
		break;
	case MRF_CLIENT_BODY_ALIAS_RELEASE: answer_result(s, m->header.target, 0, ""); break;
	case MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST:
		cancel(s, m->header.target, mrf_client_message_body(t));
		break;
	default: answer_result(s, m->header.target, -EOPNOTSUPP, "not simulated");
	}
}

/* Returns the model's number of the message; the first fragment of a message has it. */
static uint32_t number_of(struct bus_session *s, const struct mr_message_view *m)
{
	uint32_t *piece = &s->piece_of[m->extra.fragment.message % BUS_PIECES];

	if (!(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT))
		return model_number(m->payload, m->payload_bytes);
	if (m->extra.fragment.offset == 0)
		*piece = model_number(m->payload, m->payload_bytes);
	return *piece;
}

static void push(struct bus_session *s, const struct mr_message_view *m)
{
	bool call = (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0;
	bool fragment = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	uint32_t number = call ? 0 : number_of(s, m);
	uint64_t before = bus.stats.pushed;
	struct bus_left left;

	bus_left_before(&left);
	if (m->header.kind == MRF_MESSAGE_KIND_PUSH_OPTIONS)
		mr_queues_push_with(bus.queues, s->id, m, bus_now_ms());
	else
		mr_queues_push(bus.queues, s->id, m, bus_now_ms());
	if (!call && fragment && m->extra.fragment.offset == 0)
		model_began(number);
	if (!call && bus.stats.pushed != before) {
		model_taken(number);
		cover(fragment ? COVER_PUSH_FRAGMENTS : COVER_PUSH);
		watch_taken(model_queue_of(number), fragment);
	}
	bus_left_after(&left, number);
	watch_all();
}

static void count_settled(const struct mrf_settlement *s, uint64_t done)
{
	static const enum cover verbs[] = {
		[MRF_SETTLE_VERB_ACK] = COVER_ACK,
		[MRF_SETTLE_VERB_ACK_UP_TO] = COVER_ACK_UP_TO,
		[MRF_SETTLE_VERB_REJECT] = COVER_REJECT,
		[MRF_SETTLE_VERB_LEAVE] = COVER_LEAVE,
		[MRF_SETTLE_VERB_RETURNED] = COVER_GIVE_BACK,
		[MRF_SETTLE_VERB_REQUEUE] = COVER_NACK,
		[MRF_SETTLE_VERB_PROGRESS] = COVER_PROGRESS,
	};
	bool ends = s->verb == MRF_SETTLE_VERB_ACK || s->verb == MRF_SETTLE_VERB_ACK_UP_TO ||
		    s->verb == MRF_SETTLE_VERB_REJECT;

	if (s->verb == MRF_SETTLE_VERB_HANDED || s->verb == MRF_SETTLE_VERB_RELEASED ||
		(ends && done == 0))
		return;
	cover(verbs[s->verb]);
	if (s->verb == MRF_SETTLE_VERB_REQUEUE && s->delay_ms > 0)
		cover(COVER_NACK_DELAY);
}

/* Dead letters of all queues, those that are discarded included. */
static uint64_t all_dead(void)
{
	return bus.stats.queue_dead + bus.stats.drop_dead + bus.stats.drop_dead_full;
}

/* An error text makes its message larger. */
static void grown(uint32_t queue)
{
	for (unsigned i = 0; i < model_queues_count; i++)
		if (model_queues[i].number == queue)
			watch_grown(i);
}

/* Settles one by one, so that the model learns each outcome. */
static void settle(struct bus_session *s, const struct mr_message_view *m)
{
	for (uint32_t at = 0; at + sizeof(struct mrf_settlement) <= m->payload_bytes;
		at += (uint32_t)sizeof(struct mrf_settlement)) {
		struct mr_message_view one = *m;
		struct mrf_settlement settlement;
		uint64_t acked, dead, lost;
		uint32_t error = model_error_of(m->headers, m->header_bytes);

		memcpy(&settlement, m->payload + at, sizeof(settlement));
		one.payload = m->payload + at;
		one.payload_bytes = (uint32_t)sizeof(settlement);
		bus_tick();
		acked = bus.stats.queue_acked;
		dead = all_dead();
		lost = bus.stats.queue_errors_lost;
		mr_queues_settle(bus.queues, s->id, &one, bus_now_ms());
		model_settled(s->id, &settlement, bus.stats.queue_acked - acked, all_dead() - dead,
			error, bus.stats.queue_errors_lost == lost);
		count_settled(&settlement, bus.stats.queue_acked - acked + all_dead() - dead);
		if (error != 0)
			grown(m->header.target);
		watch_all();
	}
}

/* Messages to the queues of a pipeline, and to those of schedules. */

static void push_of_stage(uint64_t session, const struct mr_message_view *m)
{
	bool far = mr_queue_worker(m->header.target) == 1;
	const struct mrf_worker_stats *n = far ? &bus.far_stats : &bus.stats;
	uint64_t before = n->pushed, known = n->queue_duplicates;

	mr_queues_push(far ? bus.far : bus.queues, session, m, bus_now_ms());
	stage_pushed(m, n->pushed != before);
	if (n->queue_duplicates != known)
		cover(COVER_STAGE_KNOWN);
}

static void settle_one(uint64_t session, const struct mr_message_view *m)
{
	bool far = mr_queue_worker(m->header.target) == 1;
	const struct mrf_worker_stats *n = far ? &bus.far_stats : &bus.stats;
	uint64_t acked = n->queue_acked;
	struct mrf_settlement settlement;

	memcpy(&settlement, m->payload, sizeof(settlement));
	mr_queues_settle(far ? bus.far : bus.queues, session, m, bus_now_ms());
	acked = n->queue_acked - acked;
	if (schedule_has(m->header.target))
		schedule_settled(acked);
	else
		stage_settled(session, &settlement, acked);
}

static void settle_elsewhere(uint64_t session, const struct mr_message_view *m)
{
	for (uint32_t at = 0; at + sizeof(struct mrf_settlement) <= m->payload_bytes;
		at += (uint32_t)sizeof(struct mrf_settlement)) {
		struct mr_message_view one = *m;

		one.payload = m->payload + at;
		one.payload_bytes = (uint32_t)sizeof(struct mrf_settlement);
		settle_one(session, &one);
	}
}

/* False: it is for another queue. */
static bool take_elsewhere(uint64_t session, const struct mr_message_view *m)
{
	uint32_t queue = m->header.target;
	unsigned kind = m->header.kind;

	if ((kind != MRF_MESSAGE_KIND_PUSH && kind != MRF_MESSAGE_KIND_PUSH_OPTIONS &&
		    kind != MRF_MESSAGE_KIND_SETTLE) ||
		(!stage_has(queue) && !schedule_has(queue)))
		return false;
	if (mr_queue_worker(queue) == 1 && !bus_far_runs())
		bus_far_keep(session, m);
	else if (kind == MRF_MESSAGE_KIND_SETTLE)
		settle_elsewhere(session, m);
	else if (schedule_has(queue))
		schedule_push(session, m);
	else
		push_of_stage(session, m);
	return true;
}

void bus_take_far(uint64_t session, const struct mr_message_view *m)
{
	struct bus_session *s = bus_session_of(session);

	if (m->header.kind != MRF_MESSAGE_KIND_CONTROL)
		(void)take_elsewhere(session, m);
	else if (s != NULL)
		request(s, m);
}

static void beat(struct bus_session *s)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);

	bus_put(s, &plan, 0);
}

bool bus_take(struct bus_session *s, const struct mr_message_view *m)
{
	if (take_elsewhere(s->id, m))
		return true;
	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_PUBLISH: return bus_publish(s, m);
	case MRF_MESSAGE_KIND_CONTROL: request(s, m); break;
	case MRF_MESSAGE_KIND_PUSH:
	case MRF_MESSAGE_KIND_PUSH_OPTIONS: push(s, m); break;
	case MRF_MESSAGE_KIND_SETTLE: settle(s, m); break;
	case MRF_MESSAGE_KIND_REPLY: mr_queues_reply(bus.queues, s->id, m, bus_now_ms()); break;
	case MRF_MESSAGE_KIND_PART:
	case MRF_MESSAGE_KIND_CREDIT: mr_queues_part(bus.queues, s->id, m, bus_now_ms()); break;
	case MRF_MESSAGE_KIND_BEAT: beat(s); break;
	case MRF_MESSAGE_KIND_PATH: break;
	default: world_fail("a client sent a message of kind %u", m->header.kind);
	}
	return true;
}
