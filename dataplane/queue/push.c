/* SPDX-License-Identifier: Apache-2.0 */
/* push: checks a Push, makes its entry, and accepts it, withholds acceptance or refuses it. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/full.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/work.h"

static void accept_one(struct mr_queues *q, uint64_t session, uint32_t number,
	const struct mrf_message_origin *origin, uint32_t status)
{
	struct mrf_accepted_range range = {
		.publisher = origin->publisher, .first = origin->id, .count = 1, .status = status};

	mr_client_accept(q, session, number, &range);
}

static void count_refused(struct mr_queues *q, struct mr_queue *queue, uint32_t status)
{
	struct mrf_worker_stats *stats = q->c.stats;

	if (queue != NULL)
		queue->refused++;
	switch (status) {
	case MRF_STATUS_CODE_NOT_FOUND: mr_count(stats->refused_push_unknown, 1); break;
	case MRF_STATUS_CODE_TOO_OLD: mr_count(stats->refused_push_old, 1); break;
	case MRF_STATUS_CODE_CIRCUIT_OPEN: mr_count(stats->refused_circuit, 1); break;
	case MRF_STATUS_CODE_OVERLOADED: mr_count(stats->refused_push_full, 1); break;
	case MRF_STATUS_CODE_NO_RESPONDERS: mr_count(stats->refused_unserved, 1); break;
	case MRF_STATUS_CODE_NO_MEMORY: mr_count(stats->refused_push_memory, 1); break;
	case MRF_STATUS_CODE_SHARE_USED: mr_count(stats->refused_push_share, 1); break;
	default: mr_count(stats->drop_bad_message, 1); break;
	}
}

/* Replaces a status that the client does not know by an older one. */
static uint32_t status_client_knows(struct mr_queues *q, uint64_t session, uint32_t status)
{
	const struct mr_queue_client *client = mr_client_find(q, session);

	if (status == MRF_STATUS_CODE_SHARE_USED && (client == NULL || !client->knows_share))
		status = MRF_STATUS_CODE_NO_MEMORY;
	if (status == MRF_STATUS_CODE_NO_MEMORY && (client == NULL || !client->knows_memory))
		status = MRF_STATUS_CODE_OVERLOADED;
	return status;
}

/* Refuses a push. The outcome of the promise and that of the call are reported separately. */
void mr_push_refuse(struct mr_queues *q, uint64_t session, struct mr_queue *queue, uint32_t number,
	const struct mr_message_view *m, uint32_t status)
{
	if (mr_unlikely(m->subject_bytes != 0)) {
		mr_bind_refuse(q, queue, status);
		return;
	}
	count_refused(q, queue, status);
	status = status_client_knows(q, session, status);
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		accept_one(q, session, number, &m->extra.origin, status);
	if (m->header.flags & MRF_MESSAGE_FLAG_TOKEN)
		mr_client_status(q, session, m->token.correlation, status);
}

/* Bytes of the body count against the byte limit if there is one. */
static bool over_limit(const struct mr_queue *queue, uint64_t more_bytes)
{
	return mr_queue_depth(queue) >= queue->options.messages_max ||
	       (queue->options.bytes_max != 0 &&
		       queue->body_bytes + more_bytes > queue->options.bytes_max);
}

/* A window is one part in 8 of the limit: a full queue accepts that much beyond it. */
#define WINDOW_PART 8u
/* Pushes beyond that, for each client. */
#define BEYOND_MAX 2u

uint32_t mr_push_window(const struct mr_queues *q, const struct mr_queue *queue)
{
	uint64_t window = queue->options.messages_max / WINDOW_PART;

	return window == 0 ? 1 : window < q->c.window ? (uint32_t)window : q->c.window;
}

