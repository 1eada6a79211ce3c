/* SPDX-License-Identifier: Apache-2.0 */
/* cpp_behaviour: shows on a bus at $MILLRACE_SERVER what clients/cpp/millrace.hpp adds to the
 * library: ownership, exceptions, names. Prints each behaviour that it has shown; exits 1 at the
 * first fault. The bus shows senders.
 *
 * cpp_behaviour away: shows the publishes of clients whose bus goes. Prints "connected" and waits
 * for the end of the bus; prints "away" and waits until there is a bus again. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace.hpp>

#include "cpp_expect.hpp"

using std::chrono::seconds;

static void a_closed_client_fails_and_does_not_crash()
{
	millrace::client none;

	EXPECT(!none && !none.connected() && none.native() == nullptr);
	EXPECT(thrown([&] { none.publish("a", "b"); }) == std::errc::bad_file_descriptor);
	EXPECT(none.try_wait() == -EBADF);
	EXPECT(none.try_close() == 0);
}

static void a_refused_connection_is_an_exception()
{
	EXPECT(thrown([] { millrace::client c("nonsense"); }) == std::errc::invalid_argument);
	EXPECT(thrown([] { millrace::client c("shm:/nowhere/attach.sock"); }) ==
		std::errc::connection_refused);
}

static void handles_outlive_their_client()
{
	millrace::subscription s;
	millrace::publisher p;
	millrace::queue q;
	millrace::consumer consumer;
	{
		millrace::client c("");

		s = c.subscribe("cpp.a", [](const millrace::message &) {});
		p = c.open_publisher("cpp.a");
		q = c.open_queue("cpp.q");
		consumer = c.consume("cpp.q");
		EXPECT(s && p && q && consumer);
	}
	EXPECT(!s && !p && !q && !consumer);
	EXPECT(p.try_send("x") == -EBADF);
	EXPECT(thrown([&] { q.push("x"); }) == std::errc::bad_file_descriptor);
	EXPECT(s.count() == 0 && s.try_close() == 0);
}

static void moved_handles_go_on()
{
	millrace::client first("");
	unsigned count = 0;
	auto one = first.subscribe("cpp.moved", [&](const millrace::message &) { count++; });
	auto two = std::move(one);
	millrace::client c = std::move(first);

	EXPECT(!one && two && !first);
	c.publish("cpp.moved", "x");
	wait_until(c, [&] { return count == 1; });
	two = millrace::subscription();
	c.publish("cpp.moved", "y");
	c.drain(seconds(5));
	c.wait(std::chrono::milliseconds(50));
	EXPECT(count == 1);
}

static void an_exception_of_a_callback_comes_out_of_the_call_that_processes()
{
	millrace::client c("");
	unsigned count = 0;
	const auto s = c.subscribe("cpp.throws", [&](const millrace::message &) {
		count++;
		throw std::runtime_error("from the callback");
	});
	bool came = false;

	c.publish("cpp.throws", "1");
	c.publish("cpp.throws", "2");
	for (int i = 0; i < 1000 && !came; i++) {
		try {
			c.wait(std::chrono::milliseconds(20));
		} catch (const std::runtime_error &e) {
			came = std::string_view(e.what()) == "from the callback";
		}
	}
	EXPECT(came);
	/* The connection is as good as before, and try_ keeps the exception. */
	while (count < 2)
		EXPECT(c.try_wait(seconds(5)) >= 0);
	c.publish("cpp.throws", "3");
	while (count < 3)
		EXPECT(c.try_wait(seconds(5)) >= 0);
	EXPECT(([&] {
		try {
			c.rethrow();
		} catch (const std::runtime_error &) {
			return true;
		}
		return false;
	})());
	c.rethrow();
}

