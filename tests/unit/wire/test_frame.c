/* SPDX-License-Identifier: Apache-2.0 */
/* The frame's header, and the window of its sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/wire/frame.h"

static enum mr_frame_fault parse(uint8_t version, uint8_t flags, uint16_t messages, size_t bytes)
{
	const struct mrf_frame_header h = {
		.version = version, .flags = flags, .messages = messages, .session = 7};
	struct mrf_frame_header out;

	return mr_frame_parse(&h, bytes, &out);
}

static void header_is_checked(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < 24; bytes++)
		assert_int_equal(parse(1, 0, 0, bytes), MR_FRAME_TRUNCATED);
	assert_int_equal(parse(1, 0, 0, 24), MR_FRAME_OK);
	assert_int_equal(parse(0, 0, 0, 24), MR_FRAME_VERSION_UNKNOWN);
	assert_int_equal(parse(2, 0, 0, 24), MR_FRAME_VERSION_UNKNOWN);
	for (unsigned bit = 2; bit < 8; bit++)
		assert_int_equal(parse(1, (uint8_t)(1u << bit), 0, 24), MR_FRAME_FLAGS_UNKNOWN);
	/* Without a sequence it is outside of the flows. */
	assert_int_equal(parse(1, MRF_FRAME_FLAG_RELIABLE, 0, 24), MR_FRAME_FLAGS_UNKNOWN);
	assert_int_equal(parse(1, MRF_FRAME_FLAG_ACK, 0, 24), MR_FRAME_OK);
	assert_int_equal(parse(1, 0, 1, 24), MR_FRAME_LENGTH);
	assert_int_equal(parse(1, 0, 0, 32), MR_FRAME_LENGTH);
	assert_int_equal(parse(1, 0, 1, 33), MR_FRAME_LENGTH);
	assert_int_equal(parse(1, 0, 1, 32), MR_FRAME_OK);
}

static void written_header_is_parsed(void **state)
{
	struct mrf_frame_header out;
	uint8_t at[32];

	(void)state;
	mr_frame_write(at, 0x0102030405060708, 9, 1);
	assert_int_equal(mr_frame_parse(at, sizeof(at), &out), MR_FRAME_OK);
	assert_int_equal(out.session, 0x0102030405060708);
	assert_int_equal(out.sequence, 9);
	assert_int_equal(out.messages, 1);
	assert_int_equal(out.flags, 0);
	mr_frame_write_ack(at, 77, 12);
	mr_frame_write_reliable(at);
	assert_int_equal(mr_frame_parse(at, sizeof(at), &out), MR_FRAME_OK);
	assert_int_equal(out.flags, MRF_FRAME_FLAG_RELIABLE | MRF_FRAME_FLAG_ACK);
	assert_int_equal(out.ack, 77);
	assert_int_equal(out.credit, 12);
}

struct step {
	uint32_t sequence;
	enum mr_frame_order order;
	int64_t lost;
};

static void take_all(struct mr_frame_window *w, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t lost = 99;

		assert_int_equal(mr_frame_take(w, steps[i].sequence, &lost), steps[i].order);
		assert_int_equal(lost, steps[i].lost);
	}
}

static void gaps_are_lost_until_they_fill(void **state)
{
	static const struct step steps[] = {{1, MR_FRAME_NEXT, 0}, {2, MR_FRAME_NEXT, 0},
		{2, MR_FRAME_DUPLICATE, 0}, {6, MR_FRAME_NEXT, 3}, {4, MR_FRAME_LATE, -1},
		{4, MR_FRAME_DUPLICATE, 0}, {3, MR_FRAME_LATE, -1}, {5, MR_FRAME_LATE, -1},
		{7, MR_FRAME_NEXT, 0}, {1, MR_FRAME_DUPLICATE, 0}, {0, MR_FRAME_DUPLICATE, 0}};
	struct mr_frame_window w = mr_frame_window_first();

	(void)state;
	take_all(&w, steps, MR_ARRAY_COUNT(steps));
}

/* The 64 up to the highest may be late; an older one cannot be told from a duplicate. */
static void window_is_64_frames(void **state)
{
	static const struct step steps[] = {{1, MR_FRAME_NEXT, 0}, {100, MR_FRAME_NEXT, 98},
		{37, MR_FRAME_LATE, -1}, {36, MR_FRAME_DUPLICATE, 0}, {163, MR_FRAME_NEXT, 62},
		{100, MR_FRAME_DUPLICATE, 0}, {99, MR_FRAME_DUPLICATE, 0}, {101, MR_FRAME_LATE, -1},
		{1000, MR_FRAME_NEXT, 836}, {999, MR_FRAME_LATE, -1}};
	struct mr_frame_window w = mr_frame_window_first();

	(void)state;
	take_all(&w, steps, MR_ARRAY_COUNT(steps));
}

static void window_goes_over_the_wrap(void **state)
{
	static const struct step steps[] = {{UINT32_MAX, MR_FRAME_NEXT, 0}, {2, MR_FRAME_NEXT, 2},
		{1, MR_FRAME_LATE, -1}, {0, MR_FRAME_LATE, -1}, {UINT32_MAX, MR_FRAME_DUPLICATE, 0},
		{UINT32_MAX - 1, MR_FRAME_DUPLICATE, 0}};
	struct mr_frame_window w = {.highest = UINT32_MAX - 1, .seen = UINT64_MAX};

	(void)state;
	take_all(&w, steps, MR_ARRAY_COUNT(steps));
}

/* The reference is a list of all received ones; the order jumps back and forth. */
static void window_agrees_with_a_plain_list(void **state)
{
	enum { FRAMES = 4096 };
	static bool came[FRAMES];
	struct mr_frame_window w = mr_frame_window_first();
	uint32_t highest = 0, random = 12345;
	int64_t lost_total = 0, taken = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t sequence;
		int64_t lost;
		bool fresh;

		random = random * 1103515245 + 12345;
		sequence = highest + 3 - (random >> 16) % 80;
		if (sequence >= FRAMES || sequence == 0)
			continue;
		fresh = !came[sequence] && sequence + 64 > highest;
		assert_int_equal(mr_frame_take(&w, sequence, &lost) != MR_FRAME_DUPLICATE, fresh);
		lost_total += lost;
		taken += fresh;
		came[sequence] |= fresh;
		if (sequence > highest)
			highest = sequence;
		assert_int_equal(lost_total, highest - taken);
	}
	assert_true(highest > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_checked),
		cmocka_unit_test(written_header_is_parsed),
		cmocka_unit_test(gaps_are_lost_until_they_fill),
		cmocka_unit_test(window_is_64_frames),
		cmocka_unit_test(window_goes_over_the_wrap),
		cmocka_unit_test(window_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
