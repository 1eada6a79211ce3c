/* SPDX-License-Identifier: Apache-2.0 */
/* The remote part of a session: frames written like a ring, headers, aliases. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/cmocka_all.h"

#include "lib/wire/checksum.h"
#include "dataplane/session/remote.h"

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
static struct mrf_session_stats stats;

static struct mrf_network_path path_of(bool ip6)
{
	static const uint8_t v4[32] = {
		[10] = 0xff, [11] = 0xff, 10, 77, 0, 2, [26] = 0xff, 0xff, 10, 77, 0, 1};
	static const uint8_t v6[32] = {0xfd, 0x77, [15] = 2, 0xfd, 0x77, [31] = 1};
	struct mrf_network_path path = {.peer_udp_port = 4001, .local_udp_port = 7400, .port = 3};

	memcpy(&path, ip6 ? v6 : v4, sizeof(v6));
	memcpy(&path.peer_mac, "\2\0\0\0\0\2", 6);
	return path;
}

static struct mr_session *make(bool ip6)
{
	struct mrf_network_path path = path_of(ip6);
	struct mr_session *s;

	stats = (struct mrf_session_stats){.rx_messages = 9};
	assert_int_equal(mr_remote_new(mr_session_id(1, 2, 3), &path, mac, 1472, 0, &stats, &s), 0);
	return s;
}

static void new_session_is_complete_and_shut(void **state)
{
	struct mr_session *s = make(false);

	(void)state;
	assert_int_equal(s->id, mr_session_id(1, 2, 3));
	assert_int_equal(s->worker, 1);
	assert_int_equal(s->slot, 2);
	assert_int_equal(s->generation, 3);
	assert_int_equal(s->remote->port, 3);
	assert_int_equal(s->remote->frame_bytes, 1472);
	assert_int_equal(stats.session, s->id);
	assert_int_equal(stats.rx_messages, 0);
	assert_null(mr_bytes_claim(&s->down, 8));
	assert_false(mr_session_holds(s, 1));
	mr_session_free(s);
	assert_int_equal(stats.session, 0);
}

/* For each size of a frame: exactly its room can be claimed, byte by byte. */
static void frame_has_exactly_its_room(void **state)
{
	static alignas(8) uint8_t memory[4096];
	struct mr_session *s = make(false);

	(void)state;
	for (uint32_t room = 8; room <= sizeof(memory); room += 8) {
		mr_remote_onto(s, memory, room);
		assert_null(mr_bytes_claim(&s->down, room + 1));
		for (uint32_t used = 0; used < room; used += 8) {
			assert_ptr_equal(mr_bytes_claim(&s->down, room - used), memory + used);
			assert_null(mr_bytes_claim(&s->down, room - used + 1));
			mr_bytes_push(&s->down, 8);
			assert_int_equal(s->down.tail - s->down.tail_out, used + 8);
		}
		assert_null(mr_bytes_claim(&s->down, 1));
		mr_remote_shut(s);
		assert_null(mr_bytes_claim(&s->down, 8));
	}
	mr_session_free(s);
}

static void headers_of_ip4(void **state)
{
	static const uint8_t want[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,        /* */
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2, /* */
		0x1c, 0xe8, 0x0f, 0xa1, 0, 0, 0, 0};
	struct mr_session *s = make(false);
	const struct mr_remote *r = s->remote;
	uint8_t got[sizeof(want)];

	(void)state;
	assert_int_equal(r->headers_bytes, sizeof(want));
	memcpy(got, r->headers, sizeof(want));
	/* A folded sum with the lengths added equals the sum of all. */
	assert_int_equal(got[24] | got[25] << 8, mr_checksum_fold(mr_checksum_sum(want + 14, 20)));
	assert_int_equal(got[40] | got[41] << 8,
		mr_checksum_fold(
			mr_checksum_sum(want + 26, 8) + 0x1100 + mr_checksum_sum(want + 34, 4)));
	memset(got + 24, 0, 2);
	memset(got + 40, 0, 2);
	assert_memory_equal(got, want, sizeof(want));
	mr_session_free(s);
}

static void headers_of_ip6(void **state)
{
	static const uint8_t want[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, /* */
		0x60, 0, 0, 0, 0, 0, 17, 64,                                           /* */
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                  /* */
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,                  /* */
		0x1c, 0xe8, 0x0f, 0xa1, 0, 0};
	struct mr_session *s = make(true);

	(void)state;
	assert_int_equal(s->remote->headers_bytes, sizeof(want) + 2);
	assert_memory_equal(s->remote->headers, want, sizeof(want));
	mr_session_free(s);
}

static struct mr_alias_set *new_set(uint32_t slots)
{
	struct mr_alias_set *set = calloc(1, sizeof(*set) + slots * sizeof(set->slots[0]));

	assert_non_null(set);
	set->mask = slots - 1;
	return set;
}

static void put(struct mr_alias_set *set, uint32_t alias)
{
	uint32_t at = mr_alias_set_first(set, alias);

	while (atomic_load(&set->slots[at & set->mask]) != 0)
		at++;
	atomic_store(&set->slots[at & set->mask], alias);
}

static void aliases_in_the_set_are_held(void **state)
{
	struct mr_session *s = make(false);
	struct mr_alias_set *set = new_set(256);

	(void)state;
	for (uint32_t alias = 1; alias <= 100; alias++)
		put(set, alias * 3);
	atomic_store(&s->remote->aliases, set);
	for (uint32_t alias = 0; alias <= 400; alias++)
		assert_int_equal(
			mr_session_holds(s, alias), alias > 0 && alias <= 300 && alias % 3 == 0);
	assert_false(mr_session_holds(s, UINT32_MAX));
	mr_session_free(s);
}

static void alias_behind_one_taken_out_is_found(void **state)
{
	struct mr_alias_set *set = new_set(2);
	uint32_t first = mr_alias_set_first(set, 1), second = 2;

	(void)state;
	while (mr_alias_set_first(set, second) != first)
		second++;
	put(set, 1);
	put(set, second);
	assert_true(mr_alias_set_has(set, second));
	atomic_store(&set->slots[first], UINT32_MAX);
	assert_true(mr_alias_set_has(set, second));
	assert_false(mr_alias_set_has(set, 1));
	free(set);
}

/* A lookup in a set that is full of others is short. */
static void lookup_in_a_full_set_ends(void **state)
{
	struct mr_alias_set *set = new_set(1024);

	(void)state;
	for (uint32_t i = 0; i < 1024; i++)
		atomic_store(&set->slots[i], 5000 + i);
	assert_false(mr_alias_set_has(set, 77));
	free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_session_is_complete_and_shut),
		cmocka_unit_test(frame_has_exactly_its_room),
		cmocka_unit_test(headers_of_ip4),
		cmocka_unit_test(headers_of_ip6),
		cmocka_unit_test(aliases_in_the_set_are_held),
		cmocka_unit_test(alias_behind_one_taken_out_is_found),
		cmocka_unit_test(lookup_in_a_full_set_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