static void a_subscription_may_be_closed_in_its_own_callback()
{
	millrace::client c("");
	std::string seen(1000, 'x'); /* captured by value below: freed too early, it would show */
	millrace::subscription s;
	unsigned count = 0;

	s = c.subscribe("cpp.once", [&count, &s, seen](const millrace::message &) {
		s.close();
		count += seen == std::string(1000, 'x');
	});
	for (int i = 0; i < 3; i++)
		c.publish("cpp.once", "x");
	wait_until(c, [&] { return count == 1; });
	EXPECT(!s);
}

static void a_client_cannot_be_closed_within_a_callback()
{
	millrace::client c("");
	int result = 0;
	const auto s = c.subscribe(
		"cpp.close", [&](const millrace::message &) { result = c.try_close(); });

	c.publish("cpp.close", "x");
	wait_until(c, [&] { return result != 0; });
	EXPECT(result == -EDEADLK && c.connected());
}

static void names_that_are_cut_are_refused()
{
	millrace::client c("");
	using namespace std::string_view_literals;

	EXPECT(c.try_publish("a\0b"sv, "x") == -EINVAL);
	EXPECT(c.try_publish(std::string(256, 'a'), "x") == -EINVAL);
	EXPECT(c.try_publish(std::string(255, 'a'), "x") == 0);
	EXPECT(thrown([] { millrace::header_block().add("a b", "x"); }) ==
		std::errc::invalid_argument);
	EXPECT(thrown([] { millrace::header_block().add("a", std::string("x\0y", 3)); }) ==
		std::errc::invalid_argument);
	EXPECT(std::string_view(millrace::header_block().add("a", "1").add("b", "2")) ==
		"NATS/1.0\r\na: 1\r\nb: 2\r\n\r\n");
}

static void requests_and_calls_answer_later()
{
	millrace::client c("");
	const auto s = c.subscribe(
		"cpp.echo", [&](const millrace::message &m) { c.reply(m, m.payload()); });
	const auto worker =
		c.serve("cpp.echo", [](millrace::service_ref w, const millrace::delivery &d, bool) {
			EXPECT(w.respond_part(d.tag(), "part"));
			w.respond(d.tag(), d.payload());
		});
	std::string answers;

	c.request_async("cpp.echo", "one", [&](const millrace::message *m, std::error_code error) {
		EXPECT(!error);
		answers += m->payload();
	});
	wait_until(c, [&] { return answers == "one"; });
	c.call_async("cpp.echo", "two",
		[&](const millrace::message *m, bool more, std::error_code error) {
			EXPECT(!error);
			answers += m->payload();
			answers += more ? "," : ".";
		});
	wait_until(c, [&] { return answers == "onepart,two."; });
	c.request_async("cpp.nobody", "", [&](const millrace::message *m, std::error_code error) {
		EXPECT(m == nullptr && error == std::errc::host_unreachable);
		answers += "!";
	});
	wait_until(c, [&] { return answers == "onepart,two.!"; });
}

static void a_consumer_settles_within_its_function()
{
	millrace::client c("");
	millrace::consume_options options;
	std::string came;

	options.manual = true;
	auto q = c.open_queue("cpp.settle");
	const auto consumer = c.consume(
		"cpp.settle",
		[&](millrace::consumer_ref self, const millrace::delivery &d) {
			came += d.redelivered() > 0 ? "again " : "first ";
			if (d.redelivered() == 0)
				self.nack(d, true);
			else
				self.ack(d);
		},
		options);
	q.push("x");
	wait_until(c, [&] { return came == "first again "; });
	c.settle(seconds(5));
}

static void a_stream_sends_parts()
{
	millrace::client c("");
	millrace::serve_options options;
	std::string came, answer;

	options.on_part = [&](millrace::service_ref w, std::uint64_t tag,
				  const millrace::message &m, bool more) {
		came += m.payload();
		if (!more)
			w.respond(tag, came);
	};
	const auto worker = c.serve(
		"cpp.parts",
		[&](millrace::service_ref, const millrace::delivery &d, bool more) {
			EXPECT(more);
			came = d.payload();
		},
		options);
	auto stream = c.open_stream(
		"cpp.parts", "a", [&](const millrace::message *m, bool, std::error_code error) {
			EXPECT(!error);
			answer = m->payload();
		});
	wait_until(c, [&] { return stream.send("b", true); });
	wait_until(c, [&] { return stream.send("c", false); });
	wait_until(c, [&] { return answer == "abc"; });
}

