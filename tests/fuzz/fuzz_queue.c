/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_queue: the queues of a worker under any sequence of messages, commands, deaths and time.
 *
 * Input: steps of an operation byte, four bytes of arguments and, for messages, a length and that
 * many bytes of body. Tags are mostly recent ones. At the end all clients leave and all queues are
 * deleted: no byte of the store may be in use.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/queue/queue.h"
#include "lib/base/share.h"
#include "flatbuf/stats.h"

#define CLIENTS   4u
#define TAGS      16u
#define STEPS_MAX 2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct input {
	const uint8_t *at;
	size_t left;
};

struct world {
	struct mr_slab *store;
	struct mr_queues *queues;
	struct mrf_worker_stats stats;
	uint64_t now_ms;
	uint64_t unix_ms;    /* a clock of its own, which steps */
	uint32_t numbers[5]; /* numbers of the queues below */
	uint64_t tags[TAGS];
	unsigned tags_next;
	bool gone[CLIENTS];
	bool full[CLIENTS];
	uint32_t cursor; /* of a PurgeOlder that is to go on; with a wrong bit at times */
};

static const struct {
	const char *name;
	enum mrf_queue_kind kind;
} names[] = {
	{"work", MRF_QUEUE_KIND_QUEUE}, {"work.dead", MRF_QUEUE_KIND_QUEUE},
	{"echo", MRF_QUEUE_KIND_SERVICE}, {"other", MRF_QUEUE_KIND_QUEUE},
	{"third", MRF_QUEUE_KIND_QUEUE}, /* made as a place for dead letters */
};

static uint64_t session(unsigned client)
{
	return mr_session_id(0, client % CLIENTS, 7);
}

/* Room of a session; some have only that of the smallest frame. */
static uint32_t room(void *arg, uint64_t id)
{
	(void)arg;
	return mr_session_slot(id) % 2 == 1 ? 1176 : MR_MESSAGE_BYTES_MAX;
}

static bool send(
	void *arg, uint64_t to, const struct mr_message_plan *plan, uint32_t target, bool final)
{
	static alignas(8) uint8_t memory[MR_MESSAGE_BYTES_MAX + 8];
	struct world *w = arg;
	unsigned client = mr_session_slot(to) % CLIENTS;
	struct mr_message_view m;

	if (!final && (w->full[client] || w->gone[client]))
		return false;
	expect(plan->bytes <= MR_MESSAGE_BYTES_MAX);
	mr_message_write(memory, plan, target);
	expect(mr_message_parse(memory, mr_message_header_load(memory), &m));
	if (m.header.kind == MRF_MESSAGE_KIND_DELIVER)
		w->tags[w->tags_next++ % TAGS] = m.extra.delivery.tag;
	return true;
}

static bool lives(void *arg, uint64_t id)
{
	return !((struct world *)arg)->gone[mr_session_slot(id) % CLIENTS];
}

static uint64_t heard_ms(void *arg, uint64_t id)
{
	struct world *w = arg;

	return mr_session_slot(id) == 3 ? 0 : w->now_ms;
}

static uint64_t unix_ms(void *arg)
{
	return ((struct world *)arg)->unix_ms;
}

/* Two clients are root's, two of one user. */
static uint64_t peer(void *arg, uint64_t id)
{
	(void)arg;
	return mr_session_slot(id) % CLIENTS < 2 ? MR_PEER_OWN : mr_peer_of_user(1000, 0);
}

static const struct mr_queue_ops ops = {.send = send,
	.lives = lives,
	.heard_ms = heard_ms,
	.room = room,
	.unix_ms = unix_ms,
	.peer = peer};

static void open_world(struct world *w)
{
	const struct mrf_queue_options options = {
		.policy = MRF_QUEUE_POLICY_LEAST_OUTSTANDING,
		.when_full = MRF_QUEUE_FULL_WAIT,
		.messages_max = 6,
		.bytes_max = 100000,
		.age_max_ms = 3000,
		.ack_timeout_ms = 100,
		.max_deliver = 3,
		.breaker_failures = 2,
		.breaker_reset_ms = 50,
		.breaker_probes = 1,
		.retry_min_ms = 3,
		.retry_jitter = 50,
	};
	struct mr_queues_config c = {
		.queues_max = 5,
		.per_client_max = 3,
		.window = 4,
		.publishers_max = 2,
		.idle_ms = 5000,
		.message_bytes_max = 3000,
		.peer_percent = 50,
		.queue = options,
		.service = options,
		.prefetch = 2,
		.heartbeat_ms = 100,
		.missed_max = 3,
		.seed = 1,
		.ops = &ops,
		.arg = w,
		.stats = &w->stats,
	};

	memset(w, 0, sizeof(*w));
	w->now_ms = 1000;
	w->unix_ms = 1790000000000;
	expect(mr_slab_new(4u << 20, &w->store) == 0);
	expect(mr_queues_new(&c, w->store, &w->queues) == 0);
}

