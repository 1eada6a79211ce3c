/* SPDX-License-Identifier: Apache-2.0 */
/* The table writer's multicast groups, in this process: which address a pattern gets, who shares a
 * group, and when it ends. */
#include "tests/unit/dataplane/inside.h"

#include "lib/config/keys.h"
#include "lib/config/multicast.h"

#define MTU 1500u

static int set_up(void **state)
{
	struct mr_config_fault f;

	(void)state;
	config.sessions.sessions_max = 64;
	config.multicast.ranges_count = 2;
	/* Two addresses; the second range has the IPv6 groups. */
	assert_int_equal(mr_config_multicast_parse(
				 "239.7.128.0/31,prefix=market.", &config.multicast.ranges[0], &f),
		0);
	assert_int_equal(
		mr_config_multicast_parse("ff15::/112,hops=3", &config.multicast.ranges[1], &f), 0);
	assert_int_equal(mr_writer_open(&writer, &config), 0);
	writer.ports[0] = (struct mr_port){.mtu = MTU, .mac = {2, 0, 0, 0, 0, 1}};
	writer.ports_count = 1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writer.ports_count = 0;
	mr_writer_close(&writer);
	return 0;
}

static struct mr_session *open_session(uint8_t host, bool ip6)
{
	struct mrf_network_path path = {.peer_udp_port = 9000, .local_udp_port = 7400};
	uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = host};
	uint8_t local[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1};
	struct mr_session *s = NULL;
	struct mrf_builder b;
	uint64_t memory[64];

	if (ip6) {
		peer[0] = local[0] = 0xfd;
		peer[10] = local[10] = 0;
	}
	memcpy(&path.peer_0, peer, sizeof(peer));
	memcpy(&path.local_0, local, sizeof(local));
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mr_writer_remote_open(&writer,
				 inside_request(&b, MRF_LINK_BODY_LINK_OPEN_REMOTE,
					 mrf_link_open_remote_write(
						 &b, &(struct mrf_link_open_remote){.path = &path,
							     .nonce = host,
							     .frame_bytes = 1472})),
				 &s),
		0);
	return s;
}

static bool join(struct mr_session *s, uint32_t number, const char *pattern)
{
	const struct mr_table_row row = {.owner = mr_writer_owner(s),
		.sub_id = number,
		.text = pattern,
		.text_bytes = strlen(pattern)};

	return mr_writer_multicast_join(&writer, 1, s, &row);
}

struct found {
	uint32_t count;
	char group[64];
};

static void note(void *arg, const struct mrf_subscription_row *row)
{
	struct found *f = arg;

	f->count++;
	snprintf(
		f->group, sizeof(f->group), "%.*s", (int)row->multicast.bytes, row->multicast.data);
}

static struct found members(void)
{
	struct found f = {0};

	mr_writer_multicast_each(&writer, note, &f);
	return f;
}

static void settle(void)
{
	for (int i = 0; i < 100 && mr_writer_sessions_tick(&writer); i++)
		;
}

/* Returns the session of a group; its path is checked by the tests. */
static struct mr_session *group_session(void)
{
	for (unsigned w = 0; w < WORKERS; w++)
		for (uint32_t i = CLIENTS; i < writer.slots_count; i++) {
			struct mr_session *s = atomic_load(&writer.workers[w]->directory.slots[i]);

			if (s != NULL && s->remote->is_group && !s->closing)
				return s;
		}
	return NULL;
}

static void subscribers_of_one_pattern_share_a_group(void **state)
{
	struct mr_session *a = open_session(1, false), *b = open_session(2, false);

	(void)state;
	assert_true(join(a, 1, "market.>"));
	assert_true(join(b, 7, "market.>"));
	assert_true(join(b, 7, "market.>")); /* again */
	assert_int_equal(writer.stats->multicast_groups, 1);
	assert_int_equal(writer.stats->multicast_members, 2);
	assert_int_equal(members().count, 2);
	assert_true(mr_writer_multicast_leave(&writer, a, 1));
	assert_false(mr_writer_multicast_leave(&writer, a, 1));
	assert_int_equal(writer.stats->multicast_groups, 1);
	mr_writer_session_close(&writer, b, "test");
	assert_int_equal(writer.stats->multicast_groups, 0);
	assert_int_equal(writer.stats->multicast_members, 0);
	settle();
	assert_null(group_session());
}