static void another_thread_wakes_a_client_and_posts_functions_in_order()
{
	millrace::client c("");
	std::string came;
	std::thread other([&] {
		for (char letter = 'a'; letter <= 'e'; letter++)
			c.post([&came, letter] { came += letter; });
		c.post([] { throw std::runtime_error("posted"); });
	});
	bool threw = false;

	other.join();
	for (int i = 0; i < 1000 && !threw; i++) {
		try {
			c.wait(seconds(1));
		} catch (const std::runtime_error &e) {
			threw = std::string_view(e.what()) == "posted";
		}
	}
	EXPECT(threw && came == "abcde");
	std::thread waker([&] { c.wake(); });
	EXPECT(c.wait() == 0); /* without limit: the wake-up ends it */
	waker.join();
	for (int i = 0; i < 1024; i++)
		c.post([] {});
	EXPECT(thrown([&] { c.post([] {}); }) == std::errc::resource_unavailable_try_again);
	EXPECT(c.process() == 1024);
	c.post([] {}); /* dropped with the client, and freed */
}

static void a_timer_runs_stops_and_may_close_itself()
{
	millrace::client c("");
	unsigned once = 0, often = 0;
	millrace::timer self;
	auto timer = c.open_timer([&] { often++; });

	self = c.open_timer([&] {
		once++;
		self.close();
	});
	self.start(std::chrono::milliseconds(1), std::chrono::milliseconds(1));
	timer.start(std::chrono::milliseconds(0), std::chrono::milliseconds(1));
	wait_until(c, [&] { return often >= 3 && once == 1; });
	EXPECT(!self);
	timer.stop();
	often = 0;
	c.wait(std::chrono::milliseconds(20));
	EXPECT(often == 0 && once == 1);
	c.close();
	EXPECT(timer.try_start(seconds(1)) == -EBADF);
}

static void a_subscription_ends_after_a_number_of_messages()
{
	millrace::client c("");
	unsigned count = 0, ends = 0;
	auto s = c.subscribe("cpp.after", [&](const millrace::message &) { count++; });

	EXPECT(s.pattern() == "cpp.after" && !s.ended());
	s.on_end([&] {
		ends++;
		s.close();
	});
	s.unsubscribe_after(5);
	s.unsubscribe_after(3);
	for (int i = 0; i < 10; i++)
		c.publish("cpp.after", "x");
	wait_until(c, [&] { return ends == 1; });
	EXPECT(count == 3 && !s && s.ended());
}

static void draining_hands_out_what_has_come()
{
	millrace::client c("");
	unsigned one = 0, two = 0;
	auto first = c.subscribe("cpp.drain.1", [&](const millrace::message &) { one++; });
	auto second = c.subscribe("cpp.drain.2", [&](const millrace::message &) { two++; });

	for (int i = 0; i < 100; i++) {
		c.publish("cpp.drain.1", "x");
		c.publish("cpp.drain.2", "x");
	}
	c.drain(seconds(5)); /* hands nothing out */
	EXPECT(one == 0);
	first.drain();
	wait_until(c, [&] { return first.ended(); });
	EXPECT(one == 100 && !second.ended());
	c.finish(seconds(5));
	EXPECT(two == 100 && second.ended() && c.connected());
}

