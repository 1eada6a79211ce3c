/* SPDX-License-Identifier: Apache-2.0 */
#include "control/admin/admin.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/session/access.h"
#include "lib/base/log.h"

#define IDLE_NS     (60000 * MR_NS_PER_MS)
#define ANSWER_NS   (30000 * MR_NS_PER_MS)
#define ROWS_MAX    (4u << 20)
#define SLOTS_SPARE 2u

static void forget_answer(struct mr_admin_slot *s)
{
	if (s->building)
		mrf_builder_fini(&s->builder);
	s->building = false;
	free(s->rows);
	s->rows = NULL;
	s->rows_count = s->rows_room = 0;
}

int mr_admin_begin(struct mr_admin_slot *s)
{
	int error;

	forget_answer(s);
	error = mrf_builder_grow_init(&s->builder, MR_ADMIN_ANSWER_BYTES_MAX);
	s->building = error == 0;
	return error;
}

int mr_admin_row(struct mr_admin_slot *s, uint32_t row)
{
	if (row == 0)
		return s->builder.error != 0 ? s->builder.error : -EINVAL;
	if (s->rows_count == s->rows_room) {
		uint32_t room = s->rows_room > 0 ? 2 * s->rows_room : 64;
		uint32_t *rows =
			room <= ROWS_MAX ? reallocarray(s->rows, room, sizeof(*rows)) : NULL;

		if (rows == NULL)
			return room <= ROWS_MAX ? -ENOMEM : -E2BIG;
		s->rows = rows;
		s->rows_room = room;
	}
	s->rows[s->rows_count++] = row;
	return 0;
}

static void send_packet(struct mr_admin_slot *s, const void *data, size_t bytes)
{
	uint32_t length = (uint32_t)bytes;

	s->state = MR_ADMIN_SENDING;
	mr_loop_timer_start(s->admin->loop, &s->timer, ANSWER_NS);
	if (mr_conn_send(&s->conn, &length, sizeof(length), NULL, 0) != 0 ||
		mr_conn_send(&s->conn, data, bytes, NULL, 0) != 0)
		mr_conn_close(&s->conn, -ENOBUFS);
}

void mr_admin_result(struct mr_admin_slot *s, int code, const char *text)
{
	struct mrf_admin_result r = {.code = code, .text = mrf_str(text)};
	struct mrf_admin_response v = {.body_type = MRF_ADMIN_BODY_ADMIN_RESULT};
	struct mrf_builder b;
	uint64_t memory[128];
	const void *data;
	size_t bytes;

	forget_answer(s);
	mrf_builder_init(&b, memory, sizeof(memory));
	v.body = mrf_admin_result_write(&b, &r);
	if (mrf_builder_finish(&b, mrf_admin_response_write(&b, &v), &data, &bytes) == 0)
		send_packet(s, data, bytes);
	else
		mr_conn_close(&s->conn, -EMSGSIZE);
}

void mr_admin_fail(struct mr_admin_slot *s, int error)
{
	bool large = error == -ENOSPC || error == -E2BIG;

	mr_admin_result(s, large ? -E2BIG : error,
		large ? "the answer is larger than 64 MiB" : mr_log_errno_text(error));
}

void mr_admin_answer(struct mr_admin_slot *s, enum mrf_admin_body type, uint32_t body)
{
	struct mrf_admin_response v = {.body_type = type, .body = body};
	const void *data;
	size_t bytes;
	int error = mrf_builder_finish(
		&s->builder, mrf_admin_response_write(&s->builder, &v), &data, &bytes);

	if (error == 0) {
		send_packet(s, data, bytes);
		forget_answer(s);
	} else {
		mr_admin_fail(s, error);
	}
}

static void malformed(struct mr_admin_slot *s, int code, const char *text)
{
	s->admin->counters->admin_malformed++;
	mr_admin_result(s, code, text);
	s->state = MR_ADMIN_ENDING;
	mr_conn_finish(&s->conn);
}

/* Handles the first complete packet in the buffer and removes it. False if there is none. */
static bool handle_one(struct mr_admin_slot *s)
{
	struct mrf_table request;
	size_t taken;
	uint32_t length;

	if (s->conn.in_bytes < sizeof(length))
		return false;
	memcpy(&length, s->in, sizeof(length));
	if (length == 0 || length > MR_ADMIN_REQUEST_BYTES_MAX) {
		malformed(s, -EMSGSIZE, "a request has 1 to 65536 bytes");
		return true;
	}
	taken = sizeof(length) + length;
	if (s->conn.in_bytes < taken)
		return false;
	if (mrf_admin_request_parse(s->in + sizeof(length), length, &request) != 0) {
		malformed(s, -EBADMSG, "not an admin request");
		return true;
	}
	s->used = s->admin->uses++;
	s->admin->counters->admin_requests++;
	s->state = MR_ADMIN_ASKING;
	mr_loop_timer_start(s->admin->loop, &s->timer, ANSWER_NS);
	mr_admin_handle(s, request);
	s->conn.in_bytes -= taken;
	memmove(s->in, s->in + taken, s->conn.in_bytes);
	return true;
}

