/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes that multiply in the mesh beyond its blocks and descriptors. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/stages.h"
#include "tests/support/net/rig.h"

#define SUBJECT "a.b.c"

static struct mr_rig r;
static struct mr_rig_local pub, second, local, other;

/* Opens a publisher on one worker; on the other a subscriber that blocks, and one with many
 * groups. */
static void open_all(void)
{
	struct mr_owner owner;

	mr_rig_open(&r, 2);
	mr_rig_attach(&r, 0, 0, &pub);
	owner = mr_rig_attach(&r, 1, 1, &local);
	mr_rig_attach(&r, 1, 2, &other);
	mr_rig_subscribe(&r, local.session, 9, SUBJECT);
	assert_int_equal(mr_table_high_water(r.table, &owner, 9, 50), 0);
}

static void close_all(void)
{
	close(pub.liveness_fd);
	close(local.liveness_fd);
	close(other.liveness_fd);
	mr_rig_close(&r);
}

static void join_groups(unsigned patterns)
{
	static const char *const what[] = {"a.b.c", "*.b.c", "a.*.c", "a.b.*", "*.*.c", "*.b.*",
		"a.*.*", "*.*.*", ">", "a.>", "*.>", "a.b.>", "a.*.>", "*.b.>", "*.*.>"};
	char group[16];

	assert_true(patterns <= MR_ARRAY_COUNT(what));
	for (unsigned p = 0; p < patterns; p++)
		for (unsigned g = 0; g < 64; g++) {
			snprintf(group, sizeof(group), "g%u.%u", p, g);
			mr_rig_join(&r, other.session, 1000 + p * 64 + g, what[p], group);
		}
}

/* Promises a message with its number at the beginning; by alias, unless that is 0. */
static void promise_by(struct mr_rig_local *by, uint32_t number, uint32_t bytes, uint32_t alias)
{
	static uint8_t payload[MR_BODY_BYTES_MAX];
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin.id = number};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, SUBJECT,
		alias != 0 ? 0 : sizeof(SUBJECT) - 1, payload, 0, bytes);

	memcpy(payload, &number, sizeof(number));
	mr_message_plan_extra(&plan, &extra);
	mr_rig_push(by, &plan, alias);
}

/* Publishes without a promise, by subject. */
static void publish_by(struct mr_rig_local *by, uint32_t number, uint32_t bytes)
{
	static uint8_t payload[MR_BODY_BYTES_MAX];
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, SUBJECT, sizeof(SUBJECT) - 1, payload, 0, bytes);

	memcpy(payload, &number, sizeof(number));
	mr_rig_push(by, &plan, 0);
}

static void promise(uint32_t number, uint32_t bytes, uint32_t alias)
{
	promise_by(&pub, number, bytes, alias);
}

/* Takes arrived messages, in order; returns how many by now. */
static uint32_t take(uint32_t got)
{
	struct mr_message_view m;
	uint32_t number;

	while (mr_rig_next(&local, &m)) {
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, ++got);
	}
	(void)mr_bytes_release(&local.down);
	return got;
}

static void promises_that_many_groups_multiply_are_not_lost(void **state)
{
	enum { BURSTS = 20, BURST = 32 };
	uint32_t sent = 0, got = 0;

	(void)state;
	open_all();
	join_groups(8);
	for (unsigned k = 0; k < BURSTS; k++) {
		for (unsigned i = 0; i < BURST; i++)
			promise(++sent, 1500, 0);
		for (unsigned i = 0; i < 100 && got < sent; i++) {
			mr_rig_round(&r, 0);
			mr_rig_round(&r, 1);
			got = take(got);
		}
	}
	assert_int_equal(got, BURSTS * BURST);
	assert_int_equal(local.session->stats->missed, 0);
	assert_int_equal(r.stats[0].drop_mesh_full, 0);
	assert_null(r.workers[0]->mesh.queued);
	assert_int_equal(r.workers[0]->mesh.queued_bytes, 0);
	close_all();
}

static void messages_that_wait_for_the_mesh_outlive_their_alias(void **state)
{
	struct mr_owner owner;
	uint32_t alias = 0, got = 0, sent = 0;

	(void)state;
	open_all();
	join_groups(8);
	owner = (struct mr_owner){0, pub.session->slot, pub.session->generation};
	assert_int_equal(
		mr_table_alias_acquire(r.table, &owner, SUBJECT, sizeof(SUBJECT) - 1, &alias), 0);
	mr_session_hold(pub.session, alias, true);
	/* Each has a round for itself: it is a route of many members. */
	while (r.workers[0]->mesh.queued == NULL && sent < 8) {
		promise(++sent, 60000, alias);
		mr_rig_round(&r, 0);
	}
	assert_true(mr_session_drained(pub.session));
	assert_non_null(r.workers[0]->mesh.queued);
	/* The other worker has handled the ring; then the alias is released. */
	for (unsigned i = 0; i < 8; i++)
		mr_rig_round(&r, 1);
	got = take(got);
	assert_true(got <= sent);
	assert_int_equal(mr_table_alias_release(r.table, &owner, alias), 0);
	mr_session_hold(pub.session, alias, false);
	for (unsigned i = 0; i < 100 && got < sent; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
		got = take(got);
	}
	assert_int_equal(got, sent);
	assert_int_equal(r.stats[1].drop_bad_alias, 0);
	close_all();
}

/* Messages that would take more than the whole store: half of it is left, and plain subscribers
 * come first. */