/* True if the queue is above its limit by a whole window, whoever pushed. */
static bool far_over_limit(const struct mr_queue *queue)
{
	const struct mrf_queue_options *o = &queue->options;

	return mr_queue_depth(queue) > o->messages_max + o->messages_max / WINDOW_PART ||
	       (o->bytes_max != 0 && queue->body_bytes > o->bytes_max + o->bytes_max / WINDOW_PART);
}

/* True if a full queue takes one more push of the client, to be accepted later. Up to the window,
 * from the part that all share; then one that no other client can use, and one that was under way
 * when the client was told so. */
static bool takes_beyond(const struct mr_queues *q, uint64_t session, const struct mr_queue *queue)
{
	uint64_t has = mr_limit_withheld(q, session, queue);

	return has < (far_over_limit(queue) ? BEYOND_MAX : mr_push_window(q, queue) + 1);
}

bool mr_push_is_full(const struct mr_queue *queue, uint64_t body_bytes)
{
	return mr_queue_depth(queue) > 0 && over_limit(queue, body_bytes);
}

MR_ALWAYS_INLINE uint32_t admit_message(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, uint64_t body_bytes, bool promised)
{
	bool waits = promised && queue->options.when_full == MRF_QUEUE_FULL_WAIT;
	const struct mr_queue_client *client;

	if (mr_unlikely(queue->options.bytes_max != 0 && body_bytes > queue->options.bytes_max))
		return MRF_STATUS_CODE_BAD;
	if (mr_unlikely(over_limit(queue, body_bytes)) && !mr_full_may_displace(queue) &&
		(!waits || !takes_beyond(q, session, queue)))
		return MRF_STATUS_CODE_OVERLOADED;
	if (mr_unlikely(mr_push_share_used_up(q, queue)))
		return MRF_STATUS_CODE_NO_MEMORY;
	client = mr_client_find(q, session);
	if (mr_unlikely(client == NULL))
		client = mr_client_of(q, session);
	return mr_push_memory(q, client, (uint32_t)body_bytes);
}

static void count_withheld(struct mr_queues *q, struct mr_queue *queue, int64_t change)
{
	queue->withheld_count += (uint64_t)change;
	mr_gauge(q->c.stats->pushes_waiting, q->c.stats->pushes_waiting + (uint64_t)change);
}

static void withhold_acceptance(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin)
{
	struct mr_queue_withheld *w = queue->withheld_tail;

	if (w != NULL && queue->withheld_head != NULL && w->session == session &&
		w->range.publisher == origin->publisher &&
		w->range.first + w->range.count == origin->id) {
		w->range.count++;
		w->counted += mr_limit_withhold(q, session, queue);
		count_withheld(q, queue, 1);
		return;
	}
	w = mr_slab_alloc(q->store, (uint32_t)sizeof(*w));
	if (w == NULL) { /* already in the queue: better accepted too early than never */
		accept_one(q, session, queue->number, origin, MRF_STATUS_CODE_OK);
		return;
	}
	*w = (struct mr_queue_withheld){
		.session = session,
		.range = {.publisher = origin->publisher, .first = origin->id, .count = 1},
		.counted = mr_limit_withhold(q, session, queue),
	};
	if (queue->withheld_head == NULL)
		queue->withheld_head = w;
	else
		queue->withheld_tail->next = w;
	queue->withheld_tail = w;
	count_withheld(q, queue, 1);
}

/* Removes the first `count` pushes of a range from the withheld ones. */
static void unwithhold(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_withheld *w, uint32_t count)
{
	uint32_t counted = count < w->counted ? count : w->counted;

	w->range.first += count;
	w->range.count -= count;
	w->counted -= counted;
	mr_limit_withheld_gone(q, w->session, queue, counted);
	count_withheld(q, queue, -(int64_t)count);
}

static void drop_first(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_withheld *w = queue->withheld_head;

	unwithhold(q, queue, w, w->range.count);
	queue->withheld_head = w->next;
	mr_slab_release(q->store, w, (uint32_t)sizeof(*w));
}

