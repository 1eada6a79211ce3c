/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/deliver.h"

#include "dataplane/worker/fragment.h"

bool mr_worker_tell_gap(struct mr_worker *w, struct mr_session *s, uint64_t room_bytes)
{
	struct mrf_gap gap = {.missed = s->missed_unreported, .missed_total = s->stats->missed};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_GAP, NULL, NULL, 0, &gap, 0, sizeof(gap));
	void *to;

	if (s->missed_unreported & MR_SESSION_QUEUED)
		return false; /* the Gap goes behind the queued messages */
	if (s->remote != NULL)
		room_bytes = 0; /* the next frame has room */
	to = mr_bytes_claim(&s->down, plan.stride + room_bytes);
	if (to == NULL)
		to = mr_worker_frame_claim(w, s, plan.stride);
	if (to == NULL)
		return false;
	mr_message_write(to, &plan, 0);
	mr_bytes_push(&s->down, plan.stride);
	s->down_messages++;
	s->missed_unreported = 0;
	mr_worker_mark_dirty(w, s);
	return true;
}

void mr_worker_no_room(struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint64_t *full)
{
	if (s->remote == NULL)
		mr_count(*full, 1);
	else if (bytes > MR_FRAME_ROOM(s->remote->frame_bytes))
		mr_count(w->stats->drop_too_large, 1);
	else
		mr_count(w->stats->drop_no_buffer, 1);
}

bool mr_worker_copy_fragments(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	struct mr_message_plan fragment;
	struct mr_fragments p;
	bool all = true;

	if (!mr_worker_needs_fragments(s, plan->stride) || !mr_fragments_begin(&p, w, s, plan))
		return false;
	while (all && mr_fragments_next(&p, &fragment))
		all = mr_worker_copy(w, s, &fragment, target);
	return all;
}

const struct mr_session *mr_worker_missed(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	s->missed_unreported++;
	mr_count(s->stats->missed, 1);
	mr_worker_no_room(w, s, bytes, &w->stats->drop_receiver_full);
	return mr_worker_has_no_room(s) ? s : NULL;
}

void mr_worker_missed_many(struct mr_worker *w, struct mr_session *s, uint32_t count)
{
	s->missed_unreported += count;
	mr_count(s->stats->missed, count);
	mr_count(w->stats->drop_receiver_full, count);
}

void mr_worker_reply(struct mr_worker *w, const struct mr_message_view *m)
{
	struct mrf_reply_token token = {.correlation = m->token.correlation};
	struct mr_message_plan plan = mr_message_replan(m, MRF_MESSAGE_KIND_REPLY);
	struct mr_session *s = mr_directory_find(&w->directory, mr_session_slot(m->token.session),
		mr_session_generation(m->token.session));

	plan.token = &token;
	if (mr_unlikely(s == NULL))
		mr_count(w->stats->drop_stale_token, 1);
	else if (mr_likely(mr_worker_copy(w, s, &plan, 0)))
		mr_count(w->stats->replied, 1);
	else
		mr_worker_no_room(w, s, plan.stride, &w->stats->drop_reply_full);
}
