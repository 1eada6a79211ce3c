/* SPDX-License-Identifier: Apache-2.0 */
/* promise: publishers of promised messages, and waiting until the bus has accepted all of them. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/part.h"
#include "client/core/random.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"
#include "client/publish/outgoing.h"
#include "client/publish/publisher.h"

#define WINDOW     16384u /* less than the bus remembers of a publisher */
#define WAIT_SPINS 64u

/* FNV-1a, with a final mix so that the high bits depend on the last bytes too. */
static uint64_t name_hash(const char *name, uint64_t start)
{
	uint64_t h = 0xcbf29ce484222325u ^ start;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

/* A publisher that counts its messages itself keeps its number over restarts. Others begin at id 1
 * and get a new number each time: messages that an earlier run left in a queue must not make the
 * new ids look old. */
uint64_t mr_publisher_number(struct mr_client *c, const char *name, uint64_t next_id)
{
	uint64_t number = 0;

	while (number == 0)
		number = name == NULL   ? (uint64_t)mr_random(c) << 32 | mr_random(c)
			 : next_id != 0 ? name_hash(name, 0) | 1
					: name_hash(name, mr_clock_ns(CLOCK_REALTIME)) | 1;
	return number;
}

static int open_box(struct mr_publisher *p, const struct mr_publisher_options *options)
{
	struct mr_client *c = p->client;

	p->box = calloc(1, sizeof(*p->box));
	if (p->box == NULL || mr_outbox_init(p->box, c, WINDOW) != 0) {
		free(p->box);
		p->box = NULL;
		return mr_fail(c, -ENOMEM, NULL);
	}
	p->box->by_mark = true;
	p->box->target = p->header.target;
	if (options->promise == MR_EXACTLY_ONCE)
		p->number = mr_publisher_number(c, options->publisher, options->next_id);
	p->next_id = options->next_id != 0 ? options->next_id : 1;
	/* A message without number is promised by a flag alone. */
	p->header.flags = p->number != 0 ? MRF_MESSAGE_FLAG_ORIGIN : MRF_MESSAGE_FLAG_HIGH;
	p->head_bytes += mr_message_extra_bytes(p->header.flags);
	return 0;
}

int mr_publisher_open_with_sized(struct mr_client *c, const char *subject,
	const struct mr_publisher_options *options, struct mr_publisher **out, size_t options_bytes)
{
	struct mr_publisher_options own;
	int error = mr_sized_read(
		c, "mr_publisher_open_with", &own, sizeof(own), options, options_bytes);

	if (out != NULL)
		*out = NULL;
	if (error == 0 && (unsigned)own.promise > MR_EXACTLY_ONCE)
		error = mr_fail(c, -EINVAL, "promise: unknown kind");
	if (error == 0)
		error = mr_publisher_open(c, subject, out);
	if (error != 0 || own.promise == MR_BEST_EFFORT)
		return error;
	error = open_box(*out, &own);
	if (error != 0) {
		mr_publisher_close(*out);
		*out = NULL;
	}
	return error;
}

uint8_t *mr_promise_place(struct mr_publisher *p, uint32_t bytes)
{
	if (mr_unlikely(mr_outbox_may_place(p->box, 1) == 0))
		return NULL;
	return mr_ring_promised_room(p->client, bytes);
}

/* A single record stands in the ring only; a message in fragments is kept as a copy. */
static int send_outgoing(struct mr_publisher *p, const struct mr_outgoing *l)
{
	struct mr_client *c = p->client;
	uint8_t *to;

	if (l->fragments > 1)
		return mr_outbox_add(p->box, l);
	to = mr_promise_place(p, (uint32_t)l->bytes);
	if (to == NULL)
		return mr_fail(c, -EAGAIN, NULL);
	mr_outgoing_write(c, l, 0, 0, to);
	mr_outbox_placed(p->box, 1, (uint32_t)l->bytes);
	mr_ring_promised_pushed(c, l->bytes);
	return 0;
}

int mr_publisher_send_with(struct mr_publisher *p, const char *headers, size_t header_bytes,
	const void *payload, size_t bytes)
{
	struct mr_outgoing l = {
		.kind = MRF_MESSAGE_KIND_PUBLISH,
		.parts = {NULL, 0, headers, header_bytes, payload, bytes},
	};
	struct mr_client *c;
	int error;

	if (mr_unlikely(p == NULL))
		return mr_fail(NULL, -EINVAL, "mr_publisher_send_with: the publisher is NULL");
	c = p->client;
	l.extra.flags = p->header.flags;
	l.extra.origin = (struct mrf_message_origin){p->number, p->next_id};
	error = p->box == NULL ? mr_publish_ready(c, false) : mr_ready(c, false);
	if (mr_unlikely(error == -ENOTCONN && p->box == NULL)) {
		l.parts.subject = p->subject;
		l.parts.subject_bytes = strlen(p->subject);
		return mr_away_store_keep(c, &l.parts);
	}
	l.target = p->header.target;
	l.reserve_bytes = (uint32_t)(c->body_bytes_max - p->body_bytes_max);
	if (error == 0)
		error = mr_outgoing_measure(c, &l);
	if (mr_unlikely(error != 0))
		return error;
	if (p->box == NULL)
		return mr_outgoing_send(c, &l, false, false);
	error = send_outgoing(p, &l);
	p->next_id += error == 0;
	return error;
}

void mr_promise_close(struct mr_publisher *p)
{
	if (p->box == NULL)
		return;
	if (p->client->state == MR_STATE_UP)
		mr_outbox_finish_taken(p->box);
	mr_outbox_fini(p->box);
	free(p->box);
}

static void look_all(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST)
		return;
	for (struct mr_outbox *o = c->outboxes; o != NULL; o = o->next) {
		if (o->by_mark)
			mr_outbox_finish_taken(o);
	}
}

