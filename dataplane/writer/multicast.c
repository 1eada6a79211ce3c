/* SPDX-License-Identifier: Apache-2.0 */
/* Multicast groups. A group is a session over UDP without a client: its path leads to the group's
 * address, and its one subscription stands for those of all members. So workers know nothing of
 * multicast: a publish is copied once, into the open frame of the group. The group lives as long as
 * it has members.
 */
#include "dataplane/writer/writer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/config/address.h"
#include "lib/wire/path.h"

/* Least time between two probes of a group. */
#define PROBE_NS 20000000ull
/* The only subscription of a group's session. */
#define GROUP_SUBSCRIPTION 1u

struct mr_writer_group {
	struct mr_writer_group *next;
	struct mrf_network_path path;
	uint64_t session;
	uint64_t probed_ns;
	uint64_t frames_seen; /* already counted in multicast_frames */
	uint64_t messages_seen;
	uint32_t members;
	uint8_t kind;
	uint8_t asks;
	char name[INET6_ADDRSTRLEN];
	uint32_t pattern_bytes;
	char pattern[MR_SUBJECT_BYTES_MAX + 1];
};

struct mr_writer_member {
	struct mr_writer_member *next;
	struct mr_writer_group *group;
	uint64_t session;
	uint32_t subscription;
};

static struct mr_writer_member **bucket_of(struct mr_writer *wr, uint64_t session)
{
	return &wr->multicast.members[mr_session_slot(session) % MR_WRITER_MEMBER_BUCKETS];
}

static struct mr_writer_member **find_member(
	struct mr_writer *wr, uint64_t session, uint32_t subscription)
{
	struct mr_writer_member **at = bucket_of(wr, session);

	while (*at != NULL && ((*at)->session != session || (*at)->subscription != subscription))
		at = &(*at)->next;
	return at;
}

static bool starts_with(struct mrf_string pattern, const char *prefix)
{
	size_t bytes = strlen(prefix);

	return pattern.bytes >= bytes && memcmp(pattern.data, prefix, bytes) == 0;
}

/* Returns the range for a pattern and the session's address family, or NULL. */
static const struct mr_config_multicast *range_for(
	const struct mr_writer *wr, const struct mrf_network_path *path, struct mrf_string pattern)
{
	for (uint32_t i = 0; i < wr->config->multicast.ranges_count; i++) {
		const struct mr_config_multicast *m = &wr->config->multicast.ranges[i];

		if (mr_config_network_is_ipv4(&m->range) == mr_path_is_ip4(path) &&
			starts_with(pattern, m->prefix))
			return m;
	}
	return NULL;
}

/* FNV-1a: the same in each run of the bus, so that a pattern keeps its address. */
static uint32_t stable_hash(struct mrf_string text, uint32_t seed)
{
	uint32_t h = 2166136261u ^ seed;

	for (uint32_t i = 0; i < text.bytes; i++)
		h = (h ^ (uint8_t)text.data[i]) * 16777619u;
	return h ^ h >> 16;
}

static bool is_used(const struct mr_writer *wr, const struct mrf_network_path *path)
{
	for (const struct mr_writer_group *g = wr->multicast.groups; g != NULL; g = g->next)
		if (g->path.peer_0 == path->peer_0 && g->path.peer_1 == path->peer_1 &&
			g->path.port == path->port)
			return true;
	return false;
}

/* Puts address number `index` of the range into the path, with its Ethernet address: RFC 1112 §6.4,
 * RFC 2464 §7. */
static void set_group(
	struct mrf_network_path *path, const struct mr_config_network *range, uint32_t index)
{
	bool ip4 = mr_config_network_is_ipv4(range);
	uint8_t address[16], mac[8] = {0x33, 0x33};

	memcpy(address, range->address, sizeof(address));
	for (unsigned i = 0; i < sizeof(index); i++)
		address[15 - i] |= (uint8_t)(index >> 8 * i);
	memcpy(mac + 2, address + 12, 4);
	if (ip4) {
		memcpy(mac, (const uint8_t[]){0x01, 0x00, 0x5e}, 3);
		mac[3] = address[13] & 0x7f;
	}
	memcpy(&path->peer_0, address, 8);
	memcpy(&path->peer_1, address + 8, 8);
	memcpy(&path->peer_mac, mac, sizeof(mac));
}

/* Finds a free address of the range: the pattern's own, or the next one behind it. -ENOSPC. */
static int assign(const struct mr_writer *wr, const struct mr_config_network *range, uint32_t hash,
	struct mrf_network_path *path)
{
	unsigned bits = 128u - range->prefix_bits;
	uint32_t mask = bits >= 32 ? UINT32_MAX : (1u << bits) - 1;

	/* One of so many successive addresses is free. */
	for (uint32_t i = 0; i <= wr->multicast.groups_count && i <= mask; i++) {
		set_group(path, range, (hash + i) & mask);
		if (!is_used(wr, path))
			return 0;
	}
	return -ENOSPC;
}

