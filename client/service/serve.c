/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service/serve.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/publish/outgoing.h"
#include "client/publish/publish.h"
#include "client/service/call.h"
#include "client/service/heartbeat.h"

#define SLOT_MASK 0xffffu

/* Requests in hand. */

static uint32_t *bucket_of(const struct mr_service *s, uint64_t bus_tag)
{
	uint64_t hash = bus_tag * 0x9e3779b97f4a7c15ull;

	return &s->buckets[(hash >> 32) & (s->works_room - 1)];
}

static void link_work(struct mr_service *s, struct mr_in_hand *w)
{
	uint32_t *bucket = bucket_of(s, w->bus_tag);

	w->next = *bucket;
	*bucket = (uint32_t)(w - s->works) + 1;
	w->linked = true;
}

static void unlink_work(struct mr_service *s, const struct mr_in_hand *w)
{
	uint32_t own = (uint32_t)(w - s->works) + 1;
	uint32_t *at = bucket_of(s, w->bus_tag);

	while (*at != own)
		at = &s->works[*at - 1].next;
	*at = w->next;
}

static bool requests_grow(struct mr_service *s, uint32_t slot)
{
	uint32_t room = s->works_room == 0 ? 16 : s->works_room;
	struct mr_in_hand *works;
	uint32_t *buckets;

	while (room <= slot)
		room *= 2;
	works = realloc(s->works, room * sizeof(*works));
	if (works == NULL)
		return false;
	memset(works + s->works_room, 0, (room - s->works_room) * sizeof(*works));
	s->works = works;
	buckets = calloc(room, sizeof(*buckets));
	if (buckets == NULL)
		return false;
	free(s->buckets);
	s->buckets = buckets;
	s->works_room = room;
	for (uint32_t i = 0; i < room; i++) {
		if (works[i].tag != 0 && works[i].linked)
			link_work(s, &works[i]);
	}
	return true;
}

static struct mr_in_hand *find_by_bus_tag(const struct mr_service *s, uint64_t bus_tag)
{
	uint32_t at = s->works_room > 0 ? *bucket_of(s, bus_tag) : 0;

	while (at != 0 && s->works[at - 1].bus_tag != bus_tag)
		at = s->works[at - 1].next;
	return at != 0 ? &s->works[at - 1] : NULL;
}

static struct mr_in_hand *find_request(const struct mr_service *s, uint64_t tag)
{
	uint32_t slot = (uint32_t)(tag & SLOT_MASK);

	if (tag == 0 || slot >= s->works_room || s->works[slot].tag != tag)
		return NULL;
	return &s->works[slot];
}

static void forget_request(struct mr_service *s, struct mr_in_hand *w)
{
	uint64_t bus_tag;

	mr_consumer_tag(s->consumer, w->tag, true, &bus_tag);
	if (mr_unlikely(w->linked))
		unlink_work(s, w);
	w->tag = 0;
}

/* The session ended, or the bus has taken all requests away, or the service is in place again. */
static void on_change(struct mr_consumer *k)
{
	struct mr_service *s = k->arg;

	if (k->queue == 0 && s->works_room > 0) {
		memset(s->works, 0, s->works_room * sizeof(*s->works));
		memset(s->buckets, 0, s->works_room * sizeof(*s->buckets));
	}
	mr_heartbeat_set(k->client);
}

static void on_recalled(struct mr_consumer *k, uint64_t tag)
{
	struct mr_service *s = k->arg;
	struct mr_in_hand *w = find_request(s, tag);

	if (w == NULL)
		return;
	if (w->linked)
		unlink_work(s, w);
	w->tag = 0;
}

/* Requests received. */

static struct mr_in_hand *take_request(
	struct mr_service *s, const struct mr_delivery *d, const struct mr_message_view *m)
{
	uint32_t slot = (uint32_t)(d->tag & SLOT_MASK);
	struct mr_in_hand *w;

	if (mr_unlikely(slot >= s->works_room) && !requests_grow(s, slot))
		return NULL;
	w = &s->works[slot];
	*w = (struct mr_in_hand){
		.tag = d->tag,
		.bus_tag = m->extra.delivery.tag,
		.correlation = m->token.correlation,
		.queue = m->extra.delivery.queue,
		.room = MR_STREAM_WINDOW,
		.more = (m->header.flags & MRF_MESSAGE_FLAG_MORE) != 0,
	};
	if (mr_unlikely(w->more))
		link_work(s, w);
	return w;
}

static int grant_parts(struct mr_service *s, const struct mr_in_hand *w, uint32_t parts)
{
	struct mrf_reply_token token = {.session = w->bus_tag, .correlation = w->correlation};

	return mr_stream_grant(s->client, w->queue, &token, parts);
}

