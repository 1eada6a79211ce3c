/* SPDX-License-Identifier: Apache-2.0 */
/* The table writer's part of sessions over UDP, in this process: opening, finding and closing them,
 * and their aliases. No worker runs unless a test plays one. */
#include "tests/unit/dataplane/inside.h"

#include <pthread.h>
#include <sched.h>

#include "lib/config/address.h"

#define SESSIONS  16u
#define MTU       1500u
#define NONCE     0x5eedull
#define FRAME_IP4 1472u
#define MANY      10000u

static int open_with(uint32_t sessions_max)
{
	config.sessions.sessions_max = sessions_max;
	assert_int_equal(mr_writer_open(&writer, &config), 0);
	/* A port with the fields that the table writer uses. */
	writer.ports[0] = (struct mr_port){.mtu = MTU, .mac = {2, 0, 0, 0, 0, 1}};
	writer.ports[1] = (struct mr_port){.mtu = 1000};
	writer.ports_count = 2;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return open_with(SESSIONS);
}

static int set_up_many(void **state)
{
	(void)state;
	return open_with(MANY);
}

static int tear_down(void **state)
{
	(void)state;
	writer.ports_count = 0;
	mr_writer_close(&writer);
	return 0;
}

/* Each number is another peer; IPv4 below 65,536. */
static struct mrf_network_path path_of(uint32_t number)
{
	struct mrf_network_path p = {
		.peer_mac = 0x020000000002,
		.peer_udp_port = (uint16_t)(number * 7 + 1),
		.local_udp_port = 7400,
	};
	uint8_t peer[16] = {[10] = 0xff,
		[11] = 0xff,
		[12] = 10,
		[14] = (uint8_t)(number >> 8),
		[15] = (uint8_t)number};
	uint8_t local[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1};

	memcpy(&p.peer_0, peer, sizeof(peer));
	memcpy(&p.local_0, local, sizeof(local));
	return p;
}

static int ask(struct mrf_link_open_remote v, struct mr_session **out)
{
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_writer_remote_open(&writer,
		inside_request(
			&b, MRF_LINK_BODY_LINK_OPEN_REMOTE, mrf_link_open_remote_write(&b, &v)),
		out);
}

static int try_open(uint32_t number, uint64_t nonce, struct mr_session **out)
{
	struct mrf_network_path path = path_of(number);

	return ask((struct mrf_link_open_remote){.worker = number % WORKERS,
			   .path = &path,
			   .nonce = nonce,
			   .frame_bytes = 9000,
			   .name = mrf_str("somebody")},
		out);
}

static struct mr_session *open_session(uint32_t number, uint64_t nonce)
{
	struct mr_session *s = NULL;

	assert_int_equal(try_open(number, nonce, &s), 0);
	return s;
}

/* Ends a session as its worker does, and lets the table writer look. */
static void end(struct mr_session *s, enum mr_remote_end how)
{
	atomic_store_explicit(&s->remote->end, (uint8_t)how, memory_order_release);
	writer.remotes.notified = true;
	while (mr_writer_sessions_tick(&writer))
		;
}

static void opened_session_is_known_everywhere(void **state)
{
	struct mr_session *s = open_session(3, NONCE);
	struct mrf_network_path path = path_of(3);

	(void)state;
	assert_int_equal(s->worker, 1);
	assert_true(s->slot >= CLIENTS && s->slot < CLIENTS + SESSIONS);
	assert_string_equal(s->name, "somebody");
	assert_int_equal(s->remote->frame_bytes, FRAME_IP4);
	assert_true(s->remote->secret != 0);
	assert_ptr_equal(mr_writer_session_find(&writer, s->id), s);
	assert_int_equal(mr_writer_stats_of(&writer, 1, s->slot)->session, s->id);
	assert_int_equal(writer.stats->sessions, 1);
	assert_int_equal(writer.stats->remote_sessions, 1);
	assert_memory_equal(&path, &s->remote->path, sizeof(path));
	path = mr_writer_remote_path(s);
	assert_memory_equal(&path, &s->remote->path, sizeof(path));
}

static void the_same_hello_again_finds_its_session(void **state)
{
	struct mr_session *s = open_session(1, NONCE);

	(void)state;
	for (unsigned i = 0; i < 3 * SESSIONS; i++)
		assert_ptr_equal(open_session(1, NONCE), s);
	assert_int_equal(writer.stats->sessions_opened, 1);
}