static bool is_group_of(
	const struct mr_writer_group *g, const struct mr_session *s, const struct mr_table_row *row)
{
	const struct mrf_network_path *p = &s->remote->path;

	return g->path.port == p->port && g->path.local_0 == p->local_0 &&
	       g->path.local_1 == p->local_1 && g->kind == (uint8_t)row->kind &&
	       g->asks == row->asks && g->pattern_bytes == row->text_bytes &&
	       memcmp(g->pattern, row->text, row->text_bytes) == 0;
}

static void name_group(struct mr_writer_group *g)
{
	uint8_t address[16];
	bool ip4 = mr_path_is_ip4(&g->path);

	memcpy(address, &g->path.peer_0, 8);
	memcpy(address + 8, &g->path.peer_1, 8);
	inet_ntop(ip4 ? AF_INET : AF_INET6, address + (ip4 ? 12 : 0), g->name, sizeof(g->name));
}

/* Closes a group's session. It leaves the directory in the next tick: the caller may be looking
 * through that. */
static void close_session(struct mr_writer *wr, struct mr_session *s, const char *reason)
{
	mr_writer_session_close(wr, s, reason);
	s->close_deadline_ns = 0;
}

static int subscribe_group(
	struct mr_writer *wr, const struct mr_session *s, const struct mr_table_row *row)
{
	struct mr_table_row own = *row;

	own.owner = mr_writer_owner(s);
	own.sub_id = GROUP_SUBSCRIPTION;
	return mr_table_subscribe_row(wr->table, &own);
}

/* Opens the session of a new group on the worker of its first member. */
static int open_group(struct mr_writer *wr, struct mr_writer_group *g, const struct mr_session *s,
	const struct mr_table_row *row)
{
	struct mr_session *group;
	int error = mr_writer_remote_open_group(wr, s, &g->path, g->name, &group);

	if (error != 0)
		return error;
	error = subscribe_group(wr, group, row);
	if (error != 0) {
		close_session(wr, group, "its subscription was refused");
		return error;
	}
	group->subscriptions = 1;
	g->session = group->id;
	return 0;
}

static struct mr_writer_group *new_group(
	struct mr_writer *wr, const struct mr_session *s, const struct mr_table_row *row)
{
	struct mrf_string pattern = mrf_str_n(row->text, (uint32_t)row->text_bytes);
	struct mrf_network_path path = mr_writer_remote_path(s);
	const struct mr_config_multicast *m = range_for(wr, &path, pattern);
	struct mr_writer_group *g = m != NULL ? calloc(1, sizeof(*g)) : NULL;

	if (g == NULL)
		return NULL;
	g->kind = (uint8_t)row->kind;
	g->asks = row->asks;
	g->pattern_bytes = (uint32_t)row->text_bytes;
	memcpy(g->pattern, row->text, row->text_bytes);
	path.peer_udp_port = path.local_udp_port;
	path.hops = m->hops;
	if (assign(wr, &m->range, stable_hash(pattern, g->kind | (uint32_t)g->asks << 8), &path) !=
		0) {
		free(g);
		return NULL;
	}
	g->path = path;
	name_group(g);
	if (open_group(wr, g, s, row) != 0) {
		free(g);
		return NULL;
	}
	g->next = wr->multicast.groups;
	wr->multicast.groups = g;
	wr->multicast.groups_count++;
	mr_count(wr->stats->multicast_groups, 1);
	return g;
}

/* Adds to the counters what the group has sent since the last call. */
static void count_sent(struct mr_writer *wr, struct mr_writer_group *g)
{
	const struct mr_session *s = mr_writer_session_find(wr, g->session);
	uint64_t frames, messages;

	if (s == NULL)
		return;
	frames = __atomic_load_n(&s->stats->frames_tx, __ATOMIC_RELAXED);
	messages = __atomic_load_n(&s->stats->tx_messages, __ATOMIC_RELAXED);
	mr_count(wr->stats->multicast_frames, frames - g->frames_seen);
	if (g->members > 1)
		mr_count(wr->stats->multicast_saved,
			(messages - g->messages_seen) * (g->members - 1));
	g->frames_seen = frames;
	g->messages_seen = messages;
}

static void end_group(struct mr_writer *wr, struct mr_writer_group *g)
{
	struct mr_session *s = mr_writer_session_find(wr, g->session);
	struct mr_writer_group **at = &wr->multicast.groups;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	wr->multicast.groups_count--;
	mr_gauge(wr->stats->multicast_groups, wr->multicast.groups_count);
	if (s != NULL)
		close_session(wr, s, "its last member left");
	free(g);
}

static void end_member(struct mr_writer *wr, struct mr_writer_member **at)
{
	struct mr_writer_member *m = *at;

	count_sent(wr, m->group);
	*at = m->next;
	if (--m->group->members == 0)
		end_group(wr, m->group);
	mr_gauge(wr->stats->multicast_members, wr->stats->multicast_members - 1);
	free(m);
}

static struct mr_writer_group *group_for(
	struct mr_writer *wr, const struct mr_session *s, const struct mr_table_row *row)
{
	struct mr_writer_group *g = wr->multicast.groups;

