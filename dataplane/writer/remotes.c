/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes sessions over UDP: slots, logs, and an index by path. */
#include "dataplane/writer/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/port/packet.h"
#include "lib/wire/path.h"

/* Bytes for a session over UDP besides those in session/remote.h: its slot, its place in the index
 * (up to two buckets a session), its generation, its place in the directory, its statistics. */
#define SLOT_BYTES                                                                                 \
	(sizeof(struct mr_writer_remote) + 2 * sizeof(uint32_t) + sizeof(uint32_t) +               \
		sizeof(struct mr_session *) + sizeof(struct mrf_session_stats))

_Static_assert(sizeof(struct mr_session) + sizeof(struct mr_remote) + SLOT_BYTES <= 1408,
	"all memory of a session over UDP but its log");

static uint32_t sessions_max(const struct mr_writer *wr)
{
	return wr->config->sessions.sessions_max;
}

static uint32_t number_of(const struct mr_writer *wr, unsigned worker, uint32_t slot)
{
	return worker * sessions_max(wr) + slot - wr->config->channels.clients_max + 1;
}

static struct mr_writer_remote *entry_of(const struct mr_writer *wr, uint32_t number)
{
	return &wr->remotes.slots[number - 1];
}

static uint32_t slot_of(const struct mr_writer *wr, uint32_t number)
{
	return wr->config->channels.clients_max + (number - 1) % sessions_max(wr);
}

static struct mr_session *session_of(const struct mr_writer *wr, uint32_t number)
{
	const struct mr_worker *w = wr->workers[(number - 1) / sessions_max(wr)];

	return atomic_load_explicit(&w->directory.slots[slot_of(wr, number)], memory_order_relaxed);
}

static uint32_t *chain(void *writer, uint32_t number)
{
	return &entry_of(writer, number)->next;
}

static uint64_t stored_hash(void *writer, uint32_t number)
{
	return entry_of(writer, number)->hash;
}

/* Hashes the fields that mr_path_same compares. */
static uint32_t hash_of(const struct mr_writer *wr, const struct mrf_network_path *p)
{
	const uint64_t words[] = {p->peer_0, p->peer_1, p->local_0, p->local_1,
		(uint64_t)p->peer_udp_port << 32 | (uint64_t)p->local_udp_port << 16 | p->port};

	return (uint32_t)mr_hash_text(&wr->remotes.key, words, sizeof(words));
}

static uint64_t peer_of(const struct mr_writer *wr, const struct mrf_network_path *p)
{
	return mr_path_peer(p, wr->config->peers.ip6_prefix_bits);
}

uint64_t mr_writer_remotes_share(const struct mr_writer *wr)
{
	uint32_t most = wr->config->sessions.per_address_max;

	return most != 0 ? most : wr->remote.share;
}

/* Appends a slot to the list of free slots. */
static void give_slot(struct mr_writer *wr, unsigned worker, uint32_t number)
{
	struct mr_writer_remotes *r = &wr->remotes;

	entry_of(wr, number)->next = 0;
	if (r->on[worker].first_free == 0)
		r->on[worker].first_free = number;
	else
		entry_of(wr, r->on[worker].last_free)->next = number;
	r->on[worker].last_free = number;
}

/* Takes the first free slot; 0: there is none. */
static uint32_t take_slot(struct mr_writer *wr, unsigned worker)
{
	uint32_t number = wr->remotes.on[worker].first_free;

	if (number != 0)
		wr->remotes.on[worker].first_free = entry_of(wr, number)->next;
	return number;
}

int mr_writer_remotes_open(struct mr_writer *wr)
{
	struct mr_writer_remotes *r = &wr->remotes;

	if (getrandom(&r->key, sizeof(r->key), 0) != (ssize_t)sizeof(r->key))
		return -errno;
	r->slots = calloc((size_t)wr->workers_count * sessions_max(wr), sizeof(*r->slots));
	if (r->slots == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < wr->workers_count; i++)
		for (uint32_t k = 0; k < sessions_max(wr); k++)
			give_slot(wr, i, i * sessions_max(wr) + k + 1);
	return mr_index_init(&r->by_path, chain, stored_hash, wr);
}

void mr_writer_remotes_close(struct mr_writer *wr)
{
	mr_index_fini(&wr->remotes.by_path);
	free(wr->remotes.slots);
	wr->remotes.slots = NULL;
}

/* True if the client's path has changed since the session was opened. A Hello from the old path
 * then comes from another client. */
static bool has_moved(const struct mr_session *s)
{
	return __atomic_load_n(&s->stats->paths_changed, __ATOMIC_RELAXED) != 0;
}

