/* SPDX-License-Identifier: Apache-2.0 */
#include "control/handoff/exception.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/loop/doorbell.h"

#define WRITES_MAX     64u   /* one ring's, at a time */
#define READS_MAX      16u   /* one device's, at a time */
#define PACKET_BYTES   9344u /* the largest packet, with its Ethernet header */
#define FDS_PER_WORKER 3u

struct write {
	struct mr_op op;
	struct rings *rings;
	uint16_t port;
};

/* The rings of one worker. */
struct rings {
	struct mr_exception_link *link;
	struct mr_channel channel;
	struct mr_bytes_consumer from_worker;
	struct mr_bytes_producer to_worker;
	struct mr_doorbell doorbell;
	bool dirty;       /* packets to publish */
	uint32_t writing; /* the ring is not read on before all have ended */
	struct write writes[WRITES_MAX];
};

struct read {
	struct mr_op op;
	struct tap *tap;
	uint8_t packet[PACKET_BYTES];
};

struct tap {
	struct mr_exception_link *link;
	int fd; /* -1: none */
	uint16_t port;
	uint32_t worker;
	uint32_t reading;
	bool dry; /* a read found nothing */
	bool gone;
	struct read reads[READS_MAX];
};

/* The rings and devices of one link. Outlives it until all operations have ended. */
struct mr_exception_link {
	struct mr_exceptions *owner;
	bool over;
	unsigned pending; /* operations and doorbells */
	unsigned workers_count;
	struct rings *workers;
	struct tap taps[MR_EXCEPTION_PORTS_MAX]; /* by port */
};

void mr_exceptions_init(struct mr_exceptions *x, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config, struct mr_control_counters *counters)
{
	*x = (struct mr_exceptions){
		.loop = loop, .link = link, .config = config, .counters = counters};
}

/* ---- the end of a link */

static void free_if_ended(struct mr_exception_link *l)
{
	if (!l->over || l->pending > 0)
		return;
	for (unsigned i = 0; i < l->workers_count; i++)
		mr_channel_close(&l->workers[i].channel);
	for (unsigned i = 0; i < MR_EXCEPTION_PORTS_MAX; i++)
		if (l->taps[i].fd >= 0)
			close(l->taps[i].fd);
	l->owner->alive--;
	free(l->workers);
	free(l);
}

static void ended(struct mr_exception_link *l)
{
	l->pending--;
	free_if_ended(l);
}

static void end_operations(struct mr_exception_link *l)
{
	struct mr_loop *loop = l->owner->loop;

	for (unsigned i = 0; i < l->workers_count; i++) {
		if (l->workers[i].doorbell.op.pending)
			mr_doorbell_stop(&l->workers[i].doorbell);
		for (unsigned k = 0; k < WRITES_MAX; k++)
			mr_loop_cancel(loop, &l->workers[i].writes[k].op);
	}
	for (unsigned i = 0; i < MR_EXCEPTION_PORTS_MAX; i++)
		for (unsigned k = 0; k < READS_MAX; k++)
			mr_loop_cancel(loop, &l->taps[i].reads[k].op);
}

void mr_exceptions_down(struct mr_exceptions *x)
{
	struct mr_exception_link *l = x->now;

	x->now = NULL;
	if (l == NULL)
		return;
	l->over = true;
	end_operations(l);
	free_if_ended(l);
}

/* ---- from a device to its worker */

static void read_done(struct mr_op *op, int result);

static void start_read(struct tap *t, unsigned index, bool waits)
{
	struct read *r = &t->reads[index];
	struct io_uring_sqe *e;

	r->op.done = read_done;
	r->tap = t;
	e = mr_loop_start(t->link->owner->loop, &r->op);
	io_uring_prep_read(e, t->fd, r->packet, sizeof(r->packet), (uint64_t)-1);
	e->rw_flags = waits ? 0 : RWF_NOWAIT;
	t->reading++;
	t->link->pending++;
}

/* Waits with one read: each waiting read costs at every packet. */
static void wait_for_packet(struct tap *t)
{
	t->dry = false;
	start_read(t, 0, true);
}

static void read_batch(struct tap *t)
{
	for (unsigned i = 0; i < READS_MAX; i++)
		start_read(t, i, false);
}

static void pass_on(struct tap *t, const uint8_t *packet, uint32_t bytes)
{
	const struct mrf_exception_header h = {.bytes = bytes, .port = t->port};
	struct mrf_port_tap *counts = &t->link->owner->counts[t->port];
	struct rings *w = &t->link->workers[t->worker];
	uint8_t *to = mr_bytes_claim(&w->to_worker, mr_align_up(sizeof(h) + bytes, MR_BYTES_ALIGN));

	counts->tap_read++;
	if (to == NULL) {
		counts->drop_tap_full++;
		return;
	}
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), packet, bytes);
	mr_bytes_push(&w->to_worker, sizeof(h) + bytes);
	w->dirty = true;
}

