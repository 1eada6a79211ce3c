/* SPDX-License-Identifier: Apache-2.0 */
#include "control/handoff/handoff.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/log.h"

/* Records taken from one ring before the next ring and the loop get their turn. */
#define DRAIN_MAX 512u

/* Outlives the link until the kernel has ended the pending read. */
struct mr_handoff_doorbell {
	struct mr_doorbell doorbell;
	struct mr_handoff *handoff;
	struct mr_handoff_doorbell *next;
};

void mr_handoff_init(struct mr_handoff *h, struct mr_loop *loop, struct mr_link *link,
	struct mr_hello *hello, struct mr_queue_commands *queue_commands,
	const struct mr_config *config, struct mr_control_counters *counters)
{
	h->loop = loop;
	h->link = link;
	h->hello = hello;
	h->queue_commands = queue_commands;
	h->config = config;
	h->counters = counters;
	h->doorbells = NULL;
	h->doorbells_alive = 0;
	h->workers_count = 0;
}

static void woken(struct mr_doorbell *b, size_t bytes)
{
	/* Only the wake-up matters: the next round looks at every ring. */
	(void)b;
	(void)bytes;
}

static void free_doorbell(struct mr_handoff_doorbell *b)
{
	b->handoff->doorbells_alive--;
	free(b);
}

static void stopped(struct mr_doorbell *b, int error)
{
	if (error != 0)
		mr_log(MR_LOG_WARN, "cannot read a worker's doorbell", MR_LOG_ERR(error));
	if (b->stopping)
		free_doorbell(mr_container_of(b, struct mr_handoff_doorbell, doorbell));
}

static int start_doorbell(struct mr_handoff *h, int fd)
{
	struct mr_handoff_doorbell *b = calloc(1, sizeof(*b));
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->doorbell.received = woken;
	b->doorbell.stopped = stopped;
	error = mr_doorbell_start(&b->doorbell, h->loop, fd);
	if (error != 0) {
		free(b);
		return error;
	}
	b->handoff = h;
	b->next = h->doorbells;
	h->doorbells = b;
	h->doorbells_alive++;
	return 0;
}

int mr_handoff_up(struct mr_handoff *h)
{
	const struct mr_dataplane *d = &h->link->dataplane;
	int error = 0;

	for (unsigned i = 0; i < d->workers_count && error == 0; i++) {
		const struct mr_channel *ch = &d->workers[i].channel;
		struct mr_handoff_worker *w = &h->workers[i];

		/* Positions continue where the previous control left them. Records that it read but
		 * did not release are received again. */
		mr_bytes_consumer_init(&w->from_worker, ch->up_shared, ch->up_map, ch->up_bytes);
		mr_bytes_producer_init(
			&w->to_worker, ch->down_shared, ch->down_map, ch->down_bytes);
		w->to_worker.asleep = &d->workers[i].page->asleep;
		w->worker_bell_fd = ch->worker_bell_fd;
		w->answered = false;
		error = start_doorbell(h, ch->peer_bell_fd);
	}
	h->workers_count = d->workers_count;
	if (error != 0)
		mr_handoff_down(h);
	return error;
}

void mr_handoff_down(struct mr_handoff *h)
{
	h->workers_count = 0;
	while (h->doorbells != NULL) {
		struct mr_handoff_doorbell *b = h->doorbells;

		h->doorbells = b->next;
		if (b->doorbell.op.pending)
			mr_doorbell_stop(&b->doorbell);
		else
			free_doorbell(b);
	}
}

static void take_message(struct mr_handoff *h, const struct mrf_handoff_header *r, uint64_t peer,
	const uint8_t *at, size_t room)
{
	struct mrf_message_header header = mr_message_header_load(at);
	struct mr_message_view m;

	if (r->reason == MRF_HANDOFF_REASON_HELLO) {
		mr_hello_take(h->hello, r->worker, at, room);
	} else if (r->reason == MRF_HANDOFF_REASON_UNKNOWN_KIND) {
		h->counters->handoff_unknown++;
	} else if ((r->reason != MRF_HANDOFF_REASON_CONTROL &&
			   r->reason != MRF_HANDOFF_REASON_QUEUE) ||
		   !mr_message_fits(&header, room) || !mr_message_parse(at, header, &m)) {
		h->counters->handoff_malformed++;
	} else if (r->reason == MRF_HANDOFF_REASON_QUEUE) {
		mr_queue_command_take(h->queue_commands, r->worker, &m);
	} else {
		h->counters->handoff_control++;
		mr_handoff_client(h, r->session, peer, &m);
	}
}

