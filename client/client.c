/* SPDX-License-Identifier: Apache-2.0 */
/* client: connecting and closing, the table of parts, statistics. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/core/away.h"
#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/names.h"
#include "client/core/pages.h"
#include "client/core/part.h"
#include "client/core/sized.h"
#include "client/core/timers.h"
#include "client/core/wake.h"
#include "client/dispatch.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"
#include "client/publish/publisher.h"
#include "client/queue/consumer.h"
#include "client/queue/handover.h"
#include "client/queue/queue.h"
#include "client/request.h"
#include "client/service/call.h"
#include "client/service/heartbeat.h"
#include "client/service/serve.h"
#include "client/session.h"
#include "client/subscribe/ending.h"
#include "client/subscribe/multicast.h"
#include "client/subscribe/reassembly.h"
#include "client/subscribe/subscribe.h"
#include "client/transport/shm/shm.h"
#include "client/ways.h"

#define DEFAULT_TIMEOUT_MS 5000u
#define DEFAULT_SPIN_US    50u
#define DEFAULT_AWAY       (1u << 20)
#define CLOSE_DRAIN_MS     1000u
#define RETRY_MS           5
#define UDP_RETRY_MS       100

static const bool never;

static int set_options(struct mr_client *c, const struct mr_options *options, size_t options_bytes)
{
	int error = mr_sized_read(
		c, "mr_connect", &c->options, sizeof(c->options), options, options_bytes);

	if (error != 0)
		return error;
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

/* The parts, in the order in which their functions run. */
static const struct mr_part *const parts[] = {
	&mr_away_store_part,      /* due_ns, step, lost */
	&mr_outbox_part,          /* due_ns, lost */
	&mr_control_request_part, /* due_ns, step, fail */
	&mr_consumer_part,        /* due_ns, step, flush, lost */
	&mr_renew_part,           /* due_ns, step */
	&mr_handover_part,        /* due_ns, step outside callbacks */
	&mr_queue_part,           /* sweep */
	&mr_publisher_part,       /* sweep */
	&mr_subscription_part,    /* due_ns, step, lost */
	&mr_multicast_part,       /* due_ns, step, lost */
	&mr_reassembly_part,      /* lost */
	&mr_ending_part,          /* due_ns, step outside callbacks, lost */
	&mr_heartbeat_part,       /* due_ns, step */
	&mr_log_part,             /* step */
	&mr_timers_part,          /* due_ns, step outside callbacks */
	&mr_request_part,         /* due_ns, step outside callbacks, fail */
	&mr_call_part,            /* due_ns, step outside callbacks, fail */
	&mr_session_due_part,     /* due_ns */
	&mr_session_part,         /* step outside callbacks */
};

static const struct mr_parts client_parts = {
	.parts = parts,
	.count = MR_ARRAY_COUNT(parts),
	.receive_some = mr_dispatch_some,
	.receive_rest = mr_dispatch_rest,
	.session_end = mr_session_end,
	.session_step = mr_session_step,
};

static struct mr_client *client_new(void)
{
	struct mr_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->control_requests = mr_pages_new(MR_CONTROL_REQUESTS_MAX * sizeof(*c->control_requests));
	if (c->control_requests == NULL) {
		free(c);
		return NULL;
	}
	c->parts = &client_parts;
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
	c->deferred.end = &c->deferred.first;
	c->deferred_pulled.end = &c->deferred_pulled.first;
	c->until = &never;
	c->renew_ns = MR_NEVER_NS;
	c->settled = true;
	c->few_cpus = sysconf(_SC_NPROCESSORS_ONLN) <= 2;
	mr_state_set(c, MR_STATE_LOST);
	return c;
}

static void subscriptions_free(struct mr_client *c)
{
	mr_subscriptions_ended_free(c);
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		struct mr_subscription *s = c->subscriptions[i];

		if (s != NULL && s->consumes)
			mr_consumer_free((struct mr_consumer *)s);
		else
			mr_subscription_free(s);
	}
}