static void a_pattern_keeps_its_address_and_others_get_another(void **state)
{
	struct mr_session *a = open_session(1, false);
	struct found first, again, other;

	(void)state;
	assert_true(join(a, 1, "market.eu"));
	first = members();
	(void)mr_writer_multicast_leave(&writer, a, 1);
	assert_true(join(a, 1, "market.eu"));
	again = members();
	assert_string_equal(first.group, again.group);
	(void)mr_writer_multicast_leave(&writer, a, 1);
	/* The range has two addresses: the third pattern gets none. */
	assert_true(join(a, 1, "market.eu"));
	assert_true(join(a, 2, "market.us"));
	assert_false(join(a, 3, "market.jp"));
	assert_int_equal(writer.stats->multicast_refused, 1);
	(void)mr_writer_multicast_leave(&writer, a, 1);
	other = members();
	assert_string_not_equal(other.group, first.group);
}

static void other_patterns_and_local_clients_get_copies(void **state)
{
	struct mr_session *a = open_session(1, false);

	(void)state;
	assert_false(join(a, 1, "news.>"));
	assert_false(join(a, 1, ">"));
	assert_null(group_session());
	assert_int_equal(writer.stats->multicast_refused, 2);
}

static void headers_of_a_group_have_its_ethernet_address_and_hop_limit(void **state)
{
	const uint8_t ip4[] = {0x01, 0x00, 0x5e, 0x07, 0x80}, ip6[] = {0x33, 0x33, 0, 0};
	struct mr_session *a = open_session(1, false), *b = open_session(2, true);
	const struct mr_remote *r;

	(void)state;
	assert_true(join(a, 1, "market.>"));
	r = group_session()->remote;
	assert_memory_equal(r->headers, ip4, sizeof(ip4));
	assert_int_equal(r->headers[14 + 8], 1);
	assert_int_equal(r->headers[14 + 16], 239);
	(void)mr_writer_multicast_leave(&writer, a, 1);
	settle();
	assert_true(join(b, 1, "anything"));
	r = group_session()->remote;
	assert_memory_equal(r->headers, ip6, sizeof(ip6));
	assert_int_equal(r->headers[14 + 7], 3);
	assert_int_equal(r->headers[14 + 24], 0xff);
}

static void a_group_that_an_operator_closed_is_made_anew(void **state)
{
	struct mr_session *a = open_session(1, false), *old;
	uint64_t id;

	(void)state;
	assert_true(join(a, 1, "market.>"));
	old = group_session();
	id = old->id;
	mr_writer_session_drop(&writer, old, "closed by the operator");
	assert_true(join(a, 1, "market.>"));
	assert_int_not_equal(group_session()->id, id);
	assert_int_equal(writer.stats->multicast_groups, 1);
}

static uint32_t join_many(struct mr_session *s)
{
	char pattern[16];
	uint32_t got = 0;

	for (uint32_t i = 1; i <= 100; i++) {
		snprintf(pattern, sizeof(pattern), "p.%u", i);
		got += join(s, i, pattern);
	}
	return got;
}

static void groups_are_sessions_of_the_host_that_made_them(void **state)
{
	const uint64_t of = MR_SHARE_OF(MR_WRITER_REMOTES, 0);
	struct mr_session *a = open_session(1, true);
	uint64_t peer = a->peer;

	(void)state;
	config.sessions.per_address_max = 5;
	/* Another host used the slots before, and has moved. */
	mr_writer_session_drop(&writer, open_session(2, false), "test");
	assert_int_equal(join_many(a), 4);
	assert_int_equal(mr_share_count(&writer.shares, peer, of), 5);
	mr_writer_multicast_leave_all(&writer, a);
	settle();
	assert_int_equal(mr_share_count(&writer.shares, peer, of), 1);
	assert_int_equal(join_many(a), 4);
	mr_writer_session_drop(&writer, a, "test");
	settle();
	assert_int_equal(mr_share_count(&writer.shares, peer, of), 0);
	config.sessions.per_address_max = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			subscribers_of_one_pattern_share_a_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_pattern_keeps_its_address_and_others_get_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			other_patterns_and_local_clients_get_copies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			headers_of_a_group_have_its_ethernet_address_and_hop_limit, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_group_that_an_operator_closed_is_made_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			groups_are_sessions_of_the_host_that_made_them, set_up, tear_down),
	};
	int failed;

	if (!inside_open())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	inside_close();
	return failed;
}