/* Returns the record's stride, or 0 if the ring is malformed from here on. */
static size_t take_record(struct mr_handoff *h, const uint8_t *at, size_t ready)
{
	struct mrf_handoff_header r;
	size_t prefix = sizeof(r), stride;
	uint64_t peer;

	if (ready < sizeof(r) + sizeof(struct mrf_message_header))
		return 0;
	memcpy(&r, at, sizeof(r));
	/* An older data plane does not say the peer: the session stands for it. */
	peer = r.session;
	if ((r.flags & MRF_HANDOFF_FLAG_PEER) != 0)
		prefix += sizeof(peer);
	stride = mr_align_up(r.bytes, MR_BYTES_ALIGN);
	if (r.bytes < prefix + sizeof(struct mrf_message_header) || stride > ready)
		return 0;
	if (prefix > sizeof(r))
		memcpy(&peer, at + sizeof(r), sizeof(peer));
	take_message(h, &r, peer, at + prefix, stride - prefix);
	return stride;
}

static unsigned drain(struct mr_handoff *h, struct mr_handoff_worker *w)
{
	size_t ready = mr_bytes_readable(&w->from_worker);
	unsigned count = 0;
	bool sane = ready != MR_BYTES_CORRUPT;

	while (sane && ready > 0 && count < DRAIN_MAX) {
		size_t stride = take_record(h, mr_bytes_peek(&w->from_worker), ready);

		sane = stride != 0;
		if (!sane)
			break;
		mr_bytes_skip(&w->from_worker, stride);
		ready -= stride;
		count++;
	}
	if (count > 0)
		(void)mr_bytes_release(&w->from_worker); /* a worker never waits for room */
	if (!sane) {
		h->counters->handoff_corrupt++;
		h->workers_count = 0;
		mr_link_break(h->link, "a hand-off ring is malformed");
	}
	h->counters->handoff_records += count;
	return count;
}

unsigned mr_handoff_drain(struct mr_handoff *h)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < h->workers_count; i++)
		count += drain(h, &h->workers[i]);
	return count;
}

void mr_handoff_publish(struct mr_handoff *h)
{
	for (uint32_t i = 0; i < h->workers_count; i++) {
		struct mr_handoff_worker *w = &h->workers[i];

		if (!w->answered)
			continue;
		w->answered = false;
		if (mr_bytes_publish(&w->to_worker)) { /* [bytes.sleep] */
			mr_bell_ring(w->worker_bell_fd);
			h->counters->handoff_bells++;
		}
	}
}

bool mr_handoff_arm(struct mr_handoff *h)
{
	for (uint32_t i = 0; i < h->workers_count; i++) {
		if (mr_bytes_sleep(&h->workers[i].from_worker)) /* [bytes.sleep] */
			continue;
		while (i-- > 0)
			mr_bytes_wake(&h->workers[i].from_worker);
		return false;
	}
	h->counters->handoff_sleeps += h->workers_count > 0;
	return true;
}

void mr_handoff_wake(struct mr_handoff *h)
{
	for (uint32_t i = 0; i < h->workers_count; i++)
		mr_bytes_wake(&h->workers[i].from_worker);
}

/* Address and headers of an answer. */
struct envelope {
	enum mrf_handoff_reason reason;
	unsigned worker;
	uint64_t session;                    /* 0: none */
	const struct mrf_network_path *path; /* NULL: the session's path */
	uint32_t correlation;
};

static uint32_t path_bytes(const struct envelope *e)
{
	return e->path != NULL ? (uint32_t)sizeof(*e->path) : 0;
}

/* Returns the size of a record with an answer of `bytes` payload. */
static uint32_t record_bytes(const struct envelope *e, size_t bytes)
{
	return (uint32_t)sizeof(struct mrf_handoff_header) + path_bytes(e) +
	       mr_message_bytes(false, 0, 0, (uint32_t)bytes);
}

