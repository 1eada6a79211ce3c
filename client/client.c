/* SPDX-License-Identifier: Apache-2.0 */
/* client: connecting, closing, and what a client says of itself. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/names.h"
#include "client/rpc.h"
#include "client/service.h"
#include "client/udp/udp.h"

#define DEFAULT_ADDRESS    "shm:/run/millrace/attach.sock"
#define DEFAULT_TIMEOUT_MS 5000u
#define DEFAULT_SPIN_US    50u
#define DEFAULT_AWAY       (1u << 20)
#define CLOSE_DRAIN_MS     1000u
#define RETRY_MS           5
#define UDP_RETRY_MS       100

static const bool never;

static int set_path(struct mr_client *c, const char *address)
{
	if (address == NULL)
		address = getenv("MILLRACE_SERVER");
	if (address == NULL || address[0] == '\0')
		address = DEFAULT_ADDRESS;
	if (strncmp(address, "udp://", 6) == 0)
		return mr_udp_init(c, address);
	if (strncmp(address, "shm:", 4) != 0)
		return mr_failf(c, -EINVAL, "address \"%s\": neither shm:PATH nor udp://HOST:PORT",
			address);
	address += 4;
	if (address[0] == '\0' || strlen(address) >= sizeof(c->path))
		return mr_failf(c, -EINVAL, "address: the path must have 1 to %zu bytes",
			sizeof(c->path) - 1);
	memcpy(c->path, address, strlen(address) + 1);
	return 0;
}

static int set_options(struct mr_client *c, const struct mr_options *options)
{
	if (options != NULL)
		c->options = *options;
	if (c->options.connect_timeout_ms == 0)
		c->options.connect_timeout_ms = DEFAULT_TIMEOUT_MS;
	if (c->options.request_timeout_ms == 0)
		c->options.request_timeout_ms = DEFAULT_TIMEOUT_MS;
	if (c->options.away_bytes_max == 0)
		c->options.away_bytes_max = DEFAULT_AWAY;
	if (c->options.spin_us == 0)
		c->options.spin_us = DEFAULT_SPIN_US;
	if (c->options.name != NULL && strlen(c->options.name) > MR_NAME_BYTES_MAX)
		return mr_fail(c, -EINVAL, "name: more than 63 bytes");
	if (c->options.name != NULL)
		snprintf(c->name, sizeof(c->name), "%s", c->options.name);
	else
		mr_name_fit(c->name, sizeof(c->name), program_invocation_short_name);
	c->options.name = c->name;
	return 0;
}

void *mr_pages_new(size_t bytes)
{
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void mr_pages_free(void *pages, size_t bytes)
{
	if (pages != NULL)
		munmap(pages, bytes);
}

static struct mr_client *client_new(void)
{
	struct mr_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->calls = mr_pages_new(MR_CALLS_MAX * sizeof(*c->calls));
	if (c->calls == NULL) {
		free(c);
		return NULL;
	}
	c->transport = &mr_transport_shm;
	c->promised = &c->up;
	c->away_end = &c->away_first;
	c->channel = mr_channel_none();
	c->worker_bell_fd = -1;
	c->liveness_fd = -1;
	c->attach_fd = -1;
	c->epoll_fd = -1;
	c->timer_fd = -1;
	c->pending_free = UINT32_MAX;
	c->aside_end = &c->aside_first;
	c->until = &never;
	c->renew_ns = MR_NEVER_NS;
	c->settled = true;
	c->few_cpus = sysconf(_SC_NPROCESSORS_ONLN) <= 2;
	mr_session_state(c, MR_STATE_LOST);
	return c;
}

static void client_free(struct mr_client *c)
{
	/* Publishers look a last time at what the rings say. */
	mr_publishers_sweep(c);
	for (uint32_t i = 0; i < c->publishers_count; i++)
		mr_publisher_free(c->publishers[i]);
	c->transport->attach_end(c);
	c->transport->unmap(c);
	c->transport->fini(c);
	mr_away_clear(c);
	mr_aside_clear(c);
	mr_assemble_clear(c);
	free(c->assemblies);
	for (uint32_t i = 0; i < c->subscriptions_top; i++)
		mr_subscription_free(c->subscriptions[i]);
	mr_services_free(c);
	mr_rpc_free_all(c);
	while (c->queues != NULL)
		mr_queue_free(c->queues);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	free(c->subscriptions);
	free(c->publishers);
	free(c->ids_free);
	free(c->pending);
	free(c->heap);
	mr_pages_free(c->calls, MR_CALLS_MAX * sizeof(*c->calls));
	free(c);
}