static struct mr_session *find_path(
	const struct mr_writer *wr, const struct mrf_network_path *path, uint32_t hash)
{
	uint32_t number = mr_index_first(&wr->remotes.by_path, hash);

	for (; number != 0; number = entry_of(wr, number)->next) {
		struct mr_session *s;

		if (entry_of(wr, number)->hash != hash)
			continue;
		s = session_of(wr, number);
		if (mr_path_same(&s->remote->path, path) && !has_moved(s))
			return s;
	}
	return NULL;
}

/* Returns the client's largest frame, or the port's if that is smaller. 0: the port cannot carry
 * frames of the smallest size. */
static uint32_t frame_bytes_of(
	const struct mr_port *p, const struct mrf_network_path *path, uint32_t offered)
{
	uint32_t most = mr_path_frame_bytes(path, mr_port_mtu(p));

	return (offered < most ? offered : most) & ~7u;
}

static int new_secret(uint64_t *out)
{
	do {
		if (getrandom(out, sizeof(*out), GRND_NONBLOCK) != (ssize_t)sizeof(*out))
			return -EAGAIN;
	} while (*out == 0);
	return 0;
}

/* A log gets at most this fraction of the log memory that is left for all and for its peer, but at
 * least LOG_BYTES_LEAST. */
#define LOG_PART        8u
#define LOG_BYTES_LEAST (16u << 10)

static uint64_t left_of(uint64_t max, uint64_t used)
{
	return used < max ? max - used : 0;
}

/* Returns the bytes of a new log, a power of two. */
static uint32_t log_bytes_for(const struct mr_writer *wr, uint64_t peer)
{
	uint64_t has = mr_share_count(&wr->shares, peer, MR_SHARE_OF(MR_WRITER_LOGS, 0));
	uint64_t of_all = left_of(wr->logs.max, wr->logs_bytes);
	uint64_t of_peer = left_of(wr->logs.share, has);
	uint64_t most = (of_all < of_peer ? of_all : of_peer) / LOG_PART;
	uint32_t bytes = wr->config->sessions.log_bytes;

	while (bytes > most && bytes > LOG_BYTES_LEAST)
		bytes /= 2;
	return bytes;
}

/* Counts a log for a new session. A peer that has used up its share gets the smallest one. -ENOMEM.
 * */
static int log_take(struct mr_writer *wr, uint32_t number, uint64_t peer)
{
	uint32_t bytes = log_bytes_for(wr, peer);
	int error =
		mr_share_take(&wr->shares, peer, MR_SHARE_OF(MR_WRITER_LOGS, 0), bytes, UINT64_MAX);

	if (error != 0)
		return error;
	entry_of(wr, number)->log_bytes = bytes;
	wr->logs_bytes += bytes;
	mr_count(wr->stats->short_logs, bytes < wr->config->sessions.log_bytes);
	mr_gauge(wr->stats->logs_bytes, wr->logs_bytes);
	return 0;
}

static void log_give(struct mr_writer *wr, uint32_t number, uint64_t peer)
{
	uint32_t bytes = entry_of(wr, number)->log_bytes;

	mr_share_give(&wr->shares, peer, MR_SHARE_OF(MR_WRITER_LOGS, 0), bytes);
	wr->logs_bytes -= bytes;
	mr_gauge(wr->stats->logs_bytes, wr->logs_bytes);
}

static int make_session(struct mr_writer *wr, uint32_t number, struct mrf_table request,
	const struct mrf_network_path *path, struct mr_session **out)
{
	const struct mr_port *port = &wr->ports[path->port];
	unsigned worker = mrf_link_open_remote_worker(request);
	uint32_t slot = slot_of(wr, number);
	uint32_t frame_bytes =
		frame_bytes_of(port, path, mrf_link_open_remote_frame_bytes(request));
	uint64_t secret;
	int error = new_secret(&secret);

	if (error == 0)
		error = mr_remote_new(mr_writer_next_id(wr, worker, slot), path, port->mac,
			frame_bytes, entry_of(wr, number)->log_bytes,
			mr_writer_stats_of(wr, worker, slot), out);
	if (error == 0) {
		(*out)->remote->nonce = mrf_link_open_remote_nonce(request);
		(*out)->remote->secret = secret;
	}
	return error;
}

static void enter_in_index(struct mr_writer *wr, uint32_t number, unsigned worker, uint32_t hash)
{
	entry_of(wr, number)->hash = hash;
	mr_index_add(&wr->remotes.by_path, number);
	wr->remotes.on[worker].count++;
	mr_count(wr->stats->remote_sessions, 1);
}

