/* SPDX-License-Identifier: Apache-2.0 */
/* A correlation is 40 random bits above 24 bits of index + 1, so that nobody can guess the
 * correlation of a reply. Requests with a callback are also in a heap, by deadline; the others wait
 * in mr_request, which has a deadline of its own. */
#include "client/request.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/random.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/publish/away_store.h"
#include "client/publish/publish.h"

#define INDEX_MASK   0xffffffu
#define NONE         UINT32_MAX
#define FIRST_ROOM   64u
#define REQUESTS_MAX (1u << 20)

static uint64_t deadline_at(const struct mr_client *c, uint32_t place)
{
	return c->pending[c->heap[place]].deadline_ns;
}

static void heap_put(struct mr_client *c, uint32_t place, uint32_t index)
{
	c->heap[place] = index;
	c->pending[index].heap_at = place;
}

static void heap_up(struct mr_client *c, uint32_t place)
{
	uint32_t index = c->heap[place];
	uint64_t deadline = deadline_at(c, place);

	while (place > 0 && deadline_at(c, (place - 1) / 2) > deadline) {
		heap_put(c, place, c->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	heap_put(c, place, index);
}

static void heap_down(struct mr_client *c, uint32_t place)
{
	uint32_t index = c->heap[place];
	uint64_t deadline = deadline_at(c, place);

	for (;;) {
		uint32_t child = 2 * place + 1;

		if (child >= c->heap_count)
			break;
		if (child + 1 < c->heap_count && deadline_at(c, child + 1) < deadline_at(c, child))
			child++;
		if (deadline_at(c, child) >= deadline)
			break;
		heap_put(c, place, c->heap[child]);
		place = child;
	}
	heap_put(c, place, index);
}

static void heap_remove(struct mr_client *c, uint32_t place)
{
	uint32_t last = --c->heap_count;

	if (place == last)
		return;
	heap_put(c, place, c->heap[last]);
	heap_up(c, place);
	heap_down(c, c->pending[c->heap[place]].heap_at);
}

static int table_grow(struct mr_client *c)
{
	uint32_t room = c->pending_room == 0 ? FIRST_ROOM : 2 * c->pending_room;
	struct mr_pending *pending;
	uint32_t *heap;

	if (room > REQUESTS_MAX)
		return mr_fail(c, -ENOSPC, "too many requests wait for replies");
	pending = realloc(c->pending, room * sizeof(*pending));
	if (pending == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	c->pending = pending;
	heap = realloc(c->heap, room * sizeof(*heap));
	if (heap == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	c->heap = heap;
	for (uint32_t i = room; i-- > c->pending_room;) {
		pending[i].correlation = 0;
		pending[i].gather = NULL;
		pending[i].heap_at = c->pending_free;
		c->pending_free = i;
	}
	c->pending_room = room;
	return 0;
}

static int pending_new(struct mr_client *c, uint32_t *index)
{
	uint64_t high;
	int error;

	if (c->pending_free == NONE) {
		error = table_grow(c);
		if (error != 0)
			return error;
	}
	*index = c->pending_free;
	c->pending_free = c->pending[*index].heap_at;
	high = (uint64_t)mr_random(c) << 32 | (mr_random(c) & 0xff000000u);
	c->pending[*index].correlation = high | (*index + 1);
	c->pending[*index].heap_at = NONE;
	c->pending[*index].gather = NULL;
	return 0;
}

static void pending_free(struct mr_client *c, uint32_t index)
{
	struct mr_pending *p = &c->pending[index];

	if (p->callback != NULL && p->heap_at != NONE)
		heap_remove(c, p->heap_at);
	free(p->gather);
	p->gather = NULL;
	p->correlation = 0;
	p->heap_at = c->pending_free;
	c->pending_free = index;
}

static uint32_t find_pending(const struct mr_client *c, uint64_t correlation)
{
	uint32_t index = (uint32_t)(correlation & INDEX_MASK) - 1;

	if (index >= c->pending_room || c->pending[index].correlation != correlation)
		return NONE;
	return index;
}

bool mr_request_is_sync(const struct mr_client *c, uint64_t correlation)
{
	uint32_t index = find_pending(c, correlation);

	return index != NONE && c->pending[index].callback == NULL;
}

static void set_error_text(struct mr_client *c, int error)
{
	if (error == -ENOTCONN)
		mr_ring_out_refused(c);
	else if (error == -EBUSY)
		mr_fail(c, error, "every responder's ring is full");
	else
		mr_fail(c, error, NULL);
}

static void call_back(
	struct mr_client *c, const struct mr_pending *p, const struct mr_message *m, int error)
{
	if (error != 0)
		set_error_text(c, error);
	c->depth++;
	p->callback(c, m, error, p->arg);
	c->depth--;
}

/* Sets the deadline of a request in the heap. */
static void move_deadline(struct mr_client *c, uint32_t index, uint64_t deadline_ns)
{
	c->pending[index].deadline_ns = deadline_ns;
	heap_up(c, c->pending[index].heap_at);
	heap_down(c, c->pending[index].heap_at);
	mr_housekeep_by(c, deadline_ns);
}

/* Ends a request that gathers replies. Replies that came make a time-out, or responders that ended
 * since, no error. */
static void finish_gather(struct mr_client *c, uint32_t index, int error)
{
	struct mr_pending p = c->pending[index];
	struct mr_gather g = *p.gather;

	if (g.count > 0 && error != -ENOTCONN)
		error = 0;
	pending_free(c, index);
	if (g.sync != NULL) {
		g.sync->done = true;
		g.sync->error = error;
		g.sync->count = g.count;
		return;
	}
	call_back(c, &p, NULL, error);
}

/* Hands out one of many replies. */
static void gather_reply(struct mr_client *c, uint32_t index, const struct mr_message *m)
{
	struct mr_pending p = c->pending[index];
	struct mr_gather *g = p.gather;
	uint64_t correlation = p.correlation, now = mr_now_ns();
	bool last;

	g->count += g->count < UINT32_MAX;
	last = g->left != UINT32_MAX && --g->left == 0;
	if (!last && g->stall_ns != 0)
		move_deadline(
			c, index, now + g->stall_ns < g->end_ns ? now + g->stall_ns : g->end_ns);
	call_back(c, &p, m, 0);
	/* The callback may have made the table larger, or lost the connection. */
	index = find_pending(c, correlation);
	if (last && index != NONE)
		finish_gather(c, index, 0);
}

static void finish_pending(
	struct mr_client *c, uint32_t index, const struct mr_message *m, int error)
{
	struct mr_pending p = c->pending[index];

	if (p.gather != NULL) {
		if (m != NULL)
			gather_reply(c, index, m);
		else
			finish_gather(c, index, error);
		return;
	}
	/* Freed first: the callback may send the next request. */
	pending_free(c, index);
	if (p.callback == NULL) {
		p.sync->done = true;
		p.sync->error = error;
		if (m != NULL)
			*p.sync->reply = *m;
		return;
	}
	call_back(c, &p, m, error);
}

bool mr_request_finish(
	struct mr_client *c, uint64_t correlation, const struct mr_message *m, int error)
{
	uint32_t index = find_pending(c, correlation);

	if (index == NONE)
		return false;
	finish_pending(c, index, m, error);
	return true;
}

static void expire(struct mr_client *c, uint64_t now_ns)
{
	while (c->heap_count > 0 && deadline_at(c, 0) <= now_ns)
		finish_pending(c, c->heap[0], NULL, -ETIMEDOUT);
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->heap_count > 0 ? deadline_at(c, 0) : MR_NEVER_NS;
}

static void fail_all(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->pending_room; i++) {
		if (c->pending[i].correlation != 0)
			finish_pending(c, i, NULL, -ENOTCONN);
	}
}

const struct mr_part mr_request_part = {
	.due_ns = due_ns,
	.step = expire,
	.outermost = true,
	.fail = fail_all,
};

/* Sends the request of entry `index`, and frees the entry on failure. */
static int send_request(struct mr_client *c, uint32_t index, uint32_t alias,
	const struct mr_message_parts *parts, bool wait)
{
	struct mrf_reply_token token = {.correlation = c->pending[index].correlation};
	int error = mr_publish_parts(c, MRF_MESSAGE_KIND_PUBLISH, alias, &token, parts, wait);

	if (error != 0)
		pending_free(c, index);
	return error;
}

/* Outcome of an asynchronous request, and how it is told. */
struct request_how {
	int timeout_ms;
	bool wait; /* for room */
	mr_reply_fn *callback;
	void *arg;
	const struct mr_gather *gather; /* NULL: the first reply is the outcome */
};

/* Makes the entry of an asynchronous request. */
static int pending_make(struct mr_client *c, const struct request_how *how, uint32_t *index)
{
	int error = pending_new(c, index);
	struct mr_pending *p;

	if (error != 0)
		return error;
	p = &c->pending[*index];
	p->callback = how->callback;
	p->arg = how->arg;
	if (how->gather == NULL)
		return 0;
	p->gather = malloc(sizeof(*p->gather));
	if (p->gather == NULL) {
		pending_free(c, *index);
		return mr_fail(c, -ENOMEM, NULL);
	}
	*p->gather = *how->gather;
	return 0;
}

static int request_async(struct mr_client *c, uint32_t alias, const struct mr_message_parts *parts,
	const struct request_how *how)
{
	uint64_t ms =
		how->timeout_ms < 0 ? c->options.request_timeout_ms : (uint64_t)how->timeout_ms;
	struct mr_pending *p;
	uint32_t index;
	int error;

	error = mr_publish_ready(c, how->wait);
	if (error != 0)
		return error;
	error = how->callback == NULL ? mr_fail(c, -EINVAL, "a callback is needed")
				      : mr_message_parts_check(c, parts);
	if (error == 0)
		error = pending_make(c, how, &index);
	if (error == 0)
		error = send_request(c, index, alias, parts, how->wait);
	if (error != 0)
		return error;
	p = &c->pending[index];
	p->deadline_ns = mr_now_ns() + ms * MR_NS_PER_MS;
	if (p->gather != NULL)
		p->gather->end_ns = p->deadline_ns;
	mr_housekeep_by(c, p->deadline_ns);
	c->heap[c->heap_count++] = index;
	heap_up(c, c->heap_count - 1);
	if (c->depth == 0)
		mr_timer_by(c, p->deadline_ns);
	return 0;
}

int mr_request_async(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, mr_reply_fn *callback, void *arg)
{
	struct mr_message_parts parts = {subject, 0, NULL, 0, payload, bytes};

	if (c == NULL || subject == NULL)
		return mr_fail(c, -EINVAL, "mr_request_async: the client or the subject is NULL");
	parts.subject_bytes = strlen(subject);
	return request_async(
		c, 0, &parts, &(struct request_how){timeout_ms, true, callback, arg, NULL});
}

int mr_publisher_request(struct mr_publisher *p, const void *payload, size_t bytes, int timeout_ms,
	mr_reply_fn *callback, void *arg)
{
	struct mr_message_parts parts = {NULL, 0, NULL, 0, payload, bytes};
	uint32_t alias;
	int error;

	if (p == NULL)
		return mr_fail(NULL, -EINVAL, "mr_publisher_request: the publisher is NULL");
	error = mr_publish_ready(p->client, false);
	if (error != 0)
		return error;
	alias = p->header.target; /* a new one after each connection */
	/* A request that is too large for one record, with its subject, is sent in fragments by
	 * subject. */
	if (bytes > p->body_bytes_max) {
		parts.subject = p->subject;
		parts.subject_bytes = strlen(p->subject);
		alias = 0;
	}
	return request_async(p->client, alias, &parts,
		&(struct request_how){timeout_ms, false, callback, arg, NULL});
}

/* Common to the two ways to gather replies. `sync`: NULL if the callback also gets the end. */
static int request_many(struct mr_client *c, const struct mr_message_parts *parts,
	const struct mr_request_many_options *o, mr_reply_fn *callback, void *arg,
	struct mr_sync *sync)
{
	const struct mr_gather gather = {
		.stall_ns = o->stall_ms * MR_NS_PER_MS,
		.left = o->replies_max == 0 ? UINT32_MAX : o->replies_max,
		.sync = sync,
	};
	const struct request_how how = {
		.timeout_ms = o->timeout_ms == 0 ? -1 : (int)o->timeout_ms,
		.wait = true,
		.callback = callback,
		.arg = arg,
		.gather = &gather,
	};

	if (o->timeout_ms > INT32_MAX)
		return mr_fail(c, -EINVAL, "mr_request_many: a time-out above 2,147,483,647 ms");
	return request_async(c, 0, parts, &how);
}

/* Reads the options of the caller and fills in the parts of the message. */
static int many_read(struct mr_client *c, const struct mr_request_many_options *options,
	size_t options_bytes, struct mr_request_many_options *o, struct mr_message_parts *parts)
{
	int error;

	if (c == NULL || parts->subject == NULL)
		return mr_fail(c, -EINVAL, "mr_request_many: the client or the subject is NULL");
	error = mr_sized_read(c, "mr_request_many", o, sizeof(*o), options, options_bytes);
	parts->subject_bytes = strlen(parts->subject);
	parts->headers = o->headers;
	parts->header_bytes = o->header_bytes;
	return error;
}

int mr_request_many_async_sized(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg, size_t options_bytes)
{
	struct mr_message_parts parts = {subject, 0, NULL, 0, payload, bytes};
	struct mr_request_many_options o;
	int error = many_read(c, options, options_bytes, &o, &parts);

	return error != 0 ? error : request_many(c, &parts, &o, callback, arg, NULL);
}

static int await_many(struct mr_client *c, struct mr_sync *sync)
{
	struct mr_wait_limit p;
	int error;

	mr_wait_limit_init(&p, c, -1);
	do
		error = mr_await(c, &sync->done, &p);
	while (error == 0 && !sync->done);
	if (sync->done)
		return sync->error;
	for (uint32_t i = 0; i < c->pending_room; i++) {
		struct mr_gather *g = c->pending[i].gather;

		if (g != NULL && g->sync == sync)
			pending_free(c, i);
	}
	return error;
}

int mr_request_many_sized(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg, size_t options_bytes)
{
	struct mr_message_parts parts = {subject, 0, NULL, 0, payload, bytes};
	struct mr_request_many_options o;
	struct mr_sync sync = {0};
	int error = many_read(c, options, options_bytes, &o, &parts);

	if (error == 0)
		error = mr_begin(c, false);
	if (error != 0)
		return error;
	error = request_many(c, &parts, &o, callback, arg, &sync);
	if (error == 0) {
		error = await_many(c, &sync);
		if (error != 0)
			set_error_text(c, error);
	}
	mr_end(c);
	return error != 0 ? error : (int)(sync.count < INT32_MAX ? sync.count : INT32_MAX);
}

static int await_reply(struct mr_client *c, uint32_t index, struct mr_sync *sync, int timeout_ms)
{
	uint64_t correlation = c->pending[index].correlation;
	struct mr_wait_limit p;
	int error;

	mr_wait_limit_init(&p, c,
		timeout_ms < 0 ? (int64_t)c->options.request_timeout_ms : (int64_t)timeout_ms);
	error = mr_await(c, &sync->done, &p);
	if (sync->done)
		return sync->error;
	index = find_pending(c, correlation);
	if (index != NONE)
		pending_free(c, index);
	return error;
}

int mr_request_with_sized(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
	struct mr_message *reply, size_t reply_bytes)
{
	struct mr_message_parts parts = {subject, 0, headers, header_bytes, payload, bytes};
	struct mr_message own;
	struct mr_sync sync = {.reply = &own};
	uint32_t index;
	int error;

	if (c == NULL || subject == NULL)
		return mr_fail(c, -EINVAL, "mr_request: the client or the subject is NULL");
	parts.subject_bytes = strlen(subject);
	/* Begins first: mr_begin releases the message handed out last, which would keep the client
	 * from reconnecting. */
	error = mr_begin(c, true);
	if (error != 0)
		return error;
	error = mr_publish_ready(c, true);
	if (error == 0)
		error = mr_message_parts_check(c, &parts);
	if (error == 0)
		error = pending_new(c, &index);
	if (error == 0) {
		c->pending[index].callback = NULL;
		c->pending[index].sync = &sync;
		error = send_request(c, index, 0, &parts, true);
	}
	if (error == 0) {
		error = await_reply(c, index, &sync, timeout_ms);
		c->hold = error == 0 && c->depth == 0;
		if (error != 0)
			set_error_text(c, error);
	}
	if (error == 0 && reply != NULL)
		mr_sized_write(reply, reply_bytes, &own, sizeof(own));
	mr_end(c);
	return error;
}

int mr_request_sized(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, struct mr_message *reply, size_t reply_bytes)
{
	return mr_request_with_sized(
		c, subject, NULL, 0, payload, bytes, timeout_ms, reply, reply_bytes);
}

void mr_requests_free(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->pending_room; i++)
		free(c->pending[i].gather);
	free(c->pending);
	free(c->heap);
}