static void headers_are_formatted_and_listed_and_copies_live_on()
{
	std::optional<millrace::message_copy> kept;
	{
		millrace::client c("");
		const auto s = c.subscribe(
			"cpp.headers", [&](const millrace::message &m) { kept.emplace(m); });
		const auto block =
			millrace::header_block().addf("n", "%d of %s", 3, "x").add("N", "4");

		c.publish("cpp.headers", "payload", block);
		wait_until(c, [&] { return kept.has_value(); });
		EXPECT(thrown([] { millrace::header_block().addf("a", "x\ny"); }) ==
			std::errc::invalid_argument);
	}
	std::string all;

	kept->view().each_header([&](std::string_view name, std::string_view value) {
		all.append(name).append("=").append(value).append(";");
	});
	EXPECT(all == "n=3 of x;N=4;" && kept->view().header("N") == "3 of x");
	EXPECT(!kept->view().header("other") && kept->view().payload() == "payload");
}

static void events_of_the_library_go_to_the_log_function()
{
	millrace::client c("");
	std::vector<mr_event> events;

	c.on_log(MR_SEVERITY_WARNING, [&](mr_severity, mr_event event, std::string_view text) {
		EXPECT(!text.empty());
		events.push_back(event);
	});
	/* A reply that nobody waits for any more. */
	std::vector<millrace::message_copy> asked;
	const auto s =
		c.subscribe("cpp.log", [&](const millrace::message &m) { asked.emplace_back(m); });
	EXPECT(thrown([&] { c.request("cpp.log", "", std::chrono::milliseconds(20)); }) ==
		std::errc::timed_out);
	c.reply(asked.at(0).view(), "late");
	wait_until(c, [&] { return !events.empty(); });
	EXPECT(events.at(0) == MR_EVENT_UNMATCHED);
	c.on_log(MR_SEVERITY_WARNING, {});
}

static void batches_claims_and_requests_go_through_a_publisher()
{
	millrace::client c("");
	std::string came;
	unsigned answers = 0;
	const auto s = c.subscribe("cpp.batch", [&](const millrace::message &m) {
		came += m.payload();
		if (m.wants_reply())
			c.reply(m, "yes");
	});
	auto p = c.open_publisher("cpp.batch");
	const mr_buffer payloads[] = {{"a", 1}, {"b", 1}, {"c", 1}};
	void *first = nullptr;
	std::size_t stride = 0;

	EXPECT(p.send_batch(payloads, 3) == 3);
	const unsigned count = p.claim_batch(1, 2, first, stride);
	EXPECT(count == 2);
	for (unsigned i = 0; i < count; i++)
		static_cast<char *>(first)[i * stride] = static_cast<char>('d' + i);
	p.commit_batch(count);
	EXPECT(p.request("f", [&](const millrace::message *m, std::error_code error) {
		EXPECT(!error && m->payload() == "yes");
		answers++;
	}));
	wait_until(c, [&] { return answers == 1; });
	EXPECT(came == "abcdef");
	EXPECT(c.body_bytes_max("cpp.batch") > 0 && c.message_bytes_max() >= c.body_bytes_max());
	EXPECT(c.ping(seconds(5)).round.count() > 0);
}

