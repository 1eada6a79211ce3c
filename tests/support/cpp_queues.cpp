/* SPDX-License-Identifier: Apache-2.0 */
/* cpp_queues: shows on a bus at $MILLRACE_SERVER that clients/cpp/millrace.hpp has the options of
 * queues. Prints each behaviour that it has shown; exits 1 at the first fault. */
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <millrace.hpp>

#include "cpp_expect.hpp"

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

static millrace::consumer manual(millrace::client &c, const char *queue)
{
	millrace::consume_options options;

	options.manual = true;
	return c.consume(queue, options);
}

/* Pulls the next delivery, and acknowledges it. */
static std::string next(millrace::consumer &consumer)
{
	const auto d = consumer.pull(seconds(10));

	if (!d)
		return "nothing";
	std::string payload(d->payload());
	consumer.ack(*d);
	return payload;
}

static void a_delayed_message_comes_when_it_is_due_and_a_cancelled_one_never()
{
	millrace::client c("");
	auto q = c.open_queue("queues.later");
	millrace::push_message late("late"), never("never"), dated("dated");

	late.delay = milliseconds(200);
	never.delay = hours(1);
	never.ticket = q.ticket();
	dated.at = std::chrono::system_clock::now() + hours(1);
	dated.ticket = q.ticket();
	EXPECT(never.ticket != 0 && never.ticket != dated.ticket);
	const auto before = steady_clock::now();
	for (const auto *m : {&late, &never, &dated})
		EXPECT(q.push(*m).has_value());
	c.settle(seconds(5));
	EXPECT(c.cancel("queues.later", never.ticket) && c.cancel("queues.later", dated.ticket));
	EXPECT(!c.cancel("queues.later", never.ticket));
	EXPECT(thrown([&] { (void)c.cancel("queues.nowhere", 1); }) ==
		std::errc::no_such_file_or_directory);
	auto consumer = manual(c, "queues.later");
	EXPECT(next(consumer) == "late");
	EXPECT(steady_clock::now() - before >= milliseconds(200));
	EXPECT(!consumer.pull(milliseconds(50)));
}

static void a_schedule_repeats_until_it_is_cancelled()
{
	millrace::client c("");
	auto q = c.open_queue("queues.again");
	millrace::push_message tick("tick"), daily("daily");

	tick.every = milliseconds(100);
	tick.ticket = 7;
	daily.cron = "0 8 * * mon-fri";
	daily.ticket = 8;
	(void)q.push(tick);
	(void)q.push(daily);
	c.settle(seconds(5));
	auto consumer = manual(c, "queues.again");
	EXPECT(next(consumer) == "tick" && next(consumer) == "tick");
	EXPECT(c.cancel("queues.again", 7) && c.cancel("queues.again", 8));
	daily.cron = std::string("0 8 * * mon\0-fri", 16);
	EXPECT(q.try_push(daily) == -EINVAL);
}

static void messages_of_one_key_go_one_after_the_other()
{
	millrace::client c("");
	millrace::push_options options;
	millrace::push_message ann("ann 1"), ben("ben 1");

	options.queue.policy = MR_POLICY_KEY_SHARED;
	options.key_from = "header Customer";
	auto q = c.open_queue("queues.keys", options);
	options.key_from = "token 2";
	EXPECT(thrown([&] { (void)c.open_queue("queues.keys", options); }) ==
		std::errc::file_exists);
	const millrace::header_block customer =
		millrace::header_block().add("Customer", "customer ann");
	ann.key = "customer ann";
	ben.key = "customer ben";
	(void)q.push(ann);
	ann = millrace::push_message("ann 2");
	ann.headers = customer;
	(void)q.push(ann);
	(void)q.push(ben);
	c.settle(seconds(5));
	auto consumer = manual(c, "queues.keys");
	const auto two = consumer.pull_batch(2, seconds(10));
	EXPECT(two.size() == 2 && two[0].payload() == "ann 1" && two[1].payload() == "ben 1");
	EXPECT(two[0].message().header("Millrace-Key") == "customer ann");
	EXPECT(consumer.pull_batch(1, milliseconds(50)).empty());
	consumer.ack(two[0]);
	EXPECT(next(consumer) == "ann 2");
	consumer.ack(two[1]);
	ann.key = std::string("a\0b", 3);
	EXPECT(q.try_push(ann) == -EINVAL);
}

static void failed_attempts_come_back_later_and_end_as_dead_letters_with_the_reason()
{
	millrace::client c("");
	millrace::push_options options;
	millrace::consume_options same;

	options.queue.max_deliver = 2;
	options.retry.min_ms = 100;
	options.dead_letter = "queues.errors";
	auto q = c.open_queue("queues.retry", options);
	same.manual = true;
	same.retry.min_ms = 100;
	same.dead_letter = "queues.errors";
	auto consumer = c.consume("queues.retry", same);
	same.dead_letter = "none";
	EXPECT(thrown([&] { (void)c.consume("queues.retry", same); }) == std::errc::file_exists);
	q.push("mail");
	const auto first = consumer.pull(seconds(10));
	EXPECT(first && first->attempts() == 0 && first->number() != 0);
	consumer.nack(*first, true, milliseconds(0), "no host");
	const auto before = steady_clock::now();
	const auto second = consumer.pull(seconds(10));
	EXPECT(second && steady_clock::now() - before >= milliseconds(50));
	EXPECT(second->attempts() == 1);
	EXPECT(second->message().header("Millrace-Error") == "no host");
	consumer.nack(*second, true, milliseconds(0), "still no host");
	consumer.close();
	auto dead = manual(c, "queues.errors");
	const auto letter = dead.pull(seconds(10));
	EXPECT(letter && letter->payload() == "mail");
	EXPECT(letter->message().header("Millrace-Dead-Queue") == "queues.retry");
	EXPECT(letter->message().header("Millrace-Dead-Reason") == "max-deliver");
	EXPECT(letter->message().header("Millrace-Error") == "still no host");
	dead.ack(*letter);
}