#define EDITED      (MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY | MRF_QUEUE_OPTION_AGE_MAX)
#define MR_RETRY_MS 86400000u
#define FAILED                                                                                     \
	(MRF_QUEUE_OPTION_RETRY_MIN | MRF_QUEUE_OPTION_RETRY_MAX | MRF_QUEUE_OPTION_RETRY_FACTOR | \
		MRF_QUEUE_OPTION_RETRY_JITTER | MRF_QUEUE_OPTION_MAX_DELIVER |                     \
		MRF_QUEUE_OPTION_WHEN_EXPIRED)
#define KEYED (MRF_QUEUE_OPTION_POLICY | MRF_QUEUE_OPTION_KEY_FROM)
#define ABOUT (MRF_QUEUE_OPTION_OWNER | MRF_QUEUE_OPTION_DESCRIPTION)

/* Options of a client that opens or consumes; few of these are good. */
static uint32_t any_options(struct mrf_builder *b, unsigned number)
{
	static const uint64_t values[] = {0, 1, 9, 250, 65535, INT32_MAX, UINT32_MAX, UINT64_MAX};
	uint64_t some = values[number / 2 % 8], other = values[number / 4 % 8];

	return mrf_queue_options_write(
		b, &(struct mrf_queue_options){
			   .policy = (uint8_t)(number / 8 % 9),
			   .when_full = (uint8_t)(number / 4 % 6),
			   .when_expired = (uint8_t)(number % 4),
			   .single_active = (uint8_t)(number / 2 % 4),
			   .messages_max = some,
			   .bytes_max = other,
			   .age_max_ms = (uint32_t)other,
			   .ack_timeout_ms = (uint32_t)some,
			   .max_deliver = (uint16_t)other,
			   .aging_ms = (uint32_t)some,
			   .in_flight_per_key = (uint16_t)other,
			   .breaker_failures = (uint16_t)some,
			   .breaker_reset_ms = (uint32_t)other,
			   .breaker_probes = (uint16_t)some,
			   .retry_min_ms = (uint32_t)(number & 1 ? some : 0),
			   .retry_max_ms = (uint32_t)(number & 1 ? other : 0),
			   .retry_factor = (uint16_t)(number & 1 ? some : 0),
		   });
}

/* One queue goes by keys; edits change that, and limits. */
static uint32_t options_of(struct mrf_builder *b, unsigned verb, unsigned which, unsigned number)
{
	static const char *const from[] = {"token 2", "header A", "header ", ""};
	static const uint32_t attempts[] = {0, 1, 1000, MR_RETRY_MS};
	struct mrf_queue_options o = {.policy = MRF_QUEUE_POLICY_KEY_SHARED};

	if (number >= 192 && verb <= MRF_QUEUE_VERB_CONSUME)
		return any_options(b, number);
	if (verb == MRF_QUEUE_VERB_EDIT)
		o = (struct mrf_queue_options){
			.policy =
				number & 8 ? MRF_QUEUE_POLICY_RANDOM : MRF_QUEUE_POLICY_KEY_SHARED,
			.in_flight_per_key = (uint16_t)(number % 5),
			.age_max_ms = number % 3 * 500u,
			.key_from = mrf_str(from[number / 16 % 4]),
			.when_full = (uint8_t)(number % 6),
			.messages_max = number % 8,
			.bytes_max = number * 16ull,
			.aging_ms = number / 2,
			.single_active = (uint8_t)(number / 8 % 3),
			.when_expired = (uint8_t)(number / 4 % 3),
			.retry_min_ms = attempts[number / 8 % 4],
			.retry_max_ms = attempts[number / 16 % 4],
			.retry_factor = (uint16_t)(number * 64),
			.retry_jitter = (uint8_t)(number / 2),
			.max_deliver = (uint16_t)(number % 16),
		};
	else if (which != 3)
		return 0;
	return mrf_queue_options_write(b, &o);
}

/* Returns a text for people: absent, empty, good, with a control character, or too long. */
static struct mrf_string about(unsigned number)
{
	static char text[256];