static void on_delivery(
	struct mr_consumer *k, const struct mr_delivery *d, const struct mr_message_view *m)
{
	struct mr_service *s = k->arg;
	struct mr_in_hand *w = take_request(s, d, m);
	struct mr_work work;

	/* Without memory the request goes to another worker. A service without on_part refuses
	 * streams. */
	if (w == NULL) {
		mr_consumer_settle(k, m->extra.delivery.tag, MRF_SETTLE_VERB_RETURNED, 0);
		return;
	}
	if (w->more && (s->on_part == NULL || grant_parts(s, w, s->window) != 0)) {
		mr_respond_failed(s, d->tag, s->on_part != NULL);
		return;
	}
	work = (struct mr_work){.delivery = *d, .more = w->more};
	s->callback(s->client, &work, s->arg);
}

static unsigned handle_part(
	struct mr_service *s, struct mr_in_hand *w, const struct mr_message_view *m)
{
	bool more = (m->header.flags & MRF_MESSAGE_FLAG_MORE) != 0;
	struct mr_message message = {
		.subject = "",
		.payload = m->payload,
		.payload_bytes = m->payload_bytes,
	};
	struct mr_client *c = s->client;
	uint32_t id = s->consumer->base.id;
	uint64_t tag = w->tag;

	if (!w->more || s->on_part == NULL) {
		c->unmatched++;
		return 0;
	}
	w->more = more;
	c->received++;
	c->depth++;
	s->on_part(c, tag, &message, more, s->arg);
	c->depth--;
	/* The callback may have closed the service, or answered. */
	if (c->subscriptions[id] == NULL)
		return 1;
	w = find_request(s, tag);
	if (w != NULL && w->more && ++w->taken >= (s->window + 1) / 2 &&
		grant_parts(s, w, w->taken) == 0)
		w->taken = 0;
	return 1;
}

unsigned mr_service_received(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_subscription *sub = mr_subscription_find(c, m->header.target);
	struct mr_consumer *k = sub != NULL && sub->consumes ? (struct mr_consumer *)sub : NULL;
	struct mr_service *s = k != NULL && k->service ? k->arg : NULL;
	struct mr_in_hand *w = NULL;
	bool was_empty;

	if (s != NULL && (m->header.flags & MRF_MESSAGE_FLAG_DELIVERY))
		w = find_by_bus_tag(s, m->extra.delivery.tag);
	if (w == NULL) {
		c->unmatched++;
		return 0;
	}
	if (m->header.kind == MRF_MESSAGE_KIND_PART)
		return handle_part(s, w, m);
	/* A sender that waits for room wants to be woken. */
	return mr_stream_credit(c, m, &w->room, &was_empty) && was_empty;
}

/* Answers. */

static int not_in_hand(struct mr_service *s, uint64_t tag)
{
	uint64_t bus_tag;

	/* If the request was recalled, this tells the bus that the worker is free again. */
	if (tag != 0)
		(void)mr_consumer_tag(s->consumer, tag, true, &bus_tag);
	return mr_fail(s->client, -ENOENT, "the request is not in hand any more");
}

static int respond_outgoing(struct mr_service *s, const struct mr_in_hand *w,
	const struct mrf_reply_token *token, bool more, const struct mr_message_parts *p)
{
	struct mr_outgoing l = {
		.kind = MRF_MESSAGE_KIND_REPLY,
		.target = w->queue,
		.token = token,
		.extra.flags = more ? MRF_MESSAGE_FLAG_MORE : 0,
		.parts = *p,
	};
	int error = mr_outgoing_measure(s->client, &l);

	return error != 0 ? error : mr_outgoing_send(s->client, &l, true, true);
}

static int respond(struct mr_service *s, const struct mr_in_hand *w, bool more,
	const struct mr_message_parts *p)
{
	struct mrf_reply_token token = {.session = w->bus_tag, .correlation = w->correlation};

	if (mr_unlikely(more || !mr_outgoing_is_plain(
					s->client, p->header_bytes, p->payload, p->payload_bytes)))
		return respond_outgoing(s, w, &token, more, p);
	return mr_outgoing_send_plain(s->client, MRF_MESSAGE_KIND_REPLY, w->queue, &token,
		p->payload, p->payload_bytes, true);
}

