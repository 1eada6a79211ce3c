/* SPDX-License-Identifier: Apache-2.0 */
#include "client/queue/queue.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/queue/handover.h"
#include "client/queue/push_options.h"
#include "lib/wire/priority.h"
#include "lib/wire/queue_key.h"

#define WINDOW_DEFAULT 1024u
#define FIND_NS        (1000 * MR_NS_PER_MS)
#define REFRESH_NS     (60000 * MR_NS_PER_MS)
/* Ids of at-least-once pushes, on the wire: the serial number of the queue's handle, and a count,
 * which the program sees. The bus's answer names only the queue and the id. */
#define OWN_ID       (1ull << 63)
#define HANDLE_SHIFT 48u
#define HANDLE_MASK  0x7fffull
#define COUNT_MASK   ((1ull << HANDLE_SHIFT) - 1)

uint32_t mr_queue_options_write(struct mrf_builder *b, const struct mr_queue_options *options,
	const char *key_from, const struct mr_queue_retry *retry)
{
	struct mrf_queue_options out = {
		.policy = mr_sized_choice(options->policy),
		.when_full = mr_sized_choice(options->when_full),
		.messages_max = options->messages_max,
		.bytes_max = options->bytes_max,
		.age_max_ms = options->age_max_ms,
		.ack_timeout_ms = options->ack_timeout_ms,
		.max_deliver = options->max_deliver,
		.not_idempotent = options->not_idempotent,
		.breaker_failures = options->breaker_failures,
		.breaker_reset_ms = options->breaker_reset_ms,
		.breaker_probes = options->breaker_probes,
		.when_expired = options->when_expired,
		.aging_ms = options->aging_s * 1000u,
		.single_active = options->single_active,
		.in_flight_per_key = options->in_flight_per_key,
		.retry_min_ms = retry->min_ms,
		.retry_max_ms = retry->max_ms,
		.retry_factor = retry->factor,
		.retry_jitter = retry->jitter,
	};

	if (key_from[0] != '\0')
		out.key_from = mrf_str(key_from);

	return mrf_queue_options_write(b, &out);
}

uint32_t mr_queue_encode(const struct mr_queue *q, uint8_t *to, uint32_t room)
{
	struct mrf_queue_request request = {
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(q->name),
		.knows_memory = true,
		.knows_share = true,
		.dead_letter = mr_queue_dead_letter_field(q->dead_letter),
	};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	request.options = mr_queue_options_write(&b, &q->options, q->key_from, &q->retry);
	return mr_control_request_encode(
		&b, MRF_CLIENT_BODY_QUEUE_REQUEST, mrf_queue_request_write(&b, &request), to, room);
}

struct mr_queue *mr_queue_find(const struct mr_client *c, uint32_t serial)
{
	struct mr_queue *q = c->queues;

	while (q != NULL && q->serial != serial)
		q = q->next;
	return q;
}

/* True for errors that do not pass. */
static bool is_permanent(int code)
{
	return code == -EEXIST || code == -EACCES || code == -EINVAL || code == -ENOENT;
}

int mr_queue_opened(struct mr_queue *q, const struct mr_control_answer *a)
{
	if (a->code == 0 && a->queue != 0) {
		if (a->window != 0)
			q->box.window = a->window;
		q->box.unlimited_tries = a->waits;
		q->box.push_options = a->push_options;
		mr_outbox_target(&q->box, a->queue, 0);
		return 0;
	}
	if (a->code == -ENOTCONN)
		return a->code;
	mr_outbox_target(&q->box, 0, mr_now_ns() + FIND_NS);
	if (is_permanent(a->code))
		mr_outbox_fail(&q->box, -ENOENT);
	return a->code != 0 ? a->code : -EPROTO;
}

static void found(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_queue *q = mr_queue_find(c, object);

	(void)arg;
	if (q != NULL)
		mr_queue_opened(q, a);
}

static struct mr_queue *queue_of_box(struct mr_outbox *o)
{
	return (struct mr_queue *)o;
}
_Static_assert(offsetof(struct mr_queue, box) == 0, "a box is its queue");