	memset(text, 'x', sizeof(text));
	if (number % 5 == 3)
		text[1] = '\n';
	return mrf_str_n(text, number % 5 == 4 ? number : number % 5 * 8);
}

/* Returns an age that some messages have. PurgeOlder without one takes all. */
static uint64_t age(unsigned verb, unsigned number)
{
	if (verb == MRF_QUEUE_VERB_PURGE_OLDER)
		return number == 255 ? UINT64_MAX : number / 4 * 4u;
	return number % 16 == 12 ? number : 0;
}

/* `which`: an index of names. */
static int command(struct world *w, unsigned verb, unsigned which, unsigned client, unsigned number)
{
	static alignas(8) uint8_t question[1024], answer[65536];
	static const char *const dead[] = {
		"other", "work", "none", "default", "third", "bad..name"};
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t ref;

	mrf_builder_init(&b, question, sizeof(question));
	ref = options_of(&b, verb, which, number);
	ref = mrf_queue_command_write(&b,
		&(struct mrf_queue_command){
			.verb = (uint8_t)verb,
			.kind = (uint8_t)names[which].kind,
			.name = mrf_str(names[which].name),
			.session = session(client),
			.subscription = number % 4,
			.prefetch = number % 8,
			.weight = number,
			.count = number,
			.ticket = number % 8,
			.options = ref,
			.tag = mrf_str(number & 2 ? "tag" : ""),
			.tags = w->tags,
			.tags_count = verb == MRF_QUEUE_VERB_DETAILS ? TAGS : 0,
			.match_headers = mrf_str(number & 16 ? "A:b\n:\nC" : ""),
			.match_text = mrf_str(number & 32 ? "x" : ""),
			.match_level = number & 64 ? number % 12 : 0,
			.match_first = number & 128 ? number % 4 : 0,
			.match_older_ms = age(verb, number),
			.cursor = verb == MRF_QUEUE_VERB_PURGE_OLDER ? w->cursor : 0,
			.owner = about(number),
			.description = about(number / 2),
			.knows_memory = number & 1,
			.knows_share = number & 2,
			.served = number % 16 == 9,
			.lookup = number % 16 == 10,
			.rate = number % 32 == 31 ? number : 0,
			.prefetch_bytes = number % 16 == 15 ? number : 0,
			.paused = number % 16 == 14,
			.dead_letter = mrf_str(dead[number / 8 % 6]),
			.edits = number % 8 == 7   ? KEYED
				 : number % 8 == 6 ? FAILED
				 : number % 8 == 5 ? (uint32_t)MRF_QUEUE_OPTION_DEAD_LETTER
				 : number % 8 == 4 ? (uint32_t)MRF_QUEUE_OPTION_SINGLE_ACTIVE
				 : number % 8 == 3 ? ABOUT
				 : which == 3      ? EDITED
						   : MRF_QUEUE_OPTION_WHEN_FULL |
							MRF_QUEUE_OPTION_MESSAGES_MAX |
							MRF_QUEUE_OPTION_BYTES_MAX |
							(names[which].kind == MRF_QUEUE_KIND_QUEUE
									? MRF_QUEUE_OPTION_AGING
									: 0u),
		});
	ref = mrf_queue_message_write(
		&b, &(struct mrf_queue_message){
			    .body_type = MRF_QUEUE_BODY_QUEUE_COMMAND, .body = ref});
	expect(mrf_builder_finish(&b, ref, &out, &bytes) == 0);
	expect(mrf_queue_message_parse(out, (uint32_t)bytes, &t) == 0);
	mrf_builder_init(&b, answer, sizeof(answer));
	ref = mr_queues_command(
		w->queues, mrf_queue_message_body_as_queue_command(t), &b, w->now_ms);
	ref = mrf_queue_message_write(&b,
		&(struct mrf_queue_message){.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER, .body = ref});
	expect(mrf_builder_finish(&b, ref, &out, &bytes) == 0 && bytes <= MR_BODY_BYTES_MAX);
	expect(mrf_queue_message_parse(out, (uint32_t)bytes, &t) == 0);
	t = mrf_queue_message_body_as_queue_answer(t);
	if (verb == MRF_QUEUE_VERB_PURGE_OLDER)
		w->cursor = mrf_queue_answer_looked(t) ^ (number & 1);
	if (mrf_queue_answer_queue(t) != 0)
		w->numbers[which] = mrf_queue_answer_queue(t);
	return mrf_queue_answer_code(t);
}