static void messages_multiplied_by_groups_leave_memory_to_others(void **state)
{
	const uint64_t slab = 128u << 10;
	struct mr_message_view m;
	struct mr_worker *w;
	uint32_t number;

	(void)state;
	open_all();
	join_groups(15);
	w = r.workers[0];
	mr_slab_free(w->store);
	assert_int_equal(mr_slab_new(MR_SLAB_BYTES_MIN, &w->store), 0);
	mr_rig_attach(&r, 0, 3, &second);
	promise_by(&pub, 1, 60000, 0);
	publish_by(&second, 2, 60000);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].published, 2);
	assert_true(r.stats[0].drop_mesh_full > 0);
	assert_in_range(mr_slab_bytes(w->store), 1, MR_SLAB_BYTES_MIN / 2 + slab);
	for (unsigned i = 0; i < 100; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
	}
	assert_true(mr_rig_next(&local, &m));
	memcpy(&number, m.payload, sizeof(number));
	assert_int_equal(number, 1);
	assert_null(w->mesh.queued);
	assert_int_equal(mr_slab_bytes(w->store), 0);
	close(second.liveness_fd);
	close_all();
}

/* Its worker knows that it is passed over, and the table does not yet. */
static void a_promise_to_a_group_goes_to_no_closed_member_of_another_worker(void **state)
{
	enum { MESSAGES = 10 };
	const struct mrf_network_path path = mr_rig_path(false, 4001);
	struct mr_rig_client client;
	struct mr_session *far;
	uint32_t got = 0;

	(void)state;
	mr_rig_open(&r, 2);
	mr_rig_attach(&r, 0, 0, &pub);
	mr_rig_attach(&r, 0, 1, &local);
	far = mr_rig_remote(&r, 1, 6, &path, MR_RIG_FRAME_BYTES, &client);
	mr_rig_join(&r, local.session, 9, SUBJECT, "g");
	mr_rig_join(&r, far, 9, SUBJECT, "g");
	mr_worker_remote_end(far, MR_REMOTE_CLOSED);
	for (uint32_t number = 1; number <= MESSAGES; number++) {
		promise(number, 100, 0);
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
		got = take(got);
	}
	assert_int_equal(got, MESSAGES);
	assert_int_equal(r.stats[1].drop_session_gone, 0);
	close(pub.liveness_fd);
	close(local.liveness_fd);
	mr_rig_close(&r);
}

static uint32_t alias_of(const char *subject)
{
	struct mr_owner owner = {0, pub.session->slot, pub.session->generation};
	uint32_t alias;

	assert_int_equal(
		mr_table_alias_acquire(r.table, &owner, subject, strlen(subject), &alias), 0);
	return alias;
}

/* Releases an alias without a look at the mesh, as the table writer must not, and then assigns it
 * to another subject. */
static void pass_on(uint32_t alias)
{
	struct mr_owner owner = {0, pub.session->slot, pub.session->generation};
	char subject[16];
	uint32_t now = 0;

	assert_int_equal(mr_table_alias_release(r.table, &owner, alias), 0);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 2; k++)
			mr_router_quiescent(r.workers[k]->router);
		(void)mr_table_reclaim(r.table);
	}
	for (unsigned i = 0; now != alias; i++) {
		assert_true(i < 200);
		snprintf(subject, sizeof(subject), "other.%u", i);
		now = alias_of(subject);
		if (now != alias)
			assert_int_equal(mr_table_alias_release(r.table, &owner, now), 0);
		mr_router_quiescent(r.workers[0]->router);
		mr_router_quiescent(r.workers[1]->router);
		(void)mr_table_reclaim(r.table);
	}
}

static void messages_by_a_reassigned_alias_are_missed_and_reported(void **state)
{
	struct mr_message_view m;
	struct mrf_gap gap;
	uint32_t alias;

	(void)state;
	open_all();
	local.session->subscriptions = 1;
	mr_rig_subscribe(&r, local.session, 10, ">");
	alias = alias_of(SUBJECT);
	mr_session_hold(pub.session, alias, true);
	promise(1, 100, alias);
	mr_rig_round(&r, 0);
	pass_on(alias);
	for (unsigned i = 0; i < 3; i++)
		mr_rig_round(&r, 1);
	assert_true(mr_rig_next(&local, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_GAP);
	memcpy(&gap, m.payload, sizeof(gap));
	assert_int_equal(gap.missed, 1);
	assert_false(mr_rig_next(&local, &m));
	assert_int_equal(r.stats[1].drop_bad_alias, 1);
	close_all();
}

/* Its ring is longer than one round takes. */
static void records_of_control_come_after_earlier_mesh_messages(void **state)
{
	enum { BLOCKS = 3 * MR_MESH_BURST };
	const uint64_t command = 0; /* malformed, and counted as taken */
	uint64_t before;

	(void)state;
	open_all();
	before = r.stats[1].handoff_rx;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		promise(1 + i, 100, 0);
		mr_rig_round(&r, 0);
	}
	mr_rig_hand_over(&r, 1, &command, sizeof(command));
	for (uint32_t read = 0; read < BLOCKS;) {
		mr_rig_round(&r, 1);
		read = take(read);
		assert_int_equal(r.stats[1].handoff_rx - before, read == BLOCKS);
	}
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promises_that_many_groups_multiply_are_not_lost),
		cmocka_unit_test(messages_that_wait_for_the_mesh_outlive_their_alias),
		cmocka_unit_test(a_promise_to_a_group_goes_to_no_closed_member_of_another_worker),
		cmocka_unit_test(messages_multiplied_by_groups_leave_memory_to_others),
		cmocka_unit_test(messages_by_a_reassigned_alias_are_missed_and_reported),
		cmocka_unit_test(records_of_control_come_after_earlier_mesh_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