/* Sleeps are short, as the bus does not ring the doorbell when it has taken messages from the
 * ring. */
static void settle_pause(struct mr_client *c, unsigned *rounds)
{
	mr_release_read(c);
	mr_parts_flush(c);
	mr_ring_out_publish_rest(c);
	if (c->transport->flush_acks != NULL && c->state != MR_STATE_LOST)
		c->transport->flush_acks(c);
	if (++*rounds < WAIT_SPINS)
		mr_cpu_relax();
	else if (c->state == MR_STATE_LOST)
		poll(NULL, 0, 1);
	else
		c->transport->room_sleep(c);
}

static int settle_all(struct mr_client *c, uint64_t deadline_ns)
{
	unsigned rounds = 0;

	for (;;) {
		if (mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true) > 0)
			rounds = 0;
		look_all(c);
		if (c->settled)
			return 0;
		/* Within a callback the session's end is handled later. */
		if (c->state == MR_STATE_LOST ? c->options.no_reconnect : c->eof && c->depth > 0)
			return mr_ring_out_refused(c);
		if (rounds >= WAIT_SPINS && mr_now_ns() >= deadline_ns)
			break;
		settle_pause(c, &rounds);
	}
	if (c->state != MR_STATE_UP)
		return mr_ring_out_refused(c);
	return mr_fail(c, -ETIMEDOUT, "the bus did not accept everything in time");
}

int mr_settle(struct mr_client *c, unsigned timeout_ms)
{
	const bool *outer;
	int error;

	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_settle: the client is NULL");
	error = mr_begin(c, true);
	if (error != 0)
		return error;
	outer = c->until;
	c->until = &c->settled;
	error = settle_all(c, mr_now_ns() + timeout_ms * MR_NS_PER_MS);
	c->until = outer;
	if (error == 0 && c->promise_error != 0) {
		error = mr_fail(c, c->promise_error, "the bus refused a promised message");
		c->promise_error = 0;
	}
	mr_end(c);
	return error;
}