static void client_free(struct mr_client *c)
{
	/* Closing publishers look at the rings a last time. */
	mr_publishers_sweep(c);
	for (uint32_t i = 0; i < c->publishers_count; i++)
		mr_publisher_free(c->publishers[i]);
	mr_subscription_part.lost(c);
	c->transport->attach_end(c);
	c->transport->unmap(c);
	mr_ways_close(c);
	mr_away_store_clear(c);
	mr_deferred_clear(c);
	mr_reassembly_clear(c);
	free(c->reassemblies);
	mr_handovers_free(c);
	subscriptions_free(c);
	mr_services_free(c);
	mr_call_free_all(c);
	while (c->queues != NULL)
		mr_queue_free(c->queues);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	mr_wake_fini(c);
	mr_timers_free(c);
	free(c->subscriptions);
	free(c->publishers);
	free(c->ids_free);
	mr_requests_free(c);
	mr_pages_free(c->control_requests, MR_CONTROL_REQUESTS_MAX * sizeof(*c->control_requests));
	free(c);
}

/* Returns the milliseconds to the deadline, at least 1 and at most `max`. */
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

/* True for errors that pass soon: a full backlog, too many clients attaching at once, a restarting
 * control. */
static bool transient(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -EPIPE || error == -ECONNRESET;
}

/* Tries the way in use until its share of the time is over. */
static int attach_way(struct mr_client *c)
{
	uint64_t deadline_ns = mr_now_ns() + c->attach_ms * MR_NS_PER_MS;
	int error;

	while (transient(error = attach_once(c))) {
		if (mr_now_ns() >= deadline_ns)
			return mr_fail(c, -ETIMEDOUT, c->error);
		poll(NULL, 0, slice_ms(deadline_ns, c->udp != NULL ? UDP_RETRY_MS : RETRY_MS));
	}
	return error;
}

/* Tries each way once. If all fail, the text tells of each, and the code is the first one's. */
static int attach(struct mr_client *c)
{
	char text[sizeof(c->error_text)];
	int error = attach_way(c), first = error;
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", mr_error(c));

	while (error != 0 && mr_ways_next(c)) {
		error = attach_way(c);
		if (error != 0 && used < sizeof(text))
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "; %s", mr_error(c));
	}
	if (error == 0)
		return 0;
	return c->ways_count > 1 ? mr_failf(c, first, "%s", text) : error;
}

int mr_connect_sized(const char *address, const struct mr_options *options, struct mr_client **out,
	size_t options_bytes)
{
	struct mr_client *c;
	int error;

	if (out == NULL)
		return mr_fail(NULL, -EINVAL, "mr_connect: no place for the client: NULL");
	*out = NULL;
	c = client_new();
	if (c == NULL)
		return mr_fail(NULL, -ENOMEM, NULL);
	error = mr_wake_init(c);
	if (error != 0)
		mr_fail(c, error, NULL);
	if (error == 0)
		error = set_options(c, options, options_bytes);
	if (error == 0)
		error = mr_ways_open(c, address);
	if (error == 0)
		error = attach(c);
	if (error != 0) {
		mr_connect_error_set(mr_error(c));
		client_free(c);
		return error;
	}
	mr_ways_round(c);
	mr_state_set(c, MR_STATE_UP);
	c->reported_up = true;
	*out = c;
	return 0;
}

/* Waits until published and promised messages have reached the bus. */
static void drain_at_close(struct mr_client *c)
{
	uint64_t end_ns = mr_now_ns() + CLOSE_DRAIN_MS * MR_NS_PER_MS;

	mr_consumers_leave(c);
	mr_parts_flush(c);
	if (c->promised_open > 0)
		mr_settle(c, CLOSE_DRAIN_MS);
	mr_drain(c, (unsigned)slice_ms(end_ns, CLOSE_DRAIN_MS));
}

void mr_close(struct mr_client *c)
{
	if (c == NULL || c->depth > 0)
		return;
	c->options.on_state = NULL; /* a closing client reports nothing more */
	c->log.hook = NULL;
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
	return c != NULL && c->state == MR_STATE_UP && !c->eof && !mr_bus_gone(c);
}

static void stats_fill(const struct mr_client *c, struct mr_client_stats *out)
{
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
	mr_ways_stats(c, out);
}

void mr_client_stats_sized(const struct mr_client *c, struct mr_client_stats *out, size_t out_bytes)
{
	struct mr_client_stats own = {0};

	if (out == NULL)
		return;
	if (c != NULL)
		stats_fill(c, &own);
	mr_sized_write(out, out_bytes, &own, sizeof(own));
}