	/* Members of a group that an operator closed will leave: a new one takes its place. */
	while (g != NULL &&
		(!is_group_of(g, s, row) || mr_writer_session_find(wr, g->session) == NULL))
		g = g->next;
	return g != NULL ? g : new_group(wr, s, row);
}

static bool is_still_of(struct mr_writer *wr, const struct mr_writer_member *m,
	const struct mr_session *s, const struct mr_table_row *row)
{
	return is_group_of(m->group, s, row) &&
	       mr_writer_session_find(wr, m->group->session) != NULL;
}

static struct mr_writer_member *add_member(
	struct mr_writer *wr, struct mr_session *s, const struct mr_table_row *row)
{
	struct mr_writer_member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->group = group_for(wr, s, row);
	if (m->group == NULL) {
		free(m);
		return NULL;
	}
	count_sent(wr, m->group);
	m->session = s->id;
	m->subscription = row->sub_id;
	m->group->members++;
	m->next = *bucket_of(wr, s->id);
	*bucket_of(wr, s->id) = m;
	s->subscriptions++;
	mr_count(wr->stats->multicast_members, 1);
	return m;
}

static void answer(struct mr_writer *wr, uint64_t id, struct mr_writer_group *g)
{
	const struct mr_session *s = mr_writer_session_find(wr, g->session);
	uint64_t now = mr_writer_now_ns();
	struct mrf_link_multicast v = {
		.channel = g->session,
		.group_0 = g->path.peer_0,
		.group_1 = g->path.peer_1,
		.udp_port = g->path.peer_udp_port,
		.frame_bytes = s->remote->frame_bytes,
		.probe = now - g->probed_ns >= PROBE_NS,
	};
	struct mrf_builder b;
	uint64_t memory[64];

	if (v.probe)
		g->probed_ns = now;
	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(wr, &b, id, MRF_LINK_BODY_LINK_MULTICAST,
		mrf_link_multicast_write(&b, &v), NULL, 0);
}

bool mr_writer_multicast_join(
	struct mr_writer *wr, uint64_t id, struct mr_session *s, const struct mr_table_row *row)
{
	struct mr_writer_member **at = find_member(wr, s->id, row->sub_id);
	struct mr_writer_member *m = NULL;

	if (*at != NULL && is_still_of(wr, *at, s, row))
		m = *at;
	else if (*at != NULL)
		(void)mr_writer_multicast_leave(wr, s, row->sub_id);
	if (m == NULL && s->remote != NULL && row->group_bytes == 0 &&
		s->subscriptions < wr->config->tables.subscriptions_per_client_max)
		m = add_member(wr, s, row);
	if (m == NULL) {
		mr_count(wr->stats->multicast_refused, 1);
		return false;
	}
	answer(wr, id, m->group);
	return true;
}

bool mr_writer_multicast_leave(struct mr_writer *wr, struct mr_session *s, uint32_t subscription)
{
	struct mr_writer_member **at = find_member(wr, s->id, subscription);

	if (*at == NULL)
		return false;
	end_member(wr, at);
	s->subscriptions--;
	return true;
}

void mr_writer_multicast_leave_all(struct mr_writer *wr, const struct mr_session *s)
{
	struct mr_writer_member **at = bucket_of(wr, s->id);

	while (*at != NULL) {
		if ((*at)->session == s->id)
			end_member(wr, at);
		else
			at = &(*at)->next;
	}
}

void mr_writer_multicast_look(struct mr_writer *wr)
{
	for (struct mr_writer_group *g = wr->multicast.groups; g != NULL; g = g->next)
		count_sent(wr, g);
}

bool mr_writer_multicast_is_group(const struct mr_writer *wr, uint64_t session)
{
	for (const struct mr_writer_group *g = wr->multicast.groups; g != NULL; g = g->next)
		if (g->session == session)
			return true;
	return false;
}

void mr_writer_multicast_each(
	const struct mr_writer *wr, mr_writer_multicast_visit *visit, void *arg)
{
	for (uint32_t i = 0; i < MR_WRITER_MEMBER_BUCKETS; i++)
		for (const struct mr_writer_member *m = wr->multicast.members[i]; m != NULL;
			m = m->next) {
			const struct mrf_subscription_row row = {
				.session = m->session,
				.subscription = m->subscription,
				.kind = m->group->kind == MR_SUB_PREFIX
						? MRF_SUBSCRIPTION_KIND_PREFIX
						: MRF_SUBSCRIPTION_KIND_PATTERN,
				.pattern = mrf_str_n(m->group->pattern, m->group->pattern_bytes),
				.multicast = mrf_str(m->group->name),
			};

			visit(arg, &row);
		}
}

void mr_writer_multicast_close(struct mr_writer *wr)
{
	for (uint32_t i = 0; i < MR_WRITER_MEMBER_BUCKETS; i++)
		while (wr->multicast.members[i] != NULL)
			end_member(wr, &wr->multicast.members[i]);
}