static void administration_lists_purges_and_moves_dead_letters_back()
{
	millrace::client c("");
	millrace::admin bus;
	auto q = c.open_queue("cpp.admin");
	unsigned found = 0;

	q.push("one");
	{
		millrace::consume_options options;

		options.manual = true;
		auto consumer = c.consume("cpp.admin", options);
		const auto d = consumer.pull(seconds(10));

		EXPECT(d.has_value());
		consumer.nack(*d, false);
		c.finish(seconds(5));
	}
	std::string dead;
	for (int i = 0; i < 1000 && dead.empty(); i++) {
		bus.dead_letters("cpp.admin", 10, [&](const mr_admin_dead_letter &letter) {
			dead.assign(
				static_cast<const char *>(letter.payload), letter.payload_bytes);
		});
		c.wait(std::chrono::milliseconds(5));
	}
	EXPECT(dead == "one");
	EXPECT(bus.redrive("cpp.admin") == 1);
	wait_until(c, [&] {
		std::uint64_t ready = 0;

		bus.queues([&](const mr_admin_queue &row) {
			if (std::string_view(row.name) == "cpp.admin")
				ready = row.ready;
		});
		return ready == 1;
	});
	EXPECT(bus.purge("cpp.admin") == 1);
	mr_queue_options limits{};
	limits.messages_max = 1;
	bus.edit_queue("cpp.admin", MR_ADMIN_MESSAGES_MAX, limits);
	mr_admin_options more{};
	more.retry.min_ms = 100;
	more.dead_letter = "none";
	bus.edit_queue("cpp.admin", MR_ADMIN_RETRY_MIN | MR_ADMIN_DEAD_LETTER, more);
	EXPECT(thrown([&] { bus.edit_service("cpp.admin", MR_ADMIN_MESSAGES_MAX, limits); }) ==
		std::errc::no_such_file_or_directory);
	EXPECT(thrown([&] { bus.purge("cpp.nowhere"); }) == std::errc::no_such_file_or_directory);
	bus.clients([&](const mr_admin_client &row) { found += row.session == c.stats().session; });
	EXPECT(found == 1);
	EXPECT(bus.workers([](const mr_admin_worker &) {}) >= 1);
	EXPECT(bus.counters([](const mr_admin_counter &) {}) > 10);
	bool threw = false;
	try {
		bus.counters([](const mr_admin_counter &) { throw std::runtime_error("row"); });
	} catch (const std::runtime_error &) {
		threw = true;
	}
	EXPECT(threw);
}

static void outputs_are_pushed_with_the_ack_of_their_input()
{
	millrace::client c("");
	millrace::push_options numbered;
	millrace::consume_options options;

	numbered.promise = MR_EXACTLY_ONCE;
	options.manual = true;
	auto in = c.open_queue("cpp.stage", numbered);
	auto left = c.open_queue("cpp.stage.left"), right = c.open_queue("cpp.stage.right");

	in.push("order");
	auto consumer = c.consume("cpp.stage", options);
	const auto d = consumer.pull(seconds(10));
	EXPECT(d.has_value());
	struct mr_push bill {
	}, parcel{}, numbered_push{};
	bill.payload = "bill";
	bill.bytes = 4;
	parcel.payload = "parcel";
	parcel.bytes = 6;
	numbered_push.id = 7;
	EXPECT(thrown([&] {
		consumer.settle_and_push(*d, {{left, numbered_push}});
	}) == std::errc::invalid_argument);
	consumer.settle_and_push(*d, {{left, bill}, {right, parcel}});
	EXPECT(c.consume("cpp.stage.left").pull(seconds(10))->payload() == "bill");
	EXPECT(c.consume("cpp.stage.right").pull(seconds(10))->payload() == "parcel");
	EXPECT(thrown([&] { consumer.ack(*d); }) == std::errc::no_such_file_or_directory);
}

static void a_request_gathers_the_replies_of_several_responders()
{
	millrace::client c("");
	const auto answer = [&](const millrace::message &m) {
		c.reply(m, m.header("n").value_or("none"));
	};
	const auto one = c.subscribe("cpp.many", answer), two = c.subscribe("cpp.many", answer);
	const auto block = millrace::header_block().add("n", "7");
	millrace::request_many_options options;
	std::string came;
	unsigned ends = 0;

	options.replies_max = 2;
	options.timeout = seconds(30);
	options.headers = block;
	const auto add = [&](const millrace::message *m, std::error_code error) {
		EXPECT(!error);
		if (m == nullptr)
			ends++;
		else
			came += m->payload();
	};
	EXPECT(c.request_many("cpp.many", "", add, options) == 2);
	EXPECT(came == "77" && ends == 0);
	c.request_many_async("cpp.many", "", add, options);
	wait_until(c, [&] { return ends == 1; });
	EXPECT(came == "7777");
	EXPECT(thrown([&] { c.request_many("cpp.many.none", "", add, options); }) ==
		std::errc::host_unreachable);
}