static int open_in(struct mr_writer *wr, uint32_t number, struct mrf_table request,
	const struct mrf_network_path *path, uint32_t hash, struct mr_session **out)
{
	unsigned worker = mrf_link_open_remote_worker(request);
	int error = log_take(wr, number, peer_of(wr, path));

	if (error == 0) {
		error = make_session(wr, number, request, path, out);
		if (error != 0)
			log_give(wr, number, peer_of(wr, path));
	}
	if (error != 0) {
		give_slot(wr, worker, number);
		return error;
	}
	(*out)->peer = peer_of(wr, path);
	entry_of(wr, number)->counted = (*out)->peer;
	entry_of(wr, number)->moves = 0;
	enter_in_index(wr, number, worker, hash);
	mr_directory_put(&wr->workers[worker]->directory, *out);
	mr_writer_session_opened(wr, *out, mrf_link_open_remote_name(request));
	return 0;
}

static int open_new(struct mr_writer *wr, struct mrf_table request,
	const struct mrf_network_path *path, uint32_t hash, struct mr_session **out)
{
	uint64_t of = MR_SHARE_OF(MR_WRITER_REMOTES, 0);
	uint64_t peer = peer_of(wr, path);
	uint32_t number;
	int error = mr_share_take(&wr->shares, peer, of, 1, mr_writer_remotes_share(wr));

	if (error != 0)
		return error;
	number = take_slot(wr, mrf_link_open_remote_worker(request));
	error = number != 0 ? open_in(wr, number, request, path, hash, out) : -ENOSPC;
	if (error != 0)
		mr_share_give(&wr->shares, peer, of, 1);
	return error;
}

static int open_group_in(struct mr_writer *wr, uint32_t number, unsigned worker,
	const struct mrf_network_path *path, struct mr_session **out)
{
	const struct mr_port *port = &wr->ports[path->port];
	uint32_t slot = slot_of(wr, number);
	uint64_t secret;
	int error = new_secret(&secret);

	entry_of(wr, number)->log_bytes = 0;
	if (error == 0)
		error = mr_remote_new(mr_writer_next_id(wr, worker, slot), path, port->mac,
			mr_path_frame_bytes(path, mr_port_mtu(port)), 0,
			mr_writer_stats_of(wr, worker, slot), out);
	if (error != 0)
		return error;
	/* Nobody knows the secret: no frame moves the session to another path. */
	(*out)->remote->secret = secret;
	(*out)->remote->is_group = true;
	(*out)->peer = MR_PEER_OWN;
	entry_of(wr, number)->moves = 0;
	return 0;
}

int mr_writer_remote_open_group(struct mr_writer *wr, const struct mr_session *founder,
	const struct mrf_network_path *path, const char *name, struct mr_session **out)
{
	uint64_t of = MR_SHARE_OF(MR_WRITER_REMOTES, 0);
	unsigned worker = founder->worker;
	uint64_t peer = entry_of(wr, number_of(wr, worker, founder->slot))->counted;
	uint32_t number;
	int error;

	if (mr_path_frame_bytes(path, mr_port_mtu(&wr->ports[path->port])) == 0)
		return -EMSGSIZE;
	error = mr_share_take(&wr->shares, peer, of, 1, mr_writer_remotes_share(wr));
	if (error != 0)
		return error;
	number = take_slot(wr, worker);
	error = number != 0 ? open_group_in(wr, number, worker, path, out) : -ENOSPC;
	if (error != 0) {
		if (number != 0)
			give_slot(wr, worker, number);
		mr_share_give(&wr->shares, peer, of, 1);
		return error;
	}
	entry_of(wr, number)->counted = peer;
	enter_in_index(wr, number, worker, hash_of(wr, path));
	mr_directory_put(&wr->workers[worker]->directory, *out);
	mr_writer_session_opened(wr, *out, mrf_str(name));
	return 0;
}

/* Closes the session of a client that said hello again. What the session has acknowledged is still
 * taken, unless the new session needs its slot or share at once: then the old one is dropped. */
static void close_displaced(struct mr_writer *wr, struct mr_session *s, unsigned worker,
	const struct mrf_network_path *path)
{
	const char *reason = "its client opened a new session";

	if ((s->worker == worker && wr->remotes.on[worker].first_free == 0) ||
		mr_share_count(&wr->shares, peer_of(wr, path), MR_SHARE_OF(MR_WRITER_REMOTES, 0)) >=
			mr_writer_remotes_share(wr))
		mr_writer_session_drop(wr, s, reason);
	else
		mr_writer_session_end(wr, s, -ECONNRESET, reason);
}

