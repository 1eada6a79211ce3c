/* SPDX-License-Identifier: Apache-2.0 */
/* remind: work for later: after a time, at a time of day, again and again; and how to cancel it.
 *
 *   remind [-n COUNT] QUEUE TEXT [ADDRESS]
 *   build/clients/cpp/example_remind -n 3 example.reminders 'tea is ready'
 *
 * Shows push_message with `delay`, `at`, `every` and `ticket`, and client::cancel(). Pushes a
 * reminder for a moment later, one for tomorrow, which it cancels, and one that repeats each half
 * second. Prints those that come, and cancels the repetition after COUNT of it, 2 by default. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

/* The program's own numbers, so that it can cancel after a restart too. queue::ticket() makes
 * random ones. */
static constexpr std::uint64_t tomorrow_ticket = 1, again_ticket = 2;

static void push_all(millrace::client &c, const char *name, const char *text)
{
	auto queue = c.open_queue(name);
	millrace::push_message soon(text), tomorrow("tomorrow"), again("again");

	soon.delay = std::chrono::milliseconds(200);
	tomorrow.at = std::chrono::system_clock::now() + std::chrono::hours(24);
	tomorrow.ticket = tomorrow_ticket;
	/* A push with the same ticket takes the place of this one. For times of day: `cron`. */
	again.every = std::chrono::milliseconds(500);
	again.ticket = again_ticket;
	for (const auto *m : {&soon, &tomorrow, &again}) {
		while (!queue.push(*m))
			c.wait(std::chrono::milliseconds(10));
	}
	/* The queue accepts them now, and delivers them when they are due. */
	c.settle(std::chrono::seconds(5));
}

static void remind(millrace::client &c, const char *name, const char *text, unsigned long count)
{
	millrace::consume_options options;

	push_all(c, name, text);
	/* False: none waits, it is due already. */
	if (c.cancel(name, tomorrow_ticket))
		std::puts("cancelled tomorrow");
	std::fflush(stdout);
	options.manual = true;
	auto reminders = c.consume(name, options);
	while (count > 0) {
		const auto reminder = reminders.pull();

		if (!reminder)
			continue;
		const auto payload = reminder->payload();
		std::printf("%.*s\n", static_cast<int>(payload.size()), payload.data());
		std::fflush(stdout);
		if (payload == "again")
			count--;
		reminders.ack(*reminder);
	}
	if (c.cancel(name, again_ticket))
		std::puts("cancelled again");
}

int main(int argc, char **argv)
{
	unsigned long count = 2;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		std::fprintf(stderr, "usage: remind [-n COUNT] QUEUE TEXT [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 2 < argc ? argv[at + 2] : "");

		remind(c, argv[at], argv[at + 1], count);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "remind: %s\n", e.what());
		return 1;
	}
}