static void messages_say_when_the_bus_took_them_if_asked()
{
	millrace::client c("");
	millrace::subscribe_options asks;
	std::chrono::nanoseconds asked{0}, other{1};
	const auto before = std::chrono::system_clock::now().time_since_epoch();

	asks.time = true;
	const auto one = c.subscribe(
		"cpp.time", [&](const millrace::message &m) { asked = m.time(); }, asks);
	const auto two = c.subscribe("cpp.time", [&](const millrace::message &m) {
		other = m.time();
		EXPECT(m.sender() == 0 && m.sender_name().empty());
	});
	c.publish("cpp.time", "x");
	wait_until(c, [&] { return asked.count() != 0 && other.count() != 1; });
	EXPECT(asked > before - seconds(1) && asked < before + seconds(60) && other.count() == 0);
}

static void messages_name_their_sender_if_asked()
{
	millrace::connect_options named;
	named.name = "teller";
	millrace::client teller("", named), c("");
	millrace::subscribe_options asks;
	std::uint64_t sender = 0;
	std::string name;

	asks.sender = true;
	const auto s = c.subscribe(
		"cpp.sender",
		[&](const millrace::message &m) {
			sender = m.sender();
			name = m.sender_name();
			EXPECT(m.time().count() == 0);
			const millrace::message_copy copy(m);
			EXPECT(copy.view().sender() == sender && copy.view().sender_name() == name);
		},
		asks);
	teller.publish("cpp.sender", "x", millrace::header_block().add("a", "b"));
	wait_until(c, [&] { return sender != 0; });
	EXPECT(sender == teller.stats().session && name == "teller");
}

static void a_batch_function_gets_many_messages_at_a_time()
{
	millrace::client c("");
	millrace::subscribe_options asks;
	std::vector<std::string> texts;
	unsigned most = 0;

	asks.time = true;
	const auto s = c.subscribe_batch(
		"cpp.batch",
		[&](const millrace::message_batch &batch) {
			most = batch.size() > most ? batch.size() : most;
			for (unsigned i = 0; i < batch.size(); i++) {
				EXPECT(batch[i].subject() == "cpp.batch");
				EXPECT(batch[i].header("n") == batch[i].payload());
				EXPECT(batch[i].time().count() > 0);
				texts.emplace_back(batch[i].payload());
			}
		},
		asks);
	c.cork(true);
	for (int i = 100; i < 200; i++) {
		const std::string text = std::to_string(i);

		c.publish("cpp.batch", text, millrace::header_block().add("n", text));
	}
	c.cork(false);
	wait_until(c, [&] { return texts.size() == 100; });
	EXPECT(texts.front() == "100" && texts.back() == "199" && most > 1);
	millrace::subscription none;
	EXPECT(c.try_subscribe_batch(none, "cpp.batch", {}) == -EINVAL);
}

static void the_version_of_the_library_is_that_of_the_header()
{
	millrace::check_version();
	EXPECT(millrace::version() == std::string_view(mr_version()));
}

static void the_next_of_several_addresses_is_tried()
{
	const char *address = std::getenv("MILLRACE_SERVER");
	millrace::client c(std::string("shm:/nowhere/attach.sock,") + address);

	EXPECT(c.connected());
}

/* A client whose bus goes and comes, and what it was told. */
struct visitor {
	std::vector<std::pair<bool, std::error_code>> told;
	millrace::client c;

	visitor(mr_when_away when_away, std::chrono::milliseconds patience)
	{
		millrace::connect_options options;

		options.when_away = when_away;
		options.away_bytes_max = 10000;
		options.request_timeout = patience;
		options.on_state = [this](bool connected, std::error_code error) {
			told.emplace_back(connected, error);
		};
		EXPECT(c.try_connect("", options) == 0);
	}
	int publish(unsigned messages)
	{
		int result = 0;

		for (unsigned i = 0; i < messages && result == 0; i++)
			result = c.try_publish("cpp.away", std::string(1000, 'x'));
		return result;
	}
};