/* Milliseconds to the deadline, at least 1 and at most `max`. */
static int slice_ms(uint64_t deadline_ns, int max)
{
	uint64_t now = mr_now_ns();
	uint64_t left = now < deadline_ns ? (deadline_ns - now) / MR_NS_PER_MS + 1 : 1;

	return left < (uint64_t)max ? (int)left : max;
}

static int attach_once(struct mr_client *c)
{
	int error = c->transport->attach_begin(c);

	if (error != 0)
		return error;
	while ((error = c->transport->attach_step(c)) == -EAGAIN && c->attach_fd >= 0) {
		struct pollfd answer = {.fd = c->attach_fd, .events = POLLIN};

		poll(&answer, 1, slice_ms(c->attach_due_ns, 1000));
	}
	return error;
}

/* What passes soon: a full backlog, more who attach at once than control takes, a control that is
 * being started anew. */
static bool transient(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -EPIPE || error == -ECONNRESET;
}

static int attach(struct mr_client *c)
{
	uint64_t deadline_ns = mr_now_ns() + c->options.connect_timeout_ms * MR_NS_PER_MS;
	int error;

	while (transient(error = attach_once(c))) {
		if (mr_now_ns() >= deadline_ns)
			return mr_fail(c, -ETIMEDOUT, c->error);
		poll(NULL, 0, slice_ms(deadline_ns, c->udp != NULL ? UDP_RETRY_MS : RETRY_MS));
	}
	return error;
}

int mr_connect(const char *address, const struct mr_options *options, struct mr_client **out)
{
	struct mr_client *c = client_new();
	int error;

	*out = NULL;
	if (c == NULL)
		return -ENOMEM;
	error = set_path(c, address);
	if (error == 0)
		error = set_options(c, options);
	if (error == 0)
		error = attach(c);
	if (error != 0) {
		mr_connect_error_set(mr_error(c));
		client_free(c);
		return error;
	}
	mr_session_state(c, MR_STATE_UP);
	c->told_up = true;
	*out = c;
	return 0;
}

/* For what was published and promised to reach the bus. */
static void drain_at_close(struct mr_client *c)
{
	uint64_t end_ns = mr_now_ns() + CLOSE_DRAIN_MS * MR_NS_PER_MS;

	mr_consumers_leave(c);
	mr_consumers_flush(c);
	if (c->promised_open > 0)
		mr_settle(c, CLOSE_DRAIN_MS);
	mr_drain(c, (unsigned)slice_ms(end_ns, CLOSE_DRAIN_MS));
}

void mr_close(struct mr_client *c)
{
	if (c == NULL || c->depth > 0)
		return;
	c->options.on_state = NULL; /* who closes wants to hear no more */
	for (uint32_t i = 0; i < c->publishers_count; i++) {
		if (c->publishers[i] != NULL)
			mr_publisher_abort(c->publishers[i]);
	}
	if (c->state != MR_STATE_UP && c->away_first != NULL)
		mr_away_wait(c, CLOSE_DRAIN_MS);
	if (c->state == MR_STATE_UP)
		drain_at_close(c);
	client_free(c);
}

bool mr_connected(const struct mr_client *c)
{
	return c->state == MR_STATE_UP && !c->eof && !mr_bus_gone(c);
}

size_t mr_body_bytes_max(const struct mr_client *c, const char *subject)
{
	size_t subject_bytes = subject != NULL ? strlen(subject) : 0;

	return c->body_bytes_max - (subject_bytes & c->body_subject_mask);
}

size_t mr_message_bytes_max(const struct mr_client *c)
{
	return c->whole_bytes_max > c->body_bytes_max ? c->whole_bytes_max : c->body_bytes_max;
}

void mr_client_stats(const struct mr_client *c, struct mr_client_stats *out)
{
	const struct mr_udp *u = c->udp;

	*out = (struct mr_client_stats){
		.published = c->published,
		.received = c->received,
		.missed = c->missed,
		.unmatched = c->unmatched,
		.malformed = c->malformed,
		.duplicates = c->duplicates,
		.lost = c->lost,
		.kept = c->away_count,
		.reconnects = c->reconnects,
		.session = c->session,
		.worker = c->worker,
	};
	if (u == NULL)
		return;
	out->frames_sent = u->frames_sent;
	out->frames_received = u->frames_received;
	out->frames_lost = u->frames_lost;
	out->frames_duplicate = u->frames_duplicate;
	out->frames_strange = u->frames_strange;
	out->unsent = u->unsent;
	out->reliable_sent = u->reliable.frames_sent;
	out->reliable_received = u->reliable.frames_received;
	out->retransmits = u->reliable.retransmits;
	out->retransmit_timeouts = u->reliable.timeouts;
	out->frames_held = u->reliable.frames_kept;
	out->rtt_us = u->reliable.tx.rtt_ns / 1000;
}