int mr_writer_remote_open(struct mr_writer *wr, struct mrf_table request, struct mr_session **out)
{
	struct mrf_network_path path = mrf_link_open_remote_path(request);
	uint64_t nonce = mrf_link_open_remote_nonce(request);
	uint32_t offered = mrf_link_open_remote_frame_bytes(request);
	uint32_t hash;

	if (!mrf_link_open_remote_has_path(request) || nonce == 0 || path.port >= wr->ports_count ||
		offered < MR_FRAME_BYTES_MIN ||
		mrf_link_open_remote_worker(request) >= wr->workers_count)
		return -EINVAL;
	if (frame_bytes_of(&wr->ports[path.port], &path, offered) == 0)
		return -EMSGSIZE;
	hash = hash_of(wr, &path);
	*out = find_path(wr, &path, hash);
	if (*out != NULL && (*out)->remote->nonce == nonce)
		return 0;
	if (*out != NULL)
		close_displaced(wr, *out, mrf_link_open_remote_worker(request), &path);
	return open_new(wr, request, &path, hash, out);
}

void mr_writer_remote_forget(struct mr_writer *wr, struct mr_session *s)
{
	mr_index_remove(&wr->remotes.by_path, number_of(wr, s->worker, s->slot));
}

void mr_writer_remote_take_out(struct mr_writer *wr, struct mr_session *s)
{
	uint32_t number = number_of(wr, s->worker, s->slot);

	mr_directory_take(&wr->workers[s->worker]->directory, s);
	mr_share_give(
		&wr->shares, entry_of(wr, number)->counted, MR_SHARE_OF(MR_WRITER_REMOTES, 0), 1);
	log_give(wr, number, s->peer);
	give_slot(wr, s->worker, number);
	wr->remotes.on[s->worker].count--;
	mr_gauge(wr->stats->remote_sessions, wr->stats->remote_sessions - 1);
}

static const char *reason_of(uint8_t end)
{
	if (end == MR_REMOTE_EXPIRED)
		return "liveness time-out: no frame came";
	return end == MR_REMOTE_FULL_TOO_LONG ? MR_FULL_TOO_LONG_REASON : "closed by its client";
}

static void close_if_ended(struct mr_writer *wr, struct mr_session *s)
{
	/* [remote.end] */
	uint8_t end = atomic_load_explicit(&s->remote->end, memory_order_acquire);

	if (!mr_remote_has_ended(end) || s->closing)
		return;
	if (end == MR_REMOTE_EXPIRED)
		mr_count(wr->stats->sessions_expired, 1);
	if (end == MR_REMOTE_FULL_TOO_LONG)
		mr_count(wr->stats->sessions_expelled, 1);
	mr_writer_session_close(wr, s, reason_of(end));
}

void mr_writer_remotes_look(struct mr_writer *wr)
{
	if (!wr->remotes.notified)
		return;
	wr->remotes.notified = false;
	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_directory *d = &wr->workers[i]->directory;
		uint32_t left = wr->remotes.on[i].count;

		for (uint32_t slot = wr->config->channels.clients_max; left > 0; slot++) {
			struct mr_session *s =
				atomic_load_explicit(&d->slots[slot], memory_order_relaxed);

			assert(slot < d->slots_count);
			if (s == NULL)
				continue;
			left--;
			mr_writer_remote_moved(wr, s, entry_of(wr, number_of(wr, i, slot)));
			close_if_ended(wr, s);
		}
	}
}

struct mrf_network_path mr_writer_remote_path(const struct mr_session *s)
{
	const struct mrf_network_path *p = &s->remote->path;

	return (struct mrf_network_path){
		.peer_0 = __atomic_load_n(&p->peer_0, __ATOMIC_RELAXED),
		.peer_1 = __atomic_load_n(&p->peer_1, __ATOMIC_RELAXED),
		.local_0 = __atomic_load_n(&p->local_0, __ATOMIC_RELAXED),
		.local_1 = __atomic_load_n(&p->local_1, __ATOMIC_RELAXED),
		.peer_mac = __atomic_load_n(&p->peer_mac, __ATOMIC_RELAXED),
		.peer_udp_port = __atomic_load_n(&p->peer_udp_port, __ATOMIC_RELAXED),
		.local_udp_port = __atomic_load_n(&p->local_udp_port, __ATOMIC_RELAXED),
		.port = __atomic_load_n(&p->port, __ATOMIC_RELAXED),
	};
}
