/* SPDX-License-Identifier: Apache-2.0 */
/* Routes so large that they are made anew for each message, more in a round than there is room for:
 * many queue groups subscribe to the same subject. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include <rte_rcu_qsbr.h>

#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/stages.h"
#include "tests/support/net/rig.h"

#define FRAMES           96u
#define FRAMES_AT_ONCE   32u
#define ROUNDS           20u
#define MESSAGES_A_FRAME 40u
#define PROMISED         (FRAMES * MESSAGES_A_FRAME)

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client client;
static struct mr_rig_local local, crowd;
static struct mr_session *s;

static void subscribe(const struct mr_session *of, uint32_t id, enum mr_sub_kind kind,
	const char *pattern, const char *group, uint8_t water)
{
	struct mr_owner owner = {(uint16_t)mr_session_worker(of->id), of->slot, of->generation};

	assert_int_equal(mr_table_subscribe(r.table, &owner, id, kind, pattern, strlen(pattern),
				 group, strlen(group)),
		0);
	assert_int_equal(mr_table_high_water(r.table, &owner, id, water), 0);
}

/* Makes as many groups as patterns may have; all subscribe to everything. */
static void join_groups(void)
{
	static const struct {
		enum mr_sub_kind kind;
		const char *pattern;
	} all[] = {{MR_SUB_PATTERN, ">"}, {MR_SUB_PREFIX, ""}, {MR_SUB_PATTERN, "*"}};
	char group[16];

	for (uint32_t i = 0; i < MR_ARRAY_COUNT(all); i++)
		for (uint32_t g = 0; g < MR_TABLE_GROUPS_PER_PATTERN; g++) {
			snprintf(group, sizeof(group), "g%u.%u", i, g);
			subscribe(crowd.session, 1 + i * 100 + g, all[i].kind, all[i].pattern,
				group, 0);
		}
}

/* Opens a publisher over UDP and the groups on the first worker; a receiver of everything on
 * another. */
static void open_all(unsigned receiver)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);

	mr_rig_open(&r, 2);
	r.workers[0]->ports[0].rx_entries = 4096; /* the client gets more credit */
	s = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	mr_rig_attach(&r, 0, 0, &crowd);
	mr_rig_attach(&r, receiver, 1, &local);
	subscribe(local.session, 9, MR_SUB_PATTERN, "a", "", 50);
	join_groups();
}

static void close_all(void)
{
	mr_rig_round(&r, 1); /* the mesh is emptied */
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	close(crowd.liveness_fd);
	close(local.liveness_fd);
	mr_rig_close(&r);
}

static void send_frame(uint32_t sequence, const char *subject, uint32_t alias)
{
	uint32_t number = (sequence - 1) * MESSAGES_A_FRAME;
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin.publisher = 5};

	/* By alias, equal ones would be one run, and be routed once. */
	mr_rig_begin(&f, client.session, sequence);
	for (uint32_t i = 0; i < MESSAGES_A_FRAME; i++) {
		struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL,
			subject, (uint32_t)strlen(subject), &number, 0, sizeof(number));

		extra.origin.id = ++number;
		if (alias != 0)
			mr_message_plan_extra(&plan, &extra);
		else
			plan.header |= (uint64_t)MRF_MESSAGE_FLAG_HIGH << 24;
		mr_rig_add_plan(&f, &plan, alias);
	}
	mr_frame_write_reliable(f.at);
	mr_rig_send(&r, 0, &client.path, &f);
}

/* Reads the receiver's messages in order; returns the last number. */
static uint32_t read_all(uint32_t number)
{
	struct mr_message_view m;
	uint32_t got;

	while (mr_rig_next(&local, &m)) {
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		memcpy(&got, m.payload, sizeof(got));
		assert_int_equal(got, ++number);
	}
	mr_bytes_release(&local.down);
	return number;
}