static void ask(struct mr_outbox *o)
{
	struct mr_queue *q = queue_of_box(o);
	struct mr_control_request *request =
		mr_control_request_new(o->client, found, NULL, q->serial);

	if (request == NULL) {
		o->retry_ns = mr_now_ns() + FIND_NS;
		return;
	}
	request->bytes = mr_queue_encode(q, request->body, sizeof(request->body));
	mr_control_request_send(o->client, request, MR_NEVER_NS);
}

static uint64_t own_id(const struct mr_queue *q, uint64_t count)
{
	return OWN_ID | (q->serial & HANDLE_MASK) << HANDLE_SHIFT | (count & COUNT_MASK);
}

static inline uint64_t shown_id(const struct mr_queue *q, uint64_t id)
{
	return q->promise == MR_AT_LEAST_ONCE ? id & COUNT_MASK : id;
}

static void on_outcome_of_push(struct mr_outbox *o, uint64_t id, int error)
{
	struct mr_queue *q = queue_of_box(o);
	struct mr_client *c = q->client;

	if (q->on_outcome == NULL)
		return;
	if (error != 0)
		mr_failf(c, error, "queue %s: %s", q->name, mr_error_text(error));
	c->depth++;
	q->on_outcome(c, shown_id(q, id), error, q->arg);
	c->depth--;
}

static void on_outcome_of_output(struct mr_outbox *o, uint64_t publisher, uint64_t id, int error)
{
	mr_handover_outcome(queue_of_box(o), publisher, id, error);
}

/* Returns the handle that pushed this message, of several handles of one queue. An at-least-once id
 * names its handle; of the others only one has an id of a publisher open at a time. */
static struct mr_queue *find_pusher(
	const struct mr_client *c, uint32_t target, uint64_t publisher, uint64_t id)
{
	bool own = (id & OWN_ID) != 0;

	for (struct mr_queue *q = c->queues; q != NULL; q = q->next) {
		if (q->box.target != target)
			continue;
		if (own ? own_id(q, 0) == (id & ~COUNT_MASK)
			: mr_outbox_has(&q->box, publisher, id))
			return q;
	}
	return NULL;
}

static void range_accepted(struct mr_client *c, uint32_t target, struct mrf_accepted_range range)
{
	struct mr_queue *q = find_pusher(c, target, range.publisher, range.first);
	struct mrf_accepted_range one = {
		.publisher = range.publisher, .count = 1, .status = range.status};

	if (q != NULL && (range.first & OWN_ID) != 0) {
		mr_outbox_accepted(&q->box, &range);
		return;
	}
	if (range.count > MR_BODY_BYTES) {
		c->malformed++;
		return;
	}
	for (one.first = range.first; range.count-- > 0; one.first++) {
		q = find_pusher(c, target, one.publisher, one.first);
		if (q != NULL)
			mr_outbox_accepted(&q->box, &one);
		else
			c->unmatched++;
	}
}

void mr_queue_accepted(struct mr_client *c, const struct mr_message_view *m)
{
	uint32_t count = m->payload_bytes / (uint32_t)sizeof(struct mrf_accepted_range);

	if (m->header.target == 0) {
		c->malformed++;
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_accepted_range range;

		memcpy(&range, m->payload + i * sizeof(range), sizeof(range));
		range_accepted(c, m->header.target, range);
	}
}

static int open_now(struct mr_queue *q)
{
	struct mr_client *c = q->client;
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer answer;
	int error;

	ask.bytes = mr_queue_encode(q, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &answer);
	if (error != 0)
		return error;
	error = mr_queue_opened(q, &answer);
	return error != 0 ? mr_fail(c, error, "the bus answered without a queue") : 0;
}

static int queue_new(struct mr_client *c, const char *name, const struct mr_push_options *options,
	struct mr_queue **out)
{
	struct mr_queue *q = calloc(1, sizeof(*q));

