/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes that go into bound queues: what is added to them, what a full queue does, who pays. */
#include <errno.h>
#include <stdio.h>

#include "lib/base/share.h"
#include "tests/unit/queue/rig.h"

#define HOST ((uint64_t)1 << 60)

static struct rig r;
static uint32_t queue;

static int setup(void **state)
{
	(void)state;
	rig_open_store(&r, 16u << 20, NULL);
	queue = rig_make(&r, "jobs");
	mr_queues_bind(r.queues, queue, 1);
	rig_run(&r);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

struct sent {
	uint32_t queue; /* 0: that of the test */
	unsigned client;
	const char *headers;
	const char *text;
	uint64_t publisher;
	uint64_t id;   /* not 0: promised */
	bool ends;     /* its session does not wait any more */
	bool accepted; /* the message was accepted before that */
	struct mrf_message_fragment fragment;
};

static void publish(const struct sent *p)
{
	static char body[MR_BODY_BYTES_MAX];
	unsigned flags = (p->id != 0 ? MRF_MESSAGE_FLAG_ORIGIN : 0u) |
			 (p->ends ? MRF_MESSAGE_FLAG_LOW : 0u) |
			 (p->accepted ? MRF_MESSAGE_FLAG_HIGH : 0u) |
			 (p->fragment.total_bytes != 0 ? MRF_MESSAGE_FLAG_FRAGMENT : 0u);
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH,
			.flags = (uint8_t)flags,
			.target = p->queue != 0 ? p->queue : queue},
		.extra = {.flags = (uint8_t)flags,
			.origin = {p->publisher, p->id},
			.fragment = p->fragment},
		.subject = (const uint8_t *)"orders.eu",
		.subject_bytes = 9,
		.headers = (const uint8_t *)body,
		.header_bytes = p->headers != NULL ? (uint32_t)strlen(p->headers) : 0,
		.payload_bytes = (uint32_t)strlen(p->text),
	};

	memcpy(body, p->headers != NULL ? p->headers : "", m.header_bytes);
	memcpy(body + m.header_bytes, p->text, m.payload_bytes);
	m.payload = m.headers + m.header_bytes;
	mr_queues_publish(r.queues, rig_session(p->client), &m, r.now_ms);
	rig_run(&r);
}

static void publish_text(const char *text)
{
	publish(&(struct sent){.client = 1, .text = text});
}

#define HALF 512u

/* Publishes one half of a message of two fragments into a queue. */
static void publish_half(uint32_t to, uint32_t offset, const char *headers)
{
	static char text[HALF + 1];
	uint32_t bytes = HALF - (uint32_t)strlen(headers);

	memset(text, 'x', bytes);
	text[bytes] = '\0';
	publish(&(struct sent){.queue = to,
		.client = 1,
		.headers = headers,
		.text = text,
		.publisher = 5,
		.id = 7,
		.fragment = {.message = 3, .total_bytes = 2 * HALF, .offset = offset}});
}

static uint64_t ready(void)
{
	return mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs"));
}

/* Expects a delivery to client 2 with this header block and payload; returns its tag. */
static uint64_t expect(const char *headers, const char *text)
{
	struct rig_sent *s;

	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_int_equal(s->view.header_bytes, strlen(headers));
	assert_memory_equal(s->view.headers, headers, strlen(headers));
	assert_int_equal(s->view.payload_bytes, strlen(text));
	assert_memory_equal(s->view.payload, text, strlen(text));
	return s->view.extra.delivery.tag;
}

static void ack_next(void)
{
	struct rig_sent *s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);

	assert_non_null(s);
	rig_settle(&r, 2, queue, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
}

static void subject_is_the_first_header(void **state)
{
	(void)state;
	rig_consume(&r, "jobs", 2, 10);
	publish_text("plain");
	(void)expect("NATS/1.0\r\nMillrace-Subject: orders.eu\r\n\r\n", "plain");
	publish(&(struct sent){
		.client = 1, .headers = "NATS/1.0\r\na: 1\r\nb: 2\r\n\r\n", .text = "x"});
	(void)expect("NATS/1.0\r\nMillrace-Subject: orders.eu\r\na: 1\r\nb: 2\r\n\r\n", "x");
	publish(&(struct sent){
		.client = 1, .headers = "NATS/1.0 503\r\na: 1\r\n\r\n", .text = "y"});
	(void)expect("NATS/1.0 503\r\nMillrace-Subject: orders.eu\r\na: 1\r\n\r\n", "y");
	publish(&(struct sent){.client = 1, .headers = "nonsense", .text = "z"});
	(void)expect("nonsense", "z");
	assert_int_equal(r.stats.bound, 4);
	assert_int_equal(r.stats.pushed, 4);
}