static void pass(struct world *w, unsigned ms)
{
	for (; ms > 0; ms--) {
		w->now_ms++;
		if (mr_queues_due_ms(w->queues) <= w->now_ms)
			mr_queues_tick(w->queues, w->now_ms);
		for (unsigned i = 0; mr_queues_run(w->queues, w->now_ms); i++)
			expect(i < 10000);
	}
}

static uint8_t byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* Copies the body to memory of its own, so that a read past its end is seen. */
static uint8_t *take_body(struct input *in, struct mr_message_view *m)
{
	uint32_t bytes = byte(in) * 8u, header_bytes = byte(in);
	uint8_t *body;

	bytes = bytes <= in->left ? bytes : (uint32_t)in->left;
	header_bytes = header_bytes <= bytes ? header_bytes : bytes;
	body = malloc(bytes + 1);
	expect(body != NULL);
	memcpy(body, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	m->headers = body;
	m->header_bytes = header_bytes;
	m->payload = body + header_bytes;
	m->payload_bytes = bytes - header_bytes;
	return body;
}

/* Puts options in front of the body, most of them good, and pushes it. Cron has its header. */
static void push_options(struct world *w, unsigned client, struct mr_message_view *m, unsigned sort)
{
	const struct mrf_push_options options = {
		.ttl_ms = sort % 4 == 0 ? 0 : sort * 8u,
		.delay_ms = sort & 8 ? sort * 5u : 0,
		.at_ms = sort & 16 ? w->unix_ms + sort * 64u - 4096 : 0,
		.key = sort % 3,
		.priority = sort % 13,
		.repeat = sort >> 4 == 5 ? sort % 4 : 0,
		.ticket_high = sort == 255,
		.ticket_low = sort & 32 ? sort % 8 : 0,
	};
	static const char cron[] = "NATS/1.0\r\nMillrace-Cron: */7 * * * *\r\n\r\n";
	uint32_t bytes = m->header_bytes + m->payload_bytes, front = sizeof(options), more = 0;
	uint8_t *body;

	if (m->extra.fragment.offset != 0 && (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT))
		front = 0;
	if (sort == 254)
		front /= 2;
	if (options.repeat == MRF_PUSH_REPEAT_CRON && (sort & 64) != 0)
		more = sizeof(cron) - 1;
	body = malloc(bytes + front + more + 1);
	expect(body != NULL);
	memcpy(body, &options, front);
	memcpy(body + front, cron, more);
	memcpy(body + front + more, m->headers, bytes);
	m->header.kind = MRF_MESSAGE_KIND_PUSH_OPTIONS;
	m->headers = body;
	m->header_bytes += front + more;
	m->payload = body + m->header_bytes;
	mr_queues_push_with(w->queues, session(client), m, w->now_ms);
	free(body);
}

/* Makes a publish for a bound queue of a push. */
static void publish(struct world *w, unsigned client, const struct mr_message_view *push)
{
	const uint8_t flags = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_FRAGMENT |
			      MRF_MESSAGE_FLAG_LOW | MRF_MESSAGE_FLAG_HIGH;
	struct mr_message_view m = *push;

	m.header.flags &= flags;
	m.extra.flags &= flags;
	m.subject = (const uint8_t *)"orders.eu";
	m.subject_bytes = 1 + client % 9;
	mr_queues_publish(w->queues, session(client), &m, w->now_ms);
}

static void message(struct world *w, struct input *in, unsigned operation, const uint8_t a[4])
{
	const uint8_t kinds[] = {MRF_MESSAGE_KIND_PUSH, MRF_MESSAGE_KIND_REPLY,
		MRF_MESSAGE_KIND_PART, MRF_MESSAGE_KIND_CREDIT};
	uint64_t tag = a[3] & 0x80 ? a[3] : w->tags[a[3] % TAGS];
	uint8_t kind = kinds[operation % 4];
	struct mr_message_view m = {
		.header = {.kind = kind,
			.target = w->numbers[a[0] % 4],
			.flags = a[2] & mr_message_client_flags(kind)},
		.token = {.session = tag, .correlation = a[3]},
	};
	uint8_t *body = take_body(in, &m);

	m.extra.flags = m.header.flags & MR_MESSAGE_FLAGS_EXTRA;
	m.extra.origin = (struct mrf_message_origin){a[3] % 4, a[3] / 4};
	m.extra.fragment.session = session(a[1]);
	m.extra.fragment.message = a[3] % 4;
	m.extra.fragment.total_bytes = byte(in) * 16u;
	m.extra.fragment.offset = byte(in) * 8u;
	if (kind == MRF_MESSAGE_KIND_PUSH && (a[1] & 0x80)) {
		push_options(w, a[1], &m, a[3]);
		free(body);
		return;
	}
	switch (kind) {
	case MRF_MESSAGE_KIND_PUSH:
		if (a[1] & 0x40)
			publish(w, a[1], &m);
		else
			mr_queues_push(w->queues, session(a[1]), &m, w->now_ms);
		break;
	case MRF_MESSAGE_KIND_REPLY:
		mr_queues_reply(w->queues, session(a[1]), &m, w->now_ms);
		break;
	default: mr_queues_part(w->queues, session(a[1]), &m, w->now_ms); break;
	}
	free(body);
}

/* Settles, with a header block half of the time: an error text, whatever bytes it has. */
static void settle(struct world *w, struct input *in, const uint8_t a[4])
{
	static const char start[] = "NATS/1.0\r\nMillrace-Error: ";
	uint32_t bytes = 0;
	uint8_t *block = NULL;

	struct mrf_settlement s[8];
	uint32_t count = 1 + (a[1] >> 2) % 8;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = w->numbers[a[0] % 4]},
		.payload = (const uint8_t *)s,
		.payload_bytes = count * (uint32_t)sizeof(s[0]),
	};

	for (uint32_t i = 0; i < count; i++)
		s[i] = (struct mrf_settlement){.tag = w->tags[(a[2] + i) % TAGS] + (a[2] >> 6),
			.verb = (uint8_t)(a[3] + i * (a[3] >> 6)) % 9,
			.delay_ms = a[3],
			.fallback = a[1] >> 7};
	if (a[1] & 0x40) { /* memory of its own size, so that a read past its end is seen */
		uint32_t more = byte(in) * 2u;

		bytes = a[1] & 0x20 ? (uint32_t)sizeof(start) - 1 : 0;
		block = malloc(bytes + more + 1);
		expect(block != NULL);
		memcpy(block, start, bytes);
		while (more-- > 0)
			block[bytes++] = byte(in);
		m.headers = block;
		m.header_bytes = bytes;
	}
	mr_queues_settle(w->queues, session(a[1]), &m, w->now_ms);
	free(block);
}

