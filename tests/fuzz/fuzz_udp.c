/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_udp: a client that receives any datagrams of its session, from the frame's header to the
 * callback.
 *
 * Input: datagrams, each after two bytes with its length.
 */
#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/wait.h"
#include "client/dispatch.h"
#include "client/transport/shm/shm.h"
#include "client/transport/udp/udp.h"

#define SESSION 7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mr_client *c;
static struct mr_subscription *subscriptions[4];
static unsigned sum;

/* Reads all of it, so that the sanitizer sees a byte outside. */
static void touch(struct mr_client *of, const struct mr_message *m, void *arg)
{
	(void)of, (void)arg;
	for (size_t i = 0; i < m->subject_bytes; i++)
		sum += (uint8_t)m->subject[i];
	for (size_t i = 0; i < m->header_bytes; i++)
		sum += (uint8_t)m->headers[i];
	for (size_t i = 0; i < m->payload_bytes; i++)
		sum += ((const uint8_t *)m->payload)[i];
}

/* Makes a client without a connection. */
static void make(void)
{
	static const struct mr_worker_page always = {.asleep = 1};
	static const bool never;
	static struct mr_subscription one = {.callback = touch, .id = 1, .limit = UINT64_MAX};

	c = calloc(1, sizeof(*c));
	c->udp = calloc(1, sizeof(*c->udp));
	if (mr_channel_new_private(&c->udp->rings, MR_UDP_UP_BYTES, MR_UDP_DOWN_BYTES) != 0)
		abort();
	mr_channel_worker_side(&c->udp->rings, &c->udp->out, &c->udp->in);
	mr_channel_peer_side(&c->udp->rings, &always, &c->up, &c->down);
	c->udp->frame_bytes = MR_FRAME_BYTES_MIN;
	c->udp->reliable.ring = mr_channel_none();
	if (mr_udp_reliable_open(c, -1, MR_RELIABLE_WINDOW_MAX) != 0)
		abort();
	c->control_requests = calloc(MR_CONTROL_REQUESTS_MAX, sizeof(*c->control_requests));
	/* This transport sends nothing by itself. */
	c->transport = &mr_transport_shm;
	c->deferred.end = &c->deferred.first;
	c->deferred_pulled.end = &c->deferred_pulled.first;
	c->until = &never;
	c->epoll_fd = c->timer_fd = c->attach_fd = -1;
	c->housekeep_ns = MR_NEVER_NS;
	c->session = SESSION;
	c->state = MR_STATE_UP;
	c->udp->fd = -1;
	one.client = c;
	subscriptions[1] = &one;
	c->subscriptions = subscriptions;
	c->subscriptions_top = 2;
}

static void take(const uint8_t *data, size_t size)
{
	/* A copy of its own makes every byte after it out of bounds. */
	uint8_t *frame = aligned_alloc(8, mr_align_up(size + 1, 8));

	memcpy(frame, data, size);
	if (mr_bytes_room(&c->udp->in, MR_UDP_BUFFER) < MR_UDP_BUFFER)
		abort();
	if (mr_udp_frame_take(c, frame, size))
		mr_bytes_publish_quiet(&c->udp->in);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mr_udp_reliable *r;

	if (c == NULL)
		make();
	c->udp->window = mr_frame_window_first();
	r = &c->udp->reliable;
	mr_reliable_rx_init(&r->rx, r->rx.slots, r->rx.slots);
	while (size >= 2) {
		size_t bytes = data[0] | (size_t)data[1] << 8;

		bytes = bytes < size - 2 ? bytes : size - 2;
		take(data + 2, bytes);
		data += 2 + bytes;
		size -= 2 + bytes;
		c->eof = false;
		mr_dispatch_some(c, UINT32_MAX, false);
		if (c->eof || mr_bytes_readable(&c->down) != 0)
			/* A taken datagram must be whole. */
			abort();
		mr_release_read(c);
		mr_deferred_clear(c);
	}
	return 0;
}