static void a_router_that_changes_makes_no_other_path(void **state)
{
	struct mr_session *s = open_session(1, NONCE), *again;
	struct mrf_network_path path = path_of(1);

	(void)state;
	path.peer_mac = 0x0200000000ff;
	assert_int_equal(
		ask(
			(struct mrf_link_open_remote){
				.worker = 0, .path = &path, .nonce = NONCE, .frame_bytes = 9000},
			&again),
		0);
	assert_ptr_equal(again, s);
}

/* Events received with the request may name any session that existed then. */
static void a_request_frees_no_session(void **state)
{
	struct mr_session *other = open_session(1 + WORKERS, NONCE);

	(void)state;
	for (uint32_t i = 2; i < SESSIONS; i++)
		(void)open_session(1 + WORKERS * i, NONCE);
	(void)open_session(1, NONCE);
	atomic_store(&other->remote->end, (uint8_t)MR_REMOTE_CLOSED);
	writer.remotes.notified = true;
	(void)open_session(1, NONCE + 1);
	assert_false(other->closing);
	assert_non_null(writer.retired);
	assert_false(mr_writer_passage_over(&writer, writer.retired->passage));
}

static void another_nonce_from_the_same_path_begins_anew(void **state)
{
	struct mr_session *old = open_session(1, NONCE), *s;
	const struct mr_directory *d = &writer.workers[1]->directory;
	uint64_t id = old->id;

	(void)state;
	s = open_session(1, NONCE + 1);
	assert_true(s->id != id);
	assert_true(s->remote->secret != old->remote->secret);
	assert_null(mr_writer_session_find(&writer, id));
	/* Its worker still has it, and must end it. */
	assert_true(mr_writer_sessions_tick(&writer));
	assert_ptr_equal(mr_directory_find(d, old->slot, old->generation), old);
	assert_true(atomic_load(&old->remote->expel) != 0);
	assert_int_equal(writer.stats->sessions_expelled, 0);
	end(old, MR_REMOTE_CLOSED);
	assert_null(mr_directory_find(d, mr_session_slot(id), mr_session_generation(id)));
	assert_int_equal(writer.stats->sessions, 1);
	assert_int_equal(writer.stats->sessions_closed, 1);
	assert_ptr_equal(open_session(1, NONCE + 1), s);
}

static void client_that_reconnects_at_the_limit_leaves_its_old_session_at_once(void **state)
{
	struct mr_session *s = open_session(1, NONCE);

	(void)state;
	config.sessions.per_address_max = 2;
	for (uint64_t i = 1; i <= 10; i++)
		s = open_session(1, NONCE + i);
	assert_int_equal(writer.stats->remote_sessions, 2);
	assert_ptr_equal(mr_writer_session_find(&writer, s->id), s);
	config.sessions.per_address_max = 0;
}

static int try_port(uint32_t number, uint16_t udp_port, struct mr_session **out)
{
	struct mrf_network_path path = path_of(number);

	path.peer_udp_port = udp_port;
	return ask((struct mrf_link_open_remote){.worker = udp_port % WORKERS,
			   .path = &path,
			   .nonce = NONCE,
			   .frame_bytes = 1200},
		out);
}

static void a_host_has_its_share_of_the_sessions(void **state)
{
	uint16_t share = WORKERS * SESSIONS / 4;
	struct mr_session *s;

	(void)state;
	for (uint16_t port = 1; port <= share; port++)
		assert_int_equal(try_port(1, port, &s), 0);
	assert_int_equal(try_port(1, share + 1, &s), -EDQUOT);
	for (uint32_t host = 2; host < 5; host++)
		assert_int_equal(try_port(host, 1, &s), 0);
	end(s, MR_REMOTE_CLOSED);
	assert_int_equal(try_port(1, share + 1, &s), -EDQUOT);
	assert_int_equal(try_port(1, 1, &s), 0);
	end(s, MR_REMOTE_CLOSED);
	assert_int_equal(try_port(1, share + 1, &s), 0);
}

static int set_up_logs(void **state)
{
	(void)state;
	config.sessions.logs_mib = 16; /* 4 for one host */
	return open_with(MANY);
}

static int tear_down_logs(void **state)
{
	config.sessions.logs_mib = 1024;
	return tear_down(state);
}