static void step(struct world *w, struct input *in)
{
	unsigned operation = byte(in);
	uint8_t a[4] = {byte(in), byte(in), byte(in), byte(in)};

	if (operation < 110)
		message(w, in, operation % 3 == 0 ? operation : 0, a);
	else if (operation < 160)
		settle(w, in, a);
	else if (operation < 200)
		(void)command(w, a[2] % (MRF_QUEUE_VERB_PURGE_OLDER + 2), a[0] % 4, a[1], a[3]);
	else if (operation < 210)
		w->full[a[0] % CLIENTS] = !w->full[a[0] % CLIENTS];
	else if (operation < 220)
		w->gone[a[0] % CLIENTS] = !w->gone[a[0] % CLIENTS];
	else if (operation == 220)
		mr_queues_bind(w->queues, w->numbers[a[0] % 4], a[1] % 3);
	else if (operation == 221)
		w->unix_ms += ((uint64_t)a[0] * 1000 - 100000) * (a[1] & 1 ? 3600 : 1);
	else if (operation < 225)
		mr_queues_undelivered(w->queues, w->tags[a[0] % TAGS], w->now_ms);
	else
		pass(w, a[0]);
	(void)mr_queues_run(w->queues, w->now_ms);
}

static void leave(struct world *w)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		w->gone[i] = true;
	pass(w, 100);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(names); i++)
		mr_queues_bind(w->queues, w->numbers[i], 0);
	/* A place of dead letters goes after the queues that send there. */
	for (unsigned i = 0; i < MR_ARRAY_COUNT(names) * MR_ARRAY_COUNT(names); i++)
		(void)command(w, MRF_QUEUE_VERB_DELETE, i % MR_ARRAY_COUNT(names), 0, 0);
	pass(w, 100);
	expect(mr_slab_bytes(w->store) == 0);
	mr_queues_free(w->queues);
	mr_slab_free(w->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct input in = {data, size};

	open_world(&w);
	for (unsigned i = 0; i < 4; i++)
		(void)command(&w, i == 1 ? MRF_QUEUE_VERB_SHOW : MRF_QUEUE_VERB_CONSUME, i, i, 1);
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		step(&w, &in);
	leave(&w);
	return 0;
}