static void lose_tap(struct tap *t, int error)
{
	t->gone = true;
	mr_log(MR_LOG_ERROR,
		"a port's TAP device cannot be read; if it was removed, restart the data plane",
		MR_LOG_U64("port", t->port), MR_LOG_ERR(error));
}

static void read_done(struct mr_op *op, int result)
{
	struct read *r = mr_container_of(op, struct read, op);
	struct tap *t = r->tap;
	struct mr_exception_link *l = t->link;

	t->reading--;
	if (!l->over && result > 0)
		pass_on(t, r->packet, (uint32_t)result);
	else if (result == -EAGAIN || result == -EINTR || result == -EOPNOTSUPP)
		t->dry = true;
	else if (!l->over && !t->gone)
		lose_tap(t, result);
	if (t->reading == 0 && !l->over && !t->gone) {
		if (t->dry)
			wait_for_packet(t);
		else
			read_batch(t);
	}
	ended(l);
}

void mr_exceptions_publish(struct mr_exceptions *x)
{
	struct mr_exception_link *l = x->now;

	for (unsigned i = 0; l != NULL && i < l->workers_count; i++) {
		struct rings *w = &l->workers[i];

		if (!w->dirty)
			continue;
		w->dirty = false;
		if (mr_bytes_publish(&w->to_worker)) /* [bytes.sleep] */
			mr_bell_ring(w->channel.worker_bell_fd);
	}
}

/* ---- from a worker to the devices */

static void write_done(struct mr_op *op, int result)
{
	struct write *o = mr_container_of(op, struct write, op);
	struct rings *w = o->rings;
	struct mr_exception_link *l = w->link;
	struct mrf_port_tap *counts = &l->owner->counts[o->port];

	if (result > 0)
		counts->tap_written++;
	else
		counts->drop_tap_write++;
	w->writing--;
	if (w->writing == 0 && !l->over)
		(void)mr_bytes_release(&w->from_worker); /* a worker never waits for room */
	ended(l);
}

static void start_write(struct rings *w, struct tap *t, const uint8_t *packet, uint32_t bytes)
{
	struct write *o = &w->writes[w->writing];
	struct io_uring_sqe *e;

	o->op.done = write_done;
	o->rings = w;
	o->port = t->port;
	e = mr_loop_start(w->link->owner->loop, &o->op);
	io_uring_prep_write(e, t->fd, packet, bytes, (uint64_t)-1);
	w->writing++;
	w->link->pending++;
}

/* Begins to write one record; returns its stride, or 0 if the ring is malformed from here on. */
static size_t write_record(struct rings *w, const uint8_t *at, size_t ready)
{
	struct mr_exception_link *l = w->link;
	struct mrf_exception_header h;
	size_t stride;

	if (ready < sizeof(h))
		return 0;
	memcpy(&h, at, sizeof(h));
	stride = mr_align_up(sizeof(h) + (size_t)h.bytes, MR_BYTES_ALIGN);
	if (stride > ready || h.port >= MR_EXCEPTION_PORTS_MAX || l->taps[h.port].fd < 0)
		return 0;
	start_write(w, &l->taps[h.port], at + sizeof(h), h.bytes);
	return stride;
}

static unsigned drain(struct rings *w)
{
	size_t ready = mr_bytes_readable(&w->from_worker);
	bool sane = ready != MR_BYTES_CORRUPT;
	unsigned count = 0;

	while (sane && ready > 0 && count < WRITES_MAX) {
		size_t stride = write_record(w, mr_bytes_peek(&w->from_worker), ready);

		sane = stride != 0;
		if (!sane)
			break;
		mr_bytes_skip(&w->from_worker, stride);
		ready -= stride;
		count++;
	}
	if (!sane) {
		w->link->owner->counters->handoff_corrupt++;
		mr_link_break(w->link->owner->link, "a ring of packets is malformed");
	}
	return count;
}

unsigned mr_exceptions_drain(struct mr_exceptions *x)
{
	unsigned count = 0;

	/* drain may end the link. */
	for (unsigned i = 0; x->now != NULL && i < x->now->workers_count; i++)
		if (x->now->workers[i].writing == 0)
			count += drain(&x->now->workers[i]);
	return count;
}

bool mr_exceptions_arm(struct mr_exceptions *x)
{
	struct mr_exception_link *l = x->now;

	for (unsigned i = 0; l != NULL && i < l->workers_count; i++) {
		if (mr_bytes_sleep(&l->workers[i].from_worker)) /* [bytes.sleep] */
			continue;
		while (i-- > 0)
			mr_bytes_wake(&l->workers[i].from_worker);
		return false;
	}
	return true;
}

void mr_exceptions_wake(struct mr_exceptions *x)
{
	for (unsigned i = 0; x->now != NULL && i < x->now->workers_count; i++)
		mr_bytes_wake(&x->now->workers[i].from_worker);
}

/* ---- the beginning of a link */

static void woken(struct mr_doorbell *b, size_t bytes)
{
	/* Only the wake-up matters: the next round looks at every ring. */
	(void)b;
	(void)bytes;
}