/* Memory of the log and of its companions: a frame, and the slots of early frames. */
static uint64_t memory_of(uint32_t host, uint16_t port, struct mr_session **out)
{
	assert_int_equal(try_port(host, port, out), 0);
	return (*out)->remote->flow.memory_bytes;
}

/* The first ones get whole logs; later ones get shorter logs, and none is refused. */
static void logs_of_a_host_s_sessions_have_a_share(void **state)
{
	const uint64_t most = 4u << 20, least = 16u << 10;
	uint64_t all = 0, first, last = 0;
	struct mr_session *s, *other;

	(void)state;
	first = memory_of(1, 1, &s);
	assert_in_range(first, config.sessions.log_bytes, 2 * config.sessions.log_bytes);
	for (uint16_t port = 2; port <= 200; port++) {
		last = memory_of(1, port, &s);
		all += last;
	}
	assert_in_range(last, least, 2 * least);
	assert_in_range(all, 200 * least, 2 * (most + 200 * least));
	assert_true(writer.stats->short_logs > 150);
	assert_int_equal(memory_of(2, 1, &other), first);
	/* A closed session returns its share. */
	for (uint16_t port = 1; port < 200; port++) {
		(void)memory_of(1, port, &s);
		end(s, MR_REMOTE_CLOSED);
	}
	assert_int_equal(memory_of(1, 2000, &s), first);
	assert_int_equal(writer.stats->logs_bytes, 2 * config.sessions.log_bytes + least);
	end(s, MR_REMOTE_CLOSED);
	end(other, MR_REMOTE_CLOSED);
	assert_int_equal(writer.stats->logs_bytes, least);
}

/* More hosts than any table of buckets would tell apart. */
static void no_host_counts_for_another(void **state)
{
	struct mr_session *s;

	(void)state;
	config.sessions.per_address_max = 1;
	for (uint32_t host = 0; host < WORKERS * MANY; host++)
		assert_int_equal(try_port(host, (uint16_t)(host % WORKERS + 2), &s), 0);
	config.sessions.per_address_max = 0;
}

static int open_local(uint32_t uid, uint64_t *id)
{
	struct mr_session *s;
	struct mrf_builder b;
	uint64_t memory[64];
	const struct mrf_link_open_session v = {.name = mrf_str("somebody"), .uid = uid};
	int fd, error;

	mrf_builder_init(&b, memory, sizeof(memory));
	error = mr_writer_session_open(&writer,
		inside_request(
			&b, MRF_LINK_BODY_LINK_OPEN_SESSION, mrf_link_open_session_write(&b, &v)),
		-1, &s, &fd);
	if (error == 0) {
		close(fd);
		*id = s->id;
	}
	return error;
}

static void a_user_has_its_share_of_the_clients_and_root_a_reserve(void **state)
{
	uint32_t taken = 0, own = geteuid();
	uint64_t id, first;

	(void)state;
	assert_int_equal(open_local(own + 1000, &first), 0);
	assert_int_equal(open_local(own + 1000, &id), 0);
	assert_int_equal(open_local(own + 1000, &id), -EDQUOT);
	for (uint32_t user = 1001; user < 1010; user++)
		taken += open_local(own + user, &id) == 0;
	assert_int_equal(taken + 2, WORKERS * CLIENTS - 1);
	assert_int_equal(open_local(own + 2000, &id), -ENOSPC);
	assert_int_equal(open_local(own, &id), 0);
	assert_int_equal(open_local(own, &id), -ENOSPC);
	mr_writer_session_drop(&writer, mr_writer_session_find(&writer, first), "enough");
	assert_int_equal(open_local(own + 1000, &id), -ENOSPC);
	assert_int_equal(open_local(own, &id), 0);
}