int mr_respond_with(struct mr_service *s, uint64_t tag, bool more, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes)
{
	struct mr_message_parts p = {NULL, 0, headers, header_bytes, payload, bytes};
	struct mr_in_hand *w;
	struct mr_client *c;
	int error;

	if (mr_unlikely(s == NULL))
		return mr_fail(NULL, -EINVAL, "mr_respond: the service is NULL");
	c = s->client;
	if (c->refuse != 0)
		return mr_ring_out_refused(c);
	w = find_request(s, tag);
	if (w == NULL)
		return not_in_hand(s, tag);
	if (more && w->room == 0)
		return mr_fail(c, -EAGAIN, "the caller takes no more replies now");
	/* The caller's credit names the bus's tag. */
	if (more && !w->linked)
		link_work(s, w);
	error = respond(s, w, more, &p);
	if (error != 0)
		return error;
	if (more)
		w->room--;
	else
		forget_request(s, w);
	return 0;
}

int mr_respond(struct mr_service *s, uint64_t tag, const void *payload, size_t bytes)
{
	return mr_respond_with(s, tag, false, NULL, 0, payload, bytes);
}

unsigned mr_respond_room(const struct mr_service *s, uint64_t tag)
{
	const struct mr_in_hand *w = s != NULL ? find_request(s, tag) : NULL;

	return w != NULL ? w->room : 0;
}

int mr_respond_failed(struct mr_service *s, uint64_t tag, bool again)
{
	struct mr_in_hand *w;
	uint64_t bus_tag;

	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_respond_failed: the service is NULL");
	w = find_request(s, tag);
	if (w == NULL)
		return not_in_hand(s, tag);
	bus_tag = w->bus_tag;
	forget_request(s, w);
	mr_consumer_settle(
		s->consumer, bus_tag, again ? MRF_SETTLE_VERB_REQUEUE : MRF_SETTLE_VERB_REJECT, 0);
	return 0;
}

int mr_respond_progress(struct mr_service *s, uint64_t tag)
{
	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_respond_progress: the service is NULL");
	return find_request(s, tag) != NULL ? mr_progress(s->consumer, tag) : not_in_hand(s, tag);
}

void mr_service_renew(struct mr_service *s, bool on)
{
	if (s != NULL)
		mr_consumer_renew(s->consumer, on);
}

void mr_service_on_recall(struct mr_service *s, mr_recall_fn *fn, void *arg)
{
	if (s != NULL)
		mr_consumer_on_recall(s->consumer, fn, arg);
}

/* Services. */

static void service_free(struct mr_service *s)
{
	free(s->works);
	free(s->buckets);
	free(s);
}

static void unlink_service(struct mr_service *s)
{
	struct mr_service **at = &s->client->services;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
}

static int open_service(struct mr_service *s, const char *name, const struct mr_serve_options *o)
{
	struct mr_consume_options how = {
		.prefetch = o->prefetch, .manual = true, .queue = o->queue};
	struct mr_client *c = s->client;
	struct mr_consumer *k;
	int error = mr_consumer_new(c, true, name, &how, &k);

	if (error != 0)
		return error;
	k->hook = on_delivery;
	k->on_change = on_change;
	k->on_recalled = on_recalled;
	k->arg = s;
	s->consumer = k;
	s->next = c->services;
	c->services = s;
	return mr_consumer_open(k);
}

int mr_serve_sized(struct mr_client *c, const char *service, const struct mr_serve_options *options,
	mr_work_fn *callback, void *arg, struct mr_service **out, size_t options_bytes)
{
	struct mr_serve_options o;
	struct mr_service *s;
	int error;

	if (c == NULL || service == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_serve: an argument is NULL");
	*out = NULL;
	if (c->refuse != 0)
		return mr_ring_out_refused(c);
	if (callback == NULL)
		return mr_fail(c, -EINVAL, "mr_serve: a callback is needed");
	error = mr_sized_read(c, "mr_serve", &o, sizeof(o), options, options_bytes);
	if (error == 0 && o.reserved != 0)
		error = mr_fail(c, -EINVAL, "mr_serve: reserved options are not 0");
	if (error != 0)
		return error;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	s->client = c;
	s->callback = callback;
	s->on_part = o.on_part;
	s->arg = arg;
	s->window = o.window != 0 ? o.window : MR_STREAM_WINDOW;
	/* A request may be handed out before this returns. */
	*out = s;
	error = open_service(s, service, &o);
	if (error == 0)
		return 0;
	*out = NULL;
	if (s->consumer != NULL)
		unlink_service(s);
	service_free(s);
	mr_heartbeat_set(c);
	return error;
}

int mr_service_close(struct mr_service *s)
{
	struct mr_client *c;
	int error;

	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_service_close: the service is NULL");
	c = s->client;
	if (c->refuse == -EDEADLK)
		return mr_ring_out_refused(c);
	unlink_service(s);
	error = mr_consumer_close(s->consumer);
	mr_heartbeat_set(c);
	service_free(s);
	return error;
}

void mr_services_free(struct mr_client *c)
{
	while (c->services != NULL) {
		struct mr_service *s = c->services;

		c->services = s->next;
		service_free(s);
	}
}
