/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions that ask are told when the bus took a message and who sent it; others get the
 * message as it was. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/stamp.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_local publisher, asking, plain;

struct stamped {
	struct mr_message_view m;
	struct mrf_message_stamp stamp;
	char name[MR_SESSION_NAME_BYTES];
};

/* The publisher is on worker 0, the others are on the last one. */
static void open_all(unsigned workers)
{
	mr_rig_open(&r, workers);
	mr_rig_attach(&r, 0, 0, &publisher);
	mr_rig_attach(&r, workers - 1, 2, &asking);
	mr_rig_attach(&r, workers - 1, 3, &plain);
	strcpy(publisher.session->name, "p \x80\n");
}

static void close_all(void)
{
	close(publisher.liveness_fd);
	close(asking.liveness_fd);
	close(plain.liveness_fd);
	mr_rig_close(&r);
}

static void ask_in(uint32_t id, const char *group, uint32_t asks, uint8_t high_water)
{
	struct mr_session *s = asking.session;
	struct mr_table_row row = {
		.owner = {(uint16_t)mr_session_worker(s->id), s->slot, s->generation},
		.sub_id = id,
		.kind = MR_SUB_PATTERN,
		.text = "s",
		.text_bytes = 1,
		.group = group,
		.group_bytes = strlen(group),
		.asks = (uint8_t)asks,
	};

	assert_int_equal(mr_table_subscribe_row(r.table, &row), 0);
	assert_int_equal(mr_table_high_water(r.table, &row.owner, id, high_water), 0);
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void rounds(void)
{
	for (unsigned n = 0; n < 4; n++)
		for (unsigned i = 0; i < r.workers_count; i++)
			mr_rig_round(&r, i);
}

static void publish_extra(const char *headers, const char *payload, struct mr_message_extra *extra)
{
	char body[256];
	struct mr_message_plan plan;

	snprintf(body, sizeof(body), "%s%s", headers, payload);
	plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "s", 1, body,
		(uint32_t)strlen(headers), (uint32_t)strlen(payload));
	if (extra != NULL)
		mr_message_plan_extra(&plan, extra);
	mr_rig_push(&publisher, &plan, 0);
	rounds();
}

static void publish(const char *headers, const char *payload)
{
	publish_extra(headers, payload, NULL);
}

/* Takes the next message; the stamp is zero if it has none. */
static bool take(struct stamped *out)
{
	struct mr_bytes_consumer *down = &asking.down;
	size_t ready = mr_bytes_readable(down);
	struct mrf_message_header h;
	uint32_t bytes;

	memset(out, 0, sizeof(*out));
	if (ready == 0)
		return false;
	h = mr_message_header_load(mr_bytes_peek(down));
	assert_true(mr_message_fits(&h, ready));
	assert_true(mr_message_parse_stamped(mr_bytes_peek(down), h, &out->m, &bytes));
	mr_bytes_skip(down, h.bytes);
	if (bytes > 0) {
		memcpy(&out->stamp, out->m.subject - bytes, sizeof(out->stamp));
		memcpy(out->name, out->m.subject - bytes + sizeof(out->stamp),
			bytes - sizeof(out->stamp));
	}
	return true;
}

static void check_text(const struct stamped *x, const char *headers, const char *payload)
{
	assert_int_equal(x->m.subject_bytes, 1);
	assert_memory_equal(x->m.subject, "s", 1);
	assert_int_equal(x->m.header_bytes, strlen(headers));
	assert_memory_equal(x->m.headers, headers, strlen(headers));
	assert_int_equal(x->m.payload_bytes, strlen(payload));
	assert_memory_equal(x->m.payload, payload, strlen(payload));
}

static void check_both(const struct stamped *x, uint64_t since_ns)
{
	assert_in_range(x->stamp.time_ns, since_ns, clock_ns());
	assert_int_equal(x->stamp.sender, publisher.session->id);
	assert_string_equal(x->name, "p \x80\n");
}

/* mr_rig_next refuses a stamp. */
static void only_who_asks_is_told(unsigned workers)
{
	uint64_t since_ns = clock_ns();
	struct mr_message_view m;
	struct stamped x;

	open_all(workers);
	mr_rig_subscribe(&r, plain.session, 1, "s");
	publish("", "before");
	assert_true(mr_rig_next(&plain, &m));
	ask_in(1, "", MR_SINK_ASKS, 0);
	publish("", "bare");
	publish("NATS/1.0\r\na: b\r\n\r\n", "text");
	assert_true(take(&x));
	check_text(&x, "", "bare");
	check_both(&x, since_ns);
	assert_true(take(&x));
	check_text(&x, "NATS/1.0\r\na: b\r\n\r\n", "text");
	check_both(&x, since_ns);
	assert_false(take(&x));
	assert_true(mr_rig_next(&plain, &m));
	assert_true(mr_rig_next(&plain, &m));
	assert_int_equal(m.payload_bytes, 4);
	close_all();
}

static void only_who_asks_is_told_here(void **state)
{
	(void)state;
	only_who_asks_is_told(1);
}

static void only_who_asks_is_told_at_another_worker(void **state)
{
	(void)state;
	only_who_asks_is_told(2);
}

