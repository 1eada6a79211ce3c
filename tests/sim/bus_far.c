/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/bus_far.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/cover.h"
#include "tests/sim/world.h"

struct kept {
	struct kept *next;
	uint64_t session;
	struct mr_message_view view; /* its sections are in `bytes` */
	uint8_t bytes[];
};

static struct {
	struct kept *first;
	struct kept **end;
} ring;

void bus_far_open(void)
{
	ring.first = NULL;
	ring.end = &ring.first;
}

bool bus_far_runs(void)
{
	return world_now_ns() >= bus.far_frozen_until_ns;
}

/* Copies a section to *at, and moves *at behind it. */
static const uint8_t *copy_section(uint8_t **at, const uint8_t *from, uint32_t bytes)
{
	uint8_t *to = *at;

	if (bytes > 0)
		memcpy(to, from, bytes);
	*at += bytes;
	return to;
}

void bus_far_keep(uint64_t session, const struct mr_message_view *m)
{
	struct kept *k =
		malloc(sizeof(*k) + m->subject_bytes + m->header_bytes + (size_t)m->payload_bytes);
	uint8_t *at;

	if (k == NULL)
		world_fail("no memory");
	*k = (struct kept){.session = session, .view = *m};
	at = k->bytes;
	k->view.subject = copy_section(&at, m->subject, m->subject_bytes);
	k->view.headers = copy_section(&at, m->headers, m->header_bytes);
	k->view.payload = copy_section(&at, m->payload, m->payload_bytes);
	*ring.end = k;
	ring.end = &k->next;
	cover(COVER_FAR_KEPT);
}

static struct kept *take_first(void)
{
	struct kept *k = ring.first;

	if (k == NULL)
		return NULL;
	ring.first = k->next;
	if (ring.first == NULL)
		ring.end = &ring.first;
	return k;
}

void bus_far_take_kept(void)
{
	struct kept *k;

	while (bus_far_runs() && (k = take_first()) != NULL) {
		bus_take_far(k->session, &k->view);
		free(k);
	}
}

void bus_far_close(void)
{
	struct kept *k;

	while ((k = take_first()) != NULL)
		free(k);
}
