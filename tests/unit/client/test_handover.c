/* SPDX-License-Identifier: Apache-2.0 */
/* Handovers: an input and its outputs in one step. */
#include "tests/unit/client/fixture.h"

#define NUMBER 0x1234567890abcdefu

struct stage {
	struct mr_queue *in;
	struct mr_queue *left;
	struct mr_queue *right;
	struct mr_consumer *k;
	struct mr_delivery d;
};

struct told {
	unsigned count;
	int error;
	uint64_t tag;
	char text[256];
};

static void on_settled(struct mr_client *c, uint64_t tag, int error, void *arg)
{
	struct told *t = arg;

	t->count++;
	t->error = error;
	t->tag = tag;
	snprintf(t->text, sizeof(t->text), "%s", error != 0 ? mr_error(c) : "");
}

static struct mr_queue *open_queue(
	struct fixture *f, const char *name, enum mr_promise_kind promise)
{
	struct mr_push_options options = {.promise = promise};
	struct mr_queue *q;

	assert_int_equal(mr_queue_open(f->client, name, &options, &q), 0);
	return q;
}

static void consume(struct fixture *f, struct stage *s, const char *name)
{
	struct mr_consume_options options = {.prefetch = 8, .manual = true};

	assert_int_equal(mr_consume(f->client, name, &options, NULL, NULL, &s->k), 0);
}

/* Opens the queues in, left and right, and pushes an input with number `id`. */
static void begin(struct fixture *f, struct stage *s, uint64_t id)
{
	const struct mr_push push = {.payload = "input", .bytes = 5, .publisher = NUMBER, .id = id};

	s->in = open_queue(f, "in", MR_EXACTLY_ONCE);
	s->left = open_queue(f, "left", MR_AT_LEAST_ONCE);
	s->right = open_queue(f, "right", MR_EXACTLY_ONCE);
	assert_int_equal(mr_push_with(s->in, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	consume(f, s, "in");
	assert_int_equal(mr_pull(s->k, &s->d, PATIENCE_MS), 0);
	assert_int_equal(s->d.id, id);
}

static uint32_t depth(struct fixture *f, const char *name)
{
	uint32_t count;

	bus_lock(&f->bus);
	count = fake_queue_depth(&f->bus, name);
	bus_unlock(&f->bus);
	return count;
}

static struct fake_queues counts(struct fixture *f)
{
	struct fake_queues copy;

	bus_lock(&f->bus);
	copy = f->bus.queues;
	bus_unlock(&f->bus);
	return copy;
}

/* Waits until the bus has received settlements. */
#define REACHES(f, field, wanted) PROCESS_UNTIL((f)->client, counts(f).field == (wanted))

static const struct mr_push a = {.payload = "a", .bytes = 1};
static const struct mr_push b = {.payload = "b", .bytes = 1};
static const struct mr_push c = {.payload = "c", .bytes = 1};

/* docs/protocol.md, Handing over. */
static uint64_t derived(const char *queue, unsigned place)
{
	const uint8_t number[8] = {0xef, 0xcd, 0xab, 0x90, 0x78, 0x56, 0x34, 0x12};
	const uint8_t last[2] = {(uint8_t)place, 0};
	uint64_t h = 0xcbf29ce484222325u;

	for (unsigned i = 0; i < 8; i++)
		h = (h ^ number[i]) * 0x100000001b3u;
	for (const char *at = queue; *at != '\0'; at++)
		h = (h ^ (uint8_t)*at) * 0x100000001b3u;
	for (unsigned i = 0; i < 2; i++)
		h = (h ^ last[i]) * 0x100000001b3u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return (h ^ h >> 32) | 1;
}

static void outputs_are_accepted_and_then_the_input_is_acked(void **state)
{
	struct fixture *f = *state;
	struct stage s;
	struct fake_queues n;

	begin(f, &s, 77);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}, {s.left, &c}};

	assert_int_equal(mr_settle_and_push(&s.d, outputs, 3, NULL), 0);
	assert_int_equal(depth(f, "left"), 2);
	assert_int_equal(depth(f, "right"), 1);
	REACHES(f, acked, 1);
	assert_int_equal(depth(f, "in"), 0);
	n = counts(f);
	/* Newest first: the two to one queue differ in their publishers. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(n.ids[i], 77);
	assert_int_equal(n.publishers[2], derived("in", 0));
	assert_int_equal(n.publishers[1], derived("in", 0));
	assert_int_equal(n.publishers[0], derived("in", 1));
	assert_int_equal(mr_ack(s.k, s.d.tag), -ENOENT);
	assert_int_equal(mr_queue_unaccepted(s.left), 0);
}

static void an_input_that_comes_again_has_its_outputs_once(void **state)
{
	struct fixture *f = *state;
	struct stage s;

	begin(f, &s, 5);
	const struct mr_output outputs[] = {{s.left, &a}, {s.left, &b}};

	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, NULL), 0);
	/* The same input again, as after a stage that died before its ack. */
	bus_lock(&f->bus);
	f->bus.queues.seen_queue[0] = 0;
	bus_unlock(&f->bus);
	assert_int_equal(
		mr_push_with(s.in,
			&(struct mr_push){.payload = "i", .bytes = 1, .publisher = NUMBER, .id = 5},
			NULL),
		0);
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, NULL), 0);
	assert_int_equal(depth(f, "left"), 2);
	assert_int_equal(counts(f).duplicates, 2);
	REACHES(f, acked, 2);
}

