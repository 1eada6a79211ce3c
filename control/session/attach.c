/* SPDX-License-Identifier: Apache-2.0 */
#include "control/session/attach.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "flatbuf/attach.h"

/* Time for the request to arrive; then again for the data plane to come and answer. */
#define DEADLINE_NS      (2000 * MR_NS_PER_MS)
#define OUT_BYTES_MAX    4096u
#define SLOTS_SPARE      8u
#define PROTOCOL_VERSION 1u

static int build(struct mrf_builder *b, const struct mrf_attach_response *v, const void **data,
	size_t *bytes)
{
	return mrf_builder_finish(b, mrf_attach_response_write(b, v), data, bytes);
}

/* Closes the connection when the answer has been sent. */
static void finish(struct mr_attach_slot *s)
{
	s->state = MR_ATTACH_ENDING;
	mr_conn_finish(&s->conn);
}

static void refuse(struct mr_attach_slot *s, int code, const char *text)
{
	struct mrf_attach_response v = {
		.code = code, .text = mrf_str(text), .server_version = mrf_str(MR_VERSION)};
	struct mrf_builder b;
	uint64_t memory[128];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (build(&b, &v, &data, &bytes) == 0)
		(void)mr_conn_send(&s->conn, data, bytes, NULL, 0);
	finish(s);
}

static void accept_client(struct mr_attach_slot *s, struct mrf_table opened, int *fds)
{
	struct mrf_attach_response v = {
		.code = 0,
		.session = mrf_link_session_opened_session(opened),
		.worker = mrf_link_session_opened_worker(opened),
		.message_bytes_max = s->attach->link->dataplane.message_bytes_max,
		.whole_bytes_max = s->attach->config->messages.bytes_max,
		.server_version = mrf_str(MR_VERSION),
	};
	struct mrf_builder b;
	uint64_t memory[128];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (build(&b, &v, &data, &bytes) == 0) {
		/* conn_send takes over the descriptors. If they do not reach the client, the data
		 * plane sees the session's end. */
		(void)mr_conn_send(&s->conn, data, bytes, fds, MR_CHANNEL_FDS);
		for (unsigned i = 0; i < MR_CHANNEL_FDS; i++)
			fds[i] = -1;
	}
	s->attach->counters->attach_accepted++;
	mr_log_limited(MR_LOG_DEBUG, "session opened", MR_LOG_HEX("session", v.session),
		MR_LOG_STR("name", s->name), MR_LOG_U64("uid", s->peer.uid),
		MR_LOG_U64("pid", s->peer.pid), MR_LOG_U64("worker", v.worker));
	finish(s);
}

static bool answered(const struct mr_link_asker *a, const struct mr_link_answer *answer)
{
	struct mr_attach_slot *s = a->owner;
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	struct mrf_table opened = mrf_link_message_body_as_link_session_opened(answer->message);

	s->request_id = 0;
	if (mrf_table_is_empty(answer->message)) {
		s->state = MR_ATTACH_WAITING; /* for the next data plane, until the deadline */
	} else if (!mrf_table_is_empty(opened) && answer->fds_count == MR_CHANNEL_FDS) {
		accept_client(s, opened, answer->fds);
	} else {
		int code = mrf_link_result_code(result);

		s->attach->counters->attach_refused_full++;
		refuse(s, code < 0 ? code : -EPROTO,
			code < 0 ? mrf_link_result_text(result).data
				 : "the data plane gave no session");
	}
	return false;
}