/* Returns how many pushes may be accepted now. */
static uint64_t acceptable_count(const struct mr_queue *queue)
{
	uint64_t depth = mr_queue_depth(queue);
	uint64_t taken = depth > queue->withheld_count ? depth - queue->withheld_count : 0;

	if (depth > 0 && queue->options.bytes_max != 0 &&
		queue->body_bytes >= queue->options.bytes_max)
		return 0;
	return taken < queue->options.messages_max ? queue->options.messages_max - taken : 0;
}

/* Accepts the pushes of one range, as far as there is room. */
static void release_range(struct mr_queues *q, struct mr_queue *queue, uint64_t left)
{
	struct mr_queue_withheld *w = queue->withheld_head;
	struct mrf_accepted_range range = w->range;

	mr_work(q, MR_WORK_SEND);
	if (range.count > left)
		range.count = (uint32_t)left;
	queue->accepted += range.count;
	if (mr_client_find(q, w->session) != NULL)
		mr_client_accept(q, w->session, queue->number, &range);
	unwithhold(q, queue, w, range.count);
	if (w->range.count == 0)
		drop_first(q, queue);
}

void mr_push_release_withheld(struct mr_queues *q, struct mr_queue *queue)
{
	uint64_t left;

	while (queue->withheld_head != NULL && (left = acceptable_count(queue)) > 0) {
		if (!mr_work_left(q)) {
			mr_queue_timer_set(&q->timers, &queue->timer, q->now_ms + 1);
			return;
		}
		release_range(q, queue, left);
	}
}

void mr_push_end_withheld(struct mr_queues *q, struct mr_queue *queue)
{
	uint64_t left = acceptable_count(queue);

	if (left > 0)
		release_range(q, queue, left);
	else
		drop_first(q, queue);
}

/* Accepts a push, or withholds its acceptance if the queue is full. */
static void accept_or_withhold(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin, bool full)
{
	if (mr_unlikely(queue->withheld_head != NULL || full)) {
		withhold_acceptance(q, session, queue, origin);
		return;
	}
	queue->accepted++;
	accept_one(q, session, queue->number, origin, MRF_STATUS_CODE_OK);
}

/* Makes room in a full queue whose limits are exact. False: the entry is gone, and its outcome is
 * reported. A message in fragments finds out only now. */
static bool enter_full(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin)
{
	bool noted = (e->flags & MR_ENTRY_ORIGIN) != 0;
	enum mr_full result = mr_full_enter(q, queue, e);

	if (result == MR_FULL_ROOM)
		return true;
	if (result == MR_FULL_NONE) {
		mr_entry_free(q, e);
		count_refused(q, queue, MRF_STATUS_CODE_OVERLOADED);
		if (origin != NULL)
			accept_one(q, session, queue->number, origin, MRF_STATUS_CODE_OVERLOADED);
		return false;
	}
	if (noted)
		mr_window_note(q, queue, origin);
	queue->pushed++;
	mr_count(q->c.stats->pushed, 1);
	if (origin != NULL)
		accept_or_withhold(q, session, queue, origin, false);
	return false;
}

/* True if the queue never holds more than its limits. */
static bool is_exact(const struct mr_queue *queue)
{
	return queue->kind == MRF_QUEUE_KIND_QUEUE &&
	       queue->options.when_full != MRF_QUEUE_FULL_WAIT;
}

void mr_push_accept(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin)
{
	queue->accepted++;
	accept_one(q, session, queue->number, origin, MRF_STATUS_CODE_OK);
}

MR_ALWAYS_INLINE void finish_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin)
{
	bool full = over_limit(queue, e->body_bytes);

	if (mr_unlikely(full) && is_exact(queue)) {
		if (!enter_full(q, session, queue, e, origin))
			return;
		full = false;
	}
	if (e->flags & MR_ENTRY_ORIGIN)
		mr_window_note(q, queue, origin);
	if (e->flags & MR_ENTRY_CALL)
		mr_breaker_enter(queue, e);
	queue->body_bytes += e->body_bytes;
	queue->pushed++;
	mr_count(q->c.stats->pushed, 1);
	mr_queue_put(q, queue, e);
	if (origin != NULL)
		accept_or_withhold(q, session, queue, origin, full);
}