	if (q == NULL || mr_outbox_init(&q->box, c, WINDOW_DEFAULT) != 0) {
		free(q);
		return mr_fail(c, -ENOMEM, NULL);
	}
	q->box.on_outcome = on_outcome_of_push;
	q->box.on_output = on_outcome_of_output;
	q->box.find_target = ask;
	q->client = c;
	q->promise = options->promise;
	if (q->promise == MR_EXACTLY_ONCE)
		q->publisher = mr_publisher_number(c, options->publisher, options->next_id);
	q->next_id = options->next_id != 0 ? options->next_id : 1;
	q->on_outcome = options->on_outcome;
	q->arg = options->arg;
	q->options = options->queue;
	mr_queue_key_from_copy(q->key_from, options->key_from);
	q->retry = options->retry;
	memcpy(q->name, name, strlen(name) + 1);
	q->asked_ns = mr_clock_ns(CLOCK_MONOTONIC_COARSE);
	q->serial = ++c->queue_serial;
	q->next = c->queues;
	c->queues = q;
	*out = q;
	return 0;
}

void mr_queue_key_from_copy(char *to, const char *key_from)
{
	to[0] = '\0';
	if (key_from != NULL)
		memcpy(to, key_from, strlen(key_from) + 1);
}

int mr_queue_options_check(struct mr_client *c, const struct mr_queue_options *options,
	const char *key_from, const struct mr_queue_retry *retry)
{
	if (options->in_flight_per_key > MR_QUEUE_IN_FLIGHT_PER_KEY_MAX)
		return mr_fail(c, -EINVAL, "in_flight_per_key: at most 250");
	if (key_from != NULL && strlen(key_from) > MR_QUEUE_KEY_FROM_MAX)
		return mr_fail(c, -EINVAL, "key_from: longer than 80 bytes");
	if (options->when_expired > MR_EXPIRED_DEAD_LETTER)
		return mr_fail(c, -EINVAL, "when_expired: unknown choice");
	if (options->single_active > MR_SINGLE_ACTIVE_YES)
		return mr_fail(c, -EINVAL, "single_active: unknown choice");
	if (retry->reserved8 != 0)
		return mr_fail(c, -EINVAL, "retry: a reserved field is not 0");
	return 0;
}

static int check(struct mr_client *c, const char *name, const struct mr_push_options *options)
{
	const char *fault = mr_name_subject_fault(name, strlen(name));

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "queue: %s", fault);
	if ((unsigned)options->promise > MR_EXACTLY_ONCE)
		return mr_fail(c, -EINVAL, "promise: unknown kind");
	return mr_queue_options_check(c, &options->queue, options->key_from, &options->retry);
}

static int open_queue(struct mr_client *c, const char *name, const struct mr_push_options *options,
	struct mr_queue **out)
{
	struct mr_queue *q = NULL;
	int error = check(c, name, options);

	if (error == 0)
		error = queue_new(c, name, options, &q);
	if (error != 0)
		return error;
	error = mr_queue_dead_letter_take(c, q->dead_letter, options->dead_letter) ?: open_now(q);
	if (error == 0)
		error = mr_queue_dead_letter_known(
			c, q->dead_letter, q->box.push_options & MRF_PUSH_OPTION_DEAD_LETTER);
	if (error != 0) {
		mr_queue_free(q);
		return error;
	}
	*out = q;
	return 0;
}

