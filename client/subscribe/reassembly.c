/* SPDX-License-Identifier: Apache-2.0 */
/* Each fragment is checked against the first one. Fragments arrive in order, so a message cannot be
 * completed any more once a fragment does not follow its predecessor. */
#include "client/subscribe/reassembly.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/part.h"

#define REASSEMBLIES_MAX 16u

struct mr_reassembly {
	/* The key: the message and its addressee. */
	uint64_t session;
	uint64_t addressee; /* delivery tag or correlation */
	uint32_t message;
	uint32_t target;
	uint8_t kind;
	uint32_t total_bytes;
	uint32_t received_bytes; /* bytes received, from the start on */
	struct mr_deferred *whole;
};

static uint64_t addressee_of(const struct mr_message_view *m)
{
	return m->header.flags & MRF_MESSAGE_FLAG_DELIVERY ? m->extra.delivery.tag
							   : m->token.correlation;
}

static struct mr_reassembly *find_reassembly(struct mr_client *c, const struct mr_message_view *m)
{
	for (unsigned i = 0; i < c->reassemblies_count; i++) {
		struct mr_reassembly *a = &c->reassemblies[i];

		if (a->session == m->extra.fragment.session &&
			a->message == m->extra.fragment.message && a->kind == m->header.kind &&
			a->target == m->header.target && a->addressee == addressee_of(m))
			return a;
	}
	return NULL;
}

/* Removes an entry; the others stay in their order of arrival. */
static void take_out(struct mr_client *c, struct mr_reassembly *a)
{
	unsigned behind = c->reassemblies_count - (unsigned)(a - c->reassemblies) - 1;

	memmove(a, a + 1, behind * sizeof(*a));
	c->reassemblies_count--;
}

static void drop_reassembly(struct mr_client *c, struct mr_reassembly *a)
{
	free(a->whole);
	take_out(c, a);
	c->missed++;
}

void mr_reassembly_clear(struct mr_client *c)
{
	while (c->reassemblies_count > 0)
		drop_reassembly(c, &c->reassemblies[0]);
}

/* Allocates the whole message. The stamp and the subject stand behind the body; the header block is
 * its first part. A zero byte follows the payload and the subject: here it costs nothing. */
static struct mr_deferred *whole_new(const struct mr_message_view *m, uint32_t stamp_bytes)
{
	uint32_t total = m->extra.fragment.total_bytes;
	uint8_t *subject;
	struct mr_deferred *w =
		malloc(sizeof(*w) + (size_t)total + stamp_bytes + m->subject_bytes + 2);

	if (w == NULL)
		return NULL;
	*w = (struct mr_deferred){
		.subscription = m->header.kind == MRF_MESSAGE_KIND_DELIVER ? m->header.target : 0,
		.bytes = total + m->subject_bytes,
		.whole = true,
		.stamp_bytes = (uint8_t)stamp_bytes,
		.view = *m,
	};
	w->view.header.flags &= (uint8_t)~MRF_MESSAGE_FLAG_FRAGMENT;
	w->view.extra.flags &= (uint8_t)~MRF_MESSAGE_FLAG_FRAGMENT;
	w->view.headers = w->record;
	w->view.payload = w->record + m->header_bytes;
	w->view.payload_bytes = total - m->header_bytes;
	subject = w->record + total + 1 + stamp_bytes;
	w->view.subject = subject;
	w->record[total] = 0;
	memcpy(subject - stamp_bytes, m->subject - stamp_bytes, stamp_bytes + m->subject_bytes);
	subject[m->subject_bytes] = 0;
	return w;
}

static bool count_malformed(struct mr_client *c)
{
	c->malformed++;
	return false;
}

/* Checks the first fragment. */
static bool first_fits(struct mr_client *c, const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;

	return f->total_bytes <= mr_message_bytes_max(c) &&
	       f->total_bytes >= m->header_bytes + m->payload_bytes;
}

static struct mr_reassembly *begin_reassembly(
	struct mr_client *c, const struct mr_message_view *m, uint32_t stamp_bytes)
{
	struct mr_reassembly *a;

	if (c->reassemblies == NULL)
		c->reassemblies = calloc(REASSEMBLIES_MAX, sizeof(*c->reassemblies));
	if (c->reassemblies == NULL)
		return NULL;
	if (c->reassemblies_count == REASSEMBLIES_MAX)
		drop_reassembly(c, &c->reassemblies[0]);
	a = &c->reassemblies[c->reassemblies_count];
	*a = (struct mr_reassembly){
		.session = m->extra.fragment.session,
		.addressee = addressee_of(m),
		.message = m->extra.fragment.message,
		.target = m->header.target,
		.kind = m->header.kind,
		.total_bytes = m->extra.fragment.total_bytes,
		.whole = whole_new(m, stamp_bytes),
	};
	if (a->whole == NULL) {
		c->missed++;
		return NULL;
	}
	c->reassemblies_count++;
	return a;
}

static void copy_in(struct mr_reassembly *a, const struct mr_message_view *m)
{
	memcpy(a->whole->record + a->received_bytes, m->headers, m->header_bytes);
	a->received_bytes += m->header_bytes;
	memcpy(a->whole->record + a->received_bytes, m->payload, m->payload_bytes);
	a->received_bytes += m->payload_bytes;
}

/* Checks a fragment that is not the first. */
static bool follows(const struct mr_reassembly *a, const struct mr_message_view *m)
{
	return m->header_bytes == 0 && m->payload_bytes > 0 &&
	       m->extra.fragment.offset == a->received_bytes &&
	       m->extra.fragment.total_bytes == a->total_bytes &&
	       m->payload_bytes <= a->total_bytes - a->received_bytes;
}

static struct mr_reassembly *take_fragment(
	struct mr_client *c, const struct mr_message_view *m, uint32_t stamp_bytes)
{
	struct mr_reassembly *a = find_reassembly(c, m);

	if (m->extra.fragment.offset == 0) {
		/* The message was retransmitted from its start. */
		if (a != NULL)
			drop_reassembly(c, a);
		if (!first_fits(c, m)) {
			count_malformed(c);
			return NULL;
		}
		return begin_reassembly(c, m, stamp_bytes);
	}
	if (a == NULL) {
		/* Its first fragment was lost, or the message was dropped and counted. */
		c->unmatched++;
		return NULL;
	}
	if (!follows(a, m)) {
		drop_reassembly(c, a);
		return NULL;
	}
	return a;
}

struct mr_deferred *mr_reassemble(
	struct mr_client *c, const struct mr_message_view *m, uint32_t stamp_bytes)
{
	struct mr_reassembly *a = take_fragment(c, m, stamp_bytes);
	struct mr_deferred *whole;

	if (a == NULL)
		return NULL;
	copy_in(a, m);
	if (a->received_bytes < a->total_bytes)
		return NULL;
	whole = a->whole;
	take_out(c, a);
	return whole;
}

const struct mr_part mr_reassembly_part = {.lost = mr_reassembly_clear};