void mr_push_finish(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin)
{
	finish_push(q, session, queue, e, origin);
}

/* Finishes the push of an entry that is in the record of its key. `full`: the queue was full
 * before; it lets pushes wait then, because one that refuses has refused already. */
MR_ALWAYS_INLINE void finish_keyed(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin, bool full)
{
	if (mr_unlikely((e->flags & MR_ENTRY_ORIGIN) != 0))
		mr_window_note(q, queue, origin);
	queue->body_bytes += e->body_bytes;
	queue->pushed++;
	mr_count(q->c.stats->pushed, 1);
	if (origin != NULL)
		accept_or_withhold(q, session, queue, origin, full);
}

/* Looks for an earlier copy: 0, or the StatusCode to refuse with. Ok and `known`: a duplicate. */
static uint32_t check_duplicate(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin, bool *known)
{
	enum mr_window window = mr_window_look(q, session, queue, origin);

	*known = window == MR_WINDOW_KNOWN;
	if (window == MR_WINDOW_OLD)
		return MRF_STATUS_CODE_TOO_OLD;
	if (mr_unlikely(window == MR_WINDOW_NO_MEMORY))
		return MRF_STATUS_CODE_NO_MEMORY;
	return window == MR_WINDOW_FULL ? MRF_STATUS_CODE_OVERLOADED : MRF_STATUS_CODE_OK;
}

/* Checks parts and flags that must fit the kind of queue. */
static uint32_t check_form(const struct mr_queue *queue, const struct mr_message_view *m)
{
	const unsigned both = MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW;
	unsigned flags = m->header.flags;

	if ((flags & both) == both)
		return MRF_STATUS_CODE_BAD;
	if (queue->kind == MRF_QUEUE_KIND_QUEUE)
		return flags & (MRF_MESSAGE_FLAG_TOKEN | MRF_MESSAGE_FLAG_MORE)
			       ? MRF_STATUS_CODE_BAD
			       : MRF_STATUS_CODE_OK;
	return flags & MRF_MESSAGE_FLAG_TOKEN ? MRF_STATUS_CODE_OK : MRF_STATUS_CODE_BAD;
}

/* True if the caller wants an answer at once when nobody serves. A caller without a stated wait
 * waits. */
static bool wants_worker(const struct mr_message_view *m)
{
	return MR_CALL_WAIT_MS(m->token.session) != 0 && !(m->token.session & MR_CALL_WAIT_WORKER);
}

MR_ALWAYS_INLINE uint32_t check_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts)
{
	uint32_t status = check_form(queue, m);

	*facts = (struct mr_push_facts){0};
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		facts->origin = &m->extra.origin;
	if (facts->origin != NULL && facts->origin->publisher != 0 && status == 0) {
		facts->entry_flags |= MR_ENTRY_ORIGIN;
		status = check_duplicate(q, session, queue, facts->origin, &facts->known);
		if (facts->known)
			return status;
	}
	if (status == MRF_STATUS_CODE_OK)
		status = admit_message(q, session, queue, body_bytes, facts->origin != NULL);
	if (queue->kind == MRF_QUEUE_KIND_SERVICE && status == MRF_STATUS_CODE_OK) {
		facts->entry_flags |= MR_ENTRY_CALL;
		if (mr_unlikely(queue->consumers_count == 0) && wants_worker(m))
			return MRF_STATUS_CODE_NO_RESPONDERS;
		if (m->header.flags & MRF_MESSAGE_FLAG_MORE)
			facts->entry_flags |= MR_ENTRY_MORE;
		if (!mr_breaker_admits(q, queue))
			status = MRF_STATUS_CODE_CIRCUIT_OPEN;
	}
	return status;
}