static void nothing_is_reported_to_the_publisher(void **state)
{
	(void)state;
	publish(&(struct sent){.client = 1, .text = "a", .publisher = 9, .id = 1});
	publish(&(struct sent){.client = 1, .queue = queue ^ 1, .text = "b", .id = 2});
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_ACCEPTED), 0);
	assert_int_equal(r.stats.drop_bound_gone, 1);
	assert_int_equal(r.stats.refused_push_unknown, 0);
}

static void known_id_goes_in_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		publish(&(struct sent){.client = 1, .text = "a", .publisher = 9, .id = 1});
	publish(&(struct sent){.client = 3, .text = "b", .publisher = 9, .id = 2});
	assert_int_equal(ready(), 2);
	assert_int_equal(r.stats.queue_duplicates, 2);
}

static void full_queue_drops_plain_and_takes_promised_ones_under_way(void **state)
{
	(void)state;
	r.options.messages_max = 8;
	r.edits = MRF_QUEUE_OPTION_MESSAGES_MAX;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0), 0);
	for (unsigned i = 0; i < 7; i++)
		publish_text("plain");
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
	publish_text("plain");
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], queue);
	publish_text("too many");
	assert_int_equal(r.stats.drop_bound_full, 1);
	publish(&(struct sent){.client = 1, .text = "promised", .id = 1});
	assert_int_equal(ready(), 9);
	publish(&(struct sent){.client = 1, .text = "of a closed session", .id = 2, .ends = true});
	assert_int_equal(ready(), 9);
	assert_int_equal(r.stats.drop_bound_full, 2);
	publish(&(struct sent){.client = 1, .text = "of one, accepted", .id = 3, .accepted = true});
	assert_int_equal(ready(), 10);
	rig_consume(&r, "jobs", 2, 20);
	rig_run(&r);
	ack_next();
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], queue);
	ack_next();
	ack_next();
	ack_next();
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
}

static void flag_goes_with_its_queue(void **state)
{
	(void)state;
	r.options.messages_max = 1;
	queue = rig_make(&r, "one");
	publish_text("a");
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], queue);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "one", 0, 0, 0), 0);
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
	publish_text("b");
	assert_int_equal(r.stats.drop_bound_gone, 1);
}

static void many_queues(struct mr_queues_config *c)
{
	c->queues_max = 1024;
	c->per_client_max = 1024;
	c->peer_percent = 0;
}

/* However many are full, a run looks at a few. */
static void many_full_queues_are_looked_at_in_slices(void **state)
{
	uint32_t queues[200];
	unsigned runs = 1;
	struct rig_sent *s;
	char name[8];

	(void)state;
	rig_close(&r);
	rig_open_store(&r, 64u << 20, many_queues);
	for (unsigned i = 0; i < 200; i++) {
		r.options.messages_max = 1;
		snprintf(name, sizeof(name), "q%u", i);
		queues[i] = rig_make(&r, name);
		mr_queues_bind(r.queues, queues[i], 1);
	}
	rig_run(&r);
	for (unsigned i = 0; i < 200; i++)
		publish(&(struct sent){.queue = queues[i], .client = 1, .text = "a"});
	queue = queues[150];
	rig_consume(&r, "q150", 2, 1);
	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	r.held[MR_QUEUE_HELD_QUEUE] = queue;
	rig_settle(&r, 2, queue, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	while (mr_queues_run(r.queues, r.now_ms))
		runs++;
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
	assert_in_range(runs, 2, 4);
}

static void message_above_the_byte_limit_never_goes_in(void **state)
{
	(void)state;
	r.options.bytes_max = 60;
	r.edits = MRF_QUEUE_OPTION_BYTES_MAX;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0), 0);
	publish(&(struct sent){.client = 1, .text = "twenty bytes of text", .id = 1});
	assert_int_equal(r.stats.drop_bound_full, 1);
	publish_text("short");
	assert_int_equal(ready(), 1);
}