static bool received(struct mr_conn *c, size_t bytes, int *fds, unsigned fds_count)
{
	struct mr_admin_slot *s = mr_container_of(c, struct mr_admin_slot, conn);

	(void)fds;
	(void)fds_count;
	c->in_bytes += bytes;
	if (s->state == MR_ADMIN_IDLE)
		(void)handle_one(s);
	return s->state == MR_ADMIN_IDLE;
}

static void drained(struct mr_conn *c)
{
	struct mr_admin_slot *s = mr_container_of(c, struct mr_admin_slot, conn);

	if (s->state != MR_ADMIN_SENDING)
		return;
	s->state = MR_ADMIN_IDLE;
	mr_loop_timer_start(s->admin->loop, &s->timer, IDLE_NS);
	if (!handle_one(s))
		mr_conn_resume(c);
}

static void closed(struct mr_conn *c, int error)
{
	struct mr_admin_slot *s = mr_container_of(c, struct mr_admin_slot, conn);

	(void)error;
	mr_loop_timer_stop(s->admin->loop, &s->timer);
	if (s->request_id != 0)
		mr_link_forget(s->admin->link, s->request_id);
	s->request_id = 0;
	mr_queue_command_forget(s->admin->queue_commands, s->queues.id);
	s->queues.id = 0;
	forget_answer(s);
	s->state = MR_ADMIN_FREE;
	mr_accept_resume(&s->admin->accept);
}

static void fire(struct mr_loop_timer *t)
{
	struct mr_admin_slot *s = mr_container_of(t, struct mr_admin_slot, timer);

	s->admin->counters->admin_timeouts++;
	mr_conn_close(&s->conn, -ETIMEDOUT);
}

static const struct mr_conn_events events = {
	.received = received,
	.drained = drained,
	.closed = closed,
};

static struct mr_admin_slot *free_slot(struct mr_admin *a)
{
	for (unsigned i = 0; i < MR_ADMIN_SLOTS; i++) {
		if (a->slots[i].state == MR_ADMIN_FREE)
			return &a->slots[i];
	}
	return NULL;
}

/* Keeps slots free for new connections: closes the connection that has been idle longest. */
static void make_room(struct mr_admin *a, const struct mr_admin_slot *newest)
{
	struct mr_admin_slot *first = NULL;
	unsigned used = 0;

	for (unsigned i = 0; i < MR_ADMIN_SLOTS; i++) {
		struct mr_admin_slot *s = &a->slots[i];

		used += s->state != MR_ADMIN_FREE;
		if (s != newest && s->state == MR_ADMIN_IDLE &&
			(first == NULL || s->used < first->used))
			first = s;
	}
	if (used <= MR_ADMIN_SLOTS - SLOTS_SPARE || first == NULL)
		return;
	a->counters->admin_refused_busy++;
	first->state = MR_ADMIN_ENDING;
	mr_conn_close(&first->conn, 0);
}

static void accepted(struct mr_accept *accept, int fd)
{
	struct mr_admin *a = mr_container_of(accept, struct mr_admin, accept);
	struct mr_admin_slot *s = free_slot(a);
	struct ucred peer;

	assert(s != NULL); /* accept is paused while no slot is free */
	a->counters->admin_connections++;
	if (mr_access_peer(fd, &peer) != 0) {
		close(fd);
		return;
	}
	s->state = MR_ADMIN_IDLE;
	s->used = a->uses++;
	s->request_id = 0;
	mr_loop_timer_start(a->loop, &s->timer, IDLE_NS);
	mr_conn_open(&s->conn, a->loop, fd);
	if (!mr_access_admin(&peer)) {
		a->counters->admin_refused_access++;
		mr_admin_result(s, -EACCES, "only root and the user of the bus may administer it");
		s->state = MR_ADMIN_ENDING;
		mr_conn_finish(&s->conn);
	}
	make_room(a, s);
	if (free_slot(a) == NULL)
		mr_accept_pause(&a->accept);
}

int mr_admin_open(struct mr_admin *a, struct mr_loop *loop, struct mr_link *link,
	struct mr_queue_commands *queue_commands, const struct mr_watch *watch,
	const struct mr_ended *ended, const struct mr_config *config,
	struct mr_control_counters *counters)
{
	struct timespec now;
	char path[PATH_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	a->started_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
	a->loop = loop;
	a->link = link;
	a->queue_commands = queue_commands;
	a->watch = watch;
	a->ended = ended;
	a->config = config;
	a->counters = counters;
	for (unsigned i = 0; i < MR_ADMIN_SLOTS; i++) {
		struct mr_admin_slot *s = &a->slots[i];

		s->admin = a;
		s->timer = (struct mr_loop_timer){.fire = fire};
		s->conn = (struct mr_conn){
			.events = &events,
			.fd = -1,
			.in = s->in,
			.in_capacity = sizeof(s->in),
			.out_bytes_max = MR_ADMIN_ANSWER_BYTES_MAX + 4096,
		};
	}
	a->accept.accepted = accepted;
	snprintf(path, sizeof(path), "%s/admin.sock", config->run_dir);
	return mr_accept_open(&a->accept, loop, path, SOCK_STREAM, 0600);
}

void mr_admin_close(struct mr_admin *a)
{
	mr_accept_close(&a->accept);
	for (unsigned i = 0; i < MR_ADMIN_SLOTS; i++)
		mr_conn_close(&a->slots[i].conn, 0);
}