uint32_t mr_push_check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts)
{
	return m->subject_bytes != 0 ? mr_bind_check(q, session, queue, m, body_bytes, facts)
				     : check_push(q, session, queue, m, body_bytes, facts);
}

void mr_push_known(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin)
{
	queue->duplicates++;
	mr_count(q->c.stats->queue_duplicates, 1);
	accept_one(q, session, queue->number, origin, MRF_STATUS_CODE_OK);
}

/* Field by field in place: a struct built elsewhere and copied would wait for its own stores. */
static inline void set_caller(const struct mr_queues *q, struct mr_queue_call *call,
	uint64_t session, const struct mr_message_view *m)
{
	call->token.session = session;
	call->token.correlation = m->token.correlation;
	call->wait_ms = MR_CALL_WAIT_MS(m->token.session);
	call->until_ms = (uint32_t)q->now_ms + call->wait_ms;
}

MR_ALWAYS_INLINE struct mr_queue_entry *make_entry(struct mr_queues *q, uint64_t session,
	const struct mr_message_view *m, unsigned flags, uint32_t header_bytes, uint32_t body_bytes)
{
	const struct mr_queue_client *client = mr_client_find(q, session);
	struct mr_queue_entry *e =
		mr_entry_new(q, client->account, flags, &m->extra.origin, header_bytes, body_bytes);

	if (mr_unlikely(e == NULL))
		return NULL;
	if (flags & MR_ENTRY_CALL)
		set_caller(q, mr_entry_caller(e), session, m);
	if (m->subject_bytes != 0) /* a publish: its flags say something else */
		return e;
	if (m->header.flags & MRF_MESSAGE_FLAG_HIGH)
		e->priority = MRF_PRIORITY_HIGH;
	else if (m->header.flags & MRF_MESSAGE_FLAG_LOW)
		e->priority = MRF_PRIORITY_LOW;
	return e;
}

struct mr_queue_entry *mr_push_entry(struct mr_queues *q, uint64_t session,
	const struct mr_message_view *m, unsigned flags, uint32_t body_bytes)
{
	return make_entry(q, session, m, flags, m->header_bytes, body_bytes);
}

/* The body of a push, whose options were taken off. */
struct body {
	const uint8_t *headers;
	uint32_t header_bytes;
	uint32_t bytes;
};

static struct mr_message_view view_of(const struct mr_message_view *m, const struct body *body)
{
	struct mr_message_view push = *m;

	push.headers = body->headers;
	push.header_bytes = body->header_bytes;
	return push;
}

static uint32_t __attribute__((noinline)) push_schedule(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m, const struct body *body,
	const struct mrf_push_options *options, const struct mr_push_facts *facts)
{
	struct mr_message_view push = view_of(m, body);

	return mr_schedule_push(q, session, queue, &push, options, facts);
}

static uint32_t __attribute__((noinline))
refusal(struct mr_queues *q, uint64_t session, unsigned entry_flags, uint32_t body_bytes)
{
	return mr_entry_refusal(q, mr_client_find(q, session)->account, entry_flags, body_bytes);
}