static void bound_queue_is_neither_deleted_nor_removed_for_idleness(void **state)
{
	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0),
		-EBUSY);
	rig_pass(&r, 3 * r.c.idle_ms);
	assert_int_equal(mrf_queue_row_bindings(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs")), 1);
	mr_queues_bind(r.queues, queue, 0);
	rig_pass(&r, 2 * r.c.idle_ms);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0),
		-ENOENT);
}

static void unbind_lets_held_publishers_look_again(void **state)
{
	(void)state;
	r.options.messages_max = 1;
	queue = rig_make(&r, "one");
	mr_queues_bind(r.queues, queue, 2);
	rig_run(&r);
	publish_text("a");
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], queue);
	mr_queues_bind(r.queues, queue, 1);
	rig_run(&r);
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
	publish(&(struct sent){.client = 1, .text = "promised", .id = 1});
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], queue);
}

/* A number of an older queue changes nothing. */
static void bindings_count_for_their_queue_only(void **state)
{
	(void)state;
	mr_queues_bind(r.queues, queue ^ 1u << 20, 0);
	assert_int_equal(mrf_queue_row_bindings(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs")), 1);
	mr_queues_bind(r.queues, UINT32_MAX, 3);
	mr_queues_bind(r.queues, queue ^ 1u << 20, 3);
	assert_int_equal(mrf_queue_row_bindings(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs")), 0);
}

static void publisher_pays_with_its_share(void **state)
{
	static char text[1025];
	uint64_t count = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	r.peer[1] = HOST;
	for (; r.stats.drop_bound_share == 0; count++) {
		publish_text(text);
		if (r.held[MR_QUEUE_HELD_PEER] == 0)
			assert_int_equal(r.stats.drop_bound_share, 0);
	}
	assert_int_equal(r.held[MR_QUEUE_HELD_PEER], HOST);
	assert_int_equal(r.held[MR_QUEUE_HELD_MEMORY], 0);
	assert_in_range(count, (15u << 20) / 4 / 1200, (15u << 20) / 4 / 1024);
	publish(&(struct sent){.client = 3, .text = "of root"});
	assert_int_equal(r.stats.drop_bound_share, 1);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0), 0);
	rig_run(&r);
	assert_int_equal(r.held[MR_QUEUE_HELD_PEER], 0);
	publish_text(text);
	assert_int_equal(r.stats.drop_bound_share, 1);
}

/* Pushes used up the share before the first publish could set the flag. */
static void promised_publish_goes_in_though_the_share_is_used_up(void **state)
{
	static char text[1025];
	uint64_t before;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	r.peer[1] = HOST;
	while (r.stats.refused_push_share == 0)
		rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = text});
	assert_int_equal(r.held[MR_QUEUE_HELD_PEER], 0);
	before = ready();
	publish(&(struct sent){.client = 1, .text = text, .id = 1});
	assert_int_equal(ready(), before + 1);
	assert_int_equal(r.held[MR_QUEUE_HELD_PEER], HOST);
	publish_text(text);
	assert_int_equal(r.stats.drop_bound_share, 1);
	for (unsigned i = 0; i < 2; i++)
		publish_half(queue, i * HALF, "");
	assert_int_equal(ready(), before + 2);
}

static void memory_is_held_before_it_is_used_up(void **state)
{
	static char text[8193];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	while (r.held[MR_QUEUE_HELD_MEMORY] == 0 && r.held[MR_QUEUE_HELD_QUEUE] == 0) {
		publish(&(struct sent){.client = 3, .text = text, .id = 1});
		assert_int_equal(r.stats.drop_bound_memory, 0);
	}
	for (unsigned i = 0; i < 64; i++)
		publish(&(struct sent){.client = 3, .text = text, .id = 1});
	assert_int_equal(r.stats.drop_bound_memory, 0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "jobs", 0, 0, 0), 0);
	rig_run(&r);
	assert_int_equal(r.held[MR_QUEUE_HELD_MEMORY], 0);
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
}