static void a_part_that_was_not_asked_for_is_absent(void **state)
{
	struct stamped x;

	(void)state;
	open_all(2);
	ask_in(1, "", MR_SINK_TIME, 0);
	publish("", "x");
	assert_true(take(&x));
	assert_true(x.stamp.time_ns != 0);
	assert_int_equal(x.stamp.sender, 0);
	assert_string_equal(x.name, "");
	assert_int_equal(
		mr_table_unsubscribe(r.table,
			&(struct mr_owner){1, asking.session->slot, asking.session->generation}, 1),
		0);
	ask_in(2, "", MR_SINK_SENDER, 0);
	publish("", "x");
	assert_true(take(&x));
	assert_int_equal(x.stamp.time_ns, 0);
	assert_int_equal(x.stamp.sender, publisher.session->id);
	close_all();
}

static void members_of_a_group_are_told(void **state)
{
	struct stamped x;

	for (unsigned workers = 1; workers <= 2; workers++) {
		uint64_t since_ns = clock_ns();

		(void)state;
		open_all(workers);
		ask_in(1, "g", MR_SINK_ASKS, 0);
		publish("", "x");
		assert_true(take(&x));
		check_text(&x, "", "x");
		check_both(&x, since_ns);
		close_all();
	}
}

static void promised_messages_are_stamped(void **state)
{
	static const char *const groups[] = {"", "g"};
	struct stamped x;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_HIGH};
		uint64_t since_ns = clock_ns();

		open_all(1 + i / 2);
		ask_in(1, groups[i % 2], MR_SINK_ASKS, 50);
		publish_extra("", "promised", &extra);
		assert_true(take(&x));
		check_text(&x, "", "promised");
		check_both(&x, since_ns);
		close_all();
	}
}

/* A run by alias has no view; each of its messages is stamped. */
static void a_run_is_stamped(void **state)
{
	struct mr_owner owner;
	struct stamped x;
	uint32_t alias = 0;

	(void)state;
	open_all(1);
	ask_in(1, "", MR_SINK_ASKS, 0);
	owner = (struct mr_owner){0, publisher.session->slot, publisher.session->generation};
	assert_int_equal(mr_table_alias_acquire(r.table, &owner, "s", 1, &alias), 0);
	mr_session_hold(publisher.session, alias, true);
	for (unsigned i = 0; i < 3; i++) {
		struct mr_message_plan plan =
			mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, "abc", 0, 3);

		mr_rig_push(&publisher, &plan, alias);
	}
	rounds();
	for (unsigned i = 0; i < 3; i++) {
		assert_true(take(&x));
		check_text(&x, "", "abc");
		assert_int_equal(x.stamp.sender, publisher.session->id);
	}
	assert_false(take(&x));
	close_all();
}

static void the_first_fragment_has_the_stamp(void **state)
{
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_FRAGMENT, .fragment = {.message = 1, .total_bytes = 16}};
	struct stamped x;

	(void)state;
	open_all(2);
	ask_in(1, "", MR_SINK_ASKS, 0);
	extra.fragment.session = publisher.session->id;
	publish_extra("", "first 8.", &extra);
	extra.fragment.offset = 8;
	publish_extra("", "second 8", &extra);
	assert_true(take(&x));
	assert_int_equal(x.stamp.sender, publisher.session->id);
	assert_true(take(&x));
	check_text(&x, "", "second 8");
	assert_int_equal(x.stamp.sender, 0);
	close_all();
}

static void a_forged_stamp_is_malformed(void **state)
{
	struct mrf_message_stamp forged = {.time_ns = 1, .sender = 2};
	struct mr_message_stamp_room room;
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "s", 1, "x", 0, 1);
	struct stamped x;

	(void)state;
	open_all(1);
	ask_in(1, "", MR_SINK_ASKS, 0);
	assert_true(mr_message_plan_stamp(&plan, &forged, sizeof(forged), &room));
	mr_rig_push(&publisher, &plan, 0);
	rounds();
	assert_false(take(&x));
	assert_int_equal(r.workers[0]->stats->drop_bad_message, 1);
	close_all();
}

static void a_message_without_room_for_it_has_none(void **state)
{
	static char body[MR_BODY_BYTES_MAX], subject[MR_SUBJECT_BYTES_MAX];
	struct mrf_message_stamp stamp = {.time_ns = 1};
	static uint8_t wire[MR_STAMP_BYTES_MAX];
	struct mr_message_stamp_room room;
	struct mr_message_plan plan, before;

	(void)state;
	memcpy(wire, &stamp, sizeof(stamp));
	plan = mr_message_plan(
		MRF_MESSAGE_KIND_DELIVER, NULL, subject, sizeof(subject), body, 0, sizeof(body));
	before = plan;
	assert_false(mr_message_plan_stamp(&plan, wire, sizeof(wire), &room));
	assert_memory_equal(&plan, &before, sizeof(plan));
	plan = mr_message_plan(MRF_MESSAGE_KIND_DELIVER, NULL, subject, 190, body, 0, sizeof(body));
	assert_true(mr_message_plan_stamp(&plan, wire, sizeof(wire), &room));
	assert_in_range(plan.stride, 0, MR_MESSAGE_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_who_asks_is_told_here),
		cmocka_unit_test(only_who_asks_is_told_at_another_worker),
		cmocka_unit_test(a_part_that_was_not_asked_for_is_absent),
		cmocka_unit_test(members_of_a_group_are_told),
		cmocka_unit_test(promised_messages_are_stamped),
		cmocka_unit_test(a_run_is_stamped),
		cmocka_unit_test(the_first_fragment_has_the_stamp),
		cmocka_unit_test(a_forged_stamp_is_malformed),
		cmocka_unit_test(a_message_without_room_for_it_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