static void dead_letters_count_as_their_queue(void **state)
{
	struct fixture *f = *state;
	struct stage s;

	begin(f, &s, 5);
	const struct mr_output one = {s.left, &a};
	struct mr_queue *dead = open_queue(f, "in.dead", MR_EXACTLY_ONCE);

	assert_int_equal(mr_settle_and_push(&s.d, &one, 1, NULL), 0);
	assert_int_equal(
		mr_push_with(dead,
			&(struct mr_push){.payload = "i", .bytes = 1, .publisher = NUMBER, .id = 5},
			NULL),
		0);
	consume(f, &s, "in.dead");
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(mr_settle_and_push(&s.d, &one, 1, NULL), 0);
	assert_int_equal(depth(f, "left"), 1);
}

static void an_outcome_is_told_once_and_not_within_the_call(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &told), 0);
	REACHES(f, pushed, 3);
	assert_int_equal(told.count, 0);
	assert_int_equal(counts(f).acked, 0);
	/* The program cannot settle it meanwhile. */
	assert_int_equal(mr_ack(s.k, s.d.tag), -EALREADY);
	assert_int_equal(mr_nack(s.k, s.d.tag, true, 0), -EALREADY);
	assert_int_equal(
		mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &told), -EALREADY);
	assert_int_equal(mr_queue_unaccepted(s.left), 1);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, told.count == 1);
	assert_int_equal(told.error, -ENOTCONN);
	assert_int_equal(told.tag, s.d.tag);
	assert_non_null(strstr(told.text, "the input comes again"));
}

static void after_a_lost_connection_each_output_is_there_once(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 9);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}};

	bus_lock(&f->bus);
	f->bus.queues.forget_accepted = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &told), 0);
	REACHES(f, pushed, 3);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, told.count == 1);
	bus_lock(&f->bus);
	f->bus.queues.forget_accepted = false;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, mr_pull(s.k, &s.d, 20) == 0);
	assert_int_equal(s.d.redelivered, 1);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, NULL), 0);
	assert_int_equal(depth(f, "left"), 1);
	assert_int_equal(depth(f, "right"), 1);
	REACHES(f, acked, 1);
	assert_int_equal(told.count, 1);
}

static void refuse(struct fixture *f, unsigned count, uint32_t status)
{
	bus_lock(&f->bus);
	f->bus.queues.refuse = count;
	f->bus.queues.refuse_status = status;
	bus_unlock(&f->bus);
}

static void a_refused_output_lets_the_input_come_again(void **state)
{
	struct fixture *f = *state;
	struct mr_settle_options options = {.delay_ms = 1};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}};

	refuse(f, 1, MRF_STATUS_CODE_TOO_OLD);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, &options), -ESTALE);
	assert_non_null(strstr(mr_error(f->client), "output 0, queue left: "));
	REACHES(f, requeued, 1);
	assert_int_equal(counts(f).acked, 0);
	assert_int_equal(mr_ack(s.k, s.d.tag), -ENOENT);
	/* The failure is this call's alone. */
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, &options), 0);
	assert_int_equal(depth(f, "left"), 1);
	assert_int_equal(depth(f, "right"), 1);
}

static void a_refused_output_may_reject_the_input(void **state)
{
	struct fixture *f = *state;
	struct mr_settle_options options = {.when_refused = MR_REFUSED_REJECT};
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output one = {s.right, &b};

	refuse(f, 1, MRF_STATUS_CODE_BAD);
	assert_int_equal(mr_settle_and_push_async(&s.d, &one, 1, &options, on_settled, &told), 0);
	PROCESS_UNTIL(f->client, told.count == 1);
	assert_int_equal(told.error, -EINVAL);
	REACHES(f, rejected, 1);
}

