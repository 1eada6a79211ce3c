/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the sessions that ended lately. */
#include "control/admin/admin.h"

static uint32_t session_row(struct mr_admin_slot *s, const struct mr_ended_entry *e)
{
	struct mrf_session_row row = {
		.session = e->session,
		.name = mrf_str(e->name),
		.uid = e->uid,
		.gid = e->gid,
		.pid = e->pid,
		.opened_ns = e->opened_ns,
		.transport = e->transport,
	};

	if (e->transport == MRF_TRANSPORT_UDP)
		row.path = &e->path;
	return mrf_session_row_write(&s->builder, &row);
}

static int ended_row(struct mr_admin_slot *s, const struct mr_ended_entry *e)
{
	const struct mrf_admin_ended v = {
		.row = session_row(s, e),
		.ended_ns = e->ended_ns,
		.reason = mrf_str(e->reason),
		.stats = e->has_stats ? &e->stats : NULL,
	};

	return mr_admin_row(s, mrf_admin_ended_write(&s->builder, &v));
}

void mr_admin_list_ended(struct mr_admin_slot *s)
{
	const struct mr_ended *list = s->admin->ended;
	struct mrf_admin_ended_sessions v = {.ended = list->count};
	int error = 0;

	for (unsigned i = 0; error == 0 && i < MR_ENDED_MAX; i++) {
		if (list->entries[i].session != 0)
			error = ended_row(s, &list->entries[i]);
	}
	if (error != 0) {
		mr_admin_fail(s, error);
		return;
	}
	v.rows = s->rows;
	v.rows_count = s->rows_count;
	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_ENDED_SESSIONS,
		mrf_admin_ended_sessions_write(&s->builder, &v));
}
