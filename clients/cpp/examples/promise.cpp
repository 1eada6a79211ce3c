/* SPDX-License-Identifier: Apache-2.0 */
/* promise: publishes numbers exactly once, and receives them itself.
 *
 *   promise [-n COUNT] SUBJECT [ADDRESS]
 *   build/clients/cpp/example_promise -n 10000 example.promise
 *
 * Shows client::open_publisher() with a promise, publisher::send(), client::settle() and a
 * subscription with a promise. COUNT is 1000 by default. A program that must also be recognised
 * after a restart keeps count of its messages and sets next_id. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <millrace.hpp>

static void publish(millrace::client &c, const char *subject, unsigned long count)
{
	millrace::publisher_options options;

	options.promise = MR_EXACTLY_ONCE;
	options.publisher = "example-promise";
	auto publisher = c.open_publisher(subject, options);
	for (unsigned long i = 0; i < count; i++) {
		/* This client is its own subscriber: it must process to make room. */
		while (!publisher.send(std::to_string(i)))
			c.wait(std::chrono::milliseconds(10));
	}
	c.settle(std::chrono::seconds(5));
}

static unsigned long publish_and_count(
	millrace::client &c, const char *subject, unsigned long count)
{
	millrace::subscribe_options options;
	unsigned long came = 0;

	options.promise = MR_EXACTLY_ONCE;
	const auto subscription = c.subscribe(
		subject,
		[&](const millrace::message &m) { came += m.payload() == std::to_string(came); },
		options);
	publish(c, subject, count);
	while (came < count && c.wait(std::chrono::seconds(5)) > 0)
		continue;
	return came;
}

int main(int argc, char **argv)
{
	unsigned long count = 1000;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: promise [-n COUNT] SUBJECT [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "");
		const unsigned long came = publish_and_count(c, argv[at], count);

		std::printf("%lu of %lu came, in order\n", came, count);
		return came == count ? 0 : 1;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "promise: %s\n", e.what());
		return 1;
	}
}