static void outputs_not_accepted_in_time_are_adopted_by_the_next_delivery(void **state)
{
	struct fixture *f = *state;
	struct mr_settle_options options = {.delay_ms = 1, .timeout_ms = 20};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output one = {s.right, &b};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_settle_and_push(&s.d, &one, 1, &options), -ETIMEDOUT);
	REACHES(f, requeued, 1);
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(mr_settle_and_push(&s.d, &one, 1, &options), -ETIMEDOUT);
	assert_int_equal(counts(f).pushed, 2);
	assert_int_equal(mr_queue_unaccepted(s.right), 1);
}

static void nothing_is_pushed_unless_all_can_be(void **state)
{
	static const char large[MR_BODY_BYTES + 1];
	const struct mr_push too_large = {.payload = large, .bytes = sizeof(large)};
	const struct mr_push malformed = {.headers = "no block", .header_bytes = 8};
	const struct mr_push numbered = {.payload = "a", .bytes = 1, .id = 3};
	const struct mr_push *const bad[] = {&too_large, &malformed, &numbered, NULL};
	const int errors[] = {-EMSGSIZE, -EINVAL, -EINVAL, -EINVAL};
	struct fixture *f = *state;
	struct mr_output many[MR_OUTPUTS_MAX + 1];
	struct stage s;

	begin(f, &s, 1);
	for (unsigned i = 0; i < 4; i++) {
		const struct mr_output outputs[] = {{s.left, &a}, {s.right, bad[i]}};

		assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, NULL), errors[i]);
	}
	for (unsigned i = 0; i < MR_OUTPUTS_MAX + 1; i++)
		many[i] = (struct mr_output){s.left, &a};
	assert_int_equal(mr_settle_and_push(&s.d, many, MR_OUTPUTS_MAX + 1, NULL), -EINVAL);
	/* The bus allows 16 open pushes. */
	assert_int_equal(mr_settle_and_push(&s.d, many, 17, NULL), -E2BIG);
	assert_int_equal(counts(f).pushed, 1);
	assert_int_equal(mr_settle_and_push(&s.d, many, 16, NULL), 0);
	assert_int_equal(depth(f, "left"), 16);
}

static void a_full_window_takes_all_outputs_or_none(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output outputs[] = {{s.right, &a}, {s.left, &b}, {s.left, &c}};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(mr_push_with(s.left, &a, NULL), 0);
	assert_int_equal(
		mr_settle_and_push_async(&s.d, outputs, 3, NULL, on_settled, &told), -EAGAIN);
	assert_int_equal(mr_queue_unaccepted(s.right), 0);
	assert_int_equal(mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &told), 0);
	assert_int_equal(mr_queue_unaccepted(s.right), 1);
	assert_int_equal(told.count, 0);
}

static void an_input_without_number_needs_leave_to_be_doubled(void **state)
{
	struct mr_settle_options options = {.at_least_once = true};
	struct fixture *f = *state;
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}};

	assert_int_equal(mr_settle_and_push(&s.d, NULL, 0, NULL), 0);
	assert_int_equal(mr_push(open_queue(f, "in", MR_AT_LEAST_ONCE), "x", 1), 0);
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(s.d.publisher, 0);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, NULL), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "at_least_once"));
	assert_int_equal(depth(f, "left"), 0);
	assert_int_equal(mr_settle_and_push(&s.d, outputs, 2, &options), 0);
	assert_int_equal(depth(f, "left"), 1);
	assert_int_equal(depth(f, "right"), 1);
	REACHES(f, acked, 2);
}

static void a_consumer_that_settles_by_itself_is_refused(void **state)
{
	struct fixture *f = *state;
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output one = {s.left, &a};

	assert_int_equal(mr_nack(s.k, s.d.tag, true, 0), 0);
	assert_int_equal(mr_consumer_close(s.k), 0);
	assert_int_equal(mr_consume(f->client, "in", NULL, NULL, NULL, &s.k), 0);
	assert_int_equal(mr_pull(s.k, &s.d, PATIENCE_MS), 0);
	assert_int_equal(mr_settle_and_push(&s.d, &one, 1, NULL), -EINVAL);
	assert_int_equal(depth(f, "left"), 0);
}