static void ask(struct mr_attach_slot *s)
{
	struct mrf_link_open_session v = {
		.name = mrf_str(s->name),
		.uid = s->peer.uid,
		.gid = s->peer.gid,
		.pid = (uint32_t)s->peer.pid,
	};
	const struct mr_link_asker asker = {
		.answered = answered,
		.owner = s,
		.peer = mr_peer_of_user(s->peer.uid, geteuid()),
	};
	struct mrf_builder b;
	uint64_t memory[96];
	int pidfd = -1;
	int error;

	/* Sends a duplicate: a later data plane may have to be asked too. */
	if (s->pidfd >= 0 && s->attach->link->dataplane.takes_pidfd)
		pidfd = fcntl(s->pidfd, F_DUPFD_CLOEXEC, 0);
	mrf_builder_init(&b, memory, sizeof(memory));
	error = mr_link_ask_with(s->attach->link, &b, MRF_LINK_BODY_LINK_OPEN_SESSION,
		mrf_link_open_session_write(&b, &v), pidfd, &asker, &s->request_id);
	s->state = error == 0 ? MR_ATTACH_OPENING : MR_ATTACH_WAITING;
	if (error != 0 && error != -ENOTCONN) {
		s->attach->counters->attach_refused_busy++;
		refuse(s, error == -EDQUOT ? error : -EBUSY,
			error == -EDQUOT ? "this user has its share of the requests that the bus "
					   "works on (peers.share_percent); try again"
					 : "the bus is busy; try again");
	}
}

static void refuse_version(struct mr_attach_slot *s, uint32_t version)
{
	char text[128];

	snprintf(text, sizeof(text),
		"the client speaks version %u of the attach exchange, bus %s version %u", version,
		MR_VERSION, PROTOCOL_VERSION);
	refuse(s, -EPROTO, text);
}

static void request(struct mr_attach_slot *s, size_t bytes)
{
	struct mr_attach *a = s->attach;
	struct mrf_string name;
	struct mrf_table t;

	a->counters->attach_refused_malformed++; /* subtracted below if the request is valid */
	if (mrf_attach_request_parse(s->conn.in, bytes, &t) != 0) {
		refuse(s, -EBADMSG, "not an attach request");
		return;
	}
	name = mrf_attach_request_name(t);
	if (mrf_attach_request_version(t) != PROTOCOL_VERSION) {
		refuse_version(s, mrf_attach_request_version(t));
		return;
	}
	if (!mr_access_name_valid(name.data, name.bytes)) {
		refuse(s, -EINVAL, "name: longer than 63 bytes, or with control bytes");
		return;
	}
	a->counters->attach_refused_malformed--;
	memcpy(s->name, name.data, name.bytes);
	s->name[name.bytes] = '\0';
	if (!mr_access_attach(a->config, &s->peer, s->conn.fd)) {
		a->counters->attach_refused_access++;
		mr_log_limited(MR_LOG_INFO, "attach refused", MR_LOG_U64("uid", s->peer.uid),
			MR_LOG_U64("pid", s->peer.pid), MR_LOG_STR("name", s->name));
		refuse(s, -EACCES, "this user may not attach (access in the configuration)");
		return;
	}
	mr_loop_timer_start(a->loop, &s->deadline, DEADLINE_NS);
	ask(s);
}

/* Handles the request. A client that sends more is disconnected. */
static bool received(struct mr_conn *c, size_t bytes, int *fds, unsigned fds_count)
{
	struct mr_attach_slot *s = mr_container_of(c, struct mr_attach_slot, conn);

	(void)fds;
	(void)fds_count;
	if (s->state == MR_ATTACH_READING)
		request(s, bytes);
	else if (s->state != MR_ATTACH_ENDING)
		mr_conn_close(c, -EPROTO);
	return s->state != MR_ATTACH_ENDING;
}

static void closed(struct mr_conn *c, int error)
{
	struct mr_attach_slot *s = mr_container_of(c, struct mr_attach_slot, conn);
	struct mr_attach *a = s->attach;

	mr_loop_timer_stop(a->loop, &s->deadline);
	if (error == -EMSGSIZE)
		a->counters->attach_refused_malformed++;
	else if (error != 0 && error != -ETIMEDOUT)
		a->counters->attach_hangups++;
	if (s->request_id != 0)
		mr_link_forget(a->link, s->request_id);
	s->request_id = 0;
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
	s->state = MR_ATTACH_FREE;
	mr_accept_resume(&a->accept);
}

