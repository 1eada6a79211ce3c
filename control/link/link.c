/* SPDX-License-Identifier: Apache-2.0 */
#include "control/link/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

#define PAUSE_NS_MIN     (10 * MR_NS_PER_MS)
#define PAUSE_NS_MAX     (500 * MR_NS_PER_MS)
#define GREETING_NS_MAX  (2000 * MR_NS_PER_MS)
#define OUT_BYTES_MAX    (1u << 20)
#define PROTOCOL_VERSION 1u
#define WARN_NS          (5000 * MR_NS_PER_MS) /* without a data plane, until a warning */

static void try_later(struct mr_link *l)
{
	l->state = MR_LINK_AWAY;
	if (l->stopping)
		return;
	mr_loop_timer_start(l->loop, &l->timer, l->pause_ns);
	l->pause_ns = 2 * l->pause_ns < PAUSE_NS_MAX ? 2 * l->pause_ns : PAUSE_NS_MAX;
}

static void log_away(struct mr_link *l, int error)
{
	uint64_t now_ns = mr_loop_now_ns();

	if (l->away_since_ns == 0)
		l->away_since_ns = now_ns;
	/* A data plane that starts at the same time is no reason to warn. It may have several ports
	 * to open. */
	if (now_ns - l->away_since_ns < WARN_NS)
		return;
	/* Log once for each absence: it may last for days. */
	if (!l->away_logged)
		mr_log(MR_LOG_WARN, "no data plane; trying to connect until there is one",
			MR_LOG_STR("socket", l->at.sun_path), MR_LOG_ERR(error));
	l->away_logged = true;
}

static void greet(struct mr_link *l)
{
	struct mrf_link_hello hello = {
		.version = PROTOCOL_VERSION, .pid = (uint32_t)getpid(), .takes_peer = true};
	struct mrf_link_message m = {.id = 0, .body_type = MRF_LINK_BODY_LINK_HELLO};
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	m.body = mrf_link_hello_write(&b, &hello);
	if (mrf_builder_finish(&b, mrf_link_message_write(&b, &m), &data, &bytes) == 0)
		(void)mr_conn_send(&l->conn, data, bytes, NULL, 0);
}

static void attempt(struct mr_link *l)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&l->at, sizeof(l->at)) < 0) {
		l->refused = false;
		log_away(l, -errno);
		if (fd >= 0)
			close(fd);
		try_later(l);
		return;
	}
	l->state = MR_LINK_GREETING;
	mr_conn_open(&l->conn, l->loop, fd);
	greet(l);
	mr_loop_timer_start(l->loop, &l->timer, GREETING_NS_MAX);
}

static void fire(struct mr_loop_timer *t)
{
	struct mr_link *l = mr_container_of(t, struct mr_link, timer);

	if (l->state == MR_LINK_GREETING)
		mr_link_break(l, "the data plane sent no welcome within 2 seconds");
	else if (l->state == MR_LINK_AWAY)
		attempt(l);
}

static void break_with_hint(struct mr_link *l, const char *why, const char *hint)
{
	if (!l->refused)
		mr_log(MR_LOG_ERROR, "closing the link to the data plane", MR_LOG_STR("why", why),
			MR_LOG_STR("version", MR_VERSION), MR_LOG_STR("hint", hint));
	l->refused = l->state == MR_LINK_GREETING;
	mr_conn_close(&l->conn, -EPROTO);
}

void mr_link_break(struct mr_link *l, const char *why)
{
	break_with_hint(l, why, "connecting again; if this repeats, restart the data plane");
}

static void break_for_version(struct mr_link *l, const char *why)
{
	break_with_hint(
		l, why, "start both processes from one release; after an upgrade restart the bus");
}

/* Refuses a data plane of another version, or one that seems so. */
static void refuse_version(struct mr_link *l, struct mrf_table welcome)
{
	char why[96];

	snprintf(why, sizeof(why), "the data plane is of another version: %.60s",
		mrf_link_welcome_server_version(welcome).data);
	break_for_version(l, why);
}

/* The data plane answered the hello without a welcome. */
static void refused(struct mr_link *l, struct mrf_table result)
{
	if (mrf_table_is_empty(result))
		mr_link_break(l, "the data plane answered without a welcome");
	else if (mrf_link_result_code(result) == -EPROTO)
		break_for_version(l, mrf_link_result_text(result).data);
	else
		mr_link_break(l, mrf_link_result_text(result).data);
}

