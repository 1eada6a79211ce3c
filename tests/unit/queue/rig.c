/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/queue/rig.h"

static unsigned client_of(uint64_t session)
{
	return mr_session_slot(session);
}

uint64_t rig_session(unsigned client)
{
	return mr_session_id(1, client, 1000 + client);
}

static bool send(void *arg, uint64_t session, const struct mr_message_plan *plan, uint32_t target,
	bool final)
{
	struct rig *r = arg;
	unsigned client = client_of(session);
	struct mrf_message_header header;
	struct rig_sent *s;
	uint8_t *copy;

	if (!final && (r->gone[client] || (r->full[client] && r->room[client] == 0)))
		return false;
	r->room[client] -= !final && r->full[client];
	if (r->sent_count == RIG_SENT_MAX)
		r->sent_count = r->sent_seen = 0;
	if (r->message_bytes[client] != 0)
		assert_true(plan->stride <= r->message_bytes[client]);
	s = &r->sent[r->sent_count++];
	copy = malloc(plan->stride);
	mr_message_write(copy, plan, target);
	header = mr_message_header_load(copy);
	*s = (struct rig_sent){.session = session, .target = target};
	assert_true(mr_message_parse(copy, header, &s->view));
	s->body_bytes = s->view.header_bytes + s->view.payload_bytes;
	memcpy(s->body, s->view.headers,
		s->body_bytes < RIG_BODY_MAX ? s->body_bytes : RIG_BODY_MAX);
	s->view.headers = s->body;
	s->view.payload = s->body + (s->view.header_bytes < RIG_BODY_MAX ? s->view.header_bytes
									 : RIG_BODY_MAX);
	free(copy);
	return true;
}

static bool lives(void *arg, uint64_t session)
{
	struct rig *r = arg;

	return !r->gone[client_of(session)];
}

static uint64_t heard_ms(void *arg, uint64_t session)
{
	struct rig *r = arg;

	return r->heard_ms[client_of(session)];
}

static uint32_t room(void *arg, uint64_t session)
{
	const struct rig *r = arg;
	uint32_t bytes = r->message_bytes[client_of(session)];

	return bytes != 0 ? bytes : MR_MESSAGE_BYTES_MAX;
}

static uint64_t peer(void *arg, uint64_t session)
{
	const struct rig *r = arg;

	return r->peer[client_of(session)];
}

static void hold(void *arg, enum mr_queue_held what, uint64_t index, uint64_t of)
{
	struct rig *r = arg;

	(void)index;
	r->held[what] = of;
}

static uint64_t unix_ms(void *arg)
{
	const struct rig *r = arg;

	return (uint64_t)((int64_t)(RIG_UNIX_MS + r->now_ms) + r->stepped);
}

static const struct mr_queue_ops ops = {.send = send,
	.lives = lives,
	.heard_ms = heard_ms,
	.room = room,
	.peer = peer,
	.hold = hold,
	.unix_ms = unix_ms};

static const struct mrf_queue_options queue_options = {
	.policy = MRF_QUEUE_POLICY_ROUND_ROBIN,
	.when_full = MRF_QUEUE_FULL_WAIT,
	.messages_max = UINT32_MAX,
	.ack_timeout_ms = 1000,
	.max_deliver = 3,
	.breaker_failures = 65535,
	.breaker_reset_ms = 1000,
	.breaker_probes = 1,
};

static const struct mrf_queue_options service_options = {
	.policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
	.when_full = MRF_QUEUE_FULL_REFUSE,
	.messages_max = UINT32_MAX,
	.age_max_ms = 5000,
	.ack_timeout_ms = 1000,
	.max_deliver = 3,
	.breaker_failures = 3,
	.breaker_reset_ms = 500,
	.breaker_probes = 1,
};

void rig_open_store(struct rig *r, uint64_t store_bytes, void (*change)(struct mr_queues_config *c))
{
	/* Low bits soon wrap. */
	*r = (struct rig){.now_ms = UINT32_MAX - 3000ull};
	r->c = (struct mr_queues_config){
		.worker = 3,
		.queues_max = 64,
		.per_client_max = 16,
		.window = 8,
		.publishers_max = 8,
		.peer_percent = 25,
		.idle_ms = 10000,
		.message_bytes_max = 1u << 20,
		.queue = queue_options,
		.service = service_options,
		.prefetch = 10,
		.heartbeat_ms = 100,
		.missed_max = 3,
		.seed = 0x9e3779b97f4a7c15,
		.ops = &ops,
		.arg = r,
		.stats = &r->stats,
	};
	if (change != NULL)
		change(&r->c);
	r->sent = calloc(RIG_SENT_MAX, sizeof(*r->sent));
	for (unsigned i = 0; i < RIG_SESSIONS; i++)
		r->heard_ms[i] = UINT64_MAX / 2;
	assert_int_equal(mr_slab_new(store_bytes, &r->store), 0);
	assert_int_equal(mr_queues_new(&r->c, r->store, &r->queues), 0);
}