static void bell_stopped(struct mr_doorbell *b, int error)
{
	struct rings *w = mr_container_of(b, struct rings, doorbell);

	if (error != 0)
		mr_log(MR_LOG_WARN, "cannot read a worker's doorbell", MR_LOG_ERR(error));
	ended(w->link);
}

static int open_rings(struct mr_exception_link *l, unsigned worker, int *fds)
{
	struct rings *w = &l->workers[worker];
	int error = mr_channel_map(&w->channel, fds[0], fds[1], fds[2]);

	fds[0] = fds[1] = fds[2] = -1;
	if (error != 0)
		return error;
	w->link = l;
	/* Positions continue where the previous control left them. */
	mr_bytes_consumer_init(
		&w->from_worker, w->channel.up_shared, w->channel.up_map, w->channel.up_bytes);
	mr_bytes_producer_init(
		&w->to_worker, w->channel.down_shared, w->channel.down_map, w->channel.down_bytes);
	w->to_worker.asleep = &l->owner->link->dataplane.workers[worker].page->asleep;
	w->doorbell.received = woken;
	w->doorbell.stopped = bell_stopped;
	error = mr_doorbell_start(&w->doorbell, l->owner->loop, w->channel.peer_bell_fd);
	l->pending += error == 0;
	return error;
}

static int open_tap(struct mr_exception_link *l, struct mrf_table t, int *fd)
{
	uint32_t port = mrf_link_tap_port(t);
	struct tap *tap;

	if (port >= MR_EXCEPTION_PORTS_MAX || l->taps[port].fd >= 0 ||
		mrf_link_tap_worker(t) >= l->workers_count)
		return -EBADMSG;
	tap = &l->taps[port];
	tap->fd = *fd;
	*fd = -1;
	tap->link = l;
	tap->port = (uint16_t)port;
	tap->worker = mrf_link_tap_worker(t);
	l->owner->has_tap[port] = true;
	wait_for_packet(tap);
	return 0;
}

static struct mr_exception_link *new_link(struct mr_exceptions *x, unsigned workers)
{
	struct mr_exception_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->workers = calloc(workers, sizeof(*l->workers));
	if (l->workers == NULL) {
		free(l);
		return NULL;
	}
	l->owner = x;
	l->workers_count = workers;
	for (unsigned i = 0; i < workers; i++)
		l->workers[i].channel = mr_channel_none();
	for (unsigned i = 0; i < MR_EXCEPTION_PORTS_MAX; i++)
		l->taps[i].fd = -1;
	x->alive++;
	return l;
}

/* Starts the link's operations. On an error those that run are ended. */
static int open_link(
	struct mr_exceptions *x, struct mrf_table taps, const struct mr_link_answer *answer)
{
	unsigned workers = x->link->dataplane.workers_count;
	uint32_t count = mrf_link_taps_taps_count(taps);
	int *fds = answer->fds + FDS_PER_WORKER * workers;
	int error = 0;

	if (answer->fds_count != FDS_PER_WORKER * workers + count)
		return -EBADMSG;
	x->now = new_link(x, workers);
	if (x->now == NULL)
		return -ENOMEM;
	for (unsigned i = 0; error == 0 && i < workers; i++)
		error = open_rings(x->now, i, answer->fds + FDS_PER_WORKER * i);
	for (uint32_t i = 0; error == 0 && i < count; i++)
		error = open_tap(x->now, mrf_link_taps_taps_at(taps, i), &fds[i]);
	if (error != 0)
		mr_exceptions_down(x);
	return error;
}

static bool answered(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_exceptions *x = asker->owner;
	struct mrf_table taps = mrf_link_message_body_as_link_taps(answer->message);
	int error;

	/* The link was lost, the data plane is an older one, or no port has a device. */
	if (mrf_table_is_empty(taps) || mrf_link_taps_taps_count(taps) == 0)
		return false;
	error = open_link(x, taps, answer);
	if (error != 0)
		mr_log(MR_LOG_ERROR,
			"the TAP devices of ports do not work: ping, ssh and other traffic of the "
			"host stand still",
			MR_LOG_ERR(error), MR_LOG_STR("hint", "restart control"));
	return false;
}

static bool has_taps(const struct mr_config *c)
{
	for (uint32_t i = 0; i < c->ports.open_count; i++)
		if (c->ports.open[i].tap[0] != '\0')
			return true;
	return false;
}

void mr_exceptions_up(struct mr_exceptions *x)
{
	const struct mr_link_asker asker = {.answered = answered, .owner = x};
	const struct mrf_link_open_taps v = {0};
	struct mrf_builder b;
	uint64_t memory[32];

	memset(x->has_tap, 0, sizeof(x->has_tap));
	if (!has_taps(x->config))
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	(void)mr_link_ask(x->link, &b, MRF_LINK_BODY_LINK_OPEN_TAPS,
		mrf_link_open_taps_write(&b, &v), &asker, NULL);
}

const struct mrf_port_tap *mr_exceptions_counts(const struct mr_exceptions *x, uint32_t port)
{
	return port < MR_EXCEPTION_PORTS_MAX && x->has_tap[port] ? &x->counts[port] : NULL;
}
