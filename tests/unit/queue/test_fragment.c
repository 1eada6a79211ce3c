/* SPDX-License-Identifier: Apache-2.0 */
/* Fragmented messages of queues: reassembly, refusals, deduplication, small frames. */
#include "tests/unit/queue/rig.h"

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static char text[10000];

static uint32_t make(void)
{
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * 7 % 26);
	return rig_make(&r, "work");
}

/* Pushes a fragment of `text`; the first one has the header block. */
static void fragment(uint32_t q, uint32_t message, uint32_t total, uint32_t offset, uint32_t bytes,
	const char *headers)
{
	char part[1001];

	memcpy(part, text + offset, bytes);
	part[bytes] = '\0';
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = part,
			     .headers = headers,
			     .publisher = 5,
			     .id = message,
			     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
			     .fragment = {.session = rig_session(1),
				     .message = message,
				     .total_bytes = total,
				     .offset = offset}});
	rig_run(&r);
}

static void expect_train(unsigned client, uint32_t message, uint32_t total)
{
	uint64_t tag = 0;

	for (uint32_t offset = 0; offset < total;) {
		struct rig_sent *s = rig_take(&r, client, MRF_MESSAGE_KIND_DELIVER);

		assert_non_null(s);
		assert_true(s->view.header.flags & MRF_MESSAGE_FLAG_FRAGMENT);
		assert_true(tag == 0 || tag == s->view.extra.delivery.tag);
		tag = s->view.extra.delivery.tag;
		assert_int_equal(s->view.extra.fragment.offset, offset);
		assert_int_equal(s->view.extra.fragment.total_bytes, total);
		assert_int_equal(s->view.extra.fragment.message, message);
		assert_int_equal(s->view.extra.fragment.session, rig_session(1));
		assert_memory_equal(s->body, text + offset,
			s->body_bytes < RIG_BODY_MAX ? s->body_bytes : RIG_BODY_MAX);
		offset += s->body_bytes;
	}
	rig_expect_none(&r, client);
}

static void fragments_are_one_message_once_all_arrived(void **state)
{
	uint32_t q = make();

	(void)state;
	rig_consume(&r, "work", 2, 10);
	rig_consume(&r, "work", 3, 10);
	fragment(q, 1, 2500, 0, 1000, NULL);
	fragment(q, 1, 2500, 1000, 1000, NULL);
	rig_expect_none(&r, 2);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_ACCEPTED), 0);
	fragment(q, 1, 2500, 2000, 500, NULL);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	expect_train(2, 1, 2500);
	rig_expect_none(&r, 3);
	assert_int_equal(r.stats.pushed, 1);
	assert_int_equal(r.stats.queue_delivered, 1);
}

static void train_goes_on_when_there_is_room(void **state)
{
	uint32_t q = make();

	(void)state;
	rig_consume(&r, "work", 2, 10);
	r.full[2] = true;
	fragment(q, 1, 2000, 0, 1000, NULL);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "small"});
	rig_pass(&r, 5);
	rig_expect_none(&r, 2);
	r.room[2] = 1; /* for one message, then full again */
	rig_pass(&r, 5);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 1);
	r.full[2] = false;
	rig_pass(&r, 5);
	rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	rig_expect(&r, 2, "small");
}

static void settled_in_the_middle_of_a_train(void **state)
{
	uint32_t q = make();
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	r.full[2] = true;
	fragment(q, 1, 2000, 0, 1000, NULL);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	r.room[2] = 1;
	rig_pass(&r, 5);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	r.full[2] = false;
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "next"});
	rig_pass(&r, 5);
	rig_expect(&r, 2, "next");
}