void rig_open(struct rig *r, void (*change)(struct mr_queues_config *c))
{
	rig_open_store(r, 64u << 20, change);
}

void rig_close(struct rig *r)
{
	mr_queues_free(r->queues);
	mr_slab_free(r->store);
	free(r->sent);
}

static struct mrf_table write_command(
	const struct rig *r, struct mrf_queue_command v, uint8_t *memory, size_t room)
{
	struct mrf_builder b;
	struct mrf_table message;
	const void *out;
	size_t bytes;
	uint32_t ref;

	mrf_builder_init(&b, memory, room);
	v.options = mrf_queue_options_write(&b, &r->options);
	ref = mrf_queue_command_write(&b, &v);
	ref = mrf_queue_message_write(
		&b, &(struct mrf_queue_message){
			    .body_type = MRF_QUEUE_BODY_QUEUE_COMMAND, .body = ref});
	assert_int_equal(mrf_builder_finish(&b, ref, &out, &bytes), 0);
	assert_int_equal(mrf_queue_message_parse(out, (uint32_t)bytes, &message), 0);
	return mrf_queue_message_body_as_queue_command(message);
}

static int command(struct rig *r, struct mrf_queue_command v)
{
	static uint8_t memory[2048];
	struct mrf_table t = write_command(r, v, memory, sizeof(memory));
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	uint32_t ref;

	r->options = (struct mrf_queue_options){0};
	r->dead_letter = NULL;
	mrf_builder_init(&b, r->answer, sizeof(r->answer));
	ref = mr_queues_command(r->queues, t, &b, r->now_ms);
	ref = mrf_queue_message_write(&b,
		&(struct mrf_queue_message){.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER, .body = ref});
	assert_int_equal(mrf_builder_finish(&b, ref, &out, &bytes), 0);
	assert_true(bytes <= MR_BODY_BYTES_MAX);
	assert_int_equal(mrf_queue_message_parse(out, (uint32_t)bytes, &t), 0);
	r->table = mrf_queue_message_body_as_queue_answer(t);
	r->code = mrf_queue_answer_code(r->table);
	r->queue = mrf_queue_answer_queue(r->table);
	r->count = mrf_queue_answer_count(r->table);
	return r->code;
}

int rig_command(struct rig *r, enum mrf_queue_verb verb, enum mrf_queue_kind kind, const char *name,
	unsigned client, uint32_t subscription, uint32_t prefetch)
{
	return command(r, (struct mrf_queue_command){
				  .verb = verb,
				  .kind = kind,
				  .name = mrf_str(name),
				  .session = client == 0 ? 0 : rig_session(client),
				  .subscription = subscription,
				  .prefetch = prefetch,
				  .count = prefetch,
				  .cursor = prefetch,
				  .weight = prefetch,
				  .says_handed = r->says_handed,
				  .recalls = r->recalls,
				  .served = r->served,
				  .knows_memory = r->knows,
				  .knows_share = r->knows,
				  .edits = r->edits,
				  .tag = mrf_str(r->wish.tag),
				  .rate = r->wish.rate,
				  .prefetch_bytes = r->wish.prefetch_bytes,
				  .paused = r->wish.paused,
				  .match_headers = mrf_str(r->match.headers),
				  .match_text = mrf_str(r->match.text),
				  .match_level = r->match.level,
				  .match_older_ms = r->match.older_ms,
				  .match_first = r->match.first,
				  .dead_letter = mrf_str(r->dead_letter),
				  .owner = mrf_str(r->owner),
				  .description = mrf_str(r->description),
				  .ticket = r->ticket,
				  .tags = &r->tag,
				  .tags_count = r->tag != 0,
			  });
}

uint32_t rig_make(struct rig *r, const char *name)
{
	assert_int_equal(
		rig_command(r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0), 0);
	assert_int_equal(mr_queue_worker(r->queue), 3);
	return r->queue;
}

uint32_t rig_make_service(struct rig *r, const char *name)
{
	assert_int_equal(
		rig_command(r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, name, 0, 0, 0), 0);
	return r->queue;
}

void rig_consume(struct rig *r, const char *name, unsigned client, uint32_t prefetch)
{
	assert_int_equal(rig_command(r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, name, client,
				 7, prefetch),
		0);
}