static void without_outputs_it_acks(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	assert_int_equal(mr_settle_and_push_async(&s.d, NULL, 0, NULL, on_settled, &told), 0);
	assert_int_equal(told.count, 0);
	PROCESS_UNTIL(f->client, told.count == 1);
	assert_int_equal(told.error, 0);
	REACHES(f, acked, 1);
	assert_int_equal(mr_settle_and_push(&s.d, NULL, 0, NULL), -ENOENT);
}

static void an_input_taken_back_meanwhile_is_reported(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output one = {s.left, &a};

	refuse(f, 1000, MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(mr_settle_and_push_async(&s.d, &one, 1, NULL, on_settled, &told), 0);
	PROCESS_UNTIL(f->client, counts(f).pushed >= 2);
	bus_lock(&f->bus);
	fake_queue_recall(&f->bus, "in");
	f->bus.queues.refuse = 0;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, told.count == 1);
	assert_int_equal(told.error, -ENOENT);
	assert_non_null(strstr(told.text, "took the input back"));
	assert_int_equal(depth(f, "left"), 1);
	REACHES(f, released, 1);
	assert_int_equal(counts(f).acked, 0);
}

static void an_input_is_renewed_while_its_outputs_wait(void **state)
{
	struct fixture *f = *state;
	struct stage s;

	bus_lock(&f->bus);
	f->bus.queues.ack_timeout_ms = 40;
	bus_unlock(&f->bus);
	begin(f, &s, 1);
	const struct mr_output one = {s.left, &a};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_settle_and_push_async(&s.d, &one, 1, NULL, NULL, NULL), 0);
	PROCESS_UNTIL(f->client, counts(f).progressed >= 3);
}

static void closing_a_handle_ends_what_waits_for_it(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct stage s;

	begin(f, &s, 1);
	const struct mr_output outputs[] = {{s.left, &a}, {s.right, &b}};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &told), 0);
	mr_queue_close(s.left);
	assert_int_equal(told.count, 0);
	PROCESS_UNTIL(f->client, told.count == 1);
	assert_int_equal(told.error, -ENOENT);
	REACHES(f, requeued, 1);
}

static void on_own_push(struct mr_client *client, uint64_t id, int error, void *arg)
{
	(void)client;
	(void)id;
	assert_int_equal(error, 0);
	++*(unsigned *)arg;
}

static void the_handles_own_pushes_are_told_apart(void **state)
{
	struct fixture *f = *state;
	unsigned told = 0;
	struct mr_push_options options = {
		.promise = MR_EXACTLY_ONCE, .on_outcome = on_own_push, .arg = &told};
	struct told ended = {0};
	struct mr_push own = {.payload = "own", .bytes = 3, .id = 4};
	struct mr_queue *q;
	struct stage s;

	begin(f, &s, 4);
	assert_int_equal(mr_queue_open(f->client, "right", &options, &q), 0);
	const struct mr_output outputs[] = {{q, &a}, {q, &b}};

	mr_cork(f->client, true);
	assert_int_equal(mr_settle_and_push_async(&s.d, outputs, 2, NULL, on_settled, &ended), 0);
	assert_int_equal(mr_push_with(q, &own, NULL), 0);
	mr_cork(f->client, false);
	PROCESS_UNTIL(f->client, ended.count == 1 && told == 1);
	assert_int_equal(depth(f, "right"), 3);
	assert_int_equal(mr_queue_unaccepted(q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outputs_are_accepted_and_then_the_input_is_acked),
		TEST(an_input_that_comes_again_has_its_outputs_once),
		TEST(dead_letters_count_as_their_queue),
		TEST(an_outcome_is_told_once_and_not_within_the_call),
		TEST(after_a_lost_connection_each_output_is_there_once),
		TEST(a_refused_output_lets_the_input_come_again),
		TEST(a_refused_output_may_reject_the_input),
		TEST(outputs_not_accepted_in_time_are_adopted_by_the_next_delivery),
		TEST(nothing_is_pushed_unless_all_can_be),
		TEST(a_full_window_takes_all_outputs_or_none),
		TEST(an_input_without_number_needs_leave_to_be_doubled),
		TEST(a_consumer_that_settles_by_itself_is_refused),
		TEST(without_outputs_it_acks),
		TEST(an_input_taken_back_meanwhile_is_reported),
		TEST(an_input_is_renewed_while_its_outputs_wait),
		TEST(closing_a_handle_ends_what_waits_for_it),
		TEST(the_handles_own_pushes_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