static void holes_and_overlaps_and_lies_are_refused(void **state)
{
	const struct {
		uint32_t total, offset, bytes;
		const char *headers;
	} bad[] = {
		{3000, 2000, 1000, NULL}, /* hole */
		{3000, 500, 1000, NULL},  /* overlap */
		{4000, 1000, 1000, NULL}, /* another length */
		{3000, 1000, 500, NULL},  /* a short one in the middle */
		{3000, 1000, 0, NULL}, {3000, 1000, 992, "NATS/1.0"}, /* headers in the middle */
	};
	uint32_t q = make();

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(bad); i++) {
		fragment(q, i + 1, 3000, 0, 1000, NULL);
		fragment(q, i + 1, bad[i].total, bad[i].offset, bad[i].bytes, bad[i].headers);
		rig_expect_accepted(&r, 1, i + 1, 1, MRF_STATUS_CODE_BAD);
		fragment(q, i + 1, 3000, 1000, 1000, NULL);
		assert_int_equal(r.stats.drop_bad_fragment + r.stats.drop_fragment_rest, i + 1);
	}
	assert_int_equal(r.stats.pushed, 0);
	fragment(q, 50, 2u << 20, 0, 1000, NULL);
	rig_expect_accepted(&r, 1, 50, 1, MRF_STATUS_CODE_BAD);
	fragment(q, 51, 500, 0, 1000, NULL); /* more than announced */
	rig_expect_accepted(&r, 1, 51, 1, MRF_STATUS_CODE_BAD);
}

static void message_that_never_completes_is_given_up(void **state)
{
	uint32_t q = make();
	uint64_t before;

	(void)state;
	fragment(q, 1, 3000, 0, 1000, NULL);
	before = mr_slab_bytes(r.store);
	rig_pass(&r, 1100);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OVERLOADED);
	assert_true(mr_slab_bytes(r.store) < before);
}

static void many_that_never_complete_cost_no_more_than_a_few(void **state)
{
	uint32_t q = make();
	uint64_t bytes = 0;

	(void)state;
	for (uint32_t i = 1; i < 2000; i++) {
		fragment(q, i, 3000, 0, 1000, NULL);
		if (i == 100)
			bytes = mr_slab_bytes(r.store);
	}
	assert_int_equal(mr_slab_bytes(r.store), bytes);
	assert_int_equal(r.stats.drop_bad_fragment, 2000 - 1 - 16);
}

static void message_begun_anew_replaces_its_fragments(void **state)
{
	uint32_t q = make();

	(void)state;
	rig_consume(&r, "work", 2, 10);
	fragment(q, 1, 2000, 0, 1000, NULL);
	fragment(q, 1, 2000, 0, 1000, NULL);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	expect_train(2, 1, 2000);
}

static void known_message_is_accepted_and_not_kept(void **state)
{
	uint32_t q = make();

	(void)state;
	fragment(q, 1, 2000, 0, 1000, NULL);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	fragment(q, 1, 2000, 0, 1000, NULL);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	assert_int_equal(r.stats.queue_duplicates, 1);
	assert_int_equal(r.stats.pushed, 1);
}

static void push_whole(uint32_t q, uint64_t id)
{
	rig_push(&r,
		&(struct rig_push){.queue = q, .client = 1, .text = "x", .publisher = 5, .id = id});
	rig_run(&r);
}

/* Its bit in the window is shared with the id 65,536 further on. */
static void message_that_completes_behind_the_window_makes_no_other_known(void **state)
{
	uint32_t q = make();

	(void)state;
	fragment(q, 1, 2000, 0, 1000, NULL);
	push_whole(q, 70000);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	assert_int_equal(r.stats.pushed, 2);
	push_whole(q, 65537);
	assert_int_equal(r.stats.pushed, 3);
	assert_int_equal(r.stats.queue_duplicates, 0);
}

static void dead_letter_of_fragments_has_its_reason(void **state)
{
	uint32_t q = make();
	struct rig_sent *s;
	uint32_t total = 0, came = 0;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	fragment(q, 1, 2500, 0, 1000, NULL);
	fragment(q, 1, 2500, 1000, 1000, NULL);
	fragment(q, 1, 2500, 2000, 500, NULL);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 10);
	rig_run(&r);
	while ((s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER)) != NULL) {
		assert_int_equal(s->view.extra.fragment.offset, came);
		if (came == 0)
			assert_non_null(
				strstr((char *)s->body, "Millrace-Dead-Reason: rejected\r\n"));
		assert_int_equal(s->view.header_bytes > 0, came == 0);
		total = s->view.extra.fragment.total_bytes;
		assert_true(s->body_bytes == 1000 || came + s->body_bytes == total);
		came += s->body_bytes;
	}
	assert_true(total > 2500);
	assert_int_equal(came, total);
}

