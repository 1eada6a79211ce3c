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
	return 0;
}

static void pending_free(struct mr_client *c, uint32_t index)
{
	struct mr_pending *p = &c->pending[index];

	if (p->callback != NULL && p->heap_at != NONE)
		heap_remove(c, p->heap_at);
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

static void finish_pending(
	struct mr_client *c, uint32_t index, const struct mr_message *m, int error)
{
	struct mr_pending p = c->pending[index];

	/* Freed first: the callback may send the next request. */
	pending_free(c, index);
	if (p.callback == NULL) {
		p.sync->done = true;
		p.sync->error = error;
		if (m != NULL)
			*p.sync->reply = *m;
		return;
	}
	if (error != 0)
		set_error_text(c, error);
	c->depth++;
	p.callback(c, m, error, p.arg);
	c->depth--;
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

static int request_async(struct mr_client *c, uint32_t alias, const struct mr_message_parts *parts,
	bool wait, int timeout_ms, mr_reply_fn *callback, void *arg)
{
	uint64_t ms = timeout_ms < 0 ? c->options.request_timeout_ms : (uint64_t)timeout_ms;
	uint32_t index;
	int error;

	error = mr_publish_ready(c, wait);
	if (error != 0)
		return error;
	error = callback == NULL ? mr_fail(c, -EINVAL, "a callback is needed")
				 : mr_message_parts_check(c, parts);
	if (error == 0)
		error = pending_new(c, &index);
	if (error != 0)
		return error;
	c->pending[index].callback = callback;
	c->pending[index].arg = arg;
	error = send_request(c, index, alias, parts, wait);
	if (error != 0)
		return error;
	c->pending[index].deadline_ns = mr_now_ns() + ms * MR_NS_PER_MS;
	mr_housekeep_by(c, c->pending[index].deadline_ns);
	c->heap[c->heap_count++] = index;
	heap_up(c, c->heap_count - 1);
	if (c->depth == 0)
		mr_timer_by(c, c->pending[index].deadline_ns);
	return 0;
}

int mr_request_async(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, mr_reply_fn *callback, void *arg)
{
	struct mr_message_parts parts = {subject, 0, NULL, 0, payload, bytes};

	if (c == NULL || subject == NULL)
		return mr_fail(c, -EINVAL, "mr_request_async: the client or the subject is NULL");
	parts.subject_bytes = strlen(subject);
	return request_async(c, 0, &parts, true, timeout_ms, callback, arg);
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
	return request_async(p->client, alias, &parts, false, timeout_ms, callback, arg);
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