static void deadline(struct mr_loop_timer *t)
{
	struct mr_attach_slot *s = mr_container_of(t, struct mr_attach_slot, deadline);

	switch (s->state) {
	case MR_ATTACH_READING:
		s->attach->counters->attach_timeouts++;
		refuse(s, -ETIMEDOUT, "no request within 2 seconds");
		break;
	case MR_ATTACH_WAITING:
	case MR_ATTACH_OPENING:
		s->attach->counters->attach_refused_away++;
		refuse(s, -ENOTCONN,
			s->state == MR_ATTACH_OPENING ? "the data plane does not answer"
			: s->attach->link->refused
				? "the data plane is of another version than control"
				: "the data plane is not running");
		break;
	default:
		/* The client does not even read its answer. */
		mr_conn_close(&s->conn, -ETIMEDOUT);
		return;
	}
	mr_loop_timer_start(s->attach->loop, &s->deadline, DEADLINE_NS);
}

static const struct mr_conn_events events = {.received = received, .closed = closed};

static struct mr_attach_slot *free_slot(struct mr_attach *a)
{
	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++) {
		if (a->slots[i].state == MR_ATTACH_FREE)
			return &a->slots[i];
	}
	return NULL;
}

/* Keeps slots free for new clients: refuses the connection that has waited longest without a
 * request. Honest clients send their request at once, so they are not affected. */
static void make_room(struct mr_attach *a, const struct mr_attach_slot *newest)
{
	struct mr_attach_slot *first = NULL;
	unsigned used = 0;

	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++) {
		struct mr_attach_slot *s = &a->slots[i];

		used += s->state != MR_ATTACH_FREE;
		if (s != newest && s->state == MR_ATTACH_READING &&
			(first == NULL || s->order < first->order))
			first = s;
	}
	if (used <= MR_ATTACH_SLOTS - SLOTS_SPARE || first == NULL)
		return;
	a->counters->attach_refused_busy++;
	refuse(first, -EBUSY, "too many clients attach at once; try again");
}

static void accepted(struct mr_accept *accept, int fd)
{
	struct mr_attach *a = mr_container_of(accept, struct mr_attach, accept);
	struct mr_attach_slot *s = free_slot(a);

	assert(s != NULL); /* accept is paused while no slot is free */
	a->counters->attach_connections++;
	if (mr_access_peer(fd, &s->peer) != 0) {
		close(fd);
		return;
	}
	s->pidfd = mr_access_peer_pidfd(fd, &s->peer);
	s->state = MR_ATTACH_READING;
	s->order = a->arrivals++;
	s->request_id = 0;
	mr_loop_timer_start(a->loop, &s->deadline, DEADLINE_NS);
	mr_conn_open(&s->conn, a->loop, fd);
	make_room(a, s);
	if (free_slot(a) == NULL)
		mr_accept_pause(&a->accept);
}

static mode_t socket_mode(const struct mr_config *c)
{
	return c->access.anyone || c->access.users_count > 0 || c->access.groups_count > 0 ? 0666
											   : 0600;
}

int mr_attach_open(struct mr_attach *a, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config, struct mr_control_counters *counters)
{
	char path[PATH_MAX];

	a->loop = loop;
	a->link = link;
	a->config = config;
	a->counters = counters;
	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++) {
		struct mr_attach_slot *s = &a->slots[i];

		s->attach = a;
		s->pidfd = -1;
		s->deadline = (struct mr_loop_timer){.fire = deadline};
		s->conn = (struct mr_conn){
			.events = &events,
			.fd = -1,
			.in = (uint8_t *)s->in,
			.in_capacity = sizeof(s->in),
			.out_bytes_max = OUT_BYTES_MAX,
		};
	}
	a->accept.accepted = accepted;
	snprintf(path, sizeof(path), "%s/attach.sock", config->run_dir);
	return mr_accept_open(&a->accept, loop, path, SOCK_SEQPACKET, socket_mode(config));
}

void mr_attach_close(struct mr_attach *a)
{
	mr_accept_close(&a->accept);
	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++)
		mr_conn_close(&a->slots[i].conn, 0);
}

void mr_attach_link_up(struct mr_attach *a)
{
	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++) {
		if (a->slots[i].state == MR_ATTACH_WAITING)
			ask(&a->slots[i]);
	}
}
