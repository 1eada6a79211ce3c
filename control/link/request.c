/* SPDX-License-Identifier: Apache-2.0 */
/* Open questions to the data plane: ids, limits for each client, answers. */
#include <errno.h>
#include <unistd.h>

#include "control/link/link.h"
#include "lib/wire/message.h"

#define NONE UINT32_MAX

int mr_link_requests_init(struct mr_link *l, uint32_t share_percent)
{
	for (uint32_t i = 0; i < MR_LINK_REQUESTS_MAX; i++) {
		l->requests[i].id = 0;
		l->requests[i].next_free = i + 1 < MR_LINK_REQUESTS_MAX ? i + 1 : NONE;
	}
	l->first_free = 0;
	return mr_in_flight_init(
		&l->in_flight, MR_LINK_REQUESTS_MAX, MR_LINK_SESSION_REQUESTS_MAX, share_percent);
}

static struct mr_link_request *find(struct mr_link *l, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (id == 0 || index >= MR_LINK_REQUESTS_MAX || l->requests[index].id != id)
		return NULL;
	return &l->requests[index];
}

static int take(struct mr_link *l, const struct mr_link_asker *asker, struct mr_link_request **out)
{
	int error = mr_in_flight_take(&l->in_flight, asker->peer, asker->session);
	struct mr_link_request *r;

	if (error != 0)
		return error;
	r = &l->requests[l->first_free];
	if (++l->sequence == 0)
		l->sequence = 1;
	r->id = (uint64_t)l->sequence << 32 | l->first_free;
	l->first_free = r->next_free;
	r->asker = *asker;
	*out = r;
	return 0;
}

static void give_back(struct mr_link *l, struct mr_link_request *r)
{
	uint32_t index = (uint32_t)r->id;

	mr_in_flight_give(&l->in_flight, r->asker.peer, r->asker.session);
	r->id = 0;
	r->next_free = l->first_free;
	l->first_free = index;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int send_request(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, int fd, uint64_t id)
{
	struct mrf_link_message m = {.id = id, .body_type = type, .body = body};
	const void *data;
	size_t bytes;
	int error = mrf_builder_finish(b, mrf_link_message_write(b, &m), &data, &bytes);

	if (error == 0 && bytes > MR_LINK_BYTES_MAX)
		error = -EMSGSIZE;
	if (error == 0)
		error = mr_conn_send(&l->conn, data, bytes, &fd, fd >= 0);
	else
		close_fd(fd);
	return error == -ENOBUFS ? -EBUSY : error;
}

int mr_link_ask(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type, uint32_t body,
	const struct mr_link_asker *asker, uint64_t *id)
{
	return mr_link_ask_with(l, b, type, body, -1, asker, id);
}

int mr_link_ask_with(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, int fd, const struct mr_link_asker *asker, uint64_t *id)
{
	struct mr_link_request *r;
	int error = l->state == MR_LINK_UP ? take(l, asker, &r) : -ENOTCONN;

	if (error != 0) {
		close_fd(fd);
		l->counters->link_refused += error != -EDQUOT;
		l->counters->link_refused_share += error == -EDQUOT;
		return error;
	}
	error = send_request(l, b, type, body, fd, r->id);
	if (error != 0) {
		give_back(l, r);
		l->counters->link_refused++;
		return error;
	}
	if (id != NULL)
		*id = r->id;
	l->counters->link_requests++;
	return 0;
}

void mr_link_forget(struct mr_link *l, uint64_t id)
{
	struct mr_link_request *r = find(l, id);

	if (r != NULL)
		r->asker.answered = NULL;
}

/* True if more parts of a listing will follow. For a listing that nobody waits for any more. */
static bool more_to_come(struct mrf_table message)
{
	struct mrf_table body = mrf_link_message_body(message);

	switch (mrf_link_message_body_type(message)) {
	case MRF_LINK_BODY_LINK_SESSIONS: return !mrf_link_sessions_last(body);
	case MRF_LINK_BODY_LINK_SUBSCRIPTIONS: return !mrf_link_subscriptions_last(body);
	default: return false;
	}
}

void mr_link_request_answer(
	struct mr_link *l, uint64_t id, struct mrf_table message, int *fds, unsigned fds_count)
{
	struct mr_link_request *r = find(l, id);
	const struct mr_link_answer answer = {message, fds, fds_count};
	struct mr_link_asker asker;
	bool more;

	if (r == NULL || r->asker.answered == NULL) {
		l->counters->link_unmatched++;
		if (r != NULL && !more_to_come(message))
			give_back(l, r);
		return;
	}
	asker = r->asker;
	more = asker.answered(&asker, &answer);
	if (!more && r->id == id)
		give_back(l, r);
}

void mr_link_requests_fail_all(struct mr_link *l)
{
	const struct mr_link_answer lost = {{NULL, 0, 0}, NULL, 0};

	for (uint32_t i = 0; i < MR_LINK_REQUESTS_MAX; i++) {
		struct mr_link_request *r = &l->requests[i];
		struct mr_link_asker asker = r->asker;

		if (r->id == 0)
			continue;
		give_back(l, r);
		if (asker.answered != NULL)
			(void)asker.answered(&asker, &lost);
	}
}
