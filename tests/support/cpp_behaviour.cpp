/* SPDX-License-Identifier: Apache-2.0 */
/* cpp_behaviour: shows on a bus at $MILLRACE_SERVER what clients/cpp/millrace.hpp adds to the
 * library: ownership, exceptions, names. Prints each behaviour that it has shown; exits 1 at the
 * first fault. */
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <millrace.hpp>

using std::chrono::seconds;

#define EXPECT(condition) expect(condition, #condition, __LINE__)

static void expect(bool holds, const char *condition, int line)
{
	if (holds)
		return;
	std::printf("line %d: not so: %s\n", line, condition);
	std::exit(1);
}

/* Returns the error code that a call throws; no error if it throws none. */
template <class F> static std::error_code thrown(F &&call)
{
	try {
		call();
	} catch (const std::system_error &e) {
		return e.code();
	}
	return {};
}

template <class F> static void wait_until(millrace::client &c, F &&holds)
{
	for (int i = 0; i < 1000; i++) {
		if (holds())
			return;
		c.wait(std::chrono::milliseconds(20));
	}
	EXPECT(!"waited in vain");
}

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

int main()
{
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
	return 0;
}
