/* SPDX-License-Identifier: Apache-2.0 */
/* reply: answers requests with their payload in capitals.
 *
 *   reply [-n COUNT] SUBJECT [ADDRESS]
 *   build/clients/cpp/example_reply -n 1 greet
 *
 * Shows client::reply() and a queue group: start several, and each request goes to one of them.
 * Prints "serving" when it is ready, and ends after COUNT requests, 10 by default. */
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static std::string capitals(std::string_view text)
{
	std::string out(text);

	for (char &c : out)
		c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
	return out;
}

static void serve(millrace::client &c, const char *subject, unsigned long wanted)
{
	millrace::subscribe_options options;
	unsigned long served = 0;

	options.group = "capitals";
	const auto subscription = c.subscribe(
		subject,
		[&](const millrace::message &m) {
			if (!m.wants_reply())
				return;
			c.reply(m, capitals(m.payload()));
			served++;
		},
		options);

	std::printf("serving\n");
	std::fflush(stdout);
	while (served < wanted)
		c.wait();
	std::printf("served %lu\n", served);
}

int main(int argc, char **argv)
{
	unsigned long wanted = 10;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		wanted = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: reply [-n COUNT] SUBJECT [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "");

		serve(c, argv[at], wanted);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "reply: %s\n", e.what());
		return 1;
	}
}