/* Claims a record and writes its headers. Returns the place for the payload, or NULL if the ring is
 * full. */
static uint8_t *begin_answer(struct mr_handoff_worker *w, const struct envelope *e, size_t bytes)
{
	struct mrf_handoff_header r = {
		.bytes = record_bytes(e, bytes),
		.reason = (uint8_t)e->reason,
		.worker = (uint16_t)e->worker,
		.session = e->session,
	};
	uint8_t *to = mr_bytes_claim(&w->to_worker, mr_align_up(r.bytes, MR_BYTES_ALIGN));

	if (to == NULL)
		return NULL;
	memcpy(to, &r, sizeof(r));
	to += sizeof(r);
	if (e->path != NULL)
		memcpy(to, e->path, sizeof(*e->path));
	return mr_message_begin(to + path_bytes(e), MRF_MESSAGE_KIND_CONTROL, e->correlation, NULL,
		0, 0, (uint32_t)bytes);
}

/* Writes a record into the worker's ring. False if there is no such worker or the ring is full. */
static bool put(struct mr_handoff *h, const struct envelope *e, const void *data, size_t bytes)
{
	struct mr_handoff_worker *w = &h->workers[e->worker];
	uint8_t *to = NULL;

	if (e->worker < h->workers_count && bytes <= MR_BODY_BYTES_MAX)
		to = begin_answer(w, e, bytes);
	if (to == NULL)
		return false;
	memcpy(to, data, bytes);
	mr_bytes_push(&w->to_worker, record_bytes(e, bytes));
	w->answered = true;
	return true;
}

static void put_answer(struct mr_handoff *h, const struct envelope *e, struct mrf_builder *b,
	enum mrf_client_body type, uint32_t body)
{
	struct mrf_client_message m = {.body_type = type, .body = body};
	const void *data;
	size_t bytes;

	if (mrf_builder_finish(b, mrf_client_message_write(b, &m), &data, &bytes) == 0 &&
		put(h, e, data, bytes))
		h->counters->handoff_answers++;
	else
		h->counters->handoff_answers_dropped++;
}

void mr_handoff_answer(struct mr_handoff *h, uint64_t session, uint32_t correlation,
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body)
{
	const struct envelope e = {
		.reason = MRF_HANDOFF_REASON_CONTROL,
		.worker = mr_session_worker(session),
		.session = session,
		.correlation = correlation,
	};

	put_answer(h, &e, b, type, body);
}

static void put_welcome(struct mr_handoff *h, uint64_t session, struct mrf_builder *b,
	enum mrf_client_body type, uint32_t body)
{
	const struct envelope e = {
		.reason = MRF_HANDOFF_REASON_WELCOME,
		.worker = mr_session_worker(session),
		.session = session,
	};

	put_answer(h, &e, b, type, body);
}

void mr_handoff_welcome(
	struct mr_handoff *h, uint64_t session, struct mrf_builder *b, uint32_t welcome)
{
	put_welcome(h, session, b, MRF_CLIENT_BODY_WELCOME, welcome);
}

void mr_handoff_probe(
	struct mr_handoff *h, uint64_t channel, struct mrf_builder *b, uint32_t response)
{
	put_welcome(h, channel, b, MRF_CLIENT_BODY_MULTICAST_RESPONSE, response);
}

void mr_handoff_refuse(struct mr_handoff *h, unsigned worker, const struct mrf_network_path *path,
	struct mrf_builder *b, uint32_t refusal)
{
	const struct envelope e = {
		.reason = MRF_HANDOFF_REASON_REFUSE, .worker = worker, .path = path};

	put_answer(h, &e, b, MRF_CLIENT_BODY_REFUSAL, refusal);
}

void mr_handoff_command(
	struct mr_handoff *h, unsigned worker, uint32_t id, const void *data, size_t bytes)
{
	const struct envelope e = {
		.reason = MRF_HANDOFF_REASON_QUEUE, .worker = worker, .correlation = id};

	if (put(h, &e, data, bytes))
		h->counters->queue_commands++;
	else
		h->counters->handoff_answers_dropped++;
}