/* Takes a whole message with options: 0, or the StatusCode to refuse with. */
static uint32_t __attribute__((noinline)) push_whole(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m, const struct body *body,
	const struct mrf_push_options *options)
{
	struct mr_push_facts facts;
	uint32_t status = check_push(q, session, queue, m, body->bytes, &facts);
	struct mr_queue_entry *e;

	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		return status;
	if (mr_unlikely(facts.known)) {
		mr_push_known(q, session, queue, facts.origin);
		return MRF_STATUS_CODE_OK;
	}
	if (mr_options_has_time(options)) {
		facts.entry_flags |= MR_ENTRY_TIME;
		status = mr_options_prepare(q, queue, options, mr_client_find(q, session)->account);
		if (mr_unlikely(status != MRF_STATUS_CODE_OK))
			return status;
	}
	if (mr_unlikely(mr_options_repeat(options)))
		return push_schedule(q, session, queue, m, body, options, &facts);
	e = make_entry(q, session, m, facts.entry_flags, body->header_bytes, body->bytes);
	if (mr_unlikely(e == NULL))
		return refusal(q, session, facts.entry_flags, body->bytes);
	mr_options_apply(q, queue, e, options);
	if (mr_key_has(queue, e) && mr_unlikely(!mr_key_admit(q, queue, e))) {
		mr_entry_free(q, e);
		return MRF_STATUS_CODE_NO_MEMORY;
	}
	mr_message_copy(mr_entry_body(e), body->headers, body->bytes);
	finish_push(q, session, queue, e, facts.origin);
	return MRF_STATUS_CODE_OK;
}

/* Takes a message with a key and no other option, for a queue that goes by keys. */
MR_ALWAYS_INLINE uint32_t push_by_key(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct body *body, uint64_t key)
{
	struct mr_push_facts facts;
	uint64_t hash = mr_key_hash(q, queue, key);
	uint32_t *bucket = mr_key_table_bucket_of(q->key_table, hash);
	uint32_t status = check_push(q, session, queue, m, body->bytes, &facts);
	bool full = over_limit(queue, body->bytes);
	struct mr_queue_entry *e;

	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		return status;
	if (mr_unlikely(facts.known)) {
		mr_push_known(q, session, queue, facts.origin);
		return MRF_STATUS_CODE_OK;
	}
	mr_key_fetch_record(q, bucket);
	facts.entry_flags |= MR_ENTRY_TIME;
	e = make_entry(q, session, m, facts.entry_flags, body->header_bytes, body->bytes);
	if (mr_unlikely(e == NULL))
		return refusal(q, session, facts.entry_flags, body->bytes);
	mr_entry_time(e)->key = key;
	mr_message_copy(mr_entry_body(e), body->headers, body->bytes);
	if (mr_unlikely(!mr_key_push(q, queue, e, hash, bucket))) {
		mr_entry_free(q, e);
		return MRF_STATUS_CODE_NO_MEMORY;
	}
	finish_keyed(q, session, queue, e, facts.origin, full);
	return MRF_STATUS_CODE_OK;
}

/* Takes a Push for a queue that goes by keys. */
static void __attribute__((noinline)) push_keyed(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m)
{
	const struct mrf_push_options options = {.key = mr_key_of(queue, m)};
	struct body body = {m->headers, m->header_bytes, m->header_bytes + m->payload_bytes};
	uint32_t status;

	if (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) {
		mr_fragment_push(q, session, queue, m, &options);
		return;
	}
	status = options.key != 0 ? push_by_key(q, session, queue, m, &body, options.key)
				  : push_whole(q, session, queue, m, &body, &options);
	if (status != MRF_STATUS_CODE_OK)
		mr_push_refuse(q, session, queue, m->header.target, m, status);
}

/* Takes a fragment of a message with options: 0, or the StatusCode to refuse with. */
static uint32_t __attribute__((noinline)) push_fragment(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m)
{
	struct mr_message_view push = *m;
	struct mrf_push_options options;
	uint32_t status = mr_options_take(&push, &options);

	if (status != MRF_STATUS_CODE_OK)
		return status;
	if (queue->takes_key && options.key == 0)
		options.key = mr_key_of(queue, &push);
	mr_fragment_push(q, session, queue, &push, &options);
	return MRF_STATUS_CODE_OK;
}

static uint64_t __attribute__((noinline))
key_of(struct mr_queue *queue, const struct mr_message_view *m, const struct body *body)
{
	struct mr_message_view push = view_of(m, body);

	return mr_key_of(queue, &push);
}

