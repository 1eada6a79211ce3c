/* SPDX-License-Identifier: Apache-2.0 */
#include "control/session/ended.h"

#include <stdio.h>
#include <string.h>

static bool same_peer(const struct mr_ended_entry *a, const struct mr_ended_entry *b)
{
	if (a->transport != b->transport)
		return false;
	if (a->transport == MRF_TRANSPORT_UDP)
		return a->path.peer_0 == b->path.peer_0 && a->path.peer_1 == b->path.peer_1;
	return a->uid == b->uid;
}

static struct mr_ended_entry *older(struct mr_ended_entry *a, struct mr_ended_entry *b)
{
	return a != NULL && a->order < b->order ? a : b;
}

/* Returns a free entry, or the one to replace. */
static struct mr_ended_entry *place_for(struct mr_ended *e, const struct mr_ended_entry *new)
{
	struct mr_ended_entry *unused = NULL, *own = NULL, *oldest = NULL;
	unsigned own_count = 0;

	for (struct mr_ended_entry *at = e->entries; at < e->entries + MR_ENDED_MAX; at++) {
		if (at->session == 0) {
			unused = at;
			continue;
		}
		oldest = older(oldest, at);
		if (same_peer(at, new)) {
			own = older(own, at);
			own_count++;
		}
	}
	if (own_count >= MR_ENDED_SHARE)
		return own;
	return unused != NULL ? unused : oldest;
}

static void copy_text(char *out, size_t out_bytes, struct mrf_string text)
{
	size_t bytes = text.bytes < out_bytes ? text.bytes : out_bytes - 1;

	if (bytes > 0)
		memcpy(out, text.data, bytes);
	out[bytes] = '\0';
}

void mr_ended_add(struct mr_ended *e, struct mrf_table closed,
	const struct mrf_session_stats *stats, uint64_t date_ns)
{
	struct mrf_table row = mrf_link_session_closed_row(closed);
	struct mr_ended_entry new = {
		.session = mrf_link_session_closed_session(closed),
		.order = ++e->count,
		.opened_ns = mrf_session_row_opened_ns(row),
		.ended_ns = date_ns,
		.uid = mrf_session_row_uid(row),
		.gid = mrf_session_row_gid(row),
		.pid = mrf_session_row_pid(row),
		.transport = mrf_session_row_transport(row),
		.path = mrf_session_row_path(row),
		.has_stats = stats != NULL,
	};

	if (new.session == 0)
		return;
	if (stats != NULL)
		new.stats = *stats;
	copy_text(new.name, sizeof(new.name), mrf_session_row_name(row));
	copy_text(new.reason, sizeof(new.reason), mrf_link_session_closed_reason(closed));
	*place_for(e, &new) = new;
}