static void welcomed(struct mr_link *l, struct mrf_table welcome, int *fds, unsigned fds_count)
{
	int error;

	if (mrf_link_welcome_version(welcome) != PROTOCOL_VERSION) {
		refuse_version(l, welcome);
		return;
	}
	error = mr_dataplane_open(&l->dataplane, welcome, fds, fds_count);
	for (unsigned i = 0; i < fds_count; i++)
		fds[i] = -1;
	if (error != 0) {
		l->counters->link_malformed++;
		if (error == -EBADMSG)
			refuse_version(l, welcome);
		else
			mr_link_break(l, mr_log_errno_text(error));
		return;
	}
	mr_loop_timer_stop(l->loop, &l->timer);
	l->state = MR_LINK_UP;
	l->pause_ns = PAUSE_NS_MIN;
	l->away_logged = l->refused = false;
	l->away_since_ns = 0;
	l->counters->link_connects++;
	mr_log(MR_LOG_INFO, "connected to the data plane", MR_LOG_U64("pid", l->dataplane.pid),
		MR_LOG_U64("workers", l->dataplane.workers_count),
		MR_LOG_STR("version", l->dataplane.version));
	l->up(l);
}

static void event(struct mr_link *l, struct mrf_table message)
{
	struct mrf_table closed = mrf_link_message_body_as_link_session_closed(message);

	if (mrf_table_is_empty(closed))
		return; /* a newer data plane may send other events */
	mr_log_limited(MR_LOG_DEBUG, "session closed",
		MR_LOG_HEX("session", mrf_link_session_closed_session(closed)),
		MR_LOG_STR("reason", mrf_link_session_closed_reason(closed).data));
	if (l->session_closed != NULL)
		l->session_closed(l, closed);
}

static void message(struct mr_link *l, struct mrf_table m, int *fds, unsigned fds_count)
{
	enum mrf_link_body type = (enum mrf_link_body)mrf_link_message_body_type(m);
	uint64_t id = mrf_link_message_id(m);

	if (l->state == MR_LINK_GREETING && type == MRF_LINK_BODY_LINK_WELCOME) {
		welcomed(l, mrf_link_message_body(m), fds, fds_count);
	} else if (l->state == MR_LINK_GREETING) {
		refused(l, mrf_link_message_body_as_link_result(m));
	} else if (id == 0) {
		event(l, m);
	} else {
		mr_link_request_answer(l, id, m, fds, fds_count);
	}
}

static bool received(struct mr_conn *c, size_t bytes, int *fds, unsigned fds_count)
{
	struct mr_link *l = mr_container_of(c, struct mr_link, conn);
	struct mrf_table m;

	if (mrf_link_message_parse(c->in, bytes, &m) != 0) {
		l->counters->link_malformed++;
		mr_link_break(l, "the data plane sent a malformed message");
	} else {
		message(l, m, fds, fds_count);
	}
	for (unsigned i = 0; i < fds_count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return true;
}

static void closed(struct mr_conn *c, int error)
{
	struct mr_link *l = mr_container_of(c, struct mr_link, conn);
	bool was_up = l->state == MR_LINK_UP;

	mr_loop_timer_stop(l->loop, &l->timer);
	l->state = MR_LINK_AWAY;
	if (was_up) {
		l->counters->link_losses++;
		if (!l->stopping)
			mr_log(MR_LOG_WARN, "lost the data plane", MR_LOG_ERR(error));
		l->down(l);
		mr_link_requests_fail_all(l);
		mr_dataplane_close(&l->dataplane);
	}
	try_later(l);
}

static const struct mr_conn_events events = {.received = received, .closed = closed};

int mr_link_open(struct mr_link *l, struct mr_loop *loop, struct mr_control_counters *counters,
	const struct mr_config *config)
{
	int error, n;

	l->loop = loop;
	l->counters = counters;
	l->pause_ns = PAUSE_NS_MIN;
	l->timer = (struct mr_loop_timer){.fire = fire};
	l->conn = (struct mr_conn){
		.events = &events,
		.fd = -1,
		.in = (uint8_t *)l->in,
		.in_capacity = sizeof(l->in),
		.in_control = (struct cmsghdr *)(void *)l->in_control,
		.out_bytes_max = OUT_BYTES_MAX,
	};
	for (unsigned i = 0; i < MR_DATAPLANE_WORKERS_MAX; i++)
		l->dataplane.workers[i].channel = mr_channel_none();
	error = mr_link_requests_init(l, config->peers.share_percent);
	if (error != 0)
		return error;
	l->at.sun_family = AF_UNIX;
	n = snprintf(l->at.sun_path, sizeof(l->at.sun_path), "%s/dataplane.sock", config->run_dir);
	if (n < 0 || (size_t)n >= sizeof(l->at.sun_path))
		return -ENAMETOOLONG;
	attempt(l);
	return 0;
}

void mr_link_close(struct mr_link *l)
{
	l->stopping = true;
	mr_loop_timer_stop(l->loop, &l->timer);
	mr_conn_close(&l->conn, 0);
}

void mr_link_fini(struct mr_link *l)
{
	mr_in_flight_fini(&l->in_flight);
}
