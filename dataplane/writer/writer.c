/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "lib/base/files.h"
#include "lib/base/hint.h"
#include "lib/base/lockfile.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"
#include "lib/base/stats.h"

#define EVENTS_MAX 64
/* First size of the table of peers; it grows. */
#define PEERS_FIRST     1u
#define TICK_PENDING_MS 1
/* Control takes the table writer for stopped if it makes no rounds (control/watch/watch.c). */
#define TICK_IDLE_MS 400
/* A worker's store holds this many times what may be queued for one slow session. */
#define HELD_SHARES 4u
#define STUCK_NS    2000000000ull /* a worker without a round for this time counts as stalled */
#define LATE_NS     1000000000ull /* time that this thread may be late before it is not counted */

/* Back-off of queues that ask for one (retry_min). */
#define RETRY_MAX_MS 3600000u
#define RETRY_FACTOR 200u /* hundredths */

_Static_assert(sizeof(struct mrf_session_stats) == 4 * MR_CACHE_LINE, "four lines each");

uint64_t mr_writer_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Makes the statistics memory: header, table, workers, ports, sessions; each starts a cache line.
 * */
static int open_stats(struct mr_writer *wr)
{
	uint32_t slots = wr->slots_count;
	uint32_t worker_stride =
		(uint32_t)mr_align_up(sizeof(struct mrf_worker_stats), MR_CACHE_LINE);
	uint32_t ports = wr->config->ports.open_count;
	uint32_t port_stride = sizeof(struct mrf_port_stats);
	struct mrf_stats_header h = {
		.magic = MR_STATS_MAGIC,
		.workers = wr->workers_count,
		.slots = slots,
		.table_offset = 2 * MR_CACHE_LINE,
		.worker_offset = 1024,
		.worker_stride = worker_stride,
		.session_offset = 1024 + wr->workers_count * worker_stride +
				  ports * (wr->workers_count + 1) * port_stride,
		.session_stride = sizeof(struct mrf_session_stats),
		.ports = ports,
		.port_offset = 1024 + wr->workers_count * worker_stride,
		.port_stride = port_stride,
		.tsc_hz = rte_get_tsc_hz(),
	};
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

	_Static_assert(2 * MR_CACHE_LINE + sizeof(struct mrf_table_stats) <= 1024, "layout");
	wr->stats_bytes = mr_align_up(
		h.session_offset + (size_t)wr->workers_count * slots * h.session_stride, 4096);
	wr->stats_fd = memfd_create("millrace-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (wr->stats_fd < 0 || ftruncate(wr->stats_fd, (off_t)wr->stats_bytes) < 0)
		return -errno;
	wr->stats_map = mmap(NULL, wr->stats_bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, wr->stats_fd, 0);
	if (wr->stats_map == MAP_FAILED) {
		wr->stats_map = NULL;
		return -errno;
	}
	memcpy(wr->stats_map, &h, sizeof(h));
	wr->stats = (void *)((char *)wr->stats_map + h.table_offset);
	return fcntl(wr->stats_fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static int open_table(struct mr_writer *wr)
{
	struct mr_table_limits limits = {
		.workers = wr->workers_count,
		.subscriptions_max = wr->config->tables.subscriptions_max,
		.aliases_max = wr->config->tables.aliases_max,
		.copies_max = wr->config->tables.copies_per_client_max,
		.identical_max = wr->config->tables.identical_per_client_max,
		.shapes_max = wr->config->tables.shapes_per_client_max,
		.lengths_max = wr->config->tables.prefix_lengths_per_client_max,
		.peer_percent = wr->config->peers.share_percent,
	};
	size_t bytes = rte_rcu_qsbr_get_memsize(wr->workers_count);

	wr->qsbr = aligned_alloc(MR_CACHE_LINE, mr_align_up(bytes, MR_CACHE_LINE));
	if (wr->qsbr == NULL || rte_rcu_qsbr_init(wr->qsbr, wr->workers_count) != 0)
		return -ENOMEM;
	return mr_table_new(&limits, wr->qsbr, &wr->table);
}

static int open_mesh(struct mr_writer *wr)
{
	unsigned n = wr->workers_count;
	int error = mr_writer_blocks_open(wr);

	if (error != 0)
		return error;
	wr->mesh = aligned_alloc(MR_CACHE_LINE, n * n * sizeof(*wr->mesh));
	if (wr->mesh == NULL)
		return -ENOMEM;
	memset(wr->mesh, 0, n * n * sizeof(*wr->mesh));
	for (unsigned from = 0; from < n; from++)
		for (unsigned to = 0; to < n; to++) {
			struct mr_spsc *ring = &wr->mesh[from * n + to];

			if (from == to)
				continue;
			error = mr_spsc_init(ring, wr->config->mesh.ring_entries, 0);
			if (error != 0)
				return error;
			wr->workers[from]->mesh_out[to] = ring;
			wr->workers[to]->mesh_in[from] = ring;
			wr->workers[from]->peers[to] = wr->workers[to];
		}
	for (unsigned i = 0; i < n; i++)
		wr->workers[i]->blocks = wr->blocks.buffers;
	return 0;
}

static uint64_t smaller_page(uint64_t a, uint32_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Tells the size of the pages in which packets and the mesh's blocks are. */
static void tell_pages(struct mr_writer *wr)
{
	uint64_t kib = wr->blocks.page_kib;

	for (unsigned p = 0; p < wr->ports_count; p++)
		kib = smaller_page(kib, wr->ports[p].buffers.page_kib);
	for (unsigned i = 0; i < wr->workers_count; i++)
		mr_gauge(wr->workers[i]->stats->page_kib, kib);
}

static void fill_binds(
	struct mr_queue_template *to, struct mrf_string *binds, const struct mr_config_template *t)
{
	const char *text = t->binds;

	for (uint32_t i = 0; i < t->binds_count; i++, text += strlen(text) + 1)
		binds[i] = mrf_str(text);
	to->binds = binds;
	to->binds_count = t->binds_count;
}

static void fill_templates(struct mr_writer *wr)
{
	const struct mr_config *c = wr->config;

	for (uint32_t i = 0; i < c->queues.templates_count; i++) {
		const struct mr_config_template *t = &c->queues.templates[i];

		wr->templates[i] = (struct mr_queue_template){
			.pattern = t->pattern,
			.pattern_bytes = (uint32_t)strlen(t->pattern),
			.options = t->options,
			.values = t->values,
		};
		if (t->key_from[0] != '\0')
			wr->templates[i].values.key_from = mrf_str(t->key_from);
		if (t->options & MRF_QUEUE_OPTION_DEAD_LETTER)
			wr->templates[i].dead_letter = mrf_str(t->dead_letter);
		wr->templates[i].owner = mrf_str_n(t->owner, (uint32_t)strlen(t->owner));
		wr->templates[i].description =
			mrf_str_n(t->description, (uint32_t)strlen(t->description));
		fill_binds(&wr->templates[i], wr->template_binds[i], t);
	}
}

/* Returns the configured options of queues and services; a client's own options override them. */
static struct mr_queues_config queues_config(const struct mr_writer *wr)
{
	const struct mr_config *c = wr->config;

	return (struct mr_queues_config){
		.queues_max = c->queues.queues_max,
		.per_client_max = c->queues.per_client_max,
		.window = c->queues.window,
		.publishers_max = c->queues.publishers_max,
		.peer_percent = c->peers.share_percent,
		.idle_ms = c->queues.idle_ms,
		.templates = wr->templates,
		.templates_count = c->queues.templates_count,
		.prefetch = c->queues.prefetch,
		.heartbeat_ms = c->services.heartbeat_ms,
		.missed_max = c->services.missed_max,
		.queue =
			{
				.policy = MRF_QUEUE_POLICY_ROUND_ROBIN,
				.when_full = MRF_QUEUE_FULL_WAIT,
				.messages_max = c->queues.messages_max,
				.ack_timeout_ms = c->queues.ack_timeout_ms,
				.max_deliver = (uint16_t)c->queues.max_deliver,
				.when_expired = MRF_QUEUE_EXPIRED_DISCARD,
				.single_active = MRF_SINGLE_ACTIVE_NO,
				.retry_max_ms = RETRY_MAX_MS,
				.retry_factor = RETRY_FACTOR,
			},
		.service =
			{
				.policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
				.when_full = MRF_QUEUE_FULL_REFUSE,
				.messages_max = c->queues.messages_max,
				.age_max_ms = c->services.expiry_ms,
				.ack_timeout_ms = c->queues.ack_timeout_ms,
				.max_deliver = (uint16_t)(c->services.retries + 1),
				.breaker_failures = c->services.breaker_failures > 0
							    ? (uint16_t)c->services.breaker_failures
							    : UINT16_MAX,
				.breaker_reset_ms = c->services.breaker_reset_ms,
				.breaker_probes = (uint16_t)c->services.breaker_probes,
			},
	};
}

static int open_workers(struct mr_writer *wr)
{
	const struct mrf_stats_header *h = wr->stats_map;
	uint8_t key[MR_COOKIE_KEY_BYTES];
	uint64_t seed;
	int error;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -EIO;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	fill_templates(wr);
	for (unsigned i = 0; i < wr->workers_count; i++) {
		struct mr_worker_config c = {
			.index = i,
			.workers = wr->workers_count,
			.slots = wr->slots_count,
			.remote_first = wr->config->channels.clients_max,
			.heartbeat_ms = wr->config->sessions.heartbeat_ms,
			.missed_max = wr->config->sessions.missed_max,
			.hellos_per_second = wr->config->sessions.hellos_per_second,
			.route_cache_entries = wr->config->tables.route_cache_entries,
			.handoff_ring_bytes = wr->config->channels.handoff_ring_bytes,
			.held_bytes_max = wr->config->sessions.held_bytes_max,
			.block_ms_max = wr->config->sessions.block_ms_max,
			.bind_mac = wr->config->access.bind_mac,
			.block_expels = wr->config->sessions.block_over == MR_CONFIG_BLOCK_EXPEL,
			.message_bytes_max = wr->config->messages.bytes_max,
			.early_bytes = wr->config->sessions.early_bytes_max,
			.peer_percent = wr->config->peers.share_percent,
			.ip6_prefix_bits = wr->config->peers.ip6_prefix_bits,
			.store_bytes = HELD_SHARES * (uint64_t)wr->config->sessions.held_bytes_max,
			.queue_bytes_max =
				((uint64_t)wr->config->queues.memory_mib << 20) / wr->workers_count,
			.queues = queues_config(wr),
			.spin_cycles = rte_get_tsc_hz() / 1000000 * wr->config->workers.spin_us,
			.writer_bell_fd = wr->bell_fd,
			.busy = wr->config->workers.poll == MR_CONFIG_POLL_BUSY,
		};
		void *stats = (char *)wr->stats_map + h->worker_offset + i * h->worker_stride;

		c.queues.seed = seed + i;
		memcpy(c.cookie_key, key, sizeof(key));
		error = mr_worker_new(&c, wr->table, stats, &wr->workers[i]);
		for (unsigned p = 0; error == 0 && p < wr->ports_count; p++)
			error = mr_worker_port_add(wr->workers[i], &wr->ports[p]);
		if (error == 0)
			error = mr_writer_taps_worker(wr, wr->workers[i]);
		if (error != 0)
			return error;
	}
	error = open_mesh(wr);
	tell_pages(wr);
	return error;
}

static void path_in_run_dir(const struct mr_writer *wr, const char *name, char *out, size_t bytes)
{
	snprintf(out, bytes, "%s/%s", wr->config->run_dir, name);
}

/* Takes the lock that allows one data plane in a run directory. */
static int take_lock(struct mr_writer *wr)
{
	char path[PATH_MAX];

	path_in_run_dir(wr, "dataplane.lock", path, sizeof(path));
	return mr_lockfile_take(path, &wr->lock_fd);
}

static int watch_fd(struct mr_writer *wr, int *fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = fd};

	return epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, *fd, &e) < 0 ? -errno : 0;
}

static int open_events(struct mr_writer *wr)
{
	int error;

	wr->signal_fd = mr_signals_open(SFD_NONBLOCK);
	if (wr->signal_fd < 0)
		return wr->signal_fd;
	wr->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wr->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wr->bell_fd < 0 || wr->epoll_fd < 0)
		return -errno;
	error = watch_fd(wr, &wr->signal_fd);
	return error != 0 ? error : watch_fd(wr, &wr->bell_fd);
}

static int open_generations(struct mr_writer *wr)
{
	wr->generations =
		calloc((size_t)wr->workers_count * wr->slots_count, sizeof(*wr->generations));
	return wr->generations == NULL ? -ENOMEM : mr_writer_remotes_open(wr);
}

/* Makes the shares of peers. Each session has at most one entry; one over UDP has a second one for
 * its log. */
static int open_shares(struct mr_writer *wr)
{
	const struct mr_config *c = wr->config;
	uint32_t percent = c->peers.share_percent;
	uint64_t locals = (uint64_t)wr->workers_count * c->channels.clients_max;
	uint64_t remote = (uint64_t)wr->workers_count * c->sessions.sessions_max;

	wr->locals = mr_share_bound(locals, percent);
	wr->remote = mr_share_bound(remote, percent);
	wr->logs = mr_share_bound((uint64_t)c->sessions.logs_mib << 20, percent);
	return mr_shares_init(&wr->shares, PEERS_FIRST, (uint32_t)(locals + 2 * remote));
}

static void log_refusal(const char *what, const struct mr_config *config, int error)
{
	mr_log(MR_LOG_ERROR, "cannot open", MR_LOG_STR("what", what),
		MR_LOG_STR("run_dir", config->run_dir),
		MR_LOG_STR("error", error == -EWOULDBLOCK ? "another millrace-dataplane runs there"
							  : mr_log_errno_text(error)),
		MR_LOG_STR("hint", mr_hint_start(error)));
}

int mr_writer_open(struct mr_writer *wr, const struct mr_config *config)
{
	static const struct {
		int (*open)(struct mr_writer *wr);
		const char *what;
	} steps[] = {
		{take_lock, "dataplane.lock"},
		{open_events, "signals and doorbell"},
		{open_stats, "statistics memory"},
		{open_table, "table"},
		{open_generations, "session table"},
		{open_shares, "shares of peers"},
		{mr_writer_releases_open, "released aliases"},
		{mr_writer_ports_open, NULL}, /* the port has logged its error */
		{open_workers, "workers"},
		{mr_writer_listen, "dataplane.sock"},
	};
	struct timespec t;

	memset(wr, 0, sizeof(*wr));
	wr->config = config;
	wr->workers_count = config->workers.count;
	wr->slots_count = config->channels.clients_max + config->sessions.sessions_max;
	wr->files_max = mr_files_limit_raise();
	wr->passage.number = 1;
	wr->stats_fd = wr->lock_fd = wr->epoll_fd = wr->signal_fd = wr->bell_fd = -1;
	wr->listen_fd = wr->link_fd = -1;
	clock_gettime(CLOCK_REALTIME, &t);
	wr->started_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	for (size_t i = 0; i < MR_ARRAY_COUNT(steps); i++) {
		int error = steps[i].open(wr);

		if (error != 0) {
			if (steps[i].what != NULL)
				log_refusal(steps[i].what, config, error);
			mr_writer_close(wr);
			return error;
		}
	}
	return 0;
}

/* Counts the stalls of workers that neither sleep nor make rounds. Control logs which worker it is;
 * it also notices when the whole process stands still. Time in which this thread did not run does
 * not count. */
static void watch_workers(struct mr_writer *wr)
{
	uint64_t now = mr_writer_now_ns();
	uint64_t slept_ns = now - wr->watched_ns;

	wr->watched_ns = now;

	for (unsigned i = 0; i < wr->workers_count; i++) {
		struct mr_worker *w = wr->workers[i];
		uint64_t rounds = atomic_load_explicit(&w->rounds, memory_order_relaxed);

		if (slept_ns > LATE_NS)
			wr->watch[i].since_ns += slept_ns - LATE_NS;
		if (rounds != wr->watch[i].rounds || wr->watch[i].since_ns == 0 ||
			atomic_load_explicit(&w->sleeping, memory_order_relaxed)) {
			wr->watch[i].rounds = rounds;
			wr->watch[i].since_ns = now;
			wr->watch[i].stuck = false;
		} else if (now - wr->watch[i].since_ns > STUCK_NS && !wr->watch[i].stuck) {
			wr->watch[i].stuck = true;
			mr_count(wr->stats->worker_stalls, 1);
		}
	}
}

static void update_table_stats(struct mr_writer *wr)
{
	struct mr_table_stats t;

	mr_table_stats_get(wr->table, &t);
	mr_gauge(wr->stats->subscriptions, t.subscriptions);
	mr_gauge(wr->stats->nodes, t.nodes);
	mr_gauge(wr->stats->groups, t.groups);
	mr_gauge(wr->stats->aliases, t.aliases);
	mr_gauge(wr->stats->memory_bytes, t.memory_bytes);
	mr_gauge(wr->stats->pending_reclaim, t.pending_reclaim);
}

static void handle_event(struct mr_writer *wr, const struct epoll_event *e)
{
	if (e->data.ptr == &wr->signal_fd)
		wr->stopping = true;
	else if (e->data.ptr == &wr->bell_fd) /* the next tick finds the reason */
		wr->remotes.notified = mr_bell_clear(wr->bell_fd);
	else if (e->data.ptr == &wr->listen_fd)
		mr_writer_accept(wr);
	else if (e->data.ptr == &wr->link_fd)
		mr_writer_link_read(wr);
	else if (!mr_writer_ports_serve(wr, e->data.ptr))
		mr_writer_session_close(wr, e->data.ptr, "its client is gone");
}

int mr_writer_run(struct mr_writer *wr)
{
	struct epoll_event events[EVENTS_MAX];
	bool pending = false;

	while (!wr->stopping) {
		int n = epoll_wait(
			wr->epoll_fd, events, EVENTS_MAX, pending ? TICK_PENDING_MS : TICK_IDLE_MS);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			handle_event(wr, &events[i]);
		pending = mr_writer_sessions_tick(wr);
		pending |= mr_table_reclaim(wr->table) > 0;
		update_table_stats(wr);
		watch_workers(wr);
		mr_count(wr->stats->rounds, 1);
		mr_writer_ports_look(wr);
		mr_writer_multicast_look(wr);
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_mesh(struct mr_writer *wr)
{
	for (unsigned i = 0; wr->mesh != NULL && i < wr->workers_count * wr->workers_count; i++)
		mr_spsc_fini(&wr->mesh[i]);
	free(wr->mesh);
	wr->mesh = NULL;
}

static void close_files(struct mr_writer *wr)
{
	char path[PATH_MAX];

	/* Without the lock the files belong to another data plane. */
	if (wr->lock_fd < 0)
		return;
	path_in_run_dir(wr, "dataplane.sock", path, sizeof(path));
	unlink(path);
	path_in_run_dir(wr, "dataplane.lock", path, sizeof(path));
	mr_lockfile_drop(path, wr->lock_fd);
	wr->lock_fd = -1;
}

void mr_writer_close(struct mr_writer *wr)
{
	/* Workers are offline, so each grace period is over at once. The mesh was opened last:
	 * without it there were no sessions. */
	if (wr->mesh != NULL)
		mr_writer_sessions_close_all(wr);
	close_fd(&wr->link_fd);
	for (unsigned i = 0; i < wr->workers_count; i++)
		mr_worker_free(wr->workers[i]);
	close_mesh(wr);
	mr_writer_ports_close(wr);
	mr_writer_blocks_close(wr);
	mr_table_free(wr->table);
	free(wr->qsbr);
	mr_writer_remotes_close(wr);
	mr_writer_releases_close(wr);
	mr_writer_answers_close(wr);
	mr_writer_bindings_close(wr);
	mr_shares_fini(&wr->shares);
	free(wr->generations);
	if (wr->stats_map != NULL)
		munmap(wr->stats_map, wr->stats_bytes);
	close_fd(&wr->listen_fd);
	close_fd(&wr->stats_fd);
	close_fd(&wr->signal_fd);
	close_fd(&wr->bell_fd);
	close_fd(&wr->epoll_fd);
	close_files(wr);
}