void rig_serve(struct rig *r, const char *name, unsigned client, uint32_t prefetch)
{
	assert_int_equal(rig_command(r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_SERVICE, name,
				 client, 7, prefetch),
		0);
}

struct mrf_table rig_show(struct rig *r, enum mrf_queue_kind kind, const char *name)
{
	assert_int_equal(rig_command(r, MRF_QUEUE_VERB_SHOW, kind, name, 0, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_rows_count(r->table), 1);
	r->row = mrf_queue_answer_rows_at(r->table, 0);
	return r->row;
}

static size_t length(const char *text)
{
	return text == NULL ? 0 : strlen(text);
}

/* Makes a PushOptions of a Push; the body has room for the options in front. */
static void add_options(
	struct mr_message_view *m, char *body, const struct mrf_push_options *options)
{
	const uint32_t bytes = (uint32_t)sizeof(*options);
	struct mrf_message_fragment *f = &m->extra.fragment;

	m->header.kind = MRF_MESSAGE_KIND_PUSH_OPTIONS;
	f->total_bytes += bytes;
	if (f->offset != 0) {
		f->offset += bytes;
		return;
	}
	memmove(body + bytes, body, m->header_bytes + m->payload_bytes);
	memcpy(body, options, bytes);
	m->header_bytes += bytes;
	m->payload += bytes;
}

void rig_push(struct rig *r, const struct rig_push *p)
{
	char body[MR_BODY_BYTES_MAX + sizeof(*p->options)];
	unsigned extra = p->flags & MR_MESSAGE_FLAGS_EXTRA;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH, .target = p->queue},
		.token = {.session = p->patience, .correlation = p->correlation},
		.header_bytes = (uint32_t)length(p->headers),
		.payload_bytes = (uint32_t)length(p->text),
	};

	assert_true(m.header_bytes + m.payload_bytes <= MR_BODY_BYTES_MAX);
	memcpy(body, p->headers == NULL ? "" : p->headers, m.header_bytes);
	memcpy(body + m.header_bytes, p->text, m.payload_bytes);
	m.headers = (uint8_t *)body;
	m.payload = m.headers + m.header_bytes;
	extra |= p->id != 0 ? MRF_MESSAGE_FLAG_ORIGIN : 0;
	m.extra.flags = (uint8_t)extra;
	m.extra.origin = (struct mrf_message_origin){p->publisher, p->id};
	m.extra.fragment = p->fragment;
	m.header.flags = (uint8_t)(extra | (p->correlation != 0 ? MRF_MESSAGE_FLAG_TOKEN : 0));
	if (p->options != NULL) {
		add_options(&m, body, p->options);
		mr_queues_push_with(r->queues, rig_session(p->client), &m, r->now_ms);
		return;
	}
	mr_queues_push(r->queues, rig_session(p->client), &m, r->now_ms);
}

void rig_push_run(struct rig *r, uint32_t queue, unsigned count, const char *text,
	const struct mrf_push_options *options)
{
	const struct rig_push push = {
		.queue = queue, .client = 1, .text = text, .options = options};

	for (unsigned i = 0; i < count; i++)
		rig_push(r, &push);
	rig_run(r);
}

int rig_withdraw(struct rig *r, const char *name, unsigned client, uint64_t ticket)
{
	r->ticket = ticket;
	return rig_command(r, MRF_QUEUE_VERB_WITHDRAW, MRF_QUEUE_KIND_QUEUE, name, client, 0, 0);
}

void rig_settle(struct rig *r, unsigned client, uint32_t queue, uint64_t tag,
	enum mrf_settle_verb verb, uint32_t delay_ms)
{
	struct mrf_settlement s = {.tag = tag, .delay_ms = delay_ms, .verb = (uint8_t)verb};
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = queue},
		.payload = (uint8_t *)&s,
		.payload_bytes = sizeof(s),
	};

	mr_queues_settle(r->queues, rig_session(client), &m, r->now_ms);
}

void rig_settle_run(struct rig *r, unsigned client, uint32_t queue, uint64_t tag,
	enum mrf_settle_verb verb, uint32_t delay_ms)
{
	rig_settle(r, client, queue, tag, verb, delay_ms);
	rig_run(r);
}

void rig_ack(struct rig *r, unsigned client, uint32_t queue, const char *text)
{
	rig_settle_run(r, client, queue, rig_expect(r, client, text), MRF_SETTLE_VERB_ACK, 0);
}