/* Two queues of one worker reassemble the same publish. */
static void fragments_of_one_publish_make_one_message_in_each_queue(void **state)
{
	const char *expected = "NATS/1.0\r\nMillrace-Subject: orders.eu\r\na: 1\r\n\r\nx";
	uint32_t second = rig_make(&r, "second");

	(void)state;
	publish_half(queue, 0, "NATS/1.0\r\na: 1\r\n\r\n");
	publish_half(second, 0, "NATS/1.0\r\na: 1\r\n\r\n");
	publish_half(queue, HALF, "");
	publish_half(second, HALF, "");
	assert_int_equal(r.stats.bound, 2);
	assert_int_equal(r.stats.drop_bad_fragment, 0);
	publish_half(queue, 0, "NATS/1.0\r\na: 1\r\n\r\n");
	assert_int_equal(r.stats.queue_duplicates, 1);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_ACCEPTED), 0);
	rig_consume(&r, "jobs", 2, 10);
	rig_run(&r);
	assert_memory_equal(
		rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)->body, expected, strlen(expected));
}

/* Its publisher is held while another queue of its subject is full, for as long as that takes. */
static void rest_of_a_promised_publish_may_come_late(void **state)
{
	(void)state;
	publish_half(queue, 0, "");
	rig_pass(&r, 600000);
	publish_half(queue, HALF, "");
	assert_int_equal(r.stats.bound, 1);
	assert_int_equal(r.stats.drop_bad_fragment, 0);
}

/* When the queue is unbound in between, the rest does not come. */
static void unbind_ends_a_publish_in_fragments(void **state)
{
	(void)state;
	publish_half(queue, 0, "");
	mr_queues_bind(r.queues, queue, 0);
	rig_pass(&r, 600000);
	assert_int_equal(r.stats.drop_bad_fragment, 1);
}

static void publish_in_fragments_goes_into_many_queues(void **state)
{
	uint32_t queues[20];
	char name[8];

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "q%u", i);
		queues[i] = rig_make(&r, name);
		mr_queues_bind(r.queues, queues[i], 1);
	}
	for (uint32_t offset = 0; offset <= HALF; offset += HALF)
		for (unsigned i = 0; i < 20; i++)
			publish_half(queues[i], offset, "");
	assert_int_equal(r.stats.bound, 20);
	assert_int_equal(r.stats.drop_bad_fragment, 0);
}

static void largest_message_gets_its_subject_and_goes_out_in_fragments(void **state)
{
	static char text[MR_BODY_BYTES_MAX + 1];
	const char *line = "NATS/1.0\r\nMillrace-Subject: orders.eu\r\n\r\n";
	struct rig_sent *s;

	(void)state;
	memset(text, 'x', MR_BODY_BYTES_MAX);
	publish_text(text);
	rig_consume(&r, "jobs", 2, 10);
	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_true((s->view.header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0);
	assert_memory_equal(s->body, line, strlen(line));
	assert_int_equal(s->view.extra.fragment.total_bytes, MR_BODY_BYTES_MAX + strlen(line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(subject_is_the_first_header),
		RIG_TEST(nothing_is_reported_to_the_publisher),
		RIG_TEST(known_id_goes_in_once),
		RIG_TEST(full_queue_drops_plain_and_takes_promised_ones_under_way),
		RIG_TEST(flag_goes_with_its_queue),
		RIG_TEST(many_full_queues_are_looked_at_in_slices),
		RIG_TEST(message_above_the_byte_limit_never_goes_in),
		RIG_TEST(bound_queue_is_neither_deleted_nor_removed_for_idleness),
		RIG_TEST(unbind_lets_held_publishers_look_again),
		RIG_TEST(bindings_count_for_their_queue_only),
		RIG_TEST(publisher_pays_with_its_share),
		RIG_TEST(promised_publish_goes_in_though_the_share_is_used_up),
		RIG_TEST(memory_is_held_before_it_is_used_up),
		RIG_TEST(fragments_of_one_publish_make_one_message_in_each_queue),
		RIG_TEST(rest_of_a_promised_publish_may_come_late),
		RIG_TEST(unbind_ends_a_publish_in_fragments),
		RIG_TEST(publish_in_fragments_goes_into_many_queues),
		RIG_TEST(largest_message_gets_its_subject_and_goes_out_in_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
