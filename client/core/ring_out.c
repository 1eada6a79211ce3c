/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/ring_out.h"

#include <sched.h>

#include "client/core/error.h"

#define ROOM_SPINS 256u

int mr_ring_out_not_now(struct mr_client *c, const char *text)
{
	return mr_fail(c, c->errors_0_1 ? -EBUSY : -EDEADLK, text);
}

int mr_ring_out_refused(struct mr_client *c)
{
	if (c->refuse == -EDEADLK)
		return mr_ring_out_not_now(c, "a claim is open: commit or abort it first");
	return mr_failf(c, -ENOTCONN, "not connected to the bus: %s", c->lost_text);
}

void mr_ring_out_publish(struct mr_client *c)
{
	if (c->promised != &c->up)
		mr_bytes_publish_quiet(c->promised);
	if (mr_bytes_publish(&c->up))
		c->transport->wake(c);
}

static uint8_t *room(struct mr_client *c, struct mr_bytes_producer *ring, uint32_t bytes)
{
	uint8_t *to = mr_bytes_claim(ring, mr_message_stride(bytes));

	if (mr_likely(to != NULL))
		return to;
	/* The worker makes no room for bytes that were not published. */
	mr_ring_out_publish_rest(c);
	return mr_bytes_claim(ring, mr_message_stride(bytes));
}

uint8_t *mr_ring_out_room(struct mr_client *c, uint32_t bytes)
{
	return room(c, &c->up, bytes);
}

uint8_t *mr_ring_promised_make_room(struct mr_client *c, uint32_t bytes)
{
	uint8_t *to = room(c, c->promised, bytes);

	if (mr_likely(to != NULL) || c->promised == &c->up || c->eof)
		return to;
	/* The bus may have made room and acknowledged it. */
	c->transport->check_bus(c);
	return mr_bytes_claim(c->promised, mr_message_stride(bytes));
}

void mr_ring_out_pause(struct mr_client *c, unsigned *rounds)
{
	if (c->transport->make_room != NULL)
		c->transport->make_room(c);
	if ((*rounds)++ >= ROOM_SPINS) {
		c->transport->room_sleep(c);
		return;
	}
	mr_cpu_relax();
	if (c->few_cpus && *rounds % 32 == 0)
		sched_yield();
}

static uint8_t *room_wait(struct mr_client *c, struct mr_bytes_producer *ring, uint32_t bytes,
	uint64_t deadline_ns, int *error)
{
	uint8_t *to = room(c, ring, bytes);
	unsigned rounds = 0;

	*error = 0;
	if (to != NULL)
		return to;
	mr_bytes_want_bell(ring, true);
	while (*error == 0 && (to = room(c, ring, bytes)) == NULL) {
		if (c->eof)
			*error = mr_ring_out_refused(c);
		else if (rounds >= ROOM_SPINS && mr_now_ns() >= deadline_ns)
			*error = mr_fail(c, -ETIMEDOUT, "the ring to the bus stayed full");
		else
			mr_ring_out_pause(c, &rounds);
	}
	mr_bytes_want_bell(ring, false);
	return to;
}

uint8_t *mr_ring_out_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error)
{
	return room_wait(c, &c->up, bytes, deadline_ns, error);
}

uint8_t *mr_ring_promised_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error)
{
	return room_wait(c, c->promised, bytes, deadline_ns, error);
}

uint64_t mr_ring_promised_backlog(struct mr_client *c)
{
	return mr_bytes_backlog(c->promised);
}

uint64_t mr_ring_out_deadline_ns(const struct mr_client *c)
{
	return mr_now_ns() + c->options.request_timeout_ms * MR_NS_PER_MS;
}