void rig_settle_with(struct rig *r, unsigned client, uint32_t queue,
	const struct mrf_settlement *settlement, const char *headers)
{
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = queue},
		.headers = (const uint8_t *)headers,
		.header_bytes = (uint32_t)length(headers),
		.payload = (const uint8_t *)settlement,
		.payload_bytes = sizeof(*settlement),
	};

	mr_queues_settle(r->queues, rig_session(client), &m, r->now_ms);
}

static struct mr_message_view of_call(
	enum mrf_message_kind kind, uint32_t queue, uint64_t tag, bool more, const char *text)
{
	return (struct mr_message_view){
		.header = {.kind = (uint8_t)kind,
			.target = queue,
			.flags = (uint8_t)(MRF_MESSAGE_FLAG_TOKEN |
					   (more ? MRF_MESSAGE_FLAG_MORE : 0u))},
		.token = {.session = tag},
		.extra = {.flags = more ? MRF_MESSAGE_FLAG_MORE : 0},
		.headers = (const uint8_t *)text,
		.payload = (const uint8_t *)text,
		.payload_bytes = (uint32_t)length(text),
	};
}

void rig_reply(
	struct rig *r, unsigned client, uint32_t queue, uint64_t tag, bool more, const char *text)
{
	struct mr_message_view m = of_call(MRF_MESSAGE_KIND_REPLY, queue, tag, more, text);

	mr_queues_reply(r->queues, rig_session(client), &m, r->now_ms);
}

void rig_part(struct rig *r, unsigned client, enum mrf_message_kind kind, uint32_t queue,
	uint64_t tag, bool more, const char *text)
{
	struct mr_message_view m = of_call(kind, queue, tag, more, text);

	mr_queues_part(r->queues, rig_session(client), &m, r->now_ms);
}

void rig_run(struct rig *r)
{
	for (unsigned i = 0; mr_queues_run(r->queues, r->now_ms); i++)
		assert_true(i < 100000);
}

void rig_pass(struct rig *r, uint64_t ms)
{
	uint64_t end = r->now_ms + ms;

	while (r->now_ms < end) {
		uint64_t due = mr_queues_due_ms(r->queues);

		r->now_ms = due > end ? end : due > r->now_ms ? due : r->now_ms + 1;
		mr_queues_tick(r->queues, r->now_ms);
		rig_run(r);
	}
}

static bool matches(const struct rig_sent *s, unsigned client, enum mrf_message_kind kind)
{
	return !s->taken && s->session == rig_session(client) && s->view.header.kind == kind;
}

struct rig_sent *rig_take(struct rig *r, unsigned client, enum mrf_message_kind kind)
{
	for (uint32_t i = r->sent_seen; i < r->sent_count; i++)
		if (matches(&r->sent[i], client, kind)) {
			r->sent[i].taken = true;
			while (r->sent_seen < r->sent_count && r->sent[r->sent_seen].taken)
				r->sent_seen++;
			return &r->sent[i];
		}
	return NULL;
}

void rig_sent_forget(struct rig *r)
{
	r->sent_count = r->sent_seen = 0;
}

unsigned rig_count(struct rig *r, unsigned client, enum mrf_message_kind kind)
{
	unsigned count = 0;

	for (uint32_t i = r->sent_seen; i < r->sent_count; i++)
		count += matches(&r->sent[i], client, kind);
	return count;
}

uint64_t rig_expect(struct rig *r, unsigned client, const char *text)
{
	struct rig_sent *s = rig_take(r, client, MRF_MESSAGE_KIND_DELIVER);

	assert_non_null(s);
	assert_int_equal(s->view.payload_bytes, length(text));
	assert_memory_equal(s->view.payload, text, length(text));
	return s->view.extra.delivery.tag;
}

void rig_expect_none(struct rig *r, unsigned client)
{
	assert_int_equal(rig_count(r, client, MRF_MESSAGE_KIND_DELIVER), 0);
}

void rig_expect_accepted(
	struct rig *r, unsigned client, uint64_t first, uint32_t count, enum mrf_status_code status)
{
	struct rig_sent *s = rig_take(r, client, MRF_MESSAGE_KIND_ACCEPTED);
	struct mrf_accepted_range range;

	assert_non_null(s);
	assert_int_equal(s->view.payload_bytes, sizeof(range));
	memcpy(&range, s->view.payload, sizeof(range));
	assert_int_equal(range.first, first);
	assert_int_equal(range.count, count);
	assert_int_equal(range.status, status);
}

void rig_expect_status(struct rig *r, unsigned client, uint64_t correlation, uint32_t status)
{
	struct rig_sent *s = rig_take(r, client, MRF_MESSAGE_KIND_STATUS);

	assert_non_null(s);
	assert_int_equal(s->target, status);
	assert_int_equal(s->view.token.correlation, correlation);
}