static void say(const char *what)
{
	std::puts(what);
	std::fflush(stdout);
}

static int show_away()
{
	using std::chrono::milliseconds;
	visitor fails(MR_AWAY_FAIL, seconds(20)), drops(MR_AWAY_DROP_OLDEST, seconds(20));
	visitor keeps(MR_AWAY_KEEP, seconds(20)), waits(MR_AWAY_WAIT, milliseconds(200));
	visitor *all[] = {&fails, &drops, &keeps, &waits};

	say("connected");
	for (visitor *v : all)
		wait_until(v->c, [&] { return !v->c.connected(); });
	EXPECT(thrown([&] { fails.c.publish("cpp.away", "x"); }) == std::errc::not_connected);
	EXPECT(fails.c.stats().kept == 0 && fails.c.stats().lost == 0);
	EXPECT(drops.publish(100) == 0);
	EXPECT(drops.c.stats().kept > 0 && drops.c.stats().kept < 10);
	EXPECT(drops.c.stats().kept + drops.c.stats().lost == 100);
	EXPECT(keeps.publish(100) == -ENOTCONN);
	EXPECT(keeps.c.stats().kept > 0 && keeps.c.stats().kept < 10 && keeps.c.stats().lost == 0);
	const auto before = std::chrono::steady_clock::now();
	EXPECT(waits.publish(1) == 0 && waits.c.stats().kept == 1);
	EXPECT(std::chrono::steady_clock::now() - before >= milliseconds(200));
	say("away");
	for (visitor *v : all) {
		wait_until(v->c, [&] { return v->c.connected() && v->c.stats().kept == 0; });
		EXPECT(v->told.size() >= 2 && !v->told.front().first && v->told.back().first);
		EXPECT(v->told.front().second == std::errc::not_connected &&
			!v->told.back().second);
	}
	say("back");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && std::strcmp(argv[1], "away") == 0)
		return show_away();
#define SHOW(behaviour) (behaviour(), std::puts(#behaviour))
	SHOW(a_closed_client_fails_and_does_not_crash);
	SHOW(a_refused_connection_is_an_exception);
	SHOW(handles_outlive_their_client);
	SHOW(moved_handles_go_on);
	SHOW(an_exception_of_a_callback_comes_out_of_the_call_that_processes);
	SHOW(a_subscription_may_be_closed_in_its_own_callback);
	SHOW(a_client_cannot_be_closed_within_a_callback);
	SHOW(names_that_are_cut_are_refused);
	SHOW(requests_and_calls_answer_later);
	SHOW(a_consumer_settles_within_its_function);
	SHOW(a_stream_sends_parts);
	SHOW(another_thread_wakes_a_client_and_posts_functions_in_order);
	SHOW(a_timer_runs_stops_and_may_close_itself);
	SHOW(a_subscription_ends_after_a_number_of_messages);
	SHOW(draining_hands_out_what_has_come);
	SHOW(headers_are_formatted_and_listed_and_copies_live_on);
	SHOW(events_of_the_library_go_to_the_log_function);
	SHOW(batches_claims_and_requests_go_through_a_publisher);
	SHOW(outputs_are_pushed_with_the_ack_of_their_input);
	SHOW(administration_lists_purges_and_moves_dead_letters_back);
	SHOW(a_request_gathers_the_replies_of_several_responders);
	SHOW(messages_say_when_the_bus_took_them_if_asked);
	SHOW(messages_name_their_sender_if_asked);
	SHOW(a_batch_function_gets_many_messages_at_a_time);
	SHOW(the_version_of_the_library_is_that_of_the_header);
	SHOW(the_next_of_several_addresses_is_tried);
	return 0;
}