static void levels_attempts_and_numbers_of_a_push_reach_the_consumer()
{
	millrace::client c("");
	millrace::push_options numbered;
	millrace::push_message low("low"), high("high");

	numbered.promise = MR_EXACTLY_ONCE;
	auto q = c.open_queue("queues.levels", numbered);
	low.priority = millrace::priority_level(0);
	high.priority = millrace::priority_level(9);
	high.attempts = 3;
	high.ttl = hours(1);
	high.id = 17;
	(void)q.push(low);
	EXPECT(q.push(high) == 17u);
	c.settle(seconds(5));
	auto consumer = manual(c, "queues.levels");
	const auto d = consumer.pull(seconds(10));
	EXPECT(d && d->payload() == "high" && d->level() == 9 && d->attempts() == 3);
	EXPECT(d->id() == 17 && d->publisher() != 0);
	consumer.ack(*d);
	EXPECT(next(consumer) == "low");
}

static void a_batch_waits_for_its_number_or_its_time()
{
	millrace::client c("");
	auto q = c.open_queue("queues.batch");
	auto consumer = manual(c, "queues.batch");

	EXPECT(consumer.pull_batch(3, milliseconds(10)).empty());
	for (const char *payload : {"1", "2", "3", "4"})
		q.push(payload);
	const auto three = consumer.pull_batch(3, seconds(10));
	EXPECT(three.size() == 3 && three[2].payload() == "3");
	for (const auto &d : three)
		consumer.ack(d);
	const auto one = consumer.pull_batch(3, milliseconds(500));
	EXPECT(one.size() == 1 && one[0].payload() == "4");
	consumer.ack(one[0]);
	consumer.close();
	auto automatic = c.consume("queues.batch");
	EXPECT(thrown([&] { automatic.pull_batch(1); }) == std::errc::invalid_argument);
}

static void a_function_may_take_longer_than_the_time_out_of_the_queue()
{
	millrace::client c(""), another("");
	millrace::consume_options options;
	millrace::consumer second;
	unsigned came = 0, elsewhere = 0;
	const auto takes = [&](millrace::consumer_ref, const millrace::delivery &) { elsewhere++; };

	options.queue.ack_timeout_ms = 500;
	options.auto_renew = true;
	options.renew_max = seconds(20);
	const auto first = c.consume(
		"queues.long",
		[&](millrace::consumer_ref, const millrace::delivery &) {
			came++;
			second = another.consume("queues.long", takes);
			/* The consumer's client is not processed for that long. */
			for (const auto until = steady_clock::now() + milliseconds(1200);
				steady_clock::now() < until;)
				another.wait(milliseconds(50));
		},
		options);
	auto q = c.open_queue("queues.long");
	q.push("work");
	wait_until(c, [&] { return came > 0; });
	EXPECT(came == 1 && elsewhere == 0);
}

static void outputs_are_pushed_without_waiting()
{
	millrace::client c("");
	auto in = c.open_queue("queues.stage"), out = c.open_queue("queues.stage.out");
	millrace::push_message bill("bill");
	std::error_code outcome = std::make_error_code(std::errc::operation_in_progress);
	mr_settle_options options{};

	bill.key = "customer 17";
	in.push("order");
	auto consumer = manual(c, "queues.stage");
	const auto d = consumer.pull(seconds(10));
	EXPECT(d.has_value());
	const auto told = [&](std::error_code error) { outcome = error; };
	EXPECT(thrown([&] {
		(void)consumer.settle_and_push_async(*d, {{out, bill}}, told);
	}) == std::errc::invalid_argument); /* it was not pushed exactly once */
	options.at_least_once = true;
	EXPECT(consumer.settle_and_push_async(*d, {{out, bill}}, told, options));
	wait_until(c, [&] { return !outcome; });
	auto bills = manual(c, "queues.stage.out");
	const auto made = bills.pull(seconds(10));
	EXPECT(made && made->payload() == "bill");
	EXPECT(made->message().header("Millrace-Key") == "customer 17");
	bills.ack(*made);
}

int main()
{
#define SHOW(behaviour) (behaviour(), std::puts(#behaviour))
	SHOW(a_delayed_message_comes_when_it_is_due_and_a_cancelled_one_never);
	SHOW(a_schedule_repeats_until_it_is_cancelled);
	SHOW(messages_of_one_key_go_one_after_the_other);
	SHOW(failed_attempts_come_back_later_and_end_as_dead_letters_with_the_reason);
	SHOW(levels_attempts_and_numbers_of_a_push_reach_the_consumer);
	SHOW(a_batch_waits_for_its_number_or_its_time);
	SHOW(a_function_may_take_longer_than_the_time_out_of_the_queue);
	SHOW(outputs_are_pushed_without_waiting);
	return 0;
}