static void promise_all(const char *subject, uint32_t alias)
{
	uint32_t sequence = 0, got = 0;

	for (unsigned i = 0; i < 200 * ROUNDS && got < PROMISED; i++) {
		uint32_t most = s->remote->flow.rx.granted - 1;

		/* Many at once, so that a worker that is behind has as many to take. */
		for (uint32_t k = 0; i % ROUNDS == 0 && k < FRAMES_AT_ONCE; k++)
			if (sequence < most && sequence < FRAMES)
				send_frame(++sequence, subject, alias);
		mr_rig_round(&r, 0);
		if (i % ROUNDS >= ROUNDS / 2)
			mr_rig_round(&r, 1);
		got = read_all(got);
		while (mr_rig_receive(&r, 0, &f, NULL))
			;
	}
	assert_int_equal(got, PROMISED);
	assert_int_equal(local.session->stats->missed, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(r.stats[i].drop_bad_subject + r.stats[i].drop_bad_alias, 0);
	/* A turn has work for few of them. */
	assert_true(r.stats[0].late > 0);
}

static void promises_find_their_way_by_subject(void **state)
{
	(void)state;
	open_all(0);
	promise_all("a", 0);
	close_all();
}

static void promises_find_their_way_by_alias(void **state)
{
	(void)state;
	open_all(0);
	promise_all("", mr_rig_alias(&r, s, "a"));
	close_all();
}

static void promises_find_their_way_at_another_worker(void **state)
{
	(void)state;
	open_all(1);
	promise_all("", mr_rig_alias(&r, s, "a"));
	close_all();
}

/* A routed message is in a block that other workers hear of later: a grace period covers all in
 * flight. */
static void no_stage_reports_quiescence(void **state)
{
	struct mr_worker *w;
	uint64_t token;
	uint32_t alias;

	(void)state;
	open_all(1);
	alias = mr_rig_alias(&r, s, "a");
	w = r.workers[0];
	for (unsigned i = 1; i <= 3; i++)
		send_frame(i, "", alias);
	w->round_start = r.clock;
	token = rte_rcu_qsbr_start(r.qsbr);
	mr_router_quiescent(r.workers[1]->router);
	mr_worker_ports_rx(w);
	assert_true(w->mesh.wanted_by != 0);
	assert_int_equal(rte_rcu_qsbr_check(r.qsbr, token, false), 0);
	mr_worker_tx(w);
	mr_router_quiescent(w->router);
	assert_int_equal(rte_rcu_qsbr_check(r.qsbr, token, false), 1);
	token = rte_rcu_qsbr_start(r.qsbr);
	mr_router_quiescent(w->router);
	mr_worker_mesh_rx(r.workers[1]);
	assert_true(r.stats[1].mesh_rx_messages > 0);
	assert_int_equal(rte_rcu_qsbr_check(r.qsbr, token, false), 0);
	close_all();
}

/* A receiver is full; then the client falls silent, and its acknowledged messages are routed by the
 * check for that, after the round's stages. */
static void messages_that_a_session_leaves_reach_other_workers(void **state)
{
	uint32_t alias, got;

	(void)state;
	open_all(1);
	alias = mr_rig_alias(&r, s, "a");
	send_frame(1, "", alias);
	/* A turn has work for few of them. */
	for (unsigned i = 0; i < 2 * MESSAGES_A_FRAME; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
	}
	assert_int_equal(read_all(0), MESSAGES_A_FRAME);
	s->paused_by = &r.workers[1]->full->of[0];
	s->paused_by_generation = 77;
	atomic_store(&r.workers[1]->full->of[0].session, 77);
	send_frame(2, "", alias);
	mr_rig_round(&r, 0);
	mr_rig_round(&r, 1);
	assert_int_equal(read_all(MESSAGES_A_FRAME), MESSAGES_A_FRAME);
	/* Stepped as a loop would: a worker that did not run for long hears no client, and closes
	 * none for that. */
	for (unsigned i = 0; i < 600 && atomic_load(&s->remote->end) == MR_REMOTE_LIVES; i++) {
		mr_rig_wait_ms(&r, 100);
		/* Fails if they are not. */
		mr_rig_round(&r, 0);
	}
	assert_int_not_equal(atomic_load(&s->remote->end), MR_REMOTE_LIVES);
	got = read_all(MESSAGES_A_FRAME);
	for (unsigned i = 0; i < 2 * MESSAGES_A_FRAME && got < 2 * MESSAGES_A_FRAME; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
		got = read_all(got);
	}
	assert_int_equal(got, 2 * MESSAGES_A_FRAME);
	assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_EXPIRED);
	atomic_store(&r.workers[1]->full->of[0].session, 0);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promises_find_their_way_by_subject),
		cmocka_unit_test(promises_find_their_way_by_alias),
		cmocka_unit_test(promises_find_their_way_at_another_worker),
		cmocka_unit_test(no_stage_reports_quiescence),
		cmocka_unit_test(messages_that_a_session_leaves_reach_other_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
