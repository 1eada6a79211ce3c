/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/stages.h"

/* Makes a session silent: the table writer finds it so and shuts it. */
static void give_up(struct mr_worker *w, struct mr_session *s)
{
	if (!atomic_load_explicit(&s->corrupt, memory_order_relaxed)) {
		mr_count(w->stats->channel_corrupt, 1);
		atomic_store_explicit(&s->corrupt, true, memory_order_release);
	}
}

/* An inline subject is looked at more than once: it must not change meanwhile. */
static void keep_subject(struct mr_worker *w, struct mr_burst_entry *e)
{
	char *copy = w->subjects[e - w->burst];

	memcpy(copy, e->view.subject, e->view.subject_bytes);
	e->view.subject = (const uint8_t *)copy;
}

/* Takes messages of one session into the burst; returns their bytes. */
static uint32_t take(struct mr_worker *w, struct mr_session *s, uint32_t bytes_max)
{
	size_t ready = mr_bytes_readable(&s->up);
	uint32_t bytes = 0;
	uint32_t taken = 0;

	if (ready == 0)
		return 0;
	if (mr_unlikely(ready == MR_BYTES_CORRUPT)) {
		give_up(w, s);
		return 0;
	}
	while (ready > 0 && taken < MR_SESSION_BURST && w->burst_count < MR_BURST &&
		bytes < bytes_max) {
		const uint8_t *at = mr_bytes_peek(&s->up);
		struct mr_burst_entry *e = &w->burst[w->burst_count];
		struct mrf_message_header h = mr_message_header_load(at);
		uint32_t stride = mr_message_stride(h.bytes);

		if (mr_unlikely(!mr_message_fits(&h, ready))) {
			/* Where the next message starts cannot be known any more. */
			give_up(w, s);
			break;
		}
		mr_bytes_skip(&s->up, h.bytes);
		ready -= stride;
		bytes += stride;
		e->from = s;
		w->burst_count++;
		taken++;
		if (mr_unlikely(!mr_message_parse(at, h, &e->view))) {
			mr_count(w->stats->drop_bad_message, 1);
			mr_count(s->stats->rejected, 1);
			e->from = NULL;
		} else if (e->view.subject_bytes > 0) {
			keep_subject(w, e);
		}
	}
	mr_count(s->stats->rx_messages, taken);
	mr_count(s->stats->rx_bytes, bytes);
	if (!s->consumed) {
		s->consumed = true;
		w->consumed[w->consumed_count++] = s;
	}
	return bytes;
}

void mr_worker_rx(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */
	uint32_t bytes = 0;

	w->burst_count = 0;
	if (mr_unlikely(!mr_worker_mesh_ready(w))) {
		mr_count(w->stats->mesh_stalls, 1);
		return;
	}
	/* Whoever did not get into this burst is asked first in the next. */
	if (w->cursor >= list->count)
		w->cursor = 0;
	for (uint32_t i = 0, at = w->cursor; i < list->count; i++) {
		struct mr_session *s = list->sessions[at];

		if (!atomic_load_explicit(&s->corrupt, memory_order_relaxed))
			bytes += take(w, s, MR_BURST_BYTES - bytes);
		at = at + 1 < list->count ? at + 1 : 0;
		if (w->burst_count == MR_BURST || bytes >= MR_BURST_BYTES) {
			w->cursor = at;
			break;
		}
	}
	if (w->burst_count > 0) {
		mr_count(w->stats->rx_messages, w->burst_count);
		mr_count(w->stats->rx_bytes, bytes);
		w->moved = true;
	}
}