int mr_queue_open_sized(struct mr_client *c, const char *name,
	const struct mr_push_options *options, struct mr_queue **out, size_t options_bytes)
{
	static const struct mr_push_options at_least_once = MR_PUSH_OPTIONS_INIT;
	struct mr_push_options own;
	int error;

	if (c == NULL || name == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_queue_open: an argument is NULL");
	*out = NULL;
	error = mr_ready(c, true);
	if (error != 0)
		return error;
	if (options == NULL)
		return open_queue(c, name, &at_least_once, out);
	error = mr_sized_read(c, "mr_queue_open", &own, sizeof(own), options, options_bytes);
	return error != 0 ? error : open_queue(c, name, &own, out);
}

void mr_queue_free(struct mr_queue *q)
{
	struct mr_queue **at = &q->client->queues;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	mr_handovers_queue_gone(q);
	mr_outbox_fini(&q->box);
	free(q);
}

/* Within a callback the caller may still use the queue. */
void mr_queue_close(struct mr_queue *q)
{
	if (q == NULL)
		return;
	if (q->client->depth == 0) {
		mr_queue_free(q);
		return;
	}
	q->closed = true;
	q->on_outcome = NULL;
	q->client->sweep_wanted = true;
}

static void sweep(struct mr_client *c)
{
	struct mr_queue *next;

	for (struct mr_queue *q = c->queues; q != NULL; q = next) {
		next = q->next;
		if (q->closed)
			mr_queue_free(q);
	}
}

const struct mr_part mr_queue_part = {.sweep = sweep};

unsigned mr_queue_unaccepted(const struct mr_queue *q)
{
	return q != NULL ? q->box.open : 0;
}

/* Levels without a name have none. */
static const uint8_t priority_flags[MR_PRIORITY_LAST + 1] = {
	0, MRF_MESSAGE_FLAG_HIGH, MRF_MESSAGE_FLAG_LOW};

static struct mr_outgoing outgoing_of(const struct mr_queue *q, const struct mr_push *push)
{
	bool with = mr_queue_push_has_options(push);

	return (struct mr_outgoing){
		.kind = with ? MRF_MESSAGE_KIND_PUSH_OPTIONS : MRF_MESSAGE_KIND_PUSH,
		.options_bytes = with ? (uint32_t)sizeof(struct mrf_push_options) : 0,
		.target = q->box.target,
		.extra.flags = priority_flags[push->priority],
		.parts = {NULL, 0, push->headers, push->header_bytes, push->payload, push->bytes},
	};
}

/* True if the id is open already: the answers to both could not be told apart. */
static bool is_open(const struct mr_queue *q, uint64_t id, bool own)
{
	for (const struct mr_queue *other = q->client->queues; other != NULL; other = other->next) {
		if (other->promise == MR_EXACTLY_ONCE && (!own || other != q) &&
			other->box.target == q->box.target && mr_outbox_has_id(&other->box, id))
			return true;
	}
	return false;
}

struct mrf_message_origin mr_queue_own_origin(const struct mr_queue *q)
{
	struct mrf_message_origin origin = {.publisher = q->publisher, .id = q->next_id};

	if (q->promise != MR_EXACTLY_ONCE)
		origin.id = own_id(q, q->next_id);
	return origin;
}

static int find_origin(
	struct mr_queue *q, const struct mr_push *push, struct mrf_message_origin *out)
{
	bool given = push->publisher != 0 || push->id != 0;
	struct mrf_message_origin origin;

	if (mr_unlikely(q->output != NULL)) {
		*out = *q->output;
		return 0;
	}
	origin = mr_queue_own_origin(q);
	if (mr_unlikely(given)) {
		if (q->promise != MR_EXACTLY_ONCE || push->id == 0 || (push->id & OWN_ID) != 0)
			return mr_fail(q->client, -EINVAL,
				"a publisher's own id needs a queue opened with exactly once");
		origin.id = push->id;
		if (push->publisher != 0)
			origin.publisher = push->publisher;
	}
	if (q->promise == MR_EXACTLY_ONCE && is_open(q, origin.id, !given))
		return mr_fail(q->client, -EAGAIN, "a message with this id is not accepted yet");
	*out = origin;
	return 0;
}

static int add_outgoing(
	struct mr_queue *q, const struct mr_push *push, const struct mrf_message_origin *origin)
{
	struct mr_outgoing l = outgoing_of(q, push);
	int error;

	l.extra.flags |= MRF_MESSAGE_FLAG_ORIGIN;
	l.extra.origin = *origin;
	error = mr_outgoing_measure(q->client, &l);
	return error != 0 ? error : mr_outbox_add(&q->box, &l);
}

/* Only checks and measures an output. */
static int measure_output(
	struct mr_queue *q, const struct mr_push *push, const struct mrf_message_origin *origin)
{
	struct mr_outgoing l = outgoing_of(q, push);
	int error;

	l.extra.flags |= MRF_MESSAGE_FLAG_ORIGIN;
	l.extra.origin = *origin;
	error = mr_outgoing_measure(q->client, &l);
	*q->output_bytes = l.bytes;
	return error;
}

static inline int add_push(
	struct mr_queue *q, const struct mr_push *push, const struct mrf_message_origin *origin)
{
	const struct mrf_message_header h = {
		.kind = MRF_MESSAGE_KIND_PUSH,
		.flags = priority_flags[push->priority],
		.target = q->box.target,
	};

	if (mr_unlikely(!mr_outgoing_is_plain(
		    q->client, push->header_bytes, push->payload, push->bytes)))
		return add_outgoing(q, push, origin);
	return mr_outbox_add_plain(&q->box, h, *origin, push->payload, (uint32_t)push->bytes);
}

static int push_promised(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	struct mrf_message_origin origin;
	int error = find_origin(q, push, &origin);

	if (mr_unlikely(q->output_bytes != NULL))
		return error != 0 ? error : measure_output(q, push, &origin);
	if (error == 0)
		error = add_push(q, push, &origin);
	if (error != 0)
		return error;
	if (q->promise != MR_EXACTLY_ONCE)
		q->next_id += (origin.id & OWN_ID) != 0;
	else if (origin.publisher == q->publisher && origin.id >= q->next_id)
		q->next_id = origin.id + 1;
	if (id != NULL)
		*id = shown_id(q, origin.id);
	return 0;
}

/* The bus does not report that it removed an unused queue. A request for the queue from time to
 * time counts as use. */
static int push_best_effort(struct mr_queue *q, const struct mr_push *push)
{
	struct mr_outgoing l = outgoing_of(q, push);
	struct mr_client *c = q->client;
	uint64_t now_ns = mr_clock_ns(CLOCK_MONOTONIC_COARSE);
	int error;

	if (mr_unlikely(now_ns - q->asked_ns >= REFRESH_NS)) {
		q->asked_ns = now_ns;
		ask(&q->box);
	}
	if (mr_unlikely(q->box.target == 0))
		return mr_fail(c, -EAGAIN, "the queue is not open now");
	error = mr_outgoing_measure(c, &l);
	return error != 0 ? error : mr_outgoing_send(c, &l, true, false);
}

static inline int push_checked(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	if (mr_likely(q->promise != MR_BEST_EFFORT || q->output != NULL))
		return push_promised(q, push, id);
	if (id != NULL)
		*id = 0;
	return push_best_effort(q, push);
}

/* Checks that a message that repeats is one record: the bus copies it in one step. */
static int check_repeated(struct mr_queue *q, const struct mr_push *push)
{
	struct mr_outgoing l = outgoing_of(q, push);
	int error;

	l.extra.flags |= MRF_MESSAGE_FLAG_ORIGIN;
	error = mr_outgoing_measure(q->client, &l);
	return error != 0 || l.fragments == 1
		       ? error
		       : mr_fail(q->client, -EMSGSIZE,
				 "push: what repeats must not be larger than one frame");
}

static int push_with_options(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	struct mr_push_prepended with;
	int error = mr_queue_push_prepend(q, push, &with);

	if (error == 0 && (push->every_ms != 0 || push->cron != NULL))
		error = check_repeated(q, &with.push);
	if (error == 0)
		error = push_checked(q, &with.push, id);
	mr_queue_push_prepended_free(&with);
	return error;
}

/* Pushes a message whose priority is given as a level. */
static int push_level(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	struct mr_push named = *push;
	int error;

	if (push->priority < MR_PRIORITY_FIRST || push->priority > MR_PRIORITY_LAST)
		return mr_fail(q->client, -EINVAL, "no such priority");
	named.priority = (enum mr_priority)mr_priority_of_level(push->priority - MR_PRIORITY_FIRST);
	if (mr_queue_push_has_options(&named)) {
		error = mr_queue_push_check(q, &named);
		return error != 0 ? error : push_with_options(q, &named, id);
	}
	return push_checked(q, &named, id);
}

/* An output is kept while the queues are being restored: its input is of this session. */
static bool is_kept(const struct mr_queue *q)
{
	return q->output != NULL && q->client->state == MR_STATE_RESTORING;
}

static int push_any(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	struct mr_client *c = q->client;
	int error = mr_ready(c, false);

	if (mr_unlikely(error == -ENOTCONN && is_kept(q)))
		error = 0;
	if (mr_unlikely(error != 0))
		return error;
	if (mr_unlikely((unsigned)push->priority > MR_PRIORITY_LOW))
		return push_level(q, push, id);
	if (mr_unlikely(mr_queue_push_has_options(push))) {
		error = mr_queue_push_check(q, push);
		if (error != 0)
			return error;
	}
	return mr_unlikely(mr_queue_push_has_options(push)) ? push_with_options(q, push, id)
							    : push_checked(q, push, id);
}

/* Pushes with a short way for the most frequent kind: to be accepted at least once, and simple. */
static inline int push_one(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	const struct mrf_message_origin origin = {
		.publisher = q->publisher, .id = own_id(q, q->next_id)};
	int error;

	if (mr_unlikely(q->promise != MR_AT_LEAST_ONCE || q->output != NULL ||
			!mr_queue_push_is_simple(push) || mr_ready(q->client, false) != 0))
		return push_any(q, push, id);
	error = add_push(q, push, &origin);
	if (mr_unlikely(error != 0))
		return error;
	q->next_id++;
	if (id != NULL)
		*id = origin.id & COUNT_MASK;
	return 0;
}

int mr_queue_measure_output(struct mr_queue *q, const struct mr_push *push,
	const struct mrf_message_origin *origin, uint64_t *bytes)
{
	int error;

	q->output = origin;
	q->output_bytes = bytes;
	error = push_any(q, push, NULL);
	q->output_bytes = NULL;
	q->output = NULL;
	return error;
}

int mr_queue_push_output(
	struct mr_queue *q, const struct mr_push *push, const struct mrf_message_origin *origin)
{
	int error;

	q->output = origin;
	error = push_any(q, push, NULL);
	q->output = NULL;
	if (error == 0)
		mr_outbox_mark_output(&q->box);
	return error;
}

int mr_push_with_sized(
	struct mr_queue *q, const struct mr_push *push, uint64_t *id, size_t push_bytes)
{
	struct mr_push own;
	int error;

	if (mr_unlikely(q == NULL || push == NULL))
		return mr_fail(q != NULL ? q->client : NULL, -EINVAL,
			"mr_push_with: the queue or the push is NULL");
	if (mr_likely(push_bytes == sizeof(own)))
		return push_one(q, push, id);
	error = mr_sized_read(q->client, "mr_push_with", &own, sizeof(own), push, push_bytes);
	return error != 0 ? error : push_one(q, &own, id);
}

/* Defers the messages that arrive meanwhile, but for the bus's answers to pushes. */
static int wait_for_room(struct mr_client *c, struct mr_wait_limit *p)
{
	unsigned handled;
	int error = 0;

	c->depth++;
	handled = mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
	if (c->eof || c->state == MR_STATE_LOST)
		error = mr_ring_out_refused(c);
	else if (handled == 0)
		error = mr_pause(c, p);
	c->depth--;
	return error == -ETIMEDOUT ? mr_fail(c, error, "the bus did not accept the message in time")
				   : error;
}

int mr_push(struct mr_queue *q, const void *payload, size_t bytes)
{
	struct mr_push push = {.payload = payload, .bytes = bytes};
	struct mr_wait_limit p;
	struct mr_client *c;
	int error;

	if (mr_unlikely(q == NULL))
		return mr_fail(NULL, -EINVAL, "mr_push: the queue is NULL");
	c = q->client;
	error = push_one(q, &push, NULL);
	if (mr_unlikely(error == -ENOTCONN)) {
		error = mr_ready(c, true);
		if (error == 0)
			error = push_one(q, &push, NULL);
	}
	if (mr_likely(error != -EAGAIN))
		return error;
	error = mr_begin(c, true);
	if (error != 0)
		return error;
	mr_wait_limit_init(&p, c, c->options.request_timeout_ms);
	while ((error = push_one(q, &push, NULL)) == -EAGAIN) {
		error = wait_for_room(c, &p);
		if (error != 0 && error != -EINTR)
			break;
	}
	mr_end(c);
	return error;
}
