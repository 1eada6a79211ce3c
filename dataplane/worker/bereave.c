/* SPDX-License-Identifier: Apache-2.0 */
/* bereave: requests that wait unread in the ring of a client that is gone. Who asked is told that nobody is there, if
 * nobody else is, instead of waiting until his time is over.
 *
 *   down ring of the dead:  read │ request │ event │ request │ ◀─ nothing more comes: its subscriptions are gone
 *                                    └─▶ is anybody interested in the subject now? ──no──▶ Status 503
 *
 * The ring is the client's memory too: what stands in it is copied out, and checked. */
#include <string.h>

#include "dataplane/worker/frames.h"
#include "dataplane/worker/promise.h"
#include "dataplane/worker/worker.h"

#define RECORDS_AT_ONCE 64u

static bool is_wanted(struct mr_worker *w, const struct mr_message_view *m)
{
	char subject[MR_SUBJECT_BYTES_MAX];
	const struct mr_route *r;

	memcpy(subject, m->subject, m->subject_bytes);
	r = mr_worker_subject(w, subject, m->subject_bytes);
	return r == NULL || r->interest;
}

static void tell_no_responders(struct mr_worker *w, const struct mr_message_view *m)
{
	struct mrf_reply_token token = {.correlation = m->token.correlation};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_STATUS, &token, NULL, 0, NULL, 0, 0);

	mr_count(w->stats->requests_bereft, 1);
	mr_worker_promise_to(w, m->token.session, &plan, MRF_STATUS_CODE_NO_RESPONDERS);
}

static void look_at(struct mr_worker *w, const uint8_t *record, struct mrf_message_header h)
{
	const unsigned parts = MRF_MESSAGE_FLAG_DELIVERY | MRF_MESSAGE_FLAG_FRAGMENT;
	struct mr_message_view m;

	if (h.kind != MRF_MESSAGE_KIND_DELIVER || (h.flags & MRF_MESSAGE_FLAG_TOKEN) == 0 ||
		(h.flags & parts) != 0 || !mr_message_parse(record, h, &m) || m.subject_bytes == 0)
		return;
	if (!is_wanted(w, &m))
		tell_no_responders(w, &m);
}

void mr_worker_bereave(struct mr_worker *w, struct mr_session *s)
{
	struct mr_bytes_producer *down = &s->down;
	uint64_t left;

	mr_bytes_look(down);
	for (unsigned i = 0; i < RECORDS_AT_ONCE; i++) {
		const uint8_t *record;
		struct mrf_message_header h;

		left = down->tail - down->head_seen;
		if (s->bereft_bytes >= left)
			return;
		left -= s->bereft_bytes;
		record = down->data + ((down->tail - left) & (down->capacity - 1));
		h = mr_message_header_load(record);
		if (!mr_message_fits(&h, left)) {
			s->bereft_bytes = UINT32_MAX;
			return;
		}
		look_at(w, record, h);
		s->bereft_bytes += (uint32_t)mr_message_stride(h.bytes);
	}
}