/* Takes a whole message whose header block begins with its options: as push_whole. */
static uint32_t __attribute__((noinline)) push_options(struct mr_queues *q, uint64_t session,
	struct mr_queue *queue, const struct mr_message_view *m, const struct body *body)
{
	struct mrf_push_options options;

	memcpy(&options, m->headers, sizeof(options));
	if (!mr_options_are_good(m, &options))
		return MRF_STATUS_CODE_BAD;
	if (queue->takes_key && options.key == 0)
		options.key = key_of(queue, m, body);
	return push_whole(q, session, queue, m, body, &options);
}

/* The same, faster with a key and no other option. The block is read word by word: a wide load
 * would wait for the narrower stores of its producer. */
MR_ALWAYS_INLINE uint32_t push_with(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m)
{
	const uint32_t block_bytes = (uint32_t)sizeof(struct mrf_push_options);
	uint64_t key, others;
	struct body body;

	if (mr_unlikely(m->header_bytes < block_bytes))
		return MRF_STATUS_CODE_BAD;
	_Static_assert(offsetof(struct mrf_push_options, key) == 0 &&
			       sizeof(struct mrf_push_options) == 32,
		"the first of four words");
	key = mr_message_load_64(m->headers);
	others = mr_message_load_64(m->headers + 8) | mr_message_load_64(m->headers + 16) |
		 mr_message_load_64(m->headers + 24);
	body.headers = m->headers + block_bytes;
	body.header_bytes = m->header_bytes - block_bytes;
	body.bytes = body.header_bytes + m->payload_bytes;
	return queue->takes_key && key != 0 && others == 0
		       ? push_by_key(q, session, queue, m, &body, key)
		       : push_options(q, session, queue, m, &body);
}

void mr_queues_push_with(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue *queue = mr_queue_by_number(q, m->header.target);
	uint32_t status;

	mr_queues_at(q, now_ms);
	if (mr_unlikely(queue == NULL))
		status = MRF_STATUS_CODE_NOT_FOUND;
	else if (mr_unlikely(queue->kind != MRF_QUEUE_KIND_QUEUE || queue->is_dead))
		status = MRF_STATUS_CODE_BAD;
	else if (mr_unlikely((m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0))
		status = push_fragment(q, session, queue, m);
	else
		status = push_with(q, session, queue, m);
	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		mr_push_refuse(q, session, queue, m->header.target, m, status);
}

/* Check, make and finish are inlined here; reassembly calls them as functions (fragment.c). */
void mr_queues_push(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue *queue = mr_queue_by_number(q, m->header.target);
	uint32_t body_bytes = m->header_bytes + m->payload_bytes;
	uint32_t status = MRF_STATUS_CODE_NOT_FOUND;
	struct mr_push_facts facts;
	struct mr_queue_entry *e;

	mr_queues_at(q, now_ms);
	if (mr_unlikely(queue == NULL))
		goto refuse;
	if (mr_unlikely(queue->takes_key)) {
		push_keyed(q, session, queue, m);
		return;
	}
	if (mr_unlikely((m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0)) {
		mr_fragment_push(q, session, queue, m, NULL);
		return;
	}
	status = check_push(q, session, queue, m, body_bytes, &facts);
	if (mr_unlikely(status != MRF_STATUS_CODE_OK))
		goto refuse;
	if (mr_unlikely(facts.known)) {
		mr_push_known(q, session, queue, facts.origin);
		return;
	}
	e = make_entry(q, session, m, facts.entry_flags, m->header_bytes, body_bytes);
	if (mr_unlikely(e == NULL)) {
		status = mr_entry_refusal(
			q, mr_client_find(q, session)->account, facts.entry_flags, body_bytes);
		goto refuse;
	}
	mr_message_copy(mr_entry_body(e), m->headers, body_bytes);
	finish_push(q, session, queue, e, facts.origin);
	return;
refuse:
	mr_push_refuse(q, session, queue, m->header.target, m, status);
}
