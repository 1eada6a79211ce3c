/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe: prints the messages of a pattern.
 *
 *   subscribe [-n COUNT] PATTERN [ADDRESS]
 *   build/clients/cpp/example_subscribe -n 1 'orders.>'
 *
 * Shows a subscription with a function, headers, and the reports of gaps and of a lost connection.
 * Prints "subscribed" once every message published from then on will be delivered. Ends after COUNT
 * messages, 10 by default. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static void print(const millrace::message &m)
{
	const auto language = m.header("language");

	/* Texts in a message do not end with a zero byte: print by length. */
	std::printf("%.*s: %.*s", static_cast<int>(m.subject().size()), m.subject().data(),
		static_cast<int>(m.payload().size()), m.payload().data());
	if (language)
		std::printf(" (from %.*s)", static_cast<int>(language->size()), language->data());
	std::printf("\n");
	std::fflush(stdout);
}

static millrace::connect_options reports()
{
	millrace::connect_options options;

	options.on_gap = [](std::uint64_t missed, std::uint64_t) {
		std::fprintf(stderr, "subscribe: missed %ju messages\n",
			static_cast<std::uintmax_t>(missed));
	};
	options.on_state = [](bool connected, std::error_code) {
		std::fprintf(
			stderr, "subscribe: the bus %s\n", connected ? "is back" : "went away");
	};
	return options;
}

int main(int argc, char **argv)
{
	unsigned long wanted = 10, count = 0;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		wanted = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: subscribe [-n COUNT] PATTERN [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "", reports());
		const auto subscription = c.subscribe(argv[at], [&](const millrace::message &m) {
			print(m);
			count++;
		});

		std::printf("subscribed\n");
		std::fflush(stdout);
		/* wait() reconnects and subscribes again after a lost connection. */
		while (count < wanted)
			c.wait();
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "subscribe: %s\n", e.what());
		return 1;
	}
}
