/* SPDX-License-Identifier: Apache-2.0 */
/* group: prints its share of the messages of a subject.
 *
 *   group [-n COUNT] SUBJECT GROUP [ADDRESS]
 *   build/clients/cpp/example_group -n 10 jobs.new workers
 *
 * Shows a queue group and client::receive(): of all members of the group, one gets each message.
 * Prints "subscribed" when it is ready. Ends after COUNT messages, 10 by default, or when none came
 * for two seconds after the first. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static void print_share(
	millrace::client &c, const char *subject, const char *group, unsigned long wanted)
{
	millrace::milliseconds patience = millrace::no_limit;
	millrace::subscribe_options options;

	options.group = group;
	const auto subscription = c.subscribe(subject, options);
	std::printf("subscribed\n");
	std::fflush(stdout);
	for (unsigned long i = 0; i < wanted; i++) {
		const auto m = c.receive(patience);

		if (!m)
			break;
		std::printf("%.*s\n", static_cast<int>(m->payload().size()), m->payload().data());
		std::fflush(stdout);
		patience = std::chrono::seconds(2);
	}
}

int main(int argc, char **argv)
{
	unsigned long wanted = 10;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		wanted = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		std::fprintf(stderr, "usage: group [-n COUNT] SUBJECT GROUP [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 2 < argc ? argv[at + 2] : "");

		print_share(c, argv[at], argv[at + 1], wanted);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "group: %s\n", e.what());
		return 1;
	}
}