static void every_part_of_a_path_tells_sessions_apart(void **state)
{
	struct mrf_network_path paths[6];
	uint64_t ids[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		paths[i] = path_of(1);
	paths[1].peer_0 ^= 1;
	paths[2].peer_1 ^= 1ull << 63;
	paths[3].local_1 ^= 1ull << 40;
	paths[4].peer_udp_port++;
	paths[5].local_udp_port++;
	for (unsigned i = 0; i < 6; i++) {
		struct mr_session *s;

		assert_int_equal(ask((struct mrf_link_open_remote){.path = &paths[i],
					     .nonce = NONCE,
					     .frame_bytes = 1200},
					 &s),
			0);
		ids[i] = s->id;
		for (unsigned k = 0; k < i; k++)
			assert_true(ids[k] != ids[i]);
	}
}

static void frames_are_as_large_as_both_sides_can(void **state)
{
	static const struct {
		bool ip6;
		uint16_t mtu;
		uint32_t offered;
		int result; /* frame bytes of the session, or the error */
	} cases[] = {
		{false, 1500, 9000, 1472},
		{true, 1500, 9000, 1448}, /* 1,452, rounded to whole messages */
		{false, 1500, 1207, 1200},
		{false, 1500, 1199, -EINVAL},
		{false, 1228, 9000, 1200},
		{false, 1227, 9000, -EMSGSIZE},
		{true, 1280, 9000, 1232},
		{true, 1247, 9000, -EMSGSIZE},
		{false, 0, 9000, -EMSGSIZE},
		{false, 65535, UINT32_MAX, MR_FRAME_BYTES_MAX},
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(cases); i++) {
		struct mrf_network_path path = path_of(i);
		struct mr_session *s = NULL;
		int error;

		if (cases[i].ip6)
			path.peer_0 = path.local_0 = 0x77fd;
		writer.ports[0].mtu = cases[i].mtu;
		error = ask(
			(struct mrf_link_open_remote){
				.path = &path, .nonce = NONCE, .frame_bytes = cases[i].offered},
			&s);
		assert_int_equal(error == 0 ? (int)s->remote->frame_bytes : error, cases[i].result);
	}
}

static void malformed_request_to_open_is_refused(void **state)
{
	struct mrf_network_path good = path_of(1), bad = path_of(1);
	const struct mrf_link_open_remote fine = {
		.path = &good, .nonce = NONCE, .frame_bytes = 1400};
	struct mrf_link_open_remote v = fine;
	struct mr_session *s;

	(void)state;
	v.path = NULL;
	assert_int_equal(ask(v, &s), -EINVAL);
	v = fine, v.nonce = 0;
	assert_int_equal(ask(v, &s), -EINVAL);
	v = fine, v.worker = WORKERS;
	assert_int_equal(ask(v, &s), -EINVAL);
	bad.port = 2;
	v = fine, v.path = &bad;
	assert_int_equal(ask(v, &s), -EINVAL);
	bad.port = 1;
	assert_int_equal(ask(v, &s), -EMSGSIZE);
	assert_int_equal(writer.stats->sessions_opened, 0);
}

static void a_full_table_refuses_until_an_entry_is_freed(void **state)
{
	struct mr_session *first = open_session(0, NONCE), *s;

	(void)state;
	for (uint32_t i = 1; i < SESSIONS; i++)
		(void)open_session(WORKERS * i, NONCE);
	assert_int_equal(try_open(WORKERS * SESSIONS, NONCE, &s), -ENOSPC);
	/* Sessions on other workers, and those that stay, are not affected. */
	(void)open_session(1, NONCE);
	assert_ptr_equal(open_session(0, NONCE), first);
	first = open_session(0, NONCE + 1);
	assert_int_equal(try_open(WORKERS * SESSIONS, NONCE, &s), -ENOSPC);
	end(first, MR_REMOTE_CLOSED);
	assert_int_equal(try_open(WORKERS * SESSIONS, NONCE, &s), 0);
}

static struct mr_session *from(uint8_t last_of_peer, uint16_t udp_port, int expected)
{
	struct mrf_network_path path = path_of(1);
	struct mr_session *s = NULL;

	((uint8_t *)&path.peer_1)[7] = last_of_peer;
	path.peer_udp_port = udp_port;
	assert_int_equal(ask((struct mrf_link_open_remote){.worker = udp_port % WORKERS,
				     .path = &path,
				     .nonce = NONCE,
				     .frame_bytes = 1200},
				 &s),
		expected);
	return s;
}

static void one_host_cannot_take_the_room_of_all(void **state)
{
	struct mr_session *s = NULL;

	(void)state;
	config.sessions.per_address_max = 3;
	for (uint16_t port = 1; port <= 3; port++)
		s = from(1, port, 0);
	(void)from(1, 4, -EDQUOT);
	assert_ptr_equal(from(1, 3, 0), s);
	(void)from(2, 4, 0);
	end(s, MR_REMOTE_CLOSED);
	s = from(1, 4, 0);
	(void)from(1, 5, -EDQUOT);
	/* The session still counts at its old address. */
	mr_count(s->stats->paths_changed, 1);
	(void)from(1, 5, -EDQUOT);
	config.sessions.per_address_max = 0;
}

static void session_that_its_worker_ends_is_closed(void **state)
{
	struct mr_session *closed = open_session(0, NONCE), *expired = open_session(2, NONCE);
	struct mr_session *stays = open_session(4, NONCE);
	struct mr_owner owner = mr_writer_owner(closed);
	struct mr_table_stats t;
	uint64_t ids[2] = {closed->id, expired->id};

	(void)state;
	assert_int_equal(
		mr_table_subscribe(writer.table, &owner, 1, MR_SUB_PATTERN, "a.b", 3, NULL, 0), 0);
	end(closed, MR_REMOTE_CLOSED);
	assert_null(mr_writer_session_find(&writer, ids[0]));
	mr_table_stats_get(writer.table, &t);
	assert_int_equal(t.subscriptions, 0);
	assert_int_equal(writer.stats->sessions_expired, 0);
	end(expired, MR_REMOTE_EXPIRED);
	assert_null(mr_writer_session_find(&writer, ids[1]));
	assert_int_equal(writer.stats->sessions_expired, 1);
	assert_int_equal(writer.stats->sessions_closed, 2);
	assert_int_equal(writer.stats->remote_sessions, 1);
	assert_ptr_equal(mr_writer_session_find(&writer, stays->id), stays);
	/* The path is free for another. */
	assert_true(open_session(0, NONCE)->id != ids[0]);
}

static void an_expelled_session_stays_until_its_goodbye(void **state)
{
	struct mr_session *s = open_session(0, NONCE);
	const struct mr_directory *d = &writer.workers[0]->directory;
	uint64_t id = s->id;

	(void)state;
	mr_writer_session_expel(&writer, s, -ECONNABORTED, "closed by the operator");
	assert_int_equal(atomic_load(&s->remote->expel), -ECONNABORTED);
	assert_true(mr_writer_sessions_tick(&writer));
	/* The worker still finds it, requests do not, and its path is free. */
	assert_ptr_equal(mr_directory_find(d, s->slot, s->generation), s);
	assert_null(mr_writer_session_find(&writer, id));
	assert_true(open_session(0, NONCE)->id != id);
	end(s, MR_REMOTE_CLOSED);
	assert_null(mr_directory_find(d, mr_session_slot(id), mr_session_generation(id)));
	assert_int_equal(writer.stats->sessions_expelled, 1);
	assert_int_equal(writer.stats->remote_sessions, 1);
}

static void an_expelled_session_waits_for_its_worker_however_late_that_is(void **state)
{
	struct mr_session *s = open_session(0, NONCE);

	(void)state;
	mr_writer_session_expel(&writer, s, -ECONNABORTED, "closed by the operator");
	/* Its worker does not run for very long; acknowledged frames must still be taken. */
	s->close_deadline_ns = 1;
	for (unsigned i = 0; i < 100; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	assert_int_equal(writer.stats->remote_sessions, 1);
	atomic_store(&s->remote->end, (uint8_t)MR_REMOTE_CLOSED);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(writer.stats->remote_sessions, 0);
}

static void a_session_that_moved_is_not_closed_by_its_successor(void **state)
{
	struct mr_session *s = open_session(0, NONCE), *other;
	struct mrf_network_path now = path_of(99);

	(void)state;
	mr_remote_headers(s->remote, &now, writer.ports[0].mac);
	mr_count(s->stats->paths_changed, 1);
	other = open_session(0, NONCE + 1);
	assert_true(other != s);
	assert_ptr_equal(mr_writer_session_find(&writer, s->id), s);
	assert_ptr_equal(open_session(0, NONCE + 1), other);
	now = mr_writer_remote_path(s);
	assert_int_equal(now.peer_udp_port, path_of(99).peer_udp_port);
	end(s, MR_REMOTE_CLOSED);
	assert_ptr_equal(open_session(0, NONCE + 1), other);
}

/* Moves a session as its worker does, and lets the table writer look. */
static void move(struct mr_session *s, uint8_t third_of_peer, uint8_t last_of_peer)
{
	struct mrf_network_path path = mr_writer_remote_path(s);

	((uint8_t *)&path.peer_1)[6] = third_of_peer;
	((uint8_t *)&path.peer_1)[7] = last_of_peer;
	mr_remote_headers(s->remote, &path, writer.ports[0].mac);
	mr_count(s->stats->paths_changed, 1);
	writer.remotes.notified = true;
	(void)mr_writer_sessions_tick(&writer);
}

/* The port's network is 10.0.0.0/24. */
static void give_the_port_a_network(void)
{
	struct mrf_network_path path = path_of(0);

	memcpy(&writer.ports[0].addresses[0].address, &path.peer_0, 16);
	writer.ports[0].addresses[0].prefix_bits = 96 + 24;
	writer.ports[0].addresses_count = 1;
}

static void a_client_may_move_within_the_networks_that_are_admitted(void **state)
{
	struct mr_session *s = open_session(1, NONCE), *far = open_session(2, NONCE);

	(void)state;
	give_the_port_a_network();
	move(s, 0, 200);
	assert_int_equal(atomic_load(&s->remote->expel), 0);
	move(s, 9, 200);
	assert_int_equal(atomic_load(&s->remote->expel), -EACCES);
	assert_int_equal(writer.stats->sessions_expelled, 1);
	assert_int_equal(mr_config_network_parse("10.0.9.0/24", &config.access.networks[0]), 0);
	config.access.networks_count = 1;
	move(far, 9, 200);
	assert_int_equal(atomic_load(&far->remote->expel), 0);
	move(far, 0, 2);
	assert_int_equal(atomic_load(&far->remote->expel), -EACCES);
	atomic_store(&far->remote->end, (uint8_t)MR_REMOTE_CLOSED);
	end(s, MR_REMOTE_CLOSED);
	assert_int_equal(writer.stats->remote_sessions, 0);
	config.access.networks_count = 0;
}

static void a_session_that_moves_counts_at_its_new_host(void **state)
{
	struct mr_session *s, *other;

	(void)state;
	give_the_port_a_network();
	config.sessions.per_address_max = 2;
	(void)from(1, 1, 0);
	(void)from(1, 2, 0);
	s = from(2, 3, 0);
	other = from(3, 4, 0);
	move(s, 0, 1);
	assert_int_equal(atomic_load(&s->remote->expel), -EDQUOT);
	move(other, 0, 4);
	assert_int_equal(atomic_load(&other->remote->expel), 0);
	/* There is room for two at the host that it has left, and for one at the one it is at. */
	(void)from(3, 5, 0);
	(void)from(3, 6, 0);
	(void)from(4, 7, 0);
	(void)from(4, 8, -EDQUOT);
	atomic_store(&s->remote->end, (uint8_t)MR_REMOTE_CLOSED);
	end(other, MR_REMOTE_CLOSED);
	(void)from(4, 8, 0);
	config.sessions.per_address_max = 0;
}

static void ten_thousand_sessions_open_and_close(void **state)
{
	static uint64_t ids[MANY];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		ids[i] = open_session(i, NONCE)->id;
	assert_int_equal(writer.stats->remote_sessions, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(open_session(i, NONCE)->id, ids[i]);
	for (uint32_t i = 0; i < MANY; i++) {
		struct mr_session *s = mr_writer_session_find(&writer, ids[i]);

		assert_non_null(s);
		atomic_store(&s->remote->end, MR_REMOTE_EXPIRED);
	}
	writer.remotes.notified = true;
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(writer.stats->remote_sessions, 0);
	assert_int_equal(writer.stats->sessions_expired, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(open_session(i, NONCE)->id != ids[i]);
}

static void aliases_are_held_and_given_back(void **state)
{
	struct mr_session *s = open_session(0, NONCE);

	(void)state;
	assert_false(mr_session_holds(s, 1));
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t alias = 1; alias <= 1000; alias++) {
			assert_int_equal(mr_writer_hold(&writer, s, alias * 31), 0);
			s->aliases_count++;
			assert_true(mr_session_holds(s, alias * 31));
		}
		assert_false(mr_session_holds(s, 32));
		assert_false(mr_session_holds(s, 0));
		assert_false(mr_session_holds(s, UINT32_MAX));
		for (uint32_t alias = 1; alias <= 1000; alias++) {
			mr_writer_unhold(s, alias * 31);
			s->aliases_count--;
			assert_false(mr_session_holds(s, alias * 31));
		}
	}
	mr_writer_unhold(s, 5);
	assert_false(mr_writer_aliases_tick(&writer));
}

static void picked_aliases_do_not_make_a_set_large(void **state)
{
	struct mr_session *s = open_session(0, NONCE);
	struct mr_alias_set whole = {/* Four times the limit of 4,096, twice. */
		.mask = (1u << 15) - 1};
	uint32_t first = mr_alias_set_first(&whole, 1);
	int error = 0;

	(void)state;
	/* All of them share one slot of any set that is small enough. */
	for (uint32_t alias = 1; error == 0 && alias < 1u << 24; alias++) {
		if (mr_alias_set_first(&whole, alias) != first)
			continue;
		error = mr_writer_hold(&writer, s, alias);
		s->aliases_count += error == 0;
	}
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(s->aliases_count, MR_ALIAS_PROBES_MAX);
}

struct reader {
	const struct mr_session *session;
	_Atomic uint32_t held; /* aliases 1 .. held are */
	_Atomic bool stop;
	uint64_t missing;
	_Atomic uint64_t looks;
};

static void *look(void *arg)
{
	struct reader *r = arg;
	struct mr_router *router = writer.workers[0]->router;

	mr_router_online(router);
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint32_t held = atomic_load_explicit(&r->held, memory_order_acquire);

		for (uint32_t alias = 1; alias <= held; alias++)
			r->missing += !mr_session_holds(r->session, alias);
		r->missing += mr_session_holds(r->session, 1000000);
		atomic_fetch_add_explicit(&r->looks, 1, memory_order_relaxed);
		mr_router_quiescent(router);
	}
	mr_router_offline(router);
	return NULL;
}

static void sets_grow_under_a_worker_that_looks(void **state)
{
	struct reader r = {.session = open_session(0, NONCE)};
	struct mr_session *s = mr_writer_session_find(&writer, r.session->id);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, look, &r), 0);
	while (atomic_load_explicit(&r.looks, memory_order_relaxed) == 0)
		sched_yield();
	for (uint32_t alias = 1; alias <= 4096; alias++) {
		assert_int_equal(mr_writer_hold(&writer, s, alias), 0);
		s->aliases_count++;
		atomic_store_explicit(&r.held, alias, memory_order_release);
		(void)mr_writer_aliases_tick(&writer);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(r.missing, 0);
	while (mr_writer_aliases_tick(&writer))
		;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(opened_session_is_known_everywhere),
		TEST(the_same_hello_again_finds_its_session),
		TEST(a_router_that_changes_makes_no_other_path),
		TEST(a_request_frees_no_session),
		TEST(another_nonce_from_the_same_path_begins_anew),
		TEST(client_that_reconnects_at_the_limit_leaves_its_old_session_at_once),
		TEST(a_host_has_its_share_of_the_sessions),
		cmocka_unit_test_setup_teardown(
			logs_of_a_host_s_sessions_have_a_share, set_up_logs, tear_down_logs),
		cmocka_unit_test_setup_teardown(no_host_counts_for_another, set_up_many, tear_down),
		TEST(a_user_has_its_share_of_the_clients_and_root_a_reserve),
		TEST(every_part_of_a_path_tells_sessions_apart),
		TEST(frames_are_as_large_as_both_sides_can),
		TEST(malformed_request_to_open_is_refused),
		TEST(a_full_table_refuses_until_an_entry_is_freed),
		TEST(one_host_cannot_take_the_room_of_all),
		TEST(session_that_its_worker_ends_is_closed),
		TEST(an_expelled_session_stays_until_its_goodbye),
		TEST(an_expelled_session_waits_for_its_worker_however_late_that_is),
		TEST(a_session_that_moved_is_not_closed_by_its_successor),
		TEST(a_client_may_move_within_the_networks_that_are_admitted),
		TEST(a_session_that_moves_counts_at_its_new_host),
		cmocka_unit_test_setup_teardown(
			ten_thousand_sessions_open_and_close, set_up_many, tear_down),
		TEST(aliases_are_held_and_given_back),
		TEST(picked_aliases_do_not_make_a_set_large),
		TEST(sets_grow_under_a_worker_that_looks),
	};
	int failed;

	if (!inside_open())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	inside_close();
	return failed;
}
