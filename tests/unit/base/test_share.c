/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of tables: peers by address and user, exact counts, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/share.h"

#define PEERS 200u
#define OFS   4u

static struct mr_shares s;

static uint64_t peer_of(unsigned number)
{
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)number};

	return mr_peer_of_address(address, 64);
}

static void a_peer_takes_its_share_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(mr_shares_init(&s, 8, 8), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_share_take(&s, peer_of(1), 0, 1, 3), 0);
	assert_int_equal(mr_share_take(&s, peer_of(1), 0, 1, 3), -EDQUOT);
	assert_int_equal(mr_share_take(&s, peer_of(2), 0, 3, 3), 0);
	assert_int_equal(mr_share_take(&s, peer_of(1), MR_SHARE_OF(1, 0), 1, 3), 0);
	assert_int_equal(mr_share_count(&s, peer_of(1), 0), 3);
	mr_share_give(&s, peer_of(1), 0, 1);
	assert_int_equal(mr_share_take(&s, peer_of(1), 0, 2, 3), -EDQUOT);
	assert_int_equal(mr_share_take(&s, peer_of(1), 0, 1, 3), 0);
	assert_int_equal(mr_share_take(&s, peer_of(3), 0, UINT64_MAX, 3), -EDQUOT);
	mr_shares_fini(&s);
}

static void the_own_user_has_no_share_and_is_not_counted(void **state)
{
	(void)state;
	assert_int_equal(mr_shares_init(&s, 1, 1), 0);
	assert_int_equal(mr_share_take(&s, MR_PEER_OWN, 0, 1000, 3), 0);
	assert_int_equal(mr_share_count(&s, MR_PEER_OWN, 0), 0);
	mr_share_give(&s, MR_PEER_OWN, 0, 1000);
	assert_int_equal(s.used, 0);
	mr_shares_fini(&s);
}

static void counts_are_bounded_and_grow_up_to_that(void **state)
{
	(void)state;
	assert_int_equal(mr_shares_init(&s, 1, 5), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(mr_share_take(&s, peer_of(i), 0, i + 1, 10), 0);
	assert_int_equal(mr_share_take(&s, peer_of(5), 0, 1, 10), -ENOMEM);
	mr_share_give(&s, peer_of(2), 0, 3);
	assert_int_equal(mr_share_take(&s, peer_of(5), 0, 1, 10), 0);
	assert_int_equal(mr_share_count(&s, peer_of(4), 0), 5);
	assert_int_equal(mr_share_count(&s, peer_of(2), 0), 0);
	mr_shares_fini(&s);
}

static void a_table_keeps_a_reserve(void **state)
{
	struct mr_share_bound b = mr_share_bound(256, 25);

	(void)state;
	assert_int_equal(b.share, 64);
	assert_int_equal(b.reserve, 16);
	assert_false(mr_share_none_left(&b, peer_of(1), 239));
	assert_true(mr_share_none_left(&b, peer_of(1), 240));
	assert_false(mr_share_none_left(&b, MR_PEER_OWN, 255));
	assert_true(mr_share_none_left(&b, MR_PEER_OWN, 256));
	b = mr_share_bound(1, 25);
	assert_int_equal(b.share, 1);
	assert_int_equal(b.reserve, 0);
	assert_int_equal(mr_share_bound(UINT64_MAX, 100).share, UINT64_MAX);
}

static void peers_are_hosts_networks_and_users(void **state)
{
	uint8_t a[16] = {0x20, 1, [15] = 1}, b[16] = {0x20, 1, [15] = 2};
	uint8_t c[16] = {0x20, 1, [7] = 1}, d[16] = {0x20, 1, [5] = 1};
	/* Would otherwise be the number of 0.0.0.9. */
	uint8_t reserved[16] = {[3] = 1, [7] = 9};

	(void)state;
	assert_true(mr_peer_of_address(a, 64) == mr_peer_of_address(b, 64));
	assert_true(mr_peer_of_address(a, 64) != mr_peer_of_address(c, 64));
	assert_true(peer_of(1) != peer_of(2));
	assert_true(mr_peer_of_address(reserved, 64) == MR_PEER_UNKNOWN);
	/* Providers assign whole prefixes to customers. */
	assert_true(mr_peer_of_address(a, 48) == mr_peer_of_address(c, 48));
	assert_true(mr_peer_of_address(a, 48) != mr_peer_of_address(d, 48));
	assert_true(mr_peer_of_user(0, 500) == MR_PEER_OWN);
	assert_true(mr_peer_of_user(500, 500) == MR_PEER_OWN);
	assert_true(mr_peer_of_user(501, 500) != mr_peer_of_user(502, 500));
	assert_true(mr_peer_of_user(501, 500) != MR_PEER_OWN);
}

/* The reference is an array of counts. */
static void counts_are_exact_after_any_sequence(void **state)
{
	static uint64_t counts[PEERS][OFS];
	unsigned kept = 0;

	(void)state;
	srand(1);
	assert_int_equal(mr_shares_init(&s, 1, PEERS * OFS), 0);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned p = (unsigned)rand() % PEERS, of = (unsigned)rand() % OFS;
		uint64_t amount = (uint64_t)(rand() % 3), *count = &counts[p][of];

		if (rand() % 2) {
			int rc = *count + amount > 4 ? -EDQUOT : 0;

			assert_int_equal(
				mr_share_take(&s, peer_of(p), MR_SHARE_OF(of, 7), amount, 4), rc);
			*count += rc == 0 ? amount : 0;
		} else if (amount <= *count) {
			mr_share_give(&s, peer_of(p), MR_SHARE_OF(of, 7), amount);
			*count -= amount;
		}
		assert_int_equal(mr_share_count(&s, peer_of(p), MR_SHARE_OF(of, 7)), *count);
	}
	for (unsigned i = 0; i < PEERS * OFS; i++)
		kept += counts[i / OFS][i % OFS] != 0;
	assert_int_equal(s.used, kept);
	mr_shares_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_takes_its_share_and_no_more),
		cmocka_unit_test(the_own_user_has_no_share_and_is_not_counted),
		cmocka_unit_test(counts_are_bounded_and_grow_up_to_that),
		cmocka_unit_test(a_table_keeps_a_reserve),
		cmocka_unit_test(peers_are_hosts_networks_and_users),
		cmocka_unit_test(counts_are_exact_after_any_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
