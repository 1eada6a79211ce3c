/* SPDX-License-Identifier: Apache-2.0 */
/* unread_requests: answers requests that are unread in the down ring of a client that is gone. If
 * the subject has no other subscriber, the requester gets the status NoResponders instead of
 * waiting for its time-out.
 *
 *   down ring:  read │ request │ event │ request │ ◀─ nothing more comes: no subscriptions
 *                        └─▶ does the subject have a subscriber now? ──no──▶ Status 503
 *
 * The client can write to the ring, too: records are copied out and checked. */
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

static void answer_if_request(
	struct mr_worker *w, const uint8_t *record, struct mrf_message_header h)
{
	const unsigned parts = MRF_MESSAGE_FLAG_DELIVERY | MRF_MESSAGE_FLAG_FRAGMENT;
	struct mr_message_view m;

	if (h.kind != MRF_MESSAGE_KIND_DELIVER || (h.flags & MRF_MESSAGE_FLAG_TOKEN) == 0 ||
		(h.flags & parts) != 0 || !mr_message_parse(record, h, &m) || m.subject_bytes == 0)
		return;
	if (!is_wanted(w, &m))
		tell_no_responders(w, &m);
}

void mr_worker_answer_unread(struct mr_worker *w, struct mr_session *s)
{
	struct mr_bytes_producer *down = &s->down;
	uint64_t left;

	mr_bytes_look(down);
	for (unsigned i = 0; i < RECORDS_AT_ONCE; i++) {
		const uint8_t *record;
		struct mrf_message_header h;

		left = down->tail - down->head_seen;
		if (s->unread_looked >= left)
			return;
		left -= s->unread_looked;
		record = down->data + ((down->tail - left) & (down->capacity - 1));
		h = mr_message_header_load(record);
		if (!mr_message_fits(&h, left)) {
			s->unread_looked = UINT32_MAX;
			return;
		}
		answer_if_request(w, record, h);
		s->unread_looked += (uint32_t)mr_message_stride(h.bytes);
	}
}
