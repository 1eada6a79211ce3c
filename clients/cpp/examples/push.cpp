/* SPDX-License-Identifier: Apache-2.0 */
/* push: pushes jobs to a queue, and ends when the queue has accepted them all.
 *
 *   push [-n COUNT] QUEUE PAYLOAD [ADDRESS]
 *   build/clients/cpp/example_push -n 3 example.jobs 'a job'
 *
 * Shows client::open_queue(), queue::push(), the outcomes of pushes, and client::settle(). COUNT is
 * 1 by default. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static unsigned long push_all(
	millrace::client &c, const char *name, const char *payload, unsigned long count)
{
	unsigned long accepted = 0;
	millrace::push_options options;

	options.on_outcome = [&](std::uint64_t id, std::error_code error) {
		if (!error)
			accepted++;
		else
			std::fprintf(stderr, "push: job %ju: %s\n", static_cast<std::uintmax_t>(id),
				error.message().c_str());
	};
	auto queue = c.open_queue(name, options);
	/* push() waits while the window of open pushes is full: back-pressure of the queue. */
	for (unsigned long i = 0; i < count; i++)
		queue.push(payload);
	c.settle(std::chrono::seconds(5));
	return accepted;
}

int main(int argc, char **argv)
{
	unsigned long count = 1;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		std::fprintf(stderr, "usage: push [-n COUNT] QUEUE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 2 < argc ? argv[at + 2] : "");

		std::printf("accepted %lu\n", push_all(c, argv[at], argv[at + 1], count));
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "push: %s\n", e.what());
		return 1;
	}
}