static void deleted_queue_takes_its_fragments_along(void **state)
{
	uint32_t q = make();

	(void)state;
	fragment(q, 1, 2000, 0, 1000, NULL);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.code, 0);
	fragment(q, 1, 2000, 1000, 1000, NULL);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_NOT_FOUND);
	rig_pass(&r, 2000);
}

/* Returns the text's beginning, as long as one message of the rig. */
static const char *part(uint32_t bytes)
{
	static char copy[sizeof(text) + 1];

	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

static uint32_t expect_pieces(
	unsigned client, enum mrf_message_kind kind, uint32_t total, uint64_t *tag)
{
	uint32_t offset = 0, pieces = 0;

	for (struct rig_sent *s; offset < total; offset += s->body_bytes, pieces++) {
		s = rig_take(&r, client, kind);
		assert_non_null(s);
		assert_int_equal(s->view.extra.fragment.offset, offset);
		assert_int_equal(s->view.extra.fragment.total_bytes, total);
		assert_memory_equal(s->body, text + offset, RIG_BODY_MAX);
		*tag = s->view.extra.delivery.tag;
	}
	assert_int_equal(offset, total);
	return pieces;
}

static void message_larger_than_a_frame_is_fragmented(void **state)
{
	uint32_t q = make();
	uint64_t tag;

	(void)state;
	r.message_bytes[2] = 1408;
	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = part(9000)});
	rig_run(&r);
	assert_int_equal(expect_pieces(2, MRF_MESSAGE_KIND_DELIVER, 9000, &tag), 7);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, 1);
}

static void reply_larger_than_the_callers_frame_is_fragmented(void **state)
{
	uint32_t q;
	uint64_t tag;

	(void)state;
	make();
	q = rig_make_service(&r, "serve");
	r.message_bytes[1] = 1408;
	rig_serve(&r, "serve", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "?", .correlation = 9});
	rig_run(&r);
	tag = rig_expect(&r, 2, "?");
	rig_reply(&r, 2, q, tag, false, part(9000));
	assert_int_equal(expect_pieces(1, MRF_MESSAGE_KIND_REPLY, 9000, &tag), 7);
	assert_int_equal(r.stats.queue_acked, 1);
}

/* Whatever the header block is, the messages behind it are delivered. */
static void header_block_larger_than_a_frame_is_a_dead_letter(void **state)
{
	static char headers[4000];
	uint32_t q = make();

	(void)state;
	memset(headers, 'h', sizeof(headers) - 1);
	r.message_bytes[2] = 1408;
	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x", .headers = headers});
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "y"});
	rig_run(&r);
	rig_expect(&r, 2, "y");
	assert_int_equal(r.stats.queue_dead, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(fragments_are_one_message_once_all_arrived),
		RIG_TEST(train_goes_on_when_there_is_room),
		RIG_TEST(settled_in_the_middle_of_a_train),
		RIG_TEST(holes_and_overlaps_and_lies_are_refused),
		RIG_TEST(message_that_never_completes_is_given_up),
		RIG_TEST(many_that_never_complete_cost_no_more_than_a_few),
		RIG_TEST(message_begun_anew_replaces_its_fragments),
		RIG_TEST(known_message_is_accepted_and_not_kept),
		RIG_TEST(message_that_completes_behind_the_window_makes_no_other_known),
		RIG_TEST(dead_letter_of_fragments_has_its_reason),
		RIG_TEST(deleted_queue_takes_its_fragments_along),
		RIG_TEST(message_larger_than_a_frame_is_fragmented),
		RIG_TEST(reply_larger_than_the_callers_frame_is_fragmented),
		RIG_TEST(header_block_larger_than_a_frame_is_a_dead_letter),
	};

	return cmocka_run_group_tests_name("queue-fragment", tests, NULL, NULL);
}
